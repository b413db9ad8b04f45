/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel checks share: random input, fenced memory, comparison, timing. */
#pragma once

#include <glib.h>

#include "engine/kernels/kernels.h"

/* Memory that ends where an inaccessible page begins, with a guard before it; filled with a pattern. Slots are reused
 * by the next case. */
enum {
  SLOT_Y, SLOT_Y2, SLOT_Y3, SLOT_W, SLOT_W2, SLOT_X, SLOT_X2, SLOT_A, SLOT_B, SLOT_STATE, SLOT_STATE2, N_SLOTS
};
#define CHECK_PATTERN 0xa5
void *check_buffer (guint slot, gsize bytes);

/* Describes the case under way: printed when it fails or crashes. Forgets the buffers of the case before. */
void check_case (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* The first failure of a test point is reported, the others are counted. */
void check_fail (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* Guards of all buffers, and the gaps between the @rows rows of @width floats, @ld apart, at @y. */
void check_guards (const float *y, gsize rows, gsize width, gsize ld);

/* Kernels of the level under way trap at every instruction of tiles (tiles-trap.h), or TERN_TEST_SAMPLE is set: fewer
 * cases will do. */
gboolean check_is_slow (void);
/* The case that comes next is not in the sample: TERN_TEST_SAMPLE=N, for processors that are emulated, is one case of N,
 * drawn at random. Without it nothing is left out, and no number drawn. */
gboolean check_leaves_out (void);

/* One generator for everything, seeded from g_test's --seed, which a failure names. */
guint32 check_random (void);
guint check_below (guint n);
float check_uniform (void);             /* [-1, 1) */
/* 1/8 near zero (zeros and subnormals among them), 1/8 up to @extreme, the others in [-1, 1). */
void check_floats (float *x, gsize n, float extreme);

/* |got - want| <= rel * |want| + abs for each of @n, and NMSE <= 1e-10. Both NaN, or the same infinity, is fine. */
void check_close (const float *got, const float *want, gsize n, double rel, double abs);
/* |got - want| <= 1e-5 * magnitude. */
void check_within (const float *got, const float *want, const float *magnitude, gsize n);
/* The same bits (any NaN for a NaN). */
void check_equal (const float *got, const float *want, gsize n);

/* One kernel. @truth compares the reference with double precision and worked numbers; @check compares @k with it. */
typedef struct {
  const char *name;
  void (*truth) (const TernKernels *ref);
  void (*check) (const TernKernels *ref, const TernKernels *k);
  void (*bench) (void);         /* or NULL */
} Kernel;

extern const Kernel gemm_kernels[];
extern const Kernel packed_kernels[];
extern const Kernel block_kernels[];
extern const Kernel narrow_kernels[];
extern const Kernel row_kernels[];
extern const Kernel probe_kernels[];
extern const Kernel quant_kernels[];
extern const Kernel scaled_kernels[];
extern const Kernel elementwise_kernels[];
extern const Kernel recurrent_kernels[];
extern const Kernel ssm_kernels[];

/* The last level to time: the best of this CPU, or what TERN_CPU says. */
TernCpu check_best (void);
/* Times @run at every level up to that and prints one line; @work: operations a call at the last one, 0 for none. */
typedef void (*BenchRun) (const TernKernels *k, void *data);
void check_bench (const char *what, BenchRun run, void *data, double work);

/* Adds the tests of what kernels with AMX stand on. */
void check_tiles (void);
