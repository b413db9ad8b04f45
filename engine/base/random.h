/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* splitmix64 (Steele, Lea, Flood 2014): integers only, so that a seed gives the same draws on every machine. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  guint64 state;                /* at first the seed: any, 0 too */
} TernRandom;

guint64 tern_random_next (TernRandom *random);
double tern_random_uniform (TernRandom *random);        /* [0, 1) */
guint32 tern_random_below (TernRandom *random, guint32 n);      /* [0, n), n >= 1 */

G_END_DECLS
