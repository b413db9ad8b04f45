/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What methods say of themselves: how many tokens they keep at most, what they need of a group; and a method of the test's
 * own that goes by the vision tower's attention. */
#include <math.h>
#include <string.h>

#include "compress/compress.h"
#include "compress/select.h"
#include "compress/team-vla.h"
#include "tern/error.h"

/* ---- The tokens of each frame that the tower attends to most ----------------------------------------------------- */

static gsize
attended_scratch (guint n_tokens, guint dim)
{
  return n_tokens * sizeof (TernScored);
}

static guint64
attended_bound (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  return (guint64) n_frames * tern_compress_keep (params->merge_ratio, n_tokens);
}

static void
attended_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, n_kept = tern_compress_keep (params->merge_ratio, n);
  TernScored *scored = scratch;

  for (guint f = 0; f < group->n_frames; f++) {
    for (guint i = 0; i < n; i++)
      scored[i] = (TernScored) { .score = -(double) group->scores[f * n + i], .index = (gint32) i };
    tern_select_lowest (scored, n, n_kept);
    for (guint i = 0; i < n_kept; i++)
      keep[f * n + i] = scored[i].index;
    tern_sort_positions (keep + f * n, n_kept);
    n_keep[f] = n_kept;
  }
}

static const TernCompressMethod attended = {
  .name = "attended",
  .about = "the tokens of each frame that the vision tower attends to most",
  .needs = TERN_COMPRESS_NEEDS_SCORES,
  .scratch = attended_scratch,
  .bound = attended_bound,
  .select = attended_select,
};

/* ---- Bounds ------------------------------------------------------------------------------------------------------ */

/* Anything an encoder may give: noise, a still picture, zeros, numbers that are none. */
static void
fill (float *values, gsize n, GRand *rand)
{
  guint kind = (guint) g_rand_int_range (rand, 0, 4);

  for (gsize i = 0; i < n; i++)
    values[i] = kind == 0 ? (float) g_rand_double_range (rand, -1, 1) : kind == 1 ? 1 : kind == 2 ? 0
        : g_rand_int_range (rand, 0, 4) ? (float) g_rand_int_range (rand, -1, 2) : NAN;
}

/* TRUE: it kept as many as it says that it may. */
static gboolean
check_group (const TernCompressMethod *method, GRand *rand)
{
  guint frames = (guint) g_rand_int_range (rand, 1, TERN_COMPRESS_GROUP + 1), n = (guint) g_rand_int_range (rand, 1, 60);
  guint dim = (guint) g_rand_int_range (rand, 1, 12), kept = 0;
  g_autofree float *tokens = g_new (float, (gsize) frames * n * dim), *scores = g_new (float, (gsize) frames * n);
  g_autofree float *mixed = g_new (float, (gsize) frames * n * dim);
  g_autofree gint32 *keep = g_new (gint32, (gsize) frames * n);
  g_autofree void *scratch = g_malloc (MAX (method->scratch (n, dim), 1));
  TernTokenGroup group = { .tokens = tokens, .n_frames = frames, .n_tokens = n, .dim = dim,
    .index = g_rand_int (rand), .scores = scores };
  TernCompressParams params = { .merge_ratio = g_rand_int_range (rand, 0, 11) / 10.0, .seed = g_rand_int (rand),
    .max_tokens = g_rand_boolean (rand) ? 0 : (guint) g_rand_int_range (rand, 1, 100) };
  guint n_keep[TERN_COMPRESS_GROUP];
  guint64 bound = tern_compress_bound (method, &params, frames, n);

  fill (tokens, (gsize) frames * n * dim, rand);
  fill (scores, (gsize) frames * n, rand);
  g_assert_true (tern_compress_check (method, tern_compress_has (&group), NULL));
  tern_compress_run (method, &params, &group, scratch, keep, n_keep, mixed);
  for (guint f = 0; f < frames; f++) {
    for (guint i = 0; i < n_keep[f]; i++)
      g_assert_true (keep[f * n + i] >= 0 && keep[f * n + i] < (gint32) n
          && (i == 0 || keep[f * n + i] > keep[f * n + i - 1]));
    kept += n_keep[f];
  }
  g_assert_cmpuint (kept, <=, bound);
  g_assert_true (!params.max_tokens || bound <= params.max_tokens);
  g_assert_cmpuint (tern_compress_bound (method, &params, 0, n), ==, 0);
  g_assert_cmpuint (bound, <=, (guint64) frames * n);
  return kept == bound;
}

static void
test_bound (gconstpointer data)
{
  const TernCompressMethod *method = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (12);
  guint reached = 0;

  for (guint round = 0; round < 2000; round++)
    reached += check_group (method, rand);
  g_assert_cmpuint (reached, >, 0);
  /* Larger than any frame: no product wraps. */
  g_assert_cmpuint (tern_compress_bound (method, &(TernCompressParams) { .merge_ratio = 0 }, 4, G_MAXUINT), ==,
      4 * (guint64) G_MAXUINT);
}

/* ---- What stands behind the token in its row --------------------------------------------------------------------- */

/* Features of early layers are of no account for what is kept, and go where their row goes: means are of them too. Here they are
 * the token twice and four times as large and drawn at random, so that the means are known to the bit. */
static void
check_behind (const TernCompressMethod *method, GRand *rand)
{
  guint frames = (guint) g_rand_int_range (rand, 1, TERN_COMPRESS_GROUP + 1), n = (guint) g_rand_int_range (rand, 1, 30);
  guint dim = (guint) g_rand_int_range (rand, 1, 9), wide = 4 * dim, all = frames * n;
  g_autofree float *tokens = g_new0 (float, all * dim), *mixed = g_new0 (float, all * dim);
  g_autofree float *rows = g_new0 (float, all * wide), *mixed_rows = g_new0 (float, all * wide);
  g_autofree gint32 *keep = g_new0 (gint32, all), *keep_rows = g_new0 (gint32, all);
  g_autofree void *scratch = g_malloc (MAX (method->scratch (n, wide), 1));
  guint n_keep[TERN_COMPRESS_GROUP], n_keep_rows[TERN_COMPRESS_GROUP];
  TernTokenGroup group = { .tokens = tokens, .n_frames = frames, .n_tokens = n, .dim = dim, .index = g_rand_int (rand) };
  TernTokenGroup behind = group;
  TernCompressParams params = { .merge_ratio = g_rand_int_range (rand, 0, 11) / 10.0, .seed = g_rand_int (rand),
    .max_frame_tokens = g_rand_boolean (rand) ? 0 : (guint) g_rand_int_range (rand, 1, 20) };

  for (guint i = 0; i < all * dim; i++) {
    float *to = rows + i / dim * wide + i % dim;

    tokens[i] = (float) g_rand_double_range (rand, -1, 1);
    to[0] = tokens[i];
    to[dim] = 2 * tokens[i];
    to[2 * dim] = 4 * tokens[i];
    to[3 * dim] = (float) g_rand_double_range (rand, -100, 100);
  }
  behind.tokens = rows;
  behind.dim = wide;
  behind.main = dim;
  tern_compress_run (method, &params, &group, scratch, keep, n_keep, mixed);
  tern_compress_run (method, &params, &behind, scratch, keep_rows, n_keep_rows, mixed_rows);
  g_assert_cmpmem (n_keep, frames * sizeof (guint), n_keep_rows, frames * sizeof (guint));
  for (guint f = 0; f < frames; f++) {
    g_assert_cmpmem (keep + f * n, n_keep[f] * sizeof (gint32), keep_rows + f * n, n_keep[f] * sizeof (gint32));
    for (guint i = 0; method->mix && i < n_keep[f]; i++) {
      const float *one = mixed + (f * n + (guint) keep[f * n + i]) * dim;
      const float *row = mixed_rows + (f * n + (guint) keep[f * n + i]) * wide;

      for (guint d = 0; d < dim; d++)
        g_assert_true (row[d] == one[d] && row[dim + d] == 2 * one[d] && row[2 * dim + d] == 4 * one[d]);
    }
  }
}

static void
test_behind (gconstpointer method)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20);

  for (guint round = 0; round < 300; round++)
    check_behind (method, rand);
}

/* ---- Needs ------------------------------------------------------------------------------------------------------- */

static void
refused (const TernCompressMethod *method, TernCompressNeeds has, const char *what)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (tern_compress_check (method, has, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, method->name));
  g_assert_nonnull (strstr (error->message, what));
}

static void
test_needs (void)
{
  const float one = 1;
  TernTokenGroup group = { .n_frames = 1, .n_tokens = 1, .dim = 1 };
  guint n;
  const TernCompressMethod *const *methods = tern_compress_methods (&n);

  g_assert_cmpint (tern_compress_has (&group), ==, TERN_COMPRESS_NEEDS_NOTHING);
  g_assert_true (tern_compress_check (&tern_compress_none, tern_compress_has (&group), NULL));
  refused (&tern_compress_dycoke, tern_compress_has (&group), "visual tokens");
  group.tokens = &one;
  refused (&attended, tern_compress_has (&group), "attention scores of the vision tower");
  group.scores = &one;
  g_assert_true (tern_compress_check (&attended, tern_compress_has (&group), NULL));
  for (guint i = 0; i < n; i++) {
    g_assert_true (tern_compress_check (methods[i], tern_compress_has (&group), NULL));
    g_assert_true (*methods[i]->about);
  }
}

static void
test_attended (void)
{
  static const float tokens[8] = { 0 }, scores[8] = { .1f, .4f, .3f, .2f, .9f, 0, .8f, .8f };
  TernTokenGroup group = { .tokens = tokens, .n_frames = 2, .n_tokens = 4, .dim = 1, .scores = scores };
  TernScored scratch[4];
  gint32 keep[8];
  guint n_keep[2];

  tern_compress_run (&attended, &(TernCompressParams) { .merge_ratio = .5 }, &group, scratch, keep, n_keep, NULL);
  g_assert_cmpuint (n_keep[0], ==, 2);
  g_assert_true (keep[0] == 1 && keep[1] == 2);
  g_assert_cmpuint (n_keep[1], ==, 2);
  g_assert_true (keep[4] == 0 && keep[5] == 2);
}

/* ---- VLA-Cache --------------------------------------------------------------------------------------------------- */

/* Five tokens of two frames: the first two stand still (a cosine of 1), the third nearly (.998), the fourth not quite (.98),
 * the fifth turns. */
static void
test_vla_cache (void)
{
  static const float tokens[20] = { 1, 0, 0, 2, 1, 0, 1, 0, 1, 0,
    3, 0, 0, 2, 15.8f, 1, 4.9f, 1, 0, 1 };
  static const float scores[10] = { 0, 0, 0, 0, 0, .1f, .9f, .2f, .3f, .4f };
  TernTokenGroup group = { .tokens = tokens, .n_frames = 2, .n_tokens = 5, .dim = 2 };
  g_autofree void *scratch = g_malloc (tern_compress_vla_cache.scratch (5, 2));
  gint32 keep[10];
  guint n_keep[2];

  tern_compress_run (&tern_compress_vla_cache, &(TernCompressParams) { .merge_ratio = .9 }, &group, scratch, keep, n_keep, NULL);
  g_assert_cmpuint (n_keep[0], ==, 5);
  g_assert_cmpuint (n_keep[1], ==, 2);
  g_assert_true (keep[5] == 3 && keep[6] == 4);
  /* at most two of five: the most similar ones */
  tern_compress_run (&tern_compress_vla_cache, &(TernCompressParams) { .merge_ratio = .4 }, &group, scratch, keep, n_keep, NULL);
  g_assert_cmpuint (n_keep[1], ==, 3);
  g_assert_true (keep[5] == 2 && keep[6] == 3 && keep[7] == 4);
  /* what matters most (one of five) is looked at again */
  group.scores = scores;
  tern_compress_run (&tern_compress_vla_cache, &(TernCompressParams) { .merge_ratio = .9 }, &group, scratch, keep, n_keep, NULL);
  g_assert_cmpuint (n_keep[1], ==, 3);
  g_assert_true (keep[5] == 1 && keep[6] == 3 && keep[7] == 4);
  tern_compress_run (&tern_compress_vla_cache, &(TernCompressParams) { .merge_ratio = 0 }, &group, scratch, keep, n_keep, NULL);
  g_assert_cmpuint (n_keep[1], ==, 5);
}

/* ---- TEAM-VLA ---------------------------------------------------------------------------------------------------- */

/* A grid of 4 x 5 where one token is like a word: it and its eight neighbours stay; at the edge, its five. */
static void
test_team_select (void)
{
  static const float words[4] = { 0, 1, 1, 1 };
  float tokens[40];
  double scratch[20];
  gint32 keep[20];
  guint n_others = 0;

  for (guint i = 0; i < 20; i++) {
    tokens[2 * i] = 1;
    tokens[2 * i + 1] = -1;
  }
  tokens[2 * 7] = 0;
  tokens[2 * 7 + 1] = 5;
  g_assert_cmpuint (tern_team_select (tokens, 4, 5, words, 2, 2, 1, 0, 0, scratch, keep), ==, 9);
  for (guint i = 0; i < 9; i++)
    g_assert_cmpint (keep[i], ==, i / 3 * 5 + i % 3 + 1);
  tokens[2 * 7 + 1] = -1;
  tokens[2 * 7] = tokens[2 * 19] = 1;
  tokens[2 * 19 + 1] = 1;
  g_assert_cmpuint (tern_team_select (tokens, 4, 5, words, 2, 2, 1, 0, 0, scratch, keep), ==, 4);
  g_assert_true (keep[0] == 13 && keep[1] == 14 && keep[2] == 18 && keep[3] == 19);
  /* the same seed, the same context; about a tenth over many seeds */
  for (guint64 seed = 0; seed < 1000; seed++) {
    gint32 again[20];
    guint n = tern_team_select (tokens, 4, 5, words, 2, 2, 1, .1, seed, scratch, keep);

    g_assert_cmpuint (tern_team_select (tokens, 4, 5, words, 2, 2, 1, .1, seed, scratch, again), ==, n);
    g_assert_true (memcmp (keep, again, n * sizeof *keep) == 0);
    n_others += n - 4;
  }
  g_assert_cmpuint (n_others, >, 1400);
  g_assert_cmpuint (n_others, <, 1800);
  g_assert_cmpuint (tern_team_select (tokens, 4, 5, words, 2, 2, 1, 1, 3, scratch, keep), ==, 20);
}

/* Two anchors, one other: logits 1.4142 and 0. */
static void
test_team_merge (void)
{
  float anchors[4] = { 1, 0, 0, 1 }, others[2] = { 2, 0 }, weights[2];

  tern_team_merge (anchors, 2, others, 1, 2, weights);
  g_assert_cmpfloat_with_epsilon (weights[0], .8044, 5e-5);
  g_assert_cmpfloat_with_epsilon (weights[1], .1956, 5e-5);
  g_assert_cmpfloat_with_epsilon (anchors[0], 1.4458, 5e-5);
  g_assert_cmpfloat_with_epsilon (anchors[1], 0, 1e-6);
  g_assert_cmpfloat_with_epsilon (anchors[2], .3272, 5e-5);
  g_assert_cmpfloat_with_epsilon (anchors[3], .8364, 5e-5);
}

static void
add (const TernCompressMethod *method)
{
  g_autofree char *path = g_strconcat ("/compress/bound/", method->name, NULL);

  g_test_add_data_func (path, method, test_bound);
}

int
main (int argc, char **argv)
{
  guint n;
  const TernCompressMethod *const *methods = tern_compress_methods (&n);

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf ("/compress/behind/%s", methods[i]->name);

    add (methods[i]);
    g_test_add_data_func (name, methods[i], test_behind);
  }
  add (&attended);
  g_test_add_func ("/compress/needs", test_needs);
  g_test_add_func ("/compress/attended", test_attended);
  g_test_add_func ("/compress/vla-cache", test_vla_cache);
  g_test_add_func ("/compress/team-vla/select", test_team_select);
  g_test_add_func ("/compress/team-vla/merge", test_team_merge);
  return g_test_run ();
}
