/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mixtures of experts: the block against a reference in double precision, and files that must be refused. */
#include <float.h>
#include <math.h>

#include "tern/error.h"
#include "engine/llm/arch/arch.h"
#include "tests/unit/gguf-writer.h"

#define WIDTH 24u
#define INNER 40u
#define EXPERTS 6u
#define ROWS 9u

static const TernTensorRow table[] = {
  { "blk.N.ffn_gate_inp.weight", { TERN_D, TERN_E } },
  { "blk.N.exp_probs_b.bias", { TERN_E } },
  { "blk.N.ffn_gate_exps.weight", { TERN_D, TERN_FE, TERN_E } },
  { "blk.N.ffn_up_exps.weight", { TERN_D, TERN_FE, TERN_E } },
  { "blk.N.ffn_down_exps.weight", { TERN_FE, TERN_D, TERN_E } },
  { NULL }
};

/* ---- One block --------------------------------------------------------------------------------------------------- */

typedef struct {
  float router[EXPERTS][WIDTH], bias[EXPERTS];
  float gate[EXPERTS][INNER][WIDTH], up[EXPERTS][INNER][WIDTH], down[EXPERTS][WIDTH][INNER];
  float x[ROWS][WIDTH];
} Values;

typedef struct {
  Values *values;
  GByteArray *bytes;
  TernGguf *file;
  TernMoeParams params;
  TernKernels kernels;
  TernBlock *block;
} Fixture;

static void
draw (float *values, gsize n, float size)
{
  for (gsize i = 0; i < n; i++)
    values[i] = size * (float) g_test_rand_double_range (-1, 1);
}

#define DRAW(array, size) draw ((float *) (array), sizeof (array) / sizeof (float), size)
#define ADD(writer, name, values, ...) writer_tensor (writer, name, G_N_ELEMENTS (((guint64[]) { __VA_ARGS__ })), \
    (guint64[]) { __VA_ARGS__ }, TERN_TYPE_F32, values, sizeof (values))

static void
fixture_init (Fixture *f)
{
  f->values = g_new0 (Values, 1);
  DRAW (f->values->router, 0.6f);
  DRAW (f->values->bias, 0.2f);
  DRAW (f->values->gate, 0.4f);
  DRAW (f->values->up, 0.4f);
  DRAW (f->values->down, 0.4f);
  DRAW (f->values->x, 1.5f);
  f->params = (TernMoeParams) { .width = WIDTH, .inner = INNER, .n_experts = EXPERTS, .n_used = 3, .normalise = TRUE,
    .scale = 1 };
  tern_kernels_init (&f->kernels, tern_kernels_default (NULL)->level);
}

static void
fixture_try (Fixture *f, GError **error)
{
  TernBlockSource source = { .kernels = &f->kernels, .architecture = "test", .table = table, .n_layers = 1 };
  g_auto (GgufWriter) w;

  writer_init (&w);
  ADD (&w, "blk.0.ffn_gate_inp.weight", f->values->router, WIDTH, EXPERTS);
  ADD (&w, "blk.0.exp_probs_b.bias", f->values->bias, EXPERTS);
  ADD (&w, "blk.0.ffn_gate_exps.weight", f->values->gate, WIDTH, INNER, EXPERTS);
  ADD (&w, "blk.0.ffn_up_exps.weight", f->values->up, WIDTH, INNER, EXPERTS);
  ADD (&w, "blk.0.ffn_down_exps.weight", f->values->down, INNER, WIDTH, EXPERTS);
  f->bytes = writer_finish (&w);
  f->file = tern_gguf_open_memory (f->bytes->data, f->bytes->len, "memory", NULL);
  g_assert_nonnull (f->file);
  source.file = f->file;
  source.dims[TERN_D] = WIDTH;
  source.dims[TERN_E] = EXPERTS;
  source.dims[TERN_FE] = INNER;
  f->block = tern_moe_new (&source, &f->params, error);
}

static void
fixture_open (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  fixture_try (f, &error);
  g_assert_no_error (error);
}

static void
fixture_clear (Fixture *f)
{
  tern_block_free (f->block);
  tern_gguf_unref (f->file);
  g_byte_array_unref (f->bytes);
  g_free (f->values);
}

/* y of rows [first, first + n), in a work area of exactly the planned size. */
static gboolean
eval (const Fixture *f, guint threads, guint first, guint n, TernCancel *cancel, float *y)
{
  g_autoptr (GError) error = NULL;
  TernPool *pool = tern_pool_new (threads, &error);
  TernArena arena = { 0 };
  gboolean done;
  TernPass pass = { .kernels = &f->kernels, .pool = pool, .mode = TERN_ACTIVATIONS_F32, .cancel = cancel, .n = n };

  g_assert_no_error (error);
  f->block->klass->work (f->block, &arena, n, 64);
  pass.work.base = tern_mem_alloc (arena.used, "work", &error);
  pass.input = tern_mem_alloc (tern_linear_input_bytes (n, MAX (WIDTH, INNER)), "input", &error);
  g_assert_no_error (error);
  g_assert_true (tern_pool_reserve (pool, 1 << 16, &error));
  arena.base = pass.work.base;
  done = f->block->klass->eval (f->block, &pass, f->values->x[first], y);
  g_assert_cmpuint (pass.work.used, <=, arena.used);
  tern_mem_free (arena.base);
  tern_mem_free (pass.input);
  tern_pool_free (pool);
  return done;
}

/* @size: the sum of the magnitudes, by which single precision may be wrong. */
static double
dot (const float *a, const float *b, guint n, double *size)
{
  double sum = 0;

  *size = 0;
  for (guint i = 0; i < n; i++) {
    sum += (double) a[i] * b[i];
    *size += fabs ((double) a[i] * b[i]);
  }
  return sum;
}

/* @sizes: of all that is added up to each of @y. */
static void
reference_row (const Fixture *f, const float *x, double *y, double *sizes)
{
  const Values *v = f->values;
  double p[EXPERTS], sum = 0, inner[INNER], inner_size[INNER], gate_size, up_size;
  gboolean chosen[EXPERTS] = { FALSE };

  for (guint e = 0; e < EXPERTS; e++)
    p[e] = 1 / (1 + exp (-dot (v->router[e], x, WIDTH, &gate_size)));
  for (guint i = 0; i < f->params.n_used; i++) {
    guint best = EXPERTS;

    for (guint e = 0; e < EXPERTS; e++)
      if (!chosen[e] && (best == EXPERTS || p[e] + v->bias[e] > p[best] + v->bias[best]))
        best = e;
    chosen[best] = TRUE;
    sum += p[best];
  }
  memset (y, 0, WIDTH * sizeof *y);
  memset (sizes, 0, WIDTH * sizeof *sizes);
  for (guint e = 0; e < EXPERTS; e++) {
    double weight = p[e] * f->params.scale / (f->params.normalise ? sum + 1e-6 : 1);

    if (!chosen[e])
      continue;
    for (guint i = 0; i < INNER; i++) {
      double gate = dot (v->gate[e][i], x, WIDTH, &gate_size), up = dot (v->up[e][i], x, WIDTH, &up_size);

      inner[i] = gate / (1 + exp (-gate)) * up;
      inner_size[i] = gate_size * up_size;
    }
    for (guint c = 0; c < WIDTH; c++)
      for (guint i = 0; i < INNER; i++) {
        y[c] += weight * v->down[e][c][i] * inner[i];
        sizes[c] += weight * fabs (v->down[e][c][i]) * inner_size[i];
      }
  }
}

/* Single precision rounds hundreds of sums of up to 40 products; of ten million results the worst was wrong by a quarter of
 * this. */
static double
rounding (double size)
{
  return 4 * FLT_EPSILON * size;
}

static void
check (const Fixture *f)
{
  float whole[ROWS][WIDTH], other[ROWS][WIDTH];
  double sizes[ROWS][WIDTH];

  g_assert_true (eval (f, 1, 0, ROWS, NULL, whole[0]));
  for (guint t = 0; t < ROWS; t++) {
    double expected[WIDTH];

    reference_row (f, f->values->x[t], expected, sizes[t]);
    for (guint c = 0; c < WIDTH; c++)
      g_assert_cmpfloat (fabs (whole[t][c] - expected[c]), <, rounding (sizes[t][c]));
  }
  for (guint threads = 2; threads <= 5; threads++) {
    g_assert_true (eval (f, threads, 0, ROWS, NULL, other[0]));
    g_assert_cmpmem (other, sizeof other, whole, sizeof whole);
  }
  for (guint step = 1; step < 5; step += 3)
    for (guint t = 0; t < ROWS; t += step) {
      guint n = MIN (step, ROWS - t);

      g_assert_true (eval (f, 2, t, n, NULL, other[0]));
      for (guint r = 0; r < n; r++)
        for (guint c = 0; c < WIDTH; c++)
          g_assert_cmpfloat (fabsf (other[r][c] - whole[t + r][c]), <, rounding (sizes[t + r][c]));
    }
}

static void
test_reference (void)
{
  for (guint used = 1; used <= EXPERTS; used++)
    for (guint variant = 0; variant < 2; variant++) {
      Fixture f = { 0 };

      fixture_init (&f);
      f.params.n_used = used;
      f.params.normalise = variant == 0;
      f.params.scale = variant ? 2.5f : 1;
      fixture_open (&f);
      check (&f);
      fixture_clear (&f);
    }
}

/* Equal scores: the lower number wins. */
static void
test_ties (void)
{
  Fixture f = { 0 };

  fixture_init (&f);
  memset (f.values->router, 0, sizeof f.values->router);
  for (guint e = 0; e < EXPERTS; e++)
    f.values->bias[e] = e == 4 ? 0.25f : 0;
  fixture_open (&f);
  check (&f);                   /* 4, 0, 1 */
  fixture_clear (&f);
}

/* The bias decides who is chosen, not what it counts. */
static void
test_bias (void)
{
  Fixture f = { 0 };

  fixture_init (&f);
  f.params.n_used = 1;
  f.values->bias[2] = 5;
  f.values->bias[3] = -5;
  f.params.normalise = FALSE;
  fixture_open (&f);
  check (&f);
  fixture_clear (&f);
}

static void
test_not_a_number (void)
{
  Fixture f = { 0 };
  float y[ROWS][WIDTH];

  fixture_init (&f);
  f.values->x[1][3] = NAN;
  f.values->x[2][0] = INFINITY;
  f.params.n_used = EXPERTS;
  fixture_open (&f);
  g_assert_true (eval (&f, 2, 0, ROWS, NULL, y[0]));
  g_assert_true (isnan (y[1][0]));
  g_assert_true (isfinite (y[0][0]));
  fixture_clear (&f);
}

/* A row of tokens may be bad; weights may not, and are told of when the file is opened. */
static void
test_bias_not_a_number (void)
{
  static const float bad[] = { NAN, INFINITY, -INFINITY };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    Fixture f = { 0 };
    g_autoptr (GError) error = NULL;

    fixture_init (&f);
    f.values->bias[i] = bad[i];
    fixture_try (&f, &error);
    g_assert_null (f.block);
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "blk.0.exp_probs_b.bias"));
    fixture_clear (&f);
  }
}

static void
test_cancelled (void)
{
  Fixture f = { 0 };
  TernCancel cancel = { 0 };
  float y[ROWS][WIDTH];

  fixture_init (&f);
  fixture_open (&f);
  tern_cancel_raise (&cancel);
  g_assert_false (eval (&f, 2, 0, ROWS, &cancel, y[0]));
  fixture_clear (&f);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  const char *says;             /* part of the message; NULL: opens */
  const char *key;              /* lfm2moe.<key> has another value; NULL: none */
  guint32 value;
  float scale;                  /* of expert_weights_scale, when that is the key */
  guint64 gate_dims[3];         /* 0: right */
  const char *without;          /* a tensor that is left out */
  guint32 down_type;
} File;

static const File files[] = {
  { "good", NULL },
  { "all-dense", NULL, "leading_dense_block_count", 9 },
  { "all-used", NULL, "expert_used_count", 4 },
  { "scale-0", NULL, "expert_weights_scale", .scale = 0 },
  { "count-0", "expert_count", "expert_count", 0 },
  { "count-huge", "expert_count", "expert_count", 1u << 31 },
  { "used-0", "expert_used_count", "expert_used_count", 0 },
  { "used-5", "expert_used_count", "expert_used_count", 5 },
  { "inner-0", "expert_feed_forward_length", "expert_feed_forward_length", 0 },
  { "inner-huge", "expert_feed_forward_length", "expert_feed_forward_length", G_MAXUINT32 },
  { "inner-other", "ffn_gate_exps", "expert_feed_forward_length", 16 },
  { "softmax", "expert_gating_func", "expert_gating_func", 1 },
  { "gating-77", "expert_gating_func", "expert_gating_func", 77 },
  { "none-dense", "blk.0.ffn_gate_inp", "leading_dense_block_count", 0 },
  { "scale-negative", "expert_weights_scale", "expert_weights_scale", .scale = -1 },
  { "scale-nan", "expert_weights_scale", "expert_weights_scale", .scale = NAN },
  { "few-experts", "ffn_gate_exps", .gate_dims = { 32, 8, 3 } },
  { "many-experts", "ffn_gate_exps", .gate_dims = { 32, 8, 5 } },
  { "turned", "ffn_gate_exps", .gate_dims = { 8, 32, 4 } },
  { "flat", "ffn_gate_exps", .gate_dims = { 32, 32, 1 } },
  { "no-router", "ffn_gate_inp", .without = "blk.1.ffn_gate_inp.weight" },
  { "no-bias", "exp_probs_b", .without = "blk.1.exp_probs_b.bias" },
  { "no-up", "ffn_up_exps", .without = "blk.1.ffn_up_exps.weight" },
  { "no-down", "ffn_down_exps", .without = "blk.1.ffn_down_exps.weight" },
  { "down-i32", "ffn_down_exps", .down_type = TERN_TYPE_I32 },
};

static const struct {
  const char *key;
  guint32 value;
} keys[] = {
  { "block_count", 2 }, { "context_length", 64 }, { "embedding_length", 32 }, { "feed_forward_length", 16 },
  { "attention.head_count", 2 }, { "attention.head_count_kv", 0 }, { "shortconv.l_cache", 3 }, { "expert_count", 4 },
  { "expert_used_count", 2 }, { "expert_feed_forward_length", 8 }, { "expert_gating_func", 2 },
  { "leading_dense_block_count", 1 },
};

static void
add_tensor (GgufWriter *w, const File *file, const char *name, guint32 type, guint64 a, guint64 b, guint64 c)
{
  g_autofree guint8 *small = g_malloc (a * b * c * 4);

  memset (small, 1, a * b * c * 4);     /* zeros only are refused */
  if (g_strcmp0 (file->without, name) != 0)
    writer_tensor (w, name, c > 1 ? 3 : b > 1 ? 2 : 1, (guint64[]) { a, b, c }, type, small, a * b * c * 4);
}

static void
add_layer (GgufWriter *w, const File *file, guint layer)
{
  static const struct { const char *name; guint64 a, b; } common[] = {
    { "attn_norm", 32, 1 }, { "ffn_norm", 32, 1 }, { "shortconv.in_proj", 32, 96 }, { "shortconv.conv", 3, 32 },
    { "shortconv.out_proj", 32, 32 },
  }, dense[] = { { "ffn_gate", 32, 16 }, { "ffn_up", 32, 16 }, { "ffn_down", 16, 32 } };
  guint64 shape[5][3] = { { 32, 4, 1 }, { 4, 1, 1 }, { 32, 8, 4 }, { 32, 8, 4 }, { 8, 32, 4 } };
  static const char *const experts[] = { "ffn_gate_inp.weight", "exp_probs_b.bias", "ffn_gate_exps.weight",
    "ffn_up_exps.weight", "ffn_down_exps.weight" };
  char name[64];

  if (file->gate_dims[0])
    memcpy (shape[2], file->gate_dims, sizeof file->gate_dims);
  for (guint i = 0; i < G_N_ELEMENTS (common); i++) {
    g_snprintf (name, sizeof name, "blk.%u.%s.weight", layer, common[i].name);
    add_tensor (w, file, name, TERN_TYPE_F32, common[i].a, common[i].b, 1);
  }
  for (guint i = 0; i < G_N_ELEMENTS (dense); i++) {
    g_snprintf (name, sizeof name, "blk.%u.%s.weight", layer, dense[i].name);
    add_tensor (w, file, name, TERN_TYPE_F32, dense[i].a, dense[i].b, 1);
  }
  for (guint i = 0; layer > 0 && i < G_N_ELEMENTS (experts); i++) {
    g_snprintf (name, sizeof name, "blk.%u.%s", layer, experts[i]);
    add_tensor (w, file, name, i == 4 && file->down_type ? file->down_type : TERN_TYPE_F32, shape[i][0], shape[i][1],
        shape[i][2]);
  }
}

static GByteArray *
write_file (const File *file)
{
  const float eps = 1e-5f;
  g_auto (GgufWriter) w;

  writer_init (&w);
  writer_string (&w, "general.architecture", "lfm2moe");
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autofree char *key = g_strconcat ("lfm2moe.", keys[i].key, NULL);

    writer_u32 (&w, key, g_strcmp0 (file->key, keys[i].key) == 0 ? file->value : keys[i].value);
  }
  writer_number (&w, "lfm2moe.attention.layer_norm_rms_epsilon", TERN_GGUF_F32, &eps, sizeof eps);
  if (g_strcmp0 (file->key, "expert_weights_scale") == 0)
    writer_number (&w, "lfm2moe.expert_weights_scale", TERN_GGUF_F32, &file->scale, sizeof file->scale);
  add_tensor (&w, file, "token_embd.weight", TERN_TYPE_F32, 32, 8, 1);
  add_tensor (&w, file, "token_embd_norm.weight", TERN_TYPE_F32, 32, 1, 1);
  for (guint i = 0; i < 2; i++)
    add_layer (&w, file, i);
  return writer_finish (&w);
}

static void
test_file (gconstpointer data)
{
  const File *file = data;
  g_autoptr (GByteArray) bytes = write_file (file);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) gguf = tern_gguf_open_memory (bytes->data, bytes->len, "odd.gguf", &error);
  g_autoptr (TernLlm) llm = NULL;

  g_assert_no_error (error);
  llm = tern_llm_open (gguf, tern_kernels_default (NULL), NULL, &error);
  if (!file->says) {
    g_assert_no_error (error);
    return;
  }
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_true (error->domain == TERN_ERROR);
  g_assert_nonnull (strstr (error->message, file->says));
  g_assert_nonnull (strstr (error->message, "odd.gguf"));
  g_assert_nonnull (strstr (error->message, "expected"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/moe/reference", test_reference);
  g_test_add_func ("/moe/ties", test_ties);
  g_test_add_func ("/moe/bias", test_bias);
  g_test_add_func ("/moe/not-a-number", test_not_a_number);
  g_test_add_func ("/moe/bias-not-a-number", test_bias_not_a_number);
  g_test_add_func ("/moe/cancelled", test_cancelled);
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_strdup_printf ("/moe/file/%s", files[i].name);

    g_test_add_data_func (path, &files[i], test_file);
  }
  return g_test_run ();
}
