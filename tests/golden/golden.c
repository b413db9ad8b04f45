/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/golden/golden.h"

#include <math.h>
#include <string.h>

#include "tools/npy.h"

char *
golden_path (const char *folder, const char *name)
{
  const char *root = g_getenv ("TERN_GOLDEN");
  g_autofree char *path = g_build_filename (root ? root : "tests/golden/data", folder, name, NULL);

  return g_file_test (path, G_FILE_TEST_EXISTS) ? g_steal_pointer (&path) : NULL;
}

GoldenArray *
golden_npy (const char *path)
{
  GoldenArray *array = g_new0 (GoldenArray, 1);
  g_autoptr (GError) error = NULL;
  TernNpy npy;

  tern_npy_read (&npy, path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (npy.n_dims, <=, G_N_ELEMENTS (array->shape));
  array->n_dims = npy.n_dims;
  array->n = npy.n;
  memcpy (array->shape, npy.shape, npy.n_dims * sizeof npy.shape[0]);
  array->data = g_new (float, npy.n);
  for (gsize i = 0; i < npy.n; i++)
    array->data[i] = npy.f32 ? npy.f32[i] : npy.u8[i];
  tern_npy_clear (&npy);
  return array;
}

void
golden_array_free (GoldenArray *array)
{
  if (array)
    g_free (array->data);
  g_free (array);
}

JsonParser *
golden_json (const char *folder, const char *name, JsonObject **root)
{
  g_autofree char *path = golden_path (folder, name);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;

  if (!path)
    return NULL;
  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  *root = json_node_get_object (json_parser_get_root (parser));
  return g_steal_pointer (&parser);
}

gint32 *
golden_ids (JsonObject *object, const char *member, guint *n)
{
  JsonArray *array = json_object_get_array_member (object, member);
  gint32 *ids;

  *n = json_array_get_length (array);
  ids = g_new (gint32, *n);
  for (guint i = 0; i < *n; i++)
    ids[i] = json_array_get_int_element (array, i);
  return ids;
}

double
golden_nmse (const float *a, const float *b, gsize n)
{
  double error = 0, power = 0;

  for (gsize i = 0; i < n; i++) {
    error += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
    power += (double) b[i] * b[i];
  }
  return error / power;
}

double
golden_max_abs (const float *a, const float *b, gsize n)
{
  double most = 0;

  for (gsize i = 0; i < n; i++) {
    double d = fabs ((double) a[i] - b[i]);

    if (!(d <= most))           /* NaN too */
      most = d;
  }
  return most;
}

void
golden_check (const char *what, const float *found, const float *values, gsize n, double nmse, double max_abs)
{
  double off = golden_nmse (found, values, n), most = golden_max_abs (found, values, n);

  g_test_message ("%s: nmse %.3g max %.3g", what, off, most);
  g_assert_cmpfloat (off, <=, nmse);
  if (max_abs > 0)
    g_assert_cmpfloat (most, <=, max_abs);
}

gboolean
golden_is_sample (void)
{
  return g_getenv ("TERN_TEST_SAMPLE") != NULL;
}

static void
run_level (TernCpu level, GoldenLevelFunc func, gconstpointer data)
{
  TernKernels kernels;

  tern_kernels_init (&kernels, level);
  g_test_message ("kernels: %s", tern_cpu_name (level));
  func (&kernels, data);
}

void
golden_each_level (GoldenLevelFunc func, gconstpointer data)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AMX, TERN_CPU_NEON,
    TERN_CPU_DOTPROD, TERN_CPU_I8MM };
  const char *named = g_getenv ("TERN_CPU");
  g_autoptr (GError) error = NULL;
  TernCpu only;

  if (golden_is_sample () || (named && *named && !g_str_equal (named, "auto"))) {
    tern_cpu_parse (named, &only, &error);
    g_assert_no_error (error);
    run_level (only, func, data);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++)
    if (tern_cpu_has (levels[i]))
      run_level (levels[i], func, data);
}
