/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows are whole groups of frames, and so may be longer than was asked for; and need have no more frames than a video. */
#pragma once

#include "tern/tern.h"
#include "tools/media.h"

G_BEGIN_DECLS

/* What there is to say of windows of a video: how long they are, why, and which rate gives them as long as @params have it. NULL:
 * they are. Free with g_free. */
char *tern_caption_window_note (const TernSession *session, const TernSessionParams *params);

/* A session for @media. Where windows of @params do not fit into the model's context, it is asked for as many frames as the video
 * can have: no more a second than it says, and windows no longer than it lasts; a still has none. @params are then what was asked
 * for in the end. */
TernSession *tern_caption_window_open (TernModel *model, TernSessionParams *params, const TernMedia *media, GError **error);

/* A session for the longest window that fits, up to that of @params: what an input takes at most. */
TernSession *tern_caption_window_open_longest (TernModel *model, const TernSessionParams *params, GError **error);

G_END_DECLS
