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
  guint deepstack;              /* see TernLlmInfo */
  float attention_scale;        /* of q . k; 0: as ever */
  float rope_stretch;           /* positions are divided by it */
  float rope_magnitude;         /* cosines and sines are multiplied by it */
  struct {
    float factor, original, beta_fast, beta_slow;       /* factor 0: none */
  } yarn;
  guint32 *heads, *kv_heads, *ffn;      /* [n_layers]; a layer without attention has 0 kv heads */
} TernDecoderParams;

/* Of state-space blocks: see ssm.h. */
typedef struct {
  guint inner, states, taps;
  guint rank;                   /* of the steps of Mamba-1; the heads of Mamba-2 */
  guint groups;                 /* of Mamba-2 */
} TernSsmSizes;

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
  guint32 *expert_ffn;          /* [n_layers] where layers differ; freed with the decoder */
  TernSsmSizes ssm;
  float embedding_scale, residual_scale, logit_scale;   /* see model.h; 1 unless a family's keys say otherwise */
} TernDecoder;

struct _TernArch {
  const char *const *names;     /* values of general.architecture, NULL at the end */
  const TernTensorRow *tensors;
  gboolean rope_pairs;          /* see rope.h */
  gboolean bit_linear;          /* see model.h */
  gboolean gated_attention;     /* see TernAttentionParams */
  gboolean no_positions;        /* rope.* keys mean nothing */
  gboolean positions_by_key;    /* ... where rope.scaling.finetuned is false */
  gboolean sparse_layers;       /* layers may be without heads, or without a feed-forward (length 0) */
  gboolean experts_alone;       /* feed_forward_length may be missing, and means nothing */
  gboolean layer_norm_epsilon;  /* a file may have attention.layer_norm_epsilon alone, for the same */
  const char *const *variants;  /* keys that params.c refuses and this family computes; NULL at the end, or none */
  /* Keys of its own, which it checks and leaves in source.dims; NULL: none. */
  gboolean (*keys) (TernDecoder *decoder, GError **error);
  /* The two blocks of layer source.layer. Half-built ones are freed by the caller. */
  gboolean (*layer) (TernDecoder *decoder, TernLayer *layer, GError **error);
};

extern const TernArch tern_arch_bitnet;
extern const TernArch tern_arch_falcon_h1;
extern const TernArch tern_arch_granite;
extern const TernArch tern_arch_granitehybrid;
extern const TernArch tern_arch_granitemoe;
extern const TernArch tern_arch_jamba;
extern const TernArch tern_arch_lfm2;
extern const TernArch tern_arch_lfm2moe;
extern const TernArch tern_arch_llama;
extern const TernArch tern_arch_mamba;
extern const TernArch tern_arch_mamba2;
extern const TernArch tern_arch_nemotron_h;
extern const TernArch tern_arch_qwen2;
extern const TernArch tern_arch_qwen3;
extern const TernArch tern_arch_qwen3moe;
extern const TernArch tern_arch_qwen3vl;
extern const TernArch tern_arch_qwen3vlmoe;
extern const TernArch tern_arch_qwen35;
extern const TernArch tern_arch_qwen35moe;

/* Fills everything of @llm that is not from the file's general keys. Half-built layers are freed by the caller. */
gboolean tern_decoder_load (TernLlm *llm, const TernArch *arch, const char *architecture, GError **error);

/* Blocks of the current layer, with the decoder's sizes. */
TernBlock *tern_decoder_attention (const TernDecoder *decoder, GError **error);
TernBlock *tern_decoder_ffn (const TernDecoder *decoder, TernGate gate, GError **error);

/* ---- params.c ---------------------------------------------------------------------------------------------------- */

/* "<architecture>.<name>" in @buffer. */
#define TERN_KEY_SIZE 128
const char *tern_arch_key (char *buffer, const char *architecture, const char *name);

gboolean tern_decoder_params_read (TernDecoderParams *params, const TernArch *arch, const TernGguf *file,
    const char *architecture, GError **error);
void tern_decoder_params_clear (TernDecoderParams *params);
/* Three axes of rotation: rope.dimension_sections, which must be there. Of families' keys(). */
gboolean tern_decoder_sections (TernDecoder *decoder, GError **error);

G_END_DECLS
