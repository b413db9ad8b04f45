/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of every type with their values, and what multiplying by them gives, in double; for tests of linear.h. */
#pragma once

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/linear.h"

#define MAX_BOUND 1e-5          /* of the largest value; float sums in any order */

static const guint32 types[] = { TERN_TYPE_F32, TERN_TYPE_F16, TERN_TYPE_BF16, TERN_TYPE_Q8_0, TERN_TYPE_Q4_0,
  TERN_TYPE_Q4_1, TERN_TYPE_Q5_0, TERN_TYPE_Q5_1, TERN_TYPE_Q2_K, TERN_TYPE_Q3_K, TERN_TYPE_Q4_K, TERN_TYPE_Q5_K,
  TERN_TYPE_Q6_K, TERN_TYPE_IQ4_NL, TERN_TYPE_IQ4_XS, TERN_TYPE_MXFP4, TERN_TYPE_NVFP4, TERN_TYPE_TQ1_0, TERN_TYPE_TQ2_0,
  TERN_TYPE_I2_S, TERN_TYPE_IQ1_BN, TERN_TYPE_IQ2_BN, TERN_TYPE_Q1_0, TERN_TYPE_Q2_0, TERN_TYPE_PQ2_0, TERN_TYPE_PTQ1_0 };

/* ---- Matrices ---------------------------------------------------------------------------------------------------- */

static inline float
noise (GRand *rand)
{
  return g_rand_double_range (rand, -1, 1);
}

static inline void
put_half (guint8 *p, float value)
{
  guint16 h = tern_f32_to_f16 (value);

  p[0] = h & 255;
  p[1] = h >> 8;
}

/* One block of @type with ordinary values. */
static inline void
fill_block (guint8 *p, const TernTypeInfo *type, GRand *rand)
{
  float value = noise (rand);
  guint i;

  for (i = 0; i < type->bytes; i++)
    p[i] = g_rand_int (rand);
  switch (type->type) {
    case TERN_TYPE_F32:
      memcpy (p, &value, 4);
      break;
    case TERN_TYPE_F16:
      put_half (p, value);
      break;
    case TERN_TYPE_BF16:
      memcpy (p, (guint8 *) &value + 2, 2);
      break;
    case TERN_TYPE_Q4_1:
    case TERN_TYPE_Q5_1:
    case TERN_TYPE_Q4_K:
    case TERN_TYPE_Q5_K:
      put_half (p + 2, value / 100);
      put_half (p, value / 100);
      break;
    case TERN_TYPE_Q2_K:
      put_half (p + 80, value / 10);
      put_half (p + 82, value / 10);
      break;
    case TERN_TYPE_Q3_K:
      put_half (p + 108, value / 50);
      break;
    case TERN_TYPE_Q6_K:
      put_half (p + 208, value / 1000);
      break;
    case TERN_TYPE_TQ2_0:
      for (i = 0; i < 64; i++)  /* no digit 3 */
        p[i] &= ~(p[i] >> 1 & 0x55);
      put_half (p + 64, 0.03f);
      break;
    case TERN_TYPE_TQ1_0:
      put_half (p + 52, -0.03f);
      break;
    case TERN_TYPE_I2_S:
    case TERN_TYPE_IQ2_BN:
      for (i = 0; i < type->bytes; i++)
        p[i] &= ~(p[i] >> 1 & 0x55);
      break;
    case TERN_TYPE_IQ1_BN:
      break;
    case TERN_TYPE_MXFP4:       /* 2^-5 */
      p[0] = 122;
      break;
    case TERN_TYPE_NVFP4:
      for (i = 0; i < 4; i++)
        p[i] = (guint8) (16 + 5 * i);
      break;
    case TERN_TYPE_PTQ1_0:
      put_half (p + 26, value / 50);
      break;
    default:                    /* Q8_0, Q4_0, Q5_0, IQ4_NL, IQ4_XS */
      put_half (p, value / 50);
      break;
  }
}

typedef struct {
  TernTensor tensor;
  guint8 *bytes;
  float *values;                /* [rows, cols] */
} Matrix;

/* The scale in a row's header or in the tail. */
static inline void
put_scale (guint8 *p, guint bytes, float scale)
{
  if (bytes == 2)
    put_half (p, scale);
  else if (bytes != 0)
    memcpy (p, &scale, 4);
}

static inline void
matrix_init (Matrix *m, guint32 id, guint rows, guint cols, GRand *rand)
{
  const TernTypeInfo *type = tern_type_info (id);
  gsize row_bytes = tern_type_row_bytes (type, cols), size = rows * row_bytes + type->tail, b;
  guint r;

  m->bytes = g_malloc0 (size);
  for (r = 0; r < rows; r++) {
    guint8 *row = m->bytes + r * row_bytes;

    put_scale (row, type->row_meta, -0.02f);
    for (b = type->row_meta; b < row_bytes; b += type->bytes)
      fill_block (row + b, type, rand);
  }
  put_scale (m->bytes + rows * row_bytes, type->tail, 0.017f);
  m->values = g_new (float, (gsize) rows * cols);
  tern_type_rows_to_f32 (type, m->values, m->bytes, rows, cols, m->bytes + rows * row_bytes);
  m->tensor = (TernTensor) { .name = "w", .type = type, .type_id = id, .n_dims = 2, .dims = { cols, rows, 1, 1 },
    .data = m->bytes, .bytes = size };
}

static inline void
matrix_clear (Matrix *m)
{
  g_free (m->bytes);
  g_free (m->values);
}

static inline void
bind (TernLinear *linear, const Matrix *m, const TernKernels *kernels)
{
  GError *error = NULL;

  g_assert_true (tern_linear_init (linear, &m->tensor, kernels, &error) && tern_linear_pack (linear, NULL, &error));
  g_assert_no_error (error);
}

/* ---- References -------------------------------------------------------------------------------------------------- */

/* BitNet's activations: one scale a row. */
static inline void
round_row_i8 (double *out, const float *x, guint n)
{
  float top = 0, s;
  guint i;

  for (i = 0; i < n; i++)
    top = fmaxf (top, fabsf (x[i]));
  top = fmaxf (top, 1e-5f);
  s = 127 / top;
  for (i = 0; i < n; i++)
    out[i] = CLAMP (nearbyintf (x[i] * s), -128, 127) * (double) (top / 127);
}

static inline void
round_row_q8 (double *out, const float *x, guint n)
{
  guint b, i;

  for (b = 0; b < n; b += 32) {
    float top = 0;

    for (i = 0; i < 32; i++)
      top = fmaxf (top, fabsf (x[b + i]));
    for (i = 0; i < 32; i++)
      out[b + i] = nearbyintf (x[b + i] * (127 / top)) * (double) (top / 127);
  }
}

static inline void
reference (double *y, const Matrix *m, TernForm form, const float *x, gsize ldx, guint n, const float *bias)
{
  guint rows = m->tensor.dims[1], cols = m->tensor.dims[0], t, r, c;
  g_autofree double *row = g_new (double, cols);

  for (t = 0; t < n; t++) {
    if (form == TERN_FORM_T2 || form == TERN_FORM_T2S)
      round_row_i8 (row, x + t * ldx, cols);
    else if (form == TERN_FORM_BLOCKS)
      round_row_q8 (row, x + t * ldx, cols);
    else
      for (c = 0; c < cols; c++)
        row[c] = x[t * ldx + c];
    for (r = 0; r < rows; r++) {
      double sum = bias ? bias[r] : 0;

      for (c = 0; c < cols; c++)
        sum += m->values[(gsize) r * cols + c] * row[c];
      y[(gsize) t * rows + r] = sum;
    }
  }
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

typedef struct {
  const TernKernels *kernels;
  TernPool *pool;
  GRand *rand;
} Setup;

/* Runs @linear on random rows and compares; y has room to the right of each row that must stay as it is. */
static inline void
check_run (const Setup *s, const Matrix *m, const TernLinear *linear, TernForm form, TernActivations mode, guint n,
    gboolean with_bias)
{
  guint rows = linear->rows, cols = linear->cols, t, r;
  gsize ldx = cols + 5, ldy = rows + 3;
  g_autofree float *x = g_new (float, n * ldx), *y = g_new (float, n * ldy), *bias = g_new (float, rows);
  g_autofree float *sliced = g_new (float, n * ldy);
  g_autofree double *expected = g_new (double, (gsize) n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input;
  double top = 0;
  gsize i;

  for (i = 0; i < n * ldx; i++)
    x[i] = noise (s->rand) * (i % 7 == 0 ? 4 : 1);
  for (i = 0; i < n * ldy; i++)
    y[i] = 777;
  for (r = 0; r < rows; r++)
    bias[r] = noise (s->rand);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (linear), NULL));
  tern_linear_input_init (&input, scratch, s->kernels, mode, x, ldx, n, cols);
  tern_linear_run (linear, &input, with_bias ? bias : NULL, y, ldy, s->pool);
  reference (expected, m, form, x, ldx, n, with_bias ? bias : NULL);

  /* In the smallest slices: the same bits. */
  for (i = 0; i < n * ldy; i++)
    sliced[i] = 777;
  tern_pool_slice (s->pool)->limit = 1;
  g_assert_true (tern_linear_run_until (linear, &input, with_bias ? bias : NULL, sliced, ldy, s->pool, NULL));
  tern_slice_init (tern_pool_slice (s->pool));
  g_assert_cmpmem (sliced, n * ldy * sizeof (float), y, n * ldy * sizeof (float));

  for (i = 0; i < (gsize) n * rows; i++)
    top = MAX (top, fabs (expected[i]));
  for (t = 0; t < n; t++) {
    for (r = 0; r < rows; r++)
      if (!(fabs (y[t * ldy + r] - expected[(gsize) t * rows + r]) <= MAX_BOUND * top))
        g_error ("%s, %u x %u, mode %d, token %u of %u, row %u: expected %g, found %g", m->tensor.type->name, rows,
            cols, mode, t, n, r, expected[(gsize) t * rows + r], y[t * ldy + r]);
    for (; r < ldy; r++)
      g_assert_true (y[t * ldy + r] == 777);
  }
  tern_mem_free (scratch);
}

static inline TernForm
expected_form (guint32 id)
{
  switch (id) {
    case TERN_TYPE_F32:
      return TERN_FORM_F32;
    case TERN_TYPE_F16:
      return TERN_FORM_F16;
    case TERN_TYPE_BF16:
      return TERN_FORM_BF16;
    case TERN_TYPE_TQ1_0:
    case TERN_TYPE_TQ2_0:
    case TERN_TYPE_I2_S:
    case TERN_TYPE_IQ1_BN:
    case TERN_TYPE_IQ2_BN:
      return TERN_FORM_T2;
    case TERN_TYPE_Q1_0:
    case TERN_TYPE_Q2_0:
    case TERN_TYPE_PQ2_0:
    case TERN_TYPE_PTQ1_0:
      return TERN_FORM_T2S;
    case TERN_TYPE_MXFP4:
    case TERN_TYPE_NVFP4:
      return TERN_FORM_EXPAND;
    default:
      return TERN_FORM_BLOCKS;
  }
}

static inline Setup
scalar_setup (TernKernels *kernels)
{
  tern_kernels_init (kernels, TERN_CPU_SCALAR);
  return (Setup) { kernels, tern_pool_new (2, NULL), g_rand_new_with_seed (9) };
}

static inline void
setup_clear (Setup *s)
{
  tern_pool_free (s->pool);
  g_rand_free (s->rand);
}
