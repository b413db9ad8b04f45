/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How every family is put together: embedding, layers, last norm, head. What differs is in TernArch. */
#include <string.h>

#include "tern/error.h"
#include "engine/llm/arch/arch.h"

static void
fill_info (TernLlm *llm, const TernDecoderParams *p)
{
  TernLlmInfo *info = &llm->info;

  info->n_layers = p->n_layers;
  info->n_unused = p->n_extra;
  info->width = p->width;
  info->n_vocab = p->n_vocab;
  info->n_heads = p->max_heads;
  info->head_dim = p->head_dim;
  info->context = p->context;
  info->deepstack = p->deepstack;
  info->visual_dim = p->width * (1 + p->deepstack);
  llm->is_attention = g_new0 (guint8, p->n_layers);
  info->is_attention = llm->is_attention;
  for (guint i = 0; i < p->n_layers; i++) {
    llm->is_attention[i] = p->kv_heads[i] > 0;
    info->n_attention += llm->is_attention[i];
    info->ffn_width = MAX (info->ffn_width, p->ffn[i]);
  }
}

/* Looks through the family's table at layer @i. */
static void
enter_layer (TernDecoder *d, guint i)
{
  const TernDecoderParams *p = &d->params;
  guint64 *dims = d->source.dims;

  d->source.layer = i;
  dims[TERN_D] = p->width;
  dims[TERN_D3] = 3 * (guint64) p->width;
  dims[TERN_V] = p->n_vocab;
  dims[TERN_H] = p->head_dim;
  dims[TERN_R2] = p->rope_dim / 2;
  dims[TERN_Q] = (guint64) p->heads[i] * p->head_dim;
  dims[TERN_KV] = (guint64) p->kv_heads[i] * p->head_dim;
  dims[TERN_Q2] = 2 * dims[TERN_Q];
  dims[TERN_QKV] = dims[TERN_Q] + 2 * dims[TERN_KV];
  dims[TERN_F] = p->ffn[i];
  dims[TERN_1] = 1;
}

/* Frequencies may be divided by one factor for all, and by one for each (Llama 3). */
static gboolean
load_rope (TernDecoder *d, GError **error)
{
  const TernDecoderParams *p = &d->params;
  TernRope *rope = &d->llm->rope;
  float *factors;
  gboolean ok;

  tern_rope_init (rope, p->rope_dim, p->rope_base);
  rope->pairs = d->arch->rope_pairs;
  if (p->has_sections)
    tern_rope_interleave (rope, p->rope_sections[TERN_AXIS_H], p->rope_sections[TERN_AXIS_W]);
  d->llm->info.has_places = p->has_sections;
  if (p->yarn.factor > 0)
    tern_rope_yarn (rope, p->rope_base, p->yarn.factor, p->yarn.original, p->yarn.beta_fast, p->yarn.beta_slow);
  rope->magnitude *= p->rope_magnitude;
  if (!tern_block_vector (&d->source, &factors, "rope_freqs.weight", error))
    return FALSE;
  ok = tern_rope_divide (rope, factors, p->rope_stretch);
  if (!ok && factors)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor rope_freqs.weight: expected factors above 0 that "
        "leave frequencies finite, found another value", tern_gguf_path (d->llm->file));
  else if (!ok)
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: keys %s.rope.freq_base and %s.rope.scaling.factor: "
        "expected values that leave frequencies finite, found %g and %g", tern_gguf_path (d->llm->file),
        d->architecture, d->architecture, p->rope_base, MAX (p->yarn.factor, p->rope_stretch));
  tern_mem_free (factors);
  return ok;
}

static gboolean
load_ends (TernDecoder *d, GError **error)
{
  TernLlm *llm = d->llm;

  if (!tern_block_linear (&d->source, &llm->embedding, "token_embd.weight", error)
      || !tern_block_linear (&d->source, &llm->output, "output.weight", error)
      || !tern_block_vector (&d->source, &llm->final_norm, "output_norm.weight", error))
    return FALSE;
  llm->tied = !llm->output.rows;
  return TRUE;
}

/* Blocks have checked what their tensors say; what a product of such sizes takes, no tensor shows. */
static gboolean
check_state (const TernDecoder *d, GError **error)
{
  gsize bytes = tern_llm_state_bytes (d->llm);
  char key[TERN_KEY_SIZE];

  if (bytes <= TERN_STATE_MAX)
    return TRUE;
  if (!tern_gguf_has (d->llm->file, tern_arch_key (key, d->architecture, "ssm.state_size")))
    tern_arch_key (key, d->architecture, "shortconv.l_cache");
  return tern_gguf_bad_key (d->llm->file, key, error, "expected recurrent states, which it sizes with others, of at most %"
      G_GUINT64_FORMAT " bytes for all layers together, found %" G_GSIZE_FORMAT, TERN_STATE_MAX, bytes);
}

static gboolean
load_layers (TernDecoder *d, GError **error)
{
  for (guint i = 0; i < d->params.n_layers; i++) {
    TernLayer *layer = &d->llm->layers[i];

    enter_layer (d, i);
    if (!tern_block_vector (&d->source, &layer->mixer_norm, "attn_norm.weight", error)
        || !tern_block_vector (&d->source, &layer->ffn_norm, "ffn_norm.weight", error)
        || !d->arch->layer (d, layer, error))
      return FALSE;
  }
  return TRUE;
}

/* Some relatives keep the name of a dense family: Mixtral is a llama. */
static gboolean
check_experts (const TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 n;

  for (const TernTensorRow *row = d->arch->tensors; row->name; row++)
    for (guint i = 0; i < G_N_ELEMENTS (row->dims); i++)
      if (row->dims[i] == TERN_E)
        return TRUE;
  if (!tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_count"), 0, G_MAXUINT32, 0, &n,
          error))
    return FALSE;
  if (!n)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected 0 (this architecture runs without "
      "experts), found %u", tern_gguf_path (d->llm->file), key, n);
  return FALSE;
}

static gboolean
load (TernDecoder *d, GError **error)
{
  TernLlm *llm = d->llm;

  if (!tern_decoder_params_read (&d->params, d->arch, llm->file, d->architecture, error))
    return FALSE;
  d->source.n_layers = d->params.n_layers;
  d->source.n_extra = d->params.n_extra;
  if (!check_experts (d, error))
    return FALSE;
  enter_layer (d, 0);
  if (d->arch->keys && !d->arch->keys (d, error))
    return FALSE;
  fill_info (llm, &d->params);
  llm->eps = d->params.eps;
  llm->embedding_scale = d->embedding_scale;
  llm->residual_scale = d->residual_scale;
  llm->logit_scale = d->logit_scale;
  llm->bit_linear = d->arch->bit_linear;
  llm->layers = g_new0 (TernLayer, d->params.n_layers);
  return load_rope (d, error) && load_ends (d, error) && load_layers (d, error) && check_state (d, error)
      && tern_block_check_names (&d->source, error);
}

gboolean
tern_decoder_load (TernLlm *llm, const TernArch *arch, const char *architecture, GError **error)
{
  TernDecoder d = {
    .llm = llm, .arch = arch, .architecture = architecture, .embedding_scale = 1, .residual_scale = 1, .logit_scale = 1,
    .source = { .file = llm->file, .kernels = llm->kernels, .architecture = architecture, .table = arch->tensors },
  };
  gboolean ok = load (&d, error);

  g_free (d.expert_ffn);
  tern_decoder_params_clear (&d.params);
  return ok;
}

TernBlock *
tern_decoder_attention (const TernDecoder *d, GError **error)
{
  const TernDecoderParams *p = &d->params;
  guint i = d->source.layer;
  char key[TERN_KEY_SIZE];

  if (!p->kv_heads[i]) {        /* some relatives have layers without attention */
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected 1 or more in layer %u, found 0",
        tern_gguf_path (d->source.file), tern_arch_key (key, d->architecture, "attention.head_count_kv"), i);
    return NULL;
  }
  return tern_attention_new (&d->source, &(TernAttentionParams) { .width = p->width, .n_heads = p->heads[i],
          .n_kv = p->kv_heads[i], .head_dim = p->head_dim, .eps = p->eps, .scale = p->attention_scale,
          .gated = d->arch->gated_attention }, error);
}

TernBlock *
tern_decoder_ffn (const TernDecoder *d, TernGate gate, GError **error)
{
  return tern_ffn_new (&d->source, &(TernFfnParams) { .width = d->params.width, .inner = d->params.ffn[d->source.layer],
          .gate = gate, .eps = d->params.eps }, error);
}
