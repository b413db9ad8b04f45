/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BitNet's forms: the numbers worked out by hand in tests/golden/bitnet_forms.py, what linears make of policies, and that nothing
 * that is unknown or does not fit gets through. Whole models: golden-families. */
#include <math.h>

#include "engine/base/mem.h"
#include "engine/weights/activations.h"
#include "tests/unit/gguf-writer.h"

#define COLS 256
#define ROWS 37
#define N 3

static const char *const tensors[] = { "blk.0.attn_q.weight", "blk.0.attn_output.weight", "blk.0.ffn_down.weight", NULL };

/* A file of F32 matrices of @cols features: values -1/4 and +1/4 by the parity of bits, and @odd at (5, 7) of the second.
 * @bytes are what it reads from, the caller's to free after it. */
static TernGguf *
make_file (GByteArray **bytes, const char *policy, guint block, guint cols, float odd)
{
  g_autofree float *values = g_new (float, cols * ROWS);
  const guint64 dims[2] = { cols, ROWS };
  g_autoptr (GError) error = NULL;
  g_auto (GgufWriter) w;
  TernGguf *gguf;

  writer_init (&w);
  writer_string (&w, "general.architecture", "llama");
  if (policy)
    writer_string (&w, TERN_POLICY_KEY, policy);
  if (block)
    writer_u32 (&w, TERN_POLICY_BLOCK_KEY, block);
  for (guint i = 0; tensors[i]; i++) {
    for (guint v = 0; v < cols * ROWS; v++)
      values[v] = __builtin_parity (v * 2654435761u) ? 0.25f : -0.25f;
    if (i == 1)
      values[5 * cols + 7] = odd;
    writer_tensor (&w, tensors[i], 2, dims, TERN_TYPE_F32, values, cols * ROWS * sizeof *values);
  }
  *bytes = writer_finish (&w);
  gguf = tern_gguf_open_memory ((*bytes)->data, (*bytes)->len, "test.gguf", &error);
  g_assert_no_error (error);
  return gguf;
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

static void
test_top (void)
{
  float worked[] = { 1, -0.5f, 0.25f, 2 }, ties[] = { 1, -1, 1, 0 }, all[] = { -0.0f, 3 }, none[] = { 1, INFINITY };
  const float worked_kept[] = { 1, 0, 0, 2 }, ties_kept[] = { 1, -1, 0, 0 };
  g_autofree float *x = g_new (float, 1000), *from = g_new (float, 1000);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  double least = INFINITY, most = 0;
  guint i, kept = 0;

  tern_keep_top (worked, 4, 2);
  g_assert_cmpmem (worked, sizeof worked, worked_kept, sizeof worked_kept);
  tern_keep_top (ties, 4, 2);
  g_assert_cmpmem (ties, sizeof ties, ties_kept, sizeof ties_kept);
  tern_keep_top (all, 2, 2);
  g_assert_cmpfloat (all[1], ==, 3);
  tern_keep_top (none, 2, 0);
  g_assert_true (none[0] == 0 && none[1] == 0);
  for (i = 0; i < 1000; i++)
    from[i] = x[i] = g_rand_double_range (rand, -1, 1);
  tern_keep_top (x, 1000, 333);
  for (i = 0; i < 1000; i++) {
    if (x[i] == 0) {
      most = MAX (most, fabs (from[i]));
      continue;
    }
    g_assert_cmpfloat (x[i], ==, from[i]);
    least = MIN (least, fabs (x[i]));
    kept++;
  }
  g_assert_cmpuint (kept, ==, 333);
  g_assert_cmpfloat (least, >=, most);
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* H of the whole row, by its definition. */
static void
turn (double *x, guint n)
{
  g_autofree double *from = g_memdup2 (x, n * sizeof *x);

  for (guint i = 0; i < n; i++) {
    x[i] = 0;
    for (guint j = 0; j < n; j++)
      x[i] += (__builtin_parity (i & j) ? -from[j] : from[j]) / sqrt (n);
  }
}

static void
round_to (double *x, guint n, double step, double low, double high)
{
  for (guint i = 0; i < n; i++)
    x[i] = step * MAX (low, MIN (high, nearbyint (x[i] / step)));
}

static void
round_4 (double *x, guint n)
{
  double mean = 0;

  for (guint i = 0; i < n; i++)
    mean += fabs (x[i]) / n;
  round_to (x, n, mean / sqrt (7), -8, 7);
}

static void
round_8 (double *x, guint n)
{
  double most = 0;

  for (guint i = 0; i < n; i++)
    most = MAX (most, fabs (x[i]));
  round_to (x, n, most / 127, -128, 127);
}

static void
halve (double *x, guint n)
{
  g_autofree float *kept = g_new (float, n);

  for (guint i = 0; i < n; i++)
    kept[i] = (float) x[i];
  tern_keep_top (kept, n, n / 2);
  for (guint i = 0; i < n; i++)
    x[i] = kept[i] == 0 ? 0 : x[i];
}

/* What matrix @place (of tensors) sees of @x under @kind; @forced: on weights that are not rotated. */
static void
expect_row (double *x, TernPolicyKind kind, guint place, gboolean forced)
{
  gboolean turned = (kind == TERN_POLICY_V2 || kind == TERN_POLICY_V2_A8) && place > 0;

  if (turned)
    turn (x, COLS);
  if (kind == TERN_POLICY_A4_8 && place == 1)
    halve (x, COLS);
  if (kind == TERN_POLICY_V2 || (kind == TERN_POLICY_A4_8 && place == 0))
    round_4 (x, COLS);
  else
    round_8 (x, COLS);
  if (turned && forced)
    turn (x, COLS);
}

static void
run (const TernLinear *linear, const TernKernels *kernels, const float *x, TernPool *pool, float *y)
{
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (N, COLS) + tern_linear_turned_bytes (N, COLS), "input", NULL);
  TernLinearInput input;

  g_assert_true (tern_pool_reserve (pool, tern_linear_scratch (linear), NULL));
  tern_linear_input_init (&input, scratch, kernels, TERN_ACTIVATIONS_INT8, x, COLS, N, COLS);
  tern_linear_run (linear, &input, NULL, y, ROWS, pool);
  tern_mem_free (scratch);
}

/* The values of a matrix as the policy makes them. */
static void
expect_weights (double *w, const float *values, gboolean binary)
{
  double mean = 0, magnitude = 0;

  for (guint i = 0; i < ROWS * COLS; i++) {
    w[i] = values[i];
    mean += w[i] / (ROWS * COLS);
    magnitude += fabs (w[i]) / (ROWS * COLS);
  }
  for (guint i = 0; binary && i < ROWS * COLS; i++)
    w[i] = w[i] > mean ? magnitude : -magnitude;
}

static void
check_products (const TernKernels *kernels, TernPool *pool, TernPolicyKind kind, gboolean forced)
{
  const TernActivationPolicy policy = { kind, 0 };
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = make_file (&bytes, forced ? NULL : tern_policy_name (kind), 0, COLS, forced ? 0 : 0.25f);
  g_autofree double *w = g_new (double, ROWS * COLS), *row = g_new (double, COLS);
  g_autofree float *x = g_new (float, N * COLS), *y = g_new (float, N * ROWS);
  g_autoptr (GRand) rand = g_rand_new_with_seed (kind);
  g_autoptr (GError) error = NULL;
  TernPolicyBinding *binding = tern_policy_binding_new (file, forced ? &policy : NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (tern_policy_binding_policy (binding)->kind, ==, kind);
  for (guint i = 0; i < N * COLS; i++)
    x[i] = (float) g_rand_double_range (rand, -1, 1) * (i % 61 ? 1 : 8);
  for (guint place = 0; tensors[place]; place++) {
    const TernTensor *tensor = tern_gguf_find (file, tensors[place]);
    TernLinear linear;

    g_assert_true (tern_linear_init (&linear, tensor, kernels, &error));
    g_assert_true (tern_policy_bind (binding, &linear, &error));
    g_assert_true (tern_policy_check_weights (binding, &linear, pool, &error));
    g_assert_true (tern_linear_pack (&linear, pool, &error));
    g_assert_cmpint (linear.form, ==, tern_policy_binding_changes_weights (binding) ? TERN_FORM_T2 : TERN_FORM_F32);
    run (&linear, kernels, x, pool, y);
    expect_weights (w, (const float *) tensor->data, tern_policy_binding_changes_weights (binding));
    for (guint t = 0; t < N; t++) {
      for (guint c = 0; c < COLS; c++)
        row[c] = x[t * COLS + c];
      expect_row (row, kind, place, forced);
      for (guint r = 0; r < ROWS; r++) {
        double sum = 0;

        for (guint c = 0; c < COLS; c++)
          sum += w[r * COLS + c] * row[c];
        g_assert_cmpfloat (fabs (sum - y[t * ROWS + r]), <=, 1e-4);
      }
    }
    tern_linear_clear (&linear);
  }
  tern_policy_binding_free (binding);
}

/* Each policy, named and forced, under every instruction set that this CPU has. */
static void
test_products (void)
{
  static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVX512VNNI, TERN_CPU_AVX512VBMI, TERN_CPU_NEON };
  TernPool *pool = tern_pool_new (2, NULL);

  for (guint l = 0; l < G_N_ELEMENTS (levels); l++) {
    TernKernels kernels;

    tern_kernels_init (&kernels, levels[l]);
    for (TernPolicyKind kind = TERN_POLICY_W1A8; kind <= TERN_POLICY_V2_A8; kind++)
      for (guint forced = 0; forced < 2; forced++)
        check_products (&kernels, pool, kind, forced);
  }
  tern_pool_free (pool);
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void
test_names (void)
{
  static const struct {
    const char *text;
    TernActivationPolicy policy;        /* of kind FILE: refused */
  } cases[] = { { "int8", { TERN_POLICY_INT8, 0 } }, { "w1a8", { TERN_POLICY_W1A8, 0 } }, { "a4.8", { TERN_POLICY_A4_8, 0 } },
    { "v2", { TERN_POLICY_V2, 0 } }, { "v2-a8:128", { TERN_POLICY_V2_A8, 128 } }, { "v2:1", { TERN_POLICY_V2, 1 } },
    { "" }, { "f32" }, { "V2" }, { "v2:" }, { "v2:0" }, { "v2:96" }, { "v2:-4" }, { "v2: 4" }, { "v2:4294967296" }, { "a4.8:64" },
    { "v3" }, { "int8 " }, };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    TernActivationPolicy policy;
    g_autoptr (GError) error = NULL;
    gboolean ok = tern_policy_parse (cases[i].text, &policy, &error);

    g_assert_cmpint (ok, ==, cases[i].policy.kind != TERN_POLICY_FILE);
    if (ok) {
      g_assert_cmpint (policy.kind, ==, cases[i].policy.kind);
      g_assert_cmpuint (policy.block, ==, cases[i].policy.block);
    } else {
      g_assert_nonnull (strstr (error->message, "expected"));
    }
  }
}

typedef struct {
  const char *policy;           /* in the file */
  guint block, cols;
  float odd;
  TernActivationPolicy forced;
  const char *said, *found;     /* by the error */
} Refusal;

static const Refusal refusals[] = {
  { "b1.58", 0, 64, .25f, { 0 }, "test.gguf: key tern.activations", "\"b1.58\"" },
  { "a4.8", 64, 64, .25f, { 0 }, "test.gguf: key tern.activations.block", "\"a4.8\"" },
  { "v2", 48, 96, .25f, { 0 }, "tern.activations.block", "found 48" },
  { "v2", 0, 96, .25f, { 0 }, "blk.0.attn_output.weight", "found 96" },
  { "v2-a8", 64, 96, .25f, { 0 }, "blk.0.attn_output.weight", "found 96" },
  { NULL, 0, 96, .25f, { TERN_POLICY_V2, 0 }, "blk.0.attn_output.weight", "\"v2:BLOCK\"" },
  { NULL, 0, 96, .25f, { TERN_POLICY_V2_A8, 64 }, "blk.0.attn_output.weight", "the 64 values" },
  { "v2", 32, 96, .25f, { TERN_POLICY_A4_8, 0 }, "tern.activations", "found a4.8" },
  { "v2", 32, 96, .25f, { TERN_POLICY_V2, 16 }, "tern.activations", "found v2" },
  { "w1a8", 0, 64, 0, { 0 }, "blk.0.attn_output.weight", "row 5" },
  { "w1a8", 0, 64, NAN, { 0 }, "blk.0.attn_output.weight", "row 5" },
  { NULL, 0, 64, INFINITY, { TERN_POLICY_W1A8, 0 }, "blk.0.attn_output.weight", "inf" },
  { NULL, 0, 64, NAN, { TERN_POLICY_W1A8, 0 }, "blk.0.attn_output.weight", "nan" },
};

static gboolean
bind_all (const TernGguf *file, const TernActivationPolicy *forced, GError **error)
{
  TernPolicyBinding *binding = tern_policy_binding_new (file, forced, error);
  gboolean ok = binding != NULL;

  for (guint i = 0; ok && tensors[i]; i++) {
    TernLinear linear;

    g_assert_true (tern_linear_init (&linear, tern_gguf_find (file, tensors[i]), tern_kernels_default (NULL), NULL));
    ok = tern_policy_bind (binding, &linear, error) && tern_policy_check_weights (binding, &linear, NULL, error)
        && tern_linear_pack (&linear, NULL, error);
    tern_linear_clear (&linear);
  }
  tern_policy_binding_free (binding);
  return ok;
}

static void
test_refusals (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
    const Refusal *r = &refusals[i];
    g_autoptr (GByteArray) bytes = NULL;
    g_autoptr (TernGguf) file = make_file (&bytes, r->policy, r->block, r->cols, r->odd);
    g_autoptr (GError) error = NULL;

    g_assert_false (bind_all (file, &r->forced, &error));
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, r->said));
    g_assert_nonnull (strstr (error->message, r->found));
  }
}

/* A matrix that prism.hadamard.* turns too: refused where the file names v2, left as it is where v2 is forced. */
static void
test_rotated (void)
{
  const TernRotation rotation = { .width = 64, .block = 32 };

  for (guint forced = 0; forced < 2; forced++) {
    const TernActivationPolicy v2 = { TERN_POLICY_V2, 0 };
    g_autoptr (GByteArray) bytes = NULL;
    g_autoptr (TernGguf) file = make_file (&bytes, forced ? NULL : "v2", 0, 64, .25f);
    g_autoptr (GError) error = NULL;
    TernPolicyBinding *binding = tern_policy_binding_new (file, forced ? &v2 : NULL, &error);
    TernLinear linear;

    g_assert_true (tern_linear_init (&linear, tern_gguf_find (file, tensors[1]), tern_kernels_default (NULL), NULL));
    linear.rotation = &rotation;
    g_assert_cmpint (tern_policy_bind (binding, &linear, &error), ==, forced);
    if (forced)
      g_assert_true (linear.rotation == &rotation && !linear.turns_back && linear.rounding == TERN_ROUNDING_I4);
    else
      g_assert_nonnull (strstr (error->message, "prism.hadamard"));
    tern_linear_clear (&linear);
    tern_policy_binding_free (binding);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/activations/top", test_top);
  g_test_add_func ("/activations/products", test_products);
  g_test_add_func ("/activations/names", test_names);
  g_test_add_func ("/activations/refusals", test_refusals);
  g_test_add_func ("/activations/rotated", test_rotated);
  return g_test_run ();
}
