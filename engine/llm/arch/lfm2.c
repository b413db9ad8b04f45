/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2 and LFM2.5, dense: short convolutions with a few attention layers between them. A layer whose entry in
 * attention.head_count_kv is 0 is a convolution: the file has no other mark. */
#include "engine/llm/arch/arch.h"

static const TernTensorRow tensors[] = {
  { "token_embd.weight", { TERN_D, TERN_V } },
  { "output.weight", { TERN_D, TERN_V }, .optional = TRUE },
  { "token_embd_norm.weight", { TERN_D }, .also = "output_norm.weight" },       /* the LAST norm, despite its name */
  { "blk.N.attn_norm.weight", { TERN_D } },
  { "blk.N.ffn_norm.weight", { TERN_D } },
  { "blk.N.ffn_gate.weight", { TERN_D, TERN_F } },
  { "blk.N.ffn_up.weight", { TERN_D, TERN_F } },
  { "blk.N.ffn_down.weight", { TERN_F, TERN_D } },
  /* attention */
  { "blk.N.attn_qkv.weight", { TERN_D, TERN_QKV }, .optional = TRUE },  /* instead of the next three */
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q } },
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } },
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } },
  { "blk.N.attn_q_norm.weight", { TERN_H } },
  { "blk.N.attn_k_norm.weight", { TERN_H } },
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } },
  /* convolution */
  { "blk.N.shortconv.in_proj.weight", { TERN_D, TERN_D3 } },
  { "blk.N.shortconv.conv.weight", { TERN_TAPS, TERN_D } },
  { "blk.N.shortconv.out_proj.weight", { TERN_D, TERN_D } },
  { NULL }
};

static gboolean
lfm2_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 taps;

  if (!tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "shortconv.l_cache"), 1, 1u << 16, &taps,
          error))
    return FALSE;
  d->source.dims[TERN_TAPS] = taps;
  return TRUE;
}

static gboolean
lfm2_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  if (d->params.kv_heads[d->source.layer])
    layer->mixer = tern_decoder_attention (d, error);
  else
    layer->mixer = tern_shortconv_new (&d->source, &(TernShortconvParams) { .width = d->params.width,
            .taps = d->source.dims[TERN_TAPS] }, error);
  return layer->mixer && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static const char *const names[] = { "lfm2", NULL };

const TernArch tern_arch_lfm2 = {
  .names = names,
  .tensors = tensors,
  .keys = lfm2_keys,
  .layer = lfm2_layer,
};
