/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows are whole groups of frames, and so may be longer than was asked for. */
#pragma once

#include "tern/tern.h"

G_BEGIN_DECLS

/* What there is to say of windows of a video: how long they are, why, and which rate gives them as long as @params have it. NULL:
 * they are. Free with g_free. */
char *tern_caption_window_note (const TernSession *session, const TernSessionParams *params);

G_END_DECLS
