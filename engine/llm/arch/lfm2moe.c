/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2 with mixtures of experts: LFM2-8B-A1B, LFM2-24B-A2B. The layers of lfm2.c, but behind the first
 * leading_dense_block_count the feed-forward is one of several experts, chosen by a router. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/lfm2.h"

#define MAX_INNER (1u << 20)    /* of one expert */

static const TernTensorRow tensors[] = {
  TERN_LFM2_TENSORS,
  TERN_ROWS_EXPERTS,
  { "blk.N.exp_probs_b.bias", { TERN_E } },
  { NULL }
};

static gboolean
lfm2moe_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];

  d->moe = (TernMoeParams) { .router = TERN_ROUTER_SIGMOID, .gate = TERN_GATE_SILU, .normalise = TRUE, .least = 1e-6f };
  return tern_lfm2_keys (d, error) && tern_decoder_experts (d, error)
      && tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "expert_feed_forward_length"), 1, MAX_INNER,
          &d->moe.inner, error)
      && tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "leading_dense_block_count"), 0, G_MAXUINT32, 0,
          &d->n_dense, error);
}

static gboolean
lfm2moe_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_lfm2_mixer (d, error))
      && (layer->ffn = d->source.layer < d->n_dense ? tern_decoder_ffn (d, TERN_GATE_SILU, error)
          : tern_decoder_moe (d, d->moe.inner, error));
}

static const char *const names[] = { "lfm2moe", NULL };

const TernArch tern_arch_lfm2moe = {
  .names = names,
  .tensors = tensors,
  .keys = lfm2moe_keys,
  .layer = lfm2moe_layer,
};
