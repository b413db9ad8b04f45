/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session with the language model: its prompt, its settings, its life. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"

static gboolean
read_prompt_file (const gchar * path, gchar ** text, GError ** error)
{
  GError *file_error = NULL;
  gsize length;

  if (!g_file_get_contents (path, text, &length, &file_error)) {
    g_set_error (error, TERN_ERROR,
        g_error_matches (file_error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ?
        TERN_ERROR_NOT_FOUND : TERN_ERROR_READ, "prompt-path: %s",
        file_error->message);
    g_error_free (file_error);
    return FALSE;
  }
  if (strlen (*text) != length || !g_utf8_validate (*text, length, NULL)) {
    g_clear_pointer (text, g_free);
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "prompt-path: %s: expected UTF-8 text, found other bytes", path);
    return FALSE;
  }
  g_strchomp (*text);
  return TRUE;
}

gboolean
gst_tern_generator_get_prompt (GstTernGenerator * self, gchar ** prompt,
    gchar ** id, GError ** error)
{
  gchar *path;
  gboolean ok;

  GST_OBJECT_LOCK (self);
  *prompt = g_strdup (self->prompt);
  path = g_strdup (self->prompt_path);
  *id = g_strdup_printf ("%u", self->prompt_number);
  GST_OBJECT_UNLOCK (self);

  if (*prompt && path)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected prompt or prompt-path, found both");
  ok = !(*prompt && path) && (!path || read_prompt_file (path, prompt, error));
  g_free (path);
  if (!ok) {
    g_clear_pointer (prompt, g_free);
    g_clear_pointer (id, g_free);
  }
  return ok;
}

static gboolean
has_session (GstTernGenerator * self)
{
  gboolean has;

  g_mutex_lock (&self->session_lock);
  has = self->session != NULL;
  g_mutex_unlock (&self->session_lock);
  return has;
}

void
gst_tern_generator_update_prompt (GstTernGenerator * self)
{
  GError *error = NULL;
  gchar *prompt, *id;

  /* What is set before there is a session is looked at when it is made. */
  if (!has_session (self))
    return;

  /* Outside of the session lock: it may read a file and post a message. */
  if (gst_tern_generator_get_prompt (self, &prompt, &id, &error)) {
    g_mutex_lock (&self->session_lock);
    if (self->session)
      tern_session_set_prompt (self->session, prompt, id, &error);
    g_mutex_unlock (&self->session_lock);
    g_free (prompt);
    g_free (id);
  }
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The prompt was not changed."), ("%s", error->message));
  g_clear_error (&error);
}

static void
get_params (GstTernGenerator * self, TernSessionParams * params)
{
  GstTernLeaky leaky;
  gboolean live;

  GST_OBJECT_LOCK (self);
  *params = self->params;
  leaky = self->leaky;
  live = self->live;
  self->params_changed = FALSE;
  GST_OBJECT_UNLOCK (self);

  /* Nothing is dropped here: it is what context is planned for. */
  params->compress.method = TERN_METHOD_NONE;
  params->compress.max_tokens = self->info.group_tokens;
  params->live = leaky == GST_TERN_LEAKY_DOWNSTREAM
      || (leaky == GST_TERN_LEAKY_AUTO && live);
  self->session_leaky = params->live;
  params->func = gst_tern_generator_on_result;
  params->func_data = self;
}

void
gst_tern_generator_drop_session (GstTernGenerator * self)
{
  TernSession *session;

  g_mutex_lock (&self->session_lock);
  session = self->session;
  self->session = NULL;
  g_mutex_unlock (&self->session_lock);
  g_clear_pointer (&session, tern_session_free);
}

gboolean
gst_tern_generator_make_session (GstTernGenerator * self, TernModel * model,
    GError ** error)
{
  TernSessionParams params;
  TernSession *session;
  gchar *prompt, *id, *source;
  gboolean changed, live;
  guint number;

  live = gst_tern_upstream_is_live (self->sinkpad);
  GST_OBJECT_LOCK (self);
  number = self->prompt_number;
  self->live = live;
  self->params.rate_n = self->info.grid_n;
  self->params.rate_d = self->info.grid_d;
  GST_OBJECT_UNLOCK (self);
  if (!gst_tern_generator_get_prompt (self, &prompt, &id, error))
    return FALSE;
  source = gst_object_get_path_string (GST_OBJECT_CAST (self));
  get_params (self, &params);
  params.prompt = prompt;
  params.prompt_id = id;
  params.source = source;
  session = tern_session_new (model, &params, error);
  g_free (prompt);
  g_free (id);
  g_free (source);
  if (!session)
    return FALSE;

  GST_DEBUG_OBJECT (self, "session at %d/%d frames a second%s",
      self->info.grid_n, self->info.grid_d, params.live ? ", leaky" : "");
  g_mutex_lock (&self->session_lock);
  self->session = session;
  g_mutex_unlock (&self->session_lock);
  g_mutex_lock (&self->lock);
  self->dropped_seen = 0;
  g_mutex_unlock (&self->lock);

  GST_OBJECT_LOCK (self);
  changed = self->prompt_number != number;
  GST_OBJECT_UNLOCK (self);
  if (changed)
    gst_tern_generator_update_prompt (self);
  return TRUE;
}

void
gst_tern_generator_update_params (GstTernGenerator * self)
{
  TernSessionParams params;
  GError *error = NULL;
  gchar *prompt, *id;
  gboolean changed;

  GST_OBJECT_LOCK (self);
  changed = self->params_changed;
  GST_OBJECT_UNLOCK (self);
  if (!changed || !gst_tern_generator_get_prompt (self, &prompt, &id, NULL))
    return;

  get_params (self, &params);
  params.prompt = prompt;
  params.prompt_id = id;
  if (!tern_session_set_params (self->session, &params, &error)) {
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The settings were not changed."), ("%s", error->message));
    g_error_free (error);
  }
  g_free (prompt);
  g_free (id);
}

/* A flush of the session ends the wait, too. */
void
gst_tern_generator_drain (GstTernGenerator * self)
{
  TernResult *result = NULL;

  self->last_end = GST_CLOCK_TIME_NONE;
  if (!self->session)
    return;

  tern_session_finish (self->session);
  while (gst_tern_generator_get_flow (self) == GST_FLOW_OK
      && tern_session_next (self->session, -1, &result) != TERN_NEXT_END)
    g_clear_pointer (&result, tern_result_unref);
}

GstClockTime
gst_tern_generator_window_time (GstTernGenerator * self)
{
  GstClockTime window, group = 0;

  GST_OBJECT_LOCK (self);
  window = self->params.window;
  if (self->params.rate_n > 0)
    group = gst_util_uint64_scale (TERN_GROUP_FRAMES * GST_SECOND,
        self->params.rate_d, self->params.rate_n);
  GST_OBJECT_UNLOCK (self);
  if (group == 0 || window > G_MAXUINT64 - group)
    return window;
  return (window + group - 1) / group * group;
}
