/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as an action model. Whatever opens decides, and what it decides is finite and in its ranges, or
 * an error. How to build it stands in meson.build. */
#include <math.h>
#include <stdlib.h>

#include "engine/action/head.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check (gboolean good)
{
  if (!good)
    abort ();
}

static void
use_info (const TernActionInfo *info)
{
  check (info->dims > 0 && info->steps > 0 && info->rate_n > 0 && info->rate_d > 0 && info->width > 0 && info->frames > 0);
  check (g_utf8_validate (info->space, -1, NULL) && *info->space && g_utf8_validate (info->name, -1, NULL));
  for (guint d = 0; d < info->dims; d++) {
    check (g_utf8_validate (info->names[d], -1, NULL) && *info->names[d] && g_utf8_validate (info->units[d], -1, NULL));
    check (isfinite (info->minimum[d]) && isfinite (info->maximum[d]) && info->minimum[d] <= info->maximum[d]);
  }
  check (!info->names[info->dims] && !info->units[info->dims]);
}

static void
decide (TernActionHead *head)
{
  static const guint64 times[] = { 0, 0, 100000000, G_MAXUINT64, 50 };
  const TernActionInfo *info = tern_action_head_info (head);
  g_autoptr (TernActionRun) run = tern_action_run_new (head, NULL);
  g_autofree float *hidden = g_new (float, info->width);
  g_autofree float *state = g_new (float, tern_action_info_states (info) + 1);
  g_autofree double *actions = g_new (double, info->steps * info->dims);

  for (guint t = 0; run && t < G_N_ELEMENTS (times); t++) {
    g_autoptr (GError) error = NULL;

    for (guint i = 0; i < info->width; i++)
      hidden[i] = (float) ((i + t) % 7) - 3;
    for (guint i = 0; i < tern_action_info_states (info); i++)
      state[i] = (float) ((i + t) % 5) - 2;
    if (!tern_action_run_decide (run, hidden, state, times[t], actions, &error)) {
      check (error != NULL);
      continue;
    }
    check (!error);
    for (guint i = 0; i < info->steps * info->dims; i++)
      check (actions[i] >= info->minimum[i % info->dims] && actions[i] <= info->maximum[i % info->dims]);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernActionHead) head = tern_action_head_open_memory (data, size, "fuzz", &error);

  check ((head != NULL) != (error != NULL));
  if (head) {
    use_info (tern_action_head_info (head));
    decide (head);
  }
  return 0;
}
