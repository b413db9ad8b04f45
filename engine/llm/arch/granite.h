/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What Granite's models have in common, hybrid or not: four multipliers, one of which divides the logits. */
#pragma once

#include "engine/llm/arch/arch.h"

G_BEGIN_DECLS

/* The keys that this reads, which params.c refuses of others. */
extern const char *const tern_granite_variants[];
gboolean tern_granite_scales (TernDecoder *decoder, GError **error);
/* Experts, whose weights are a softmax of those chosen, and how wide the shared one is; of none where the file has none. */
gboolean tern_granite_experts (TernDecoder *decoder, GError **error);

G_END_DECLS
