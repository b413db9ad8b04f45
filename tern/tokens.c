/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/tokens.h"

#include <math.h>
#include <string.h>

#define BLOCK 1024              /* numbers that are looked at in one go */

/* By their bits, in a loop without a branch, of which compilers make vectors: it is done for each frame. One whose exponent is all
 * ones is no number, and carries into the sign. */
static gboolean
are_numbers (const float *values, gsize n)
{
  guint32 carried = 0;

  for (gsize i = 0; i < n; i++) {
    guint32 bits;

    memcpy (&bits, &values[i], sizeof bits);
    carried |= (bits & 0x7fffffff) + 0x00800000;
  }
  return !(carried & 0x80000000);
}

gboolean
tern_tokens_check_numbers (const TernTokens *tokens, GError **error)
{
  gsize n = (gsize) tokens->n_tokens * tokens->dim, at = 0;

  while (at < n && are_numbers (tokens->tokens + at, MIN (n - at, BLOCK)))
    at += BLOCK;
  if (at >= n)
    return TRUE;
  while (isfinite (tokens->tokens[at]))
    at++;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens: expected finite numbers, found %g at %" G_GSIZE_FORMAT,
      tokens->tokens[at], at);
  return FALSE;
}

gboolean
tern_tokens_check_places (const TernTokens *tokens, GError **error)
{
  guint64 all = (guint64) tokens->grid_w * tokens->grid_h;
  gint64 last = -1;

  if (!tokens->keep) {
    if (tokens->n_tokens == 0 || all == 0 || tokens->n_tokens == all)
      return TRUE;
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens: expected all of %u x %u, or where in it they were, found "
        "%u of them without", tokens->grid_w, tokens->grid_h, tokens->n_tokens);
    return FALSE;
  }
  for (guint i = 0; i < tokens->n_tokens; i++) {
    gint64 place = tokens->keep[i];

    if (place <= last || (guint64) place >= all) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "visual tokens: expected places in a grid of %u x %u that ascend, found %"
          G_GINT64_FORMAT " at %u", tokens->grid_w, tokens->grid_h, place, i);
      return FALSE;
    }
    last = place;
  }
  return TRUE;
}
