/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mamba and Mamba-2 alone: layers of one block, a state-space one. FalconMamba is a mamba whose steps, B and C are normed. */
#include "engine/llm/arch/ssm.h"

static const TernTensorRow mamba_tensors[] = {
  TERN_ROWS_ENDS,
  TERN_SSM_MAMBA1,
  { NULL }
};

static const TernTensorRow mamba2_tensors[] = {
  TERN_ROWS_ENDS,
  TERN_SSM_MAMBA2 (FALSE),
  { NULL }
};

/* A head would be one of a relative that has attention, too. */
static gboolean
check_no_heads (const TernDecoder *d, GError **error)
{
  char key[TERN_KEY_SIZE];

  return !d->params.max_heads || tern_gguf_bad_key (d->source.file, tern_arch_key (key, d->architecture,
          "attention.head_count"), error, "expected 0, found %u", d->params.max_heads);
}

static gboolean
mamba_keys (TernDecoder *d, GError **error)
{
  return check_no_heads (d, error) && tern_ssm_keys_mamba1 (d, error);
}

static gboolean
mamba_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  char key[TERN_KEY_SIZE];
  gboolean norms;

  return tern_gguf_bool_or (d->source.file, tern_arch_key (key, d->architecture, "ssm.dt_b_c_rms"), FALSE, &norms, error)
      && (layer->mixer = tern_decoder_mamba1 (d, norms, error));
}

static gboolean
mamba2_keys (TernDecoder *d, GError **error)
{
  return check_no_heads (d, error) && tern_ssm_keys_mamba2 (d, error);
}

static gboolean
mamba2_layer (TernDecoder *d, TernLayer *layer, GError **error)
{
  return (layer->mixer = tern_decoder_mamba2 (d, error)) != NULL;
}

static const char *const mamba_names[] = { "mamba", NULL };
static const char *const mamba2_names[] = { "mamba2", NULL };

const TernArch tern_arch_mamba = {
  .names = mamba_names,
  .tensors = mamba_tensors,
  .no_positions = TRUE,
  .sparse_layers = TRUE,
  .keys = mamba_keys,
  .layer = mamba_layer,
};

const TernArch tern_arch_mamba2 = {
  .names = mamba2_names,
  .tensors = mamba2_tensors,
  .no_positions = TRUE,
  .sparse_layers = TRUE,
  .keys = mamba2_keys,
  .layer = mamba2_layer,
};
