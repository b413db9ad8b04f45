/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Granite 4 H and Bamba: layers of Mamba-2 and a few of attention, which have kv heads; a dense feed-forward or experts with a
 * shared one beside them, whose weights are a softmax of those chosen. Granite has four multipliers and no positions; Bamba
 * turns neighbours in the first values of a head. Which it is, rope.scaling.finetuned says. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/granite.h"
#include "engine/llm/arch/ssm.h"

static const TernTensorRow tensors[] = {
  TERN_ROWS_ENDS,
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE },
  { "blk.N.ffn_norm.weight", { TERN_D } },
  TERN_ROWS_ATTENTION,
  TERN_SSM_MAMBA2 (FALSE),
  TERN_ROWS_GATED_FFN,
  TERN_ROWS_EXPERTS,
  TERN_ROWS_SHARED_EXPERT,
  { NULL }
};

static gboolean
granitehybrid_keys (TernDecoder *d, GError **error)
{
  return tern_ssm_keys_mamba2 (d, error) && tern_granite_scales (d, error) && tern_granite_experts (d, error);
}

static gboolean
granitehybrid_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  guint i = d->source.layer;

  layer->mixer = d->params.kv_heads[i] ? tern_decoder_attention (d, error) : tern_decoder_mamba2 (d, error);
  if (!layer->mixer)
    return FALSE;
  layer->ffn = d->moe.n_experts ? tern_decoder_moe (d, d->params.ffn[i], error)
      : tern_decoder_ffn (d, TERN_GATE_SILU, error);
  return layer->ffn != NULL;
}

static const char *const names[] = { "granitehybrid", NULL };

const TernArch tern_arch_granitehybrid = {
  .names = names,
  .tensors = tensors,
  .rope_pairs = TRUE,
  .positions_by_key = TRUE,
  .variants = tern_granite_variants,
  .keys = granitehybrid_keys,
  .layer = granitehybrid_layer,
};
