/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A flag that any thread may raise and long work looks at between its chunks: a layer, a block of rows, a token. */
#pragma once

#include <glib.h>

typedef struct {
  gint raised;                  /* atomic */
} TernCancel;

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
  return cancel && g_atomic_int_get (&cancel->raised);
}
