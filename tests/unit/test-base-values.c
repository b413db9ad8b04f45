/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* engine/base: the heap, the random generator and the JSON writer that everything shares. */
#include <math.h>
#include <string.h>

#include "engine/base/fraction.h"
#include "engine/base/heap.h"
#include "engine/base/json.h"
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

static void
write_everything (TernJson *json)
{
  tern_json_open (json, '{');
  tern_json_name (json, "a");
  tern_json_open (json, '[');
  tern_json_int (json, G_MININT64);
  tern_json_uint (json, G_MAXUINT64);
  tern_json_bool (json, TRUE);
  tern_json_close (json, ']');
  tern_json_name (json, "\"b");
  tern_json_open (json, '{');
  tern_json_close (json, '}');
  tern_json_name (json, "c");
  tern_json_text (json, "x", -1);
  tern_json_close (json, '}');
}

static void
test_json_layout (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  write_everything (&(TernJson) { .out = out });
  g_assert_cmpstr (out->str, ==, "{\"a\":[-9223372036854775808,18446744073709551615,true],\"\\\"b\":{},\"c\":\"x\"}");
  g_string_truncate (out, 0);
  write_everything (&(TernJson) { .out = out, .lines = TRUE });
  g_assert_cmpstr (out->str, ==, "{\n  \"a\": [-9223372036854775808, 18446744073709551615, true],\n  \"\\\"b\": {},\n"
      "  \"c\": \"x\"\n}");
}

static void
check_text (const char *text, gssize len, const char *expected)
{
  g_autoptr (GString) out = g_string_new (NULL);

  tern_json_text (&(TernJson) { .out = out }, text, len);
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_json_text (void)
{
  check_text ("", -1, "\"\"");
  check_text ("caf\xc3\xa9 \"\\/", -1, "\"caf\xc3\xa9 \\\"\\\\/\"");
  check_text ("\n\t\r\x01\x7f", -1, "\"\\n\\t\\u000d\\u0001\\u007f\"");
  check_text ("abc", 2, "\"ab\"");
  check_text ("a\xff\0b", 4, "\"a\xef\xbf\xbd\xef\xbf\xbd" "b\"");
}

static void
check_double (double value, guint digits, const char *expected)
{
  g_autoptr (GString) out = g_string_new (NULL);

  tern_json_double (&(TernJson) { .out = out }, value, digits);
  g_assert_cmpstr (out->str, ==, expected);
}

static void
test_json_double (void)
{
  check_double (0, 9, "0.0");
  check_double (-3, 9, "-3.0");
  check_double (1e300, 9, "1e+300");
  check_double (0.1, 9, "0.1");
  check_double (0.1, TERN_JSON_DIGITS, "0.10000000000000001");
  check_double (123456789012.0, 9, "1.23456789e+11");
  check_double (NAN, 9, "null");
  check_double (-INFINITY, 9, "null");
}

static gsize taken;

static void
take (GString *out)
{
  taken += out->len;
}

/* No more is held than the writer says. */
static void
test_json_full (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  TernJson json = { .out = out, .full = take };
  gsize most = 0;

  taken = 0;
  tern_json_open (&json, '[');
  for (guint i = 0; i < 100000; i++) {
    tern_json_int (&json, 1234567);
    most = MAX (most, out->len);
  }
  tern_json_close (&json, ']');
  g_assert_cmpuint (taken + out->len, ==, 100000 * 8 + 1);
  g_assert_cmpuint (most, <, 1 << 17);
}

/* Worked numbers, and against integers of 128 bits where the compiler has them. */
static void
test_mul_div (void)
{
  g_assert_cmpuint (tern_mul_div (0, 5, 0, 3), ==, 0);
  g_assert_cmpuint (tern_mul_div (7, 5, 2, 3), ==, 12);
  g_assert_cmpuint (tern_mul_div (G_MAXUINT64, G_MAXUINT64, 0, G_MAXUINT64), ==, G_MAXUINT64);
  g_assert_cmpuint (tern_mul_div (G_MAXUINT64, G_MAXUINT64, G_MAXUINT64 - 1, G_MAXUINT64), ==, G_MAXUINT64);
  g_assert_cmpuint (tern_mul_div (G_GUINT64_CONSTANT (0x8000000000000000), 10, 0, 20), ==, G_GUINT64_CONSTANT (1) << 62);
  g_assert_cmpuint (tern_mul_div (G_GUINT64_CONSTANT (0x8000000000000000), 10, 0, 5), ==, G_MAXUINT64);
  g_assert_cmpuint (tern_mul_div (G_GUINT64_CONSTANT (1000000000000000), 30000, 1000, 1001), ==,
      G_GUINT64_CONSTANT (29970029970029971));
#ifdef __SIZEOF_INT128__
  TernRandom random = { .state = 1 };

  for (guint i = 0; i < 20000; i++) {
    guint64 v[4];
    unsigned __int128 want;

    for (guint k = 0; k < 4; k++)
      v[k] = tern_random_next (&random) >> tern_random_below (&random, 64);
    v[3] |= 1;
    want = ((unsigned __int128) v[0] * v[1] + v[2]) / v[3];
    g_assert_cmpuint (tern_mul_div (v[0], v[1], v[2], v[3]), ==, want > G_MAXUINT64 ? G_MAXUINT64 : (guint64) want);
  }
#endif
}

/* Rates as people write them, and what is none. */
static void
test_rate (void)
{
  static const struct
  {
    const char *text;
    guint n, d;
  } rates[] = { { "30", 30, 1 }, { "030", 30, 1 }, { "30000/1001", 30000, 1001 }, { "4/2", 4, 2 }, { "29.97", 2997, 100 },
    { ".5", 1, 2 }, { "0.5", 1, 2 }, { "2.", 2, 1 }, { "2.0", 2, 1 }, { "0.000001", 1, 1000000 }, { "1000000", 1000000, 1 },
    { "0", 0, 1 }, { "00", 0, 1 }, { "0/1", 0, 1 }, { "0/2", 0, 1 }, { "0.0", 0, 1 }, { ".0", 0, 1 }, { "0.", 0, 1 } };
  static const char *const none[] = { "", ".", "..", "1..2", "1.2.3", "/", "1/", "/1", "1/0", "0/0", "1/2/3", "29.97/1", "1e3",
    "-1", "+1", " 1", "1 ", "-.5", "1.-5", "0x10", "nan", "1000001", "1000000.1", "1/1000001", "0.0000001" };

  for (guint i = 0; i < G_N_ELEMENTS (rates); i++) {
    guint n = 7, d = 7;

    g_test_message ("%s", rates[i].text);
    g_assert_true (tern_rate_parse (rates[i].text, &n, &d));
    g_assert_cmpuint (n, ==, rates[i].n);
    g_assert_cmpuint (d, ==, rates[i].d);
  }
  for (guint i = 0; i < G_N_ELEMENTS (none); i++) {
    guint n, d;

    if (tern_rate_parse (none[i], &n, &d))
      g_error ("`%s` is taken for a rate", none[i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/heap/order", test_heap);
  g_test_add_func ("/heap/mixed", test_heap_mixed);
  g_test_add_func ("/mul-div", test_mul_div);
  g_test_add_func ("/rate", test_rate);
  g_test_add_func ("/random/draws", test_random);
  g_test_add_func ("/random/below", test_random_below);
  g_test_add_func ("/json/layout", test_json_layout);
  g_test_add_func ("/json/text", test_json_text);
  g_test_add_func ("/json/double", test_json_double);
  g_test_add_func ("/json/full", test_json_full);
  return g_test_run ();
}
