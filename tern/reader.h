/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A prompt on its way into a timeline: token ids with the visual tokens of pictures between them, read in pieces as they
 * come. What was read already stays when the prompt turns out to be another one that begins like it; else it is read anew.
 * So frames can be read before their window has ended, and what comes out is the same. Scheduler's thread only. */
#pragma once

#include "engine/llm/pass.h"

/* Visual tokens of one frame or sub-image in a prompt. Borrowed until the pass that reads them has run. */
typedef struct {
  guint64 frame;                /* tells it from others */
  const float *tokens;          /* [.., TernLlmInfo.visual_dim] */
  const gint32 *keep;           /* [n] rows of tokens, or NULL for the first n */
  guint n;
  /* For models whose rows of pictures stand in a height and a width: the grid (0: not known, then a line), and where in it each
   * row of tokens is (NULL: as they come). */
  guint grid_w, grid_h;
  const gint32 *at;
} TernPicture;

typedef struct {
  TernTimeline *timeline;       /* owned; NULL: not made yet */
  GArray *ids;                  /* gint32, TERN_PROMPT_RUN for a picture */
  GArray *pictures;             /* TernPicture */
  guint at, picture, row;       /* what comes next: id, picture, row of that picture */
  guint end;                    /* ids before this one may be read now */
} TernReader;

void tern_reader_init (TernReader *reader);
void tern_reader_clear (TernReader *reader);

/* How many ids two prompts begin with alike, @most at most, which neither is shorter than. */
guint tern_reader_alike (const GArray *a, const GArray *b, guint most);

/* Nothing was read. */
void tern_reader_restart (TernReader *reader);
/* The prompt is @ids now, of which [0, end) may be read, with @pictures in the places of its runs. */
void tern_reader_aim (TernReader *reader, const GArray *ids, const TernPicture *pictures, guint n_pictures, guint end);
/* @reader, on another timeline of the same store, has read what @from has; the prompt is @ids, which begins with that. */
void tern_reader_fork (TernReader *reader, const TernReader *from, const GArray *ids);

/* How far on text goes behind a picture of a model of three rotary axes. */
guint tern_picture_extent (const TernPicture *picture);

/* Rows until the end. */
guint tern_reader_left (const TernReader *reader);
/* Where the next @n rows, at most those that are left, stand: to @places [n], each counted from where the timeline's text goes on.
 * How far on it goes behind them (TernSegment.advance). */
guint tern_reader_places (const TernReader *reader, TernPlace *places, guint n);
/* The same for the rows of @segment, which says so from then on, of models to whom it matters; @places (TernPlace), which grows, is
 * borrowed by it. */
void tern_reader_place (const TernReader *reader, const TernLlm *llm, GArray *places, TernSegment *segment);
/* Puts the next @n rows, at most those that are left, to @rows [n, width], and what stands behind a picture's where the model
 * @llm of @pass, which @rows are of, takes it from (tern_pass_deepen()). */
void tern_reader_fill (TernReader *reader, TernPass *pass, const TernLlm *llm, float *rows, guint n);
