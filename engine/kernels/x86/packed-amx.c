/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 and bf16 matrices with AMX: their panels are tiles as they stand. */
#include "engine/kernels/x86/tiles.h"

/* Fewer tokens are left to the version before: a product of tiles takes a cycle a token, but loads of weights take as
 * long for one as for sixteen. */
#define FEW_TOKENS 4

static TERN_DECL_GEMM_I8P ((*few_tokens));

typedef struct {
  float v[BLOCK_SLOTS][2][TILE_HEIGHT][16];
} __attribute__ ((aligned (64))) FloatSums;

/* What a call has to do, for the functions below. */
typedef struct {
  float *y;
  gsize ldy, cols, n, x_stride;
  const guint8 *x;
  gsize group, ldg;
  const float *xscale;
  const gint32 *xsum;
  gsize first, last;            /* slots under way */
} Job;

/* All columns from @from to @to, in steps of 64 bytes, of one or two panels. */
static ALWAYS_INLINE void
multiply_columns (const Dot dot, const Job *job, SlotSums *sums, const guint8 *const w[2], guint panels, gsize from,
    gsize to)
{
  gsize s, steps;

  for (s = from; s < to; s += steps) {
    const guint8 *const at[2] = { w[0] + s * TILE_BYTES, w[1] + s * TILE_BYTES };

    steps = MIN (to - s, CHUNK_STEPS);
    multiply_slots (dot, sums, job->x + s * TILE_WIDTH, job->x_stride, job->first, job->last, job->n, at, panels, steps,
        s > from);
  }
}

/* The sums of group @g; the weights were 128 too large. */
static void
scale_group (const Job *job, FloatSums *to, const SlotSums *sums, guint panels, gsize g)
{
  gsize tokens = MIN (job->n, TILE_HEIGHT), s, i;
  guint p;

  for (s = job->first; s < job->last; s++, sums++) {
    for (i = 0; i < tokens; i++) {
      gsize at = (token_of (s, job->n) + i) * job->ldg + g;
      __m512i less = _mm512_set1_epi32 (128 * job->xsum[at]);
      __m512 scale = _mm512_set1_ps (job->xscale[at]);

      for (p = 0; p < panels; p++) {
        float *sum = to->v[s - job->first][p][i];
        __m512 v = _mm512_cvtepi32_ps (_mm512_sub_epi32 (_mm512_load_si512 (sums->v[p][i]), less));

        _mm512_store_ps (sum, _mm512_fmadd_ps (v, scale, g ? _mm512_load_ps (sum) : _mm512_setzero_ps ()));
      }
    }
  }
}

/* y of @left rows from @r on. */
static void
store_scaled (const Job *job, const FloatSums *from, guint panels, gsize r, gsize left, const float *wscale,
    const float *bias)
{
  gsize tokens = MIN (job->n, TILE_HEIGHT), s, i;
  guint p;

  for (p = 0; p < panels; p++, r += 16, left -= 16) {
    __mmask16 lanes = lanes_of (left);
    __m512 scale = _mm512_maskz_loadu_ps (lanes, wscale + r);
    __m512 add = bias ? _mm512_maskz_loadu_ps (lanes, bias + r) : _mm512_setzero_ps ();

    for (s = job->first; s < job->last; s++) {
      float *y = job->y + token_of (s, job->n) * job->ldy + r;

      for (i = 0; i < tokens; i++, y += job->ldy)
        _mm512_mask_storeu_ps (y, lanes, _mm512_fmadd_ps (_mm512_load_ps (from->v[s - job->first][p][i]), scale, add));
    }
  }
}

static void
block_i8 (const Job *job, const guint8 *w, gsize rows, const float *wscale, const float *bias)
{
  SlotSums sums[BLOCK_SLOTS];
  FloatSums scaled;
  gsize r, c, g;

  if (job->cols == 0)
    memset (&scaled, 0, sizeof scaled);
  for (r = 0; r < rows; r += 2 * TERN_PANEL_ROWS) {
    guint panels = rows - r > TERN_PANEL_ROWS ? 2 : 1;
    const guint8 *const two[2] = { w + r * job->cols, w + (r + 16 * (panels - 1)) * job->cols };

    for (c = 0, g = 0; c < job->cols; c += MIN (job->group, job->cols - c), g++) {
      multiply_columns (DOT_SU, job, sums, two, panels, c / TERN_I8P_COLS,
          (c + MIN (job->group, job->cols - c)) / TERN_I8P_COLS);
      scale_group (job, &scaled, sums, panels, g);
    }
    store_scaled (job, &scaled, panels, r, rows - r, wscale, bias);
  }
}

static TERN_DECL_GEMM_I8P (gemm_i8p_amx)
{
  Job job = { y, ldy, cols, n, ldx, (const guint8 *) x, group, ldg, xscale, xsum };
  gsize slots = slots_of (n);

  if (n < FEW_TOKENS) {
    few_tokens (y, ldy, w, rows, cols, wscale, bias, x, ldx, group, xscale, xsum, ldg, n);
    return;
  }
  tiles_begin (MIN (n, TILE_HEIGHT), 16);
  for (job.first = 0; job.first < slots; job.first = job.last) {
    job.last = MIN (job.first + BLOCK_SLOTS, slots);
    block_i8 (&job, w, rows, wscale, bias);
  }
  tiles_end ();
}

static void
store_floats (const Job *job, const SlotSums *sums, guint panels, gsize r, gsize left, const float *bias)
{
  gsize tokens = MIN (job->n, TILE_HEIGHT), s, i;
  guint p;

  for (p = 0; p < panels; p++, r += 16, left -= 16) {
    __mmask16 lanes = lanes_of (left);
    __m512 add = bias ? _mm512_maskz_loadu_ps (lanes, bias + r) : _mm512_setzero_ps ();

    for (s = job->first; s < job->last; s++) {
      float *y = job->y + token_of (s, job->n) * job->ldy + r;

      for (i = 0; i < tokens; i++, y += job->ldy)
        _mm512_mask_storeu_ps (y, lanes, _mm512_add_ps (_mm512_load_ps (sums[s - job->first].v[p][i]), add));
    }
  }
}

static void
block_bf16 (const Job *job, const guint16 *w, gsize rows, const float *bias)
{
  SlotSums sums[BLOCK_SLOTS];
  gsize r;

  if (job->cols == 0)
    memset (sums, 0, sizeof sums);
  for (r = 0; r < rows; r += 2 * TERN_PANEL_ROWS) {
    guint panels = rows - r > TERN_PANEL_ROWS ? 2 : 1;
    const guint8 *const two[2] = { (const guint8 *) (w + r * job->cols),
      (const guint8 *) (w + (r + 16 * (panels - 1)) * job->cols) };

    multiply_columns (DOT_BF16, job, sums, two, panels, 0, job->cols / TERN_BF16P_COLS);
    store_floats (job, sums, panels, r, rows - r, bias);
  }
}

/* Whatever the number of tokens: the order of its sums is not that of other versions. */
static TERN_DECL_GEMM_BF16P (gemm_bf16p_amx)
{
  Job job = { y, ldy, cols, n, ldx * sizeof *x, (const guint8 *) x };
  gsize slots = slots_of (n);

  if (n == 0)
    return;
  tiles_begin (MIN (n, TILE_HEIGHT), 16);
  for (job.first = 0; job.first < slots; job.first = job.last) {
    job.last = MIN (job.first + BLOCK_SLOTS, slots);
    block_bf16 (&job, w, rows, bias);
  }
  tiles_end ();
}

void
tern_packed_init_amx (TernKernels *k)
{
  g_atomic_pointer_set (&few_tokens, k->gemm_i8p);
  k->gemm_i8p = gemm_i8p_amx;
  k->gemm_bf16p = gemm_bf16p_amx;
  k->bf16_units = TRUE;
}
