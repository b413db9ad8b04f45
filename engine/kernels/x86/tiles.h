/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AMX tiles (Intel SDM vol. 1, chapter 18), and the product that all kernels on them share.
 *
 * The instructions are written out instead of taken from <immintrin.h>: with gcc 12 neither the load of a configuration
 * nor that of a tile says which memory it reads, and the compiler drops stores to local variables before it. Here every
 * one that reads or writes memory says so. The compiler itself never uses tile registers. */
#pragma once

#include <immintrin.h>
#include <string.h>

#include "engine/kernels/versions.h"

#ifndef ALWAYS_INLINE
#define ALWAYS_INLINE inline __attribute__ ((always_inline))
#endif

#define TILE_HEIGHT 16          /* rows of a tile at most, */
#define TILE_WIDTH 64           /* and bytes of one */
#define TILE_BYTES (TILE_HEIGHT * TILE_WIDTH)

typedef struct {
  guint8 palette, start_row, reserved[14];
  guint16 row_bytes[16];
  guint8 rows[16];
} TileConfig;

G_STATIC_ASSERT (sizeof (TileConfig) == 64);

#define TILE_LOAD(tile, from, stride) \
  __asm__ volatile ("tileloadd (%0,%1,1), %%tmm" #tile : : "r" (from), "r" ((gsize) (stride)) : "memory")
#define TILE_STORE(tile, to, stride) \
  __asm__ volatile ("tilestored %%tmm" #tile ", (%0,%1,1)" : : "r" (to), "r" ((gsize) (stride)) : "memory")
#define TILE_ZERO(tile) __asm__ volatile ("tilezero %%tmm" #tile : : )
/* Adds to @sum the product of @a, as rows of signed bytes, and @b, whose rows hold four unsigned or signed bytes of
 * sixteen columns, or two bf16. */
#define TILE_DOT_SU(sum, a, b) __asm__ volatile ("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : : )
#define TILE_DOT_SS(sum, a, b) __asm__ volatile ("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : : )
#define TILE_DOT_BF16(sum, a, b) __asm__ volatile ("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : : )

/* Tiles 0 to 3 are sums of @tokens x 16, 4 and 5 activations of @tokens x @steps words of four bytes, 6 and 7 weights of
 * @steps x 16 words. About 200 cycles: once a call. */
static inline void
tiles_begin (guint tokens, guint steps)
{
  TileConfig config = { .palette = 1 };
  guint i;

  for (i = 0; i < 8; i++) {
    config.rows[i] = i < 6 ? tokens : steps;
    config.row_bytes[i] = i == 4 || i == 5 ? 4 * steps : TILE_WIDTH;
  }
  __asm__ volatile ("ldtilecfg %0" : : "m" (config) : "memory");
}

/* A thread that waits has no tiles which the system would have to keep for it. */
static inline void
tiles_end (void)
{
  __asm__ volatile ("tilerelease" : : : "memory");
}

/* Tokens go by sixteen, the last sixteen of them over some of those before where they are no multiple: every tile is
 * whole, so that one configuration does for a call. A *slot* is such a sixteen; fewer tokens than that are one slot. */
static inline gsize
slots_of (gsize n)
{
  return (n + TILE_HEIGHT - 1) / TILE_HEIGHT;
}

static inline gsize
token_of (gsize slot, gsize n)
{
  return n < TILE_HEIGHT ? 0 : MIN (slot * TILE_HEIGHT, n - TILE_HEIGHT);
}

/* The sums of a slot and two panels, as tiles are stored. */
typedef struct {
  gint32 v[2][TILE_HEIGHT][16];
} __attribute__ ((aligned (64))) SlotSums;

typedef enum { DOT_SU, DOT_BF16 } Dot;

/* One or two slots times one or two panels, constants: @steps tiles of 64 bytes of a token and 1 KiB of a panel, added to
 * @sums with @go_on. Two by two there are as many cycles of loads as half of those of products. */
static ALWAYS_INLINE void
multiply (const Dot dot, const guint slots, const guint panels, SlotSums *sums, const guint8 *const x[2], gsize x_stride,
    const guint8 *const w[2], gsize steps, gboolean go_on)
{
  const guint8 *a0 = x[0], *a1 = x[1], *b0 = w[0], *b1 = w[1];
  gsize s;

#define DOT(sum, a, b) do { if (dot == DOT_BF16) TILE_DOT_BF16 (sum, a, b); else TILE_DOT_SU (sum, a, b); } while (0)
#define BEGIN(tile, from) do { if (go_on) TILE_LOAD (tile, from, TILE_WIDTH); else TILE_ZERO (tile); } while (0)
  BEGIN (0, sums[0].v[0]);
  if (panels > 1)
    BEGIN (1, sums[0].v[1]);
  if (slots > 1)
    BEGIN (2, sums[1].v[0]);
  if (slots > 1 && panels > 1)
    BEGIN (3, sums[1].v[1]);
  for (s = 0; s < steps; s++) {
    TILE_LOAD (4, a0 + s * TILE_WIDTH, x_stride);
    TILE_LOAD (6, b0 + s * TILE_BYTES, TILE_WIDTH);
    DOT (0, 4, 6);
    if (panels > 1) {
      TILE_LOAD (7, b1 + s * TILE_BYTES, TILE_WIDTH);
      DOT (1, 4, 7);
    }
    if (slots > 1) {
      TILE_LOAD (5, a1 + s * TILE_WIDTH, x_stride);
      DOT (2, 5, 6);
      if (panels > 1)
        DOT (3, 5, 7);
    }
  }
  TILE_STORE (0, sums[0].v[0], TILE_WIDTH);
  if (panels > 1)
    TILE_STORE (1, sums[0].v[1], TILE_WIDTH);
  if (slots > 1)
    TILE_STORE (2, sums[1].v[0], TILE_WIDTH);
  if (slots > 1 && panels > 1)
    TILE_STORE (3, sums[1].v[1], TILE_WIDTH);
#undef BEGIN
#undef DOT
}

/* Slots [first, last) of @n tokens times one or two panels; @sums from that of the first slot on. */
static ALWAYS_INLINE void
multiply_slots (const Dot dot, SlotSums *sums, const guint8 *x, gsize x_stride, gsize first, gsize last, gsize n,
    const guint8 *const w[2], guint panels, gsize steps, gboolean go_on)
{
  gsize s;

  for (s = first; s < last; s += 2, sums += 2) {
    gboolean both = s + 1 < last;
    const guint8 *const a[2] = { x + token_of (s, n) * x_stride, x + token_of (both ? s + 1 : s, n) * x_stride };

    if (both && panels > 1)
      multiply (dot, 2, 2, sums, a, x_stride, w, steps, go_on);
    else if (both)
      multiply (dot, 2, 1, sums, a, x_stride, w, steps, go_on);
    else if (panels > 1)
      multiply (dot, 1, 2, sums, a, x_stride, w, steps, go_on);
    else
      multiply (dot, 1, 1, sums, a, x_stride, w, steps, go_on);
  }
}

/* Slots that go past two panels before the next ones do: their sums, and activations of up to 4 KiB a token, stay in the
 * second-level cache. */
#define BLOCK_SLOTS 16
/* Tiles of a panel at a time: two times so many stay in the first-level cache while the slots go past. */
#define CHUNK_STEPS 12

/* The first @left lanes, or all. */
static inline __mmask16
lanes_of (gsize left)
{
  return left >= 16 ? 0xffff : (__mmask16) ((1u << left) - 1);
}
