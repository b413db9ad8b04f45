/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-window.h"

#include <math.h>

#include "tern/session-priv.h"

#define NEAR_NS 1000000.0       /* a tick need not be whole nanoseconds */
#define RATE_MOST 60            /* frames a second that a video may have */
#define PART_MOST 1000          /* of a fraction that one would type */

static guint64
greatest_divisor (guint64 a, guint64 b)
{
  while (b) {
    guint64 rest = a % b;

    a = b;
    b = rest;
  }
  return a;
}

/* The rate at which as many frames as a window has now take just as long as was asked. FALSE: nobody would want it. */
static gboolean
rate_for (const TernWindowPlan *plan, const TernSessionParams *params, guint64 *n, guint64 *d)
{
  guint64 divisor;

  if (!g_uint64_checked_mul (n, (guint64) plan->window * plan->rate_d, params->rate_n)
      || !g_uint64_checked_mul (n, *n, 1000)
      || !g_uint64_checked_mul (d, (guint64) plan->rate_n * params->rate_d, params->window / 1000000) || *d == 0)
    return FALSE;
  divisor = greatest_divisor (*n, *d);
  *n /= divisor;
  *d /= divisor;
  return *n <= PART_MOST && *d <= PART_MOST && *n <= RATE_MOST * *d;
}

char *
tern_caption_window_note (const TernSession *session, const TernSessionParams *params)
{
  const TernWindowPlan *plan = &session->windower.plan;
  double length = plan->rate_n ? (double) TERN_SECOND * plan->window * plan->rate_d / plan->rate_n : 0;
  double asked = (double) params->window / TERN_SECOND;
  GString *note;
  guint64 n, d;

  if (fabs (length - params->window) < NEAR_NS || params->rate_n == 0)
    return NULL;
  note = g_string_new (NULL);
  g_string_append_printf (note, "windows of %.4g s: --window %.4g is rounded up to whole groups of %u frames at --frame-rate %u/%u",
      length / TERN_SECOND, asked, plan->group * (session->pairs ? 2 : 1), params->rate_n, params->rate_d);
  if (rate_for (plan, params, &n, &d))
    g_string_append_printf (note, "; --frame-rate %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " gives %.4g s", n, d, asked);
  return g_string_free (note, FALSE);
}
