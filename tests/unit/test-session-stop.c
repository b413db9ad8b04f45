/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues, cancelling, flushing and callbacks: what happens between threads. The engine is held where a test wants it, and
 * work that begins after a stop is counted. How long stops take is measured with `-m perf`. */
#include <time.h>

#include "session-gate.h"
#include "tern/session-priv.h"

/* ---- Latency, measured ------------------------------------------------------------------------------------------- */

/* Milliseconds that a stop may take on a machine of its own. */
#define PROMPTLY (100. * SLOWER)

/* How much longer than its processor time work takes here and now, because others use the machine too; at least 1. */
static double
contention (void)
{
  gint64 begin = g_get_monotonic_time ();
  struct timespec start, now;
  double used;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &start);
  do {
    clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
    used = (double) (now.tv_sec - start.tv_sec) * 1e6 + (double) (now.tv_nsec - start.tv_nsec) / 1e3;
  } while (used < 30000);
  return MAX ((double) (g_get_monotonic_time () - begin) / used, 1);
}

static gint
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static void
assert_prompt (const char *what, double *ms, guint n)
{
  double factor = contention ();

  qsort (ms, n, sizeof (double), compare_doubles);
  g_test_message ("%s: median %.1f ms, longest %.1f ms; machine shared by a factor of %.1f", what, ms[n / 2], ms[n - 1],
      factor);
  /* Another program may hold a core for a while: one in five may be late by that. */
  g_assert_cmpfloat (ms[n * 4 / 5], <, PROMPTLY * factor);
  g_assert_cmpfloat (ms[n - 1], <, 10 * PROMPTLY * factor);
}

static TernSessionParams
long_params (void)
{
  TernSessionParams params = quick_params ();

  params.sampling.max_tokens = 400;
  return params;
}

/* What does not fit is refused, not waited for; and nothing is lost. */
static void
test_busy (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params), again = new_session (model, &params);
  g_autoptr (GError) error = NULL;
  g_autofree char *all = NULL, *alone = NULL;
  guint taken = 0;
  Hold hold;

  hold_engine (&hold, model);
  while (push_sized (session, FRAME_W, FRAME_H, 3 * taken, 1, MS (500 * taken), MS (500), &error))
    taken++;
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  g_assert_cmpuint (taken, ==, 8);      /* a window and a group */
  g_assert_false (tern_session_wait (session, 1000));
  release_engine (&hold);
  push_run (session, taken, 40 - taken, 1);
  tern_session_finish (session);
  all = drain (session);

  push_run (again, 0, 40, 1);
  tern_session_finish (again);
  alone = drain (again);
  g_assert_cmpstr (all, ==, alone);
}

/* Live: nothing is refused, the newest window is answered, what was dropped is counted. More in test-session-grid.c. */
static void
test_live (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  g_autofree char *all = NULL, *alone = NULL;
  TernSessionStats stats;
  Hold hold;

  params.live = TRUE;
  session = new_session (model, &params);
  hold_engine (&hold, model);
  for (guint i = 0; i < 120; i++) {
    g_autoptr (GError) error = NULL;

    push_sized (session, FRAME_W, FRAME_H, 3 * i, 1, MS (500 * i), MS (500), &error);
    g_assert_no_error (error);
  }
  release_engine (&hold);
  all = drain (session);
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.windows_done, ==, 1);
  g_assert_cmpuint (stats.windows_dropped, ==, 29);

  push_run (session, 120, 1, 1);        /* nothing of before is left over */
  tern_session_flush (session);
  push_run (session, 116, 4, 1);
  tern_session_finish (session);
  alone = drain (session);
  g_assert_true (g_str_has_prefix (all, "caption|58.000-60.000|"));
  g_assert_cmpstr (all, ==, alone);
}

/* ---- Waiting ---- */

typedef struct {
  TernSession *session;
  gboolean for_room;
  TernResult *result;
  TernNext next;
  gboolean in_time;
} Waiter;

static gpointer
wait_for_ever (gpointer data)
{
  Waiter *waiter = data;

  if (waiter->for_room)
    waiter->in_time = tern_session_wait (waiter->session, -1);
  else
    waiter->next = tern_session_next (waiter->session, -1, &waiter->result);
  return NULL;
}

/* Until @n threads wait. */
static void
await_waiters (TernSession *session, guint n)
{
  gboolean waiting = FALSE;

  while (!waiting) {
    g_mutex_lock (&session->lock);
    waiting = session->waiting == n;
    g_mutex_unlock (&session->lock);
    g_usleep (50);
  }
}

/* Who waits without an end is woken by whatever ends the work, though the engine stands still. */
static void
test_woken (void)
{
  static void (*const ends[]) (TernSession *) = { tern_session_flush, tern_session_cancel, tern_session_free };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();

  for (guint i = 0; i < 2 * G_N_ELEMENTS (ends); i++) {
    TernSession *session = new_session (model, &params);
    Waiter waiters[2];
    GThread *threads[2];
    Hold hold;

    hold_engine (&hold, model);
    for (guint f = 0; push_sized (session, FRAME_W, FRAME_H, f, 1, MS (500 * f), MS (500), NULL); f++);
    for (guint t = 0; t < 2; t++) {
      waiters[t] = (Waiter) { session, i % 2, NULL, TERN_NEXT_PENDING, FALSE };
      threads[t] = g_thread_new ("waiter", wait_for_ever, &waiters[t]);
    }
    await_waiters (session, 2);
    ends[i / 2] (session);
    for (guint t = 0; t < 2; t++) {
      g_thread_join (threads[t]);
      g_assert_null (waiters[t].result);
      if (waiters[t].for_room)
        g_assert_true (waiters[t].in_time);
      else
        g_assert_cmpint (waiters[t].next, ==, TERN_NEXT_END);
    }
    release_engine (&hold);
    if (ends[i / 2] != tern_session_free)
      tern_session_free (session);
  }
}

static guint64
ask (TernSession *session)
{
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (GError) error = NULL;
  guint64 id = 0;

  tern_session_ask (session, &request, &id, &error);
  g_assert_no_error (error);
  return id;
}

/* A cancel ends requests that wait for a frame though the engine has nothing to do, and who waits for them hears of it. */
static void
test_cancel_idle (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);

  for (guint i = 0; i < 3; i++) {
    TernResult *result;
    guint64 first = ask (session), n = 0;

    ask (session);
    come_to_rest (model->scheduler);
    tern_session_cancel (session);
    while ((result = next_result (session))) {
      g_assert_cmpstr (result->finish_reason, ==, "cancelled");
      g_assert_cmpuint (result->ask_id, ==, first + n++);
      tern_result_unref (result);
    }
    g_assert_cmpuint (n, ==, 2);
  }
}

/* A flush ends a wait for what comes, and leaves the request that it was for. */
static void
test_flush_wakes (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernResult) result = NULL;
  Waiter waiters[2];
  GThread *threads[2];
  guint64 id;

  id = ask (session);
  come_to_rest (model->scheduler);
  for (guint t = 0; t < 2; t++) {
    waiters[t] = (Waiter) { session, FALSE, NULL, TERN_NEXT_PENDING, FALSE };
    threads[t] = g_thread_new ("waiter", wait_for_ever, &waiters[t]);
  }
  await_waiters (session, 2);
  tern_session_flush (session);
  for (guint t = 0; t < 2; t++) {
    g_thread_join (threads[t]);
    g_assert_null (waiters[t].result);
    g_assert_cmpint (waiters[t].next, ==, TERN_NEXT_END);
  }
  g_assert_cmpint (tern_session_next (session, 0, &result), ==, TERN_NEXT_PENDING);
  push_run (session, 0, 1, 0);
  result = next_result (session);
  g_assert_cmpuint (result->ask_id, ==, id);
  g_assert_cmpstr (result->kind, ==, "caption");
}

static double
ms_since (gint64 begin)
{
  return (double) (g_get_monotonic_time () - begin) / 1000;
}

/* Stops at many moments of encoding, prefill and decode. */
static void
test_stop_latency (void)
{
  g_autoptr (TernModel) model = open_model (0);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  TernSessionParams params = long_params ();
  double ms[3][10];

  for (guint round = 0; round < 30; round++) {
    TernSession *session = new_session (model, &params);
    TernResult *result;
    gint64 begin;

    for (guint i = 0; i < 8; i++)
      push_sized (session, 1280, 720, i, 0, MS (500 * i), MS (500), NULL);
    g_usleep ((gulong) g_rand_int_range (rand, 0, 150000));
    begin = g_get_monotonic_time ();
    if (round % 3 == 0) {
      tern_session_cancel (session);
      while ((result = next_result (session)))
        tern_result_unref (result);
    } else if (round % 3 == 1) {
      tern_session_flush (session);
      g_assert_null (tern_session_poll (session));
    }
    if (round % 3 < 2)
      ms[round % 3][round / 3] = ms_since (begin);
    tern_session_free (session);
    if (round % 3 == 2)
      ms[2][round / 3] = ms_since (begin);
  }
  assert_prompt ("cancel", ms[0], 10);
  assert_prompt ("flush", ms[1], 10);
  assert_prompt ("free", ms[2], 10);
}

typedef enum { STOP_CANCEL, STOP_FLUSH, STOP_FREE, N_STOPS } Stop;

static void
push_all (TernSession *session)
{
  for (guint i = 0; i < 8; i++)
    push_sized (session, FRAME_W, FRAME_H, i, 0, MS (500 * i), MS (500), NULL);
}

/* Stops a session while the engine stands before slice @at of its work. */
static void
check_stop (TernModel *model, Gate *gate, guint at, Stop how)
{
  TernSessionParams params = quick_params ();
  TernSession *session = new_session (model, &params);
  TernResult *result;

  gate_set (model, gate, at, &session->cancel);
  push_all (session);
  gate_wait (gate);
  if (how == STOP_CANCEL) {
    tern_session_cancel (session);
    while ((result = next_result (session)))
      tern_result_unref (result);
  } else if (how == STOP_FLUSH) {
    tern_session_flush (session);
    g_assert_null (tern_session_poll (session));
  }
  /* The flag lies in the session: nobody looks at it any more when that is gone. */
  if (how != STOP_FREE)
    tern_scheduler_settle (model->scheduler, &session->client);
  tern_session_free (session);
  g_assert_cmpuint (gate->begun, ==, at);
  g_assert_cmpuint (gate->after, ==, 0);
}

/* At many moments of encoding, prefill and decode: what was begun ends, nothing else begins. */
static void
test_stop (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  guint all, step;
  Gate gate;

  gate_init (&gate);
  gate_set (model, &gate, 0, NULL);
  {
    g_autoptr (TernSession) session = new_session (model, &params);
    g_autofree char *said = NULL;

    push_all (session);
    tern_session_finish (session);
    said = drain (session);
  }
  all = gate.begun;
  g_assert_cmpuint (all, >, 300);
  step = all / 24;
  for (guint i = 0; i < 24; i++)
    check_stop (model, &gate, 1 + i * step + i % 7, i % N_STOPS);
  gate_set (model, NULL, 0, NULL);
  gate_clear (&gate);
}

/* Slices of one window's work. */
typedef struct {
  guint prefill, all;           /* until the first token, until the end */
} Course;

static Course
course (TernModel *model, const TernSessionParams *params, Gate *gate)
{
  TernSessionParams one = *params;
  guint slices[2];

  for (guint i = 0; i < 2; i++) {
    g_autoptr (TernSession) session = NULL;
    g_autofree char *said = NULL;

    one.sampling.max_tokens = i ? params->sampling.max_tokens : 1;
    session = new_session (model, &one);
    gate_set (model, gate, 0, NULL);
    push_run (session, 0, 4, 0);
    tern_session_finish (session);
    said = drain (session);
    slices[i] = gate->begun;
  }
  return (Course) { slices[0], slices[1] };
}

/* Cancelled while it says something: what was said stands. */
static void
test_cancel_result (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  guint cancelled = 0;
  Course slices;
  Gate gate;

  params.sampling.max_tokens = 40;
  gate_init (&gate);
  slices = course (model, &params, &gate);
  g_assert_cmpuint (slices.all, >, slices.prefill);
  {
    g_autoptr (TernSession) session = new_session (model, &params);
    TernResult *result;

    gate_set (model, &gate, (slices.prefill + slices.all) / 2, &session->cancel);
    push_run (session, 0, 4, 0);
    gate_wait (&gate);
    tern_session_cancel (session);
    while ((result = next_result (session))) {
      g_assert_cmpstr (result->finish_reason, ==, "cancelled");
      g_assert_cmpuint (result->generated_tokens, >, 0);
      g_assert_cmpuint (result->generated_tokens, <, params.sampling.max_tokens);
      cancelled++;
      tern_result_unref (result);
    }
    g_assert_cmpuint (cancelled, ==, 1);
    g_assert_cmpuint (gate.after, ==, 0);
    tern_scheduler_settle (model->scheduler, &session->client);
  }
  gate_set (model, NULL, 0, NULL);
  gate_clear (&gate);
}

/* After a flush everything is as at the beginning. */
static void
test_flush (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernSession) fresh = new_session (model, &params);
  g_autofree char *a = NULL, *b = NULL;

  push_run (session, 0, 11, 0);
  tern_session_flush (session);
  g_assert_null (next_result (session));
  push_run (session, 0, 7, 2);
  tern_session_finish (session);
  a = drain (session);
  push_run (fresh, 0, 7, 2);
  tern_session_finish (fresh);
  b = drain (fresh);
  g_assert_cmpstr (a, ==, b);
}

/* ---- Callbacks ---- */

typedef struct {
  TernModel *model;
  TernSession *session;
  GMutex lock;
  GCond done;
  guint results;
  guint stop_at;                /* frees its session with this result */
  gboolean freed;
} Callback;

static void
on_result (void *data, TernResult *result)
{
  Callback *c = data;

  g_mutex_lock (&c->lock);
  c->results++;
  if (c->results == 1)
    push_sized (c->session, FRAME_W, FRAME_H, 0, 0, 90 * TERN_SECOND, MS (500), NULL);
  tern_session_set_prompt (c->session, "Again?", NULL, NULL);
  if (c->results == c->stop_at) {
    tern_session_flush (c->session);
    tern_session_free (c->session);
    tern_model_unref (c->model);        /* the last reference, on the model's own thread */
    c->freed = TRUE;
  }
  g_cond_signal (&c->done);
  g_mutex_unlock (&c->lock);
}

static void
test_callback (void)
{
  Callback c = { .stop_at = 3 };
  TernSessionParams params = quick_params ();

  g_mutex_init (&c.lock);
  g_cond_init (&c.done);
  c.model = open_model (0);
  params.func = on_result;
  params.func_data = &c;
  c.session = new_session (c.model, &params);
  g_mutex_lock (&c.lock);
  for (guint i = 0; i < 12; i++) {
    g_mutex_unlock (&c.lock);
    push_run (c.session, i, 1, 0);
    g_mutex_lock (&c.lock);
    while (i % 4 == 3 && c.results < (i + 1) / 4)
      g_cond_wait (&c.done, &c.lock);
    if (c.freed)
      break;
  }
  g_assert_true (c.freed);
  g_assert_cmpuint (c.results, ==, 3);
  g_mutex_unlock (&c.lock);
  g_mutex_clear (&c.lock);
  g_cond_clear (&c.done);
}

/* ---- Encoders ---- */

typedef struct {
  TernEncoder *encoder;
  gint runs, cancelled;         /* atomic */
} Encoding;

static gpointer
encode_until_cancelled (gpointer data)
{
  Encoding *e = data;
  g_autofree guint8 *pixels = g_malloc (1280 * 720 * 3);
  g_autofree float *rows = g_new (float, 256 * 256);
  TernImage image = { .format = TERN_IMAGE_RGB, .width = 1280, .height = 720, .data = { pixels }, .stride = { 3840 } };
  g_autoptr (GError) error = NULL;
  TernTokens tokens;

  paint (pixels, 1280, 720, 0, 0);
  while (tern_encoder_run (e->encoder, &image, rows, &tokens, &error))
    g_atomic_int_inc (&e->runs);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_CANCELLED);
  g_atomic_int_set (&e->cancelled, 1);
  return NULL;
}

static void
test_encoder_latency (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = long_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  Encoding e = { .encoder = tern_encoder_new (model, TERN_FIT_CROP, NULL) };
  double ms[8];

  push_run (session, 0, 8, 0);          /* work beside it */
  for (guint round = 0; round < 8; round++) {
    GThread *thread = g_thread_new ("encoder", encode_until_cancelled, &e);
    gint64 begin;

    g_usleep (20000 + 7000 * round);
    begin = g_get_monotonic_time ();
    tern_encoder_cancel (e.encoder, TRUE);
    g_thread_join (thread);
    ms[round] = ms_since (begin);
    tern_encoder_cancel (e.encoder, FALSE);
  }
  assert_prompt ("cancel of an encoder", ms, 8);
  tern_encoder_free (e.encoder);
}

/* In the midst of its work it begins no further slice. */
static void
test_encoder_cancel (void)
{
  g_autoptr (TernModel) model = open_model (0);
  Encoding e = { .encoder = tern_encoder_new (model, TERN_FIT_CROP, NULL) };
  Gate gate;

  gate_init (&gate);
  for (guint at = 1; at < 100; at += 9) {
    GThread *thread;

    gate_set (model, &gate, at, NULL);
    thread = g_thread_new ("encoder", encode_until_cancelled, &e);
    gate_wait (&gate);
    tern_encoder_cancel (e.encoder, TRUE);
    gate_open (&gate);
    g_thread_join (thread);
    g_assert_cmpuint (gate.begun, ==, at);
    tern_encoder_cancel (e.encoder, FALSE);
  }
  gate_set (model, NULL, 0, NULL);
  g_assert_cmpint (e.cancelled, ==, 1);
  tern_encoder_free (e.encoder);
  gate_clear (&gate);
}

/* Before its turn has come it does not wait for whoever has it. */
static void
test_encoder_cancel_waiting (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  Encoding e = { .encoder = tern_encoder_new (model, TERN_FIT_CROP, NULL) };
  GThread *thread;
  Gate gate;

  gate_init (&gate);
  gate_set (model, &gate, 5, NULL);
  push_all (session);
  gate_wait (&gate);
  thread = g_thread_new ("encoder", encode_until_cancelled, &e);
  while (!tern_scheduler_is_wanted (model->scheduler))
    g_usleep (50);
  tern_encoder_cancel (e.encoder, TRUE);
  g_thread_join (thread);       /* the engine still stands */
  g_assert_cmpint (e.runs, ==, 0);
  g_assert_cmpuint (gate.begun, ==, 5);
  gate_open (&gate);
  tern_session_flush (session);
  gate_set (model, NULL, 0, NULL);
  tern_encoder_free (e.encoder);
  gate_clear (&gate);
}

/* An encoder is served while a session of the same model works. */
static void
test_encoder_beside_session (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autofree char *alone = NULL, *beside = NULL;
  g_autoptr (TernSession) a = new_session (model, &params);
  g_autoptr (TernSession) b = new_session (model, &params);
  Encoding e = { .encoder = tern_encoder_new (model, TERN_FIT_CROP, NULL) };
  GThread *thread;
  Gate gate;

  push_run (a, 0, 8, 1);
  tern_session_finish (a);
  alone = drain (a);

  gate_init (&gate);
  gate_set (model, &gate, 5, NULL);
  for (guint i = 0; i < 8; i++)
    push_sized (b, FRAME_W, FRAME_H, 3 * i, 1, MS (500 * i), MS (500), NULL);
  gate_wait (&gate);
  thread = g_thread_new ("encoder", encode_until_cancelled, &e);
  while (!tern_scheduler_is_wanted (model->scheduler))
    g_usleep (50);
  gate_open (&gate);
  tern_session_finish (b);
  beside = drain (b);
  tern_encoder_cancel (e.encoder, TRUE);
  g_thread_join (thread);
  tern_encoder_free (e.encoder);
  g_assert_cmpint (e.runs, >, 0);
  g_assert_cmpstr (alone, ==, beside);
  gate_set (model, NULL, 0, NULL);
  gate_clear (&gate);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session/busy", test_busy);
  g_test_add_func ("/session/live", test_live);
  g_test_add_func ("/session/woken", test_woken);
  g_test_add_func ("/session/cancel-idle", test_cancel_idle);
  g_test_add_func ("/session/flush-wakes", test_flush_wakes);
  g_test_add_func ("/session/stop", test_stop);
  g_test_add_func ("/session/cancel-result", test_cancel_result);
  g_test_add_func ("/session/flush", test_flush);
  g_test_add_func ("/session/callback", test_callback);
  g_test_add_func ("/encoder/cancel", test_encoder_cancel);
  g_test_add_func ("/encoder/cancel-waiting", test_encoder_cancel_waiting);
  g_test_add_func ("/encoder/beside-session", test_encoder_beside_session);
  if (g_test_perf ()) {
    g_test_add_func ("/session/stop-latency", test_stop_latency);
    g_test_add_func ("/encoder/cancel-latency", test_encoder_latency);
  }
  return g_test_run ();
}
