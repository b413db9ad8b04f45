/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2 and LFM2.5, dense: short convolutions with a few attention layers between them. A layer whose entry in
 * attention.head_count_kv is 0 is a convolution: the file has no other mark. */
#include "engine/llm/arch/lfm2.h"

static const TernTensorRow tensors[] = {
  TERN_LFM2_TENSORS,
  { NULL }
};

gboolean
tern_lfm2_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];
  guint32 taps;

  if (!tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "shortconv.l_cache"), 1, 1u << 16, &taps,
          error))
    return FALSE;
  d->source.dims[TERN_TAPS] = taps;
  return TRUE;
}

TernBlock *
tern_lfm2_mixer (const TernDecoder *d, GError **error)
{
  if (d->params.kv_heads[d->source.layer])
    return tern_decoder_attention (d, error);
  return tern_shortconv_new (&d->source, &(TernShortconvParams) { .width = d->params.width,
          .taps = d->source.dims[TERN_TAPS] }, error);
}

static gboolean
lfm2_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_lfm2_mixer (d, error)) && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static const char *const names[] = { "lfm2", NULL };

const TernArch tern_arch_lfm2 = {
  .names = names,
  .tensors = tensors,
  .keys = tern_lfm2_keys,
  .layer = lfm2_layer,
};
