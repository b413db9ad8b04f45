/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Qwen3 and Qwen3-VL have in common, dense and with experts: everything but the feed-forward. */
#pragma once

#include "engine/llm/arch/rows.h"

G_BEGIN_DECLS

#define TERN_QWEN3_TENSORS \
  TERN_ROWS_ENDS, \
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE }, \
  { "blk.N.attn_qkv.weight", { TERN_D, TERN_QKV }, .optional = TRUE },  /* instead of attn_q, attn_k, attn_v */ \
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q } }, \
  { "blk.N.attn_q_norm.weight", { TERN_H } }, \
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_k_norm.weight", { TERN_H } }, \
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } }, \
  { "blk.N.ffn_norm.weight", { TERN_D } }

/* Three axes, and how many layers features of early ones of the encoder are added behind. */
extern const char *const tern_qwen3vl_variants[];
gboolean tern_qwen3vl_keys (TernDecoder *decoder, GError **error);

G_END_DECLS
