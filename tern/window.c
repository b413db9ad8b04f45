/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a window is, for whoever pushes pictures or tokens:
 *
 * - Time is counted in sampling ticks: those of the sampler (tern_frame_sampler_take()), at which a frame was due. The frame
 *   that stands for a tick is the first one at or after it, and may be late; windows go by the tick. So they are the same
 *   at 25, 29.97 and 7 frames a second, and with a variable rate.
 * - A window is [start, start + window): as many ticks as were asked for, rounded up to whole groups of frames. It starts
 *   at the tick of its first frame, the first window of a stretch so with the video.
 * - Others start at whole multiples of hop (rounded up likewise) behind the first: each with the first frame whose tick is
 *   at or after its start, whether that comes at once or, where the video has fewer frames than ticks, later. So they follow
 *   each other without gap, and never overlap when hop = window; one that no frame lies in is left out. With a hop that is
 *   longer than a window, a frame that lies behind where its window would have ended begins it, as far as the next one allows.
 * - Only a pause, such as makes the sampler's ticks begin anew, moves the grid: the window that a frame begins after it
 *   starts with that frame. A picture every 20 s starts one every 20 s.
 * - A frame stands until the next one, but not longer than its window: a window is as long as any other however few frames
 *   it has. Only the end of a stretch (of the video, before a jump back) cuts it short: then it ends with the last frame
 *   seen, whether that was looked at or not.
 *
 * So with hop = window every frame's time lies in exactly one window wherever frames were looked at. */
#include "tern/window.h"

#include <string.h>

#include "engine/base/fraction.h"
#include "tern/tern.h"

/* Windows of @plan that may be open at once. */
static guint
open_at_once (const TernWindowPlan *plan)
{
  return (guint) ((plan->window + plan->hop - 1) / plan->hop) + 1;
}

guint64
tern_window_round (guint64 time, guint rate_n, guint rate_d, guint group)
{
  guint64 second = TERN_SECOND * rate_d, ticks = tern_mul_div (time, rate_n, second - 1, second);

  ticks = (CLAMP (ticks, 1, (guint64) G_MAXINT64) + group - 1) / group * group;
  return MIN (ticks, (guint64) G_MAXINT64);
}

/* @n ticks of @plan in ns; so far that sums do not overflow. */
static guint64
plan_time (const TernWindowPlan *plan, guint64 n)
{
  guint64 ns = tern_mul_div (n, TERN_SECOND * plan->rate_d, 0, plan->rate_n);

  return MIN (ns, (guint64) G_MAXINT64 / 2);
}

void
tern_windower_init (TernWindower *self, const TernWindowPlan *plan)
{
  guint open = open_at_once (plan);

  /* A frame may close all windows that are open, and, when windows are a tick long, its own. */
  *self = (TernWindower) { .plan = *plan, .closed_size = open + 1 };
  self->marks = g_new0 (TernWindowMark, open);
  self->closed = g_new0 (TernWindow, self->closed_size);
  self->window = plan_time (plan, plan->window);
  self->hop = plan_time (plan, plan->hop);
  self->tick = plan_time (plan, 1);
}

void
tern_windower_clear (TernWindower *self)
{
  g_clear_pointer (&self->marks, g_free);
  g_clear_pointer (&self->closed, g_free);
  self->n_marks = self->n_closed = self->closed_size = 0;
}

gboolean
tern_windower_next (TernWindower *self, TernWindow *window)
{
  if (self->n_closed == 0)
    return FALSE;
  *window = self->closed[0];
  self->n_closed--;
  memmove (self->closed, self->closed + 1, self->n_closed * sizeof (TernWindow));
  return TRUE;
}

void
tern_windower_reset (TernWindower *self)
{
  self->in_group = self->n_marks = self->n_closed = 0;
  self->closed_end = self->count;
  self->ended = self->stretch_ended = self->next_start = self->cell = 0;
  self->started = FALSE;
}

void
tern_windower_pass_over (TernWindower *self)
{
  self->in_group = self->n_marks = 0;
  self->closed_end = self->count;
}

/* Ticks are rounded, and a frame may come a microsecond before its own (see sampler.c). */
static guint64
slack (const TernWindower *self)
{
  return MIN (self->tick / 4, 1000);
}

static guint64
end_of (const TernWindower *self, const TernWindowMark *mark)
{
  return mark->at + self->window;
}

/* Closes the oldest window, whose frames are those taken so far. A group that is open is cut: the next window has its own. */
static void
close_window (TernWindower *self, guint64 end_time)
{
  TernWindow window = { .first = self->marks[0].first, .end = self->count, .start_time = self->marks[0].start,
    .end_time = MAX (end_time, self->marks[0].start), .stretch = self->stretch };

  self->n_marks--;
  memmove (self->marks, self->marks + 1, self->n_marks * sizeof (TernWindowMark));
  self->in_group = 0;
  self->closed_end = self->count;
  self->ended = window.end_time;
  window.next = self->n_marks > 0 ? self->marks[0].first : self->count;
  if (self->n_closed == self->closed_size) {
    self->closed_size *= 2;
    self->closed = g_renew (TernWindow, self->closed, self->closed_size);
  }
  self->closed[self->n_closed++] = window;
}

gboolean
tern_windower_is_jump (const TernWindower *self, guint64 at)
{
  return self->started && tern_frame_step (self->last_at, at, self->plan.rate_n, self->plan.rate_d) == TERN_STEP_BACK;
}

guint64
tern_windower_find (const TernWindower *self, guint64 at)
{
  if (tern_windower_is_jump (self, at))
    return G_MAXUINT64;
  for (guint i = 0; i < self->n_marks; i++)
    if (at + slack (self) < end_of (self, &self->marks[i]))
      return self->marks[i].first;
  return G_MAXUINT64;
}

/* Whole ticks from @from to @at. */
static guint64
ticks_since (const TernWindower *self, guint64 from, guint64 at)
{
  return tern_mul_div (at + slack (self) - MIN (at, from), self->plan.rate_n, 0, TERN_SECOND * self->plan.rate_d);
}

/* Where the window starts that is @cell hops behind the grid's beginning: counted from there, so that what ticks are rounded
 * by does not add up. */
static guint64
cell_start (const TernWindower *self, guint64 cell)
{
  guint64 since = tern_mul_div (cell * self->plan.hop, TERN_SECOND * self->plan.rate_d, 0, self->plan.rate_n);

  return since < G_MAXUINT64 - self->origin ? self->origin + since : G_MAXUINT64;
}

/* Where on the grid the window is that a frame at @at begins; without @on, and beyond all counting, on a new one. */
static guint64
find_start (TernWindower *self, guint64 at, gboolean on)
{
  guint64 ticks = ticks_since (self, self->origin, at);

  if (on && ticks <= G_MAXINT64) {
    self->cell = MAX (self->cell, ticks / self->plan.hop);
    return cell_start (self, self->cell);
  }
  self->origin = self->started ? MAX (at, self->next_start) : at;
  self->cell = 0;
  return self->origin;
}

static void
open_window (TernWindower *self, guint64 at, guint64 pts, gboolean on)
{
  TernWindowMark *mark = &self->marks[self->n_marks++];
  guint64 start = find_start (self, at, on);

  self->cell++;
  self->next_start = cell_start (self, self->cell);
  if (at + slack (self) >= start + self->window)
    start = MIN (at, self->next_start - self->window);
  /* Not within a stretch before that ended between two ticks, however late in this one a window is opened (those before it
   * may have been passed over). */
  *mark = (TernWindowMark) { .first = self->count, .at = start, .start = start };
  if (start < self->stretch_ended && self->stretch_ended <= pts)
    mark->start = self->stretch_ended;
  self->in_group = 0;
  self->last_tick = ticks_since (self, start, at);
}

/* Whether @at is the tick of the frame taken last: of tokens that come more often than was said. */
static gboolean
is_same_tick (TernWindower *self, guint64 at)
{
  guint64 tick = ticks_since (self, self->marks[self->n_marks - 1].at, at);
  gboolean same = tick <= self->last_tick;

  self->last_tick = MAX (tick, self->last_tick);
  return same;
}

TernWindowVerdict
tern_windower_add (TernWindower *self, guint64 at, guint64 pts, gboolean new_group)
{
  gboolean first, on = self->started
      && tern_frame_step (self->newest_at, at, self->plan.rate_n, self->plan.rate_d) != TERN_STEP_AHEAD;

  self->newest_at = at;
  while (self->n_marks > 0 && at + slack (self) >= end_of (self, &self->marks[0]))
    close_window (self, end_of (self, &self->marks[0]));
  if (!self->started || at + slack (self) >= self->next_start)
    open_window (self, at, pts, on);
  else if (self->n_marks == 0 || is_same_tick (self, at))
    return TERN_WINDOW_SKIP;

  if (new_group)
    self->in_group = 0;
  first = self->in_group == 0;
  if (first)
    self->group_first = self->count;
  self->count++;
  self->in_group = (self->in_group + 1) % self->plan.group;
  self->last_at = at;
  self->started = TRUE;
  if (self->plan.eager)
    tern_windower_see (self, at, at + self->tick);
  return first ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE;
}

void
tern_windower_see (TernWindower *self, guint64 pts, guint64 end)
{
  while (self->n_marks > 0) {
    guint64 until = end_of (self, &self->marks[0]);
    /* What a duration says is not enough while a frame may be due. */
    gboolean due = self->last_at + self->tick + slack (self) < until;

    if (pts + slack (self) < until && (due || end + slack (self) < until))
      return;
    close_window (self, until);
  }
}

void
tern_windower_finish (TernWindower *self, guint64 seen_end)
{
  /* A window of frames that were all part of the one before it says nothing new. */
  if (self->n_marks > 0 && self->count > self->closed_end) {
    self->n_marks = 1;          /* windows that began later end within this one */
    close_window (self, MIN (end_of (self, &self->marks[0]), seen_end));
  }
  self->in_group = self->n_marks = 0;
  self->started = FALSE;
  self->stretch_ended = self->ended;
  self->stretch++;
}
