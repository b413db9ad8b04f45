/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What linear.c and linear-input.c know of inputs. Private to engine/weights. */
#pragma once

#include "engine/weights/linear.h"

/* Values between rows of the forms of an input of @cols columns; and sums. */
static inline gsize
tern_linear_i8_stride (guint cols)
{
  return ((gsize) cols + TERN_T2_COLS - 1) / TERN_T2_COLS * TERN_T2_COLS;
}

static inline gsize
tern_linear_part_stride (guint cols)
{
  return tern_linear_i8_stride (cols) / TERN_T2S_SUM;
}

static inline gsize
tern_linear_q8_stride (guint cols)
{
  return cols / G_N_ELEMENTS (((TernQ8Block *) 0)->q);
}

/* How @linear runs on @input. */
static inline TernForm
tern_linear_run_form (const TernLinear *linear, const TernLinearInput *input)
{
  gboolean ternary = linear->form == TERN_FORM_T2 || linear->form == TERN_FORM_T2S;

  if ((input->mode == TERN_ACTIVATIONS_F32 || linear->turns_back) && ternary)
    return TERN_FORM_EXPAND;
  if ((input->mode == TERN_ACTIVATIONS_F32 || linear->rounding != TERN_ROUNDING_FORM) && linear->form == TERN_FORM_BLOCKS)
    return TERN_FORM_EXPAND;    /* rounded rows are not rounded again */
  return linear->form;
}

/* What a linear sees that turns it, for which @input is ready. */
static inline TernLinearInput
tern_linear_input_turned (const TernLinearInput *input)
{
  TernLinearInput turned = tern_linear_input_part (input->turned, input->first, input->n);

  turned.few = input->few;
  return turned;
}
