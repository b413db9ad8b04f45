/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/act-states.h"

#include <math.h>

#include "engine/base/fraction.h"
#include "tern/error.h"
#include "tern/frames.h"

#define SLACK 1000              /* ns */

static gboolean
check (const TernStates *self, const char *path, guint dims, GError **error)
{
  const TernNpy *npy = &self->npy;

  if (!npy->f32) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected the robot's states as numbers of type '<f4' (float32), "
        "found '|u1' (uint8)", path);
    return FALSE;
  }
  if (npy->n_dims != 2 || npy->shape[0] == 0 || npy->shape[1] != dims) {
    g_autoptr (GString) found = g_string_new (NULL);
    const char *why = npy->n_dims != 2 ? "not two dimensions" : npy->shape[1] != dims ? "rows of another length" : "no row";

    for (guint i = 0; i < npy->n_dims; i++)
      g_string_append_printf (found, "%s%" G_GSIZE_FORMAT, i ? ", " : "", npy->shape[i]);
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s: expected the robot's states, a row of %u numbers for each time: "
        "shape [n, %u], found [%s]: %s", path, dims, dims, found->str, why);
    return FALSE;
  }
  for (gsize i = 0; i < npy->n; i++)
    if (!isfinite (npy->f32[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected finite numbers, found %g in row %" G_GSIZE_FORMAT
          ", number %" G_GSIZE_FORMAT, path, npy->f32[i], i / dims, i % dims);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_states_read (TernStates *self, const char *path, guint dims, guint rate_n, guint rate_d, GError **error)
{
  *self = (TernStates) { .dims = dims, .rate_n = rate_n, .rate_d = rate_d };
  if (!tern_npy_read (&self->npy, path, error))
    return FALSE;
  if (!check (self, path, dims, error)) {
    tern_states_clear (self);
    return FALSE;
  }
  self->rows = self->npy.shape[0];
  return TRUE;
}

void
tern_states_clear (TernStates *self)
{
  tern_npy_clear (&self->npy);
}

gsize
tern_states_at (const TernStates *self, guint64 time)
{
  guint64 row = tern_mul_div (MIN (time, G_MAXUINT64 - SLACK) + SLACK, self->rate_n, 0, TERN_SECOND * self->rate_d);

  return MIN (row, self->rows - 1);
}

const float *
tern_states_row (const TernStates *self, gsize row, guint64 *when)
{
  *when = tern_mul_div (row, TERN_SECOND * self->rate_d, 0, self->rate_n);
  return self->npy.f32 + (gsize) row * self->dims;
}

double
tern_states_seconds (const TernStates *self)
{
  return (double) self->rows * self->rate_d / self->rate_n;
}
