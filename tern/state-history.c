/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/state-history.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"
#include "tern/error.h"
#include "tern/frames.h"

/* At 1 kHz four seconds, more than a frame waits for its decision. */
#define MOST_STATES 4096u
#define MOST_BYTES ((gsize) 4 << 20)

gboolean
tern_state_history_init (TernStateHistory *self, guint dims, GError **error)
{
  gsize row = MAX (dims, 1) * sizeof (float);

  *self = (TernStateHistory) { .dims = dims };
  self->most = (guint) CLAMP (MOST_BYTES / row, 1, MOST_STATES);
  self->times = tern_mem_alloc (self->most * sizeof *self->times, "the robot's states", error);
  if (self->times)
    self->values = tern_mem_alloc (self->most * row, "the robot's states", error);
  return self->values != NULL;
}

void
tern_state_history_clear (TernStateHistory *self)
{
  tern_mem_free (self->times);
  tern_mem_free (self->values);
}

void
tern_state_history_forget (TernStateHistory *self)
{
  self->n = 0;
  self->may_restart = FALSE;
}

/* The @i-th, oldest first. */
static guint
at (const TernStateHistory *self, guint i)
{
  return (self->first + i) % self->most;
}

static gboolean
check (const TernStateHistory *self, guint64 time, const float *values, guint n, GError **error)
{
  if (n != self->dims) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "robot's state: expected %u numbers, found %u", self->dims, n);
    return FALSE;
  }
  if (time == TERN_TIME_NONE) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "robot's state: expected a time, found none");
    return FALSE;
  }
  for (guint i = 0; i < n; i++)
    if (!isfinite (values[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "robot's state: expected finite numbers, found %g at %u",
          values[i], i);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_state_history_push (TernStateHistory *self, guint64 time, const float *values, guint n, GError **error)
{
  guint64 last = self->n > 0 ? self->times[at (self, self->n - 1)] : 0;
  guint place;

  if (!check (self, time, values, n, error))
    return FALSE;
  if (time < last && !self->may_restart) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "robot's state: expected a time of at least %.9f s, that of the one "
        "before it, found %.9f s", (double) last / TERN_SECOND, (double) time / TERN_SECOND);
    return FALSE;
  }
  if (time < last)
    self->n = 0;
  self->may_restart = FALSE;
  if (self->n > 0 && time == last) {
    self->n--;
  } else if (self->n == self->most) {
    self->first = at (self, 1);
    self->n--;
  }
  place = at (self, self->n++);
  self->times[place] = time;
  memcpy (self->values + (gsize) place * self->dims, values, n * sizeof *values);
  return TRUE;
}

/* How many are not later than @time. */
static guint
count_until (const TernStateHistory *self, guint64 time)
{
  guint low = 0, high = self->n;

  while (low < high) {
    guint middle = low + (high - low) / 2;

    if (self->times[at (self, middle)] <= time)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Times are rounded: with a lag of one period, what is not later than the exact time may lie two periods back. */
static guint
nearest (const TernStateHistory *self, guint64 time)
{
  guint n = count_until (self, time);

  if (n == 0 || n == self->n)
    return n > 0 ? n - 1 : 0;
  return self->times[at (self, n)] - time < time - self->times[at (self, n - 1)] ? n : n - 1;
}

static void
copy (const TernStateHistory *self, guint i, float *to)
{
  memcpy (to, self->values + (gsize) at (self, i) * self->dims, self->dims * sizeof *to);
}

gboolean
tern_state_history_find (const TernStateHistory *self, guint64 time, guint64 max_age, const guint64 *lags, guint n_lags,
    float *values, GError **error)
{
  guint low = count_until (self, time);
  guint64 found;

  if (self->dims == 0)
    return TRUE;
  if (low == 0 && self->n == 0)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "robot's state: expected one at %.9f s or before, found none",
        (double) time / TERN_SECOND);
  else if (low == 0)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
        "robot's state: expected one at %.9f s or before, found the oldest at "
        "%.9f s", (double) time / TERN_SECOND, (double) self->times[at (self, 0)] / TERN_SECOND);
  if (low == 0)
    return FALSE;
  found = self->times[at (self, low - 1)];
  if (max_age > 0 && time - found > max_age) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
        "robot's state: expected one of the %.9f s before %.9f s, found the "
        "newest at %.9f s", (double) max_age / TERN_SECOND, (double) time / TERN_SECOND, (double) found / TERN_SECOND);
    return FALSE;
  }
  copy (self, low - 1, values);
  for (guint i = 0; i < n_lags; i++)
    copy (self, nearest (self, found > lags[i] ? found - lags[i] : 0), values + (gsize) (i + 1) * self->dims);
  return TRUE;
}
