/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What answers become: results, handed over in the order of the questions; and what is told before the end. */
#include "tern/session-priv.h"

#include <string.h>

static double
ms_between (gint64 begin, gint64 end)
{
  return (double) (end - begin) / 1000;
}

/* ---- What was said ----------------------------------------------------------------------------------------------- */

/* @whole: nothing comes after it. */
static char *
spell (TernSession *self, const TernSaid *said, gboolean whole)
{
  TernTextStream stream = { 0 };
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < said->n; i++)
    tern_text_stream_push (&stream, self->text->tokenizer, said->ids[i], text);
  if (whole)
    tern_text_stream_end (&stream, text);
  return g_strstrip (g_string_free (text, FALSE));
}

static void
measure (const TernSession *self, const TernInquiry *in, const TernAsk *ask, const TernSaid *said, TernResult *out)
{
  TernMetrics *m = &out->metrics;
  gint64 begin = in->told.begin;
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
  m->kv_selections = (guint) dp.selections;
}

static const char *
reason_of (TernFinish finish)
{
  static const char *const reasons[] = {
    [TERN_FINISH_STOP] = "stop",
    [TERN_FINISH_LENGTH] = "length",
    [TERN_FINISH_CANCELLED] = "cancelled",
  };

  return reasons[finish];
}

/* What was said in answer to a question, into @values. */
static char *
conclude_said (TernSession *self, const TernInquiry *in, const TernAsk *ask, TernResult *values)
{
  TernSaid said = tern_generator_said (ask->generator);

  values->finish_reason = reason_of (said.finish);
  values->confidence = said.mean_probability;
  values->generated_tokens = said.n;
  measure (self, in, ask, &said, values);
  return spell (self, &said, TRUE);
}

/* Which of its labels is the answer. @scores and @texts are to be freed when the result has been made. */
static char *
conclude_labels (TernSession *self, const TernInquiry *in, guint q, TernResult *values, double **scores)
{
  const TernSessionConfig *config = in->hand.work.config;
  const TernLabels *labels = config->forms[q].labels;
  const TernAsk *ask = &in->asks[q];
  TernSaid said = tern_generator_said (ask->generator);
  guint n = tern_labels_n (labels), best;

  values->finish_reason = reason_of (said.finish);
  measure (self, in, ask, &(TernSaid) { .n = 0 }, values);
  if (said.finish == TERN_FINISH_CANCELLED)
    return g_strdup ("");
  *scores = g_new (double, n);
  best = tern_labels_scores (tern_generator_label_logprobs (ask->generator), n, self->text->label_temperature, *scores);
  values->labels = config->questions[q].labels;
  values->scores = *scores;
  values->n_labels = n;
  values->confidence = (*scores)[best];
  values->abstained = (*scores)[best] < config->questions[q].min_confidence;
  return g_strdup (tern_labels_text (labels, best));
}

/* ---- Results ----------------------------------------------------------------------------------------------------- */

/* What holds for question @q whatever becomes of it. */
static TernResult
begin_result (TernSession *self, const TernInquiry *in, guint q)
{
  const TernWork *work = &in->hand.work;
  TernResult values = in->told.values;

  values.kind = "caption";
  values.source = self->source;
  values.prompt_id = work->config->questions[q].prompt_id;
  values.prompt = in->asks[q].prompt ? in->asks[q].prompt : work->config->questions[q].prompt;
  values.model = self->text->name;
  values.prompt_tokens = in->asks[q].prompt_tokens;
  values.confidence = -1;
  values.running_time = values.utc = TERN_TIME_NONE;
  values.ask_id = in == &self->request ? self->asked_now->id : 0;
  values.timestamp = work->window.start_time;
  values.duration = work->window.end_time - work->window.start_time;
  values.memory_spans = in->memory;
  values.n_memory_spans = in->n_memory;
  values.timestamp_seconds = values.start = (double) work->window.start_time / TERN_SECOND;
  values.end = (double) work->window.end_time / TERN_SECOND;
  values.has_metrics = work->config->params.metrics;
  values.metrics.total_ms = ms_between (work->pushed, g_get_monotonic_time ());
  return values;
}

static TernResult *
conclude_ask (TernSession *self, TernInquiry *in, guint q)
{
  const TernAsk *ask = &in->asks[q];
  const TernAnswerForm *form = &in->hand.work.config->forms[q];
  TernResult values = begin_result (self, in, q);
  g_autofree double *scores = NULL;
  g_autofree char *text = NULL;

  if (in->told.repeats || in->told.deferred)
    return tern_answered_repeat (&self->answered, q, &values, in->told.repeats ? "unchanged" : "budget");
  if (in->told.forgotten)
    values.finish_reason = "forgotten";
  values.kind = in->hand.work.config->questions[q].action ? "action" : form->labels || form->constraint ? "answer"
      : "caption";
  if (!ask->error && in->told.forgotten) {
    values.result = "";
  } else if (!ask->error && ask->acts) {
    tern_session_conclude_action (self, in, ask, &values);
  } else if (!ask->error) {
    values.result = text = form->labels ? conclude_labels (self, in, q, &values, &scores)
        : conclude_said (self, in, ask, &values);
  } else if (g_error_matches (ask->error, TERN_ERROR, TERN_ERROR_CANCELLED)) {
    values.finish_reason = "cancelled";
  } else {
    values.finish_reason = "error";
    values.kind = "error";
    values.result = ask->error->message;
  }
  return tern_result_new (&values);
}

/* What windows are told is remembered. */
static TernResult *
conclude (TernSession *self, TernInquiry *in, guint q)
{
  TernResult *result = conclude_ask (self, in, q);

  if (in == &self->standing && in->hand.work.kind == TERN_WORK_WINDOW && !in->told.repeats && !in->told.deferred)
    tern_answered_add (&self->answered, result);
  return result;
}

/* ---- Handing over ------------------------------------------------------------------------------------------------ */

typedef enum {
  HAND_PARTIAL,
  HAND_ANSWER,                  /* of one of several questions */
  HAND_LAST,                    /* ... the last one of a window */
} Handing;

/* Hands @result over, unless nobody wants it any more. A window may end earlier than was known when it was closed. */
static void
hand_over (TernSession *self, TernInquiry *in, TernResult *result, Handing handing)
{
  gboolean wanted;

  g_mutex_lock (&self->lock);
  wanted = !self->discard || in == &self->request;
  if (wanted) {
    if (in == &self->standing) {
      guint64 end = tern_session_end_of (self, &in->hand.work.window);

      result->duration = end - result->timestamp;
      result->end = (double) end / TERN_SECOND;
      self->stats.windows_done += handing == HAND_LAST;
      self->stats.windows_unchanged += handing == HAND_LAST && in->told.repeats;
      self->stats.windows_deferred += handing == HAND_LAST && in->told.deferred;
    }
    result->id = self->next_id++;
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

/* What was asked was answered, or could not be. */
static void
note_answer (TernSession *self, const TernInquiry *in)
{
  tern_session_count_answer (self, in);
  if (in != &self->standing || in->hand.work.kind != TERN_WORK_WINDOW)
    return;
  self->told_picture = in->told.picture;
  self->told_end = in->hand.work.window.end_time;
}

/* All questions are answered. */
static void
close_inquiry (TernSession *self, TernInquiry *in)
{
  const TernWork *work = &in->hand.work;

  if (!in->told.repeats && !in->told.deferred && !in->told.forgotten)
    note_answer (self, in);
  tern_inquiry_clear (in);
  if (in == &self->request) {
    tern_session_put_down_request (self);
    return;
  }
  if (work->kind == TERN_WORK_WINDOW) {
    /* Windows that were dropped, or were answered with an error, may still be read. */
    tern_session_forget_readings_before (self, work->window.next);
    tern_session_let_go (self, work->window.next);
  }
  tern_session_put_down (self, &in->hand);
}

void
tern_session_deliver (TernSession *self, TernInquiry *in)
{
  TernAnswer *told = &in->told;

  if (told->n_asks == 0)
    return;
  while (told->n_delivered < told->n_asks && in->asks[told->n_delivered].state == TERN_ASK_IS_ANSWERED) {
    guint q = told->n_delivered++;
    gint64 pushed = in->hand.work.pushed;

    hand_over (self, in, conclude (self, in, q), told->n_delivered == told->n_asks ? HAND_LAST : HAND_ANSWER);
    if (in == &self->standing)
      self->client.waited = (3 * self->client.waited + g_get_monotonic_time () - pushed) / 4;
  }
  if (told->n_delivered == told->n_asks)
    close_inquiry (self, in);
}

/* ---- Before the end ---------------------------------------------------------------------------------------------- */

void
tern_session_tell_partial (TernSession *self, TernInquiry *in, guint q)
{
  TernAsk *ask = &in->asks[q];
  TernSaid said = tern_generator_said (ask->generator);
  g_autofree char *text = NULL;
  TernResult values;
  char *end;

  if (in->hand.work.config->params.partial != TERN_PARTIAL_WORDS || said.n == 0
      || tern_generator_is_finished (ask->generator))
    return;
  text = spell (self, &said, FALSE);
  /* The last word may not be whole. */
  end = strrchr (text, ' ');
  if (!end || (guint) (end - text) <= ask->told)
    return;
  *end = '\0';
  ask->told = (guint) (end - text);
  values = begin_result (self, in, q);
  values.kind = "partial";
  values.finish_reason = "";
  values.result = text;
  values.generated_tokens = said.n;
  values.has_metrics = FALSE;
  hand_over (self, in, tern_result_new (&values), HAND_PARTIAL);
}
