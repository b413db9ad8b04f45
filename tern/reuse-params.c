/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether what callers say of the cache in the tower can be meant. */
#include "tern/reuse.h"

#include "tern/words.h"

gboolean
tern_reuse_params_check (const TernReuseParams *params, GError **error)
{
  g_return_val_if_fail (params != NULL, FALSE);
  if ((guint) params->mode > TERN_REUSE_ON)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "reuse: expected a mode from 0 to %u, found %u",
        (guint) TERN_REUSE_ON, (guint) params->mode);
  else if (!(params->threshold >= TERN_REUSE_THRESHOLD_MIN && params->threshold <= TERN_REUSE_THRESHOLD_MAX))
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "threshold of reuse: expected %g to %g levels, found %g",
        TERN_REUSE_THRESHOLD_MIN, TERN_REUSE_THRESHOLD_MAX, params->threshold);
  else if (params->refresh > TERN_REUSE_REFRESH_MAX)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "refresh of reuse: expected at most %u frames, found %u",
        TERN_REUSE_REFRESH_MAX, params->refresh);
  else
    return TRUE;
  return FALSE;
}

gboolean
tern_reuse_mode_parse (const char *name, TernReuseMode *mode, GError **error)
{
  static const char *const words[] = { "off", "auto", "on" };
  guint which;

  g_return_val_if_fail (name != NULL && mode != NULL, FALSE);
  if (!tern_word_parse (name, words, G_N_ELEMENTS (words), &which, error))
    return FALSE;
  *mode = (TernReuseMode) which;
  return TRUE;
}
