/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DPC-KNN, clusters by density peaks (M. Du et al. 2016; as PruneVid, HoliTom, FastVID and FlashVID use it): the density of a
 * row is exp (-mean d^2) over the k nearest, itself included, d = |x - y| / sqrt (dim); delta the least distance to a denser
 * row, for the densest the largest distance of all; centres have the largest density x delta. Rows of equal density: the
 * earlier is denser, where the authors add a random epsilon. */
#pragma once

#include "compress/select.h"

#define TERN_CLUSTER_NEAREST 16 /* k at most */

/* Bytes for @n rows. */
gsize tern_cluster_scratch (guint n);
/* Puts the @n_centres best of rows [n], each [dim], first in the order of their scores, to @centres, which has room for n.
 * Rows that have NaN come first: what is done to them matters to nobody. */
void tern_cluster_centres (const float *const *rows, guint n, guint dim, guint k, guint n_centres, void *scratch,
    gint32 *centres);
/* For each row the place in @centres of the nearest one, for a centre its own. */
void tern_cluster_join (const float *const *rows, guint n, guint dim, const gint32 *centres, guint n_centres, guint *joined);
