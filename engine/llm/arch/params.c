/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys that families have in common. File values are hostile: nothing is divided by, multiplied or allocated with
 * before its range was checked; products stay within the tensors that must be there to hold them. */
#include "engine/llm/arch/arch.h"

#include <float.h>
#include <string.h>

#include "tern/error.h"

#define MAX_WIDTH (1u << 20)
#define MAX_INNER (1u << 24)    /* features inside a block */
#define MAX_CONTEXT (1u << 27)

const char *
tern_arch_key (char *buffer, const char *architecture, const char *name)
{
  g_snprintf (buffer, TERN_KEY_SIZE, "%s.%s", architecture, name);
  return buffer;
}

static gboolean
is_text (TernBytes bytes, const char *text)
{
  return bytes.data && bytes.len == strlen (text) && !memcmp (bytes.data, text, bytes.len);
}

/* Keys of relatives that change every result and that no family here computes, unless it lists them, and the values that change
 * nothing. A key that is 0 is not used: that is how converters say so. */
static const struct {
  const char *name;
  float neutral;
} variants[] = {
  { "logit_scale", 1 },
  { "residual_scale", 1 },
  { "embedding_scale", 1 },
  { "attention.scale", 0 },
  { "attention.output_scale", 1 },
  { "attention.value_scale", 1 },
  { "attention.clamp_kqv", 0 },
  { "attention.max_alibi_bias", 0 },
  { "attention.temperature_scale", 0 },
  { "attn_logit_softcapping", 0 },
  { "final_logit_softcapping", 0 },
  { "router_logit_softcapping", 0 },
  { "expert_group_scale", 0 },
  { "rope.scaling.alpha", 1 },
  { "rope.scaling.yarn_ext_factor", 1 },
  { "rope.scaling.yarn_attn_factor", 1 },
  { "rope.scaling.yarn_log_multiplier", 0 },
};

/* The same, of integers. */
static const struct {
  const char *name;
  guint32 neutral;
} counts[] = {
  { "n_deepstack_layers", 0 },
  { "pooling_type", 0 },        /* embeddings and rerankers, the latter of which may have lost their head */
  { "attention.shared_kv_layers", 0 },
  { "adapters.count", 0 },
  { "moe_every_n_layers", 1 },
  { "num_loops", 1 },
};

/* Lists with a value for each layer, of which one other than this one changes results. */
static const struct {
  const char *name;
  TernGgufType type;
  float neutral;
} lists[] = {
  { "deepstack_mapping", TERN_GGUF_I32, -1 },   /* Granite 4 Vision: which features are added behind which layer */
  { "swiglu_clamp_exp", TERN_GGUF_F32, 0 },
  { "swiglu_clamp_shexp", TERN_GGUF_F32, 0 },
};

static gboolean
unsupported (const TernGguf *file, const char *key, GError **error, const char *format, ...) G_GNUC_PRINTF (4, 5);

static gboolean
unsupported (const TernGguf *file, const char *key, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: %s", tern_gguf_path (file), key, what);
  return FALSE;
}

static gboolean
computes (const TernArch *family, const char *name)
{
  return family->variants && g_strv_contains (family->variants, name);
}

static gboolean
refuse_counts (const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    guint32 value;

    if (computes (family, counts[i].name))
      continue;
    if (!tern_gguf_u32_or (file, tern_arch_key (key, arch, counts[i].name), 0, G_MAXUINT32, 0, &value, error))
      return FALSE;
    if (value != 0 && value != counts[i].neutral)
      return unsupported (file, key, error, "expected %u or none, found %u", counts[i].neutral, value);
  }
  return TRUE;
}

static gboolean
refuse_lists (const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];

  for (guint i = 0; i < G_N_ELEMENTS (lists); i++) {
    TernGgufArray list;

    if (!tern_gguf_array (file, tern_arch_key (key, arch, lists[i].name), lists[i].type, FALSE, &list, error))
      return FALSE;
    for (guint64 layer = 0; layer < list.count; layer++) {
      TernGgufValue value;
      double found;

      tern_gguf_element (&list, layer, &value);
      found = lists[i].type == TERN_GGUF_F32 ? value.f64 : (double) value.i64;
      if (!(found == lists[i].neutral))
        return unsupported (file, key, error, "expected %g for every layer or none, found %g for layer %" G_GUINT64_FORMAT,
            lists[i].neutral, found, layer);
    }
  }
  return TRUE;
}

/* What a file says of the gate of its feed-forwards: every family here has SiLU, but for those that list the key. */
static gboolean
refuse_activation (const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  g_autofree char *found = NULL;
  char key[TERN_KEY_SIZE];
  TernBytes name;

  if (computes (family, "hidden_activation"))
    return TRUE;
  if (!tern_gguf_string_or (file, tern_arch_key (key, arch, "hidden_activation"), &name, error))
    return FALSE;
  if (!name.data || is_text (name, "silu") || is_text (name, "swish"))
    return TRUE;
  found = tern_bytes_quote (name);
  return unsupported (file, key, error, "expected \"silu\" or none, found %s", found);
}

/* What changes how layers are put together. */
static gboolean
refuse_flags (const TernGguf *file, const char *arch, GError **error)
{
  static const struct {
    const char *name;
    gboolean expected;
  } flags[] = { { "attention.causal", TRUE }, { "use_parallel_residual", FALSE } };
  char key[TERN_KEY_SIZE];

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    gboolean value;

    if (!tern_gguf_bool_or (file, tern_arch_key (key, arch, flags[i].name), flags[i].expected, &value, error))
      return FALSE;
    if (value != flags[i].expected)
      return unsupported (file, key, error, "expected %s, found %s", value ? "false" : "true", value ? "true" : "false");
  }
  return TRUE;
}

static gboolean
refuse_variants (const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 window;

  if (!refuse_flags (file, arch, error) || !refuse_counts (family, file, arch, error) || !refuse_lists (file, arch, error)
      || !refuse_activation (family, file, arch, error))
    return FALSE;
  if (!tern_gguf_u32_or (file, tern_arch_key (key, arch, "attention.sliding_window"), 0, G_MAXUINT32, 0, &window,
          error))
    return FALSE;
  if (window)
    return unsupported (file, key, error, "expected 0 (attention to everything), found %u", window);
  for (guint i = 0; i < G_N_ELEMENTS (variants); i++) {
    float value;

    if (computes (family, variants[i].name))
      continue;
    if (!tern_gguf_f32_or (file, tern_arch_key (key, arch, variants[i].name), -FLT_MAX, FLT_MAX, 0, &value, error))
      return FALSE;
    if (value != 0 && value != variants[i].neutral)
      return unsupported (file, key, error, "expected %g or none, found %g", variants[i].neutral, value);
  }
  return TRUE;
}

/* Widths: the embedding tensor says what is true, the keys must agree. */
static gboolean
read_widths (TernDecoderParams *p, const TernGguf *file, const char *arch, GError **error)
{
  const TernTensor *embedding = tern_gguf_find (file, "token_embd.weight");
  char key[TERN_KEY_SIZE];
  TernGgufArray tokens;
  guint32 n_vocab;

  if (!tern_gguf_u32 (file, tern_arch_key (key, arch, "embedding_length"), 1, MAX_WIDTH, &p->width, error))
    return FALSE;
  if (!embedding) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor token_embd.weight is missing",
        tern_gguf_path (file));
    return FALSE;
  }
  if (embedding->dims[0] != p->width)
    return tern_gguf_bad_key (file, key, error, "expected the width of token_embd.weight, %" G_GUINT64_FORMAT ", found %u",
        embedding->dims[0], p->width);
  if (embedding->dims[1] < 1 || embedding->dims[1] > G_MAXINT32) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor token_embd.weight: expected 1 to %d rows, found %"
        G_GUINT64_FORMAT, tern_gguf_path (file), G_MAXINT32, embedding->dims[1]);
    return FALSE;
  }
  p->n_vocab = embedding->dims[1];

  tern_arch_key (key, arch, "vocab_size");
  if (!tern_gguf_u32_or (file, key, 1, G_MAXINT32, p->n_vocab, &n_vocab, error))
    return FALSE;
  if (n_vocab > p->n_vocab)
    return tern_gguf_bad_key (file, key, error, "expected at most the %u rows of token_embd.weight, found %u", p->n_vocab,
        n_vocab);
  if (!tern_gguf_array (file, "tokenizer.ggml.tokens", TERN_GGUF_STRING, FALSE, &tokens, error))
    return FALSE;
  if (tokens.count > p->n_vocab)
    return tern_gguf_bad_key (file, "tokenizer.ggml.tokens", error, "expected at most the %u rows of token_embd.weight, found %"
        G_GUINT64_FORMAT " tokens", p->n_vocab, tokens.count);
  return TRUE;
}

/* Heads: every attention layer's query heads share kv heads evenly. */
static gboolean
read_heads (TernDecoderParams *p, const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE], heads_key[TERN_KEY_SIZE];
  guint first = 0;
  gboolean has_length;

  tern_arch_key (heads_key, arch, "attention.head_count");
  if (!tern_gguf_u32_layers (file, heads_key, 0, p->width, p->n_layers, p->heads, error))
    return FALSE;
  tern_arch_key (key, arch, "attention.head_count_kv");
  if (!tern_gguf_has (file, key))
    memcpy (p->kv_heads, p->heads, p->n_layers * sizeof (guint32));
  else if (!tern_gguf_u32_layers (file, key, 0, p->width, p->n_layers, p->kv_heads, error))
    return FALSE;
  for (guint i = 0; i < p->n_layers; i++) {
    if (p->kv_heads[i] && !p->heads[i])
      return tern_gguf_bad_key (file, heads_key, error, "expected 1 to %u in layer %u, found 0", p->width, i);
    if (p->kv_heads[i] > p->heads[i] || (p->kv_heads[i] && p->heads[i] % p->kv_heads[i]))
      return tern_gguf_bad_key (file, key, error, "expected a divisor of the %u heads of layer %u, found %u", p->heads[i], i,
          p->kv_heads[i]);
    first = first ? first : p->heads[i];
    p->max_heads = MAX (p->max_heads, p->heads[i]);
  }

  if (!first && family->sparse_layers)
    return TRUE;
  if (!first)
    return tern_gguf_bad_key (file, heads_key, error, "expected 1 to %u, found 0", p->width);
  has_length = tern_gguf_has (file, tern_arch_key (key, arch, "attention.key_length"));
  if (!has_length && p->width % first)
    return tern_gguf_bad_key (file, heads_key, error, "expected a divisor of the width %u, found %u", p->width, first);
  tern_arch_key (key, arch, "attention.key_length");
  if (!tern_gguf_u32_or (file, key, 1, 1u << 16, p->width / first, &p->head_dim, error))
    return FALSE;
  if ((guint64) p->head_dim * p->max_heads > MAX_INNER)
    return tern_gguf_bad_key (file, key, error, "expected at most %u values in all %u heads, found %u in each", MAX_INNER,
        p->max_heads, p->head_dim);
  return TRUE;
}

static gboolean
check_value_length (const TernDecoderParams *p, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 length;

  tern_arch_key (key, arch, "attention.value_length");
  if (!tern_gguf_u32_or (file, key, 1, 1u << 16, p->head_dim, &length, error))
    return FALSE;
  return length == p->head_dim || tern_gguf_bad_key (file, key, error, "expected the length of a key, %u, found %u",
      p->head_dim, length);
}

static gboolean
read_yarn (TernDecoderParams *p, const TernGguf *file, const char *arch, float factor, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 original;

  if (p->rope_base <= 1)
    return tern_gguf_bad_key (file, tern_arch_key (key, arch, "rope.freq_base"), error, "expected more than 1, found %g",
        p->rope_base);
  p->yarn.factor = factor > 0 ? factor : 1;
  if (!tern_gguf_u32_or (file, tern_arch_key (key, arch, "rope.scaling.original_context_length"), 1, MAX_CONTEXT,
          p->context, &original, error)
      || !tern_gguf_f32_or (file, tern_arch_key (key, arch, "rope.scaling.yarn_beta_fast"), FLT_MIN, FLT_MAX, 32,
          &p->yarn.beta_fast, error)
      || !tern_gguf_f32_or (file, tern_arch_key (key, arch, "rope.scaling.yarn_beta_slow"), FLT_MIN, FLT_MAX, 1,
          &p->yarn.beta_slow, error))
    return FALSE;
  p->yarn.original = original;
  return TRUE;
}

/* Positions that were stretched to fit more of them. A factor without a type is linear, as everywhere in GGUF; attn_factor counts
 * whatever the type. */
static gboolean
read_rope_scaling (TernDecoderParams *p, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];
  g_autofree char *found = NULL;
  TernBytes type;
  float factor;

  tern_arch_key (key, arch, "rope.scaling.factor");
  if (!tern_gguf_has (file, key))
    tern_arch_key (key, arch, "rope.scale_linear");
  if (!tern_gguf_f32_or (file, key, 0, FLT_MAX, 1, &factor, error)
      || !tern_gguf_f32_or (file, tern_arch_key (key, arch, "rope.scaling.attn_factor"), FLT_MIN, FLT_MAX, 1,
          &p->rope_magnitude, error)
      || !tern_gguf_string_or (file, tern_arch_key (key, arch, "rope.scaling.type"), &type, error))
    return FALSE;
  p->rope_stretch = 1;
  if (is_text (type, "none"))
    return TRUE;
  if (!type.data || is_text (type, "linear")) {
    p->rope_stretch = factor > 0 ? factor : 1;
    return TRUE;
  }
  if (is_text (type, "yarn"))
    return read_yarn (p, file, arch, factor, error);
  found = tern_bytes_quote (type);
  return unsupported (file, key, error, "expected \"none\", \"linear\" or \"yarn\", found %s", found);
}

static gboolean
read_rope (TernDecoderParams *p, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];

  /* A file without the key means 10000, as everywhere in GGUF. */
  if (!tern_gguf_f32_or (file, tern_arch_key (key, arch, "rope.freq_base"), FLT_MIN, FLT_MAX, 10000, &p->rope_base,
          error)
      || !tern_gguf_u32_or (file, tern_arch_key (key, arch, "rope.dimension_count"), 2, p->head_dim, p->head_dim,
          &p->rope_dim, error))
    return FALSE;
  if (p->rope_dim % 2)
    return tern_gguf_bad_key (file, key, error, "expected an even number, found %u", p->rope_dim);
  return read_rope_scaling (p, file, arch, error);
}

/* Layers of heads that guess further tokens are counted with the others, behind which they stand. */
static gboolean
leave_extra (TernDecoderParams *p, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];

  if (!tern_gguf_u32_or (file, tern_arch_key (key, arch, "nextn_predict_layers"), 0, p->n_layers - 1, 0, &p->n_extra, error))
    return FALSE;
  p->n_layers -= p->n_extra;
  return TRUE;
}

static gboolean
read_eps (TernDecoderParams *p, const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE], other[TERN_KEY_SIZE];

  tern_arch_key (key, arch, "attention.layer_norm_rms_epsilon");
  tern_arch_key (other, arch, "attention.layer_norm_epsilon");
  if (family->layer_norm_epsilon && !tern_gguf_has (file, key) && tern_gguf_has (file, other))
    return tern_gguf_f32 (file, other, FLT_MIN, 1, &p->eps, error);
  return tern_gguf_f32 (file, key, FLT_MIN, 1, &p->eps, error);
}

/* RoPE, where the family has it and the file does not switch it off. */
static gboolean
read_positions (TernDecoderParams *p, const TernArch *family, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];
  gboolean turns = !family->no_positions;

  if (family->positions_by_key && !tern_gguf_bool_or (file, tern_arch_key (key, arch, "rope.scaling.finetuned"), TRUE, &turns,
          error))
    return FALSE;
  return !turns || read_rope (p, file, arch, error);
}

gboolean
tern_decoder_params_read (TernDecoderParams *p, const TernArch *family, const TernGguf *file, const char *arch,
    GError **error)
{
  char key[TERN_KEY_SIZE];

  /* No layer is without tensors: more layers than tensors cannot be, and must not size anything. */
  if (!tern_gguf_u32 (file, tern_arch_key (key, arch, "block_count"), 1, MIN (tern_gguf_n_tensors (file), 65536),
          &p->n_layers, error)
      || !read_widths (p, file, arch, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, arch, "context_length"), 1, MAX_CONTEXT, &p->context, error)
      || !read_eps (p, family, file, arch, error))
    return FALSE;
  p->heads = g_new0 (guint32, p->n_layers);
  p->kv_heads = g_new0 (guint32, p->n_layers);
  p->ffn = g_new0 (guint32, p->n_layers);
  return read_heads (p, family, file, arch, error) && (!p->max_heads || check_value_length (p, file, arch, error))
      && read_positions (p, family, file, arch, error)
      && (family->experts_alone || tern_gguf_u32_layers (file, tern_arch_key (key, arch, "feed_forward_length"),
              !family->sparse_layers, MAX_INNER, p->n_layers, p->ffn, error))
      && refuse_variants (family, file, arch, error) && leave_extra (p, file, arch, error);
}

gboolean
tern_decoder_sections (TernDecoder *d, GError **error)
{
  TernDecoderParams *p = &d->params;
  guint32 *s = p->rope_sections;
  char key[TERN_KEY_SIZE];

  tern_arch_key (key, d->architecture, "rope.dimension_sections");
  if (!tern_gguf_u32_layers (d->source.file, key, 0, p->rope_dim / 2, G_N_ELEMENTS (p->rope_sections), s, error))
    return FALSE;
  if (s[0] + s[1] + s[2] != p->rope_dim / 2 || s[3])
    return tern_gguf_bad_key (d->source.file, key, error, "expected three numbers that sum to %u, half of rope.dimension_count, "
        "and 0, found %u, %u, %u and %u", p->rope_dim / 2, s[0], s[1], s[2], s[3]);
  p->has_sections = TRUE;
  return TRUE;
}

void
tern_decoder_params_clear (TernDecoderParams *p)
{
  g_clear_pointer (&p->heads, g_free);
  g_clear_pointer (&p->kv_heads, g_free);
  g_clear_pointer (&p->ffn, g_free);
}
