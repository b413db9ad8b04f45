/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VLA-Cache's choice of tokens that stand still: S. Xu et al., "VLA-Cache: Efficient Vision-Language-Action Manipulation via
 * Adaptive Token Caching", arXiv:2502.02175, section 3.
 *
 * A token of a frame is static when its cosine with the one at its place in the frame before exceeds a threshold; the most
 * similar ones up to a share are taken, but those that the task needs are not. The paper goes on with the keys and values
 * that the frame before left for them. In a window the frame before is still there to be attended to, so that a static
 * token need not be read again: it is dropped. Similarity is that of visual tokens, where the paper has pixels; what the
 * task needs is what the vision tower attends to most, where that is known. */
#include "compress/share.h"

#include "compress/select.h"
#include "compress/similar.h"

#define STATIC_COSINE 0.996
#define RELEVANT_SHARE (100 / 256.0)    /* of a frame's tokens */

/* [n] similarities, [n] attention, [n] marks */
static gsize
vla_cache_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * (2 * sizeof (TernScored) + 1);
}

static guint64
vla_cache_bound (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  /* Where all moves, all is kept. */
  return (guint64) n_frames * n_tokens;
}

/* Marks the static tokens of frame @f. */
static void
mark_static (const TernTokenGroup *group, guint f, guint most, TernScored *scored, guint8 *dropped)
{
  guint n = group->n_tokens;
  gsize frame = (gsize) n * group->dim;

  tern_similarities (group->tokens + (f - 1) * frame, group->tokens + f * frame, n, group->dim, tern_main (group), scored);
  for (guint i = 0; i < n; i++) {
    dropped[i] = 0;
    scored[i].score = -scored[i].score;
  }
  tern_select_lowest (scored, n, most);
  for (guint i = 0; i < most; i++)
    dropped[scored[i].index] = scored[i].score < -STATIC_COSINE;
}

/* Takes back those that matter. */
static void
unmark_relevant (const TernTokenGroup *group, guint f, TernScored *scored, guint8 *dropped)
{
  guint n = group->n_tokens, n_relevant = (guint) (RELEVANT_SHARE * n);

  for (guint i = 0; i < n; i++) {
    double score = group->scores[(gsize) f * n + i];

    scored[i] = (TernScored) { .score = score == score ? -score : G_MAXDOUBLE, .index = (gint32) i };
  }
  tern_select_lowest (scored, n, n_relevant);
  for (guint i = 0; i < n_relevant; i++)
    dropped[scored[i].index] = 0;
}

static void
vla_cache_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  TernTokenGroup first = *group;
  guint n = group->n_tokens, most = n - tern_compress_keep (params->merge_ratio, n);
  TernScored *scored = scratch, *attended = scored + n;
  guint8 *dropped = (guint8 *) (attended + n);

  first.n_frames = 1;
  tern_compress_none.select (params, &first, NULL, keep, n_keep);
  for (guint f = 1; f < group->n_frames; f++) {
    gint32 *row = keep + (gsize) f * n;

    mark_static (group, f, most, scored, dropped);
    if (group->scores)
      unmark_relevant (group, f, attended, dropped);
    n_keep[f] = 0;
    for (guint i = 0; i < n; i++)
      if (!dropped[i])
        row[n_keep[f]++] = (gint32) i;
  }
}

const TernCompressMethod tern_compress_vla_cache = {
  .name = "vla-cache",
  .about = "VLA-Cache: drops what stands still since the frame before, up to the share",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = vla_cache_scratch,
  .bound = vla_cache_bound,
  .select = vla_cache_select,
};
