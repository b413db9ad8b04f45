/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Float matrix products, scalar. Four sums side by side: one alone would wait for each addition. One order of summation
 * serves few rows and many. */
#include <string.h>

#include "engine/kernels/versions.h"

static inline float
dot_f32 (const float *w, const float *x, gsize cols)
{
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  gsize c;

  for (c = 0; c + 4 <= cols; c += 4) {
    s0 += w[c] * x[c];
    s1 += w[c + 1] * x[c + 1];
    s2 += w[c + 2] * x[c + 2];
    s3 += w[c + 3] * x[c + 3];
  }
  for (; c < cols; c++)
    s0 += w[c] * x[c];
  return (s0 + s1) + (s2 + s3);
}

static TERN_DECL_GEMM_F32 (gemm_f32_c)
{
  gsize r, t;

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++)
      y[t * ldy + r] = dot_f32 (w + r * ldw, x + t * ldx, cols);
  }
}

typedef enum { F32, F16, BF16, I8, I4 } Kind;

/* Digit @at of an int4 row, less the middle one. */
static inline float
digit (const guint8 *row, gsize at)
{
  guint8 both = row[at / TERN_I4_GROUP * (TERN_I4_GROUP / 2) + at % 16];

  return (float) (at % TERN_I4_GROUP < 16 ? both & 15 : both >> 4) - 7.5f;
}

/* Row @r of rows @ld values (int4: bytes) apart. */
static inline const void *
row_at (const void *rows, gsize r, gsize ld, Kind kind)
{
  static const guint8 bytes[] = { [F32] = 4, [F16] = 2, [BF16] = 2, [I8] = 1, [I4] = 1 };

  return (const guint8 *) rows + r * ld * bytes[kind];
}

static void
expand (float *dst, const void *src, gsize at, gsize n, Kind kind)
{
  gsize i;

  for (i = 0; i < n; i++) {
    if (kind == F16)
      dst[i] = tern_f16_to_f32 (((const guint16 *) src)[at + i]);
    else if (kind == BF16)
      dst[i] = tern_bf16_to_f32 (((const guint16 *) src)[at + i]);
    else if (kind == I4)
      dst[i] = digit (src, at + i);
    else
      dst[i] = ((const gint8 *) src)[at + i];
  }
}

/* Rows of narrow values, a part at a time. */
static void
narrow_product (float *y, gsize ldy, const void *w, gsize ldw, gsize rows, gsize cols, const float *x, gsize ldx,
    gsize n, Kind kind)
{
  enum { PART = 256 };
  float row[PART];
  gsize r, t, c;

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++)
      y[t * ldy + r] = 0;
    for (c = 0; c < cols; c += PART) {
      gsize part = MIN (PART, cols - c);

      expand (row, row_at (w, r, ldw, kind), c, part, kind);
      for (t = 0; t < n; t++)
        y[t * ldy + r] += dot_f32 (row, x + t * ldx + c, part);
    }
  }
}

static TERN_DECL_GEMM_F16 (gemm_f16_c)
{
  narrow_product (y, ldy, w, ldw, rows, cols, x, ldx, n, F16);
}

static TERN_DECL_GEMM_BF16 (gemm_bf16_c)
{
  narrow_product (y, ldy, w, ldw, rows, cols, x, ldx, n, BF16);
}

/* Times the scales of the rows. */
static void
scale_rows (float *y, gsize ldy, const float *scale, gsize lds, gsize rows, gsize n)
{
  gsize r, t;

  for (t = 0; t < n; t++) {
    for (r = 0; r < rows; r++)
      y[t * ldy + r] *= scale[r * lds];
  }
}

static TERN_DECL_GEMM_I8ROW (gemm_i8row_c)
{
  narrow_product (y, ldy, w, ldw, rows, cols, x, ldx, n, I8);
  scale_rows (y, ldy, scale, lds, rows, n);
}

static TERN_DECL_GEMM_I4ROW (gemm_i4row_c)
{
  narrow_product (y, ldy, w, ldw, rows, cols, x, ldx, n, I4);
  scale_rows (y, ldy, scale, lds, rows, n);
}

/* Adds values from index @at of row @b, times their row's weight. */
static void
add_row (float *y, float weight, const void *b, gsize at, gsize cols, Kind kind)
{
  gsize c;

  if (kind == F32)
    for (c = 0; c < cols; c++)
      y[c] += weight * ((const float *) b)[at + c];
  else if (kind == F16)
    for (c = 0; c < cols; c++)
      y[c] += weight * tern_f16_to_f32 (((const guint16 *) b)[at + c]);
  else if (kind == I4)
    for (c = 0; c < cols; c++)
      y[c] += weight * digit (b, at + c);
  else
    for (c = 0; c < cols; c++)
      y[c] += weight * (float) ((const gint8 *) b)[at + c];
}

/* Runs of @run rows, a part of the columns at a time. */
static void
nn_product (float *y, gsize ldy, const float *a, gsize lda, const void *b, gsize ldb, const float *scale, gsize lds,
    gsize n, gsize depth, gsize cols, gsize run, gboolean go_on, Kind kind)
{
  enum { PART = 64 };
  gsize t, c, k, end, i;

  for (t = 0; t < n; t++, y += ldy, a += lda) {
    for (c = 0; c < cols; c += PART) {
      gsize part = MIN (PART, cols - c);
      float sum[PART] = { 0 };

      if (go_on)
        memcpy (sum, y + c, part * sizeof *y);
      else
        memset (y + c, 0, part * sizeof *y);
      for (k = 0; k < depth; k = end) {
        end = depth - k > run ? k + run : depth;
        if (k > 0)
          memset (sum, 0, sizeof sum);
        for (i = k; i < end; i++)
          add_row (sum, scale ? a[i] * scale[i * lds] : a[i], row_at (b, i, ldb, kind), c, part, kind);
        for (i = 0; i < part; i++)
          y[c + i] = k > 0 ? y[c + i] + sum[i] : sum[i];
      }
    }
  }
}

static TERN_DECL_GEMM_NN (gemm_nn_c)
{
  nn_product (y, ldy, a, lda, b, ldb, NULL, 0, n, depth, cols, TERN_NN_RUN, go_on, F32);
}

static TERN_DECL_GEMM_NN_F16 (gemm_nn_f16_c)
{
  nn_product (y, ldy, a, lda, b, ldb, NULL, 0, n, depth, cols, many ? TERN_NN_RUN : G_MAXSIZE, go_on, F16);
}

static TERN_DECL_GEMM_NN_I8ROW (gemm_nn_i8row_c)
{
  nn_product (y, ldy, a, lda, b, ldb, scale, lds, n, depth, cols, many ? TERN_NN_RUN : G_MAXSIZE, go_on, I8);
}

static TERN_DECL_GEMM_NN_I4ROW (gemm_nn_i4row_c)
{
  nn_product (y, ldy, a, lda, b, ldb, scale, lds, n, depth, cols, many ? TERN_NN_RUN : G_MAXSIZE, go_on, I4);
}

void
tern_gemm_init_c (TernKernels *k)
{
  k->gemm_f32 = gemm_f32_c;
  k->gemm_f16 = gemm_f16_c;
  k->gemm_bf16 = gemm_bf16_c;
  k->gemm_i8row = gemm_i8row_c;
  k->gemm_i4row = gemm_i4row_c;
  k->gemm_nn = gemm_nn_c;
  k->gemm_nn_f16 = gemm_nn_f16_c;
  k->gemm_nn_i8row = gemm_nn_i8row_c;
  k->gemm_nn_i4row = gemm_nn_i4row_c;
}
