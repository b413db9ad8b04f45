/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the model can be asked what a configuration asks: what only the model knows, before a camera is connected. */
#pragma once

#include "tern/tern.h"
#include "watch/config.h"

G_BEGIN_DECLS

/* FALSE: *@error (INVALID) has what is wrong, a line each camera and rule. */
gboolean tern_questions_check (const TernWatchConfig *config, TernModel *model, GError **error);

G_END_DECLS
