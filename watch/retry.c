/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/retry.h"

#define FIRST ((gint64) G_USEC_PER_SEC)
/* `apart` of those that follow at once. */
#define AT_ONCE 0

void
tern_retry_begin (TernRetry *retry, gint64 now)
{
  retry->began = now;
}

void
tern_retry_fail (TernRetry *retry, gint64 now, gboolean pictures)
{
  gboolean lasted = pictures && now - retry->began > TERN_RETRY_MOST;

  /* due is 0 before the first failure: that one is followed at once, too. */
  if (lasted || !retry->due)
    retry->apart = AT_ONCE;
  else
    retry->apart = CLAMP (2 * retry->apart, FIRST, TERN_RETRY_MOST);
  retry->due = MAX (now, retry->began + retry->apart);
}

gboolean
tern_retry_is_lost (const TernRetry *retry, gint64 now, gint64 last, gint64 stall)
{
  return last ? now - last > stall : now - retry->began > 2 * stall;
}
