/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arithmetic on a sub-image as loops over the pool that can be left off between any two items, so that a picture is
 * encoded in slices. Where it is cut changes no bit: items are those that threads share, and rows meet in products as they
 * do when nothing is cut. */
#include "vision/packed.h"

#include <string.h>

/* ---- Rows and values --------------------------------------------------------------------------------------------- */

#define ROWS_GRAIN 16

/* Values that are copied and added sooner than another thread is told. */
#define VALUES_GRAIN (1 << 16)

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;
  guint i;

  for (i = begin; i < end && !tern_cancel_is_raised (state->cancel); i++)
    state->vision->kernels->layer_norm (loop->y + (gsize) i * loop->cols, loop->x + (gsize) i * loop->cols,
        loop->norm->weight, loop->norm->bias, loop->cols, loop->eps);
}

static void
copy_rows (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;

  memcpy (loop->y + (gsize) begin * loop->cols, loop->x + (gsize) begin * loop->cols,
      (gsize) (end - begin) * loop->cols * sizeof (float));
}

static void
add_rows (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;

  state->vision->kernels->add (loop->y + (gsize) begin * loop->cols, loop->x + (gsize) begin * loop->cols,
      (gsize) (end - begin) * loop->cols);
}

static void
set_rows (TernVisionLoop *loop, TernPoolFunc func, guint grain, float *y, const float *x, guint n, guint cols)
{
  *loop = (TernVisionLoop) { .func = func, .items = n, .grain = grain,
    .work = (guint64) cols * TERN_VISION_VALUE_WORK, .y = y, .x = x, .cols = cols };
}

gboolean
tern_vision_loop_norm (TernVisionState *state, TernVisionLoop *loop, float *y, const float *x, const TernNorm *norm,
    guint n, guint cols, float eps)
{
  if (!norm->weight)
    return y != x && tern_vision_loop_copy (loop, y, x, n, cols);
  set_rows (loop, norm_rows, ROWS_GRAIN, y, x, n, cols);
  loop->norm = norm;
  loop->eps = eps;
  return TRUE;
}

gboolean
tern_vision_loop_copy (TernVisionLoop *loop, float *y, const float *x, guint n, guint cols)
{
  set_rows (loop, copy_rows, VALUES_GRAIN / cols + 1, y, x, n, cols);
  return TRUE;
}

gboolean
tern_vision_loop_add (TernVisionLoop *loop, float *y, const float *x, guint n, guint cols)
{
  set_rows (loop, add_rows, VALUES_GRAIN / cols + 1, y, x, n, cols);
  return TRUE;
}

/* One item is 1,024 values: kernels do the last few of a call in another way, and those shall stay the last of all. */
#define ACTIVATION_BLOCK 1024

static void
activate_blocks (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;
  guint i;

  for (i = begin; i < end && !tern_cancel_is_raised (state->cancel); i++) {
    gsize first = (gsize) i * ACTIVATION_BLOCK;

    loop->activation (state->vision->kernels, loop->y + first, MIN (ACTIVATION_BLOCK, loop->n - first));
  }
}

gboolean
tern_vision_loop_activate (TernVisionLoop *loop, TernActivation activation, float *y, gsize n)
{
  *loop = (TernVisionLoop) { .func = activate_blocks, .items = (guint) ((n + ACTIVATION_BLOCK - 1) / ACTIVATION_BLOCK),
    .grain = 1, .work = ACTIVATION_BLOCK * TERN_VISION_VALUE_WORK, .y = y, .n = n, .activation = activation };
  return TRUE;
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* One item is a panel of weight rows. */
static void
multiply_panels (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;
  const TernVisionProduct *product = &loop->product;

  tern_linear_rows (product->linear, &loop->input, product->bias, product->y, loop->ldy, begin * TERN_LINEAR_UNIT,
      MIN (end * TERN_LINEAR_UNIT, product->linear->rows), state->pool, worker);
}

/* Rows that meet in products of @macs multiply-adds a row, for @macs_at_once of all. */
static guint
rows_at_once (guint64 macs_at_once, guint64 macs)
{
  return (guint) MAX (32, MIN (macs_at_once / macs, G_MAXUINT) / 32 * 32);
}

/* A block of rows of @x at a time, how many is fixed, and one product after the other of each. The loops of a block share
 * its input. */
gboolean
tern_vision_loop_products (TernVisionState *state, guint round, TernVisionLoop *loop, const TernVisionProduct *products,
    guint n_products, const float *x, guint n, gsize ldy)
{
  const TernVisionProduct *product = &products[round % n_products];
  guint cols = products->linear->cols, step, k;
  guint64 macs = 0, first;

  for (k = 0; k < n_products; k++)
    macs += (guint64) products[k].linear->rows * cols;
  step = rows_at_once (state->macs_at_once, macs);
  first = (guint64) (round / n_products) * step;
  if (first >= n)
    return FALSE;
  n = (guint) MIN (step, n - first);
  if (round % n_products == 0)
    tern_linear_input_init (&loop->input, NULL, state->vision->kernels, TERN_ACTIVATIONS_F32, x + first * cols, cols,
        n, cols);
  *loop = (TernVisionLoop) { .func = multiply_panels, .heavy = TRUE,
    .grain = tern_linear_grain (product->linear, &loop->input) / TERN_LINEAR_UNIT, .input = loop->input,
    .product = *product, .ldy = ldy, .items = (product->linear->rows + TERN_LINEAR_UNIT - 1) / TERN_LINEAR_UNIT,
    .work = (guint64) n * cols * TERN_LINEAR_UNIT };
  loop->product.y += first * ldy;
  tern_linear_ready (product->linear, &loop->input, state->pool);
  return TRUE;
}

gboolean
tern_vision_loop_product_apart (TernVisionState *state, guint round, TernVisionLoop *loop, const TernLinear *linear,
    const float *bias, const float *x, guint n, float *y, gsize ldy)
{
  const TernPacked *packed = state->packed ? tern_vision_packed_of (state->vision, state->packed, linear) : NULL;
  TernVisionProduct product = { linear, bias, y };

  if (packed)
    return round == 0 && tern_vision_loop_packed (state, loop, packed, bias, x, n, y, ldy);
  return tern_vision_loop_products (state, round, loop, &product, 1, x, n, ldy);
}

gboolean
tern_vision_loop_product (TernVisionState *state, guint round, TernVisionLoop *loop, const TernLinear *linear,
    const float *bias, const float *x, guint n, float *y)
{
  return tern_vision_loop_product_apart (state, round, loop, linear, bias, x, n, y, linear->rows);
}

/* ---- Slices ------------------------------------------------------------------------------------------------------ */

void
tern_vision_rewind (TernVisionState *state)
{
  state->stage = state->layer = state->round = state->item = 0;
  state->loop = (TernVisionLoop) { 0 };
}

/* The next loop that has items; FALSE: there are no more. */
static gboolean
next_loop (TernVisionState *state)
{
  TernVisionStage stage;

  state->item = 0;
  while ((stage = tern_vision_stage (state, state->stage))) {
    if (!stage (state, state->round, &state->loop)) {
      state->stage++;
      state->round = 0;
      continue;
    }
    state->round++;
    if (state->loop.items > 0)
      return TRUE;
  }
  return FALSE;
}

static void
run_items (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;

  state->loop.func (state, state->item + begin, state->item + end, worker);
}

/* As many items as the rest of the slice has room for, one grain for every thread in any case. Products look at the cancel
 * flag between pieces that the pool has learned to be short; other loops do so at every item. */
static gboolean
run_some (TernVisionState *state, guint64 slice)
{
  const TernVisionLoop *loop = &state->loop;
  guint64 room = slice - state->work, grains = MAX (room / loop->work / loop->grain, tern_pool_threads (state->pool));
  guint n = (guint) MIN (grains * loop->grain, loop->items - state->item);

  if (!loop->heavy)
    tern_pool_run (state->pool, run_items, state, n, loop->grain);
  else if (!tern_pool_run_until (state->pool, run_items, state, n, loop->grain, loop->work, state->cancel))
    return FALSE;
  state->item += n;
  state->work += n * loop->work;
  return TRUE;
}

/* TRUE: all of the sub-image is done. A loop that does not fit in what is left of a slice begins the next one, lest
 * threads meet twice where once is enough. */
static gboolean
do_slice (TernVisionState *state, guint64 slice)
{
  while (state->work < slice && !tern_cancel_is_raised (state->cancel)) {
    if (state->item == state->loop.items && !next_loop (state))
      return TRUE;
    if (state->work > slice / 2 && (state->loop.items - state->item) * state->loop.work > slice - state->work)
      return FALSE;
    if (!run_some (state, slice))
      return FALSE;
  }
  return FALSE;
}

gboolean
tern_vision_advance (TernVisionState *state)
{
  guint64 slice = MIN (state->slice, state->pace.limit);
  gint64 began = tern_slice_begin (&state->pace, slice);
  gboolean done;

  state->work = 0;
  done = do_slice (state, slice);
  tern_slice_end (&state->pace, began, state->work);
  return done;
}
