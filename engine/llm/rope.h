/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotary position embedding (arXiv:2104.09864): frequencies of a model, angles of a run of positions. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint dim;                    /* values of a head that turn; even, at most the head */
  /* Values 2 i and 2 i + 1 of a file's heads turn together; else i and i + dim / 2. */
  gboolean pairs;
  float *frequency;             /* [dim / 2] base^(-2i / dim) */
  float magnitude;              /* of cosines and sines; 1 but for YaRN */
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
void tern_rope_clear (TernRope *rope);
/* angles [n, dim]: dim / 2 cosines, then dim / 2 sines of positions pos, pos + 1, ... */
void tern_rope_angles (const TernRope *rope, guint pos, guint n, float *angles);

/* Puts the first @dim values of a head from pairs into halves; @spare holds dim / 2. Scores are sums over all values of
 * q and k: once both are in the same order, which one it is does not matter. */
void tern_rope_unpair (float *x, guint dim, float *spare);

G_END_DECLS
