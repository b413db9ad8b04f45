/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/arch/ssm.h"

#define MAX_INNER (1u << 24)    /* channels */
#define MAX_STATES (1u << 16)
#define MAX_TAPS 256
#define MAX_IN (1u << 28)       /* features of one projection */

static gboolean
read_sizes (TernDecoder *d, guint max_rank, GError **error)
{
  const TernGguf *file = d->source.file;
  TernSsmSizes *ssm = &d->ssm;
  guint64 *dims = d->source.dims;
  char key[TERN_KEY_SIZE];

  if (!tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.conv_kernel"), 1, MAX_TAPS, &ssm->taps, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.inner_size"), 1, MAX_INNER, &ssm->inner, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.state_size"), 1, MAX_STATES, &ssm->states, error)
      || !tern_gguf_u32 (file, tern_arch_key (key, d->architecture, "ssm.time_step_rank"), 1, MIN (max_rank, ssm->inner),
          &ssm->rank, error))
    return FALSE;
  dims[TERN_TAPS] = ssm->taps;
  dims[TERN_SV] = ssm->inner;
  dims[TERN_SSM_N] = ssm->states;
  return TRUE;
}

gboolean
tern_ssm_keys_mamba1 (TernDecoder *d, GError **error)
{
  guint64 *dims = d->source.dims;

  if (!read_sizes (d, MAX_INNER, error))
    return FALSE;
  dims[TERN_SSM_R] = d->ssm.rank;
  dims[TERN_SC] = d->ssm.inner;
  dims[TERN_SSM_IN] = 2 * (guint64) d->ssm.inner;
  dims[TERN_SSM_X] = d->ssm.rank + 2 * (guint64) d->ssm.states;
  return TRUE;
}

gboolean
tern_ssm_keys_mamba2 (TernDecoder *d, GError **error)
{
  TernSsmSizes *ssm = &d->ssm;
  guint64 *dims = d->source.dims;
  char key[TERN_KEY_SIZE];

  if (!read_sizes (d, MAX_INNER, error))
    return FALSE;
  tern_arch_key (key, d->architecture, "ssm.time_step_rank");
  if (ssm->inner % ssm->rank)
    return tern_gguf_bad_key (d->source.file, key, error, "expected a divisor of the %u channels of ssm.inner_size (heads), "
        "found %u", ssm->inner, ssm->rank);
  tern_arch_key (key, d->architecture, "ssm.group_count");
  if (!tern_gguf_u32 (d->source.file, key, 1, ssm->rank, &ssm->groups, error))
    return FALSE;
  if (ssm->rank % ssm->groups)
    return tern_gguf_bad_key (d->source.file, key, error, "expected a divisor of the %u heads of ssm.time_step_rank, found %u",
        ssm->rank, ssm->groups);
  dims[TERN_SH] = ssm->rank;
  dims[TERN_SSM_G] = ssm->groups;
  dims[TERN_SSM_DG] = ssm->inner / ssm->groups;
  dims[TERN_SC] = ssm->inner + 2 * (guint64) ssm->groups * ssm->states;
  dims[TERN_SSM_IN] = ssm->inner + dims[TERN_SC] + ssm->rank;
  if (dims[TERN_SSM_IN] > MAX_IN)
    return tern_gguf_bad_key (d->source.file, key, error, "expected groups whose states (ssm.state_size, %u each) and channels "
        "are at most %u features, found %u", ssm->states, MAX_IN, ssm->groups);
  return TRUE;
}

TernBlock *
tern_decoder_mamba1 (const TernDecoder *d, gboolean norms, GError **error)
{
  return tern_mamba1_new (&d->source, &(TernMamba1Params) { .width = d->params.width, .inner = d->ssm.inner,
          .states = d->ssm.states, .rank = d->ssm.rank, .taps = d->ssm.taps, .norms = norms, .eps = d->params.eps }, error);
}

TernBlock *
tern_decoder_mamba2 (const TernDecoder *d, GError **error)
{
  return tern_mamba2_new (&d->source, &(TernMamba2Params) { .width = d->params.width, .heads = d->ssm.rank,
          .channels = d->ssm.inner / d->ssm.rank, .groups = d->ssm.groups, .states = d->ssm.states, .taps = d->ssm.taps,
          .eps = d->params.eps }, error);
}
