/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tower on packed int8 and bf16 matrices: what runs, unless activations are to stay floats. */
#pragma once

#include "engine/weights/linear-packed.h"
#include "vision/internal.h"

G_BEGIN_DECLS

typedef struct {
  TernPacked q, k, v, out, up, down;
} TernVitPacked;

/* Of a vision, made when a state first asks; what was chosen for each matrix is a property of the file (choose.c). */
struct _TernVisionPacked {
  TernPacked patch;
  TernVitPacked *blocks;        /* [n_blocks] */
  TernPacked mm[TERN_PROJECTOR_LINEARS];
  TernPacked deep[2 * TERN_VISION_DEEPSTACK];
  gboolean int8_attention;
  guint8 *block;                /* where all of them lie in the end */
  gsize bytes;                  /* all that is owned */
  gsize source;                 /* of the file, that it stands for */
};

/* ---- choose.c ---- */

/* Packs all matrices, as int8 where that leaves the output what it is in floats. */
TernVisionPacked *tern_vision_choose (TernVision *vision, TernPool *pool, GError **error);

/* A small picture that is drawn, through the tower: on @packed, or NULL: on floats, @func (may be NULL) being told of each product
 * that has run. @tokens: [tern_vision_tried_values()]. Not while @pool runs. */
typedef void (*TernVisionProductFunc) (void *data, const TernVisionLoop *loop);
gsize tern_vision_tried_values (const TernVision *vision);
gboolean tern_vision_try (TernVision *vision, const TernVisionPacked *packed, TernPool *pool, TernVisionProductFunc func,
    void *data, float *tokens, GError **error);

/* ---- packed.c ---- */

/* The matrices of the tower one after the other: that in the file, rows [first, first + rows) of it that are packed at
 * one place, or NULL after the last. */
typedef struct {
  TernLinear *linear;
  TernPacked *packed;
  guint first, rows;
  guint set;                    /* those of one set share their input, and so their form */
} TernVisionMatrix;

/* In order: the patch embedding; q, k, v, out, up, down of each block; the projector, and what stands beside it. */
#define TERN_VISION_BLOCK_MATRICES 6
gboolean tern_vision_matrix (TernVision *vision, TernVisionPacked *packed, guint i, TernVisionMatrix *matrix);
/* Its packed form, or NULL for what is not one whole. */
const TernPacked *tern_vision_packed_of (const TernVision *vision, const TernVisionPacked *packed, const TernLinear *linear);
void tern_vision_packed_free (TernVisionPacked *packed, guint n_blocks);

/* ---- vit-packed.c ---- */

/* Rows of an item: a multiple of TERN_PACKED_ROWS, at most TERN_PACKED_ROWS_MOST. */
#define TERN_PACKED_ROWS 32
#define TERN_PACKED_ROWS_MOST 64

/* y = x W^T + b for @n rows, those of y @ldy apart. */
gboolean tern_vision_loop_packed (TernVisionState *state, TernVisionLoop *loop, const TernPacked *packed, const float *bias,
    const float *x, guint n, float *y, gsize ldy);
/* Of a worker; of the state beside what the float path has. */
gsize tern_vision_packed_scratch (const TernVisionState *state);
void tern_vision_packed_carve (TernVisionState *state, TernArena *arena);
extern const TernVisionStage tern_vision_packed_layer[];
extern const guint tern_vision_packed_layer_stages;

/* Keys whose scores are made at a time, in either of both below. */
#define TERN_ATTENTION_KEYS 256

/* ---- attention-packed.c: in bf16 ---- */

/* Of the state, of a worker. */
void tern_flash_carve (TernVisionState *state, TernArena *arena);
gsize tern_flash_scratch (const TernVisionState *state);
/* Rows [row, row + n) of q, k or v at @x, hidden floats each, to where attention reads them; row is a multiple of
 * TERN_PACKED_ROWS. */
void tern_flash_put_q (TernVisionState *state, guint row, guint n, const float *x);
void tern_flash_put_k (TernVisionState *state, guint row, guint n, const float *x);
void tern_flash_put_v (TernVisionState *state, guint row, guint n, const float *x);
gboolean tern_vision_loop_flash (TernVisionState *state, TernVisionLoop *loop, float *out);

/* ---- attention-int8.c ---- */

/* Keys whose weights share a scale: whole TERN_I8P_COLS, a part of TERN_ATTENTION_KEYS. */
#define TERN_ATTENTION_GROUP 256
/* What of a row's weights may go in rounding. */
#define TERN_ATTENTION_LOST (1.0f / 64)

void tern_int8_attention_carve (TernVisionState *state, TernArena *arena);
gsize tern_int8_attention_scratch (const TernVisionState *state);
/* As tern_flash_put_*; keys come without their bias, which changes no weight unless they turn. Values of all rows, hidden
 * floats each, at @x: a loop before that of attention. */
void tern_int8_attention_put_q (TernVisionState *state, guint row, guint n, const float *x);
void tern_int8_attention_put_k (TernVisionState *state, guint row, guint n, const float *x);
gboolean tern_int8_attention_loop_values (TernVisionState *state, TernVisionLoop *loop, const float *x);
gboolean tern_int8_attention_loop (TernVisionState *state, TernVisionLoop *loop, float *out);

G_END_DECLS
