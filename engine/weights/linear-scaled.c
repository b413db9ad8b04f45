/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Q1_0, Q2_0, PQ2_0 and PTQ1_0, whose blocks have scales of their own, as panels of T2 behind their scales (kernels.h). Made in
 * words, as in linear-ternary.c: a step is a word for 16 columns of a row, its byte b holding columns b, b + 4, b + 8 and b + 12
 * from the lowest bits upwards. */
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

/* A row of the file to row @r of a panel. */
static void
pack_row (const TernLinear *linear, guint8 *panel, guint r, const guint8 *src)
{
  guint8 *row = panel + tern_t2s_head (linear->groups, linear->parts) + r * 4, *scale = panel + r * 2;
  guint block = linear->type->block, steps = block / STEP_COLS, b, s;
  gsize step = 0;

  for (b = 0; b < linear->cols / block; b++, src += linear->type->bytes, scale += TERN_T2S_RUN, step += steps) {
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
  TernLinear *linear = data;
  gsize bytes = tern_linear_row_bytes (linear);
  guint panel, r;

  for (panel = begin; panel < end; panel++) {
    guint first = panel * TERN_T2_ROWS;

    for (r = 0; r < MIN (TERN_T2_ROWS, linear->rows - first); r++)
      pack_row (linear, linear->packed + panel * tern_t2s_panel (linear->groups, linear->parts), r,
          linear->data + (first + r) * bytes);
  }
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
  tern_pool_run (pool, pack_panels, linear, (linear->rows + TERN_T2_ROWS - 1) / TERN_T2_ROWS, 1);
  if (linear->mapped)           /* the packed form is read from now on */
    tern_map_release (linear->data, linear->rows * tern_linear_row_bytes (linear));
  return TRUE;
}
