/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3, dense (arXiv:2505.09388): no biases, but every q and k head is normalised before it turns, and heads are as
 * long as attention.key_length says whatever the width. Qwen3-VL (arXiv:2511.21631) has the same layers, whose heads turn by
 * three axes; behind the first of them, as many as a key says, rows of pictures are added features of the encoder's early
 * layers. */
#include "engine/llm/arch/qwen3.h"

#define MAX_DEEPSTACK 8         /* encoders have no more marked layers (vision/internal.h) */

static const TernTensorRow tensors[] = {
  TERN_QWEN3_TENSORS,
  TERN_ROWS_GATED_FFN,
  { NULL }
};

static gboolean
qwen3_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_attention (d, error))
      && (layer->ffn = tern_decoder_ffn (d, TERN_GATE_SILU, error));
}

gboolean
tern_qwen3vl_keys (TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];

  return tern_decoder_sections (d, error)
      && tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "n_deepstack_layers"), 0,
          MIN (d->params.n_layers, MAX_DEEPSTACK), 0, &d->params.deepstack, error);
}

static const char *const names[] = { "qwen3", NULL };
static const char *const vl_names[] = { "qwen3vl", NULL };
const char *const tern_qwen3vl_variants[] = { "n_deepstack_layers", NULL };

const TernArch tern_arch_qwen3 = {
  .names = names,
  .tensors = tensors,
  .layer = qwen3_layer,
};

const TernArch tern_arch_qwen3vl = {
  .names = vl_names,
  .tensors = tensors,
  .variants = tern_qwen3vl_variants,
  .keys = tern_qwen3vl_keys,
  .layer = qwen3_layer,
};
