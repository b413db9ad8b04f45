/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/slice.h"

static gint64
real_clock (void *data, guint64 work)
{
  return g_get_monotonic_time ();
}

void
tern_slice_init (TernSlice *slice)
{
  slice->limit = TERN_SLICE_FIRST;
  slice->clock = real_clock;
  slice->data = NULL;
}

/* Doubles while slices are short, and falls at once to what would have been right when one was long: a stop that comes
 * late is worse than a few slices too many. One that was much smaller than the limit says nothing about it. */
void
tern_slice_end (TernSlice *slice, gint64 began, guint64 work)
{
  gint64 took;

  if (began < 0)
    return;
  took = slice->clock (slice->data, work) - began;
  if (took > 2 * TERN_SLICE_US)
    slice->limit = CLAMP ((guint64) ((double) work * TERN_SLICE_US / (double) took), TERN_SLICE_LEAST, slice->limit);
  else if (took < TERN_SLICE_US / 2 && work >= slice->limit / 2)
    slice->limit = MIN (2 * slice->limit, TERN_SLICE_MOST);
}
