/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3 and Qwen3-VL with experts (Qwen3-30B-A3B, Qwen3-VL-30B-A3B, -235B-A22B): the layers of qwen3.c, but the feed-forward of
 * every one is one of several experts, chosen and weighed by a softmax over all of them, the weights of those chosen summing
 * to 1; none that every row goes through. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/qwen3.h"

#define MAX_EXPERT (1u << 20)   /* features inside one expert */

static const TernTensorRow tensors[] = {
  TERN_QWEN3_TENSORS,
  TERN_ROWS_EXPERTS,
  { NULL }
};

static gboolean
qwen3moe_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];

  d->moe = (TernMoeParams) { .router = TERN_ROUTER_SOFTMAX, .gate = TERN_GATE_SILU, .normalise = TRUE };
  return tern_decoder_experts (d, error)
      && tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "expert_feed_forward_length"), 1, MAX_EXPERT,
          &d->moe.inner, error);
}

static gboolean
qwen3vlmoe_keys (TernDecoder *d, GError **error)
{
  return tern_qwen3vl_keys (d, error) && qwen3moe_keys (d, error);
}

static gboolean
qwen3moe_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_attention (d, error)) && (layer->ffn = tern_decoder_moe (d, d->moe.inner, error));
}

static const char *const names[] = { "qwen3moe", NULL };
static const char *const vl_names[] = { "qwen3vlmoe", NULL };

const TernArch tern_arch_qwen3moe = {
  .names = names,
  .tensors = tensors,
  .experts_alone = TRUE,
  .keys = qwen3moe_keys,
  .layer = qwen3moe_layer,
};

const TernArch tern_arch_qwen3vlmoe = {
  .names = vl_names,
  .tensors = tensors,
  .experts_alone = TRUE,
  .variants = tern_qwen3vl_variants,
  .keys = qwen3vlmoe_keys,
  .layer = qwen3moe_layer,
};
