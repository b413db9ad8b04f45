/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What completions take of a drafter. */
#pragma once

#include "engine/decode/draft.h"
#include "tern/drafter.h"

G_BEGIN_DECLS

/* A draft with room for @context tokens, or as many as it has; it is the caller's until it is given back. On the scheduler's
 * thread, between passes. NO_SPACE. */
TernDraft *tern_drafter_take (TernDrafter *drafter, guint context, GError **error);
/* Any thread. @draft may be NULL. */
void tern_drafter_give_back (TernDrafter *drafter, TernDraft *draft);

G_END_DECLS
