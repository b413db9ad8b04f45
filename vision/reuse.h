/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A tower that computes what changed: patches that look as they did keep their features from picture to picture.
 *
 * Kept of a stream are, for each patch, the pixels it was computed from, its keys and values in every layer, and what left
 * the last layer; and the visual tokens. Of the next picture of the same size
 *
 *   change     c of a patch: the largest over its 4 x 4 parts of (|dR| + 2 |dG| + |dB|) / 4, d being differences of the
 *              parts' means, in levels of 255. To the pixels that the patch was computed from, however long ago: what
 *              changes slowly adds up
 *   threshold  t = min (max (T, 2 median of c), 3 T), T being what was asked for: noise of the camera and of a codec
 *   rows       what is computed: patches with c > t, the ring of 8 neighbours around each, and those of some further tokens
 *              (probes, below). Dense products, norms and activations are for rows alone, and so are queries; each attends
 *              to the keys and values of all patches, those of other patches being of when they were computed last
 *              x_i' = x_i + Attn (q_i, K, V),  i in rows,  K_i = fresh where i is in rows, else kept
 *   tokens     those that have a patch among the rows are projected again
 *
 * That is the spatial part of what STC-Cacher does (arXiv:2512.00891, section 3.2), decided once for all layers, from pixels.
 * A patch that did not change itself would have other features all the same, as it attends to what did. How much is measured:
 * every TERN_REUSE_PROBE-th token is a probe, another set of them in each picture. From the probes that did not change,
 *
 *   drift      d = s * mean |fresh - kept|^2 / (2 mean |fresh|^2), s being the share of tokens that were kept: about one less
 *              the cosine of all tokens to those of the whole tower (a lower bound: a probe's own keys are fresh, those that it
 *              attends to need not be)
 *
 * and the picture is computed whole when d is above the bound, when more than half of its patches would be rows, and when it is
 * the refresh-th since one was. Where that happens again and again the cache rests, for longer each time, and the tower runs as
 * it does without. A picture that was computed whole is that of a tower without a cache, bit for bit. */
#pragma once

#include "vision/vision.h"

G_BEGIN_DECLS

#define TERN_REUSE_PROBE 16     /* one token of so many is a probe */

typedef struct {
  double threshold;             /* T, levels of 255; 0: whatever differs */
  double drift;                 /* bound of d; 0: all pictures are computed whole; >= 2: it is not looked at */
  guint refresh;                /* pictures from one that is computed whole to the next; 0: no more of them */
  gboolean always;              /* never rests, whatever share of the patches changed: for tests and measurements */
} TernReuseOptions;

/* Since it was made. */
typedef struct {
  guint64 frames;               /* that came */
  guint64 refreshes;            /* of these, those that were computed whole */
  guint64 drifted;              /* of these, those for which drift was too large: they had been computed in part before */
  guint64 rested;               /* of these, those at which the cache rested */
  guint64 computed, reused;     /* patches; of a picture that was computed twice all of both times */
  guint64 macs, whole;          /* multiply-adds of products and attention; those of a tower without a cache */
  double drift;                 /* d of the last picture that was computed in part */
} TernReuseCounts;

/* The cache of one stream. One thread at a time, and one state at a time. */
typedef struct _TernReuse TernReuse;

/* Whether towers of this kind can. */
gboolean tern_reuse_fits (const TernVision *vision);
/* The same with an error that says so: UNSUPPORTED. */
gboolean tern_reuse_check (const TernVision *vision, GError **error);
/* For pictures of at most @max_tokens tokens; all memory is taken here. NO_SPACE. UNSUPPORTED where it does not fit. */
TernReuse *tern_reuse_new (TernVision *vision, guint max_tokens, const TernReuseOptions *options, GError **error);
void tern_reuse_free (TernReuse *reuse);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernReuse, tern_reuse_free)
/* Bytes of such a cache. */
gsize tern_reuse_bytes (const TernVision *vision, guint max_tokens);
/* The next picture is computed whole: it is of another scene. */
void tern_reuse_forget (TernReuse *reuse);
void tern_reuse_counts (const TernReuse *reuse, TernReuseCounts *counts);

/* What is taken for changed in the next picture, instead of a look at its pixels: @changed [grid_h][grid_w], not 0 for a patch
 * that did. Copied; for one picture, which is computed whole when it has another grid. */
void tern_reuse_set_changed (TernReuse *reuse, const guint8 *changed, guint grid_w, guint grid_h);

/* tern_vision_begin() with what @reuse has kept, NULL: nothing. @reuse is borrowed until the last step. Stills in tiles and
 * pictures of more tokens than it was made for are computed as without, and then nothing of them is kept. A picture that is
 * given up leaves nothing either. */
gboolean tern_vision_begin_reusing (TernVisionState *state, TernReuse *reuse, const TernImage *image,
    const TernVisionOptions *options, const TernVisionPlan *plan, float *tokens, GError **error);

G_END_DECLS
