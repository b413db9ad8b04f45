/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What families with state-space blocks have in common. */
#pragma once

#include "engine/llm/arch/arch.h"

G_BEGIN_DECLS

/* Rows of a table of tensors: what every family has; attention; Mamba-1; Mamba-2, whose norm some go without. */
#define TERN_SSM_ENDS \
  { "token_embd.weight", { TERN_D, TERN_V } }, \
  { "output.weight", { TERN_D, TERN_V }, .optional = TRUE }, \
  { "output_norm.weight", { TERN_D } }, \
  { "blk.N.attn_norm.weight", { TERN_D } }

#define TERN_SSM_ATTENTION \
  { "blk.N.attn_q.weight", { TERN_D, TERN_Q } }, \
  { "blk.N.attn_q.bias", { TERN_Q }, .optional = TRUE }, \
  { "blk.N.attn_k.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_k.bias", { TERN_KV }, .optional = TRUE }, \
  { "blk.N.attn_v.weight", { TERN_D, TERN_KV } }, \
  { "blk.N.attn_v.bias", { TERN_KV }, .optional = TRUE }, \
  { "blk.N.attn_output.weight", { TERN_Q, TERN_D } }, \
  { "blk.N.attn_output.bias", { TERN_D }, .optional = TRUE }

#define TERN_SSM_GATED_FFN \
  { "blk.N.ffn_gate.weight", { TERN_D, TERN_F } }, \
  { "blk.N.ffn_up.weight", { TERN_D, TERN_F } }, \
  { "blk.N.ffn_down.weight", { TERN_F, TERN_D } }

#define TERN_SSM_MAMBA1 \
  { "blk.N.ssm_in.weight", { TERN_D, TERN_SSM_IN } }, \
  { "blk.N.ssm_conv1d.weight", { TERN_TAPS, TERN_SC } }, \
  { "blk.N.ssm_conv1d.bias", { TERN_SC }, .optional = TRUE }, \
  { "blk.N.ssm_x.weight", { TERN_SV, TERN_SSM_X } }, \
  { "blk.N.ssm_dt.weight", { TERN_SSM_R, TERN_SV } }, \
  { "blk.N.ssm_dt.bias", { TERN_SV } }, \
  { "blk.N.ssm_a", { TERN_SSM_N, TERN_SV } }, \
  { "blk.N.ssm_d", { TERN_SV } }, \
  { "blk.N.ssm_out.weight", { TERN_SV, TERN_D } }

#define TERN_SSM_MAMBA2(norm_is_optional) \
  { "blk.N.ssm_in.weight", { TERN_D, TERN_SSM_IN } }, \
  { "blk.N.ssm_conv1d.weight", { TERN_TAPS, TERN_SC } }, \
  { "blk.N.ssm_conv1d.bias", { TERN_SC }, .optional = TRUE }, \
  { "blk.N.ssm_dt.bias", { TERN_SH } }, \
  { "blk.N.ssm_a", { TERN_1, TERN_SH } }, \
  { "blk.N.ssm_d", { TERN_1, TERN_SH } }, \
  { "blk.N.ssm_norm.weight", { TERN_SSM_DG, TERN_SSM_G }, .optional = (norm_is_optional) }, \
  { "blk.N.ssm_out.weight", { TERN_SV, TERN_D } }

/* Reads ssm.* and checks it, to the decoder's ssm and to sizes of the table. */
gboolean tern_ssm_keys_mamba1 (TernDecoder *decoder, GError **error);
gboolean tern_ssm_keys_mamba2 (TernDecoder *decoder, GError **error);
/* @norms: see TernMamba1Params. */
TernBlock *tern_decoder_mamba1 (const TernDecoder *decoder, gboolean norms, GError **error);
TernBlock *tern_decoder_mamba2 (const TernDecoder *decoder, GError **error);

/* ---- experts.c --------------------------------------------------------------------------------------------------- */

/* Rows of a table of tensors, beside a router: experts with a gate, and one that every row goes through. */
#define TERN_GATED_EXPERTS \
  { "blk.N.ffn_gate_up_exps.weight", { TERN_D, TERN_FE2, TERN_E }, .optional = TRUE },       /* instead of the next two */ \
  { "blk.N.ffn_gate_exps.weight", { TERN_D, TERN_FE, TERN_E } }, \
  { "blk.N.ffn_up_exps.weight", { TERN_D, TERN_FE, TERN_E } }, \
  { "blk.N.ffn_down_exps.weight", { TERN_FE, TERN_D, TERN_E } }

#define TERN_GATED_SHARED_EXPERT \
  { "blk.N.ffn_gate_shexp.weight", { TERN_D, TERN_FS } }, \
  { "blk.N.ffn_up_shexp.weight", { TERN_D, TERN_FS } }, \
  { "blk.N.ffn_down_shexp.weight", { TERN_FS, TERN_D } }

/* expert_count and expert_used_count, to the decoder's moe and to sizes of the table; n_experts 0 where the key is absent or 0.
 * What rows do with a router is in moe: its router, which the file cannot change, and normalise where the file does not say.
 * Groups are chosen by a router of sigmoids alone. */
gboolean tern_decoder_experts (TernDecoder *decoder, GError **error);
/* Of the current layer, whose experts are @inner wide inside, with the shared one beside them where TERN_FS is not 0. */
TernBlock *tern_decoder_moe (TernDecoder *decoder, guint inner, GError **error);
/* Whether the current layer has a router. */
gboolean tern_decoder_has_router (const TernDecoder *decoder);

G_END_DECLS
