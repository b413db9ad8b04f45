/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/kernels/shapes.h"

#include <math.h>

static const guint depths[] = { 0, 1, 7, 31, 64, 128, 513, 4096 };
static const guint counts[] = { 1, 2, 3, 5, 7, 16, 49, 130 };

void
check_shapes (const char *name, ShapeFunc func, const TernKernels *ref, const TernKernels *k, gsize max_work)
{
  guint d, r, t;

  for (d = 0; d < G_N_ELEMENTS (depths); d++) {
    for (r = 0; r < G_N_ELEMENTS (counts); r++) {
      for (t = 0; t < G_N_ELEMENTS (counts); t++) {
        Shape s = { counts[r], depths[d], counts[t] };

        if (s.rows * s.cols * s.n > max_work || check_leaves_out ())
          continue;
        s.ldy = s.rows + check_below (9);
        s.ldw = s.cols + check_below (9);
        s.ldx = s.cols + check_below (9);
        func (name, &s, ref, k);
      }
    }
  }
}

void
check_shape_case (const char *name, const Shape *s)
{
  check_case ("%s rows=%zu cols=%zu n=%zu ldy=%zu ldw=%zu ldx=%zu", name, s->rows, s->cols, s->n, s->ldy, s->ldw,
      s->ldx);
}

gsize
check_extent (gsize rows, gsize width, gsize ld)
{
  return (rows - 1) * ld + width;
}

void
check_poison (float *x, gsize n)
{
  if (n && check_below (8) == 0)
    x[check_below (n)] = check_below (2) ? NAN : -INFINITY;
}

float *
check_new_y (const Shape *s, guint slot)
{
  return check_buffer (slot, check_extent (s->n, s->rows, s->ldy) * sizeof (float));
}

void
check_exact_product (const Shape *s, float *y, float *magnitude, const float *w, const float *x)
{
  gsize r, t, c;

  for (t = 0; t < s->n; t++) {
    for (r = 0; r < s->rows; r++) {
      double sum = 0, size = 0;

      for (c = 0; c < s->cols; c++) {
        double p = (double) w[r * s->ldw + c] * x[t * s->ldx + c];

        sum += p;
        size += fabs (p);
      }
      y[t * s->ldy + r] = (float) sum;
      magnitude[t * s->ldy + r] = (float) size;
    }
  }
}

void
check_product (const Shape *s, const float *got, const float *want, const float *magnitude)
{
  gsize t;

  for (t = 0; t < s->n; t++)
    check_within (got + t * s->ldy, want + t * s->ldy, magnitude + t * s->ldy, s->rows);
  check_guards (got, s->n, s->rows, s->ldy);
}
