/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jamba (arXiv:2403.19887): layers of Mamba-1, with norms of steps, B and C, and a few of attention without positions, which have
 * kv heads; experts in the layers that have a router, whose weights are a softmax over all of them and are taken as they are. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/ssm.h"

static const TernTensorRow tensors[] = {
  TERN_ROWS_ENDS,
  { "blk.N.ffn_norm.weight", { TERN_D } },
  TERN_ROWS_ATTENTION,
  TERN_SSM_MAMBA1,
  { "blk.N.ssm_dt_norm.weight", { TERN_SSM_R } },
  { "blk.N.ssm_b_norm.weight", { TERN_SSM_N } },
  { "blk.N.ssm_c_norm.weight", { TERN_SSM_N } },
  TERN_ROWS_GATED_FFN,
  TERN_ROWS_EXPERTS,
  { NULL }
};

static gboolean
jamba_keys (TernDecoder *d, GError **error)
{
  d->moe.router = TERN_ROUTER_SOFTMAX;
  return tern_ssm_keys_mamba1 (d, error) && tern_decoder_experts (d, error);
}

static gboolean
jamba_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  guint i = d->source.layer;

  layer->mixer = d->params.kv_heads[i] ? tern_decoder_attention (d, error) : tern_decoder_mamba1 (d, FALSE, error);
  if (!layer->mixer)
    return FALSE;
  layer->ffn = tern_decoder_has_router (d) ? tern_decoder_moe (d, d->params.ffn[i], error)
      : tern_decoder_ffn (d, TERN_GATE_SILU, error);
  return layer->ffn != NULL;
}

static const char *const names[] = { "jamba", NULL };

const TernArch tern_arch_jamba = {
  .names = names,
  .tensors = tensors,
  .no_positions = TRUE,
  .keys = jamba_keys,
  .layer = jamba_layer,
};
