/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks every version of every kernel that this CPU has against the scalar reference, and that against arithmetic in
 * double precision. One test point a kernel and level. `--bench [KERNEL]` times them instead, up to the level in
 * TERN_CPU; `--seed` (of g_test, printed at the start and with what fails) repeats a run, with `-p` a point of it.
 * TERN_TEST_SAMPLE=N goes through one case of N at each point. */
#include "tests/kernels/check.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/random.h"
#include "engine/kernels/versions.h"
#include "tests/kernels/tiles-trap.h"

#define GUARD 64

typedef struct {
  guint8 *map;                  /* one inaccessible page at its end */
  gsize usable;
  guint8 *data;                 /* of the case under way, or NULL */
} Slot;

static struct {
  Slot slots[N_SLOTS];
  char text[256];
  guint failures;
  TernRandom random;
  gboolean slow;
  guint sample;                 /* one case of so many */
  char seed[64];
} state;

void *
check_buffer (guint slot, gsize bytes)
{
  Slot *s = &state.slots[slot];
  gsize page = sysconf (_SC_PAGESIZE);

  if (!s->map || s->usable < bytes + GUARD) {
    if (s->map)
      munmap (s->map, s->usable + page);
    s->usable = (bytes + GUARD + page - 1) / page * page;
    s->map = mmap (NULL, s->usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->map == MAP_FAILED)
      g_error ("no memory for a test buffer");
    mprotect (s->map + s->usable, page, PROT_NONE);
  }
  s->data = s->map + s->usable - bytes;
  memset (s->data - GUARD, CHECK_PATTERN, bytes + GUARD);
  return s->data;
}

void
check_case (const char *format, ...)
{
  va_list args;
  guint i;

  va_start (args, format);
  g_vsnprintf (state.text, sizeof state.text, format, args);
  va_end (args);
  for (i = 0; i < N_SLOTS; i++)
    state.slots[i].data = NULL;
}

void
check_fail (const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  if (state.failures++)
    return;
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_test_message ("%s: %s (of --seed %s)", state.text, message, state.seed);
  g_test_fail ();
}

static gboolean
is_pattern (const void *data, gsize bytes)
{
  const guint8 *p = data;
  gsize i;

  for (i = 0; i < bytes; i++) {
    if (p[i] != CHECK_PATTERN)
      return FALSE;
  }
  return TRUE;
}

void
check_guards (const float *y, gsize rows, gsize width, gsize ld)
{
  gsize i;

  for (i = 0; i < N_SLOTS; i++) {
    if (state.slots[i].data && !is_pattern (state.slots[i].data - GUARD, GUARD))
      check_fail ("wrote before buffer %u", (guint) i);
  }
  for (i = 0; i + 1 < rows; i++) {
    if (!is_pattern (y + i * ld + width, (ld - width) * sizeof (float)))
      check_fail ("wrote between rows %" G_GSIZE_FORMAT " and %" G_GSIZE_FORMAT, i, i + 1);
  }
}

gboolean
check_is_slow (void)
{
  return state.slow;
}

gboolean
check_leaves_out (void)
{
  return state.sample > 1 && check_below (state.sample);
}

guint32
check_random (void)
{
  return tern_random_next (&state.random) >> 32;
}

guint
check_below (guint n)
{
  return tern_random_below (&state.random, n);
}

float
check_uniform (void)
{
  return (float) ((double) check_random () / 2147483648.0 - 1.0);
}

void
check_floats (float *x, gsize n, float extreme)
{
  static const float small[] = { 0.0f, -0.0f, 1e-40f, -1e-42f, 1e-20f, -1e-12f, 1e-7f, -1e-5f };
  gsize i;

  for (i = 0; i < n; i++) {
    guint kind = check_below (8);
    float u = check_uniform ();

    if (kind == 0)
      x[i] = small[check_below (G_N_ELEMENTS (small))];
    else if (kind == 1)
      x[i] = copysignf (powf (extreme, fabsf (u)), u);
    else
      x[i] = u;
  }
}

static gboolean
same_special (float got, float want)
{
  return (isnan (got) && isnan (want)) || got == want;
}

void
check_close (const float *got, const float *want, gsize n, double rel, double abs)
{
  double error = 0, power = 0;
  gsize i;

  for (i = 0; i < n; i++) {
    double d = (double) got[i] - want[i];

    if (same_special (got[i], want[i]))
      continue;
    if (!(fabs (d) <= rel * fabs (want[i]) + abs))
      check_fail ("[%" G_GSIZE_FORMAT "]: expected %.9g, found %.9g", i, want[i], got[i]);
    error += d * d;
  }
  for (i = 0; i < n; i++)
    power += isfinite (want[i]) ? (double) want[i] * want[i] : 0;
  if (error > 1e-10 * power + abs * abs * (double) n)
    check_fail ("NMSE %.3g", error / power);
}

void
check_within (const float *got, const float *want, const float *magnitude, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++) {
    if (!same_special (got[i], want[i]) && !(fabs ((double) got[i] - want[i]) <= 1e-5 * magnitude[i] + 1e-37))
      check_fail ("[%" G_GSIZE_FORMAT "]: expected %.9g, found %.9g", i, want[i], got[i]);
  }
}

void
check_equal (const float *got, const float *want, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++) {
    if (memcmp (&got[i], &want[i], sizeof (float)) && !(isnan (got[i]) && isnan (want[i])))
      check_fail ("[%" G_GSIZE_FORMAT "]: expected the bits of %.9g, found %.9g", i, want[i], got[i]);
  }
}

/* Of this thread alone: other programs may want the core too. */
static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  return (double) t.tv_sec + t.tv_nsec * 1e-9;
}

static const TernCpu levels[] = { TERN_CPU_SCALAR, TERN_CPU_AVX2, TERN_CPU_AVXVNNI, TERN_CPU_AVX512VNNI,
  TERN_CPU_AVX512VBMI, TERN_CPU_AVX512BF16, TERN_CPU_AMX, TERN_CPU_NEON, TERN_CPU_DOTPROD, TERN_CPU_I8MM };
static const Kernel *const groups[] = { gemm_kernels, packed_kernels, block_kernels, narrow_kernels, row_kernels,
  probe_kernels, quant_kernels, scaled_kernels, elementwise_kernels, recurrent_kernels, ssm_kernels };

TernCpu
check_best (void)
{
  TernCpu level = TERN_CPU_SCALAR;

  tern_cpu_parse (g_getenv ("TERN_CPU"), &level, NULL);
  return level;
}

void
check_bench (const char *what, BenchRun run, void *data, double work)
{
  double base = 0, seconds = 0, start, took, total;
  guint i;

  printf ("%-44s", what);
  for (i = 0; i < G_N_ELEMENTS (levels); i++) {
    TernKernels k;
    guint calls = 1, c, repeat;

    if (!tern_cpu_has (levels[i]) || levels[i] > check_best ())
      continue;
    tern_kernels_init (&k, levels[i]);
    if (k.level != levels[i])
      continue;                 /* built without */
    run (&k, data);
    for (repeat = 0, total = 0, seconds = G_MAXDOUBLE; repeat < 12 && total < 1;) {
      start = now ();
      for (c = 0; c < calls; c++)
        run (&k, data);
      took = now () - start;
      if (took < 1e-3 && repeat == 0) {
        calls *= 2;
        continue;
      }
      seconds = MIN (seconds, took / calls);
      total += took;
      repeat++;
    }
    if (i == 0)
      base = seconds;
    printf (" %s %.2fx", i ? tern_cpu_name (levels[i]) : "c", base / seconds);
  }
  if (work > 0)
    printf (" %.1f G/s", work / seconds * 1e-9);
  printf (" (%.2f us)\n", seconds * 1e6);
  fflush (stdout);
}

static void
crashed (int number)
{
  static const char before[] = "Bail out! crashed: ";

  static const char of[] = " (of --seed ";

  if (write (STDOUT_FILENO, before, sizeof before - 1) < 0
      || write (STDOUT_FILENO, state.text, strlen (state.text)) < 0 || write (STDOUT_FILENO, of, sizeof of - 1) < 0
      || write (STDOUT_FILENO, state.seed, strlen (state.seed)) < 0 || write (STDOUT_FILENO, ")\n", 2) < 0)
    _exit (2);
  _exit (1);
}

typedef struct {
  const Kernel *kernel;
  TernCpu level;
} Point;

/* FALSE: this machine cannot run kernels of @level. */
static gboolean
init_level (TernKernels *k, TernCpu level)
{
  if (tern_cpu_has (level)) {
    tern_kernels_init (k, level);
    return TRUE;
  }
  if (level != TERN_CPU_AMX || !tiles_trap_available ())
    return FALSE;
  tern_kernels_init (k, TERN_CPU_AVX512BF16);
  tern_kernels_put (k, level);
  return TRUE;
}

static void
run_point (gconstpointer data)
{
  const Point *point = data;
  TernKernels ref, k;

  if (!init_level (&k, point->level)) {
    g_test_skip ("not on this CPU");
    return;
  }
  if (k.level != point->level) {
    g_test_skip ("built without");
    return;
  }
  tern_kernels_init (&ref, TERN_CPU_SCALAR);
  state.random.state = (guint64) g_test_rand_int ();
  state.failures = 0;
  state.slow = !tern_cpu_has (point->level) || state.sample > 1;
  if (point->level == TERN_CPU_SCALAR)
    point->kernel->truth (&ref);
  else
    point->kernel->check (&ref, &k);
  if (tiles_trap_configured ())
    check_fail ("the thread was left with tiles");
  if (state.failures > 1)
    g_test_message ("and %u more", state.failures - 1);
}

/* The process's table, which is made once: a process for each value of TERN_CPU. */
static void
test_default (gconstpointer data)
{
  const char *name = data;
  g_autoptr (GError) error = NULL;
  const TernKernels *k;
  TernCpu level;

  if (!g_test_subprocess ()) {
    if (g_getenv ("MESON_EXE_WRAPPER")) {
      g_test_skip ("a program of another architecture cannot start itself again");
      return;
    }
    g_setenv ("TERN_CPU", name, TRUE);
    g_test_trap_subprocess (NULL, 0, 0);
    g_unsetenv ("TERN_CPU");
    g_test_trap_assert_passed ();
    return;
  }
  k = tern_kernels_default (&error);
  if (tern_cpu_parse (name, &level, NULL)) {
    g_assert_no_error (error);
    g_assert_cmpint (k->level, <=, level);
    g_assert_true (k == tern_kernels_default (NULL));
  } else {
    g_assert_null (k);
    g_assert_true (error && strstr (error->message, name));
    g_assert_null (tern_kernels_default (NULL));
  }
}

static void
bench (const char *only)
{
  const Kernel *kernel;
  guint g;

  state.random.state = 1;
  for (g = 0; g < G_N_ELEMENTS (groups); g++) {
    for (kernel = groups[g]; kernel->name; kernel++) {
      if (kernel->bench && (!only || g_str_has_prefix (kernel->name, only)))
        kernel->bench ();
    }
  }
}

/* GLib draws a seed and tells nobody but the log, whose beginning is cut from what a failed run shows: one is drawn here
 * where none is given. */
static void
init_with_seed (int argc, char **argv)
{
  g_autoptr (GPtrArray) args = g_ptr_array_new ();
  const char *given = NULL;
  char **all;
  int n, i;

  for (i = 0; i < argc; i++) {
    g_ptr_array_add (args, argv[i]);
    if (g_str_has_prefix (argv[i], "--seed="))
      given = argv[i] + strlen ("--seed=");
    else if (!strcmp (argv[i], "--seed") && i + 1 < argc)
      given = argv[i + 1];
  }
  if (given)
    g_strlcpy (state.seed, given, sizeof state.seed);
  else
    g_snprintf (state.seed, sizeof state.seed, "R02S%08x%08x%08x%08x", g_random_int (), g_random_int (), g_random_int (),
        g_random_int ());
  if (!given) {
    g_ptr_array_add (args, (char *) "--seed");
    g_ptr_array_add (args, state.seed);
  }
  n = (int) args->len;
  g_ptr_array_add (args, NULL);
  all = (char **) args->pdata;
  g_test_init (&n, &all, NULL);
}

int
main (int argc, char **argv)
{
  const char *sample = g_getenv ("TERN_TEST_SAMPLE");
  const Kernel *kernel;
  guint g, i;

  if (argc > 1 && !strcmp (argv[1], "--bench")) {
    bench (argc > 2 ? argv[2] : NULL);
    return 0;
  }
  init_with_seed (argc, argv);
  state.sample = sample ? (guint) atoi (sample) : 0;
  if (state.sample > 1)
    g_print ("# TERN_TEST_SAMPLE: one case of %u, drawn at random; the others are left out\n", state.sample);
  signal (SIGSEGV, crashed);
  signal (SIGBUS, crashed);
  signal (SIGILL, crashed);     /* what tiles-trap.c does not know comes here */
  for (g = 0; g < G_N_ELEMENTS (groups); g++) {
    for (kernel = groups[g]; kernel->name; kernel++) {
      for (i = 0; i < G_N_ELEMENTS (levels); i++) {
        g_autofree char *path = g_strdup_printf ("/%s/%s", kernel->name, tern_cpu_name (levels[i]));
        Point *point = g_new (Point, 1);

        point->kernel = kernel;
        point->level = levels[i];
        g_test_add_data_func_full (path, point, run_point, g_free);
      }
    }
  }
  check_tiles ();
  g_test_add_data_func ("/default/auto", "auto", test_default);
  g_test_add_data_func ("/default/scalar", "scalar", test_default);
  g_test_add_data_func ("/default/avx2", "avx2", test_default);
  g_test_add_data_func ("/default/neon", "neon", test_default);
  g_test_add_data_func ("/default/unknown", "abacus", test_default);
  return g_test_run ();
}
