/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each source of kernels offers: a function that puts its versions into the table. Private to engine/kernels. */
#pragma once

#include "engine/kernels/kernels.h"

void tern_blocks_init_c (TernKernels *k);
void tern_elementwise_init_c (TernKernels *k);
void tern_gemm_init_c (TernKernels *k);
void tern_probe_init_c (TernKernels *k);
void tern_quant_init_c (TernKernels *k);
void tern_ternary_init_c (TernKernels *k);

void tern_blocks_init_avx2 (TernKernels *k);
void tern_elementwise_init_avx2 (TernKernels *k);
void tern_gemm_init_avx2 (TernKernels *k);
void tern_probe_init_avx2 (TernKernels *k);
void tern_quant_init_avx2 (TernKernels *k);
void tern_ternary_init_avx2 (TernKernels *k);

void tern_blocks_init_avx512vnni (TernKernels *k);
void tern_elementwise_init_avx512vnni (TernKernels *k);
void tern_gemm_init_avx512vnni (TernKernels *k);
void tern_probe_init_avx512vnni (TernKernels *k);
void tern_quant_init_avx512vnni (TernKernels *k);
void tern_ternary_init_avx512vnni (TernKernels *k);
