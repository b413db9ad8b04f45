/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What LFM2 and its mixtures of experts have in common. */
#pragma once

#include "engine/llm/arch/rows.h"

G_BEGIN_DECLS

/* Rows of a table of tensors. */
#define TERN_LFM2_TENSORS \
  { "token_embd.weight", { TERN_D, TERN_V } }, \
  { "output.weight", { TERN_D, TERN_V }, .optional = TRUE }, \
  { "token_embd_norm.weight", { TERN_D }, .also = "output_norm.weight" },       /* the LAST norm, despite its name */ \
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE }, \
  { "blk.N.attn_norm.weight", { TERN_D } }, \
  { "blk.N.ffn_norm.weight", { TERN_D } }, \
  TERN_ROWS_GATED_FFN, \
  /* attention */ \
  { "blk.N.attn_qkv.weight", { TERN_D, TERN_QKV }, .optional = TRUE },  /* instead of the next three */ \
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q } }, \
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_q_norm.weight", { TERN_H } }, \
  { "blk.N.attn_k_norm.weight", { TERN_H } }, \
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } }, \
  /* convolution */ \
  { "blk.N.shortconv.in_proj.weight", { TERN_D, TERN_D3 } }, \
  { "blk.N.shortconv.conv.weight", { TERN_TAPS, TERN_D } }, \
  { "blk.N.shortconv.out_proj.weight", { TERN_D, TERN_D } }

gboolean tern_lfm2_keys (TernDecoder *decoder, GError **error);
/* Attention or convolution, as the layer has it. */
TernBlock *tern_lfm2_mixer (const TernDecoder *decoder, GError **error);

G_END_DECLS
