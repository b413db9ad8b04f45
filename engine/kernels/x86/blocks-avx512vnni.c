/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with VPDPBUSD. Many tokens: the blocks of 32 rows are brought into a panel whose lanes are
 * rows, as unsigned bytes, and multiplied with broadcast activations; the sums of the activations take off what the
 * bytes are too large by. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/block-types.inc"

#define SIGNED_BYTES FALSE

static ALWAYS_INLINE __m256i
dot32 (__m256i start, __m256i u, __m256i x, const gboolean wide)
{
  return _mm256_dpbusd_epi32 (start, u, x);
}

#define MANY_TOKENS 5
#define TILE_TOKENS 6           /* 12 sums of a block, 12 in float, 2 of weights, 1 of activations of 32 registers */
#define PART_BLOCKS 16          /* a panel of up to 24 KiB */

typedef struct {
  __m512i q[PART_BLOCKS][8][TILE_VECTORS];      /* four bytes of a row in a lane */
  float d[PART_BLOCKS][2][TILE_ROWS];   /* [1]: of the second half, when it has its own */
  float m[PART_BLOCKS][2][TILE_ROWS];
} Panel;

/* Scales of a block to those of row @i. */
static ALWAYS_INLINE void
put_scales (const TernBlocks type, Panel *panel, gsize b, gsize i, const guint8 *p)
{
  const guint per = has_halves (type) ? 2 : 1;
  Scales sc = scales (type, p);
  float d[16], m[16];
  guint s, h;

  _mm256_storeu_ps (d, sc.d[0]);
  _mm256_storeu_ps (d + 8, sc.d[1]);
  _mm256_storeu_ps (m, sc.m[0]);
  _mm256_storeu_ps (m + 8, sc.m[1]);
#pragma GCC unroll 8
  for (s = 0; s < unit_of (type); s++) {
#pragma GCC unroll 2
    for (h = 0; h < per; h++) {
      panel->d[b + s][h][i] = d[s * per + h];
      if (has_min (type))
        panel->m[b + s][h][i] = m[s * per + h];
    }
  }
}

/* @blocks sub-blocks of @rows rows; rows that are missing repeat the last one. */
static ALWAYS_INLINE void
pack (const TernBlocks type, Panel *panel, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks)
{
  guint8 part[TILE_ROWS][PART_BLOCKS * 32] __attribute__ ((aligned (64)));
  const guint8 *row[TILE_ROWS];
  const guint unit = unit_of (type);
  gsize b;
  guint i, v, j, s;

  for (i = 0; i < TILE_ROWS; i++) {
    row[i] = part[i];
    for (b = 0; b < blocks; b += unit) {
      const guint8 *p = w + MIN (i, rows - 1) * row_bytes + b / unit * bytes_of (type);

#pragma GCC unroll 8
      for (s = 0; s < unit; s++)
        _mm256_store_si256 ((__m256i *) (part[i] + (b + s) * 32), values (type, p, s));
      put_scales (type, panel, b, i, p);
    }
  }
  for (b = 0; b < blocks; b++) {
    for (v = 0; v < TILE_VECTORS; v++) {
#pragma GCC unroll 2
      for (j = 0; j < 8; j += 4) {
        vf out[4];

        v_transpose4 (out, row + v * VL, b * 32 + j * 4);
#pragma GCC unroll 4
        for (i = 0; i < 4; i++)
          panel->q[b][j + i][v] = _mm512_castps_si512 (out[i]);
      }
    }
  }
}

/* Dwords [4h, 4h + 4) or all eight of sub-block @b, for @tokens tokens, into @sum. */
static ALWAYS_INLINE void
tile_part (const guint tokens, const gboolean halves, const gboolean min, __m512 sum[][TILE_VECTORS],
    const Panel *panel, gsize b, const guint h, gint32 offset, const TernQ8Block *x, gsize ldx)
{
  const guint first = h * 4, last = halves ? first + 4 : 8;
  __m512i dot[TILE_TOKENS][TILE_VECTORS];
  guint t, v, j;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    const TernQ8Block *q = &x[t * ldx];
    gint32 total = !halves ? q->sum : h ? q->sum - q->half : q->half;

    dot[t][0] = dot[t][1] = min ? _mm512_setzero_si512 () : _mm512_set1_epi32 (-offset * total);
  }
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
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    const TernQ8Block *q = &x[t * ldx];
    vf d = v_set (q->d);
    vf total = v_set ((float) (!halves ? q->sum : h ? q->sum - q->half : q->half));

#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++) {
      vf part = v_mul (_mm512_cvtepi32_ps (dot[t][v]), v_load (&panel->d[b][h][v * VL]));

      if (min)
        part = v_fma (total, v_load (&panel->m[b][h][v * VL]), part);
      sum[t][v] = v_fma (part, d, sum[t][v]);
    }
  }
}

static ALWAYS_INLINE void
tile (const guint tokens, const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows,
    const Panel *panel, gsize blocks, gint32 offset, const TernQ8Block *x, gsize ldx, gboolean add)
{
  __m512 sum[TILE_TOKENS][TILE_VECTORS];
  gsize b;
  guint t, v;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = v_zero ();
  for (b = 0; b < blocks; b++) {
    tile_part (tokens, halves, min, sum, panel, b, 0, offset, x + b, ldx);
    if (halves)
      tile_part (tokens, halves, min, sum, panel, b, 1, offset, x + b, ldx);
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++) {
      float *to = y + t * ldy + v * VL;

      if (rows >= (v + 1) * VL)
        v_store (to, add ? v_add (sum[t][v], v_load (to)) : sum[t][v]);
      else if (rows > v * VL)
        v_store_first (to, rows - v * VL, add ? v_add (sum[t][v], v_load_first (to, rows - v * VL)) : sum[t][v]);
    }
  }
}

/* All tokens against one panel. */
static ALWAYS_INLINE void
tiles (const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks,
    gint32 offset, const TernQ8Block *x, gsize ldx, gsize n, gboolean add)
{
  gsize t, tokens;

  for (t = 0; t < n; t += tokens) {
    tokens = n - t;
    if (tokens > TILE_TOKENS)   /* the last two tiles share what is left */
      tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
    switch (tokens) {
#define CASE(T) case T: tile (T, halves, min, y + t * ldy, ldy, rows, panel, blocks, offset, x + t * ldx, ldx, add); \
    break;
      CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#undef CASE
    }
  }
}

/* One function for each kind of panel: the types share them. */
#define TILES(name, halves, min) \
  static void name (float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks, gint32 offset, \
      const TernQ8Block *x, gsize ldx, gsize n, gboolean add) \
  { tiles (halves, min, y, ldy, rows, panel, blocks, offset, x, ldx, n, add); }

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

#include "engine/kernels/x86/blocks.inc"
