/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/cost.h"

void
tern_cost_add_linear (TernCost *cost, const TernLinear *linear, double share, double n)
{
  double work = (double) linear->rows * linear->cols * n;
  gsize bytes = linear->form == TERN_FORM_T2 || linear->form == TERN_FORM_T2S ? tern_linear_packed_bytes (linear)
      : (gsize) linear->rows * tern_linear_row_bytes (linear);

  cost->bytes += share * bytes;
  if (linear->form == TERN_FORM_T2 || linear->form == TERN_FORM_T2S || linear->form == TERN_FORM_BLOCKS)
    cost->i8 += work;
  else
    cost->f32 += work;
}
