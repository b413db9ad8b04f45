/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A family of models: its names, its tensors, its layer. One file each; docs/adding-a-model.md walks through one. */
#pragma once

#include "engine/llm/blocks/blocks.h"

G_BEGIN_DECLS

/* Hyper-parameters that decoders have in common, checked: what is read here may size memory and divide. */
typedef struct {
  guint n_layers, width, context, n_vocab;
  guint n_extra;                /* layers behind the others, of heads that guess further tokens: not run */
  guint head_dim, rope_dim;
  guint max_heads;
  float eps, rope_base;
  guint32 rope_sections[4];     /* pairs that turn by time, height, width; nothing by the fourth */
  gboolean has_sections;
  float rope_stretch;           /* positions are divided by it */
  float rope_magnitude;         /* cosines and sines are multiplied by it */
  struct {
    float factor, original, beta_fast, beta_slow;       /* factor 0: none */
  } yarn;
  guint32 *heads, *kv_heads, *ffn;      /* [n_layers]; a layer without attention has 0 kv heads */
} TernDecoderParams;

typedef struct _TernArch TernArch;

/* A model on its way in: what a family's functions work on. */
typedef struct {
  TernLlm *llm;
  const TernArch *arch;
  const char *architecture;     /* as in the file: the prefix of its keys */
  TernDecoderParams params;
  TernBlockSource source;       /* at the layer that is loaded */
  TernGatedDeltaParams delta;   /* of the layers without attention, in families that have such */
  guint n_dense;                /* layers in front without experts, in families that have some */
  TernMoeParams moe;            /* of the others */
} TernDecoder;

struct _TernArch {
  const char *const *names;     /* values of general.architecture, NULL at the end */
  const TernTensorRow *tensors;
  gboolean rope_pairs;          /* see rope.h */
  gboolean bit_linear;          /* see model.h */
  gboolean gated_attention;     /* see TernAttentionParams */
  /* Keys of its own, which it checks and leaves in source.dims; NULL: none. */
  gboolean (*keys) (TernDecoder *decoder, GError **error);
  /* The two blocks of layer source.layer. Half-built ones are freed by the caller. */
  gboolean (*layer) (TernDecoder *decoder, TernLayer *layer, GError **error);
};

extern const TernArch tern_arch_bitnet;
extern const TernArch tern_arch_lfm2;
extern const TernArch tern_arch_lfm2moe;
extern const TernArch tern_arch_llama;
extern const TernArch tern_arch_qwen2;
extern const TernArch tern_arch_qwen3;
extern const TernArch tern_arch_qwen35;

/* Fills everything of @llm that is not from the file's general keys. Half-built layers are freed by the caller. */
gboolean tern_decoder_load (TernLlm *llm, const TernArch *arch, const char *architecture, GError **error);

/* Blocks of the current layer, with the decoder's sizes. */
TernBlock *tern_decoder_attention (const TernDecoder *decoder, GError **error);
TernBlock *tern_decoder_ffn (const TernDecoder *decoder, TernGate gate, GError **error);

/* ---- params.c ---------------------------------------------------------------------------------------------------- */

/* "<architecture>.<name>" in @buffer. */
#define TERN_KEY_SIZE 128
const char *tern_arch_key (char *buffer, const char *architecture, const char *name);

gboolean tern_decoder_params_read (TernDecoderParams *params, const TernGguf *file, const char *architecture,
    GError **error);
void tern_decoder_params_clear (TernDecoderParams *params);

G_END_DECLS
