/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DyCoke stage 1, temporal token merging: K. Tao et al., "DyCoke: Dynamic Compression of Tokens for Fast Video Large
 * Language Models", arXiv:2411.15024, section 3.2.
 *
 * Of four frames a, b, c, d the first is kept whole. b is compared with a, d with c, c with a, each token with the one
 * at its own place, by cosine (eq. 1 and 2); the share K that is most similar is dropped. Nothing is averaged. d is
 * compared with c as it was before c itself was thinned. */
#include "compress/share.h"

#include "compress/select.h"
#include "compress/similar.h"
#include "tern/error.h"
#include "engine/base/mem.h"

/* Which earlier frame of its group each frame is compared with. */
static const guint compared_with[TERN_COMPRESS_GROUP] = { 0, 0, 0, 2 };

static gsize
dycoke_scratch (guint n_tokens, guint dim)
{
  return n_tokens * sizeof (TernScored);
}

static guint64
dycoke_bound (const TernCompressParams *params, guint n_frames, guint n_tokens)
{
  return n_frames ? n_tokens + (guint64) (n_frames - 1) * tern_compress_keep (params->merge_ratio, n_tokens) : 0;
}

static void
dycoke_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  TernTokenGroup first = *group;
  TernScored *scored = scratch;
  guint n = group->n_tokens, n_kept = tern_compress_keep (params->merge_ratio, n);

  first.n_frames = 1;
  tern_compress_none.select (params, &first, NULL, keep, n_keep);
  for (guint f = 1; f < group->n_frames; f++) {
    gsize frame = (gsize) n * group->dim;
    gint32 *row = keep + (gsize) f * n;

    tern_similarities (group->tokens + compared_with[f] * frame, group->tokens + f * frame, n, group->dim,
        tern_main (group), scored);
    tern_select_lowest (scored, n, n_kept);
    for (guint i = 0; i < n_kept; i++)
      row[i] = scored[i].index;
    tern_sort_positions (row, n_kept);
    n_keep[f] = n_kept;
  }
}

const TernCompressMethod tern_compress_dycoke = {
  .name = "dycoke",
  .about = "DyCoke temporal token merging: drops what repeats the frames before it in its group of four",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = dycoke_scratch,
  .bound = dycoke_bound,
  .select = dycoke_select,
};

/* ---- As the authors' code does it ---- */

static void
reference_frame (const float *tokens, guint with, guint frame, guint n_tokens, guint dim, guint n_kept,
    TernScored *scored, gint32 *keep, guint *n_keep)
{
  gsize size = (gsize) n_tokens * dim;

  tern_similarities (tokens + with * size, tokens + frame * size, n_tokens, dim, dim, scored);
  tern_select_lowest (scored, n_tokens, n_kept);
  for (guint i = 0; i < n_kept; i++)
    keep[(gsize) frame * n_tokens + i] = scored[i].index;
  n_keep[frame] = n_kept;
}

gboolean
tern_dycoke_reference (double merge_ratio, const float *tokens, guint n_frames, guint n_tokens, guint dim, gint32 *keep,
    guint *n_keep, GError **error)
{
  TernTokenGroup clip = { .tokens = tokens, .n_frames = n_frames, .n_tokens = n_tokens, .dim = dim };
  double share = 1 - CLAMP (merge_ratio, 0, 1);
  guint n_kept = (guint) (share * n_tokens);    /* truncated: int (10 * (1 - .9)) is 0 there */
  TernScored *scored;

  if (n_frames <= 4) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "DyCoke as the authors' code: expected more than 4 frames, found %u", n_frames);
    return FALSE;
  }
  scored = tern_mem_alloc (MAX (n_tokens, 1) * sizeof (TernScored), "DyCoke similarities", error);
  if (!scored)
    return FALSE;

  tern_compress_none.select (NULL, &clip, NULL, keep, n_keep);
  if (n_frames % 2)
    n_keep[n_frames - 1] = 0;
  for (guint f = 0; f + 1 < n_frames; f += 2)
    reference_frame (tokens, f, f + 1, n_tokens, dim, n_kept, scored, keep, n_keep);
  /* The bound is n - 4 where n - 3 would reach the last group. */
  for (guint f = 0; f < n_frames - 4; f += 4)
    reference_frame (tokens, f, f + 2, n_tokens, dim, n_kept, scored, keep, n_keep);

  tern_mem_free (scored);
  return TRUE;
}
