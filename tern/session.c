/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session's outside: parameters, life, prompts, results. Frames come in in session-push.c, the work is
 * session-run.c's. */
#include "tern/session-priv.h"

#include <string.h>

#include "tern/compress-group.h"

/* Bytes of frames that may wait for the engine; two groups may always. */
#define WAITING_MOST ((gsize) 256 << 20)

/* ---- Plans ---- */

TernCompressorParams
tern_session_compression (const TernSession *self, const TernSessionConfig *config)
{
  TernCompressorParams params = config->params.compress;

  params.window_frames = self->max_frames;
  params.rate_n = self->windower.plan.rate_n;
  params.rate_d = self->windower.plan.rate_d;
  return params;
}

static guint
plan_visual (const TernSession *self, const TernSessionConfig *config)
{
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : 0;
  guint groups = self->max_frames / self->group_frames, rest = self->max_frames % self->group_frames;
  TernCompressorParams compress = tern_session_compression (self, config);
  guint64 n = (guint64) groups * tern_compressor_bound (&compress, self->group_frames, n_tokens)
      + tern_compressor_bound (&compress, rest, n_tokens);

  if (compress.max_tokens_per_window > 0)
    n = MIN (n, compress.max_tokens_per_window);
  return (guint) MIN (n, G_MAXINT32 / 4);
}

gboolean
tern_session_fits (const TernSession *self, const TernSessionConfig *config, GError **error)
{
  guint limit = tern_session_context_limit (self->model);
  guint64 answer = (guint64) plan_visual (self, config) + config->max_tokens;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) runs = g_array_new (FALSE, FALSE, sizeof (TernPromptRun));
  TernCompressorParams compress = tern_session_compression (self, config);
  TernPromptVisual visual;

  if (!tern_compressor_budgets_check (&compress, error))
    return FALSE;
  if (self->stream)
    return tern_session_stream_fits (self, config, error);
  tern_session_plan_visual (self, self->max_frames, runs, &visual);
  for (guint i = 0; i < config->n_questions; i++) {
    if (!tern_session_compile (self, config, i, &visual, ids, NULL, error))
      return FALSE;
    if (answer + ids->len > limit) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context of %s: expected at most %u tokens, found %"
          G_GUINT64_FORMAT " of a window, question %u of %u and its answer", self->text->name, limit, answer + ids->len,
          i + 1, config->n_questions);
      return FALSE;
    }
  }
  return TRUE;
}

/* ---- Life ---- */

typedef struct {
  TernSession *session;
  GError **error;
  gboolean ok;
} Preparing;

static void
prepare (void *data)
{
  Preparing *preparing = data;

  preparing->ok = tern_session_prepare (preparing->session, preparing->error);
}

/* With all that cannot fail: it may be destroyed from here on. */
static TernSession *
new_empty (TernModel *model, const TernSessionParams *params)
{
  TernSession *self = g_new0 (TernSession, 1);

  self->model = tern_model_ref (model);
  self->text = tern_model_text (model);
  self->vision = tern_model_vision (model);
  self->client = (TernClient) { .klass = &tern_session_client_class, .live = params->live };
  self->func = params->func;
  self->func_data = params->func_data;
  self->source = g_strdup (params->source ? params->source : "");
  self->fit = params->fit;
  self->live = params->live;
  self->over_stretch = G_MAXUINT64;
  self->kv = (TernKvType) params->kv_type;
  tern_session_forget_seen (self);
  self->planned = g_array_new (FALSE, FALSE, sizeof (gint32));
  self->spans = g_array_new (FALSE, FALSE, sizeof (TernSpan));
  self->runs = g_array_new (FALSE, FALSE, sizeof (TernPromptRun));
  self->pictures = g_array_new (FALSE, FALSE, sizeof (TernPicture));
  self->places = g_array_new (FALSE, FALSE, sizeof (TernPlace));
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->results);
  g_queue_init (&self->pending);
  tern_answered_init (&self->answered);
  self->action = params->action ? tern_action_model_ref (params->action) : NULL;
  return self;
}

/* What frames wait in, and tokens. */
static void
init_queues (TernSession *self)
{
  const TernLlmInfo *info = tern_llm_info (self->text->llm);
  TernWorkLimits limits = { .bytes = WAITING_MOST, .unref = tern_session_config_unref };

  /* A live session holds the window at which the engine is and the newest one beside the one that comes in. */
  limits.n_slots = ((self->live ? 3 : 1) * self->max_frames + self->group_frames) * (self->pairs ? 2 : 1);
  limits.always = 2 * self->group_frames * (self->pairs ? 2 : 1);
  if (self->looks_back) {       /* the frame that came last, and what may be left of windows before those */
    limits.n_slots += self->live ? 4 : 2;
    limits.always += 2;
  }
  tern_work_queue_init (&self->queue, &limits);
  tern_frame_store_init (&self->store, info->visual_dim, info->deepstack, self->group_frames,
      2 * self->max_frames + 2);        /* of the window that is answered, and of the next one */
}

static gboolean
open_session (TernSession *self, const TernSessionParams *params, GError **error)
{
  Preparing preparing = { self, error, FALSE };
  TernCompressorParams compress;
  TernWindowPlan plan;

  self->config = tern_session_config_new (params, self->text, error);
  if (!self->config || !tern_session_plan_windows (self, params, &plan, error) || !tern_session_open_action (self, error)
      || !tern_session_open_draft (self, params, error) || !tern_session_open_budget (self, params, error)
      || !tern_session_open_gate (self, &params->gate, error))
    return FALSE;
  tern_windower_init (&self->windower, &plan);
  tern_session_open_stream (self, params);
  compress = tern_session_compression (self, self->config);
  if (!tern_compressor_budgets_check (&compress, error))
    return FALSE;
  self->planned_visual = plan_visual (self, self->config);
  init_queues (self);
  if (tern_session_plan (self, error))
    tern_scheduler_call (self->model->scheduler, prepare, &preparing);
  return preparing.ok;
}

TernSession *
tern_session_new (TernModel *model, const TernSessionParams *params, GError **error)
{
  TernSession *self;

  g_return_val_if_fail (model != NULL && params != NULL, NULL);
  if (!tern_model_text (model)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected a model opened with TERN_MODEL_TEXT for a session, found one without", tern_model_path (model));
    return NULL;
  }
  self = new_empty (model, params);
  if (!open_session (self, params, error)) {
    tern_session_destroy (&self->client);
    return NULL;
  }
  tern_scheduler_add (model->scheduler, &self->client);
  return self;
}

void
tern_session_destroy (TernClient *client)
{
  TernSession *self = (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));
  TernResult *result;

  if (self->frame.has)          /* freed while the engine had something in hand */
    tern_work_queue_release (&self->queue, &self->frame.work);
  if (self->standing.hand.has)
    tern_work_queue_release (&self->queue, &self->standing.hand.work);
  if (self->request.hand.has)
    tern_session_config_unref (self->request.hand.work.config);
  tern_pending_free (self->asked_now);
  tern_session_hide_previews (self);
  tern_session_drop_previews (self, G_MAXUINT64);
  g_queue_clear_full (&self->pending, (GDestroyNotify) tern_pending_free);
  tern_work_queue_clear (&self->queue);
  while ((result = g_queue_pop_head (&self->results)))
    tern_result_unref (result);
  tern_session_clear_engine_side (self);
  tern_windower_clear (&self->windower);
  tern_session_close_action (self);
  tern_session_close_draft (self);
  tern_session_close_gate (self);
  tern_budget_unref (self->budget);
  tern_answered_clear (&self->answered);
  tern_state_history_clear (&self->states);
  g_clear_pointer (&self->action, tern_action_model_unref);
  g_free (self->source);
  g_clear_pointer (&self->config, tern_session_config_unref);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  tern_model_unref (self->model);
  g_free (self);
}

/* Ends all work. Under the lock. */
static void
stop_work (TernSession *self, gboolean discard)
{
  self->epoch++;
  tern_session_drop_half (self);
  tern_work_queue_drop_all (&self->queue);
  tern_session_drop_previews (self, G_MAXUINT64);
  tern_windower_reset (&self->windower);
  tern_frame_sampler_init (&self->sampler, self->sampler.rate_n, self->sampler.rate_d);
  tern_session_forget_seen (self);
  self->states.may_restart = TRUE;
  self->discard |= discard;
  tern_cancel_raise (&self->cancel);
  if (discard)
    tern_cancel_raise (&self->stream_cancel);
  g_cond_broadcast (&self->changed);
}

void
tern_session_free (TernSession *self)
{
  if (!self)
    return;
  g_mutex_lock (&self->lock);
  self->gone = TRUE;
  stop_work (self, TRUE);
  while (self->waiting > 0)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
  if (tern_scheduler_remove (self->model->scheduler, &self->client))
    tern_session_destroy (&self->client);
}

void
tern_session_flush (TernSession *self)
{
  TernResult *result;

  g_return_if_fail (self != NULL);
  g_mutex_lock (&self->lock);
  self->flushes++;
  stop_work (self, TRUE);
  tern_state_history_forget (&self->states);
  while ((result = g_queue_pop_head (&self->results)))
    tern_result_unref (result);
  g_mutex_unlock (&self->lock);
  tern_scheduler_settle (self->model->scheduler, &self->client);
}

void
tern_session_cancel (TernSession *self)
{
  g_return_if_fail (self != NULL);
  g_mutex_lock (&self->lock);
  stop_work (self, FALSE);
  g_mutex_unlock (&self->lock);
  /* Requests end there, though the engine may have nothing else to do. */
  tern_scheduler_kick (self->model->scheduler, &self->client);
}

/* ---- Changes ---- */

void
tern_session_finish (TernSession *self)
{
  g_return_if_fail (self != NULL);
  g_mutex_lock (&self->lock);
  tern_session_end_stretch (self);
  self->ended = TRUE;
  tern_frame_sampler_init (&self->sampler, self->sampler.rate_n, self->sampler.rate_d);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  tern_scheduler_kick (self->model->scheduler, &self->client);
}

/* @params in force for windows that end from now on. Prompts are tokenised without the lock. @was: what @params were made
 * of, or NULL; when something else is in force by now @again is set instead. */
static gboolean
change_config (TernSession *self, const TernSessionParams *params, const TernSessionConfig *was, gboolean *again,
    GError **error)
{
  TernSessionConfig *config = tern_session_config_new (params, self->text, error);

  if (!config)
    return FALSE;
  if (!tern_session_fits (self, config, error)) {
    tern_session_config_unref (config);
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  *again = was && self->config != was;
  if (!*again) {
    TernSessionConfig *before = self->config;

    self->config = config;
    config = before;
  }
  g_mutex_unlock (&self->lock);
  tern_session_config_unref (config);
  return TRUE;
}

/* Other questions, and everything else as it is, even while another thread changes that. */
static gboolean
change_questions (TernSession *self, const TernQuestion *questions, guint n, GError **error)
{
  gboolean ok, again = FALSE;

  do {
    TernSessionConfig *now;
    TernSessionParams params;

    g_mutex_lock (&self->lock);
    now = tern_session_config_ref (self->config);
    g_mutex_unlock (&self->lock);
    params = now->params;
    params.questions = questions;
    params.n_questions = n;
    ok = change_config (self, &params, now, &again, error);
    tern_session_config_unref (now);
  } while (ok && again);
  return ok;
}

gboolean
tern_session_set_prompt (TernSession *self, const char *prompt, const char *prompt_id, GError **error)
{
  const TernQuestion question = { .prompt = prompt, .prompt_id = prompt_id };

  g_return_val_if_fail (self != NULL, FALSE);
  return change_questions (self, &question, 1, error);
}

gboolean
tern_session_set_questions (TernSession *self, const TernQuestion *questions, guint n, GError **error)
{
  g_return_val_if_fail (self != NULL, FALSE);
  if (n < 1) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "questions: expected 1 to %u, found 0", TERN_QUESTIONS_MAX);
    return FALSE;
  }
  return change_questions (self, questions, n, error);
}

gboolean
tern_session_set_params (TernSession *self, const TernSessionParams *params, GError **error)
{
  TernSessionParams changed;
  gboolean again;

  g_return_val_if_fail (self != NULL && params != NULL, FALSE);
  changed = *params;
  changed.action = self->action;
  return change_config (self, &changed, NULL, &again, error);
}

/* ---- Results ---- */

static gboolean
is_idle (const TernSession *self)
{
  return self->gone || (self->queue.n == 0 && self->in_hand == 0 && self->pending.length == 0);
}

TernResult *
tern_session_poll (TernSession *self)
{
  TernResult *result;

  g_return_val_if_fail (self != NULL, NULL);
  g_mutex_lock (&self->lock);
  result = g_queue_pop_head (&self->results);
  g_mutex_unlock (&self->lock);
  return result;
}

/* FALSE when @deadline (-1: none) passed. Under the lock. */
static gboolean
wait_for_change (TernSession *self, gint64 deadline)
{
  gboolean in_time = TRUE;

  self->waiting++;
  if (deadline >= 0)
    in_time = g_cond_wait_until (&self->changed, &self->lock, deadline);
  else
    g_cond_wait (&self->changed, &self->lock);
  self->waiting--;
  if (self->gone)
    g_cond_broadcast (&self->changed);
  return in_time;
}

TernNext
tern_session_next (TernSession *self, gint64 timeout_us, TernResult **result)
{
  gint64 deadline = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean in_time = TRUE, is_over;
  guint64 flushes;
  TernNext next;

  g_return_val_if_fail (self != NULL && result != NULL, TERN_NEXT_END);
  g_mutex_lock (&self->lock);
  flushes = self->flushes;
  while (!(is_over = is_idle (self) || self->flushes != flushes) && g_queue_is_empty (&self->results) && in_time)
    in_time = wait_for_change (self, deadline);
  *result = g_queue_pop_head (&self->results);
  next = *result ? TERN_NEXT_RESULT : is_over ? TERN_NEXT_END : TERN_NEXT_PENDING;
  g_mutex_unlock (&self->lock);
  return next;
}

gboolean
tern_session_wait (TernSession *self, gint64 timeout_us)
{
  gint64 deadline = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean in_time = TRUE;
  guint64 flushes;

  g_return_val_if_fail (self != NULL, FALSE);
  g_mutex_lock (&self->lock);
  flushes = self->flushes;
  while (!is_idle (self) && self->flushes == flushes && !tern_work_queue_has_room (&self->queue, self->refused_bytes)
      && in_time)
    in_time = wait_for_change (self, deadline);
  g_mutex_unlock (&self->lock);
  return in_time;
}

void
tern_session_stats (TernSession *self, TernSessionStats *stats)
{
  g_return_if_fail (self != NULL && stats != NULL);
  g_mutex_lock (&self->lock);
  *stats = self->stats;
  stats->windows_dropped = self->queue.dropped;
  stats->queued_windows = self->in_window + tern_work_queue_answers (&self->queue);
  g_mutex_unlock (&self->lock);
}
