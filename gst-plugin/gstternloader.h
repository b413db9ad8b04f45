/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads a model in a thread of its own, with progress on the bus, so that no
 * state change and no live stream waits for it. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/* What an element is told about its model; under its object lock. */
typedef struct
{
  gchar *model_path, *mmproj_path;
  guint threads;
  gboolean float_activations;
} GstTernModelSettings;

/* The files that are named, see gst_tern_check_model_file(). */
gboolean gst_tern_model_settings_check (const GstTernModelSettings * settings,
    GstElement * element, GError ** error);
void gst_tern_model_settings_clear (GstTernModelSettings * settings);

typedef struct _GstTernLoader GstTernLoader;

/* The context by which an application hands over a model that it has opened, to
 * elements without a model-path of their own: field `model`, of
 * GST_TYPE_TERN_MODEL (its name is TernModel). */
#define GST_TERN_CONTEXT_MODEL "tern.model"
#define GST_TYPE_TERN_MODEL (gst_tern_model_get_type ())
GType gst_tern_model_get_type (void);

/* Starts to load @parts, unless a context has the model. Posts PROGRESS messages of code `loading` in
 * @element's name, and its error when it fails. */
GstTernLoader *gst_tern_loader_start (GstElement * element,
    const GstTernModelSettings * settings, TernModelParts parts);
/* Returns at once: a load in progress ends in the background, says nothing any
 * more, and its model is given back. What is being said of it is waited for. */
void gst_tern_loader_stop (GstTernLoader * loader);
/* The model, when it is there; a reference. NULL after a failed load, whose
 * error was posted, and while nobody is to wait: @interrupted says so. */
TernModel *gst_tern_loader_wait (GstTernLoader * loader,
    gboolean * interrupted);
/* Whether nobody is to wait. @loader may be NULL. */
void gst_tern_loader_interrupt (GstTernLoader * loader, gboolean interrupt);

G_END_DECLS
