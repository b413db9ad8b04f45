/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/linear-packed.h"

#include <string.h>

/* ---- Matrices ---------------------------------------------------------------------------------------------------- */

typedef struct {
  TernPacked *packed;
  const TernLinear *linear;
  guint first;
  TernPool *pool;
} Packing;

static gsize
panel_bytes (const TernPacked *packed)
{
  gsize value = packed->type == TERN_PACKED_I8 ? sizeof (gint8) : sizeof (guint16);

  return (gsize) TERN_PANEL_ROWS * packed->stride * value;
}

static void
pack_panels (void *data, guint begin, guint end, guint worker)
{
  const Packing *packing = data;
  TernPacked *packed = packing->packed;
  float *rows = tern_pool_scratch (packing->pool, worker);
  guint i, r;

  for (i = begin; i < end; i++) {
    guint row = i * TERN_PANEL_ROWS, n = MIN (TERN_PANEL_ROWS, packed->rows - row);
    guint8 *panel = packed->data + i * panel_bytes (packed);

    for (r = 0; r < n; r++)
      tern_linear_row (packing->linear, packing->first + row + r, rows + (gsize) r * packed->cols);
    if (packed->type == TERN_PACKED_I8)
      packed->kernels->pack_i8p (panel, packed->scale + row, rows, packed->cols, 1, n, packed->cols);
    else
      packed->kernels->pack_bf16p ((guint16 *) panel, rows, packed->cols, 1, n, packed->cols);
  }
}

gboolean
tern_packed_fits_i8 (guint cols)
{
  return cols < (1 << 16) - TERN_I8P_COLS;
}

gsize
tern_packed_bytes (const TernPacked *packed)
{
  gsize panels = tern_panels (packed->rows);

  if (packed->type == TERN_PACKED_NONE)
    return 0;
  return panels * panel_bytes (packed)
      + (packed->type == TERN_PACKED_I8 ? panels * TERN_PANEL_ROWS * sizeof (float) : 0);
}

gboolean
tern_packed_init (TernPacked *packed, const TernLinear *linear, guint first, guint rows, TernPackedType type, guint group,
    TernPool *pool, GError **error)
{
  Packing packing = { packed, linear, first, pool };
  guint panels = (guint) tern_panels (rows);

  *packed = (TernPacked) { .kernels = linear->kernels, .type = type, .rows = rows, .cols = linear->cols };
  packed->stride = (guint) tern_round_up (packed->cols, type == TERN_PACKED_I8 ? TERN_I8P_COLS : TERN_BF16P_COLS);
  packed->group = group ? group : (guint) tern_round_up (packed->cols, TERN_PACKED_GROUP);
  if (!tern_pool_reserve (pool, (gsize) TERN_PANEL_ROWS * packed->cols * sizeof (float), error)
      || !(packed->data = tern_mem_alloc (panels * panel_bytes (packed), linear->name, error))
      || (type == TERN_PACKED_I8
          && !(packed->scale = tern_mem_alloc (panels * TERN_PANEL_ROWS * sizeof (float), linear->name, error)))) {
    tern_packed_clear (packed);
    return FALSE;
  }
  tern_pool_run (pool, pack_panels, &packing, panels, 1);
  return TRUE;
}

void
tern_packed_move (TernPacked *packed, guint8 *to)
{
  gsize scales = tern_panels (packed->rows) * TERN_PANEL_ROWS * sizeof (float), bytes = tern_packed_bytes (packed);
  TernPacked moved = *packed;

  if (packed->type == TERN_PACKED_NONE)
    return;
  moved.borrowed = TRUE;
  moved.data = to;
  if (packed->type == TERN_PACKED_I8) {
    moved.scale = memcpy (to + bytes - scales, packed->scale, scales);
    bytes -= scales;
  }
  memcpy (to, packed->data, bytes);
  tern_packed_clear (packed);
  *packed = moved;
}

void
tern_packed_clear (TernPacked *packed)
{
  if (!packed->borrowed) {
    tern_mem_free (packed->data);
    tern_mem_free (packed->scale);
  }
  *packed = (TernPacked) { 0 };
}

const char *
tern_packed_name (const TernPacked *packed)
{
  if (packed->type == TERN_PACKED_I8)
    return packed->group < packed->cols ? "int8/128" : "int8";
  return packed->type == TERN_PACKED_BF16 ? "bf16" : "float";
}

/* ---- Input ------------------------------------------------------------------------------------------------------- */

void
tern_packed_input_init (TernPackedInput *input, const TernPacked *packed, guint n, TernArena *arena)
{
  *input = (TernPackedInput) { .kernels = packed->kernels, .type = packed->type, .cols = packed->cols,
    .group = packed->group, .ldx = tern_round_up (packed->cols, TERN_PACKED_GROUP) };
  if (packed->type == TERN_PACKED_BF16) {
    input->x = tern_arena_take (arena, n * input->ldx * sizeof (guint16));
    return;
  }
  input->groups = (packed->cols + packed->group - 1) / packed->group;
  input->x = tern_arena_take (arena, n * input->ldx);
  input->scale = tern_arena_take (arena, (gsize) n * input->groups * sizeof *input->scale);
  input->sum = tern_arena_take (arena, (gsize) n * input->groups * sizeof *input->sum);
}

void
tern_packed_input_set (TernPackedInput *input, guint t, const float *x, guint begin, guint n)
{
  gsize first = t * input->ldx + begin, group = (gsize) t * input->groups;
  guint c;

  if (input->type == TERN_PACKED_BF16) {
    input->kernels->pack_bf16 ((guint16 *) input->x + first, x, n);
    return;
  }
  for (c = 0; c < n; c += input->group)
    input->kernels->quant_i8 ((gint8 *) input->x + first + c, input->scale + group + (begin + c) / input->group,
        input->sum + group + (begin + c) / input->group, x + c, MIN (input->group, n - c));
}

/* ---- Product ----------------------------------------------------------------------------------------------------- */

void
tern_packed_product (const TernPacked *packed, const TernPackedInput *input, guint n, guint begin, guint end,
    const float *bias, float *y, gsize ldy)
{
  const guint8 *w = packed->data + begin / TERN_PANEL_ROWS * panel_bytes (packed);

  if (bias)
    bias += begin;
  if (packed->type == TERN_PACKED_I8)
    packed->kernels->gemm_i8p (y, ldy, w, end - begin, packed->stride, packed->scale + begin, bias, input->x, input->ldx,
        input->group, input->scale, input->sum, input->groups, n);
  else
    packed->kernels->gemm_bf16p (y, ldy, (const guint16 *) w, end - begin, packed->stride, bias, input->x, input->ldx, n);
}
