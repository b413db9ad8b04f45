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
check_record (const TernTypeInfo *type, const guint8 *bytes, gsize size, const guint8 *expected, gsize rows, gsize cols)
{
  gsize n = rows * cols, i;
  g_autofree float *found = g_new (float, n + 1);
  g_autofree guint8 *odd = g_malloc (size + 1);

  found[n] = 12345;
  memcpy (odd + 1, bytes, size);        /* exact size, odd address */
  tern_type_rows_to_f32 (type, found, odd + 1, rows, cols, odd + 1 + size - type->tail);
  for (i = 0; i < n; i++) {
    float value;

    memcpy (&value, expected + 4 * i, 4);
    if (!(fabsf (found[i] - value) <= 1e-6f * fabsf (value)))
      g_error ("%s: value %" G_GSIZE_FORMAT ": expected %.9g, found %.9g", type->name, i, value, found[i]);
  }
  g_assert_true (found[n] == 12345);

  /* A row on its own. */
  found[cols] = 12345;
  tern_type_rows_to_f32 (type, found, odd + 1 + (rows - 1) * tern_type_row_bytes (type, cols), 1, cols,
      odd + 1 + size - type->tail);
  g_assert_true (found[cols] == 12345);
  for (i = 0; i < cols; i++) {
    float value;

    memcpy (&value, expected + 4 * (n - cols + i), 4);
    g_assert_true (fabsf (found[i] - value) <= 1e-6f * fabsf (value));
  }
}

static void
test_vectors (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "data", "type-vectors.bin", NULL);
  g_autofree char *data = NULL;
  gboolean seen[512] = { FALSE };
  const guint8 *p, *end;
  gsize size;
  guint id;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  p = (const guint8 *) data;
  end = p + size;
  while (p < end) {
    guint32 kind = take_u32 (&p), rows = take_u32 (&p), cols = take_u32 (&p), bytes = take_u32 (&p);
    const guint64 dims[4] = { cols, rows, 1, 1 };
    const TernTypeInfo *type = tern_type_info (kind);
    guint64 expected;

    g_assert_nonnull (type);
    g_assert_cmpuint (type->type, ==, kind);
    g_assert_cmpuint (cols % type->block, ==, 0);
    g_assert_true (tern_type_tensor_bytes (type, dims, &expected));
    g_assert_cmpuint (expected, ==, bytes);
    check_record (type, p, bytes, p + bytes, rows, cols);
    g_test_message ("%s: %u values", type->name, rows * cols);
    p += bytes + 4 * rows * cols;
    seen[kind] = TRUE;
  }
  /* All that can be converted was there, and is named in messages. */
  for (id = 0; id < G_N_ELEMENTS (seen); id++) {
    const TernTypeInfo *type = tern_type_info (id);

    g_assert_cmpint (seen[id], ==, type && type->to_f32);
    if (type && type->to_f32)
      g_assert_nonnull (strstr (tern_type_list (), type->name));
  }
}

/* Sizes by hand, and dimensions whose product does not fit. */
static void
test_sizes (void)
{
  static const struct {
    guint32 id;
    guint64 dims[4], bytes;
  } sizes[] = {
    { TERN_TYPE_F32, { 3, 1, 1, 1 }, 12 },
    { TERN_TYPE_Q4_K, { 512, 3, 2, 1 }, 12 * 144 },
    { TERN_TYPE_I2_S, { 256, 3, 1, 1 }, 256 * 3 / 4 + 32 },
    { TERN_TYPE_I2_S, { 128, 3, 2, 1 }, 128 * 6 / 4 + 32 },
    { TERN_TYPE_I2_S, { 128, 0, 2, 1 }, 0 },
    { TERN_TYPE_IQ1_BN, { 192, 5, 1, 1 }, 5 * (2 + 13 * 3) },
    { TERN_TYPE_IQ2_BN, { 192, 5, 2, 1 }, 10 * (4 + 16 * 3) },
  };
  static const guint64 absurd[][4] = {
    { (guint64) 1 << 62, 1, 1, 1 }, { 256, (guint64) 1 << 55, 64, 1 }, { 256, (guint64) 1 << 54, 4, 1 },
  };
  guint64 bytes;
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_assert_true (tern_type_tensor_bytes (tern_type_info (sizes[i].id), sizes[i].dims, &bytes));
    g_assert_cmpuint (bytes, ==, sizes[i].bytes);
  }
  for (i = 0; i < G_N_ELEMENTS (absurd); i++)
    g_assert_false (tern_type_tensor_bytes (tern_type_info (TERN_TYPE_F32), absurd[i], &bytes));
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

  for (id = 0; id < 512; id++) {
    const TernTypeInfo *type = tern_type_info (id);
    guint8 row[512];
    float values[256];

    if (!type || !type->to_f32)
      continue;
    for (s = 0; s < G_N_ELEMENTS (scales); s++) {
      for (i = 0; i + 1 < sizeof row; i += 2)
        memcpy (row + i, &scales[s], 2);
      tern_type_rows_to_f32 (type, values, row, 1, type->block, row + tern_type_row_bytes (type, type->block));
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/types/vectors", test_vectors);
  g_test_add_func ("/types/sizes", test_sizes);
  g_test_add_func ("/types/tq1_0-codes", test_tq1_0_codes);
  g_test_add_func ("/types/tq1_0-any-byte", test_tq1_0_any_byte);
  g_test_add_func ("/types/hostile-scales", test_hostile_scales);
  return g_test_run ();
}
