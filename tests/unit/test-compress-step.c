/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public compressor: groups in, kept rows out. */
#include <math.h>
#include <string.h>

#include "tern/tern.h"

#define N 6
#define DIM 3

static void
fill (float *rows, guint seed)
{
  for (guint i = 0; i < N * DIM; i++)
    rows[i] = (float) ((i * 7 + seed * 13 + i * i * (seed % 5)) % 17) - 8;
}

static TernTokens
frame (float *rows, guint64 number)
{
  fill (rows, (guint) number);
  return (TernTokens) { .pts = number * 100, .number = number, .grid_w = 3, .grid_h = 2, .dim = DIM, .n_tokens = N,
    .tokens = rows };
}

static TernCompressor *
make (TernMethod method, double ratio, guint max_tokens)
{
  TernCompressorParams params = { .method = method, .merge_ratio = ratio, .max_tokens = max_tokens };
  g_autoptr (GError) error = NULL;
  TernCompressor *compressor = tern_compressor_new (&params, N, DIM, &error);

  g_assert_no_error (error);
  return compressor;
}

static void
test_groups (void)
{
  g_autoptr (TernCompressor) compressor = make (TERN_METHOD_DYCOKE, .5, 0);
  g_autoptr (GError) error = NULL;
  TernCompressorStats stats;
  TernTokens out;
  float rows[N * DIM];
  guint popped = 0;

  for (guint64 i = 0; i < 10; i++) {
    TernTokens in = frame (rows, i);

    g_assert_true (tern_compressor_push (compressor, &in, &error));
    if (i == 9)
      tern_compressor_drain (compressor);
    while (tern_compressor_pop (compressor, &out)) {
      float original[N * DIM];

      fill (original, (guint) out.number);
      g_assert_cmpuint (out.number, ==, popped);
      g_assert_cmpuint (out.pts, ==, popped * 100);
      g_assert_cmpuint (out.grid_w * out.grid_h, ==, N);
      g_assert_cmpuint (out.n_tokens, ==, popped % 4 == 0 ? N : N / 2);
      g_assert_true ((out.keep == NULL) == (popped % 4 == 0));
      for (guint k = 0; k < out.n_tokens; k++)          /* every kept row is an input row */
        g_assert_cmpmem (out.tokens + k * DIM, DIM * 4, original + (out.keep ? out.keep[k] : (gint) k) * DIM, DIM * 4);
      popped++;
    }
    g_assert_cmpuint (popped, ==, i == 9 ? 10 : (i + 1) / 4 * 4);
  }
  tern_compressor_stats (compressor, &stats);
  g_assert_cmpuint (stats.frames, ==, 10);
  g_assert_cmpuint (stats.groups, ==, 3);
  g_assert_cmpuint (stats.tokens_in, ==, 60);
  g_assert_cmpuint (stats.tokens_kept, ==, 3 * 6 + 7 * 3);
}

static void
test_early_end (void)
{
  g_autoptr (TernCompressor) compressor = make (TERN_METHOD_NONE, .5, 0);
  g_autoptr (GError) error = NULL;
  float rows[N * DIM];
  TernTokens in = frame (rows, 0), out;

  g_assert_true (tern_compressor_push (compressor, &in, NULL));
  in.number = 5;                /* the next group */
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  g_clear_error (&error);
  g_assert_true (tern_compressor_pop (compressor, &out));
  g_assert_cmpuint (out.number, ==, 0);
  g_assert_true (tern_compressor_push (compressor, &in, NULL));
  in.number = 6;
  in.grid_w = 2;                /* another grid */
  in.grid_h = 3;
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  tern_compressor_reset (compressor);
  g_assert_false (tern_compressor_pop (compressor, &out));
  g_assert_true (tern_compressor_push (compressor, &in, NULL));
}

static void
test_budget (void)
{
  g_autoptr (TernCompressor) compressor = make (TERN_METHOD_NONE, 0, 10);
  float rows[N * DIM];
  TernTokens out;
  guint kept = 0;

  for (guint64 i = 0; i < 4; i++) {
    TernTokens in = frame (rows, i);

    g_assert_true (tern_compressor_push (compressor, &in, NULL));
  }
  while (tern_compressor_pop (compressor, &out))
    kept += out.n_tokens;
  g_assert_cmpuint (kept, ==, 10);
}

/* Budgets of frames, windows and seconds: exact in every run of so many frames, wherever it begins, and with any method. */
static void
test_budgets (void)
{
  for (guint m = 0; *tern_method_name (m); m++)
    for (guint most = 8; most < 30; most += 7) {
      TernCompressorParams window = { .method = m, .max_tokens_per_window = most, .window_frames = 8 };
      TernCompressorParams second = { .method = m, .max_tokens_per_second = most, .rate_n = 30000, .rate_d = 3750 };
      TernCompressorParams each = { .method = m, .max_tokens_per_frame = most / 8 };
      const TernCompressorParams *const all[] = { &window, &second, &each };

      for (guint p = 0; p < G_N_ELEMENTS (all); p++) {
        g_autoptr (TernCompressor) compressor = tern_compressor_new (all[p], N, DIM, NULL);
        float rows[N * DIM];
        guint kept[32] = { 0 };
        TernTokens out;

        for (guint64 i = 0; i < 32; i++) {
          TernTokens in = frame (rows, i);

          g_assert_true (tern_compressor_push (compressor, &in, NULL));
          while (tern_compressor_pop (compressor, &out))
            kept[out.number] = out.n_tokens;
        }
        for (guint i = 0; i + 8 <= 32; i += 4) {
          guint sum = 0;

          for (guint f = i; f < i + 8; f++) {
            sum += kept[f];
            g_assert_true (all[p] != &each || kept[f] <= most / 8);
          }
          g_assert_cmpuint (sum, <=, most);
          if (all[p] != &each && m != TERN_METHOD_STTM && m != TERN_METHOD_HOLITOM && m != TERN_METHOD_VLA_CACHE)
            g_assert_cmpuint (sum, ==, most);
        }
      }
    }
}

/* Budgets that leave a frame nothing, or that nothing is known about. */
static void
test_impossible (void)
{
  static const struct { TernCompressorParams params; const char *what; } cases[] = {
    { { .max_tokens_per_window = 7, .window_frames = 8 }, "8, found 7" },
    { { .max_tokens_per_window = 7 }, "expected windows" },
    { { .max_tokens_per_second = 1, .rate_n = 3, .rate_d = 2 }, "2 frames, found 1" },
    { { .max_tokens_per_second = 20 }, "rate_n" },
    { { .max_tokens_per_window = TERN_BUDGET_MAX + 1, .window_frames = 8 }, "found 16777217" },
  };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (tern_compressor_new (&cases[c].params, N, DIM, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, cases[c].what));
  }
}

static void
test_refused (void)
{
  g_autoptr (TernCompressor) compressor = make (TERN_METHOD_DYCOKE, .5, 0);
  g_autoptr (GError) error = NULL;
  float rows[N * DIM];
  TernTokens in = frame (rows, 0);
  TernMethod method;

  in.dim = 4;
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_MISMATCH);
  g_clear_error (&error);
  in.dim = DIM;
  in.n_tokens = 5;              /* a part of the grid: compressed already */
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  in = frame (rows, 0);
  in.tokens = NULL;
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_clear_error (&error);
  in.tokens = rows;
  rows[7] = NAN;
  g_assert_false (tern_compressor_push (compressor, &in, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_cmpstr (error->message, ==, "visual tokens: expected finite numbers, found nan at 7");
  g_clear_error (&error);
  g_assert_null (tern_compressor_new (&(TernCompressorParams) { .merge_ratio = -1 }, N, DIM, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "-1"));
  g_clear_error (&error);
  g_assert_false (tern_method_parse ("best", &method, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* Numbered without gaps; constants are the methods that they are named after. */
static void
test_methods (void)
{
  TernMethod method;
  guint m;

  for (m = 0; *tern_method_name (m); m++) {
    g_assert_true (tern_method_parse (tern_method_name (m), &method, NULL) && method == m);
    g_assert_cmpstr (tern_method_about (m), !=, "");
  }
  g_assert_cmpuint (m, >, TERN_METHOD_RANDOM);
  g_assert_cmpstr (tern_method_about (m), ==, "");
  g_assert_cmpstr (tern_method_name (TERN_METHOD_NONE), ==, "none");
  g_assert_cmpstr (tern_method_name (TERN_METHOD_DYCOKE), ==, "dycoke");
  g_assert_cmpstr (tern_method_name (TERN_METHOD_RANDOM), ==, "random");
}

/* What is planned is what comes. */
static void
test_bound (void)
{
  for (guint m = 0; *tern_method_name (m); m++)
    for (guint frames = 1; frames <= TERN_GROUP_FRAMES; frames++)
      for (guint most = 0; most < 12; most += 5) {
        TernCompressorParams params = { .method = m, .merge_ratio = .5, .max_tokens = most };
        g_autoptr (TernCompressor) compressor = make (m, .5, most);
        float rows[N * DIM];
        TernTokens out;
        guint kept = 0;

        for (guint i = 0; i < frames; i++) {
          TernTokens in = frame (rows, i);

          g_assert_true (tern_compressor_push (compressor, &in, NULL));
        }
        tern_compressor_drain (compressor);
        while (tern_compressor_pop (compressor, &out))
          kept += out.n_tokens;
        if (m == TERN_METHOD_STTM || m == TERN_METHOD_HOLITOM)  /* what is alike is merged: they may keep less */
          g_assert_cmpuint (tern_compressor_bound (&params, frames, N), >=, kept);
        else
          g_assert_cmpuint (tern_compressor_bound (&params, frames, N), ==, kept);
      }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/compressor/groups", test_groups);
  g_test_add_func ("/compressor/early-end", test_early_end);
  g_test_add_func ("/compressor/budget", test_budget);
  g_test_add_func ("/compressor/budgets", test_budgets);
  g_test_add_func ("/compressor/impossible", test_impossible);
  g_test_add_func ("/compressor/refused", test_refused);
  g_test_add_func ("/compressor/methods", test_methods);
  g_test_add_func ("/compressor/bound", test_bound);
  return g_test_run ();
}
