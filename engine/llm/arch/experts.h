/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What families with experts have in common: their keys and their block. */
#pragma once

#include "engine/llm/arch/arch.h"

G_BEGIN_DECLS

/* expert_count and expert_used_count, to the decoder's moe and to sizes of the table; n_experts 0 where the key is absent or 0.
 * What rows do with a router is in moe: its router, which the file cannot change, and normalise where the file does not say.
 * Groups are chosen by a router of sigmoids alone. */
gboolean tern_decoder_experts (TernDecoder *decoder, GError **error);
/* Of the current layer, whose experts are @inner wide inside, with the shared one beside them where TERN_FS is not 0. */
TernBlock *tern_decoder_moe (TernDecoder *decoder, guint inner, GError **error);
/* Whether the current layer has a router. */
gboolean tern_decoder_has_router (const TernDecoder *decoder);

G_END_DECLS
