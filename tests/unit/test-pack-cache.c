/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed matrices in a file: what comes out of it is what packing makes, whatever has happened to the file meanwhile. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/base/log.h"
#include "engine/base/mem.h"
#include "engine/weights/pack-cache.h"
#include "engine/weights/packing.h"
#include "tests/unit/folder.h"
#include "tests/unit/gguf-writer.h"

/* A TQ2_0 matrix with zero blocks, one with two scales, which is not packed, two of an IQ2_BN tensor with scales of rows, and
 * one of floats. */
enum { COLS = 512, ROWS = 40, EXPERTS = 2, N_LINEARS = 5 };

typedef struct {
  char *folder, *model, *cache_dir;
  TernKernels kernels;
  TernPool *pool;
  GString *warnings;
} Fixture;

static void
keep_warning (TernLogLevel level, const char *message, void *data)
{
  if (level <= TERN_LOG_WARNING)
    g_string_append (((Fixture *) data)->warnings, message);
}

/* Random digits; blocks of 256 with scale @d, or 2 * @d in the last one. */
static void
put_tq2_0 (GgufWriter *w, const char *name, GRand *rand, gboolean two_scales)
{
  const guint64 dims[] = { COLS, ROWS };
  guint8 bytes[ROWS * COLS / 256 * 66];

  for (guint b = 0; b < sizeof bytes / 66; b++) {
    gboolean last = two_scales && b == sizeof bytes / 66 - 1;

    for (guint i = 0; i < 64; i++) {
      guint8 byte = 0;

      for (guint k = 0; k < 4; k++)
        byte |= (guint8) (g_rand_int_range (rand, 0, 3) << 2 * k);
      bytes[b * 66 + i] = byte;
    }
    bytes[b * 66 + 64] = 0;
    bytes[b * 66 + 65] = last ? 0x40 : b % 7 == 3 ? 0 : 0x3c;
  }
  writer_tensor (w, name, 2, dims, TERN_TYPE_TQ2_0, bytes, sizeof bytes);
}

static void
put_iq2_bn (GgufWriter *w, const char *name, GRand *rand)
{
  const guint64 dims[] = { COLS, ROWS, EXPERTS };
  guint8 bytes[EXPERTS * ROWS * (4 + COLS / 4)];

  for (guint r = 0; r < EXPERTS * ROWS; r++) {
    guint8 *row = bytes + r * (4 + COLS / 4);
    float scale = (float) g_rand_double_range (rand, 0.5, 2);

    memcpy (row, &scale, sizeof scale);
    for (guint i = 0; i < COLS / 4; i++) {
      row[4 + i] = 0;
      for (guint k = 0; k < 4; k++)
        row[4 + i] |= (guint8) (g_rand_int_range (rand, 0, 3) << 2 * k);
    }
  }
  writer_tensor (w, name, 3, dims, TERN_TYPE_IQ2_BN, bytes, sizeof bytes);
}

static void
write_model (Fixture *f, guint seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  const guint64 dims[] = { COLS, ROWS };
  g_autoptr (GByteArray) bytes = NULL;
  g_auto (GgufWriter) w;
  float floats[ROWS * COLS];

  for (guint i = 0; i < G_N_ELEMENTS (floats); i++)
    floats[i] = (float) g_rand_double_range (rand, -1, 1);
  writer_init (&w);
  put_tq2_0 (&w, "ternary.weight", rand, FALSE);
  put_tq2_0 (&w, "two.weight", rand, TRUE);
  put_iq2_bn (&w, "experts.weight", rand);
  writer_tensor (&w, "float.weight", 2, dims, TERN_TYPE_F32, floats, sizeof floats);
  bytes = writer_finish (&w);
  g_assert_true (g_file_set_contents (f->model, (char *) bytes->data, bytes->len, NULL));
}

static void
setup (Fixture *f, gconstpointer data)
{
  f->folder = g_dir_make_tmp ("tern-pack-XXXXXX", NULL);
  f->model = g_build_filename (f->folder, "model.gguf", NULL);
  f->cache_dir = g_build_filename (f->folder, "cache", "deep", NULL);
  f->pool = tern_pool_new (2, NULL);
  f->warnings = g_string_new (NULL);
  tern_kernels_init (&f->kernels, TERN_CPU_SCALAR);
  tern_log_set (keep_warning, f);
  g_setenv ("TERN_CACHE_DIR", f->cache_dir, TRUE);
  write_model (f, 1);
}

static void
teardown (Fixture *f, gconstpointer data)
{
  tern_log_set (NULL, NULL);
  g_unsetenv ("TERN_CACHE_DIR");
  tern_pool_free (f->pool);
  g_string_free (f->warnings, TRUE);
  remove_all (f->folder);
  g_free (f->folder);
  g_free (f->model);
  g_free (f->cache_dir);
}

/* An open model. */
typedef struct {
  TernGguf *file;
  TernLinear linears[N_LINEARS], *each[N_LINEARS];
  TernPacking *packing;
} Model;

static void
bind_model (Fixture *f, Model *m)
{
  static const char *const names[] = { "ternary.weight", "two.weight", "experts.weight", "experts.weight", "float.weight" };
  GError *error = NULL;

  m->file = tern_gguf_open (f->model, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < N_LINEARS; i++) {
    const TernTensor *tensor = tern_gguf_find (m->file, names[i]);

    m->each[i] = &m->linears[i];
    g_assert_true (tern_linear_init_slice (m->each[i], tensor, i == 3, &f->kernels, &error));
  }
}

static void
open_model (Fixture *f, Model *m)
{
  GError *error = NULL;

  bind_model (f, m);
  m->packing = tern_packing_new (m->file, "test", m->each, N_LINEARS, f->pool, &error);
  g_assert_no_error (error);
}

static void
close_model (Model *m)
{
  for (guint i = 0; i < N_LINEARS; i++)
    tern_linear_clear (m->each[i]);
  tern_packing_free (m->packing);
  tern_gguf_unref (m->file);
}

/* The same model packed without a cache. */
static void
check_model (Fixture *f, const Model *m)
{
  Model plain;

  g_unsetenv ("TERN_CACHE_DIR");
  open_model (f, &plain);
  g_setenv ("TERN_CACHE_DIR", f->cache_dir, TRUE);
  for (guint i = 0; i < N_LINEARS; i++) {
    const TernLinear *a = &m->linears[i], *b = &plain.linears[i];

    g_assert_cmpint (a->form, ==, b->form);
    g_assert_cmpint (a->form == TERN_FORM_T2, ==, a->packed != NULL);
    g_assert_cmpint (b->form == TERN_FORM_T2, ==, b->packed != NULL);
    g_assert_cmpint (a->row_scale == NULL, ==, b->row_scale == NULL);
    g_assert_cmpuint (tern_linear_owned (a), ==, tern_linear_owned (b));
    if (a->row_scale)
      g_assert_cmpmem (a->row_scale, a->rows * sizeof (float), b->row_scale, b->rows * sizeof (float));
    if (!a->packed)
      continue;
    g_assert_cmpuint (a->groups, ==, b->groups);
    g_assert_cmpfloat (a->scale, ==, b->scale);
    g_assert_cmpmem (a->packed, tern_linear_packed_bytes (a), b->packed, tern_linear_packed_bytes (b));
  }
  g_assert_cmpint (plain.linears[0].form, ==, TERN_FORM_T2);
  g_assert_cmpint (plain.linears[1].form, ==, TERN_FORM_EXPAND);
  g_assert_nonnull (plain.linears[3].row_scale);
  close_model (&plain);
}

/* The one file in the cache's folder; NULL: there is none. */
static char *
cache_file (const Fixture *f)
{
  GDir *dir = g_dir_open (f->cache_dir, 0, NULL);
  const char *name = dir ? g_dir_read_name (dir) : NULL;
  char *path = name ? g_build_filename (f->cache_dir, name, NULL) : NULL;

  g_assert_true (!dir || !g_dir_read_name (dir));
  g_clear_pointer (&dir, g_dir_close);
  return path;
}

static gboolean
is_loaded (Fixture *f)
{
  TernPackCache *cache;
  gboolean loaded;
  Model m;

  bind_model (f, &m);
  cache = tern_pack_cache_new (m.file, "test");
  g_assert_nonnull (cache);
  loaded = tern_pack_cache_load (cache, m.each, N_LINEARS, f->pool);
  m.packing = NULL;
  for (guint i = 0; i < N_LINEARS; i++)
    g_assert_cmpint (m.linears[i].borrowed, ==, loaded && i != 1 && i != 4);
  if (loaded)
    check_model (f, &m);
  close_model (&m);
  tern_pack_cache_free (cache);
  return loaded;
}

static void
test_round (Fixture *f, gconstpointer data)
{
  g_autofree char *path = NULL;
  Model first, second;

  g_assert_false (is_loaded (f));
  open_model (f, &first);
  path = cache_file (f);
  g_assert_nonnull (path);
  g_assert_true (g_str_has_suffix (path, ".tern-pack") && strstr (path, "/model.gguf."));
  open_model (f, &second);
  check_model (f, &first);
  check_model (f, &second);
  g_assert_true (is_loaded (f));
  close_model (&first);
  close_model (&second);
  g_assert_cmpstr (f->warnings->str, ==, "");
}

/* Another content, another time, another layout: another cache. */
static void
test_content (Fixture *f, gconstpointer data)
{
  struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
  g_autofree char *path = NULL;
  TernPackCache *cache;
  Model m;

  open_model (f, &m);
  close_model (&m);
  g_assert_true (is_loaded (f));
  g_assert_cmpint (utimensat (AT_FDCWD, f->model, times, 0), ==, 0);
  g_assert_false (is_loaded (f));
  open_model (f, &m);
  cache = tern_pack_cache_new (m.file, "other");
  path = g_strdup (tern_pack_cache_path (cache));
  tern_pack_cache_free (cache);
  cache = tern_pack_cache_new (m.file, "test");
  g_assert_cmpstr (path, !=, tern_pack_cache_path (cache));
  tern_pack_cache_free (cache);
  close_model (&m);
  write_model (f, 2);
  g_assert_cmpint (utimensat (AT_FDCWD, f->model, times, 0), ==, 0);
  g_assert_false (is_loaded (f));
}

/* Any byte wrong, any length: it is noticed, said once, and the model is packed anew and right. */
static void
test_damage (Fixture *f, gconstpointer data)
{
  g_autofree char *path = NULL, *whole = NULL;
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  gsize bytes;
  Model m;

  open_model (f, &m);
  close_model (&m);
  path = cache_file (f);
  g_assert_true (g_file_get_contents (path, &whole, &bytes, NULL));
  for (guint i = 0; i < 600; i++) {
    g_autofree char *bad = g_memdup2 (whole, bytes);
    gsize at = i < 400 ? i : (gsize) g_rand_int_range (rand, 0, (gint32) bytes), size = bytes;

    if (i % 10 == 9)
      size = at;                /* cut off */
    else
      bad[at] ^= (char) (1 << i % 8);
    g_assert_true (g_file_set_contents (path, bad, (gssize) size, NULL));
    g_string_truncate (f->warnings, 0);
    g_assert_false (is_loaded (f));
    g_assert_nonnull (strstr (f->warnings->str, path));
  }
  open_model (f, &m);
  check_model (f, &m);
  close_model (&m);
  g_assert_true (is_loaded (f));
}

/* What others may write to is not believed; what is no file neither. */
static void
test_strangers (Fixture *f, gconstpointer data)
{
  g_autofree char *path = NULL;
  Model m;

  open_model (f, &m);
  close_model (&m);
  path = cache_file (f);
  g_assert_cmpint (g_chmod (path, 0666), ==, 0);
  g_assert_false (is_loaded (f));
  g_assert_nonnull (strstr (f->warnings->str, "nobody else"));
  g_assert_cmpint (g_chmod (path, 0644), ==, 0);
  g_assert_true (is_loaded (f));
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  g_string_truncate (f->warnings, 0);
  open_model (f, &m);           /* cannot be replaced either */
  check_model (f, &m);
  close_model (&m);
  g_assert_nonnull (strstr (f->warnings->str, "cannot be written"));
}

/* A folder that cannot be: a warning, and all works. */
static void
test_no_folder (Fixture *f, gconstpointer data)
{
  g_autofree char *below = g_build_filename (f->model, "cache", NULL);
  Model m;

  g_setenv ("TERN_CACHE_DIR", below, TRUE);
  open_model (f, &m);
  g_assert_nonnull (strstr (f->warnings->str, "TERN_CACHE_DIR"));
  check_model (f, &m);
  close_model (&m);
  g_setenv ("TERN_CACHE_DIR", "", TRUE);
  g_string_truncate (f->warnings, 0);
  open_model (f, &m);
  g_assert_cmpstr (f->warnings->str, ==, "");
  close_model (&m);
}

/* A file in the cache's folder, which nobody has touched for long if @old. */
static char *
put_file (const Fixture *f, const char *name, gboolean old)
{
  struct timespec times[2] = { { 1000, 0 }, { 1000, 0 } };
  char *path = g_build_filename (f->cache_dir, name, NULL);

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    g_assert_true (g_file_set_contents (path, "x", 1, NULL));
  if (old)
    g_assert_cmpint (utimensat (AT_FDCWD, path, times, 0), ==, 0);
  return path;
}

#define HEX "0123456789abcdef0123456789abcdef"
/* Caches of the same name that nobody used for long go when another is written, and halves that were left; one that was used stays, and
 * whatever else there is. */
static void
test_room (Fixture *f, gconstpointer data)
{
  static const struct {
    const char *name;
    gboolean old, stays;
  } others[] = { { "model.gguf." HEX ".tern-pack", TRUE, FALSE }, { "model.gguf." HEX ".tern-pack.77.new", TRUE, FALSE },
    { "model.gguf." HEX ".tern-pack.78.new", FALSE, TRUE }, { "model.gguf.2." HEX ".tern-pack", TRUE, TRUE },
    { "model.gguf.tern-pack", TRUE, TRUE }, { "2model.gguf." HEX ".tern-pack", TRUE, TRUE }, { "notes", TRUE, TRUE } };
  g_autofree char *first = NULL, *name = NULL, *again = NULL;
  Model m;

  open_model (f, &m);
  close_model (&m);
  first = cache_file (f);
  name = g_path_get_basename (first);
  again = put_file (f, name, TRUE);
  g_assert_true (is_loaded (f));        /* used: it stays */
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_free (put_file (f, others[i].name, others[i].old));
  write_model (f, 2);
  open_model (f, &m);
  close_model (&m);
  g_assert_true (g_file_test (first, G_FILE_TEST_EXISTS));
  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autofree char *path = g_build_filename (f->cache_dir, others[i].name, NULL);

    g_assert_cmpint (g_file_test (path, G_FILE_TEST_EXISTS), ==, others[i].stays);
  }
  g_assert_cmpstr (f->warnings->str, ==, "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/pack-cache/" name, Fixture, NULL, setup, func, teardown)
  ADD ("round", test_round);
  ADD ("content", test_content);
  ADD ("damage", test_damage);
  ADD ("strangers", test_strangers);
  ADD ("no-folder", test_no_folder);
  ADD ("room", test_room);
#undef ADD
  return g_test_run ();
}
