/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a window, still or moment is asked about. Its pictures are read once; each question goes on from there on a fork of the
 * timeline, and all of them say their words in the same passes. */
#include "tern/session-priv.h"

/* ---- The end ----------------------------------------------------------------------------------------------------- */

void
tern_session_end_ask (TernAsk *ask, GError *error)
{
  ask->state = TERN_ASK_IS_ANSWERED;
  ask->end = g_get_monotonic_time ();
  g_clear_error (&ask->error);
  ask->error = error;
}

/* What beams and forks of labels hold is given back, too. */
void
tern_inquiry_clear (TernInquiry *in)
{
  for (guint q = 0; q < in->told.n_asks; q++) {
    TernAsk *ask = &in->asks[q];

    if (ask->generator)
      tern_generator_cancel (ask->generator);
    g_clear_error (&ask->error);
    g_clear_pointer (&ask->prompt, g_free);
    if (ask->reader.timeline)
      tern_timeline_set_policy (ask->reader.timeline, NULL);
    tern_reader_restart (&ask->reader);
    ask->in_pass = FALSE;
  }
  in->told.n_asks = 0;
}

void
tern_session_end_answer (TernSession *self, TernInquiry *in, gboolean discard)
{
  TernAnswer *told = &in->told;

  if (told->n_asks == 0) {      /* a still that was looked at */
    told->values = (TernResult) { .confidence = -1 };
    told->n_delivered = 0;
    told->n_asks = in->hand.work.config->n_questions;
    for (guint q = 0; q < told->n_asks; q++)
      in->asks[q].state = TERN_ASK_WAITS;
  }
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &in->asks[q];

    if (ask->state == TERN_ASK_IS_ANSWERED)
      continue;
    if (ask->state == TERN_ASK_SAYS && !ask->speaks) {
      tern_generator_cancel (ask->generator);
      tern_session_end_ask (ask, NULL);
    } else {
      tern_session_end_ask (ask, g_error_new_literal (TERN_ERROR, TERN_ERROR_CANCELLED, "cancelled"));
    }
  }
  if (discard)
    told->n_delivered = told->n_asks;
  tern_session_deliver (self, in);
}

/* ---- The beginning ----------------------------------------------------------------------------------------------- */

static void
begin_asks (TernInquiry *in)
{
  const TernSessionConfig *config = in->hand.work.config;

  in->told = (TernAnswer) { .values = { .confidence = -1 }, .n_asks = config->n_questions,
    .begin = g_get_monotonic_time () };
  for (guint q = 0; q < config->n_questions; q++) {
    TernAsk *ask = &in->asks[q];

    ask->state = TERN_ASK_WAITS;
    ask->acts = config->questions[q].action;
    ask->speaks = FALSE;
    ask->prompt_tokens = 0;
    ask->decode = ask->first_token = ask->end = 0;
    ask->told = 0;
    ask->path_rows = 0;
  }
}

void
tern_session_fail (TernSession *self, TernInquiry *in, const GError *error)
{
  if (in->told.n_asks == 0)
    begin_asks (in);
  for (guint q = 0; q < in->told.n_asks; q++)
    if (in->asks[q].state != TERN_ASK_IS_ANSWERED)
      tern_session_end_ask (&in->asks[q], g_error_copy (error));
  tern_session_deliver (self, in);
}

/* It is read behind what is remembered of the stream. */
static gboolean
is_of_stream (const TernSession *self, const TernInquiry *in)
{
  return self->stream && in->hand.work.kind != TERN_WORK_STILL;
}

/* The prompt of question @q. The one of a video without times is kept until it or its number of frames changes. */
static gboolean
compile (TernSession *self, TernInquiry *in, guint q, const TernPromptVisual *visual, GError **error)
{
  TernSessionConfig *config = in->hand.work.config;
  TernAsk *ask = &in->asks[q];
  gboolean filled = tern_placeholders_any (config->questions[q].prompt), stream = is_of_stream (self, in);
  gboolean keep = visual->video && !filled && !tern_prompt_is_timed (self->family) && (!stream || in == &self->standing);
  char **text = filled ? &ask->prompt : NULL;

  if (!keep || ask->compiled != config || ask->compiled_frames != visual->n) {
    g_clear_pointer (&ask->compiled, tern_session_config_unref);
    if (!(stream ? tern_session_stream_compile (self, in, q, visual, ask->ids, text, error)
            : tern_session_compile (self, config, q, visual, ask->ids, text, error)))
      return FALSE;
    ask->compiled = keep ? tern_session_config_ref (config) : NULL;
    ask->compiled_frames = visual->n;
  }
  if (ask->acts)
    tern_session_expect_action (self, in, ask);
  ask->prompt_tokens = ask->ids->len - self->pictures->len + (stream ? in->visible : 0);
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
shared_ids (const TernInquiry *in)
{
  const GArray *first = in->asks[in->told.lead].ids;
  guint shared = first->len;

  for (guint q = in->told.lead + 1; q < in->told.n_asks; q++) {
    const GArray *ids = in->asks[q].ids;

    if (is_open (&in->asks[q]))
      shared = tern_reader_alike (first, ids, MIN (shared, MIN (first->len, ids->len) - 1));
  }
  return shared;
}

/* One question that cannot be asked costs the others nothing. FALSE: none of them can be. */
static gboolean
compile_all (TernSession *self, TernInquiry *in, const TernPromptVisual *visual, guint *longest, guint *tail)
{
  TernAnswer *told = &in->told;
  guint n = 0;

  *longest = *tail = 0;
  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &in->asks[q];
    GError *error = NULL;

    if (!compile (self, in, q, visual, &error)
        || !tern_session_has_room (self, in->hand.work.config, ask->prompt_tokens, &error)) {
      tern_session_end_ask (ask, error);
      continue;
    }
    if (n++ == 0)
      told->lead = q;
    *longest = MAX (*longest, ask->prompt_tokens);
  }
  told->sharing = n > 1;
  for (guint q = 0; n > 0 && q < told->n_asks; q++)
    if (is_open (&in->asks[q]))
      *tail = MAX (*tail, in->asks[q].ids->len - shared_ids (in));
  return n > 0;
}

/* The other questions go on from what was shared. */
static void
fork_asks (TernInquiry *in)
{
  TernAsk *first = &in->asks[in->told.lead];

  for (guint q = in->told.lead + 1; q < in->told.n_asks; q++) {
    if (!is_open (&in->asks[q]))
      continue;
    tern_reader_fork (&in->asks[q].reader, &first->reader, in->asks[q].ids);
    in->asks[q].state = TERN_ASK_READS;
  }
  first->reader.end = first->ids->len;
  in->told.sharing = FALSE;
}

static gboolean
start_reading (TernSession *self, TernInquiry *in, GError **error)
{
  TernAsk *first = &in->asks[in->told.lead];
  const TernPicture *pictures = (const TernPicture *) self->pictures->data;
  guint shared = shared_ids (in);

  if (is_of_stream (self, in)) {
    if (!tern_session_stream_fork (self, in, &first->reader, error))
      return FALSE;
  } else if (in->hand.work.kind == TERN_WORK_WINDOW)
    tern_session_take_reading (self, in->hand.work.window.first, &first->reader);
  else if (in == &self->request)
    tern_session_fork_reading (self, in->hand.work.window.first, &first->reader);
  tern_reader_aim (&first->reader, first->ids, pictures, self->pictures->len, shared);
  if (!in->told.sharing && tern_reader_left (&first->reader) == 0) {
    /* No template ends with a picture, but nobody forbids it: the last row is read for its logits. */
    tern_reader_restart (&first->reader);
    first->reader.end = shared;
  }
  first->state = TERN_ASK_READS;
  if (in->told.sharing && tern_reader_left (&first->reader) == 0)
    fork_asks (in);
  return TRUE;
}

static gboolean
reserve (TernSession *self, TernInquiry *in, guint longest, guint tail, GError **error)
{
  const TernSessionConfig *config = in->hand.work.config;

  return in == &self->standing ? tern_session_reserve (self, config, longest, tail, error)
      : tern_session_reserve_request (self, config, longest, error);
}

/* Nothing is asked. */
static void
end_all (TernSession *self, TernInquiry *in)
{
  for (guint q = 0; q < in->told.n_asks; q++)
    tern_session_end_ask (&in->asks[q], NULL);
  tern_session_deliver (self, in);
}

/* A window with nothing new, or in which what is new is not worth an answer, is told what the one before was. Where something is
 * new in frames that have the tokens of the one before, whoever encodes has put it off. */
static gboolean
repeat (TernSession *self, TernInquiry *in)
{
  const TernWork *work = &in->hand.work;
  TernAnswer *told = &in->told;
  guint64 picture;

  if (work->kind != TERN_WORK_WINDOW)
    return FALSE;
  picture = tern_session_picture (self, work->window.first, work->window.end);
  told->picture = tern_session_find_news (self, work->window.first, work->window.end, &told->news);
  told->repeats = tern_answered_is (&self->answered, picture, work->config);
  told->deferred = told->repeats ? told->news.novelty > 0 : tern_session_puts_off (self, in);
  if (told->deferred)
    tern_session_count_put_off (self, in);
  told->repeats &= !told->deferred;
  if (told->repeats || told->deferred) {
    end_all (self, in);
    return TRUE;
  }
  tern_answered_begin (&self->answered, picture, work->config);
  return FALSE;
}

static gboolean
gather (TernSession *self, TernInquiry *in, GError **error)
{
  in->n_memory = 0;
  return is_of_stream (self, in) ? tern_session_stream_gather (self, in, error) : tern_session_gather (self, in, error);
}

void
tern_session_begin_answer (TernSession *self, TernInquiry *in)
{
  const TernWork *work = &in->hand.work;
  gboolean video = work->kind != TERN_WORK_STILL;
  TernPromptVisual visual = { .video = video, .start = work->window.start_time,
    .duration = video ? work->window.end_time - work->window.start_time : 0 };
  g_autoptr (GError) error = NULL;
  guint longest, tail;

  if (work->kind == TERN_WORK_WINDOW && !self->stream)  /* there it was, and what is open by now is of the next window */
    tern_session_close_group (self, work->config);
  begin_asks (in);
  if (!gather (self, in, &error)) {
    tern_session_fail (self, in, error);
    return;
  }
  if (in->told.forgotten) {
    end_all (self, in);
    return;
  }
  if (in == &self->standing && repeat (self, in))
    return;
  visual.runs = (const TernPromptRun *) self->runs->data;
  visual.n = self->runs->len;
  if (!compile_all (self, in, &visual, &longest, &tail))
    tern_session_deliver (self, in);
  else if (reserve (self, in, longest, tail, &error) && start_reading (self, in, &error))
    return;
  else if (g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY))
    tern_session_restart_request (self);
  else
    tern_session_fail (self, in, error);
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* Rows of labels that @ask's generator would have read. */
static guint
path_rows_left (const TernAsk *ask)
{
  const TernPath *paths;
  guint n = ask->speaks ? 0 : tern_generator_paths (ask->generator, &paths), rows = 0;

  for (guint i = 0; i < n; i++)
    rows += paths[i].n;
  return rows;
}

static void
add_wanted (const TernInquiry *in, TernDemand *demand)
{
  for (guint q = 0; q < in->told.n_asks; q++) {
    const TernAsk *ask = &in->asks[q];
    const TernWanted *rows;

    if (ask->state == TERN_ASK_READS) {
      demand->prompt += tern_reader_left (&ask->reader);
    } else if (ask->state == TERN_ASK_SAYS) {
      demand->decode += ask->speaks ? 1 : tern_generator_wants (ask->generator, &rows);
      demand->prompt += path_rows_left (ask);
    }
  }
}

/* Rows that may be read before it is known what comes behind them: to where a chunk ends. */
static guint
early_left (const TernSession *self, const TernReader *reader)
{
  guint pos = tern_timeline_pos (reader->timeline), end = pos + tern_reader_left (reader);

  end -= end % tern_llm_info (self->text->llm)->chunk;
  return end > pos ? end - pos : 0;
}

TernDemand
tern_session_wanted_rows (const TernSession *self)
{
  TernDemand demand = { 0 };

  add_wanted (&self->standing, &demand);
  add_wanted (&self->request, &demand);
  if (self->stream && self->stream_waits)
    demand.prompt += tern_session_stream_left (self);
  demand.awaited = demand.prompt > 0;
  demand.decode = MIN (demand.decode, TERN_SCHEDULER_OUTPUTS);
  for (guint i = 0; i < self->n_readings; i++)
    if (self->readings[i].in_use)
      demand.prompt += early_left (self, &self->readings[i].reader);
  if (self->stream && !self->stream_waits)
    demand.prompt += tern_session_stream_left (self);
  return demand;
}

/* A place for a segment's rows. When an answer (@error is not NULL) lacks pages, those of windows that have not ended make
 * room. */
static float *
add_segment (TernSession *self, TernRound *round, TernSegment *segment, GError **error)
{
  g_autoptr (GError) failure = NULL;
  guint outputs;
  float *rows;

  if (!segment->cancel)
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
  outputs = segment->want == TERN_LOGITS_ALL ? segment->n : segment->want != TERN_LOGITS_NONE;
  round->logits += (gsize) outputs * tern_llm_info (self->text->llm)->n_vocab;
  round->outputs -= outputs;
  return rows;
}

/* Its generator could not go on: @ask has the error. */
static void
end_say (TernAsk *ask)
{
  if (!ask->speaks)
    tern_generator_cancel (ask->generator);
  tern_session_end_ask (ask, g_steal_pointer (&ask->error));
}

/* The rows that @ask's generator wants. */
static guint
add_said (TernSession *self, TernAsk *ask, TernRound *round)
{
  const TernWanted word = { ask->reader.timeline, ask->speaks ? ask->words[ask->n_words - 1] : 0 }, *wanted = &word;
  gsize width = tern_llm_info (self->text->llm)->width;
  guint n, run;
  GError *error = NULL;

  if (!ask->speaks)
    round->guesses -= tern_generator_guess (ask->generator, round->guesses);
  n = ask->speaks ? 1 : tern_generator_wants (ask->generator, &wanted);
  if (n == 0 || n > round->outputs || n > tern_pass_room (round->pass))
    return 0;
  ask->logits = round->logits;
  for (guint i = 0; i < n; i += run) {
    TernSegment segment = { .timeline = wanted[i].timeline, .decode = TRUE, .want = TERN_LOGITS_ALL };
    float *row;

    segment.n = run = tern_wanted_run (wanted + i, n - i);
    row = add_segment (self, round, &segment, &error);
    if (!row) {
      ask->error = error;
      ask->in_pass = i > 0;     /* rows of other beams are in the pass: the answer ends after it */
      if (!ask->in_pass)
        end_say (ask);
      return i;
    }
    for (guint t = 0; t < run; t++)
      tern_llm_embed (self->text->llm, &wanted[i + t].id, 1, row + t * width, width);
  }
  ask->in_pass = TRUE;
  return n;
}

static guint
add_decode (TernSession *self, TernInquiry *in, TernRound *round)
{
  guint n = in->told.n_asks, first = n ? in->told.next % n : 0, rows = 0;

  for (guint i = 0; i < n; i++) {
    guint q = (first + i) % n;

    if (in->asks[q].state != TERN_ASK_SAYS)
      continue;
    rows += add_said (self, &in->asks[q], round);
    if (in->asks[q].in_pass)
      in->told.next = q + 1;
  }
  return rows;
}

guint
tern_session_add_decode (TernSession *self, TernRound *round)
{
  guint rows = add_decode (self, &self->request, round);

  return rows + add_decode (self, &self->standing, round);
}

/* Up to round->rows rows of the @left ones that @reader is to read; the last one begins the answer of @ask, unless that is NULL. */
static guint
add_read (TernSession *self, TernReader *reader, guint left, TernAsk *ask, TernRound *round, GError **error)
{
  gboolean heard = ask && (!ask->acts || ask->speaks);
  guint n = tern_pass_cut (round->pass, reader->timeline, left, round->rows, !heard || round->outputs > 0);
  TernSegment segment = { .timeline = reader->timeline };
  float *rows;

  if (tern_session_stream_reads (self, reader))
    segment.cancel = &self->stream_cancel;      /* what is asked may be cancelled, what is remembered stays */
  if (n == 0)
    return 0;
  segment.n = n;
  tern_reader_place (reader, self->text->llm, self->places, &segment);
  if (ask && n == left && ask->acts && !ask->speaks)
    segment.hidden = ask->hidden;
  else
    segment.want = ask && n == left ? TERN_LOGITS_LAST : TERN_LOGITS_NONE;
  if (ask) {
    ask->logits = segment.want != TERN_LOGITS_NONE ? round->logits : NULL;
    ask->decides = segment.hidden != NULL;
  }
  rows = add_segment (self, round, &segment, error);
  if (!rows)
    return 0;
  tern_reader_fill (reader, round->pass, self->text->llm, rows, n);
  round->rows -= MIN (n, round->rows);
  return n;
}

/* What they wait for is not going to be read. */
static void
fail_waiting (TernInquiry *in, const GError *error)
{
  for (guint q = 0; q < in->told.n_asks; q++)
    if (in->asks[q].state == TERN_ASK_WAITS)
      tern_session_end_ask (&in->asks[q], g_error_copy (error));
  in->told.sharing = FALSE;
}

/* As many rows of labels as there is room for. */
static guint
add_paths (TernSession *self, TernAsk *ask, TernRound *round)
{
  gsize width = tern_llm_info (self->text->llm)->width;
  const TernPath *paths;
  guint n = tern_generator_paths (ask->generator, &paths);

  ask->logits = round->logits;
  ask->path_rows = 0;
  for (guint i = 0; i < n; i++) {
    TernSegment segment = { .timeline = paths[i].timeline, .want = TERN_LOGITS_ALL };
    float *rows;

    segment.n = tern_pass_cut (round->pass, paths[i].timeline, paths[i].n, MIN (round->rows, round->outputs), TRUE);
    if (segment.n > round->outputs)
      segment.n = 0;
    rows = segment.n ? add_segment (self, round, &segment, ask->path_rows ? NULL : &ask->error) : NULL;
    if (!rows)                  /* the next pass has room, or the first one had none at all */
      break;
    tern_llm_embed (self->text->llm, paths[i].ids, segment.n, rows, width);
    ask->path_rows += segment.n;
    round->rows -= MIN (segment.n, round->rows);
    if (segment.n < paths[i].n)
      break;
  }
  ask->in_pass = ask->path_rows > 0;
  if (ask->error && !ask->in_pass)
    end_say (ask);
  return ask->path_rows;
}

static guint
add_prompt (TernSession *self, TernInquiry *in, TernRound *round)
{
  gboolean shared = in->told.sharing;
  guint rows = 0;

  for (guint q = 0; q < in->told.n_asks; q++) {
    TernAsk *ask = &in->asks[q];
    GError *error = NULL;
    guint n;

    if (ask->state == TERN_ASK_SAYS && path_rows_left (ask) > 0)
      rows += add_paths (self, ask, round);
    if (ask->state != TERN_ASK_READS)
      continue;
    ask->logits = NULL;
    ask->decides = FALSE;
    rows += n = add_read (self, &ask->reader, tern_reader_left (&ask->reader), shared ? NULL : ask, round, &error);
    ask->in_pass = n > 0;
    if (error && shared)
      fail_waiting (in, error);
    if (error)
      tern_session_end_ask (ask, error);
  }
  return rows;
}

/* Frames that enter what is remembered. */
static guint
add_stream (TernSession *self, TernRound *round)
{
  TernReader *reader = round->rows > 0 ? tern_session_stream_reader (self) : NULL;
  guint rows = reader ? add_read (self, reader, tern_reader_left (reader), NULL, round, NULL) : 0;

  tern_session_stream_pass (self, rows > 0, FALSE);
  return rows;
}

/* What has room beside what is awaited. */
static guint
add_early (TernSession *self, TernRound *round)
{
  guint rows = 0;

  if (self->stream)
    return add_stream (self, round);

  for (guint i = 0; i < self->n_readings; i++) {
    TernReading *reading = &self->readings[i];
    guint left = reading->in_use ? early_left (self, &reading->reader) : 0, n;

    if (left == 0 || tern_pass_cut (round->pass, reading->reader.timeline, left, round->rows, TRUE) == 0)
      continue;
    rows += n = add_read (self, &reading->reader, left, NULL, round, NULL);
    reading->in_pass = n > 0;
    if (n == 0) {
      tern_reader_restart (&reading->reader);   /* no room: it waits for the window's end */
      reading->in_use = FALSE;
    }
  }
  return rows;
}

guint
tern_session_add_prompt (TernSession *self, TernRound *round)
{
  guint rows = add_prompt (self, &self->request, round);

  rows += add_prompt (self, &self->standing, round);
  return rows + add_early (self, round);
}

/* ---- Logits ------------------------------------------------------------------------------------------------------ */

static void
find_spans (TernSession *self, const TernInquiry *in, const TernAsk *ask)
{
  guint pos = 0, picture = 0;

  g_array_set_size (self->spans, 0);
  if (is_of_stream (self, in))  /* nothing is pruned */
    return;
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
  if (ask->path_rows > 0)
    tern_generator_take_paths (ask->generator, ask->logits, ask->path_rows, round->picking);
  else
    tern_generator_take (ask->generator, ask->logits, round->picking);
  ask->path_rows = 0;
  if (!ask->first_token && tern_generator_has_begun (ask->generator))
    ask->first_token = g_get_monotonic_time ();
  if (tern_generator_is_finished (ask->generator)) {
    GError *error = NULL;

    tern_generator_check (ask->generator, &error);
    tern_session_end_ask (ask, error);
  }
}

/* The generator begins in the form that the question asks for. */
static gboolean
begin_saying (TernAsk *ask, const TernSessionConfig *config, const TernAnswerForm *form, GError **error)
{
  TernSampling sampling = config->params.sampling;

  if (form->labels)
    return tern_generator_begin_labels (ask->generator, ask->reader.timeline, form->labels, error);
  sampling.max_tokens = form->max_tokens;
  tern_generator_set_bias (ask->generator, form->bias);
  tern_generator_look (ask->generator, (const gint32 *) ask->ids->data, ask->ids->len);
  return tern_generator_begin (ask->generator, ask->reader.timeline, &sampling, form->constraint, error);
}

/* The prompt was read. */
static void
start_saying (TernSession *self, TernInquiry *in, guint q, TernRound *round)
{
  const TernSessionConfig *config = in->hand.work.config;
  const TernAnswerForm *form = &config->forms[q];
  TernAsk *ask = &in->asks[q];
  /* All keys of a still: nothing repeats in it, and leaving out 0.7 of the bundled model's 49 tokens costs captions what
   * docs/numbers.md tells, for no time that could be measured. All keys for labels: they are read on forks, in few passes. */
  gboolean prune = in->hand.work.kind != TERN_WORK_STILL && !form->labels;
  TernDpParams chosen = { 0 };
  GError *error = NULL;

  find_spans (self, in, ask);
  if (prune) {
    chosen = config->dp;
    chosen.prune = tern_session_prune (self, in, chosen.prune);
  }
  tern_timeline_set_policy (ask->reader.timeline, tern_dp_begin (ask->dp, &chosen, (const TernSpan *) self->spans->data,
          self->spans->len));
  ask->decode = g_get_monotonic_time ();
  ask->state = TERN_ASK_SAYS;
  if (begin_saying (ask, config, form, &error))
    take (ask, round);
  else
    tern_session_end_ask (ask, error);
}

static void
take_ask (TernSession *self, TernInquiry *in, guint q, TernRound *round)
{
  TernAsk *ask = &in->asks[q];

  if (ask->state == TERN_ASK_SAYS && ask->error) {
    end_say (ask);
  } else if (ask->speaks && ask->logits) {
    tern_session_speak (self, ask);
  } else if (ask->state == TERN_ASK_SAYS) {
    take (ask, round);
    if (ask->state == TERN_ASK_IS_ANSWERED)
      tern_session_count_guesses (self, ask);
    tern_session_tell_partial (self, in, q);
  } else if (ask->state == TERN_ASK_READS && ask->logits) {
    start_saying (self, in, q, round);
  } else if (ask->state == TERN_ASK_READS && ask->decides) {
    tern_session_decide (self, in, ask);
  }
}

static void
take_logits (TernSession *self, TernInquiry *in, TernRound *round, gboolean torn)
{
  TernAnswer *told = &in->told;

  for (guint q = 0; q < told->n_asks; q++) {
    TernAsk *ask = &in->asks[q];

    if (ask->in_pass && !torn)
      take_ask (self, in, q, round);
    ask->in_pass = FALSE;
  }
  /* A stop ends what was torn, in its own time. */
  if (torn || told->n_asks == 0)
    return;
  if (told->sharing && in->asks[told->lead].state == TERN_ASK_READS
      && tern_reader_left (&in->asks[told->lead].reader) == 0)
    fork_asks (in);
  tern_session_deliver (self, in);
}

void
tern_session_take_logits (TernSession *self, TernRound *round, gboolean torn)
{
  tern_session_charge_pass (self);
  for (guint i = 0; i < self->n_readings; i++)
    self->readings[i].in_pass = FALSE;
  if (self->stream)
    tern_session_stream_pass (self, FALSE, torn);
  take_logits (self, &self->request, round, torn);
  take_logits (self, &self->standing, round, torn);
}
