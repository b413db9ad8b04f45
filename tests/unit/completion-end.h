/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a completion, which its callback tells on another thread, and a test waits for. One of zeros is ready. */
#pragma once

#include <glib.h>

typedef struct {
  GMutex lock;
  GCond changed;
  gboolean over;
} CompletionEnd;

/* What the callback wrote before is there for who waited. */
static inline void
completion_end_tell (CompletionEnd *end)
{
  g_mutex_lock (&end->lock);
  g_assert_false (end->over);
  end->over = TRUE;
  g_cond_signal (&end->changed);
  g_mutex_unlock (&end->lock);
}

static inline void
completion_end_wait (CompletionEnd *end)
{
  g_mutex_lock (&end->lock);
  while (!end->over)
    g_cond_wait (&end->changed, &end->lock);
  g_mutex_unlock (&end->lock);
}
