/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heaps: qsort() may allocate, and this runs for every group and decode step. */
#include "compress/select.h"
#include "engine/base/heap.h"

static inline gboolean
above (const TernScored *a, const TernScored *b)
{
  return a->score > b->score || (a->score == b->score && a->index > b->index);
}

static inline gboolean
behind (const gint32 *a, const gint32 *b)
{
  return *a > *b;
}

TERN_DEFINE_HEAP (scores, TernScored, above)
TERN_DEFINE_HEAP (positions, gint32, behind)

void
tern_select_lowest (TernScored *items, guint n, guint k)
{
  if (k == 0)
    return;
  k = MIN (k, n);
  scores_order (items, k);
  for (guint i = k; i < n; i++)
    if (above (&items[0], &items[i])) {
      TernScored lower = items[i];

      items[i] = items[0];
      scores_sink (items, k, 0, lower);
    }
  for (guint left = k; left > 1; left--)
    items[left - 1] = scores_pop (items, left);
}

void
tern_sort_positions (gint32 *positions, guint n)
{
  positions_order (positions, n);
  for (guint left = n; left > 1; left--)
    positions[left - 1] = positions_pop (positions, left);
}
