/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What somebody hands over as visual tokens, before it is believed. */
#pragma once

#include "tern/frames.h"

/* Each number is one: who makes none of what it is given would be blamed for it. INVALID. */
gboolean tern_tokens_check_numbers (const TernTokens *tokens, GError **error);
/* `keep` is of the grid, or all of it is there. INVALID. */
gboolean tern_tokens_check_places (const TernTokens *tokens, GError **error);
