/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Efficient Video Sampling: N. Bagrov et al., "Efficient Video Sampling: Pruning Temporally Redundant Tokens for Faster VLM
 * Inference", arXiv:2510.14624, section 3; read beside vllm/multimodal/evs.py of vLLM.
 *
 * A token's dissimilarity is 1 - cos with the one at its place in the frame before; the first frame's are above all others.
 * The most dissimilar ones of all frames stay, as many as the budget is (a rank, no threshold), at their places. Where the
 * budget is less than a frame the paper keeps the first frame whole; a hard budget has its tokens at equal distances. */
#include "compress/share.h"

#include "compress/similar.h"

static gsize
evs_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * TERN_COMPRESS_GROUP * sizeof (TernScored);
}

static void
evs_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, cap = tern_compress_cap (params, n), rest = (group->n_frames - 1) * n;
  guint budget = (guint) tern_compress_budget (params, group->n_frames, n), first = MIN (cap, budget), left = budget - first;
  TernScored *scored = scratch;

  n_keep[0] = 0;
  for (guint64 i = 0; i < n; i++)
    if (i * first / n != (i + 1) * first / n)
      keep[n_keep[0]++] = (gint32) i;
  for (guint f = 1; f < group->n_frames; f++) {
    n_keep[f] = 0;
    tern_similarities (tern_frame (group, f - 1), tern_frame (group, f), n, group->dim, tern_main (group),
        scored + (gsize) (f - 1) * n);
    for (guint i = 0; i < n; i++)
      scored[(gsize) (f - 1) * n + i].index = (gint32) (f * n + i);
  }
  /* In the order of dissimilarity, frames that are full are passed over. */
  tern_select_lowest (scored, rest, cap < n ? rest : left);
  for (guint r = 0; r < rest && left > 0; r++) {
    guint f = scored[r].index / n;

    if (n_keep[f] < cap) {
      keep[(gsize) f * n + n_keep[f]++] = scored[r].index % n;
      left--;
    }
  }
  for (guint f = 1; f < group->n_frames; f++)
    tern_sort_positions (keep + (gsize) f * n, n_keep[f]);
}

const TernCompressMethod tern_compress_evs = {
  .name = "evs",
  .about = "EVS: the first frame of a group, and what differs most from the frame before",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = evs_scratch,
  .bound = tern_compress_budget,
  .select = evs_select,
};
