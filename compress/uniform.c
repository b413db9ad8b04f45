/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Without looking at the tokens: what any other method has to beat. `uniform` keeps tokens at equal distances over the whole
 * group, in the order in which they are read; `random-any` draws as many from all frames alike (`random` draws from frames
 * 2 to 4 alone, as DyCoke does). */
#include "compress/share.h"

#include "engine/base/random.h"

static gsize
no_scratch (guint n_tokens, guint dim)
{
  return 0;
}

static void
uniform_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, count[TERN_COMPRESS_GROUP];

  tern_share_equally (params, group, count);
  for (guint f = 0; f < group->n_frames; f++) {
    /* Frames begin at other places: together they see more of what stands still. */
    guint64 shift = (guint64) f * n / group->n_frames;

    n_keep[f] = 0;
    for (guint64 i = 0; i < n; i++)
      if ((i * count[f] + shift) / n != ((i + 1) * count[f] + shift) / n)
        keep[(gsize) f * n + n_keep[f]++] = (gint32) i;
  }
}

static void
random_any_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, cap = tern_compress_cap (params, n);
  guint64 left = tern_compress_budget (params, group->n_frames, n), all = (guint64) group->n_frames * n;
  TernRandom mix = { params->seed };
  TernRandom random = { tern_random_next (&mix) ^ group->index };
  guint count[TERN_COMPRESS_GROUP];

  /* Where frames have budgets of their own each draws its share; selection sampling (Knuth, TAOCP 3.4.2, algorithm S). */
  tern_share_equally (params, group, count);
  for (guint f = 0; f < group->n_frames; f++) {
    guint64 frame = count[f];

    n_keep[f] = 0;
    for (guint i = 0; i < n; i++, all--) {
      guint64 *still = cap < n ? &frame : &left;
      guint64 of = cap < n ? n - i : all;

      if (*still > 0 && tern_random_below (&random, (guint32) of) < *still) {
        keep[(gsize) f * n + n_keep[f]++] = (gint32) i;
        (*still)--;
      }
    }
  }
}

const TernCompressMethod tern_compress_uniform = {
  .name = "uniform",
  .about = "tokens at equal distances, whatever is in them: for comparison",
  .needs = TERN_COMPRESS_NEEDS_NOTHING,
  .scratch = no_scratch,
  .bound = tern_compress_budget,
  .select = uniform_select,
};

const TernCompressMethod tern_compress_random_any = {
  .name = "random-any",
  .about = "drawn at random from all frames of a group alike: for comparison",
  .needs = TERN_COMPRESS_NEEDS_NOTHING,
  .scratch = no_scratch,
  .bound = tern_compress_budget,
  .select = random_any_select,
};
