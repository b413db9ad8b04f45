/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several matrices in one run of the pool: the bits of one after the other, every row once, and what is fetched ahead is what
 * each thread reads first in the next run. */
#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/linear.h"
#include "engine/weights/quantize.h"

enum { COLS = 512, MOST_ROWS = 400, MOST_TOKENS = 9, THREADS = 3 };

typedef struct {
  TernTensor tensor;
  guint8 *bytes;
  TernLinear linear;
} Matrix;

static void
matrix_init (Matrix *m, guint32 id, guint rows, const TernKernels *kernels, GRand *rand)
{
  const TernTypeInfo *type = tern_type_info (id);
  gsize row = tern_type_row_bytes (type, COLS);
  g_autofree float *values = g_new (float, COLS);
  g_autoptr (GError) error = NULL;

  m->bytes = g_malloc (rows * row);
  for (guint r = 0; r < rows; r++) {
    for (guint c = 0; c < COLS; c++)
      values[c] = id == TERN_TYPE_TQ2_0 ? g_rand_int_range (rand, -1, 2) : (float) g_rand_double_range (rand, -1, 1);
    values[0] = 1;              /* one scale for all rows of ternary ones */
    values[COLS / 2] = 1;
    if (id == TERN_TYPE_F32)
      memcpy (m->bytes + r * row, values, row);
    else
      tern_quantizer (id) (m->bytes + r * row, values, COLS);
  }
  m->tensor = (TernTensor) { .name = "w", .type = type, .type_id = id, .n_dims = 2, .dims = { COLS, rows, 1, 1 },
    .data = m->bytes, .bytes = rows * row };
  tern_linear_init (&m->linear, &m->tensor, kernels, &error);
  g_assert_no_error (error);
  tern_linear_pack (&m->linear, NULL, &error);
  g_assert_no_error (error);
}

static void
matrix_clear (Matrix *m)
{
  tern_linear_clear (&m->linear);
  g_free (m->bytes);
}

typedef struct {
  TernPool *pool;
  TernLinearInput input;
  float *x;
  void *scratch;
} Setup;

static void
setup_init (Setup *s, const TernKernels *kernels, guint tokens, GRand *rand)
{
  s->pool = tern_pool_new (THREADS, NULL);
  s->x = g_new (float, tokens * COLS);
  for (guint i = 0; i < tokens * COLS; i++)
    s->x[i] = (float) g_rand_double_range (rand, -1, 1);
  s->scratch = tern_mem_alloc (tern_linear_input_bytes (tokens, COLS), "input", NULL);
  tern_linear_input_init (&s->input, s->scratch, kernels, TERN_ACTIVATIONS_INT8, s->x, COLS, tokens, COLS);
}

static void
setup_clear (Setup *s)
{
  tern_pool_free (s->pool);
  tern_mem_free (s->scratch);
  g_free (s->x);
}

typedef struct {
  Matrix *const *matrices;
  guint n, tokens;
  TernLinearProduct products[TERN_LINEAR_BESIDE];
  float *expected[TERN_LINEAR_BESIDE];
  gint seen[MOST_ROWS];         /* atomic */
  gint wrong;                   /* atomic: a row that is not what it has to be when its outputs are handed on */
} Beside;

static void
look_at_rows (void *data, guint begin, guint end, guint worker)
{
  Beside *b = data;

  for (guint r = begin; r < end; r++) {
    g_atomic_int_inc (&b->seen[r]);
    for (guint i = 0; i < b->n; i++)
      for (guint t = 0; t < b->tokens; t++) {
        gsize at = (gsize) t * b->products[i].ldy + r;

        if (memcmp (&b->products[i].y[at], &b->expected[i][at], sizeof (float)) != 0)
          g_atomic_int_inc (&b->wrong);
      }
  }
}

/* @n matrices one by one, then beside each other, then cut as small as it goes. */
static void
check_beside (Matrix *const *matrices, guint n, guint tokens, gboolean in_step, const TernKernels *kernels, GRand *rand)
{
  Beside b = { .matrices = matrices, .n = n, .tokens = tokens };
  float *ys[TERN_LINEAR_BESIDE];
  Setup s;

  setup_init (&s, kernels, tokens, rand);
  for (guint i = 0; i < n; i++) {
    gsize rows = matrices[i]->linear.rows;

    g_assert_true (tern_pool_reserve (s.pool, tern_linear_scratch (&matrices[i]->linear), NULL));
    b.expected[i] = g_new0 (float, tokens * rows);
    ys[i] = g_new0 (float, tokens * rows);
    tern_linear_run (&matrices[i]->linear, &s.input, s.x, b.expected[i], rows, s.pool);
    b.products[i] = (TernLinearProduct) { &matrices[i]->linear, s.x, ys[i], rows };
  }
  for (guint small = 0; small < 2; small++) {
    if (small)
      tern_pool_slice (s.pool)->limit = 1;
    memset (b.seen, 0, sizeof b.seen);
    g_assert_true (tern_linear_run_beside (b.products, n, &s.input, in_step ? look_at_rows : NULL, &b, s.pool, NULL));
    g_assert_cmpint (b.wrong, ==, 0);
    for (guint r = 0; r < MOST_ROWS; r++)
      g_assert_cmpint (b.seen[r], ==, in_step && r < matrices[0]->linear.rows);
    for (guint i = 0; i < n; i++) {
      gsize bytes = tokens * matrices[i]->linear.rows * sizeof (float);

      g_assert_cmpmem (ys[i], bytes, b.expected[i], bytes);
      memset (ys[i], 0, bytes);
    }
  }
  for (guint i = 0; i < n; i++) {
    g_free (b.expected[i]);
    g_free (ys[i]);
  }
  setup_clear (&s);
}

static const guint32 types[] = { TERN_TYPE_TQ2_0, TERN_TYPE_Q8_0, TERN_TYPE_F32 };

/* Every mixture of three types, of odd numbers of rows. */
static void
test_bits (gconstpointer data)
{
  static const guint rows[] = { 97, 1, 400 }, tokens[] = { 1, 4, MOST_TOKENS };
  GRand *rand = g_rand_new_with_seed (3);
  g_autoptr (GError) error = NULL;
  TernKernels kernels;
  TernCpu level;

  if (!tern_cpu_parse (data, &level, &error)) {
    g_test_skip (error->message);
    g_rand_free (rand);
    return;
  }
  tern_kernels_init (&kernels, level);
  for (guint mix = 0; mix < 27; mix++) {
    Matrix matrices[3], *all[3];

    for (guint i = 0; i < 3; i++) {
      matrix_init (&matrices[i], types[i == 0 ? mix % 3 : i == 1 ? mix / 3 % 3 : mix / 9], rows[(mix + i) % 3], &kernels, rand);
      all[i] = &matrices[i];
    }
    for (guint t = 0; t < G_N_ELEMENTS (tokens); t++)
      check_beside (all, 3, tokens[t], FALSE, &kernels, rand);
    for (guint i = 0; i < 3; i++)
      matrix_clear (&matrices[i]);
  }
  for (guint mix = 0; mix < 9; mix++) {
    Matrix a, b;

    matrix_init (&a, types[mix % 3], 331, &kernels, rand);
    matrix_init (&b, types[mix / 3], 331, &kernels, rand);
    for (guint t = 0; t < G_N_ELEMENTS (tokens); t++)
      check_beside ((Matrix * const[]) { &a, &b }, 2, tokens[t], TRUE, &kernels, rand);
    matrix_clear (&a);
    matrix_clear (&b);
  }
  g_rand_free (rand);
}

/* Where each thread began in a run. */
typedef struct {
  gint first[THREADS];
} Begins;

static void
note_begin (void *data, guint begin, guint end, guint worker)
{
  Begins *begins = data;

  /* Threads help each other: of a share, the lowest piece counts. */
  for (guint i = 0; i < THREADS; i++)
    for (gint known = g_atomic_int_get (&begins->first[i]); (guint) known == begin; known = -1)
      g_atomic_int_set (&begins->first[i], -1);
}

/* The run after the next one begins where its shares begin, whatever it is made of. */
static void
test_fetching (void)
{
  const TernKernels *kernels = tern_kernels_default (NULL);
  GRand *rand = g_rand_new_with_seed (5);
  Matrix now, a, b;
  float y[400];
  Setup s;

  setup_init (&s, kernels, 1, rand);
  matrix_init (&now, TERN_TYPE_TQ2_0, 96, kernels, rand);
  matrix_init (&a, TERN_TYPE_TQ2_0, 384, kernels, rand);
  matrix_init (&b, TERN_TYPE_Q8_0, 384, kernels, rand);
  g_assert_true (tern_pool_reserve (s.pool, tern_linear_scratch (&a.linear), NULL));
  for (guint form = 0; form < 3; form++) {
    gsize row = tern_type_row_bytes (b.linear.type, COLS);
    TernLinear *next = form == 1 ? &b.linear : &a.linear;

    now.linear.next = next;
    a.linear.beside = form == 2 ? &b.linear : NULL;
    tern_linear_run (&now.linear, &s.input, NULL, y, 400, s.pool);
    for (guint i = 0; i < THREADS; i++) {
      guint alone = tern_linear_grain (next, &s.input), other = tern_linear_grain (&b.linear, &s.input);
      guint grain = form == 2 && alone != other ? 2 * TERN_LINEAR_GRAIN : alone;
      guint first = tern_pool_share (s.pool, form == 2 ? 768 : 384, grain, i);
      const guint8 *at = first >= 384 || form == 1 ? b.linear.data + first % 384 * row
          : a.linear.packed + tern_ternary_bytes (kernels->ternary, first, COLS);
      gsize bytes;

      g_assert_true (tern_pool_fetches (s.pool, i, &bytes) == at);
      g_assert_cmpuint (bytes, >, 0);
    }
  }
  matrix_clear (&now);
  matrix_clear (&a);
  matrix_clear (&b);
  setup_clear (&s);
  g_rand_free (rand);
}

/* What a share is said to be is what is run. */
static void
test_shares (void)
{
  static const guint items[] = { 7, 64, 100, 1000 }, grains[] = { 1, 3, 16 };
  TernPool *pool = tern_pool_new (THREADS, NULL);

  for (guint n = 0; n < G_N_ELEMENTS (items); n++)
    for (guint g = 0; g < G_N_ELEMENTS (grains); g++) {
      Begins begins;

      if (items[n] <= grains[g] * THREADS)
        continue;
      for (guint i = 0; i < THREADS; i++)
        begins.first[i] = (gint) tern_pool_share (pool, items[n], grains[g], i);
      g_assert_cmpint (begins.first[0], ==, 0);
      g_assert_cmpuint (tern_pool_share (pool, items[n], grains[g], THREADS), ==, items[n]);
      tern_pool_run (pool, note_begin, &begins, items[n], grains[g]);
      for (guint i = 0; i < THREADS; i++)
        g_assert_cmpint (begins.first[i], ==, -1);
    }
  tern_pool_free (pool);
}

int
main (int argc, char **argv)
{
  static const char *const levels[] = { "scalar", "avx2", "avxvnni", "avx512vnni", "avx512vbmi", "neon", "dotprod" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    g_autofree char *path = g_strconcat ("/linear-beside/bits/", levels[i], NULL);

    g_test_add_data_func (path, levels[i], test_bits);
  }
  g_test_add_func ("/linear-beside/fetching", test_fetching);
  g_test_add_func ("/linear-beside/shares", test_shares);
  return g_test_run ();
}
