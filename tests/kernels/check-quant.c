/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Activation quantisers and f16 conversions. */
#include <math.h>
#include <string.h>

#include "tests/kernels/check.h"

static const guint sizes[] = { 0, 1, 7, 31, 128, 513, 4096 };

/* Both quantisers of whole rows have one signature. */
typedef TERN_DECL_QUANT_I8 ((*QuantRow));

static void
same_rows (QuantRow ref, QuantRow k, const float *x, gsize n)
{
  gsize padded = (n + TERN_T2_COLS - 1) / TERN_T2_COLS * TERN_T2_COLS;
  gint8 *got = check_buffer (SLOT_Y, padded), *want = check_buffer (SLOT_Y2, padded);
  float scale, want_scale;
  gint32 sum, want_sum;

  ref (want, &want_scale, &want_sum, x, n);
  k (got, &scale, &sum, x, n);
  if (memcmp (got, want, padded))
    check_fail ("other values");
  check_equal (&scale, &want_scale, 1);
  if (sum != want_sum)
    check_fail ("sum: expected %d, found %d", want_sum, sum);
  check_guards (NULL, 0, 0, 0);
}

static void
rows_check (const char *name, QuantRow ref, QuantRow k)
{
  guint i, repeat;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (repeat = 0; repeat < 12; repeat++) {
      float *x;

      check_case ("%s n=%u repeat=%u", name, sizes[i], repeat);
      x = check_buffer (SLOT_X, sizes[i] * sizeof (float));
      check_floats (x, sizes[i], repeat < 6 ? 1 : 1e6f);
      if (repeat == 1)
        memset (x, 0, sizes[i] * sizeof (float));
      if (repeat >= 9 && sizes[i])      /* ties, NaN, infinity */
        x[check_below (sizes[i])] = repeat == 9 ? 127 : repeat == 10 ? NAN : -INFINITY;
      if (repeat == 9) {
        guint j;

        for (j = 0; j < sizes[i]; j++)
          x[j] = x[j] == 127 ? 127 : (float) ((gint) check_below (253) - 126) + 0.5f * check_below (2);
      }
      same_rows (ref, k, x, sizes[i]);
    }
  }
}

static void
i8_check (const TernKernels *ref, const TernKernels *k)
{
  rows_check ("quant_i8", ref->quant_i8, k->quant_i8);
}

static void
i4_check (const TernKernels *ref, const TernKernels *k)
{
  rows_check ("quant_i4", ref->quant_i4, k->quant_i4);
}

/* The case worked by hand in the papers' formula: mean 15/16, root 7 / mean = 2.8221; then ties, in double, and the ends. */
static void
i4_truth (const TernKernels *ref)
{
  static const float worked[] = { 1, -0.5f, 0.25f, 2 }, flat[] = { 1e-7f, -1e-7f };
  static const gint8 expected[] = { 3, -1, 1, 6 };
  gint8 q[5 * TERN_T2_COLS];
  float x[513], scale;
  gint32 sum, total = 0;
  double mean = 0;
  guint i, ends[2] = { 0, 0 };

  check_case ("quant_i4 worked");
  ref->quant_i4 (q, &scale, &sum, worked, G_N_ELEMENTS (worked));
  if (memcmp (q, expected, sizeof expected) || sum != 9 || fabs (scale - 0.9375 / sqrt (7)) > 1e-7)
    check_fail ("found %d %d %d %d times %g", q[0], q[1], q[2], q[3], scale);
  ref->quant_i4 (q, &scale, &sum, flat, G_N_ELEMENTS (flat));
  if (q[0] != 0 || q[1] != 0 || fabs (scale - 1e-5 / sqrt (7)) > 1e-11)
    check_fail ("the least mean: found %d %d times %g", q[0], q[1], scale);

  check_case ("quant_i4 formula");
  check_floats (x, 513, 3);
  for (i = 0; i < 513; i++)
    mean += fabs (x[i]) / 513;
  x[7] = (float) (100 * mean);
  x[8] = (float) (-100 * mean);
  for (i = 0, mean = 0; i < 513; i++)
    mean += fabs (x[i]) / 513;
  ref->quant_i4 (q, &scale, &sum, x, 513);
  for (i = 0; i < 640; i++) {
    double v = i < 513 ? CLAMP (x[i] * sqrt (7) / mean, -8, 7) : 0;

    if (fabs (q[i] - v) > 0.5 + 1e-4)
      check_fail ("[%u]: %g became %d", i, v, q[i]);
    ends[0] += q[i] == -8;
    ends[1] += q[i] == 7;
    total += q[i];
  }
  if (!ends[0] || !ends[1] || fabs (scale * sqrt (7) / mean - 1) > 1e-6 || sum != total)
    check_fail ("scale %g, sum %d", scale, sum);
  i4_check (ref, ref);
}

/* By the published formula, in double, away from ties; then ties by hand. */
static void
i8_truth (const TernKernels *ref)
{
  static const float ties[] = { 127, 2.5f, 3.5f, -2.5f, -0.5f, 0.5f, 1.5f, 126.5f };
  static const gint8 even[] = { 127, 2, 4, -2, 0, 0, 2, 126 };
  gint8 q[5 * TERN_T2_COLS];
  float x[513], scale;
  gint32 sum, total = 0;
  double max = 1e-5;
  guint i;

  check_case ("quant_i8 formula");
  check_floats (x, 513, 3);
  for (i = 0; i < 513; i++)
    max = MAX (max, fabs (x[i]));
  ref->quant_i8 (q, &scale, &sum, x, 513);
  for (i = 0; i < 640; i++) {
    double v = i < 513 ? x[i] * 127.0 / max : 0;

    if (fabs (q[i] - v) > 0.5 + 1e-4)
      check_fail ("[%u]: %g became %d", i, v, q[i]);
    total += q[i];
  }
  if (fabs (scale * 127.0 / max - 1) > 1e-6 || sum != total)
    check_fail ("scale %g, sum %d", scale, sum);

  check_case ("quant_i8 ties");
  ref->quant_i8 (q, &scale, &sum, ties, G_N_ELEMENTS (ties));
  if (memcmp (q, even, sizeof even) || scale != 1)
    check_fail ("ties do not go to even");
  i8_check (ref, ref);
}

static void
q8_check (const TernKernels *ref, const TernKernels *k)
{
  static const guint blocks[] = { 0, 1, 2, 3, 16, 129 };
  guint i, repeat, b;

  for (i = 0; i < G_N_ELEMENTS (blocks); i++) {
    for (repeat = 0; repeat < 12; repeat++) {
      gsize n = blocks[i] * 32;
      TernQ8Block *got, *want;
      float *x;

      check_case ("quant_q8 n=%zu repeat=%u", n, repeat);
      x = check_buffer (SLOT_X, n * sizeof (float));
      got = check_buffer (SLOT_Y, blocks[i] * sizeof *got);
      want = check_buffer (SLOT_Y2, blocks[i] * sizeof *got);
      check_floats (x, n, repeat < 6 ? 1 : 1e6f);
      if (repeat < 2)
        memset (x, 0, n * sizeof (float));
      if (repeat == 1 && n)
        x[check_below (n)] = 1e-31f;    /* counts as nothing */
      if (repeat >= 10 && n)
        x[check_below (n)] = repeat == 10 ? NAN : INFINITY;
      ref->quant_q8 (want, x, n);
      k->quant_q8 (got, x, n);
      for (b = 0; b < blocks[i]; b++) {
        check_equal (&got[b].d, &want[b].d, 1);
        if (got[b].sum != want[b].sum || got[b].half != want[b].half || memcmp (got[b].q, want[b].q, 32))
          check_fail ("block %u differs", b);
      }
      check_guards (NULL, 0, 0, 0);
    }
  }
}

static void
f16_truth (void)
{
  guint h;

  check_case ("f16");
  for (h = 0; h < 65536; h++) {
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31 ? (m ? NAN : INFINITY) : e ? ldexp (1024 + m, e - 25) : ldexp (m, -24);
    float f = tern_f16_to_f32 (h), next;

    v = h & 0x8000 ? -v : v;
    if (isnan (v) ? !isnan (f) : f != (float) v)
      check_fail ("%04x: expected %g, found %g", h, v, f);
    if (isnan (v) ? !isnan (tern_f16_to_f32 (tern_f32_to_f16 (f))) : tern_f32_to_f16 (f) != h)
      check_fail ("%04x does not come back", h);
    if ((h & 0x7fff) >= 0x7bff)
      continue;
    next = tern_f16_to_f32 (h + 1);     /* half way goes to the even one, a hair beyond does not */
    if (tern_f32_to_f16 ((f + next) / 2) != (h & 1 ? h + 1 : h))
      check_fail ("%04x: half way to the next one is not rounded to even", h);
    if (tern_f32_to_f16 (nextafterf ((f + next) / 2, next)) != h + 1)
      check_fail ("%04x: more than half way is not rounded up", h);
  }
  if (tern_f32_to_f16 (65519.996f) != 0x7bff || tern_f32_to_f16 (65520.0f) != 0x7c00
      || tern_f32_to_f16 (-1e9f) != 0xfc00 || tern_f32_to_f16 (0x1p-25f) != 0 || tern_f32_to_f16 (0x1.000002p-25f) != 1)
    check_fail ("ends of the range");
}

static void
q8_truth (const TernKernels *ref)
{
  TernQ8Block q[4];
  float x[128];
  guint b, i;

  check_case ("quant_q8 formula");
  check_floats (x, 128, 50);
  ref->quant_q8 (q, x, 128);
  for (b = 0; b < 4; b++) {
    double max = 0;
    gint32 sum = 0, half = 0;

    for (i = 0; i < 32; i++)
      max = MAX (max, fabs (x[b * 32 + i]));
    for (i = 0; i < 32; i++) {
      if (fabs (x[b * 32 + i] - q[b].d * (double) q[b].q[i]) > max / 127 * 0.501)
        check_fail ("block %u, %u: %g became %g", b, i, x[b * 32 + i], q[b].d * (double) q[b].q[i]);
      sum += q[b].q[i];
      half += i < 16 ? q[b].q[i] : 0;
    }
    if (fabs (q[b].d * 127.0 / max - 1) > 1e-6 || q[b].sum != sum || q[b].half != half)
      check_fail ("block %u: d %g, sum %d", b, q[b].d, q[b].sum);
  }
  q8_check (ref, ref);
  f16_truth ();
}

static void
run_i8 (const TernKernels *k, void *data)
{
  static gint8 q[2048];
  float scale;
  gint32 sum;

  k->quant_i8 (q, &scale, &sum, data, 2048);
}

static void
run_i4 (const TernKernels *k, void *data)
{
  static gint8 q[2048];
  float scale;
  gint32 sum;

  k->quant_i4 (q, &scale, &sum, data, 2048);
}

static void
run_q8 (const TernKernels *k, void *data)
{
  static TernQ8Block q[2048 / 32];

  k->quant_q8 (q, data, 2048);
}

static void
bench_quant (const char *what, BenchRun run)
{
  float x[2048];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (x); i++)
    x[i] = check_uniform ();
  check_bench (what, run, x, G_N_ELEMENTS (x));
}

static void i8_bench (void) { bench_quant ("quant_i8 n=2048", run_i8); }
static void i4_bench (void) { bench_quant ("quant_i4 n=2048", run_i4); }
static void q8_bench (void) { bench_quant ("quant_q8 n=2048", run_q8); }

const Kernel quant_kernels[] = {
  { "quant_i8", i8_truth, i8_check, i8_bench },
  { "quant_i4", i4_truth, i4_check, i4_bench },
  { "quant_q8", q8_truth, q8_check, q8_bench },
  { NULL }
};
