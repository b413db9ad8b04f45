/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The robot's states of a recording: rows of a .npy file, so many a second. */
#pragma once

#include "tools/npy.h"

typedef struct {
  TernNpy npy;
  gsize rows, dims;
  guint rate_n, rate_d;         /* rows a second: row i is of i * rate_d / rate_n seconds */
} TernStates;

/* Errors: those of tern_npy_read(); MISMATCH: not [rows][dims] of float32; FORMAT: a number that is not finite. They
 * name the file. */
gboolean tern_states_read (TernStates *states, const char *path, guint dims, guint rate_n, guint rate_d,
    GError **error);
void tern_states_clear (TernStates *states);

/* The newest row that is not later than @time, in ns (within a microsecond: times are rounded). The last one stands for
 * ever. */
gsize tern_states_at (const TernStates *states, guint64 time);
/* Its numbers [dims] and its own time, in ns. */
const float *tern_states_row (const TernStates *states, gsize row, guint64 *when);
/* Seconds until the end of the last row. */
double tern_states_seconds (const TernStates *states);
