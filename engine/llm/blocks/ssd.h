/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State-space duality (Mamba-2, arXiv:2405.21060): the recurrence of heads over a run of tokens as matrix products.
 *
 * A head has @channels channels, a state h [states, channels] and per token a step D_t > 0, an input x_t [channels] and two
 * vectors B_t, C_t [states], which the heads of a group share; A < 0 and D are its own. Token by token,
 *
 *   h_t = exp (D_t A) h_{t-1} + B_t (D_t x_t)^T,  y_t = C_t h_t + D x_t                            (ssd_step of the kernels)
 *
 * and for a chunk of Q tokens from state h_0 on, with a_i = A sum_{j <= i} D_j, which falls,
 *
 *   y_i = exp (a_i) C_i h_0 + sum_{j <= i} exp (a_i - a_j) (C_i . B_j) D_j x_j + D x_i
 *   h_Q = exp (a_Q) h_0 + sum_j B_j (exp (a_Q - a_j) D_j x_j)^T
 *
 * (section 6 there): three products for a head and one for a group, and the state is read and written once a chunk. All
 * exponents are differences that are <= 0. A step whose exponent is below TERN_SSD_FORGOTTEN counts as that: its exponential is
 * 0 in floats, and what follows keeps its digits. */
#pragma once

#include "engine/base/mem.h"
#include "engine/kernels/kernels.h"

G_BEGIN_DECLS

/* Tokens of a chunk, at most. */
#define TERN_SSD_CHUNK 64
#define TERN_SSD_FORGOTTEN (-104.0f)

typedef struct {
  guint heads, groups;          /* heads is a multiple of groups; head h is of group h / (heads / groups) */
  guint channels, states;
} TernSsdShape;

/* Tokens one after the other, at most TERN_SSD_CHUNK. */
typedef struct {
  guint n;
  const float *x;               /* rows [heads, channels], @ld apart */
  const float *b, *c;           /* rows [groups, states], @ld apart */
  gsize ld;
  const float *dt;              /* rows [heads] of steps, @lddt apart */
  gsize lddt;
  float *y;                     /* rows [heads, channels], @ldy apart */
  gsize ldy;
  /* What heads share, [groups] of each: tern_ssd_group() makes it. */
  float *products;              /* [n, n] C_i . B_j */
  float *turned;                /* [states, n] B */
  float *rows;                  /* [n, states] C, side by side */
} TernSsdChunk;

/* Floats of products, and of turned or rows, for @n tokens. */
static inline gsize
tern_ssd_products (const TernSsdShape *shape, guint n)
{
  return (gsize) shape->groups * n * MIN (n, TERN_SSD_CHUNK);
}

static inline gsize
tern_ssd_vectors (const TernSsdShape *shape, guint n)
{
  return (gsize) shape->groups * n * shape->states;
}

/* What the heads of @group share. Threads may do different groups at the same time. */
void tern_ssd_group (const TernKernels *kernels, const TernSsdShape *shape, const TernSsdChunk *chunk, guint group);

/* The chunk's y of @head, and its state @h [states, channels] behind the chunk. @a < 0 and @d are the head's. @scratch of
 * tern_ssd_scratch() bytes is the thread's own. Threads may do different heads at the same time. */
gsize tern_ssd_scratch (const TernSsdShape *shape);
void tern_ssd_head (const TernKernels *kernels, const TernSsdShape *shape, const TernSsdChunk *chunk, guint head, float a,
    float d, float *h, void *scratch);

G_END_DECLS
