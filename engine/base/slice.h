/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much work is done between two looks at a cancel flag, learned from how long the last slices took: some 20 ms, on
 * a server as on a small board. Work is counted in multiply-adds. What is computed must not depend on how it is cut. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_SLICE_US 20000     /* what is aimed at */
#define TERN_SLICE_FIRST ((guint64) 1 << 20)    /* before anything is known: 1 to 20 ms */
#define TERN_SLICE_LEAST ((guint64) 1 << 14)
#define TERN_SLICE_MOST ((guint64) 1 << 31)
/* Slices of less work are not timed: two looks at the clock would count. */
#define TERN_SLICE_TIMED ((guint64) 1 << 18)

/* Microseconds from some beginning on. @work has been done since the call before: for a clock of a test's own, on which
 * a machine can be as slow as one likes; the real one does not look at it. */
typedef gint64 (*TernSliceClock) (void *data, guint64 work);

/* Of one thread at a time. */
typedef struct {
  guint64 limit;                /* work of the next slice, at most */
  TernSliceClock clock;
  void *data;
} TernSlice;

void tern_slice_init (TernSlice *slice);

/* Around a slice of @work; what begin() returns is for end(). */
static inline gint64
tern_slice_begin (TernSlice *slice, guint64 work)
{
  return work < MIN (TERN_SLICE_TIMED, slice->limit / 2) ? -1 : slice->clock (slice->data, 0);
}

void tern_slice_end (TernSlice *slice, gint64 began, guint64 work);

G_END_DECLS
