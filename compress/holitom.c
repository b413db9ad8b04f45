/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HoliTom before the language model: K. Shao et al., "HoliTom: Holistic Token Merging for Fast Video Large Language Models",
 * arXiv:2505.21334, sections 3.2 and 3.3; read beside cokeshao/HoliTom @ e9b2972.
 *
 * A place is static between two frames when its cosine is above tau. The frames are cut into stretches so that most is saved:
 * a stretch of n frames saves n - 1 tokens for each place that is static all through it, best cuts by dynamic programming.
 * Such a place becomes one mean, at the stretch's first frame. What is still over the budget is taken from all sets, the static
 * tokens of each stretch and the others of each frame, alike: DPC-KNN with k = 7, a centre being .6 of itself and .4 of the mean
 * of what joined it. tau is .8, as the authors' scripts have it for 15 to 25 %. Their pruning inside the language model is not
 * done. */
#include "compress/share.h"

#include <string.h>

#include "compress/cluster.h"
#include "compress/similar.h"

#define STATIC 0.8
#define NEAREST 7
#define CENTRE 0.6

typedef struct {
  const TernTokenGroup *group;
  float *mixed;
  gint32 *keep;
  guint *n_keep;
  guint start[TERN_COMPRESS_GROUP];     /* first frame of a frame's stretch */
  guint8 *alike;                /* [4][n] static from the frame before to this one */
  guint8 *still;                /* [4][n] static all through its stretch */
  gint32 *place;                /* [n] of a set's rows */
  const float **rows;           /* [n] */
  float *own;                   /* [n][dim] rows of the set as they were */
  gint32 *centres;              /* [n] */
  guint *joined;                /* [n] */
  void *cluster;
} Work;

static gsize
holitom_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * (2 * TERN_COMPRESS_GROUP + 2 * sizeof (gint32) + sizeof (float *) + sizeof (guint)
      + dim * sizeof (float)) + tern_cluster_scratch (n_tokens);
}

static Work
take_work (const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep, float *mixed)
{
  Work work = { .group = group, .mixed = mixed, .keep = keep, .n_keep = n_keep };
  guint n = group->n_tokens;

  work.cluster = scratch;
  work.rows = (const float **) ((guint8 *) scratch + tern_cluster_scratch (n));
  work.own = (float *) (work.rows + n);
  work.place = (gint32 *) (work.own + (gsize) n * group->dim);
  work.centres = work.place + n;
  work.joined = (guint *) (work.centres + n);
  work.alike = (guint8 *) (work.joined + n);
  work.still = work.alike + (gsize) TERN_COMPRESS_GROUP * n;
  return work;
}

/* Tokens that a stretch of frames [@s, @e] saves. */
static guint
saves (const Work *work, guint s, guint e)
{
  guint n = work->group->n_tokens, count = 0;

  for (guint i = 0; i < n; i++) {
    gboolean still = TRUE;

    for (guint f = s + 1; f <= e; f++)
      still &= work->alike[(gsize) f * n + i];
    count += still;
  }
  return count * (e - s);
}

/* Cuts; returns how many tokens are left of all. */
static guint
cut (Work *work)
{
  guint frames = work->group->n_frames, n = work->group->n_tokens, best[TERN_COMPRESS_GROUP + 1] = { 0 };
  guint from[TERN_COMPRESS_GROUP];

  for (guint e = 0; e < frames; e++) {
    from[e] = 0;
    for (guint s = 0; s <= e; s++) {
      guint saved = best[s] + saves (work, s, e);

      if (s == 0 || saved > best[e + 1]) {
        best[e + 1] = saved;
        from[e] = s;
      }
    }
  }
  for (guint e = frames; e > 0; e = from[e - 1])
    for (guint f = from[e - 1]; f < e; f++)
      work->start[f] = from[e - 1];
  for (guint f = 0; f < frames; f++)
    for (guint i = 0; i < n; i++) {
      guint8 still = f + 1 < frames && work->start[f + 1] == work->start[f];

      /* of a stretch of one frame nothing is static */
      still |= work->start[f] < f;
      for (guint g = work->start[f] + 1; g < frames && work->start[g] == work->start[f]; g++)
        still &= work->alike[(gsize) g * n + i];
      work->still[(gsize) f * n + i] = still;
    }
  return frames * n - best[frames];
}

static void
add_static (Work *work, guint start, guint i, float *out)
{
  guint dim = work->group->dim;

  for (guint d = 0; d < dim; d++) {
    double sum = 0;
    guint n = 0;

    for (guint f = start; f < work->group->n_frames && work->start[f] == start; f++, n++)
      sum += tern_row (work->group, f, i)[d];
    out[d] = (float) (sum / n);
  }
}

/* The static tokens of the stretch that begins with frame @f, or the others of the frame; returns how many. */
static guint
gather (Work *work, guint f, gboolean still)
{
  guint n = work->group->n_tokens, dim = work->group->dim, m = 0;

  for (guint i = 0; i < n; i++) {
    float *own = work->own + (gsize) m * dim;

    if (work->still[(gsize) f * n + i] != still || (still && work->start[f] != f))
      continue;
    if (still)
      add_static (work, f, i, own);
    else
      memcpy (own, tern_row (work->group, f, i), dim * sizeof (float));
    work->rows[m] = own;
    work->place[m++] = (gint32) i;
  }
  return m;
}

/* Keeps @k of the @m tokens gathered, at frame @f. */
static void
keep_set (Work *work, guint f, guint m, guint k)
{
  guint n = work->group->n_tokens, dim = work->group->dim;

  if (k < m && k > 0) {
    tern_cluster_centres (work->rows, m, tern_main (work->group), NEAREST, k, work->cluster, work->centres);
    tern_cluster_join (work->rows, m, tern_main (work->group), work->centres, k, work->joined);
  }
  for (guint c = 0; c < k; c++) {
    guint at = k < m ? (guint) work->centres[c] : c, others = 0;
    float *out = work->mixed + ((gsize) f * n + work->place[at]) * dim;

    work->keep[(gsize) f * n + work->n_keep[f]++] = work->place[at];
    memcpy (out, work->rows[at], dim * sizeof (float));
    for (guint j = 0; j < m && k < m; j++)
      others += work->joined[j] == c && j != at;
    for (guint d = 0; d < dim && others > 0; d++) {
      double sum = 0;

      for (guint j = 0; j < m; j++)
        if (work->joined[j] == c && j != at)
          sum += work->rows[j][d];
      out[d] = (float) (CENTRE * out[d] + (1 - CENTRE) * (sum / others));
    }
  }
}

static void
holitom_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  guint n = group->n_tokens, frames = group->n_frames, size[TERN_SHARES_MAX], count[TERN_SHARES_MAX], left;
  Work work = take_work (group, scratch, keep, n_keep, mixed);
  double weight[TERN_SHARES_MAX];
  guint64 budget = tern_compress_budget (params, frames, n);

  for (guint f = 0; f < frames; f++) {
    n_keep[f] = 0;
    for (guint i = 0; i < n; i++)
      work.alike[(gsize) f * n + i] = f > 0 && tern_cosine (tern_row (group, f - 1, i), tern_row (group, f, i),
          tern_main (group)) > STATIC;
  }
  left = cut (&work);
  for (guint f = 0; f < frames; f++) {
    size[2 * f] = gather (&work, f, TRUE);
    size[2 * f + 1] = gather (&work, f, FALSE);
  }
  for (guint s = 0; s < 2 * frames; s++)
    weight[s] = size[s];
  tern_share_within (weight, 2 * frames, MIN (budget, left), 0, size, count);
  for (guint s = 0; s < 2 * frames; s++)
    keep_set (&work, s / 2, gather (&work, s / 2, s % 2 == 0), count[s]);
  for (guint f = 0; f < frames; f++)
    tern_sort_positions (keep + (gsize) f * n, n_keep[f]);
}

const TernCompressMethod tern_compress_holitom = {
  .name = "holitom",
  .about = "HoliTom: means over time of what is static in a stretch of frames, clusters of the rest",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = holitom_scratch,
  .bound = tern_compress_budget,
  .mix = holitom_mix,
};
