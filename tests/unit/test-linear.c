/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Matrices of every type, in both activation modes and under every instruction set, against loops in double. */
#include <glib/gstdio.h>
#include <math.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "engine/weights/linear.h"
#include "tests/unit/gguf-writer.h"

#define MAX_BOUND 1e-5          /* of the largest value; float sums in any order */

static const guint32 types[] = { TERN_TYPE_F32, TERN_TYPE_F16, TERN_TYPE_BF16, TERN_TYPE_Q8_0, TERN_TYPE_Q4_0,
  TERN_TYPE_Q4_1, TERN_TYPE_Q5_0, TERN_TYPE_Q5_1, TERN_TYPE_Q2_K, TERN_TYPE_Q3_K, TERN_TYPE_Q4_K, TERN_TYPE_Q5_K,
  TERN_TYPE_Q6_K, TERN_TYPE_IQ4_NL, TERN_TYPE_IQ4_XS, TERN_TYPE_TQ1_0, TERN_TYPE_TQ2_0, TERN_TYPE_I2_S,
  TERN_TYPE_IQ1_BN, TERN_TYPE_IQ2_BN, TERN_TYPE_Q1_0, TERN_TYPE_Q2_0, TERN_TYPE_PQ2_0, TERN_TYPE_PTQ1_0 };

static float
noise (GRand *rand)
{
  return g_rand_double_range (rand, -1, 1);
}

static void
put_half (guint8 *p, float value)
{
  guint16 h = tern_f32_to_f16 (value);

  p[0] = h & 255;
  p[1] = h >> 8;
}

/* One block of @type with ordinary values. */
static void
fill_block (guint8 *p, const TernTypeInfo *type, GRand *rand)
{
  float value = noise (rand);
  guint i;

  for (i = 0; i < type->bytes; i++)
    p[i] = g_rand_int (rand);
  switch (type->type) {
    case TERN_TYPE_F32:
      memcpy (p, &value, 4);
      break;
    case TERN_TYPE_F16:
      put_half (p, value);
      break;
    case TERN_TYPE_BF16:
      memcpy (p, (guint8 *) &value + 2, 2);
      break;
    case TERN_TYPE_Q4_1:
    case TERN_TYPE_Q5_1:
    case TERN_TYPE_Q4_K:
    case TERN_TYPE_Q5_K:
      put_half (p + 2, value / 100);
      put_half (p, value / 100);
      break;
    case TERN_TYPE_Q2_K:
      put_half (p + 80, value / 10);
      put_half (p + 82, value / 10);
      break;
    case TERN_TYPE_Q3_K:
      put_half (p + 108, value / 50);
      break;
    case TERN_TYPE_Q6_K:
      put_half (p + 208, value / 1000);
      break;
    case TERN_TYPE_TQ2_0:
      for (i = 0; i < 64; i++)  /* no digit 3 */
        p[i] &= ~(p[i] >> 1 & 0x55);
      put_half (p + 64, 0.03f);
      break;
    case TERN_TYPE_TQ1_0:
      put_half (p + 52, -0.03f);
      break;
    case TERN_TYPE_I2_S:
    case TERN_TYPE_IQ2_BN:
      for (i = 0; i < type->bytes; i++)
        p[i] &= ~(p[i] >> 1 & 0x55);
      break;
    case TERN_TYPE_IQ1_BN:
      break;
    case TERN_TYPE_PTQ1_0:
      put_half (p + 26, value / 50);
      break;
    default:                    /* Q8_0, Q4_0, Q5_0, IQ4_NL, IQ4_XS */
      put_half (p, value / 50);
      break;
  }
}

typedef struct {
  TernTensor tensor;
  guint8 *bytes;
  float *values;                /* [rows, cols] */
} Matrix;

/* The scale in a row's header or in the tail. */
static void
put_scale (guint8 *p, guint bytes, float scale)
{
  if (bytes == 2)
    put_half (p, scale);
  else if (bytes != 0)
    memcpy (p, &scale, 4);
}

static void
matrix_init (Matrix *m, guint32 id, guint rows, guint cols, GRand *rand)
{
  const TernTypeInfo *type = tern_type_info (id);
  gsize row_bytes = tern_type_row_bytes (type, cols), size = rows * row_bytes + type->tail, b;
  guint r;

  m->bytes = g_malloc0 (size);
  for (r = 0; r < rows; r++) {
    guint8 *row = m->bytes + r * row_bytes;

    put_scale (row, type->row_meta, -0.02f);
    for (b = type->row_meta; b < row_bytes; b += type->bytes)
      fill_block (row + b, type, rand);
  }
  put_scale (m->bytes + rows * row_bytes, type->tail, 0.017f);
  m->values = g_new (float, (gsize) rows * cols);
  tern_type_rows_to_f32 (type, m->values, m->bytes, rows, cols, m->bytes + rows * row_bytes);
  m->tensor = (TernTensor) { .name = "w", .type = type, .type_id = id, .n_dims = 2, .dims = { cols, rows, 1, 1 },
    .data = m->bytes, .bytes = size };
}

static void
matrix_clear (Matrix *m)
{
  g_free (m->bytes);
  g_free (m->values);
}

static void
bind (TernLinear *linear, const Matrix *m, const TernKernels *kernels)
{
  GError *error = NULL;

  g_assert_true (tern_linear_init (linear, &m->tensor, kernels, &error) && tern_linear_pack (linear, NULL, &error));
  g_assert_no_error (error);
}

/* ---- References -------------------------------------------------------------------------------------------------- */

/* BitNet's activations: one scale a row. */
static void
round_row_i8 (double *out, const float *x, guint n)
{
  float top = 0, s;
  guint i;

  for (i = 0; i < n; i++)
    top = fmaxf (top, fabsf (x[i]));
  top = fmaxf (top, 1e-5f);
  s = 127 / top;
  for (i = 0; i < n; i++)
    out[i] = CLAMP (nearbyintf (x[i] * s), -128, 127) * (double) (top / 127);
}

static void
round_row_q8 (double *out, const float *x, guint n)
{
  guint b, i;

  for (b = 0; b < n; b += 32) {
    float top = 0;

    for (i = 0; i < 32; i++)
      top = fmaxf (top, fabsf (x[b + i]));
    for (i = 0; i < 32; i++)
      out[b + i] = nearbyintf (x[b + i] * (127 / top)) * (double) (top / 127);
  }
}

static void
reference (double *y, const Matrix *m, TernForm form, const float *x, gsize ldx, guint n, const float *bias)
{
  guint rows = m->tensor.dims[1], cols = m->tensor.dims[0], t, r, c;
  g_autofree double *row = g_new (double, cols);

  for (t = 0; t < n; t++) {
    if (form == TERN_FORM_T2 || form == TERN_FORM_T2S)
      round_row_i8 (row, x + t * ldx, cols);
    else if (form == TERN_FORM_BLOCKS)
      round_row_q8 (row, x + t * ldx, cols);
    else
      for (c = 0; c < cols; c++)
        row[c] = x[t * ldx + c];
    for (r = 0; r < rows; r++) {
      double sum = bias ? bias[r] : 0;

      for (c = 0; c < cols; c++)
        sum += m->values[(gsize) r * cols + c] * row[c];
      y[(gsize) t * rows + r] = sum;
    }
  }
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

typedef struct {
  const TernKernels *kernels;
  TernPool *pool;
  GRand *rand;
} Setup;

/* Runs @linear on random rows and compares; y has room to the right of each row that must stay as it is. */
static void
check_run (const Setup *s, const Matrix *m, const TernLinear *linear, TernForm form, TernActivations mode, guint n,
    gboolean with_bias)
{
  guint rows = linear->rows, cols = linear->cols, t, r;
  gsize ldx = cols + 5, ldy = rows + 3;
  g_autofree float *x = g_new (float, n * ldx), *y = g_new (float, n * ldy), *bias = g_new (float, rows);
  g_autofree float *sliced = g_new (float, n * ldy);
  g_autofree double *expected = g_new (double, (gsize) n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input;
  double top = 0;
  gsize i;

  for (i = 0; i < n * ldx; i++)
    x[i] = noise (s->rand) * (i % 7 == 0 ? 4 : 1);
  for (i = 0; i < n * ldy; i++)
    y[i] = 777;
  for (r = 0; r < rows; r++)
    bias[r] = noise (s->rand);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (linear), NULL));
  tern_linear_input_init (&input, scratch, s->kernels, mode, x, ldx, n, cols);
  tern_linear_run (linear, &input, with_bias ? bias : NULL, y, ldy, s->pool);
  reference (expected, m, form, x, ldx, n, with_bias ? bias : NULL);

  /* In the smallest slices: the same bits. */
  for (i = 0; i < n * ldy; i++)
    sliced[i] = 777;
  tern_pool_slice (s->pool)->limit = 1;
  g_assert_true (tern_linear_run_until (linear, &input, with_bias ? bias : NULL, sliced, ldy, s->pool, NULL));
  tern_slice_init (tern_pool_slice (s->pool));
  g_assert_cmpmem (sliced, n * ldy * sizeof (float), y, n * ldy * sizeof (float));

  for (i = 0; i < (gsize) n * rows; i++)
    top = MAX (top, fabs (expected[i]));
  for (t = 0; t < n; t++) {
    for (r = 0; r < rows; r++)
      if (!(fabs (y[t * ldy + r] - expected[(gsize) t * rows + r]) <= MAX_BOUND * top))
        g_error ("%s, %u x %u, mode %d, token %u of %u, row %u: expected %g, found %g", m->tensor.type->name, rows,
            cols, mode, t, n, r, expected[(gsize) t * rows + r], y[t * ldy + r]);
    for (; r < ldy; r++)
      g_assert_true (y[t * ldy + r] == 777);
  }
  tern_mem_free (scratch);
}

static TernForm
expected_form (guint32 id)
{
  switch (id) {
    case TERN_TYPE_F32:
      return TERN_FORM_F32;
    case TERN_TYPE_F16:
      return TERN_FORM_F16;
    case TERN_TYPE_BF16:
      return TERN_FORM_BF16;
    case TERN_TYPE_TQ1_0:
    case TERN_TYPE_TQ2_0:
    case TERN_TYPE_I2_S:
    case TERN_TYPE_IQ1_BN:
    case TERN_TYPE_IQ2_BN:
      return TERN_FORM_T2;
    case TERN_TYPE_Q1_0:
    case TERN_TYPE_Q2_0:
    case TERN_TYPE_PQ2_0:
    case TERN_TYPE_PTQ1_0:
      return TERN_FORM_T2S;
    default:
      return TERN_FORM_BLOCKS;
  }
}

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
      : form == TERN_FORM_T2S ? tern_t2s_bytes (rows, cols, 128 / m.tensor.type->block) : 0);
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

static Setup
scalar_setup (TernKernels *kernels)
{
  tern_kernels_init (kernels, TERN_CPU_SCALAR);
  return (Setup) { kernels, tern_pool_new (2, NULL), g_rand_new_with_seed (9) };
}

static void
setup_clear (Setup *s)
{
  tern_pool_free (s->pool);
  g_rand_free (s->rand);
}

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

/* q, k and v read one input, of which each form is made once. */
static void
test_shared_input (void)
{
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (2, 256), "input", NULL);
  float x[512], y[20], again[20];
  TernLinearInput input;
  TernLinear t2, q8;
  Matrix a, b;
  guint i;

  matrix_init (&a, TERN_TYPE_TQ2_0, 10, 256, s.rand);
  matrix_init (&b, TERN_TYPE_Q8_0, 10, 256, s.rand);
  bind (&t2, &a, s.kernels);
  bind (&q8, &b, s.kernels);
  for (i = 0; i < 512; i++)
    x[i] = noise (s.rand);
  tern_linear_input_init (&input, scratch, s.kernels, TERN_ACTIVATIONS_INT8, x, 256, 2, 256);
  g_assert_true (!input.has_i8 && !input.has_q8);
  tern_linear_run (&t2, &input, NULL, y, 10, NULL);     /* neither needs scratch in this mode */
  g_assert_true (input.has_i8 && !input.has_q8);
  tern_linear_run (&q8, &input, NULL, again, 10, NULL);
  g_assert_true (input.has_i8 && input.has_q8);
  memset (x, 0, sizeof x);
  tern_linear_run (&t2, &input, NULL, again, 10, NULL);
  g_assert_cmpmem (y, sizeof y, again, sizeof again);
  tern_linear_clear (&t2);
  tern_linear_clear (&q8);
  matrix_clear (&a);
  matrix_clear (&b);
  tern_mem_free (scratch);
  setup_clear (&s);
}

/* What a rotated matrix sees, by the matrix of the transform: heads in groups, signs, H. */
static void
turn_row (float *out, const float *x, const TernRotation *r)
{
  g_autofree double *grouped = g_new (double, r->width);
  guint heads = r->key_heads > 1 ? r->value_heads : 1, w = r->width / heads, i, j;

  for (i = 0; i < r->width; i++) {
    guint head = i / w, to = heads == 1 ? 0 : head % r->key_heads * (heads / r->key_heads) + head / r->key_heads;

    grouped[to * w + i % w] = x[i];
  }
  for (i = 0; i < r->width; i++) {
    double sum = 0;

    for (j = i / r->block * r->block; j < (i / r->block + 1) * r->block; j++)
      sum += (__builtin_parity (i % r->block & j % r->block) ? -1 : 1) * (r->signs ? r->signs[j] : 1) * grouped[j];
    out[i] = (float) (sum / sqrt (r->block));
  }
}

/* Two matrices beside each other on one input, one of them rotated, whole and as a part of the input; and a row turned back. */
static void
check_rotated (const Setup *s, guint32 id, const TernRotation *rotation)
{
  const guint rows = 37, cols = rotation->width, n = 5;
  g_autofree float *x = g_new (float, n * cols), *turned = g_new (float, n * cols), *y = g_new (float, n * rows);
  g_autofree float *row = g_new (float, cols), *back = g_new (float, cols);
  g_autofree double *expected = g_new (double, n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols) + tern_linear_turned_bytes (n, cols), "input", NULL);
  TernLinearInput input, part;
  TernLinear linear, plain;
  double top = 0;
  guint mode, t, i;
  Matrix m;

  matrix_init (&m, id, rows, cols, s->rand);
  bind (&linear, &m, s->kernels);
  bind (&plain, &m, s->kernels);
  linear.rotation = rotation;
  for (i = 0; i < n * cols; i++)
    x[i] = noise (s->rand);
  for (t = 0; t < n; t++)
    turn_row (turned + t * cols, x + t * cols, rotation);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (&linear), NULL));
  for (mode = 0; mode < 2; mode++) {
    TernForm form = mode == TERN_ACTIVATIONS_F32 ? TERN_FORM_EXPAND : linear.form;

    for (i = 0; i < 3; i++) {   /* rotated, plain, rotated again and as a part */
      tern_linear_input_init (&input, scratch, s->kernels, mode, x, cols, n, cols);
      tern_linear_run (&linear, &input, NULL, y, rows, s->pool);
      if (i == 1)
        tern_linear_run (&plain, &input, NULL, y, rows, s->pool);
      if (i == 2) {
        part = tern_linear_input_part (&input, 1, 3);
        memset (y, 0, n * rows * sizeof *y);
        tern_linear_rows (&linear, &part, NULL, y + rows, rows, 0, rows, s->pool, 0);
      }
      reference (expected, &m, form, i == 1 ? x : turned, cols, n, NULL);
      for (t = 0; t < n * rows; t++)
        top = MAX (top, fabs (expected[t]));
      /* A value that falls the other way when it is rounded is 1/127 of the largest of a row off. */
      for (t = i == 2 ? rows : 0; t < (i == 2 ? 4 : n) * rows; t++)
        g_assert_cmpfloat (fabs (y[t] - expected[t]), <=, (mode == TERN_ACTIVATIONS_F32 ? 1e-5 : 5e-3) * top);
    }
  }
  if (rotation->key_heads <= 1) {
    linear.row_rotation = rotation;
    tern_linear_row (&linear, 3, row);
    turn_row (back, row, rotation);
    for (i = 0; i < cols; i++)
      g_assert_cmpfloat (fabs (back[i] - m.values[3 * cols + i]), <=, 1e-4 * (1 + fabs (m.values[3 * cols + i])));
  }
  tern_linear_clear (&linear);
  tern_linear_clear (&plain);
  matrix_clear (&m);
  tern_mem_free (scratch);
}

static void
test_rotated (void)
{
  static const guint32 ids[] = { TERN_TYPE_F32, TERN_TYPE_F16, TERN_TYPE_Q8_0, TERN_TYPE_TQ2_0, TERN_TYPE_Q1_0, TERN_TYPE_Q2_0,
    TERN_TYPE_PQ2_0, TERN_TYPE_PTQ1_0 };
  g_autofree float *signs = g_new (float, 768);
  const TernRotation rotations[] = { { 768, 64, NULL, 0, 0 }, { 768, 256, signs, 0, 0 }, { 768, 1, signs, 0, 0 },
    { 768, 256, signs, 2, 6 }, { 768, 64, NULL, 3, 12 } };
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_NEON };
  gsize l, i, r;

  for (l = 0; l < G_N_ELEMENTS (levels); l++) {
    TernKernels kernels;
    Setup s = scalar_setup (&kernels);

    tern_kernels_init (&kernels, levels[l]);
    for (i = 0; i < 768; i++)
      signs[i] = g_rand_boolean (s.rand) ? 1 : -1;
    for (i = 0; i < G_N_ELEMENTS (ids); i++)
      for (r = 0; r < G_N_ELEMENTS (rotations); r++)
        check_rotated (&s, ids[i], &rotations[r]);
    setup_clear (&s);
  }
}

/* Rows [first, first + n) of @x as an input of their own, @few of them in the order for few, to their place in @y. */
static void
run_rows (const Setup *s, const TernLinear *linear, const float *x, guint first, guint n, guint few, float *y)
{
  guint cols = linear->cols;
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input;

  tern_linear_input_init (&input, scratch, s->kernels, TERN_ACTIVATIONS_INT8, x + first * cols, cols, n, cols);
  g_assert_cmpuint (input.few, ==, n <= TERN_LINEAR_FEW ? n : 0);
  input.few = few;
  tern_linear_run (linear, &input, NULL, y + first * linear->rows, linear->rows, s->pool);
  tern_mem_free (scratch);
}

/* Rows of both orders in one input, and a part of it: each the bits that it has by itself. */
static void
check_orders (const Setup *s, guint32 id)
{
  const guint rows = 700, cols = 512, n = 9, few = 3;
  g_autofree float *x = g_new (float, n * cols), *alone = g_new (float, n * rows), *y = g_new (float, n * rows);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (n, cols), "input", NULL);
  TernLinearInput input, part;
  TernLinear linear;
  Matrix m;
  guint t;

  matrix_init (&m, id, rows, cols, s->rand);
  bind (&linear, &m, s->kernels);
  g_assert_true (tern_pool_reserve (s->pool, tern_linear_scratch (&linear), NULL));
  for (t = 0; t < n * cols; t++)
    x[t] = noise (s->rand);
  for (t = 0; t < n; t++)
    run_rows (s, &linear, x, t, 1, t < few, alone);
  run_rows (s, &linear, x, 0, n, few, y);
  g_assert_cmpmem (y, n * rows * sizeof (float), alone, n * rows * sizeof (float));

  tern_linear_input_init (&input, scratch, s->kernels, TERN_ACTIVATIONS_INT8, x, cols, n, cols);
  input.few = few;
  tern_linear_ready (&linear, &input, s->pool);
  part = tern_linear_input_part (&input, 1, 6);
  g_assert_cmpuint (part.few, ==, 2);
  memset (y, 0, n * rows * sizeof (float));
  tern_linear_rows (&linear, &part, NULL, y, rows, 0, rows, s->pool, 0);
  g_assert_cmpmem (y, 6 * rows * sizeof (float), alone + rows, 6 * rows * sizeof (float));
  g_assert_cmpuint (tern_linear_input_part (&input, 3, 2).few, ==, 0);
  g_assert_cmpuint (tern_linear_input_part (&input, 0, 2).few, ==, 2);
  tern_mem_free (scratch);
  tern_linear_clear (&linear);
  matrix_clear (&m);
}

static void
test_orders (void)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AMX,
    TERN_CPU_NEON, TERN_CPU_DOTPROD, TERN_CPU_I8MM };
  TernKernels kernels;
  Setup s = scalar_setup (&kernels);
  gsize i, t;

  for (i = 0; i < G_N_ELEMENTS (levels); i++) {
    if (!tern_cpu_has (levels[i]))
      continue;
    tern_kernels_init (&kernels, levels[i]);
    for (t = 0; t < G_N_ELEMENTS (types); t++)
      check_orders (&s, types[t]);
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

/* Sizes that nothing could hold are refused by the allocation, not wrapped around. */
static void
test_huge_input (void)
{
  GError *error = NULL;

  g_assert_cmpuint (tern_linear_input_bytes (G_MAXUINT32, G_MAXUINT32), >, G_MAXSIZE / 8);
  g_assert_null (tern_mem_alloc (tern_linear_input_bytes (G_MAXUINT32, G_MAXUINT32), "input", &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE);
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
  g_test_add_func ("/linear/shared-input", test_shared_input);
  g_test_add_func ("/linear/rotated", test_rotated);
  g_test_add_func ("/linear/orders", test_orders);
  g_test_add_func ("/linear/load", test_load);
  g_test_add_func ("/linear/huge-input", test_huge_input);
  return g_test_run ();
}
