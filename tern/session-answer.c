/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a window or still is asked about. Its pictures are read once; each question goes on from there on a fork of the
 * timeline, and all of them say their words in the same passes. */
#include "tern/session-priv.h"

#include <string.h>

static double
ms_between (gint64 begin, gint64 end)
{
  return (double) (end - begin) / 1000;
}

/* ---- Pictures ---------------------------------------------------------------------------------------------------- */

void
tern_session_clear_pictures (TernSession *self)
{
  g_array_set_size (self->pictures, 0);
  g_array_set_size (self->runs, 0);
}

static void
add_picture (TernSession *self, const TernPicture *picture, const TernPromptRun *run)
{
  g_array_append_vals (self->pictures, picture, 1);
  g_array_append_vals (self->runs, run, 1);
}

guint
tern_session_add_group (TernSession *self, const TernFrameGroup *group, guint64 start)
{
  const float *tokens = group->tokens;
  const gint32 *keep = group->keep;
  guint kept = 0;

  for (guint f = 0; f < group->n_frames; f++) {
    if (group->n_keep[f] > 0)
      add_picture (self, &(TernPicture) { group->first + f, tokens, keep, group->n_keep[f] },
          &(TernPromptRun) { .time = group->pts[f] > start ? group->pts[f] - start : 0 });
    tokens += (gsize) group->n_tokens[f] * self->store.dim;
    keep += group->n_tokens[f];
    kept += group->n_keep[f];
  }
  return kept;
}

/* The window's frames become pictures. */
static gboolean
gather_window (TernSession *self, GError **error)
{
  const TernWindow *window = &self->answer.work.window;
  TernResult *values = &self->told.values;
  const char *failure = NULL;

  tern_session_clear_pictures (self);
  for (guint g = 0; g < self->store.n; g++) {
    const TernFrameGroup *group = &self->store.groups[g];

    if (group->first < window->first || group->first >= window->end)
      continue;
    failure = failure ? failure : group->error;
    values->visual_kept += tern_session_add_group (self, group, window->start_time);
    values->frames += group->n_frames;
    values->visual_in += group->full;
    values->metrics.encode_ms += group->encode_ms;
    values->metrics.compress_ms += group->compress_ms;
  }
  if (failure)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, failure);
  else if (values->frames == 0)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_FAILED, "no frame of the window could be encoded");
  return !failure && values->frames > 0;
}

static void
gather_still (TernSession *self)
{
  const TernVisionPlan *plan = &self->answer.plan;
  gsize width = tern_llm_info (self->text->llm)->width;
  const float *tokens = self->still_tokens;
  TernResult *values = &self->told.values;

  tern_session_clear_pictures (self);
  for (guint i = 0; i < plan->n; i++) {
    const TernSubImage *sub = &plan->sub[i];

    /* Of no frame: nothing that was read before is this picture. */
    add_picture (self, &(TernPicture) { G_MAXUINT64, tokens, NULL, sub->n_tokens },
        &(TernPromptRun) { .row = sub->row, .column = sub->column, .thumbnail = sub->thumbnail });
    tokens += sub->n_tokens * width;
  }
  values->frames = 1;
  values->visual_in = values->visual_kept = plan->n_tokens;
  values->metrics.encode_ms = (double) self->answer.spent / 1000;
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

static char *
spell (TernSession *self, const TernSaid *said)
{
  TernTextStream stream = { 0 };
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < said->n; i++)
    tern_text_stream_push (&stream, self->text->tokenizer, said->ids[i], text);
  tern_text_stream_end (&stream, text);
  return g_strstrip (g_string_free (text, FALSE));
}

static void
measure (const TernSession *self, const TernAsk *ask, const TernSaid *said, TernResult *out)
{
  TernMetrics *m = &out->metrics;
  gint64 begin = self->told.begin;
  TernDpStats dp;

  tern_dp_stats (ask->dp, &dp);
  m->prefill_ms = ms_between (begin, ask->decode);
  m->decode_ms = ms_between (ask->decode, ask->end);
  m->prefill_tokens_per_second = m->prefill_ms > 0 ? out->prompt_tokens / m->prefill_ms * 1000 : 0;
  m->ttft_ms = ask->first_token ? ms_between (begin, ask->first_token) : 0;
  if (ask->first_token && said->n > 1) {
    m->tpot_ms = ms_between (ask->first_token, ask->end) / (said->n - 1);
    m->decode_tokens_per_second = m->tpot_ms > 0 ? 1000 / m->tpot_ms : 0;
  }
  m->kv_kept = dp.keys > 0 ? (double) dp.kept / (double) dp.keys : 1;
  m->kv_pruned_layers = dp.pruned_layers;
}

/* What was said in answer to a question, into @values. */
static char *
conclude_said (TernSession *self, const TernAsk *ask, TernResult *values)
{
  static const char *const reasons[] = {
    [TERN_FINISH_STOP] = "stop",
    [TERN_FINISH_LENGTH] = "length",
    [TERN_FINISH_CANCELLED] = "cancelled",
  };
  TernSaid said = tern_generator_said (ask->generator);

  values->finish_reason = reasons[said.finish];
  values->confidence = said.mean_probability;
  values->generated_tokens = said.n;
  measure (self, ask, &said, values);
  return spell (self, &said);
}

/* The result of question @q, whatever became of it. */
static TernResult *
conclude (TernSession *self, guint q)
{
  const TernAsk *ask = &self->asks[q];
  const TernWork *work = &self->answer.work;
  TernResult values = self->told.values;
  g_autofree char *text = NULL;

  values.kind = "caption";
  values.source = self->source;
  values.prompt_id = work->config->questions[q].prompt_id;
  values.prompt = work->config->questions[q].prompt;
  values.model = self->text->name;
  values.prompt_tokens = ask->prompt_tokens;
  values.confidence = -1;
  values.running_time = values.utc = TERN_TIME_NONE;
  if (!ask->error) {
    values.result = text = conclude_said (self, ask, &values);
  } else if (g_error_matches (ask->error, TERN_ERROR, TERN_ERROR_CANCELLED)) {
    values.finish_reason = "cancelled";
  } else {
    values.finish_reason = "error";
    values.kind = "error";
    values.result = ask->error->message;
  }
  values.timestamp = work->window.start_time;
  values.duration = work->window.end_time - work->window.start_time;
  values.timestamp_seconds = values.start = (double) work->window.start_time / TERN_SECOND;
  values.end = (double) work->window.end_time / TERN_SECOND;
  values.has_metrics = work->config->params.metrics;
  values.metrics.total_ms = ms_between (work->pushed, g_get_monotonic_time ());
  self->client.waited = (3 * self->client.waited + g_get_monotonic_time () - work->pushed) / 4;
  return tern_result_new (&values);
}

/* Hands @result over, unless nobody wants it any more. */
static void
deliver (TernSession *self, TernResult *result, gboolean last)
{
  guint64 end;
  gboolean wanted;

  g_mutex_lock (&self->lock);
  wanted = !self->discard;
  if (wanted) {
    end = tern_session_end_of (self, &self->answer.work.window);
    result->id = self->next_id++;
    result->duration = end - result->timestamp;
    result->end = (double) end / TERN_SECOND;
    self->stats.windows_done += last;
    if (!self->func) {
      g_queue_push_tail (&self->results, result);
      g_cond_broadcast (&self->changed);
    }
  }
  g_mutex_unlock (&self->lock);
  if (wanted && self->func)
    self->func (self->func_data, result);
  if (!wanted || self->func)
    tern_result_unref (result);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void
end_ask (TernAsk *ask, GError *error)
{
  ask->state = TERN_ASK_IS_ANSWERED;
  ask->end = g_get_monotonic_time ();
  g_clear_error (&ask->error);
  ask->error = error;
}

void
tern_session_deliver (TernSession *self)
{
  TernAnswer *told = &self->told;

  if (told->n_asks == 0)
    return;
  while (told->n_delivered < told->n_asks && self->asks[told->n_delivered].state == TERN_ASK_IS_ANSWERED) {
    guint q = told->n_delivered++;

    deliver (self, conclude (self, q), told->n_delivered == told->n_asks);
  }
  if (told->n_delivered < told->n_asks)
    return;
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &self->asks[q];

    g_clear_error (&ask->error);
    if (ask->reader.timeline)
      tern_timeline_set_policy (ask->reader.timeline, NULL);
    tern_reader_restart (&ask->reader);
    ask->in_pass = FALSE;
  }
  if (self->answer.work.kind == TERN_WORK_WINDOW) {
    /* Windows that were dropped, or were answered with an error, may still be read. */
    tern_session_forget_readings_before (self, self->answer.work.window.next);
    tern_frame_store_release (&self->store, self->answer.work.window.next);
  }
  told->n_asks = 0;
  tern_session_put_down (self, &self->answer);
}

void
tern_session_end_answer (TernSession *self, gboolean discard)
{
  TernAnswer *told = &self->told;

  if (told->n_asks == 0) {      /* a still that was looked at */
    told->values = (TernResult) { .confidence = -1 };
    told->n_delivered = 0;
    told->n_asks = self->answer.work.config->n_questions;
    for (guint q = 0; q < told->n_asks; q++)
      self->asks[q].state = TERN_ASK_WAITS;
  }
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &self->asks[q];

    if (ask->state == TERN_ASK_IS_ANSWERED)
      continue;
    if (ask->state == TERN_ASK_SAYS) {
      tern_generator_cancel (ask->generator);
      end_ask (ask, NULL);
    } else {
      end_ask (ask, g_error_new_literal (TERN_ERROR, TERN_ERROR_CANCELLED, "cancelled"));
    }
  }
  if (discard)
    told->n_delivered = told->n_asks;
  tern_session_deliver (self);
}

/* ---- The beginning ----------------------------------------------------------------------------------------------- */

static void
begin_asks (TernSession *self)
{
  const TernSessionConfig *config = self->answer.work.config;

  self->told = (TernAnswer) { .values = { .confidence = -1 }, .n_asks = config->n_questions,
    .begin = g_get_monotonic_time () };
  for (guint q = 0; q < config->n_questions; q++) {
    TernAsk *ask = &self->asks[q];

    ask->state = TERN_ASK_WAITS;
    ask->prompt_tokens = 0;
    ask->decode = ask->first_token = ask->end = 0;
  }
}

void
tern_session_fail (TernSession *self, const GError *error)
{
  if (self->told.n_asks == 0)
    begin_asks (self);
  for (guint q = 0; q < self->told.n_asks; q++)
    if (self->asks[q].state != TERN_ASK_IS_ANSWERED)
      end_ask (&self->asks[q], g_error_copy (error));
  tern_session_deliver (self);
}

/* The prompt of question @q. The one of a video without times is kept until it or its number of frames changes. */
static gboolean
compile (TernSession *self, guint q, const TernPromptVisual *visual, GError **error)
{
  TernSessionConfig *config = self->answer.work.config;
  TernAsk *ask = &self->asks[q];
  gboolean keep = visual->video && !tern_prompt_is_timed (self->family);

  if (!keep || ask->compiled != config || ask->compiled_frames != visual->n) {
    g_clear_pointer (&ask->compiled, tern_session_config_unref);
    if (!tern_session_compile (self, config, q, visual, ask->ids, error))
      return FALSE;
    ask->compiled = keep ? tern_session_config_ref (config) : NULL;
    ask->compiled_frames = visual->n;
  }
  ask->prompt_tokens = ask->ids->len - self->pictures->len;
  for (guint i = 0; i < self->pictures->len; i++)
    ask->prompt_tokens += g_array_index (self->pictures, TernPicture, i).n;
  return TRUE;
}

static gboolean
is_open (const TernAsk *ask)
{
  return ask->state != TERN_ASK_IS_ANSWERED;
}

/* Ids that all questions begin with; where there are several, each keeps one of its own at least, whose logits begin the
 * answer. */
static guint
shared_ids (const TernSession *self)
{
  const GArray *first = self->asks[self->told.lead].ids;
  guint shared = first->len;

  for (guint q = self->told.lead + 1; q < self->told.n_asks; q++) {
    const GArray *ids = self->asks[q].ids;

    if (is_open (&self->asks[q]))
      shared = tern_reader_alike (first, ids, MIN (shared, MIN (first->len, ids->len) - 1));
  }
  return shared;
}

/* One question that cannot be asked costs the others nothing. FALSE: none of them can be. */
static gboolean
compile_all (TernSession *self, const TernPromptVisual *visual, guint *longest, guint *tail)
{
  TernAnswer *told = &self->told;
  guint n = 0;

  *longest = *tail = 0;
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &self->asks[q];
    GError *error = NULL;

    if (!compile (self, q, visual, &error)
        || !tern_session_has_room (self, self->answer.work.config, ask->prompt_tokens, &error)) {
      end_ask (ask, error);
      continue;
    }
    if (n++ == 0)
      told->lead = q;
    *longest = MAX (*longest, ask->prompt_tokens);
  }
  told->sharing = n > 1;
  for (guint q = 0; n > 0 && q < told->n_asks; q++)
    if (is_open (&self->asks[q]))
      *tail = MAX (*tail, self->asks[q].ids->len - shared_ids (self));
  return n > 0;
}

/* The other questions go on from what was shared. */
static void
fork_asks (TernSession *self)
{
  TernAsk *first = &self->asks[self->told.lead];

  for (guint q = self->told.lead + 1; q < self->told.n_asks; q++) {
    if (!is_open (&self->asks[q]))
      continue;
    tern_reader_fork (&self->asks[q].reader, &first->reader, self->asks[q].ids);
    self->asks[q].state = TERN_ASK_READS;
  }
  first->reader.end = first->ids->len;
  self->told.sharing = FALSE;
}

static void
start_reading (TernSession *self)
{
  TernAsk *first = &self->asks[self->told.lead];
  const TernPicture *pictures = (const TernPicture *) self->pictures->data;
  guint shared = shared_ids (self);

  if (self->answer.work.kind == TERN_WORK_WINDOW)
    tern_session_take_reading (self, self->answer.work.window.first, &first->reader);
  tern_reader_aim (&first->reader, first->ids, pictures, self->pictures->len, shared);
  if (!self->told.sharing && tern_reader_left (&first->reader) == 0) {
    /* No template ends with a picture, but nobody forbids it: the last row is read for its logits. */
    tern_reader_restart (&first->reader);
    first->reader.end = shared;
  }
  first->state = TERN_ASK_READS;
  if (self->told.sharing && tern_reader_left (&first->reader) == 0)
    fork_asks (self);
}

void
tern_session_begin_answer (TernSession *self)
{
  const TernWork *work = &self->answer.work;
  gboolean video = work->kind == TERN_WORK_WINDOW;
  TernPromptVisual visual = { .video = video, .duration = video ? work->window.end_time - work->window.start_time : 0 };
  g_autoptr (GError) error = NULL;
  guint longest, tail;

  if (video)
    tern_session_close_group (self, work->config);
  begin_asks (self);
  if (!video)
    gather_still (self);
  else if (!gather_window (self, &error)) {
    tern_session_fail (self, error);
    return;
  }
  visual.runs = (const TernPromptRun *) self->runs->data;
  visual.n = self->runs->len;
  if (!compile_all (self, &visual, &longest, &tail))
    tern_session_deliver (self);
  else if (tern_session_reserve (self, work->config, longest, tail, &error))
    start_reading (self);
  else
    tern_session_fail (self, error);
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

TernDemand
tern_session_wanted_rows (const TernSession *self)
{
  TernDemand demand = { 0 };

  for (guint q = 0; q < self->told.n_asks; q++) {
    const TernAsk *ask = &self->asks[q];
    const TernWanted *rows;

    if (ask->state == TERN_ASK_SAYS)
      demand.decode += tern_generator_wants (ask->generator, &rows);
    else if (ask->state == TERN_ASK_READS)
      demand.prompt += tern_reader_left (&ask->reader);
  }
  demand.awaited = demand.prompt > 0;
  demand.decode = MIN (demand.decode, TERN_SCHEDULER_OUTPUTS);
  for (guint i = 0; i < self->n_readings; i++)
    if (self->readings[i].in_use)
      demand.prompt += tern_reader_left (&self->readings[i].reader);
  return demand;
}

/* A place for a segment's rows. When an answer (@error is not NULL) lacks pages, those of windows that have not ended make
 * room. */
static float *
add_segment (TernSession *self, TernRound *round, TernSegment *segment, GError **error)
{
  g_autoptr (GError) failure = NULL;
  float *rows;

  segment->cancel = &self->cancel;
  segment->logits = round->logits;
  rows = tern_pass_add (round->pass, segment, &failure);
  if (!rows && error && g_error_matches (failure, TERN_ERROR, TERN_ERROR_NO_SPACE)) {
    gboolean free = FALSE;

    for (guint i = 0; i < self->n_readings; i++)
      if (self->readings[i].in_use && !self->readings[i].in_pass) {
        tern_reader_restart (&self->readings[i].reader);
        self->readings[i].in_use = FALSE;
        free = TRUE;
      }
    g_clear_error (&failure);
    rows = free ? tern_pass_add (round->pass, segment, &failure) : NULL;
  }
  if (!rows) {
    if (failure)
      g_propagate_error (error, g_steal_pointer (&failure));
    else
      g_set_error_literal (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "pages of keys and values: none is left");
    return NULL;
  }
  if (segment->want != TERN_LOGITS_NONE) {
    round->logits += tern_llm_info (self->text->llm)->n_vocab;
    round->outputs--;
  }
  return rows;
}

/* Its generator could not go on: @ask has the error. */
static void
end_say (TernAsk *ask)
{
  tern_generator_cancel (ask->generator);
  end_ask (ask, g_steal_pointer (&ask->error));
}

/* The rows that @ask's generator wants. */
static guint
add_said (TernSession *self, TernAsk *ask, TernRound *round)
{
  const TernWanted *wanted;
  guint n = tern_generator_wants (ask->generator, &wanted);
  GError *error = NULL;

  if (n > round->outputs || n > tern_pass_room (round->pass))
    return 0;
  ask->logits = round->logits;
  for (guint i = 0; i < n; i++) {
    TernSegment segment = { .timeline = wanted[i].timeline, .n = 1, .decode = TRUE, .want = TERN_LOGITS_LAST };
    float *row = add_segment (self, round, &segment, &error);

    if (!row) {
      ask->error = error;
      ask->in_pass = i > 0;     /* rows of other beams are in the pass: the answer ends after it */
      if (!ask->in_pass)
        end_say (ask);
      return i;
    }
    tern_llm_embed (self->text->llm, &wanted[i].id, 1, row, tern_llm_info (self->text->llm)->width);
  }
  ask->in_pass = TRUE;
  return n;
}

guint
tern_session_add_decode (TernSession *self, TernRound *round)
{
  guint n = self->told.n_asks, first = n ? self->told.next % n : 0, rows = 0;

  for (guint i = 0; i < n; i++) {
    guint q = (first + i) % n;

    if (self->asks[q].state != TERN_ASK_SAYS)
      continue;
    rows += add_said (self, &self->asks[q], round);
    if (self->asks[q].in_pass)
      self->told.next = q + 1;
  }
  return rows;
}

/* Up to round->rows rows of what @reader reads; @answers: the last one begins an answer. */
static guint
add_read (TernSession *self, TernReader *reader, gboolean answers, TernRound *round, const float **logits, GError **error)
{
  guint left = tern_reader_left (reader), n = MIN (MIN (left, round->rows), tern_pass_room (round->pass));
  TernSegment segment = { .timeline = reader->timeline };
  float *rows;

  if (answers && n == left && round->outputs == 0)
    n = left - 1;
  if (n == 0)
    return 0;
  segment.n = n;
  segment.want = answers && n == left ? TERN_LOGITS_LAST : TERN_LOGITS_NONE;
  *logits = segment.want != TERN_LOGITS_NONE ? round->logits : NULL;
  rows = add_segment (self, round, &segment, error);
  if (!rows)
    return 0;
  tern_reader_fill (reader, self->text->llm, rows, n);
  round->rows -= n;
  return n;
}

/* What they wait for is not going to be read. */
static void
fail_waiting (TernSession *self, const GError *error)
{
  for (guint q = 0; q < self->told.n_asks; q++)
    if (self->asks[q].state == TERN_ASK_WAITS)
      end_ask (&self->asks[q], g_error_copy (error));
  self->told.sharing = FALSE;
}

guint
tern_session_add_prompt (TernSession *self, TernRound *round)
{
  gboolean shared = self->told.sharing;
  guint rows = 0;

  for (guint q = 0; q < self->told.n_asks; q++) {
    TernAsk *ask = &self->asks[q];
    GError *error = NULL;
    guint n;

    if (ask->state != TERN_ASK_READS)
      continue;
    rows += n = add_read (self, &ask->reader, !shared, round, &ask->logits, &error);
    ask->in_pass = n > 0;
    if (error && shared)
      fail_waiting (self, error);
    if (error)
      end_ask (ask, error);
  }
  for (guint i = 0; i < self->n_readings; i++) {
    TernReading *reading = &self->readings[i];
    const float *none;
    guint n;

    if (!reading->in_use || round->rows == 0)
      continue;
    rows += n = add_read (self, &reading->reader, FALSE, round, &none, NULL);
    reading->in_pass = n > 0;
    if (n == 0 && tern_reader_left (&reading->reader) > 0) {
      tern_reader_restart (&reading->reader);   /* no room: it waits for the window's end */
      reading->in_use = FALSE;
    }
  }
  return rows;
}

/* ---- Logits ------------------------------------------------------------------------------------------------------ */

static void
find_spans (TernSession *self, const TernAsk *ask)
{
  guint pos = 0, picture = 0;

  g_array_set_size (self->spans, 0);
  for (guint i = 0; i < ask->ids->len; i++) {
    guint n = 1;

    if (g_array_index (ask->ids, gint32, i) == TERN_PROMPT_RUN) {
      TernSpan span = { pos, g_array_index (ask->reader.pictures, TernPicture, picture++).n };

      g_array_append_val (self->spans, span);
      n = span.n;
    }
    pos += n;
  }
}

static void
take (TernAsk *ask, TernRound *round)
{
  tern_generator_take (ask->generator, ask->logits, round->picking);
  if (!ask->first_token && tern_generator_said (ask->generator).n > 0)
    ask->first_token = g_get_monotonic_time ();
  if (tern_generator_is_finished (ask->generator))
    end_ask (ask, NULL);
}

/* The prompt was read. */
static void
start_saying (TernSession *self, TernAsk *ask, TernRound *round)
{
  const TernSessionConfig *config = self->answer.work.config;
  /* All keys of a still: nothing repeats in it, and leaving out 0.7 of the bundled model's 49 tokens costs captions what
   * docs/numbers.md tells, for no time that could be measured. */
  const TernDpParams all = { 0 }, *dp = self->answer.work.kind == TERN_WORK_WINDOW ? &config->dp : &all;
  GError *error = NULL;

  find_spans (self, ask);
  tern_timeline_set_policy (ask->reader.timeline, tern_dp_begin (ask->dp, dp, (const TernSpan *) self->spans->data,
          self->spans->len));
  ask->decode = g_get_monotonic_time ();
  ask->state = TERN_ASK_SAYS;
  if (tern_generator_begin (ask->generator, ask->reader.timeline, &config->params.sampling, NULL, &error))
    take (ask, round);
  else
    end_ask (ask, error);
}

static void
take_ask (TernSession *self, TernAsk *ask, TernRound *round)
{
  if (ask->state == TERN_ASK_SAYS && ask->error)
    end_say (ask);
  else if (ask->state == TERN_ASK_SAYS)
    take (ask, round);
  else if (ask->state == TERN_ASK_READS && ask->logits)
    start_saying (self, ask, round);
}

void
tern_session_take_logits (TernSession *self, TernRound *round, gboolean torn)
{
  TernAnswer *told = &self->told;

  for (guint i = 0; i < self->n_readings; i++)
    self->readings[i].in_pass = FALSE;
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &self->asks[q];

    if (ask->in_pass && !torn)
      take_ask (self, ask, round);
    ask->in_pass = FALSE;
  }
  /* A stop ends what was torn, in its own time. */
  if (torn || told->n_asks == 0)
    return;
  if (told->sharing && self->asks[told->lead].state == TERN_ASK_READS
      && tern_reader_left (&self->asks[told->lead].reader) == 0)
    fork_asks (self);
  tern_session_deliver (self);
}
