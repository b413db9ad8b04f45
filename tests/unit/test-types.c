/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block formats against values that make-type-vectors.py computed with another implementation. */
#include <math.h>
#include <string.h>

#include "engine/weights/types.h"

static guint32
take_u32 (const guint8 **p)
{
  guint32 v;

  memcpy (&v, *p, sizeof v);
  *p += sizeof v;
  return GUINT32_FROM_LE (v);
}

static void
check_record (const TernTypeInfo *type, const guint8 *bytes, const guint8 *expected, gsize n)
{
  g_autofree float *found = g_new (float, n + 1);
  g_autofree guint8 *odd = g_malloc (n / type->block * type->bytes + 1);
  gsize i;

  found[n] = 12345;
  memcpy (odd + 1, bytes, n / type->block * type->bytes);       /* exact size, odd address */
  type->to_f32 (found, odd + 1, n);
  for (i = 0; i < n; i++) {
    float value;

    memcpy (&value, expected + 4 * i, 4);
    if (!(fabsf (found[i] - value) <= 1e-6f * fabsf (value)))
      g_error ("%s: value %" G_GSIZE_FORMAT ": expected %.9g, found %.9g", type->name, i, value, found[i]);
  }
  g_assert_true (found[n] == 12345);
}

static void
test_vectors (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "data", "type-vectors.bin", NULL);
  g_autofree char *data = NULL;
  const guint8 *p, *end;
  guint64 seen = 0;
  gsize size;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  p = (const guint8 *) data;
  end = p + size;
  while (p < end) {
    guint32 id = take_u32 (&p), n = take_u32 (&p), bytes = take_u32 (&p);
    const TernTypeInfo *type = tern_type_info (id);

    g_assert_nonnull (type);
    g_assert_cmpuint (type->type, ==, id);
    g_assert_cmpuint (n % type->block, ==, 0);
    g_assert_cmpuint (n / type->block * type->bytes, ==, bytes);
    check_record (type, p, p + bytes, n);
    g_test_message ("%s: %u values", type->name, n);
    p += bytes + 4 * n;
    seen |= (guint64) 1 << id;
  }
  /* All that can be converted was there. */
  for (size = 0; size < 64; size++) {
    const TernTypeInfo *type = tern_type_info (size);

    g_assert_cmpint (seen >> size & 1, ==, type && type->to_f32);
    if (type && type->to_f32)
      g_assert_nonnull (strstr (tern_type_list (), type->name));
  }
}

/* Every number of five base-3 digits, as the format stores it: ceil (256 / 243 * number). */
static void
test_tq1_0_codes (void)
{
  guint number, digit, i;

  for (number = 0; number < 243; number++) {
    guint8 block[54] = { 0 }, digits[256];
    guint power = 81;

    memset (block, (number * 256 + 242) / 243, 52);
    tern_tq1_0_digits (digits, block);
    for (digit = 0; digit < 5; digit++, power /= 3) {
      guint expected = number / power % 3;

      for (i = 0; i < 32; i++)
        g_assert_cmpuint (digits[32 * digit + i], ==, expected);
      for (i = 0; i < 16; i++)
        g_assert_cmpuint (digits[160 + 16 * digit + i], ==, expected);
      for (i = 0; i < 4 && digit < 4; i++)
        g_assert_cmpuint (digits[240 + 4 * digit + i], ==, expected);
    }
  }
}

/* Bytes that no quantiser writes still give digits. */
static void
test_tq1_0_any_byte (void)
{
  guint byte, i;

  for (byte = 0; byte < 256; byte++) {
    guint8 block[54], digits[256];

    memset (block, byte, sizeof block);
    tern_tq1_0_digits (digits, block);
    for (i = 0; i < 256; i++)
      g_assert_cmpuint (digits[i], <=, 2);
  }
}

/* Infinite and NaN scales are values like others. */
static void
test_hostile_scales (void)
{
  static const guint16 scales[] = { 0x7c00, 0xfc00, 0x7e00, 0xffff };
  gsize id, s, i;

  for (id = 0; id < 64; id++) {
    const TernTypeInfo *type = tern_type_info (id);
    guint8 block[256];
    float values[256];

    if (!type || !type->to_f32)
      continue;
    for (s = 0; s < G_N_ELEMENTS (scales); s++) {
      for (i = 0; i + 1 < type->bytes; i += 2)
        memcpy (block + i, &scales[s], 2);
      type->to_f32 (values, block, type->block);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/types/vectors", test_vectors);
  g_test_add_func ("/types/tq1_0-codes", test_tq1_0_codes);
  g_test_add_func ("/types/tq1_0-any-byte", test_tq1_0_any_byte);
  g_test_add_func ("/types/hostile-scales", test_hostile_scales);
  return g_test_run ();
}
