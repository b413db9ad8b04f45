/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2 with mixtures of experts: LFM2-8B-A1B, LFM2-24B-A2B. The layers of lfm2.c, but behind the first
 * leading_dense_block_count the feed-forward is one of several experts, chosen by a router. */
#include <float.h>

#include "tern/error.h"
#include "engine/llm/arch/lfm2.h"
#include "engine/llm/arch/ssm.h"

#define MAX_INNER (1u << 20)    /* of one expert */
#define GATING_SIGMOID 2        /* expert_gating_func: 1 softmax, 2 sigmoid, 3 softmax of the chosen ones */

static const TernTensorRow tensors[] = {
  TERN_LFM2_TENSORS,
  { "blk.N.ffn_gate_inp.weight", { TERN_D, TERN_E } },
  { "blk.N.exp_probs_b.bias", { TERN_E } },
  TERN_GATED_EXPERTS,
  { NULL }
};

static gboolean
read_experts (TernMoeParams *moe, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];

  return tern_gguf_u32 (file, tern_arch_key (key, arch, "expert_count"), 1, TERN_MOE_MAX_EXPERTS, &moe->n_experts,
      error)
      && tern_gguf_u32 (file, tern_arch_key (key, arch, "expert_used_count"), 1, moe->n_experts, &moe->n_used, error)
      && tern_gguf_u32 (file, tern_arch_key (key, arch, "expert_feed_forward_length"), 1, MAX_INNER, &moe->inner,
          error);
}

static gboolean
read_router (TernMoeParams *moe, const TernGguf *file, const char *arch, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 gating, groups;

  if (!tern_gguf_bool_or (file, tern_arch_key (key, arch, "expert_weights_norm"), TRUE, &moe->normalise, error)
      || !tern_gguf_f32_or (file, tern_arch_key (key, arch, "expert_weights_scale"), 0, FLT_MAX, 1, &moe->scale, error)
      || !tern_gguf_u32_or (file, tern_arch_key (key, arch, "expert_gating_func"), 0, G_MAXUINT32, GATING_SIGMOID,
          &gating, error)
      || !tern_gguf_u32_or (file, tern_arch_key (key, arch, "expert_group_count"), 0, 1, 0, &groups, error))
    return FALSE;
  tern_arch_key (key, arch, "expert_gating_func");
  if (moe->scale == 0)
    moe->scale = 1;             /* GGUF's way to say that there is none */
  if (gating == GATING_SIGMOID)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected %d (sigmoid), found %u%s",
      tern_gguf_path (file), key, GATING_SIGMOID, gating,
      gating == 1 ? " (softmax)" : gating == 3 ? " (softmax of the chosen experts)" : "");
  return FALSE;
}

static gboolean
lfm2moe_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];

  d->moe.width = d->params.width;
  d->moe.least = 1e-6f;
  if (!tern_lfm2_keys (d, error) || !read_experts (&d->moe, d->source.file, d->architecture, error)
      || !read_router (&d->moe, d->source.file, d->architecture, error)
      || !tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "leading_dense_block_count"), 0,
          G_MAXUINT32, 0, &d->n_dense, error))
    return FALSE;
  d->source.dims[TERN_E] = d->moe.n_experts;
  d->source.dims[TERN_FE] = d->moe.inner;
  d->source.dims[TERN_FE2] = 2 * (guint64) d->moe.inner;
  return TRUE;
}

static gboolean
lfm2moe_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  layer->mixer = tern_lfm2_mixer (d, error);
  if (!layer->mixer)
    return FALSE;
  if (d->source.layer < d->n_dense)
    layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error);
  else
    layer->ffn = tern_moe_new (&d->source, &d->moe, error);
  return layer->ffn != NULL;
}

static const char *const names[] = { "lfm2moe", NULL };

const TernArch tern_arch_lfm2moe = {
  .names = names,
  .tensors = tensors,
  .keys = lfm2moe_keys,
  .layer = lfm2moe_layer,
};
