/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sessions of the fake libtern have in the model's place: a scheduler that takes one client after the other, prompts of
 * a token a byte, and answers that say how many frames they are about. All else of a session is the library's. */
#include <string.h>

#include "engine/llm/model.h"
#include "fake-priv.h"

#define MOST_TOKENS 10000       /* of a window, its prompt and its answer */

/* By name, as a file's are. */
static const char *const yes_no[] = { "yes", "no", NULL };
static TernTask tasks[] = {
  { .name = "danger", .prompt = "Is there danger?", .labels = yes_no },
  { .name = "scene", .prompt = "Describe the scene.", .json_schema = "{\"type\":\"string\"}" },
};

static TernLlm fake_llm = { .info = { .width = FAKE_DIM, .visual_dim = FAKE_DIM, .context = MOST_TOKENS } };
static TernModelText fake_text = { .llm = &fake_llm, .name = (char *) "fake", .default_prompt = (char *) "default",
  .label_temperature = 1, .tasks = { tasks, G_N_ELEMENTS (tasks) } };

TernModelText *
fake_model_text (void)
{
  return &fake_text;
}

/* ---- The scheduler ---- */

struct _TernScheduler {
  GMutex lock;
  GCond changed;
  GThread *thread;
  GQueue clients;               /* of TernClient */
  TernClient *busy;             /* whose turn it is */
  gboolean quit;
};

/* Under the lock. */
static TernClient *
next_client (TernScheduler *self)
{
  for (GList *link = self->clients.head; link; link = link->next)
    if (((TernClient *) link->data)->ready)
      return link->data;
  return NULL;
}

static void *
run (void *data)
{
  TernScheduler *self = data;

  g_mutex_lock (&self->lock);
  while (!self->quit) {
    if (!(self->busy = next_client (self))) {
      g_cond_wait (&self->changed, &self->lock);
      continue;
    }
    self->busy->ready = FALSE;
    g_mutex_unlock (&self->lock);
    self->busy->klass->demand (self->busy);
    g_mutex_lock (&self->lock);
    self->busy = NULL;
    g_cond_broadcast (&self->changed);
  }
  g_mutex_unlock (&self->lock);
  return NULL;
}

TernScheduler *
tern_scheduler_new (guint threads, gboolean yielding, GError **error)
{
  TernScheduler *self = g_new0 (TernScheduler, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->clients);
  self->thread = g_thread_new ("fake-engine", run, self);
  return self;
}

void
tern_scheduler_free (TernScheduler *self)
{
  g_mutex_lock (&self->lock);
  self->quit = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

void
tern_scheduler_add (TernScheduler *self, TernClient *client)
{
  g_mutex_lock (&self->lock);
  client->link.data = client;
  g_queue_push_tail_link (&self->clients, &client->link);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_kick (TernScheduler *self, TernClient *client)
{
  g_mutex_lock (&self->lock);
  client->ready = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

void
tern_scheduler_settle (TernScheduler *self, TernClient *client)
{
  g_mutex_lock (&self->lock);
  while (self->busy == client && g_thread_self () != self->thread)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
}

/* No test frees a session from within its callback. */
gboolean
tern_scheduler_remove (TernScheduler *self, TernClient *client)
{
  g_assert (g_thread_self () != self->thread);
  g_mutex_lock (&self->lock);
  g_queue_unlink (&self->clients, &client->link);
  g_mutex_unlock (&self->lock);
  tern_scheduler_settle (self, client);
  return TRUE;
}

void
tern_scheduler_call (TernScheduler *self, TernSchedulerFunc func, void *data)
{
  func (data);
}

/* ---- Prompts ---- */

gboolean
tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, char **filled, GError **error)
{
  g_array_set_size (ids, strlen (config->questions[question].prompt));
  return TRUE;
}

void
tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual)
{
  *visual = (TernPromptVisual) { .video = TRUE };
}

guint
tern_session_context_limit (const TernModel *model)
{
  return MOST_TOKENS;
}

/* ---- Action models ---- */

gboolean
tern_session_open_action (TernSession *self, GError **error)
{
  return !self->action
      || tern_state_history_init (&self->states, tern_action_model_space (self->action)->state_dims, error);
}

gboolean
tern_session_open_draft (TernSession *self, const TernSessionParams *params, GError **error)
{
  if (!params->draft_model || g_file_test (params->draft_model, G_FILE_TEST_EXISTS))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "draft model: %s: no such file", params->draft_model);
  return FALSE;
}

void
tern_session_close_draft (TernSession *self)
{
}

void
tern_session_close_action (TernSession *self)
{
}

/* ---- The gate ---- */

/* Sessions of the elements are given tokens. */
gboolean
tern_session_open_gate (TernSession *self, const TernGateParams *params, GError **error)
{
  return TRUE;
}

void
tern_session_close_gate (TernSession *self)
{
}

gboolean
tern_session_open_budget (TernSession *self, const TernSessionParams *params, GError **error)
{
  self->budget = params->budget ? tern_budget_ref (params->budget) : NULL;
  return TRUE;
}

/* ---- What is remembered of a stream: all of it, as far as it was looked at ---- */

struct _TernSessionStream {
  guint nothing;
};

gboolean
tern_session_stream_check (const TernSessionParams *params, GError **error)
{
  if (params->memory == TERN_MEMORY_WINDOW || params->kv_prune == 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_prune: expected 0 with the memory of a stream, found %g",
      params->kv_prune);
  return FALSE;
}

void
tern_session_open_stream (TernSession *self, const TernSessionParams *params)
{
  self->stream = params->memory == TERN_MEMORY_STREAM ? g_new0 (TernSessionStream, 1) : NULL;
}

gboolean
tern_session_stream_fits (const TernSession *self, const TernSessionConfig *config, GError **error)
{
  return TRUE;
}

/* ---- Memory ---- */

/* What is kept of a frame; in place of the session's planned prompt. */
typedef struct {
  guint64 number, pts;
  guint in, kept;               /* tokens */
  float first;                  /* number of the first one */
  guint64 picture;
  double novelty;               /* how much of it is new */
  guint64 after;                /* from its time to that of its last frame */
} Looked;

gboolean
tern_session_plan (TernSession *self, GError **error)
{
  return TRUE;
}

gboolean
tern_session_prepare (TernSession *self, GError **error)
{
  g_array_unref (self->planned);
  self->planned = g_array_new (FALSE, FALSE, sizeof (Looked));
  return TRUE;
}

void
tern_session_clear_engine_side (TernSession *self)
{
  tern_frame_store_clear (&self->store);
  g_free (self->stream);
  g_array_unref (self->planned);
  g_array_unref (self->spans);
  g_array_unref (self->runs);
  g_array_unref (self->pictures);
}

/* ---- Work ---- */

static void
look (TernSession *self, const TernWork *work)
{
  Looked looked = { work->frame, work->pts, work->slot->full, work->slot->n_tokens, .picture = work->slot->picture,
    .novelty = work->slot->novelty, .after = work->slot->after };

  if (work->slot->n_tokens > 0)
    memcpy (&looked.first, work->slot->data, sizeof looked.first);

  g_array_append_val (self->planned, looked);
}

/* The newest one stays: something may be asked about it. */
static void
forget_before (TernSession *self, guint64 frame)
{
  guint n = 0;

  while (n + 1 < self->planned->len && g_array_index (self->planned, Looked, n).number < frame)
    n++;
  g_array_remove_range (self->planned, 0, n);
}

/* What an action model says at @time; @error: what it lacks. Free it with g_free(). */
static double *
act (TernSession *self, const TernSessionConfig *config, guint64 time, TernResult *values, GError **error)
{
  const TernActionSpace *space = tern_action_model_space (self->action);
  g_autofree float *state = g_new (float, space->state_dims + 1);
  gboolean found;

  g_mutex_lock (&self->lock);
  found = tern_state_history_find (&self->states, time, config->params.state_max_age, NULL, 0, state, error);
  g_mutex_unlock (&self->lock);
  if (!found)
    return NULL;
  values->kind = "action";
  values->result = "";
  values->timestamp = time;
  values->n_actions = space->steps * space->dims;
  values->action_steps = space->steps;
  values->action_rate = (double) space->rate_n / space->rate_d;
  values->action_space = space->name;
  values->action_names = space->names;
  return fake_action (self->action, space->state_dims > 0 ? state : NULL);
}

/* What labels, or a schema, have for an answer. */
static char *
close_form (const TernAnswerForm *form, const TernQuestion *question, double share, TernResult *values, double *scores)
{
  guint best;

  values->kind = "answer";
  if (!form->labels)
    return g_strdup_printf (question->json_schema ? "{\"frames\": %u}" : "%u", values->frames);
  best = fake_label_scores (form->labels, share, scores);
  values->labels = question->labels;
  values->scores = scores;
  values->n_labels = tern_labels_n (form->labels);
  values->confidence = scores[best];
  values->abstained = scores[best] < question->min_confidence;
  return g_strdup (tern_labels_text (form->labels, best));
}

/* Question @q of @config. @ask_id: 0 for a window. */
static TernResult *
answer (TernSession *self, const TernSessionConfig *config, guint q, const TernWindow *window, guint64 ask_id)
{
  const TernQuestion *question = &config->questions[q];
  const TernAnswerForm *form = &config->forms[q];
  TernResult values = { .kind = "caption", .running_time = TERN_TIME_NONE, .utc = TERN_TIME_NONE,
    .source = self->source, .model = self->text->name, .prompt = question->prompt, .prompt_id = question->prompt_id,
    .confidence = -1, .timestamp = window->start_time, .ask_id = ask_id, .metrics = { .total_ms = 1 } };
  double scores[TERN_LABELS_MAX], share = 0;
  g_autoptr (GError) error = NULL;
  g_autofree double *actions = NULL;
  g_autofree char *text = NULL;
  guint64 newest = window->start_time;
  gboolean whole = fake_generate (&self->cancel);

  values.finish_reason = whole ? "stop" : "cancelled";
  for (guint i = 0; i < self->planned->len; i++) {
    const Looked *looked = &g_array_index (self->planned, Looked, i);

    if (looked->number < window->first || looked->number >= window->end)
      continue;
    values.frames++;
    values.visual_in += looked->in;
    values.visual_kept += looked->kept;
    newest = looked->pts + looked->after;
    share = looked->first / 255;
  }
  values.start = (double) window->start_time / TERN_SECOND;
  values.end = (double) window->end_time / TERN_SECOND;
  if (question->action && whole)
    values.actions = actions = act (self, config, newest, &values, &error);
  else if (form->labels || form->constraint)
    values.result = text = whole ? close_form (form, question, share, &values, scores) : g_strdup ("");
  else
    values.result = text = g_strdup_printf ("%u frames, %s", values.frames, question->prompt);
  if (error) {
    values.kind = values.finish_reason = "error";
    values.result = error->message;
  }
  values.timestamp_seconds = (double) values.timestamp / TERN_SECOND;
  values.has_metrics = config->params.metrics;
  return tern_result_new (&values);
}

/* Called and left with the lock held. @last: of a window's questions. */
static void
deliver (TernSession *self, TernResult *result, guint64 end, gboolean last)
{
  gboolean request = result->ask_id > 0;

  if (self->discard && !request) {
    tern_result_unref (result);
    return;
  }
  result->id = self->next_id++;
  result->duration = end - MIN (result->timestamp, end);
  result->end = (double) end / TERN_SECOND;
  self->stats.windows_done += !request && last;
  g_mutex_unlock (&self->lock);
  self->func (self->func_data, result);
  tern_result_unref (result);
  g_mutex_lock (&self->lock);
}

static TernResult *
failed (TernSession *self, const TernPending *pending, const TernWindow *moment, const char *reason)
{
  const TernQuestion *question = &pending->config->questions[0];
  gboolean forgotten = g_str_equal (reason, "forgotten");
  TernResult values = { .kind = forgotten ? "caption" : "error", .running_time = TERN_TIME_NONE, .utc = TERN_TIME_NONE,
      .source = self->source,
    .model = self->text->name, .prompt = question->prompt, .prompt_id = question->prompt_id, .confidence = -1,
    .timestamp = moment->start_time, .ask_id = pending->id, .finish_reason = reason, .result = forgotten ? "" : "no answer" };

  return tern_result_new (&values);
}

/* Those of before a flush or cancel. Called and left with the lock held. */
static void
end_requests (TernSession *self)
{
  TernPending *pending;

  while ((pending = g_queue_peek_head (&self->pending)) && pending->epoch != self->epoch) {
    TernWindow moment = { 0 };

    g_queue_pop_head (&self->pending);

    deliver (self, failed (self, pending, &moment, "cancelled"), 0, FALSE);
    tern_pending_free (pending);
  }
}

/* Frames that come again with their group, behind those that were looked at. Called with the lock held. */
static void
look_at_previews (TernSession *self)
{
  tern_session_show_previews (self);
  for (guint i = 0; i < self->shown.n; i++) {
    const TernPreview *preview = self->shown.frames[i];
    Looked looked = { self->shown_first + i, preview->pts, preview->full, preview->n_tokens };

    if (preview->n_tokens > 0)
      looked.first = preview->rows[0];
    g_array_append_val (self->planned, looked);
  }
}

/* How many of the newest frames that were looked at a request is about; @frames: as it says, or 0: of the window. */
static guint
frames_of_request (TernSession *self, guint frames)
{
  guint n = self->planned->len;

  if (frames == 0 && self->shown.n > 0)
    for (frames = n; frames > 1 && g_array_index (self->planned, Looked, n - frames).number < self->shown_window; frames--);
  return frames > 0 ? MIN (n, frames) : n;
}

/* Those that were so then; FALSE: there are none. */
static gboolean
find_time (TernSession *self, const TernPending *pending, TernWindow *moment)
{
  gboolean any = FALSE;

  *moment = (TernWindow) { .start_time = pending->from, .end_time = pending->to };
  for (guint i = 0; i < self->planned->len; i++) {
    const Looked *looked = &g_array_index (self->planned, Looked, i);

    if (looked->pts + self->windower.tick <= pending->from || looked->pts >= pending->to)
      continue;
    if (!any)
      moment->first = looked->number;
    moment->end = looked->number + 1;
    any = TRUE;
  }
  return any;
}

/* Called and left with the lock held; FALSE: nothing is asked that can be answered. */
static gboolean
answer_request (TernSession *self)
{
  TernPending *pending = tern_session_next_pending (self, self->planned->len > 0, G_MAXUINT64);
  TernWindow moment = { .end = G_MAXUINT64 };
  TernResult *result;
  guint looked_at = self->planned->len, n;
  gboolean forgotten = FALSE;

  if (!pending)
    return FALSE;
  if (tern_session_has_previews (self, pending->config, G_MAXUINT64))
    look_at_previews (self);
  n = self->planned->len;
  if (n > 0) {
    const Looked *looked = &g_array_index (self->planned, Looked, n - frames_of_request (self, pending->frames));

    moment.first = looked->number;
    moment.start_time = looked->pts;
    moment.end_time = g_array_index (self->planned, Looked, n - 1).pts + self->windower.tick;
  }
  if (pending->to > 0)
    forgotten = !find_time (self, pending, &moment);
  self->in_hand = 1;
  g_mutex_unlock (&self->lock);
  result = forgotten ? failed (self, pending, &moment, "forgotten")
      : pending->deadline <= g_get_monotonic_time () ? failed (self, pending, &moment, "error")
      : answer (self, pending->config, 0, &moment, pending->id);
  g_array_set_size (self->planned, looked_at);
  tern_session_hide_previews (self);
  g_mutex_lock (&self->lock);
  deliver (self, result, moment.end_time, TRUE);
  tern_pending_free (pending);
  self->in_hand = 0;
  g_cond_broadcast (&self->changed);
  return TRUE;
}

/* The text of an answer, told word by word before it is there. */
static void
tell_words (TernSession *self, const TernWork *work, const TernResult *whole)
{
  TernResult part = *whole;

  part.kind = "partial";
  part.finish_reason = "";
  for (const char *end = strchr (whole->result, ' '); end; end = strchr (end + 1, ' ')) {
    g_autofree char *text = g_strndup (whole->result, end - whole->result);

    part.result = text;
    g_mutex_lock (&self->lock);
    deliver (self, tern_result_new (&part), tern_session_end_of (self, &work->window), FALSE);
    g_mutex_unlock (&self->lock);
  }
}

/* The one picture that all frames of @window show; 0: there are several. */
static guint64
picture_of (const TernSession *self, const TernWindow *window)
{
  guint64 picture = 0;

  for (guint i = 0; i < self->planned->len; i++) {
    const Looked *looked = &g_array_index (self->planned, Looked, i);

    if (looked->number < window->first || looked->number >= window->end)
      continue;
    if (looked->picture == 0 || (picture != 0 && looked->picture != picture))
      return 0;
    picture = looked->picture;
  }
  return picture;
}

/* The most that is new in a frame of @window; below 0: nobody says. */
static double
novelty_of (const TernSession *self, const TernWindow *window)
{
  double novelty = -1;

  for (guint i = 0; i < self->planned->len; i++) {
    const Looked *looked = &g_array_index (self->planned, Looked, i);

    if (looked->number >= window->first && looked->number < window->end && looked->picture > 0)
      novelty = MAX (novelty, looked->novelty);
  }
  return novelty;
}

/* What the answer to the window before was. */
static TernResult *
repeat (TernSession *self, guint q, const TernWindow *window, const char *reason)
{
  const TernResult *before = g_ptr_array_index (self->answered.results, q);
  TernResult values = *before;

  values.timestamp = window->start_time;
  values.timestamp_seconds = values.start = (double) window->start_time / TERN_SECOND;
  values.frames = (guint) (window->end - window->first);
  return tern_answered_repeat (&self->answered, q, &values, reason);
}

/* As a session does it, an answer costing as much as a frame (TERN_FAKE_COST_MS). */
static gboolean
puts_off (TernSession *self, const TernWork *work)
{
  TernWindowNews news = { .novelty = novelty_of (self, &work->window), .fresh = TRUE, .end = work->window.end_time };

  return self->budget && tern_answered_has (&self->answered, work->config) && !tern_budget_wants_answer (self->budget, &news);
}

static void
charge_answer (TernSession *self)
{
  const char *ms = g_getenv ("TERN_FAKE_COST_MS");

  if (self->budget && ms)
    tern_budget_charge (self->budget, TERN_COST_SAY, 1, g_ascii_strtoull (ms, NULL, 10) * 1000000);
}

static void
answer_window (TernSession *self, const TernWork *work)
{
  const TernSessionConfig *config = work->config;
  guint64 picture = picture_of (self, &work->window);
  gboolean repeats = tern_answered_is (&self->answered, picture, config);
  gboolean deferred = repeats ? novelty_of (self, &work->window) > 0 : puts_off (self, work), unchanged = repeats && !deferred;

  repeats |= deferred;
  if (!repeats) {
    tern_answered_begin (&self->answered, picture, work->config);
    charge_answer (self);
  }
  for (guint q = 0; q < config->n_questions; q++) {
    TernResult *result = repeats ? repeat (self, q, &work->window, unchanged ? "unchanged" : "budget")
        : answer (self, config, q, &work->window, 0);

    if (!repeats)
      tern_answered_add (&self->answered, result);
    if (!repeats && config->params.partial == TERN_PARTIAL_WORDS && strcmp (result->kind, "caption") == 0)
      tell_words (self, work, result);
    g_mutex_lock (&self->lock);
    self->stats.windows_unchanged += unchanged && q + 1 == config->n_questions;
    self->stats.windows_deferred += deferred && q + 1 == config->n_questions;
    deliver (self, result, tern_session_end_of (self, &work->window), q + 1 == config->n_questions);
    g_mutex_unlock (&self->lock);
  }
}

/* Called and left with the lock held; FALSE: nothing waits. */
static gboolean
do_next (TernSession *self)
{
  TernWork work;

  if (self->seen_epoch != self->epoch) {
    self->seen_epoch = self->epoch;
    tern_cancel_reset (&self->cancel);
    g_array_set_size (self->planned, 0);
    tern_answered_forget (&self->answered);
    end_requests (self);
  }
  self->discard = FALSE;
  if (answer_request (self))
    return TRUE;
  if (!tern_work_queue_take (&self->queue, &work))
    return FALSE;
  self->in_hand = 1;
  self->in_window = work.kind == TERN_WORK_WINDOW;
  g_mutex_unlock (&self->lock);
  if (work.kind == TERN_WORK_WINDOW) {
    if (!work.config->params.on_demand)
      answer_window (self, &work);
    forget_before (self, work.window.next);
  } else {
    look (self, &work);
  }
  g_mutex_lock (&self->lock);
  tern_work_queue_release (&self->queue, &work);
  self->in_hand = 0;
  self->in_window = FALSE;
  g_cond_broadcast (&self->changed);
  return TRUE;
}

static TernDemand
demand (TernClient *client)
{
  TernSession *self = (TernSession *) ((guint8 *) client - G_STRUCT_OFFSET (TernSession, client));

  g_mutex_lock (&self->lock);
  while (do_next (self));
  g_mutex_unlock (&self->lock);
  return (TernDemand) { 0 };
}

const TernClientClass tern_session_client_class = {
  .demand = demand,
  .destroy = tern_session_destroy,
};
