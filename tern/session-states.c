/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states of the robot that a session decides for. */
#include "tern/session-priv.h"

gboolean
tern_session_push_state (TernSession *self, guint64 time, const float *values, guint n, GError **error)
{
  gboolean ok;

  g_return_val_if_fail (self != NULL && (values != NULL || n == 0), FALSE);
  if (!self->action) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID,
        "robot's state: expected a session with an action model, found one without");
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  ok = tern_state_history_push (&self->states, time, values, n, error);
  g_mutex_unlock (&self->lock);
  return ok;
}

guint64
tern_session_newest_pts (const TernSession *self, const TernWindow *window)
{
  for (guint g = self->store.n; g-- > 0;) {
    const TernFrameGroup *group = &self->store.groups[g];

    for (guint f = group->n_frames; f-- > 0;)
      if (group->first + f >= window->first && group->first + f < window->end)
        return group->pts[f] + group->after[f];
  }
  return window->start_time;
}
