/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernels of state-space layers. Each is described by one function in double precision; what has a state goes through
 * several tokens, at once and in pieces. */
#include <math.h>
#include <string.h>

#include "tests/kernels/check.h"

static const guint widths[] = { 0, 1, 3, 7, 16, 33, 64, 97 };

/* ---- On one row -------------------------------------------------------------------------------------------------- */

/* Where the function bends, where e^x is 0 or infinite, and what is no number. */
static void
fill_exponents (float *x, guint n, guint repeat)
{
  static const float special[] = { 0.0f, -0.0f, 97.3f, -97.3f, 120.0f, -120.0f, 1e30f, -1e30f, NAN, INFINITY, -INFINITY };

  for (guint i = 0; i < n; i++)
    x[i] = repeat == 0 ? 4 * check_uniform () : repeat == 1 ? 25 * check_uniform ()
        : special[check_below (G_N_ELEMENTS (special))];
}

static void
softplus_case (const TernKernels *k, guint n, guint repeat)
{
  g_autofree float *want = g_new (float, n + 1);
  float *x, *bias;

  check_case ("softplus n=%u repeat=%u", n, repeat);
  x = check_buffer (SLOT_X, n * sizeof *x);
  bias = check_buffer (SLOT_A, n * sizeof *bias);
  fill_exponents (x, n, repeat);
  for (guint i = 0; i < n; i++) {
    double v;

    bias[i] = repeat == 2 ? 0 : check_uniform ();
    v = (double) (x[i] + bias[i]);
    want[i] = (float) (v > 40 ? v : log1p (exp (v)));
  }
  k->softplus (x, bias, n);
  check_close (x, want, n, 1e-6, 1e-37);
  check_guards (NULL, 0, 0, 0);
}

static void
softplus_truth (const TernKernels *k)
{
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint repeat = 0; repeat < 4; repeat++)
      softplus_case (k, widths[i], repeat);
}

static void
softplus_check (const TernKernels *ref, const TernKernels *k)
{
  softplus_truth (k);
}

static void
exp_case (const TernKernels *k, guint n, guint repeat)
{
  g_autofree float *want = g_new (float, n + 1);
  float *x;

  check_case ("exp n=%u repeat=%u", n, repeat);
  x = check_buffer (SLOT_X, n * sizeof *x);
  fill_exponents (x, n, repeat);
  for (guint i = 0; i < n; i++)
    want[i] = (float) exp (x[i]);
  k->exp (x, n);
  check_close (x, want, n, 1e-6, 1e-37);
  check_guards (NULL, 0, 0, 0);
}

static void
exp_truth (const TernKernels *k)
{
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint repeat = 0; repeat < 4; repeat++)
      exp_case (k, widths[i], repeat);
}

static void
exp_check (const TernKernels *ref, const TernKernels *k)
{
  exp_truth (k);
}

/* ---- Mamba-1 ----------------------------------------------------------------------------------------------------- */

enum { TOKENS = 9 };

/* Rows are further apart than they are wide; the last one has nothing behind it. */
static gsize
span (guint rows, gsize ld, gsize width)
{
  return rows ? ((rows - 1) * ld + width) * sizeof (float) : 0;
}

static float *
copy_of (const float *from, gsize bytes)
{
  float *to = g_malloc (bytes + 1);

  memcpy (to, from, bytes);
  return to;
}

typedef struct {
  guint channels, states;
  gsize ldh, ldx, ldb;
  float *h, *from, *a, *d, *x, *dt, *b, *c, *y;
} Scan;

static void
scan_run (const TernKernels *k, const Scan *s, guint first, guint n)
{
  k->ssm_scan (s->y + first * s->ldx, s->h, first ? s->h : s->from, s->a, s->ldh, s->d, s->x + first * s->ldx,
      s->dt + first * s->ldx, s->ldx, s->b + first * s->ldb, s->c + first * s->ldb, s->ldb, s->channels, s->states, n);
}

/* The state goes on in doubles; what is compared is y and the last state. */
static void
scan_verify (const TernKernels *k, const Scan *s, const float *start)
{
  gsize held = (gsize) s->states * s->ldh;
  g_autofree double *h = g_new (double, held + 1), *most = g_new (double, held + 1);   /* and of its parts */
  g_autofree float *whole = NULL, *end = NULL;

  scan_run (k, s, 0, TOKENS);
  for (gsize i = 0; i < held; i++)
    most[i] = fabs (h[i] = start[i]);
  for (guint t = 0; t < TOKENS; t++)
    for (guint ch = 0; ch < s->channels; ch++) {
      double x = s->x[t * s->ldx + ch], dt = s->dt[t * s->ldx + ch], sum = s->d[ch] * x, size = fabs (sum);

      for (guint n = 0; n < s->states; n++) {
        gsize at = n * s->ldh + ch;
        double decay = exp (dt * s->a[at]), in = dt * x * s->b[t * s->ldb + n], c = s->c[t * s->ldb + n];

        h[at] = decay * h[at] + in;
        most[at] = decay * most[at] + fabs (in);
        sum += c * h[at];
        size += fabs (c) * most[at];
      }
      if (!(fabs (s->y[t * s->ldx + ch] - sum) <= 1e-5 * size + 1e-30))
        check_fail ("[%u][%u]: expected %.9g, found %.9g", t, ch, sum, s->y[t * s->ldx + ch]);
    }
  for (guint n = 0; n < s->states; n++)
    for (guint ch = 0; ch < s->channels; ch++)
      if (!(fabs (s->h[n * s->ldh + ch] - h[n * s->ldh + ch]) <= 1e-5 * most[n * s->ldh + ch] + 1e-30))
        check_fail ("state [%u][%u]: expected %.9g, found %.9g", n, ch, h[n * s->ldh + ch], s->h[n * s->ldh + ch]);
  check_guards (s->y, TOKENS, s->channels, s->ldx);

  whole = copy_of (s->y, span (TOKENS, s->ldx, s->channels));
  end = copy_of (s->h, span (s->states, s->ldh, s->channels));
  memcpy (s->h, start, span (s->states, s->ldh, s->channels));
  for (guint t = 0; t < TOKENS; t += 2)
    scan_run (k, s, t, MIN (2, TOKENS - t));
  for (guint t = 0; t < TOKENS; t++)
    check_equal (s->y + t * s->ldx, whole + t * s->ldx, s->channels);
  for (guint n = 0; n < s->states; n++)
    check_equal (s->h + n * s->ldh, end + n * s->ldh, s->channels);
}

static void
scan_case (const TernKernels *k, guint channels, guint states)
{
  Scan s = { channels, states, channels + 3, channels + 2, states + 1 };
  g_autofree float *start = g_new0 (float, states * s.ldh + 1), *elsewhere = NULL;

  check_case ("ssm_scan channels=%u states=%u", channels, states);
  s.h = check_buffer (SLOT_STATE, span (states, s.ldh, channels));
  s.a = check_buffer (SLOT_A, span (states, s.ldh, channels));
  s.d = check_buffer (SLOT_W, channels * sizeof (float));
  s.x = check_buffer (SLOT_X, span (TOKENS, s.ldx, channels));
  s.dt = check_buffer (SLOT_X2, span (TOKENS, s.ldx, channels));
  s.b = check_buffer (SLOT_B, span (TOKENS, s.ldb, states));
  s.c = check_buffer (SLOT_W2, span (TOKENS, s.ldb, states));
  s.y = check_buffer (SLOT_Y, span (TOKENS, s.ldx, channels));
  check_floats (s.d, channels, 2);
  for (guint t = 0; t < TOKENS; t++) {
    check_floats (s.x + t * s.ldx, channels, 10);
    check_floats (s.b + t * s.ldb, states, 10);
    check_floats (s.c + t * s.ldb, states, 10);
    for (guint ch = 0; ch < channels; ch++)     /* now and then the state is forgotten at once */
      s.dt[t * s.ldx + ch] = check_below (8) ? expf (4 * check_uniform () - 3) : 97;
  }
  for (guint n = 0; n < states; n++) {
    check_floats (start + n * s.ldh, channels, 10);
    memcpy (s.h + n * s.ldh, start + n * s.ldh, channels * sizeof (float));
    for (guint ch = 0; ch < channels; ch++)
      s.a[n * s.ldh + ch] = -expf (3 * check_uniform ());
  }
  s.from = s.h;
  scan_verify (k, &s, start);
  s.from = elsewhere = copy_of (start, states * s.ldh * sizeof (float));
  scan_verify (k, &s, start);
}

static const guint state_sizes[] = { 1, 3, 16, 21 };

static void
ssm_scan_truth (const TernKernels *k)
{
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (state_sizes); j++)
      if (!check_leaves_out ())
        scan_case (k, widths[i], state_sizes[j]);
}

static void
ssm_scan_check (const TernKernels *ref, const TernKernels *k)
{
  ssm_scan_truth (k);
}

/* ---- Mamba-2 ----------------------------------------------------------------------------------------------------- */

/* In place, or from @start to another place. */
static void
step_case (const TernKernels *k, guint channels, guint states, float decay, gboolean in_place)
{
  float *h, *x, *b, *c, *y, dt = 0.5f + check_uniform () / 2, d = check_uniform ();
  g_autofree float *start = NULL;

  check_case ("ssd_step channels=%u states=%u decay=%g", channels, states, decay);
  h = check_buffer (SLOT_STATE, channels * states * sizeof *h);
  x = check_buffer (SLOT_X, channels * sizeof *x);
  b = check_buffer (SLOT_B, states * sizeof *b);
  c = check_buffer (SLOT_A, states * sizeof *c);
  y = check_buffer (SLOT_Y, channels * sizeof *y);
  check_floats (h, channels * states, 10);
  check_floats (x, channels, 10);
  check_floats (b, states, 10);
  check_floats (c, states, 10);
  start = copy_of (h, channels * states * sizeof *h);
  if (!in_place)
    memset (h, 0, channels * states * sizeof *h);
  k->ssd_step (y, h, in_place ? h : start, x, b, c, decay, dt, d, channels, states);
  for (guint i = 0; i < channels; i++) {
    double sum = (double) d * x[i], size = fabs (sum);

    for (guint s = 0; s < states; s++) {
      double old = (double) decay * start[s * channels + i], in = (double) dt * x[i] * b[s], p = c[s] * (old + in);

      if (!(fabs (h[s * channels + i] - (old + in)) <= 1e-6 * (fabs (old) + fabs (in)) + 1e-37))
        check_fail ("state [%u][%u]: expected %.9g, found %.9g", s, i, old + in, h[s * channels + i]);
      sum += p;
      size += fabs (c[s]) * (fabs (old) + fabs (in));
    }
    if (!(fabs (y[i] - sum) <= 1e-5 * size + 1e-37))
      check_fail ("[%u]: expected %.9g, found %.9g", i, sum, y[i]);
  }
  check_guards (NULL, 0, 0, 0);
}

static void
ssd_step_truth (const TernKernels *k)
{
  static const float decays[] = { 0, 1, 0.9f };

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (state_sizes); j++)
      for (guint r = 0; r < G_N_ELEMENTS (decays); r++)
        step_case (k, widths[i], state_sizes[j], decays[r], (i + j + r) % 2);
}

static void
ssd_step_check (const TernKernels *ref, const TernKernels *k)
{
  ssd_step_truth (k);
}

/* Sums that fall by @most at a step, at most: with large steps before, small differences must still be right. */
static void
mask_case (const TernKernels *k, guint n, float most)
{
  g_autofree double *a = g_new (double, n + 1);
  gsize lds = n + 3, ldm = n + 5;
  float *s, *m, *high, *low, *dt;
  double sum = 0;

  check_case ("ssd_mask n=%u most=%g", n, most);
  s = check_buffer (SLOT_X, span (n, lds, n));
  m = check_buffer (SLOT_Y, span (n, ldm, n));
  high = check_buffer (SLOT_A, n * sizeof *high);
  low = check_buffer (SLOT_B, n * sizeof *low);
  dt = check_buffer (SLOT_W, n * sizeof *dt);
  for (guint i = 0; i < n; i++) {
    check_floats (s + i * lds, n, 10);
    dt[i] = expf (5 * check_uniform ());
    sum -= check_below (3) ? 1e-3 * (1 + check_uniform ()) : most * (1 + check_uniform ()) / 2;
    high[i] = (float) sum;
    low[i] = (float) (sum - high[i]);
    a[i] = (double) high[i] + low[i];
  }
  k->ssd_mask (m, ldm, s, lds, high, low, dt, n);
  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < n; j++) {
      double want = j > i ? 0 : s[i * lds + j] * exp (a[i] - a[j]) * dt[j];

      if (!(fabs (m[i * ldm + j] - want) <= 1e-5 * fabs (want) + 1e-36))
        check_fail ("[%u][%u]: expected %.9g, found %.9g", i, j, want, m[i * ldm + j]);
    }
  check_guards (m, n, n, ldm);
}

static void
ssd_mask_truth (const TernKernels *k)
{
  static const float most[] = { 0, 1, 100 };

  for (guint i = 0; i < G_N_ELEMENTS (widths); i++)
    for (guint j = 0; j < G_N_ELEMENTS (most); j++)
      mask_case (k, widths[i], most[j]);
}

static void
ssd_mask_check (const TernKernels *ref, const TernKernels *k)
{
  ssd_mask_truth (k);
}

/* ---- Speed ------------------------------------------------------------------------------------------------------- */

enum { BENCH_CHANNELS = 64, BENCH_STATES = 128, BENCH_TOKENS = 64, BENCH_FLOATS = BENCH_CHANNELS * BENCH_STATES };

typedef struct {
  float h[BENCH_FLOATS], a[BENCH_FLOATS], x[BENCH_FLOATS], y[BENCH_FLOATS], b[BENCH_FLOATS], c[BENCH_FLOATS];
} Bench;

static void
bench (const char *what, BenchRun run, double work)
{
  g_autofree Bench *s = g_new0 (Bench, 1);

  for (guint i = 0; i < BENCH_FLOATS; i++) {
    s->a[i] = -1 - check_uniform () / 2;
    s->x[i] = check_uniform ();
    s->b[i] = fabsf (check_uniform ());
    s->c[i] = check_uniform ();
  }
  check_bench (what, run, s, work);
}

static void
run_softplus (const TernKernels *k, void *data)
{
  Bench *s = data;

  memcpy (s->y, s->x, sizeof s->y);
  k->softplus (s->y, s->c, BENCH_FLOATS);
}

static void
softplus_bench (void)
{
  bench ("softplus n=8192", run_softplus, BENCH_FLOATS);
}

static void
run_exp (const TernKernels *k, void *data)
{
  Bench *s = data;

  memcpy (s->y, s->x, sizeof s->y);
  k->exp (s->y, BENCH_FLOATS);
}

static void
exp_bench (void)
{
  bench ("exp n=8192", run_exp, BENCH_FLOATS);
}

static void
run_ssm_scan (const TernKernels *k, void *data)
{
  Bench *s = data;

  k->ssm_scan (s->y, s->h, s->h, s->a, 64, s->c, s->x, s->b, 64, s->c, s->c, 16, 64, 16, BENCH_TOKENS);
}

static void
ssm_scan_bench (void)
{
  bench ("ssm_scan channels=64 states=16 n=64", run_ssm_scan, 64 * 16 * BENCH_TOKENS);
}

static void
run_ssd_step (const TernKernels *k, void *data)
{
  Bench *s = data;

  k->ssd_step (s->y, s->h, s->h, s->x, s->b, s->c, 0.9f, 0.5f, 1, BENCH_CHANNELS, BENCH_STATES);
}

static void
ssd_step_bench (void)
{
  bench ("ssd_step channels=64 states=128", run_ssd_step, 2 * BENCH_FLOATS);
}

static void
run_ssd_mask (const TernKernels *k, void *data)
{
  Bench *s = data;

  k->ssd_mask (s->y, 64, s->x, 64, s->b, s->c, s->c, BENCH_TOKENS);
}

static void
ssd_mask_bench (void)
{
  bench ("ssd_mask n=64", run_ssd_mask, BENCH_TOKENS * BENCH_TOKENS / 2);
}

#define KERNEL(name) { #name, name##_truth, name##_check, name##_bench }

const Kernel ssm_kernels[] = {
  KERNEL (softplus), KERNEL (exp), KERNEL (ssm_scan), KERNEL (ssd_step), KERNEL (ssd_mask), { NULL }
};
