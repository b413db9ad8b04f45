/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/linear-blocks.h"

gboolean
tern_linear_blocks (const TernTypeInfo *type, TernBlocks *blocks)
{
  static const struct {
    guint32 type;
    TernBlocks blocks;
  } known[] = {
    { TERN_TYPE_Q8_0, TERN_BLOCKS_Q8_0 }, { TERN_TYPE_Q4_0, TERN_BLOCKS_Q4_0 }, { TERN_TYPE_Q4_1, TERN_BLOCKS_Q4_1 },
    { TERN_TYPE_Q5_0, TERN_BLOCKS_Q5_0 }, { TERN_TYPE_Q5_1, TERN_BLOCKS_Q5_1 },
    { TERN_TYPE_IQ4_NL, TERN_BLOCKS_IQ4_NL }, { TERN_TYPE_Q2_K, TERN_BLOCKS_Q2_K },
    { TERN_TYPE_Q3_K, TERN_BLOCKS_Q3_K }, { TERN_TYPE_Q4_K, TERN_BLOCKS_Q4_K }, { TERN_TYPE_Q5_K, TERN_BLOCKS_Q5_K },
    { TERN_TYPE_Q6_K, TERN_BLOCKS_Q6_K }, { TERN_TYPE_IQ4_XS, TERN_BLOCKS_IQ4_XS },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (known); i++) {
    if (known[i].type != type->type)
      continue;
    *blocks = known[i].blocks;
    return TRUE;
  }
  return FALSE;
}
