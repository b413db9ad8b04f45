/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Choosing the k lowest of n without allocating; ties go to the lower index. */
#pragma once

#include <glib.h>

typedef struct {
  double score;
  gint32 index;
} TernScored;

/* Moves the @k lowest of @items to the front, in ascending order. */
void tern_select_lowest (TernScored *items, guint n, guint k);

/* Sorts ascending. */
void tern_sort_positions (gint32 *positions, guint n);
