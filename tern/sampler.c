/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames of a stream are looked at, by PTS. */
#include "tern/tern.h"

/* Time stamps are rounded to whole nanoseconds, some containers' to microseconds: a frame that close before its tick
 * is the frame of that tick. */
#define SLACK 1000

/* Frames further apart than this, and than a group, are not merged, and what comes after is sampled from there on: a
 * picture that follows a pause stands on a tick of its own. */
#define PAUSE (2 * TERN_SECOND)

void
tern_frame_sampler_init (TernFrameSampler *sampler, guint rate_n, guint rate_d)
{
  *sampler = (TernFrameSampler) { .rate_n = rate_n, .rate_d = MAX (rate_d, 1), .origin = TERN_TIME_NONE };
}

static gboolean
start (TernFrameSampler *sampler, guint64 pts)
{
  sampler->origin = pts;
  sampler->next = 1;
  sampler->count++;
  return TRUE;
}

static gboolean
restart (TernFrameSampler *sampler, guint64 pts)
{
  sampler->count = (sampler->count + TERN_GROUP_FRAMES - 1) / TERN_GROUP_FRAMES * TERN_GROUP_FRAMES;
  return start (sampler, pts);
}

gboolean
tern_frame_sampler_take (TernFrameSampler *sampler, guint64 pts)
{
  unsigned __int128 ticks;
  guint64 due, tick;

  if (pts == TERN_TIME_NONE)
    return FALSE;
  if (sampler->origin == TERN_TIME_NONE)
    return start (sampler, pts);

  if (sampler->rate_n == 0) {
    /* Every frame; origin follows. */
    if (pts < sampler->origin || pts - sampler->origin > PAUSE)
      return restart (sampler, pts);
    return start (sampler, pts);
  }

  tick = (guint64) ((unsigned __int128) sampler->rate_d * TERN_SECOND / sampler->rate_n);
  due = sampler->origin + (guint64) ((unsigned __int128) (sampler->next - 1) * sampler->rate_d * TERN_SECOND
      / sampler->rate_n);
  if (pts + tick < due || pts < sampler->origin || (pts > due && pts - due > MAX (TERN_GROUP_FRAMES * tick, PAUSE)))
    return restart (sampler, pts);

  ticks = (unsigned __int128) (pts - sampler->origin + SLACK) * sampler->rate_n
      / ((unsigned __int128) sampler->rate_d * TERN_SECOND);
  if (ticks < sampler->next)
    return FALSE;
  sampler->next = (guint64) ticks + 1;
  sampler->count++;
  return TRUE;
}

guint64
tern_frame_sampler_late (const TernFrameSampler *sampler, guint64 pts)
{
  guint64 tick;

  if (sampler->rate_n == 0 || sampler->origin == TERN_TIME_NONE || pts < sampler->origin)
    return 0;
  tick = sampler->origin + (guint64) ((unsigned __int128) (sampler->next - 1) * sampler->rate_d * TERN_SECOND
      / sampler->rate_n);
  return pts > tick ? pts - tick : 0;
}
