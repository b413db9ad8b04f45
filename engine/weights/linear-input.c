/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs of linears: what is made of their rows when a linear asks. */
#include "engine/weights/linear-input.h"

#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/activations.h"

static void
place_input (TernArena *arena, TernLinearInput *input, guint n, guint cols)
{
  input->i8 = tern_arena_take (arena, n * tern_linear_i8_stride (cols));
  input->i8_scale = tern_arena_take (arena, n * sizeof *input->i8_scale);
  input->i8_sum = tern_arena_take (arena, n * sizeof *input->i8_sum);
  input->i8_part = tern_arena_take (arena, n * tern_linear_part_stride (cols) * sizeof *input->i8_part);
  input->q8 = tern_arena_take (arena, n * tern_linear_q8_stride (cols) * sizeof *input->q8);
}

/* The input that turned rows are, and the rows. */
static float *
place_turned (TernArena *arena, TernLinearInput *turned, TernLinearInput **self, guint n, guint cols)
{
  float *x;

  *self = tern_arena_take (arena, sizeof **self);
  x = tern_arena_take (arena, (gsize) n * cols * sizeof *x);
  place_input (arena, turned, n, cols);
  return x;
}

/* Values are padded to whole groups, and take less than sixteen bytes, turned ones included. */
static gboolean
is_too_large (guint n, guint cols)
{
  return (guint64) n * ((guint64) cols + TERN_T2_COLS) >= MIN (G_MAXSIZE / 16, (guint64) 1 << 56);
}

#define TOO_LARGE (GLIB_SIZEOF_SIZE_T < 8 ? (gsize) G_MAXSSIZE : G_MAXSIZE / 4)

gsize
tern_linear_input_bytes (guint n, guint cols)
{
  TernLinearInput input;
  TernArena arena = { NULL, 0 };

  if (is_too_large (n, cols))
    return TOO_LARGE;
  place_input (&arena, &input, n, cols);
  return arena.used;
}

gsize
tern_linear_turned_bytes (guint n, guint cols)
{
  TernLinearInput turned, *self;
  TernArena arena = { NULL, 0 };

  if (is_too_large (n, cols))
    return TOO_LARGE;
  place_turned (&arena, &turned, &self, n, cols);
  return arena.used;
}

void
tern_linear_input_init (TernLinearInput *input, void *scratch, const TernKernels *kernels, TernActivations mode,
    const float *x, gsize ldx, guint n, guint cols)
{
  TernArena arena = { scratch, 0 };

  place_input (&arena, input, n, cols);
  input->turned = scratch ? (TernLinearInput *) ((guint8 *) scratch + arena.used) : NULL;
  input->kernels = kernels;
  input->mode = mode;
  input->x = x;
  input->ldx = ldx;
  input->n = n;
  input->cols = cols;
  input->few = n <= TERN_LINEAR_FEW ? n : 0;
  input->has_i8 = input->has_part = input->has_q8 = FALSE;
  input->turned_for = NULL;
  input->first = 0;
}

TernLinearInput
tern_linear_input_part (const TernLinearInput *input, guint first, guint n)
{
  TernLinearInput part = *input;

  part.x += first * input->ldx;
  part.n = n;
  part.few = input->few > first ? MIN (input->few - first, n) : 0;
  part.i8 += first * tern_linear_i8_stride (input->cols);
  part.i8_scale += first;
  part.i8_sum += first;
  part.i8_part += first * tern_linear_part_stride (input->cols);
  part.q8 += first * tern_linear_q8_stride (input->cols);
  part.first += first;
  return part;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

static void
quantise_row (TernLinearInput *input, guint t)
{
  input->kernels->quant_i8 (input->i8 + t * tern_linear_i8_stride (input->cols), &input->i8_scale[t], &input->i8_sum[t],
      input->x + t * input->ldx, input->cols);
}

static void
quantise_i8 (void *data, guint begin, guint end, guint worker)
{
  for (guint t = begin; t < end; t++)
    quantise_row (data, t);
}

static void
sum_parts (void *data, guint begin, guint end, guint worker)
{
  TernLinearInput *input = data;
  gsize parts = tern_linear_part_stride (input->cols);
  guint c;

  for (gsize i = begin * parts; i < end * parts; i++) {
    const gint8 *q = input->i8 + i * TERN_T2S_SUM;
    gint32 sum = 0;

    for (c = 0; c < TERN_T2S_SUM; c++)
      sum += q[c];
    input->i8_part[i] = sum;
  }
}

static void
quantise_q8 (void *data, guint begin, guint end, guint worker)
{
  TernLinearInput *input = data;
  gsize stride = tern_linear_q8_stride (input->cols);
  guint t;

  for (t = begin; t < end; t++)
    input->kernels->quant_q8 (input->q8 + t * stride, input->x + t * input->ldx, input->cols);
}

/* ---- Turning and rounding ---------------------------------------------------------------------------------------- */

typedef struct {
  const TernLinearInput *from;
  TernLinearInput *to;
  const TernLinear *linear;
  gboolean quantise;            /* to integers */
} Turn;

static void
group_heads (float *to, const float *from, const TernRotation *rotation)
{
  guint readers = rotation->value_heads / rotation->key_heads, w = rotation->width / rotation->value_heads, f;

  for (f = 0; f < rotation->value_heads; f++)
    memcpy (to + (gsize) (f % rotation->key_heads * readers + f / rotation->key_heads) * w, from + (gsize) f * w,
        w * sizeof *to);
}

static void
rotate_row (const TernKernels *kernels, const TernRotation *rotation, float *y, const float *x)
{
  if (rotation->key_heads > 1) {
    group_heads (y, x, rotation);
    x = y;
  }
  kernels->hadamard (y, x, rotation->signs, rotation->width, rotation->block, FALSE);
}

/* Row @t, which has been turned, to the integers of its rounding and to the floats that these stand for. */
static void
round_row (TernLinearInput *to, TernRounding rounding, guint t)
{
  gint8 *q = to->i8 + t * tern_linear_i8_stride (to->cols);
  float *y = (float *) to->x + t * to->ldx;

  if (rounding == TERN_ROUNDING_I4)
    to->kernels->quant_i4 (q, &to->i8_scale[t], &to->i8_sum[t], y, to->cols);
  else
    quantise_row (to, t);
  for (guint c = 0; c < to->cols; c++)
    y[c] = to->i8_scale[t] * q[c];
}

/* A row is turned, thinned and quantised while it is in the first cache. */
static void
turn_rows (void *data, guint begin, guint end, guint worker)
{
  const Turn *turn = data;
  const TernLinear *linear = turn->linear;
  const TernRotation *rotation = linear->rotation;
  const TernKernels *kernels = turn->to->kernels;
  gboolean rounds = linear->rounding != TERN_ROUNDING_FORM && turn->to->mode == TERN_ACTIVATIONS_INT8;

  for (guint t = begin; t < end; t++) {
    const float *x = turn->from->x + t * turn->from->ldx;
    float *y = (float *) turn->to->x + t * turn->to->ldx;

    if (rotation)
      rotate_row (kernels, rotation, y, x);
    else
      memcpy (y, x, turn->to->cols * sizeof *y);
    if (linear->rounding == TERN_ROUNDING_I8_TOP)
      tern_keep_top (y, turn->to->cols, turn->to->cols / 2);
    if (rounds)
      round_row (turn->to, linear->rounding, t);
    else if (turn->quantise)
      quantise_row (turn->to, t);
    if (linear->turns_back)     /* H is symmetric: it undoes itself */
      kernels->hadamard (y, y, NULL, rotation->width, rotation->block, FALSE);
  }
}

static gboolean
turn_alike (const TernLinear *a, const TernLinear *b)
{
  return a->rotation == b->rotation && a->rounding == b->rounding && a->turns_back == b->turns_back;
}

/* @input as @linear wants it, and in int8 if @quantise. */
static TernLinearInput *
make_turned (TernLinearInput *input, const TernLinear *linear, gboolean quantise, TernPool *pool)
{
  TernArena arena = { (guint8 *) input->turned, 0 };
  TernLinearInput *turned, *self = NULL;
  Turn turn = { input, input->turned, linear, quantise };

  if (input->turned_for && turn_alike (input->turned_for, linear))
    return input->turned;
  turned = input->turned;
  *turned = *input;
  turned->turned = NULL;
  turned->x = place_turned (&arena, turned, &self, input->n, input->cols);
  turned->ldx = input->cols;
  turned->first = 0;
  turned->has_i8 = quantise || (linear->rounding != TERN_ROUNDING_FORM && input->mode == TERN_ACTIVATIONS_INT8);
  turned->has_part = turned->has_q8 = FALSE;
  tern_pool_run (pool, turn_rows, &turn, input->n, 1);
  input->turned_for = linear;
  return turned;
}

void
tern_linear_ready (const TernLinear *linear, TernLinearInput *input, TernPool *pool)
{
  TernForm form = tern_linear_run_form (linear, input);
  gboolean i8 = form == TERN_FORM_T2 || form == TERN_FORM_T2S;

  if (tern_linear_turns (linear))
    input = make_turned (input, linear, i8, pool);
  if (i8 && !input->has_i8) {
    tern_pool_run (pool, quantise_i8, input, input->n, 1);
    input->has_i8 = TRUE;
  }
  if (form == TERN_FORM_T2S && !input->has_part) {
    sum_parts (input, 0, input->n, 0);
    input->has_part = TRUE;
  }
  if (form == TERN_FORM_BLOCKS && !input->has_q8) {
    tern_pool_run (pool, quantise_q8, input, input->n, 1);
    input->has_q8 = TRUE;
  }
}
