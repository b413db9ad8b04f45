/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Token compression: pure functions on token grids, one file a method. They choose rows, they never change one. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Tokens of up to four consecutive frames (one group). */
typedef struct {
  const float *tokens;          /* [n_frames][n_tokens][dim], contiguous */
  guint n_frames;               /* 1..4; fewer than 4 only in the last group of a window */
  guint n_tokens;               /* of every frame */
  guint dim;
  guint64 index;                /* of the group in its stream, for seeds */
} TernTokenGroup;

typedef enum {
  TERN_COMPRESS_NONE,
  TERN_COMPRESS_DYCOKE,         /* DyCoke stage 1 (arXiv:2411.15024 sec. 3.2) */
  TERN_COMPRESS_RANDOM,         /* as many tokens as DyCoke keeps, drawn at random: the honest comparison */
} TernCompressMethod;

typedef struct {
  TernCompressMethod method;
  double merge_ratio;           /* K: the share dropped in frames 2-4 of a group, 0..1 */
  guint64 seed;                 /* random */
} TernCompressParams;

gboolean tern_compress_method_parse (const char *name, TernCompressMethod *out, GError **error);
const char *tern_compress_method_name (TernCompressMethod method);

/* Bytes of scratch for groups of at most this size. */
gsize tern_compress_scratch (guint n_tokens);

/* Fills keep[f * n_tokens + i] with the positions kept in frame f, ascending, and n_keep[f] with their number. */
void tern_compress_group (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep,
    guint *n_keep);

G_END_DECLS
