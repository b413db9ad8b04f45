/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A window begins with a group of frames and ends with the group in which its time is over, or with its last possible
 * frame: so it is rounded up to whole groups, whatever the frame rate does. Windows may overlap; they close in order. */
#include "tern/window.h"

#include <string.h>

void
tern_windower_init (TernWindower *self, const TernWindowPlan *plan, TernWindowMark *marks, TernWindowFunc func, void *data)
{
  *self = (TernWindower) { .plan = *plan, .marks = marks, .func = func, .data = data };
}

void
tern_windower_reset (TernWindower *self)
{
  self->in_group = self->n_marks = 0;
  self->closed_end = self->count;
  self->wait_until = 0;
  self->started = FALSE;
}

/* Sampling ticks are rounded; a quarter of one decides nothing. */
static guint64
slack (const TernWindower *self)
{
  return self->plan.tick / 4;
}

/* Closes the oldest window, whose frames are those taken so far. */
static void
close_window (TernWindower *self, guint64 end_time)
{
  guint64 from = self->marks[0].at + self->plan.hop;
  TernWindow window = { .first = self->marks[0].first, .end = self->count, .start_time = self->marks[0].pts,
    .end_time = MAX (end_time, self->marks[0].pts) };
  guint i = 1;

  while (i < self->n_marks && self->marks[i].at + slack (self) < from)
    i++;
  self->wait_until = i == self->n_marks ? from : 0;
  memmove (self->marks, self->marks + i, (self->n_marks - i) * sizeof (TernWindowMark));
  self->n_marks -= i;
  self->closed_end = self->count;
  window.next = self->n_marks > 0 ? self->marks[0].first : self->count;
  self->func (self->data, &window);
}

gboolean
tern_windower_is_gap (const TernWindower *self, guint64 at)
{
  return self->started && (at + slack (self) < self->last_at || at > self->last_end + self->plan.window);
}

TernWindowVerdict
tern_windower_add (TernWindower *self, guint64 at, guint64 pts, guint64 end, gboolean new_group)
{
  gboolean first;

  if (new_group)
    self->in_group = 0;
  first = self->in_group == 0;
  if (first) {
    /* Frames came slower than the sampling rate: time ends windows that count did not. */
    while (self->n_marks > 0 && at + slack (self) >= self->marks[0].at + self->plan.window)
      close_window (self, MAX (self->last_end, MIN (pts, self->marks[0].pts + self->plan.window)));
    if (self->n_marks == self->plan.max_groups)
      close_window (self, self->last_end);
    if (self->n_marks == 0 && at + slack (self) < self->wait_until) {
      self->last_at = at;
      self->last_pts = pts;
      self->last_end = MAX (end, pts);
      self->started = TRUE;
      return TERN_WINDOW_SKIP;
    }
    self->marks[self->n_marks++] = (TernWindowMark) { .first = self->count, .at = at, .pts = pts };
  }

  self->count++;
  self->in_group++;
  self->last_at = at;
  self->last_pts = pts;
  self->last_end = MAX (end, pts);
  self->started = TRUE;
  if (self->in_group == self->plan.group || self->count - self->marks[0].first >= self->plan.max_frames) {
    self->in_group = 0;
    while (self->n_marks > 0 && (self->last_end + slack (self) >= self->marks[0].at + self->plan.window
            || self->count - self->marks[0].first >= self->plan.max_frames))
      close_window (self, self->last_end);
  }
  return first ? TERN_WINDOW_TAKE_FIRST : TERN_WINDOW_TAKE;
}

void
tern_windower_finish (TernWindower *self, guint64 seen_end)
{
  /* A window of frames that were all part of the one before it says nothing new. */
  if (self->n_marks > 0 && self->count > self->closed_end) {
    guint64 end = self->last_end;

    if (seen_end > self->last_pts)
      end = MIN (end, seen_end);
    self->n_marks = 1;          /* windows that began later end within this one */
    close_window (self, end);
  }
  tern_windower_reset (self);
}
