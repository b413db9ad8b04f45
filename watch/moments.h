/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When what a pipeline shows was, by this machine's clocks, and by no other: a camera's own clock may be wrong, and begins to be
 * known in the middle of a connection. Nothing of the wall clock is kept but of recordings, so that all follows it when it is
 * set. Plain arithmetic on times that others tell it; us, running time included. */
#pragma once

#include "watch/times.h"

G_BEGIN_DECLS

typedef struct {
  gboolean recorded;            /* it comes as fast as it is looked at: what it shows was before, whenever that was */
  gboolean begun;
  gint64 wall_offset;           /* of a recording, from running time to 1970 */
  gint64 monotonic_offset;      /* from running time to monotonic time: by the first frame, or by the source's clock */
} TernMoments;

/* The first frame came, and has the running time @time. A camera's is new. A recording has ended when it is opened, @duration
 * (0: it does not say) after its beginning. */
void tern_moments_begin (TernMoments *moments, gint64 time, gint64 duration, TernNow now);
/* By the clock of what is live the running time is @time: a frame is as old as that says. */
void tern_moments_follow (TernMoments *moments, gint64 time, TernNow now);
gint64 tern_moments_monotonic (const TernMoments *moments, gint64 time);
/* When that began which lasted @length from the running time @time on, us since 1970. Nothing that was seen of a recording lies in
 * the future: where it turns out to be longer than it said, or did not say, all of it was earlier. */
gint64 tern_moments_wall (TernMoments *moments, gint64 time, gint64 length, TernNow now);

/* For people: that a camera's clock, which says @utc of what was at @wall, is another one; NULL: as good as the same. */
char *tern_moments_clock_words (gint64 wall, gint64 utc);

G_END_DECLS
