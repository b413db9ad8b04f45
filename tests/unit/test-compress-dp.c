/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worked case and invariants of DyCoke stage 2, driven as the model drives a key policy. */
#include <string.h>

#include "compress/dycoke-dp.h"

/* The LFM2-1.2B pattern: attention at 2, 5, 8, 10, 12, 14. */
static const guint8 lfm2[16] = { 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0 };

/* One decode step over @n_keys keys; @scores are those of the visual positions from 2 on. What layer 5 attends to. */
static const gint32 *
step (const TernKeyPolicy *policy, const float *visual, guint n_visual, guint n_keys, guint *n_out)
{
  g_autofree float *scores = g_new0 (float, n_keys);
  const gint32 *keys = NULL;

  for (guint i = 0; i < n_visual; i++)
    scores[2 + i] = visual[i];
  for (guint l = 0; l < 16; l++) {
    guint n = 0;
    const gint32 *k;

    if (!lfm2[l])
      continue;
    k = policy->keys (policy->self, l, n_keys, &n);
    if (l < 3)
      g_assert_null (k);
    if (l == 5) {
      keys = k;
      *n_out = n;
    } else if (l > 5) {
      g_assert_true (k == keys && (!k || n == *n_out));
    }
    if ((gint) l == policy->score_layer)
      policy->observe (policy->self, &(TernKeyView) { .layer = l, .n_keys = n_keys, .scores = scores });
  }
  return keys;
}

static void
assert_keys (const gint32 *keys, guint n, const gint32 *want, guint n_want)
{
  g_assert_nonnull (keys);
  g_assert_cmpmem (keys, n * sizeof (gint32), want, n_want * sizeof (gint32));
}

#define ASSERT_KEYS(keys, n, ...) G_STMT_START { \
    static const gint32 want_[] = { __VA_ARGS__ }; \
    assert_keys (keys, n, want_, G_N_ELEMENTS (want_)); } G_STMT_END

static const float first[6] = { .02f, .10f, .05f, .20f, .01f, .08f };
static const float similar[6] = { .021f, .098f, .052f, .19f, .012f, .081f };    /* cosine .9996 */
static const float changed[6] = { .20f, .02f, .05f, .03f, .10f, .08f };         /* cosine with the first .3662 */
static const TernSpan span = { 2, 6 };

/* W5 */
static void
test_worked (void)
{
  g_autoptr (TernDp) dp = tern_dp_new (16, lfm2, 32, NULL);
  TernDpParams params = { .prune = .5, .layer = 3 };
  const TernKeyPolicy *policy;
  TernDpStats stats;
  const gint32 *keys;
  guint n = 0;

  policy = tern_dp_begin (dp, &params, &span, 1);
  g_assert_nonnull (policy);
  g_assert_cmpint (policy->score_layer, ==, 2);
  keys = step (policy, first, 6, 10, &n);
  ASSERT_KEYS (keys, n, 0, 1, 3, 5, 7, 8, 9);
  keys = step (policy, similar, 6, 11, &n);
  ASSERT_KEYS (keys, n, 0, 1, 3, 5, 7, 8, 9, 10);
  keys = step (policy, changed, 6, 12, &n);
  ASSERT_KEYS (keys, n, 0, 1, 2, 6, 7, 8, 9, 10, 11);
  tern_dp_stats (dp, &stats);
  g_assert_cmpuint (stats.steps, ==, 3);
  g_assert_cmpuint (stats.selections, ==, 2);
  g_assert_cmpuint (stats.pruned_layers, ==, 5);
  g_assert_cmpuint (stats.keys, ==, 3 * 6 * 6);
  g_assert_cmpuint (stats.kept, ==, 3 * (6 + 5 * 3));

  params.gate = TERN_DP_REF;
  policy = tern_dp_begin (dp, &params, &span, 1);
  keys = step (policy, first, 6, 10, &n);
  ASSERT_KEYS (keys, n, 0, 1, 3, 5, 7, 8, 9);
  g_assert_null (step (policy, similar, 6, 11, &n));
  keys = step (policy, changed, 6, 12, &n);
  ASSERT_KEYS (keys, n, 0, 1, 2, 6, 7, 8, 9, 10, 11);

  /* The gate compares with the step before, not with the last selection. */
  g_assert_null (step (policy, changed, 6, 13, &n));

  params.gate = TERN_DP_ALWAYS;
  policy = tern_dp_begin (dp, &params, &span, 1);
  step (policy, first, 6, 10, &n);
  step (policy, similar, 6, 11, &n);
  tern_dp_stats (dp, &stats);
  g_assert_cmpuint (stats.selections, ==, 2);
}

static void
test_keep_counts (void)
{
  static const guint counts[2][4] = { { 3097, 929, 619, 309 }, { 2959, 887, 591, 295 } };

  for (guint i = 0; i < 2; i++)
    for (guint p = 0; p < 3; p++) {
      g_assert_cmpuint (tern_dp_keep (TERN_DP_PAPER, .7 + p * .1, counts[i][0]), ==, counts[i][p + 1]);
      g_assert_cmpuint (tern_dp_keep (TERN_DP_REF, .7 + p * .1, counts[i][0]), ==, counts[i][p + 1]);
    }
  /* W3 */
  g_assert_cmpuint (tern_dp_keep (TERN_DP_PAPER, .8, 3095), ==, 619);
  g_assert_cmpuint (tern_dp_keep (TERN_DP_REF, .8, 3095), ==, 618);
}

/* 1.3.4: which layer scores and which are pruned. */
static void
test_layers (void)
{
  static const guint8 first_only[4] = { 1, 0, 0, 0 }, late[4] = { 0, 0, 0, 1 };
  g_autoptr (TernDp) a = tern_dp_new (4, first_only, 16, NULL);
  g_autoptr (TernDp) b = tern_dp_new (4, late, 16, NULL);
  g_autoptr (TernDp) c = tern_dp_new (16, lfm2, 16, NULL);

  g_assert_cmpint (tern_dp_score_layer (16, lfm2, 3), ==, 2);
  g_assert_cmpint (tern_dp_score_layer (16, lfm2, 2), ==, -1);
  g_assert_cmpint (tern_dp_score_layer (16, lfm2, 10), ==, 8);
  g_assert_cmpint (tern_dp_score_layer (16, lfm2, 99), ==, 14);

  /* Nothing from L on, nothing before L, nothing dropped, nothing visual: no policy. */
  g_assert_null (tern_dp_begin (a, &(TernDpParams) { .prune = .5, .layer = 3 }, &span, 1));
  g_assert_null (tern_dp_begin (b, &(TernDpParams) { .prune = .5, .layer = 3 }, &span, 1));
  g_assert_null (tern_dp_begin (c, &(TernDpParams) { .prune = 0, .layer = 3 }, &span, 1));
  g_assert_null (tern_dp_begin (c, &(TernDpParams) { .prune = .5, .layer = 3 }, NULL, 0));
  g_assert_null (tern_dp_begin (c, &(TernDpParams) { .prune = .5, .layer = 15 }, &span, 1));
  g_assert_nonnull (tern_dp_begin (c, &(TernDpParams) { .prune = 1, .layer = 14 }, &span, 1));
}

/* W6, on several spans: the answer is ascending, holds all text and the new token; kept and left out make up all visual
 * tokens; a request leaves nothing behind. */
static void
test_invariants (void)
{
  static const TernSpan spans[] = { { 3, 5 }, { 10, 4 }, { 16, 7 } };
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  g_autoptr (TernDp) dp = tern_dp_new (16, lfm2, 64, NULL);
  guint8 visual[64] = { 0 };
  gint32 before[2][64];
  guint n_before[2] = { 0 };

  for (guint s = 0; s < 3; s++)
    memset (visual + spans[s].start, 1, spans[s].n);
  for (guint round = 0; round < 40; round++) {
    TernDpParams params = { .prune = round < 2 ? .6 : g_rand_double_range (rand, .1, 1), .layer = 3,
      .gate = round < 2 ? TERN_DP_PAPER : (TernDpGate) (round % 3) };
    const TernKeyPolicy *policy = tern_dp_begin (dp, &params, spans, 3);
    guint want = tern_dp_keep (params.gate, params.prune, 16);

    if (round < 2)
      g_rand_set_seed (rand, 99);
    g_assert_nonnull (policy);
    for (guint n_keys = 30; n_keys < 50; n_keys++) {
      float scores[64];
      const gint32 *keys;
      guint n = 0, n_visual = 0, n_text = 0;

      for (guint i = 0; i < n_keys; i++)
        scores[i] = (float) g_rand_double (rand);
      policy->observe (policy->self, &(TernKeyView) { .layer = 2, .n_keys = n_keys, .scores = scores });
      keys = policy->keys (policy->self, 5, n_keys, &n);
      if (!keys) {
        g_assert_cmpint (params.gate, ==, TERN_DP_REF);
        continue;
      }
      for (guint i = 0; i < n; i++) {
        g_assert_true (keys[i] >= 0 && keys[i] < (gint32) n_keys && (i == 0 || keys[i] > keys[i - 1]));
        if (visual[keys[i]])
          n_visual++;
        else
          n_text++;
      }
      g_assert_cmpint (keys[n - 1], ==, (gint) n_keys - 1);
      g_assert_cmpuint (n_visual, ==, want);
      g_assert_cmpuint (n_text, ==, n_keys - 16);
      if (round < 2) {
        n_before[round] = n;
        memcpy (before[round], keys, n * sizeof (gint32));
      }
    }
  }
  g_assert_cmpmem (before[0], n_before[0] * 4, before[1], n_before[1] * 4);
}

/* Up to TERN_POLICY_ROWS steps at once, as a pass with guesses drives it; what was guessed wrong is scored anew. The same
 * keys and counts as step by step. */
static void
test_several_at_once (void)
{
  static const TernSpan spans[] = { { 3, 5 }, { 10, 4 } };
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);
  g_autoptr (TernDp) plain = tern_dp_new (16, lfm2, 128, NULL), several = tern_dp_new (16, lfm2, 128, NULL);

  for (guint round = 0; round < 60; round++) {
    TernDpParams params = { .prune = .6, .layer = 3, .gate = (TernDpGate) (round % 3) };
    const TernKeyPolicy *one = tern_dp_begin (plain, &params, spans, 2), *many = tern_dp_begin (several, &params, spans, 2);
    float scores[100][100], wrong[100];
    TernDpStats a, b;

    g_assert_cmpuint (many->rows, ==, TERN_POLICY_ROWS);
    for (guint s = 0; s < 100; s++)     /* runs of similar ones */
      for (guint i = 0; i < 100; i++)
        scores[s][i] = s % 4 ? scores[s - 1][i] + .02f * (float) g_rand_double (rand) : (float) g_rand_double (rand);
    for (guint i = 0; i < 100; i++)
      wrong[i] = (float) g_rand_double (rand);
    for (guint n_keys = 20; n_keys < 90;) {
      guint rows = MIN ((guint) g_rand_int_range (rand, 1, TERN_POLICY_ROWS + 1), 90 - n_keys);
      guint right = (guint) g_rand_int_range (rand, 1, (gint32) rows + 1);
      const gint32 *got[TERN_POLICY_ROWS];
      guint n_got[TERN_POLICY_ROWS] = { 0 };

      for (guint r = 0; r < rows; r++)
        many->observe (many->self, &(TernKeyView) { .layer = 2, .n_keys = n_keys + r,
              .scores = r < right ? scores[n_keys + r] : wrong });
      for (guint layer = 5; layer < 15; layer += 3)
        for (guint r = 0; r < rows; r++)
          got[r] = many->keys (many->self, layer, n_keys + r, &n_got[r]);
      for (guint r = 0; r < right; r++) {
        const gint32 *want;
        guint n = 0;

        one->observe (one->self, &(TernKeyView) { .layer = 2, .n_keys = n_keys + r, .scores = scores[n_keys + r] });
        want = one->keys (one->self, 14, n_keys + r, &n);
        g_assert_true (!want == !got[r]);
        if (want)
          g_assert_cmpmem (got[r], n_got[r] * sizeof (gint32), want, n * sizeof (gint32));
      }
      n_keys += right;
      if (right == rows) {
        tern_dp_stats (plain, &a);
        tern_dp_stats (several, &b);
        g_assert_true (a.steps == b.steps && a.selections == b.selections && a.keys == b.keys && a.kept == b.kept
            && a.pruned_layers == b.pruned_layers);
      }
    }
  }
}

static void
test_selects_the_highest (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (8);
  g_autoptr (TernDp) dp = tern_dp_new (16, lfm2, 64, NULL);
  const TernKeyPolicy *policy = tern_dp_begin (dp,
      &(TernDpParams) { .prune = .5, .layer = 3, .gate = TERN_DP_ALWAYS }, &(TernSpan) { 2, 30 }, 1);

  for (guint round = 0; round < 50; round++) {
    float scores[40], lowest_kept = 2, highest_left = -1;
    gboolean kept[40] = { 0 };
    const gint32 *keys;
    guint n = 0;

    for (guint i = 0; i < 40; i++)
      scores[i] = (float) g_rand_double (rand);
    policy->observe (policy->self, &(TernKeyView) { .layer = 2, .n_keys = 40, .scores = scores });
    keys = policy->keys (policy->self, 14, 40, &n);
    for (guint i = 0; i < n; i++)
      kept[keys[i]] = TRUE;
    for (guint i = 2; i < 32; i++) {
      if (kept[i])
        lowest_kept = MIN (lowest_kept, scores[i]);
      else
        highest_left = MAX (highest_left, scores[i]);
    }
    g_assert_cmpfloat (lowest_kept, >=, highest_left);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/compress/dp/worked", test_worked);
  g_test_add_func ("/compress/dp/keep-counts", test_keep_counts);
  g_test_add_func ("/compress/dp/layers", test_layers);
  g_test_add_func ("/compress/dp/invariants", test_invariants);
  g_test_add_func ("/compress/dp/selects-the-highest", test_selects_the_highest);
  g_test_add_func ("/compress/dp/several-at-once", test_several_at_once);
  return g_test_run ();
}
