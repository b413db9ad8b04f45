/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with AVX2. Without VNNI a product of bytes takes as many instructions as one of floats, so
 * many tokens go through the float panel. */
#include "engine/kernels/x86/vec-avx2.h"
#include "engine/kernels/x86/block-types.inc"

/* VPMADDUBSW saturates beyond 7 bits by 8: wide values go in as |w|, and their sign to x (never -128 but beside a NaN
 * scale). */
#define SIGNED_BYTES TRUE

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

#define MANY_TOKENS 5
#define PART_BLOCKS (DEPTH / 32)
#define PART_TOKENS 24          /* floats of so many tokens at once: a multiple of the tile */

/* d * q + m of eight bytes, @offset too large. */
static ALWAYS_INLINE void
expand_eight (float *dst, __m128i q, const guint offset, __m256 d, __m256 m)
{
  __m256i v = _mm256_sub_epi32 (_mm256_cvtepu8_epi32 (q), _mm256_set1_epi32 ((gint) offset));

  v_store (dst, v_fma (d, _mm256_cvtepi32_ps (v), m));
}

/* A block as floats. */
static ALWAYS_INLINE void
expand_block (const TernBlocks type, float *dst, const guint8 *p)
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
  for (s = 0; s < unit_of (type); s++, dst += 32) {
    __m256i q = values (type, p, s);

#pragma GCC unroll 2
    for (h = 0; h < 2; h++) {
      __m128i half = h ? _mm256_extracti128_si256 (q, 1) : _mm256_castsi256_si128 (q);
      __m256 dh = v_set (d[s * per + h * (per - 1)]), mh = v_set (m[s * per + h * (per - 1)]);

      expand_eight (dst + 16 * h, half, offset_of (type), dh, mh);
      expand_eight (dst + 16 * h + 8, _mm_srli_si128 (half, 8), offset_of (type), dh, mh);
    }
  }
}

static void
tokens_times_panel (float *y, gsize ldy, gsize rows, const TernQ8Block *x, gsize ldx, gsize n, const float *panel,
    gsize blocks, gboolean add)
{
  float part[PART_TOKENS][DEPTH];
  gsize t, i, b;
  guint j;

  for (t = 0; t < n; t += PART_TOKENS) {
    gsize count = MIN (PART_TOKENS, n - t);

    for (i = 0; i < count; i++) {
      for (b = 0; b < blocks; b++) {
        const TernQ8Block *q = &x[(t + i) * ldx + b];

#pragma GCC unroll 4
        for (j = 0; j < 32; j += VL)
          v_store (part[i] + b * 32 + j, v_mul (v_load_i8 (q->q + j), v_set (q->d)));
      }
    }
    tern_panel_times_tokens_avx2 (y + t * ldy, ldy, rows, part[0], DEPTH, count, panel, TILE_ROWS, blocks * 32, add);
  }
}

static ALWAYS_INLINE void
many_tokens (const TernBlocks type, float *y, gsize ldy, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n)
{
  float part[TILE_ROWS][DEPTH], panel[DEPTH * TILE_ROWS] __attribute__ ((aligned (64)));
  const guint unit = unit_of (type);
  gsize r, b, i, j;

  for (r = 0; r < rows; r += TILE_ROWS) {
    gsize count = MIN (TILE_ROWS, rows - r);

    for (b = 0; b < blocks; b += PART_BLOCKS) {
      gsize width = MIN (PART_BLOCKS, blocks - b);

      for (i = 0; i < count; i++) {
        const guint8 *p = w + (r + i) * row_bytes + b / unit * bytes_of (type);

        for (j = 0; j < width; j += unit)
          expand_block (type, part[i] + j * 32, p + j / unit * bytes_of (type));
      }
      tern_pack_panel_avx2 (panel, (const guint8 *) part, sizeof part[0], count, width * 32);
      tokens_times_panel (y + r, ldy, rows - r, x + b, ldx, n, panel, width, b > 0);
    }
  }
}

#include "engine/kernels/x86/blocks.inc"
