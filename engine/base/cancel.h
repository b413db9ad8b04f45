/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A flag that any thread may raise and long work looks at between its chunks: a layer, a block of rows, a token. */
#pragma once

#include <glib.h>

typedef struct _TernCancel TernCancel;

struct _TernCancel {
  gint raised;                  /* atomic */
  /* Work for several at once is given up when all of them want that. Set while nobody looks; NULL among them: never. */
  TernCancel *const *all;       /* [n_all] borrowed */
  guint n_all;
};

static inline void
tern_cancel_raise (TernCancel *cancel)
{
  g_atomic_int_set (&cancel->raised, 1);
}

static inline void
tern_cancel_reset (TernCancel *cancel)
{
  g_atomic_int_set (&cancel->raised, 0);
}

/* NULL never cancels. */
static inline gboolean
tern_cancel_is_raised (TernCancel *cancel)
{
  if (!cancel)
    return FALSE;
  if (g_atomic_int_get (&cancel->raised))
    return TRUE;
  for (guint i = 0; i < cancel->n_all; i++)
    if (!cancel->all[i] || !g_atomic_int_get (&cancel->all[i]->raised))
      return FALSE;
  return cancel->n_all > 0;
}
