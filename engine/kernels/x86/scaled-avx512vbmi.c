/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with a scale for each group of columns, panels of T3 behind their scales: as ternary-avx512vbmi.c, a sum for
 * each group. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/vec-t3.h"
#include "engine/kernels/x86/scaled-rows.inc"

#define TILE_TOKENS 8           /* 24 sums, 3 of digits, 1 of indices, 1 of highest bits, 1 mask, 1 of activations */
#define MOST_TOKENS 64          /* that share digits which were looked up: their floats stay in the first cache */
#define THIRDS 3
#define PANEL (THIRDS * VL)
#define GROUP (TERN_T3_BLOCKS * TERN_T3_BLOCK)
#define GROUP_STEPS (TERN_T3_BLOCKS * TERN_T3_STEPS)
#define RUN (2 * PANEL)         /* bytes of the scales of a group */

/* Bytes of the scales of a panel, whole cache lines. */
static ALWAYS_INLINE gsize
panel_head (gsize groups)
{
  return (groups * RUN + 63) / 64 * 64;
}

static ALWAYS_INLINE __m512
run_scale (const guint8 *p, guint third)
{
  return _mm512_cvtph_ps (_mm256_loadu_si256 ((const __m256i *) (p + third * 2 * VL)));
}

/* ---- Sums of a group --------------------------------------------------------------------------------------------- */

/* Where digits come from. */
typedef enum {
  CODES,                        /* looked up */
  CODES_ONCE,                   /* looked up for one token, which waits for memory: it is fetched */
  DIGITS,                       /* that were looked up before */
} Source;

static ALWAYS_INLINE void
fetch_block (const guint8 *w)
{
  guint i;

#pragma GCC unroll 5
  for (i = 0; i < TERN_T3_BLOCK; i += 64)
    fetch (w + i);
}

/* A group of @tokens tokens; each has @chains sums for each of its outputs (two where one would wait for itself). Constants. */
static ALWAYS_INLINE void
sum_group (const guint tokens, const guint chains, const Source source, __m512i sum[TILE_TOKENS][THIRDS], const guint8 *w,
    const gint8 *x, gsize ldx)
{
  guint b, t, third;
  gint s;

#pragma GCC unroll 8
  for (t = 0; t < tokens * chains; t++)
    sum[t][0] = sum[t][1] = sum[t][2] = _mm512_setzero_si512 ();
  for (b = 0; b < TERN_T3_BLOCKS; b++, x += TERN_T3_BLOCK_COLS) {
    __m512i high = source == DIGITS ? _mm512_setzero_si512 () : tern_t3_high (w);

    if (source == CODES_ONCE)
      fetch_block (w);
#pragma GCC unroll 8
    for (s = 0; s < TERN_T3_STEPS; s++) {
      __m512i index = source == DIGITS ? high : tern_t3_index (w, high, s), d[THIRDS];

#pragma GCC unroll 3
      for (third = 0; third < THIRDS; third++)
        d[third] = source == DIGITS ? _mm512_load_si512 (w + (s * THIRDS + third) * 64) : tern_t3_digits (index, s, third);
#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        __m512i v = broadcast4 (x + t * ldx + 4 * s);

#pragma GCC unroll 3
        for (third = 0; third < THIRDS; third++)
          sum[t * chains + s % chains][third] = _mm512_dpbusd_epi32 (sum[t * chains + s % chains][third], d[third], v);
      }
    }
    w += source == DIGITS ? TERN_T3_STEPS * THIRDS * 64 : TERN_T3_BLOCK;
  }
}

/* What sum_group() takes as DIGITS. */
static void
look_up (guint8 *digits, const guint8 *w)
{
  guint b, third;
  gint s;

  for (b = 0; b < TERN_T3_BLOCKS; b++, w += TERN_T3_BLOCK) {
    __m512i high = tern_t3_high (w);

#pragma GCC unroll 8
    for (s = 0; s < TERN_T3_STEPS; s++) {
      __m512i index = tern_t3_index (w, high, s);

#pragma GCC unroll 3
      for (third = 0; third < THIRDS; third++, digits += 64)
        _mm512_store_si512 (digits, tern_t3_digits (index, s, third));
    }
  }
}

/* ---- Several tokens ---------------------------------------------------------------------------------------------- */

typedef void (*AddGroup) (__m512 (*acc)[THIRDS], const guint8 *scale, const guint8 *w, const gint8 *x, gsize ldx,
    const gint32 *xsum, gsize lds, gsize run);

/* What group @run adds to the floats of @tokens tokens. */
static ALWAYS_INLINE void
add_group (const guint tokens, const Source source, __m512 (*acc)[THIRDS], const guint8 *scale, const guint8 *w, const gint8 *x,
    gsize ldx, const gint32 *xsum, gsize lds, gsize run)
{
  __m512i sum[TILE_TOKENS][THIRDS];
  guint t, third;

  sum_group (tokens, 1, source, sum, w, x, ldx);
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    __m512i off = _mm512_set1_epi32 (run_sum (1, xsum + t * lds, run));

#pragma GCC unroll 3
    for (third = 0; third < THIRDS; third++)
      acc[t][third] = v_fma (_mm512_cvtepi32_ps (_mm512_sub_epi32 (sum[t][third], off)), run_scale (scale, third), acc[t][third]);
  }
}

/* A function each, or the floats, which are visited once a group, would push the sums out of the registers. */
#define ADD_GROUP(T, SOURCE) \
  static __attribute__ ((noinline)) void add_group_##T##_##SOURCE (__m512 (*acc)[THIRDS], const guint8 *scale, \
      const guint8 *w, const gint8 *x, gsize ldx, const gint32 *xsum, gsize lds, gsize run) \
  { add_group (T, SOURCE, acc, scale, w, x, ldx, xsum, lds, run); }

ADD_GROUP (2, CODES) ADD_GROUP (3, CODES) ADD_GROUP (4, CODES) ADD_GROUP (5, CODES) ADD_GROUP (6, CODES) ADD_GROUP (7, CODES)
ADD_GROUP (8, CODES)
ADD_GROUP (4, DIGITS) ADD_GROUP (5, DIGITS) ADD_GROUP (6, DIGITS) ADD_GROUP (7, DIGITS) ADD_GROUP (8, DIGITS)

/* One panel, of which @rows count, and 2 to MOST_TOKENS tokens. */
static void
tiles (guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, const gint8 *x, gsize ldx,
    const float *xscale, const gint32 *xsum, gsize lds)
{
  static const AddGroup few[] = { NULL, NULL, add_group_2_CODES, add_group_3_CODES, add_group_4_CODES, add_group_5_CODES,
    add_group_6_CODES, add_group_7_CODES, add_group_8_CODES };
  static const AddGroup many[] = { NULL, NULL, NULL, NULL, add_group_4_DIGITS, add_group_5_DIGITS, add_group_6_DIGITS,
    add_group_7_DIGITS, add_group_8_DIGITS };
  guint8 looked_up[GROUP_STEPS * THIRDS * 64] __attribute__ ((aligned (64)));
  const guint8 *codes = w + panel_head (groups);
  __m512 acc[MOST_TOKENS][THIRDS];
  guint t, third, n;
  gsize run;

  for (t = 0; t < tokens; t++)
    acc[t][0] = acc[t][1] = acc[t][2] = v_zero ();
  for (run = 0; run < groups; run++, w += RUN, codes += GROUP, x += TERN_T2_COLS) {
    if (tokens <= TILE_TOKENS) {
      few[tokens] (acc, w, codes, x, ldx, xsum, lds, run);
      continue;
    }
    look_up (looked_up, codes);
    for (t = 0; t < tokens; t += n) {
      n = tokens - t;
      if (n > TILE_TOKENS)      /* the last two tiles share what is left */
        n = n >= 2 * TILE_TOKENS ? TILE_TOKENS : (n + 1) / 2;
      many[n] (acc + t, w, looked_up, x + t * ldx, ldx, xsum + t * lds, lds, run);
    }
  }
  for (t = 0; t < tokens; t++) {
    for (third = 0; third < THIRDS && rows > third * VL; third++)
      store_scaled (y + t * ldy + third * VL, rows - third * VL, acc[t][third], xscale[t]);
  }
}

/* ---- One token --------------------------------------------------------------------------------------------------- */

static void
one_token (float *y, const guint8 *w, gsize rows, gsize groups, const gint8 *x, float xscale, const gint32 *xsum)
{
  const gsize ahead = ahead_of (panel_head (groups) + groups * GROUP);
  const guint8 *codes = w + panel_head (groups);
  __m512 acc[THIRDS] = { v_zero (), v_zero (), v_zero () };
  gsize run;
  guint third;

  for (run = 0; run < groups; run++, w += RUN, codes += GROUP, x += TERN_T2_COLS) {
    __m512i sum[TILE_TOKENS][THIRDS], off = _mm512_set1_epi32 (run_sum (1, xsum, run));

    _mm_prefetch ((const char *) w + ahead, _MM_HINT_T0);
    _mm_prefetch ((const char *) w + 64 + ahead, _MM_HINT_T0);
    sum_group (1, 2, CODES_ONCE, sum, codes, x, 0);
#pragma GCC unroll 3
    for (third = 0; third < THIRDS; third++) {
      __m512i all = _mm512_sub_epi32 (_mm512_add_epi32 (sum[0][third], sum[1][third]), off);

      acc[third] = v_fma (_mm512_cvtepi32_ps (all), run_scale (w, third), acc[third]);
    }
  }
#pragma GCC unroll 3
  for (third = 0; third < THIRDS; third++) {
    if (rows > third * VL)
      store_scaled (y + third * VL, rows - third * VL, acc[third], xscale);
  }
}

static TERN_DECL_GEMM_T2S (gemm_t3s_avx512vbmi)
{
  gsize panel = panel_head (groups) + groups * GROUP, r, t, tokens;

  for (r = 0; r < rows; r += PANEL, w += panel) {
    for (t = 0; t < n; t += tokens) {
      const gint8 *at = x + t * ldx;

      tokens = n - t;
      if (tokens > MOST_TOKENS) /* none is left alone */
        tokens = tokens >= 2 * MOST_TOKENS ? MOST_TOKENS : (tokens + 1) / 2;
      if (tokens == 1)
        one_token (y + t * ldy + r, w, rows - r, groups, at, xscale[t], xsum + t * lds);
      else
        tiles ((guint) tokens, y + t * ldy + r, ldy, w, rows - r, groups, at, ldx, xscale + t, xsum + t * lds, lds);
    }
  }
}

void
tern_scaled_init_avx512vbmi (TernKernels *k)
{
  k->gemm_t3s = gemm_t3s_avx512vbmi;
}
