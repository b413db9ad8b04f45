/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of tables of tensors that several families have alike; in which order rows stand makes no difference. */
#pragma once

#include "engine/llm/arch/arch.h"

G_BEGIN_DECLS

#define TERN_ROWS_ENDS \
  { "token_embd.weight", { TERN_D, TERN_V } }, \
  { "output.weight", { TERN_D, TERN_V }, .optional = TRUE }, \
  { "output_norm.weight", { TERN_D } }, \
  { "blk.N.attn_norm.weight", { TERN_D } }

#define TERN_ROWS_ATTENTION \
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q } }, \
  { "blk.N.attn_q.bias", { TERN_Q }, .optional = TRUE }, \
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_k.bias", { TERN_KV }, .optional = TRUE }, \
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_v.bias", { TERN_KV }, .optional = TRUE }, \
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } }, \
  { "blk.N.attn_output.bias", { TERN_D }, .optional = TRUE }

#define TERN_ROWS_GATED_FFN \
  { "blk.N.ffn_gate.weight", { TERN_D, TERN_F } }, \
  { "blk.N.ffn_up.weight", { TERN_D, TERN_F } }, \
  { "blk.N.ffn_down.weight", { TERN_F, TERN_D } }

/* A llama but for its feed-forward, and that. */
#define TERN_ROWS_LLAMA \
  TERN_ROWS_ENDS, \
  { "rope_freqs.weight", { TERN_R2 }, .optional = TRUE }, \
  { "blk.N.attn_qkv.weight", { TERN_D, TERN_QKV }, .optional = TRUE },  /* instead of attn_q, attn_k, attn_v */ \
  { "blk.N.attn_qkv.bias", { TERN_QKV }, .optional = TRUE }, \
  TERN_ROWS_ATTENTION, \
  { "blk.N.ffn_norm.weight", { TERN_D } }

#define TERN_ROWS_LLAMA_FFN \
  TERN_ROWS_GATED_FFN, \
  { "blk.N.ffn_gate.bias", { TERN_F }, .optional = TRUE }, \
  { "blk.N.ffn_up.bias", { TERN_F }, .optional = TRUE }, \
  { "blk.N.ffn_down.bias", { TERN_D }, .optional = TRUE }

/* Beside a router: experts with a gate, and one that every row goes through. */
#define TERN_ROWS_EXPERTS \
  { "blk.N.ffn_gate_inp.weight", { TERN_D, TERN_E } }, \
  { "blk.N.ffn_gate_up_exps.weight", { TERN_D, TERN_FE2, TERN_E }, .optional = TRUE },       /* instead of the next two */ \
  { "blk.N.ffn_gate_exps.weight", { TERN_D, TERN_FE, TERN_E } }, \
  { "blk.N.ffn_up_exps.weight", { TERN_D, TERN_FE, TERN_E } }, \
  { "blk.N.ffn_down_exps.weight", { TERN_FE, TERN_D, TERN_E } }

#define TERN_ROWS_SHARED_EXPERT \
  { "blk.N.ffn_gate_shexp.weight", { TERN_D, TERN_FS } }, \
  { "blk.N.ffn_up_shexp.weight", { TERN_D, TERN_FS } }, \
  { "blk.N.ffn_down_shexp.weight", { TERN_FS, TERN_D } }

G_END_DECLS
