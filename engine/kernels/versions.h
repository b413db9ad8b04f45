/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each source of kernels offers: a function that puts its versions into the table. Private to engine/kernels. */
#pragma once

#include "engine/kernels/kernels.h"

/* All block types (kernels.h), for what needs a function for each: M (its name in names of functions, ... in TERN_BLOCKS_*). */
#define TERN_EACH_BLOCKS(M) \
  M (q8_0, Q8_0) M (q4_0, Q4_0) M (q4_1, Q4_1) M (q5_0, Q5_0) M (q5_1, Q5_1) M (iq4_nl, IQ4_NL) \
  M (q2_k, Q2_K) M (q3_k, Q3_K) M (q4_k, Q4_K) M (q5_k, Q5_K) M (q6_k, Q6_K) M (iq4_xs, IQ4_XS)

/* Of one instruction set; one that has no version of a group does not define its function. */
#define TERN_DECL_INITS(isa) \
  void tern_blocks_init_##isa (TernKernels *k); \
  void tern_elementwise_init_##isa (TernKernels *k); \
  void tern_gemm_init_##isa (TernKernels *k); \
  void tern_packed_init_##isa (TernKernels *k); \
  void tern_probe_init_##isa (TernKernels *k); \
  void tern_quant_init_##isa (TernKernels *k); \
  void tern_recurrent_init_##isa (TernKernels *k); \
  void tern_scaled_init_##isa (TernKernels *k); \
  void tern_ssm_init_##isa (TernKernels *k); \
  void tern_ternary_init_##isa (TernKernels *k)

TERN_DECL_INITS (c);
TERN_DECL_INITS (avx2);
TERN_DECL_INITS (avxvnni);
TERN_DECL_INITS (avx512vnni);
TERN_DECL_INITS (avx512vbmi);
TERN_DECL_INITS (avx512bf16);
TERN_DECL_INITS (amx);
TERN_DECL_INITS (neon);
TERN_DECL_INITS (dotprod);
TERN_DECL_INITS (i8mm);

/* Puts what @level alone has over what is in @k, whether this CPU has it or not; FALSE when it was built without. For tests,
 * which may know how to run it. */
gboolean tern_kernels_put (TernKernels *k, TernCpu level);
