/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and strides that matrix products are checked with, and the product in double precision. */
#pragma once

#include "tests/kernels/check.h"

#define SCALAR_WORK 1000000     /* products of a case at most: 513 x 16 x 49 is among them, */
#define VECTOR_WORK 4000000     /* and 513 x 49 x 130 */

typedef struct {
  gsize rows, cols, n;
  gsize ldy, ldw, ldx;
} Shape;

typedef void (*ShapeFunc) (const char *name, const Shape *shape, const TernKernels *ref, const TernKernels *k);

/* Every depth with every pair of counts, as far as the work stays small; strides with a random gap. */
void check_shapes (const char *name, ShapeFunc func, const TernKernels *ref, const TernKernels *k, gsize max_work);
void check_shape_case (const char *name, const Shape *shape);

/* Elements that a strided matrix takes without the gap of its last row. */
gsize check_extent (gsize rows, gsize width, gsize ld);
/* A NaN or infinity now and then: it belongs to one row of the result and to no other. */
void check_poison (float *x, gsize n);
float *check_new_y (const Shape *shape, guint slot);

/* With double sums: y, and the sum of the magnitudes that rounding errors scale with. */
void check_exact_product (const Shape *shape, float *y, float *magnitude, const float *w, const float *x);
/* Values within rounding errors, and nothing written elsewhere. */
void check_product (const Shape *shape, const float *got, const float *want, const float *magnitude);

#define SHAPE_CHECKS(name, shape) \
  static void name##_truth (const TernKernels *ref) { check_shapes (#name, shape, ref, ref, SCALAR_WORK); } \
  static void name##_check (const TernKernels *ref, const TernKernels *k) \
  { check_shapes (#name, shape, ref, k, VECTOR_WORK); }
