/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/tiles.h"

/* Four sums, as the products have. */
static TERN_DECL_PEAK (peak_i8_amx)
{
  gsize r;

  tiles_begin (TILE_HEIGHT, 16);  /* which makes all tiles zero */
  for (r = 0; r < rounds; r++) {
    TILE_DOT_SU (0, 4, 6);
    TILE_DOT_SU (1, 4, 7);
    TILE_DOT_SU (2, 5, 6);
    TILE_DOT_SU (3, 5, 7);
  }
  tiles_end ();
  return (guint64) rounds * 4 * 16 * 16 * 64;
}

void
tern_probe_init_amx (TernKernels *k)
{
  k->peak_i8 = peak_i8_amx;
}
