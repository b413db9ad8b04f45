/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, and the Walsh-Hadamard transform. */
#include <math.h>
#include <string.h>

#include "tests/kernels/shapes.h"

/* ---- Products ---------------------------------------------------------------------------------------------------- */

typedef struct {
  gsize groups, ldx, lds;
  guint8 *w;
  gint8 *x;
  gint32 *sum;
  float *scale;
  gint8 *digits;                /* [rows, groups * 128] */
  guint16 *d;                   /* [rows, groups * parts] */
} Scaled;

static void
put_row (const Scaled *m, gsize r, guint parts)
{
  gsize padded = m->groups * TERN_T2_COLS, c, run;
  guint8 *panel = m->w + r / TERN_T2_ROWS * tern_t2s_panel (m->groups, parts), *to = panel + tern_t2s_head (m->groups, parts);

  for (run = 0; run < m->groups * parts; run++)
    memcpy (panel + run * TERN_T2S_RUN + r % TERN_T2_ROWS * 2, &m->d[r * m->groups * parts + run], 2);
  for (c = 0; c < padded; c++) {
    guint8 *byte = to + c / 16 * 64 + r % TERN_T2_ROWS * 4 + c % 4;

    *byte = (*byte & ~(3 << c % 16 / 4 * 2)) | (m->digits[r * padded + c] + 1) << c % 16 / 4 * 2;
  }
}

/* Digits -1 to @top, rows of the largest sums among them; activations at their ends too. */
static void
fill (Scaled *m, const Shape *s, guint parts, gint top)
{
  gsize padded = m->groups * TERN_T2_COLS, r, t, c;

  for (r = 0; r < s->rows; r++) {
    for (c = 0; c < padded; c++)
      m->digits[r * padded + c] = c >= s->cols ? 0 : r % 5 == 4 ? top : (gint) check_below ((guint) top + 2) - 1;
    for (c = 0; c < m->groups * parts; c++)
      m->d[r * m->groups * parts + c] = tern_f32_to_f16 (check_uniform ());
    put_row (m, r, parts);
  }
  for (t = 0; t < s->n; t++) {
    memset (m->sum + t * m->lds, 0, 2 * m->groups * sizeof (gint32));
    for (c = 0; c < padded; c++) {
      gint v = c >= s->cols ? 0 : t % 3 == 2 ? (t % 2 ? 127 : -128) : (gint) check_below (256) - 128;

      m->x[t * m->ldx + c] = v;
      m->sum[t * m->lds + c / TERN_T2S_SUM] += v;
    }
    m->scale[t] = 0.1f * (1 + check_uniform ());
  }
}

/* By the contract; what it comes to in double is as near as the roundings of so many runs allow. */
static float
expected (const Scaled *m, gsize r, gsize t, guint parts)
{
  gsize padded = m->groups * TERN_T2_COLS, width = TERN_T2_COLS / parts, run, c;
  double exact = 0, magnitude = 0;
  float sum = 0;

  for (run = 0; run < m->groups * parts; run++) {
    float d = tern_f16_to_f32 (m->d[r * m->groups * parts + run]);
    gint32 acc = 0;

    for (c = run * width; c < (run + 1) * width; c++)
      acc += m->digits[r * padded + c] * m->x[t * m->ldx + c];
    sum = fmaf ((float) acc, d, sum);
    exact += (double) acc * d;
    magnitude += fabs ((double) acc * d);
  }
  if (fabs (sum - exact) > magnitude * 6e-8 * (double) (m->groups * parts + 1))
    check_fail ("contract: %g is not %g", sum, exact);
  return sum * m->scale[t];
}

/* What has the layout of @k, with the digits of @m, in memory of its own. */
static guint8 *
in_layout (const TernKernels *k, const Scaled *m, gsize rows, gsize cols)
{
  gsize panel = tern_scaled_panel (k->ternary, m->groups, 1), head = tern_scaled_head (k->ternary, m->groups, 1);
  gsize from = tern_t2s_panel (m->groups, 1), from_head = tern_t2s_head (m->groups, 1), digits = from - from_head, r, run;
  guint8 *w = check_buffer (SLOT_W2, tern_scaled_bytes (k->ternary, rows, cols, 1));
  g_autofree guint8 *t2 = g_malloc (k->ternary->rows / TERN_T2_ROWS * digits + 1);

  for (r = 0; r < rows; r += TERN_T2_ROWS) {
    const guint8 *src = m->w + r / TERN_T2_ROWS * from;
    guint8 *dst = w + r / k->ternary->rows * panel;
    guint at = r % k->ternary->rows;

    if (at == 0)
      memset (t2, 0x55, k->ternary->rows / TERN_T2_ROWS * digits);
    memcpy (t2 + at / TERN_T2_ROWS * digits, src + from_head, digits);
    for (run = 0; run < m->groups; run++)
      memcpy (dst + run * 2 * k->ternary->rows + at * 2, src + run * TERN_T2S_RUN, TERN_T2S_RUN);
    k->pack_ternary (dst + head, t2, m->groups);
  }
  return w;
}

/* Panels of T2 of one and of two runs a group, and of the table's layout. */
static void
t2s_shape (const char *name, const Shape *s, const TernKernels *ref, const TernKernels *k)
{
  gsize groups = (s->cols + TERN_T2_COLS - 1) / TERN_T2_COLS, padded = groups * TERN_T2_COLS, r, t;
  guint how;

  for (how = 0; how < (k->gemm_t3s ? 3 : 2); how++) {
    guint parts = how == 1 ? 2 : 1;
    Scaled m = { .groups = groups, .ldx = padded + s->ldx - s->cols, .lds = 2 * groups + parts };
    g_autofree gint8 *digits = g_malloc (s->rows * padded + 1);
    g_autofree guint16 *d = g_new (guint16, s->rows * groups * parts + 1);
    float *got, *want;

    check_shape_case (name, s);
    m.digits = digits;
    m.d = d;
    m.w = check_buffer (SLOT_W, tern_t2s_bytes (s->rows, s->cols, parts));
    m.x = check_buffer (SLOT_X, check_extent (s->n, padded, m.ldx));
    m.scale = check_buffer (SLOT_A, s->n * sizeof (float));
    m.sum = check_buffer (SLOT_B, check_extent (s->n, 2 * groups, m.lds) * sizeof (gint32));
    got = check_new_y (s, SLOT_Y);
    want = check_new_y (s, SLOT_Y2);
    if (how == 2)
      memset (m.w, 0x55, tern_t2s_bytes (s->rows, s->cols, parts));
    fill (&m, s, parts, how == 2 ? 1 : 2);
    for (t = 0; t < s->n; t++)
      for (r = 0; r < s->rows; r++)
        want[t * s->ldy + r] = expected (&m, r, t, parts);
    if (how == 2)
      k->gemm_t3s (got, s->ldy, in_layout (k, &m, s->rows, s->cols), s->rows, groups, parts, m.x, m.ldx, m.scale, m.sum, m.lds,
          s->n);
    else
      k->gemm_t2s (got, s->ldy, m.w, s->rows, groups, parts, m.x, m.ldx, m.scale, m.sum, m.lds, s->n);
    for (t = 0; t < s->n; t++)
      check_equal (got + t * s->ldy, want + t * s->ldy, s->rows);
    check_guards (got, s->n, s->rows, s->ldy);
  }
}

SHAPE_CHECKS (gemm_t2s, t2s_shape)

#define BENCH_COLS 2048
#define BENCH_ROWS 2048

typedef struct {
  guint parts;                  /* 3: the table's layout */
  gsize n;
  guint8 *w;
  gint8 *x;
  gint32 *sum;
  float *scale, *y;
} Bench;

static void
run_t2s (const TernKernels *k, void *data)
{
  const Bench *b = data;

  if (b->parts <= 2)
    k->gemm_t2s (b->y, BENCH_ROWS, b->w, BENCH_ROWS, BENCH_COLS / TERN_T2_COLS, b->parts, b->x, BENCH_COLS, b->scale, b->sum,
        BENCH_COLS / TERN_T2S_SUM, b->n);
  else if (k->gemm_t3s)
    k->gemm_t3s (b->y, BENCH_ROWS, b->w, BENCH_ROWS, BENCH_COLS / TERN_T2_COLS, 1, b->x, BENCH_COLS, b->scale, b->sum,
        BENCH_COLS / TERN_T2S_SUM, b->n);
}

static void
t2s_bench (void)
{
  guint parts, many;

  for (parts = 1; parts <= 3; parts++) {
    for (many = 0; many < 2; many++) {
      gsize n = many ? 128 : 1;
      g_autofree char *what = g_strdup_printf ("gemm_t2s parts=%u n=%zu %u x %u", parts, n, BENCH_ROWS, BENCH_COLS);
      Bench b = { parts, n, g_malloc0 (tern_t2s_bytes (BENCH_ROWS, BENCH_COLS, MIN (parts, 2))), g_malloc0 (n * BENCH_COLS),
        g_new0 (gint32, n * BENCH_COLS / TERN_T2S_SUM), g_new0 (float, n), g_new0 (float, n * BENCH_ROWS) };

      check_bench (what, run_t2s, &b, 2.0 * (double) n * BENCH_ROWS * BENCH_COLS);
      g_free (b.w);
      g_free (b.x);
      g_free (b.sum);
      g_free (b.scale);
      g_free (b.y);
    }
  }
}

/* ---- Transform --------------------------------------------------------------------------------------------------- */

static void
random_signs (float *signs, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    signs[i] = check_below (2) ? 1 : -1;
}

static void
hadamard_case (const TernKernels *ref, const TernKernels *k, gsize block, gsize blocks, guint how)
{
  gsize n = block * blocks;
  float *x, *got, *want, *signs;

  check_case ("hadamard block=%zu blocks=%zu how=%u", block, blocks, how);
  x = check_buffer (SLOT_X, n * sizeof (float));
  got = check_buffer (SLOT_Y, n * sizeof (float));
  want = check_buffer (SLOT_Y2, n * sizeof (float));
  signs = check_buffer (SLOT_A, n * sizeof (float));
  check_floats (x, n, 1e4f);
  random_signs (signs, n);
  ref->hadamard (want, x, how % 3 ? signs : NULL, n, block, how % 3 == 2);
  if (how >= 3) {               /* in place */
    memcpy (got, x, n * sizeof (float));
    k->hadamard (got, got, how % 3 ? signs : NULL, n, block, how % 3 == 2);
  } else {
    k->hadamard (got, x, how % 3 ? signs : NULL, n, block, how % 3 == 2);
  }
  check_equal (got, want, n);
  check_guards (NULL, 0, 0, 0);
}

static void
hadamard_check (const TernKernels *ref, const TernKernels *k)
{
  static const guint blocks[] = { 0, 1, 2, 3, 7 };
  gsize block;
  guint i, how;

  for (block = 1; block <= 4096; block *= 2)
    for (i = 0; i < G_N_ELEMENTS (blocks); i++)
      for (how = 0; how < 6; how++)
        hadamard_case (ref, k, block, blocks[i], how);
}

/* The matrix by its definition, in double; and that it undoes itself. */
static void
hadamard_truth (const TernKernels *ref)
{
  float x[512], y[512], back[512], signs[512];
  gsize block, i, j;

  for (block = 1; block <= 256; block *= 2) {
    check_case ("hadamard by definition, block=%zu", block);
    check_floats (x, 512, 1);
    random_signs (signs, 512);
    ref->hadamard (y, x, signs, 512, block, FALSE);
    ref->hadamard (back, y, signs, 512, block, TRUE);
    for (i = 0; i < 512; i++) {
      double sum = 0;

      for (j = 0; j < block; j++) {
        gsize at = i / block * block + j;

        sum += (__builtin_parityll (i % block & j) ? -1.0 : 1.0) * signs[at] * x[at];
      }
      sum /= sqrt ((double) block);
      if (fabs (y[i] - sum) > 1e-6 * sqrt ((double) block))
        check_fail ("[%zu]: expected %g, found %g", i, sum, y[i]);
      if (fabs (back[i] - x[i]) > 1e-5)
        check_fail ("[%zu]: %g came back as %g", i, x[i], back[i]);
    }
  }
  hadamard_check (ref, ref);
}

static void
run_hadamard (const TernKernels *k, void *data)
{
  static float y[4096];

  k->hadamard (y, data, data, 4096, 1024, FALSE);
}

static void
hadamard_bench (void)
{
  static float x[4096];
  guint i;

  for (i = 0; i < 4096; i++)
    x[i] = check_uniform ();
  check_bench ("hadamard n=4096 block=1024", run_hadamard, x, 4096 * 10);
}

const Kernel scaled_kernels[] = {
  { "gemm_t2s", gemm_t2s_truth, gemm_t2s_check, t2s_bench },
  { "hadamard", hadamard_truth, hadamard_check, hadamard_bench },
  { NULL }
};
