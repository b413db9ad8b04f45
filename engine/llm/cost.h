/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reading tokens costs at least, whoever computes it: for floors. */
#pragma once

#include "engine/llm/llm.h"
#include "engine/weights/cost.h"

G_BEGIN_DECLS

/* Rows that pass through the layers together. */
typedef struct {
  guint timelines;
  guint rows;                   /* of each timeline */
  double depth;                 /* tokens that each held before */
  guint heads;                  /* rows of all that the output matrix is asked about */
  TernKvType kv;                /* not AUTO */
} TernLlmWork;

/* Adds to @cost. The last layers count for the rows that what is asked depends on. What is small beside matrices, keys, values and
 * recurrent states is not counted: norms, states of convolutions, activations. */
void tern_llm_cost (const TernLlm *llm, const TernLlmWork *work, TernCost *cost);

G_END_DECLS
