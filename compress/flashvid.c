/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FlashVID before the language model: Z. Fan et al., "FlashVID: Efficient Video Large Language Models via Training-free
 * Tree-based Spatiotemporal Token Merging", arXiv:2602.08024, section 3; read beside Fanziyang-v/FlashVID @ 1d37422.
 *
 * Of a frame's share of the budget .7 are its most various tokens: one after the other that which is furthest from
 * those chosen before, by (1 - cos) x attention (the first: whose nearest is furthest). Each of the others is hung to
 * the most similar such token of the frame before, wherever it is, when the cosine is above .8; trees do not cross
 * cuts, where the cosine of the frames' means is below .9. A tree becomes the mean of its tokens, at its root, the
 * earliest; where there would be fewer roots than the budget has room for, the weakest links are cut (of frames whose
 * own budgets have room). The roots of a frame are merged to its part of the budget, which goes by their number: DPC-
 * KNN, k = 7, means.
 *
 * The authors' code counts direct children alone, so that long trees have large norms; here it is the mean that the paper has.
 * Their pruning inside the language model, and the quarter that is kept more for it, are left out. Attention: tern_attended(). */
#include "compress/share.h"

#include <math.h>
#include <string.h>

#include "compress/cluster.h"
#include "compress/similar.h"

#define CUT 0.9
#define VARIOUS 0.7
#define LINK 0.8
#define NEAREST 7

typedef struct {
  const TernTokenGroup *group;
  float *mixed;
  gint32 *keep;
  guint *n_keep;
  double *attended, *room;      /* [n] */
  TernScored *links;            /* [4 n] cosine and token */
  guint *parent;                /* [4 n]; G_MAXUINT: a root, or chosen */
  guint8 *chosen;               /* [4 n] */
  double *sum;                  /* [4 n][dim] of a tree */
  guint *size;                  /* [4 n] tokens of it */
  float *means;                 /* [n][dim] roots of a frame */
  const float **rows;           /* [n] */
  gint32 *place, *centres;      /* [n] */
  guint *joined;                /* [n] */
  void *cluster;
} Work;

static gsize
flashvid_scratch (guint n_tokens, guint dim)
{
  gsize n = n_tokens, all = TERN_COMPRESS_GROUP * n;

  return tern_cluster_scratch (n_tokens) + n * (2 * sizeof (double) + dim * sizeof (float) + sizeof (float *)
      + 2 * sizeof (gint32) + sizeof (guint)) + all * (sizeof (TernScored) + 2 * sizeof (guint) + 1 + dim * sizeof (double));
}

static Work
take_work (const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep, float *mixed)
{
  Work work = { .group = group, .mixed = mixed, .keep = keep, .n_keep = n_keep };
  gsize n = group->n_tokens, all = TERN_COMPRESS_GROUP * n;

  work.cluster = scratch;
  work.links = (TernScored *) ((guint8 *) scratch + tern_cluster_scratch ((guint) n));
  work.attended = (double *) (work.links + all);
  work.room = work.attended + n;
  work.sum = work.room + n;
  work.rows = (const float **) (work.sum + all * group->dim);
  work.means = (float *) (work.rows + n);
  work.parent = (guint *) (work.means + n * group->dim);
  work.size = work.parent + all;
  work.joined = work.size + all;
  work.place = (gint32 *) (work.joined + n);
  work.centres = work.place + n;
  work.chosen = (guint8 *) (work.centres + n);
  return work;
}

/* ---- The most various tokens ---- */

static double
apart (const Work *work, guint f, guint i, guint j)
{
  double like = tern_cosine (tern_row (work->group, f, i), tern_row (work->group, f, j), tern_main (work->group));

  return (1 - like) * work->attended[j];
}

/* The token whose nearest other one is furthest. */
static guint
first_of (const Work *work, guint f)
{
  guint n = work->group->n_tokens, best = 0;
  double most = -G_MAXDOUBLE;

  for (guint j = 0; j < n; j++) {
    double nearest = G_MAXDOUBLE;

    for (guint i = 0; i < n; i++)
      if (i != j)
        nearest = MIN (nearest, apart (work, f, i, j));
    if (nearest > most) {
      most = nearest;
      best = j;
    }
  }
  return best;
}

static void
choose_various (Work *work, guint f, guint k)
{
  guint n = work->group->n_tokens;
  guint8 *chosen = work->chosen + (gsize) f * n;
  double *nearest = work->room;

  memset (chosen, 0, n);
  if (k == 0)
    return;
  tern_attended (work->group, f, work->room, work->attended);
  for (guint i = 0; i < n; i++)
    nearest[i] = G_MAXDOUBLE;
  for (guint c = 0, at = first_of (work, f); c < k; c++) {
    double most = -G_MAXDOUBLE;

    for (guint i = 0; c > 0 && i < n; i++)
      if (!chosen[i] && (most == -G_MAXDOUBLE || nearest[i] > most)) {
        most = nearest[i];
        at = i;
      }
    chosen[at] = 1;
    for (guint j = 0; j < n; j++)
      nearest[j] = MIN (nearest[j], apart (work, f, at, j));
  }
}

/* ---- Trees ---- */

static gboolean
is_cut (const TernTokenGroup *group, guint f)
{
  double ab = 0, aa = 0, bb = 0;

  for (guint d = 0; d < tern_main (group); d++) {
    double a = 0, b = 0;

    for (guint i = 0; i < group->n_tokens; i++) {
      a += tern_row (group, f - 1, i)[d];
      b += tern_row (group, f, i)[d];
    }
    ab += a * b;
    aa += a * a;
    bb += b * b;
  }
  return !(aa > 0 && bb > 0 && ab / sqrt (aa * bb) >= CUT);
}

/* The link of token @i of frame @f to the frame before; FALSE: it has none. */
static gboolean
find_link (Work *work, guint f, guint i, double *like)
{
  guint n = work->group->n_tokens;
  guint *parent = &work->parent[(gsize) f * n + i];

  *like = LINK;
  for (guint j = 0; j < n; j++)
    if (!work->chosen[(gsize) (f - 1) * n + j]) {
      double cosine = tern_cosine (tern_row (work->group, f, i), tern_row (work->group, f - 1, j), tern_main (work->group));

      if (cosine > *like) {
        *like = cosine;
        *parent = (f - 1) * n + j;
      }
    }
  return *parent != G_MAXUINT;
}

/* Cuts the weakest links of frames that have room until @wanted roots are kept; @roots: how many there are, @most: kept, of
 * each frame. */
static void
cut_links (Work *work, guint n_links, guint wanted, guint *roots, const guint *most)
{
  guint n = work->group->n_tokens;

  for (guint f = 0; f < work->group->n_frames; f++)
    wanted -= MIN (wanted, MIN (roots[f], most[f]));
  tern_select_lowest (work->links, n_links, n_links);
  for (guint l = 0; l < n_links && wanted > 0; l++) {
    guint f = work->links[l].index / n;

    if (roots[f] >= most[f])
      continue;
    work->parent[work->links[l].index] = G_MAXUINT;
    roots[f]++;
    wanted--;
  }
}

/* Links; @wanted: roots to be kept, @most of them of each frame. */
static void
link_frames (Work *work, guint wanted, const guint *most)
{
  guint n = work->group->n_tokens, n_links = 0, roots[TERN_COMPRESS_GROUP] = { 0 };

  for (guint f = 0; f < work->group->n_frames; f++) {
    gboolean cut = f == 0 || is_cut (work->group, f);

    for (guint i = 0; i < n; i++) {
      double like;

      work->parent[(gsize) f * n + i] = G_MAXUINT;
      if (work->chosen[(gsize) f * n + i])
        continue;
      if (!cut && find_link (work, f, i, &like))
        work->links[n_links++] = (TernScored) { .score = like, .index = (gint32) (f * n + i) };
      else
        roots[f]++;
    }
  }
  cut_links (work, n_links, wanted, roots, most);
}

/* Sums of trees at their roots. */
static void
sum_trees (Work *work)
{
  guint n = work->group->n_tokens, dim = work->group->dim, all = work->group->n_frames * n;

  for (guint at = 0; at < all; at++) {
    work->size[at] = 1;
    for (guint d = 0; d < dim; d++)
      work->sum[(gsize) at * dim + d] = work->group->tokens[(gsize) at * dim + d];
  }
  for (guint at = all; at-- > 0;) {
    guint parent = work->parent[at];

    if (parent == G_MAXUINT)
      continue;
    work->size[parent] += work->size[at];
    for (guint d = 0; d < dim; d++)
      work->sum[(gsize) parent * dim + d] += work->sum[(gsize) at * dim + d];
  }
}

/* ---- A frame ---- */

static guint
gather_roots (Work *work, guint f)
{
  guint n = work->group->n_tokens, dim = work->group->dim, m = 0;

  for (guint i = 0; i < n; i++) {
    gsize at = (gsize) f * n + i;

    if (work->chosen[at] || work->parent[at] != G_MAXUINT)
      continue;
    for (guint d = 0; d < dim; d++)
      work->means[(gsize) m * dim + d] = (float) (work->sum[at * dim + d] / work->size[at]);
    work->rows[m] = work->means + (gsize) m * dim;
    work->place[m++] = (gint32) i;
  }
  return m;
}

/* Keeps @k of the @m roots gathered. */
static void
keep_roots (Work *work, guint f, guint m, guint k)
{
  guint n = work->group->n_tokens, dim = work->group->dim;

  if (k == 0)
    return;
  tern_cluster_centres (work->rows, m, tern_main (work->group), NEAREST, k, work->cluster, work->centres);
  tern_cluster_join (work->rows, m, tern_main (work->group), work->centres, k, work->joined);
  for (guint c = 0; c < k; c++) {
    gint32 place = work->place[work->centres[c]];
    float *out = work->mixed + ((gsize) f * n + place) * dim;

    work->keep[(gsize) f * n + work->n_keep[f]++] = place;
    for (guint d = 0; d < dim; d++) {
      double sum = 0;
      guint count = 0;

      for (guint j = 0; j < m; j++)
        if (work->joined[j] == c) {
          sum += work->rows[j][d];
          count++;
        }
      out[d] = (float) (sum / count);
    }
  }
}

static void
keep_various (Work *work, guint f)
{
  guint n = work->group->n_tokens, dim = work->group->dim;

  work->n_keep[f] = 0;
  for (guint i = 0; i < n; i++)
    if (work->chosen[(gsize) f * n + i]) {
      memcpy (work->mixed + ((gsize) f * n + i) * dim, tern_row (work->group, f, i), dim * sizeof (float));
      work->keep[(gsize) f * n + work->n_keep[f]++] = (gint32) i;
    }
}

static void
flashvid_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  Work work = take_work (group, scratch, keep, n_keep, mixed);
  guint n = group->n_tokens, frames = group->n_frames, cap = tern_compress_cap (params, n), left = 0;
  guint count[TERN_COMPRESS_GROUP], most[TERN_COMPRESS_GROUP];
  double roots[TERN_COMPRESS_GROUP];

  tern_share_equally (params, group, count);
  for (guint f = 0; f < frames; f++) {
    guint various = (guint) ceil (count[f] * VARIOUS - 1e-9);

    choose_various (&work, f, various);
    left += count[f] - various;
    most[f] = cap - various;
  }
  link_frames (&work, left, most);
  sum_trees (&work);
  for (guint f = 0; f < frames; f++) {
    guint m = gather_roots (&work, f);

    roots[f] = m;
    most[f] = MIN (most[f], m);
  }
  tern_share_within (roots, frames, left, 0, most, count);
  for (guint f = 0; f < frames; f++) {
    keep_various (&work, f);
    keep_roots (&work, f, gather_roots (&work, f), count[f]);
    tern_sort_positions (keep + (gsize) f * n, n_keep[f]);
  }
}

const TernCompressMethod tern_compress_flashvid = {
  .name = "flashvid",
  .about = "FlashVID: the most various tokens of each frame, and means of trees that follow what moves",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = flashvid_scratch,
  .bound = tern_compress_budget,
  .mix = flashvid_mix,
};
