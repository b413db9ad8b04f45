/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heaps: qsort() may allocate, and this runs for every group and decode step. */
#include "compress/select.h"

static inline gboolean
above (const TernScored *a, const TernScored *b)
{
  return a->score > b->score || (a->score == b->score && a->index > b->index);
}

/* Restores the heap (the highest on top) whose element @i may be too low. */
static void
sift_down (TernScored *heap, guint n, guint i)
{
  TernScored moved = heap[i];

  for (;;) {
    guint child = 2 * i + 1;

    if (child >= n)
      break;
    if (child + 1 < n && above (&heap[child + 1], &heap[child]))
      child++;
    if (!above (&heap[child], &moved))
      break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = moved;
}

void
tern_select_lowest (TernScored *items, guint n, guint k)
{
  if (k == 0)
    return;
  k = MIN (k, n);
  for (guint i = k / 2; i-- > 0;)
    sift_down (items, k, i);
  for (guint i = k; i < n; i++)
    if (above (&items[0], &items[i])) {
      TernScored lower = items[i];

      items[i] = items[0];
      items[0] = lower;
      sift_down (items, k, 0);
    }
  for (guint end = k - 1; end > 0; end--) {
    TernScored highest = items[0];

    items[0] = items[end];
    items[end] = highest;
    sift_down (items, end, 0);
  }
}

static void
sift_down_position (gint32 *heap, guint n, guint i)
{
  gint32 moved = heap[i];

  for (;;) {
    guint child = 2 * i + 1;

    if (child >= n)
      break;
    if (child + 1 < n && heap[child + 1] > heap[child])
      child++;
    if (heap[child] <= moved)
      break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = moved;
}

void
tern_sort_positions (gint32 *positions, guint n)
{
  for (guint i = n / 2; i-- > 0;)
    sift_down_position (positions, n, i);
  for (guint end = n; end-- > 1;) {
    gint32 highest = positions[0];

    positions[0] = positions[end];
    positions[end] = highest;
    sift_down_position (positions, end, 0);
  }
}
