/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* F16 and BF16 weights times float activations with AMX, for many tokens. A float is taken as the sum of two bf16, which
 * keep 16 of its 24 bits (an error of 2^-17 at most), an F16 weight as the sum of two that keep all of it: two products
 * of tiles for BF16, four for F16. What is less than the smallest normal number counts as zero, as the instruction has it.
 * A sum goes over the columns in order, CHUNK at a time, whatever the number of tokens. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/tiles.h"

#define CHUNK 256               /* columns under way */
#define BLOCK_TOKENS 128        /* that panels are made for; 128 KiB of activations */
#define STEP 32                 /* columns of a tile */
#define PANELS 2

static TERN_DECL_GEMM_F16 ((*f16_before));
static TERN_DECL_GEMM_BF16 ((*bf16_before));

/* [0]: the greater part, [1]: what is left. */
typedef struct {
  guint16 part[2][BLOCK_TOKENS][CHUNK];
} __attribute__ ((aligned (64))) Activations;

typedef struct {
  guint16 rows[2][PANELS * TILE_HEIGHT][CHUNK];
  guint16 panel[2][PANELS][CHUNK / STEP][TILE_BYTES / 2];
} __attribute__ ((aligned (64))) Weights;

/* Sixteen floats as two bf16 each. The first is rounded to nearest, but not to infinity; beside NaN and infinity, which
 * it keeps, the second is zero (mend() has the rest). */
static ALWAYS_INLINE void
split (guint16 *high, guint16 *low, __m512 v)
{
  const __m512i exponent = _mm512_set1_epi32 (0x7f800000), upper = _mm512_set1_epi32 ((gint32) 0xffff0000);
  __m512i bits = _mm512_castps_si512 (v), even = _mm512_and_si512 (_mm512_srli_epi32 (bits, 16), _mm512_set1_epi32 (1));
  __m512i near = _mm512_add_epi32 (bits, _mm512_add_epi32 (even, _mm512_set1_epi32 (0x7fff))), left;
  __mmask16 special = _mm512_cmpeq_epi32_mask (_mm512_and_si512 (bits, exponent), exponent);
  __mmask16 beyond = _mm512_cmpeq_epi32_mask (_mm512_and_si512 (near, exponent), exponent);

  near = _mm512_mask_mov_epi32 (near, special | beyond, bits);
  near = _mm512_mask_or_epi32 (near, _mm512_cmp_ps_mask (v, v, _CMP_UNORD_Q), near, _mm512_set1_epi32 (0x400000));
  near = _mm512_and_si512 (near, upper);
  left = _mm512_castps_si512 (_mm512_sub_ps (v, _mm512_castsi512_ps (near)));
  left = _mm512_maskz_add_epi32 ((__mmask16) ~special, left, _mm512_set1_epi32 (0x8000));
  _mm256_storeu_si256 ((__m256i *) high, _mm512_cvtepi32_epi16 (_mm512_srli_epi32 (near, 16)));
  _mm256_storeu_si256 ((__m256i *) low, _mm512_cvtepi32_epi16 (_mm512_srli_epi32 (left, 16)));
}

/* @cols columns, and zero up to whole steps. */
static void
make_activations (Activations *to, const float *x, gsize ldx, gsize tokens, gsize cols)
{
  gsize whole = (cols + STEP - 1) / STEP * STEP, t, c;

  for (t = 0; t < tokens; t++, x += ldx) {
    for (c = 0; c < whole; c += VL)
      split (&to->part[0][t][c], &to->part[1][t][c],
          _mm512_maskz_loadu_ps (c < cols ? lanes_of (cols - c) : 0, x + c));
  }
}

/* The same of up to two panels of weights; rows that are missing repeat the last one. */
static ALWAYS_INLINE void
make_weights (const gboolean f16, Weights *to, const guint16 *w, gsize ldw, gsize rows, gsize cols)
{
  const guint parts = f16 ? 2 : 1;
  gsize steps = (cols + STEP - 1) / STEP, s, c;
  guint i, h, p, j;

  for (i = 0; i < PANELS * TILE_HEIGHT; i++) {
    const guint16 *row = w + MIN (i, rows - 1) * ldw;

    for (c = 0; c < steps * STEP; c += VL) {
      __m256i v = _mm256_maskz_loadu_epi16 (c < cols ? lanes_of (cols - c) : 0, row + c);

      if (f16)
        split (&to->rows[0][i][c], &to->rows[1][i][c], _mm512_cvtph_ps (v));
      else
        _mm256_store_si256 ((__m256i *) &to->rows[0][i][c], v);
    }
  }
  for (h = 0; h < parts; h++) {
    for (p = 0; p < PANELS; p++) {
      const guint8 *row[TILE_HEIGHT];

      for (i = 0; i < TILE_HEIGHT; i++)
        row[i] = (const guint8 *) to->rows[h][p * TILE_HEIGHT + i];
      for (s = 0; s < steps; s++) {
        for (j = 0; j < 16; j += 4) {
          vf out[4];

          v_transpose4 (out, row, s * TILE_WIDTH + j * 4);
          for (i = 0; i < 4; i++)
            v_store ((float *) to->panel[h][p][s] + (j + i) * 16, out[i]);
        }
      }
    }
  }
}

/* Into y, or added to what it holds; @left rows of it. */
static void
put_sums (float *y, gsize ldy, gsize left, const SlotSums *sums, gsize n, gboolean add)
{
  gsize slots = slots_of (n), s, i;
  guint p;

  for (s = 0; s < slots; s++) {
    gsize first = token_of (s, n);

    for (i = s * TILE_HEIGHT - first; first + i < n && i < TILE_HEIGHT; i++) {  /* those before are of the last slot too */
      for (p = 0; p < PANELS && left > p * 16; p++) {
        float *to = y + (first + i) * ldy + p * 16;
        __mmask16 lanes = lanes_of (left - p * 16);
        __m512 v = _mm512_load_ps (sums[s].v[p][i]);

        _mm512_mask_storeu_ps (to, lanes, add ? _mm512_add_ps (v, _mm512_maskz_loadu_ps (lanes, to)) : v);
      }
    }
  }
}

/* Infinity times the second part of the other side, which may be zero, makes NaN of what is infinite. Where there is NaN
 * the version before has the word; models have none. */
static ALWAYS_INLINE void
mend (const gboolean f16, float *y, gsize ldy, const guint16 *w, gsize ldw, gsize rows, gsize cols, const float *x,
    gsize ldx, gsize n)
{
  gsize t, r;

  for (t = 0; t < n; t++) {
    for (r = 0; r < rows; r += VL) {
      __m512 v = _mm512_maskz_loadu_ps (lanes_of (rows - r), y + t * ldy + r);
      guint bad = _mm512_cmp_ps_mask (v, v, _CMP_UNORD_Q);

      for (; bad; bad &= bad - 1) {
        gsize at = r + (gsize) __builtin_ctz (bad);

        (f16 ? f16_before : bf16_before) (y + t * ldy + at, ldy, w + at * ldw, ldw, 1, cols, x + t * ldx, ldx, 1, TRUE);
      }
    }
  }
}

static ALWAYS_INLINE void
many_tokens (const gboolean f16, float *y, gsize ldy, const guint16 *w, gsize ldw, gsize rows, gsize cols, const float *x,
    gsize ldx, gsize n)
{
  SlotSums sums[BLOCK_TOKENS / TILE_HEIGHT];
  Activations activations;
  Weights weights;
  gsize t, c, r;
  guint h, k;

  for (t = 0; t < n; t += BLOCK_TOKENS) {
    gsize tokens = MIN (BLOCK_TOKENS, n - t);

    tiles_begin (MIN (tokens, TILE_HEIGHT), 16);
    for (c = 0; c < cols; c += CHUNK) {
      gsize part = MIN (CHUNK, cols - c), steps = (part + STEP - 1) / STEP;

      make_activations (&activations, x + t * ldx + c, ldx, tokens, part);
      for (r = 0; r < rows; r += PANELS * TILE_HEIGHT) {
        guint panels = rows - r > TILE_HEIGHT ? 2 : 1;

        make_weights (f16, &weights, w + r * ldw + c, ldw, rows - r, part);
        for (h = 0; h < (f16 ? 2 : 1); h++) {
          const guint8 *const two[2] = { (const guint8 *) weights.panel[h][0], (const guint8 *) weights.panel[h][1] };

          for (k = 0; k < 2; k++)
            multiply_slots (DOT_BF16, sums, (const guint8 *) activations.part[k], CHUNK * 2, 0, slots_of (tokens), tokens,
                two, panels, steps, h + k > 0);
        }
        put_sums (y + t * ldy + r, ldy, rows - r, sums, tokens, c > 0);
      }
    }
    tiles_end ();
    mend (f16, y + t * ldy, ldy, w, ldw, rows, cols, x + t * ldx, ldx, tokens);
  }
}

/* Few rows of x, and of weights, are left to the versions before. */
static TERN_DECL_GEMM_F16 (gemm_f16_amx)
{
  if (!many || cols < STEP)
    f16_before (y, ldy, w, ldw, rows, cols, x, ldx, n, many);
  else
    many_tokens (TRUE, y, ldy, w, ldw, rows, cols, x, ldx, n);
}

static TERN_DECL_GEMM_BF16 (gemm_bf16_amx)
{
  if (!many || cols < STEP)
    bf16_before (y, ldy, w, ldw, rows, cols, x, ldx, n, many);
  else
    many_tokens (FALSE, y, ldy, w, ldw, rows, cols, x, ldx, n);
}

void
tern_gemm_init_amx (TernKernels *k)
{
  g_atomic_pointer_set (&f16_before, k->gemm_f16);
  g_atomic_pointer_set (&bf16_before, k->gemm_bf16);
  k->gemm_f16 = gemm_f16_amx;
  k->gemm_bf16 = gemm_bf16_amx;
}
