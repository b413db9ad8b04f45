/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods beside what numpy makes of their papers (compress-goldens.py), and on anything: grids of 1 x 1 to 64 x 64, tokens
 * that are no numbers, all budgets. */
#include <math.h>
#include <string.h>

#include "compress/compress.h"
#include "compress/share.h"
#include "engine/base/random.h"

typedef struct {
  const char *method;
  guint columns, rows, dim, frames;
  double merge_ratio;
  guint max_tokens, max_frame_tokens, n_keep[TERN_COMPRESS_GROUP];
  const gint32 *keep;           /* of all frames */
  double total, size;           /* of the rows, weighted; without their signs */
} Golden;

#include "compress-goldens.h"

/* A group, and what a method makes of it; lists and rows are fenced, so that what is written beyond them shows. */
typedef struct {
  TernTokenGroup group;
  TernCompressParams params;
  float *tokens, *mixed;
  gint32 *keep;
  guint n_keep[TERN_COMPRESS_GROUP];
  guint8 *scratch;
  gsize scratch_bytes;
} Bench;

#define FENCE 64

static Bench
bench_new (guint columns, guint rows, guint dim, guint frames)
{
  Bench b = { .group = { .n_frames = frames, .n_tokens = columns * rows, .dim = dim, .grid_w = columns, .grid_h = rows } };
  gsize n = (gsize) frames * columns * rows;

  b.tokens = g_new (float, n * dim);
  b.mixed = g_new (float, n * dim + FENCE);
  b.keep = g_new (gint32, n + FENCE);
  b.group.tokens = b.tokens;
  return b;
}

static void
bench_clear (Bench *b)
{
  g_free (b->tokens);
  g_free (b->mixed);
  g_free (b->keep);
}

static void
bench_run (Bench *b, const TernCompressMethod *method)
{
  gsize n = (gsize) b->group.n_frames * b->group.n_tokens, bytes = method->scratch (b->group.n_tokens, b->group.dim);
  guint8 *scratch = g_malloc (bytes + FENCE);

  memset (scratch, 0xa5, bytes + FENCE);
  memset (b->keep, 0xa5, (n + FENCE) * sizeof *b->keep);
  memset (b->mixed, 0xa5, (n * b->group.dim + FENCE) * sizeof *b->mixed);
  tern_compress_run (method, &b->params, &b->group, scratch, b->keep, b->n_keep, b->mixed);
  for (guint i = 0; i < FENCE; i++) {
    g_assert_cmpuint (scratch[bytes + i], ==, 0xa5);
    g_assert_cmphex ((guint32) b->keep[n + i], ==, 0xa5a5a5a5);
  }
  for (guint i = 0; i < FENCE * sizeof (float); i++)
    g_assert_cmpuint (((guint8 *) (b->mixed + n * b->group.dim))[i], ==, 0xa5);
  g_free (scratch);
}

/* ---- Goldens ---- */

static double
uniform (guint64 x)
{
  TernRandom random = { x };

  return (double) (tern_random_next (&random) >> 40) / (1 << 24) - .5;
}

/* As draw() of the script. */
static void
draw (Bench *b)
{
  static const double own[3] = { .0625, .25, 1 };
  guint n = b->group.n_tokens, dim = b->group.dim;

  for (guint64 f = 0; f < b->group.n_frames; f++)
    for (guint64 p = 0; p < n; p++)
      for (guint64 d = 0; d < dim; d++)
        b->tokens[(f * n + p) * dim + d] = (float) (uniform (p * 4096 + d)
            + own[p / 2 % 3] * uniform (((f + 1) << 32) + p * 4096 + d));
}

static void
test_golden (gconstpointer data)
{
  const Golden *golden = data;
  const TernCompressMethod *method = tern_compress_find (golden->method, NULL);
  Bench b = bench_new (golden->columns, golden->rows, golden->dim, golden->frames);
  const gint32 *expected = golden->keep;
  double total = 0;
  guint j = 0;

  g_assert_nonnull (method);
  b.params = (TernCompressParams) { .merge_ratio = golden->merge_ratio, .max_tokens = golden->max_tokens,
    .max_frame_tokens = golden->max_frame_tokens };
  draw (&b);
  bench_run (&b, method);
  for (guint f = 0; f < golden->frames; f++) {
    const gint32 *row = b.keep + (gsize) f * b.group.n_tokens;

    g_assert_cmpuint (b.n_keep[f], ==, golden->n_keep[f]);
    for (guint i = 0; i < b.n_keep[f]; i++, j++) {
      const float *kept = (method->mix ? b.mixed : b.tokens) + ((gsize) f * b.group.n_tokens + row[i]) * b.group.dim;

      g_assert_cmpint (row[i], ==, *expected++);
      for (guint d = 0; d < b.group.dim; d++)
        total += (j % 7 + 1) * (d % 5 + 1) * (double) kept[d];
    }
  }
  g_assert_cmpfloat_with_epsilon (total, golden->total, 1e-6 * golden->size);
  bench_clear (&b);
}

/* ---- Anything ---- */

static float
anything (guint kind, GRand *rand)
{
  static const float odd[] = { NAN, INFINITY, -INFINITY, 0, 1e38f, -1e38f, 1e-40f, 1 };

  switch (kind) {
    case 0:
      return (float) g_rand_double_range (rand, -1, 1);
    case 1:
      return 1;
    case 2:
      return g_rand_int_range (rand, 0, 8) ? (float) g_rand_double (rand) : odd[g_rand_int_range (rand, 0, 8)];
    default:
      return odd[g_rand_int_range (rand, 0, 8)];
  }
}

static guint
check_kept (const Bench *b)
{
  guint kept = 0, n = b->group.n_tokens, cap = tern_compress_cap (&b->params, n);

  for (guint f = 0; f < b->group.n_frames; f++) {
    const gint32 *row = b->keep + (gsize) f * n;

    g_assert_cmpuint (b->n_keep[f], <=, cap);
    for (guint i = 0; i < b->n_keep[f]; i++)
      g_assert_true (row[i] >= 0 && row[i] < (gint32) n && (i == 0 || row[i] > row[i - 1]));
    kept += b->n_keep[f];
  }
  if (b->params.max_tokens)
    g_assert_cmpuint (kept, <=, b->params.max_tokens);
  return kept;
}

/* Methods that choose how many keep exactly their budget of tokens that are numbers, unless they say that they may keep less. */
static gboolean
is_exact (const TernCompressMethod *method)
{
  static const char *const loose[] = { "none", "dycoke", "random", "vla-cache", "sttm", "holitom" };

  for (guint i = 0; i < G_N_ELEMENTS (loose); i++)
    if (strcmp (method->name, loose[i]) == 0)
      return FALSE;
  return TRUE;
}

static void
fuzz_grid (const TernCompressMethod *method, GRand *rand, guint columns, guint rows)
{
  Bench b = bench_new (columns, rows, (guint) g_rand_int_range (rand, 1, columns * rows > 200 ? 3 : 20),
      (guint) g_rand_int_range (rand, 1, (columns * rows > 1000 ? 2 : TERN_COMPRESS_GROUP) + 1));
  gsize n = (gsize) b.group.n_frames * b.group.n_tokens, bytes = n * sizeof (gint32);
  guint kind = (guint) g_rand_int_range (rand, 0, 4), n_keep[TERN_COMPRESS_GROUP], kept;
  g_autofree gint32 *keep = NULL;

  for (gsize i = 0; i < n * b.group.dim; i++)
    b.tokens[i] = anything (kind, rand);
  b.params = (TernCompressParams) { .merge_ratio = g_rand_int_range (rand, 0, 11) / 10.0, .seed = g_rand_int (rand),
    .max_tokens = g_rand_boolean (rand) ? 0 : (guint) g_rand_int_range (rand, 1, (gint) n + 2),
    .max_frame_tokens = g_rand_boolean (rand) ? 0 : (guint) g_rand_int_range (rand, 1, (gint) b.group.n_tokens + 2) };
  if (g_rand_boolean (rand))
    b.group.grid_w = 0;         /* not known */
  bench_run (&b, method);
  kept = check_kept (&b);
  g_assert_cmpuint (kept, <=, tern_compress_bound (method, &b.params, b.group.n_frames, b.group.n_tokens));
  if (is_exact (method))
    g_assert_cmpuint (kept, ==, tern_compress_budget (&b.params, b.group.n_frames, b.group.n_tokens));

  keep = g_memdup2 (b.keep, bytes);
  memcpy (n_keep, b.n_keep, sizeof n_keep);
  bench_run (&b, method);
  g_assert_cmpmem (keep, bytes, b.keep, bytes);
  g_assert_cmpmem (n_keep, b.group.n_frames * sizeof (guint), b.n_keep, b.group.n_frames * sizeof (guint));
  bench_clear (&b);
}

static void
test_fuzz (gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (guint round = 0; round < 150; round++)
    fuzz_grid (data, rand, (guint) g_rand_int_range (rand, 1, 10), (guint) g_rand_int_range (rand, 1, 10));
  for (guint side = 1; side <= 64; side *= 8) {
    fuzz_grid (data, rand, side, 64);
    fuzz_grid (data, rand, 64, side);
  }
}

/* ---- Shares ---- */

static void
test_share (void)
{
  const struct { double weights[4]; guint n; guint64 total; guint least, most, out[4]; } cases[] = {
    { { .5, .25, .25 }, 3, 10, 1, 8, { 4, 3, 3 } },     /* 1 + 3.5, 1.75, 1.75: the two largest fractions */
    { { 1, 0, 0, 0 }, 4, 20, 0, 8, { 8, 4, 4, 4 } },    /* full: the others have the rest */
    { { 1, 1 }, 2, 1, 1, 4, { 1, 0 } },
    { { NAN, 1 }, 2, 5, 0, 4, { 3, 2 } },
    { { -1, 1 }, 2, 5, 0, 5, { 0, 5 } },
    { { 0, 0, 0 }, 3, 7, 0, 2, { 2, 2, 2 } },
  };

  for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
    guint out[4];

    tern_share (cases[c].weights, cases[c].n, cases[c].total, cases[c].least, cases[c].most, out);
    for (guint i = 0; i < cases[c].n; i++)
      g_assert_cmpuint (out[i], ==, cases[c].out[i]);
  }
}

int
main (int argc, char **argv)
{
  guint n;
  const TernCompressMethod *const *methods = tern_compress_methods (&n);

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (goldens); i++) {
    g_autofree char *path = g_strdup_printf ("/compress/golden/%s/%ux%ux%u-%g-%u-%u", goldens[i].method, goldens[i].columns,
        goldens[i].rows, goldens[i].frames, goldens[i].merge_ratio, goldens[i].max_tokens, goldens[i].max_frame_tokens);

    g_test_add_data_func (path, &goldens[i], test_golden);
  }
  for (guint i = 0; i < n; i++) {
    g_autofree char *path = g_strconcat ("/compress/fuzz/", methods[i]->name, NULL);

    g_test_add_data_func (path, methods[i], test_fuzz);
  }
  g_test_add_func ("/compress/share", test_share);
  return g_test_run ();
}
