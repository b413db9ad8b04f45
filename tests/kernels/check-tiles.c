/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* That tiles are configured as it is written: compilers have dropped stores to the configuration. */
#include "tests/kernels/check.h"
#include "tests/kernels/tiles-trap.h"

#if defined(__x86_64__) && defined(__linux__)

#include <string.h>

#include "engine/kernels/x86/tiles.h"

static void
test_configuration (void)
{
  guint8 expected[64], seen[64];
  guint tokens, steps, i;

  if (!tiles_trap_available ()) {
    g_test_skip ("kernels with tiles need AVX-512 with BF16 beside them");
    return;
  }
  for (tokens = 1; tokens <= 16; tokens++) {
    for (steps = 1; steps <= 16; steps++) {
      memset (expected, 0, sizeof expected);
      expected[0] = 1;
      for (i = 0; i < 8; i++) {
        expected[16 + 2 * i] = i == 4 || i == 5 ? 4 * steps : 64;
        expected[48 + i] = i < 6 ? tokens : steps;
      }
      memset (seen, 0xa5, sizeof seen);
      tiles_begin (tokens, steps);
      __asm__ volatile ("sttilecfg %0" : "=m" (seen));
      tiles_end ();
      g_assert_cmpmem (seen, 64, expected, 64);
      __asm__ volatile ("sttilecfg %0" : "=m" (seen));
      for (i = 0; i < 64; i++)
        g_assert_cmpuint (seen[i], ==, 0);      /* released */
    }
  }
}

/* A row of bytes, stored just before, times a tile of bytes. */
static void
test_product (void)
{
  gint8 a[16][64];
  guint8 b[16][64];
  gint32 sum[16][16], want;
  guint m, n, c;

  if (!tiles_trap_available ()) {
    g_test_skip ("kernels with tiles need AVX-512 with BF16 beside them");
    return;
  }
  for (m = 0; m < 16; m++) {
    for (c = 0; c < 64; c++) {
      a[m][c] = (gint8) (m * 37 + c * 11);
      b[c / 4][m * 4 + c % 4] = (guint8) (m * 53 + c * 29);
    }
  }
  tiles_begin (16, 16);
  TILE_ZERO (0);
  TILE_LOAD (4, a, 64);
  TILE_LOAD (6, b, 64);
  TILE_DOT_SU (0, 4, 6);
  TILE_STORE (0, sum, 64);
  tiles_end ();
  for (m = 0; m < 16; m++) {
    for (n = 0; n < 16; n++) {
      want = 0;
      for (c = 0; c < 64; c++)
        want += a[m][c] * b[c / 4][n * 4 + c % 4];
      g_assert_cmpint (sum[m][n], ==, want);
    }
  }
}

/* Without tiles of its own this machine does what it is asked in a signal's handler, or it does not do it at all. */
static void
test_trapped (void)
{
  guint before = tiles_trap_count ();

  if (!tiles_trap_available ()) {
    g_test_skip ("kernels with tiles need AVX-512 with BF16 beside them");
    return;
  }
  tiles_begin (16, 16);
  g_assert_true (tiles_trap_configured () == !tern_cpu_has (TERN_CPU_AMX));
  tiles_end ();
  g_assert_false (tiles_trap_configured ());
  g_assert_cmpuint (tiles_trap_count () - before, ==, tern_cpu_has (TERN_CPU_AMX) ? 0 : 2);
}

void
check_tiles (void)
{
  g_test_add_func ("/tiles/configuration", test_configuration);
  g_test_add_func ("/tiles/product", test_product);
  g_test_add_func ("/tiles/trapped", test_trapped);
}

#else

void
check_tiles (void)
{
}

#endif
