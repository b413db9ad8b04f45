/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/cpu.h"

#include "tern/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const char *const names[TERN_CPU_N_LEVELS] = {
  [TERN_CPU_SCALAR] = "scalar",
  [TERN_CPU_AVX2] = "avx2",
  [TERN_CPU_AVXVNNI] = "avxvnni",
  [TERN_CPU_AVX512VNNI] = "avx512vnni",
  [TERN_CPU_AVX512VBMI] = "avx512vbmi",
  [TERN_CPU_AVX512BF16] = "avx512bf16",
  [TERN_CPU_AMX] = "amx",
  [TERN_CPU_NEON] = "neon",
  [TERN_CPU_DOTPROD] = "dotprod",
  [TERN_CPU_I8MM] = "i8mm",
};

const char *
tern_cpu_name (TernCpu level)
{
  return (guint) level < TERN_CPU_N_LEVELS ? names[level] : "unknown";
}

#if defined(__x86_64__)

/* Intel SDM vol. 2A, CPUID; vol. 1, 13.2 (XCR0). All bits of @mask in @reg. */
#define HAS(reg, mask) (((reg) & (mask)) == (mask))
#define BIT(n) (1u << (n))

#define XCR0_AVX 0x6u           /* SSE, AVX state */
#define XCR0_AVX512 0xe6u       /* + opmask, upper halves of ZMM0-15, ZMM16-31 */
#define XCR0_AMX 0x60000u       /* tile configuration, tile data */

static guint32
read_xcr0 (void)
{
  guint32 low, high;

  __asm__ volatile ("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
  return low;
}

static guint32
detect (void)
{
  guint32 a, b, c, d, leaf1_c, b7, c7, d7, a71 = 0, xcr0, levels = BIT (TERN_CPU_SCALAR);
  gboolean avx2, avx512;

  if (!__get_cpuid (1, &a, &b, &leaf1_c, &d) || !HAS (leaf1_c, BIT (27)))     /* OSXSAVE */
    return levels;
  if (!__get_cpuid_count (7, 0, &a, &b7, &c7, &d7))
    return levels;
  if (a >= 1)
    __get_cpuid_count (7, 1, &a71, &b, &c, &d);
  xcr0 = read_xcr0 ();

  avx2 = HAS (xcr0, XCR0_AVX) && HAS (leaf1_c, BIT (12) | BIT (28) | BIT (29))          /* FMA, AVX, F16C */
      && HAS (b7, BIT (5));
  if (!avx2)
    return levels;
  levels |= BIT (TERN_CPU_AVX2);
  if (HAS (a71, BIT (4)))
    levels |= BIT (TERN_CPU_AVXVNNI);

  avx512 = HAS (xcr0, XCR0_AVX512) && HAS (b7, BIT (16) | BIT (17) | BIT (30) | BIT (31))       /* F, DQ, BW, VL */
      && HAS (c7, BIT (11));                                                                    /* VNNI */
  if (!avx512)
    return levels;
  levels |= BIT (TERN_CPU_AVX512VNNI);
  if (!HAS (c7, BIT (1) | BIT (6)))     /* VBMI, VBMI2 */
    return levels;
  levels |= BIT (TERN_CPU_AVX512VBMI);
  if (!HAS (a71, BIT (5)))
    return levels;
  levels |= BIT (TERN_CPU_AVX512BF16);
  if (HAS (xcr0, XCR0_AMX) && HAS (d7, BIT (22) | BIT (24) | BIT (25)))         /* BF16, TILE, INT8 */
    levels |= BIT (TERN_CPU_AMX);
  return levels;
}

#elif defined(__aarch64__)

static guint32
detect (void)
{
  guint32 levels = 1u << TERN_CPU_SCALAR | 1u << TERN_CPU_NEON;

#ifdef __linux__
  if (getauxval (AT_HWCAP) & (1ul << 20))       /* HWCAP_ASIMDDP */
    levels |= 1u << TERN_CPU_DOTPROD;
  if ((levels & 1u << TERN_CPU_DOTPROD) && (~getauxval (AT_HWCAP2) & (1ul << 13 | 1ul << 14)) == 0)
    levels |= 1u << TERN_CPU_I8MM;      /* HWCAP2_I8MM, HWCAP2_BF16: Armv8.6 has both */
#endif
  return levels;
}

#else

static guint32
detect (void)
{
  return 1u << TERN_CPU_SCALAR;
}

#endif

#if defined(__x86_64__) && defined(__linux__)

/* Tile data makes the state of a thread so large that Linux (5.16 and later) wants to be asked, once a process; forks
 * inherit the answer, programs that are started do not. It refuses where a thread's alternate signal stack could not hold
 * that state, and sandboxes may refuse anything: then this machine has no tiles. */
static gboolean
request_tiles (void)
{
  return syscall (SYS_arch_prctl, 0x1023, 18) == 0;     /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
}

#else

static gboolean
request_tiles (void)
{
  return FALSE;
}

#endif

/* From then on alternate signal stacks must have room for tiles: so not before somebody wants them. */
static gboolean
has_tiles (void)
{
  static gsize answer;

  if (g_once_init_enter (&answer))
    g_once_init_leave (&answer, request_tiles () ? 2 : 1);
  return answer == 2;
}

gboolean
tern_cpu_has (TernCpu level)
{
  static gsize levels;

  if (g_once_init_enter (&levels))
    g_once_init_leave (&levels, detect ());     /* never 0: scalar is always there */
  return (guint) level < TERN_CPU_N_LEVELS && (levels >> level & 1) && (level != TERN_CPU_AMX || has_tiles ());
}

/* "auto, scalar, avx2", of this machine alone or of every machine. */
static char *
list_names (gboolean all)
{
  GString *text = g_string_new ("auto");
  guint i;

  for (i = 0; i < TERN_CPU_N_LEVELS; i++) {
    if (all || tern_cpu_has (i))
      g_string_append_printf (text, ", %s", names[i]);
  }
  return g_string_free (text, FALSE);
}

gboolean
tern_cpu_parse (const char *name, TernCpu *level, GError **error)
{
  g_autofree char *list = NULL;
  guint i;

  if (!name || !*name || !g_strcmp0 (name, "auto")) {
    for (i = TERN_CPU_N_LEVELS - 1; !tern_cpu_has (i); i--);
    *level = i;
    return TRUE;
  }
  for (i = 0; i < TERN_CPU_N_LEVELS && g_strcmp0 (name, names[i]); i++);
  if (i == TERN_CPU_N_LEVELS) {
    list = list_names (TRUE);
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "TERN_CPU: expected one of %s, found '%s'", list, name);
    return FALSE;
  }
  if (!tern_cpu_has (i)) {
    list = list_names (FALSE);
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "TERN_CPU: this CPU lacks '%s'; it has %s", name, list);
    return FALSE;
  }
  *level = i;
  return TRUE;
}
