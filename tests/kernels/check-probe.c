/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What measures the machine: reads see every byte, and work is counted for what it is. */
#include "tests/kernels/check.h"

static void
check_read (const TernKernels *k)
{
  for (guint n = 0; n <= 5; n++) {
    guint64 *words, want = 0;

    check_case ("read of %u bytes", n * TERN_READ_BYTES);
    words = check_buffer (SLOT_X, n * TERN_READ_BYTES);
    for (guint i = 0; i < n * TERN_READ_BYTES / sizeof *words; i++) {
      words[i] = (guint64) check_random () << 32 | check_random ();
      want ^= words[i];
    }
    if (k->read ((const guint8 *) words, n * TERN_READ_BYTES) != want)
      check_fail ("not the exclusive or of all words");
  }
}

/* Work grows with the rounds, in whole multiply-adds of each. */
static void
check_peak (TERN_DECL_PEAK ((*peak)), const char *name)
{
  guint64 one = peak (1);

  check_case ("%s", name);
  if (peak (0) != 0 || one < 16 || peak (7) != 7 * one)
    check_fail ("%" G_GUINT64_FORMAT " multiply-adds in a round, %" G_GUINT64_FORMAT " in none, %" G_GUINT64_FORMAT
        " in seven", one, peak (0), peak (7));
}

static void
probe_truth (const TernKernels *ref)
{
  check_read (ref);
  check_peak (ref->peak_i8, "peak_i8");
  check_peak (ref->peak_f32, "peak_f32");
}

static void
probe_check (const TernKernels *ref, const TernKernels *k)
{
  probe_truth (k);
}

static void
run_i8 (const TernKernels *k, void *data)
{
  *(guint64 *) data = k->peak_i8 (1000);
}

static void
run_f32 (const TernKernels *k, void *data)
{
  *(guint64 *) data = k->peak_f32 (1000);
}

/* Multiply-adds a second of the last level, and times a call: a round is not the same work everywhere. */
static void
probe_bench (void)
{
  TernKernels k;
  guint64 done;

  tern_kernels_init (&k, check_best ());
  check_bench ("peak_i8, 1000 rounds", run_i8, &done, k.peak_i8 (1000));
  check_bench ("peak_f32, 1000 rounds", run_f32, &done, k.peak_f32 (1000));
}

const Kernel probe_kernels[] = {
  { "probe", probe_truth, probe_check, probe_bench },
  { NULL }
};
