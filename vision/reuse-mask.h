/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between reuse.c and reuse-mask.c. */
#pragma once

#include "vision/internal.h"

G_BEGIN_DECLS

/* Marks the patches to compute in reuse->mask, and probes. FALSE: they are too many. */
gboolean tern_reuse_mark (const TernVisionState *state);
/* Lists what is marked. */
void tern_reuse_list (const TernVisionState *state);
/* Keeps the pixels that these patches are computed from. */
void tern_reuse_take_pixels (const TernVisionState *state);

G_END_DECLS
