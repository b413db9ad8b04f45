/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Families with state-space blocks: keys and tensors that cannot be are refused by name, what a file says otherwise gives the same
 * numbers, every tensor counts, guesses are taken back, others in a pass do not show, and no state leaves its bounds in 10^6
 * tokens, whatever the gates. What the numbers are is tests/golden's. */
#include "tests/unit/tiny-model.h"

#include "engine/llm/model.h"

#define FFN 20u
#define STATES 5u
#define SSM_HEADS 4u
#define GROUPS 2u
#define INNER 28u
#define RANK 3u
#define TAPS 3u
#define MIXED (INNER + 2 * GROUPS * STATES)
#define EXPERTS 4u
#define SHARED 10u
#define LATENT 9u

typedef enum { MAMBA, MAMBA2, JAMBA, GRANITE, FALCON, NEMOTRON } Family;

static const char *const names[] = { "mamba", "mamba2", "jamba", "granitehybrid", "falcon-h1", "nemotron_h_moe" };

/* How a file differs from the plain one of its family. */
typedef struct {
  Family family;
  const char *key;              /* left out, or what @number says; NULL: none */
  double number;                /* NAN: the key is left out */
  const char *tensor;           /* another value at its middle, or, with drop, left out */
  float value;
  gboolean drop;
  guint more;                   /* rows of @tensor more */
  const char *add;              /* a tensor of WIDTH more */
  guint extra;                  /* layers behind the others, of a head that guesses tokens */
  gboolean endless;             /* the gates of the drift test */
  gboolean fused;               /* gates and ups of experts in one tensor */
} Change;

/* ---- Files ------------------------------------------------------------------------------------------------------- */

#define MAMBA1_SHAPES { "ssm_in.weight", WIDTH, 2 * INNER }, { "ssm_conv1d.weight", TAPS, INNER }, \
  { "ssm_conv1d.bias", INNER }, { "ssm_x.weight", INNER, RANK + 2 * STATES }, { "ssm_dt.weight", RANK, INNER }, \
  { "ssm_dt.bias", INNER }, { "ssm_a", STATES, INNER }, { "ssm_d", INNER }, { "ssm_out.weight", INNER, WIDTH }
#define MAMBA2_SHAPES { "ssm_in.weight", WIDTH, INNER + MIXED + SSM_HEADS }, { "ssm_conv1d.weight", TAPS, MIXED }, \
  { "ssm_conv1d.bias", MIXED }, { "ssm_dt.bias", SSM_HEADS }, { "ssm_a", 1, SSM_HEADS }, { "ssm_d", 1, SSM_HEADS }, \
  { "ssm_norm.weight", INNER / GROUPS, GROUPS }, { "ssm_out.weight", INNER, WIDTH }
#define ATTENTION_SHAPES { "attn_q.weight", WIDTH, HEADS * HEAD }, { "attn_k.weight", WIDTH, KV * HEAD }, \
  { "attn_v.weight", WIDTH, KV * HEAD }, { "attn_output.weight", HEADS * HEAD, WIDTH }
#define FFN_SHAPES { "ffn_norm.weight", WIDTH }, { "ffn_gate.weight", WIDTH, FFN }, { "ffn_up.weight", WIDTH, FFN }, \
  { "ffn_down.weight", FFN, WIDTH }
#define MOE_SHAPES { "ffn_norm.weight", WIDTH }, { "ffn_gate_inp.weight", WIDTH, EXPERTS }, \
  { "ffn_gate_exps.weight", WIDTH, FFN, EXPERTS }, { "ffn_up_exps.weight", WIDTH, FFN, EXPERTS }, \
  { "ffn_down_exps.weight", FFN, WIDTH, EXPERTS }

static const Shape ends[] = { { "token_embd.weight", WIDTH, VOCAB }, { "output_norm.weight", WIDTH }, { NULL } };
static const Shape attn_norm[] = { { "attn_norm.weight", WIDTH }, { NULL } };
static const Shape mamba1[] = { MAMBA1_SHAPES, { NULL } };
static const Shape mamba2[] = { MAMBA2_SHAPES, { NULL } };
static const Shape jamba_norms[] = { { "ssm_dt_norm.weight", RANK }, { "ssm_b_norm.weight", STATES },
  { "ssm_c_norm.weight", STATES }, { NULL } };
static const Shape attention[] = { ATTENTION_SHAPES, { NULL } };
static const Shape ffn[] = { FFN_SHAPES, { NULL } };
static const Shape moe[] = { MOE_SHAPES, { NULL } };
static const Shape moe_ends[] = { { "ffn_norm.weight", WIDTH }, { "ffn_gate_inp.weight", WIDTH, EXPERTS },
  { "ffn_down_exps.weight", FFN, WIDTH, EXPERTS }, { NULL } };
static const Shape granite_shared[] = { { "ffn_gate_shexp.weight", WIDTH, SHARED }, { "ffn_up_shexp.weight", WIDTH, SHARED },
  { "ffn_down_shexp.weight", SHARED, WIDTH }, { NULL } };
static const Shape nemotron_moe[] = { { "ffn_gate_inp.weight", WIDTH, EXPERTS }, { "exp_probs_b.bias", EXPERTS },
  { "ffn_latent_down.weight", WIDTH, LATENT }, { "ffn_latent_up.weight", LATENT, WIDTH },
  { "ffn_up_exps.weight", LATENT, FFN, EXPERTS }, { "ffn_down_exps.weight", FFN, LATENT, EXPERTS },
  { "ffn_up_shexp.weight", WIDTH, SHARED }, { "ffn_down_shexp.weight", SHARED, WIDTH }, { NULL } };

/* Steps of next to nothing, of much, and between; decays of 1, of 0, and between. */
static float
value_of (const Change *c, const char *name, gsize i)
{
  static const float steps[] = { -60, 60, -60, 0.5f }, decays[] = { -1e-30f, -1e30f, 0, -0.5f };

  if (g_str_has_suffix (name, "ssm_dt.bias"))
    return c->endless ? steps[i % 4] : draw (name, i);
  if (g_str_has_suffix (name, "ssm_a"))
    return c->endless ? decays[i % 4] : -1 + draw (name, i);
  return draw (name, i) + (strstr (name, "norm") != NULL);
}

static void
add_tensor (GgufWriter *w, const Change *c, const char *name, const Shape *shape)
{
  gboolean named = c->tensor && g_str_equal (name, c->tensor);
  guint rows = shape->rows + (named ? c->more : 0);
  gsize n = (gsize) shape->cols * MAX (rows, 1) * MAX (shape->n, 1);
  g_autofree float *values = g_new (float, n);

  if (named && c->drop)
    return;
  for (gsize i = 0; i < n; i++)
    values[i] = value_of (c, name, i);
  if (named && !c->more)
    values[n / 2] = c->value;
  writer_tensor (w, name, 1 + (rows > 0) + (shape->n > 0), (guint64[]) { shape->cols, rows, shape->n }, TERN_TYPE_F32,
      values, n * sizeof (float));
}

static void
add_tensors (GgufWriter *w, const Change *c, const Shape *shapes, int layer)
{
  char name[80];

  for (; shapes->name; shapes++) {
    g_snprintf (name, sizeof name, "blk.%d.%s", layer, shapes->name);
    add_tensor (w, c, layer < 0 ? shapes->name : name, shapes);
  }
}

/* The values of two tensors, the rows of one expert behind those of the other one. */
static void
add_fused (GgufWriter *w, const Change *c, guint layer)
{
  static const char *const parts[] = { "gate", "up" };
  gsize each = (gsize) FFN * WIDTH;
  g_autofree float *values = g_new (float, 2 * EXPERTS * each);
  char name[80];

  for (guint p = 0; p < 2; p++) {
    g_snprintf (name, sizeof name, "blk.%u.ffn_%s_exps.weight", layer, parts[p]);
    for (gsize i = 0; i < EXPERTS * each; i++)
      values[(2 * (i / each) + p) * each + i % each] = value_of (c, name, i);
  }
  g_snprintf (name, sizeof name, "blk.%u.ffn_gate_up_exps.weight", layer);
  writer_tensor (w, name, 3, (guint64[]) { WIDTH, 2 * FFN, EXPERTS }, TERN_TYPE_F32, values, 2 * EXPERTS * each * sizeof (float));
}

static gboolean
attends (const Change *c, guint layer)
{
  return layer == 1 && c->family != MAMBA && c->family != MAMBA2;
}

static void
add_layer (GgufWriter *w, const Change *c, guint i)
{
  add_tensors (w, c, attn_norm, i);
  if (c->family == NEMOTRON) {
    add_tensors (w, c, i == 1 ? attention : i == 2 ? nemotron_moe : mamba2, i);
    return;
  }
  if (attends (c, i) || c->family == FALCON)
    add_tensors (w, c, attention, i);
  if (c->family == MAMBA || c->family == JAMBA) {
    if (!attends (c, i))
      add_tensors (w, c, mamba1, i);
    if (!attends (c, i) && c->family == JAMBA)
      add_tensors (w, c, jamba_norms, i);
  } else if (!attends (c, i) || c->family == FALCON) {
    add_tensors (w, c, mamba2, i);
  }
  if (c->family == GRANITE || (c->family == JAMBA && i == 2)) {
    add_tensors (w, c, c->fused ? moe_ends : moe, i);
    if (c->fused)
      add_fused (w, c, i);
  } else if (c->family != MAMBA && c->family != MAMBA2) {
    add_tensors (w, c, ffn, i);
  }
  if (c->family == GRANITE)
    add_tensors (w, c, granite_shared, i);
}

static void
add_number (GgufWriter *w, const Change *c, const char *name, double number)
{
  g_autofree char *full = g_strdup_printf ("%s.%s", names[c->family], name);

  if (c->key && g_str_equal (name, c->key))
    number = c->number;
  tiny_number (w, full, number);
}

static void
add_list (GgufWriter *w, const Change *c, const char *name, const guint32 *values)
{
  g_autofree char *full = g_strdup_printf ("%s.%s", names[c->family], name);

  if (c->key && g_str_equal (name, c->key)) {
    if (!isnan (c->number))
      writer_u32 (w, full, (guint32) c->number);
    return;
  }
  writer_array (w, full, TERN_GGUF_I32, LAYERS + c->extra);
  for (guint i = 0; i < LAYERS + c->extra; i++)
    put_u32 (w->keys, i < LAYERS ? values[i] : 0);
}

static void
add_keys (GgufWriter *w, const Change *c)
{
  Family f = c->family;
  gboolean heads = f != MAMBA && f != MAMBA2, nemotron = f == NEMOTRON, experts = f == JAMBA || f == GRANITE || nemotron;
  const struct {
    const char *name;
    double number;
  } keys[] = {
    { "block_count", LAYERS + c->extra }, { "context_length", 1 << 20 }, { "embedding_length", WIDTH },
    { "attention.head_count", heads ? HEADS : 0 }, { "attention.layer_norm_rms_epsilon", nemotron ? NAN : 1e-6 },
    { "attention.layer_norm_epsilon", nemotron ? 1e-6 : NAN }, { "attention.key_length", heads ? HEAD : NAN },
    { "attention.value_length", heads ? HEAD : NAN }, { "rope.dimension_count", f == GRANITE ? 4 : nemotron ? 15 : NAN },
    { "rope.scaling.finetuned", f == GRANITE ? 1 : NAN }, { "ssm.conv_kernel", TAPS }, { "ssm.inner_size", INNER },
    { "ssm.state_size", STATES }, { "ssm.time_step_rank", f == MAMBA || f == JAMBA ? RANK : SSM_HEADS },
    { "ssm.group_count", f == MAMBA || f == JAMBA ? NAN : GROUPS }, { "ssm.dt_b_c_rms", f == MAMBA ? 0 : NAN },
    { "expert_count", experts ? EXPERTS : NAN }, { "expert_used_count", experts ? 2 : NAN },
    { "expert_feed_forward_length", nemotron ? FFN : NAN },
    { "expert_shared_feed_forward_length", nemotron || f == GRANITE ? SHARED : NAN },
    { "moe_latent_size", nemotron ? LATENT : NAN }, { "expert_weights_norm", nemotron ? 1 : NAN },
    { "expert_weights_scale", nemotron ? 2.5 : NAN }, { "expert_group_count", nemotron ? 1 : NAN },
    { "expert_group_used_count", nemotron ? 1 : NAN }, { "expert_gating_func", NAN },
    { "logit_scale", f == GRANITE ? 3 : NAN }, { "residual_scale", f == GRANITE ? 0.5 : NAN },
    { "embedding_scale", f == GRANITE ? 7 : NAN }, { "attention.scale", f == GRANITE ? 0.3 : NAN },
    { "nextn_predict_layers", c->extra ? c->extra : NAN },
  };

  writer_string (w, "general.architecture", names[f]);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    add_number (w, c, keys[i].name, keys[i].number);
  if (f == FALCON)
    add_number (w, c, "attention.head_count_kv", KV);
  else if (heads)
    add_list (w, c, "attention.head_count_kv", (guint32[]) { 0, KV, 0 });
  if (nemotron)
    add_list (w, c, "feed_forward_length", (guint32[]) { 0, 0, FFN });
  else
    add_number (w, c, "feed_forward_length", heads ? FFN : 0);
}

static GByteArray *
make (const Change *c)
{
  g_auto (GgufWriter) w;

  writer_init (&w);
  add_keys (&w, c);
  add_tensors (&w, c, ends, -1);
  for (guint i = 0; i < LAYERS; i++)
    add_layer (&w, c, i);
  for (guint i = LAYERS; i < LAYERS + c->extra; i++)
    add_tensors (&w, c, &(const Shape[]) { { "nextn.eh_proj.weight", 2 * WIDTH, WIDTH }, { NULL } }[0], i);
  if (c->add)
    add_tensor (&w, c, c->add, &(Shape) { NULL, WIDTH });
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

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

/* Keys that say what is so anyway, and the few that mean nothing. */
static void
test_same (void)
{
  static const Change others[] = {
    { .family = MAMBA, .key = "ssm.dt_b_c_rms", .number = NAN },
    { .family = GRANITE, .key = "rope.scaling.finetuned", .number = NAN },
    { .family = NEMOTRON, .key = "rope.dimension_count", .number = NAN },
    { .family = NEMOTRON, .key = "expert_gating_func", .number = 2 },
    { .family = GRANITE, .key = "expert_gating_func", .number = 3 },
    { .family = GRANITE, .key = "expert_gating_func", .number = 1 },
    { .family = GRANITE, .key = "expert_weights_norm", .number = 1 },
    { .family = GRANITE, .key = "expert_weights_scale", .number = 0 },
    { .family = GRANITE, .fused = TRUE },
    { .family = JAMBA, .fused = TRUE },
    { .family = JAMBA, .key = "expert_weights_norm", .number = 0 },
    { .family = JAMBA, .key = "expert_weights_scale", .number = 1 },
    { .family = JAMBA, .key = "expert_group_count", .number = 1 },
    { .family = NEMOTRON, .key = "expert_group_count", .number = 0 },
    { .family = NEMOTRON, .extra = 1 },
    { .family = NEMOTRON, .extra = 2 },
  };
  float plain[IDS * VOCAB], other[IDS * VOCAB];

  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    good_logits (&(Change) { others[i].family }, plain);
    good_logits (&others[i], other);
    g_assert_cmpmem (plain, sizeof plain, other, sizeof other);
  }
}

/* A scale of 0 is none: as 1, or as 1 / sqrt (HEAD). */
static void
test_scales (void)
{
  static const char *const keys[] = { "logit_scale", "residual_scale", "embedding_scale", "attention.scale" };
  float plain[IDS * VOCAB], zero[IDS * VOCAB], none[IDS * VOCAB], one[IDS * VOCAB];

  good_logits (&(Change) { GRANITE }, plain);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    good_logits (&(Change) { GRANITE, .key = keys[i], .number = 0 }, zero);
    good_logits (&(Change) { GRANITE, .key = keys[i], .number = NAN }, none);
    good_logits (&(Change) { GRANITE, .key = keys[i], .number = i == 3 ? 1 / sqrtf (HEAD) : 1 }, one);
    g_assert_cmpmem (zero, sizeof zero, none, sizeof none);
    g_assert_cmpmem (one, sizeof one, none, sizeof none);
    g_assert_true (memcmp (plain, none, sizeof none) != 0);
  }
}

/* How experts are weighed, where a file says it of a family that has its own way. */
static void
test_weights (void)
{
  static const Change others[] = {
    { .family = GRANITE, .key = "expert_weights_norm", .number = 0 },
    { .family = GRANITE, .key = "expert_weights_scale", .number = 2 },
    { .family = JAMBA, .key = "expert_weights_norm", .number = 1 }, { .family = JAMBA, .key = "expert_weights_scale", .number = 2 },
  };
  float plain[IDS * VOCAB], other[IDS * VOCAB];

  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    good_logits (&(Change) { others[i].family }, plain);
    good_logits (&others[i], other);
    g_assert_cmpfloat (tiny_difference (plain, other), >, 1e-6);
  }
}

static void
test_counts (void)
{
  static const struct {
    Family family;
    const char *tensor;
  } cases[] = {
    { MAMBA, "blk.0.ssm_conv1d.bias" }, { MAMBA, "blk.1.ssm_dt.bias" }, { MAMBA, "blk.0.ssm_a" }, { MAMBA, "blk.2.ssm_d" },
    { MAMBA2, "blk.0.ssm_conv1d.bias" }, { MAMBA2, "blk.1.ssm_dt.bias" }, { MAMBA2, "blk.0.ssm_a" }, { MAMBA2, "blk.2.ssm_d" },
    { MAMBA2, "blk.0.ssm_norm.weight" }, { JAMBA, "blk.0.ssm_dt_norm.weight" }, { JAMBA, "blk.0.ssm_b_norm.weight" },
    { JAMBA, "blk.2.ssm_c_norm.weight" }, { JAMBA, "blk.1.attn_q.weight" }, { GRANITE, "blk.0.ffn_down_shexp.weight" },
    { GRANITE, "blk.1.attn_k.weight" }, { FALCON, "blk.1.attn_v.weight" }, { FALCON, "blk.1.ssm_out.weight" },
    { NEMOTRON, "blk.2.ffn_latent_up.weight" }, { NEMOTRON, "blk.2.ffn_up_shexp.weight" }, { NEMOTRON, "blk.1.attn_output.weight" },
  };
  float plain[IDS * VOCAB], other[IDS * VOCAB];

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    double most;

    good_logits (&(Change) { cases[i].family }, plain);
    good_logits (&(Change) { cases[i].family, .tensor = cases[i].tensor, .value = -3 }, other);
    most = tiny_difference (plain, other);
    g_test_message ("%s %s: %g", names[cases[i].family], cases[i].tensor, most);
    g_assert_cmpfloat (most, >, 1e-6);
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
    { { MAMBA, "ssm.state_size", NAN }, { "mamba.ssm.state_size" } },
    { { MAMBA, "ssm.state_size", 0 }, { "mamba.ssm.state_size" } },
    { { MAMBA, "ssm.state_size", 2147483648.0 }, { "mamba.ssm.state_size", "2147483648" } },
    { { MAMBA, "ssm.state_size", 4 }, { "ssm_x.weight", "28 x 11" } },
    { { MAMBA, "ssm.inner_size", NAN }, { "mamba.ssm.inner_size" } },
    { { MAMBA, "ssm.inner_size", 27 }, { "ssm_in.weight", "24 x 54" } },
    { { MAMBA, "ssm.time_step_rank", NAN }, { "mamba.ssm.time_step_rank" } },
    { { MAMBA, "ssm.time_step_rank", 29 }, { "mamba.ssm.time_step_rank", "29" } },
    { { MAMBA, "ssm.time_step_rank", 2 }, { "ssm_x.weight", "28 x 12" } },
    { { MAMBA, "ssm.conv_kernel", NAN }, { "mamba.ssm.conv_kernel" } },
    { { MAMBA, "ssm.conv_kernel", 0 }, { "mamba.ssm.conv_kernel" } },
    { { MAMBA, "ssm.conv_kernel", 4 }, { "ssm_conv1d.weight", "4 x 28" } },
    { { MAMBA, "ssm.conv_kernel", 100000 }, { "mamba.ssm.conv_kernel", "100000" } },
    { { MAMBA, "attention.head_count", 2 }, { "mamba.attention.head_count", "2" } },
    { { MAMBA2, "attention.head_count", 1 }, { "mamba2.attention.head_count" } },
    { { MAMBA2, "ssm.group_count", NAN }, { "mamba2.ssm.group_count" } },
    { { MAMBA2, "ssm.group_count", 0 }, { "mamba2.ssm.group_count" } },
    { { MAMBA2, "ssm.group_count", 3 }, { "mamba2.ssm.group_count", "3" } },
    { { MAMBA2, "ssm.group_count", 5 }, { "mamba2.ssm.group_count", "5" } },
    { { MAMBA2, "ssm.group_count", 1 }, { "ssm_in.weight", "24 x 70" } },
    { { MAMBA2, "ssm.time_step_rank", 3 }, { "mamba2.ssm.time_step_rank", "3" } },
    { { MAMBA2, "ssm.time_step_rank", 2 }, { "blk.0.ssm_in.weight", "24 x 78" } },
    { { MAMBA2, "ssm.state_size", 65537 }, { "mamba2.ssm.state_size", "65537" } },
    { { JAMBA, "attention.head_count_kv", 1 }, { "blk.0.attn_q.weight", "no such tensor" } },
    { { JAMBA, "attention.head_count_kv", NAN }, { "blk.0.attn_q.weight", "no such tensor" } },
    { { JAMBA, "expert_count", NAN }, { "jamba.expert_count", "layer 2" } },
    { { JAMBA, "expert_count", 5 }, { "ffn_gate_inp.weight", "24 x 5" } },
    { { JAMBA, "expert_used_count", 5 }, { "jamba.expert_used_count", "5" } },
    { { JAMBA, "expert_gating_func", 2 }, { "jamba.expert_gating_func", "expected 1 (softmax), found 2" } },
    { { GRANITE, "expert_gating_func", 2 }, { "granitehybrid.expert_gating_func", "expected 1 (softmax), found 2" } },
    { { GRANITE, "expert_group_count", 2 }, { "granitehybrid.expert_group_count", "expected 1" } },
    { { JAMBA, "feed_forward_length", 0 }, { "jamba.feed_forward_length" } },
    { { GRANITE, "expert_count", 0 }, { "blk.0.ffn_gate.weight", "no such tensor" } },
    { { GRANITE, "expert_shared_feed_forward_length", 11 }, { "ffn_gate_shexp.weight", "24 x 11" } },
    { { GRANITE, "logit_scale", -3 }, { "granitehybrid.logit_scale", "-3" } },
    { { GRANITE, "logit_scale", INFINITY }, { "granitehybrid.logit_scale" } },
    { { GRANITE, "attention.scale", NAN, .tensor = "blk.1.attn_k.weight", .drop = TRUE }, { "blk.1.attn_k.weight" } },
    { { GRANITE, "rope.dimension_count", 5 }, { "granitehybrid.rope.dimension_count", "even" } },
    { { JAMBA, "attention.value_length", 11 }, { "jamba.attention.value_length", "11" } },
    { { NEMOTRON, "attention.key_length", 11 }, { "nemotron_h_moe.attention.value_length", "12" } },
    { { FALCON, "attention.head_count_kv", 0 }, { "falcon-h1.attention.head_count_kv", "layer 0" }, TRUE },
    { { FALCON, "ssm.group_count", NAN }, { "falcon-h1.ssm.group_count" } },
    { { NEMOTRON, "attention.layer_norm_epsilon", NAN }, { "nemotron_h_moe.attention.layer_norm_rms_epsilon" } },
    { { NEMOTRON, "feed_forward_length", FFN }, { "blk.0.ffn_up.weight", "no such tensor" } },
    { { NEMOTRON, "feed_forward_length", NAN }, { "nemotron_h_moe.feed_forward_length" } },
    { { NEMOTRON, "attention.head_count_kv", 1 }, { "blk.0.attn_q.weight", "no such tensor" } },
    { { NEMOTRON, "expert_feed_forward_length", 0 }, { "nemotron_h_moe.expert_feed_forward_length", "layer 2" } },
    { { NEMOTRON, "expert_feed_forward_length", 21 }, { "ffn_up_exps.weight", "9 x 21 x 4" } },
    { { NEMOTRON, "moe_latent_size", 8 }, { "ffn_latent_down.weight", "24 x 8" } },
    { { NEMOTRON, "moe_latent_size", NAN }, { "ffn_up_exps.weight", "24 x 20 x 4" } },
    { { NEMOTRON, "expert_group_count", 3 }, { "nemotron_h_moe.expert_group_count", "3" } },
    { { NEMOTRON, "expert_group_count", 4 }, { "nemotron_h_moe.expert_group_used_count", "1" } },
    { { NEMOTRON, "expert_gating_func", 1 }, { "nemotron_h_moe.expert_gating_func", "1" } },
    { { NEMOTRON, .extra = 1, .key = "nextn_predict_layers", .number = 4 }, { "nextn_predict_layers", "4" } },
    { { MAMBA, .tensor = "blk.0.ssm_a", .value = NAN }, { "blk.0.ssm_a", "nan" } },
    { { MAMBA, .tensor = "blk.0.ssm_a", .value = -INFINITY }, { "blk.0.ssm_a", "inf" } },
    { { MAMBA, .tensor = "blk.1.ssm_a", .value = 0.25f }, { "blk.1.ssm_a", "0.25" } },
    { { MAMBA, .tensor = "blk.1.ssm_dt.bias", .value = NAN }, { "blk.1.ssm_dt.bias", "nan" } },
    { { MAMBA, .tensor = "blk.1.ssm_conv1d.weight", .value = INFINITY }, { "blk.1.ssm_conv1d.weight", "inf" } },
    { { MAMBA2, .tensor = "blk.0.ssm_a", .value = NAN }, { "blk.0.ssm_a", "nan" } },
    { { MAMBA2, .tensor = "blk.0.ssm_a", .value = 1 }, { "blk.0.ssm_a", "found 1" } },
    { { MAMBA2, .tensor = "blk.2.ssm_dt.bias", .value = INFINITY }, { "blk.2.ssm_dt.bias", "inf" } },
    { { MAMBA2, .tensor = "blk.2.ssm_d", .value = NAN }, { "blk.2.ssm_d", "nan" } },
    { { MAMBA2, .tensor = "blk.0.ssm_norm.weight", .drop = TRUE }, { "blk.0.ssm_norm.weight", "no such tensor" } },
    { { MAMBA2, .tensor = "blk.0.ssm_in.weight", .more = 1 }, { "blk.0.ssm_in.weight", "24 x 80" } },
    { { JAMBA, .tensor = "blk.0.ssm_b_norm.weight", .drop = TRUE }, { "blk.0.ssm_b_norm.weight" } },
    { { FALCON, .tensor = "blk.1.ssm_a", .drop = TRUE }, { "blk.1.ssm_a" } },
    { { FALCON, .tensor = "blk.1.attn_q.weight", .more = HEAD }, { "blk.1.attn_q.weight", "24 x 24" } },
    { { MAMBA, .add = "blk.0.ssm_norm.weight" }, { "blk.0.ssm_norm.weight" }, TRUE },
    { { NEMOTRON, .add = "blk.2.ffn_gate_exps.weight" }, { "blk.2.ffn_gate_exps.weight" }, TRUE },
    { { MAMBA2, .add = "rope_freqs.weight" }, { "rope_freqs.weight" }, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    tiny_refused (i, make (&cases[i].change), cases[i].what, cases[i].unsupported);
}

/* What may be left out. */
static void
test_optional (void)
{
  static const Change cases[] = {
    { MAMBA, .tensor = "blk.0.ssm_conv1d.bias", .drop = TRUE }, { MAMBA2, .tensor = "blk.1.ssm_conv1d.bias", .drop = TRUE },
    { FALCON, .tensor = "blk.0.ssm_norm.weight", .drop = TRUE }, { NEMOTRON, .tensor = "blk.2.exp_probs_b.bias", .drop = TRUE },
    { MAMBA, "ssm.dt_b_c_rms", 1 }, { MAMBA, .add = "output_norm.note" },
  };
  float logits[IDS * VOCAB];

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    good_logits (&cases[i], logits);
}

/* The 2^20 tokens that files of hybrids name cost nothing until they are read: addresses, no memory. */
static void
test_long (void)
{
  static const Family families[] = { JAMBA, GRANITE, FALCON, NEMOTRON, MAMBA, MAMBA2 };

  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    TernSoloParams params = { .context = 0 };
    g_autoptr (GError) error = NULL;
    g_autoptr (TernSolo) solo = NULL;
    float logits[VOCAB];
    Model model;

    model_open (&model, &(Change) { families[i] }, TERN_CPU_SCALAR, &error);
    g_assert_no_error (error);
    solo = tern_solo_new (model.llm, &params, model.pool, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (tern_solo_context (solo), ==, 1 << 20);
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids, .n = IDS }, TERN_LOGITS_LAST, logits, NULL, &error));
    g_clear_pointer (&solo, tern_solo_free);
    tiny_clear (&model);
  }
}

/* Rows that are read together as guesses and taken back leave what reading the others one by one leaves, bit for bit; what they
 * take is not taken before. */
static void
test_taken_back (gconstpointer data)
{
  Family family = GPOINTER_TO_UINT (data);
  float plain[VOCAB], cut[VOCAB], rows[4 * VOCAB];
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = NULL;
  TernSegment segment;
  Model model;
  float *input;

  model_open (&model, &(Change) { family }, tern_kernels_default (NULL)->level, &error);
  g_assert_no_error (error);
  solo = tern_solo_new (model.llm, &(TernSoloParams) { .context = 32, .guesses = 3 }, model.pool, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 5; i++)
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids + i, .n = 1 }, TERN_LOGITS_LAST, plain, NULL, &error));

  tern_solo_reset (solo);
  for (guint i = 0; i < 2; i++)
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids + i, .n = 1 }, TERN_LOGITS_LAST, cut, NULL, &error));
  segment = (TernSegment) { .timeline = tern_solo_timeline (solo), .n = 4, .decode = TRUE, .want = TERN_LOGITS_ALL,
    .logits = rows };
  tern_pass_begin (tern_solo_pass (solo));
  g_assert_cmpuint (tern_solo_store (solo)->states.n, ==, 1);   /* states between rows are taken when there are some */
  input = tern_pass_add (tern_solo_pass (solo), &segment, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_solo_store (solo)->states.n, ==, 4);
  tern_llm_embed (model.llm, (gint32[]) { tiny_ids[2], tiny_ids[3], 31, 30 }, 4, input, WIDTH);
  g_assert_true (tern_pass_run (tern_solo_pass (solo), &error));
  tern_timeline_cut (tern_solo_timeline (solo), 2);
  g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids + 4, .n = 1 }, TERN_LOGITS_LAST, cut, NULL, &error));
  g_assert_cmpmem (plain, sizeof plain, cut, sizeof cut);
  g_clear_pointer (&solo, tern_solo_free);
  tiny_clear (&model);
}

/* A prompt that is read beside others, in as many pieces as they leave room for. */
#define PROMPT 300u
#define MATES 4u

typedef struct {
  TernTimeline *timeline;
  gint32 prompt[PROMPT];
  float logits[VOCAB];
} Mate;

/* One pass, of rows that chance decides on: a decode row or two for the last of @mates, pieces of prompts for the others. How many
 * of these there were. */
static guint
read_some (const Model *model, TernPass *pass, Mate *mates)
{
  float scrap[2 * VOCAB];
  guint read = 0;

  tern_pass_begin (pass);
  for (guint m = MATES; m-- > 0;) {
    gboolean says = m == MATES - 1, last = !says && g_test_rand_bit ();
    guint pos = tern_timeline_pos (mates[m].timeline), left = PROMPT - pos, most = (guint) g_test_rand_int_range (0, 100);
    guint n = says ? pos < PROMPT && g_test_rand_bit () : tern_pass_cut (pass, mates[m].timeline, left, most, last);
    TernSegment segment = { .timeline = mates[m].timeline, .n = n, .decode = says,
      .want = says || (n == left && last) ? TERN_LOGITS_LAST : TERN_LOGITS_NONE, .logits = says ? scrap : mates[m].logits };

    g_assert_cmpuint (n, <=, says ? 1 : left - (left > 0 && !last));
    if (n == 0)
      continue;
    g_assert_true (says || n == left || (pos + n) % tern_pass_chunk (pass) == 0);
    tern_llm_embed (model->llm, mates[m].prompt + pos, n, tern_pass_add (pass, &segment, NULL), WIDTH);
    read += says ? 0 : n;
  }
  g_assert_true (tern_pass_segments (pass) == 0 || tern_pass_run (pass, NULL));
  return read;
}

static void
compare_states (const TernTimeline *a, const TernTimeline *b)
{
  for (guint layer = 0; layer < LAYERS; layer++)
    for (guint part = 0; part < 2; part++) {
      gsize n = 0, m = 0;
      const float *one = tern_timeline_state (a, layer, part ? "ssm" : "conv", &n);
      const float *other = tern_timeline_state (b, layer, part ? "ssm" : "conv", &m);

      if (one || other)
        g_assert_cmpmem (one, n * sizeof *one, other, m * sizeof *other);
    }
}

/* Whatever room others leave, a prompt gives the bits that it gives alone. */
static void
test_beside (gconstpointer data)
{
  Family family = GPOINTER_TO_UINT (data);
  Mate mates[MATES];
  float alone[VOCAB];
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = NULL;
  TernStore *store;
  TernPass *pass;
  Model model;

  model_open (&model, &(Change) { family }, tern_kernels_default (NULL)->level, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_llm_info (model.llm)->chunk, ==, family == MAMBA || family == JAMBA ? 1 : 64);
  solo = tern_solo_new (model.llm, &(TernSoloParams) { .context = PROMPT }, model.pool, &error);
  store = tern_store_new (model.llm, &(TernStoreParams) { .context = PROMPT, .timelines = MATES }, &error);
  pass = tern_pass_new (model.llm, &(TernPassParams) { .context = PROMPT }, model.pool, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (tern_pass_rows (pass), ==, 128);
  for (guint m = 0; m < MATES; m++) {
    mates[m].timeline = tern_timeline_new (store, &error);
    for (guint i = 0; i < PROMPT; i++)
      mates[m].prompt[i] = g_test_rand_int_range (0, VOCAB);
  }
  tern_pass_begin (pass);
  g_assert_cmpuint (tern_pass_cut (pass, mates[0].timeline, 1, 87, FALSE), ==, 0);
  g_assert_cmpuint (tern_pass_cut (pass, mates[0].timeline, 2, 87, FALSE), ==, tern_pass_chunk (pass) == 1 ? 1 : 0);
  g_assert_cmpuint (tern_pass_cut (pass, mates[0].timeline, 65, 87, FALSE), ==, 64);
  for (guint read = 0; read < (MATES - 1) * PROMPT;)
    read += read_some (&model, pass, mates);
  for (guint m = 0; m < MATES - 1; m++) {
    tern_solo_reset (solo);
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = mates[m].prompt, .n = PROMPT }, TERN_LOGITS_LAST, alone, NULL,
            &error));
    g_assert_cmpmem (alone, sizeof alone, mates[m].logits, sizeof alone);
    compare_states (tern_solo_timeline (solo), mates[m].timeline);
  }
  for (guint m = 0; m < MATES; m++)
    tern_timeline_free (mates[m].timeline);
  tern_pass_free (pass);
  tern_store_unref (store);
  g_clear_pointer (&solo, tern_solo_free);
  tiny_clear (&model);
}

/* Heads and channels that forget nothing, all, and what is between, with steps of next to nothing and of 60, in prompts and, at the
 * end, token by token. What a state takes in at a step is at most the step times an input and B, both of a row that a norm and a
 * silu have bounded: after T tokens it is at most T times that. */
static void
test_endless (gconstpointer data)
{
  double most = tiny_drift (make (&(Change) { .family = GPOINTER_TO_UINT (data), .endless = TRUE }), "ssm", INNER * STATES, 128);

  g_assert_cmpfloat (most, >, 0.01);
  g_assert_cmpfloat (most, <, 1e15);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ssm/said-otherwise", test_same);
  g_test_add_func ("/ssm/scales", test_scales);
  g_test_add_func ("/ssm/weights", test_weights);
  g_test_add_func ("/ssm/counts", test_counts);
  g_test_add_func ("/ssm/optional", test_optional);
  g_test_add_func ("/ssm/refused", test_refused);
  g_test_add_func ("/ssm/long", test_long);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *back = g_strdup_printf ("/ssm/taken-back/%s", names[i]);
    g_autofree char *beside = g_strdup_printf ("/ssm/beside/%s", names[i]);

    g_test_add_data_func (back, GUINT_TO_POINTER (i), test_taken_back);
    g_test_add_data_func (beside, GUINT_TO_POINTER (i), test_beside);
  }
  g_test_add_data_func ("/ssm/endless/mamba", GUINT_TO_POINTER (MAMBA), test_endless);
  g_test_add_data_func ("/ssm/endless/mamba2", GUINT_TO_POINTER (MAMBA2), test_endless);
  return g_test_run ();
}
