/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with AMX, for many tokens. Scales every 32 or 16 columns cut the sums into *pieces* so long: a
 * product of tiles for each, of 16 tokens and 16 rows, whose sums go through memory into vectors, where the scales are
 * applied in the order of the other versions. Four pieces are on their way in tiles while those before are scaled. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/tiles.h"
#include "engine/kernels/x86/block-types.inc"

/* Signed: nothing to take off the sums. */
static ALWAYS_INLINE __m256i
signed_values (const TernBlocks type, const guint8 *p, const guint s)
{
  const __m256i offset = _mm256_set1_epi8 ((char) offset_of (type));

  return offset_of (type) ? _mm256_sub_epi8 (values (type, p, s), offset) : values (type, p, s);
}

#define PANEL_VALUES(type, p, s) signed_values (type, p, s)
#include "engine/kernels/x86/block-panel.inc"

#define AT_ONCE 4               /* pieces in tiles */

typedef gint32 PieceSums[TILE_HEIGHT][16];

/* What the scales of a slot's activations come to, token beside token. */
typedef struct {
  float d[PART_BLOCKS][TILE_HEIGHT];
  float total[2 * PART_BLOCKS][TILE_HEIGHT];    /* with minima: of the values of a piece */
} Slot;

static ALWAYS_INLINE void
make_slot (const gboolean halves, const gboolean min, Slot *slot, const TernQ8Block *x, gsize ldx, gsize blocks, gsize tokens)
{
  gsize t, b;

  for (t = 0; t < tokens; t++, x += ldx) {
    for (b = 0; b < blocks; b++) {
      slot->d[b][t] = x[b].d;
      if (min && halves) {
        slot->total[2 * b][t] = (float) x[b].half;
        slot->total[2 * b + 1][t] = (float) (x[b].sum - x[b].half);
      } else if (min) {
        slot->total[b][t] = (float) x[b].sum;
      }
    }
  }
}

/* Up to AT_ONCE pieces from @first on, of vector @v of the panel. */
static ALWAYS_INLINE void
multiply_pieces (const gboolean halves, PieceSums *sums, const Panel *panel, guint v, const TernQ8Block *x, gsize ldx,
    gsize first, gsize last)
{
  const guint per = halves ? 2 : 1;

#define PIECE(i, sum, a, b) \
  if (first + i < last) { \
    gsize block = (first + i) / per, half = (first + i) % per; \
    TILE_ZERO (sum); \
    TILE_LOAD (a, x[block].q + 16 * half, ldx * sizeof *x); \
    TILE_LOAD (b, &panel->q[block][4 * half][v], TILE_VECTORS * TILE_WIDTH); \
    TILE_DOT_SS (sum, a, b); \
    TILE_STORE (sum, sums[i], TILE_WIDTH); \
  }
  PIECE (0, 0, 4, 6)
  PIECE (1, 1, 5, 7)
  PIECE (2, 2, 4, 6)
  PIECE (3, 3, 5, 7)
#undef PIECE
}

static ALWAYS_INLINE void
scale_pieces (const gboolean halves, const gboolean min, vf *sum, const PieceSums *sums, const Panel *panel, guint v,
    const Slot *slot, gsize first, gsize last)
{
  const guint per = halves ? 2 : 1;
  gsize i;
  guint t;

  for (i = first; i < last; i++) {
    vf d = v_load (&panel->d[i / per][i % per][v * VL]), m = min ? v_load (&panel->m[i / per][i % per][v * VL]) : v_zero ();

#pragma GCC unroll 16
    for (t = 0; t < TILE_HEIGHT; t++) {
      vf part = v_mul (_mm512_cvtepi32_ps (_mm512_load_si512 (sums[i - first][t])), d);

      if (min)
        part = v_fma (v_set (slot->total[i][t]), m, part);
      sum[t] = v_fma (part, v_set (slot->d[i / per][t]), sum[t]);
    }
  }
}

/* A slot times one vector of the panel; rows [skip, tokens) of the result count. */
static ALWAYS_INLINE void
slot_times_panel (const gboolean halves, const gboolean min, float *y, gsize ldy, gsize left, const Panel *panel, guint v,
    gsize pieces, const Slot *slot, const TernQ8Block *x, gsize ldx, gsize skip, gsize tokens, gboolean add)
{
  PieceSums sums[2][AT_ONCE] __attribute__ ((aligned (64)));
  const __mmask16 lanes = lanes_of (left);
  vf sum[TILE_HEIGHT], all[TILE_HEIGHT];
  gsize i, t;

  if (tokens < TILE_HEIGHT)     /* what tiles then do not store */
    memset (sums, 0, sizeof sums);
#pragma GCC unroll 16
  for (t = 0; t < TILE_HEIGHT; t++)
    sum[t] = v_zero ();
  multiply_pieces (halves, sums[0], panel, v, x, ldx, 0, pieces);
  for (i = 0; i < pieces; i += AT_ONCE) {
    multiply_pieces (halves, sums[(i / AT_ONCE + 1) % 2], panel, v, x, ldx, i + AT_ONCE, pieces);
    scale_pieces (halves, min, sum, sums[i / AT_ONCE % 2], panel, v, slot, i, MIN (i + AT_ONCE, pieces));
  }
#pragma GCC unroll 16
  for (t = 0; t < TILE_HEIGHT; t++)
    all[t] = sum[t];
  for (t = skip; t < tokens; t++) {
    float *to = y + t * ldy;

    _mm512_mask_storeu_ps (to, lanes, add ? v_add (all[t], _mm512_maskz_loadu_ps (lanes, to)) : all[t]);
  }
}

/* All tokens against one panel. */
static ALWAYS_INLINE void
slots (const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n, gboolean add)
{
  gsize tokens = MIN (n, TILE_HEIGHT), s;
  Slot slot;
  guint v;

  if (tokens < TILE_HEIGHT)
    memset (&slot, 0, sizeof slot);
  for (s = 0; s < slots_of (n); s++) {
    gsize first = token_of (s, n), skip = s * TILE_HEIGHT - first;      /* has been added already */

    make_slot (halves, min, &slot, x + first * ldx, ldx, blocks, tokens);
    for (v = 0; v < TILE_VECTORS && v * VL < rows; v++)
      slot_times_panel (halves, min, y + first * ldy + v * VL, ldy, rows - v * VL, panel, v, halves ? 2 * blocks : blocks,
          &slot, x + first * ldx, ldx, skip, tokens, add);
  }
}

/* One function for each kind of panel: the types share them. */
#define SLOTS(name, halves, min) \
  static __attribute__ ((noinline)) void \
  name (float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks, const TernQ8Block *x, gsize ldx, gsize n, \
      gboolean add) \
  { \
    slots (halves, min, y, ldy, rows, panel, blocks, x, ldx, n, add); \
  }

SLOTS (slots_plain, FALSE, FALSE)
SLOTS (slots_min, FALSE, TRUE)
SLOTS (slots_halves, TRUE, FALSE)
SLOTS (slots_halves_min, TRUE, TRUE)

static ALWAYS_INLINE void
many_tokens (const TernBlocks type, float *y, gsize ldy, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n)
{
  const guint unit = unit_of (type);
  Panel panel;
  gsize r, b;

  tiles_begin (MIN (n, TILE_HEIGHT), has_halves (type) ? 4 : 8);
  for (r = 0; r < rows; r += TILE_ROWS) {
    for (b = 0; b < blocks; b += PART_BLOCKS) {
      gsize part = MIN (PART_BLOCKS, blocks - b);

      pack (type, &panel, w + r * row_bytes + b / unit * bytes_of (type), row_bytes, MIN (TILE_ROWS, rows - r), part);
      if (has_halves (type) && has_min (type))
        slots_halves_min (y + r, ldy, rows - r, &panel, part, x + b, ldx, n, b > 0);
      else if (has_halves (type))
        slots_halves (y + r, ldy, rows - r, &panel, part, x + b, ldx, n, b > 0);
      else if (has_min (type))
        slots_min (y + r, ldy, rows - r, &panel, part, x + b, ldx, n, b > 0);
      else
        slots_plain (y + r, ldy, rows - r, &panel, part, x + b, ldx, n, b > 0);
    }
  }
  tiles_end ();
}

#include "engine/kernels/wide/blocks-over.inc"

void
tern_blocks_init_amx (TernKernels *k)
{
  put_over (k);
}
