/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx2.h"

#define TILE_TOKENS 6           /* 12 sums, 2 weights, 1 value of 16 registers */
#include "engine/kernels/wide/gemm.inc"
