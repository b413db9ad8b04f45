/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/bench-shape-priv.h"

#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/weights/quantize.h"
#include "tern/error.h"
#include "tools/quantize-plan.h"

#define ALIGNMENT 32

/* What the released models' files and configurations say. */
typedef struct {
  const char *name, *architecture;
  guint width, heads, kv_heads, layers, ffn, vocabulary, context;
  float rope;
  guint32 attention;            /* bit i: layer i is attention, the others short convolutions; 0: all are attention */
} TextShape;

/* llama.cpp knows BitNet as `bitnet`; the key hidden_activation says which gate 2B4T has to those who look at it. */
static const TextShape text_shapes[] = {
  { "bitnet-2b", "bitnet", 2560, 20, 5, 30, 6912, 128256, 4096, 500000, 0 },
  { "lfm2-1.2b", "lfm2", 2048, 32, 8, 16, 8192, 65536, 32768, 1000000, 0x5524 },
  { "lfm2-350m", "lfm2", 1024, 16, 8, 16, 4608, 65536, 32768, 1000000, 0x5524 },
};

/* Three layers of Gated DeltaNet to one of attention; or (state 0) layers that all attend, without gates, and behind the first of
 * which pictures are added features of the encoder's early layers. */
typedef struct {
  const char *name;
  guint width, heads, kv_heads, head, turned;   /* turned: values of a head that rotate */
  guint key_heads, value_heads, state;  /* state: width of a DeltaNet head */
  guint layers, ffn, vocabulary, context;
  guint rotated;                /* values that are rotated together before each matrix; 0: none */
} DeltaShape;

static const DeltaShape delta_shapes[] = {
  { "qwen3.5-2b", 2048, 8, 2, 256, 64, 16, 16, 128, 24, 6144, 248320, 262144, 0 },
  { "qwen3-vl-2b", 2048, 16, 8, 128, 128, 0, 0, 0, 28, 6144, 151936, 262144, 0 },
  { "bonsai-2b", 2048, 8, 2, 256, 64, 16, 16, 128, 24, 6144, 248320, 262144, 1024 },
};

/* Hybrids of Mamba-2 and attention without positions, which is at every `interval` layers from `attention` on. Where a layer is one
 * block alone, layers of squared ReLU stand between the others. */
typedef struct {
  const char *name, *architecture;
  guint width, layers, ffn, vocabulary;
  guint heads, kv_heads, head;
  guint attention, interval;
  guint ssm_heads, ssm_head, states, groups;
  gboolean one_block;
} HybridShape;

static const HybridShape hybrid_shapes[] = {
  { "granite-4-h-micro", "granitehybrid", 2048, 40, 8192, 100352, 32, 8, 64, 5, 10, 64, 64, 128, 1, FALSE },
  { "nemotron-h-4b", "nemotron_h", 3072, 52, 12288, 131072, 32, 8, 128, 6, 13, 112, 64, 128, 8, TRUE },
};

/* ---- Names ------------------------------------------------------------------------------------------------------- */

const char *const *
tern_shape_names (void)
{
  static const char *names[G_N_ELEMENTS (text_shapes) + G_N_ELEMENTS (delta_shapes) + G_N_ELEMENTS (hybrid_shapes)
      + TERN_VISION_SHAPES + 2];

  if (!names[0]) {
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS (text_shapes); i++)
      names[n++] = text_shapes[i].name;
    for (guint i = 0; i < G_N_ELEMENTS (delta_shapes); i++)
      names[n++] = delta_shapes[i].name;
    for (guint i = 0; i < G_N_ELEMENTS (hybrid_shapes); i++)
      names[n++] = hybrid_shapes[i].name;
    for (guint i = 0; i < TERN_VISION_SHAPES; i++)
      names[n++] = tern_vision_shape_name (i);
    names[n] = TERN_SHAPE_SHIPPED;
  }
  return names;
}

const TernTypeInfo *
tern_shape_type (const char *name, guint32 *file_type)
{
  static const struct {
    guint32 type, file_type;
  } plain[] = { { TERN_TYPE_F32, 0 }, { TERN_TYPE_F16, 1 }, { TERN_TYPE_BF16, 32 } };

  for (guint i = 0; i < G_N_ELEMENTS (plain); i++) {
    const TernTypeInfo *type = tern_type_info (plain[i].type);

    if (g_ascii_strcasecmp (type->name, name) == 0) {
      *file_type = plain[i].file_type;
      return type;
    }
  }
  return tern_quantize_type (name, file_type);
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

/* A matrix of floats called @name becomes what `tern quantize` would make of it. */
static const TernTypeInfo *
choose_type (const TernShape *shape, const char *name, guint n_dims, const guint64 *dims)
{
  TernTensor tensor = { .name = name, .type = tern_type_info (TERN_TYPE_F32), .type_id = TERN_TYPE_F32,
    .n_dims = n_dims, .bytes = 1 };
  TernQuantizePlan plan;

  memcpy (tensor.dims, dims, sizeof tensor.dims);
  tern_quantize_plan (&plan, &tensor, shape->type->block > 1 ? shape->type->type : TERN_TYPE_Q8_0);
  if (plan.step == TERN_QUANTIZE_KEEP)
    return tensor.type;
  return shape->type->block > 1 ? plan.type : shape->type;
}

void
tern_shape_tensor (TernShape *shape, const char *name, const TernTypeInfo *type, guint n_dims, const guint64 *dims)
{
  TernShapeTensor tensor = { .name = g_strdup (name), .type = type, .n_dims = n_dims };
  guint64 bytes = 0;

  for (guint i = 0; i < 4; i++)
    tensor.dims[i] = i < n_dims ? dims[i] : 1;
  if (!type)
    tensor.type = choose_type (shape, name, n_dims, tensor.dims);
  tern_type_tensor_bytes (tensor.type, tensor.dims, &bytes);
  if (tensor.type->type == TERN_TYPE_TQ1_0 || tensor.type->type == TERN_TYPE_TQ2_0)
    shape->packed += tern_t2_bytes (tensor.dims[1], tensor.dims[0]);
  if (tern_type_is_scaled (tensor.type))
    shape->packed += tern_t2s_bytes (tensor.dims[1], tensor.dims[0], TERN_T2_COLS / tensor.type->block);
  tern_gguf_writer_tensor (shape->writer, name, tensor.type, n_dims, tensor.dims, bytes);
  g_array_append_val (shape->tensors, tensor);
}

void
tern_shape_vector (TernShape *shape, guint n, const char *format, ...)
{
  g_autofree char *name = NULL;
  va_list args;

  va_start (args, format);
  name = g_strdup_vprintf (format, args);
  va_end (args);
  tern_shape_tensor (shape, name, NULL, 1, (const guint64[]) { n });
}

void
tern_shape_matrix (TernShape *shape, guint cols, guint rows, const char *format, ...)
{
  g_autofree char *name = NULL;
  va_list args;

  va_start (args, format);
  name = g_strdup_vprintf (format, args);
  va_end (args);
  tern_shape_tensor (shape, name, NULL, 2, (const guint64[]) { cols, rows });
}

/* ---- What families share ----------------------------------------------------------------------------------------- */

void
tern_shape_numbers (TernShape *shape, const char *prefix, const TernShapeNumber *numbers, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    g_autofree char *key = g_strdup_printf ("%s.%s", prefix, numbers[i].name);

    tern_gguf_writer_u32 (shape->writer, key, numbers[i].value);
  }
}

static void
set_real (TernShape *shape, const char *prefix, const char *name, float value)
{
  g_autofree char *key = g_strdup_printf ("%s.%s", prefix, name);

  tern_gguf_writer_f32 (shape->writer, key, value);
}

/* Layer @i's queries of @queries values, gates among them, keys and values of @keys each, and what @attended values become. */
static void
add_attention (TernShape *shape, guint i, guint width, guint queries, guint keys, guint attended)
{
  tern_shape_matrix (shape, width, queries, "blk.%u.attn_q.weight", i);
  tern_shape_matrix (shape, width, keys, "blk.%u.attn_k.weight", i);
  tern_shape_matrix (shape, width, keys, "blk.%u.attn_v.weight", i);
  tern_shape_matrix (shape, attended, width, "blk.%u.attn_output.weight", i);
}

static void
add_head_norms (TernShape *shape, guint i, guint head)
{
  tern_shape_vector (shape, head, "blk.%u.attn_q_norm.weight", i);
  tern_shape_vector (shape, head, "blk.%u.attn_k_norm.weight", i);
}

static void
add_feed_forward (TernShape *shape, guint i, guint width, guint ffn, gboolean gated)
{
  if (gated)
    tern_shape_matrix (shape, width, ffn, "blk.%u.ffn_gate.weight", i);
  tern_shape_matrix (shape, width, ffn, "blk.%u.ffn_up.weight", i);
  tern_shape_matrix (shape, ffn, width, "blk.%u.ffn_down.weight", i);
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static gboolean
is_attention (const TextShape *text, guint layer)
{
  return !text->attention || text->attention >> layer & 1;
}

static void
add_general_keys (TernShape *shape, const char *architecture, const char *name)
{
  g_autofree char *full = g_strdup_printf ("random %s", name);

  tern_gguf_writer_string (shape->writer, "general.architecture", architecture);
  tern_gguf_writer_string (shape->writer, "general.name", full);
  tern_gguf_writer_u32 (shape->writer, "general.alignment", ALIGNMENT);
  tern_gguf_writer_u32 (shape->writer, "general.file_type", shape->file_type);
  tern_gguf_writer_u32 (shape->writer, "general.quantization_version", 2);
}

static void
add_text_keys (TernShape *shape, const TextShape *text)
{
  const char *a = text->architecture;
  const TernShapeNumber counts[] = {
    { "block_count", text->layers }, { "context_length", text->context }, { "embedding_length", text->width },
    { "feed_forward_length", text->ffn }, { "attention.head_count", text->heads }, { "vocab_size", text->vocabulary },
    { "rope.dimension_count", text->width / text->heads },
  };
  g_autofree char *kv_heads = g_strdup_printf ("%s.attention.head_count_kv", a);

  add_general_keys (shape, a, text->name);
  tern_shape_numbers (shape, a, counts, G_N_ELEMENTS (counts));
  set_real (shape, a, "attention.layer_norm_rms_epsilon", 1e-5f);
  set_real (shape, a, "rope.freq_base", text->rope);
  if (text->attention) {
    gint32 heads[32];

    for (guint i = 0; i < text->layers; i++)
      heads[i] = is_attention (text, i) ? text->kv_heads : 0;
    tern_gguf_writer_i32_array (shape->writer, kv_heads, heads, text->layers);
    tern_gguf_writer_u32 (shape->writer, "lfm2.shortconv.l_cache", 3);
  } else {
    tern_gguf_writer_u32 (shape->writer, kv_heads, text->kv_heads);
    tern_gguf_writer_string (shape->writer, "bitnet.hidden_activation", "relu2");
  }
}

static void
add_layer (TernShape *shape, const TextShape *text, guint i)
{
  guint d = text->width, head = d / text->heads;
  gboolean bitnet = !text->attention;

  tern_shape_vector (shape, d, "blk.%u.attn_norm.weight", i);
  if (is_attention (text, i)) {
    add_attention (shape, i, d, d, head * text->kv_heads, d);
    if (!bitnet)
      add_head_norms (shape, i, head);
  } else {
    tern_shape_matrix (shape, d, 3 * d, "blk.%u.shortconv.in_proj.weight", i);
    tern_shape_matrix (shape, 3, d, "blk.%u.shortconv.conv.weight", i);
    tern_shape_matrix (shape, d, d, "blk.%u.shortconv.out_proj.weight", i);
  }
  if (bitnet) {
    tern_shape_vector (shape, d, "blk.%u.attn_sub_norm.weight", i);
    tern_shape_vector (shape, text->ffn, "blk.%u.ffn_sub_norm.weight", i);
  }
  tern_shape_vector (shape, d, "blk.%u.ffn_norm.weight", i);
  add_feed_forward (shape, i, d, text->ffn, TRUE);
}

static void
lay_out_text (TernShape *shape, const TextShape *text)
{
  add_text_keys (shape, text);
  tern_vocabulary_write (shape->writer, text->attention ? TERN_VOCABULARY_LFM2 : TERN_VOCABULARY_LLAMA3, text->vocabulary);
  tern_shape_matrix (shape, text->width, text->vocabulary, "token_embd.weight");
  if (shape->agree > 0)
    tern_shape_matrix (shape, text->width, text->vocabulary, "output.weight");
  tern_shape_vector (shape, text->width, text->attention ? "token_embd_norm.weight" : "output_norm.weight");
  for (guint i = 0; i < text->layers; i++)
    add_layer (shape, text, i);
}

/* ---- Text with matrix states ------------------------------------------------------------------------------------- */

static const char *
delta_architecture (const DeltaShape *delta)
{
  return delta->state ? "qwen35" : "qwen3vl";
}

static gboolean
delta_attends (const DeltaShape *delta, guint layer)
{
  return !delta->state || (layer + 1) % 4 == 0;
}

static void
add_delta_keys (TernShape *shape, const DeltaShape *delta)
{
  const char *a = delta_architecture (delta);
  const TernShapeNumber counts[] = {
    { "block_count", delta->layers }, { "context_length", delta->context }, { "embedding_length", delta->width },
    { "feed_forward_length", delta->ffn }, { "attention.head_count", delta->heads },
    { "attention.head_count_kv", delta->kv_heads }, { "attention.key_length", delta->head },
    { "attention.value_length", delta->head }, { "rope.dimension_count", delta->turned },
  };
  const TernShapeNumber states[] = {
    { "ssm.conv_kernel", 4 }, { "ssm.state_size", delta->state }, { "ssm.group_count", delta->key_heads },
    { "ssm.time_step_rank", delta->value_heads }, { "ssm.inner_size", delta->value_heads * delta->state },
    { "full_attention_interval", 4 },
  };
  const TernShapeNumber deepstack = { "n_deepstack_layers", 3 };
  g_autofree char *sections_key = g_strdup_printf ("%s.rope.dimension_sections", a);
  const gint32 sections[] = { delta->turned / 2 - 2 * (delta->turned / 6), delta->turned / 6, delta->turned / 6, 0 };

  add_general_keys (shape, a, delta->name);
  tern_shape_numbers (shape, a, counts, G_N_ELEMENTS (counts));
  tern_shape_numbers (shape, a, delta->state ? states : &deepstack, delta->state ? G_N_ELEMENTS (states) : 1);
  tern_gguf_writer_i32_array (shape->writer, sections_key, sections, G_N_ELEMENTS (sections));
  set_real (shape, a, "rope.freq_base", delta->state ? 1e7f : 5e6f);
  set_real (shape, a, "attention.layer_norm_rms_epsilon", 1e-6f);
}

static void
add_delta_layer (TernShape *shape, const DeltaShape *delta, guint i)
{
  guint d = delta->width, keys = delta->key_heads * delta->state, values = delta->value_heads * delta->state;
  guint attended = delta->heads * delta->head;

  tern_shape_vector (shape, d, "blk.%u.attn_norm.weight", i);
  if (delta_attends (delta, i)) {
    add_attention (shape, i, d, (delta->state ? 2 : 1) * attended, delta->kv_heads * delta->head, attended);
    add_head_norms (shape, i, delta->head);
  } else {
    tern_shape_matrix (shape, d, 2 * keys + values, "blk.%u.attn_qkv.weight", i);
    tern_shape_matrix (shape, d, values, "blk.%u.attn_gate.weight", i);
    tern_shape_matrix (shape, d, delta->value_heads, "blk.%u.ssm_alpha.weight", i);
    tern_shape_matrix (shape, d, delta->value_heads, "blk.%u.ssm_beta.weight", i);
    tern_shape_matrix (shape, 4, 2 * keys + values, "blk.%u.ssm_conv1d.weight", i);
    tern_shape_vector (shape, delta->value_heads, "blk.%u.ssm_dt.bias", i);
    tern_shape_vector (shape, delta->value_heads, "blk.%u.ssm_a", i);
    tern_shape_vector (shape, delta->state, "blk.%u.ssm_norm.weight", i);
    tern_shape_matrix (shape, values, d, "blk.%u.ssm_out.weight", i);
  }
  tern_shape_vector (shape, d, "blk.%u.%s.weight", i, delta->state ? "post_attention_norm" : "ffn_norm");
  add_feed_forward (shape, i, d, delta->ffn, TRUE);
}

/* Which matrices of a ternary Bonsai 2 take rotated inputs, as its files say it (engine/weights/rotation.h). Other types leave
 * the rotation out: only those who read the scaled types know it. */
static void
add_rotation_keys (TernShape *shape, const DeltaShape *delta)
{
  static const char *const matrices[] = { "attn_q", "attn_k", "attn_v", "attn_output", "attn_qkv", "attn_gate", "ssm_out",
    "ffn_gate", "ffn_up", "ffn_down" };
  static const char *const embedding[] = { "token_embd.weight", NULL };
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  if (!delta->rotated || !tern_type_is_scaled (shape->type))
    return;
  for (guint i = 0; i < delta->layers; i++)
    for (guint j = 0; j < G_N_ELEMENTS (matrices); j++) {
      gboolean both = j >= 7, attends = j < 4;

      if (both || attends == delta_attends (delta, i))
        g_ptr_array_add (names, g_strdup_printf ("blk.%u.%s.weight", i, matrices[j]));
    }
  tern_gguf_writer_u32 (shape->writer, "prism.hadamard.version", 2);
  tern_gguf_writer_bool (shape->writer, "prism.hadamard.tied_output", TRUE);
  tern_gguf_writer_u32 (shape->writer, "prism.hadamard.block_size", delta->rotated);
  tern_gguf_writer_string (shape->writer, "prism.hadamard.transform", "normalized-sylvester-walsh-hadamard");
  tern_gguf_writer_string (shape->writer, "prism.hadamard.axis", "input-last-dimension");
  tern_gguf_writer_string (shape->writer, "prism.hadamard.sign_mode", "identity");
  tern_gguf_writer_string_array (shape->writer, "prism.hadamard.weight_names", (const char *const *) names->pdata, names->len);
  tern_gguf_writer_string_array (shape->writer, "prism.hadamard.inverse_weight_names", embedding, 1);
}

static void
lay_out_delta (TernShape *shape, const DeltaShape *delta)
{
  const guint64 embedding[2] = { delta->width, delta->vocabulary };

  add_delta_keys (shape, delta);
  add_rotation_keys (shape, delta);
  tern_vocabulary_write (shape->writer, delta->state ? TERN_VOCABULARY_QWEN35 : TERN_VOCABULARY_QWEN3VL, delta->vocabulary);
  tern_shape_tensor (shape, "token_embd.weight", delta->rotated ? shape->type : NULL, 2, embedding);
  tern_shape_vector (shape, delta->width, "output_norm.weight");
  for (guint i = 0; i < delta->layers; i++)
    add_delta_layer (shape, delta, i);
}

/* ---- Hybrids ----------------------------------------------------------------------------------------------------- */

static gboolean
hybrid_attends (const HybridShape *h, guint layer)
{
  return layer % h->interval == h->attention;
}

/* Of layers of one block: every second one but the attention. */
static gboolean
hybrid_is_ffn (const HybridShape *h, guint layer)
{
  return h->one_block && !hybrid_attends (h, layer) && layer % h->interval % 2 == (layer % h->interval < h->attention);
}

static void
add_hybrid_keys (TernShape *shape, const HybridShape *h)
{
  const char *a = h->architecture;
  const TernShapeNumber counts[] = {
    { "block_count", h->layers }, { "context_length", 1 << 20 }, { "embedding_length", h->width },
    { "attention.head_count", h->heads }, { "attention.key_length", h->head }, { "attention.value_length", h->head },
    { "vocab_size", h->vocabulary }, { "rope.dimension_count", h->head }, { "ssm.conv_kernel", 4 },
    { "ssm.inner_size", h->ssm_heads * h->ssm_head }, { "ssm.state_size", h->states },
    { "ssm.time_step_rank", h->ssm_heads }, { "ssm.group_count", h->groups },
  };
  gint32 heads[64], ffn[64];
  g_autofree char *finetuned = g_strdup_printf ("%s.rope.scaling.finetuned", a);
  g_autofree char *kv_heads = g_strdup_printf ("%s.attention.head_count_kv", a);
  g_autofree char *lengths = g_strdup_printf ("%s.feed_forward_length", a);

  add_general_keys (shape, a, h->name);
  tern_shape_numbers (shape, a, counts, G_N_ELEMENTS (counts));
  set_real (shape, a, h->one_block ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
  tern_gguf_writer_bool (shape->writer, finetuned, FALSE);
  for (guint i = 0; i < h->layers; i++) {
    heads[i] = hybrid_attends (h, i) ? (gint32) h->kv_heads : 0;
    ffn[i] = !h->one_block || hybrid_is_ffn (h, i) ? (gint32) h->ffn : 0;
  }
  tern_gguf_writer_i32_array (shape->writer, kv_heads, heads, h->layers);
  if (h->one_block) {
    tern_gguf_writer_i32_array (shape->writer, lengths, ffn, h->layers);
  } else {
    tern_shape_numbers (shape, a, &(const TernShapeNumber) { "feed_forward_length", h->ffn }, 1);
    set_real (shape, a, "attention.scale", 0.015625f);
    set_real (shape, a, "embedding_scale", 12);
    set_real (shape, a, "residual_scale", 0.22f);
    set_real (shape, a, "logit_scale", 8);
  }
}

static void
add_hybrid_mixer (TernShape *shape, const HybridShape *h, guint i)
{
  guint d = h->width, inner = h->ssm_heads * h->ssm_head, mixed = inner + 2 * h->groups * h->states;
  const guint64 for_heads[2] = { 1, h->ssm_heads };

  if (hybrid_attends (h, i)) {
    add_attention (shape, i, d, h->heads * h->head, h->kv_heads * h->head, h->heads * h->head);
    return;
  }
  tern_shape_matrix (shape, d, inner + mixed + h->ssm_heads, "blk.%u.ssm_in.weight", i);
  tern_shape_matrix (shape, 4, mixed, "blk.%u.ssm_conv1d.weight", i);
  tern_shape_vector (shape, mixed, "blk.%u.ssm_conv1d.bias", i);
  tern_shape_vector (shape, h->ssm_heads, "blk.%u.ssm_dt.bias", i);
  for (guint k = 0; k < 2; k++) {
    g_autofree char *name = g_strdup_printf ("blk.%u.ssm_%c", i, "ad"[k]);

    tern_shape_tensor (shape, name, NULL, 2, for_heads);
  }
  tern_shape_matrix (shape, inner / h->groups, h->groups, "blk.%u.ssm_norm.weight", i);
  tern_shape_matrix (shape, inner, d, "blk.%u.ssm_out.weight", i);
}

static void
add_hybrid_layer (TernShape *shape, const HybridShape *h, guint i)
{
  guint d = h->width;

  tern_shape_vector (shape, d, "blk.%u.attn_norm.weight", i);
  if (!hybrid_is_ffn (h, i))
    add_hybrid_mixer (shape, h, i);
  if (h->one_block && !hybrid_is_ffn (h, i))
    return;
  if (!h->one_block)
    tern_shape_vector (shape, d, "blk.%u.ffn_norm.weight", i);
  add_feed_forward (shape, i, d, h->ffn, !h->one_block);
}

static void
lay_out_hybrid (TernShape *shape, const HybridShape *h)
{
  add_hybrid_keys (shape, h);
  tern_vocabulary_write (shape->writer, TERN_VOCABULARY_LFM2, h->vocabulary);
  tern_shape_matrix (shape, h->width, h->vocabulary, "token_embd.weight");
  if (h->one_block)
    tern_shape_matrix (shape, h->width, h->vocabulary, "output.weight");
  tern_shape_vector (shape, h->width, "output_norm.weight");
  for (guint i = 0; i < h->layers; i++)
    add_hybrid_layer (shape, h, i);
}

/* ---- The bundled model's ----------------------------------------------------------------------------------------- */

static void
lay_out_like (TernShape *shape, const TernGguf *file)
{
  for (gsize i = 0; i < tern_gguf_n_keys (file); i++) {
    const char *name = tern_gguf_key (file, i, NULL);

    if (g_str_equal (name, "general.name"))
      tern_gguf_writer_string (shape->writer, name, "random " TERN_SHAPE_SHIPPED);
    else if (shape->type && g_str_equal (name, "general.file_type"))
      tern_gguf_writer_u32 (shape->writer, name, shape->file_type);
    else
      tern_gguf_writer_copy_key (shape->writer, tern_gguf_key_record (file, i));
  }
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    tern_shape_tensor (shape, tensor->name, shape->type ? NULL : tensor->type, tensor->n_dims, tensor->dims);
  }
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void
tensor_clear (gpointer data)
{
  g_free (((TernShapeTensor *) data)->name);
}

gboolean
tern_shape_is_text (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (text_shapes); i++)
    if (g_str_equal (text_shapes[i].name, name))
      return TRUE;
  return FALSE;
}

static TernShape *
lay_out (const char *name, const char *type, const TernGguf *shipped, double agree)
{
  TernShape *shape = g_new0 (TernShape, 1);

  shape->agree = agree;
  if (!type && !shipped)
    type = tern_shape_is_vision (name) ? "F16" : "TQ2_0";
  shape->type = type ? tern_shape_type (type, &shape->file_type) : NULL;
  shape->writer = tern_gguf_writer_new (shipped ? tern_gguf_alignment (shipped) : ALIGNMENT);
  shape->tensors = g_array_new (FALSE, FALSE, sizeof (TernShapeTensor));
  g_array_set_clear_func (shape->tensors, tensor_clear);
  if (shipped)
    lay_out_like (shape, shipped);
  for (guint i = 0; i < G_N_ELEMENTS (text_shapes); i++)
    if (g_str_equal (text_shapes[i].name, name))
      lay_out_text (shape, &text_shapes[i]);
  for (guint i = 0; i < G_N_ELEMENTS (delta_shapes); i++)
    if (g_str_equal (delta_shapes[i].name, name))
      lay_out_delta (shape, &delta_shapes[i]);
  for (guint i = 0; i < G_N_ELEMENTS (hybrid_shapes); i++)
    if (g_str_equal (hybrid_shapes[i].name, name))
      lay_out_hybrid (shape, &hybrid_shapes[i]);
  tern_vision_shape_lay_out (shape, name);
  return shape;
}

TernShape *
tern_shape_new (const char *name, const char *type, const TernGguf *shipped)
{
  return lay_out (name, type, shipped, 0);
}

TernShape *
tern_shape_new_chain (const char *name, const char *type, double agree)
{
  g_return_val_if_fail (agree > 0 && tern_shape_is_text (name), NULL);
  return lay_out (name, type, NULL, agree);
}

void
tern_shape_free (TernShape *shape)
{
  tern_gguf_writer_free (shape->writer);
  g_array_unref (shape->tensors);
  g_free (shape);
}

guint64
tern_shape_bytes (const TernShape *shape)
{
  return tern_gguf_writer_size (shape->writer);
}

guint64
tern_shape_packed_bytes (const TernShape *shape)
{
  return shape->packed;
}

static gboolean
write_tensors (TernShape *shape, GError **error)
{
  g_autoptr (TernValues) values = tern_values_new ();

  for (guint i = 0; i < shape->tensors->len; i++) {
    const TernShapeTensor *tensor = &g_array_index (shape->tensors, TernShapeTensor, i);
    gboolean chain = shape->agree > 0 && (g_str_equal (tensor->name, "token_embd.weight")
        || g_str_equal (tensor->name, "output.weight"));

    if (!(chain ? tern_chain_write (tensor, shape->agree, shape->writer, error)
            : tern_values_write (values, tensor, shape->writer, error)))
      return FALSE;
  }
  return tern_gguf_writer_finish (shape->writer, error);
}

gboolean
tern_shape_save (TernShape *shape, const char *path, GError **error)
{
  return tern_gguf_writer_begin (shape->writer, path, error) && write_tensors (shape, error);
}

gboolean
tern_shape_write (TernShape *shape, int fd, const char *name, GError **error)
{
  return tern_gguf_writer_begin_fd (shape->writer, fd, name, error) && write_tensors (shape, error);
}
