/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/versions.h"

typedef void (*Init) (TernKernels *k);

/* The groups that x86 had from the beginning; an instruction set that has others lists them. */
#define ALL_GROUPS(isa) tern_blocks_init_##isa, tern_elementwise_init_##isa, tern_gemm_init_##isa, \
    tern_packed_init_##isa, tern_probe_init_##isa, tern_quant_init_##isa, tern_recurrent_init_##isa, tern_scaled_init_##isa, \
    tern_ssm_init_##isa, tern_ternary_init_##isa

/* What was built (meson.build), in ascending order: later rows override earlier ones. */
static const struct {
  TernCpu level, last;          /* of its own, and the last one that includes it */
  Init inits[11];
} instruction_sets[] = {
  { TERN_CPU_SCALAR, TERN_CPU_N_LEVELS, { tern_blocks_init_c, tern_elementwise_init_c, tern_gemm_init_c, tern_packed_init_c,
      tern_probe_init_c, tern_quant_init_c, tern_recurrent_init_c, tern_scaled_init_c, tern_ssm_init_c, tern_ternary_init_c } },
#ifdef TERN_HAVE_AVX2
  { TERN_CPU_AVX2, TERN_CPU_AMX, { ALL_GROUPS (avx2) } },
#endif
#ifdef TERN_HAVE_AVXVNNI
  { TERN_CPU_AVXVNNI, TERN_CPU_AMX, { tern_packed_init_avxvnni, tern_probe_init_avxvnni, tern_ternary_init_avxvnni } },
#endif
#ifdef TERN_HAVE_AVX512VNNI
  { TERN_CPU_AVX512VNNI, TERN_CPU_AMX, { ALL_GROUPS (avx512vnni) } },
#endif
#ifdef TERN_HAVE_AVX512VBMI
  { TERN_CPU_AVX512VBMI, TERN_CPU_AMX, { tern_scaled_init_avx512vbmi, tern_ternary_init_avx512vbmi } },
#endif
#ifdef TERN_HAVE_AVX512BF16
  { TERN_CPU_AVX512BF16, TERN_CPU_AMX, { tern_packed_init_avx512bf16 } },
#endif
#ifdef TERN_HAVE_AMX
  { TERN_CPU_AMX, TERN_CPU_AMX, { tern_blocks_init_amx, tern_gemm_init_amx, tern_packed_init_amx, tern_probe_init_amx,
      tern_ternary_init_amx } },
#endif
#ifdef TERN_HAVE_NEON
  { TERN_CPU_NEON, TERN_CPU_I8MM, { ALL_GROUPS (neon) } },
#endif
#ifdef TERN_HAVE_DOTPROD
  { TERN_CPU_DOTPROD, TERN_CPU_I8MM, { tern_blocks_init_dotprod, tern_packed_init_dotprod, tern_probe_init_dotprod,
      tern_scaled_init_dotprod, tern_ternary_init_dotprod } },
#endif
#ifdef TERN_HAVE_I8MM
  { TERN_CPU_I8MM, TERN_CPU_I8MM, { tern_blocks_init_i8mm, tern_packed_init_i8mm, tern_probe_init_i8mm,
      tern_ternary_init_i8mm } },
#endif
};

gboolean
tern_kernels_put (TernKernels *k, TernCpu level)
{
  gboolean found = FALSE;
  guint i, g;

  for (i = 0; i < G_N_ELEMENTS (instruction_sets); i++) {
    if (instruction_sets[i].level != level)
      continue;
    found = TRUE;
    k->level = level;
    for (g = 0; g < G_N_ELEMENTS (instruction_sets[i].inits) && instruction_sets[i].inits[g]; g++)
      instruction_sets[i].inits[g] (k);
  }
  return found;
}

void
tern_kernels_init (TernKernels *k, TernCpu level)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (instruction_sets); i++) {
    if (level >= instruction_sets[i].level && level <= instruction_sets[i].last
        && tern_cpu_has (instruction_sets[i].level))    /* AVX-512 may come without AVX-VNNI */
      tern_kernels_put (k, instruction_sets[i].level);
  }
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
