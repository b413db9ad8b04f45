/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2 and LFM2.5, dense: short convolutions with a few attention layers between them. A layer whose entry in
 * attention.head_count_kv is 0 is a convolution: the file has no other mark.
 *
 * Tensors, dims as in the file (D width, V vocabulary, F inner width, L taps, H head):
 *   token_embd {D, V}, output {D, V} (absent: tied), token_embd_norm {D} (the LAST norm; some files say output_norm)
 *   blk.N.attn_norm {D}, blk.N.ffn_norm {D}, ffn_gate and ffn_up {D, F}, ffn_down {F, D}
 *   attention: attn_q {D, heads H}, attn_k and attn_v {D, kv H}, attn_output {heads H, D}, attn_q_norm, attn_k_norm {H}
 *   convolution: shortconv.in_proj {D, 3 D}, shortconv.conv {L, D}, shortconv.out_proj {D, D} */
#include "engine/llm/arch/arch.h"

static gboolean
load_layer (TernLlm *llm, const TernDecoderParams *p, guint taps, guint i, GError **error)
{
  TernLayer *layer = &llm->layers[i];
  TernBlockSource source = { llm->file, llm->kernels, i };

  if (!(layer->mixer_norm = tern_block_vector (&source, "attn_norm.weight", p->width, error))
      || !(layer->ffn_norm = tern_block_vector (&source, "ffn_norm.weight", p->width, error)))
    return FALSE;
  if (p->kv_heads[i])
    layer->mixer = tern_attention_new (&source, &(TernAttentionParams) { .width = p->width, .n_heads = p->heads[i],
            .n_kv = p->kv_heads[i], .head_dim = p->head_dim, .eps = p->eps, .qk_norm = TRUE }, error);
  else
    layer->mixer = tern_shortconv_new (&source, &(TernShortconvParams) { .width = p->width, .taps = taps }, error);
  if (!layer->mixer)
    return FALSE;
  layer->ffn = tern_ffn_new (&source, &(TernFfnParams) { .width = p->width, .inner = p->ffn[i] }, error);
  return layer->ffn != NULL;
}

static gboolean
lfm2_load (TernLlm *llm, const char *arch, GError **error)
{
  static const char *const norms[] = { "token_embd_norm.weight", "output_norm.weight", NULL };
  TernDecoderParams p = { 0 };
  char key[TERN_KEY_SIZE];
  guint32 taps = 0;
  gboolean ok;

  ok = tern_decoder_params_read (&p, llm->file, arch, error)
      && tern_gguf_u32 (llm->file, tern_arch_key (key, arch, "shortconv.l_cache"), 1, 1u << 16, &taps, error)
      && tern_decoder_load (llm, &p, norms, error);
  for (guint i = 0; ok && i < p.n_layers; i++)
    ok = load_layer (llm, &p, taps, i, error);
  tern_decoder_params_clear (&p);
  return ok;
}

static const char *const names[] = { "lfm2", NULL };

const TernArch tern_arch_lfm2 = {
  .names = names,
  .load = lfm2_load,
};
