/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As many tokens as DyCoke keeps, frame by frame, drawn at random: the comparison that any similarity measure has to
 * beat. The draw depends on the seed, the group's index and the frame alone, so that runs repeat. */
#include "compress/compress.h"
#include "engine/base/random.h"

static gsize
random_scratch (guint n_tokens, guint dim)
{
  return 0;
}

static guint64
random_bound (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  return tern_compress_dycoke.bound (params, n_frames, n_tokens);
}

static void
random_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  TernTokenGroup first = *group;
  guint n = group->n_tokens, n_kept = tern_compress_keep (params->merge_ratio, n);

  first.n_frames = 1;
  tern_compress_none.select (params, &first, NULL, keep, n_keep);
  for (guint f = 1; f < group->n_frames; f++) {
    TernRandom mix = { params->seed };
    TernRandom random = { tern_random_next (&mix) ^ (group->index * TERN_COMPRESS_GROUP + f) };
    gint32 *row = keep + (gsize) f * n;
    guint left = n_kept, m = 0;

    /* Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): ascending, every subset equally likely. */
    for (guint i = 0; i < n && left > 0; i++)
      if (tern_random_below (&random, n - i) < left) {
        row[m++] = (gint32) i;
        left--;
      }
    n_keep[f] = m;
  }
}

const TernCompressMethod tern_compress_random = {
  .name = "random",
  .about = "as many tokens as dycoke keeps, drawn at random: for comparison",
  .needs = TERN_COMPRESS_NEEDS_NOTHING,
  .scratch = random_scratch,
  .bound = random_bound,
  .select = random_select,
};
