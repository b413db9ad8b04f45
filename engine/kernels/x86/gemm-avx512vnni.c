/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

#define TILE_TOKENS 12          /* 24 sums, 2 weights, 1 value of 32 registers */
#include "engine/kernels/x86/dots-vnni.inc"
#define DOTS_INT dots_int
#include "engine/kernels/wide/gemm.inc"
