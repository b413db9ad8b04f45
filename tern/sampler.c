/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames of a stream are looked at, by PTS. */
#include "engine/base/fraction.h"
#include "tern/tern.h"

/* Time stamps are rounded to whole nanoseconds, some containers' to microseconds: a frame that close before its tick
 * is the frame of that tick. */
#define SLACK 1000

/* A picture that follows a pause of so long, and of more than a group, has little in common with the one before it. */
#define PAUSE (2 * TERN_SECOND)

/* ns of @n ticks, rounded down. */
static guint64
ticks_to_time (guint64 n, guint rate_n, guint rate_d)
{
  return rate_n > 0 ? tern_mul_div (n, rate_d * TERN_SECOND, 0, rate_n) : 0;
}

TernFrameStep
tern_frame_step (guint64 from, guint64 to, guint rate_n, guint rate_d)
{
  guint64 tick = ticks_to_time (1, rate_n, rate_d);

  if (to < from)
    return from - to > tick ? TERN_STEP_BACK : TERN_STEP_ON;
  return to - from > MAX (TERN_GROUP_FRAMES * tick, PAUSE) ? TERN_STEP_AHEAD : TERN_STEP_ON;
}

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

/* The tick of the frame taken last; of every frame, the frame's own time. */
static guint64
last_tick (const TernFrameSampler *sampler)
{
  return sampler->origin + ticks_to_time (sampler->next - 1, sampler->rate_n, sampler->rate_d);
}

gboolean
tern_frame_sampler_take (TernFrameSampler *sampler, guint64 pts)
{
  guint64 ticks;

  if (pts == TERN_TIME_NONE)
    return FALSE;
  if (sampler->origin == TERN_TIME_NONE)
    return start (sampler, pts);
  if (tern_frame_step (last_tick (sampler), pts, sampler->rate_n, sampler->rate_d) != TERN_STEP_ON)
    return restart (sampler, pts);
  if (sampler->rate_n == 0)
    return start (sampler, pts);
  if (pts < sampler->origin)
    return FALSE;

  ticks = tern_mul_div (pts - sampler->origin + SLACK, sampler->rate_n, 0, sampler->rate_d * TERN_SECOND);
  if (ticks < sampler->next)
    return FALSE;
  sampler->next = ticks + 1;
  sampler->count++;
  return TRUE;
}

guint64
tern_frame_sampler_late (const TernFrameSampler *sampler, guint64 pts)
{
  guint64 tick;

  if (sampler->rate_n == 0 || sampler->origin == TERN_TIME_NONE || pts < sampler->origin)
    return 0;
  tick = last_tick (sampler);
  return pts > tick ? pts - tick : 0;
}
