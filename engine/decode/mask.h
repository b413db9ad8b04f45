/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bit an id: what a constraint allows. */
#pragma once

#include <math.h>
#include <string.h>
#include <glib.h>

G_BEGIN_DECLS

static inline gboolean
tern_mask_has (const guint32 *mask, gint32 id)
{
  return mask[id / 32] >> (id % 32) & 1;
}

/* The lowest, or -1. */
static inline gint32
tern_mask_first (const guint32 *mask, guint n)
{
  for (guint i = 0; i < n; i += 32)
    if (mask[i / 32]) {
      gint32 id = (gint32) i + g_bit_nth_lsf (mask[i / 32], -1);

      return id < (gint32) n ? id : -1;
    }
  return -1;
}

/* @row: @logits, and -inf where @mask has no bit. */
static inline void
tern_mask_apply (const guint32 *mask, const float *logits, guint n, float *row)
{
  for (guint i = 0; i < n; i += 32) {
    guint32 bits = mask[i / 32];
    guint end = MIN (i + 32, n);

    if (bits == G_MAXUINT32 && end == i + 32)
      memcpy (row + i, logits + i, 32 * sizeof (float));
    else
      for (guint id = i; id < end; id++, bits >>= 1)
        row[id] = bits & 1 ? logits[id] : -INFINITY;
  }
}

G_END_DECLS
