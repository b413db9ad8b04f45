/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands to be asked about each window, and in what form it is answered:
 * what the properties say together. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/* Settings that are one text. */
typedef enum
{
  GST_TERN_TEXT_PROMPT,
  GST_TERN_TEXT_PROMPT_PATH,
  GST_TERN_TEXT_TASK,
  GST_TERN_TEXT_JSON_SCHEMA,
  GST_TERN_TEXT_JSON_SCHEMA_PATH,
  GST_TERN_TEXT_GRAMMAR,
  GST_TERN_TEXT_GRAMMAR_PATH,
  GST_TERN_TEXT_ACTION_PATH,
  GST_TERN_TEXTS
} GstTernText;

/* Counted, and immutable once others may see it. */
typedef struct
{
  /* As they are read back; NULL: unset. */
  gchar *texts[GST_TERN_TEXTS];
  gchar **prompts, **labels;
  gdouble min_confidence;
  /* Of a request that stands. */
  gchar *prompt_id;
  guint max_tokens;

  /* What files said. */
  gchar *contents[GST_TERN_TEXTS];
  /* The questions of all that, from READY on; strings of their own. */
  TernQuestion *questions;
  guint n_questions;
} GstTernStanding;

GstTernStanding *gst_tern_standing_new (void);
/* Of the settings, without the questions. */
GstTernStanding *gst_tern_standing_copy (const GstTernStanding * standing);
GstTernStanding *gst_tern_standing_ref (GstTernStanding * standing);
void gst_tern_standing_unref (GstTernStanding * standing);

void gst_tern_standing_set_text (GstTernStanding * standing, GstTernText which,
    const gchar * text);

/* Whether what is set goes together, and is what it should be by itself. What
 * the model takes is not known here. */
gboolean gst_tern_standing_check (const GstTernStanding * standing,
    GError ** error);
/* Reads the file of @which. */
gboolean gst_tern_standing_read (GstTernStanding * standing, GstTernText which,
    GError ** error);

/* The id of a prompt that has none of its own, NULL being the model's. */
typedef gchar *(*GstTernIdFunc) (gpointer data, const gchar * prompt);
void gst_tern_standing_make_questions (GstTernStanding * standing,
    GstTernIdFunc id_of, gpointer data);

G_END_DECLS
