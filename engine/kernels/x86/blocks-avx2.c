/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with AVX2. */
#include "engine/kernels/x86/vec-avx2.h"
#include "engine/kernels/x86/block-types.inc"

/* VPMADDUBSW saturates beyond 7 bits by 8: wide values go in as |w|, and their sign to x (never -128 but beside a NaN
 * scale). */
static ALWAYS_INLINE __m256i
dot32 (__m256i start, __m256i u, __m256i x, const gboolean wide)
{
  const __m256i one = _mm256_set1_epi16 (1);
  __m256i w;

  if (!wide)
    return _mm256_add_epi32 (start, _mm256_madd_epi16 (_mm256_maddubs_epi16 (u, x), one));
  w = _mm256_xor_si256 (u, _mm256_set1_epi8 ((char) 0x80));
  return _mm256_madd_epi16 (_mm256_maddubs_epi16 (_mm256_abs_epi8 (w), _mm256_sign_epi8 (x, w)), one);
}

/* ---- Few tokens --------------------------------------------------------------------------------------------------
 * Straight from the file's blocks: four rows at a time, eight partial sums each in float. What depends on the token alone
 * is made once for many rows. */

#define CHUNK 64                /* sub-blocks that tokens are made ready for at once */
#define READY_TOKENS 8          /* tokens that are made ready, and go through the registers, at once */

typedef struct {
  __m256i q[CHUNK];
  __m256i start[CHUNK];         /* sums that undo the offset */
  float d[CHUNK];
  float sum[2 * CHUNK];         /* d times the sum of q, or of each half; a minimum's factor */
} Ready;

static ALWAYS_INLINE void
make_ready (const TernBlocks type, Ready *ready, const TernQ8Block *x, gsize blocks)
{
  const __m256i offset = _mm256_set1_epi8 ((char) offset_of (type));
  gsize b;

  for (b = 0; b < blocks; b++) {
    const TernQ8Block *q = &x[b];

    ready->q[b] = load32 ((const guint8 *) q->q);
    ready->d[b] = q->d;
    if (has_min (type) && has_halves (type)) {
      ready->sum[2 * b] = q->d * (float) q->half;
      ready->sum[2 * b + 1] = q->d * (float) (q->sum - q->half);
    } else if (has_min (type)) {        /* one value for eight lanes counts in each */
      ready->sum[b] = q->d * (float) q->sum * (unit_of (type) == 1 ? 0.125f : 1);
    }
    if (offset_of (type) && !is_wide (type))
      ready->start[b] = _mm256_sub_epi32 (_mm256_setzero_si256 (),
          dot32 (_mm256_setzero_si256 (), offset, ready->q[b], FALSE));
  }
}

/* Lanes 0-3: scale of the first half of sub-block @s, 4-7: of the second. */
static ALWAYS_INLINE __m256
half_scales (const Scales *s, const guint sub)
{
  const gint i = sub % 4 * 2;

  return _mm256_permutevar8x32_ps (s->d[sub / 4], _mm256_setr_epi32 (i, i, i, i, i + 1, i + 1, i + 1, i + 1));
}

/* What minima add: the block's, times the sums of a token. */
static ALWAYS_INLINE __m256
add_minima (const TernBlocks type, __m256 sum, const Scales *sc, const Ready *ready, gsize b)
{
  if (unit_of (type) == 1)
    return _mm256_fmadd_ps (sc->m[0], _mm256_set1_ps (ready->sum[b]), sum);
  if (!has_halves (type))
    return _mm256_fmadd_ps (sc->m[0], _mm256_loadu_ps (&ready->sum[b]), sum);
  return _mm256_fmadd_ps (sc->m[0], _mm256_loadu_ps (&ready->sum[2 * b]),
      _mm256_fmadd_ps (sc->m[1], _mm256_loadu_ps (&ready->sum[2 * b + 8]), sum));
}

/* One block of one row for @tokens tokens, a constant. */
static ALWAYS_INLINE void
one_block (const TernBlocks type, const guint tokens, __m256 *sum, const guint8 *p, const guint8 *fetch,
    const Ready *ready, gsize b)
{
  const gboolean zero = !offset_of (type) || is_wide (type), eighths = unit_of (type) == 8 && !has_halves (type);
  const guint unit = unit_of (type);
  Scales sc = scales (type, p);
  float factor[8];
  guint s, k, t;

  if (b % fetch_blocks (type) == 0) {
#pragma GCC unroll 4
    for (k = 0; k < fetch_blocks (type) / unit * bytes_of (type); k += 64)
      _mm_prefetch ((const char *) fetch + k, _MM_HINT_T0);
  }
  if (has_min (type)) {
#pragma GCC unroll 8
    for (t = 0; t < tokens; t++)
      sum[t] = add_minima (type, sum[t], &sc, &ready[t], b);
  }
  if (eighths)          /* of one token times its own, eight at a time */
    _mm256_storeu_ps (factor, tokens == 1 ? _mm256_mul_ps (sc.d[0], _mm256_loadu_ps (&ready->d[b])) : sc.d[0]);
#pragma GCC unroll 8
  for (s = 0; s < unit; s++) {
    __m256i u = values (type, p, s);
    __m256 d = has_halves (type) ? half_scales (&sc, s) : eighths ? _mm256_set1_ps (factor[s]) : sc.d[0];

#pragma GCC unroll 8
    for (t = 0; t < tokens; t++) {
      __m256i start = zero ? _mm256_setzero_si256 () : ready[t].start[b + s];
      __m256 dot = _mm256_cvtepi32_ps (dot32 (start, u, ready[t].q[b + s], is_wide (type)));
      __m256 f = eighths && tokens == 1 ? d : _mm256_mul_ps (d, _mm256_set1_ps (ready[t].d[b + s]));

      sum[t] = _mm256_fmadd_ps (dot, f, sum[t]);
    }
  }
}

/* The sums of four vectors, of which the first @rows count. */
static ALWAYS_INLINE void
store_four (float *y, gsize rows, __m256 a, __m256 b, __m256 c, __m256 d, gboolean add)
{
  __m256 s = _mm256_hadd_ps (_mm256_hadd_ps (a, b), _mm256_hadd_ps (c, d));
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (s), _mm256_extractf128_ps (s, 1));
  float part[4];
  gsize i;

  if (rows >= 4) {
    _mm_storeu_ps (y, add ? _mm_add_ps (four, _mm_loadu_ps (y)) : four);
    return;
  }
  _mm_storeu_ps (part, four);
  for (i = 0; i < rows; i++)
    y[i] = add ? y[i] + part[i] : part[i];
}

/* One token: the sums of four rows side by side. Several: theirs side by side, a row after the other. */
static ALWAYS_INLINE void
four_rows (const TernBlocks type, const guint tokens, float *y, gsize ldy, gsize rows, const guint8 *const row[4],
    gsize blocks, const guint8 *fetch, const Ready *ready, gboolean add)
{
  const guint unit = unit_of (type);
  __m256 all[4][READY_TOKENS];
  gsize b;
  guint i, t;

#pragma GCC unroll 4
  for (i = 0; tokens == 1 && i < 4; i++)
    all[i][0] = _mm256_setzero_ps ();
  for (b = 0; tokens == 1 && b < blocks; b += unit) {
#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      one_block (type, 1, all[i], row[i] + b / unit * bytes_of (type),
          fetch + (4 * b + i * fetch_blocks (type)) / unit * bytes_of (type), ready, b);
  }
  for (i = 0; tokens > 1 && i < 4; i++) {
    __m256 sum[READY_TOKENS];

#pragma GCC unroll 8
    for (t = 0; t < tokens; t++)
      sum[t] = _mm256_setzero_ps ();
    for (b = 0; b < blocks; b += unit)
      one_block (type, tokens, sum, row[i] + b / unit * bytes_of (type),
          fetch + (i * blocks + b) / unit * bytes_of (type), ready, b);
#pragma GCC unroll 8
    for (t = 0; t < tokens; t++)
      all[i][t] = sum[t];
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    store_four (y + t * ldy, rows, all[0][t], all[1][t], all[2][t], all[3][t], add);
}

/* ---- Many tokens -------------------------------------------------------------------------------------------------
 * The blocks of 16 rows are brought into a panel whose lanes are rows, and multiplied with broadcast activations. Products
 * of up to six bits by eight are summed in 16 bits for as many steps as fit, of four columns each. */

#define TILE_TOKENS 4           /* 8 sums in 16 bits, 2 of weights, 1 of activations, 1 of products */
/* Sums stay where they are: a compiler that adds in another order keeps all products at once, in memory. */
#define AS_WRITTEN(sum) __asm__ ("" : "+x" (sum))
#define PANEL_VALUES(type, p, s) values (type, p, s)
#include "engine/kernels/x86/block-panel.inc"

/* Steps that a 16-bit sum takes, of two products of at most 128 * 15, 128 * 31, 128 * 63. */
static ALWAYS_INLINE guint
steps_of (const TernBlocks type)
{
  return type == TERN_BLOCKS_Q5_0 || type == TERN_BLOCKS_Q5_1 || type == TERN_BLOCKS_Q5_K ? 4
      : type == TERN_BLOCKS_Q6_K ? 2 : 8;
}

/* What a function over a panel must know of the type, as constants. */
typedef struct {
  gboolean halves, min, wide;
  guint steps;
} Kind;

/* Dwords [first, last) of sub-block @b, no more than a 16-bit sum takes. */
static ALWAYS_INLINE void
sum_steps (const guint tokens, vi dot[][TILE_VECTORS], const Panel *panel, gsize b, const guint first, const guint last,
    const TernQ8Block *x, gsize ldx)
{
  vi sum[TILE_TOKENS][TILE_VECTORS];
  guint j, t, v;

#pragma GCC unroll 8
  for (j = first; j < last; j++) {
#pragma GCC unroll 4
    for (t = 0; t < tokens; t++) {
      vi q = broadcast4 (x[t * ldx].q + 4 * j);

#pragma GCC unroll 2
      for (v = 0; v < TILE_VECTORS; v++) {
        vi product = _mm256_maddubs_epi16 (panel->q[b][j][v], q);

        sum[t][v] = j == first ? product : _mm256_add_epi16 (sum[t][v], product);
        AS_WRITTEN (sum[t][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++)
      dot[t][v] = v_int_add (dot[t][v], _mm256_madd_epi16 (sum[t][v], _mm256_set1_epi16 (1)));
  }
}

/* The same of bytes that use all bits, in 32. */
static ALWAYS_INLINE void
sum_wide_steps (const guint tokens, vi dot[][TILE_VECTORS], const Panel *panel, gsize b, const TernQ8Block *x, gsize ldx)
{
  vi sum[TILE_TOKENS][TILE_VECTORS];
  guint j, t, v;

#pragma GCC unroll 4
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = v_int_zero ();
#pragma GCC unroll 8
  for (j = 0; j < 8; j++) {
#pragma GCC unroll 4
    for (t = 0; t < tokens; t++) {
      vi q = broadcast4 (x[t * ldx].q + 4 * j);

#pragma GCC unroll 2
      for (v = 0; v < TILE_VECTORS; v++) {
        sum[t][v] = v_int_add (sum[t][v], dot32 (v_int_zero (), panel->q[b][j][v], q, TRUE));
        AS_WRITTEN (sum[t][v]);
      }
    }
  }
#pragma GCC unroll 4
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++)
      dot[t][v] = sum[t][v];
  }
}

static ALWAYS_INLINE vi
start_of (const Kind kind, gint32 offset, gint32 total)
{
  return kind.min || kind.wide ? v_int_zero () : v_int_set (-offset * total);
}

static ALWAYS_INLINE void
sum_products (const guint tokens, const Kind kind, vi dot[][TILE_VECTORS], const Panel *panel, gsize b, const guint first,
    const guint last, const TernQ8Block *x, gsize ldx)
{
  guint j;

  if (kind.wide) {
    sum_wide_steps (tokens, dot, panel, b, x, ldx);
    return;
  }
#pragma GCC unroll 4
  for (j = first; j < last; j += kind.steps)
    sum_steps (tokens, dot, panel, b, j, MIN (j + kind.steps, last), x, ldx);
}

#include "engine/kernels/x86/block-tiles.inc"

TILES (tiles_four, FALSE, FALSE, FALSE, 8)
TILES (tiles_four_min, FALSE, TRUE, FALSE, 8)
TILES (tiles_five, FALSE, FALSE, FALSE, 4)
TILES (tiles_five_min, FALSE, TRUE, FALSE, 4)
TILES (tiles_wide, FALSE, FALSE, TRUE, 8)
TILES (tiles_halves_few, TRUE, FALSE, FALSE, 8)
TILES (tiles_halves_min, TRUE, TRUE, FALSE, 8)
TILES (tiles_halves_six, TRUE, FALSE, FALSE, 2)

static ALWAYS_INLINE DECL_TILES ((*tiles_of (const TernBlocks type)))
{
  if (has_halves (type))
    return has_min (type) ? tiles_halves_min : steps_of (type) == 2 ? tiles_halves_six : tiles_halves_few;
  if (is_wide (type))
    return tiles_wide;
  if (steps_of (type) == 4)
    return has_min (type) ? tiles_five_min : tiles_five;
  return has_min (type) ? tiles_four_min : tiles_four;
}

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
      tiles_of (type) (y + r, ldy, rows - r, &panel, part, (gint32) offset_of (type), x + b, ldx, n, b > 0);
    }
  }
}

#include "engine/kernels/wide/blocks.inc"
