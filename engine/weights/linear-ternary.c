/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/linear-ternary.h"

#include <string.h>

#include "engine/base/mem.h"

#define TQ_BLOCK 256            /* values in a ternary block of the file; its last two bytes are the scale */

/* The 256 digits of a block; FALSE for one that is not ternary. */
static gboolean
tq2_0_digits (guint8 *dst, const guint8 *block)
{
  guint8 threes = 0;
  guint run, i;

  for (i = 0; i < TQ_BLOCK / 4; i++)
    threes |= block[i] & block[i] >> 1 & 0x55;
  for (run = 0; run < 8; run++)
    for (i = 0; i < 32; i++)
      *dst++ = block[32 * (run / 4) + i] >> 2 * (run % 4) & 3;
  return threes == 0;
}

/* Writes a block's digits as kernels.h lays them out: of 16 columns, four times four neighbours make the four bytes of
 * this row in a step. */
static void
pack_digits (guint8 *dst, const guint8 *digits)
{
  guint step, k;

  for (step = 0; step < TQ_BLOCK / 16; step++, dst += 4 * TERN_T2_ROWS) {
    guint32 packed = 0, four;

    for (k = 0; k < 4; k++) {
      memcpy (&four, digits + 16 * step + 4 * k, sizeof four);
      packed |= four << 2 * k;  /* no digit leaves its byte */
    }
    memcpy (dst, &packed, sizeof packed);
  }
}

/* Packs a row of @blocks blocks to @dst, its first byte in the panel; FALSE when a scale differs from *@scale, or a
 * digit is not ternary. *@scale is the f16 that all blocks so far share, 0 before the first. */
static gboolean
pack_row (guint8 *dst, const TernTypeInfo *type, const guint8 *block, gsize blocks, guint16 *scale)
{
  guint8 digits[TQ_BLOCK];
  gsize b;

  for (b = 0; b < blocks; b++, block += type->bytes, dst += TQ_BLOCK / TERN_T2_COLS * TERN_T2_BYTES) {
    guint16 d = (guint16) (block[type->bytes - 2] | block[type->bytes - 1] << 8);

    if ((d & 0x7fff) == 0) {    /* +0 or -0: whatever the digits are, the values are zero */
      memset (digits, 1, sizeof digits);
    } else {
      if (*scale == 0)
        *scale = d;
      if (d != *scale)
        return FALSE;
      if (type->type == TERN_TYPE_TQ1_0)
        tern_tq1_0_digits (digits, block);
      else if (!tq2_0_digits (digits, block))
        return FALSE;
    }
    pack_digits (dst, digits);
  }
  return TRUE;
}

/* Repacks all rows into linear->packed; FALSE when the tensor is not ternary with one scale. */
static gboolean
pack_rows (TernLinear *linear)
{
  gsize bytes = tern_linear_row_bytes (linear), panel = tern_t2_bytes (TERN_T2_ROWS, linear->cols);
  guint16 scale = 0;
  guint row;

  for (row = 0; row < linear->rows; row++)
    if (!pack_row (linear->packed + row / TERN_T2_ROWS * panel + row % TERN_T2_ROWS * 4, linear->type,
            linear->data + row * bytes, linear->cols / TQ_BLOCK, &scale))
      return FALSE;
  linear->scale = tern_f16_to_f32 (scale);
  return TRUE;
}

gboolean
tern_linear_ternary_fits (const TernLinear *linear)
{
  return linear->cols / TERN_T2_COLS < 1 << 12; /* the kernels' sums are 32 bits wide */
}

gboolean
tern_linear_pack_ternary (TernLinear *linear, TernPool *pool, GError **error)
{
  linear->packed = tern_mem_alloc (tern_t2_bytes (linear->rows, linear->cols), linear->name, error);
  if (!linear->packed)
    return FALSE;
  linear->groups = linear->cols / TERN_T2_COLS;
  if (!pack_rows (linear)) {
    g_clear_pointer (&linear->packed, tern_mem_free);
    linear->form = TERN_FORM_EXPAND;
  }
  return TRUE;
}
