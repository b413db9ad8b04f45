/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Products of block-quantised rows: the unpacked values against what another program makes of the same bytes, the
 * products against sums of those values in double precision. */
#include <math.h>
#include <string.h>

#include "tests/kernels/shapes.h"
#include "tests/kernels/unpack-data.h"

/* Where blocks have their f16 scales; -1: no second one. */
static const gint scale_at[TERN_N_BLOCKS][2] = {
  [TERN_BLOCKS_Q8_0] = { 0, -1 }, [TERN_BLOCKS_Q4_0] = { 0, -1 }, [TERN_BLOCKS_Q4_1] = { 0, 2 },
  [TERN_BLOCKS_Q5_0] = { 0, -1 }, [TERN_BLOCKS_Q5_1] = { 0, 2 }, [TERN_BLOCKS_IQ4_NL] = { 0, -1 },
  [TERN_BLOCKS_Q2_K] = { 80, 82 }, [TERN_BLOCKS_Q3_K] = { 108, -1 }, [TERN_BLOCKS_Q4_K] = { 0, 2 },
  [TERN_BLOCKS_Q5_K] = { 0, 2 }, [TERN_BLOCKS_Q6_K] = { 208, -1 }, [TERN_BLOCKS_IQ4_XS] = { 0, -1 },
};

static void
unpack_truth (TernBlocks type)
{
  guint n = unpack_data[type].n, i;
  TernUnpacked out[8];

  check_case ("unpack %s", unpack_data[type].name);
  tern_blocks_unpack (type, out, unpack_data[type].bytes, n / 32);
  for (i = 0; i < n; i++) {
    const TernUnpacked *u = &out[i / 32];
    float v = u->d[i % 32 / 16] * (float) u->q[i % 32] + u->m[i % 32 / 16];

    if (v != unpack_data[type].floats[i])
      check_fail ("[%u]: expected %.9g, found %.9g", i, unpack_data[type].floats[i], v);
  }
}

/* Any bytes, but scales that a finite result can come from; @nan: one of them is not a number now and then. */
static void
fill_row (TernBlocks type, guint8 *w, gsize bytes, gboolean nan)
{
  static const float odd[] = { 0.0f, -0.0f, 6e-8f, -3e-5f, 65504.0f, -1000.0f };
  gsize step = tern_blocks_bytes (type), b, i;
  guint kind = check_below (8), k;

  for (i = 0; i < bytes; i++)
    w[i] = kind == 0 ? 0xff : kind == 1 ? 0x80 : kind == 2 ? 0 : check_random ();
  for (b = 0; b + step <= bytes; b += step) {
    for (k = 0; k < 2; k++) {
      float d = check_below (8) ? check_uniform () : odd[check_below (G_N_ELEMENTS (odd))];
      guint16 half = GUINT16_TO_LE (tern_f32_to_f16 (nan && check_below (8) == 0 ? NAN : d));

      if (scale_at[type][k] >= 0)
        memcpy (w + b + scale_at[type][k], &half, sizeof half);
    }
  }
}

static void
exact_blocks (TernBlocks type, const Shape *s, float *y, float *magnitude, const guint8 *w, gsize row_bytes,
    const TernQ8Block *x, gsize ldx)
{
  gsize blocks = s->cols / 32, r, t, b;
  g_autofree TernUnpacked *row = g_new (TernUnpacked, blocks + 1);
  guint i;

  for (r = 0; r < s->rows; r++) {
    tern_blocks_unpack (type, row, w + r * row_bytes, blocks);
    for (t = 0; t < s->n; t++) {
      double sum = 0, size = 0;

      for (b = 0; b < blocks; b++) {
        const TernQ8Block *q = &x[t * ldx + b];

        for (i = 0; i < 32; i++) {
          double d = (double) row[b].d[i / 16] * row[b].q[i] * q->q[i], m = (double) row[b].m[i / 16] * q->q[i];

          sum += q->d * (d + m);
          size += fabs (q->d * d) + fabs (q->d * m);
        }
      }
      y[t * s->ldy + r] = (float) sum;
      magnitude[t * s->ldy + r] = (float) size;
    }
  }
}

static void
blocks_shape (TernBlocks type, const Shape *s, const TernKernels *ref, const TernKernels *k)
{
  gsize blocks = s->cols / 32, bytes = s->cols / tern_blocks_values (type) * tern_blocks_bytes (type);
  gsize row_bytes = bytes + s->ldw, ldx = blocks + s->ldx, r, t, i;
  g_autofree float *row = g_new (float, s->cols + 1);
  float *got, *want, *magnitude;
  TernQ8Block *x;
  guint many;
  guint8 *w;

  check_case ("%s rows=%zu cols=%zu n=%zu", unpack_data[type].name, s->rows, s->cols, s->n);
  w = check_buffer (SLOT_W, check_extent (s->rows, bytes, row_bytes));
  x = check_buffer (SLOT_X, check_extent (s->n, blocks, ldx) * sizeof *x);
  got = check_new_y (s, SLOT_Y);
  want = check_new_y (s, SLOT_Y2);
  magnitude = check_new_y (s, SLOT_Y3);
  for (r = 0; r < s->rows; r++)
    fill_row (type, w + r * row_bytes, bytes, check_below (16) == 0);
  for (t = 0; t < s->n; t++) {
    check_floats (row, s->cols, 1e3f);
    for (i = 0; i < s->cols && check_below (8) == 0; i++)
      row[i] = check_below (2) ? 1 : -1;
    if (s->cols && check_below (32) == 0)
      row[check_below (s->cols)] = NAN;
    ref->quant_q8 (x + t * ldx, row, s->cols);
  }
  exact_blocks (type, s, want, magnitude, w, row_bytes, x, ldx);
  for (many = 0; many < 2; many++) {
    k->gemm_blocks[type] (got, s->ldy, w, row_bytes, s->rows, blocks, x, ldx, s->n, many);
    check_product (s, got, want, magnitude);
  }
}

static void
blocks_check (TernBlocks type, const TernKernels *ref, const TernKernels *k)
{
  static const guint row_counts[] = { 1, 3, 4, 17, 33 }, counts[] = { 1, 2, 3, 4, 5, 7, 9, 13, 50 };
  static const guint small[] = { 0, 1, 2, 3, 5, 16, 17, 65, 130 }, large[] = { 0, 1, 2, 3, 9 };
  gboolean wide = tern_blocks_values (type) == 256;
  guint n_depths = wide ? G_N_ELEMENTS (large) : G_N_ELEMENTS (small), d, r, t;

  for (d = 0; d < n_depths; d++) {
    for (r = 0; r < G_N_ELEMENTS (row_counts); r++) {
      for (t = 0; t < G_N_ELEMENTS (counts); t++) {
        Shape s = { row_counts[r], (wide ? large[d] * 8 : small[d]) * 32, counts[t] };

        if (s.rows * s.cols * s.n > SCALAR_WORK || (check_is_slow () && (d + r + t) % 3)
            || check_leaves_out ())
          continue;
        s.ldy = s.rows + check_below (9);
        s.ldw = check_below (9);
        s.ldx = check_below (3);
        blocks_shape (type, &s, ref, k);
      }
    }
  }
}

typedef struct {
  TernBlocks type;
  gsize rows, cols, n;
  guint8 *w;
  TernQ8Block *x;
  float *y;
} Bench;

static void
run_blocks (const TernKernels *k, void *data)
{
  Bench *b = data;
  gsize row_bytes = b->cols / tern_blocks_values (b->type) * tern_blocks_bytes (b->type);

  k->gemm_blocks[b->type] (b->y, b->rows, b->w, row_bytes, b->rows, b->cols / 32, b->x, b->cols / 32, b->n,
      b->n > 4);
}

static void
bench_one (TernBlocks type, gsize rows, gsize cols, gsize n)
{
  g_autofree char *what = g_strdup_printf ("gemm %s n=%zu rows=%zu cols=%zu", unpack_data[type].name, n, rows, cols);
  Bench b = { type, rows, cols, n, g_malloc (2 * rows * cols), g_new0 (TernQ8Block, n * cols / 32),
    g_new (float, rows * n) };

  memset (b.w, 0x11, 2 * rows * cols);
  check_bench (what, run_blocks, &b, 2.0 * rows * cols * n);
  g_free (b.w);
  g_free (b.x);
  g_free (b.y);
}

static void
bench_blocks (TernBlocks type)
{
  bench_one (type, 1024, 1024, 1);
  bench_one (type, 1024, 1024, 4);
  bench_one (type, 1024, 1024, 16);
  bench_one (type, 1024, 1024, 128);
  if (type == TERN_BLOCKS_Q8_0)         /* the vision tower's */
    bench_one (type, 768, 192, 196);
}

#define BLOCKS(name, type) \
  static void name##_truth (const TernKernels *ref) \
  { unpack_truth (TERN_BLOCKS_##type); blocks_check (TERN_BLOCKS_##type, ref, ref); } \
  static void name##_check (const TernKernels *ref, const TernKernels *k) \
  { blocks_check (TERN_BLOCKS_##type, ref, k); } \
  static void name##_bench (void) { bench_blocks (TERN_BLOCKS_##type); }
#define KERNEL(name) { "gemm_" #name, name##_truth, name##_check, name##_bench }

BLOCKS (q8_0, Q8_0)
BLOCKS (q4_0, Q4_0)
BLOCKS (q4_1, Q4_1)
BLOCKS (q5_0, Q5_0)
BLOCKS (q5_1, Q5_1)
BLOCKS (iq4_nl, IQ4_NL)
BLOCKS (q2_k, Q2_K)
BLOCKS (q3_k, Q3_K)
BLOCKS (q4_k, Q4_K)
BLOCKS (q5_k, Q5_K)
BLOCKS (q6_k, Q6_K)
BLOCKS (iq4_xs, IQ4_XS)

const Kernel block_kernels[] = {
  KERNEL (q8_0), KERNEL (q4_0), KERNEL (q4_1), KERNEL (q5_0), KERNEL (q5_1), KERNEL (iq4_nl), KERNEL (q2_k),
  KERNEL (q3_k), KERNEL (q4_k), KERNEL (q5_k), KERNEL (q6_k), KERNEL (iq4_xs), { NULL }
};
