/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compression of one group with the public parameters: shared by the step and by sessions. */
#pragma once

#include "compress/compress.h"
#include "tern/tern.h"

gboolean tern_compressor_params_check (const TernCompressorParams *params, GError **error);
/* The same, and that budgets of windows and seconds leave each of their frames a token: @window_frames and the rate are
 * known. */
gboolean tern_compressor_budgets_check (const TernCompressorParams *params, GError **error);

/* @params were checked. */
gsize tern_compress_group_scratch (const TernCompressorParams *params, guint n_tokens, guint dim);
/* *@block has room for @bytes; what was in it is lost where it had not. NO_SPACE. */
gboolean tern_compress_room (void **block, gsize *size, gsize bytes, GError **error);
/* Whether rows change, and where they are then is wanted. */
gboolean tern_compress_group_mixes (const TernCompressorParams *params);
/* @first: the number of the group's first frame. */
void tern_compress_group_run (const TernCompressorParams *params, const TernTokenGroup *group, guint64 first, void *scratch,
    gint32 *keep, guint *n_keep, float *mixed);
