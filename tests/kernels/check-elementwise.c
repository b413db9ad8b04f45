/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Norms, activations and the other kernels on rows. Each is described by one function in double precision. */
#include <math.h>
#include <string.h>

#include "tests/kernels/check.h"

static const guint sizes[] = { 0, 1, 7, 31, 128, 513, 4096 };
static const float eps = 1e-5f;

/* What one kernel takes: its row x (also the output, in place), up to two more rows, and the call. */
typedef struct {
  const char *name;
  void (*run) (const TernKernels *k, float *x, const float *a, const float *b, gsize n);
  void (*exact) (double *x, const float *a, const float *b, gsize n);
  float extreme;
  double rel, abs;              /* of the result; abs for what is small beside its operands */
  gboolean by_largest;          /* abs is in units of the largest result */
} Row;

static void
row_case (const Row *row, const TernKernels *k, guint n, guint repeat)
{
  g_autofree double *exact = g_new (double, n + 1);
  g_autofree float *want = g_new (float, n + 1);
  float *x, *a, *b, largest = 0;
  guint i;

  check_case ("%s n=%u repeat=%u", row->name, n, repeat);
  x = check_buffer (SLOT_Y, n * sizeof (float));
  a = check_buffer (SLOT_A, n * sizeof (float));
  b = check_buffer (SLOT_B, n * sizeof (float));
  check_floats (x, n, repeat % 2 ? row->extreme : 1);
  if (repeat == 2) {            /* the range where the functions bend */
    for (i = 0; i < n; i++)
      x[i] = 12 * check_uniform ();
  }
  if (repeat >= 4 && n)         /* must come out where it went in, or everywhere, but not vanish */
    x[check_below (n)] = repeat == 4 ? NAN : check_below (2) ? INFINITY : -INFINITY;
  check_floats (a, n, 10);
  check_floats (b, n, 10);
  for (i = 0; i < n; i++)
    exact[i] = x[i];
  row->exact (exact, a, b, n);
  for (i = 0; i < n; i++) {
    want[i] = (float) exact[i];
    if (isfinite (want[i]))
      largest = MAX (largest, fabsf (want[i]));
  }
  row->run (k, x, a, b, n);
  check_close (x, want, n, row->rel, row->abs * (row->by_largest ? largest : 1));
  check_guards (NULL, 0, 0, 0);
}

static void
row_check (const Row *row, const TernKernels *k)
{
  guint i, repeat;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (repeat = 0; repeat < 6; repeat++)
      row_case (row, k, sizes[i], repeat);
  }
}

static void
rms_norm_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->rms_norm (x, x, a, n, eps);
}

static void
rms_norm_exact (double *x, const float *a, const float *b, gsize n)
{
  double sum = 0;
  gsize i;

  for (i = 0; i < n; i++)
    sum += x[i] * x[i];
  for (i = 0; i < n; i++)
    x[i] = x[i] * a[i] / sqrt (sum / n + eps);
}

static void
layer_norm_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->layer_norm (x, x, a, b, n, eps);
}

static void
layer_norm_exact (double *x, const float *a, const float *b, gsize n)
{
  double mean = 0, var = 0;
  gsize i;

  for (i = 0; i < n; i++)
    mean += x[i] / n;
  for (i = 0; i < n; i++)
    var += (x[i] - mean) * (x[i] - mean) / n;
  for (i = 0; i < n; i++)
    x[i] = (x[i] - mean) / sqrt (var + eps) * a[i] + b[i];
}

static void
softmax_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  if (n)
    k->softmax (x, n, 0.125f);
}

static void
softmax_exact (double *x, const float *a, const float *b, gsize n)
{
  double max = -INFINITY, sum = 0;
  gsize i;

  for (i = 0; i < n; i++)
    max = MAX (max, x[i] * 0.125);
  for (i = 0; i < n; i++)
    sum += x[i] = exp (x[i] * 0.125 - max);
  for (i = 0; i < n; i++)
    x[i] /= sum;
}

/* The row in two pieces, put together as attention does. */
static void
softmax_step_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  gsize half = n / 3;
  float first = -INFINITY, largest, total, shrink;
  gsize i;

  if (!half)
    return;
  total = k->softmax_step (x, half, 0.125f, &first);
  largest = first;
  shrink = k->softmax_step (x + half, n - half, 0.125f, &largest);
  total = total * expf (first - largest) + shrink;
  for (i = 0; i < n; i++)
    x[i] = x[i] * (i < half ? expf (first - largest) : 1) / total;
}

static void
softmax_step_exact (double *x, const float *a, const float *b, gsize n)
{
  if (n >= 3)
    softmax_exact (x, a, b, n);
}

static void
silu_mul_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->silu_mul (x, a, n);
}

static void
silu_mul_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] / (1 + exp (-x[i])) * a[i];
}

static void
relu2_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->relu2 (x, n);
}

static void
relu2_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] < 0 ? 0 : x[i] * x[i];
}

static void
relu2_mul_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->relu2_mul (x, a, n);
}

static void
relu2_mul_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] <= 0 ? 0 : x[i] * x[i] * a[i];
}

static void
sigmoid_mul_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->sigmoid_mul (x, a, n);
}

static void
sigmoid_mul_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] /= 1 + exp (-(double) a[i]);
}

static void
gelu_tanh_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->gelu_tanh (x, n);
}

static void
gelu_tanh_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = 0.5 * x[i] * (1 + tanh (sqrt (2 / G_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i])));
}

static void
gelu_erf_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->gelu_erf (x, n);
}

static void
gelu_erf_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = 0.5 * x[i] * (1 + erf (x[i] / sqrt (2)));
}

static void
add_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->add (x, a, n);
}

static void
add_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] += a[i];
}

/* The head is the largest even number of values. */
static void
rope_run (const TernKernels *k, float *x, const float *a, const float *b, gsize n)
{
  k->rope (x, a, n & ~(gsize) 1);
}

static void
rope_exact (double *x, const float *a, const float *b, gsize n)
{
  gsize half = n / 2, i;

  for (i = 0; i < half; i++) {
    double p = x[i], q = x[half + i];

    x[i] = p * a[i] - q * a[half + i];
    x[half + i] = q * a[i] + p * a[half + i];
  }
}

enum { RMS_NORM, LAYER_NORM, SOFTMAX, SOFTMAX_STEP, SILU_MUL, RELU2_MUL, RELU2, SIGMOID_MUL, GELU_TANH, GELU_ERF, ADD, ROPE };

static const Row rows[] = {
  { "rms_norm", rms_norm_run, rms_norm_exact, 1e6f, 2e-6, 1e-30 },
  { "layer_norm", layer_norm_run, layer_norm_exact, 1e6f, 1e-5, 1e-6, TRUE },
  { "softmax", softmax_run, softmax_exact, 1e3f, 2e-5, 1e-36 },
  { "softmax_step", softmax_step_run, softmax_step_exact, 1e3f, 2e-5, 1e-36 },
  { "silu_mul", silu_mul_run, silu_mul_exact, 1e6f, 1e-5, 1e-30 },
  { "relu2_mul", relu2_mul_run, relu2_mul_exact, 1e6f, 1e-6, 1e-36 },
  { "relu2", relu2_run, relu2_exact, 1e6f, 1e-6, 1e-36 },
  { "sigmoid_mul", sigmoid_mul_run, sigmoid_mul_exact, 1e6f, 1e-5, 1e-30 },
  { "gelu_tanh", gelu_tanh_run, gelu_tanh_exact, 1e6f, 2e-5, 1e-14 },
  { "gelu_erf", gelu_erf_run, gelu_erf_exact, 1e6f, 2e-5, 1e-14 },
  { "add", add_run, add_exact, 1e6f, 1e-6, 1e-36 },
  { "rope", rope_run, rope_exact, 1e3f, 1e-6, 2e-7, TRUE },
};

#define CHECKS(name, row) \
  static void name##_truth (const TernKernels *ref) { row_check (&rows[row], ref); } \
  static void name##_check (const TernKernels *ref, const TernKernels *k) { row_check (&rows[row], k); }

CHECKS (rms_norm, RMS_NORM)
CHECKS (layer_norm, LAYER_NORM)
CHECKS (softmax, SOFTMAX)
CHECKS (softmax_step, SOFTMAX_STEP)
CHECKS (silu_mul, SILU_MUL)
CHECKS (relu2_mul, RELU2_MUL)
CHECKS (relu2, RELU2)
CHECKS (sigmoid_mul, SIGMOID_MUL)
CHECKS (gelu_tanh, GELU_TANH)
CHECKS (gelu_erf, GELU_ERF)
CHECKS (add, ADD)
CHECKS (rope, ROPE)

/* Several tokens in a row against the sum over all of them: the state must carry what is needed and no more. */
static void
shortconv_case (const TernKernels *k, guint channels, guint l)
{
  enum { TOKENS = 6 };
  g_autofree double *z = g_new0 (double, TOKENS * channels + 1);
  float *bcx, *taps, *convolved, *y, *want, *magnitude;
  guint t, ch, j;

  check_case ("shortconv channels=%u l=%u", channels, l);
  bcx = check_buffer (SLOT_X, 3 * channels * sizeof (float));
  taps = check_buffer (SLOT_W, l * channels * sizeof (float));
  convolved = check_buffer (SLOT_STATE, (l - 1) * channels * sizeof (float));
  y = check_buffer (SLOT_Y, channels * sizeof (float));
  want = check_buffer (SLOT_Y2, channels * sizeof (float));
  magnitude = check_buffer (SLOT_Y3, channels * sizeof (float));
  check_floats (taps, l * channels, 4);
  memset (convolved, 0, (l - 1) * channels * sizeof (float));
  for (t = 0; t < TOKENS; t++) {
    check_floats (bcx, 3 * channels, 100);
    for (ch = 0; ch < channels; ch++) {
      double sum = 0, size = 0;

      z[t * channels + ch] = bcx[ch] * bcx[2 * channels + ch];
      for (j = 0; j < l && j <= t; j++) {
        double p = taps[ch * l + l - 1 - j] * z[(t - j) * channels + ch];

        sum += p;
        size += fabs (p);
      }
      want[ch] = (float) (bcx[channels + ch] * sum);
      magnitude[ch] = (float) fabs (bcx[channels + ch] * size);
    }
    k->shortconv (y, bcx, convolved, taps, channels, l);
    check_within (y, want, magnitude, channels);
    check_guards (NULL, 0, 0, 0);
  }
}

static void
shortconv_truth (const TernKernels *k)
{
  static const guint lengths[] = { 1, 2, 3, 4, 7 };
  float bcx[3] = { 1, 1, 1 }, taps[3] = { 0.5f, -1, 2 }, held[2] = { 0 }, y[3];
  guint i, j;

  check_case ("worked example");        /* u = 1, 2, 3 */
  for (i = 0; i < 3; i++) {
    bcx[2] = i + 1;
    k->shortconv (&y[i], bcx, held, taps, 1, 3);
  }
  if (y[0] != 2 || y[1] != 3 || y[2] != 4.5f)
    check_fail ("expected 2 3 4.5, found %g %g %g", y[0], y[1], y[2]);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (j = 0; j < G_N_ELEMENTS (lengths); j++)
      shortconv_case (k, sizes[i], lengths[j]);
  }
}

static void
shortconv_check (const TernKernels *ref, const TernKernels *k)
{
  shortconv_truth (k);
}

enum { BENCH_N = 3072 };

typedef struct {
  const Row *row;
  float x[BENCH_N], start[BENCH_N], a[BENCH_N], b[BENCH_N];
} RowBench;

static void
run_row (const TernKernels *k, void *data)
{
  RowBench *b = data;

  memcpy (b->x, b->start, sizeof b->x);         /* in place kernels would drift to infinity */
  b->row->run (k, b->x, b->a, b->b, BENCH_N);
}

static void
bench_row (guint index)
{
  g_autofree RowBench *b = g_new0 (RowBench, 1);
  g_autofree char *what = g_strdup_printf ("%s n=%d", rows[index].name, BENCH_N);
  guint i;

  b->row = &rows[index];
  for (i = 0; i < BENCH_N; i++) {
    b->start[i] = 3 * check_uniform ();
    b->a[i] = check_uniform ();
    b->b[i] = check_uniform ();
  }
  check_bench (what, run_row, b, BENCH_N);
}

static void rms_norm_bench (void) { bench_row (RMS_NORM); }
static void layer_norm_bench (void) { bench_row (LAYER_NORM); }
static void softmax_bench (void) { bench_row (SOFTMAX); }
static void softmax_step_bench (void) { bench_row (SOFTMAX_STEP); }
static void silu_mul_bench (void) { bench_row (SILU_MUL); }
static void relu2_mul_bench (void) { bench_row (RELU2_MUL); }
static void relu2_bench (void) { bench_row (RELU2); }
static void sigmoid_mul_bench (void) { bench_row (SIGMOID_MUL); }
static void gelu_tanh_bench (void) { bench_row (GELU_TANH); }
static void gelu_erf_bench (void) { bench_row (GELU_ERF); }
static void add_bench (void) { bench_row (ADD); }
static void rope_bench (void) { bench_row (ROPE); }

static void
run_shortconv (const TernKernels *k, void *data)
{
  RowBench *b = data;

  k->shortconv (b->x, b->start, b->a, b->b, BENCH_N / 3, 3);
}

static void
shortconv_bench (void)
{
  g_autofree RowBench *b = g_new0 (RowBench, 1);

  check_bench ("shortconv channels=1024 l=3", run_shortconv, b, BENCH_N / 3);
}

#define KERNEL(name) { #name, name##_truth, name##_check, name##_bench }

const Kernel elementwise_kernels[] = {
  KERNEL (gelu_tanh), KERNEL (softmax), KERNEL (softmax_step), KERNEL (layer_norm), KERNEL (gelu_erf), KERNEL (silu_mul),
      KERNEL (relu2_mul),
  KERNEL (relu2), KERNEL (sigmoid_mul), KERNEL (rms_norm), KERNEL (add), KERNEL (rope), KERNEL (shortconv), { NULL }
};
