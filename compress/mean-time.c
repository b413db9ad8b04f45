/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Means over time. Where a place of the grid shows the same from frame to frame, the mean of a run of its tokens says what
 * they say; the budget decides how many runs there are. All places begin with one run over the whole group (a quarter of
 * it: what Video-ChatGPT's temporal pooling keeps, arXiv:2306.05424 sec. 3.1); what the budget has beyond that cuts runs
 * between the neighbours in time, of all places, whose cosines are lowest. So a still place costs one token, a moving one as
 * many as it needs, and the count is exact. A run's token stands at the first frame of the run.
 *
 * The static tokens of HoliTom (arXiv:2505.21334) and PruneVid (arXiv:2412.16117) are means over time too; there a threshold
 * decides, and frames are cut as a whole. */
#include "compress/share.h"

#include <string.h>

#include "compress/similar.h"

/* [3][n] cosines, [4][n] marks */
static gsize
mean_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * ((TERN_COMPRESS_GROUP - 1) * sizeof (TernScored) + TERN_COMPRESS_GROUP);
}

/* Marks where runs begin: [frame][place]. */
static void
cut_runs (const TernTokenGroup *group, guint64 budget, TernScored *scored, guint8 *begins)
{
  guint n = group->n_tokens, pairs = (group->n_frames - 1) * n, cuts = budget > n ? (guint) MIN (budget - n, pairs) : 0;

  for (guint i = 0; i < n; i++)
    begins[i] = 1;
  for (guint f = 1; f < group->n_frames; f++) {
    TernScored *row = scored + (gsize) (f - 1) * n;

    tern_similarities (tern_frame (group, f - 1), tern_frame (group, f), n, group->dim, tern_main (group), row);
    for (guint i = 0; i < n; i++) {
      row[i].index = (gint32) (f * n + i);
      begins[(gsize) f * n + i] = 0;
    }
  }
  tern_select_lowest (scored, pairs, cuts);
  for (guint c = 0; c < cuts; c++)
    begins[scored[c].index] = 1;
}

/* The frame of the run [f, end) that has kept least: budgets of frames, where there are any, are filled evenly. */
static guint
place_for (guint f, guint end, const guint *n_keep)
{
  guint best = f;

  for (guint g = f + 1; g < end; g++)
    if (n_keep[g] < n_keep[best])
      best = g;
  return best;
}

static void
mean_of_run (const TernTokenGroup *group, guint i, guint f, guint end, float *out)
{
  for (guint d = 0; d < group->dim; d++) {
    double sum = 0;

    for (guint g = f; g < end; g++)
      sum += tern_row (group, g, i)[d];
    out[d] = (float) (sum / (end - f));
  }
}

/* Where frames have budgets of their own runs may not fill them: what changed most since the frame before stands there once
 * more by itself. */
static void
fill_frames (const TernTokenGroup *group, guint cap, guint64 budget, TernScored *scored, guint8 *kept, gint32 *keep,
    guint *n_keep, float *mixed)
{
  guint n = group->n_tokens;
  guint64 total = 0;

  tern_compress_limit (0, cap, group->n_frames, n, keep, n_keep);
  for (guint f = 0; f < group->n_frames; f++)
    total += n_keep[f];
  for (guint f = 0; f < group->n_frames; f++) {
    gint32 *row = keep + (gsize) f * n;

    if (n_keep[f] >= cap || total >= budget || group->n_frames == 1)
      continue;
    memset (kept, 0, n);
    for (guint i = 0; i < n_keep[f]; i++)
      kept[row[i]] = 1;
    tern_similarities (tern_frame (group, f ? f - 1 : 1), tern_frame (group, f), n, group->dim, tern_main (group), scored);
    tern_select_lowest (scored, n, n);
    for (guint r = 0; r < n && n_keep[f] < cap && total < budget; r++) {
      gint32 i = scored[r].index;

      if (kept[i])
        continue;
      memcpy (mixed + ((gsize) f * n + i) * group->dim, tern_row (group, f, i), group->dim * sizeof (float));
      row[n_keep[f]++] = i;
      total++;
    }
    tern_sort_positions (row, n_keep[f]);
  }
}

static void
mean_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  guint n = group->n_tokens;
  gboolean even = tern_compress_cap (params, n) < n;
  TernScored *scored = scratch;
  guint8 *begins = (guint8 *) (scored + (gsize) (TERN_COMPRESS_GROUP - 1) * n);

  cut_runs (group, tern_compress_budget (params, group->n_frames, n), scored, begins);
  for (guint f = 0; f < group->n_frames; f++)
    n_keep[f] = 0;
  for (guint i = 0; i < n; i++)
    for (guint f = 0, end; f < group->n_frames; f = end) {
      guint at;

      for (end = f + 1; end < group->n_frames && !begins[(gsize) end * n + i]; end++);
      at = even ? place_for (f, end, n_keep) : f;
      mean_of_run (group, i, f, end, mixed + ((gsize) at * n + i) * group->dim);
      keep[(gsize) at * n + n_keep[at]++] = (gint32) i;
    }
  if (even)
    fill_frames (group, tern_compress_cap (params, n), tern_compress_budget (params, group->n_frames, n), scored, begins, keep,
        n_keep, mixed);
}

const TernCompressMethod tern_compress_mean = {
  .name = "mean",
  .about = "means over time of what stays the same, cut where it changes most",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = mean_scratch,
  .bound = tern_compress_budget,
  .mix = mean_mix,
};
