/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nemotron-H (arXiv:2504.03624), Nemotron Nano 2 and Nemotron 3: layers of one block, Mamba-2, attention without positions, a
 * feed-forward of squared ReLU, or experts of it. What a layer is, the keys say: one with a length of feed-forward is that, else
 * one with kv heads is attention, else it is Mamba-2. Experts are there where a router is, chosen by a sigmoid and a bias, in
 * a latent width in the largest ones, with a shared one beside them. */
#include "engine/llm/arch/experts.h"
#include "engine/llm/arch/ssm.h"

#define MAX_INNER (1u << 20)    /* of one expert */

static const TernTensorRow tensors[] = {
  TERN_ROWS_ENDS,
  TERN_ROWS_ATTENTION,
  TERN_SSM_MAMBA2 (FALSE),
  { "blk.N.ffn_up.weight", { TERN_D, TERN_F } },
  { "blk.N.ffn_up.bias", { TERN_F }, .optional = TRUE },
  { "blk.N.ffn_down.weight", { TERN_F, TERN_D } },
  { "blk.N.ffn_down.bias", { TERN_D }, .optional = TRUE },
  { "blk.N.ffn_gate_inp.weight", { TERN_D, TERN_E } },
  { "blk.N.exp_probs_b.bias", { TERN_E }, .optional = TRUE },
  { "blk.N.ffn_latent_down.weight", { TERN_D, TERN_LATENT } },
  { "blk.N.ffn_latent_up.weight", { TERN_LATENT, TERN_D } },
  { "blk.N.ffn_up_exps.weight", { TERN_LATENT, TERN_FE, TERN_E } },
  { "blk.N.ffn_down_exps.weight", { TERN_FE, TERN_LATENT, TERN_E } },
  { "blk.N.ffn_up_shexp.weight", { TERN_D, TERN_FS } },
  { "blk.N.ffn_down_shexp.weight", { TERN_FS, TERN_D } },
  { NULL }
};

/* Widths of the experts. */
static gboolean
read_experts (TernDecoder *d, GError **error)
{
  const TernGguf *file = d->source.file;
  guint all = d->params.n_layers + d->params.n_extra;
  char key[TERN_KEY_SIZE];
  guint32 shared;

  d->expert_ffn = g_new0 (guint32, all);
  if (!tern_gguf_u32_layers (file, tern_arch_key (key, d->architecture, "expert_feed_forward_length"), 0, MAX_INNER, all,
          d->expert_ffn, error)
      || !tern_gguf_u32_or (file, tern_arch_key (key, d->architecture, "expert_shared_feed_forward_length"), 0, MAX_INNER, 0,
          &shared, error)
      || !tern_gguf_u32_or (file, tern_arch_key (key, d->architecture, "moe_latent_size"), 0, MAX_INNER, 0, &d->moe.latent,
          error))
    return FALSE;
  d->source.dims[TERN_FS] = shared;
  d->source.dims[TERN_LATENT] = d->moe.latent ? d->moe.latent : d->params.width;
  return TRUE;
}

static gboolean
nemotron_h_keys (TernDecoder *d, GError **error)
{
  d->moe.router = TERN_ROUTER_SIGMOID;
  d->moe.gate = TERN_GATE_RELU2;
  d->moe.least = 1e-20f;        /* as the released model has it */
  return tern_ssm_keys_mamba2 (d, error) && tern_decoder_experts (d, error) && (!d->moe.n_experts || read_experts (d, error));
}

static TernBlock *
feed_forward (TernDecoder *d, GError **error)
{
  guint i = d->source.layer;
  char key[TERN_KEY_SIZE];

  if (d->params.kv_heads[i]) {
    tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture, "feed_forward_length"), error, "expected 0 in "
        "layer %u, which has heads, found %u", i, d->params.ffn[i]);
    return NULL;
  }
  if (!tern_decoder_has_router (d))
    return tern_decoder_ffn (d, TERN_GATE_RELU2, error);
  if (d->moe.n_experts && !d->expert_ffn[i]) {
    tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture, "expert_feed_forward_length"), error,
        "expected 1 to %u in layer %u, which has a router, found 0", MAX_INNER, i);
    return NULL;
  }
  return tern_decoder_moe (d, d->moe.n_experts ? d->expert_ffn[i] : 0, error);
}

static gboolean
nemotron_h_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  guint i = d->source.layer;

  if (d->params.ffn[i])
    layer->mixer = feed_forward (d, error);
  else
    layer->mixer = d->params.kv_heads[i] ? tern_decoder_attention (d, error) : tern_decoder_mamba2 (d, error);
  return layer->mixer != NULL;
}

static const char *const names[] = { "nemotron_h", "nemotron_h_moe", NULL };
static const char *const variants[] = { "hidden_activation", NULL };    /* always squared ReLU */

const TernArch tern_arch_nemotron_h = {
  .names = names,
  .tensors = tensors,
  .no_positions = TRUE,
  .sparse_layers = TRUE,
  .layer_norm_epsilon = TRUE,
  .variants = variants,
  .keys = nemotron_h_keys,
  .layer = nemotron_h_layer,
};
