/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* engine/base: the heap and the random generator that everything shares. */
#include <glib.h>

#include "engine/base/heap.h"
#include "engine/base/random.h"

#define ITEMS 60

typedef struct {
  guint key;
  guint place;                  /* makes the order total */
} Item;

static inline gboolean
before (const Item *a, const Item *b)
{
  return a->key < b->key || (a->key == b->key && a->place < b->place);
}

TERN_DEFINE_HEAP (items, Item, before)

static void
check_ascending (Item *heap, guint n)
{
  Item last = { 0, 0 };

  for (guint left = n; left > 0; left--) {
    Item first = items_pop (heap, left);

    g_assert_true (left == n || before (&last, &first));
    last = first;
  }
}

static void
test_heap (void)
{
  TernRandom random = { 1 };
  Item heap[ITEMS];

  for (guint n = 0; n <= ITEMS; n++) {
    for (guint i = 0; i < n; i++)
      heap[i] = (Item) { tern_random_below (&random, 1 + n / 2), i };
    items_order (heap, n);
    check_ascending (heap, n);
    for (guint i = 0; i < n; i++)
      items_rise (heap, i, (Item) { tern_random_below (&random, 1 + n / 2), i });
    check_ascending (heap, n);
  }
}

/* Items of a known order come out as they must, pushes and pops mixed. */
static void
test_heap_mixed (void)
{
  Item heap[4];

  items_rise (heap, 0, (Item) { 5, 0 });
  items_rise (heap, 1, (Item) { 3, 1 });
  items_rise (heap, 2, (Item) { 3, 0 });
  g_assert_cmpuint (items_pop (heap, 3).place, ==, 0);
  items_rise (heap, 2, (Item) { 4, 7 });
  g_assert_cmpuint (items_pop (heap, 3).key, ==, 3);
  g_assert_cmpuint (items_pop (heap, 2).place, ==, 7);
  g_assert_cmpuint (items_pop (heap, 1).key, ==, 5);
}

/* The published first outputs for seed 0; the same draws on every machine. */
static void
test_random (void)
{
  TernRandom random = { 0 };
  double sum = 0;

  g_assert_cmphex (tern_random_next (&random), ==, G_GUINT64_CONSTANT (0xe220a8397b1dcdaf));
  g_assert_cmphex (tern_random_next (&random), ==, G_GUINT64_CONSTANT (0x6e789e6aa1b965f4));
  g_assert_cmphex (tern_random_next (&random), ==, G_GUINT64_CONSTANT (0x06c45d188009454f));
  for (guint i = 0; i < 10000; i++) {
    double u = tern_random_uniform (&random);

    g_assert_true (u >= 0 && u < 1);
    sum += u;
  }
  g_assert_cmpfloat (ABS (sum / 10000 - 0.5), <, 0.015);
}

static void
test_random_below (void)
{
  TernRandom random = { 3 };
  guint counts[7] = { 0 };

  for (guint i = 0; i < 70000; i++)
    counts[tern_random_below (&random, G_N_ELEMENTS (counts))]++;
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    g_assert_cmpuint (ABS ((int) counts[i] - 10000), <, 400);   /* four sigma */
  g_assert_cmpuint (tern_random_below (&random, 1), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/heap/order", test_heap);
  g_test_add_func ("/heap/mixed", test_heap_mixed);
  g_test_add_func ("/random/draws", test_random);
  g_test_add_func ("/random/below", test_random_below);
  return g_test_run ();
}
