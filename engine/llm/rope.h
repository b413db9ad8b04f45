/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotary position embedding (arXiv:2104.09864): frequencies of a model, angles of a run of positions, which may have three
 * axes (M-RoPE, arXiv:2409.12191). */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where a row stands for a rope of three axes: a time, a height and a width. Text has the same in all of them, one more for
 * each token; the tokens of a picture have its time, and the row and column of theirs behind it. */
typedef struct {
  gint32 t, h, w;
} TernPlace;

enum { TERN_AXIS_T, TERN_AXIS_H, TERN_AXIS_W, TERN_N_AXES };

typedef struct {
  guint dim;                    /* values of a head that turn; even, at most the head */
  /* Values 2 i and 2 i + 1 of a file's heads turn together; else i and i + dim / 2. */
  gboolean pairs;
  float *frequency;             /* [dim / 2] base^(-2i / dim) */
  float magnitude;              /* of cosines and sines; 1 but for YaRN */
  guint8 *axis;                 /* [dim / 2] by which of a place's three each pair turns; NULL: there is one axis */
} TernRope;

/* @base > 0; not in pairs. */
void tern_rope_init (TernRope *rope, guint dim, float base);
/* Divides frequency i by @factors[i] (NULL: 1) and by @all. FALSE when one of them is not a number above 0, or a
 * frequency is infinite. */
gboolean tern_rope_divide (TernRope *rope, const float *factors, float all);
/* YaRN (arXiv:2309.00071): fast pairs keep their frequency, slow ones are divided by @factor, with a ramp between those
 * that turn @beta_fast and @beta_slow times in @original positions, which the model had been made for before it was
 * stretched; all are made longer (section 3.4). Of a rope just initialised with @base. All values are above 0. */
void tern_rope_yarn (TernRope *rope, float base, float factor, float original, float beta_fast, float beta_slow);
/* Three axes, interleaved as Qwen3-VL and Qwen3.5 have them: pair i turns by the height where i mod 3 is 1 and i < 3 @h, by
 * the width where it is 2 and i < 3 @w, else by the time. */
void tern_rope_interleave (TernRope *rope, guint h, guint w);
void tern_rope_clear (TernRope *rope);
/* angles [n, dim]: dim / 2 cosines, then dim / 2 sines of positions pos, pos + 1, ... With @places [n] (not NULL) and a rope
 * of three axes: of @pos added to each of them. */
void tern_rope_angles (const TernRope *rope, guint pos, const TernPlace *places, guint n, float *angles);

/* Places of tokens [@first, @first + @n) of a picture of @columns merged tokens a row that begins at the place it is added to,
 * in raster order. What follows the picture begins MAX (rows, columns) further on. */
void tern_place_grid (TernPlace *places, guint columns, guint first, guint n);

/* Puts the first @dim values of a head from pairs into halves; @spare holds dim / 2. Scores are sums over all values of
 * q and k: once both are in the same order, which one it is does not matter. */
void tern_rope_unpair (float *x, guint dim, float *spare);

G_END_DECLS
