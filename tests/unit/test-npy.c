/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "tools/npy.h"

typedef struct {
  char *folder;
  char *path;
} Place;

static void
place_init (Place *place, gconstpointer data)
{
  place->folder = g_dir_make_tmp ("tern-npy-XXXXXX", NULL);
  place->path = g_build_filename (place->folder, "a.npy", NULL);
}

/* Also checks that no temporary file was left behind. */
static void
place_clear (Place *place, gconstpointer data)
{
  g_unlink (place->path);
  g_assert_cmpint (g_rmdir (place->folder), ==, 0);
  g_free (place->path);
  g_free (place->folder);
}

static void
test_bytes (Place *place, gconstpointer data)
{
  const float values[] = { 1, -2, 0.5f, 3, 4, 5 };
  const gsize shape[] = { 2, 3 };
  GError *error = NULL;
  g_autofree char *text = NULL;
  gsize size;

  g_assert_true (tern_npy_write (place->path, values, 2, shape, &error));
  g_assert_true (g_file_get_contents (place->path, &text, &size, NULL));
  g_assert_cmpmem (text, 10, "\x93NUMPY\x01\x00\x76\x00", 10);
  g_assert_true (g_str_has_prefix (text + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  "));
  g_assert_cmpint (text[127], ==, '\n');
  g_assert_cmpmem (text + 128, size - 128, values, sizeof values);
}

static void
test_round_trip (Place *place, gconstpointer data)
{
  const float values[] = { 1, -2, 0.5f, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
  const gsize shapes[][3] = { { 12 }, { 3, 4 }, { 2, 3, 2 }, { 0, 5 }, { 1 } };
  const guint n_dims[] = { 1, 2, 3, 2, 0 };
  GError *error = NULL;
  guint i, d;

  for (i = 0; i < G_N_ELEMENTS (shapes); i++) {
    gsize n = 1;
    TernNpy npy;

    g_assert_true (tern_npy_write (place->path, values, n_dims[i], shapes[i], &error));
    g_assert_true (tern_npy_read (&npy, place->path, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (npy.n_dims, ==, n_dims[i]);
    for (d = 0; d < n_dims[i]; d++) {
      g_assert_cmpuint (npy.shape[d], ==, shapes[i][d]);
      n *= shapes[i][d];
    }
    g_assert_cmpmem (npy.f32, npy.n * sizeof *npy.f32, values, n * sizeof *values);
    g_assert_null (npy.u8);
    tern_npy_clear (&npy);
  }
}

static void
write_raw (const char *path, const char *description, const void *data, gsize bytes)
{
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_len (text, "\x93NUMPY\x01\x00", 8);
  g_string_append_c (text, (char) strlen (description));
  g_string_append_c (text, 0);
  g_string_append (text, description);
  g_string_append_len (text, data, bytes);
  g_assert_true (g_file_set_contents (path, text->str, text->len, NULL));
}

static void
test_read (Place *place, gconstpointer data)
{
  static const struct {
    const char *description;
    gsize bytes;
    TernErrorCode code;
    const char *found;
  } bad[] = {
    { "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", 3, TERN_ERROR_FORMAT, "found 3 bytes for 4" },
    { "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", 5, TERN_ERROR_FORMAT, "found 5 bytes for 4" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4611686018427387904), }", 0, TERN_ERROR_FORMAT, "shape" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 0, TERN_ERROR_FORMAT, "shape" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1), }", 4, TERN_ERROR_FORMAT, "shape" },
    { "{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, TERN_ERROR_FORMAT, "shape" },
    { "{'descr': '<f4', 'fortran_order': False}", 4, TERN_ERROR_FORMAT, "shape" },
    { "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8, TERN_ERROR_UNSUPPORTED, "'<f4' (float32), found '<f8'" },
    { "{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (1,), }", 8, TERN_ERROR_UNSUPPORTED,
      "found [('x', '<f4'), ('y', '<f4')]" },
    { "{'descr': '<U1000000000000000000000000000000000000000000000000', 'fortran_order': False, 'shape': (1,), }", 4,
      TERN_ERROR_UNSUPPORTED, "found '<U1000000000000000000000000000000000000..." },
    { "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", 4, TERN_ERROR_UNSUPPORTED,
      "C order), found fortran_order: True" },
  };
  GError *error = NULL;
  TernNpy npy;
  gsize i;

  write_raw (place->path, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 2), }", "abcd", 4);
  g_assert_true (tern_npy_read (&npy, place->path, &error));
  g_assert_true (npy.n_dims == 2 && npy.n == 4 && !npy.f32);
  g_assert_cmpmem (npy.u8, 4, "abcd", 4);
  tern_npy_clear (&npy);

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    write_raw (place->path, bad[i].description, "abcdefgh", bad[i].bytes);
    g_assert_false (tern_npy_read (&npy, place->path, &error));
    g_assert_error (error, TERN_ERROR, bad[i].code);
    g_assert_nonnull (strstr (error->message, place->path));
    g_assert_nonnull (strstr (error->message, bad[i].found));
    g_clear_error (&error);
  }
  g_assert_true (g_file_set_contents (place->path, "\x93NUMPY\x02\x00..", 10, NULL));
  g_assert_false (tern_npy_read (&npy, place->path, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "version 1.0, found version 2.0"));
  g_clear_error (&error);
  g_assert_true (g_file_set_contents (place->path, "\x93NUMPY\x01\x00\xff\xff", 10, NULL));
  g_assert_false (tern_npy_read (&npy, place->path, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_clear_error (&error);
  g_unlink (place->path);
  g_assert_false (tern_npy_read (&npy, place->path, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND);
  g_clear_error (&error);
}

/* What cannot be written says so and leaves what was there. */
static void
test_unwritable (Place *place, gconstpointer data)
{
  g_autofree char *inside = g_build_filename (place->path, "b.npy", NULL), *text = NULL;
  const gsize shape = 1, huge[] = { G_MAXSIZE / 2, 4 };
  GError *error = NULL;

  g_assert_true (g_file_set_contents (place->path, "old", -1, NULL));
  g_assert_false (tern_npy_write (inside, (float[]) { 1 }, 1, &shape, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_READ);
  g_assert_nonnull (strstr (error->message, inside));
  g_clear_error (&error);
  g_assert_false (tern_npy_write (place->folder, (float[]) { 1 }, 1, &shape, &error));
  g_assert_nonnull (strstr (error->message, place->folder));
  g_clear_error (&error);
  g_assert_false (tern_npy_write (place->path, (float[]) { 1 }, 2, huge, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
  g_clear_error (&error);
  if (access ("/dev/full", W_OK) == 0) {
    g_assert_false (tern_npy_write ("/dev/full", (float[]) { 1 }, 1, &shape, &error));
    g_assert_nonnull (strstr (error->message, "/dev/full"));
    g_clear_error (&error);
  }
  g_assert_true (g_file_get_contents (place->path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "old");
}

/* What takes another file's place stands where that one did, behind links, and is as accessible. */
static void
test_replaced (Place *place, gconstpointer data)
{
  static const mode_t modes[] = { 0600, 0664, 0440 };
  const gsize shape = 1;
  g_autofree char *first = g_build_filename (place->folder, "first", NULL);
  g_autofree char *second = g_build_filename (place->folder, "second", NULL);
  GError *error = NULL;
  struct stat st;

  g_assert_cmpint (symlink ("second", first), ==, 0);
  g_assert_cmpint (symlink (place->path, second), ==, 0);
  /* At first there is nothing behind them. */
  for (guint i = 0; i <= G_N_ELEMENTS (modes); i++) {
    if (i > 0)
      g_assert_cmpint (g_chmod (place->path, modes[i - 1]), ==, 0);
    g_assert_true (tern_npy_write (first, (float[]) { (float) i }, 1, &shape, &error));
    g_assert_no_error (error);
    g_assert_cmpint (lstat (place->path, &st), ==, 0);
    g_assert_true (S_ISREG (st.st_mode) && st.st_size == 128 + 4);
    if (i > 0)
      g_assert_cmpuint (st.st_mode & 0777, ==, modes[i - 1]);
    g_assert_true (g_file_test (first, G_FILE_TEST_IS_SYMLINK) && g_file_test (second, G_FILE_TEST_IS_SYMLINK));
  }
  /* Links in a circle lead nowhere: the name is taken. */
  g_unlink (second);
  g_assert_cmpint (symlink ("first", second), ==, 0);
  g_assert_true (tern_npy_write (second, (float[]) { 1 }, 1, &shape, &error));
  g_assert_false (g_file_test (second, G_FILE_TEST_IS_SYMLINK));
  g_unlink (first);
  g_unlink (second);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add (name, Place, NULL, place_init, func, place_clear)
  ADD ("/npy/bytes", test_bytes);
  ADD ("/npy/round-trip", test_round_trip);
  ADD ("/npy/read", test_read);
  ADD ("/npy/unwritable", test_unwritable);
  ADD ("/npy/replaced", test_replaced);
  return g_test_run ();
}
