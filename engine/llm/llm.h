/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The language model's weights, shared by all. What sequences have read stands in timeline.h, what reads it into them in
 * pass.h; solo.h is both for one. */
#pragma once

#include <glib.h>
#include "engine/base/threads.h"
#include "engine/weights/activations.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernLlm TernLlm;

typedef struct {
  const char *architecture;     /* "lfm2" */
  const char *name;             /* general.name, or "" */
  guint n_layers, width, n_vocab, n_heads, head_dim, ffn_width;
  guint context;                /* tokens the model was made for */
  guint n_unused;               /* layers behind these in the file, of heads that guess further tokens: not run */
  guint n_attention;            /* how many layers hold KV */
  const guint8 *is_attention;   /* [n_layers] */
  gboolean has_places;          /* rows of pictures stand in a time, a height and a width (rope.h) */
  guint deepstack;              /* first layers behind each of which rows of pictures are added features of their own, beside
                                 * the rows themselves (tern_pass_deepen()) */
  guint visual_dim;             /* floats of a picture's row with these behind it: width * (1 + deepstack) */
  guint chunk;                  /* prompts that are cut at multiples of so many tokens give the same bits (tern_pass_cut());
                                 * 1: wherever they are cut */
  TernActivationPolicy policy;  /* how the inputs of its linears are rounded */
} TernLlmInfo;

/* Whether @file is a language model of an architecture that runs. UNSUPPORTED says what else it is, or lists them. */
gboolean tern_llm_check_kind (const TernGguf *file, GError **error);

/* Immutable, any thread. Keeps a reference on @file. UNSUPPORTED lists the architectures that run. @pool (NULL: the
 * calling thread alone) repacks weights and is not kept. */
TernLlm *tern_llm_open (TernGguf *file, const TernKernels *kernels, TernPool *pool, GError **error);
/* The same with another policy of activations than the file names (NULL: what it names). UNSUPPORTED for blocks that the policy
 * is not about: experts, state spaces, linear attention. */
TernLlm *tern_llm_open_forced (TernGguf *file, const TernKernels *kernels, const TernActivationPolicy *policy, TernPool *pool,
    GError **error);
/* All of open but the weights: everything is checked and bound, and nothing is read but the header, norms and other
 * vectors. Good for info and byte counts alone: passes and stores refuse it. */
TernLlm *tern_llm_plan (TernGguf *file, const TernKernels *kernels, GError **error);
TernLlm *tern_llm_ref (TernLlm *llm);
void tern_llm_unref (TernLlm *llm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernLlm, tern_llm_unref)

/* What it computes with. */
const TernKernels *tern_llm_kernels (const TernLlm *llm);
const TernLlmInfo *tern_llm_info (const TernLlm *llm);
TernGguf *tern_llm_file (const TernLlm *llm);   /* borrowed */

/* How keys and values are stored: per value 4 bytes, 2, or 1 or half of one and a scale for each head's row, the latter two
 * as they are or rotated (kvcache.h). AUTO: F32 for up to 1024
 * tokens of context, whose cache is small beside everything else, and with float activations; else F16. Rounding to F16
 * costs an NMSE of 1e-8 in the logits by itself, but behind int8 activations it moves some over a rounding step, as
 * much as 5e-4 in random models: short prompts keep the exact rule. */
typedef enum {
  TERN_KV_AUTO,
  TERN_KV_F32,
  TERN_KV_F16,
  TERN_KV_INT8,
  TERN_KV_INT8_ROTATED,
  TERN_KV_INT4,
  TERN_KV_INT4_ROTATED,
  TERN_KV_INT3,                 /* eight steps, in the bytes of INT4: what three bits cost, which BitNet a4.8 keeps (arXiv:2411.04965) */
  TERN_KV_INT3_ROTATED,
  TERN_KV_N_TYPES,
} TernKvType;

/* "auto", "f32", "f16", "int8", "int8-rotated", "int4", "int4-rotated", "int3", "int3-rotated"; FALSE: @name is none of them. */
const char *tern_kv_name (TernKvType type);
gboolean tern_kv_parse (const char *name, TernKvType *type);
/* All of them, for messages. */
#define TERN_KV_NAMES "auto, f32, f16, int8, int8-rotated, int4, int4-rotated, int3 or int3-rotated"

/* What opening makes of the matrices that do not run from the map, in bytes. */
typedef struct {
  gsize source;                 /* in the file: read once and given back */
  gsize largest;                /* the most of one matrix: what is held for a moment */
  gsize packed;                 /* what they become, owned */
} TernLlmRepack;

/* For `tern inspect`, from a plan or an open model: bytes of the weights that are not in the map (repacked matrices,
 * vectors). */
gsize tern_llm_owned_bytes (const TernLlm *llm);
TernLlmRepack tern_llm_repack (const TernLlm *llm);
/* Bytes in the file of the layers that are not run; of a plan too. */
gsize tern_llm_unused_bytes (const TernLlm *llm);
/* Bytes that one timeline's recurrent states take (short convolutions, linear attention), however long it is; saturates. */
gsize tern_llm_state_bytes (const TernLlm *llm);

/* The embedding rows [n, width] of @ids, each < n_vocab, @ld apart: what eval makes of ids, for prompts that mix them
 * with visual tokens in one input. */
void tern_llm_embed (const TernLlm *llm, const gint32 *ids, guint n, float *rows, gsize ld);

typedef enum {
  TERN_LOGITS_NONE,
  TERN_LOGITS_LAST,             /* [n_vocab] */
  TERN_LOGITS_ALL,              /* [n, n_vocab] */
} TernLogits;

G_END_DECLS
