/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotary position embedding (arXiv:2104.09864): frequencies of a model, angles of a run of positions. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint dim;                    /* values of a head that turn; even, at most the head */
  float *frequency;             /* [dim / 2] base^(-2i / dim) */
} TernRope;

/* @base > 0. */
void tern_rope_init (TernRope *rope, guint dim, float base);
void tern_rope_clear (TernRope *rope);
/* angles [n, dim]: dim / 2 cosines, then dim / 2 sines of positions pos, pos + 1, ... */
void tern_rope_angles (const TernRope *rope, guint pos, guint n, float *angles);

G_END_DECLS
