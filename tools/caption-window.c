/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-window.h"

#include <math.h>

#include "tern/session-priv.h"
#include "tools/tool.h"

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

/* ---- Windows that fit -------------------------------------------------------------------------------------------- */

#define MORE_THAN_SAID TERN_SECOND      /* a video may last longer than its container says */

/* What @media can have of @params. */
static void
limit_to (const TernMedia *media, TernSessionParams *params)
{
  const TernSessionParams usual = TERN_SESSION_PARAMS_INIT;
  guint64 length = tern_media_duration (media);
  guint n, d;

  if (tern_media_is_still (media)) {
    params->rate_n = usual.rate_n;
    params->rate_d = usual.rate_d;
    params->window = MIN (params->window, TERN_SECOND);
    return;
  }
  if (length < params->window - MIN (params->window, MORE_THAN_SAID))
    params->window = length + MORE_THAN_SAID;
  if (tern_media_rate (media, &n, &d) && (guint64) n * params->rate_d < (guint64) params->rate_n * d) {
    params->rate_n = n;
    params->rate_d = d;
  }
}

TernSession *
tern_caption_window_open (TernModel *model, TernSessionParams *params, const TernMedia *media, GError **error)
{
  g_autoptr (GError) failure = NULL;
  TernSession *session = tern_session_new (model, params, &failure);

  if (!session && tern_tool_is_unfit (failure)) {
    limit_to (media, params);
    session = tern_session_new (model, params, NULL);
  }
  if (!session)                 /* in the words of what was asked for */
    g_propagate_error (error, g_steal_pointer (&failure));
  return session;
}

TernSession *
tern_caption_window_open_longest (TernModel *model, const TernSessionParams *params, GError **error)
{
  const TernSessionParams usual = TERN_SESSION_PARAMS_INIT;
  TernSessionParams shorter = *params;
  g_autoptr (GError) failure = NULL, why = NULL;
  TernSession *session = tern_session_new (model, params, &failure);

  while (!session && shorter.window > 1 && tern_tool_is_unfit (why ? why : failure)) {
    if (shorter.rate_n == 0) {  /* as many of any window */
      shorter.rate_n = usual.rate_n;
      shorter.rate_d = usual.rate_d;
    }
    shorter.window /= 2;
    g_clear_error (&why);
    session = tern_session_new (model, &shorter, &why);
  }
  if (!session)
    g_propagate_error (error, g_steal_pointer (&failure));
  return session;
}
