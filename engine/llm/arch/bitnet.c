/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BitNet b1.58 (arXiv:2402.17764, 2B4T: arXiv:2504.12285): a norm before every linear, so also inside the attention and
 * the feed-forward. Under the names of Microsoft's converters the gate is a squared ReLU; the older `bitnet` has SiLU
 * unless its file says otherwise. */
#include <string.h>

#include "tern/error.h"
#include "engine/llm/arch/rows.h"

static const TernTensorRow tensors[] = {
  TERN_ROWS_ENDS,
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE },
  TERN_ROWS_ATTENTION,
  { "blk.N.attn_sub_norm.weight", { TERN_Q } },
  { "blk.N.ffn_norm.weight", { TERN_D } },
  TERN_ROWS_GATED_FFN,
  { "blk.N.ffn_sub_norm.weight", { TERN_F } },
  { NULL }
};

static gboolean
read_gate (const TernDecoder *d, TernGate *gate, GError **error)
{
  char key[TERN_KEY_SIZE];
  TernBytes name;

  *gate = g_str_equal (d->architecture, "bitnet") ? TERN_GATE_SILU : TERN_GATE_RELU2;
  if (!tern_gguf_string_or (d->source.file, tern_arch_key (key, d->architecture, "hidden_activation"), &name, error))
    return FALSE;
  if (!name.data)
    return TRUE;
  if (name.len == 5 && !memcmp (name.data, "relu2", 5)) {
    *gate = TERN_GATE_RELU2;
  } else if (name.len == 4 && !memcmp (name.data, "silu", 4)) {
    *gate = TERN_GATE_SILU;
  } else {
    g_autofree char *found = tern_bytes_quote (name);

    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected \"silu\" or \"relu2\", found %s",
        tern_gguf_path (d->source.file), key, found);
    return FALSE;
  }
  return TRUE;
}

static gboolean
bitnet_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  TernGate gate;

  return read_gate (d, &gate, error)
      && (layer->mixer = tern_decoder_attention (d, error))
      && (layer->ffn = tern_decoder_ffn (d, gate, error));
}

static const char *const variants[] = { "hidden_activation", NULL };
static const char *const names[] = { "bitnet", "bitnet-b1.58", "bitnet-25", NULL };

const TernArch tern_arch_bitnet = {
  .names = names,
  .tensors = tensors,
  .bit_linear = TRUE,
  .variants = variants,
  .layer = bitnet_layer,
};
