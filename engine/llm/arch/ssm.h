/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What families with state-space blocks have in common. */
#pragma once

#include "engine/llm/arch/rows.h"

G_BEGIN_DECLS

/* Rows of a table of tensors: Mamba-1; Mamba-2, whose norm some go without. */
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

G_END_DECLS
