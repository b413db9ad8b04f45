/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A family of models: its keys, its checks, its tensor names, the order of its blocks. One file each. */
#pragma once

#include "engine/llm/blocks/blocks.h"

G_BEGIN_DECLS

typedef struct {
  const char *const *names;     /* values of general.architecture, NULL at the end */
  /* Fills everything of @llm that is not from the file's general keys. Half-built layers are freed by the caller. */
  gboolean (*load) (TernLlm *llm, const char *architecture, GError **error);
} TernArch;

extern const TernArch tern_arch_lfm2;

/* Hyper-parameters that decoders have in common, checked: what is read here may size memory and divide. */
typedef struct {
  guint n_layers, width, context, n_vocab;
  guint head_dim, rope_dim;
  guint max_heads;
  float eps, rope_base;
  guint32 *heads, *kv_heads, *ffn;      /* [n_layers]; a layer without attention has 0 kv heads */
} TernDecoderParams;

/* "<architecture>.<name>" in @buffer. */
#define TERN_KEY_SIZE 128
const char *tern_arch_key (char *buffer, const char *architecture, const char *name);

gboolean tern_decoder_params_read (TernDecoderParams *params, const TernGguf *file, const char *architecture,
    GError **error);
void tern_decoder_params_clear (TernDecoderParams *params);

/* Fills info, layers (empty), embedding, head, rope and the last norm (the first of @norm_names that is present). */
gboolean tern_decoder_load (TernLlm *llm, const TernDecoderParams *params, const char *const *norm_names,
    GError **error);

G_END_DECLS
