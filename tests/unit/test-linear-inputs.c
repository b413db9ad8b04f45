/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs of matrices: read by several, turned before they are read, in the order for few rows or for many, and in parts. */

#include "tern/error.h"
#include "tests/unit/linear-matrix.h"

/* q, k and v read one input, of which each form is made once. */
static void
test_shared_input (void)
{
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (2, 256), "input", NULL);
  float x[512], y[20], again[20];
  TernLinearInput input;
  TernLinear t2, q8;
  Matrix a, b;
  guint i;

  matrix_init (&a, TERN_TYPE_TQ2_0, 10, 256, s.rand);
  matrix_init (&b, TERN_TYPE_Q8_0, 10, 256, s.rand);
  bind (&t2, &a, s.kernels);
  bind (&q8, &b, s.kernels);
  for (i = 0; i < 512; i++)
    x[i] = noise (s.rand);
  tern_linear_input_init (&input, scratch, s.kernels, TERN_ACTIVATIONS_INT8, x, 256, 2, 256);
  g_assert_true (!input.has_i8 && !input.has_q8);
  tern_linear_run (&t2, &input, NULL, y, 10, NULL);     /* neither needs scratch in this mode */
  g_assert_true (input.has_i8 && !input.has_q8);
  tern_linear_run (&q8, &input, NULL, again, 10, NULL);
  g_assert_true (input.has_i8 && input.has_q8);
  memset (x, 0, sizeof x);
  tern_linear_run (&t2, &input, NULL, again, 10, NULL);
  g_assert_cmpmem (y, sizeof y, again, sizeof again);
  tern_linear_clear (&t2);
  tern_linear_clear (&q8);
  matrix_clear (&a);
  matrix_clear (&b);
  tern_mem_free (scratch);
  setup_clear (&s);
}

/* What a rotated matrix sees, by the matrix of the transform: heads in groups, signs, H. */
static void
turn_row (float *out, const float *x, const TernRotation *r)
{
  g_autofree double *grouped = g_new (double, r->width);
  guint heads = r->key_heads > 1 ? r->value_heads : 1, w = r->width / heads, i, j;

  for (i = 0; i < r->width; i++) {
    guint head = i / w, to = heads == 1 ? 0 : head % r->key_heads * (heads / r->key_heads) + head / r->key_heads;

    grouped[to * w + i % w] = x[i];
  }
  for (i = 0; i < r->width; i++) {
    double sum = 0;

    for (j = i / r->block * r->block; j < (i / r->block + 1) * r->block; j++)
      sum += (__builtin_parity (i % r->block & j % r->block) ? -1 : 1) * (r->signs ? r->signs[j] : 1) * grouped[j];
    out[i] = (float) (sum / sqrt (r->block));
  }
}

/* Two matrices beside each other on one input, one of them rotated, whole and as a part of the input; and a row turned back. */
static void
check_rotated (const Setup *s, guint32 id, const TernRotation *rotation)
{
  const guint rows = 37, cols = rotation->width, n = 5;
  g_autofree float *x = g_new (float, n * cols), *turned = g_new (float, n * cols), *y = g_new (float, n * rows);
  g_autofree float *row = g_new (float, cols), *back = g_new (float, cols);
  g_autofree double *expected = g_new (double, n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols) + tern_linear_turned_bytes (n, cols), "input", NULL);
  TernLinearInput input, part;
  TernLinear linear, plain;
  double top = 0;
  guint mode, t, i;
  Matrix m;

  matrix_init (&m, id, rows, cols, s->rand);
  bind (&linear, &m, s->kernels);
  bind (&plain, &m, s->kernels);
  linear.rotation = rotation;
  for (i = 0; i < n * cols; i++)
    x[i] = noise (s->rand);
  for (t = 0; t < n; t++)
    turn_row (turned + t * cols, x + t * cols, rotation);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (&linear), NULL));
  for (mode = 0; mode < 2; mode++) {
    TernForm form = mode == TERN_ACTIVATIONS_F32 ? TERN_FORM_EXPAND : linear.form;

    for (i = 0; i < 3; i++) {   /* rotated, plain, rotated again and as a part */
      tern_linear_input_init (&input, scratch, s->kernels, mode, x, cols, n, cols);
      tern_linear_run (&linear, &input, NULL, y, rows, s->pool);
      if (i == 1)
        tern_linear_run (&plain, &input, NULL, y, rows, s->pool);
      if (i == 2) {
        part = tern_linear_input_part (&input, 1, 3);
        memset (y, 0, n * rows * sizeof *y);
        tern_linear_rows (&linear, &part, NULL, y + rows, rows, 0, rows, s->pool, 0);
      }
      reference (expected, &m, form, i == 1 ? x : turned, cols, n, NULL);
      for (t = 0; t < n * rows; t++)
        top = MAX (top, fabs (expected[t]));
      /* A value that falls the other way when it is rounded is 1/127 of the largest of a row off. */
      for (t = i == 2 ? rows : 0; t < (i == 2 ? 4 : n) * rows; t++)
        g_assert_cmpfloat (fabs (y[t] - expected[t]), <=, (mode == TERN_ACTIVATIONS_F32 ? 1e-5 : 5e-3) * top);
    }
  }
  if (rotation->key_heads <= 1) {
    linear.row_rotation = rotation;
    tern_linear_row (&linear, 3, row);
    turn_row (back, row, rotation);
    for (i = 0; i < cols; i++)
      g_assert_cmpfloat (fabs (back[i] - m.values[3 * cols + i]), <=, 1e-4 * (1 + fabs (m.values[3 * cols + i])));
  }
  tern_linear_clear (&linear);
  tern_linear_clear (&plain);
  matrix_clear (&m);
  tern_mem_free (scratch);
}

static void
test_rotated (void)
{
  static const guint32 ids[] = { TERN_TYPE_F32, TERN_TYPE_F16, TERN_TYPE_Q8_0, TERN_TYPE_TQ2_0, TERN_TYPE_Q1_0, TERN_TYPE_Q2_0,
    TERN_TYPE_PQ2_0, TERN_TYPE_PTQ1_0 };
  g_autofree float *signs = g_new (float, 768);
  const TernRotation rotations[] = { { 768, 64, NULL, 0, 0 }, { 768, 256, signs, 0, 0 }, { 768, 1, signs, 0, 0 },
    { 768, 256, signs, 2, 6 }, { 768, 64, NULL, 3, 12 } };
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_NEON };
  gsize l, i, r;

  for (l = 0; l < G_N_ELEMENTS (levels); l++) {
    TernKernels kernels;
    Setup s = scalar_setup (&kernels);

    tern_kernels_init (&kernels, levels[l]);
    for (i = 0; i < 768; i++)
      signs[i] = g_rand_boolean (s.rand) ? 1 : -1;
    for (i = 0; i < G_N_ELEMENTS (ids); i++)
      for (r = 0; r < G_N_ELEMENTS (rotations); r++)
        check_rotated (&s, ids[i], &rotations[r]);
    setup_clear (&s);
  }
}

/* Rows [first, first + n) of @x as an input of their own, @few of them in the order for few, to their place in @y. */
static void
run_rows (const Setup *s, const TernLinear *linear, const float *x, guint first, guint n, guint few, float *y)
{
  guint cols = linear->cols;
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input;

  tern_linear_input_init (&input, scratch, s->kernels, TERN_ACTIVATIONS_INT8, x + first * cols, cols, n, cols);
  g_assert_cmpuint (input.few, ==, n <= TERN_LINEAR_FEW ? n : 0);
  input.few = few;
  tern_linear_run (linear, &input, NULL, y + first * linear->rows, linear->rows, s->pool);
  tern_mem_free (scratch);
}

/* Rows of both orders in one input, and a part of it: each the bits that it has by itself. */
static void
check_orders (const Setup *s, guint32 id)
{
  const guint rows = 700, cols = 512, n = 9, few = 3;
  g_autofree float *x = g_new (float, n * cols), *alone = g_new (float, n * rows), *y = g_new (float, n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input, part;
  TernLinear linear;
  Matrix m;
  guint t;

  matrix_init (&m, id, rows, cols, s->rand);
  bind (&linear, &m, s->kernels);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (&linear), NULL));
  for (t = 0; t < n * cols; t++)
    x[t] = noise (s->rand);
  for (t = 0; t < n; t++)
    run_rows (s, &linear, x, t, 1, t < few, alone);
  run_rows (s, &linear, x, 0, n, few, y);
  g_assert_cmpmem (y, n * rows * sizeof (float), alone, n * rows * sizeof (float));

  tern_linear_input_init (&input, scratch, s->kernels, TERN_ACTIVATIONS_INT8, x, cols, n, cols);
  input.few = few;
  tern_linear_ready (&linear, &input, s->pool);
  part = tern_linear_input_part (&input, 1, 6);
  g_assert_cmpuint (part.few, ==, 2);
  memset (y, 0, n * rows * sizeof (float));
  tern_linear_rows (&linear, &part, NULL, y, rows, 0, rows, s->pool, 0);
  g_assert_cmpmem (y, 6 * rows * sizeof (float), alone + rows, 6 * rows * sizeof (float));
  g_assert_cmpuint (tern_linear_input_part (&input, 3, 2).few, ==, 0);
  g_assert_cmpuint (tern_linear_input_part (&input, 0, 2).few, ==, 2);
  tern_mem_free (scratch);
  tern_linear_clear (&linear);
  matrix_clear (&m);
}

static void
test_orders (void)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AMX,
    TERN_CPU_NEON, TERN_CPU_DOTPROD, TERN_CPU_I8MM };
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  gsize i, t;

  for (i = 0; i < G_N_ELEMENTS (levels); i++) {
    if (!tern_cpu_has (levels[i]))
      continue;
    tern_kernels_init (&kernels, levels[i]);
    for (t = 0; t < G_N_ELEMENTS (types); t++)
      check_orders (&s, types[t]);
  }
  setup_clear (&s);
}

/* Sizes that nothing could hold are refused by the allocation, not wrapped around. */
static void
test_huge_input (void)
{
  GError *error = NULL;

  g_assert_cmpuint (tern_linear_input_bytes (G_MAXUINT32, G_MAXUINT32), >, G_MAXSIZE / 8);
  g_assert_null (tern_mem_alloc (tern_linear_input_bytes (G_MAXUINT32, G_MAXUINT32), "input", &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/linear-inputs/shared-input", test_shared_input);
  g_test_add_func ("/linear-inputs/rotated", test_rotated);
  g_test_add_func ("/linear-inputs/orders", test_orders);
  g_test_add_func ("/linear-inputs/huge-input", test_huge_input);
  return g_test_run ();
}
