/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How each visual token's piece of a picture goes on into the next frame: block matching, as video encoders do it, said in
 * numbers that a projector reads. What a tower that sees one frame at a time would have to learn by comparing its own
 * features stands here for the price of some additions. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What is measured of a cell. Lengths are in cells, to the right and down; "log" is log2 (1 + 4 v) / 4 of v levels of 255.
 * The detail of a plane is its luma less the mean around (9 x 9 of motion.c's pixels): it does not see exposure. */
typedef enum {
  TERN_MOTION_X,                /* where what stands here in the first frame has gone in the second, at most 4 */
  TERN_MOTION_Y,
  TERN_MOTION_OWN_X,            /* of that, what the whole picture's motion does not explain */
  TERN_MOTION_OWN_Y,
  TERN_MOTION_CHANGE,           /* log of the detail's mean difference in place */
  TERN_MOTION_RESIDUE,          /* log of that at the place where it has gone */
  TERN_MOTION_LUMA_CHANGE,      /* log of the luma's mean difference: exactly 0 when nothing at all changes */
  TERN_MOTION_DETAIL,           /* log of the mean detail in the first frame */
  TERN_MOTION_BRIGHTER,         /* the mean luma's change in 32 levels, at most 4 */
  TERN_MOTION_SHARPER,          /* the log of the detail, second less first */
  TERN_MOTION_LUMA,             /* of the first frame: mean luma in 128 levels, less 1 */
  TERN_MOTION_BLUE,             /* mean of blue, then red, less luma, in 64 levels */
  TERN_MOTION_RED,
  TERN_MOTION_ALL_X,            /* from here on of the whole picture, the same for every cell: its motion in the middle */
  TERN_MOTION_ALL_Y,
  TERN_MOTION_ALL_ZOOM,         /* by how many cells eight cells become longer, halved: 4 (factor - 1) */
  TERN_MOTION_ALL_AGREE,        /* share of the detail that goes with it */
  TERN_MOTION_ALL_CHANGE,       /* means over all cells */
  TERN_MOTION_ALL_RESIDUE,
  TERN_MOTION_ALL_LUMA_CHANGE,
  TERN_MOTION_ALL_DETAIL,
  TERN_MOTION_ALL_BRIGHTER,
  TERN_MOTION_ALL_SHARPER,
  TERN_MOTION_MEASURED,         /* 1 */
  TERN_MOTION_FEATURES
} TernMotionFeature;

/* Bytes of scratch for two frames of @width x @height pixels in cells of @cell. */
gsize tern_motion_scratch (guint width, guint height, guint cell);

/* Measures two frames of one size in planes of red, green and blue, rows of @width bytes. A cell has @cell pixels a side, a
 * multiple of 4; the last ones of a row and a column may be cut, to no less than 4. @out: [cells in a column, cells in a row,
 * TERN_MOTION_FEATURES], cells @stride floats apart. Sums are of integers, so that they are the same everywhere. Any thread. */
void tern_motion_measure (const guint8 *const first[3], const guint8 *const second[3], guint width, guint height, guint cell,
    void *scratch, float *out, gsize stride);

G_END_DECLS
