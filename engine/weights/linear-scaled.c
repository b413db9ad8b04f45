/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Q1_0, Q2_0, PQ2_0 and PTQ1_0, whose blocks have scales of their own, as panels of T2 behind their scales, or of the table's
 * layout by way of T2 (kernels.h). Made in words, as in linear-ternary.c: a step is a word for 16 columns of a row, its byte b
 * holding columns b, b + 4, b + 8 and b + 12 from the lowest bits upwards. */
#include <string.h>

#include "engine/base/mapfile.h"
#include "engine/base/mem.h"
#include "engine/weights/linear-steps.h"
#include "engine/weights/linear-ternary.h"


/* Four bytes of four neighbouring columns each become a step: a 4 x 4 transposition of digits. */
static inline guint32
transpose (const guint8 *p)
{
  guint32 v, t;

  memcpy (&v, p, sizeof v);
  v = GUINT32_FROM_LE (v);
  t = (v ^ v >> 6) & 0x00cc00cc;
  v ^= t ^ t << 6;
  t = (v ^ v >> 12) & 0x0000f0f0;
  return v ^ t ^ t << 12;
}

/* Digits of columns 0 to 7 and 8 to 15, one a byte. */
static inline guint32
join (guint64 low, guint64 high)
{
  guint64 both = low | high << 4;

  return (guint32) both | (guint32) (both >> 32) << 2;
}

/* 16 bits as a step of digits 0 and 2. */
static inline guint32
signs (const guint8 *p)
{
  guint32 bits = p[0] | p[1] << 8, step = 0;
  guint b;

  for (b = 0; b < 4; b++) {     /* columns b, b + 4, b + 8 and b + 12 */
    guint32 four = bits >> b;

    step |= ((four & 0x1) << 1 | (four & 0x10) >> 1 | (four & 0x100) >> 3 | (four & 0x1000) >> 5) << 8 * b;
  }
  return step;
}

/* The next of five digits of eight bytes, the most significant first. */
static inline guint64
next_digits (guint64 *even, guint64 *odd)
{
  const guint64 bytes = 0x00ff00ff00ff00ff, digits = 0x0003000300030003;
  guint64 e = *even * 3, o = *odd * 3;

  *even = e & bytes;
  *odd = o & bytes;
  return (e >> 8 & digits) | (o >> 8 & digits) << 8;
}

typedef struct {
  guint64 even, odd;
} Bytes;

static inline Bytes
split_bytes (guint64 v)
{
  const guint64 bytes = 0x00ff00ff00ff00ff;

  return (Bytes) { v & bytes, v >> 8 & bytes };
}

/* A block of PTQ1_0: 16 bytes of five digits, each a step; 8 of five and 2 of four make the last three. */
static inline void
pack_ptq1_0 (guint8 *row, const guint8 *p)
{
  Bytes a = split_bytes (load_64 (p)), b = split_bytes (load_64 (p + 8)), c = split_bytes (load_64 (p + 16));
  Bytes d = split_bytes (p[24] | p[25] << 8);
  guint64 eight[5], two = 0;
  guint n;

  for (n = 0; n < 5; n++) {
    guint64 low = next_digits (&a.even, &a.odd), high = next_digits (&b.even, &b.odd);

    put_step (row, n, join (low, high));
    eight[n] = next_digits (&c.even, &c.odd);
  }
  for (n = 0; n < 4; n++)
    two |= next_digits (&d.even, &d.odd) << 16 * n;
  put_step (row, 5, join (eight[0], eight[1]));
  put_step (row, 6, join (eight[2], eight[3]));
  put_step (row, 7, join (eight[4], two));
}

/* Where @layout is not T2: room for the panels that it is made of, for each worker. */
typedef struct {
  TernLinear *linear;
  const TernTernaryLayout *layout;
  guint8 *steps;                /* NULL: panels of T2 are written where they stay */
  gsize steps_bytes;            /* of a worker */
} Pack;

/* A row of the file: its digits from @row on, its scales from @scale on, @run bytes apart. */
static void
pack_row (const TernLinear *linear, guint8 *row, guint8 *scale, gsize run, const guint8 *src)
{
  guint block = linear->type->block, steps = block / STEP_COLS, b, s;
  gsize step = 0;

  for (b = 0; b < linear->cols / block; b++, src += linear->type->bytes, scale += run, step += steps) {
    if (linear->type->type == TERN_TYPE_PTQ1_0) {
      pack_ptq1_0 (row + step * STEP_BYTES, src);
      memcpy (scale, src + 26, 2);
      continue;
    }
    for (s = 0; s < steps; s++)
      put_step (row, step + s, linear->type->type == TERN_TYPE_Q1_0 ? signs (src + 2 + 2 * s) : transpose (src + 2 + 4 * s));
    memcpy (scale, src, 2);
  }
  for (; step < linear->groups * (TERN_T2_COLS / STEP_COLS); step++)    /* padding: digits 1; its scales are zero */
    put_step (row, step, 0x55555555);
}

static void
pack_panels (void *data, guint begin, guint end, guint worker)
{
  const Pack *pack = data;
  const TernLinear *linear = pack->linear;
  gsize bytes = tern_linear_row_bytes (linear), t2_bytes = linear->groups * TERN_T2_BYTES;
  guint panel, r;

  for (panel = begin; panel < end; panel++) {
    guint rows = pack->layout->rows, first = panel * rows, n = MIN (rows, linear->rows - first);
    guint8 *scales = linear->packed + panel * tern_scaled_panel (pack->layout, linear->groups, linear->parts);
    guint8 *digits = scales + tern_scaled_head (pack->layout, linear->groups, linear->parts);
    guint8 *t2 = pack->steps ? pack->steps + worker * pack->steps_bytes : digits;

    if (pack->steps && n < rows)        /* what is padded needs to be digits */
      memset (t2, 0x55, pack->steps_bytes);
    for (r = 0; r < n; r++)
      pack_row (linear, t2 + r / TERN_T2_ROWS * t2_bytes + r % TERN_T2_ROWS * 4, scales + r * 2, rows * 2,
          linear->data + (first + r) * bytes);
    if (pack->steps)
      linear->kernels->pack_ternary (digits, t2, linear->groups);
  }
}

static gboolean
pack_in_order (TernLinear *linear, TernPool *pool, GError **error)
{
  Pack pack = { linear, tern_linear_layout (linear) };
  guint rows = pack.layout->rows;

  if (pack.layout != &tern_layout_t2) {
    pack.steps_bytes = tern_align_up (tern_t2_bytes (rows, linear->cols));
    pack.steps = tern_mem_alloc ((pool ? tern_pool_threads (pool) : 1) * pack.steps_bytes, linear->name, error);
    if (!pack.steps)
      return FALSE;
  }
  tern_pool_run (pool, pack_panels, &pack, (linear->rows + rows - 1) / rows, 1);
  tern_mem_free (pack.steps);
  return TRUE;
}

gboolean
tern_linear_pack_scaled (TernLinear *linear, void *place, TernPool *pool, GError **error)
{
  gsize bytes = tern_linear_packed_bytes (linear);

  linear->packed = place ? place : tern_mem_alloc (bytes, linear->name, error);
  if (!linear->packed)
    return FALSE;
  if (!place)
    memset (linear->packed, 0, bytes);
  linear->borrowed = place != NULL;
  linear->groups = tern_linear_groups (linear);
  if (!pack_in_order (linear, pool, error)) {
    if (!place)
      tern_mem_free (linear->packed);
    linear->packed = NULL;
    return FALSE;
  }
  if (linear->mapped)           /* the packed form is read from now on */
    tern_map_release (linear->data, linear->rows * tern_linear_row_bytes (linear));
  return TRUE;
}
