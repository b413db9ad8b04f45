/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Granite 3 and the dense ones of Granite 4, and with experts, with or without a shared one beside them, whose weights
 * are a softmax of those chosen: a llama with multipliers. Q and K are interleaved as llama's are;
 * rope.scaling.finetuned says whether there are positions at all. Granite 4 Vision's text model, which says where
 * features are added, is refused by its key. */
#include <float.h>

#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/granite.h"
#include "engine/llm/arch/rows.h"

#define MAX_INNER (1u << 20)    /* of the shared expert */

static const TernTensorRow tensors[] = {
  TERN_ROWS_LLAMA,
  TERN_ROWS_LLAMA_FFN,
  { NULL }
};

static const TernTensorRow moe_tensors[] = {
  TERN_ROWS_LLAMA,
  TERN_ROWS_EXPERTS,
  TERN_ROWS_SHARED_EXPERT,
  { NULL }
};

/* ---- Multipliers ------------------------------------------------------------------------------------------------- */

const char *const tern_granite_variants[] = { "attention.scale", "embedding_scale", "residual_scale", "logit_scale", NULL };

/* A key that is 0 is not used: that is how converters say so. */
static gboolean
read_scale (const TernDecoder *d, const char *name, float *value, float fallback, GError **error)
{
  char key[TERN_KEY_SIZE];

  if (!tern_gguf_f32_or (d->source.file, tern_arch_key (key, d->architecture, name), 0, FLT_MAX, 0, value, error))
    return FALSE;
  if (*value == 0)
    *value = fallback;
  return TRUE;
}

gboolean
tern_granite_scales (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];
  float divisor;

  if (!read_scale (d, "attention.scale", &d->params.attention_scale, 0, error)
      || !read_scale (d, "embedding_scale", &d->embedding_scale, 1, error)
      || !read_scale (d, "residual_scale", &d->residual_scale, 1, error)
      || !read_scale (d, "logit_scale", &divisor, 1, error))
    return FALSE;
  d->logit_scale = 1 / divisor;
  return (d->logit_scale > 0 && d->logit_scale <= FLT_MAX) || tern_gguf_bad_key (d->source.file, tern_arch_key (key,
          d->architecture, "logit_scale"), error, "expected a value that logits can be divided by, found %g", divisor);
}

/* ---- Experts ----------------------------------------------------------------------------------------------------- */

gboolean
tern_granite_experts (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 shared;

  d->moe.router = TERN_ROUTER_SOFTMAX_CHOSEN;
  if (!tern_decoder_experts (d, error)
      || !tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_shared_feed_forward_length"), 0,
          MAX_INNER, 0, &shared, error))
    return FALSE;
  d->source.dims[TERN_FS] = shared;
  return TRUE;
}

/* ---- Families ---------------------------------------------------------------------------------------------------- */

static gboolean
granitemoe_keys (TernDecoder *d, GError **error)
{
  return tern_granite_scales (d, error) && tern_granite_experts (d, error);
}

static gboolean
granite_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_attention (d, error)) && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static gboolean
granitemoe_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_attention (d, error))
      && (layer->ffn = tern_decoder_moe (d, d->params.ffn[d->source.layer], error));
}

static const char *const names[] = { "granite", NULL };
static const char *const moe_names[] = { "granitemoe", NULL };

const TernArch tern_arch_granite = {
  .names = names,
  .tensors = tensors,
  .rope_pairs = TRUE,
  .positions_by_key = TRUE,
  .variants = tern_granite_variants,
  .keys = tern_granite_scales,
  .layer = granite_layer,
};

const TernArch tern_arch_granitemoe = {
  .names = moe_names,
  .tensors = moe_tensors,
  .rope_pairs = TRUE,
  .positions_by_key = TRUE,
  .variants = tern_granite_variants,
  .keys = granitemoe_keys,
  .layer = granitemoe_layer,
};
