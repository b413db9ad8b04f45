/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions of the fake libtern: frames come in, are sampled and put into windows by the library's own session-push.c, wait
 * in its own queue, and are dropped by its own rules. A thread of each session answers in the engine's place. */
#include <string.h>

#include "fake-tern.h"
#include "tern/session-priv.h"

#define MOST_TOKENS 10000       /* of a prompt, and to say */
#define WAITING_MOST ((gsize) 16 << 20)

/* What the engine keeps of a frame. */
typedef struct {
  guint64 number;
  guint in, kept;               /* tokens */
} Looked;

typedef struct {
  TernSession base;             /* of which session-push.c uses what is under the lock */
  GThread *thread;
  gboolean stop, busy;
  gboolean cancel;              /* atomic; of the answer under way */
  guint64 looked_epoch;         /* what `looked` holds is of this one */
  GArray *looked;               /* the engine's: of Looked */
} FakeSession;

static TernModelText fake_text = { .name = (char *) "fake", .default_prompt = (char *) "default" };

static FakeSession *
fake (TernSession *session)
{
  return (FakeSession *) session;
}

void
tern_scheduler_kick (TernScheduler *scheduler, TernClient *client)
{
  TernSession *self = (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));

  g_mutex_lock (&self->lock);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* ---- The engine ---- */

static void
look (FakeSession *self, const TernWork *work)
{
  Looked looked = { work->frame, work->slot->full, work->slot->n_tokens };

  g_array_append_val (self->looked, looked);
}

static void
forget_before (FakeSession *self, guint64 frame)
{
  guint n = 0;

  while (n < self->looked->len && g_array_index (self->looked, Looked, n).number < frame)
    n++;
  g_array_remove_range (self->looked, 0, n);
}

static TernResult *
answer (FakeSession *self, const TernWork *work, gboolean whole)
{
  const TernSessionConfig *config = work->config;
  const TernWindow *window = &work->window;
  TernResult values = { .version = 1, .kind = "caption", .source = self->base.source, .model = fake_text.name,
    .prompt = config->questions[0].prompt, .prompt_id = config->questions[0].prompt_id, .confidence = -1,
    .finish_reason = whole ? "stop" : "cancelled", .timestamp = window->start_time, .metrics = { .total_ms = 1 } };
  g_autofree char *text = NULL;

  for (guint i = 0; i < self->looked->len; i++) {
    const Looked *looked = &g_array_index (self->looked, Looked, i);

    if (looked->number < window->first || looked->number >= window->end)
      continue;
    values.frames++;
    values.visual_in += looked->in;
    values.visual_kept += looked->kept;
  }
  values.result = text = g_strdup_printf ("%u frames, %s", values.frames, values.prompt);
  values.timestamp_seconds = values.start = (double) window->start_time / TERN_SECOND;
  values.has_metrics = config->params.metrics;
  return tern_result_new (&values);
}

/* Called and left with the lock held. */
static void
deliver (FakeSession *self, TernResult *result, guint64 end)
{
  TernSession *base = &self->base;

  result->id = base->next_id++;
  result->duration = end - result->timestamp;
  result->end = (double) end / TERN_SECOND;
  base->stats.windows_done++;
  g_mutex_unlock (&base->lock);
  base->func (base->func_data, result);
  tern_result_unref (result);
  g_mutex_lock (&base->lock);
}

/* Called and left with the lock held. */
static void
answer_window (FakeSession *self, const TernWork *work)
{
  TernSession *base = &self->base;
  TernResult *result;
  gboolean whole;

  g_atomic_int_set (&self->cancel, FALSE);
  base->in_window = TRUE;
  base->discard = FALSE;
  g_cond_broadcast (&base->changed);
  g_mutex_unlock (&base->lock);
  whole = tern_fake_generate (&self->cancel);
  result = answer (self, work, whole);
  forget_before (self, work->window.next);
  g_mutex_lock (&base->lock);
  if (base->discard)
    tern_result_unref (result);
  else
    deliver (self, result, tern_session_end_of (base, &work->window));
  base->in_window = FALSE;
}

static void *
engine (void *data)
{
  FakeSession *self = data;
  TernSession *base = &self->base;
  TernWork work;

  g_mutex_lock (&base->lock);
  while (!self->stop) {
    if (!tern_work_queue_take (&base->queue, &work)) {
      g_cond_wait (&base->changed, &base->lock);
      continue;
    }
    self->busy = TRUE;
    if (self->looked_epoch != base->epoch) {
      self->looked_epoch = base->epoch;
      g_array_set_size (self->looked, 0);
    }
    if (work.kind == TERN_WORK_WINDOW)
      answer_window (self, &work);
    else
      look (self, &work);
    tern_work_queue_release (&base->queue, &work);
    self->busy = FALSE;
    g_cond_broadcast (&base->changed);
  }
  g_mutex_unlock (&base->lock);
  return NULL;
}

/* ---- Life ---- */

/* What a model of little context would refuse. */
static gboolean
fits (const TernSessionConfig *config, GError **error)
{
  if (config->params.sampling.max_tokens <= MOST_TOKENS && strlen (config->questions[0].prompt) <= MOST_TOKENS)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context of fake: expected at most %u tokens", MOST_TOKENS);
  return FALSE;
}

static void
destroy (FakeSession *self)
{
  TernSession *base = &self->base;

  tern_work_queue_clear (&base->queue);
  tern_windower_clear (&base->windower);
  g_clear_pointer (&base->config, tern_session_config_unref);
  g_array_unref (self->looked);
  g_free (base->source);
  g_mutex_clear (&base->lock);
  g_cond_clear (&base->changed);
  tern_model_unref (base->model);
  g_free (self);
}

TernSession *
tern_session_new (TernModel *model, const TernSessionParams *params, GError **error)
{
  FakeSession *self = g_new0 (FakeSession, 1);
  TernSession *base = &self->base;
  TernWorkLimits limits = { .bytes = WAITING_MOST, .unref = tern_session_config_unref };
  TernWindowPlan plan;

  base->model = tern_model_ref (model);
  base->text = &fake_text;
  base->store.dim = tern_model_embedding_dim (model);
  base->func = params->func;
  base->func_data = params->func_data;
  base->source = g_strdup (params->source ? params->source : "");
  base->live = params->live;
  base->over_stretch = G_MAXUINT64;
  tern_session_forget_seen (base);
  g_mutex_init (&base->lock);
  g_cond_init (&base->changed);
  self->looked = g_array_new (FALSE, FALSE, sizeof (Looked));

  base->config = tern_session_config_new (params, fake_text.default_prompt, error);
  if (!base->config || !fits (base->config, error) || !tern_session_plan_windows (base, params, &plan, error)) {
    destroy (self);
    return NULL;
  }
  tern_windower_init (&base->windower, &plan);
  limits.n_slots = (base->live ? 3 : 1) * base->max_frames + base->group_frames;
  limits.always = 2 * base->group_frames;
  tern_work_queue_init (&base->queue, &limits);
  self->thread = g_thread_new ("fake-engine", engine, self);
  return base;
}

/* Ends all work. Under the lock. */
static void
stop_work (TernSession *self, gboolean discard)
{
  self->epoch++;
  tern_work_queue_drop_all (&self->queue);
  tern_windower_reset (&self->windower);
  tern_frame_sampler_init (&self->sampler, self->sampler.rate_n, self->sampler.rate_d);
  tern_session_forget_seen (self);
  self->discard |= discard;
  if (self->in_window)
    tern_fake_cancel (&fake (self)->cancel);
  g_cond_broadcast (&self->changed);
}

void
tern_session_free (TernSession *self)
{
  if (!self)
    return;
  g_mutex_lock (&self->lock);
  fake (self)->stop = TRUE;
  stop_work (self, TRUE);
  g_mutex_unlock (&self->lock);
  g_thread_join (fake (self)->thread);
  destroy (fake (self));
}

void
tern_session_flush (TernSession *self)
{
  g_mutex_lock (&self->lock);
  stop_work (self, TRUE);
  while (fake (self)->busy && g_thread_self () != fake (self)->thread)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
}

void
tern_session_cancel (TernSession *self)
{
  g_mutex_lock (&self->lock);
  stop_work (self, FALSE);
  g_mutex_unlock (&self->lock);
}

void
tern_session_finish (TernSession *self)
{
  g_mutex_lock (&self->lock);
  tern_session_end_stretch (self);
  tern_frame_sampler_init (&self->sampler, self->sampler.rate_n, self->sampler.rate_d);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/* ---- Changes ---- */

gboolean
tern_session_set_params (TernSession *self, const TernSessionParams *params, GError **error)
{
  TernSessionConfig *config = tern_session_config_new (params, fake_text.default_prompt, error), *before;
  gboolean ok = config && fits (config, error);

  if (ok) {
    g_mutex_lock (&self->lock);
    before = self->config;
    self->config = config;
    config = before;
    g_mutex_unlock (&self->lock);
  }
  if (config)
    tern_session_config_unref (config);
  return ok;
}

gboolean
tern_session_set_prompt (TernSession *self, const char *prompt, const char *prompt_id, GError **error)
{
  const TernQuestion question = { .prompt = prompt, .prompt_id = prompt_id };
  TernSessionConfig *now;
  TernSessionParams params;
  gboolean ok;

  g_mutex_lock (&self->lock);
  now = tern_session_config_ref (self->config);
  g_mutex_unlock (&self->lock);
  params = now->params;
  params.questions = &question;
  params.n_questions = 1;
  ok = tern_session_set_params (self, &params, error);
  tern_session_config_unref (now);
  return ok;
}

/* ---- Waiting ---- */

static gboolean
is_idle (TernSession *self)
{
  return self->queue.n == 0 && !fake (self)->busy;
}

/* FALSE when @end passed; -1: never. Under the lock. */
static gboolean
wait_for_change (TernSession *self, gint64 end)
{
  if (end >= 0)
    return g_cond_wait_until (&self->changed, &self->lock, end);
  g_cond_wait (&self->changed, &self->lock);
  return TRUE;
}

TernNext
tern_session_next (TernSession *self, gint64 timeout_us, TernResult **result)
{
  gint64 end = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean idle;

  *result = NULL;
  g_mutex_lock (&self->lock);
  while (!(idle = is_idle (self)) && wait_for_change (self, end));
  g_mutex_unlock (&self->lock);
  return idle ? TERN_NEXT_END : TERN_NEXT_PENDING;
}

gboolean
tern_session_wait (TernSession *self, gint64 timeout_us)
{
  gint64 end = timeout_us < 0 ? -1 : g_get_monotonic_time () + timeout_us;
  gboolean in_time = TRUE;

  g_mutex_lock (&self->lock);
  while (!is_idle (self) && !tern_work_queue_has_room (&self->queue, self->refused_bytes) && in_time)
    in_time = wait_for_change (self, end);
  g_mutex_unlock (&self->lock);
  return in_time;
}

void
tern_session_stats (TernSession *self, TernSessionStats *stats)
{
  g_mutex_lock (&self->lock);
  *stats = self->stats;
  stats->windows_dropped = self->queue.dropped;
  stats->queued_windows = self->in_window + tern_work_queue_answers (&self->queue);
  g_mutex_unlock (&self->lock);
}
