/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request that is worked on. It waits its turn, a worker reads it and decodes its pictures, the engine answers; whenever
 * the client goes away it is given up, wherever it is. */
#include "tools/serve/serve.h"

#include <string.h>

#include "tern/error.h"

typedef enum {
  JOB_WAITS,                    /* in serve->waiting */
  JOB_IS_READ,                  /* with a worker */
  JOB_IS_ANSWERED,              /* with the engine */
  JOB_IS_OVER,
} JobState;

typedef struct {
  gint refs;                    /* atomic */
  TernServe *serve;
  TernHttpRequest *request;
  GBytes *body;
  TernDoor door;
  JobState state;
  gint gone;                    /* atomic: nobody waits for the answer */
  gboolean late;                /* its time is over */
  guint timer;
  gint64 begun;                 /* monotonic us */
  char *id;
  TernAnswerHead head;
  gboolean streams;             /* the answer's head was sent */
  gboolean speaks;              /* so was, or will be, something of the answer */

  /* the worker's, until it hands them over */
  TernAsked ask;
  TernRefusal refusal;
  gboolean refused;

  GMutex lock;
  TernCompletion *completion;   /* under the lock; the engine frees it with its last event */

  GString *text;                /* said so far */
  GString *thought;             /* before it; of a stream nothing, for it goes at once */
  TernScores scores;
} TernJob;

/* What the engine said, on its way to the main loop. */
typedef struct {
  TernJob *job;
  char *text, *thought;
  TernScores scores;
  gboolean last;
  const char *reason;
  char *error;
  gint error_code;
  TernCompletionEvent counts;   /* numbers alone */
} Told;

static void
job_unref (TernJob *job)
{
  if (!g_atomic_int_dec_and_test (&job->refs))
    return;
  g_clear_pointer (&job->body, g_bytes_unref);
  tern_ask_clear (&job->ask);
  tern_refusal_clear (&job->refusal);
  tern_scores_clear (&job->scores);
  g_string_free (job->text, TRUE);
  g_string_free (job->thought, TRUE);
  g_mutex_clear (&job->lock);
  g_free (job->id);
  g_free (job);
}

static TernJob *
job_ref (TernJob *job)
{
  g_atomic_int_inc (&job->refs);
  return job;
}

static double
seconds_since (gint64 then)
{
  return (double) (g_get_monotonic_time () - then) / G_USEC_PER_SEC;
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void start_next (TernServe *serve);

static void
end_job (TernJob *job)
{
  TernServe *serve = job->serve;

  if (job->state == JOB_IS_OVER)
    return;
  if (job->state == JOB_WAITS)
    g_queue_remove (&serve->waiting, job);
  else
    serve->running--;
  job->state = JOB_IS_OVER;
  g_clear_handle_id (&job->timer, g_source_remove);
  g_ptr_array_remove_fast (serve->jobs, job);
  tern_http_on_gone (job->request, NULL, NULL);
  g_clear_pointer (&job->request, tern_http_request_unref);
  start_next (serve);
  job_unref (job);
}

static void
refuse_job (TernJob *job, const TernRefusal *refusal)
{
  if (job->streams) {
    g_autofree char *text = tern_answer_broken (&job->head, refusal);

    tern_http_send (job->request, text);
    tern_http_end (job->request);
  } else {
    tern_http_refuse (job->request, refusal);
  }
}

/* The engine, or a worker, is told to stop; its last word ends the job. */
static void
give_up (TernJob *job)
{
  g_atomic_int_set (&job->gone, 1);
  g_mutex_lock (&job->lock);
  if (job->completion)
    tern_completion_cancel (job->completion);
  g_mutex_unlock (&job->lock);
  if (job->state == JOB_WAITS)
    end_job (job);
}

static void
client_gone (void *data)
{
  TernJob *job = data;

  job->serve->metrics.cancelled++;
  give_up (job);
}

static gboolean
is_late (gpointer data)
{
  g_autoptr (TernHttpRequest) request = NULL;
  TernJob *job = data;
  TernRefusal refusal = { 0 };

  job->timer = 0;
  job->late = TRUE;
  request = tern_http_request_ref (job->request);
  tern_refuse (&refusal, 503, "timeout_error", NULL, "expected to be done within %u s, found that this takes longer",
      job->serve->limits.timeout);
  refuse_job (job, &refusal);
  tern_refusal_clear (&refusal);
  give_up (job);
  return G_SOURCE_REMOVE;
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

static TernAnswerEnd
end_of (TernJob *job, const Told *told)
{
  return (TernAnswerEnd) { .reason = told->reason, .prompt_tokens = told->counts.prompt_tokens,
    .generated_tokens = told->counts.generated_tokens, .encode_ms = told->counts.encode_ms,
    .prompt_ms = told->counts.prompt_ms, .decode_ms = told->counts.decode_ms, .guesses = told->counts.guesses,
    .guesses_right = told->counts.guesses_right,
    .total_ms = seconds_since (job->begun) * 1000 };
}

/* What is held until it is known to be no call. */
static gboolean
holds_text (const TernJob *job)
{
  return job->ask.tools != NULL;
}

static void
finish_answer (TernJob *job, const Told *told)
{
  TernMetricsOfServer *metrics = &job->serve->metrics;
  TernAnswerEnd end = end_of (job, told);
  TernCall call = { NULL, NULL };
  gboolean calls = job->ask.tools && tern_call_find (&call, job->text->str, job->ask.tools);
  const TernScores *scores = job->ask.scores ? &job->scores : NULL;

  if (calls)
    end.reason = "tool_calls";
  if (!job->streams) {
    tern_http_reply (job->request, 200, "application/json", tern_answer_whole (&job->head, job->thought->str,
            job->text->str, scores, calls ? &call : NULL, &end));
  } else {
    g_autofree char *held = holds_text (job) && !calls && job->text->len > 0
        ? tern_answer_piece (&job->head, "", job->text->str, scores) : g_strdup ("");
    g_autofree char *last = tern_answer_last (&job->head, calls ? &call : NULL, &end);
    g_autofree char *all = g_strconcat (held, last, NULL);

    tern_http_send (job->request, all);
    tern_http_end (job->request);
  }
  tern_call_clear (&call);
  tern_histogram_add (&metrics->seconds, end.total_ms / 1000);
  metrics->prompt_tokens += end.prompt_tokens;
  metrics->visual_tokens += told->counts.visual_tokens;
  metrics->generated_tokens += end.generated_tokens;
  metrics->guesses += end.guesses;
  metrics->guesses_right += end.guesses_right;
}

static void
break_answer (TernJob *job, const Told *told)
{
  TernRefusal refusal = { 0 };
  gboolean room = told->error_code == TERN_ERROR_NO_SPACE;

  tern_refuse (&refusal, room ? 503 : 500, "server_error", NULL, "%s", told->error ? told->error : "cancelled");
  refuse_job (job, &refusal);
  tern_refusal_clear (&refusal);
}

static void
send_piece (TernJob *job, Told *told)
{
  TernScores none;
  g_autofree char *piece = NULL;

  if (*told->text || *told->thought || told->scores.content->len > 0 || told->scores.tokens->len > 0) {
    piece = tern_answer_piece (&job->head, told->thought, told->text, job->ask.scores ? &told->scores : NULL);
    tern_http_send (job->request, piece);
  }
  tern_scores_init (&none);
  tern_scores_move (&none, &told->scores);
  tern_scores_clear (&none);
}

/* No call is in it: it need not wait. */
static void
take_thought (TernJob *job, const Told *told)
{
  g_autofree char *piece = NULL;

  if (!job->streams)
    g_string_append (job->thought, told->thought);
  if (!job->streams || !*told->thought)
    return;
  piece = tern_answer_piece (&job->head, told->thought, "", NULL);
  tern_http_send (job->request, piece);
}

/* In the main loop. */
static gboolean
hear (gpointer data)
{
  Told *told = data;
  TernJob *job = told->job;

  if (job->state != JOB_IS_OVER) {
    gboolean silent = g_atomic_int_get (&job->gone) || job->late;

    if (!silent) {
      if (!job->speaks && (*told->text || *told->thought))
        tern_histogram_add (&job->serve->metrics.first_token, seconds_since (job->begun));
      job->speaks |= *told->text || *told->thought;
      g_string_append (job->text, told->text);
      if (job->streams && !holds_text (job)) {
        send_piece (job, told);
      } else {
        tern_scores_move (&job->scores, &told->scores);
        take_thought (job, told);
      }
    }
    if (told->last) {
      if (!silent && told->error)
        break_answer (job, told);
      else if (!silent)
        finish_answer (job, told);
      end_job (job);
    }
  }
  tern_scores_clear (&told->scores);
  g_free (told->text);
  g_free (told->thought);
  g_free (told->error);
  job_unref (job);
  g_free (told);
  return G_SOURCE_REMOVE;
}

/* On the engine's thread. */
static void
tell (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
  TernJob *job = data;
  Told *told = g_new0 (Told, 1);

  told->job = job_ref (job);
  told->text = g_strdup (event->text);
  told->thought = g_strdup (event->thought ? event->thought : "");
  tern_scores_init (&told->scores);
  told->scores.said = job->scores.said;
  tern_scores_add (&told->scores, event->scores, event->n_scores, job->door != TERN_DOOR_TEXT);
  job->scores.said = told->scores.said;
  told->last = event->last;
  told->reason = event->finish_reason;
  told->error = event->failure ? g_strdup (event->failure->message) : NULL;
  told->error_code = event->failure ? event->failure->code : 0;
  told->counts = *event;
  if (event->last) {
    g_mutex_lock (&job->lock);
    job->completion = NULL;
    g_mutex_unlock (&job->lock);
    tern_completion_free (completion);
  }
  g_idle_add_full (G_PRIORITY_DEFAULT, hear, told, NULL);
  if (event->last)
    job_unref (job);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* A field of the request that the library calls by another name. */
static const char *
field_of (const TernJob *job, const char *message)
{
  gboolean ollama = job->door >= TERN_DOOR_OLLAMA_CHAT;

  if (g_str_has_prefix (message, "json_schema") || g_str_has_prefix (message, "grammar"))
    return job->ask.call ? "tools" : job->ask.form_field ? job->ask.form_field : "format";
  if (g_str_has_prefix (message, "max_tokens"))
    return ollama ? "options.num_predict" : "max_tokens";
  return job->door == TERN_DOOR_TEXT || job->door == TERN_DOOR_OLLAMA_GENERATE ? "prompt" : "messages";
}

static void
refuse_by_error (TernJob *job, const GError *error)
{
  gboolean context = g_str_has_prefix (error->message, "context of ");
  gboolean memory = g_error_matches (error, TERN_ERROR, TERN_ERROR_NO_SPACE) && !context;

  tern_refuse (&job->refusal, memory ? 503 : 400, memory ? "server_error" : TERN_REQUEST_ERROR,
      memory ? NULL : field_of (job, error->message), "%s", error->message);
  if (context)
    job->refusal.code = "context_length_exceeded";
  job->refused = TRUE;
}

static void
prepare (TernJob *job)
{
  const TernAsked *ask = &job->ask;
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;
  g_autoptr (GError) error = NULL;
  TernCompletion *completion;

  params.chat = ask->chat;
  params.text = ask->text;
  params.views = (TernView *const *) ask->views->pdata;
  params.n_views = ask->views->len;
  params.json_schema = ask->json_schema;
  params.grammar = ask->grammar;
  params.stop = (const char *const *) ask->stop->pdata;
  params.sampling = ask->sampling;
  params.scores = ask->scores;
  params.top_scores = ask->top_scores;
  params.drafter = job->serve->capacity.drafter;
  params.func = tell;
  params.func_data = job;
  completion = tern_completion_new (job->serve->capacity.model, &params, &error);
  if (!completion) {
    refuse_by_error (job, error);
    return;
  }
  g_mutex_lock (&job->lock);
  job->completion = completion;
  g_mutex_unlock (&job->lock);
}

/* Said without the model. */
static void
say_fixed (TernJob *job)
{
  Told told = { .reason = "stop", .text = job->ask.fixed ? job->ask.fixed : (char *) "" };

  g_mutex_lock (&job->lock);
  if (job->completion)
    told.counts.prompt_tokens = tern_completion_prompt_tokens (job->completion);
  g_clear_pointer (&job->completion, tern_completion_free);
  g_mutex_unlock (&job->lock);
  if (job->ask.nothing)
    told.reason = "load";
  g_string_append (job->text, told.text);
  if (job->streams && *told.text) {
    g_autofree char *piece = tern_answer_piece (&job->head, "", told.text, NULL);

    tern_http_send (job->request, piece);
  }
  finish_answer (job, &told);
  end_job (job);
}

static void
begin_stream (TernJob *job)
{
  g_autofree char *first = NULL;

  job->head.include_usage = job->ask.include_usage;
  first = tern_answer_first (&job->head);
  tern_http_begin (job->request, tern_answer_stream_type (job->door));
  job->streams = TRUE;
  if (*first)
    tern_http_send (job->request, first);
}

/* The worker is done; in the main loop. */
static gboolean
was_read (gpointer data)
{
  TernJob *job = data;
  TernCompletion *completion = NULL;

  if (g_atomic_int_get (&job->gone) || job->refused) {
    if (!g_atomic_int_get (&job->gone))
      refuse_job (job, &job->refusal);
    g_clear_pointer (&job->completion, tern_completion_free);
    end_job (job);
  } else {
    job->state = JOB_IS_ANSWERED;
    if (job->ask.stream)
      begin_stream (job);
    if (job->ask.fixed || job->ask.nothing) {
      say_fixed (job);
    } else {
      g_mutex_lock (&job->lock);
      completion = job->completion;
      job_ref (job);            /* the engine's */
      g_mutex_unlock (&job->lock);
      tern_completion_start (completion);
    }
  }
  job_unref (job);
  return G_SOURCE_REMOVE;
}

/* On a worker's thread. */
void
tern_serve_work (gpointer data, gpointer serve)
{
  TernJob *job = data;

  job->refused = !tern_ask_parse (&job->ask, job->door, job->body, &job->serve->capacity, &job->gone, &job->refusal);
  g_clear_pointer (&job->body, g_bytes_unref);
  if (!job->refused && !job->ask.nothing)
    prepare (job);
  g_idle_add_full (G_PRIORITY_DEFAULT, was_read, job, NULL);
}

/* ---- The beginning ----------------------------------------------------------------------------------------------- */

static void
start_next (TernServe *serve)
{
  TernJob *job;

  while (serve->running < serve->limits.parallel && (job = g_queue_pop_head (&serve->waiting))) {
    serve->running++;
    job->state = JOB_IS_READ;
    tern_http_drop_body (job->request);
    g_thread_pool_push (serve->workers, job_ref (job), NULL);
  }
}

gboolean
tern_serve_admit (void *data, TernRefusal *refusal)
{
  TernServe *serve = data;

  if (!serve->capacity.model) {
    tern_refuse (refusal, 503, "unavailable_error", NULL, "the model is being loaded; try again");
    refusal->retry_after = 1;
    return FALSE;
  }
  if (serve->running < serve->limits.parallel || serve->waiting.length < serve->limits.waiting)
    return TRUE;
  serve->metrics.refused_busy++;
  tern_refuse (refusal, 429, "rate_limit_error", NULL, "expected at most %u requests at a time and %u that wait, found as"
      " many; try again", serve->limits.parallel, serve->limits.waiting);
  refusal->code = "rate_limit_exceeded";
  refusal->retry_after = 1 + serve->waiting.length / MAX (serve->limits.parallel, 1);
  return FALSE;
}

static TernJob *
job_new (TernServe *serve, TernHttpRequest *request, TernDoor door)
{
  static const char *const kinds[] = { "chatcmpl", "cmpl", "ollama", "ollama" };
  TernJob *job = g_new0 (TernJob, 1);

  job->refs = 1;
  job->serve = serve;
  job->request = tern_http_request_ref (request);
  job->body = g_bytes_ref (tern_http_body (request));
  job->door = door;
  job->begun = g_get_monotonic_time ();
  job->id = g_strdup_printf ("%s-%08x%08x", kinds[door], g_random_int (), (guint) ++serve->counted);
  job->head = (TernAnswerHead) { .door = door, .id = job->id, .model = serve->names[0],
    .created = g_get_real_time () / G_USEC_PER_SEC };
  job->text = g_string_new (NULL);
  job->thought = g_string_new (NULL);
  tern_scores_init (&job->scores);
  g_mutex_init (&job->lock);
  return job;
}

void
tern_job_begin (TernServe *serve, TernHttpRequest *request, TernDoor door)
{
  TernRefusal refusal = { 0 };
  TernJob *job;

  /* Others may have come while its body did. */
  if (!tern_serve_admit (serve, &refusal)) {
    tern_http_refuse (request, &refusal);
    tern_refusal_clear (&refusal);
    return;
  }
  job = job_new (serve, request, door);
  g_ptr_array_add (serve->jobs, job);
  g_queue_push_tail (&serve->waiting, job);
  job->timer = g_timeout_add_seconds (serve->limits.timeout, is_late, job);
  tern_http_on_gone (request, client_gone, job);
  start_next (serve);
}

void
tern_serve_end_jobs (TernServe *serve)
{
  serve->limits.parallel = 0;           /* none begins any more */
  for (guint i = serve->jobs->len; i > 0; i--)
    give_up (serve->jobs->pdata[MIN (i, serve->jobs->len) - 1]);
  while (serve->jobs->len > 0)
    g_main_context_iteration (NULL, TRUE);
}
