/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests: questions that are asked once, as a structure `tern-ask`. */
#pragma once

#include "gstterngenerator-standing.h"

G_BEGIN_DECLS

typedef struct
{
  guint64 id;                   /* as the caller knows it */
  guint64 session_id;           /* ... the session; while it has it */
  gboolean from_pad;
  gboolean stands;              /* from now on, instead of once */
  GstClockTime deadline;        /* by the task's clock; NONE */
  TernRequest request;
  /* Whose strings @request points to. */
  GstStructure *structure;
  gchar **labels;
  gchar *prompt, *prompt_id;
  GstTernStanding *form;
  /* Instead of an answer. */
  gchar *failure;
  gboolean cancelled;
} GstTernAsk;

/* Reads @structure; names the field that is not as expected. */
GstTernAsk *gst_tern_ask_from_structure (const GstStructure * structure,
    GError ** error);
/* Asks @prompt (transfer full) in the form of what stands. */
GstTernAsk *gst_tern_ask_from_text (gchar * prompt, GstTernStanding * form);
void gst_tern_ask_free (gpointer ask);

/* What stands when a request takes its place. */
GstTernStanding *gst_tern_ask_to_standing (const GstTernAsk * ask,
    const GstTernStanding * before);

G_END_DECLS
