/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which state of a robot belongs to a frame. */
#include <math.h>

#include "tern/state-history.h"
#include "tern/tern.h"

static void
push (TernStateHistory *history, guint64 time, float value)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_state_history_push (history, time, (float[]) { value, -value }, 2, &error));
  g_assert_no_error (error);
}

static float
find (const TernStateHistory *history, guint64 time, guint64 max_age)
{
  float values[2];
  g_autoptr (GError) error = NULL;

  if (!tern_state_history_find (history, time, max_age, NULL, 0, values, &error)) {
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
    return NAN;
  }
  g_assert_cmpfloat (values[0], ==, -values[1]);
  return values[0];
}

static void
refuse (TernStateHistory *history, guint64 time, const float *values, guint n, TernErrorCode code, const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_state_history_push (history, time, values, n, &error));
  g_assert_error (error, TERN_ERROR, (int) code);
  g_assert_cmpstr (error->message, ==, message);
}

static void
test_newest (void)
{
  g_autoptr (GError) error = NULL;
  TernStateHistory history;

  g_assert_true (tern_state_history_init (&history, 2, &error));
  g_assert_true (isnan (find (&history, 10, 0)));
  push (&history, 100, 1);
  push (&history, 200, 2);
  push (&history, 200, 3);      /* in the place of the one before */
  push (&history, 350, 4);
  g_assert_true (isnan (find (&history, 99, 0)));
  g_assert_cmpfloat (find (&history, 100, 0), ==, 1);
  g_assert_cmpfloat (find (&history, 199, 0), ==, 1);
  g_assert_cmpfloat (find (&history, 200, 0), ==, 3);
  g_assert_cmpfloat (find (&history, 349, 0), ==, 3);
  g_assert_cmpfloat (find (&history, G_MAXUINT64 - 1, 0), ==, 4);
  g_assert_cmpfloat (find (&history, 249, 49), ==, 3);
  g_assert_true (isnan (find (&history, 250, 49)));
  tern_state_history_forget (&history);
  g_assert_true (isnan (find (&history, 400, 0)));
  push (&history, 5, 6);
  g_assert_cmpfloat (find (&history, 400, 0), ==, 6);
  tern_state_history_clear (&history);
}

/* Every state for every lag, against a search through all; times are rounded periods of 30 a second, or irregular. */
static void
test_lags (void)
{
  guint64 lags[] = { 33333333, 33333334, 100 * 1000000ull, 333333333, 2 * TERN_SECOND };
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (guint irregular = 0; irregular < 2; irregular++) {
    g_autoptr (GError) error = NULL;
    guint64 times[200];
    float values[2 * (G_N_ELEMENTS (lags) + 1)];
    TernStateHistory history;

    g_assert_true (tern_state_history_init (&history, 2, &error));
    for (guint i = 0; i < G_N_ELEMENTS (times); i++) {
      times[i] = irregular ? (i ? times[i - 1] : 7) + 1 + g_rand_int_range (rand, 0, 70000000) : i * TERN_SECOND / 30;
      push (&history, times[i], i);
      g_assert_true (tern_state_history_find (&history, times[i] + 5, 0, lags, G_N_ELEMENTS (lags), values, &error));
      g_assert_cmpfloat (values[0], ==, i);
      for (guint l = 0; l < G_N_ELEMENTS (lags); l++) {
        gint64 wanted = (gint64) times[i] - (gint64) lags[l];
        guint best = 0;

        for (guint k = 1; k <= i; k++)
          if (ABS ((gint64) times[k] - wanted) < ABS ((gint64) times[best] - wanted))
            best = k;
        g_assert_cmpfloat (values[2 * (l + 1)], ==, best);
        g_assert_cmpfloat (values[2 * (l + 1) + 1], ==, -(float) best);
      }
      if (!irregular && i > 0)
        g_assert_true (values[2] == i - 1 && values[4] == i - 1);       /* one period, whichever way it was rounded */
    }
    tern_state_history_clear (&history);
  }
}

static void
test_refused (void)
{
  const float good[] = { 1, 2 }, bad[] = { 1, NAN };
  g_autoptr (GError) error = NULL;
  TernStateHistory history;

  g_assert_true (tern_state_history_init (&history, 2, &error));
  push (&history, TERN_SECOND, 1);
  refuse (&history, 2 * TERN_SECOND, good, 1, TERN_ERROR_MISMATCH, "robot's state: expected 2 numbers, found 1");
  refuse (&history, 2 * TERN_SECOND, bad, 2, TERN_ERROR_INVALID,
      "robot's state: expected finite numbers, found nan at 1");
  refuse (&history, TERN_TIME_NONE, good, 2, TERN_ERROR_INVALID, "robot's state: expected a time, found none");
  refuse (&history, TERN_SECOND / 2, good, 2, TERN_ERROR_INVALID,
      "robot's state: expected a time of at least 1.000000000 s,"
      " that of the one before it, found 0.500000000 s");
  g_assert_cmpfloat (find (&history, 5 * TERN_SECOND, 0), ==, 1);
  history.may_restart = TRUE;
  push (&history, TERN_SECOND / 2, 7);
  g_assert_cmpfloat (find (&history, 5 * TERN_SECOND, 0), ==, 7);
  g_assert_cmpuint (history.n, ==, 1);
  tern_state_history_clear (&history);
}

/* The oldest go; memory stays as it is. */
static void
test_bounded (void)
{
  g_autoptr (GError) error = NULL;
  TernStateHistory history;

  g_assert_true (tern_state_history_init (&history, 2, &error));
  for (guint i = 0; i < 3 * history.most + 5; i++)
    push (&history, 10 * i, i);
  g_assert_cmpuint (history.n, ==, history.most);
  for (guint i = 2 * history.most + 5; i < 3 * history.most + 5; i += 97)
    g_assert_cmpfloat (find (&history, 10 * i + 9, 0), ==, i);
  g_assert_true (isnan (find (&history, 10 * (2 * history.most + 5) - 1, 0)));
  tern_state_history_clear (&history);
  g_assert_true (tern_state_history_init (&history, 1024, &error));
  g_assert_cmpuint (history.most, ==, 1024);
  tern_state_history_clear (&history);
  g_assert_true (tern_state_history_init (&history, 0, &error));        /* a model that takes none */
  g_assert_true (tern_state_history_find (&history, 0, 0, NULL, 0, NULL, &error));
  tern_state_history_clear (&history);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/state-history/newest", test_newest);
  g_test_add_func ("/state-history/lags", test_lags);
  g_test_add_func ("/state-history/refused", test_refused);
  g_test_add_func ("/state-history/bounded", test_bounded);
  return g_test_run ();
}
