/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 and bf16 matrices, scalar. */
#include <math.h>
#include <string.h>

#include "engine/kernels/versions.h"

static TERN_DECL_PACK_I8P (pack_i8p_c)
{
  gsize padded = (cols + TERN_I8P_COLS - 1) / TERN_I8P_COLS * TERN_I8P_COLS, r, c;

  memset (panel, 128, padded * TERN_PANEL_ROWS);
  for (r = 0; r < TERN_PANEL_ROWS; r++) {
    float max = 0, s;

    scale[r] = 0;
    if (r >= n_rows)
      continue;
    for (c = 0; c < cols; c++) {
      float v = fabsf (src[r * row + c * col]);

      max = v > max || isnan (v) ? v : max;     /* the first NaN stays: nothing is larger */
    }
    if (max < 1e-30f)
      continue;
    scale[r] = max / 127.0f;
    s = 127.0f / max;
    for (c = 0; c < cols; c++) {
      float v = src[r * row + c * col] * s;

      v = v < 127.0f ? v : 127.0f;      /* infinity times 0 too, as in quant_i8 */
      v = v > -128.0f ? v : -128.0f;
      panel[c / 4 * 64 + r * 4 + c % 4] = (guint8) (isnan (max) ? 0 : lrintf (v) + 128);
    }
  }
}

static TERN_DECL_PACK_BF16P (pack_bf16p_c)
{
  gsize padded = (cols + TERN_BF16P_COLS - 1) / TERN_BF16P_COLS * TERN_BF16P_COLS, r, c;

  memset (panel, 0, padded * TERN_PANEL_ROWS * sizeof *panel);
  for (r = 0; r < n_rows; r++) {
    for (c = 0; c < cols; c++)
      panel[c / 2 * 32 + r * 2 + c % 2] = tern_f32_to_bf16 (src[r * row + c * col]);
  }
}

static TERN_DECL_PACK_BF16 (pack_bf16_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = tern_f32_to_bf16 (x[i]);
  memset (dst + n, 0, (-n & (TERN_BF16P_COLS - 1)) * sizeof *dst);
}

static TERN_DECL_SOFTMAX_BF16 (softmax_bf16_c)
{
  float sum = 0;
  gsize i;

  for (i = 0; i < n; i++)
    *largest = x[i] * scale > *largest ? x[i] * scale : *largest;
  for (i = 0; i < n; i++) {
    float e = expf (x[i] * scale - *largest);

    dst[i] = tern_f32_to_bf16 (e);
    sum += e;
  }
  memset (dst + n, 0, (-n & (TERN_BF16P_COLS - 1)) * sizeof *dst);
  return sum;
}

static TERN_DECL_SOFTMAX_I8 (softmax_i8_c)
{
  float max = x[0] * scale, total = 0;
  gsize i;

  for (i = 1; i < n; i++)
    max = x[i] * scale > max ? x[i] * scale : max;
  *largest = max;
  *sum = 0;
  for (i = 0; i < n; i++) {
    float e = expf (x[i] * scale - max), q;

    total += e;
    q = nearbyintf (127 * e);
    q = rest ? nearbyintf (254 * (127 * e - q)) : q;
    dst[i] = (gint8) (isnan (q) ? 0 : q);
    *sum += dst[i];
  }
  memset (dst + n, 0, -n & (TERN_I8P_COLS - 1));
  return total;
}

static gint32
dot_i8 (const guint8 *w, const gint8 *x, gsize cols)
{
  gint32 sum = 0;
  gsize c;

  for (c = 0; c < cols; c++)
    sum += (w[c / 4 * 64 + c % 4] - 128) * x[c];
  return sum;
}

static TERN_DECL_GEMM_I8P (gemm_i8p_c)
{
  gsize r, t, c;

  for (r = 0; r < rows; r++) {
    const guint8 *p = w + r / TERN_PANEL_ROWS * TERN_PANEL_ROWS * cols + r % TERN_PANEL_ROWS * 4;

    for (t = 0; t < n; t++) {
      float s = 0;

      for (c = 0; c < cols; c += group)
        s = fmaf ((float) dot_i8 (p + c / 4 * 64, x + t * ldx + c, MIN (group, cols - c)), xscale[t * ldg + c / group], s);
      y[t * ldy + r] = fmaf (s, wscale[r], bias ? bias[r] : 0);
    }
  }
}

static TERN_DECL_GEMM_BF16P (gemm_bf16p_c)
{
  gsize r, t, c;

  for (r = 0; r < rows; r++) {
    const guint16 *p = w + r / TERN_PANEL_ROWS * TERN_PANEL_ROWS * cols + r % TERN_PANEL_ROWS * 2;

    for (t = 0; t < n; t++) {
      float even = 0, odd = 0;

      for (c = 0; c < cols; c += 2) {
        even += tern_bf16_to_f32 (p[c / 2 * 32]) * tern_bf16_to_f32 (x[t * ldx + c]);
        odd += tern_bf16_to_f32 (p[c / 2 * 32 + 1]) * tern_bf16_to_f32 (x[t * ldx + c + 1]);
      }
      y[t * ldy + r] = even + odd + (bias ? bias[r] : 0);
    }
  }
}

void
tern_packed_init_c (TernKernels *k)
{
  k->gemm_i8p = gemm_i8p_c;
  k->gemm_bf16p = gemm_bf16p_c;
  k->pack_i8p = pack_i8p_c;
  k->pack_bf16p = pack_bf16p_c;
  k->pack_bf16 = pack_bf16_c;
  k->softmax_bf16 = softmax_bf16_c;
  k->softmax_i8 = softmax_i8_c;
  k->bf16_units = FALSE;
}
