/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As many tokens as DyCoke keeps, frame by frame, drawn at random: the comparison that any similarity measure has to
 * beat. The draw depends on the seed, the group's index and the frame alone, so that runs repeat. */
#include "compress/compress.h"

/* SplitMix64 (Steele, Lea and Flood 2014). */
static guint64
next_random (guint64 *state)
{
  guint64 z = (*state += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Uniform in [0, n), n >= 1. */
static guint
draw (guint64 *state, guint n)
{
  return (guint) (((next_random (state) >> 32) * n) >> 32);
}

static gsize
random_scratch (guint n_tokens)
{
  return 0;
}

static void
random_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  TernTokenGroup first = *group;
  guint n = group->n_tokens, n_kept = tern_compress_keep (params->merge_ratio, n);

  first.n_frames = 1;
  tern_compress_none.select (params, &first, NULL, keep, n_keep);
  for (guint f = 1; f < group->n_frames; f++) {
    guint64 mix = params->seed;
    guint64 state = next_random (&mix) ^ (group->index * TERN_COMPRESS_GROUP + f);
    gint32 *row = keep + (gsize) f * n;
    guint left = n_kept, m = 0;

    /* Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): ascending, every subset equally likely. */
    for (guint i = 0; i < n && left > 0; i++)
      if (draw (&state, n - i) < left) {
        row[m++] = (gint32) i;
        left--;
      }
    n_keep[f] = m;
  }
}

const TernCompressMethod tern_compress_random = {
  .name = "random",
  .about = "as many tokens as dycoke keeps, drawn at random: for comparison",
  .scratch = random_scratch,
  .select = random_select,
};
