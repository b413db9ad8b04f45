/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Falcon-H1 (arXiv:2507.22448): in every layer attention and Mamba-2 side by side, of the same normed input. Its multipliers
 * are in the weights; some sizes have no norm behind the gate. */
#include "engine/llm/arch/ssm.h"

static const TernTensorRow tensors[] = {
  TERN_ROWS_ENDS,
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE },
  { "blk.N.ffn_norm.weight", { TERN_D }, .also = "blk.N.ffn_norm" },    /* as its converter spells it */
  TERN_ROWS_ATTENTION,
  TERN_SSM_MAMBA2 (TRUE),
  TERN_ROWS_GATED_FFN,
  { NULL }
};

static gboolean
falcon_h1_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  TernBlock *attention = tern_decoder_attention (d, error);

  if (!attention)
    return FALSE;
  layer->mixer = tern_pair_new (attention, tern_decoder_mamba2 (d, error), d->params.width);
  return layer->mixer && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static const char *const names[] = { "falcon-h1", NULL };

const TernArch tern_arch_falcon_h1 = {
  .names = names,
  .tensors = tensors,
  .keys = tern_ssm_keys_mamba2,
  .layer = falcon_h1_layer,
};
