/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices in the layout T3 with AMX, for many tokens: digits become tiles of bytes, once for a block of tokens. */
#include "engine/kernels/x86/tiles.h"
#include "engine/kernels/x86/vec-t3.h"

/* Fewer tokens are left to the version before, whose digits need not go through memory. The sums are whole numbers, and
 * so the same. */
#define FEW_TOKENS 8
#define GROUP_STEPS (TERN_T2_COLS / TILE_WIDTH)
#define TILE_BLOCKS (TILE_WIDTH / TERN_T3_BLOCK_COLS)

static TERN_DECL_GEMM_T2 ((*few_tokens));

/* @steps tiles of 16 rows of 64 columns, from tile @first of a third of the panel at @w on: a look-up makes a row of one. */
static void
unpack_tiles (guint8 *to, const guint8 *w, guint third, gsize first, gsize steps)
{
  gsize b;
  gint s;

  w += first * TILE_BLOCKS * TERN_T3_BLOCK;
  for (b = 0; b < steps * TILE_BLOCKS; b++, w += TERN_T3_BLOCK) {
    __m512i high = tern_t3_high (w);

#pragma GCC unroll 8
    for (s = 0; s < TERN_T3_STEPS; s++, to += TILE_WIDTH)
      _mm512_store_si512 (to, tern_t3_digits (tern_t3_index (w, high, s), s, third));
  }
}

/* Float part of a panel and of slots [first, last), @left rows; the digits were one too large. */
static void
store_rows (float *y, gsize ldy, gsize left, const SlotSums *sums, guint panel, gsize first, gsize last, gsize n,
    const float *xscale, const gint32 *xsum, float wscale)
{
  const __mmask16 lanes = lanes_of (left);
  gsize tokens = MIN (n, TILE_HEIGHT), s, i;

  for (s = first; s < last; s++, sums++) {
    gsize t = token_of (s, n);

    for (i = 0; i < tokens; i++, t++) {
      __m512i sum = _mm512_sub_epi32 (_mm512_load_si512 (sums->v[panel][i]), _mm512_set1_epi32 (xsum[t]));
      __m512 v = _mm512_mul_ps (_mm512_cvtepi32_ps (sum), _mm512_set1_ps (xscale[t]));

      _mm512_mask_storeu_ps (y + t * ldy, lanes, _mm512_mul_ps (v, _mm512_set1_ps (wscale)));
    }
  }
}

static TERN_DECL_GEMM_T2 (gemm_t2_amx)
{
  guint8 digits[2][CHUNK_STEPS * TILE_BYTES] __attribute__ ((aligned (64)));
  const guint8 *const two[2] = { digits[0], digits[1] };
  gsize slots = slots_of (n), all = groups * GROUP_STEPS, panel = groups * TERN_T3_BLOCKS * TERN_T3_BLOCK, first, last, r, s, steps;
  SlotSums sums[BLOCK_SLOTS];
  guint p;

  if (n < FEW_TOKENS) {
    few_tokens (y, ldy, w, rows, groups, wscale, x, ldx, xscale, xsum, n);
    return;
  }
  if (groups == 0)
    memset (sums, 0, sizeof sums);
  tiles_begin (MIN (n, TILE_HEIGHT), 16);
  for (first = 0; first < slots; first = last) {
    last = MIN (first + BLOCK_SLOTS, slots);
    for (r = 0; r < rows; r += 2 * TILE_HEIGHT) {
      guint panels = rows - r > TILE_HEIGHT ? 2 : 1;

      for (s = 0; s < all; s += steps) {
        steps = MIN (all - s, CHUNK_STEPS);
        for (p = 0; p < panels; p++)
          unpack_tiles (digits[p], w + (r / TILE_HEIGHT + p) / 3 * panel, (r / TILE_HEIGHT + p) % 3, s, steps);
        multiply_slots (DOT_SU, sums, (const guint8 *) x + s * TILE_WIDTH, ldx, first, last, n, two, panels, steps, s > 0);
      }
      for (p = 0; p < panels; p++)
        store_rows (y + r + 16 * p, ldy, rows - r - 16 * p, sums, p, first, last, n, xscale, xsum, wscale);
    }
  }
  tiles_end ();
}

void
tern_ternary_init_amx (TernKernels *k)
{
  if (k->ternary->rows != 3 * TILE_HEIGHT)      /* built without AVX512VBMI: another layout */
    return;
  g_atomic_pointer_set (&few_tokens, k->gemm_t2);
  k->gemm_t2 = gemm_t2_amx;
}
