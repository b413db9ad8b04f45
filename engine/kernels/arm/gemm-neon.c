/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/arm/vec-neon.h"

#define TILE_TOKENS 12          /* 24 sums, 2 weights, 1 value of 32 registers */
#include "engine/kernels/wide/gemm.inc"
