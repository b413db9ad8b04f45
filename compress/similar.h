/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How like two tokens are: what methods of several papers go by. */
#pragma once

#include "compress/select.h"

/* Of rows of @n; 0 where one of them is zero, NaN where there is one in them. */
double tern_cosine (const float *a, const float *b, guint n);
/* Sum of products. */
double tern_dot (const float *a, const float *b, guint n);
/* Cosine of a row with one of doubles; 0 and NaN as above. */
double tern_cosine_to (const float *a, const double *b, guint n);
/* Each token of one frame with the one at its place in another: the first @dim floats of @n_tokens rows, @stride apart. NaN counts
 * as unlike. */
void tern_similarities (const float *a, const float *b, guint n_tokens, guint stride, guint dim, TernScored *out);
