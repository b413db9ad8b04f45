/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/vigil.h"

/* Windows that are on their way at once: one that is open and one that is answered. Whatever ends a connection loses them. */
#define ON_THE_WAY 2
/* Answers that are later than so many windows are not coming as they should. */
#define LATE 4
#define TOGETHER (60 * (gint64) G_USEC_PER_SEC)
#define LONGEST (600 * (gint64) G_USEC_PER_SEC)

typedef struct {
  gint64 from, to;
} Silence;

guint64
tern_unseen_windows (gint64 time, gint64 window)
{
  return time > 0 ? MAX ((guint64) ((time + window / 2) / window), 1) : 0;
}

gboolean
tern_unseen_join (TernUnseen *span, const TernUnseen *next)
{
  if (span->reason != next->reason || next->start < span->end || next->start - span->end > TOGETHER
      || next->end - span->start > LONGEST)
    return FALSE;
  span->end = next->end;
  span->time += next->time;
  span->windows += next->windows;
  return TRUE;
}

void
tern_vigil_init (TernVigil *vigil, gint64 window, gint64 now)
{
  *vigil = (TernVigil) { .window = window, .until = now, .silent = now };
  vigil->silences = g_array_new (FALSE, FALSE, sizeof (Silence));
  vigil->spans = g_array_new (FALSE, FALSE, sizeof (TernUnseen));
}

void
tern_vigil_clear (TernVigil *vigil)
{
  g_clear_pointer (&vigil->silences, g_array_unref);
  g_clear_pointer (&vigil->spans, g_array_unref);
}

/* ---- Holes ---- */

/* What goes on from the span before is one with it. */
static void
put (TernVigil *vigil, TernUnseenReason reason, gint64 start, gint64 end)
{
  guint n = vigil->spans->len;
  TernUnseen *last = n ? &g_array_index (vigil->spans, TernUnseen, n - 1) : NULL, span = { start, end, 0, 0, reason };

  if (end <= start)
    return;
  if (!last || last->reason != reason || last->end != start) {
    g_array_append_val (vigil->spans, span);
    last = &g_array_index (vigil->spans, TernUnseen, n);
  }
  last->end = end;
  last->time = end - last->start;
  last->windows = reason == TERN_UNSEEN_SCHEDULE ? 0 : tern_unseen_windows (end - last->start, vigil->window);
}

static gboolean
is_hole (const TernVigil *vigil, gint64 start, gint64 end)
{
  return end > start && end - start >= vigil->window / 2;
}

/* Nothing of [until, @end) was looked at. What is too short to be a hole of its own counts to the silence beside it: the rest of a
 * window whose camera went away. */
static void
put_hole (TernVigil *vigil, gint64 end)
{
  gint64 at = vigil->until;

  if (!is_hole (vigil, at, end))
    return;
  for (guint i = 0; i < vigil->silences->len; i++) {
    const Silence *silence = &g_array_index (vigil->silences, Silence, i);
    gint64 from = MAX (silence->from, at), to = MIN (silence->to, end);

    if (to <= from)
      continue;
    if (!is_hole (vigil, at, from))
      from = at;
    put (vigil, TERN_UNSEEN_OVERLOAD, at, from);
    put (vigil, TERN_UNSEEN_AWAY, from, to);
    at = to;
  }
  put (vigil, at > vigil->until && !is_hole (vigil, at, end) ? TERN_UNSEEN_AWAY : TERN_UNSEEN_OVERLOAD, at, end);
}

static void
go_to (TernVigil *vigil, gint64 until)
{
  guint n = 0;

  vigil->until = MAX (vigil->until, until);
  while (n < vigil->silences->len && g_array_index (vigil->silences, Silence, n).to <= vigil->until)
    n++;
  g_array_remove_range (vigil->silences, 0, n);
}

/* ---- What happens ---- */

void
tern_vigil_miss (TernVigil *vigil, gint64 from, gint64 to)
{
  Silence silence = { from, to };

  if (is_hole (vigil, from, to))
    g_array_append_val (vigil->silences, silence);
}

void
tern_vigil_come (TernVigil *vigil, gint64 at)
{
  if (vigil->silent == G_MAXINT64)
    return;
  tern_vigil_miss (vigil, vigil->silent, at);
  vigil->silent = G_MAXINT64;
}

void
tern_vigil_lose (TernVigil *vigil, gint64 at)
{
  if (vigil->silent == G_MAXINT64)
    vigil->silent = MIN (at, MAX (vigil->until, at - ON_THE_WAY * vigil->window));
}

void
tern_vigil_look (TernVigil *vigil, gint64 start, gint64 end, gboolean failed)
{
  if (vigil->paused)
    return;
  put_hole (vigil, start);
  if (failed)
    put (vigil, TERN_UNSEEN_FAILED, MAX (start, vigil->until), end);
  go_to (vigil, end);
}

void
tern_vigil_pause (TernVigil *vigil, gint64 at, TernUnseenReason why)
{
  gint64 until = at;

  if (vigil->paused)
    return;
  if (vigil->silent == G_MAXINT64)
    until -= ON_THE_WAY * vigil->window;
  else
    tern_vigil_come (vigil, at);
  if (is_hole (vigil, vigil->until, until)) {
    put_hole (vigil, until);
    go_to (vigil, until);
  }
  g_array_set_size (vigil->silences, 0);
  vigil->paused = TRUE;
  vigil->why = why;
}

void
tern_vigil_resume (TernVigil *vigil, gint64 at)
{
  if (!vigil->paused)
    return;
  put (vigil, vigil->why, vigil->until, at);
  go_to (vigil, at);
  vigil->paused = FALSE;
  vigil->silent = at;
}

gboolean
tern_vigil_goes_on (const TernVigil *vigil, gint64 now, TernUnseen *span)
{
  guint n = vigil->silences->len;
  gint64 start = vigil->until, end = now;

  span->reason = TERN_UNSEEN_AWAY;
  if (vigil->paused) {
    span->reason = vigil->why;
  } else if (n) {               /* with nothing answered since */
    start = MAX (start, g_array_index (vigil->silences, Silence, 0).from);
    end = vigil->silent == G_MAXINT64 ? g_array_index (vigil->silences, Silence, n - 1).to : now;
  } else if (vigil->silent != G_MAXINT64) {
    start = MAX (start, vigil->silent);
  } else {
    span->reason = TERN_UNSEEN_OVERLOAD;
    end = now - start >= LATE * vigil->window ? now - ON_THE_WAY * vigil->window : start;
  }
  span->start = start;
  span->end = end;
  span->time = end - start;
  span->windows = span->reason == TERN_UNSEEN_SCHEDULE ? 0 : tern_unseen_windows (end - start, vigil->window);
  return vigil->paused ? end > start : end - start >= vigil->window;
}
