/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this CPU can do, capped by the environment variable TERN_CPU (scalar, avx2, avxvnni, avx512vnni, avx512vbmi,
 * avx512bf16, amx, neon, dotprod, i8mm, auto). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Ascending on each architecture: a level includes those before it. */
typedef enum {
  TERN_CPU_SCALAR,
  TERN_CPU_AVX2,                /* AVX2 + FMA + F16C */
  TERN_CPU_AVXVNNI,
  TERN_CPU_AVX512VNNI,          /* AVX-512 F, BW, DQ, VL, VNNI */
  TERN_CPU_AVX512VBMI,          /* and VBMI2 */
  TERN_CPU_AVX512BF16,
  TERN_CPU_AMX,                 /* tiles of int8 and bf16 */
  TERN_CPU_NEON,
  TERN_CPU_DOTPROD,
  TERN_CPU_I8MM,                /* and BF16 */
  TERN_CPU_N_LEVELS
} TernCpu;

const char *tern_cpu_name (TernCpu level);

/* Whether CPU and operating system (XCR0) run code of this level. AVX-512 machines without AVX-VNNI still run that
 * level: kernels of the level ask for exactly what they need. Asking for AMX asks the system for permission, the first
 * time; what it says stays. */
gboolean tern_cpu_has (TernCpu level);

/* The level that @name stands for (NULL, "" and "auto": the best of this machine). Errors: INVALID for an unknown name,
 * UNSUPPORTED for one that this CPU lacks; both list what would do. */
gboolean tern_cpu_parse (const char *name, TernCpu *level, GError **error);

G_END_DECLS
