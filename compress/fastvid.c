/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FastVID: L. Shen et al., "FastVID: Dynamic Density Pruning for Fast Video Large Language Models", arXiv:2503.11187, section 3;
 * read beside LunarShen/FastVID @ a40a109.
 *
 * Frames are cut into segments where the cosine of their means is below .9 (of the seven cuts that the authors always make in 32
 * frames a group has none). Of a frame's share of the budget .6 goes to the tokens that are attended to most; the rest of a
 * segment's are anchors, in every fourth frame counted from its last: of a group, its last. Anchors have the largest density x
 * delta there (DPC-KNN, k = 4). Every other token of the segment joins the anchor with the largest cosine, which becomes w of
 * itself and 1 - w of the mean of those, w = max (1 / (n + 1), .6). Where frames have budgets of their own each is a segment.
 * Attention: tern_attended(). */
#include "compress/share.h"

#include <math.h>
#include <string.h>

#include "compress/cluster.h"
#include "compress/similar.h"

#define CUT 0.9
#define CONTEXT 0.4
#define NEAREST 4
#define ANCHOR 0.6

typedef struct {
  const TernTokenGroup *group;
  float *mixed;
  gint32 *keep;
  guint *n_keep;
  double *attended, *room;      /* [n] */
  double *sum;                  /* [n][dim] of what joins each anchor */
  const float **rows;           /* [n] tokens of the anchor frame that may be anchors */
  TernScored *scored;           /* [n] */
  gint32 *place, *centres;      /* [n] */
  guint *joins;                 /* [n] */
  guint8 *salient;              /* [4][n] */
  void *cluster;
} Work;

static gsize
fastvid_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * (2 * sizeof (double) + dim * sizeof (double) + sizeof (float *) + sizeof (TernScored)
      + 2 * sizeof (gint32) + sizeof (guint) + TERN_COMPRESS_GROUP) + tern_cluster_scratch (n_tokens);
}

static Work
take_work (const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep, float *mixed)
{
  Work work = { .group = group, .mixed = mixed, .keep = keep, .n_keep = n_keep };
  guint n = group->n_tokens;

  work.cluster = scratch;
  work.scored = (TernScored *) ((guint8 *) scratch + tern_cluster_scratch (n));
  work.attended = (double *) (work.scored + n);
  work.room = work.attended + n;
  work.sum = work.room + n;
  work.rows = (const float **) (work.sum + (gsize) n * group->dim);
  work.place = (gint32 *) (work.rows + n);
  work.centres = work.place + n;
  work.joins = (guint *) (work.centres + n);
  work.salient = (guint8 *) (work.joins + n);
  return work;
}

/* Marks and keeps the @k tokens of frame @f that are attended to most. */
static void
keep_salient (Work *work, guint f, guint k)
{
  guint n = work->group->n_tokens, dim = work->group->dim;
  gint32 *row = work->keep + (gsize) f * n;

  tern_attended (work->group, f, work->room, work->attended);
  for (guint i = 0; i < n; i++) {
    work->scored[i] = (TernScored) { .score = -work->attended[i], .index = (gint32) i };
    work->salient[(gsize) f * n + i] = 0;
  }
  work->n_keep[f] = tern_keep_lowest (work->scored, n, k, row);
  for (guint i = 0; i < k; i++) {
    work->salient[(gsize) f * n + row[i]] = 1;
    memcpy (work->mixed + ((gsize) f * n + row[i]) * dim, tern_row (work->group, f, row[i]), dim * sizeof (float));
  }
}

/* Every token of frames [@s, @e) that is neither salient nor an anchor is added to its anchor. */
static void
join (Work *work, guint s, guint e, guint n_anchors)
{
  guint n = work->group->n_tokens, dim = work->group->dim;

  memset (work->sum, 0, (gsize) n_anchors * dim * sizeof (double));
  memset (work->joins, 0, n_anchors * sizeof (guint));
  for (guint f = s; f < e; f++)
    for (guint i = 0; i < n; i++) {
      const float *row = tern_row (work->group, f, i);
      double best = -G_MAXDOUBLE;
      guint at = 0;
      gboolean anchor = FALSE;

      for (guint a = 0; a < n_anchors && !work->salient[(gsize) f * n + i]; a++) {
        double like = tern_cosine (row, work->rows[work->centres[a]], tern_main (work->group));

        anchor |= row == work->rows[work->centres[a]];
        if (like > best) {
          best = like;
          at = a;
        }
      }
      if (anchor || work->salient[(gsize) f * n + i])
        continue;
      for (guint d = 0; d < dim; d++)
        work->sum[(gsize) at * dim + d] += row[d];
      work->joins[at]++;
    }
}

/* The segment [@s, @e): @n_anchors in its last frame. */
static void
keep_anchors (Work *work, guint s, guint e, guint n_anchors)
{
  guint n = work->group->n_tokens, dim = work->group->dim, last = e - 1, m = 0;

  for (guint i = 0; i < n; i++)
    if (!work->salient[(gsize) last * n + i]) {
      work->rows[m] = tern_row (work->group, last, i);
      work->place[m++] = (gint32) i;
    }
  tern_cluster_centres (work->rows, m, tern_main (work->group), NEAREST, n_anchors, work->cluster, work->centres);
  join (work, s, e, n_anchors);
  for (guint a = 0; a < n_anchors; a++) {
    gint32 at = work->place[work->centres[a]];
    float *out = work->mixed + ((gsize) last * n + at) * dim;
    double w = MAX (1.0 / (work->joins[a] + 1), ANCHOR);

    for (guint d = 0; d < dim; d++)
      out[d] = (float) (work->joins[a] == 0 ? work->rows[work->centres[a]][d] : w * work->rows[work->centres[a]][d]
          + (1 - w) * (work->sum[(gsize) a * dim + d] / work->joins[a]));
    work->keep[(gsize) last * n + work->n_keep[last]++] = at;
  }
  tern_sort_positions (work->keep + (gsize) last * n, work->n_keep[last]);
}

static double
mean_cosine (const TernTokenGroup *group, guint f, guint g)
{
  double ab = 0, aa = 0, bb = 0;

  for (guint d = 0; d < tern_main (group); d++) {
    double a = 0, b = 0;

    for (guint i = 0; i < group->n_tokens; i++) {
      a += tern_row (group, f, i)[d];
      b += tern_row (group, g, i)[d];
    }
    ab += a * b;
    aa += a * a;
    bb += b * b;
  }
  return aa > 0 && bb > 0 ? ab / sqrt (aa * bb) : 0;
}

static void
keep_segment (Work *work, guint s, guint e, const guint *count)
{
  guint n = work->group->n_tokens, salient[TERN_COMPRESS_GROUP], anchors = 0, room;

  for (guint f = s; f < e; f++) {
    guint context = (guint) (count[f] * CONTEXT + 1e-9);

    salient[f] = count[f] - context;
    anchors += context;
  }
  /* More than the last frame has: the others have them. */
  room = n - salient[e - 1];
  for (guint f = s; anchors > room && f + 1 < e; f++) {
    guint more = MIN (anchors - room, n - salient[f]);

    salient[f] += more;
    anchors -= more;
  }
  for (guint f = s; f < e; f++)
    keep_salient (work, f, salient[f]);
  if (anchors > 0)
    keep_anchors (work, s, e, anchors);
}

static void
fastvid_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  Work work = take_work (group, scratch, keep, n_keep, mixed);
  gboolean apart = tern_compress_cap (params, group->n_tokens) < group->n_tokens;
  guint count[TERN_COMPRESS_GROUP];

  tern_share_equally (params, group, count);
  for (guint s = 0, e; s < group->n_frames; s = e) {
    for (e = s + 1; e < group->n_frames && !apart && mean_cosine (group, e - 1, e) >= CUT; e++);
    keep_segment (&work, s, e, count);
  }
}

const TernCompressMethod tern_compress_fastvid = {
  .name = "fastvid",
  .about = "FastVID: salient tokens, and density peaks of a segment that take in the others",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = fastvid_scratch,
  .bound = tern_compress_budget,
  .mix = fastvid_mix,
};
