/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with VPDPBUSD, as unsigned bytes; the sums of the activations take off what these are too
 * large by. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/block-types.inc"

/* ---- Few tokens --------------------------------------------------------------------------------------------------
 * Straight from the file's blocks, four rows in a vector: each has the 128-bit lane in which its own 16 bytes are loaded,
 * and nothing but the masks and shifts of its type stands between the load and the product. What depends on the token
 * alone is made once for many rows. */

#define CHUNK 64                /* sub-blocks that tokens are made ready for at once */
#define READY_TOKENS 8          /* tokens that are made ready, and go through the registers, at once */

typedef struct {
  __m128i q[CHUNK][2];          /* halves */
  __m128i start[2 * CHUNK];     /* sums that undo the offset; with halves: of each */
  float d[2 * CHUNK];           /* with halves: each twice */
  float sum[2 * CHUNK];         /* d times the sum of q, or of each half; a minimum's factor */
} Ready;

static ALWAYS_INLINE __m128i
load16 (const void *p)
{
  return _mm_loadu_si128 (p);
}

static ALWAYS_INLINE void
make_ready (const TernBlocks type, Ready *ready, const TernQ8Block *x, gsize blocks)
{
  const __m128i offset = _mm_set1_epi8 ((char) offset_of (type)), zero = _mm_setzero_si128 ();
  const gboolean halves = has_halves (type);
  gsize b;

  for (b = 0; b < blocks; b++) {
    const TernQ8Block *q = &x[b];

    ready->q[b][0] = load16 (q->q);
    ready->q[b][1] = load16 (q->q + 16);
    if (halves)
      ready->d[2 * b] = ready->d[2 * b + 1] = q->d;
    else
      ready->d[b] = q->d;
    if (has_min (type) && halves) {
      ready->sum[2 * b] = q->d * (float) q->half;
      ready->sum[2 * b + 1] = q->d * (float) (q->sum - q->half);
    } else if (has_min (type)) {        /* one value for the four lanes of a row counts in each */
      ready->sum[b] = q->d * (float) q->sum * (unit_of (type) == 1 ? 0.25f : 1);
    }
    if (offset_of (type)) {
      __m128i first = _mm_sub_epi32 (zero, _mm_dpbusd_epi32 (zero, offset, ready->q[b][0]));
      __m128i second = _mm_sub_epi32 (zero, _mm_dpbusd_epi32 (zero, offset, ready->q[b][1]));

      if (halves) {
        ready->start[2 * b] = first;
        ready->start[2 * b + 1] = second;
      } else {
        ready->start[b] = _mm_add_epi32 (first, second);
      }
    }
  }
}

/* 16 bytes of each of four rows. */
static ALWAYS_INLINE __m512i
load_four (const guint8 *const p[4], gsize at)
{
  __m512i v = _mm512_castsi128_si512 (load16 (p[0] + at));

  v = _mm512_inserti32x4 (v, load16 (p[1] + at), 1);
  v = _mm512_inserti32x4 (v, load16 (p[2] + at), 2);
  return _mm512_inserti32x4 (v, load16 (p[3] + at), 3);
}

/* The same, or those of the first in all lanes. */
static ALWAYS_INLINE __m512i
load_lanes (const gboolean same, const guint8 *const p[4], gsize at)
{
  return same ? _mm512_broadcast_i32x4 (load16 (p[0] + at)) : load_four (p, at);
}

/* Bits of @mask, found @from places up, at @to. */
static ALWAYS_INLINE __m512i
take_bits (__m512i v, const gint from, const gint to, const gint mask)
{
  if (from != to)
    v = from > to ? _mm512_srli_epi16 (v, from - to) : _mm512_slli_epi16 (v, to - from);
  return _mm512_and_si512 (v, _mm512_set1_epi8 ((char) mask));
}

/* Bit i of the 16 at bytes 2h, 2h + 1 of each lane, as 16 or 0 in byte i. */
static ALWAYS_INLINE __m512i
fifth_bits_of_four (__m512i v, const gint h)
{
  const __m128i spread = _mm_set_epi64x ((2 * h + 1) * G_GINT64_CONSTANT (0x0101010101010101),
      2 * h * G_GINT64_CONSTANT (0x0101010101010101));
  const __m512i bit = _mm512_set1_epi64 ((gint64) G_GUINT64_CONSTANT (0x8040201008040201));

  v = _mm512_shuffle_epi8 (v, _mm512_broadcast_i32x4 (spread));
  return _mm512_maskz_mov_epi8 (_mm512_test_epi8_mask (v, bit), _mm512_set1_epi8 (16));
}

static ALWAYS_INLINE __m512i
look_up_four (__m512i index)
{
  return _mm512_shuffle_epi8 (_mm512_broadcast_i32x4 (iq4_table ()), index);
}

/* As values(): half @h of sub-block @s of four rows, or of the first in all four (@same). */
static ALWAYS_INLINE __m512i
half_values (const TernBlocks type, const gboolean same, const guint8 *const p[4], const gint s, const gint h)
{
  switch (type) {
    case TERN_BLOCKS_Q8_0:
      return _mm512_xor_si512 (load_lanes (same, p, 2 + 16 * h), _mm512_set1_epi8 ((char) 0x80));
    case TERN_BLOCKS_Q4_0:
      return take_bits (load_lanes (same, p, 2), 4 * h, 0, 15);
    case TERN_BLOCKS_Q4_1:
      return take_bits (load_lanes (same, p, 4), 4 * h, 0, 15);
    case TERN_BLOCKS_Q5_0:
      return _mm512_or_si512 (take_bits (load_lanes (same, p, 6), 4 * h, 0, 15),
          fifth_bits_of_four (load_lanes (same, p, 2), h));
    case TERN_BLOCKS_Q5_1:
      return _mm512_or_si512 (take_bits (load_lanes (same, p, 8), 4 * h, 0, 15),
          fifth_bits_of_four (load_lanes (same, p, 4), h));
    case TERN_BLOCKS_IQ4_NL:
      return look_up_four (take_bits (load_lanes (same, p, 2), 4 * h, 0, 15));
    case TERN_BLOCKS_Q2_K:
      return take_bits (load_lanes (same, p, 16 + 32 * (s / 4) + 16 * h), 2 * (s % 4), 0, 3);
    case TERN_BLOCKS_Q3_K:
      return _mm512_or_si512 (take_bits (load_lanes (same, p, 32 + 32 * (s / 4) + 16 * h), 2 * (s % 4), 0, 3),
          take_bits (load_lanes (same, p, 16 * h), s, 2, 4));
    case TERN_BLOCKS_Q4_K:
      return take_bits (load_lanes (same, p, 16 + 32 * (s / 2) + 16 * h), 4 * (s % 2), 0, 15);
    case TERN_BLOCKS_Q5_K:
      return _mm512_or_si512 (take_bits (load_lanes (same, p, 48 + 32 * (s / 2) + 16 * h), 4 * (s % 2), 0, 15),
          take_bits (load_lanes (same, p, 16 + 16 * h), s, 4, 16));
    case TERN_BLOCKS_Q6_K:
      return _mm512_or_si512 (
          take_bits (load_lanes (same, p, 64 * (s / 4) + 32 * (s % 2) + 16 * h), s % 4 / 2 * 4, 0, 15),
          take_bits (load_lanes (same, p, 128 + 32 * (s / 4) + 16 * h), 2 * (s % 4), 4, 48));
    case TERN_BLOCKS_IQ4_XS:
      return look_up_four (take_bits (load_lanes (same, p, 8 + 16 * s), 4 * h, 0, 15));
    default:
      return _mm512_setzero_si512 ();
  }
}

/* An f16 of each of four rows, in all lanes of its row. */
static ALWAYS_INLINE __m512
spread_f16 (const guint8 *const p[4], gsize at)
{
  const __m512i lanes = _mm512_setr_epi32 (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  guint16 v[4];
  guint64 all;
  guint i;

#pragma GCC unroll 4
  for (i = 0; i < 4; i++)
    memcpy (&v[i], p[i] + at, sizeof v[i]);
  all = v[0] | (guint64) v[1] << 16 | (guint64) v[2] << 32 | (guint64) v[3] << 48;
  return _mm512_permutexvar_ps (lanes, _mm512_castps128_ps512 (_mm_cvtph_ps (_mm_cvtsi64_si128 ((gint64) all))));
}

/* Number @i of eight of each of four rows, which are in @a and @b two by two, in all lanes of its row. */
static ALWAYS_INLINE __m512
spread_eighth (__m512 a, __m512 b, const gint i)
{
  return _mm512_permutex2var_ps (a, _mm512_setr_epi32 (i, i, i, i, 8 + i, 8 + i, 8 + i, 8 + i, 16 + i, 16 + i, 16 + i,
          16 + i, 24 + i, 24 + i, 24 + i, 24 + i), b);
}

static ALWAYS_INLINE __m512
two_rows (__m256 a, __m256 b)
{
  return _mm512_insertf32x8 (_mm512_castps256_ps512 (a), b, 1);
}

static ALWAYS_INLINE __m512
twice (const float *p)
{
  return _mm512_broadcast_f32x8 (_mm256_loadu_ps (p));
}

/* Sums of four rows and one token: row i in lanes 4i to 4i + 3; minima of blocks of 256, rows two by two in eight
 * lanes. */
typedef struct {
  __m512 sum[2], min[2];
} Sums;

/* Halves @first to @last of sub-block @s: products of bytes, times @factor. */
static ALWAYS_INLINE void
add_product (const TernBlocks type, Sums *to, const __m512i v[2], const gint first, const gint last, __m128i start,
    const __m128i *q, __m512 factor)
{
  __m512i dot = offset_of (type) ? _mm512_broadcast_i32x4 (start) : _mm512_setzero_si512 ();
  gint h;

#pragma GCC unroll 2
  for (h = first; h <= last; h++)
    dot = _mm512_dpbusd_epi32 (dot, v[h], _mm512_broadcast_i32x4 (q[h]));
  to->sum[first] = v_fma (_mm512_cvtepi32_ps (dot), factor, to->sum[first]);
}

/* A block of 32 values of four rows, for @tokens tokens, a constant here as below. */
static ALWAYS_INLINE void
small_block (const TernBlocks type, const guint tokens, Sums *to, const guint8 *const p[4], const Ready *ready, gsize b)
{
  __m512i v[2] = { half_values (type, FALSE, p, 0, 0), half_values (type, FALSE, p, 0, 1) };
  __m512 d = spread_f16 (p, 0), m = has_min (type) ? spread_f16 (p, 2) : v_zero ();
  guint t;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    add_product (type, &to[t], v, 0, 1, ready[t].start[b], ready[t].q[b], v_mul (d, v_set (ready[t].d[b])));
    if (has_min (type))
      to[t].sum[1] = v_fma (m, v_set (ready[t].sum[b]), to[t].sum[1]);
  }
}

/* The scales of a block of 256 values of four rows, @a those of rows 0 and 1, @c of 2 and 3; for one token times its
 * own, eight at a time. Adds the minima. */
static ALWAYS_INLINE void
large_scales (const TernBlocks type, const guint tokens, Sums *to, __m512 a[2], __m512 c[2], const guint8 *const p[4],
    const Ready *ready, gsize b)
{
  const guint sets = has_halves (type) ? 2 : 1;         /* of eight scales */
  Scales sc[4] = { scales (type, p[0]), scales (type, p[1]), scales (type, p[2]), scales (type, p[3]) };
  guint k, t;

#pragma GCC unroll 2
  for (k = 0; k < sets; k++) {
    a[k] = two_rows (sc[0].d[k], sc[1].d[k]);
    c[k] = two_rows (sc[2].d[k], sc[3].d[k]);
    if (tokens == 1) {
      a[k] = v_mul (a[k], twice (&ready->d[sets * b + 8 * k]));
      c[k] = v_mul (c[k], twice (&ready->d[sets * b + 8 * k]));
    }
    if (!has_min (type))
      continue;
#pragma GCC unroll 8
    for (t = 0; t < tokens; t++) {
      __m512 sum = twice (&ready[t].sum[sets * b + 8 * k]);

      to[t].min[0] = v_fma (two_rows (sc[0].m[k], sc[1].m[k]), sum, to[t].min[0]);
      to[t].min[1] = v_fma (two_rows (sc[2].m[k], sc[3].m[k]), sum, to[t].min[1]);
    }
  }
}

/* A block of 256 values of four rows. */
static ALWAYS_INLINE void
large_block (const TernBlocks type, const guint tokens, Sums *to, const guint8 *const p[4], const Ready *ready, gsize b)
{
  const guint parts = has_halves (type) ? 2 : 1;        /* of a sub-block, each with its scale */
  __m512 a[2], c[2];
  guint s, h, t;

  large_scales (type, tokens, to, a, c, p, ready, b);
#pragma GCC unroll 8
  for (s = 0; s < 8; s++) {
    __m512i v[2] = { half_values (type, FALSE, p, s, 0), half_values (type, FALSE, p, s, 1) };

#pragma GCC unroll 2
    for (h = 0; h < parts; h++) {
      const guint i = s * parts + h;
      __m512 scale = spread_eighth (a[i / 8], c[i / 8], i % 8);

#pragma GCC unroll 8
      for (t = 0; t < tokens; t++)
        add_product (type, &to[t], v, h, h + 2 - parts, ready[t].start[b * parts + i], ready[t].q[b + s],
            tokens == 1 ? scale : v_mul (scale, v_set (ready[t].d[b * parts + i])));
    }
  }
}

/* The sums of four rows, of which the first @rows count. */
static ALWAYS_INLINE void
store_four (const TernBlocks type, float *y, gsize rows, const Sums *from, gboolean add)
{
  const __m512i lanes = _mm512_setr_epi32 (0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  __m512 v = v_add (from->sum[0], from->sum[1]);

  if (has_min (type) && unit_of (type) == 8)
    v = v_add (v, v_add (_mm512_shuffle_f32x4 (from->min[0], from->min[1], 0x88),
            _mm512_shuffle_f32x4 (from->min[0], from->min[1], 0xdd)));
  v = v_add (v, _mm512_permute_ps (v, 0xb1));
  v = v_add (v, _mm512_permute_ps (v, 0x4e));
  v = _mm512_permutexvar_ps (lanes, v);
  if (rows >= 4) {
    __m128 four = _mm512_castps512_ps128 (v);

    _mm_storeu_ps (y, add ? _mm_add_ps (four, _mm_loadu_ps (y)) : four);
  } else {
    v_store_first (y, rows, add ? v_add (v, v_load_first (y, rows)) : v);
  }
}

/* What is fetched goes straight into the first level: by way of the second one, with a second fetch from near, memory of 90 GB/s gave
 * a tenth to a quarter less, and slower memory nothing more. */
static ALWAYS_INLINE void
four_rows (const TernBlocks type, const guint tokens, float *y, gsize ldy, gsize rows, const guint8 *const row[4],
    gsize blocks, const guint8 *fetch, const Ready *ready, gboolean add)
{
  const guint8 *p[4] = { row[0], row[1], row[2], row[3] };
  Sums sums[READY_TOKENS];
  gsize b;
  guint i, k, t;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sums[t] = (Sums) { { v_zero (), v_zero () }, { v_zero (), v_zero () } };
  for (b = 0; b < blocks; b += unit_of (type)) {
    if (b % fetch_blocks (type) == 0) {
#pragma GCC unroll 16
      for (k = 0; k < 4 * fetch_blocks (type) / unit_of (type) * bytes_of (type); k += 64)
        _mm_prefetch ((const char *) fetch + k, _MM_HINT_T0);
      fetch += 4 * fetch_blocks (type) / unit_of (type) * bytes_of (type);
    }
    if (unit_of (type) == 8)
      large_block (type, tokens, sums, p, ready, b);
    else
      small_block (type, tokens, sums, p, ready, b);
#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      p[i] += bytes_of (type);
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    store_four (type, y + t * ldy, rows, &sums[t], add);
}

#include "engine/kernels/x86/block-groups.inc"
#define IN_GROUPS(type) (!has_halves (type))    /* whose products are half as long: there the other way is 5 % faster */

/* ---- Many tokens -------------------------------------------------------------------------------------------------
 * The blocks of 32 rows are brought into a panel whose lanes are rows, and multiplied with broadcast activations. */

#define TILE_TOKENS 6           /* 12 sums of a block, 12 in float, 2 of weights, 1 of activations of 32 registers */
#define PANEL_VALUES(type, p, s) values (type, p, s)
#include "engine/kernels/x86/block-panel.inc"

/* What a function over a panel must know of the type, as constants. */
typedef struct {
  gboolean halves, min;
} Kind;

static ALWAYS_INLINE vi
start_of (const Kind kind, gint32 offset, gint32 total)
{
  return kind.min ? v_int_zero () : v_int_set (-offset * total);
}

static ALWAYS_INLINE void
sum_products (const guint tokens, const Kind kind, vi dot[][TILE_VECTORS], const Panel *panel, gsize b, const guint first,
    const guint last, const TernQ8Block *x, gsize ldx)
{
  guint j, t;

#pragma GCC unroll 8
  for (j = first; j < last; j++) {
    __m512i w0 = panel->q[b][j][0], w1 = panel->q[b][j][1];

#pragma GCC unroll 8
    for (t = 0; t < tokens; t++) {
      __m512i q = _mm512_broadcastd_epi32 (_mm_loadu_si32 (x[t * ldx].q + 4 * j));

      dot[t][0] = _mm512_dpbusd_epi32 (dot[t][0], w0, q);
      dot[t][1] = _mm512_dpbusd_epi32 (dot[t][1], w1, q);
    }
  }
}

#include "engine/kernels/x86/block-tiles.inc"

TILES (tiles_offset, FALSE, FALSE)
TILES (tiles_min, FALSE, TRUE)
TILES (tiles_halves_offset, TRUE, FALSE)
TILES (tiles_halves_min, TRUE, TRUE)

static ALWAYS_INLINE void
many_tokens (const TernBlocks type, float *y, gsize ldy, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n)
{
  const guint unit = unit_of (type);
  Panel panel;
  gsize r, b;

  for (r = 0; r < rows; r += TILE_ROWS) {
    for (b = 0; b < blocks; b += PART_BLOCKS) {
      gsize part = MIN (PART_BLOCKS, blocks - b);

      pack (type, &panel, w + r * row_bytes + b / unit * bytes_of (type), row_bytes, MIN (TILE_ROWS, rows - r), part);
      if (has_halves (type) && has_min (type))
        tiles_halves_min (y + r, ldy, rows - r, &panel, part, 0, x + b, ldx, n, b > 0);
      else if (has_halves (type))
        tiles_halves_offset (y + r, ldy, rows - r, &panel, part, offset_of (type), x + b, ldx, n, b > 0);
      else if (has_min (type))
        tiles_min (y + r, ldy, rows - r, &panel, part, 0, x + b, ldx, n, b > 0);
      else
        tiles_offset (y + r, ldy, rows - r, &panel, part, offset_of (type), x + b, ldx, n, b > 0);
    }
  }
}

#include "engine/kernels/wide/blocks.inc"
