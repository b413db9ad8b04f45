/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams that are remembered. What an answer is, is taken from sessions that read windows: as long as nothing was forgotten,
 * what is remembered is the prompt of one long window. */
#include "session-fixture.h"
#include "tern/session-priv.h"

static TernSessionParams
stream_params (guint tokens)
{
  TernSessionParams params = quick_params ();

  params.memory = TERN_MEMORY_STREAM;
  params.memory_tokens = tokens;
  params.gate.mode = TERN_GATE_MODE_OFF;
  params.kv_type = TERN_CACHE_F32;
  params.compress.merge_ratio = 0.7;    /* tiny frames keep a token: between words alone tokenizers join what a stream has apart */
  return params;
}

static TernSessionParams
window_params (guint64 seconds)
{
  TernSessionParams params = stream_params (0);

  params.memory = TERN_MEMORY_WINDOW;
  params.window = seconds * TERN_SECOND;
  return params;
}

/* ---- Looking inside, between rounds ------------------------------------------------------------------------------ */

typedef struct {
  TernSession *session;
  gboolean wanted;
  guint rows, n_frames;
  TernStreamFrame frames[512];
} Look;

static void
look (void *data)
{
  Look *self = data;
  guint n;
  const TernStreamFrame *frames = tern_stream_frames (tern_session_stream_memory (self->session), &n);

  self->wanted = tern_scheduler_is_wanted (self->session->model->scheduler);
  self->rows = tern_stream_rows (tern_session_stream_memory (self->session));
  self->n_frames = MIN (n, G_N_ELEMENTS (self->frames));
  memcpy (self->frames, frames, self->n_frames * sizeof *frames);
}

/* Until the engine has nothing to do, and what is remembered then. */
static void
look_at_rest (TernSession *session, Look *seen)
{
  *seen = (Look) { session };
  do
    tern_scheduler_call (session->model->scheduler, look, seen);
  while (seen->wanted);
}

static TernResult *
ask (TernSession *session, guint frames, guint64 from, guint64 to)
{
  TernRequest request = { .question = { .prompt = "What is there?" }, .frames = frames, .from = from, .to = to };
  g_autoptr (GError) error = NULL;
  TernResult *result = NULL;
  guint64 id;

  g_assert_true (tern_session_ask (session, &request, &id, &error));
  g_assert_no_error (error);
  do {
    g_clear_pointer (&result, tern_result_unref);
    result = next_result (session);
    g_assert_nonnull (result);
  } while (result->ask_id != id);
  return result;
}

/* ---- As long as nothing was forgotten ---------------------------------------------------------------------------- */

static char *
spell (const TernResult *result)
{
  g_assert_nonnull (result);
  g_assert_cmpstr (result->kind, ==, "caption");
  return g_strdup_printf ("%s|%u|%u|%.9f", result->result, result->frames, result->prompt_tokens, result->confidence);
}

/* The first result of a session with @params that is pushed @frames frames. */
static char *
told (TernModel *model, const TernSessionParams *params, guint frames)
{
  g_autoptr (TernSession) session = new_session (model, params);
  g_autoptr (TernResult) result = NULL;

  push_run (session, 0, frames, 1);
  tern_session_finish (session);
  result = next_result (session);
  return spell (result);
}

/* All that is remembered after three windows is what one three times as long has read. @one: frames of a picture. */
static void
check_like_a_window (TernModel *model, guint one)
{
  TernSessionParams stream = stream_params (0), short_one = window_params (2 * one);
  g_autofree char *first = told (model, &stream, 12 * one), *expected_first = told (model, &short_one, 12 * one);
  g_autoptr (TernSession) session = NULL;

  g_assert_cmpstr (first, ==, expected_first);
  stream.on_demand = TRUE;
  session = new_session (model, &stream);
  for (guint n = 0; n < 3; n++) {
    TernSessionParams window = window_params (2 * one * (n + 1));
    g_autofree char *expected = NULL, *found = NULL;
    g_autoptr (TernResult) result = NULL;
    Look seen;

    window.prompt = "What is there?";
    push_run (session, 4 * one * n, 4 * one, 1);
    look_at_rest (session, &seen);
    result = ask (session, 0, 0, 0);
    found = spell (result);
    expected = told (model, &window, 4 * one * (n + 1));
    g_assert_cmpstr (found, ==, expected);
    g_assert_cmpuint (seen.n_frames, ==, 4 * (n + 1));
  }
}

static void
test_like_a_window (void)
{
  g_autoptr (TernModel) model = open_model (0);

  check_like_a_window (model, 1);
}

/* Three rotary axes, and features of early layers, a picture of two frames each. */
static void
test_pairs (void)
{
  g_autoptr (TernModel) model = open_pair (TERN_TEST_DATA "/qwen3vl/qwen3vl-q8_0.gguf",
      TERN_TEST_DATA "/qwen3vl/mmproj-f16.gguf");

  check_like_a_window (model, 2);
}

/* Pictures of two frames that were not read yet are of the times that those are of which were: from the first frame's tick on. */
static void
test_times_of_pairs (void)
{
  static const struct {
    guint from, to, frames;     /* ms; pictures of that time */
  } cases[] = { { 0, 200, 1 }, { 1000, 1200, 1 }, { 900, 1100, 2 }, { 2000, 2200, 0 } };
  g_autoptr (TernModel) model = open_pair (TERN_TEST_DATA "/qwen3vl/qwen3vl-q8_0.gguf",
      TERN_TEST_DATA "/qwen3vl/mmproj-f16.gguf");
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = NULL;
  Look seen;

  params.on_demand = TRUE;
  params.window = 8 * TERN_SECOND;
  session = new_session (model, &params);
  push_run (session, 0, 4, 1);          /* half a group */
  for (guint read = 0; read < 2; read++) {
    look_at_rest (session, &seen);
    g_assert_cmpuint (seen.n_frames, ==, read ? 2 : 0);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
      g_autoptr (TernResult) result = ask (session, 0, MS (cases[i].from), MS (cases[i].to));

      g_assert_cmpuint (result->frames, ==, cases[i].frames);
      g_assert_true (g_str_equal (result->finish_reason, "forgotten") == (cases[i].frames == 0));
    }
    tern_session_finish (session);
  }
}

/* Three pictures that somebody has encoded, of other grids each, and some tokens of the last one alone; in one group or @apart. */
static char *
told_tokens (TernModel *model, TernMemory memory, gboolean apart)
{
  static const struct {
    guint columns, rows, n;
    gint32 keep[12];
  } grids[] = { { 6, 2, 12, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 } }, { 3, 4, 12, { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 } },
    { 2, 5, 4, { 1, 4, 7, 8 } } };
  TernSessionParams params = window_params (4);
  guint dim = tern_model_embedding_dim (model);
  g_autofree float *rows = g_new (float, 12 * dim);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) result = NULL;
  g_autoptr (GError) error = NULL;

  params.memory = memory;
  params.tokens_only = TRUE;
  params.rate_n = 1;
  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  for (guint f = 0; f < G_N_ELEMENTS (grids); f++) {
    TernTokens tokens = { .number = apart ? f * TERN_GROUP_FRAMES : f, .pts = f * TERN_SECOND, .duration = TERN_SECOND,
        .grid_w = grids[f].columns,
      .grid_h = grids[f].rows, .n_tokens = grids[f].n, .dim = dim, .tokens = rows, .keep = grids[f].keep,
      .deepstack = tern_model_deepstack (model) };

    for (guint i = 0; i < grids[f].n * dim; i++)
      rows[i] = (float) ((f * 1009 + i * 37) % 211) / 64 - 1.5f;
    tern_session_push_tokens (session, &tokens, &error);
    g_assert_no_error (error);
  }
  tern_session_finish (session);
  result = next_result (session);
  g_assert_cmpuint (result->visual_kept, ==, 28);
  return spell (result);
}

/* ... with recurrent states beside attention, and each frame of a group in a grid of its own. */
static void
test_places (void)
{
  static const char *const files[] = { "/qwen35/qwen35-q8_0.gguf", "/qwen3vl/qwen3vl-q8_0.gguf" };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_strconcat (TERN_TEST_DATA, files[i], NULL), *window = NULL, *group = NULL, *stream = NULL;
    TernModelParams params = TERN_MODEL_PARAMS_INIT;
    g_autoptr (TernModel) model = NULL;

    params.model_path = path;
    params.parts = TERN_MODEL_TEXT;
    params.threads = 2;
    model = tern_model_open (&params, NULL);
    g_assert_nonnull (model);
    window = told_tokens (model, TERN_MEMORY_WINDOW, TRUE);
    group = told_tokens (model, TERN_MEMORY_WINDOW, FALSE);
    stream = told_tokens (model, TERN_MEMORY_STREAM, FALSE);
    g_assert_cmpstr (group, ==, window);
    g_assert_cmpstr (stream, ==, window);
  }
}

/* A window's answer sees its own frames, wherever they are: as many rows as the first one's. */
static void
test_own_frames (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = NULL;
  guint first = 0;

  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  push_run (session, 0, 16, 1);
  tern_session_finish (session);
  for (guint n = 0; n < 4; n++) {
    g_autoptr (TernResult) result = next_result (session);

    first = n == 0 ? result->prompt_tokens : first;
    g_assert_cmpuint (result->frames, ==, 4);
    g_assert_cmpuint (result->prompt_tokens, ==, first);
    g_assert_cmpfloat (result->memory_spans[0], ==, 0);
    g_assert_cmpfloat (result->memory_spans[1], ==, 2 * (n + 1));
  }
}

/* A family whose words say when a frame was, and how many there are: the first window's. */
static void
test_timed_family (void)
{
  g_autoptr (TernModel) model = open_pair (SMOLVLM, SMOLVLM_MMPROJ);
  TernSessionParams stream = stream_params (0), window = window_params (2);
  g_autofree char *expected = told (model, &window, 4), *found = told (model, &stream, 4), *later = NULL;
  g_autoptr (TernSession) session = new_session (model, &stream);
  g_autoptr (TernResult) result = NULL;

  g_assert_cmpstr (found, ==, expected);
  push_run (session, 0, 12, 1);
  tern_session_finish (session);
  tern_result_unref (next_result (session));
  tern_result_unref (next_result (session));
  result = next_result (session);
  later = spell (result);
  g_assert_cmpstr (later, !=, expected);
}

/* Each question is asked on a fork. */
static void
test_questions (void)
{
  static const char *const labels[] = { "yes", "no", NULL };
  const TernQuestion questions[] = { { .prompt = "What is there?" }, { .prompt = "Is it?", .labels = labels } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0), window = window_params (4);
  g_autoptr (TernSession) stream = NULL, alone = NULL;

  params.window = window.window;
  params.questions = window.questions = questions;
  params.n_questions = window.n_questions = 2;
  stream = new_session (model, &params);
  alone = new_session (model, &window);
  push_run (stream, 0, 8, 0);
  push_run (alone, 0, 8, 0);
  tern_session_finish (stream);
  tern_session_finish (alone);
  for (guint q = 0; q < 2; q++) {
    g_autoptr (TernResult) expected = next_result (alone), found = next_result (stream);

    g_assert_cmpstr (found->result, ==, expected->result);
    g_assert_cmpfloat (found->confidence, ==, expected->confidence);
  }
}

/* Requests see the frames of a group that is open as well, and nothing of them stays. */
static void
test_requests (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0), window = window_params (8);
  g_autoptr (TernSession) session = NULL, alone = NULL, plain = NULL;
  g_autofree char *with = NULL, *without = NULL;

  params.window = window.window;
  session = new_session (model, &params);
  alone = new_session (model, &window);
  plain = new_session (model, &params);
  push_run (session, 0, 6, 0);
  push_run (alone, 0, 6, 0);
  for (guint i = 0; i < 2; i++) {       /* the second one is answered as the first */
    g_autoptr (TernResult) found = ask (session, 6, 0, 0), expected = ask (alone, 6, 0, 0);

    g_assert_cmpstr (found->result, ==, expected->result);
    g_assert_cmpuint (found->frames, ==, 6);
    g_assert_cmpuint (found->prompt_tokens, ==, expected->prompt_tokens);
    g_assert_cmpuint (found->visual_kept, ==, expected->visual_kept);
    g_assert_cmpfloat (found->confidence, ==, expected->confidence);
  }
  push_run (session, 6, 10, 0);
  push_run (plain, 0, 16, 0);
  tern_session_finish (session);
  tern_session_finish (plain);
  with = drain (session);
  without = drain (plain);
  g_assert_cmpstr (with, ==, without);
}

/* ---- And beyond --------------------------------------------------------------------------------------------------- */

static void
check_memory (const Look *seen, guint budget, guint64 frames)
{
  guint rows = 0;

  g_assert_cmpuint (seen->rows, <=, budget);
  g_assert_cmpuint (seen->n_frames, >, 0);
  for (guint f = 0; f < seen->n_frames; f++) {
    const TernStreamFrame *frame = &seen->frames[f];

    rows += frame->rows;
    g_assert_cmpuint (frame->rows, >, 0);
    g_assert_cmpuint (frame->rows, <=, frame->whole);
    g_assert_true (f == 0 || frame->number > frame[-1].number);
    g_assert_cmpuint (frame->pts, ==, MS (500 * frame->number));
  }
  g_assert_cmpuint (rows, <, seen->rows);
  g_assert_cmpuint (seen->frames[seen->n_frames - 1].number, ==, frames - 1);
}

/* The positions that are held are never more than the memory has, however long the stream is; each window is answered, and
 * says what is remembered. */
static void
test_endless (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (420);
  g_autoptr (TernSession) session = new_session (model, &params);
  TernSessionStats stats;
  Look seen;

  for (guint n = 0; n < 40; n++) {
    TernResult *result;

    push_run (session, 4 * n, 4, n % 3);
    tern_session_see (session, MS (2000 * (n + 1)), 0);
    result = next_result (session);
    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpstr (result->finish_reason, !=, "forgotten");
    g_assert_cmpuint (result->frames, ==, 4);
    g_assert_cmpuint (result->n_memory_spans % 2, ==, 0);
    g_assert_cmpuint (result->n_memory_spans, >, 0);
    g_assert_cmpfloat (result->memory_spans[result->n_memory_spans - 1], ==, 2. * (n + 1));
    tern_result_unref (result);
    look_at_rest (session, &seen);
    check_memory (&seen, 420, 4 * (n + 1));
  }
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.memory_turns, >, 10);
  g_assert_cmpuint (stats.memory_tokens, ==, seen.rows);
  g_assert_cmpuint (seen.n_frames, <, 160);
}

/* The same stream is remembered in the same way, however late the engine is. */
static void
test_late (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (420);
  char *texts[2];

  for (guint late = 0; late < 2; late++) {
    g_autoptr (TernSession) session = new_session (model, &params);
    Hold hold;
    Look seen;

    if (late)
      hold_engine (&hold, model);
    for (guint i = 0; i < 6; i++) {
      push_run (session, i, 1, i % 3);
      if (!late)
        look_at_rest (session, &seen);
    }
    if (late)
      release_engine (&hold);
    push_run (session, 6, 50, 2);
    tern_session_finish (session);
    texts[late] = drain (session);
  }
  g_assert_cmpstr (texts[0], ==, texts[1]);
  g_free (texts[0]);
  g_free (texts[1]);
}

/* What is asked about a time sees what is remembered of it alone; where that is nothing, the answer says so. */
static void
test_times (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (420);
  g_autoptr (TernSession) session = NULL;
  g_autofree gboolean *there = g_new0 (gboolean, 160);
  guint gone = 0, answered = 0;
  Look seen;

  params.on_demand = TRUE;
  session = new_session (model, &params);
  push_run (session, 0, 160, 0);
  look_at_rest (session, &seen);
  check_memory (&seen, 420, 160);
  for (guint f = 0; f < seen.n_frames; f++)
    there[seen.frames[f].number] = TRUE;
  for (guint f = 0; f < 160; f += 9) {
    g_autoptr (TernResult) result = ask (session, 0, MS (500 * f), MS (500 * f + 500));

    g_assert_cmpfloat (result->start, ==, .5 * f);
    g_assert_cmpfloat (result->end, ==, .5 * f + .5);
    g_assert_cmpuint (result->frames, ==, there[f]);
    g_assert_true ((result->visual_kept > 0) == there[f]);
    g_assert_true (g_str_equal (result->finish_reason, "forgotten") == !there[f]);
    if (!there[f])
      g_assert_cmpstr (result->result, ==, "");
    g_assert_true (there[f] || result->generated_tokens == 0);
    g_assert_cmpuint (result->n_memory_spans, >, 0);
    gone += !there[f];
    answered += there[f];
  }
  g_assert_cmpuint (gone, >, 0);
  g_assert_cmpuint (answered, >, 0);
  {
    g_autoptr (TernResult) last = ask (session, 0, MS (79500), MS (80000)), later = ask (session, 0, MS (80000), MS (90000));
    g_autoptr (TernResult) all = ask (session, 0, 0, MS (80000)), any = ask (session, 0, 0, 0);

    g_assert_cmpstr (last->finish_reason, !=, "forgotten");
    g_assert_cmpuint (last->frames, ==, 1);
    g_assert_cmpstr (later->finish_reason, ==, "forgotten");
    g_assert_cmpstr (all->result, ==, any->result);
    g_assert_cmpfloat (all->confidence, ==, any->confidence);
    g_assert_cmpuint (all->prompt_tokens, ==, any->prompt_tokens);
    g_assert_cmpuint (all->prompt_tokens, >, last->prompt_tokens);
    g_assert_cmpuint (any->frames, ==, seen.n_frames);
  }
}

/* What is asked about the last minute is what the window of it was asked: the same rows are seen, old ones being forgotten or
 * not. And of a frame that is gone, which is another one under other kernels, nobody knows. */
static void
test_last_minute (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (420);
  g_autoptr (TernSession) session = NULL;
  g_autoptr (TernResult) late = NULL;
  TernSessionStats stats;
  guint gone = 0;
  Look seen;

  params.window = 60 * TERN_SECOND;
  params.rate_n = 2;
  params.rate_d = 15;           /* 8 frames */
  params.prompt = "What is there?";
  session = new_session (model, &params);
  for (guint n = 0; n < 12; n++) {
    g_autoptr (TernResult) window = NULL, asked = NULL;
    g_autofree char *expected = NULL, *found = NULL;

    for (guint i = 8 * n; i < 8 * (n + 1); i++)
      push (session, 3 * i, n % 3, MS (7500 * i), MS (7500));
    tern_session_see (session, MS (60000 * (n + 1)), 0);
    window = next_result (session);
    asked = ask (session, 0, MS (60000 * n), MS (60000 * (n + 1)));
    expected = spell (window);
    found = spell (asked);
    g_assert_cmpuint (window->frames, ==, 8);
    g_assert_cmpfloat (window->start, ==, 60 * n);
    g_assert_cmpstr (found, ==, expected);
    g_assert_cmpuint (asked->visual_kept, <=, window->visual_kept);      /* some of them may be forgotten by its end */
    g_assert_cmpfloat (asked->start, ==, window->start);
    g_assert_cmpfloat (asked->end, ==, window->end);
  }
  tern_session_stats (session, &stats);
  g_assert_cmpuint (stats.memory_turns, >, 2);
  look_at_rest (session, &seen);
  while (gone < seen.n_frames && seen.frames[gone].number == gone)
    gone++;
  g_assert_cmpuint (gone, <, 88);
  late = ask (session, 0, MS (7500 * gone), MS (7500 * gone + 1));
  g_assert_cmpstr (late->finish_reason, ==, "forgotten");
}

/* ---- Ends --------------------------------------------------------------------------------------------------------- */

/* A cancel ends answers; a flush, and time that begins anew, what is remembered. */
static void
test_stops (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = NULL;
  guint rows;
  Look seen;

  params.on_demand = TRUE;
  session = new_session (model, &params);
  push_run (session, 0, 8, 0);
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.n_frames, ==, 8);
  rows = seen.rows;
  tern_session_cancel (session);
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.rows, ==, rows);
  {
    g_autoptr (TernResult) result = ask (session, 0, 0, 0);

    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpuint (result->frames, ==, 8);
    g_assert_cmpfloat (result->start, ==, 0);
    g_assert_cmpfloat (result->end, ==, 4);
  }
  push_run (session, 8, 4, 0);
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.n_frames, ==, 12);

  push_run (session, 2, 4, 1);          /* back */
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.n_frames, ==, 4);
  g_assert_cmpuint (seen.frames[0].pts, ==, MS (1000));
  tern_session_flush (session);
  push_run (session, 0, 4, 0);
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.n_frames, ==, 4);
}

/* Cancels at any moment: what was read before one stays, and what is being read is read to its end. */
static void
test_cancels (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (420);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernResult) result = NULL;
  Look seen;

  for (guint n = 0; n < 30; n++) {
    push_run (session, 4 * n, 4, n % 3);
    for (guint wait = 0; wait < n % 7; wait++)
      tern_scheduler_call (model->scheduler, look, &(Look) { session });        /* some rounds */
    tern_session_cancel (session);
  }
  push_run (session, 120, 4, 0);
  look_at_rest (session, &seen);
  check_memory (&seen, 420, 124);
  result = ask (session, 0, 0, 0);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, seen.n_frames);
}

/* What stands still takes no room, and is remembered as long as it stands. */
static void
test_still_scene (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = NULL;
  Look seen;
  guint rows;

  params.gate = (TernGateParams) TERN_GATE_PARAMS_INIT;
  params.gate.mode = TERN_GATE_MODE_ON;
  params.on_demand = TRUE;
  session = new_session (model, &params);
  push (session, 0, 0, 0, MS (500));
  for (guint i = 1; i < 20; i++)
    push (session, 0, 0, MS (500 * i), MS (500));
  look_at_rest (session, &seen);
  rows = seen.rows;
  for (guint i = 20; i < 40; i++)
    push (session, 0, 0, MS (500 * i), MS (500));
  look_at_rest (session, &seen);
  g_assert_cmpuint (seen.rows, ==, rows);
  g_assert_cmpuint (seen.frames[seen.n_frames - 1].until, ==, MS (20000));
  g_assert_cmpuint (seen.n_frames, <, 8);
}

/* A window's prompt has no more visual tokens than it says, though most of its frames show what was read before. */
static void
test_still_counts (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = NULL;

  params.gate = (TernGateParams) TERN_GATE_PARAMS_INIT;
  params.gate.mode = TERN_GATE_MODE_ON;
  session = new_session (model, &params);
  for (guint i = 0; i < 16; i++)
    push (session, i % 8 == 3 ? 3 * i : 0, 0, MS (500 * i), MS (500));
  tern_session_finish (session);
  for (guint i = 0; i < 4; i++) {
    g_autoptr (TernResult) result = next_result (session);

    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpuint (result->frames, ==, 4);
    g_assert_cmpuint (result->visual_kept, >, 0);
    g_assert_cmpuint (result->visual_kept, <, result->visual_in);
    if (g_str_equal (result->finish_reason, "unchanged"))
      continue;
    g_assert_cmpuint (result->visual_kept, <, result->prompt_tokens);
  }
}

/* A question that came later, and more of them: what is remembered stays. */
static void
test_changes (void)
{
  const TernQuestion questions[] = { { .prompt = "a" }, { .prompt = "b" }, { .prompt = "c c c c c c c c c c" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autofree char *long_text = g_strnfill (8000, 'x');
  g_autoptr (GError) error = NULL;
  TernResult *result;

  push_run (session, 0, 4, 0);
  tern_session_see (session, MS (2000), 0);
  tern_result_unref (next_result (session));
  g_assert_true (tern_session_set_questions (session, questions, 3, &error));
  push_run (session, 4, 4, 0);
  tern_session_see (session, MS (4000), 0);
  for (guint q = 0; q < 3; q++) {
    result = next_result (session);
    g_assert_cmpstr (result->kind, ==, "caption");
    g_assert_cmpfloat (result->memory_spans[0], ==, 0);
    g_assert_cmpfloat (result->memory_spans[1], ==, 4);
    tern_result_unref (result);
  }
  g_assert_false (tern_session_set_prompt (session, long_text, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
  params.system_prompt = "Be brief.";
  g_assert_false (tern_session_set_params (session, &params, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

static void
refused (TernModel *model, const TernSessionParams *params, int code, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_session_new (model, params, &error));
  g_assert_error (error, TERN_ERROR, code);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_refused (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (0);
  g_autoptr (TernSession) window = NULL;
  g_autoptr (GError) error = NULL;
  TernRequest request = { .from = 1, .to = 2 };

  params.memory = 9;
  refused (model, &params, TERN_ERROR_INVALID, "memory");
  params = stream_params (TERN_MEMORY_TOKENS_MIN - 1);
  refused (model, &params, TERN_ERROR_INVALID, "memory_tokens");
  params = stream_params (TERN_MEMORY_TOKENS_MAX);
  refused (model, &params, TERN_ERROR_INVALID, "found 1048576: of the context");
  params = stream_params (TERN_MEMORY_TOKENS_MIN);
  refused (model, &params, TERN_ERROR_INVALID, "memory_tokens: expected 1");
  refused (model, &params, TERN_ERROR_INVALID, "found 64: of the context");
  params.sampling.max_tokens = 4000;
  refused (model, &params, TERN_ERROR_NO_SPACE, "context of");
  params = stream_params (0);
  params.kv_type = TERN_CACHE_F16;
  refused (model, &params, TERN_ERROR_INVALID, "kv_type");
  params = stream_params (0);
  params.kv_prune = .5;
  refused (model, &params, TERN_ERROR_INVALID, "kv_prune");

  params = window_params (2);
  window = new_session (model, &params);
  g_assert_false (tern_session_ask (window, &request, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* A frame that is too large for what is remembered: the window says so. */
static void
test_large_frame (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = stream_params (160);
  g_autoptr (TernSession) session = NULL;
  TernResult *result;

  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  push_run (session, 0, 4, 0);
  tern_session_finish (session);
  result = next_result (session);
  g_assert_cmpstr (result->kind, ==, "error");
  g_assert_nonnull (strstr (result->result, "memory_tokens"));
  tern_result_unref (result);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/memory/like-a-window", test_like_a_window);
  g_test_add_func ("/memory/pairs", test_pairs);
  g_test_add_func ("/memory/times-of-pairs", test_times_of_pairs);
  g_test_add_func ("/memory/places", test_places);
  g_test_add_func ("/memory/own-frames", test_own_frames);
  g_test_add_func ("/memory/timed-family", test_timed_family);
  g_test_add_func ("/memory/questions", test_questions);
  g_test_add_func ("/memory/requests", test_requests);
  g_test_add_func ("/memory/endless", test_endless);
  g_test_add_func ("/memory/late", test_late);
  g_test_add_func ("/memory/times", test_times);
  g_test_add_func ("/memory/last-minute", test_last_minute);
  g_test_add_func ("/memory/stops", test_stops);
  g_test_add_func ("/memory/cancels", test_cancels);
  g_test_add_func ("/memory/still-scene", test_still_scene);
  g_test_add_func ("/memory/still-counts", test_still_counts);
  g_test_add_func ("/memory/changes", test_changes);
  g_test_add_func ("/memory/refused", test_refused);
  g_test_add_func ("/memory/large-frame", test_large_frame);
  return g_test_run ();
}
