/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/quantize-plan.h"

#include <string.h>

#include "engine/weights/quantize.h"

/* What can be asked for. Where rows are not a multiple of a type's block, the next one in the list fits or F16 does.
 * Embedding and output matrix (often one) speak for every token, and are kept finer than the rest. */
static const struct {
  guint32 type, file_type;
  guint32 matrices[3], embedding[3];    /* ended by F16, which always fits */
} offers[] = {
  { TERN_TYPE_Q8_0, 7, { TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q4_0, 2, { TERN_TYPE_Q4_0, TERN_TYPE_F16 }, { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q4_K, 14, { TERN_TYPE_Q4_K, TERN_TYPE_Q5_0, TERN_TYPE_F16 },
    { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q6_K, 18, { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 },
    { TERN_TYPE_Q6_K, TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_TQ1_0, 36, { TERN_TYPE_TQ1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_TQ2_0, 37, { TERN_TYPE_TQ2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q1_0, 40, { TERN_TYPE_Q1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_Q2_0, 41, { TERN_TYPE_Q2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_PQ2_0, 141, { TERN_TYPE_PQ2_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
  { TERN_TYPE_PTQ1_0, 143, { TERN_TYPE_PTQ1_0, TERN_TYPE_Q8_0, TERN_TYPE_F16 }, { TERN_TYPE_Q8_0, TERN_TYPE_F16 } },
};

const TernTypeInfo *
tern_quantize_type (const char *name, guint32 *file_type)
{
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (offers); i++) {
    const TernTypeInfo *type = tern_type_info (offers[i].type);

    if (g_ascii_strcasecmp (type->name, name) == 0) {
      *file_type = offers[i].file_type;
      return type;
    }
  }
  return NULL;
}

/* A matrix of a linear or an embedding, or one for each of several experts; not what only looks like one: taps of
 * convolutions, tables of positions, the router, on whose small differences the choice of experts hangs. */
static gboolean
is_matrix (const TernTensor *tensor)
{
  static const char *const others[] = {
    "norm", ".conv.", "conv1d", "ffn_gate_inp", "rope_f", "position_embd", "pos_embd", "patch_embd", "class_embd",
    "token_types", "tile_embd",
  };
  gsize i;

  if (tensor->bytes == 0 || tensor->dims[1] == 1 || tensor->dims[1] > G_MAXINT32 || tensor->dims[3] != 1
      || !g_str_has_suffix (tensor->name, ".weight"))
    return FALSE;
  for (i = 0; i < G_N_ELEMENTS (others); i++)
    if (strstr (tensor->name, others[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_embedding (const TernTensor *tensor)
{
  return strcmp (tensor->name, "token_embd.weight") == 0 || strcmp (tensor->name, "output.weight") == 0
      || strcmp (tensor->name, "per_layer_token_embd.weight") == 0;
}

void
tern_quantize_plan (TernQuantizePlan *plan, const TernTensor *tensor, guint32 type)
{
  const guint32 *chain = NULL;
  gsize i;

  *plan = (TernQuantizePlan) { TERN_QUANTIZE_KEEP, NULL, tensor->type };
  if (!is_matrix (tensor))
    return;
  if (tensor->type_id != TERN_TYPE_F32 && tensor->type_id != TERN_TYPE_F16 && tensor->type_id != TERN_TYPE_BF16) {
    plan->step = TERN_QUANTIZE_DONE;
    return;
  }
  for (i = 0; !chain; i++)
    if (offers[i].type == type)
      chain = is_embedding (tensor) ? offers[i].embedding : offers[i].matrices;
  plan->asked = tern_type_info (*chain);
  while (tensor->dims[0] % tern_type_info (*chain)->block != 0)
    chain++;
  plan->step = *chain == plan->asked->type ? TERN_QUANTIZE_MAKE : TERN_QUANTIZE_FALLBACK;
  /* F16 is for what was wider; 16 bits stay as they are. */
  plan->type = *chain == TERN_TYPE_F16 && tensor->type_id != TERN_TYPE_F32 ? tensor->type : tern_type_info (*chain);
}
