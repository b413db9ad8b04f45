/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternloader.h"
#include "gstternerror.h"
#include "gstternfile.h"

struct _GstTernLoader
{
  gint ref_count;               /* the element's and the thread's */
  GstElement *element;          /* NULL once stopped */
  gchar *model_path, *mmproj_path;
  TernModelParams params;
  TernModel *given;             /* by a context; NULL: to be loaded */

  GMutex lock;
  GCond cond;
  gboolean done, interrupted;
  GThread *posting;             /* what became of it, just now */
  gboolean posted;              /* that is over */
  TernModel *model;
};

gboolean
gst_tern_model_settings_check (const GstTernModelSettings * settings,
    GstElement * element, GError ** error)
{
  gchar *paths[2];
  gboolean ok = TRUE;
  guint i;

  GST_OBJECT_LOCK (element);
  paths[0] = g_strdup (settings->model_path);
  paths[1] = g_strdup (settings->mmproj_path);
  GST_OBJECT_UNLOCK (element);
  for (i = 0; i < 2; i++) {
    if (ok && paths[i])
      ok = gst_tern_check_model_file (paths[i], error);
    g_free (paths[i]);
  }
  return ok;
}

void
gst_tern_model_settings_clear (GstTernModelSettings * settings)
{
  g_clear_pointer (&settings->model_path, g_free);
  g_clear_pointer (&settings->mmproj_path, g_free);
}

static void
loader_unref (GstTernLoader * loader)
{
  if (!g_atomic_int_dec_and_test (&loader->ref_count))
    return;
  g_clear_pointer (&loader->model, tern_model_unref);
  g_clear_pointer (&loader->given, tern_model_unref);
  g_free (loader->model_path);
  g_free (loader->mmproj_path);
  g_mutex_clear (&loader->lock);
  g_cond_clear (&loader->cond);
  g_free (loader);
}

static void
post_progress (GstElement * element, GstProgressType type, const gchar * text)
{
  gst_element_post_message (element, gst_message_new_progress (GST_OBJECT
          (element), type, "loading", text));
}

/* ---- A model that the application has opened ---- */

G_DEFINE_BOXED_TYPE (TernModel, gst_tern_model, tern_model_ref,
    tern_model_unref);

/* A reference, or NULL. */
static TernModel *
model_of_context (GstElement * element)
{
  GstContext *context = gst_element_get_context (element,
      GST_TERN_CONTEXT_MODEL);
  TernModel *model = NULL;

  if (!context)
    return NULL;
  gst_structure_get (gst_context_get_structure (context), "model",
      GST_TYPE_TERN_MODEL, &model, NULL);
  if (!model)
    GST_WARNING_OBJECT (element, "context %s: expected a field model of type "
        "TernModel, found %" GST_PTR_FORMAT, GST_TERN_CONTEXT_MODEL,
        gst_context_get_structure (context));
  gst_context_unref (context);
  return model;
}

/* Whoever has named a file wants that one. */
static TernModel *
find_given (GstElement * element, const gchar * model_path)
{
  TernModel *model;

  if (model_path)
    return NULL;
  model = model_of_context (element);
  if (model)
    return model;
  gst_element_post_message (element,
      gst_message_new_need_context (GST_OBJECT_CAST (element),
          GST_TERN_CONTEXT_MODEL));
  return model_of_context (element);
}

static gboolean
has_parts (const TernModel * model, TernModelParts parts, GError ** error)
{
  const gchar *lacks = NULL;

  if ((parts & TERN_MODEL_TEXT) && tern_model_context (model) == 0)
    lacks = "language model";
  else if ((parts & TERN_MODEL_VISION) && tern_model_frame_tokens (model) == 0)
    lacks = "vision encoder";
  if (lacks)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "context %s: expected "
        "a model whose %s is loaded, found %s without", GST_TERN_CONTEXT_MODEL,
        lacks, tern_model_path (model));
  return !lacks;
}

/* ---- Loading ---- */

/* Says what became of it, as long as somebody waits for the model. Whoever stops
 * it waits until that is said: a message goes by the bus of the element's bin,
 * which may be gone as soon as all is stopped. */
static void
post_end (GstTernLoader * loader, TernModel * model, GError * error)
{
  GstElement *element = NULL;

  g_mutex_lock (&loader->lock);
  if (loader->element) {
    element = gst_object_ref (loader->element);
    loader->posting = g_thread_self ();
  }
  g_mutex_unlock (&loader->lock);
  if (!element)
    return;
  if (model) {
    post_progress (element, GST_PROGRESS_TYPE_COMPLETE, "Model loaded");
  } else {
    gst_tern_post_error (element, error);
    post_progress (element, GST_PROGRESS_TYPE_ERROR, "Model not loaded");
  }
  gst_object_unref (element);
  g_mutex_lock (&loader->lock);
  loader->posting = NULL;
  loader->posted = TRUE;
  g_cond_broadcast (&loader->cond);
  g_mutex_unlock (&loader->lock);
}

static gpointer
loader_thread (gpointer data)
{
  GstTernLoader *loader = data;
  GError *error = NULL;
  TernModel *model = NULL;

  if (!loader->given)
    model = tern_model_open (&loader->params, &error);
  else if (has_parts (loader->given, loader->params.parts, &error))
    model = tern_model_ref (loader->given);

  post_end (loader, model, error);
  g_clear_error (&error);

  /* Who waits goes on only after the messages, so that an error is the first
   * thing that the application hears. */
  g_mutex_lock (&loader->lock);
  loader->model = model;
  loader->done = TRUE;
  g_cond_broadcast (&loader->cond);
  g_mutex_unlock (&loader->lock);
  loader_unref (loader);
  return NULL;
}

GstTernLoader *
gst_tern_loader_start (GstElement * element,
    const GstTernModelSettings * settings, TernModelParts parts)
{
  GstTernLoader *loader = g_new0 (GstTernLoader, 1);
  TernModelParams params = TERN_MODEL_PARAMS_INIT;

  loader->ref_count = 2;
  loader->element = element;
  GST_OBJECT_LOCK (element);
  params.model_path = loader->model_path = g_strdup (settings->model_path);
  params.mmproj_path = loader->mmproj_path = g_strdup (settings->mmproj_path);
  params.threads = settings->threads;
  params.float_activations = settings->float_activations;
  GST_OBJECT_UNLOCK (element);
  params.parts = parts;
  params.yielding = TRUE;
  loader->params = params;
  loader->given = find_given (element, params.model_path);
  g_mutex_init (&loader->lock);
  g_cond_init (&loader->cond);

  post_progress (element, GST_PROGRESS_TYPE_START, "Loading the model");
  g_thread_unref (g_thread_new ("tern-load", loader_thread, loader));
  return loader;
}

void
gst_tern_loader_stop (GstTernLoader * loader)
{
  GstElement *element;
  gboolean done;

  g_mutex_lock (&loader->lock);
  element = loader->element;
  loader->element = NULL;
  while (loader->posting && loader->posting != g_thread_self ())
    g_cond_wait (&loader->cond, &loader->lock);
  done = loader->done || loader->posting || loader->posted;
  g_mutex_unlock (&loader->lock);

  if (!done)
    post_progress (element, GST_PROGRESS_TYPE_CANCELED, "Loading cancelled");
  loader_unref (loader);
}

TernModel *
gst_tern_loader_wait (GstTernLoader * loader, gboolean * interrupted)
{
  TernModel *model = NULL;

  g_mutex_lock (&loader->lock);
  while (!loader->done && !loader->interrupted)
    g_cond_wait (&loader->cond, &loader->lock);
  *interrupted = loader->interrupted;
  if (loader->done && loader->model)
    model = tern_model_ref (loader->model);
  g_mutex_unlock (&loader->lock);
  return model;
}

void
gst_tern_loader_interrupt (GstTernLoader * loader, gboolean interrupt)
{
  if (!loader)
    return;
  g_mutex_lock (&loader->lock);
  loader->interrupted = interrupt;
  g_cond_broadcast (&loader->cond);
  g_mutex_unlock (&loader->lock);
}
