/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All formats are taken apart in words: a word holds the digits of four or eight columns side by side, and no digit is
 * looked at alone. What is made are *steps* (kernels.h): one word for 16 columns of a row, its byte b holding columns
 * b, b + 4, b + 8 and b + 12 from the lowest bits upwards. */
#include "engine/weights/linear-ternary.h"

#include <string.h>

#include "engine/base/mapfile.h"
#include "engine/base/mem.h"
#include "engine/weights/linear-binary.h"
#include "engine/weights/linear-steps.h"

#define TQ_BLOCK 256            /* values in a block of TQ1_0 or TQ2_0; its last two bytes are the scale */
#define BN_BLOCK 64             /* values in a block of IQ1_BN or IQ2_BN */
#define ZEROS 0x55555555u       /* a step of digits 1 */

typedef struct {
  TernLinear *linear;
  guint16 d;                    /* TQ: the f16 that all blocks share; blocks of scale 0 do not count */
  float *row_scale;             /* IQ*_BN: [rows] */
  guint8 *steps;                /* where the kernels' layout is made of T2 panels: room for those, for each worker */
  gsize steps_bytes;            /* of a worker */
  TernBinaryScale binary;       /* binary: what is made of it, by way of a row of floats for each worker */
  float *floats;
  gint strange;                 /* atomic: a digit that is not ternary or a second scale was found */
} Pack;

static inline guint32
load_32 (const guint8 *p)
{
  guint32 v;

  memcpy (&v, p, sizeof v);
  return GUINT32_FROM_LE (v);
}

/* ---- Two bits a digit -------------------------------------------------------------------------------------------- */

/* 16 bytes hold four runs of 16 columns, run r of column c in bits 2r of byte c: a 4 x 4 transposition of the digits in
 * each byte position makes four steps of them. FALSE when there is a digit 3. */
static inline gboolean
transpose_runs (guint32 steps[4], const guint8 *p)
{
  const guint32 low4 = 0x0f0f0f0f, low2 = 0x33333333;
  guint32 w0 = load_32 (p), w1 = load_32 (p + 4), w2 = load_32 (p + 8), w3 = load_32 (p + 12);
  guint32 a0 = (w0 & low4) | (w2 & low4) << 4, a1 = (w1 & low4) | (w3 & low4) << 4;
  guint32 a2 = (w0 >> 4 & low4) | (w2 & ~low4), a3 = (w1 >> 4 & low4) | (w3 & ~low4);

  steps[0] = (a0 & low2) | (a1 & low2) << 2;
  steps[1] = (a0 >> 2 & low2) | (a1 & ~low2);
  steps[2] = (a2 & low2) | (a3 & low2) << 2;
  steps[3] = (a2 >> 2 & low2) | (a3 & ~low2);
  return (((w0 & w0 >> 1) | (w1 & w1 >> 1) | (w2 & w2 >> 1) | (w3 & w3 >> 1)) & ZEROS) == 0;
}

/* 32 bytes that hold four runs of 32 columns, as in TQ2_0; @flip is 3 where the first run is in the highest bits. */
static inline gboolean
pack_128 (guint8 *row, gsize step, const guint8 *p, guint flip)
{
  gboolean ternary = TRUE;
  guint32 steps[4];
  guint half, run;

  for (half = 0; half < 2; half++) {
    ternary &= transpose_runs (steps, p + 16 * half);
    for (run = 0; run < 4; run++)
      put_step (row, step + 2 * run + half, steps[run ^ flip]);
  }
  return ternary;
}

static gboolean
pack_i2_s (guint8 *row, const guint8 *src, guint cols)
{
  guint g;

  for (g = 0; g < cols / 128; g++, src += 32)
    if (!pack_128 (row, 8 * g, src, 3))
      return FALSE;
  return TRUE;
}

static gboolean
pack_iq2_bn (guint8 *row, const guint8 *src, guint cols)
{
  guint32 steps[4];
  guint b, run;

  for (b = 0; b < cols / BN_BLOCK; b++, src += 16) {
    if (!transpose_runs (steps, src))
      return FALSE;
    for (run = 0; run < 4; run++)
      put_step (row, 4 * b + run, steps[run]);
  }
  return TRUE;
}

/* ---- Five digits a byte ------------------------------------------------------------------------------------------ */

/* The next digit of eight bytes, the most significant first: what is left of each number, times 3, has the digit above
 * its eight bits. @even and @odd hold every second byte in 16 bits. */
static inline guint64
next_digits (guint64 *even, guint64 *odd)
{
  const guint64 bytes = 0x00ff00ff00ff00ff, digits = 0x0003000300030003;
  guint64 e = *even * 3, o = *odd * 3;

  *even = e & bytes;
  *odd = o & bytes;
  return (e >> 8 & digits) | (o >> 8 & digits) << 8;
}

/* 16 bytes with five digits each: digit n of byte c is column c of step n x @stride. */
static inline void
pack_planes (guint8 *row, gsize step, guint stride, const guint8 *p)
{
  const guint64 bytes = 0x00ff00ff00ff00ff;
  guint64 a = load_64 (p), b = load_64 (p + 8);
  guint64 even_a = a & bytes, odd_a = a >> 8 & bytes, even_b = b & bytes, odd_b = b >> 8 & bytes;
  guint n;

  for (n = 0; n < 5; n++) {
    guint64 both = next_digits (&even_a, &odd_a) | next_digits (&even_b, &odd_b) << 4;

    put_step (row, step + n * stride, (guint32) both | (guint32) (both >> 32) << 2);
  }
}

static void
pack_tq1_0_block (guint8 *row, gsize step, const guint8 *block)
{
  const guint64 bytes = 0x00ff00ff00ff00ff;
  guint64 last = load_32 (block + 48), even = last & bytes, odd = last >> 8 & bytes;
  guint32 digits = 0;
  guint n;

  pack_planes (row, step, 2, block);
  pack_planes (row, step + 1, 2, block + 16);
  pack_planes (row, step + 10, 1, block + 32);
  for (n = 0; n < 4; n++)       /* 4 bytes with four digits: digit n of byte b is column b + 4n */
    digits |= (guint32) next_digits (&even, &odd) << 2 * n;
  put_step (row, step + 15, digits);
}

/* The five digits of a byte, the least significant first, one a byte of the result. Four of the five products stand in
 * one word. */
static inline guint64
five_digits (guint8 byte)
{
  const guint64 powers = 81 | 27 << 16 | (guint64) 9 << 32 | (guint64) 3 << 48;
  guint64 v = (byte * powers & 0x00ff00ff00ff00ff) * 3 >> 8 & 0x0003000300030003;

  v = (v | v >> 8) & 0x0000ffff0000ffff;
  v = (v | v >> 16) & 0xffffffff;
  return v | (guint64) (byte * 3 >> 8) << 32;
}

static gboolean
pack_iq1_bn (guint8 *row, const guint8 *src, guint cols)
{
  guint b, group;

  for (b = 0; b < cols / BN_BLOCK; b++, src += 13) {
    guint64 extra = five_digits (src[12]);

    for (group = 0; group < 4; group++) {
      const guint8 *p = src + 3 * group;
      guint64 d0 = five_digits (p[0]), d1 = five_digits (p[1]), d2 = five_digits (p[2]);
      guint64 low = d0 | d1 << 40, high = d1 >> 24 | d2 << 16 | (extra >> 8 * group & 3) << 56;
      guint64 both = low | high << 4;

      put_step (row, 4 * b + group, (guint32) both | (guint32) (both >> 32) << 2);
    }
  }
  return TRUE;
}

/* ---- Rows and tensors -------------------------------------------------------------------------------------------- */

static inline guint16
tq_scale (const TernTypeInfo *type, const guint8 *block)
{
  return (guint16) (block[type->bytes - 2] | block[type->bytes - 1] << 8);
}

static gboolean
pack_tq (guint8 *row, const TernTypeInfo *type, const guint8 *block, guint cols, guint16 d)
{
  guint b, s;

  for (b = 0; b < cols / TQ_BLOCK; b++, block += type->bytes) {
    guint16 own = tq_scale (type, block);
    gsize step = 16 * (gsize) b;

    if ((own & 0x7fff) == 0) {  /* +0 or -0: whatever the digits are, the values are zero */
      for (s = 0; s < 16; s++)
        put_step (row, step + s, ZEROS);
    } else if (own != d) {
      return FALSE;
    } else if (type->type == TERN_TYPE_TQ1_0) {
      pack_tq1_0_block (row, step, block);
    } else if (!pack_128 (row, step, block, 0) || !pack_128 (row, step + 8, block + 32, 0)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
pack_row (const Pack *pack, guint8 *row, const guint8 *src, guint worker)
{
  const TernLinear *linear = pack->linear;
  gsize step;

  for (step = linear->cols / STEP_COLS; step % (TERN_T2_COLS / STEP_COLS) != 0; step++)         /* padding */
    put_step (row, step, ZEROS);
  if (linear->binary) {
    float *x = pack->floats + (gsize) worker * linear->cols;

    tern_type_rows_to_f32 (linear->type, x, src, 1, linear->cols, linear->tail);
    tern_linear_pack_binary (row, x, linear->cols, pack->binary.mean);
    return TRUE;
  }
  src += linear->type->row_meta;
  switch (linear->type->type) {
    case TERN_TYPE_I2_S:
      return pack_i2_s (row, src, linear->cols);
    case TERN_TYPE_IQ1_BN:
      return pack_iq1_bn (row, src, linear->cols);
    case TERN_TYPE_IQ2_BN:
      return pack_iq2_bn (row, src, linear->cols);
    default:
      return pack_tq (row, linear->type, src, linear->cols, pack->d);
  }
}

/* Up to 16 rows as a panel of T2. */
static void
pack_t2 (Pack *pack, guint8 *panel, guint first, guint n, guint worker)
{
  const TernLinear *linear = pack->linear;
  gsize bytes = tern_linear_row_bytes (linear);
  guint i;

  for (i = 0; i < n && !g_atomic_int_get (&pack->strange); i++) {
    const guint8 *src = linear->data + (first + i) * bytes;

    if (!pack_row (pack, panel + 4 * i, src, worker))
      g_atomic_int_set (&pack->strange, 1);
    if (pack->row_scale)
      pack->row_scale[first + i] = tern_type_scale (linear->type, src, linear->tail);
  }
}

static void
pack_panels (void *data, guint begin, guint end, guint worker)
{
  Pack *pack = data;
  TernLinear *linear = pack->linear;
  const TernKernels *kernels = linear->kernels;
  gsize t2_bytes = tern_t2_bytes (TERN_T2_ROWS, linear->cols);
  guint rows = kernels->ternary->rows, panel, r, n;

  for (panel = begin; panel < end; panel++) {
    guint8 *dst = linear->packed + panel * tern_ternary_bytes (kernels->ternary, rows, linear->cols);
    guint8 *t2 = pack->steps ? pack->steps + worker * pack->steps_bytes : dst;
    guint first = panel * rows;

    n = MIN (rows, linear->rows - first);
    if (pack->steps && n < rows)        /* what is padded needs to be digits */
      memset (t2, ZEROS & 0xff, pack->steps_bytes);
    for (r = 0; r < n; r += TERN_T2_ROWS)
      pack_t2 (pack, t2 + r / TERN_T2_ROWS * t2_bytes, first + r, MIN (n - r, TERN_T2_ROWS), worker);
    if (g_atomic_int_get (&pack->strange))
      return;
    if (pack->steps)
      kernels->pack_ternary (dst, t2, linear->groups);
  }
}

/* The first scale that is not 0 in a TQ tensor; 0 when there is none. */
static guint16
find_tq_scale (const TernLinear *linear)
{
  const guint8 *block = linear->data;
  gsize blocks = (gsize) linear->cols / TQ_BLOCK * linear->rows, b;

  for (b = 0; b < blocks; b++, block += linear->type->bytes)
    if (tq_scale (linear->type, block) & 0x7fff)
      return tq_scale (linear->type, block);
  return 0;
}

/* Rows that all have one scale need it once. */
static void
settle_scale (Pack *pack)
{
  TernLinear *linear = pack->linear;
  guint row;

  if (linear->binary) {
    linear->scale = pack->binary.magnitude;
    return;
  }
  if (!pack->row_scale) {
    linear->scale = linear->tail ? tern_type_scale (linear->type, NULL, linear->tail) : tern_f16_to_f32 (pack->d);
    return;
  }
  for (row = 1; row < linear->rows; row++)
    if (memcmp (&pack->row_scale[row], pack->row_scale, sizeof (float)) != 0) {
      linear->scale = 1;
      linear->row_scale = g_steal_pointer (&pack->row_scale);
      return;
    }
  linear->scale = pack->row_scale[0];
}

gboolean
tern_linear_ternary_fits (const TernLinear *linear)
{
  return linear->cols <= ((1 << 12) - 1) * TERN_T2_COLS;        /* the kernels' sums are 32 bits wide */
}

/* Room for what is packed and for packing. */
static gboolean
make_room (Pack *pack, void *place, TernPool *pool, GError **error)
{
  TernLinear *linear = pack->linear;
  gsize threads = pool ? tern_pool_threads (pool) : 1;

  if (linear->binary) {
    pack->floats = tern_mem_alloc (threads * linear->cols * sizeof (float), linear->name, error);
    if (!pack->floats || !tern_linear_measure_binary (linear, pool, &pack->binary, error))
      return FALSE;
  } else if (linear->type->row_meta
      && !(pack->row_scale = tern_mem_alloc (linear->rows * sizeof *pack->row_scale, linear->name, error)))
    return FALSE;
  if (linear->kernels->pack_ternary) {
    pack->steps_bytes = tern_align_up (tern_t2_bytes (linear->kernels->ternary->rows, linear->cols));
    pack->steps = tern_mem_alloc (threads * pack->steps_bytes, linear->name, error);
    if (!pack->steps)
      return FALSE;
  }
  linear->packed = place ? place : tern_mem_alloc (tern_linear_packed_bytes (linear), linear->name, error);
  return linear->packed != NULL;
}

static void
pack_clear (Pack *pack)
{
  tern_mem_free (pack->row_scale);
  tern_mem_free (pack->steps);
  tern_mem_free (pack->floats);
}

gboolean
tern_linear_pack_ternary (TernLinear *linear, void *place, TernPool *pool, GError **error)
{
  Pack pack = { linear };
  guint rows = linear->kernels->ternary->rows;

  if (!make_room (&pack, place, pool, error)) {
    pack_clear (&pack);
    return FALSE;
  }
  linear->borrowed = place != NULL;
  if (!linear->binary && !linear->tail && !linear->type->row_meta)
    pack.d = find_tq_scale (linear);
  linear->groups = tern_linear_groups (linear);
  tern_pool_run (pool, pack_panels, &pack, (linear->rows + rows - 1) / rows, 1);
  if (pack.strange) {
    if (!place)
      tern_mem_free (linear->packed);
    linear->packed = NULL;
    linear->form = TERN_FORM_EXPAND;
  } else {
    settle_scale (&pack);
    if (linear->mapped)         /* the packed form is read from now on */
      tern_map_release (linear->data, linear->rows * tern_linear_row_bytes (linear));
  }
  pack_clear (&pack);
  return TRUE;
}
