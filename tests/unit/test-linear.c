/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of every type, in both activation modes and under every instruction set, against loops in double. */
#include <glib/gstdio.h>

#include "tern/error.h"
#include "tests/unit/gguf-writer.h"
#include "tests/unit/linear-matrix.h"

static void
check_matrix (const Setup *s, guint32 id, guint rows, guint cols)
{
  static const guint counts[] = { 1, 2, 7, 33 };
  g_autofree float *row = g_new (float, cols);
  TernLinear linear;
  TernForm form;
  Matrix m;
  guint i;

  matrix_init (&m, id, rows, cols, s->rand);
  bind (&linear, &m, s->kernels);
  form = expected_form (id);
  g_assert_cmpint (linear.form, ==, form);
  g_assert_cmpuint (tern_linear_owned (&linear), ==,
      form == TERN_FORM_T2 ? tern_ternary_bytes (s->kernels->ternary, rows, cols)
      : form == TERN_FORM_T2S ? tern_scaled_bytes (tern_linear_layout (&linear), rows, cols, 128 / m.tensor.type->block) : 0);
  for (i = 0; i < G_N_ELEMENTS (counts); i++) {
    check_run (s, &m, &linear, form, TERN_ACTIVATIONS_INT8, counts[i], i % 2);
    check_run (s, &m, &linear, TERN_FORM_EXPAND, TERN_ACTIVATIONS_F32, counts[i], i % 2);
  }
  for (i = 0; i < rows; i++) {
    tern_linear_row (&linear, i, row);
    g_assert_cmpmem (row, cols * sizeof *row, m.values + (gsize) i * cols, cols * sizeof *row);
  }
  tern_linear_clear (&linear);
  tern_linear_clear (&linear);
  matrix_clear (&m);
}

/* All types and some shapes: @data is the level's name. */
static void
test_level (gconstpointer data)
{
  static const guint shapes[][2] = { { 1, 256 }, { 16, 256 }, { 37, 512 }, { 130, 768 } };
  static const struct {         /* widths that the blocks of 256 do not have */
    guint32 type;
    guint cols;
  } odd_groups[] = {
    { TERN_TYPE_I2_S, 128 }, { TERN_TYPE_I2_S, 384 }, { TERN_TYPE_IQ1_BN, 64 }, { TERN_TYPE_IQ1_BN, 320 },
    { TERN_TYPE_IQ2_BN, 64 }, { TERN_TYPE_IQ2_BN, 448 }, { TERN_TYPE_Q2_0, 64 }, { TERN_TYPE_Q2_0, 448 },
    { TERN_TYPE_Q1_0, 128 }, { TERN_TYPE_Q1_0, 640 }, { TERN_TYPE_PQ2_0, 128 }, { TERN_TYPE_PQ2_0, 384 }, { TERN_TYPE_PTQ1_0, 384 },
  };
  g_autoptr (GError) error = NULL;
  TernKernels kernels;
  TernCpu level;
  guint threads;
  gsize t, i;

  if (!tern_cpu_parse (data, &level, &error)) {
    g_test_skip (error->message);
    return;
  }
  tern_kernels_init (&kernels, level);
  for (threads = 1; threads <= 3; threads += 2) {
    Setup s = { &kernels, tern_pool_new (threads, NULL), g_rand_new_with_seed (7) };

    for (t = 0; t < G_N_ELEMENTS (types); t++)
      for (i = 0; i < G_N_ELEMENTS (shapes); i++)
        check_matrix (&s, types[t], shapes[i][0], shapes[i][1]);
    for (i = 0; i < G_N_ELEMENTS (odd_groups); i++)
      check_matrix (&s, odd_groups[i].type, 37, odd_groups[i].cols);
    tern_pool_free (s.pool);
    g_rand_free (s.rand);
  }
}

/* ---- Special cases ----------------------------------------------------------------------------------------------- */

/* After @change, the matrix is bound as @form and computes what its values say. */
static void
check_changed (guint32 id, TernForm form, void (*change) (guint8 *bytes, const TernTypeInfo *type))
{
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  TernLinear linear;
  Matrix m;

  matrix_init (&m, id, 20, 512, s.rand);
  change (m.bytes, m.tensor.type);
  tern_type_rows_to_f32 (m.tensor.type, m.values, m.bytes, 20, 512, tern_tensor_tail (&m.tensor));
  bind (&linear, &m, s.kernels);
  g_assert_cmpint (linear.form, ==, form);
  check_run (&s, &m, &linear, form, TERN_ACTIVATIONS_INT8, 3, TRUE);
  check_run (&s, &m, &linear, TERN_FORM_EXPAND, TERN_ACTIVATIONS_F32, 3, TRUE);
  tern_linear_clear (&linear);
  matrix_clear (&m);
  setup_clear (&s);
}

static void
other_scale (guint8 *bytes, const TernTypeInfo *type)
{
  put_half (bytes + 39 * type->bytes + type->bytes - 2, 0.5f);
}

/* The digits of a block of scale 0 may be anything, 3 among them. */
static void
zero_scales (guint8 *bytes, const TernTypeInfo *type)
{
  memset (bytes, 0xff, type->bytes - 2);
  put_half (bytes + type->bytes - 2, 0);
  memset (bytes + 5 * type->bytes, 0, type->bytes - 2);
  put_half (bytes + 6 * type->bytes - 2, -0.0f);
}

static void
all_zero_scales (guint8 *bytes, const TernTypeInfo *type)
{
  gsize b;

  for (b = 0; b < 40; b++)
    put_half (bytes + (b + 1) * type->bytes - 2, 0);
}

static void
digit_three (guint8 *bytes, const TernTypeInfo *type)
{
  bytes[39 * type->bytes + 63] |= 0xc0;
}

/* Of the last row, which has a header or not. */
static void
last_digit_three (guint8 *bytes, const TernTypeInfo *type)
{
  bytes[20 * tern_type_row_bytes (type, 512) - 1] |= 0x03;
}

static void
row_scales (guint8 *bytes, const TernTypeInfo *type)
{
  guint r;

  for (r = 0; r < 20; r++)
    put_scale (bytes + r * tern_type_row_bytes (type, 512), type->row_meta, r % 7 ? 0.01f * r : 0);
}

static void
test_ternary_forms (void)
{
  guint32 id;

  for (id = TERN_TYPE_TQ1_0; id <= TERN_TYPE_TQ2_0; id++) {
    check_changed (id, TERN_FORM_EXPAND, other_scale);
    check_changed (id, TERN_FORM_T2, zero_scales);
    check_changed (id, TERN_FORM_T2, all_zero_scales);
  }
  check_changed (TERN_TYPE_TQ2_0, TERN_FORM_EXPAND, digit_three);
  check_changed (TERN_TYPE_I2_S, TERN_FORM_EXPAND, last_digit_three);
  check_changed (TERN_TYPE_IQ2_BN, TERN_FORM_EXPAND, last_digit_three);
  check_changed (TERN_TYPE_IQ1_BN, TERN_FORM_T2, row_scales);
  check_changed (TERN_TYPE_IQ2_BN, TERN_FORM_T2, row_scales);
}

/* Matrix @index of three: the rows of its own, the tail of the tensor. */
static void
check_slice (Setup *s, guint32 id, guint index)
{
  GError *error = NULL;
  TernLinear linear;
  Matrix m;

  matrix_init (&m, id, 3 * 18, 256, s->rand);
  m.tensor.dims[1] = 18;
  m.tensor.dims[2] = 3;
  g_assert_true (tern_linear_init_slice (&linear, &m.tensor, index, s->kernels, &error)
      && tern_linear_pack (&linear, s->pool, &error));
  g_assert_cmpint (linear.form, ==, TERN_FORM_T2);
  memmove (m.values, m.values + index * 18 * 256, 18 * 256 * sizeof (float));
  check_run (s, &m, &linear, TERN_FORM_T2, TERN_ACTIVATIONS_INT8, 3, TRUE);
  check_run (s, &m, &linear, TERN_FORM_EXPAND, TERN_ACTIVATIONS_F32, 3, FALSE);
  tern_linear_clear (&linear);
  g_assert_false (tern_linear_init_slice (&linear, &m.tensor, 3, s->kernels, NULL));
  matrix_clear (&m);
}

static void
test_ternary_slices (void)
{
  static const guint32 ids[] = { TERN_TYPE_TQ1_0, TERN_TYPE_TQ2_0, TERN_TYPE_I2_S, TERN_TYPE_IQ1_BN, TERN_TYPE_IQ2_BN };
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    check_slice (&s, ids[i], 0);
    check_slice (&s, ids[i], 2);
  }
  setup_clear (&s);
}

/* w.scale multiplies w.weight, in every form and row by row; it must be one finite value. */
static void
check_factor (Setup *s, guint32 id, float factor, gsize count)
{
  const guint64 dims[] = { 256, 20 }, ones[] = { count };
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  GError *error = NULL;
  float scale[2] = { factor, factor }, row[256];
  TernLinear linear;
  TernForm form;
  GgufWriter w;
  Matrix m;
  guint i;

  matrix_init (&m, id, 20, 256, s->rand);
  writer_init (&w);
  writer_tensor (&w, "w.weight", 2, dims, id, m.bytes, m.tensor.bytes);
  writer_tensor (&w, "w.scale", 1, ones, TERN_TYPE_F32, scale, count * sizeof (float));
  bytes = writer_finish (&w);
  writer_clear (&w);
  file = tern_gguf_open_memory (bytes->data, bytes->len, "scaled.gguf", &error);
  g_assert_no_error (error);
  if (!isfinite (factor) || count != 1) {
    g_assert_false (tern_linear_load (&linear, file, "w.weight", 256, 20, s->kernels, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "w.scale"));
    g_clear_error (&error);
  } else {
    g_assert_true (tern_linear_load (&linear, file, "w.weight", 256, 20, s->kernels, &error)
        && tern_linear_pack (&linear, s->pool, &error));
    for (i = 0; i < 20 * 256; i++)
      m.values[i] *= factor;
    form = expected_form (id);
    check_run (s, &m, &linear, form, TERN_ACTIVATIONS_INT8, 2, TRUE);
    check_run (s, &m, &linear, TERN_FORM_EXPAND, TERN_ACTIVATIONS_F32, 2, FALSE);
    tern_linear_row (&linear, 19, row);
    g_assert_cmpmem (row, sizeof row, m.values + 19 * 256, sizeof row);
  }
  tern_linear_clear (&linear);
  matrix_clear (&m);
}

static void
test_factor (void)
{
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  gsize t;

  for (t = 0; t < G_N_ELEMENTS (types); t++)
    check_factor (&s, types[t], 0.37f, 1);
  check_factor (&s, TERN_TYPE_TQ2_0, NAN, 1);
  check_factor (&s, TERN_TYPE_TQ2_0, 1, 2);
  setup_clear (&s);
}

/* Kilobytes of the mapping of @path that are in this process's memory; -1 when the system does not tell. */
static gint64
resident (const char *path)
{
  g_autofree char *maps = NULL, *found = NULL;

  if (!g_file_get_contents ("/proc/self/smaps", &maps, NULL, NULL) || !(found = g_strdup (strstr (maps, path)))
      || !strstr (found, "\nRss:"))
    return -1;
  return g_ascii_strtoll (strstr (found, "\nRss:") + strlen ("\nRss:"), NULL, 10);
}

/* The pages of a matrix that was packed leave the process, and can be read again. */
static void
test_mapped (void)
{
  const guint64 dims[] = { 1024, 4096 };
  g_autofree char *folder = g_dir_make_tmp ("tern-linear-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "mapped.gguf", NULL);
  g_autofree float *row = g_new (float, 1024);
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  GError *error = NULL;
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  TernLinear linear;
  GgufWriter w;
  gint64 left;
  Matrix m;

  matrix_init (&m, TERN_TYPE_TQ2_0, 4096, 1024, s.rand);
  writer_init (&w);
  writer_tensor (&w, "w.weight", 2, dims, TERN_TYPE_TQ2_0, m.bytes, m.tensor.bytes);
  bytes = writer_finish (&w);
  writer_clear (&w);
  g_assert_true (g_file_set_contents (path, (char *) bytes->data, bytes->len, NULL));
  file = tern_gguf_open (path, &error);
  g_assert_no_error (error);
  g_assert_true (tern_linear_load (&linear, file, "w.weight", 1024, 4096, s.kernels, &error)
      && tern_linear_pack (&linear, s.pool, &error));
  left = resident (path);
  g_test_message ("%" G_GINT64_FORMAT " of %" G_GSIZE_FORMAT " KiB resident", left, m.tensor.bytes / 1024);
  g_assert_cmpint (left, <, m.tensor.bytes / 1024 / 4);
  tern_linear_row (&linear, 4000, row);
  g_assert_cmpmem (row, 4096, m.values + (gsize) 4000 * 1024, 4096);
  tern_linear_clear (&linear);
  matrix_clear (&m);
  setup_clear (&s);
  g_unlink (path);
  g_rmdir (folder);
}

/* A file whose alignment is 1 puts floats anywhere. */
static void
test_odd_addresses (void)
{
  static const guint32 ids[] = { TERN_TYPE_F32, TERN_TYPE_F16, TERN_TYPE_BF16, TERN_TYPE_Q8_0, TERN_TYPE_TQ2_0 };
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    g_autofree guint8 *odd = NULL;
    TernLinear linear;
    TernForm form;
    Matrix m;

    matrix_init (&m, ids[i], 9, 256, s.rand);
    odd = g_malloc (m.tensor.bytes + 1);
    memcpy (odd + 1, m.bytes, m.tensor.bytes);
    m.tensor.data = odd + 1;
    bind (&linear, &m, s.kernels);
    form = ids[i] == TERN_TYPE_Q8_0 ? TERN_FORM_BLOCKS : ids[i] == TERN_TYPE_TQ2_0 ? TERN_FORM_T2 : TERN_FORM_EXPAND;
    g_assert_cmpint (linear.form, ==, form);
    check_run (&s, &m, &linear, form, TERN_ACTIVATIONS_INT8, 2, FALSE);
    tern_linear_clear (&linear);
    matrix_clear (&m);
  }
  setup_clear (&s);
}

static void
test_load (void)
{
  const guint64 dims[] = { 256, 3 }, cube[] = { 256, 3, 2 };
  g_autofree guint8 *zeros = g_malloc0 (256 * 6 * 4);
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  GError *error = NULL;
  TernKernels kernels;
  TernLinear linear;
  TernTensor bad;
  GgufWriter w;

  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  writer_init (&w);
  writer_tensor (&w, "good", 2, dims, TERN_TYPE_TQ1_0, zeros, 54 * 3);
  writer_tensor (&w, "ids", 2, dims, TERN_TYPE_I32, zeros, 256 * 3 * 4);
  writer_tensor (&w, "cube", 3, cube, TERN_TYPE_F32, zeros, 256 * 6 * 4);
  bytes = writer_finish (&w);
  writer_clear (&w);
  file = tern_gguf_open_memory (bytes->data, bytes->len, "m.gguf", &error);
  g_assert_no_error (error);

  g_assert_true (tern_linear_load (&linear, file, "good", 256, 3, &kernels, &error));
  g_assert_true (linear.rows == 3 && linear.cols == 256);
  tern_linear_clear (&linear);
  g_assert_false (tern_linear_load (&linear, file, "good", 256, 4, &kernels, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_assert_cmpstr (error->message, ==, "m.gguf: tensor good: expected shape 256 x 4, found 256 x 3");
  g_clear_error (&error);
  tern_linear_clear (&linear);
  g_assert_false (tern_linear_load (&linear, file, "cube", 256, 3, &kernels, &error));
  g_clear_error (&error);
  g_assert_false (tern_linear_load (&linear, file, "none", 256, 3, &kernels, &error));
  g_clear_error (&error);
  g_assert_false (tern_linear_load (&linear, file, "ids", 256, 3, &kernels, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_clear_error (&error);

  g_assert_false (tern_linear_init (&linear, tern_gguf_find (file, "ids"), &kernels, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_clear_error (&error);
  g_assert_false (tern_linear_init (&linear, tern_gguf_find (file, "cube"), &kernels, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_clear_error (&error);
  bad = *tern_gguf_find (file, "good");
  bad.dims[1] = 4;              /* more rows than bytes: a view made by hand */
  g_assert_false (tern_linear_init (&linear, &bad, &kernels, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_clear_error (&error);
}

int
main (int argc, char **argv)
{
  static const char *const levels[] = { "scalar", "avx2", "avx512vnni", "amx", "neon", "dotprod", "i8mm" };
  gsize i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (levels); i++) {
    g_autofree char *path = g_strdup_printf ("/linear/%s", levels[i]);

    g_test_add_data_func (path, levels[i], test_level);
  }
  g_test_add_func ("/linear/ternary-forms", test_ternary_forms);
  g_test_add_func ("/linear/ternary-slices", test_ternary_slices);
  g_test_add_func ("/linear/factor", test_factor);
  g_test_add_func ("/linear/mapped", test_mapped);
  g_test_add_func ("/linear/odd-addresses", test_odd_addresses);
  g_test_add_func ("/linear/load", test_load);
  return g_test_run ();
}
