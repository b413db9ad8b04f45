/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binary heaps in plain arrays. Nothing is allocated; a total order makes every result the same on every machine. */
#pragma once

#include <glib.h>

/* Defines, for elements of @Type of which the first in the order of @before (const Type *, const Type *) stands on top:
 *
 *   NAME_rise (heap, i, item):     puts item in the place i, the last, or higher where it belongs
 *   NAME_sink (heap, n, i, item):  puts item in the place i of n or lower
 *   NAME_order (heap, n):          makes a heap of n items in any order
 *   NAME_pop (heap, n):            the first of n; the others are a heap of n - 1, and place n - 1 is free
 *
 * The functions are inline, with @before in their loops. */
#define TERN_DEFINE_HEAP(name, Type, before)                                                                          \
G_GNUC_UNUSED static inline void                                                                                      \
name##_rise (Type *heap, guint i, Type moving)                                                                        \
{                                                                                                                     \
  for (; i > 0 && before (&moving, &heap[(i - 1) / 2]); i = (i - 1) / 2)                                              \
    heap[i] = heap[(i - 1) / 2];                                                                                      \
  heap[i] = moving;                                                                                                   \
}                                                                                                                     \
                                                                                                                      \
G_GNUC_UNUSED static inline void                                                                                      \
name##_sink (Type *heap, guint n, guint i, Type moving)                                                               \
{                                                                                                                     \
  for (guint child; (child = 2 * i + 1) < n; i = child) {                                                             \
    if (child + 1 < n && before (&heap[child + 1], &heap[child]))                                                     \
      child++;                                                                                                        \
    if (!before (&heap[child], &moving))                                                                              \
      break;                                                                                                          \
    heap[i] = heap[child];                                                                                            \
  }                                                                                                                   \
  heap[i] = moving;                                                                                                   \
}                                                                                                                     \
                                                                                                                      \
G_GNUC_UNUSED static inline void                                                                                      \
name##_order (Type *heap, guint n)                                                                                    \
{                                                                                                                     \
  for (guint i = n / 2; i-- > 0;)                                                                                     \
    name##_sink (heap, n, i, heap[i]);                                                                                \
}                                                                                                                     \
                                                                                                                      \
G_GNUC_UNUSED static inline Type                                                                                      \
name##_pop (Type *heap, guint n)                                                                                      \
{                                                                                                                     \
  Type first = heap[0];                                                                                               \
                                                                                                                      \
  name##_sink (heap, n - 1, 0, heap[n - 1]);                                                                          \
  return first;                                                                                                       \
}
