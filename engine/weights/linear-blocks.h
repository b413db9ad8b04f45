/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which file types the block kernels run. Private to engine/weights. */
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/weights/types.h"

/* FALSE when there is no kernel for @type. */
gboolean tern_linear_blocks (const TernTypeInfo *type, TernBlocks *blocks);
