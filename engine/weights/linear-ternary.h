/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary tensors of GGUF, repacked at load to the layout of the kernels (kernels.h), by way of T2. */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

/* Whether a tensor of this shape can take the form T2. */
gboolean tern_linear_ternary_fits (const TernLinear *linear);
/* Fills packed, groups, scale and row_scale; a tensor that is not ternary, or whose blocks have several scales, takes
 * the form EXPAND instead. */
gboolean tern_linear_pack_ternary (TernLinear *linear, void *place, TernPool *pool, GError **error);

/* The same for types whose blocks have scales of their own (linear-scaled.c). */
gboolean tern_linear_pack_scaled (TernLinear *linear, void *place, TernPool *pool, GError **error);

G_END_DECLS
