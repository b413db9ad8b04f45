/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/action/head.h"
#include "tern/action.h"

/* Borrowed. */
TernActionHead *tern_action_model_head (const TernActionModel *model);
/* Tokens that a decision says; 0: none is said. */
guint tern_action_model_tokens (const TernActionModel *model);
