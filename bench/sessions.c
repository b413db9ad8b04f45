/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sessions cost and gain beside each other; every figure is a comparison within one run.
 *
 *   sessions beams MODEL          4 beams against greedy: time of decode on one window
 *   sessions questions MODEL      4 questions about a window of 8 frames against 1
 *   sessions labels MODEL [N]     answers by labels on a window of 8 frames against a free one of N (12) tokens
 *   sessions first-token MODEL    from the end of a window of 32 frames to the first token, frames coming at 2 a second,
 *                                 against reading the last group and the prompt's tail
 *   sessions stops MODEL [N]      cancel, flush and free at any point with 16 sessions busy, N (1000) times
 *   sessions cameras MODEL [S]    16 cameras at 2 frames a second for S (60) seconds
 *   sessions memory MODEL         of one more session
 *
 * MODEL: a language model (for beams to stops: frames are random visual tokens of its width, 49 each), or `bundled` (cameras,
 * memory: pictures). Threads: all cores. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "bench/median.h"
#include "engine/base/random.h"
#include "tern/model-priv.h"
#include "tern/tern.h"

#define TOKENS 49
#define CAMERAS 16
#define MS(x) ((guint64) (x) * 1000000)

static TernModel *model;
static float *rows;             /* [64][TOKENS][width] */

static gint64
now (void)
{
  return g_get_monotonic_time ();
}

static void
fail (GError *error)
{
  g_printerr ("sessions: %s\n", error->message);
  exit (1);
}

static void
open_model (const char *path)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  gboolean bundled = strcmp (path, "bundled") == 0;
  g_autoptr (GError) error = NULL;
  TernRandom random = { 1 };
  gsize n;

  params.model_path = bundled ? NULL : path;
  params.parts = bundled ? TERN_MODEL_FULL : TERN_MODEL_TEXT;
  if (!(model = tern_model_open (&params, &error)))
    fail (error);
  n = (gsize) 64 * TOKENS * tern_model_embedding_dim (model);
  rows = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    rows[i] = (float) (tern_random_uniform (&random) - .5) / 8;
}

static TernSession *
new_session (const TernSessionParams *params)
{
  g_autoptr (GError) error = NULL;
  TernSession *session = tern_session_new (model, params, &error);

  if (!session)
    fail (error);
  return session;
}

static gboolean
push_tokens (TernSession *session, guint i, GError **error)
{
  guint dim = tern_model_embedding_dim (model);
  TernTokens tokens = { .pts = MS (500) * i, .duration = MS (500), .number = i, .grid_w = 7, .grid_h = 7, .dim = dim,
    .n_tokens = TOKENS, .tokens = rows + (gsize) (i % 64) * TOKENS * dim };

  return tern_session_push_tokens (session, &tokens, error);
}

/* Pushes frames [first, first + n), and waits where there is no room. */
static void
push_all (TernSession *session, guint first, guint n)
{
  for (guint i = first; i < first + n; i++) {
    GError *error = NULL;

    while (!push_tokens (session, i, &error)) {
      if (!g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY))
        fail (error);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
}

/* ---- Beams and questions ----------------------------------------------------------------------------------------- */

/* Milliseconds from the push of a whole window of @frames to its last result, and its time of decode. */
static double
answer (const TernSessionParams *params, guint frames, double *decode_ms, guint *said)
{
  g_autoptr (TernSession) session = new_session (params);
  gint64 begin = now ();
  TernResult *result;

  *decode_ms = 0;
  *said = 0;
  push_all (session, 0, frames);
  tern_session_finish (session);
  while (tern_session_next (session, -1, &result) == TERN_NEXT_RESULT) {
    *decode_ms = MAX (*decode_ms, result->metrics.decode_ms);
    *said += result->generated_tokens;
    tern_result_unref (result);
  }
  return (double) (now () - begin) / 1000;
}

static TernSessionParams
text_params (guint frames)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  params.window = frames * MS (500);
  params.metrics = TRUE;
  params.sampling.ignore_eog = TRUE;
  return params;
}

static void
beams (void)
{
  enum { RUNS = 7 };
  TernSessionParams params = text_params (8);
  double ms[2][RUNS], whole;
  guint said[2];

  for (guint run = 0; run <= RUNS; run++)
    for (guint i = 0; i < 2; i++) {
      double decode;

      params.sampling.beam = i ? 4 : 1;
      whole = answer (&params, 8, &decode, &said[i]);
      if (run > 0)
        ms[i][run - 1] = decode;
      (void) whole;
    }
  g_print ("decode of a window of 8 frames, median of %d: greedy %.1f ms (%u tokens), 4 beams %.1f ms (%u): %.2f times\n",
      RUNS, median (ms[0], RUNS), said[0], median (ms[1], RUNS), said[1], median (ms[1], RUNS) / median (ms[0], RUNS));
}

static void
questions (void)
{
  enum { RUNS = 7 };
  static const TernQuestion four[] = {
    { .prompt = "Describe what happens.", .prompt_id = "what" }, { .prompt = "Who is there?", .prompt_id = "who" },
    { .prompt = "Where is it?", .prompt_id = "where" }, { .prompt = "Is anything burning?", .prompt_id = "fire" },
  };
  TernSessionParams params = text_params (8);
  double ms[2][RUNS];
  guint said[2];

  params.questions = four;
  for (guint run = 0; run <= RUNS; run++)
    for (guint i = 0; i < 2; i++) {
      double decode, whole;

      params.n_questions = i ? 4 : 1;
      whole = answer (&params, 8, &decode, &said[i]);
      if (run > 0)
        ms[i][run - 1] = whole;
    }
  g_print ("a window of 8 frames, median of %d: 1 question %.1f ms (%u tokens), 4 questions %.1f ms (%u): %.2f times\n",
      RUNS, median (ms[0], RUNS), said[0], median (ms[1], RUNS), said[1], median (ms[1], RUNS) / median (ms[0], RUNS));
}

typedef struct {
  const char *name;
  const char *labels[21];
} Choice;

static const Choice choices[] = {
  { "free", { NULL } },
  { "2 words", { "yes", "no" } },
  { "20 words", { "dog", "car", "man", "woman", "child", "horse", "tree", "boat", "ball", "bicycle", "street", "beach", "snow",
      "grass", "house", "water", "bird", "cat", "bus", "nobody" } },
  { "2 phrases", { "somebody has fallen down", "nobody is there" } },
  { "20 phrases", { "a dog is running", "a man rides a bicycle", "two children play football on the grass",
      "somebody has fallen down", "a car stands in the street", "people walk on a beach", "a boat on the water",
      "nobody is there", "a woman holds a red umbrella", "a horse jumps over a fence", "a crowd is watching",
      "snow falls on the trees", "a bird in a tree", "a child on a swing", "a man climbs a rock", "a bus has stopped",
      "smoke rises from a house", "a cat sleeps", "a group of people sits at a table", "a player kicks the ball" } },
};

/* Milliseconds of prefill and decode of one window. */
static void
answer_choice (const TernSessionParams *params, double *prefill_ms, double *decode_ms)
{
  g_autoptr (TernSession) session = new_session (params);
  TernResult *result;

  push_all (session, 0, 8);
  tern_session_finish (session);
  if (tern_session_next (session, -1, &result) != TERN_NEXT_RESULT)
    g_error ("no answer");
  *prefill_ms = result->metrics.prefill_ms;
  *decode_ms = result->metrics.decode_ms;
  tern_result_unref (result);
}

static void
labels (guint tokens)
{
  enum { RUNS = 7, N = G_N_ELEMENTS (choices) };
  TernSessionParams params = text_params (8);
  double prefill[N][RUNS], decode[N][RUNS], free_ms[2] = { 0 };
  TernQuestion question = { .prompt = "What is there?" };

  params.sampling.max_tokens = tokens;
  params.questions = &question;
  params.n_questions = 1;
  for (guint run = 0; run <= RUNS; run++)
    for (guint i = 0; i < N; i++) {
      double ms[2];

      question.labels = choices[i].labels[0] ? choices[i].labels : NULL;
      answer_choice (&params, &ms[0], &ms[1]);
      prefill[i][run > 0 ? run - 1 : 0] = ms[0];
      decode[i][run > 0 ? run - 1 : 0] = ms[1];
    }
  for (guint i = 0; i < N; i++) {
    double p = median (prefill[i], RUNS), d = median (decode[i], RUNS);

    if (i == 0) {
      free_ms[0] = p + d;
      free_ms[1] = d;
    }
    g_print ("%-10s  prefill %8.2f ms, decode %8.2f ms; a free answer of %u tokens is %.1f times as long, its decode %.1f\n",
        choices[i].name, p, d, tokens, free_ms[0] / (p + d), free_ms[1] / d);
  }
}

/* ---- The first token --------------------------------------------------------------------------------------------- */

/* Milliseconds in which a pass alone reads @n rows after @depth others. */
typedef struct {
  guint depth, n;
  double ms;
} Reading;

static void
read_alone (void *data)
{
  Reading *reading = data;
  TernLlm *llm = model->text->llm;
  TernSoloParams params = { .context = 2048 };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = tern_solo_new (llm, &params, tern_scheduler_pool (model->scheduler), &error);
  g_autofree float *logits = g_new (float, tern_llm_info (llm)->n_vocab);
  TernLlmInput input = { .rows = rows, .ld = tern_llm_info (llm)->width };
  gint64 begin;

  input.n = reading->depth;
  if (!solo || !tern_solo_eval (solo, &input, TERN_LOGITS_NONE, NULL, NULL, &error))
    fail (error);
  begin = now ();
  input.n = reading->n;
  if (!tern_solo_eval (solo, &input, TERN_LOGITS_LAST, logits, NULL, &error))
    fail (error);
  reading->ms = (double) (now () - begin) / 1000;
}

static void
first_token (void)
{
  enum { FRAMES = 32, RUNS = 3 };
  TernSessionParams params = text_params (FRAMES);
  double waited[RUNS], alone[RUNS];
  guint prompt = 0;

  params.live = TRUE;
  params.compress.method = TERN_METHOD_NONE;
  params.sampling.max_tokens = 1;
  for (guint run = 0; run < RUNS; run++) {
    g_autoptr (TernSession) session = new_session (&params);
    Reading reading;
    TernResult *result;
    gint64 begin = now ();

    for (guint i = 0; i < FRAMES; i++) {
      gint64 due = begin + (gint64) i * 500000;

      if (due > now ())
        g_usleep ((gulong) (due - now ()));
      push_all (session, i, 1);
    }
    begin = now ();
    tern_session_next (session, -1, &result);
    waited[run] = (double) (now () - begin) / 1000;
    prompt = result->prompt_tokens;
    tern_result_unref (result);
    reading = (Reading) { .depth = (FRAMES - 4) * TOKENS, .n = prompt - (FRAMES - 4) * TOKENS };
    tern_scheduler_call (model->scheduler, read_alone, &reading);
    alone[run] = reading.ms;
  }
  g_print ("window of %d frames, prompt of %u tokens, median of %d: first token %.1f ms after the last frame; the last "
      "group and the tail alone %.1f ms: %.2f times\n", FRAMES, prompt, RUNS, median (waited, RUNS),
      median (alone, RUNS), median (waited, RUNS) / median (alone, RUNS));
}

/* ---- Stops ------------------------------------------------------------------------------------------------------- */

static void
keep_busy (TernSession *session, guint *next)
{
  while (push_tokens (session, *next, NULL))
    ++*next;
}

static void
stops (guint n)
{
  static const char *const names[] = { "cancel", "flush", "free" };
  TernSessionParams params = text_params (8);
  TernSession *sessions[CAMERAS];
  guint next[CAMERAS] = { 0 }, counts[3] = { 0 };
  double *ms[3];
  TernRandom random = { 7 };
  TernResult *result;

  params.sampling.max_tokens = 64;
  for (guint i = 0; i < 3; i++)
    ms[i] = g_new (double, n);
  for (guint i = 0; i < CAMERAS; i++)
    sessions[i] = new_session (&params);
  for (guint t = 0; t < n; t++) {
    guint who = tern_random_below (&random, CAMERAS), how = tern_random_below (&random, 3);
    gint64 begin;

    for (guint i = 0; i < CAMERAS; i++) {
      keep_busy (sessions[i], &next[i]);
      while ((result = tern_session_poll (sessions[i])))
        tern_result_unref (result);
    }
    g_usleep (tern_random_below (&random, 100000));
    begin = now ();
    if (how == 0) {
      tern_session_cancel (sessions[who]);
      while (tern_session_next (sessions[who], -1, &result) == TERN_NEXT_RESULT)
        tern_result_unref (result);
    } else if (how == 1) {
      tern_session_flush (sessions[who]);
    } else {
      tern_session_free (sessions[who]);
    }
    ms[how][counts[how]++] = (double) (now () - begin) / 1000;
    if (how == 2)
      sessions[who] = new_session (&params);
    next[who] = 0;
  }
  for (guint i = 0; i < 3; i++) {
    double middle = median (ms[i], counts[i]);
    guint late = 0;

    for (guint k = 0; k < counts[i]; k++)
      late += ms[i][k] >= 100;
    g_print ("%s, 16 sessions busy, %u times: median %.1f ms, longest %.1f ms, %u of 100 ms or more\n", names[i], counts[i],
        middle, ms[i][counts[i] - 1], late);
    g_free (ms[i]);
  }
  for (guint i = 0; i < CAMERAS; i++)
    tern_session_free (sessions[i]);
}

/* ---- Cameras ----------------------------------------------------------------------------------------------------- */

static void
paint (guint8 *pixels, guint w, guint h, guint t, guint camera)
{
  for (guint y = 0; y < h; y++)
    for (guint x = 0; x < w; x++) {
      guint8 *p = pixels + 3 * (y * w + x);

      p[0] = (guint8) (x + 7 * t + camera * 40);
      p[1] = (guint8) (y + 3 * t);
      p[2] = (guint8) ((x * y >> 6) + camera * 90);
    }
}

static void
cameras (guint seconds)
{
  enum { W = 320, H = 180 };
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  TernSession *sessions[CAMERAS];
  double total[CAMERAS] = { 0 }, least = G_MAXDOUBLE, most = 0;
  guint answers[CAMERAS] = { 0 }, dropped = 0, done = 0;
  g_autofree guint8 *pixels = g_malloc (3 * W * H);
  gint64 begin = now ();

  params.live = TRUE;
  params.metrics = TRUE;
  for (guint i = 0; i < CAMERAS; i++)
    sessions[i] = new_session (&params);
  for (guint t = 0; t <= 2 * seconds + 8; t++) {
    gint64 due = begin + (gint64) t * 500000;

    if (due > now ())
      g_usleep ((gulong) (due - now ()));
    for (guint i = 0; i < CAMERAS; i++) {
      TernImage image = { .format = TERN_IMAGE_RGB, .width = W, .height = H, .data = { pixels }, .stride = { 3 * W } };
      TernResult *result;

      if (t < 2 * seconds) {
        paint (pixels, W, H, t, i);
        tern_session_push_frame (sessions[i], &image, MS (500) * t, MS (500), NULL);
      }
      while ((result = tern_session_poll (sessions[i]))) {
        total[i] += result->metrics.total_ms;
        answers[i]++;
        tern_result_unref (result);
      }
    }
  }
  for (guint i = 0; i < CAMERAS; i++) {
    TernSessionStats stats;

    tern_session_stats (sessions[i], &stats);
    dropped += (guint) stats.windows_dropped;
    done += (guint) stats.windows_done;
    total[i] /= MAX (answers[i], 1);
    least = MIN (least, total[i]);
    most = MAX (most, total[i]);
    tern_session_free (sessions[i]);
  }
  g_print ("16 cameras, %u s at 2 frames/s: %u windows answered of %u, %u dropped; mean time from a window's last frame to "
      "its result %.0f ms (least of a camera) to %.0f ms (most): %.2f times\n", seconds, done, CAMERAS * seconds / 4,
      dropped, least, most, most / least);
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static gsize
in_use (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

static void
memory (void)
{
  enum { W = 224, H = 224, N = 8 };
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  g_autofree guint8 *pixels = g_malloc (3 * W * H);
  TernSession *sessions[1 + N];
  gsize before = 0, frames = 12 * (gsize) 3 * W * H;    /* slots of a window and a group */
  gsize tokens = 3 * (gsize) 4 * 49 * tern_model_embedding_dim (model) * sizeof (float);

  for (guint s = 0; s <= N; s++) {
    TernResult *result;

    if (s == 1)
      before = in_use ();
    sessions[s] = new_session (&params);
    for (guint t = 0; t < 8; t++) {
      TernImage image = { .format = TERN_IMAGE_RGB, .width = W, .height = H, .data = { pixels }, .stride = { 3 * W } };

      paint (pixels, W, H, t, s);
      tern_session_push_frame (sessions[s], &image, MS (500) * t, MS (500), NULL);
    }
    tern_session_finish (sessions[s]);
    while (tern_session_next (sessions[s], -1, &result) == TERN_NEXT_RESULT)
      tern_result_unref (result);
  }
  g_print ("one more session: %.2f MB in the heap (mean of %d), of which up to %.2f MB are pixels and %.2f MB visual tokens "
      "of its window's frames\n", (double) (in_use () - before) / N / 1e6, N, (double) frames / 1e6, (double) tokens / 1e6);
  for (guint s = 0; s <= N; s++)
    tern_session_free (sessions[s]);
}

int
main (int argc, char **argv)
{
  const char *what = argc > 2 ? argv[1] : "";
  guint n = argc > 3 ? (guint) strtoul (argv[3], NULL, 10) : 0;

  if (argc < 3) {
    g_printerr ("usage: sessions beams|questions|labels|first-token|stops|cameras|memory MODEL [N]\n");
    return 2;
  }
  open_model (argv[2]);
  if (!strcmp (what, "beams"))
    beams ();
  else if (!strcmp (what, "questions"))
    questions ();
  else if (!strcmp (what, "labels"))
    labels (n ? n : 12);
  else if (!strcmp (what, "first-token"))
    first_token ();
  else if (!strcmp (what, "stops"))
    stops (n ? n : 1000);
  else if (!strcmp (what, "cameras"))
    cameras (n ? n : 60);
  else if (!strcmp (what, "memory"))
    memory ();
  else
    return 2;
  g_free (rows);
  tern_model_unref (model);
  return 0;
}
