/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of the vision tower on packed matrices, in bf16 and in int8, beside softmax (Q K^T / sqrt(d)) V in double. */
#include <math.h>
#include <string.h>

#include "vision/packed.h"

#define HEADS 2

typedef struct {
  const char *name;
  gboolean int8;
  double limit;                 /* squares of errors to squares of what is right */
} Form;

static const Form forms[] = { { "bf16", FALSE, 1e-4 }, { "int8", TRUE, 1e-3 } };

typedef struct {
  guint n, d;
  float *q, *k, *v;             /* [n, HEADS, d] */
  float *y;
} Case;

static void
case_init (Case *c, guint n, guint d, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  gsize values = (gsize) n * HEADS * d, i;

  *c = (Case) { n, d, g_new (float, values), g_new (float, values), g_new (float, values), g_new0 (float, values) };
  for (i = 0; i < values; i++) {
    c->q[i] = (float) g_rand_double_range (rand, -2, 2);
    c->k[i] = (float) g_rand_double_range (rand, -2, 2);
    c->v[i] = (float) g_rand_double_range (rand, -1, 1);
  }
}

static void
case_clear (Case *c)
{
  g_free (c->q);
  g_free (c->k);
  g_free (c->v);
  g_free (c->y);
}

static void
run (TernVisionState *state)
{
  tern_pool_run (state->pool, state->loop.func, state, state->loop.items, state->loop.grain);
}

/* What layers do with their queries, keys and values, in blocks of rows as these come. */
static void
attend (const Case *c, gboolean int8, guint threads)
{
  TernVision vision = { .kernels = tern_kernels_default (NULL), .heads = HEADS, .head_dim = c->d, .hidden = HEADS * c->d };
  TernVisionPacked packed = { .int8_attention = int8 };
  TernVisionState state = { .vision = &vision, .packed = &packed, .n = c->n, .max_patches = c->n + 5,
    .pool = tern_pool_new (threads, NULL) };
  TernArena arena = { 0 };
  guint row, rows;

  g_assert_nonnull (vision.kernels);
  (int8 ? tern_int8_attention_carve : tern_flash_carve) (&state, &arena);
  state.block = g_malloc (arena.used + TERN_ALIGN);
  arena = (TernArena) { .base = (guint8 *) (((gsize) state.block + TERN_ALIGN - 1) / TERN_ALIGN * TERN_ALIGN) };
  (int8 ? tern_int8_attention_carve : tern_flash_carve) (&state, &arena);
  g_assert_true (tern_pool_reserve (state.pool, int8 ? tern_int8_attention_scratch (&state) : tern_flash_scratch (&state),
          NULL));
  for (row = 0; row < c->n; row += rows) {
    gsize at = (gsize) row * vision.hidden;

    rows = MIN (row % 96 ? 64 : 32, c->n - row);
    (int8 ? tern_int8_attention_put_q : tern_flash_put_q) (&state, row, rows, c->q + at);
    (int8 ? tern_int8_attention_put_k : tern_flash_put_k) (&state, row, rows, c->k + at);
    if (!int8)
      tern_flash_put_v (&state, row, rows, c->v + at);
  }
  if (int8) {
    g_assert_true (tern_int8_attention_loop_values (&state, &state.loop, c->v));
    run (&state);
    g_assert_true (tern_int8_attention_loop (&state, &state.loop, c->y));
  } else {
    g_assert_true (tern_vision_loop_flash (&state, &state.loop, c->y));
  }
  run (&state);
  tern_pool_free (state.pool);
  g_free (state.block);
}

/* Of one query of a head. */
static void
exact (const Case *c, guint row, guint head, double *y)
{
  g_autofree double *weight = g_new (double, c->n);
  const float *q = c->q + ((gsize) row * HEADS + head) * c->d;
  double most = -INFINITY, sum = 0;
  guint i, j;

  for (i = 0; i < c->n; i++) {
    const float *k = c->k + ((gsize) i * HEADS + head) * c->d;

    weight[i] = 0;
    for (j = 0; j < c->d; j++)
      weight[i] += (double) q[j] * k[j] / sqrt (c->d);
    most = MAX (most, weight[i]);
  }
  for (i = 0; i < c->n; i++)
    sum += weight[i] = exp (weight[i] - most);
  memset (y, 0, c->d * sizeof *y);
  for (i = 0; i < c->n; i++)
    for (j = 0; j < c->d; j++)
      y[j] += weight[i] / sum * c->v[((gsize) i * HEADS + head) * c->d + j];
}

static double
error_of_row (const Case *c, guint row, guint head)
{
  g_autofree double *y = g_new (double, c->d);
  const float *found = c->y + ((gsize) row * HEADS + head) * c->d;
  double wrong = 0, power = 0;
  guint j;

  exact (c, row, head, y);
  for (j = 0; j < c->d; j++) {
    wrong += (found[j] - y[j]) * (found[j] - y[j]);
    power += y[j] * y[j];
  }
  return wrong / power;
}

/* Sizes that end within panels, pieces and groups, and heads that need padding. */
static void
test_sizes (gconstpointer data)
{
  static const guint sizes[] = { 1, 2, 15, 16, 31, 33, 64, 100, 196, 255, 256, 257, 300, 513, 700 }, dims[] = { 20, 64, 72 };
  const Form *form = data;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (guint j = 0; j < G_N_ELEMENTS (dims); j++) {
      double sum = 0;
      Case c;

      case_init (&c, sizes[i], dims[j], 1 + i * 10 + j);
      attend (&c, form->int8, 1 + i % 3);
      for (guint row = 0; row < c.n; row++)
        for (guint head = 0; head < HEADS; head++)
          sum += error_of_row (&c, row, head);
      g_test_message ("%u patches, heads of %u: %.2g", c.n, c.d, sum / c.n / HEADS);
      g_assert_cmpfloat (sum / c.n / HEADS, <, form->limit * 4);        /* few keys: averages of little */
      case_clear (&c);
    }
}

/* What a row comes to does not depend on the rows beside it, which may be looked at once more. */
static void
test_rows_alone (gconstpointer data)
{
  const Form *form = data;
  Case all, other;

  case_init (&all, 300, 64, 5);
  case_init (&other, 300, 64, 5);
  for (guint row = 0; row < 300; row += 2)
    for (guint j = 0; j < HEADS * 64; j++)
      other.q[(gsize) row * HEADS * 64 + j] *= 9;
  attend (&all, form->int8, 2);
  attend (&other, form->int8, 2);
  for (guint row = 1; row < 300; row += 2)
    g_assert_cmpmem (all.y + (gsize) row * HEADS * 64, HEADS * 64 * sizeof (float), other.y + (gsize) row * HEADS * 64,
        HEADS * 64 * sizeof (float));
  case_clear (&all);
  case_clear (&other);
}

/* One key that stands far above all others, which together weigh as much as it does: relative to it each of them is less
 * than int8 has. */
static void
test_faint (gconstpointer data)
{
  const Form *form = data;
  Case c;

  case_init (&c, 600, 64, 9);
  for (guint i = 0; i < c.n * HEADS; i++) {
    float *q = c.q + (gsize) i * 64, *k = c.k + (gsize) i * 64, *v = c.v + (gsize) i * 64;
    gboolean first = i < HEADS;

    memset (q, 0, 64 * sizeof *q);
    memset (k, 0, 64 * sizeof *k);
    q[0] = 8;
    k[0] = first ? logf (600) : 0;
    for (guint j = 0; j < 64; j++)
      v[j] = first ? -1 : 1 + .1f * v[j];
    v[3] += .5f;
  }
  attend (&c, form->int8, 1);
  for (guint head = 0; head < HEADS; head++)
    for (guint row = 0; row < c.n; row += 37) {
      g_autofree double *y = g_new (double, 64);
      double wrong = 0;

      exact (&c, row, head, y);
      for (guint j = 0; j < 64; j++)
        wrong = MAX (wrong, fabs (y[j] - c.y[((gsize) row * HEADS + head) * 64 + j]));
      g_assert_cmpfloat (wrong, <, .02);        /* of 2, which lie between both */
    }
  case_clear (&c);
}

/* Not a number among the queries: its row says so, and no other. */
static void
test_nan (gconstpointer data)
{
  const Form *form = data;
  Case c;

  case_init (&c, 200, 64, 3);
  c.q[(gsize) 70 * HEADS * 64 + 5] = NAN;
  attend (&c, form->int8, 2);
  for (guint row = 0; row < c.n; row++)
    g_assert_true (!isnan (c.y[(gsize) row * HEADS * 64]) == (row != 70));
  case_clear (&c);
}

static void
add (const char *name, const Form *form, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/vision/attention/%s/%s", form->name, name);

  g_test_add_data_func (path, form, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
    add ("sizes", &forms[i], test_sizes);
    add ("rows-alone", &forms[i], test_rows_alone);
    add ("faint", &forms[i], test_faint);
    add ("nan", &forms[i], test_nan);
  }
  return g_test_run ();
}
