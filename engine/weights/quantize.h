/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floats to the block formats that `tern quantize` writes. */
#pragma once

#include "engine/weights/types.h"

G_BEGIN_DECLS

/* The largest magnitude that every format below takes: more does not fit the f16 of a scale or of F16 itself. */
#define TERN_QUANTIZE_MAX 65504.0f

/* @n finite values (a multiple of the type's block, none above TERN_QUANTIZE_MAX) to @dst, n / block blocks. */
typedef void (*TernQuantizeFunc) (guint8 *dst, const float *src, gsize n);

/* For F16, Q8_0, Q4_0, Q5_0, Q4_K, Q6_K, TQ1_0, TQ2_0, Q1_0, Q2_0, PQ2_0 and PTQ1_0; NULL for the others. Blocks of Q8_0, Q4_0,
 * Q5_0, TQ1_0, TQ2_0 and Q1_0 (signs, times the mean magnitude of a block) are those of ggml, bit for bit; the K types search
 * scales of their own. TQ1_0 and TQ2_0 round each value to the nearest of -max, 0 and +max of its block: give them what is
 * ternary. Q2_0, PQ2_0 and PTQ1_0 take anything: a block's scale is the one with the least squared error, exact for what is
 * ternary. */
TernQuantizeFunc tern_quantizer (guint32 type);

/* Whether every value is 0 or +-*@scale, *@scale being 0 while none was found. When FALSE, *@odd is the first value
 * that is neither. */
gboolean tern_is_ternary (const float *x, gsize n, float *scale, float *odd);

/* x = mean clamp(round(x / mean), -1, +1): BitNet b1.58 (arXiv:2402.17764, eq. 1 to 3), @mean being the mean of |x|
 * over the matrix. */
void tern_make_ternary (float *x, gsize n, float mean);

/* x = magnitude where it is above @mean, else -magnitude: BitNet (arXiv:2310.11453), its binarised weights, @mean and @magnitude
 * being the means of x and of |x| over the matrix. */
void tern_make_binary (float *x, gsize n, float mean, float magnitude);

G_END_DECLS
