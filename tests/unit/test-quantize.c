/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quantisers against those of other programs (make-quantize-vectors.py), and files that are written. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tern/error.h"
#include "engine/weights/gguf-write.h"
#include "engine/weights/quantize.h"

#define MAX_ERROR_RATIO 1.05    /* of root mean squares, to ggml's */

static guint32
take_u32 (const guint8 **p)
{
  guint32 v;

  memcpy (&v, *p, sizeof v);
  *p += sizeof v;
  return GUINT32_FROM_LE (v);
}

static double
squared_error (const TernTypeInfo *type, const guint8 *blocks, const float *values, guint n)
{
  g_autofree float *found = g_new (float, n);
  double sum = 0;
  guint i;

  type->to_f32 (found, blocks, n);
  for (i = 0; i < n; i++)
    sum += ((double) found[i] - values[i]) * ((double) found[i] - values[i]);
  return sum;
}

static void
check_record (const TernTypeInfo *type, const float *values, guint n, const guint8 *expected, guint bytes)
{
  gsize size = n / type->block * type->bytes, i;
  g_autofree guint8 *blocks = g_malloc (size + 1);
  double theirs, ours;

  memset (blocks, 0xa5, size + 1);
  tern_quantizer (type->type) (blocks, values, n);
  g_assert_cmpuint (blocks[size], ==, 0xa5);
  if (bytes == size) {
    for (i = 0; i < size; i++)
      if (blocks[i] != expected[i])
        g_error ("%s: byte %" G_GSIZE_FORMAT " of block %" G_GSIZE_FORMAT ": expected %u, found %u", type->name,
            i % type->bytes, i / type->bytes, expected[i], blocks[i]);
    return;
  }
  g_assert_cmpuint (bytes, ==, sizeof theirs);
  memcpy (&theirs, expected, sizeof theirs);
  ours = squared_error (type, blocks, values, n);
  g_test_message ("%s: squared error %g, ggml %g", type->name, ours, theirs);
  g_assert_cmpfloat (sqrt (ours), <=, MAX_ERROR_RATIO * sqrt (theirs));
}

static void
test_vectors (void)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "data", "quantize-vectors.bin", NULL);
  g_autofree char *data = NULL;
  gboolean seen[256] = { FALSE };
  const guint8 *p;
  gsize size;
  guint id;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  for (p = (const guint8 *) data; p < (const guint8 *) data + size;) {
    guint32 kind = take_u32 (&p), n = take_u32 (&p), bytes = take_u32 (&p);
    g_autofree float *values = g_memdup2 (p, 4 * n);

    check_record (tern_type_info (kind), values, n, p + 4 * n, bytes);
    p += 4 * n + bytes;
    seen[kind] = TRUE;
  }
  for (id = 0; id < G_N_ELEMENTS (seen); id++)
    g_assert_cmpint (seen[id], ==, tern_quantizer (id) != NULL);
}

/* What is easily lost: values near the largest and the smallest, and blocks of one value. */
static void
test_extremes (void)
{
  static const float tops[] = { 0, 1e-45f, 1e-38f, 1e-20f, 6e-8f, 1e-3f, 1, 65504 };
  static const guint32 ids[] = { TERN_TYPE_F16, TERN_TYPE_Q8_0, TERN_TYPE_Q4_0, TERN_TYPE_Q5_0, TERN_TYPE_Q4_K,
    TERN_TYPE_Q6_K };
  gsize k, t, i;
  guint kind;

  for (k = 0; k < G_N_ELEMENTS (ids); k++)
    for (t = 0; t < G_N_ELEMENTS (tops); t++)
      for (kind = 0; kind < 4; kind++) {
        const TernTypeInfo *type = tern_type_info (ids[k]);
        float values[256], found[256], bound = MAX (tops[t] / 7, 1e-5f);
        guint8 blocks[1024];

        for (i = 0; i < 256; i++)
          values[i] = kind == 0 ? tops[t] : kind == 1 ? -tops[t] : kind == 2 ? (i % 2 ? tops[t] : -tops[t])
              : i == 77 ? tops[t] : 0;
        tern_quantizer (ids[k]) (blocks, values, 256);
        type->to_f32 (found, blocks, 256);
        for (i = 0; i < 256; i++)
          if (!(fabsf (found[i] - values[i]) <= bound))
            g_error ("%s: expected %g, found %g", type->name, values[i], found[i]);
      }
}

/* Scales that f16 hardly holds: never worse than zeros, and near @top good. A sub-block far below the others neither. */
static void
test_tiny (void)
{
  static const struct { guint32 id; float top; double bound; } cases[] = {
    { TERN_TYPE_Q4_K, 1, .1 }, { TERN_TYPE_Q4_K, 1e-4f, .1 }, { TERN_TYPE_Q4_K, 1e-5f, .1 }, { TERN_TYPE_Q4_K, 3e-6f, .12 },
    { TERN_TYPE_Q4_K, 1e-6f, .2 }, { TERN_TYPE_Q4_K, 3e-7f, 1 }, { TERN_TYPE_Q4_K, 1e-7f, 1 }, { TERN_TYPE_Q4_K, 1e-8f, 1 },
    { TERN_TYPE_Q6_K, 1, .02 }, { TERN_TYPE_Q6_K, 1e-4f, .02 }, { TERN_TYPE_Q6_K, 3e-6f, .1 }, { TERN_TYPE_Q6_K, 1e-6f, .5 },
    { TERN_TYPE_Q6_K, 1e-7f, 1 },
  };
  g_autoptr (GRand) drawn = g_rand_new_with_seed (5);

  for (gsize c = 0; c < G_N_ELEMENTS (cases); c++)
    for (guint sloped = 0; sloped < 2; sloped++) {
      const TernTypeInfo *type = tern_type_info (cases[c].id);
      double wrong[8] = { 0 }, power[8] = { 0 };
      float values[256], found[256];
      guint8 blocks[256];

      for (guint i = 0; i < 256; i++)           /* sub-blocks of 32, with @sloped the last of them a thousandth of the first */
        values[i] = (float) g_rand_double_range (drawn, -1, 1) * cases[c].top * (sloped ? powf (10, -3.0f * (i / 32) / 7) : 1);
      tern_quantizer (cases[c].id) (blocks, values, 256);
      type->to_f32 (found, blocks, 256);
      for (guint i = 0; i < 256; i++) {
        wrong[i / 32] += ((double) found[i] - values[i]) * ((double) found[i] - values[i]);
        power[i / 32] += (double) values[i] * values[i];
      }
      for (guint s = 0; s < 8; s++)
        if (!(sqrt (wrong[s] / power[s]) <= (sloped ? 1.0001 : cases[c].bound + 1e-4)))
          g_error ("%s of %g, sub-block %u%s: expected an error of at most %g, found %g", type->name, cases[c].top, s,
              sloped ? " of a slope" : "", cases[c].bound, sqrt (wrong[s] / power[s]));
    }
}

static void
test_ternary (void)
{
  float x[6] = { 0, -0.0f, 0.5f, -0.5f, 0, 0.5f }, scale = 0, odd = 0;
  const float wild[5] = { 0.3f, -0.9f, 0.04f, 0.1f, -0.26f };   /* 0.94, -2.8, 0.125, 0.31, -0.81 of 0.32 */
  const float rounded[5] = { 0.32f, -0.32f, 0, 0, -0.32f };
  float made[5];
  guint i;

  g_assert_true (tern_is_ternary (x, 6, &scale, &odd) && scale == 0.5f);
  x[4] = 0.25f;
  g_assert_false (tern_is_ternary (x, 6, &scale, &odd));
  g_assert_true (odd == 0.25f);
  x[4] = NAN;
  scale = 0;
  g_assert_false (tern_is_ternary (x, 6, &scale, &odd) || !isnan (odd));

  memcpy (made, wild, sizeof made);
  tern_make_ternary (made, 5, 0.32f);
  for (i = 0; i < 5; i++)
    g_assert_true (made[i] == rounded[i]);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static guint
folder_entries (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

static TernGgufWriter *
sample_writer (void)
{
  TernGgufWriter *writer = tern_gguf_writer_new (64);
  const guint64 dims[] = { 4, 2 }, none[] = { 0, 3 };

  tern_gguf_writer_u32 (writer, "general.alignment", 64);
  tern_gguf_writer_u32 (writer, "answer", 42);
  tern_gguf_writer_tensor (writer, "a", tern_type_info (TERN_TYPE_F32), 2, dims, 32);
  tern_gguf_writer_tensor (writer, "nothing", tern_type_info (TERN_TYPE_F32), 2, none, 0);
  tern_gguf_writer_tensor (writer, "b", tern_type_info (TERN_TYPE_F16), 2, dims, 16);
  return writer;
}

static void
test_writer (void)
{
  static const float a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
  static const guint16 b[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
  g_autofree char *folder = g_dir_make_tmp ("tern-write-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "new.gguf", NULL);
  g_autoptr (TernGgufWriter) writer = sample_writer ();
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (GError) error = NULL;
  const TernTensor *tensor;
  guint32 answer;
  struct stat st;

  g_assert_true (g_file_set_contents (path, "old", -1, NULL));
  g_assert_true (tern_gguf_writer_begin (writer, path, &error));
  g_assert_true (tern_gguf_writer_data (writer, a, 12, &error));
  g_assert_true (tern_gguf_writer_data (writer, (const guint8 *) a + 12, 20, &error));
  g_assert_true (tern_gguf_writer_data (writer, b, 16, &error));
  g_assert_cmpint (g_stat (path, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, 3);          /* still the old one */
  g_assert_true (tern_gguf_writer_finish (writer, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (folder_entries (folder), ==, 1);

  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_gguf_size (file), ==, tern_gguf_writer_size (writer));
  g_assert_true (tern_gguf_u32 (file, "answer", 0, 100, &answer, NULL) && answer == 42);
  g_assert_cmpuint (tern_gguf_n_tensors (file), ==, 3);
  tensor = tern_gguf_find (file, "a");
  g_assert_cmpmem (tensor->data, tensor->bytes, a, 32);
  tensor = tern_gguf_find (file, "b");
  g_assert_cmpmem (tensor->data, tensor->bytes, b, 16);
  g_assert_cmpuint (tern_gguf_find (file, "nothing")->bytes, ==, 0);
  g_unlink (path);
  g_rmdir (folder);
}

/* Every kind of key, in a file that is the caller's. */
static void
test_writer_keys (void)
{
  static const char *const words[] = { "", "caf\303\251", "<|end|>" };
  static const gint32 counts[] = { -1, 0, G_MAXINT32 };
  static const float halves[] = { 0.5f, -0.25f };
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("tern-keys-XXXXXX", &path, NULL);
  g_autoptr (TernGgufWriter) writer = tern_gguf_writer_new (32);
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (GError) error = NULL;
  TernGgufArray array;
  TernBytes text;
  gboolean yes;
  float tenth;

  tern_gguf_writer_string (writer, "text", "hello");
  tern_gguf_writer_f32 (writer, "tenth", 0.1f);
  tern_gguf_writer_bool (writer, "yes", TRUE);
  tern_gguf_writer_string_array (writer, "words", words, 3);
  tern_gguf_writer_i32_array (writer, "counts", counts, 3);
  tern_gguf_writer_f32_array (writer, "halves", halves, 2);
  g_assert_true (tern_gguf_writer_begin_fd (writer, fd, "a name", &error));
  g_assert_true (tern_gguf_writer_finish (writer, &error));
  g_assert_cmpint (close (fd), ==, 0);          /* the writer left it open */

  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_gguf_size (file), ==, tern_gguf_writer_size (writer));
  g_assert_true (tern_gguf_string (file, "text", &text, &error));
  g_assert_cmpmem (text.data, text.len, "hello", 5);
  g_assert_true (tern_gguf_f32 (file, "tenth", 0, 1, &tenth, &error) && tenth == 0.1f);
  g_assert_true (tern_gguf_bool_or (file, "yes", FALSE, &yes, &error) && yes);
  g_assert_true (tern_gguf_array (file, "words", TERN_GGUF_STRING, TRUE, &array, &error));
  g_assert_cmpuint (array.count, ==, 3);
  for (guint i = 0; i < 3; i++) {
    text = tern_gguf_next_string (&array.data);
    g_assert_cmpmem (text.data, text.len, words[i], strlen (words[i]));
  }
  g_assert_true (tern_gguf_array (file, "counts", TERN_GGUF_I32, TRUE, &array, &error));
  g_assert_cmpmem (array.data, array.count * 4, counts, sizeof counts);
  g_assert_true (tern_gguf_array (file, "halves", TERN_GGUF_F32, TRUE, &array, &error));
  g_assert_cmpmem (array.data, array.count * 4, halves, sizeof halves);
  g_unlink (path);
}

/* Nothing is left of a file that was not finished, and what had its name stays. */
static void
test_writer_unfinished (void)
{
  g_autofree char *folder = g_dir_make_tmp ("tern-write-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "new.gguf", NULL);
  g_autofree char *missing = g_build_filename (folder, "no", "such", "new.gguf", NULL);
  const char *wrong[] = { folder, "/dev/null", missing };
  g_autoptr (GError) error = NULL;
  TernGgufWriter *writer = sample_writer ();
  gsize i;

  g_assert_true (tern_gguf_writer_begin (writer, path, &error));
  g_assert_true (tern_gguf_writer_data (writer, "half a file", 11, &error));
  tern_gguf_writer_free (writer);
  g_assert_cmpuint (folder_entries (folder), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    writer = sample_writer ();
    g_assert_false (tern_gguf_writer_begin (writer, wrong[i], &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FAILED);
    g_assert_nonnull (strstr (error->message, wrong[i]));
    g_clear_error (&error);
    tern_gguf_writer_free (writer);
  }
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/quantize/vectors", test_vectors);
  g_test_add_func ("/quantize/extremes", test_extremes);
  g_test_add_func ("/quantize/tiny", test_tiny);
  g_test_add_func ("/quantize/ternary", test_ternary);
  g_test_add_func ("/quantize/writer", test_writer);
  g_test_add_func ("/quantize/writer-keys", test_writer_keys);
  g_test_add_func ("/quantize/writer-unfinished", test_writer_unfinished);
  return g_test_run ();
}
