/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Llama 1 to 3, and what is built like them under the same name (SmolLM2, Mistral). Converters interleave the rows of Q
 * and K so that the values that turn together are neighbours. Llama 3 divides the rotary frequencies by factors. */
#include "engine/llm/arch/rows.h"

static const TernTensorRow tensors[] = {
  TERN_ROWS_LLAMA,
  TERN_ROWS_LLAMA_FFN,
  { NULL }
};

static gboolean
llama_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_attention (d, error))
      && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

static const char *const names[] = { "llama", NULL };

const TernArch tern_arch_llama = {
  .names = names,
  .tensors = tensors,
  .rope_pairs = TRUE,
  .layer = llama_layer,
};
