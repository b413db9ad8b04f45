/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens that somebody else made: what is asked about frames before their group is whole, and what is refused of them and of
 * pictures. */
#include <float.h>
#include <math.h>

#include "session-fixture.h"
#include "tern/completion.h"

/* ---- Frames before their group ----------------------------------------------------------------------------------- */

#define GRID 4                  /* tokens of a frame: GRID * GRID */
#define WIDTH 256

/* Frame @i's tokens: all, or those that are left of them. */
static TernTokens
make_tokens (guint i, gboolean all, float rows[GRID * GRID * WIDTH])
{
  static const gint32 left[] = { 1, 4, 6, 9, 12, 15 };

  for (guint n = 0; n < GRID * GRID * WIDTH; n++)
    rows[n] = (float) ((n * 7 + i * 31) % 19) / 19 - .5f;
  return (TernTokens) { .number = i, .pts = MS (500 * i), .duration = MS (500), .grid_w = GRID, .grid_h = GRID, .dim = WIDTH,
    .n_tokens = all ? GRID * GRID : GRID + i % 3, .tokens = rows, .keep = all ? NULL : left };
}

static void
preview (TernSession *session, guint first, guint n)
{
  float rows[GRID * GRID * WIDTH];

  for (guint i = first; i < first + n; i++) {
    TernTokens tokens = make_tokens (i, TRUE, rows);
    g_autoptr (GError) error = NULL;

    tern_session_preview_tokens (session, &tokens, &error);
    g_assert_no_error (error);
  }
}

static void
push_tokens (TernSession *session, guint first, guint n, gboolean all)
{
  float rows[GRID * GRID * WIDTH];

  for (guint i = first; i < first + n; i++) {
    TernTokens tokens = make_tokens (i, all, rows);
    g_autoptr (GError) error = NULL;

    while (!tern_session_push_tokens (session, &tokens, &error)) {
      g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
      g_clear_error (&error);
      tern_session_wait (session, -1);
    }
  }
}

/* What a request of the newest @n frames (0: of the window) is about: that many, [start, end), that many tokens. */
static void
expect_seen (TernSession *session, guint n, guint frames, double start, double end, guint tokens)
{
  TernRequest request = { .question = { .prompt = "What?", .max_tokens = 2 }, .frames = n };
  g_autoptr (TernResult) result = NULL;

  ask_of (session, &request);
  result = next_of_requests (session);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, frames);
  g_assert_cmpfloat (result->start, ==, start);
  g_assert_cmpfloat (result->end, ==, end);
  g_assert_cmpuint (result->visual_kept, ==, tokens);
  g_assert_cmpuint (result->visual_in, ==, frames * GRID * GRID);
}

static void
expect_nothing_seen (TernSession *session)
{
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (TernResult) result = NULL;

  ask_of (session, &request);
  tern_session_finish (session);
  result = next_of_requests (session);
  g_assert_cmpstr (result->kind, ==, "error");
  g_assert_true (strstr (result->result, "no frame") != NULL);
}

/* For a model without the encoder: whose frames these are is not known, nor how many tokens they have. */
static TernSession *
token_session (TernModel *model, guint seconds)
{
  TernSessionParams params = quick_params ();

  params.window = seconds * TERN_SECOND;
  params.compress.method = TERN_METHOD_NONE;
  return new_session (model, &params);
}

/* At once, with all their tokens, behind the frames that are there. */
static void
test_previews (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4);
  const guint all = GRID * GRID, kept[] = { 4, 5, 6, 4, 5, 6, 4, 5 };
  guint before = kept[0] + kept[1] + kept[2] + kept[3];

  for (guint i = 0; i < 3; i++) {
    preview (session, i, 1);
    expect_seen (session, 0, i + 1, 0, .5 * (i + 1), all * (i + 1));
    expect_seen (session, 1, 1, .5 * i, .5 * (i + 1), all);
  }
  push_tokens (session, 0, 1, FALSE);           /* the others come behind it */
  expect_seen (session, 0, 3, 0, 1.5, kept[0] + 2 * all);
  push_tokens (session, 1, 3, FALSE);
  expect_seen (session, 0, 4, 0, 2, before);
  preview (session, 4, 2);
  expect_seen (session, 0, 6, 0, 3, before + 2 * all);
  expect_seen (session, 3, 3, 1.5, 3, kept[3] + 2 * all);
  preview (session, 4, 1);                      /* it comes again, and what was behind it is over */
  expect_seen (session, 0, 5, 0, 2.5, before + all);
  push_tokens (session, 4, 4, FALSE);
  preview (session, 8, 2);                      /* of the next window */
  expect_seen (session, 0, 2, 4, 5, 2 * all);
  expect_seen (session, 3, 3, 3.5, 5, kept[7] + 2 * all);
  push_tokens (session, 9, 1, FALSE);           /* the one before it will not come */
  expect_seen (session, 0, 1, 4.5, 5, 4);
}

/* Of two frames each, the second one 500 ms behind the first; the last one stands for 40 ms. */
static void
test_previews_times (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = NULL;
  float rows[GRID * GRID * WIDTH];

  params.rate_n = 1;
  params.window = 8 * TERN_SECOND;
  params.compress.method = TERN_METHOD_NONE;
  session = new_session (model, &params);
  for (guint i = 0; i < 3; i++) {
    TernTokens tokens = make_tokens (i, TRUE, rows);
    g_autoptr (GError) error = NULL;

    tokens.pts = MS (1000 * i + 250);
    tokens.late = tokens.after = MS (250);
    tokens.duration = MS (290);
    g_assert_true (i == 0 ? tern_session_push_tokens (session, &tokens, &error)
        : tern_session_preview_tokens (session, &tokens, &error));
    expect_times (model, session, 0, i + 1, 0, 1000 * i + 540);
    expect_times (model, session, 1, 1, 1000 * i, 1000 * i + 540);
  }
  tern_session_see (session, MS (2900), MS (40));       /* further than its word, not further than its tick */
  expect_times (model, session, 2, 2, 1000, 2940);
  tern_session_see (session, MS (3500), MS (40));
  expect_times (model, session, 2, 2, 1000, 3000);
}

/* No more than a group has; none behind an end. */
static void
test_previews_end (void)
{
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4);
  TernRequest request = { .question = { .prompt = "What?" } };
  g_autoptr (TernResult) cancelled = NULL;
  Hold hold;

  preview (session, 0, 6);
  expect_seen (session, 0, 4, 1, 3, 4 * GRID * GRID);
  tern_session_flush (session);
  expect_nothing_seen (session);
  preview (session, 0, 2);
  tern_session_finish (session);
  expect_nothing_seen (session);
  preview (session, 0, 2);
  hold_engine (&hold, model);
  ask_of (session, &request);
  tern_session_cancel (session);
  release_engine (&hold);
  cancelled = next_of_requests (session);
  g_assert_cmpstr (cancelled->finish_reason, ==, "cancelled");
  expect_nothing_seen (session);

  push_tokens (session, 40, 4, TRUE);
  preview (session, 44, 1);
  expect_seen (session, 0, 5, 20, 22.5, 5 * GRID * GRID);
  push_tokens (session, 0, 1, TRUE);            /* time jumps back */
  expect_seen (session, 0, 1, 0, .5, GRID * GRID);
}

/* They are what a window of just these frames would be about. */
static void
test_previews_answer (void)
{
  TernQuestion question = { .prompt = "What is there?" };
  TernRequest request = { .question = question };
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4), plain = token_session (model, 4);
  g_autoptr (TernResult) got = NULL, wanted = NULL;
  g_autoptr (GError) error = NULL;

  push_tokens (session, 0, 4, FALSE);
  preview (session, 4, 3);
  ask_of (session, &request);
  got = next_of_requests (session);
  tern_session_set_questions (plain, &question, 1, &error);
  g_assert_no_error (error);
  push_tokens (plain, 0, 4, FALSE);
  push_tokens (plain, 4, 3, TRUE);
  tern_session_finish (plain);
  wanted = next_result (plain);
  g_assert_cmpuint (got->visual_kept, ==, wanted->visual_kept);
  g_assert_cmpstr (got->result, ==, wanted->result);
  g_assert_cmpfloat_with_epsilon (got->confidence, wanted->confidence, 1e-6);
}

/* All that windows say; what requests say is counted. */
static char *
windows_of (TernSession *session, guint *requests)
{
  GString *all = g_string_new (NULL);
  TernResult *result;

  while ((result = next_result (session))) {
    if (result->ask_id == 0)
      g_string_append_printf (all, "%.3f-%.3f|%s|%a|%u\n", result->start, result->end, result->result, result->confidence,
          result->visual_kept);
    else
      (*requests)++;
    tern_result_unref (result);
  }
  return g_string_free (all, FALSE);
}

/* Whatever is asked about them, and however soon they come again while it is answered. */
static void
test_previews_and_windows (void)
{
  TernRequest request = { .question = { .prompt = "What?", .max_tokens = 3 } };
  g_autoptr (TernModel) model = open_parts (TERN_MODEL_TEXT, 2, 0);
  g_autoptr (TernSession) session = token_session (model, 4), plain = token_session (model, 4);
  g_autofree char *got = NULL, *wanted = NULL;
  guint asked = 0, answered = 0;

  for (guint i = 0; i < 40; i += 4) {
    for (guint k = 0; k < 3; k++) {
      preview (session, i + k, 1);
      request.frames = (i + k) % 4;
      asked += tern_session_ask (session, &request, NULL, NULL);
    }
    push_tokens (session, i, 4, FALSE);
    push_tokens (plain, i, 4, FALSE);
  }
  preview (session, 40, 3);
  tern_session_finish (session);
  tern_session_finish (plain);
  got = windows_of (session, &answered);
  wanted = windows_of (plain, &answered);
  g_assert_cmpuint (answered, ==, asked);
  g_assert_cmpstr (got, ==, wanted);
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

/* @error: 0 for INVALID */
typedef struct {
  const TernTokens *tokens;
  gint error;
  const char *says;
} BadTokens;

static void
refuse_tokens (TernSession *session, const BadTokens *cases, guint n)
{
  for (guint i = 0; i < 2 * n; i++) {
    const BadTokens *bad = &cases[i / 2];
    gint code = bad->error ? bad->error : TERN_ERROR_INVALID;
    g_autoptr (GError) error = NULL;

    g_assert_false ((i % 2 ? tern_session_push_tokens : tern_session_preview_tokens) (session, bad->tokens, &error));
    g_assert_error (error, TERN_ERROR, code);
    if (!g_pattern_match_simple (bad->says, error->message))
      g_error ("%s: %s", bad->says, error->message);
  }
}

/* Each is refused where it comes in, and nothing of it is left. */
static void
test_bad_tokens (void)
{
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params), frames = new_session (model, &params);
  float rows[GRID * GRID * WIDTH], spoilt[3][GRID * GRID * WIDTH];
  TernTokens good = make_tokens (0, TRUE, rows), narrow = good, timeless = good, empty = good, huge = good, nan = good, inf = good,
    least = good, twice = make_tokens (0, FALSE, rows), above = twice, below = twice, part = twice, nowhere = twice;
  static const gint32 places[][GRID] = { { 1, 4, 4, 9 }, { 1, 4, 6, 16 }, { -1, 4, 6, 9 } };
  const BadTokens cases[] = { { &narrow, TERN_ERROR_MISMATCH, "*expected 256 numbers each, found 128" },
    { &timeless, .says = "*time stamp*" }, { &empty, .says = "*16 without data" }, { &huge, .says = "*expected at most*" },
    { &nan, .says = "visual tokens: expected finite numbers, found nan at 7" },
    { &inf, .says = "visual tokens: expected finite numbers, found inf at 4095" },
    { &least, .says = "visual tokens: expected finite numbers, found -inf at 1024" },
    { &twice, .says = "visual tokens: expected places in a grid of 4 x 4 that ascend, found 4 at 2" },
    { &above, .says = "visual tokens: expected places in a grid of 4 x 4 that ascend, found 16 at 3" },
    { &below, .says = "visual tokens: expected places in a grid of 4 x 4 that ascend, found -1 at 0" },
    { &part, .says = "visual tokens: expected all of 4 x 4, or where in it they were, found 4 of them without" },
    { &nowhere, .says = "visual tokens: expected places in a grid of 0 x 0 that ascend, found 1 at 0" } };
  const BadTokens late = { &good, .says = "*given frames*" };

  narrow.dim = WIDTH / 2;
  timeless.pts = TERN_TIME_NONE;
  empty.tokens = NULL;
  huge.n_tokens = TERN_FRAME_TOKENS_MAX + 1;
  for (guint i = 0; i < 3; i++)
    memcpy (spoilt[i], rows, sizeof rows);
  spoilt[0][7] = NAN;
  spoilt[1][4095] = INFINITY;
  spoilt[2][1024] = -INFINITY;
  rows[0] = FLT_MAX;            /* as large as a number may be */
  rows[1] = -FLT_TRUE_MIN;
  nan.tokens = spoilt[0];
  inf.tokens = spoilt[1];
  least.tokens = spoilt[2];
  twice.keep = places[0];
  above.keep = places[1];
  below.keep = places[2];
  part.keep = NULL;
  nowhere.grid_w = nowhere.grid_h = 0;
  refuse_tokens (session, cases, G_N_ELEMENTS (cases));
  g_assert_null (next_result (session));
  g_assert_true (tern_session_push_tokens (session, &good, NULL));
  good.grid_w = good.grid_h = 0;                /* nobody says what they are a grid of */
  good.number = 1;
  g_assert_true (tern_session_push_tokens (session, &good, NULL));
  good.n_tokens = 0;                            /* nothing is left of it */
  good.grid_w = good.grid_h = GRID;
  good.number = 2;
  g_assert_true (tern_session_push_tokens (session, &good, NULL));
  push_run (frames, 0, 1, 0);
  refuse_tokens (frames, &late, 1);
}

/* A picture that cannot be is refused when it comes, and those that it would have been with are answered about. */
static void
test_bad_pictures (void)
{
  guint8 pixels[3 * FRAME_W * FRAME_H] = { 0 };
  const TernImage rgb = { .format = TERN_IMAGE_RGB, .width = FRAME_W, .height = FRAME_H, .data = { pixels },
    .stride = { 3 * FRAME_W } };
  const TernImage i420 = { .format = TERN_IMAGE_I420, .width = FRAME_W, .height = FRAME_H, .data = { pixels, pixels, pixels },
    .stride = { FRAME_W, FRAME_W, FRAME_W } };
  TernImage turned = rgb, bright = i420, coloured = i420, not_coloured = rgb;
  const struct { const TernImage *image; const char *says; } cases[] = {
    { &turned, "picture: expected an orientation from 0 to 8, found 9" },
    { &bright, "picture: expected a transfer from 0 to 2, found 3" },
    { &coloured, "picture: expected a matrix from 0 to 2, found 4294967295" } };
  g_autoptr (TernModel) model = open_model (0);
  TernSessionParams params = quick_params ();
  g_autoptr (TernSession) session = new_session (model, &params);
  g_autoptr (TernView) clip = tern_view_new_clip (model, NULL);
  g_autoptr (TernResult) result = NULL;
  g_autoptr (GError) error = NULL;

  turned.orientation = 9;
  bright.transfer = (TernTransfer) 3;
  coloured.matrix = not_coloured.matrix = (TernColorMatrix) -1;
  push_run (session, 0, 2, 0);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    for (guint how = 0; how < 3; how++) {
      g_assert_false (how == 0 ? tern_session_push_frame (session, cases[i].image, MS (1000), MS (500), &error)
          : how == 1 ? tern_session_push_still (session, cases[i].image, &error)
          : tern_view_add_frame (clip, cases[i].image, 0, &error));
      g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
      g_assert_cmpstr (error->message, ==, cases[i].says);
      g_clear_error (&error);
    }
  g_assert_true (tern_session_push_frame (session, &not_coloured, MS (1000), MS (500), &error));       /* nothing is coded by it */
  push_run (session, 3, 1, 0);
  tern_session_finish (session);
  result = next_result (session);
  g_assert_cmpstr (result->kind, ==, "caption");
  g_assert_cmpuint (result->frames, ==, 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tokens/previews", test_previews);
  g_test_add_func ("/tokens/previews-times", test_previews_times);
  g_test_add_func ("/tokens/previews-end", test_previews_end);
  g_test_add_func ("/tokens/previews-answer", test_previews_answer);
  g_test_add_func ("/tokens/previews-and-windows", test_previews_and_windows);
  g_test_add_func ("/tokens/bad", test_bad_tokens);
  g_test_add_func ("/tokens/bad-pictures", test_bad_pictures);
  return g_test_run ();
}
