/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VisionZip: S. Yang et al., "VisionZip: Longer is Better but Not Necessary in Vision Language Models", arXiv:2412.04467,
 * section 3.2; read beside dvlab-research/VisionZip @ 3151f6d.
 *
 * Of each frame the tokens that are attended to most stay as they are (dominant), 54 of 64; of the others every so many is a
 * target, 10 of 64, which the rest joins by the largest cosine. A contextual token is the mean of a target and what joined it;
 * the authors' code adds the mean of those that joined to the target instead, so that the norm doubles.
 *
 * Scores: attention paid to a token by [CLS], or where a tower has none, as ours, that by all tokens (as HoliTom and FlashVID
 * do it for SigLIP). The tower does not say so far: tern_attended() has what stands in, visual tokens for queries and keys. */
#include "compress/share.h"

#include <string.h>

#include "compress/similar.h"

#define CONTEXTUAL(k) ((k) < 2 ? 0 : MAX ((k) * 10 / 64, 1))

/* [n] scored, [n] attended, [n] room, [n] others */
static gsize
visionzip_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * (sizeof (TernScored) + 2 * sizeof (double) + sizeof (gint32) + sizeof (guint));
}

/* The target of each of @others [n]: targets are others [0], [step], ...; of a target itself. */
static void
join (const TernTokenGroup *group, guint f, const gint32 *others, guint n, guint n_targets, guint *joined)
{
  guint step = MAX (n / n_targets, 1);

  for (guint o = 0; o < n; o++) {
    double best = -G_MAXDOUBLE;

    joined[o] = 0;
    if (o % step == 0 && o / step < n_targets) {
      joined[o] = o / step;
      continue;
    }
    for (guint t = 0; t < n_targets; t++) {
      double like = tern_cosine (tern_row (group, f, others[o]), tern_row (group, f, others[t * step]), tern_main (group));

      if (like > best) {
        best = like;
        joined[o] = t;
      }
    }
  }
}

static void
mix_targets (const TernTokenGroup *group, guint f, const gint32 *others, guint n, guint n_targets, const guint *joined,
    float *mixed)
{
  guint step = MAX (n / n_targets, 1);

  for (guint t = 0; t < n_targets; t++)
    for (guint d = 0; d < group->dim; d++) {
      double sum = 0;
      guint count = 0;

      for (guint o = 0; o < n; o++)
        if (joined[o] == t) {
          sum += tern_row (group, f, others[o])[d];
          count++;
        }
      mixed[(gsize) others[t * step] * group->dim + d] = (float) (sum / count);
    }
}

/* Keeps @k tokens of frame @f. */
static void
mix_frame (const TernTokenGroup *group, guint f, guint k, void *scratch, gint32 *row, float *mixed)
{
  guint n = group->n_tokens, n_targets = CONTEXTUAL (k), n_dominant = k - n_targets, m = 0, step;
  TernScored *scored = scratch;
  double *attended = (double *) (scored + n), *room = attended + n;
  gint32 *others = (gint32 *) (room + n);
  guint *joined = (guint *) (others + n);

  tern_attended (group, f, room, attended);
  for (guint i = 0; i < n; i++)
    scored[i] = (TernScored) { .score = -attended[i], .index = (gint32) i };
  tern_keep_lowest (scored, n, n_dominant, row);
  for (guint i = 0, at = 0; i < n; i++) {
    if (at < n_dominant && row[at] == (gint32) i) {
      memcpy (mixed + (gsize) i * group->dim, tern_row (group, f, i), group->dim * sizeof (float));
      at++;
    } else {
      others[m++] = (gint32) i;
    }
  }
  if (n_targets == 0)
    return;
  join (group, f, others, m, n_targets, joined);
  mix_targets (group, f, others, m, n_targets, joined, mixed);
  step = MAX (m / n_targets, 1);
  for (guint t = 0; t < n_targets; t++)
    row[n_dominant + t] = others[t * step];
  tern_sort_positions (row, k);
}

static void
visionzip_mix (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep,
    float *mixed)
{
  guint n = group->n_tokens;

  tern_share_equally (params, group, n_keep);
  for (guint f = 0; f < group->n_frames; f++)
    mix_frame (group, f, n_keep[f], scratch, keep + (gsize) f * n, mixed + (gsize) f * n * group->dim);
}

const TernCompressMethod tern_compress_visionzip = {
  .name = "visionzip",
  .about = "VisionZip: the tokens of each frame that are attended to most, and means of the others",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = visionzip_scratch,
  .bound = tern_compress_budget,
  .mix = visionzip_mix,
};
