/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The windows of a session that is given tokens, for whoever has to know them before it: a windower that is told the same
 * and whose windows nobody takes. */
#include "tern/tern.h"
#include "tern/window.h"

struct _TernGrouper {
  TernWindower windower;
  guint rate_n, rate_d;
  guint64 last;                 /* tick of the last frame; NONE before it */
};

TernGrouper *
tern_grouper_new (guint64 window, guint64 hop, guint rate_n, guint rate_d)
{
  TernWindowPlan plan = { .group = TERN_GROUP_FRAMES, .rate_n = rate_n, .rate_d = rate_d };
  TernGrouper *self;
  guint64 frames;

  g_return_val_if_fail (rate_n > 0 && rate_d > 0, NULL);
  frames = tern_window_round (window, rate_n, rate_d, plan.group);
  if (frames > TERN_WINDOW_FRAMES_MAX)
    return NULL;
  plan.window = (guint) frames;
  plan.hop = hop ? tern_window_round (hop, rate_n, rate_d, plan.group) : frames;
  self = g_new0 (TernGrouper, 1);
  tern_windower_init (&self->windower, &plan);
  self->rate_n = rate_n;
  self->rate_d = rate_d;
  self->last = TERN_TIME_NONE;
  return self;
}

void
tern_grouper_free (TernGrouper *self)
{
  if (!self)
    return;
  tern_windower_clear (&self->windower);
  g_free (self);
}

/* Whether there were any. */
static gboolean
forget_windows (TernGrouper *self)
{
  TernWindow window;
  gboolean any = FALSE;

  while (tern_windower_next (&self->windower, &window))
    any = TRUE;
  return any;
}

TernGrouping
tern_grouper_add (TernGrouper *self, guint64 pts, guint64 late, guint64 duration)
{
  guint64 tick = pts - MIN (late, pts);
  TernFrameStep step = TERN_STEP_ON;
  TernWindowVerdict verdict;

  g_return_val_if_fail (self != NULL, TERN_GROUPING_ON);
  if (self->last != TERN_TIME_NONE)
    step = tern_frame_step (self->last, tick, self->rate_n, self->rate_d);
  if (step == TERN_STEP_BACK)
    tern_windower_finish (&self->windower, G_MAXUINT64);
  self->last = tick;
  verdict = tern_windower_add (&self->windower, tick, pts, step == TERN_STEP_AHEAD);
  tern_windower_see (&self->windower, pts, pts + (duration == TERN_TIME_NONE ? 0 : duration));
  forget_windows (self);
  if (verdict == TERN_WINDOW_SKIP)
    return TERN_GROUPING_SKIP;
  return verdict == TERN_WINDOW_TAKE_FIRST ? TERN_GROUPING_BEGIN : TERN_GROUPING_ON;
}

gboolean
tern_grouper_see (TernGrouper *self, guint64 pts, guint64 duration)
{
  g_return_val_if_fail (self != NULL, FALSE);
  tern_windower_see (&self->windower, pts, pts + duration);
  return forget_windows (self);
}

void
tern_grouper_finish (TernGrouper *self)
{
  g_return_if_fail (self != NULL);
  tern_windower_finish (&self->windower, G_MAXUINT64);
  forget_windows (self);
  self->last = TERN_TIME_NONE;
}

guint
tern_grouper_window_frames (const TernGrouper *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->windower.plan.window;
}
