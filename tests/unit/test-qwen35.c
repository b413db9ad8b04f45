/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3.5: files that say the same in another way give the same numbers, keys and tensors that cannot be are refused by name, and
 * no state leaves its bounds in 10^6 tokens, whatever the gates. What the numbers are is tests/golden's. */
#include "engine/llm/blocks/blocks.h"
#include "tests/unit/tiny-model.h"

#define INNER 20u
#define ROPE 8u
#define KEY_HEADS 2u
#define VALUE_HEADS 4u
#define STATE 8u
#define TAPS 4u
#define KEYS (KEY_HEADS * STATE)
#define VALUES (VALUE_HEADS * STATE)
#define CHANNELS (2 * KEYS + VALUES)

/* How a file differs from the plain one, whose middle layer attends. */
typedef struct {
  const char *key;              /* left out, or what @number says; NULL: none */
  double number;                /* NAN: the key is left out */
  guint32 sections[4];          /* of rope.dimension_sections, unless all are 0 */
  gboolean list;                /* attention.recurrent_layers, which says the same */
  guint list_length;            /* of it, when not LAYERS */
  guint extra;                  /* layers of a head that guesses tokens */
  gboolean endless;             /* no layer attends; the gates of the drift test */
  const char *tensor;           /* another value at its middle, or, with drop, left out */
  float value;
  gboolean drop;
  guint more;                   /* rows of @tensor more */
  float down;                   /* ffn_down is so many times as large; 0: as it is */
  guint experts;                /* so many, all and the shared one like the dense feed-forward: qwen35moe */
  gboolean shares;              /* the shared one counts what it does in a drawn share */
} Change;

/* The value of a tensor that decays and rates come from. */
static float
gate_value (const Change *c, const char *name, gsize i)
{
  static const float dt[VALUE_HEADS] = { -60, 60, -60, 0.5f }, a[VALUE_HEADS] = { -1e-30f, -1e30f, 0, -0.5f };
  gboolean is_dt = g_str_has_suffix (name, "ssm_dt.bias");

  if (is_dt)
    return c->endless ? dt[i] : draw (name, i);
  return c->endless ? a[i] : -1 + draw (name, i);
}

static void
add_tensor (GgufWriter *w, const Change *c, const char *name, guint cols, guint rows)
{
  gboolean named = c->tensor && g_str_equal (name, c->tensor), norm = strstr (name, "norm") != NULL;
  gboolean gate = g_str_has_suffix (name, "ssm_dt.bias") || g_str_has_suffix (name, "ssm_a");
  g_autofree float *values = NULL;
  gsize n;

  if (named && c->drop)
    return;
  rows += named ? c->more : 0;
  n = (gsize) cols * MAX (rows, 1);
  values = g_new (float, n);
  for (gsize i = 0; i < n; i++) {
    values[i] = gate ? gate_value (c, name, i) : draw (name, i) + norm;
    if (c->down != 0 && strstr (name, "ffn_down"))
      values[i] *= c->down;
    if (c->endless && strstr (name, "ssm_beta"))
      values[i] *= 1000;        /* rates of 0 and 1 */
  }
  if (named && !c->more)
    values[n / 2] = c->value;
  writer_tensor (w, name, rows ? 2 : 1, (guint64[]) { cols, rows }, TERN_TYPE_F32, values, n * sizeof (float));
}

static const Shape ends[] = { { "token_embd.weight", WIDTH, VOCAB }, { "output_norm.weight", WIDTH } };
static const Shape everywhere[] = { { "attn_norm.weight", WIDTH }, { "post_attention_norm.weight", WIDTH } };
static const Shape dense[] = { { "ffn_gate.weight", WIDTH, INNER }, { "ffn_up.weight", WIDTH, INNER },
  { "ffn_down.weight", INNER, WIDTH } };
static const Shape attention[] = { { "attn_q.weight", WIDTH, 2 * HEADS * HEAD }, { "attn_k.weight", WIDTH, KV * HEAD },
  { "attn_v.weight", WIDTH, KV * HEAD }, { "attn_q_norm.weight", HEAD }, { "attn_k_norm.weight", HEAD },
  { "attn_output.weight", HEADS * HEAD, WIDTH } };
static const Shape delta[] = { { "attn_qkv.weight", WIDTH, CHANNELS }, { "attn_gate.weight", WIDTH, VALUES },
  { "ssm_alpha.weight", WIDTH, VALUE_HEADS }, { "ssm_beta.weight", WIDTH, VALUE_HEADS },
  { "ssm_conv1d.weight", TAPS, CHANNELS }, { "ssm_dt.bias", VALUE_HEADS }, { "ssm_a", VALUE_HEADS },
  { "ssm_norm.weight", STATE }, { "ssm_out.weight", VALUES, WIDTH } };

static void
add_tensors (GgufWriter *w, const Change *c, const Shape *shapes, guint n, int layer)
{
  char name[80];

  for (guint i = 0; i < n; i++) {
    g_snprintf (name, sizeof name, "blk.%d.%s", layer, shapes[i].name);
    add_tensor (w, c, layer < 0 ? shapes[i].name : name, shapes[i].cols, shapes[i].rows);
  }
}

/* The dense matrix @shape, @n times in one tensor with @suffix behind its name. */
static void
add_copies (GgufWriter *w, guint layer, const Shape *shape, const char *suffix, guint n)
{
  gsize values = (gsize) shape->cols * shape->rows;
  g_autofree float *all = g_new (float, values * n);
  g_autofree char *plain = g_strdup_printf ("blk.%u.%s", layer, shape->name), *name = NULL;

  for (gsize i = 0; i < values * n; i++)
    all[i] = draw (plain, i % values);
  name = g_strdup_printf ("blk.%u.%.*s_%s.weight", layer, (int) (strlen (shape->name) - strlen (".weight")), shape->name, suffix);
  writer_tensor (w, name, n > 1 ? 3 : 2, (guint64[]) { shape->cols, shape->rows, n }, TERN_TYPE_F32, all,
      values * n * sizeof (float));
}

static void
add_experts (GgufWriter *w, const Change *c, guint layer)
{
  const float none[WIDTH] = { 0 };
  char name[80];

  for (guint i = 0; i < G_N_ELEMENTS (dense); i++) {
    add_copies (w, layer, &dense[i], "exps", c->experts);
    add_copies (w, layer, &dense[i], "shexp", 1);
  }
  add_tensors (w, c, &(Shape) { "ffn_gate_inp.weight", WIDTH, c->experts }, 1, layer);
  g_snprintf (name, sizeof name, "blk.%u.ffn_gate_inp_shexp.weight", layer);
  if (c->shares)
    add_tensor (w, c, name, WIDTH, 0);
  else if (!c->tensor || !g_str_equal (name, c->tensor))
    writer_tensor (w, name, 1, (guint64[]) { WIDTH }, TERN_TYPE_F32, none, sizeof none);
}

static void
add_number (GgufWriter *w, const Change *c, const char *name, double number)
{
  g_autofree char *full = g_strconcat (c->experts ? "qwen35moe." : "qwen35.", name, NULL);

  if (c->key && g_str_equal (name, c->key))
    number = c->number;
  tiny_number (w, full, number);
}

static void
add_lists (GgufWriter *w, const Change *c)
{
  static const guint32 plain[4] = { 2, 1, 1, 0 };
  const guint32 *sections = c->sections[0] + c->sections[1] + c->sections[2] + c->sections[3] ? c->sections : plain;
  guint n = c->list_length ? c->list_length : LAYERS + c->extra;

  if (!c->key || !g_str_equal (c->key, "rope.dimension_sections")) {
    writer_array (w, c->experts ? "qwen35moe.rope.dimension_sections" : "qwen35.rope.dimension_sections", TERN_GGUF_I32, 4);
    for (guint i = 0; i < 4; i++)
      put_u32 (w->keys, sections[i]);
  }
  if (c->list || c->endless) {
    writer_array (w, "qwen35.attention.recurrent_layers", TERN_GGUF_BOOL, n);
    for (guint i = 0; i < n; i++)
      put_bytes (w->keys, &(guint8) { c->endless || i != 1 }, 1);
  }
}

static void
add_keys (GgufWriter *w, const Change *c)
{
  const struct {
    const char *name;
    double number;
  } keys[] = {
    { "block_count", LAYERS + c->extra }, { "context_length", c->endless ? 1 << 20 : 64 }, { "embedding_length", WIDTH },
    { "feed_forward_length", c->experts ? NAN : INNER }, { "expert_count", c->experts ? c->experts : NAN },
    { "expert_used_count", c->experts ? 2 : NAN }, { "expert_feed_forward_length", c->experts ? INNER : NAN },
    { "expert_shared_feed_forward_length", c->experts ? INNER : NAN }, { "attention.head_count", HEADS },
    { "attention.head_count_kv", KV },
    { "attention.key_length", HEAD }, { "attention.value_length", HEAD }, { "attention.layer_norm_rms_epsilon", 1e-6 },
    { "rope.freq_base", 10000 }, { "rope.dimension_count", ROPE }, { "ssm.conv_kernel", TAPS }, { "ssm.state_size", STATE },
    { "ssm.group_count", KEY_HEADS }, { "ssm.time_step_rank", VALUE_HEADS }, { "ssm.inner_size", VALUES },
    { "full_attention_interval", c->list ? NAN : 2 }, { "nextn_predict_layers", c->extra ? c->extra : NAN },
  };

  writer_string (w, "general.architecture", c->experts ? "qwen35moe" : "qwen35");
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    add_number (w, c, keys[i].name, keys[i].number);
  add_lists (w, c);
}

static GByteArray *
make (const Change *c)
{
  g_auto (GgufWriter) w;

  writer_init (&w);
  add_keys (&w, c);
  add_tensors (&w, c, ends, G_N_ELEMENTS (ends), -1);
  for (guint i = 0; i < LAYERS + c->extra; i++) {
    add_tensors (&w, c, everywhere, G_N_ELEMENTS (everywhere), i);
    if (c->experts)
      add_experts (&w, c, i);
    else
      add_tensors (&w, c, dense, G_N_ELEMENTS (dense), i);
    if (!c->endless && (i == 1 || i >= LAYERS))
      add_tensors (&w, c, attention, G_N_ELEMENTS (attention), i);
    else
      add_tensors (&w, c, delta, G_N_ELEMENTS (delta), i);
    if (i >= LAYERS)
      add_tensors (&w, c, &(Shape) { "nextn.eh_proj.weight", 2 * WIDTH, WIDTH }, 1, i);
  }
  return writer_finish (&w);
}

static gboolean
model_open (Model *model, const Change *c, TernCpu level, GError **error)
{
  return tiny_open (model, make (c), level, error);
}

static void
good_logits (const Change *c, float *logits)
{
  tiny_logits (make (c), logits);
}

static void
test_same (void)
{
  static const Change others[] = {
    { .list = TRUE }, { .extra = 1 }, { .list = TRUE, .extra = 1 }, { .list = TRUE, .extra = 2, .list_length = LAYERS },
    { .sections = { 4, 0, 0, 0 } },     /* text is at the same place on all axes */
  };
  float plain[IDS * VOCAB], other[IDS * VOCAB];

  good_logits (&(Change) { 0 }, plain);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    good_logits (&others[i], other);
    g_assert_cmpmem (plain, sizeof plain, other, sizeof other);
  }
}

static double
largest_difference (const Change *a, const Change *b)
{
  float x[IDS * VOCAB], y[IDS * VOCAB];

  good_logits (a, x);
  good_logits (b, y);
  return tiny_difference (x, y);
}

/* Experts that are all alike are one, whatever the router says, and half of the shared one, which is alike too, comes on top. */
static void
test_experts (void)
{
  const Change one_and_half = { .down = 1.5f }, experts = { .experts = 5 }, shares = { .experts = 5, .shares = TRUE };

  g_assert_cmpfloat (largest_difference (&experts, &one_and_half), <=, 2e-5);
  g_assert_cmpfloat (largest_difference (&experts, &(Change) { .experts = 3 }), <=, 2e-5);
  g_assert_cmpfloat (largest_difference (&experts, &(Change) { 0 }), >, 1e-2);
  g_assert_cmpfloat (largest_difference (&experts, &shares), >, 1e-2);
}

/* ---- The shared expert by itself --------------------------------------------------------------------------------- */

static const TernTensorRow shared_table[] = {
  { "blk.N.ffn_gate_inp_shexp.weight", { TERN_D } }, { "blk.N.ffn_gate_shexp.weight", { TERN_D, TERN_FS } },
  { "blk.N.ffn_up_shexp.weight", { TERN_D, TERN_FS } }, { "blk.N.ffn_down_shexp.weight", { TERN_FS, TERN_D } }, { NULL }
};
static const Shape shared_shapes[] = { { "ffn_gate_inp_shexp.weight", WIDTH }, { "ffn_gate_shexp.weight", WIDTH, INNER },
  { "ffn_up_shexp.weight", WIDTH, INNER }, { "ffn_down_shexp.weight", INNER, WIDTH } };

/* sigmoid (s . x) down (silu (gate x) * up x) in double. */
static void
shared_exact (const float *x, double *y)
{
  double share = 0, inner[INNER];

  for (guint i = 0; i < INNER; i++) {
    double gate = 0, up = 0;

    for (guint c = 0; c < WIDTH; c++) {
      gate += draw ("blk.0.ffn_gate_shexp.weight", i * WIDTH + c) * (double) x[c];
      up += draw ("blk.0.ffn_up_shexp.weight", i * WIDTH + c) * (double) x[c];
    }
    inner[i] = gate / (1 + exp (-gate)) * up;
  }
  for (guint c = 0; c < WIDTH; c++)
    share += draw ("blk.0.ffn_gate_inp_shexp.weight", c) * (double) x[c];
  for (guint r = 0; r < WIDTH; r++) {
    y[r] = 0;
    for (guint i = 0; i < INNER; i++)
      y[r] += draw ("blk.0.ffn_down_shexp.weight", r * INNER + i) * inner[i] / (1 + exp (-share));
  }
}

static void
test_shared (void)
{
  enum { ROWS = 5 };
  const TernFfnParams params = { .width = WIDTH, .inner = INNER, .shared = TRUE };
  TernBlockSource source = { .architecture = "test", .table = shared_table, .n_layers = 1 };
  TernPass pass = { .pool = tern_pool_new (2, NULL), .mode = TERN_ACTIVATIONS_F32, .n = ROWS };
  float x[ROWS * WIDTH], y[ROWS * WIDTH];
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  TernArena arena = { 0 };
  TernKernels kernels;
  TernBlock *block;
  g_auto (GgufWriter) w;

  writer_init (&w);
  add_tensors (&w, &(Change) { 0 }, shared_shapes, G_N_ELEMENTS (shared_shapes), 0);
  bytes = writer_finish (&w);
  file = tern_gguf_open_memory (bytes->data, bytes->len, "memory", &error);
  g_assert_no_error (error);
  tern_kernels_init (&kernels, tern_kernels_default (NULL)->level);
  source.file = file;
  source.kernels = pass.kernels = &kernels;
  source.dims[TERN_D] = WIDTH;
  source.dims[TERN_FS] = INNER;
  block = tern_ffn_new (&source, &params, &error);
  g_assert_no_error (error);
  block->klass->work (block, &arena, ROWS, 64);
  pass.work.base = arena.base = tern_mem_alloc (arena.used, "work", &error);
  pass.input = tern_mem_alloc (tern_linear_input_bytes (ROWS, WIDTH), "input", &error);
  g_assert_true (tern_pool_reserve (pass.pool, 1 << 16, &error));
  for (guint i = 0; i < ROWS * WIDTH; i++)
    x[i] = 4 * draw ("x", i);
  g_assert_true (block->klass->eval (block, &pass, x, y));
  for (guint t = 0; t < ROWS; t++) {
    double exact[WIDTH];

    shared_exact (x + t * WIDTH, exact);
    for (guint c = 0; c < WIDTH; c++)
      g_assert_cmpfloat (fabs (y[t * WIDTH + c] - exact[c]), <=, 1e-5);
  }
  tern_block_free (block);
  tern_mem_free (arena.base);
  tern_mem_free (pass.input);
  tern_pool_free (pass.pool);
}

/* Layers of a head that guesses tokens are told apart and said. */
static void
test_unused (void)
{
  g_autoptr (GError) error = NULL;
  gsize shape = (gsize) WIDTH * (2 + 3 * INNER + 2 * HEADS * HEAD + 2 * KV * HEAD + HEADS * HEAD + 2 * WIDTH) + 2 * HEAD;
  Model model;

  model_open (&model, &(Change) { .extra = 1 }, TERN_CPU_SCALAR, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_llm_info (model.llm)->n_layers, ==, LAYERS);
  g_assert_cmpuint (tern_llm_info (model.llm)->n_unused, ==, 1);
  g_assert_cmpuint (tern_llm_unused_bytes (model.llm), ==, shape * sizeof (float));
  g_assert_cmpuint (tern_llm_state_bytes (model.llm), ==,
      2 * (VALUES * STATE + (TAPS - 1) * CHANNELS) * sizeof (float));
  tiny_clear (&model);
}

static void
test_counts (void)
{
  static const char *const tensors[] = { "blk.0.attn_gate.weight", "blk.0.ssm_alpha.weight", "blk.2.ssm_beta.weight",
    "blk.0.ssm_conv1d.weight", "blk.0.ssm_dt.bias", "blk.2.ssm_a", "blk.0.ssm_norm.weight", "blk.1.attn_q.weight",
    "blk.1.attn_k_norm.weight", "blk.2.post_attention_norm.weight" };
  float plain[IDS * VOCAB], other[IDS * VOCAB];

  good_logits (&(Change) { 0 }, plain);
  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++) {
    double most;

    good_logits (&(Change) { .tensor = tensors[i], .value = -2 }, other);
    most = tiny_difference (plain, other);
    g_test_message ("%s: %g", tensors[i], most);
    g_assert_cmpfloat (most, >, 1e-5);
  }
}

static void
test_refused (void)
{
  static const struct {
    Change change;
    const char *what[2];
    gboolean unsupported;
  } cases[] = {
    { { .key = "ssm.state_size", .number = NAN }, { "qwen35.ssm.state_size" } },
    { { .key = "ssm.state_size", .number = 0 }, { "qwen35.ssm.state_size" } },
    { { .key = "ssm.state_size", .number = 2147483648.0 }, { "qwen35.ssm.state_size", "2147483648" } },
    { { .key = "ssm.state_size", .number = 4 }, { "qwen35.ssm.inner_size", "32" } },
    { { .key = "ssm.inner_size", .number = 31 }, { "qwen35.ssm.inner_size", "31" } },
    { { .key = "ssm.group_count", .number = 3 }, { "qwen35.ssm.group_count", "3" } },
    { { .key = "ssm.group_count", .number = 0 }, { "qwen35.ssm.group_count" } },
    { { .key = "ssm.group_count", .number = 1 }, { "attn_qkv.weight" } },
    { { .key = "ssm.time_step_rank", .number = NAN }, { "qwen35.ssm.time_step_rank" } },
    { { .key = "ssm.conv_kernel", .number = 5 }, { "ssm_conv1d.weight", "5 x 64" } },
    { { .key = "ssm.conv_kernel", .number = 0 }, { "qwen35.ssm.conv_kernel" } },
    { { .key = "full_attention_interval", .number = 0 }, { "qwen35.full_attention_interval" } },
    { { .key = "full_attention_interval", .number = 3 }, { "blk.1.attn_qkv.weight", "no such tensor" } },
    { { .list = TRUE, .list_length = 2 }, { "qwen35.attention.recurrent_layers", "2" } },
    { { .key = "rope.dimension_sections", .number = NAN }, { "qwen35.rope.dimension_sections" } },
    { { .sections = { 2, 2, 1, 0 } }, { "qwen35.rope.dimension_sections", "sum to 4" } },
    { { .sections = { 2, 1, 0, 1 } }, { "qwen35.rope.dimension_sections" } },
    { { .sections = { 5, 0xffffffff, 0, 0 } }, { "qwen35.rope.dimension_sections" } },
    { { .key = "rope.dimension_count", .number = 7 }, { "qwen35.rope.dimension_count", "even" } },
    { { .key = "rope.dimension_count", .number = 14 }, { "qwen35.rope.dimension_count" } },
    { { .extra = 1, .key = "nextn_predict_layers", .number = 4 }, { "qwen35.nextn_predict_layers", "4" } },
    { { .extra = 1, .key = "nextn_predict_layers", .number = NAN }, { "blk.3.nextn" }, TRUE },
    { { .tensor = "blk.0.ssm_a", .drop = TRUE }, { "blk.0.ssm_a", "no such tensor" } },
    { { .tensor = "blk.2.ssm_dt.bias", .drop = TRUE }, { "blk.2.ssm_dt.bias", "no such tensor" } },
    { { .tensor = "blk.0.post_attention_norm.weight", .drop = TRUE }, { "blk.0.post_attention_norm.weight" } },
    { { .tensor = "blk.0.ssm_a", .value = NAN }, { "blk.0.ssm_a", "nan" } },
    { { .tensor = "blk.0.ssm_a", .value = -INFINITY }, { "blk.0.ssm_a", "inf" } },
    { { .tensor = "blk.2.ssm_a", .value = 0.25f }, { "blk.2.ssm_a", "0.25" } },
    { { .tensor = "blk.2.ssm_dt.bias", .value = NAN }, { "blk.2.ssm_dt.bias", "nan" } },
    { { .tensor = "blk.2.ssm_dt.bias", .value = INFINITY }, { "blk.2.ssm_dt.bias", "inf" } },
    { { .tensor = "blk.1.attn_q.weight", .more = HEAD }, { "blk.1.attn_q.weight", "24 x 48" } },
    { { .tensor = "blk.0.attn_gate.weight", .more = 1 }, { "blk.0.attn_gate.weight", "24 x 32" } },
    { { .tensor = "blk.0.ssm_alpha.weight", .more = 1 }, { "blk.0.ssm_alpha.weight", "24 x 4" } },
    { { .tensor = "blk.0.ssm_out.weight", .more = 1 }, { "blk.0.ssm_out.weight", "32 x 24" } },
    { { .experts = 4, .key = "expert_count", .number = 0 }, { "qwen35moe.expert_count" } },
    { { .experts = 4, .key = "expert_count", .number = 5 }, { "blk.0.ffn_gate_inp.weight" } },
    { { .experts = 4, .key = "expert_used_count", .number = 5 }, { "qwen35moe.expert_used_count", "5" } },
    { { .experts = 4, .key = "expert_feed_forward_length", .number = NAN }, { "qwen35moe.expert_feed_forward_length" } },
    { { .experts = 4, .key = "expert_shared_feed_forward_length", .number = 0 },
          { "qwen35moe.expert_shared_feed_forward_length" } },
    { { .experts = 4, .tensor = "blk.1.ffn_gate_inp_shexp.weight", .drop = TRUE }, { "blk.1.ffn_gate_inp_shexp.weight" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    tiny_refused (i, make (&cases[i].change), cases[i].what, cases[i].unsupported);
}

/* Rows of a prompt as long as no model reads: heads that forget nothing, all, and what is between; rates of 0, of 1 and between.
 * Every write is at most as long as a value, at right angles to what stays: after T tokens a state is at most sqrt (T) of the
 * longest value, here one of 8 numbers that a norm's row of 24, taps and a silu let through. */
static void
test_endless (void)
{
  double most = tiny_drift (make (&(Change) { .endless = TRUE }), "delta", VALUES * STATE, 0);

  g_assert_cmpfloat (most, >, 0.01);
  g_assert_cmpfloat (most, <, 1000 * sqrt (STATE) * 24);
}

/* ---- Places ------------------------------------------------------------------------------------------------------ */

static float *
placed_logits (TernSolo *solo, const TernPlace *places, guint n, guint advance, guint cut)
{
  float *logits = g_new (float, VOCAB);
  gint32 last = 5;

  tern_solo_reset (solo);
  for (guint i = 0; i < n; i += cut) {
    guint some = MIN (cut, n - i);

    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids + i, .n = some, .places = places ? places + i : NULL,
                .advance = i + some == n ? advance : 0 }, TERN_LOGITS_NONE, NULL, NULL, NULL));
  }
  g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (solo)), ==, places ? advance : n);
  g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = &last, .n = 1 }, TERN_LOGITS_LAST, logits, NULL, NULL));
  g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (solo)), ==, (places ? advance : n) + 1);
  return logits;
}

/* Text that is said to be where it is anyway; a grid, cut anywhere; text goes on behind the longer side. */
static void
test_places (void)
{
  TernPlace text[IDS], grid[IDS];
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = NULL, fork = NULL;
  g_autofree float *plain = NULL, *said = NULL, *whole = NULL, *pieces = NULL;
  Model model;

  for (gint32 i = 0; i < (gint32) IDS; i++)
    text[i] = (TernPlace) { i, i, i };
  tern_place_grid (grid, 3, 0, 4);
  tern_place_grid (grid + 4, 3, 4, IDS - 4);
  g_assert_cmpint (grid[7].h, ==, 2);
  g_assert_cmpint (grid[7].w, ==, 1);
  g_assert_cmpint (grid[7].t, ==, 0);

  model_open (&model, &(Change) { 0 }, TERN_CPU_SCALAR, &error);
  g_assert_no_error (error);
  g_assert_true (tern_llm_info (model.llm)->has_places);
  solo = tern_solo_new (model.llm, &(TernSoloParams) { .context = 32, .forks = 1 }, model.pool, &error);
  g_assert_no_error (error);
  plain = placed_logits (solo, NULL, IDS, 0, IDS);
  said = placed_logits (solo, text, IDS, IDS, IDS);
  whole = placed_logits (solo, grid, IDS, 3, IDS);
  pieces = placed_logits (solo, grid, IDS, 3, 2);
  g_assert_cmpmem (plain, VOCAB * sizeof (float), said, VOCAB * sizeof (float));
  g_assert_cmpmem (whole, VOCAB * sizeof (float), pieces, VOCAB * sizeof (float));
  g_assert_true (memcmp (plain, whole, VOCAB * sizeof (float)) != 0);
  fork = tern_solo_fork (solo, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (fork)), ==, 4);
  g_assert_cmpuint (tern_solo_pos (fork), ==, IDS + 1);
  tern_solo_reset (fork);
  g_assert_cmpuint (tern_timeline_place (tern_solo_timeline (fork)), ==, 0);
  g_clear_pointer (&fork, tern_solo_free);
  g_clear_pointer (&solo, tern_solo_free);
  tiny_clear (&model);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/qwen35/said-otherwise", test_same);
  g_test_add_func ("/qwen35/experts", test_experts);
  g_test_add_func ("/qwen35/shared-expert", test_shared);
  g_test_add_func ("/qwen35/unused", test_unused);
  g_test_add_func ("/qwen35/counts", test_counts);
  g_test_add_func ("/qwen35/refused", test_refused);
  g_test_add_func ("/qwen35/places", test_places);
  g_test_add_func ("/qwen35/endless", test_endless);
  return g_test_run ();
}
