/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compression of one group with the public parameters: shared by the step and by sessions. */
#pragma once

#include "compress/compress.h"
#include "tern/tern.h"

gboolean tern_compressor_params_check (const TernCompressorParams *params, GError **error);
gsize tern_compress_group_scratch (guint n_tokens);
/* @params were checked. */
void tern_compress_group_run (const TernCompressorParams *params, const TernTokenGroup *group, void *scratch,
    gint32 *keep, guint *n_keep);
