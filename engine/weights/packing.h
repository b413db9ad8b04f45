/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packs all matrices of a model at once: into one block of memory, in large pages where the system has them (decode is some
 * 3 % faster for it), or out of a cache (pack-cache.h). */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernPacking TernPacking;

/* Packs those of @linears, all bound to @file, that tern_linear_pack() would; their packed forms belong to what is
 * returned. @layout names how the kernels want them. Errors: NO_SPACE. */
TernPacking *tern_packing_new (const TernGguf *file, const char *layout, TernLinear *const *linears, guint n,
    TernPool *pool, GError **error);
/* After the linears. NULL-safe. */
void tern_packing_free (TernPacking *packing);

G_END_DECLS
