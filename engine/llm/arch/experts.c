/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Experts as several families have them: their number, how rows choose and weigh them, those of a layer, the shared one. */
#include <float.h>

#include "engine/llm/arch/experts.h"

/* expert_gating_func; 0: the file does not say. */
enum { GATING_NONE, GATING_SOFTMAX, GATING_SIGMOID, GATING_SOFTMAX_CHOSEN };

static gboolean
check_gating (const TernDecoder *d, GError **error)
{
  TernRouter router = d->moe.router;
  char key[TERN_KEY_SIZE];
  guint32 gating, expected = router == TERN_ROUTER_SIGMOID ? GATING_SIGMOID : GATING_SOFTMAX;

  if (!tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_gating_func"), 0, G_MAXUINT32, GATING_NONE,
          &gating, error))
    return FALSE;
  if (gating == GATING_NONE || gating == expected || (gating == GATING_SOFTMAX_CHOSEN && router == TERN_ROUTER_SOFTMAX_CHOSEN))
    return TRUE;
  return tern_gguf_bad_key (d->source.file, key, error, "expected %u (%s), found %u", expected,
      expected == GATING_SIGMOID ? "sigmoid" : "softmax", gating);
}

/* A softmax of those chosen is one over all whose weights are made to sum to 1. */
static gboolean
read_weights (TernDecoder *d, GError **error)
{
  TernMoeParams *moe = &d->moe;
  gboolean chosen = moe->router == TERN_ROUTER_SOFTMAX_CHOSEN, normalise;
  char key[TERN_KEY_SIZE];

  if (!tern_gguf_bool_or (d->source.file, tern_arch_key (key, d->architecture, "expert_weights_norm"), chosen || moe->normalise,
          &normalise, error)
      || !tern_gguf_f32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_weights_scale"), 0, FLT_MAX, 1,
          &moe->scale, error))
    return FALSE;
  if (moe->scale == 0)
    moe->scale = 1;             /* GGUF's way to say that there is none */
  if (chosen && !normalise)
    moe->router = TERN_ROUTER_SOFTMAX;
  moe->normalise = normalise && !chosen;
  return TRUE;
}

static gboolean
read_groups (TernDecoder *d, GError **error)
{
  TernMoeParams *moe = &d->moe;
  const TernGguf *file = d->source.file;
  char key[TERN_KEY_SIZE], used[TERN_KEY_SIZE];
  guint each;

  tern_arch_key (key, d->architecture, "expert_group_count");
  tern_arch_key (used, d->architecture, "expert_group_used_count");
  if (!tern_gguf_u32_or (file, key, 0, moe->n_experts, 1, &moe->n_groups, error)
      || !tern_gguf_u32_or (file, used, 0, MAX (moe->n_groups, 1), 1, &moe->n_groups_used, error))
    return FALSE;
  moe->n_groups = MAX (moe->n_groups, 1);
  moe->n_groups_used = CLAMP (moe->n_groups_used, 1, moe->n_groups);
  each = moe->n_experts / moe->n_groups;
  if (moe->n_experts % moe->n_groups)
    return tern_gguf_bad_key (file, key, error, "expected a divisor of the %u experts, found %u", moe->n_experts, moe->n_groups);
  if (moe->router != TERN_ROUTER_SIGMOID && moe->n_groups_used < moe->n_groups)
    return tern_gguf_bad_key (file, key, error, "expected 1 of experts that a softmax chooses, found %u", moe->n_groups);
  if (moe->n_used > each * moe->n_groups_used)
    return tern_gguf_bad_key (file, used, error, "expected groups of %u experts for the %u that are used, found %u", each,
        moe->n_used, moe->n_groups_used);
  return TRUE;
}

gboolean
tern_decoder_experts (TernDecoder *d, GError **error)
{
  TernMoeParams *moe = &d->moe;
  char key[TERN_KEY_SIZE];

  moe->width = d->params.width;
  if (!tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_count"), 0, TERN_MOE_MAX_EXPERTS, 0,
          &moe->n_experts, error))
    return FALSE;
  d->source.dims[TERN_E] = moe->n_experts;
  return !moe->n_experts || (tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "expert_used_count"), 1,
          moe->n_experts, &moe->n_used, error)
      && check_gating (d, error) && read_weights (d, error) && read_groups (d, error));
}

gboolean
tern_decoder_has_router (const TernDecoder *d)
{
  char name[64];

  g_snprintf (name, sizeof name, "blk.%u.ffn_gate_inp.weight", d->source.layer);
  return tern_gguf_find (d->source.file, name) != NULL;
}

TernBlock *
tern_decoder_moe (TernDecoder *d, guint inner, GError **error)
{
  const TernDecoderParams *p = &d->params;
  char key[TERN_KEY_SIZE];
  TernMoeParams moe = d->moe;
  TernBlock *experts;

  if (!moe.n_experts) {
    tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture, "expert_count"), error, "expected 1 or more for "
        "the router of layer %u, found 0", d->source.layer);
    return NULL;
  }
  moe.inner = inner;
  d->source.dims[TERN_FE] = inner;
  d->source.dims[TERN_FE2] = 2 * (guint64) inner;
  experts = tern_moe_new (&d->source, &moe, error);
  if (!experts || !d->source.dims[TERN_FS])
    return experts;
  return tern_pair_new (experts, tern_ffn_new (&d->source, &(TernFfnParams) { .width = p->width,
              .inner = d->source.dims[TERN_FS], .gate = moe.gate, .shared = TRUE, .eps = p->eps }, error), p->width);
}
