/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of one bit a weight, of BitNet's first paper (arXiv:2310.11453): sign (W - mean W) times mean |W|, a weight at
 * the mean being -1. Private to engine/weights. */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

/* What a whole matrix is measured by. */
typedef struct {
  float mean, magnitude;        /* of w; of |w| */
} TernBinaryScale;

/* FORMAT, which names the tensor, where these are not finite. NO_SPACE. */
gboolean tern_linear_measure_binary (const TernLinear *linear, TernPool *pool, TernBinaryScale *scale, GError **error);
/* A row of @n values as a row of a T2 panel (linear-steps.h): digits 0 and 2; padding is digit 1. */
void tern_linear_pack_binary (guint8 *row, const float *x, guint n, float mean);
/* FORMAT, which names the tensor, for one with other values than -s and +s, s being each block's. */
gboolean tern_linear_check_binary (const TernLinear *linear, TernPool *pool, GError **error);

G_END_DECLS
