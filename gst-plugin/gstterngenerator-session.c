/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session with the language model: its prompt, its settings, its life. */
#include <string.h>

#include "gstterngenerator-priv.h"

#include "gstternelement.h"
#include "gstternupstream.h"

/* With the prompt lock, as long as they are used. */
static void
get_params (GstTernGenerator * self, TernSessionParams * params)
{
  GstTernLeaky leaky;
  gboolean live;

  GST_OBJECT_LOCK (self);
  *params = self->params;
  leaky = self->leaky;
  live = self->live;
  params->budget = self->budget;        /* which stays as long as there is a session */
  self->params_changed = FALSE;
  g_free (self->draft_named);
  self->draft_named = g_strdup (self->draft_model);
  GST_OBJECT_UNLOCK (self);

  /* Nothing is dropped here: it is what context is planned for. */
  params->compress.method = TERN_METHOD_NONE;
  params->compress.max_tokens = self->info.group_tokens;
  params->live = leaky == GST_TERN_LEAKY_DOWNSTREAM
      || (leaky == GST_TERN_LEAKY_AUTO && live);
  self->session_leaky = params->live;
  params->draft_model = self->draft_named;
  gst_tern_action_fill_params (self->action, params);
  params->tokens_only = TRUE;
  params->func = gst_tern_generator_on_result;
  params->func_data = self;
  params->questions = self->standing->questions;
  params->n_questions = self->standing->n_questions;
}

/* Without the strings and the function, which are not the properties'. */
static void
accept_params (GstTernGenerator * self, const TernSessionParams * params)
{
  GST_OBJECT_LOCK (self);
  self->accepted = *params;
  self->accepted.questions = NULL;
  self->accepted.n_questions = 0;
  self->accepted.source = NULL;
  self->accepted.draft_model = NULL;
  self->accepted.action = NULL;
  self->accepted.budget = NULL;
  GST_OBJECT_UNLOCK (self);
}

static void
add_guesses (guint64 * guesses, const TernSessionStats * stats)
{
  guesses[0] += stats->guesses;
  guesses[1] += stats->guesses_right;
  guesses[2] += stats->drafts;
  guesses[3] += stats->drafts_right;
}

void
gst_tern_generator_drop_session (GstTernGenerator * self)
{
  TernSessionStats stats = { 0, };
  TernSession *session;

  g_mutex_lock (&self->ask_lock);
  g_mutex_lock (&self->session_lock);
  session = self->session;
  self->session = NULL;
  if (session)
    tern_session_stats (session, &stats);
  g_mutex_lock (&self->task.lock);
  self->dropped_before += stats.windows_dropped;
  self->windows_before += stats.windows_done;
  self->repeated_before += stats.windows_unchanged;
  add_guesses (self->guesses_before, &stats);
  self->deferred_before += stats.windows_deferred;
  g_mutex_unlock (&self->task.lock);
  g_mutex_unlock (&self->session_lock);
  g_mutex_unlock (&self->ask_lock);
  g_clear_pointer (&session, tern_session_free);
  gst_tern_generator_end_asks (self, FALSE, "the session ended");
}

/* Ticks need not be whole nanoseconds: a millisecond is no difference. */
static gboolean
is_rounded (guint64 asked, guint64 time)
{
  return asked > 0 && time > asked + GST_MSECOND;
}

/* How windows follow each other in @session, and what became of what was asked
 * for: at few frames a second a group is long. */
static void
note_windows (GstTernGenerator * self, TernSession * session)
{
  guint64 window, hop, asked_window, asked_hop, before;
  gboolean live;

  before = gst_tern_generator_window_time (self);
  tern_session_windows (session, &window, &hop);
  GST_OBJECT_LOCK (self);
  live = self->live;
  self->window = window;
  self->hop = hop;
  asked_window = self->params.window;
  asked_hop = self->params.hop;
  GST_OBJECT_UNLOCK (self);
  /* LATENCY was told by what was asked for. */
  if (live && window != before)
    gst_element_post_message (GST_ELEMENT_CAST (self),
        gst_message_new_latency (GST_OBJECT_CAST (self)));
  if (is_rounded (asked_window, window) || is_rounded (asked_hop, hop))
    GST_ELEMENT_INFO (self, STREAM, FORMAT,
        ("Windows are rounded up to whole groups of pictures."),
        ("window=%" G_GUINT64_FORMAT " is %" G_GUINT64_FORMAT ", hop=%"
            G_GUINT64_FORMAT " is %" G_GUINT64_FORMAT ": groups have %u "
            "pictures, at %u/%u a second", asked_window, window, asked_hop, hop,
            TERN_GROUP_FRAMES, self->info.rate_n, self->info.rate_d));
}

gboolean
gst_tern_generator_make_session (GstTernGenerator * self, TernModel * model,
    GError ** error)
{
  TernSessionParams params;
  TernSession *session;
  gboolean live;
  gchar *source;

  live = gst_tern_upstream_is_live (self->sinkpad);
  GST_OBJECT_LOCK (self);
  self->live = live;
  self->params.rate_n = self->info.rate_n;
  self->params.rate_d = self->info.rate_d;
  GST_OBJECT_UNLOCK (self);
  source = gst_object_get_path_string (GST_OBJECT_CAST (self));

  g_mutex_lock (&self->prompt_lock);
  get_params (self, &params);
  params.source = source;
  session = tern_session_new (model, &params, error);
  if (session) {
    accept_params (self, &params);
    g_mutex_lock (&self->ask_lock);
    g_mutex_lock (&self->session_lock);
    gst_tern_action_reset_session (self->action);
    self->session = session;
    self->session_asks = 0;
    g_mutex_unlock (&self->session_lock);
    g_mutex_unlock (&self->ask_lock);
  }
  g_mutex_unlock (&self->prompt_lock);
  g_free (source);
  if (!session)
    return FALSE;
  gst_tern_generator_set_seen (self, FALSE);
  note_windows (self, session);

  GST_DEBUG_OBJECT (self, "session at %d/%d frames a second%s",
      self->info.rate_n, self->info.rate_d, params.live ? ", leaky" : "");
  return TRUE;
}

void
gst_tern_generator_update_params (GstTernGenerator * self)
{
  TernSessionParams params;
  GError *error = NULL;
  gboolean changed;

  GST_OBJECT_LOCK (self);
  changed = self->params_changed;
  GST_OBJECT_UNLOCK (self);
  if (!changed)
    return;

  g_mutex_lock (&self->prompt_lock);
  get_params (self, &params);
  if (tern_session_set_params (self->session, &params, &error)) {
    accept_params (self, &params);
  } else {
    /* What is in force is what is read back, unless it changed again. */
    GST_OBJECT_LOCK (self);
    if (!self->params_changed)
      self->params = self->accepted;
    GST_OBJECT_UNLOCK (self);
  }
  g_mutex_unlock (&self->prompt_lock);
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The settings were not changed."), ("%s", error->message));
  g_clear_error (&error);
}

/* ---- Counts ---- */

/* Windows dropped since READY; @queued those that wait. */
guint64
gst_tern_generator_count_dropped (GstTernGenerator * self, guint * queued)
{
  TernSessionStats stats = { 0, };
  guint64 dropped;

  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_stats (self->session, &stats);
  g_mutex_lock (&self->task.lock);
  dropped = self->dropped_before + stats.windows_dropped;
  g_mutex_unlock (&self->task.lock);
  g_mutex_unlock (&self->session_lock);
  *queued = stats.queued_windows;
  return dropped;
}

GstStructure *
gst_tern_generator_make_stats (GstTernGenerator * self)
{
  TernSessionStats stats = { 0, };
  GstStructure *structure;
  guint64 guesses[4];

  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_stats (self->session, &stats);
  g_mutex_lock (&self->task.lock);
  memcpy (guesses, self->guesses_before, sizeof guesses);
  add_guesses (guesses, &stats);
  structure = gst_structure_new ("stats",
      "frames", G_TYPE_UINT64, self->frames,
      "windows", G_TYPE_UINT64, self->windows_before + stats.windows_done,
      "repeated", G_TYPE_UINT64,
      self->repeated_before + stats.windows_unchanged,
      "deferred", G_TYPE_UINT64,
      self->deferred_before + stats.windows_deferred,
      "answered", G_TYPE_UINT64, self->answered,
      "errors", G_TYPE_UINT64, self->errors,
      "abstained", G_TYPE_UINT64, self->abstained,
      "unchanged", G_TYPE_UINT64, self->unchanged,
      "requests", G_TYPE_UINT64, self->asked - self->asked_before,
      "dropped", G_TYPE_UINT64, self->dropped_before + stats.windows_dropped,
      "queued", G_TYPE_UINT64, (guint64) stats.queued_windows,
      "guesses", G_TYPE_UINT64, guesses[0],
      "guesses-right", G_TYPE_UINT64, guesses[1],
      "drafts", G_TYPE_UINT64, guesses[2],
      "drafts-right", G_TYPE_UINT64, guesses[3],
      "last-latency", G_TYPE_UINT64, self->last_latency, NULL);
  g_mutex_unlock (&self->task.lock);
  g_mutex_unlock (&self->session_lock);
  if (self->params.memory == TERN_MEMORY_STREAM)
    gst_structure_set (structure,
        "memory-tokens", G_TYPE_UINT64, stats.memory_tokens,
        "memory-turns", G_TYPE_UINT64, stats.memory_turns, NULL);
  GST_OBJECT_LOCK (self);
  gst_tern_budget_add_stats (self->budget, structure);
  GST_OBJECT_UNLOCK (self);
  gst_tern_action_add_stats (self->action, structure);
  return structure;
}

/* What was counted since READY. With the task's lock. */
void
gst_tern_generator_reset_counts (GstTernGenerator * self)
{
  self->answered = self->errors = self->abstained = self->unchanged = 0;
  self->frames = self->windows_before = self->dropped_before = 0;
  self->repeated_before = self->deferred_before = 0;
  memset (self->guesses_before, 0, sizeof self->guesses_before);
  self->dropped_seen = 0;
  self->asked_before = self->asked;
  self->seen_end = 0;
  self->last_latency = GST_CLOCK_TIME_NONE;
}

/* ---- Windows ---- */

/* A flush of the session ends the wait, too. */
void
gst_tern_generator_drain (GstTernGenerator * self)
{
  TernResult *result = NULL;

  self->last_end = GST_CLOCK_TIME_NONE;
  if (!self->session)
    return;

  tern_session_finish (self->session);
  while (gst_tern_task_get_flow (&self->task) == GST_FLOW_OK
      && tern_session_next (self->session, -1, &result) != TERN_NEXT_END)
    g_clear_pointer (&result, tern_result_unref);
}

GstClockTime
gst_tern_generator_window_time (GstTernGenerator * self)
{
  GstClockTime window;

  GST_OBJECT_LOCK (self);
  window = self->window > 0 ? self->window : self->params.window;
  GST_OBJECT_UNLOCK (self);
  return window;
}

GstClockTime
gst_tern_generator_hop_time (GstTernGenerator * self)
{
  GstClockTime hop;

  GST_OBJECT_LOCK (self);
  hop = self->hop;
  GST_OBJECT_UNLOCK (self);
  return hop > 0 ? hop : gst_tern_generator_window_time (self);
}
