/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/moments.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define HOUR (3600 * SECOND)
/* A picture is on its way for longer than clocks that are set by the network differ. */
#define CLOCKS_APART (5 * SECOND)

void
tern_moments_begin (TernMoments *moments, gint64 time, gint64 duration, TernNow now)
{
  moments->begun = TRUE;
  moments->wall_offset = now.wall - MAX (time, duration);
  moments->monotonic_offset = now.monotonic - time;
}

void
tern_moments_follow (TernMoments *moments, gint64 time, TernNow now)
{
  moments->monotonic_offset = now.monotonic - time;
}

gint64
tern_moments_monotonic (const TernMoments *moments, gint64 time)
{
  return moments->monotonic_offset + time;
}

gint64
tern_moments_wall (TernMoments *moments, gint64 time, gint64 length, TernNow now)
{
  gint64 early;

  if (!moments->recorded)
    return tern_moments_monotonic (moments, time) + now.wall - now.monotonic;
  early = moments->wall_offset + time + length - now.wall;
  if (early > 0)
    moments->wall_offset -= early;
  return moments->wall_offset + time;
}

char *
tern_moments_clock_words (gint64 wall, gint64 utc)
{
  gint64 apart = ABS (utc - wall);
  /* To what is told of it, for it is not known that well. */
  g_autofree char *length = tern_watch_length (apart + (apart < HOUR ? SECOND : 60 * SECOND) / 2);

  if (apart <= CLOCKS_APART)
    return NULL;
  return g_strdup_printf ("the camera's clock is %s %s this machine's, by which times are remembered", length,
      utc < wall ? "behind" : "ahead of");
}
