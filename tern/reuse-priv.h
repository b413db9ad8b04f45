/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From public parameters to the cache of a stream. */
#pragma once

#include "tern/reuse.h"
#include "vision/reuse.h"

G_BEGIN_DECLS

/* *@reuse: the cache, NULL where there is to be none. INVALID, NO_SPACE; UNSUPPORTED when it was asked for and the tower
 * cannot. */
gboolean tern_reuse_open (TernVision *vision, const TernReuseParams *params, TernReuse **reuse, GError **error);
/* @reuse NULL: nothing. */
void tern_reuse_get_stats (const TernReuse *reuse, TernReuseStats *stats);

G_END_DECLS
