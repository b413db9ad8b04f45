/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a computation cannot do without: bytes that it reads and multiply-adds that it does. Beside what the machine can do
 * at most that is the time which no program undercuts. */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct {
  double bytes;                 /* of weights, keys and values, each read once */
  double i8, f32;               /* multiply-adds on int8 activations, and on floats */
  double bf16;                  /* on bf16, where there are instructions for it; elsewhere they count as on floats */
} TernCost;

/* Adds one read of @linear (@share of it: of experts those that are asked for) and its product with @n rows. */
void tern_cost_add_linear (TernCost *cost, const TernLinear *linear, double share, double n);

G_END_DECLS
