/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Families as tables: files that say the same in another way give the same numbers, and files that cannot be run are
 * refused with the tensor or key that is to blame. What the numbers are is tests/golden's. */
#include <math.h>

#include "tern/error.h"
#include "engine/llm/solo.h"
#include "tests/unit/gguf-writer.h"

#define WIDTH 32u
#define INNER 48u
#define VOCAB 20u
#define HEADS 4u
#define KV 2u
#define HEAD 8u
#define LAYERS 2u
#define IDS 6u

/* How a file differs from the plain one of its architecture. */
typedef struct {
  const char *arch;
  gboolean fused;               /* attn_qkv for attn_q, attn_k, attn_v */
  const char *drop;             /* the tensor that is left out */
  const char *add;              /* one of add_n values add_value each more */
  guint add_n;
  float add_value;
  const char *key, *text;       /* a key more: a string, else a number of type; I32: a list of -1 and that, each layer's */
  guint32 type;
  double number;
  const char *scaled;           /* values of tensors whose names end so are twice as large */
  guint inner;                  /* as the file has it */
  gboolean headless;            /* the last layer has no heads, and its attn_qkv no rows */
} Change;

static float
value (const char *name, gsize i)
{
  guint hash = g_str_hash (name) * 2654435761u + (guint) i * 40503u;

  hash = (hash ^ hash >> 15) * 2246822519u;
  return (float) (hash >> 8) / (1 << 24) - 0.5f;
}

static void
add_tensor (GgufWriter *w, const Change *c, const char *name, guint cols, guint rows)
{
  gsize n = (gsize) cols * MAX (rows, 1);
  g_autofree float *values = g_new (float, n);

  if (c->drop && g_str_equal (name, c->drop))
    return;
  for (gsize i = 0; i < n; i++)
    values[i] = value (name, i) * (c->scaled && g_str_has_suffix (name, c->scaled) ? 2 : 1)
        + (strstr (name, "norm") ? 1 : 0);
  writer_tensor (w, name, rows ? 2 : 1, (guint64[]) { cols, rows }, TERN_TYPE_F32, values, n * sizeof (float));
}

static void
add_layer_tensor (GgufWriter *w, const Change *c, guint layer, const char *name, guint cols, guint rows)
{
  char full[64];

  g_snprintf (full, sizeof full, "blk.%u.%s", layer, name);
  add_tensor (w, c, full, cols, rows);
}

/* q, k and v in one: the values that the three have. */
static void
add_fused (GgufWriter *w, guint layer, const char *kind, guint cols)
{
  static const char *const names[] = { "attn_q", "attn_k", "attn_v" };
  const guint rows[] = { HEADS * HEAD, KV * HEAD, KV * HEAD };
  g_autoptr (GArray) all = g_array_new (FALSE, FALSE, sizeof (float));
  guint64 dims[2] = { cols, (HEADS + 2 * KV) * HEAD };
  char name[64];

  for (guint p = 0; p < 3; p++) {
    g_snprintf (name, sizeof name, "blk.%u.%s.%s", layer, names[p], kind);
    for (gsize i = 0; i < (gsize) rows[p] * cols; i++) {
      float v = value (name, i);

      g_array_append_val (all, v);
    }
  }
  g_snprintf (name, sizeof name, "blk.%u.attn_qkv.%s", layer, kind);
  writer_tensor (w, name, cols > 1 ? 2 : 1, cols > 1 ? dims : dims + 1, TERN_TYPE_F32, all->data,
      all->len * sizeof (float));
}

static void
add_layer (GgufWriter *w, const Change *c, guint i)
{
  gboolean bitnet = g_str_has_prefix (c->arch, "bitnet"), qwen2 = g_str_equal (c->arch, "qwen2");
  guint inner = c->inner ? c->inner : INNER;

  add_layer_tensor (w, c, i, "attn_norm.weight", WIDTH, 0);
  add_layer_tensor (w, c, i, "ffn_norm.weight", WIDTH, 0);
  if (c->headless && i + 1 == LAYERS) {
    char name[64];

    g_snprintf (name, sizeof name, "blk.%u.attn_qkv.weight", i);
    writer_tensor (w, name, 2, (guint64[]) { WIDTH, 0 }, TERN_TYPE_F32, NULL, 0);
  } else if (c->fused) {
    add_fused (w, i, "weight", WIDTH);
    if (qwen2)
      add_fused (w, i, "bias", 1);
  } else {
    add_layer_tensor (w, c, i, "attn_q.weight", WIDTH, HEADS * HEAD);
    add_layer_tensor (w, c, i, "attn_k.weight", WIDTH, KV * HEAD);
    add_layer_tensor (w, c, i, "attn_v.weight", WIDTH, KV * HEAD);
    if (qwen2) {
      add_layer_tensor (w, c, i, "attn_q.bias", HEADS * HEAD, 0);
      add_layer_tensor (w, c, i, "attn_k.bias", KV * HEAD, 0);
      add_layer_tensor (w, c, i, "attn_v.bias", KV * HEAD, 0);
    }
  }
  add_layer_tensor (w, c, i, "attn_output.weight", HEADS * HEAD, WIDTH);
  add_layer_tensor (w, c, i, "ffn_gate.weight", WIDTH, inner);
  add_layer_tensor (w, c, i, "ffn_up.weight", WIDTH, inner);
  add_layer_tensor (w, c, i, "ffn_down.weight", inner, WIDTH);
  if (g_str_equal (c->arch, "qwen3")) {
    add_layer_tensor (w, c, i, "attn_q_norm.weight", HEAD, 0);
    add_layer_tensor (w, c, i, "attn_k_norm.weight", HEAD, 0);
  }
  if (bitnet) {
    add_layer_tensor (w, c, i, "attn_sub_norm.weight", HEADS * HEAD, 0);
    add_layer_tensor (w, c, i, "ffn_sub_norm.weight", inner, 0);
  }
}

static void
add_list (GgufWriter *w, const char *name, gint32 last)
{
  writer_array (w, name, TERN_GGUF_I32, LAYERS);
  for (guint i = 0; i < LAYERS; i++)
    put_u32 (w->keys, (guint32) (i + 1 < LAYERS ? -1 : last));
}

static void
add_keys (GgufWriter *w, const Change *c)
{
  static const struct {
    const char *name;
    guint32 value;
  } keys[] = {
    { "block_count", LAYERS }, { "context_length", 64 }, { "embedding_length", WIDTH },
    { "feed_forward_length", INNER }, { "attention.head_count", HEADS }, { "attention.head_count_kv", KV },
    { "attention.key_length", HEAD }, { "attention.value_length", HEAD },
  };
  float eps = 1e-5f;
  char name[128];

  writer_string (w, "general.architecture", c->arch);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_snprintf (name, sizeof name, "%s.%s", c->arch, keys[i].name);
    if (c->headless && strstr (name, "head_count")) {
      writer_array (w, name, TERN_GGUF_U32, LAYERS);
      for (guint layer = 0; layer < LAYERS; layer++)
        put_u32 (w->keys, layer + 1 < LAYERS ? keys[i].value : 0);
    } else {
      writer_u32 (w, name, keys[i].value);
    }
  }
  g_snprintf (name, sizeof name, "%s.attention.layer_norm_rms_epsilon", c->arch);
  writer_number (w, name, TERN_GGUF_F32, &eps, sizeof eps);
  if (!c->key)
    return;
  g_snprintf (name, sizeof name, "%s.%s", c->arch, c->key);
  if (c->text)
    writer_string (w, name, c->text);
  else if (c->type == TERN_GGUF_F32)
    writer_number (w, name, TERN_GGUF_F32, &(float) { (float) c->number }, sizeof (float));
  else if (c->type == TERN_GGUF_BOOL)
    writer_number (w, name, TERN_GGUF_BOOL, &(guint8) { c->number != 0 }, 1);
  else if (c->type == TERN_GGUF_I32)
    add_list (w, name, (gint32) c->number);
  else
    writer_u32 (w, name, (guint32) c->number);
}

static GByteArray *
make (const Change *c)
{
  g_auto (GgufWriter) w;

  writer_init (&w);
  add_keys (&w, c);
  add_tensor (&w, c, "token_embd.weight", WIDTH, VOCAB);
  add_tensor (&w, c, "output_norm.weight", WIDTH, 0);
  for (guint i = 0; i < LAYERS; i++)
    add_layer (&w, c, i);
  if (c->add) {
    g_autofree float *values = g_new (float, c->add_n);

    for (guint i = 0; i < c->add_n; i++)
      values[i] = c->add_value;
    writer_tensor (&w, c->add, 1, (guint64[]) { c->add_n }, TERN_TYPE_F32, values, c->add_n * sizeof (float));
  }
  return writer_finish (&w);
}

/* The logits of a few ids, or NULL and the error. */
static float *
logits_with (TernPool *pool, const Change *c, GError **error)
{
  static const gint32 ids[IDS] = { 3, 19, 0, 7, 7, 12 };
  g_autoptr (GByteArray) bytes = make (c);
  g_autoptr (TernGguf) file = tern_gguf_open_memory (bytes->data, bytes->len, "test.gguf", error);
  g_autoptr (TernLlm) llm = NULL;
  g_autoptr (TernSolo) state = NULL;
  TernSoloParams params = { .context = 16 };
  TernKernels kernels;
  float *logits;

  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  if (!file || !(llm = tern_llm_open (file, &kernels, pool, error))
      || !(state = tern_solo_new (llm, &params, pool, error)))
    return NULL;
  logits = g_new (float, IDS * VOCAB);
  g_assert_true (tern_solo_eval (state, &(TernLlmInput) { .ids = ids, .n = IDS }, TERN_LOGITS_ALL, logits, NULL, error));
  return logits;
}

static float *
logits_of (const Change *c, GError **error)
{
  TernPool *pool = tern_pool_new (1, NULL);
  float *logits = logits_with (pool, c, error);

  tern_pool_free (pool);
  return logits;
}

static float *
good_logits (const Change *c)
{
  g_autoptr (GError) error = NULL;
  float *logits = logits_of (c, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < IDS * VOCAB; i++)
    g_assert_true (isfinite (logits[i]));
  return logits;
}

static double
difference (const Change *a, const Change *b)
{
  g_autofree float *x = good_logits (a), *y = good_logits (b);
  double most = 0;

  for (guint i = 0; i < IDS * VOCAB; i++)
    most = MAX (most, fabs ((double) x[i] - y[i]));
  return most;
}

static void
test_same (void)
{
  static const Change pairs[][2] = {
    { { "llama" }, { "llama", .fused = TRUE } },
    { { "qwen2" }, { "qwen2", .fused = TRUE } },
    { { "qwen3" }, { "qwen3", .fused = TRUE } },
    { { "bitnet-25" }, { "bitnet-b1.58" } },
    { { "bitnet-25" }, { "bitnet", .key = "hidden_activation", .text = "relu2" } },
    { { "bitnet", .scaled = "blk.1.ffn_up.weight" },
        { "bitnet", .add = "blk.1.ffn_up.scale", .add_n = 1, .add_value = 2 } },
    { { "bitnet", .scaled = "blk.0.attn_v.weight" },
        { "bitnet", .add = "blk.0.attn_v.scale", .add_n = 1, .add_value = 2 } },
    { { "llama" }, { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = 1 } },
    { { "llama", .key = "rope.scaling.factor", .type = TERN_GGUF_F32, .number = 4 },
        { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = 4 } },
    { { "llama", .key = "rope.scale_linear", .type = TERN_GGUF_F32, .number = 4 },
        { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = 4 } },
    { { "llama" }, { "llama", .key = "rope.scaling.type", .text = "none" } },
    { { "llama" }, { "llama", .key = "rope.scaling.type", .text = "linear" } },
    { { "llama" }, { "llama", .key = "rope.scaling.type", .text = "yarn" } },
    { { "llama" }, { "llama", .key = "logit_scale", .type = TERN_GGUF_F32, .number = 1 } },
    { { "llama" }, { "llama", .key = "logit_scale", .type = TERN_GGUF_F32, .number = 0 } },
    { { "llama" }, { "llama", .key = "expert_count", .number = 0 } },
    { { "llama" }, { "llama", .add = "extra.weight", .add_n = 3, .add_value = 9 } },
    { { "qwen2" }, { "qwen2", .key = "rope.scaling.factor", .type = TERN_GGUF_F32, .number = 0 } },
    /* cosines and sines of q and of k, whatever the type of scaling */
    { { "llama", .scaled = ".attn_q.weight" }, { "llama", .key = "rope.scaling.attn_factor", .type = TERN_GGUF_F32,
          .number = G_SQRT2 } },
    { { "llama" }, { "llama", .key = "deepstack_mapping", .type = TERN_GGUF_I32, .number = -1 } },
    { { "llama" }, { "llama", .key = "use_parallel_residual", .type = TERN_GGUF_BOOL, .number = 0 } },
    { { "qwen3" }, { "qwen3", .key = "hidden_activation", .text = "silu" } },
    { { "qwen3" }, { "qwen3", .key = "num_loops", .number = 1 } },
    { { "llama" }, { "granite" } },     /* without its multipliers */
    { { "llama", .scaled = ".attn_q.weight" }, { "granite", .key = "attention.scale", .type = TERN_GGUF_F32,
          .number = 2 / (2 * G_SQRT2) } },      /* 2 / sqrt (HEAD) */
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_test_message ("pair %u: %s", i, pairs[i][1].arch);
    g_assert_cmpfloat (difference (&pairs[i][0], &pairs[i][1]), <=, 1e-5);
  }
}

static void
test_other (void)
{
  static const Change pairs[][2] = {
    { { "llama" }, { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = 4 } },
    { { "llama" }, { "llama", .add = "blk.1.attn_q.bias", .add_n = HEADS * HEAD, .add_value = 1 } },
    { { "llama" }, { "llama", .add = "blk.1.attn_output.bias", .add_n = WIDTH, .add_value = 1 } },
    { { "llama" }, { "llama", .add = "blk.0.ffn_gate.bias", .add_n = INNER, .add_value = 1 } },
    { { "llama" }, { "llama", .add = "blk.0.ffn_up.bias", .add_n = INNER, .add_value = 1 } },
    { { "llama" }, { "llama", .add = "blk.1.ffn_down.bias", .add_n = WIDTH, .add_value = 1 } },
    { { "bitnet" }, { "bitnet-25" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    g_test_message ("pair %u", i);
    g_assert_cmpfloat (difference (&pairs[i][0], &pairs[i][1]), >, 1e-3);
  }
}

static void
test_refused (void)
{
  static const struct {
    Change change;
    int code;
    const char *what[3];
  } cases[] = {
    { { "phi3" }, TERN_ERROR_UNSUPPORTED, { "general.architecture", "\"phi3\"", "qwen2" } },
    { { "llama", .drop = "blk.1.attn_k.weight" }, TERN_ERROR_FORMAT, { "blk.1.attn_k.weight", "no such tensor" } },
    { { "llama", .drop = "output_norm.weight" }, TERN_ERROR_FORMAT, { "output_norm.weight", "no such tensor" } },
    { { "qwen2", .drop = "blk.0.attn_v.bias" }, TERN_ERROR_FORMAT, { "blk.0.attn_v.bias", "no such tensor" } },
    { { "qwen3", .drop = "blk.1.attn_k_norm.weight" }, TERN_ERROR_FORMAT, { "blk.1.attn_k_norm.weight" } },
    { { "bitnet", .drop = "blk.0.attn_sub_norm.weight" }, TERN_ERROR_FORMAT, { "blk.0.attn_sub_norm.weight" } },
    { { "bitnet-25", .drop = "blk.1.ffn_sub_norm.weight" }, TERN_ERROR_FORMAT, { "blk.1.ffn_sub_norm.weight" } },
    { { "llama", .inner = INNER + 1 }, TERN_ERROR_FORMAT, { "blk.0.ffn_gate.weight", "32 x 48", "32 x 49" } },
    { { "qwen3", .add = "blk.1.attn_q.bias", .add_n = HEADS * HEAD }, TERN_ERROR_UNSUPPORTED, { "blk.1.attn_q.bias",
            "qwen3" } },
    { { "llama", .add = "blk.0.attn_sub_norm.weight", .add_n = WIDTH }, TERN_ERROR_UNSUPPORTED,
          { "blk.0.attn_sub_norm.weight", "llama" } },
    { { "qwen3", .add = "output_norm.bias", .add_n = WIDTH }, TERN_ERROR_UNSUPPORTED, { "output_norm.bias", "qwen3" } },
    { { "llama", .add = "token_embd_norm.weight", .add_n = WIDTH }, TERN_ERROR_UNSUPPORTED,
          { "token_embd_norm.weight" } },
    { { "llama", .fused = TRUE, .add = "blk.1.attn_qkv.scale", .add_n = 1, .add_value = 2 }, TERN_ERROR_UNSUPPORTED,
          { "blk.1.attn_qkv.scale" } },
    { { "llama", .add = "blk.2.attn_norm.weight", .add_n = WIDTH }, TERN_ERROR_FORMAT, { "blk.2.attn_norm.weight",
            "llama.block_count" } },
    { { "llama", .add = "blk.0.ffn_up.bias", .add_n = INNER - 1 }, TERN_ERROR_FORMAT, { "blk.0.ffn_up.bias" } },
    { { "llama", .add = "rope_freqs.weight", .add_n = HEAD }, TERN_ERROR_FORMAT, { "rope_freqs.weight" } },
    { { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = 0 }, TERN_ERROR_FORMAT,
          { "rope_freqs.weight" } },
    { { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = -1 }, TERN_ERROR_FORMAT,
          { "rope_freqs.weight" } },
    { { "llama", .add = "rope_freqs.weight", .add_n = HEAD / 2, .add_value = NAN }, TERN_ERROR_FORMAT,
          { "rope_freqs.weight" } },
    { { "qwen2", .key = "rope.scaling.type", .text = "longrope" }, TERN_ERROR_UNSUPPORTED, { "qwen2.rope.scaling.type",
            "\"longrope\"", "yarn" } },
    { { "llama", .key = "attention.sliding_window", .number = 4096 }, TERN_ERROR_UNSUPPORTED,
          { "llama.attention.sliding_window", "4096" } },
    { { "llama", .key = "logit_scale", .type = TERN_GGUF_F32, .number = 0.25 }, TERN_ERROR_UNSUPPORTED,
          { "llama.logit_scale", "0.25" } },
    { { "qwen3", .key = "final_logit_softcapping", .type = TERN_GGUF_F32, .number = 30 }, TERN_ERROR_UNSUPPORTED,
          { "qwen3.final_logit_softcapping", "30" } },
    { { "llama", .key = "rope.scaling.factor", .type = TERN_GGUF_F32, .number = 1e-42 }, TERN_ERROR_FORMAT,
          { "llama.rope.scaling.factor" } },
    { { "llama", .key = "attention.output_scale", .type = TERN_GGUF_F32, .number = 0.5 }, TERN_ERROR_UNSUPPORTED,
          { "llama.attention.output_scale", "0.5" } },
    { { "llama", .key = "deepstack_mapping", .type = TERN_GGUF_I32, .number = 2 }, TERN_ERROR_UNSUPPORTED,
          { "llama.deepstack_mapping", "expected -1", "found 2 for layer 1" } },
    { { "granite", .key = "deepstack_mapping", .type = TERN_GGUF_I32, .number = 0 }, TERN_ERROR_UNSUPPORTED,
          { "granite.deepstack_mapping", "found 0 for layer 1" } },
    { { "granite", .key = "logit_scale", .type = TERN_GGUF_F32, .number = 1e-42 }, TERN_ERROR_FORMAT, { "granite.logit_scale" } },
    { { "llama", .key = "deepstack_mapping", .number = 2 }, TERN_ERROR_FORMAT, { "llama.deepstack_mapping", "an array of i32" } },
    { { "qwen3", .key = "n_deepstack_layers", .number = 3 }, TERN_ERROR_UNSUPPORTED, { "qwen3.n_deepstack_layers", "found 3" } },
    { { "qwen3", .key = "pooling_type", .number = 4 }, TERN_ERROR_UNSUPPORTED, { "qwen3.pooling_type", "found 4" } },
    { { "qwen3", .key = "num_loops", .number = 2 }, TERN_ERROR_UNSUPPORTED, { "qwen3.num_loops", "found 2" } },
    { { "qwen2", .key = "use_parallel_residual", .type = TERN_GGUF_BOOL, .number = 1 }, TERN_ERROR_UNSUPPORTED,
          { "qwen2.use_parallel_residual", "found true" } },
    { { "qwen3", .key = "hidden_activation", .text = "gelu" }, TERN_ERROR_UNSUPPORTED, { "qwen3.hidden_activation", "\"gelu\"",
            "silu" } },
    { { "llama", .headless = TRUE }, TERN_ERROR_UNSUPPORTED, { "llama.attention.head_count_kv", "layer 1" } },
    { { "qwen2", .fused = TRUE, .headless = TRUE }, TERN_ERROR_UNSUPPORTED, { "qwen2.attention.head_count_kv",
            "layer 1" } },
    { { "llama", .key = "expert_count", .number = 8 }, TERN_ERROR_UNSUPPORTED, { "llama.expert_count", "8" } },
    { { "bitnet", .key = "hidden_activation", .text = "gelu" }, TERN_ERROR_UNSUPPORTED, { "bitnet.hidden_activation",
            "\"gelu\"", "relu2" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree float *logits = logits_of (&cases[i].change, &error);

    g_test_message ("%u: %s", i, error ? error->message : "no error");
    g_assert_null (logits);
    g_assert_error (error, TERN_ERROR, cases[i].code);
    g_assert_nonnull (strstr (error->message, "test.gguf"));
    for (guint k = 0; k < G_N_ELEMENTS (cases[i].what) && cases[i].what[k]; k++)
      g_assert_nonnull (strstr (error->message, cases[i].what[k]));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/arch/said-otherwise", test_same);
  g_test_add_func ("/arch/counts", test_other);
  g_test_add_func ("/arch/refused", test_refused);
  return g_test_run ();
}
