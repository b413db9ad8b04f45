/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Worked cases and invariants of DyCoke stage 1 and of the methods beside it. Counts of the authors' code were worked
 * out from its loops (arXiv:2411.15024, KD-TAO/DyCoke @ dd74634). */
#include <math.h>
#include <string.h>

#include "compress/compress.h"
#include "compress/select.h"
#include "tern/error.h"

typedef struct {
  float *tokens;
  gint32 *keep;
  guint *n_keep;
  void *scratch;
  TernTokenGroup group;
} Fixture;

static Fixture
fixture_new (guint n_frames, guint n_tokens, guint dim)
{
  Fixture f = { 0 };

  f.tokens = g_new0 (float, (gsize) n_frames * n_tokens * dim);
  f.keep = g_new0 (gint32, (gsize) n_frames * n_tokens);
  f.n_keep = g_new0 (guint, n_frames);
  f.scratch = g_malloc0 (tern_compress_dycoke.scratch (n_tokens, dim));
  f.group = (TernTokenGroup) { .tokens = f.tokens, .n_frames = n_frames, .n_tokens = n_tokens, .dim = dim };
  return f;
}

static void
fixture_clear (Fixture *f)
{
  g_free (f->tokens);
  g_free (f->keep);
  g_free (f->n_keep);
  g_free (f->scratch);
}

static void
fill_random (Fixture *f, GRand *rand)
{
  gsize n = (gsize) f->group.n_frames * f->group.n_tokens * f->group.dim;

  for (gsize i = 0; i < n; i++)
    f->tokens[i] = (float) g_rand_double_range (rand, -1, 1);
}

static void
select_with (const TernCompressMethod *method, Fixture *f, double k, guint64 seed)
{
  method->select (&(TernCompressParams) { .merge_ratio = k, .seed = seed }, &f->group, f->scratch, f->keep, f->n_keep);
}

static guint
kept (const Fixture *f)
{
  guint n = 0;

  for (guint i = 0; i < f->group.n_frames; i++)
    n += f->n_keep[i];
  return n;
}

/* W1 */
static void
test_worked (void)
{
  static const float tokens[] = {
    1, 0, 0, 1, 1, 1,
    1, 0, 1, 1, -1, 1,
    3, 4, 0, 2, 1, -1,
    3, 4, 1, 2, 1, 1,
  };
  Fixture f = fixture_new (4, 3, 2);
  g_autoptr (GError) error = NULL;

  memcpy (f.tokens, tokens, sizeof (tokens));
  select_with (&tern_compress_dycoke, &f, .5, 0);
  g_assert_cmpuint (f.n_keep[0], ==, 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (f.keep[i], ==, (gint) i);
  for (guint i = 1; i < 4; i++) {
    g_assert_cmpuint (f.n_keep[i], ==, 1);
    g_assert_cmpint (f.keep[3 * i], ==, 2);
  }

  g_assert_false (tern_dycoke_reference (.5, f.tokens, 4, 3, 2, f.keep, f.n_keep, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "found 4"));
  fixture_clear (&f);
}

/* W2: whole clips, counted in groups of four (paper) and at once (ref). */
static void
test_counts (void)
{
  static const struct {
    guint frames, paper, ref;
  } clips[] = {
    { 8, 740, 878 }, { 16, 1480, 1618 }, { 32, 2960, 3098 }, { 64, 5920, 6058 }, { 5, 0, 370 }, { 6, 0, 624 },
    { 7, 0, 624 }, { 9, 0, 740 }, { 33, 0, 2960 },
  };
  static const struct {
    guint n, keep[4];
  } frames[] = {
    { 196, { 137, 98, 58, 19 } }, { 144, { 100, 72, 43, 14 } }, { 256, { 179, 128, 76, 25 } },
    { 576, { 403, 288, 172, 57 } }, { 729, { 510, 364, 218, 72 } },
  };
  static const double ratios[4] = { .3, .5, .7, .9 };
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);

  for (guint c = 0; c < G_N_ELEMENTS (clips); c++) {
    Fixture f = fixture_new (clips[c].frames, 196, 4);
    TernTokenGroup whole = f.group;
    guint paper = 0;

    fill_random (&f, rand);
    g_assert_true (tern_dycoke_reference (.7, f.tokens, clips[c].frames, 196, 4, f.keep, f.n_keep, NULL));
    g_assert_cmpuint (kept (&f), ==, clips[c].ref);

    for (guint i = 0; clips[c].paper && i < whole.n_frames; i += 4) {
      f.group = (TernTokenGroup) { .tokens = f.tokens + i * 196 * 4, .n_frames = 4, .n_tokens = 196, .dim = 4 };
      select_with (&tern_compress_dycoke, &f, .7, 0);
      paper += kept (&f);
    }
    g_assert_cmpuint (paper, ==, clips[c].paper);
    fixture_clear (&f);
  }
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    for (guint k = 0; k < 4; k++)
      g_assert_cmpuint (tern_compress_keep (ratios[k], frames[i].n), ==, frames[i].keep[k]);
}

/* W3, and the truncation that the authors' code has. */
static void
test_float_traps (void)
{
  Fixture f = fixture_new (6, 10, 2);
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);

  g_assert_cmpuint (tern_compress_keep (.9, 10), ==, 1);
  g_assert_cmpuint (tern_compress_keep (.9, 100), ==, 10);
  g_assert_cmpuint (tern_compress_keep (.8, 5), ==, 1);
  g_assert_cmpuint (tern_compress_keep (.8, 3095), ==, 619);
  g_assert_cmpuint (tern_compress_keep (0, 7), ==, 7);
  g_assert_cmpuint (tern_compress_keep (1, 7), ==, 0);

  fill_random (&f, rand);
  g_assert_true (tern_dycoke_reference (.9, f.tokens, 6, 10, 2, f.keep, f.n_keep, NULL));
  g_assert_cmpuint (kept (&f), ==, 20);         /* int (10 * (1 - .9)) = 0 of frames 1, 2, 3 and 5; 0 and 4 whole */
  fixture_clear (&f);
}

/* The authors' code emits what it keeps in the order of ascending similarity, and loses an odd last frame. */
static void
test_reference_order (void)
{
  Fixture f = fixture_new (5, 3, 2);
  static const float frame[] = { 1, 0, 1, 0, 1, 0 };
  static const float other[] = { 1, 1, -1, 0, 0, 1 };   /* cosines .707, -1, 0 */

  for (guint i = 0; i < 5; i++)
    memcpy (f.tokens + 6 * i, i == 1 ? other : frame, sizeof (frame));
  g_assert_true (tern_dycoke_reference (.3, f.tokens, 5, 3, 2, f.keep, f.n_keep, NULL));
  g_assert_cmpuint (f.n_keep[1], ==, 2);
  g_assert_cmpint (f.keep[3], ==, 1);
  g_assert_cmpint (f.keep[4], ==, 2);
  g_assert_cmpuint (f.n_keep[2], ==, 2);        /* all equal: the lowest places */
  g_assert_cmpint (f.keep[6], ==, 0);
  g_assert_cmpint (f.keep[7], ==, 1);
  g_assert_cmpuint (f.n_keep[4], ==, 0);
  fixture_clear (&f);
}

/* An incomplete group: 1 frame is whole, of 2 the second is thinned, of 3 the third against the first. */
static void
test_partial_groups (void)
{
  Fixture f = fixture_new (4, 9, 5);
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  gint32 keep[36];

  fill_random (&f, rand);
  select_with (&tern_compress_dycoke, &f, .5, 0);
  memcpy (keep, f.keep, sizeof (keep));
  for (guint n = 1; n < 4; n++) {
    f.group.n_frames = n;
    memset (f.keep, -1, sizeof (keep));
    select_with (&tern_compress_dycoke, &f, .5, 0);
    g_assert_cmpuint (f.n_keep[0], ==, 9);
    for (guint i = 1; i < n; i++) {
      g_assert_cmpuint (f.n_keep[i], ==, 4);
      g_assert_cmpmem (f.keep + 9 * i, 16, keep + 9 * i, 16);
    }
  }
  fixture_clear (&f);
}

/* W4 */
static void
test_invariants (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (4);

  for (guint round = 0; round < 60; round++) {
    guint n = (guint) g_rand_int_range (rand, 1, 40), dim = (guint) g_rand_int_range (rand, 1, 20);
    double k = g_rand_double (rand);
    Fixture a = fixture_new (4, n, dim), b = fixture_new (4, n, dim);
    g_autofree gint32 *place = g_new (gint32, n);
    gsize frame = (gsize) n * dim;

    fill_random (&a, rand);
    select_with (&tern_compress_dycoke, &a, k, 0);
    for (guint f = 0; f < 4; f++) {
      g_assert_cmpuint (a.n_keep[f], ==, f == 0 ? n : tern_compress_keep (k, n));
      for (guint i = 0; i < a.n_keep[f]; i++) {
        gint32 p = a.keep[f * n + i];

        g_assert_true (p >= 0 && p < (gint32) n && (i == 0 || p > a.keep[f * n + i - 1]));
      }
    }

    /* Scaling tokens changes nothing. */
    for (gsize i = 0; i < 4 * (gsize) n; i++) {
      float c = (float) (1 << g_rand_int_range (rand, 0, 8)) / 16;

      for (guint d = 0; d < dim; d++)
        b.tokens[i * dim + d] = a.tokens[i * dim + d] * c;
    }
    select_with (&tern_compress_dycoke, &b, k, 0);
    g_assert_cmpmem (a.n_keep, 16, b.n_keep, 16);
    for (guint f = 0; f < 4; f++)
      g_assert_cmpmem (a.keep + f * n, 4 * a.n_keep[f], b.keep + f * n, 4 * b.n_keep[f]);

    /* Permuting places alike in all frames permutes what is kept (dim 1 has ties: signs alone). */
    if (dim > 1) {
      for (guint i = 0; i < n; i++)
        place[i] = (gint32) i;
      for (guint i = n; i > 1; i--) {
        guint j = (guint) g_rand_int_range (rand, 0, (gint) i);
        gint32 t = place[i - 1];

        place[i - 1] = place[j];
        place[j] = t;
      }
      for (guint f = 0; f < 4; f++)
        for (guint i = 0; i < n; i++)
          memcpy (b.tokens + f * frame + (gsize) place[i] * dim, a.tokens + f * frame + (gsize) i * dim, 4 * dim);
      select_with (&tern_compress_dycoke, &b, k, 0);
      for (guint f = 0; f < 4; f++) {
        g_autofree gint32 *mapped = g_new (gint32, n);

        for (guint i = 0; i < a.n_keep[f]; i++)
          mapped[i] = place[a.keep[f * n + i]];
        tern_sort_positions (mapped, a.n_keep[f]);
        g_assert_cmpmem (mapped, 4 * a.n_keep[f], b.keep + f * n, 4 * b.n_keep[f]);
      }
    }

    /* A still picture: everything ties, the lowest places stay. */
    for (guint f = 1; f < 4; f++)
      memcpy (b.tokens + f * frame, b.tokens, 4 * frame);
    select_with (&tern_compress_dycoke, &b, k, 0);
    for (guint f = 0; f < 4; f++)
      for (guint i = 0; i < b.n_keep[f]; i++)
        g_assert_cmpint (b.keep[f * n + i], ==, (gint) i);

    /* K = 0 keeps all. */
    select_with (&tern_compress_dycoke, &a, 0, 0);
    g_assert_cmpuint (kept (&a), ==, 4 * n);
    fixture_clear (&a);
    fixture_clear (&b);
  }
}

static void
test_odd_tokens (void)
{
  Fixture f = fixture_new (2, 4, 2);
  static const float tokens[] = {
    1, 0, 0, 0, 1, 1, 2, 0,
    1, 0, 5, 5, 1, .5f, 2, 0,   /* cosines 1, 0 (zero token), .95, 1 */
  };

  memcpy (f.tokens, tokens, sizeof (tokens));
  select_with (&tern_compress_dycoke, &f, .5, 0);
  g_assert_cmpint (f.keep[4], ==, 1);
  g_assert_cmpint (f.keep[5], ==, 2);

  f.tokens[8] = NAN;            /* most unlike of all, and the order stays one */
  select_with (&tern_compress_dycoke, &f, .75, 0);
  g_assert_cmpuint (f.n_keep[1], ==, 1);
  g_assert_cmpint (f.keep[4], ==, 0);
  fixture_clear (&f);
}

static void
test_random_method (void)
{
  Fixture a = fixture_new (4, 50, 1), b = fixture_new (4, 50, 1);
  guint drawn[50] = { 0 };

  for (guint64 seed = 0; seed < 400; seed++) {
    a.group.index = b.group.index = seed % 7;
    select_with (&tern_compress_random, &a, .7, seed);
    select_with (&tern_compress_random, &b, .7, seed);
    g_assert_cmpuint (kept (&a), ==, 50 + 3 * 15);
    for (guint f = 1; f < 4; f++) {
      g_assert_cmpmem (a.keep + f * 50, 60, b.keep + f * 50, 60);
      for (guint i = 0; i < 15; i++) {
        g_assert_true (i == 0 || a.keep[f * 50 + i] > a.keep[f * 50 + i - 1]);
        drawn[a.keep[f * 50 + i]]++;
      }
    }
    g_assert_true (memcmp (a.keep + 50, a.keep + 100, 60) != 0);        /* frames draw apart */
  }
  /* 1200 draws of 15 out of 50: 360 each, standard deviation 16. */
  for (guint i = 0; i < 50; i++)
    g_assert_true (drawn[i] > 280 && drawn[i] < 440);

  b.group.index++;
  select_with (&tern_compress_random, &b, .7, 399);
  g_assert_true (memcmp (a.keep + 50, b.keep + 50, 60) != 0);
  fixture_clear (&a);
  fixture_clear (&b);
}

static void
test_budget (void)
{
  Fixture f = fixture_new (4, 20, 3);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  fill_random (&f, rand);
  for (guint budget = 1; budget < 45; budget++) {
    select_with (&tern_compress_dycoke, &f, .7, 0);
    g_assert_cmpuint (kept (&f), ==, 38);
    tern_compress_limit (budget, 20, 4, 20, f.keep, f.n_keep);
    g_assert_cmpuint (kept (&f), ==, MIN (budget, 38));
    if (budget == 19)
      g_assert_cmpuint (f.n_keep[0], ==, 10);   /* evenly: half of everything */
  }
  fixture_clear (&f);
}

static void
test_registry (void)
{
  guint n = 0;
  const TernCompressMethod *const *methods = tern_compress_methods (&n);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (n, >=, 3);
  for (guint i = 0; i < n; i++)
    g_assert_true (tern_compress_find (methods[i]->name, NULL) == methods[i]);
  g_assert_null (tern_compress_find ("fastest", &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "none, dycoke, random"));
  g_assert_nonnull (strstr (error->message, "fastest"));
}

static void
test_select (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (6);

  for (guint round = 0; round < 300; round++) {
    guint n = (guint) g_rand_int_range (rand, 1, 60), k = (guint) g_rand_int_range (rand, 0, (gint) n + 1);
    g_autofree TernScored *items = g_new (TernScored, n);
    g_autofree gboolean *taken = g_new0 (gboolean, n);

    for (guint i = 0; i < n; i++)
      items[i] = (TernScored) { g_rand_int_range (rand, 0, 10), (gint32) i };
    g_autofree TernScored *before = g_memdup2 (items, n * sizeof (TernScored));

    tern_select_lowest (items, n, k);
    for (guint i = 0; i < k; i++) {
      g_assert_false (taken[items[i].index]);
      taken[items[i].index] = TRUE;
      g_assert_true (i == 0 || items[i].score > items[i - 1].score
          || (items[i].score == items[i - 1].score && items[i].index > items[i - 1].index));
    }
    for (guint i = 0; i < n && k > 0; i++)
      if (!taken[i])
        g_assert_true (before[i].score > items[k - 1].score
            || (before[i].score == items[k - 1].score && (gint32) i > items[k - 1].index));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/compress/select", test_select);
  g_test_add_func ("/compress/dycoke/worked", test_worked);
  g_test_add_func ("/compress/dycoke/counts", test_counts);
  g_test_add_func ("/compress/dycoke/float-traps", test_float_traps);
  g_test_add_func ("/compress/dycoke/reference-order", test_reference_order);
  g_test_add_func ("/compress/dycoke/partial-groups", test_partial_groups);
  g_test_add_func ("/compress/dycoke/invariants", test_invariants);
  g_test_add_func ("/compress/dycoke/odd-tokens", test_odd_tokens);
  g_test_add_func ("/compress/random", test_random_method);
  g_test_add_func ("/compress/budget", test_budget);
  g_test_add_func ("/compress/registry", test_registry);
  return g_test_run ();
}
