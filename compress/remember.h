/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is worth remembering of a stream, when there is room for some of it only. Pure functions on rows of numbers.
 *
 * Rows are tokens that were read, in the order of time. What is new stays whole: the recent window. Of what is older stay
 * whole frames' worth of the tokens that matter, by three scores, each of which has a share of the room:
 *
 *   change     temporal redundancy (InfiniPot-V, arXiv:2506.15745, "TaR"): minus the cosine between a token's key and those
 *              of the recent frames at the same place: what is not there any more is worth remembering
 *   asked      how much earlier questions attended to it (SnapKV, arXiv:2404.14469: what was attended to will be)
 *   value      the norm of its value (InfiniPot-V, "VaN"): how much it says when it is attended to
 *
 * Differently from both, which choose for every head, rows are chosen for all layers and heads at once: a timeline has one
 * set of positions. Scores of layers are averaged, norms relative to their mean in a layer. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_REMEMBER_NO_PLACE (-1)

typedef struct {
  guint n;                      /* rows */
  guint n_frames;
  const guint *frame;           /* [n] index of the frame each is of, ascending, < n_frames */
  const gint32 *place;          /* [n] where in its frame; TERN_REMEMBER_NO_PLACE: a word or marker, stays with its frame */
  const guint *whole;           /* [n_frames] places that each frame had when it was read */
  const float *change;          /* [n] */
  const float *asked;           /* [n] or NULL: nothing was asked */
  const float *value;           /* [n] */
} TernRememberRows;

typedef struct {
  guint keep;                   /* rows, at most */
  guint recent;                 /* rows of the recent window, at most; the newest frame is in it in any case */
  double change, asked;         /* shares of the room for what is older, 0..1, together at most 1; `value` has the rest */
  double least;                 /* a frame of which less than this share of its places would stay is forgotten, 0..1 */
} TernRememberParams;

/* InfiniPot-V's half for change; a quarter for what was asked about. */
#define TERN_REMEMBER_PARAMS_INIT { .change = .5, .asked = .25, .least = .125 }

gsize tern_remember_scratch (guint n, guint n_frames);
/* Fills @keep [rows] with the rows that stay, ascending; returns how many. What scores the same is kept the newer it is. A
 * score that is no number is the least. When the newest frame alone has more rows than there is room for, its first ones
 * stay. */
guint tern_remember (const TernRememberParams *params, const TernRememberRows *rows, void *scratch, gint32 *keep);

/* ---- Scores ---- */

/* The recent window: the first row of the newest frames that have no more than @recent rows together, one frame at least. */
guint tern_remember_recent (const TernRememberRows *rows, guint recent);

/* Temporal redundancy, layer by layer. @sums [places][dim] and @count [places] are cleared by who has them; recent rows are
 * added first, in any number of calls, then others are compared: change[i] += @weight * -(mean over recent frames of the
 * cosine between keys [n][dim] at that place). What has no place, or one that no recent frame has a row for, adds nothing: it
 * is neither like what is there now nor unlike it. */
typedef struct {
  guint places, dim;
  float *sums;                  /* of keys of length 1 */
  guint *count;
} TernRecentKeys;

void tern_recent_add (TernRecentKeys *recent, const gint32 *place, const float *keys, guint n);
void tern_recent_compare (const TernRecentKeys *recent, const gint32 *place, const float *keys, guint n, float weight,
    float *change);

/* norm[i] = length of values [n][dim]. */
void tern_remember_norms (const float *values, guint n, guint dim, float *norm);
/* value[i] += @weight * norm[i] / mean norm, over the rows that have a place; nothing where all are 0. */
void tern_remember_add_norms (const gint32 *place, const float *norm, guint n, float weight, float *value);
/* The mean of each row and its neighbours of the same frame, @width (odd) at most, of those that have a place: what stands
 * beside something that says much is part of it (InfiniPot-V pools likewise, in two dimensions where it has whole grids).
 * @to [n] is not @from. */
void tern_remember_pool (const TernRememberRows *rows, const float *from, guint width, float *to);

G_END_DECLS
