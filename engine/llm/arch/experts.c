/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Experts as several families have them: their number, those of a layer, the shared one. */
#include "engine/llm/arch/ssm.h"

gboolean
tern_decoder_experts (TernDecoder *d, GError **error)
{
  TernMoeParams *moe = &d->moe;
  char key[TERN_KEY_SIZE];

  moe->width = d->params.width;
  moe->scale = 1;
  if (!tern_gguf_u32_or (d->source.file, tern_arch_key (key, d->architecture, "expert_count"), 0, TERN_MOE_MAX_EXPERTS, 0,
          &moe->n_experts, error))
    return FALSE;
  d->source.dims[TERN_E] = moe->n_experts;
  return !moe->n_experts || tern_gguf_u32 (d->source.file, tern_arch_key (key, d->architecture, "expert_used_count"), 1,
      moe->n_experts, &moe->n_used, error);
}

gboolean
tern_decoder_expert_groups (TernDecoder *d, GError **error)
{
  TernMoeParams *moe = &d->moe;
  char key[TERN_KEY_SIZE];
  guint each;

  moe->n_groups = MAX (moe->n_groups, 1);
  moe->n_groups_used = CLAMP (moe->n_groups_used, 1, moe->n_groups);
  each = moe->n_experts / moe->n_groups;
  if (moe->n_experts % moe->n_groups)
    return tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture, "expert_group_count"), error, "expected a "
        "divisor of the %u experts, found %u", moe->n_experts, moe->n_groups);
  if (moe->n_used > each * moe->n_groups_used)
    return tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture, "expert_group_used_count"), error,
        "expected groups of %u experts for the %u that are used, found %u", each, moe->n_used, moe->n_groups_used);
  return TRUE;
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
  experts = tern_moe_new (&d->source, &moe, error);
  if (!experts || !d->source.dims[TERN_FS])
    return experts;
  return tern_pair_new (experts, tern_ffn_new (&d->source, &(TernFfnParams) { .width = p->width,
              .inner = d->source.dims[TERN_FS], .gate = moe.gate, .shared = TRUE, .eps = p->eps }, error), p->width);
}
