/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of compute kernels and the contract of each.
 *
 * tern_kernels_init() fills the scalar reference first (kernels/<group>-c.c), then overrides in ascending order of
 * instruction set up to the level given (kernels/x86/<group>-avx2.c, kernels/arm/<group>-neon.c, ..., over code for any
 * vector width in kernels/wide/). Signatures stand here once, as macros that reference, SIMD versions and tests declare
 * themselves with.
 *
 * Unless said otherwise: pointers need no alignment, rows may be unaligned, outputs do not alias inputs, nothing is
 * read or written outside the given sizes, size 0 does nothing. "Exact" kernels give the same bits in every version;
 * the others stay within NMSE 1e-10 of the reference. NaN and infinity flow through, they never change an address. */
#pragma once

#include <glib.h>
#include "engine/base/cpu.h"

G_BEGIN_DECLS

/* Ternary matrices, packed for the kernels below: 2-bit digits 0, 1, 2 for -1, 0, +1, sixteen rows side by side, so
 * that a vector register holds as many rows as it has 32-bit lanes and no sum ever crosses lanes.
 * A *panel* is 16 rows, a *group* 128 columns: TERN_T2_BYTES bytes = 8 steps of 64 bytes. In step s, byte 4 * i + b is
 * of row i of the panel and holds columns 16 * s + b + 4 * k of the group in bits 2k..2k+1, k = 0..3.
 * Groups of a panel follow each other, then the next panel. Columns are padded to a whole group with digit 1 (zero);
 * rows to a whole panel with anything: they are computed and dropped. */
#define TERN_T2_ROWS 16
#define TERN_T2_COLS 128
#define TERN_T2_BYTES 512

/* Bytes of a packed matrix; rows and cols < 2^32. */
static inline gsize
tern_t2_bytes (gsize rows, gsize cols)
{
  return ((rows + TERN_T2_ROWS - 1) / TERN_T2_ROWS) * ((cols + TERN_T2_COLS - 1) / TERN_T2_COLS) * TERN_T2_BYTES;
}

/* Writes one row of @cols values -1, 0, +1 into the packed matrix @w. */
void tern_t2_pack_row (guint8 *w, gsize row, gsize cols, const gint8 *values);

/* The order that a table of kernels wants ternary matrices in: panels of @rows rows, groups of TERN_T2_COLS columns of a
 * panel in @bytes, one after the other, then the next panel. All but T2 are made of whole panels of T2 (pack_ternary). */
typedef struct {
  const char *name;             /* up to 15 letters: of caches */
  guint rows, bytes;            /* rows: TERN_T2_ROWS or TERN_TERNARY_ROWS_MAX */
} TernTernaryLayout;
#define TERN_TERNARY_ROWS_MAX (3 * TERN_T2_ROWS)
extern const TernTernaryLayout tern_layout_t2;

static inline gsize
tern_ternary_bytes (const TernTernaryLayout *layout, gsize rows, gsize cols)
{
  return (rows + layout->rows - 1) / layout->rows * ((cols + TERN_T2_COLS - 1) / TERN_T2_COLS) * layout->bytes;
}

/* Brings one panel of @groups groups from T2 into the table's layout: @t2 holds as many panels of 16 rows as it takes, all
 * of them digits 0, 1 and 2. Exact. */
#define TERN_DECL_PACK_TERNARY(fn) void fn (guint8 *panel, const guint8 *t2, gsize groups)

/* Activations in blocks of 32, as GGUF's Q8_0 but with an f32 scale: value = d * q. */
typedef struct {
  float d;
  gint32 sum, half;             /* of q, of its first 16: instructions that multiply unsigned by signed need them */
  gint8 q[32];
} TernQ8Block;

/* The block types of GGUF that run on such activations. */
typedef enum {
  TERN_BLOCKS_Q8_0, TERN_BLOCKS_Q4_0, TERN_BLOCKS_Q4_1, TERN_BLOCKS_Q5_0, TERN_BLOCKS_Q5_1, TERN_BLOCKS_IQ4_NL,
  TERN_BLOCKS_Q2_K, TERN_BLOCKS_Q3_K, TERN_BLOCKS_Q4_K, TERN_BLOCKS_Q5_K, TERN_BLOCKS_Q6_K, TERN_BLOCKS_IQ4_XS,
  TERN_N_BLOCKS
} TernBlocks;

/* Values (32, or 256 from Q2_K on) and bytes of a block. */
gsize tern_blocks_values (TernBlocks type);
gsize tern_blocks_bytes (TernBlocks type);

/* What 32 values of any of them are: value[i] = d[i / 16] * q[i] + m[i / 16]. */
typedef struct {
  float d[2], m[2];
  gint8 q[32];
} TernUnpacked;

/* The first @n * 32 values at @src, whole blocks. Scalar: a reference, and the description of the layouts. */
void tern_blocks_unpack (TernBlocks type, TernUnpacked *dst, const guint8 *src, gsize n);

/* The values of IQ4_NL and IQ4_XS. */
extern const gint8 tern_iq4_values[16];

/* BitNet b1.58 activation quantisation (arXiv:2402.17764 eq. 4-5, per token as in the released code):
 * s = 127 / max(max|x|, 1e-5), q = clamp(round_half_even(x * s), -128, 127). *scale = 1 / s computed as max / 127,
 * *sum = sum of q. q has room for @n rounded up to 128; the padding is set to 0. Exact (f32 arithmetic in this order).
 * A NaN among x makes the scale NaN and every q -128; infinity makes the scale infinite. */
#define TERN_DECL_QUANT_I8(fn) void fn (gint8 *q, float *scale, gint32 *sum, const float *x, gsize n)

/* Four bits, by the mean: the absmean rule of BitNet a4.8 (arXiv:2411.04965) and v2 (arXiv:2504.18415), per token:
 * m = max(mean|x|, 1e-5), q = clamp(round_half_even(x * (sqrt(7) / m)), -8, 7), *scale = m / sqrt(7). Otherwise as quant_i8.
 * |x| is summed in TERN_I4_LANES sums, value i in sum i mod TERN_I4_LANES, and those from the first to the last. Exact.
 * A NaN among x makes the scale NaN and every q -8; infinity makes the scale infinite. */
#define TERN_I4_LANES 16
#define TERN_I4_ROOT 2.64575131f        /* sqrt(7) */
#define TERN_DECL_QUANT_I4(fn) void fn (gint8 *q, float *scale, gint32 *sum, const float *x, gsize n)

/* Block quantisation of @n (a multiple of 32) values: d = max|x| / 127, q = round_half_even(x * (127 / max)), both 0
 * when max < 1e-30. Exact. NaN and infinity as above. */
#define TERN_DECL_QUANT_Q8(fn) void fn (TernQ8Block *q, const float *x, gsize n)

/* y[t * ldy + r] = (sum_c w[r][c] * x[t][c]) * xscale[t] * wscale, w ternary.
 * w: first byte of a panel of the table's layout; @rows rows (any number; split work at whole panels) of @groups groups;
 * x: @n rows of @groups * TERN_T2_COLS int8, @ldx apart, padding 0; xsum: row sums of x.
 * Integer accumulation; float part ((float) acc * xscale) * wscale. Exact. groups < 2^12. */
#define TERN_DECL_GEMM_T2(fn) void fn (float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, \
    const gint8 *x, gsize ldx, const float *xscale, const gint32 *xsum, gsize n)

/* Matrices of digits 0 to 3 for -1, 0, +1 and +2 with an f16 scale for each run of 128 or 64 columns of a row (PQ2_0 and PTQ1_0,
 * Q2_0): panels of T2, each behind its scales: those of its 16 rows side by side for each run, @parts (1 or 2) runs a
 * group, padded to whole cache lines. What pads rows may be any digits and scales; columns, digit 1 and scale 0. */
#define TERN_T2S_RUN (2 * TERN_T2_ROWS)         /* bytes of the scales of a run */
/* Columns of whose activations the product below takes the sum. */
#define TERN_T2S_SUM 64

/* Bytes of a panel's scales, of a panel, of a matrix. */
static inline gsize
tern_t2s_head (gsize groups, guint parts)
{
  return (groups * parts * TERN_T2S_RUN + 63) / 64 * 64;
}
static inline gsize
tern_t2s_panel (gsize groups, guint parts)
{
  return tern_t2s_head (groups, parts) + groups * TERN_T2_BYTES;
}
static inline gsize
tern_t2s_bytes (gsize rows, gsize cols, guint parts)
{
  return (rows + TERN_T2_ROWS - 1) / TERN_T2_ROWS * tern_t2s_panel ((cols + TERN_T2_COLS - 1) / TERN_T2_COLS, parts);
}

/* The product with such a matrix, of @parts (1 or 2) scales in a group, a run being 128 / @parts columns:
 *   s = 0; for each run: s = fma ((float) sum_c w[r][c] * x[t][c], d[r][run], s)
 *   y[t * ldy + r] = s * xscale[t]
 * w (from the first byte of a panel), x, rows and groups as above; xsum[t * lds + i]: sum of the i-th TERN_T2S_SUM values of row t of x. Exact. */
#define TERN_DECL_GEMM_T2S(fn) void fn (float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, guint parts, \
    const gint8 *x, gsize ldx, const float *xscale, const gint32 *xsum, gsize lds, gsize n)

/* Where digits are 0 to 2 and runs whole groups, panels may be of the table's layout instead (gemm_t3s, whose @parts is 1), each
 * behind its scales all the same: those of its rows side by side for each group. */
static inline gsize
tern_scaled_head (const TernTernaryLayout *layout, gsize groups, guint parts)
{
  return (groups * parts * 2 * layout->rows + 63) / 64 * 64;
}
static inline gsize
tern_scaled_panel (const TernTernaryLayout *layout, gsize groups, guint parts)
{
  return tern_scaled_head (layout, groups, parts) + groups * layout->bytes;
}
static inline gsize
tern_scaled_bytes (const TernTernaryLayout *layout, gsize rows, gsize cols, guint parts)
{
  return (rows + layout->rows - 1) / layout->rows
      * tern_scaled_panel (layout, (cols + TERN_T2_COLS - 1) / TERN_T2_COLS, parts);
}

/* y = H (s * x): blocks of @block values (a power of two, 1 included, that divides @n), each times the orthonormal Sylvester
 * matrix H[i][j] = (-1)^popcount (i & j) / sqrt (block). @signs: [n], +1 or -1, NULL: all +1. With @after they are multiplied
 * in behind the transform, y = s * H x, which undoes the first. y may be x.
 * Sums and differences of values 1, 2, 4, ... apart, in that order, then times (float) (1 / sqrt (block)). Exact. */
#define TERN_DECL_HADAMARD(fn) void fn (float *y, const float *x, const float *signs, gsize n, gsize block, gboolean after)

/* Rows do not see each other: in the products below, what comes of a row of x depends on that row, on the matrix and on
 * @many, bit for bit; not on @n, on the rows beside it, on its place among them, or on how the rows of the matrix are
 * split over calls. (The product above is exact whatever the order.)
 * @many chooses the order of summation, and with it for which n the product is fast: FALSE, dot products straight from
 * the rows, for few rows of x; TRUE, panels of the matrix that are prepared once for all rows, for many. Either works
 * for every n, and with either the matrix comes from memory once. */

/* y[t * ldy + r] = sum_b x.d * sum_i x.q[i] * value[i]; w: rows of one of the TernBlocks, @row_bytes apart; x: as
 * above, @blocks of 32 values (whole blocks of w). Versions may sum in integers or in floats. */
#define TERN_DECL_GEMM_BLOCKS(fn) void fn (float *y, gsize ldy, const guint8 *w, gsize row_bytes, gsize rows, \
    gsize blocks, const TernQ8Block *x, gsize ldx, gsize n, gboolean many)

/* y[t * ldy + r] = sum_c w[r * ldw + c] * x[t * ldx + c]: both operands contiguous in the summed dimension. */
#define TERN_DECL_GEMM_F32(fn) void fn (float *y, gsize ldy, const float *w, gsize ldw, gsize rows, gsize cols, \
    const float *x, gsize ldx, gsize n, gboolean many)
/* The same with IEEE f16 weights. */
#define TERN_DECL_GEMM_F16(fn) void fn (float *y, gsize ldy, const guint16 *w, gsize ldw, gsize rows, gsize cols, \
    const float *x, gsize ldx, gsize n, gboolean many)
/* The same with bfloat16 weights: the upper halves of floats. */
#define TERN_DECL_GEMM_BF16(fn) void fn (float *y, gsize ldy, const guint16 *w, gsize ldw, gsize rows, gsize cols, \
    const float *x, gsize ldx, gsize n, gboolean many)
/* The same with int8 rows, each with its scale: the sum times scale[r * lds]; few rows x in 16 bits or more. */
#define TERN_DECL_GEMM_I8ROW(fn) void fn (float *y, gsize ldy, const gint8 *w, gsize ldw, const float *scale, \
    gsize lds, gsize rows, gsize cols, const float *x, gsize ldx, gsize n, gboolean many)

/* Rows of @n int4 values: groups of TERN_I4_GROUP in half as many bytes, byte i of a group with digit i below and digit i + 16
 * above. Digits 0 to 15 are sixteen steps about zero: value = scale * (digit - 7.5). What pads the last group may be any digits. */
#define TERN_I4_GROUP 32
static inline gsize
tern_i4_bytes (gsize n)
{
  return (n + TERN_I4_GROUP - 1) / TERN_I4_GROUP * (TERN_I4_GROUP / 2);
}

/* The product of int8 rows above for int4 rows, @ldw bytes apart, each with its scale. */
#define TERN_DECL_GEMM_I4ROW(fn) void fn (float *y, gsize ldy, const guint8 *w, gsize ldw, const float *scale, \
    gsize lds, gsize rows, gsize cols, const float *x, gsize ldx, gsize n, gboolean many)

/* y[t * ldy + c] = sum_k a[t * lda + k] * b[k * ldb + c], k < depth, c < cols: b is summed along its rows (attention
 * probabilities times values).
 * A sum goes over k in order, in runs of TERN_NN_RUN rows of b, counted from the first of the call: a further run begins
 * at zero, and what it comes to is added to y. With @go_on the first run begins at what y holds instead of zero: calls
 * over the rows of b piece by piece, all but the first with @go_on, give the bits of one call over all of them as long
 * as these are no more than one run. With @go_on and depth 0, y stays as it is. */
#define TERN_NN_RUN 256
#define TERN_DECL_GEMM_NN(fn) void fn (float *y, gsize ldy, const float *a, gsize lda, const float *b, gsize ldb, \
    gsize n, gsize depth, gsize cols, gboolean go_on)
/* The same with b in IEEE f16; without @many the whole call is one run, however deep. */
#define TERN_DECL_GEMM_NN_F16(fn) void fn (float *y, gsize ldy, const float *a, gsize lda, const guint16 *b, \
    gsize ldb, gsize n, gsize depth, gsize cols, gboolean many, gboolean go_on)
/* The same with int8 rows, each with its scale: row k of b counts scale[k * lds] times. Without @many one run too. */
#define TERN_DECL_GEMM_NN_I8ROW(fn) void fn (float *y, gsize ldy, const float *a, gsize lda, const gint8 *b, \
    gsize ldb, const float *scale, gsize lds, gsize n, gsize depth, gsize cols, gboolean many, gboolean go_on)
/* The same with int4 rows, @ldb bytes apart. */
#define TERN_DECL_GEMM_NN_I4ROW(fn) void fn (float *y, gsize ldy, const float *a, gsize lda, const guint8 *b, \
    gsize ldb, const float *scale, gsize lds, gsize n, gsize depth, gsize cols, gboolean many, gboolean go_on)

/* Packed matrices: rows of weights (or of keys, or columns of values) brought once into the order in which dot-product and
 * tile instructions read them. A panel is TERN_PANEL_ROWS rows; what is one 32-bit word of a row, four int8 or two bf16
 * columns, stands beside the same word of the other rows: 64 bytes a step, and sixteen steps are what an AMX tile holds as
 * its second operand. Columns are padded to whole sixteens of steps with zero, rows to whole panels with zero and scale 0.
 * Step s of int8: byte 4 * i + b is of row i, column 4 * s + b, plus 128 (unsigned). Step s of bf16: element 2 * i + b is of
 * row i, column 2 * s + b. */
#define TERN_PANEL_ROWS 16
#define TERN_I8P_COLS 64
#define TERN_BF16P_COLS 32

/* Bytes of such a matrix, and of its scales and sums; rows and cols < 2^32. */
static inline gsize
tern_panels (gsize rows)
{
  return (rows + TERN_PANEL_ROWS - 1) / TERN_PANEL_ROWS;
}
static inline gsize
tern_i8p_bytes (gsize rows, gsize cols)
{
  return tern_panels (rows) * TERN_PANEL_ROWS * ((cols + TERN_I8P_COLS - 1) / TERN_I8P_COLS * TERN_I8P_COLS);
}
static inline gsize
tern_bf16p_bytes (gsize rows, gsize cols)
{
  return tern_panels (rows) * TERN_PANEL_ROWS * 2 * ((cols + TERN_BF16P_COLS - 1) / TERN_BF16P_COLS * TERN_BF16P_COLS);
}

/* Packs @n_rows <= 16 rows of @cols floats as one panel: value (r, c) is src[r * row + c * col], of which row or col is 1 (1:
 * values of attention, whose rows are the columns). int8: scale[r] = max|x| / 127 and q = round_half_even(x * (127 / max)),
 * both 0 when max < 1e-30; scale has room for 16. bf16: half to even (a NaN stays one). Exact. */
#define TERN_DECL_PACK_I8P(fn) void fn (guint8 *panel, float *scale, const float *src, gsize row, gsize col, gsize n_rows, \
    gsize cols)
#define TERN_DECL_PACK_BF16P(fn) void fn (guint16 *panel, const float *src, gsize row, gsize col, gsize n_rows, gsize cols)
/* dst[i] = x[i] in bf16, half to even; the padding to whole TERN_BF16P_COLS is set to 0. Exact (any NaN for a NaN). */
#define TERN_DECL_PACK_BF16(fn) void fn (guint16 *dst, const float *x, gsize n)

/* Products with packed int8 rows: w from the first byte of a panel, its @rows rows (any number; split work at whole panels)
 * of @cols columns (a multiple of TERN_I8P_COLS); x: @n rows of @cols int8, @ldx apart, padding 0, in groups of @group columns
 * (a multiple of TERN_I8P_COLS; the last may be shorter), each as quant_i8 makes it, with xscale[t * ldg + g] and
 * xsum[t * ldg + g]. For each output
 *   s = 0; for g = 0, 1, ...: s = fma ((float) sum_c w[r][c] * x[t][c], xscale[t][g], s)      (c in group g)
 *   y[t * ldy + r] = fma (s, wscale[r], bias ? bias[r] : 0)
 * Integer sums; one rounding each. Exact. cols < 2^16. */
#define TERN_DECL_GEMM_I8P(fn) void fn (float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols, const float *wscale, \
    const float *bias, const gint8 *x, gsize ldx, gsize group, const float *xscale, const gint32 *xsum, gsize ldg, gsize n)
/* The same with bf16 on both sides: y = fma-free sum of the products in any order, plus bias; @cols a multiple of
 * TERN_BF16P_COLS, x padded with 0. Versions may flush subnormals to zero. */
#define TERN_DECL_GEMM_BF16P(fn) void fn (float *y, gsize ldy, const guint16 *w, gsize rows, gsize cols, const float *bias, \
    const guint16 *x, gsize ldx, gsize n)

/* dst[i] = x[i] in IEEE f16, half to even; beyond its range infinite. Exact (any NaN for a NaN). */
#define TERN_DECL_PACK_F16(fn) void fn (guint16 *dst, const float *x, gsize n)
/* One int8 row of @n values as the products above take it, by the rule of quant_q8. Exact. */
#define TERN_DECL_PACK_I8ROW(fn) void fn (gint8 *q, float *scale, const float *x, gsize n)
/* One int4 row: scale = max|x| / 7.5, digit = round_half_even (fma (x, 7.5 / max, 7.5)) within 0 to 15; scale 0 when max < 1e-30.
 * What pads it is as x = 0. A NaN among x makes the scale NaN and every digit 0. Exact. */
#define TERN_DECL_PACK_I4ROW(fn) void fn (guint8 *q, float *scale, const float *x, gsize n)

/* y = x * w / sqrt(mean(x^2) + eps) over @n values (arXiv:1910.07467). y may be x. Squares are summed in f32: |x| <
 * 1e18 here and in layer_norm. */
#define TERN_DECL_RMS_NORM(fn) void fn (float *y, const float *x, const float *w, gsize n, float eps)
/* y = (x - mean) / sqrt(var + eps) * w + b (arXiv:1607.06450). y may be x. */
#define TERN_DECL_LAYER_NORM(fn) void fn (float *y, const float *x, const float *w, const float *b, gsize n, float eps)
/* In place softmax over @n values after multiplying them by @scale. n >= 1. */
#define TERN_DECL_SOFTMAX(fn) void fn (float *x, gsize n, float scale)
/* A step of a softmax over values that come in pieces (arXiv:1805.02867): m = max(*largest, max x * scale), x[i] =
 * exp(x[i] * scale - m), *largest = m; returns the sum of x. n >= 1. */
#define TERN_DECL_SOFTMAX_STEP(fn) float fn (float *x, gsize n, float scale, float *largest)
/* The same where the weights are taken in bf16: dst[i] = exp(x[i] * scale - m), padded with 0 to whole TERN_BF16P_COLS; x stays.
 * Within 2^-8 of each value, and the sum within 1e-4, of the reference. scale > 0. */
#define TERN_DECL_SOFTMAX_BF16(fn) float fn (guint16 *dst, const float *x, gsize n, float scale, float *largest)
/* The same for weights in int8, of a group of keys by itself: m = max x * scale, e[i] = exp(x[i] * scale - m), q[i] = round
 * (127 e[i]); dst[i] = q[i], or with @rest what rounding left out, round (254 (127 e[i] - q[i])), within +-127; padded with 0 to
 * whole TERN_I8P_COLS. *largest = m, *sum = sum of dst; returns the sum of e. n >= 1, scale > 0. e is taken within 1e-4
 * of what it is, the same with and without @rest, so that both are within 5 of 254 * 127 e. A NaN among x: the sum of e is NaN,
 * dst anything. */
#define TERN_DECL_SOFTMAX_I8(fn) float fn (gint8 *dst, const float *x, gsize n, float scale, gboolean rest, float *largest, \
    gint32 *sum)
/* gate[i] = silu(gate[i]) * up[i] (SwiGLU, arXiv:2002.05202). */
#define TERN_DECL_SILU_MUL(fn) void fn (float *gate, const float *up, gsize n)
/* gate[i] = max(gate[i], 0)^2 * up[i] (BitNet b1.58 2B4T, arXiv:2504.12285). */
#define TERN_DECL_RELU2_MUL(fn) void fn (float *gate, const float *up, gsize n)
/* x[i] *= 1 / (1 + exp(-gate[i])): the output gate of attention (arXiv:2505.06708). */
#define TERN_DECL_SIGMOID_MUL(fn) void fn (float *x, const float *gate, gsize n)
/* In place max(x, 0)^2 (arXiv:2109.08668). */
#define TERN_DECL_RELU2(fn) void fn (float *x, gsize n)
/* In place GELU (arXiv:1606.08415): tanh approximation, and exact erf. */
#define TERN_DECL_GELU(fn) void fn (float *x, gsize n)
/* x[i] += y[i]. */
#define TERN_DECL_ADD(fn) void fn (float *x, const float *y, gsize n)
/* Rotary position embedding, rotate-half pairing (i, i + d/2) of one head of @d values (arXiv:2104.09864 eq. 34, NEOX
 * order): cos_sin holds d/2 cosines, then d/2 sines. */
#define TERN_DECL_ROPE(fn) void fn (float *x, const float *cos_sin, gsize d)
/* Gated short convolution over one token (LFM2): z = b * xin; c = sum_k taps[ch][k] * z_{t - (L-1) + k};
 * y = cgate * c. bcx: [3][channels] = B, C, x. taps: [channels][l]. state: the last l - 1 values of z, oldest first,
 * [l - 1][channels]; updated. l >= 1. */
#define TERN_DECL_SHORTCONV(fn) void fn (float *y, const float *bcx, float *state, const float *taps, gsize channels, \
    gsize l)

/* Causal convolution of @n tokens along each of @channels, and what is left of it at the end:
 *   y[t * ldy + c] = silu(bias[c] + sum_k taps[k * ldtaps + c] * x[t - (l - 1) + k][c]),  k < l;  x[t] at x + t * ldx
 * where the tokens before the first one are the l - 1 rows of @from, oldest first, lds apart; @to becomes the last l - 1 of
 * from and x. @to may be @from. @bias may be NULL. l >= 1. A token's sum goes over k in order, whatever @n. */
#define TERN_DECL_CONV_SILU(fn) void fn (float *y, gsize ldy, float *to, const float *from, gsize lds, const float *x, \
    gsize ldx, const float *taps, gsize ldtaps, const float *bias, gsize channels, gsize l, gsize n)

/* One head of the gated delta rule (arXiv:2412.06464 eq. 10) over @n tokens. With the state S [keys, values],
 *   S <- decay S;  u = beta (v - S^T k);  S <- S + k u^T;  o = S^T q
 * for each, where q, k, v and o of token t stand at q + t * ldqk, k + t * ldqk, v + t * ldv, o + t * ldo, and decay and beta at
 * t * ldg. @from is the state before the first token, @to that after the last one; the same place, or apart. @o may be @v
 * with the same distance. n >= 1. What comes of a token depends on it and on the state before it, bit for bit, not on how tokens are split
 * over calls. */
#define TERN_DECL_DELTA_RULE(fn) void fn (float *o, gsize ldo, float *to, const float *from, const float *q, \
    const float *k, gsize ldqk, const float *v, gsize ldv, const float *decay, const float *beta, gsize ldg, gsize keys, \
    gsize values, gsize n)

/* State-space layers (engine/llm/blocks/mamba1.c and mamba2.c have the equations and where they are from).
 *
 * x[i] = ln (1 + e^(x[i] + bias[i])), without overflow; and in place e^x. */
#define TERN_DECL_SOFTPLUS(fn) void fn (float *x, const float *bias, gsize n)
#define TERN_DECL_EXP(fn) void fn (float *x, gsize n)
/* Selective scan of Mamba-1 over @n tokens: for each token t, channel ch and state s < @states
 *   h[s][ch] = e^(dt[t][ch] * a[s][ch]) * h[s][ch] + dt[t][ch] * x[t][ch] * b[t][s]
 *   y[t][ch] = d[ch] * x[t][ch] + sum_s c[t][s] * h[s][ch],
 * where the first token finds @from, which may be h, instead of h. Rows of a, h and from are @ldh apart, those of x, dt and y
 * @ldx, those of b and c @ldb. Rows in one call or in several: the same bits. */
#define TERN_DECL_SSM_SCAN(fn) void fn (float *y, float *h, const float *from, const float *a, gsize ldh, const float *d, \
    const float *x, const float *dt, gsize ldx, const float *b, const float *c, gsize ldb, gsize channels, gsize states, gsize n)
/* One token of one head of Mamba-2: for each state s < @states and channel i < @channels
 *   h[s][i] = decay * from[s][i] + dt * x[i] * b[s],  y[i] = d * x[i] + sum_s c[s] * h[s][i];
 * h and from, which may be h: [states][channels]. */
#define TERN_DECL_SSD_STEP(fn) void fn (float *y, float *h, const float *from, const float *x, const float *b, \
    const float *c, float decay, float dt, float d, gsize channels, gsize states)
/* What the tokens of a chunk are to each other in one head of Mamba-2: for i, j < @n
 *   m[i * ldm + j] = s[i * lds + j] * e^(a[i] - a[j]) * dt[j] for j <= i, else 0
 * where a[i] = high[i] + low[i] does not grow with i: two floats, for differences of large sums to be those of small ones. */
#define TERN_DECL_SSD_MASK(fn) void fn (float *m, gsize ldm, const float *s, gsize lds, const float *high, \
    const float *low, const float *dt, gsize n)

/* What the machine can do at most, for floors beside measured times. Exclusive or of the 64-bit words at @p, @bytes (a
 * multiple of TERN_READ_BYTES, 64-byte aligned), by the widest loads. Exact. */
#define TERN_READ_BYTES 512
#define TERN_DECL_READ(fn) guint64 fn (const guint8 *p, gsize bytes)
/* @rounds times nothing but the instruction that multiplies and adds the most at a time (int8 to int32, or f32), on values
 * in registers, with enough sums to keep its units busy. Returns the multiply-adds done. */
#define TERN_DECL_PEAK(fn) guint64 fn (gsize rounds)

typedef struct {
  TernCpu level;                /* what the best entry needs */

  TERN_DECL_QUANT_I8 ((*quant_i8));
  TERN_DECL_QUANT_I4 ((*quant_i4));
  TERN_DECL_QUANT_Q8 ((*quant_q8));
  const TernTernaryLayout *ternary;     /* what gemm_t2 reads */
  TERN_DECL_PACK_TERNARY ((*pack_ternary));     /* NULL where that is T2 */
  TERN_DECL_GEMM_T2 ((*gemm_t2));
  TERN_DECL_GEMM_T2S ((*gemm_t2s));
  TERN_DECL_GEMM_T2S ((*gemm_t3s));     /* panels of `ternary`; NULL where that is T2 */
  TERN_DECL_HADAMARD ((*hadamard));
  TERN_DECL_GEMM_BLOCKS ((*gemm_blocks[TERN_N_BLOCKS]));
  TERN_DECL_GEMM_F32 ((*gemm_f32));
  TERN_DECL_GEMM_F16 ((*gemm_f16));
  TERN_DECL_GEMM_BF16 ((*gemm_bf16));
  TERN_DECL_GEMM_I8ROW ((*gemm_i8row));
  TERN_DECL_GEMM_I4ROW ((*gemm_i4row));
  TERN_DECL_GEMM_NN ((*gemm_nn));
  TERN_DECL_GEMM_NN_F16 ((*gemm_nn_f16));
  TERN_DECL_GEMM_NN_I8ROW ((*gemm_nn_i8row));
  TERN_DECL_GEMM_NN_I4ROW ((*gemm_nn_i4row));
  TERN_DECL_GEMM_I8P ((*gemm_i8p));
  TERN_DECL_GEMM_BF16P ((*gemm_bf16p));
  TERN_DECL_PACK_I8P ((*pack_i8p));
  TERN_DECL_PACK_BF16P ((*pack_bf16p));
  TERN_DECL_PACK_BF16 ((*pack_bf16));
  gboolean bf16_units;          /* gemm_bf16p is faster than gemm_f32: it has instructions of its own */
  TERN_DECL_PACK_F16 ((*pack_f16));
  TERN_DECL_PACK_I8ROW ((*pack_i8row));
  TERN_DECL_PACK_I4ROW ((*pack_i4row));
  TERN_DECL_RMS_NORM ((*rms_norm));
  TERN_DECL_LAYER_NORM ((*layer_norm));
  TERN_DECL_SOFTMAX ((*softmax));
  TERN_DECL_SOFTMAX_STEP ((*softmax_step));
  TERN_DECL_SOFTMAX_BF16 ((*softmax_bf16));
  TERN_DECL_SOFTMAX_I8 ((*softmax_i8));
  TERN_DECL_SILU_MUL ((*silu_mul));
  TERN_DECL_RELU2_MUL ((*relu2_mul));
  TERN_DECL_SIGMOID_MUL ((*sigmoid_mul));
  TERN_DECL_RELU2 ((*relu2));
  TERN_DECL_GELU ((*gelu_tanh));
  TERN_DECL_GELU ((*gelu_erf));
  TERN_DECL_ADD ((*add));
  TERN_DECL_ROPE ((*rope));
  TERN_DECL_SHORTCONV ((*shortconv));
  TERN_DECL_CONV_SILU ((*conv_silu));
  TERN_DECL_DELTA_RULE ((*delta_rule));
  TERN_DECL_SOFTPLUS ((*softplus));
  TERN_DECL_EXP ((*exp));
  TERN_DECL_SSM_SCAN ((*ssm_scan));
  TERN_DECL_SSD_STEP ((*ssd_step));
  TERN_DECL_SSD_MASK ((*ssd_mask));
  TERN_DECL_READ ((*read));
  TERN_DECL_PEAK ((*peak_i8));
  TERN_DECL_PEAK ((*peak_f32));
} TernKernels;

/* Fills @k with the best versions up to @level. TERN_CPU_SCALAR gives the reference. */
void tern_kernels_init (TernKernels *k, TernCpu level);

/* The process's table, by TERN_CPU, made once. Thread-safe. NULL when TERN_CPU names what this CPU lacks. */
const TernKernels *tern_kernels_default (GError **error);

/* IEEE f16 conversions (f32 -> f16 rounds to nearest even; NaN stays NaN). */
float tern_f16_to_f32 (guint16 h);
guint16 tern_f32_to_f16 (float f);

guint16 tern_f32_to_bf16 (float f);

static inline float
tern_bf16_to_f32 (guint16 h)
{
  union { guint32 u; float f; } v = { (guint32) h << 16 };

  return v.f;
}

G_END_DECLS
