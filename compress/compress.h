/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Token compression: pure functions on token grids, one file a method. They choose rows; those that also change what
 * they keep (means of several) say so by having `mix` in the place of `select`.
 *
 * A new method is a new file beside dycoke-ttm.c that defines
 *
 *   const TernCompressMethod tern_compress_mine = {
 *     .name = "mine", .about = "what it keeps", .needs = TERN_COMPRESS_NEEDS_TOKENS,
 *     .scratch = mine_scratch, .bound = mine_bound, .select = mine_select,
 *   };
 *
 * and its line in the table of registry.c. From there the library, the elements' `method` and the program's --compress
 * have it by its name; contexts and caps are planned by its bound, and where something that it needs is not there it is
 * refused. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_COMPRESS_GROUP 4   /* frames of a group */

/* Tokens of up to four consecutive frames (one group). */
typedef struct {
  const float *tokens;          /* [n_frames][n_tokens][dim], contiguous */
  guint n_frames;               /* 1..4; fewer than 4 only in the last group of a window */
  guint n_tokens;               /* of every frame */
  guint dim;                    /* floats of a row */
  /* The first ones, which are the token itself; behind them stand features of the encoder's early layers (DeepStack), which go
   * where the row goes. 0: all. See tern_main() in share.h. */
  guint main;
  guint64 index;                /* of the group in its stream, for seeds */
  /* What the vision tower attends to: for every token the attention that is paid to it, [n_frames][n_tokens], as the
   * tokens lie; the more the more important, comparable within a frame. NULL where the encoder does not say. */
  const float *scores;
  guint grid_w, grid_h;         /* columns and rows of a frame's tokens; 0: not known, see tern_compress_grid() */
} TernTokenGroup;

typedef struct {
  double merge_ratio;           /* K: the share dropped in frames 2-4 of a group, 0..1; see tern_compress_budget() */
  guint64 seed;                 /* random */
  /* Hard budgets of a group and of each frame, 0 = none. Methods that choose how many choose within them; what is over
   * them all the same is dropped by tern_compress_limit(). */
  guint max_tokens, max_frame_tokens;
} TernCompressParams;

/* What a method looks at, of a group. */
typedef enum {
  TERN_COMPRESS_NEEDS_NOTHING = 0,
  TERN_COMPRESS_NEEDS_TOKENS = 1 << 0,
  TERN_COMPRESS_NEEDS_SCORES = 1 << 1,
} TernCompressNeeds;

typedef struct {
  const char *name;             /* what users write */
  const char *about;            /* one line */
  TernCompressNeeds needs;
  /* Bytes of scratch for groups of frames of at most @n_tokens of @dim. */
  gsize (*scratch) (guint n_tokens, guint dim);
  /* The most tokens that are kept of @n_frames (0..4) frames of @n_tokens each, whatever is in them; budget aside. */
  guint64 (*bound) (const TernCompressParams *params, guint n_frames, guint n_tokens);
  /* Fills keep[f * n_tokens + i], i < n_keep[f], with the positions kept in frame f, ascending. What it
   * needs is there. More than the budget may be kept: the caller sees to that. */
  void (*select) (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep,
      guint *n_keep);
  /* Or, with @select NULL: the same, and the row of each position kept, as it is to be read, at the same place of @mixed
   * [n_frames][n_tokens][dim]; other rows there are not looked at. */
  void (*mix) (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep,
      guint *n_keep, float *mixed);
} TernCompressMethod;

extern const TernCompressMethod tern_compress_none;
extern const TernCompressMethod tern_compress_dycoke;   /* DyCoke stage 1 (arXiv:2411.15024 sec. 3.2) */
extern const TernCompressMethod tern_compress_random;   /* as many tokens as DyCoke keeps, drawn at random */
extern const TernCompressMethod tern_compress_vla_cache;        /* what VLA-Cache would not reuse (arXiv:2502.02175) */
extern const TernCompressMethod tern_compress_random_any;       /* drawn at random from all frames alike */
extern const TernCompressMethod tern_compress_uniform;  /* evenly spaced */
extern const TernCompressMethod tern_compress_mean;     /* means over time */
extern const TernCompressMethod tern_compress_vidcom2;  /* arXiv:2505.14454 */
extern const TernCompressMethod tern_compress_vcast;    /* arXiv:2603.27650 */
extern const TernCompressMethod tern_compress_evs;      /* arXiv:2510.14624 */
extern const TernCompressMethod tern_compress_sttm;     /* arXiv:2507.07990 */
extern const TernCompressMethod tern_compress_visionzip;        /* arXiv:2412.04467 */
extern const TernCompressMethod tern_compress_holitom;  /* arXiv:2505.21334 */
extern const TernCompressMethod tern_compress_fastvid;  /* arXiv:2503.11187 */
extern const TernCompressMethod tern_compress_flashvid; /* arXiv:2602.08024 */
extern const TernCompressMethod tern_compress_cdpruner; /* arXiv:2506.10967 */

/* In the order of TernMethod (tern/compressor.h), which has a constant for those that code names. */
const TernCompressMethod *const *tern_compress_methods (guint *n);
/* INVALID lists the names there are. */
const TernCompressMethod *tern_compress_find (const char *name, GError **error);

/* What is there of @group. */
TernCompressNeeds tern_compress_has (const TernTokenGroup *group);
/* Whether that is what @method needs; UNSUPPORTED names it and what is missing. */
gboolean tern_compress_check (const TernCompressMethod *method, TernCompressNeeds has, GError **error);
/* Chooses, within the budgets, from a @group that has what @method needs. @mixed: for methods that mix, else NULL. */
void tern_compress_run (const TernCompressMethod *method, const TernCompressParams *params, const TernTokenGroup *group,
    void *scratch, gint32 *keep, guint *n_keep, float *mixed);
/* The most that it keeps of such a group. */
guint64 tern_compress_bound (const TernCompressMethod *method, const TernCompressParams *params, guint n_frames,
    guint n_tokens);

/* Tokens that a frame after the first of its group keeps: floor ((1 - K) N), computed so that (1 - .9) 10 is 1. */
guint tern_compress_keep (double merge_ratio, guint n_tokens);

/* What a frame keeps at most. */
guint tern_compress_cap (const TernCompressParams *params, guint n_tokens);
/* What methods that are free to choose how many keep of a group: as many as DyCoke's rule does at that merge ratio, N +
 * (n - 1) floor ((1 - K) N), so that methods are compared at equal counts (K = 1: a quarter of whole groups); or what the
 * hard budgets leave of that. */
guint64 tern_compress_budget (const TernCompressParams *params, guint n_frames, guint n_tokens);

/* Hard budgets: where a frame keeps more than @frame, and then where the group keeps more than @max_tokens (0: none), drops
 * what is too much, evenly over all that is kept there. */
void tern_compress_limit (guint max_tokens, guint frame, guint n_frames, guint n_tokens, gint32 *keep, guint *n_keep);

/* Columns and rows of a frame: those of the group, or, where it has none that fit, the divisors nearest to a square. */
void tern_compress_grid (const TernTokenGroup *group, guint *columns, guint *rows);

/* DyCoke stage 1 as the authors' code does it on a whole clip, for comparing numbers with it: the third frame of the
 * last whole group is never pruned, an odd last frame is lost, survivors stand in the order of ascending similarity,
 * and the count is the truncated product. @tokens: [n_frames][n_tokens][dim]; @keep: [n_frames * n_tokens], used as in
 * TernCompressMethod but for the order; @n_keep: [n_frames]. INVALID for 4 frames or fewer, which that code cannot do. */
gboolean tern_dycoke_reference (double merge_ratio, const float *tokens, guint n_frames, guint n_tokens, guint dim,
    gint32 *keep, guint *n_keep, GError **error);

G_END_DECLS
