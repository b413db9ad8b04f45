/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/versions.h"

void
tern_kernels_init (TernKernels *k, TernCpu level)
{
  k->level = TERN_CPU_SCALAR;
  tern_blocks_init_c (k);
  tern_elementwise_init_c (k);
  tern_gemm_init_c (k);
  tern_probe_init_c (k);
  tern_quant_init_c (k);
  tern_ternary_init_c (k);

#ifdef TERN_HAVE_AVX2
  if (level >= TERN_CPU_AVX2 && level <= TERN_CPU_AMX) {
    k->level = TERN_CPU_AVX2;
    tern_blocks_init_avx2 (k);
    tern_elementwise_init_avx2 (k);
    tern_gemm_init_avx2 (k);
    tern_probe_init_avx2 (k);
    tern_quant_init_avx2 (k);
    tern_ternary_init_avx2 (k);
  }
#endif
#ifdef TERN_HAVE_AVX512VNNI
  if (level >= TERN_CPU_AVX512VNNI && level <= TERN_CPU_AMX) {
    k->level = TERN_CPU_AVX512VNNI;
    tern_blocks_init_avx512vnni (k);
    tern_elementwise_init_avx512vnni (k);
    tern_gemm_init_avx512vnni (k);
    tern_probe_init_avx512vnni (k);
    tern_quant_init_avx512vnni (k);
    tern_ternary_init_avx512vnni (k);
  }
#endif
}

/* The process's table, or why there is none. */
typedef struct {
  TernKernels kernels;
  GError *error;
} Default;

static void *
make_default (void *data)
{
  Default *self = data;
  TernCpu level;

  if (tern_cpu_parse (g_getenv ("TERN_CPU"), &level, &self->error))
    tern_kernels_init (&self->kernels, level);
  return self;
}

const TernKernels *
tern_kernels_default (GError **error)
{
  static Default table;
  static GOnce once = G_ONCE_INIT;

  g_once (&once, make_default, &table);
  if (table.error) {
    g_propagate_error (error, g_error_copy (table.error));
    return NULL;
  }
  return &table.kernels;
}
