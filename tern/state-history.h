/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a robot's state was, by time: the newest so many. Who uses it locks. */
#pragma once

#include <glib.h>

typedef struct {
  guint dims;                   /* numbers of a state */
  guint most;                   /* states that are kept */
  guint first, n;               /* oldest one, how many */
  guint64 *times;               /* [most] ns, a ring */
  float *values;                /* [most][dims] */
  gboolean may_restart;         /* the next one may lie before the last one: then those before it go */
} TernStateHistory;

/* Takes all its memory. NO_SPACE. */
gboolean tern_state_history_init (TernStateHistory *self, guint dims, GError **error);
/* NULL-safe on zeroed memory. */
void tern_state_history_clear (TernStateHistory *self);
void tern_state_history_forget (TernStateHistory *self);
/* Copies @values [n]. One at the time of the last one takes its place. MISMATCH: of another size; INVALID: a number
 * that is not finite, or before the last one. */
gboolean tern_state_history_push (TernStateHistory *self, guint64 time, const float *values, guint n, GError **error);
/* The newest one that is not later than @time, to @values [dims]; behind it, for each of @lags [n_lags] ns, the one whose
 * time is nearest to so much before the newest one's (of two as near the older; the oldest stands for all before it).
 * FAILED: there is none, or the newest is older than @max_age ns (0: any may be); says what was found. */
gboolean tern_state_history_find (const TernStateHistory *self, guint64 time, guint64 max_age, const guint64 *lags,
    guint n_lags, float *values, GError **error);
