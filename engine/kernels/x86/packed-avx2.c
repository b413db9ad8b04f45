/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 products in 16 bits. VPMADDUBSW would saturate: its pairs of products go up to 2 * 255 * 128. So the even
 * and the odd columns of each word are multiplied apart by VPMADDWD, which sums exactly. That is two products and two
 * additions for 32 multiply-adds, as many instructions as signs moved from one operand to the other take (VPSIGNB,
 * VPMADDUBSW, VPMADDWD, VPADDD), and these are wrong for -128.
 *
 * Activations are widened CHUNK columns of a few tokens at a time, for ROW_PANELS panels: a value stays in the
 * first-level cache while it is a broadcast operand of all of them. */
#include <string.h>

#include "engine/kernels/x86/vec-avx2.h"

#define TILE_TOKENS 4           /* 8 sums, 4 of weights, 2 of activations, 1 of products */
#define ROW_PANELS 8
#define CHUNK 1024              /* columns */
#define HALVES (TERN_PANEL_ROWS / VL)

/* Words of two 16-bit values: columns 4s, 4s + 2 and 4s + 1, 4s + 3. */
typedef struct {
  gint32 even[TILE_TOKENS][CHUNK / 4], odd[TILE_TOKENS][CHUNK / 4];
} Wide;

static void
widen (Wide *wide, const gint8 *x, gsize ldx, guint tokens, gsize cols)
{
  gsize c;
  guint t;

  for (t = 0; t < tokens; t++)
    for (c = 0; c < cols; c += 32) {
      __m256i v = _mm256_loadu_si256 ((const __m256i *) (x + t * ldx + c));

      v_int_store (wide->even[t] + c / 4, _mm256_srai_epi16 (_mm256_slli_epi16 (v, 8), 8));
      v_int_store (wide->odd[t] + c / 4, _mm256_srai_epi16 (v, 8));
    }
}

typedef struct {
  vi v[TILE_TOKENS][HALVES];
} IntSums;
typedef struct {
  vf v[TILE_TOKENS][HALVES];
} FloatSums;

/* Adds the products of @steps words of a panel to @sums; @tokens is a constant. */
static ALWAYS_INLINE void
add_products (const guint tokens, IntSums *sums, const guint8 *w, const Wide *x, gsize steps)
{
  const vi low = v_int_set (0xff00ff);
  vi sum[TILE_TOKENS][HALVES];
  gsize s;
  guint t, h;

#pragma GCC unroll 4
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (h = 0; h < HALVES; h++)
      sum[t][h] = sums->v[t][h];
  }
  for (s = 0; s < steps; s++, w += 64) {
    vi a = v_int_load (w), b = v_int_load (w + 32);
    vi even_a = v_int_and (a, low), even_b = v_int_and (b, low);
    vi odd_a = _mm256_srli_epi16 (a, 8), odd_b = _mm256_srli_epi16 (b, 8);

#pragma GCC unroll 4
    for (t = 0; t < tokens; t++) {
      vi even = v_int_set (x->even[t][s]), odd = v_int_set (x->odd[t][s]);

      sum[t][0] = v_int_add (sum[t][0], _mm256_madd_epi16 (even_a, even));
      sum[t][1] = v_int_add (sum[t][1], _mm256_madd_epi16 (even_b, even));
      sum[t][0] = v_int_add (sum[t][0], _mm256_madd_epi16 (odd_a, odd));
      sum[t][1] = v_int_add (sum[t][1], _mm256_madd_epi16 (odd_b, odd));
    }
  }
#pragma GCC unroll 4
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (h = 0; h < HALVES; h++)
      sums->v[t][h] = sum[t][h];
  }
}

#define DECL_DOT(fn) void fn (IntSums *sums, const guint8 *w, const Wide *x, gsize steps)
#define DOT(tokens) \
  static __attribute__ ((noinline)) DECL_DOT (dot_##tokens) \
  { \
    add_products (tokens, sums, w, x, steps); \
  }

DOT (1)
DOT (2)
DOT (3)
DOT (4)
static DECL_DOT ((*const dots[])) = { NULL, dot_1, dot_2, dot_3, dot_4 };

/* s = fma (sum, scale, s); the weights were 128 too large. */
static void
add_group (FloatSums *s, const IntSums *sums, guint tokens, const float *xscale, const gint32 *xsum, gsize ldg)
{
  guint t, h;

  for (t = 0; t < tokens; t++) {
    vi extra = v_int_shift_left (v_int_set (xsum[t * ldg]), 7);
    vf scale = v_set (xscale[t * ldg]);

    for (h = 0; h < HALVES; h++)
      s->v[t][h] = v_fma (v_to_float (v_int_sub (sums->v[t][h], extra)), scale, s->v[t][h]);
  }
}

/* y = fma (s, wscale, bias) of the first @rows of a panel. */
static void
store_panel (float *y, gsize ldy, const FloatSums *s, guint tokens, gsize rows, const float *wscale, const float *bias)
{
  guint t, h;

  for (h = 0; h < HALVES && h * VL < rows; h++) {
    gsize left = rows - h * VL;
    vf scale = left >= VL ? v_load (wscale + h * VL) : v_load_first (wscale + h * VL, left);
    vf add = v_zero ();

    if (bias)
      add = left >= VL ? v_load (bias + h * VL) : v_load_first (bias + h * VL, left);
    for (t = 0; t < tokens; t++) {
      vf out = v_fma (s->v[t][h], scale, add);

      if (left >= VL)
        v_store (y + t * ldy + h * VL, out);
      else
        v_store_first (y + t * ldy + h * VL, left, out);
    }
  }
}

static TERN_DECL_GEMM_I8P (VARIANT (gemm_i8p))
{
  IntSums ints[ROW_PANELS];
  FloatSums floats[ROW_PANELS];
  Wide wide;
  gsize r, t, c, end, next, panels, p;
  guint tokens;

  for (t = 0; t < n; t += tokens) {
    tokens = MIN (TILE_TOKENS, n - t);
    for (r = 0; r < rows; r += ROW_PANELS * TERN_PANEL_ROWS) {
      panels = MIN (tern_panels (rows - r), ROW_PANELS);
      memset (floats, 0, panels * sizeof *floats);
      for (c = 0; c < cols; c = end) {
        const float *scale = xscale + t * ldg + c / group;
        const gint32 *sum = xsum + t * ldg + c / group;

        next = cols - c > group - c % group ? c + group - c % group : cols;     /* where the group ends */
        end = MIN (c + CHUNK, next);
        widen (&wide, x + t * ldx + c, ldx, tokens, end - c);
        if (c % group == 0)
          memset (ints, 0, panels * sizeof *ints);
        for (p = 0; p < panels; p++) {
          dots[tokens] (&ints[p], w + ((r + p * TERN_PANEL_ROWS) * cols + c * TERN_PANEL_ROWS), &wide, (end - c) / 4);
          if (end == next)
            add_group (&floats[p], &ints[p], tokens, scale, sum, ldg);
        }
      }
      for (p = 0; p < panels; p++) {
        gsize row = r + p * TERN_PANEL_ROWS;

        store_panel (y + t * ldy + row, ldy, &floats[p], tokens, rows - row, wscale + row, bias ? bias + row : NULL);
      }
    }
  }
}

#define BF16_TOKENS 4           /* 8 sums, 4 halves of weights, 2 of activations, 1 mask */
#include "engine/kernels/wide/packed.inc"
#include "engine/kernels/wide/packed-bf16.inc"

void
tern_packed_init_avx2 (TernKernels *k)
{
  k->gemm_i8p = VARIANT (gemm_i8p);
  k->gemm_bf16p = VARIANT (gemm_bf16p);
  init_packs (k);
}
