/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files made in memory: what they say is read back, and whatever is wrong with them is an error that says what. */
#include <glib/gstdio.h>
#include <math.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "tests/unit/gguf-writer.h"

#define PATH "folder/model.gguf"

/* A copy of exact size, so that a sanitizer sees every byte read beyond it. */
static TernGguf *
open_copy (const guint8 *data, gsize size, guint8 **copy, GError **error)
{
  *copy = g_malloc (size ? size : 1);
  if (size)
    memcpy (*copy, data, size);
  return tern_gguf_open_memory (*copy, size, PATH, error);
}

static void
check_error (GError *error, TernErrorCode code, const char *word)
{
  g_assert_error (error, TERN_ERROR, code);
  if (!strstr (error->message, PATH) || !strstr (error->message, word) || strchr (error->message, '\n'))
    g_error ("expected a line with %s and \"%s\", found: %s", PATH, word, error->message);
}

static void
refuse_bytes (const guint8 *data, gsize size, TernErrorCode code, const char *word)
{
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *copy = NULL;
  TernGguf *file = open_copy (data, size, &copy, &error);

  g_assert_null (file);
  check_error (error, code, word);
}

static void
refuse (const GgufWriter *w, TernErrorCode code, const char *word)
{
  g_autoptr (GByteArray) bytes = writer_finish (w);

  refuse_bytes (bytes->data, bytes->len, code, word);
}

static const guint64 dims_4x2[] = { 4, 2 };
static const float values_8[] = { 1, -2, 3.5f, 0, 5, 6, 7, 8 };

/* A small file with a key of every type, and three tensors. */
static void
write_sample (GgufWriter *w)
{
  guint64 dim_2[] = { 2 };

  writer_init (w);
  writer_string (w, "general.architecture", "lfm2");
  writer_number (w, "n.u8", TERN_GGUF_U8, &(guint8) { 200 }, 1);
  writer_number (w, "n.i8", TERN_GGUF_I8, &(gint8) { -3 }, 1);
  writer_number (w, "n.u16", TERN_GGUF_U16, &(guint16) { 60000 }, 2);
  writer_number (w, "n.i16", TERN_GGUF_I16, &(gint16) { 300 }, 2);
  writer_u32 (w, "n.u32", 4000000000u);
  writer_number (w, "n.i32", TERN_GGUF_I32, &(gint32) { 77 }, 4);
  writer_number (w, "n.u64", TERN_GGUF_U64, &(guint64) { 123456 }, 8);
  writer_number (w, "n.i64", TERN_GGUF_I64, &(gint64) { 99 }, 8);
  writer_number (w, "n.big", TERN_GGUF_U64, &(guint64) { G_MAXUINT64 }, 8);
  writer_number (w, "n.f32", TERN_GGUF_F32, &(float) { 1e-5f }, 4);
  writer_number (w, "n.f64", TERN_GGUF_F64, &(double) { 0.5 }, 8);
  writer_number (w, "n.nan", TERN_GGUF_F32, &(float) { NAN }, 4);
  writer_number (w, "n.huge", TERN_GGUF_F64, &(double) { 1e300 }, 8);
  writer_number (w, "b.true", TERN_GGUF_BOOL, "\1", 1);
  writer_number (w, "b.two", TERN_GGUF_BOOL, "\2", 1);
  writer_key (w, "s.nul", TERN_GGUF_STRING);
  put_u64 (w->keys, 3);
  put_bytes (w->keys, "a\0b", 3);
  writer_array (w, "a.strings", TERN_GGUF_STRING, 3);
  put_string (w->keys, "one");
  put_string (w->keys, "");
  put_string (w->keys, "three");
  writer_array (w, "a.i32", TERN_GGUF_I32, 3);
  put_u32 (w->keys, 0);
  put_u32 (w->keys, 8);
  put_u32 (w->keys, (guint32) -1);
  writer_array (w, "a.empty", TERN_GGUF_F32, 0);
  writer_tensor (w, "matrix", 2, dims_4x2, TERN_TYPE_F32, values_8, sizeof values_8);
  writer_tensor (w, "ids", 1, dim_2, TERN_TYPE_I32, values_8, 8);
  writer_tensor (w, "halves", 1, dim_2, TERN_TYPE_F16, "\0\x3c\0\xc0", 4);
}

typedef struct {
  GByteArray *bytes;
  TernGguf *file;
} Sample;

static void
sample_open (Sample *sample, guint32 version)
{
  g_auto (GgufWriter) w;
  GError *error = NULL;

  write_sample (&w);
  w.version = version;
  sample->bytes = writer_finish (&w);
  sample->file = tern_gguf_open_memory (sample->bytes->data, sample->bytes->len, PATH, &error);
  g_assert_no_error (error);
}

static void
sample_close (Sample *sample)
{
  tern_gguf_unref (sample->file);
  g_byte_array_unref (sample->bytes);
}

static void
test_head (void)
{
  guint32 version;

  for (version = 2; version <= 3; version++) {
    TernGgufType type;
    Sample s;

    sample_open (&s, version);
    g_assert_cmpstr (tern_gguf_path (s.file), ==, PATH);
    g_assert_cmpuint (tern_gguf_version (s.file), ==, version);
    g_assert_cmpuint (tern_gguf_alignment (s.file), ==, 32);
    g_assert_cmpuint (tern_gguf_size (s.file), ==, s.bytes->len);
    g_assert_cmpuint (tern_gguf_data_start (s.file) % 32, ==, 0);
    g_assert_cmpuint (tern_gguf_data_start (s.file), ==, tern_gguf_find (s.file, "matrix")->offset);
    g_assert_cmpuint (tern_gguf_header (s.file).len, <=, tern_gguf_data_start (s.file));
    g_assert_cmpuint (tern_gguf_header (s.file).len + 32, >, tern_gguf_data_start (s.file));
    g_assert_cmpuint (tern_gguf_n_keys (s.file), ==, 20);
    g_assert_cmpuint (tern_gguf_n_tensors (s.file), ==, 3);
    g_assert_cmpstr (tern_gguf_key (s.file, 1, &type), ==, "n.u8");
    g_assert_cmpint (type, ==, TERN_GGUF_U8);
    g_assert_true (tern_gguf_ref (s.file) == s.file);
    tern_gguf_unref (s.file);
    sample_close (&s);
  }
}

/* ---- Getters ----------------------------------------------------------------------------------------------------- */

static void
test_integers (void)
{
  static const struct {
    const char *key;
    guint32 value;
  } right[] = { { "n.u8", 200 }, { "n.u16", 60000 }, { "n.i16", 300 }, { "n.u32", 4000000000u }, { "n.i32", 77 },
    { "n.u64", 123456 }, { "n.i64", 99 } };
  static const char *const wrong[] = { "n.i8", "n.big", "n.f32", "general.architecture", "a.i32", "b.true" };
  GError *error = NULL;
  guint32 out;
  Sample s;
  gsize i;

  sample_open (&s, 3);
  for (i = 0; i < G_N_ELEMENTS (right); i++) {
    guint32 v = right[i].value;

    g_assert_true (tern_gguf_u32 (s.file, right[i].key, 0, G_MAXUINT32, &out, &error));
    g_assert_cmpuint (out, ==, v);
    g_assert_true (tern_gguf_u32 (s.file, right[i].key, v, v, &out, &error));
    g_assert_false (tern_gguf_u32 (s.file, right[i].key, v + 1, G_MAXUINT32, &out, &error));
    check_error (error, TERN_ERROR_FORMAT, right[i].key);
    g_clear_error (&error);
    g_assert_false (tern_gguf_u32 (s.file, right[i].key, 0, v - 1, &out, &error));
    check_error (error, TERN_ERROR_FORMAT, right[i].key);
    g_clear_error (&error);
  }
  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_false (tern_gguf_u32_or (s.file, wrong[i], 0, G_MAXUINT32, 5, &out, &error));
    check_error (error, TERN_ERROR_FORMAT, wrong[i]);
    g_clear_error (&error);
  }
  g_assert_false (tern_gguf_u32 (s.file, "n.none", 0, 9, &out, &error));
  check_error (error, TERN_ERROR_FORMAT, "n.none");
  g_clear_error (&error);
  g_assert_true (tern_gguf_u32_or (s.file, "n.none", 0, 9, 5, &out, &error));
  g_assert_cmpuint (out, ==, 5);
  sample_close (&s);
}

static void
test_floats_and_bools (void)
{
  static const char *const wrong[] = { "n.nan", "n.huge", "n.u32", "general.architecture", "a.empty" };
  GError *error = NULL;
  gboolean flag;
  Sample s;
  float out;
  gsize i;

  sample_open (&s, 3);
  g_assert_true (tern_gguf_f32 (s.file, "n.f32", 1e-5f, 1e-5f, &out, &error));
  g_assert_true (out == 1e-5f);
  g_assert_true (tern_gguf_f32 (s.file, "n.f64", 0, 1, &out, &error));
  g_assert_true (out == 0.5f);
  g_assert_false (tern_gguf_f32 (s.file, "n.f64", 0.6f, 1, &out, &error));
  check_error (error, TERN_ERROR_FORMAT, "n.f64");
  g_clear_error (&error);
  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_assert_false (tern_gguf_f32_or (s.file, wrong[i], -INFINITY, INFINITY, 1, &out, &error));
    check_error (error, TERN_ERROR_FORMAT, wrong[i]);
    g_clear_error (&error);
  }
  g_assert_false (tern_gguf_f32 (s.file, "n.none", 0, 1, &out, &error));
  g_clear_error (&error);
  g_assert_true (tern_gguf_f32_or (s.file, "n.none", 0, 1, 7, &out, &error));
  g_assert_true (out == 7);

  g_assert_true (tern_gguf_bool_or (s.file, "b.true", FALSE, &flag, &error) && flag);
  g_assert_true (tern_gguf_bool_or (s.file, "b.none", TRUE, &flag, &error) && flag);
  g_assert_false (tern_gguf_bool_or (s.file, "b.two", TRUE, &flag, &error));
  check_error (error, TERN_ERROR_FORMAT, "b.two");
  g_clear_error (&error);
  g_assert_false (tern_gguf_bool_or (s.file, "n.u8", TRUE, &flag, &error));
  g_clear_error (&error);
  sample_close (&s);
}

static void
test_strings_and_arrays (void)
{
  GError *error = NULL;
  TernGgufArray array;
  const guint8 *cursor;
  TernGgufValue value;
  TernBytes text;
  guint32 layers[3];
  Sample s;

  sample_open (&s, 3);
  g_assert_true (tern_gguf_string (s.file, "s.nul", &text, &error));
  g_assert_cmpmem (text.data, text.len, "a\0b", 3);
  g_assert_true (tern_gguf_string_or (s.file, "s.none", &text, &error));
  g_assert_true (text.data == NULL && text.len == 0);
  g_assert_false (tern_gguf_string (s.file, "s.none", &text, &error));
  g_clear_error (&error);
  g_assert_false (tern_gguf_string_or (s.file, "n.u8", &text, &error));
  check_error (error, TERN_ERROR_FORMAT, "n.u8");
  g_clear_error (&error);

  g_assert_true (tern_gguf_array (s.file, "a.strings", TERN_GGUF_STRING, TRUE, &array, &error));
  g_assert_cmpuint (array.count, ==, 3);
  cursor = array.data;
  text = tern_gguf_next_string (&cursor);
  g_assert_cmpmem (text.data, text.len, "one", 3);
  g_assert_cmpuint (tern_gguf_next_string (&cursor).len, ==, 0);
  text = tern_gguf_next_string (&cursor);
  g_assert_cmpmem (text.data, text.len, "three", 5);
  g_assert_false (tern_gguf_array (s.file, "a.strings", TERN_GGUF_I32, TRUE, &array, &error));
  check_error (error, TERN_ERROR_FORMAT, "a.strings");
  g_clear_error (&error);
  g_assert_false (tern_gguf_array (s.file, "a.none", TERN_GGUF_I32, TRUE, &array, &error));
  g_clear_error (&error);
  g_assert_true (tern_gguf_array (s.file, "a.none", TERN_GGUF_I32, FALSE, &array, &error));
  g_assert_true (array.count == 0 && array.data == NULL);
  g_assert_true (tern_gguf_array (s.file, "a.empty", TERN_GGUF_F32, TRUE, &array, &error));
  g_assert_cmpuint (array.count, ==, 0);
  g_assert_true (tern_gguf_array (s.file, "a.i32", TERN_GGUF_I32, TRUE, &array, &error));
  tern_gguf_element (&array, 2, &value);
  g_assert_cmpint (value.i64, ==, -1);

  g_assert_true (tern_gguf_u32_layers (s.file, "n.i32", 0, 100, 3, layers, &error));
  g_assert_true (layers[0] == 77 && layers[1] == 77 && layers[2] == 77);
  g_assert_false (tern_gguf_u32_layers (s.file, "a.i32", 0, 100, 3, layers, &error));       /* -1 */
  check_error (error, TERN_ERROR_FORMAT, "a.i32");
  g_clear_error (&error);
  g_assert_false (tern_gguf_u32_layers (s.file, "a.i32", 0, 100, 2, layers, &error));
  g_clear_error (&error);
  g_assert_false (tern_gguf_u32_layers (s.file, "a.strings", 0, 100, 3, layers, &error));
  g_clear_error (&error);
  g_assert_false (tern_gguf_u32_layers (s.file, "n.i32", 0, 76, 3, layers, &error));
  g_clear_error (&error);
  g_assert_false (tern_gguf_u32_layers (s.file, "n.none", 0, 76, 3, layers, &error));
  g_clear_error (&error);
  sample_close (&s);
}

static void
test_tensors (void)
{
  const guint64 transposed[] = { 2, 4 }, cube[] = { 4, 2, 1 }, deep[] = { 4, 2, 2 }, two[] = { 2 };
  const TernTensor *tensor;
  GError *error = NULL;
  float *values;
  Sample s;

  sample_open (&s, 3);
  tensor = tern_gguf_require (s.file, "matrix", 2, dims_4x2, &error);
  g_assert_no_error (error);
  g_assert_true (tensor == tern_gguf_find (s.file, "matrix") && tensor == tern_gguf_tensor_at (s.file, 0));
  g_assert_cmpmem (tensor->data, tensor->bytes, values_8, sizeof values_8);
  g_assert_true (tern_gguf_require (s.file, "matrix", 3, cube, &error) == tensor);

  g_assert_null (tern_gguf_find (s.file, "matri"));
  g_assert_null (tern_gguf_require (s.file, "nothing", 2, dims_4x2, &error));
  check_error (error, TERN_ERROR_FORMAT, "nothing");
  g_clear_error (&error);
  g_assert_null (tern_gguf_require (s.file, "matrix", 2, transposed, &error));
  check_error (error, TERN_ERROR_FORMAT, "expected shape 2 x 4, found 4 x 2");
  g_clear_error (&error);
  g_assert_null (tern_gguf_require (s.file, "matrix", 3, deep, &error));
  g_clear_error (&error);
  g_assert_null (tern_gguf_require (s.file, "ids", 1, two, &error));
  check_error (error, TERN_ERROR_UNSUPPORTED, "I32");
  g_clear_error (&error);

  values = tern_gguf_load_f32 (s.file, "halves", 1, two, &error);
  g_assert_no_error (error);
  g_assert_true (values[0] == 1 && values[1] == -2);
  tern_mem_free (values);
  g_assert_null (tern_gguf_load_f32 (s.file, "ids", 1, two, &error));
  g_clear_error (&error);
  sample_close (&s);
}

/* ---- Damage ------------------------------------------------------------------------------------------------------ */

static void
test_bad_head (void)
{
  static const struct { const char *bytes; gsize n; const char *word; } others[] = {
    { "version https://git-lfs.github.com/spec/v1\noid sha256:0", 54, "git-lfs" }, { "<!DOCTYPE html>", 15, "web page" },
    { "{\"error\":\"Not Found\"}", 21, "JSON" }, { "\x1f\x8b\x08\0\0", 5, "gzip" }, { "\x28\xb5\x2f\xfd\0", 5, "zstd" },
    { "PK\3\4\0\0", 6, "zip" }, { "lmgg\1\0\0\0", 8, "GGML" },
    { "{\1\0\0\0\0\0\0{\"__metadata__\":{}}", 26, "safetensors" }, { "version 2", 9, "magic" },
  };
  g_auto (GgufWriter) w;

  refuse_bytes (NULL, 0, TERN_ERROR_FORMAT, "empty");
  refuse_bytes ((const guint8 *) "GGU", 3, TERN_ERROR_FORMAT, "magic");
  refuse_bytes ((const guint8 *) "GGUF", 4, TERN_ERROR_FORMAT, "version");
  refuse_bytes ((const guint8 *) "FUGG\3\0\0\0", 8, TERN_ERROR_FORMAT, "magic");
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    refuse_bytes ((const guint8 *) others[i].bytes, others[i].n, TERN_ERROR_FORMAT, others[i].word);
  write_sample (&w);
  w.version = 0;
  refuse (&w, TERN_ERROR_UNSUPPORTED, "found 0");
  w.version = 1;
  refuse (&w, TERN_ERROR_UNSUPPORTED, "found 1");
  w.version = 4;
  refuse (&w, TERN_ERROR_UNSUPPORTED, "found 4");
  w.version = 0x03000000;
  refuse (&w, TERN_ERROR_UNSUPPORTED, "big-endian");
  w.version = 3;

  w.n_keys = G_MAXUINT64;
  refuse (&w, TERN_ERROR_FORMAT, "number of keys");
  w.n_keys = 60000;             /* below the limit, but not in a file of this size */
  refuse (&w, TERN_ERROR_FORMAT, "number of keys");
  w.n_keys = 21;                /* the directory is read as a key */
  refuse (&w, TERN_ERROR_FORMAT, "");
  w.n_keys = 19;
  refuse (&w, TERN_ERROR_FORMAT, "");
  w.n_keys = 20;
  w.n_tensors = (guint64) 1 << 62;
  refuse (&w, TERN_ERROR_FORMAT, "number of tensors");
  w.n_tensors = 60000;
  refuse (&w, TERN_ERROR_FORMAT, "number of tensors");
  w.n_tensors = 4;
  refuse (&w, TERN_ERROR_FORMAT, "");
}

/* Every prefix of the sample, whose last tensor ends with the file. */
static void
test_truncated (void)
{
  g_auto (GgufWriter) w;
  g_autoptr (GByteArray) bytes = NULL;
  gsize n;

  write_sample (&w);
  bytes = writer_finish (&w);
  for (n = 0; n < bytes->len; n++)
    refuse_bytes (bytes->data, n, TERN_ERROR_FORMAT, "");
}

static void
walk (const TernGguf *file)
{
  guint64 sum = 0, i, k;

  for (k = 0; k < tern_gguf_n_keys (file); k++) {
    TernGgufValue value, element;
    const guint8 *cursor;

    tern_gguf_value (file, k, &value);
    for (i = 0; i < value.string.len; i++)
      sum += value.string.data[i];
    cursor = value.array.data;
    for (i = 0; i < value.array.count; i++) {
      if (value.array.type == TERN_GGUF_STRING)
        sum += tern_gguf_next_string (&cursor).len;
      else
        tern_gguf_element (&value.array, i, &element);
    }
  }
  for (k = 0; k < tern_gguf_n_tensors (file); k++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, k);

    g_assert_true (tern_gguf_find (file, tensor->name) == tensor);
    for (i = 0; i < tensor->bytes; i++)
      sum += tensor->data[i];
  }
  g_assert_cmpuint (sum, !=, 1);        /* keeps the reads */
}

/* Any byte may be anything: an error or a file whose every promise holds. */
static void
test_flipped (void)
{
  static const guint8 masks[] = { 0x01, 0x02, 0x08, 0x20, 0x40, 0x80, 0xff };
  g_auto (GgufWriter) w;
  g_autoptr (GByteArray) bytes = NULL;
  guint opened = 0, refused = 0;
  gsize n, m;

  write_sample (&w);
  bytes = writer_finish (&w);
  for (n = 0; n < bytes->len; n++) {
    for (m = 0; m < G_N_ELEMENTS (masks); m++) {
      g_autoptr (GError) error = NULL;
      g_autofree guint8 *copy = NULL;
      g_autoptr (TernGguf) file = NULL;

      bytes->data[n] ^= masks[m];
      file = open_copy (bytes->data, bytes->len, &copy, &error);
      bytes->data[n] ^= masks[m];
      if (file) {
        walk (file);
        opened++;
      } else {
        g_assert_nonnull (strstr (error->message, PATH));
        refused++;
      }
    }
  }
  g_assert_cmpuint (opened, >, 100);
  g_assert_cmpuint (refused, >, 100);
}

static void
test_bad_keys (void)
{
  GgufWriter w;

#define KEYS(code, word, ...) G_STMT_START { \
    writer_init (&w); \
    __VA_ARGS__; \
    put_bytes (w.infos, "................................................................", 64); \
    refuse (&w, code, word); \
    writer_clear (&w); \
  } G_STMT_END

  KEYS (TERN_ERROR_FORMAT, "x.y", writer_u32 (&w, "x.y", 1), writer_u32 (&w, "z", 1), writer_u32 (&w, "x.y", 1));
  KEYS (TERN_ERROR_FORMAT, "empty", writer_u32 (&w, "", 1));
  KEYS (TERN_ERROR_FORMAT, "control characters", writer_u32 (&w, "a\033b", 1));
  KEYS (TERN_ERROR_FORMAT, "UTF-8", writer_u32 (&w, "a\xff", 1));
  KEYS (TERN_ERROR_FORMAT, "9223372036854775808", put_u64 (w.keys, (guint64) 1 << 63), w.n_keys++);
  KEYS (TERN_ERROR_FORMAT, "truncated", put_u64 (w.keys, 60000), w.n_keys++);
  KEYS (TERN_ERROR_FORMAT, "found 13", writer_key (&w, "x", 13));
  KEYS (TERN_ERROR_FORMAT, "1099511627776", writer_key (&w, "x", TERN_GGUF_STRING),
      put_u64 (w.keys, (guint64) 1 << 40));
  KEYS (TERN_ERROR_FORMAT, "x", writer_key (&w, "x", TERN_GGUF_STRING), put_u64 (w.keys, 1000));
  KEYS (TERN_ERROR_FORMAT, "found 77", writer_array (&w, "x", 77, 1));
  KEYS (TERN_ERROR_UNSUPPORTED, "arrays", writer_array (&w, "x", TERN_GGUF_ARRAY, 1));
  KEYS (TERN_ERROR_FORMAT, "x", writer_array (&w, "x", TERN_GGUF_F64, (guint64) 1 << 61));
  KEYS (TERN_ERROR_FORMAT, "x", writer_array (&w, "x", TERN_GGUF_STRING, (guint64) 1 << 61));
  KEYS (TERN_ERROR_FORMAT, "x", writer_array (&w, "x", TERN_GGUF_U8, 200));
  KEYS (TERN_ERROR_FORMAT, "x", writer_array (&w, "x", TERN_GGUF_STRING, 2), put_string (w.keys, "a"),
      put_u64 (w.keys, 1000));
  KEYS (TERN_ERROR_UNSUPPORTED, "split.count", writer_u32 (&w, "split.count", 2));
  KEYS (TERN_ERROR_FORMAT, "split.count", writer_string (&w, "split.count", "2"));
  KEYS (TERN_ERROR_FORMAT, "general.alignment", writer_u32 (&w, "general.alignment", 0));
  KEYS (TERN_ERROR_FORMAT, "general.alignment", writer_u32 (&w, "general.alignment", 24));
  KEYS (TERN_ERROR_FORMAT, "general.alignment", writer_u32 (&w, "general.alignment", 1u << 31));
  KEYS (TERN_ERROR_FORMAT, "general.alignment", writer_string (&w, "general.alignment", "32"));
#undef KEYS
}

static void
test_bad_tensors (void)
{
  const guint64 max = G_MAXUINT64, half = (guint64) 1 << 63, d2[] = { 4, 2 };
  const guint64 wide[] = { (guint64) 1 << 33, (guint64) 1 << 33 };
  const guint64 ones[8] = { 1, 1, 1, 1, 1 }, minus[] = { half, 1 };
  const guint64 wraps[] = { (guint64) 1 << 32, (guint64) 1 << 32, 1, 1 };
  const guint64 wide_bytes[] = { (guint64) 1 << 31, (guint64) 1 << 31 }, k[] = { 16, 2 };
  const guint64 i2_s[] = { 192, 2 }, iq_bn[] = { 96, 2 }, rows[] = { 64, ((guint64) 1 << 57) - 1 };
  const guint64 tall[] = { 128, (guint64) 1 << 55 };
  char long_name[65];
  GgufWriter w;

  memset (long_name, 'n', 64);
  long_name[64] = '\0';

  /* A good tensor of 32 bytes goes first. */
#define TENSOR(code, word, ...) G_STMT_START { \
    writer_init (&w); \
    writer_tensor (&w, "good", 2, dims_4x2, TERN_TYPE_F32, values_8, 32); \
    put_bytes (w.data, values_8, 32); \
    writer_info (&w, __VA_ARGS__); \
    refuse (&w, code, word); \
    writer_clear (&w); \
  } G_STMT_END

  TENSOR (TERN_ERROR_FORMAT, "twice", "good", 2, d2, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "empty", "", 2, d2, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "64", long_name, 2, d2, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "found 5", "bad", 5, ones, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "4294967295", "bad", G_MAXUINT32, ones, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "2^63", "bad", 2, wide, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "2^63", "bad", 2, minus, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "2^63", "bad", 4, wraps, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_FORMAT, "bad", "bad", 2, wide_bytes, TERN_TYPE_F32, 32);
  TENSOR (TERN_ERROR_UNSUPPORTED, "number 200", "bad", 2, d2, 200, 32);
  TENSOR (TERN_ERROR_UNSUPPORTED, "number 4", "bad", 2, d2, 4, 32);
  TENSOR (TERN_ERROR_FORMAT, "256", "bad", 2, k, TERN_TYPE_Q4_K, 32);
  TENSOR (TERN_ERROR_FORMAT, "128", "bad", 2, i2_s, TERN_TYPE_I2_S, 32);
  TENSOR (TERN_ERROR_FORMAT, "64", "bad", 2, iq_bn, TERN_TYPE_IQ1_BN, 32);
  TENSOR (TERN_ERROR_FORMAT, "64", "bad", 2, iq_bn, TERN_TYPE_IQ2_BN, 32);
  TENSOR (TERN_ERROR_FORMAT, "truncated", "bad", 2, rows, TERN_TYPE_IQ2_BN, 32);
  TENSOR (TERN_ERROR_FORMAT, "2^63 values", "bad", 2, wide, TERN_TYPE_I2_S, 32);
  TENSOR (TERN_ERROR_FORMAT, "truncated", "bad", 2, tall, TERN_TYPE_I2_S, 32);
  TENSOR (TERN_ERROR_FORMAT, "multiple of 32", "bad", 2, d2, TERN_TYPE_F32, 33);
  TENSOR (TERN_ERROR_FORMAT, "truncated", "bad", 2, d2, TERN_TYPE_F32, 64);
  TENSOR (TERN_ERROR_FORMAT, "truncated", "bad", 2, d2, TERN_TYPE_F32, max - 31);
  TENSOR (TERN_ERROR_FORMAT, "overlaps", "bad", 2, d2, TERN_TYPE_F32, 0);
#undef TENSOR
}

/* Rows with headers, a tensor with a tail: right to the byte, one byte short, and of impossible widths. */
static void
test_rows_and_tails (void)
{
  static const struct {
    guint32 type;
    guint64 dims[3];
    gsize bytes;
  } sizes[] = {
    { TERN_TYPE_I2_S, { 128, 3, 1 }, 96 + 32 },
    { TERN_TYPE_I2_S, { 256, 2, 2 }, 256 + 32 },
    { TERN_TYPE_IQ1_BN, { 64, 7, 1 }, 7 * 15 },
    { TERN_TYPE_IQ1_BN, { 192, 3, 2 }, 6 * (2 + 39) },
    { TERN_TYPE_IQ2_BN, { 64, 7, 1 }, 7 * 20 },
  };
  gsize i, missing;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree guint8 *zeros = g_malloc0 (sizes[i].bytes);

    for (missing = 0; missing <= 1; missing++) {
      g_autoptr (GByteArray) bytes = NULL;
      g_autoptr (TernGguf) file = NULL;
      g_autoptr (GError) error = NULL;
      GgufWriter w;

      writer_init (&w);
      writer_tensor (&w, "t", 3, sizes[i].dims, sizes[i].type, zeros, sizes[i].bytes - missing);
      bytes = writer_finish (&w);
      writer_clear (&w);
      file = tern_gguf_open_memory (bytes->data, bytes->len, PATH, &error);
      if (missing) {
        g_assert_null (file);
        check_error (error, TERN_ERROR_FORMAT, "truncated");
        continue;
      }
      g_assert_no_error (error);
      g_assert_cmpuint (tern_gguf_find (file, "t")->bytes, ==, sizes[i].bytes);
      walk (file);
    }
  }
}

/* Types that cannot be sized, whose numbers other programs use. */
static void
test_foreign_types (void)
{
  static const struct {
    guint32 type;
    const char *arch;
    guint32 file_type;          /* 0: no such key */
    const char *word;           /* NULL: the file opens */
  } files[] = {
    { 37, NULL, 0, "I8_S" }, { 38, "bitnet-b1.58", 38, "TL1" }, { 39, "bitnet-b1.58", 39, "TL2" },
    { 39, "bitnet", 41, "I2_S" }, { 39, "bitnet", 38, NULL }, { 39, "bitnet", 0, NULL }, { 39, "llama", 39, NULL },
    { 335, "bitnet-b1.58", 0, "IQ2_BN_R4" }, { 200, "llama", 0, "IQ2_BN" }, { G_MAXUINT32, NULL, 0, "Q4_K" },
  };
  const guint64 dims[] = { 256, 4 };
  guint8 zeros[1024] = { 0 };
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (files); i++) {
    GgufWriter w;

    writer_init (&w);
    if (files[i].arch)
      writer_string (&w, "general.architecture", files[i].arch);
    if (files[i].file_type)
      writer_u32 (&w, "general.file_type", files[i].file_type);
    writer_tensor (&w, "odd", 2, dims, files[i].type, zeros, sizeof zeros);
    if (files[i].word) {
      refuse (&w, TERN_ERROR_UNSUPPORTED, files[i].word);
    } else {
      g_autoptr (GByteArray) bytes = writer_finish (&w);
      g_autoptr (TernGguf) file = tern_gguf_open_memory (bytes->data, bytes->len, PATH, NULL);

      g_assert_nonnull (file);
      g_assert_cmpstr (tern_gguf_find (file, "odd")->type->name, ==, "MXFP4");
    }
    writer_clear (&w);
  }
}

/* Odd and valid: no tensors, other alignments, gaps, another order, a scalar, an empty tensor, unused types. */
static void
test_odd (void)
{
  const guint64 none[] = { 0, 2 };
  guint32 alignment;

  for (alignment = 1; alignment <= 1024; alignment *= 2) {
    g_autoptr (GByteArray) bytes = NULL;
    g_autoptr (TernGguf) file = NULL;
    GError *error = NULL;
    GgufWriter w;

    writer_init (&w);
    w.alignment = alignment;
    writer_u32 (&w, "general.alignment", alignment);
    put_bytes (w.data, values_8, 32);
    put_bytes (w.data, values_8, 32);
    writer_pad (w.data, 1024);
    put_bytes (w.data, values_8, 32);
    writer_info (&w, "late", 2, dims_4x2, TERN_TYPE_F32, 1024);
    writer_info (&w, "early", 2, dims_4x2, 27, 0);
    writer_info (&w, "empty", 2, none, TERN_TYPE_F32, 1024);
    writer_info (&w, "scalar", 0, NULL, TERN_TYPE_F32, 1024);
    if (alignment > 1)          /* else it overlaps */
      w.n_tensors--, g_byte_array_set_size (w.infos, w.infos->len - (8 + 6 + 4 + 4 + 8));
    else
      g_byte_array_set_size (w.infos, w.infos->len - 8), put_u64 (w.infos, 99);
    bytes = writer_finish (&w);
    writer_clear (&w);
    file = tern_gguf_open_memory (bytes->data, bytes->len, PATH, &error);
    g_assert_no_error (error);
    walk (file);
    g_assert_cmpmem (tern_gguf_find (file, "late")->data, 32, values_8, 32);
    g_assert_null (tern_gguf_find (file, "early")->type->to_f32);
    g_assert_null (tern_gguf_require (file, "empty", 2, none, &error));
    check_error (error, TERN_ERROR_FORMAT, "empty");
    g_clear_error (&error);
  }
}

/* Names that collide in every simple hash, so many and so often that comparing each with each would take longer than
 * a test may. */
static void
test_many_names (void)
{
  g_autoptr (GByteArray) bytes = NULL;
  GgufWriter w;
  guint i, b;

  writer_init (&w);
  for (i = 0; i < 65536; i++) {
    char name[33] = { 0 };

    for (b = 0; b < 16; b++)    /* "Ez" and "FY" have one djb2 sum */
      memcpy (name + 2 * b, i >> b & 1 ? "FY" : "Ez", 2);
    writer_number (&w, name, TERN_GGUF_U8, "\1", 1);
  }
  bytes = writer_finish (&w);
  writer_clear (&w);
  for (i = 0; i < 20; i++) {
    g_autoptr (TernGguf) file = tern_gguf_open_memory (bytes->data, bytes->len, PATH, NULL);

    g_assert_nonnull (file);
    g_assert_true (tern_gguf_has (file, "FYFYFYFYFYFYFYFYFYFYFYFYFYFYFYFY"));
  }
}

static void
test_paths (void)
{
  g_autofree char *folder = g_dir_make_tmp ("tern-gguf-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "a.gguf", NULL);
  g_autoptr (GByteArray) bytes = NULL;
  TernGguf *file;
  GError *error = NULL;
  GgufWriter w;

  g_assert_null (tern_gguf_open (path, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (tern_gguf_open (folder, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_READ);
  g_clear_error (&error);

  write_sample (&w);
  bytes = writer_finish (&w);
  writer_clear (&w);
  g_assert_true (g_file_set_contents (path, (char *) bytes->data, bytes->len, NULL));
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  walk (file);
  tern_gguf_unref (file);
  g_unlink (path);
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/gguf/head", test_head);
  g_test_add_func ("/gguf/integers", test_integers);
  g_test_add_func ("/gguf/floats-and-bools", test_floats_and_bools);
  g_test_add_func ("/gguf/strings-and-arrays", test_strings_and_arrays);
  g_test_add_func ("/gguf/tensors", test_tensors);
  g_test_add_func ("/gguf/bad-head", test_bad_head);
  g_test_add_func ("/gguf/truncated", test_truncated);
  g_test_add_func ("/gguf/flipped", test_flipped);
  g_test_add_func ("/gguf/bad-keys", test_bad_keys);
  g_test_add_func ("/gguf/bad-tensors", test_bad_tensors);
  g_test_add_func ("/gguf/rows-and-tails", test_rows_and_tails);
  g_test_add_func ("/gguf/foreign-types", test_foreign_types);
  g_test_add_func ("/gguf/odd", test_odd);
  g_test_add_func ("/gguf/many-names", test_many_names);
  g_test_add_func ("/gguf/paths", test_paths);
  return g_test_run ();
}
