/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session remembers of a stream without an end: one timeline that frames are read into as they come, and a record of
 * whose its rows are. When it is full, what is worth least is forgotten (compress/remember.h) and the rest moves together
 * (engine/llm/evict.h): keys, positions and memory are bounded, however long the stream is. Answers are given on forks, so
 * that nothing but pictures is remembered. Scheduler's thread only; all memory is taken by new.
 *
 * Rows stand where they would if they had been read alone. In models of three rotary axes (TernLlmInfo.has_places) a picture
 * of which something is left keeps its extent, as one of a window does that tokens were left out of, and each row its height
 * and width in it. */
#pragma once

#include "engine/llm/pass.h"

typedef struct {
  guint64 number;               /* counted over the session */
  guint64 pts, until;           /* ns: what it shows was so from the one to the other */
  guint whole;                  /* places it had when it was read */
  guint rows;                   /* of these that are remembered */
  guint extent;                 /* how far on text goes behind its picture: of three axes */
} TernStreamFrame;

typedef struct {
  guint budget;                 /* rows, at most */
  guint head;                   /* the first so many are there for ever: what every prompt begins with */
  guint places;                 /* of a frame, at most; those beyond are not compared */
  guint reach;                  /* where text goes on behind what is remembered, at most: of three axes, >= budget */
  guint64 tick;                 /* ns that a frame stands for if none follows */
} TernStreamParams;

#define TERN_STREAM_TOKENS 4096 /* that are remembered where nobody says how many */
/* Rows of a fork beside what is remembered, at least: longer questions and answers than the first ones, and the newest frames.
 * Contexts do not grow. */
#define TERN_STREAM_SPARE 512

typedef struct _TernStream TernStream;

/* UNSUPPORTED: the model remembers in ways that cannot be forgotten of; NO_SPACE. Takes a timeline of @store. */
TernStream *tern_stream_new (const TernLlm *llm, TernStore *store, const TernStreamParams *params, GError **error);
void tern_stream_free (TernStream *stream);
/* What new takes beside pages of the store; and pages that @budget rows have there, with one that is copied when it is full. */
gsize tern_stream_bytes (const TernLlm *llm, const TernStreamParams *params);
guint tern_stream_pages (guint budget);

TernTimeline *tern_stream_timeline (TernStream *stream);
guint tern_stream_rows (const TernStream *stream);      /* with what is being read */
/* Oldest first. */
const TernStreamFrame *tern_stream_frames (const TernStream *stream, guint *n);
/* How often something was forgotten; since new. */
guint64 tern_stream_turns (const TernStream *stream);

/* Nothing was read. */
void tern_stream_forget (TernStream *stream);
/* Rows that should be read at once, at most: of each, or of a picture's extent where that is more. */
guint tern_stream_most (const TernStream *stream);
/* Forgets until @n rows more have room, behind which text goes on @advance further, each at most what the head leaves; and then
 * some, so that it is not for each frame. What was recorded was read. NO_SPACE: forks hold so much that there are no pages;
 * later. */
gboolean tern_stream_make_room (TernStream *stream, guint n, guint advance, GError **error);

/* Records what is read next: the head; a new frame; a row of the newest frame (of the head, before there is one), which has a
 * @place (TERN_REMEMBER_NO_PLACE: it is a word) in it and, in models of three axes, @stands somewhere, counted from where the
 * timeline's text goes on before what is read (others: NULL). There is room. */
void tern_stream_add_frame (TernStream *stream, guint64 number, guint64 pts, guint whole, guint extent);
void tern_stream_add_row (TernStream *stream, gint32 place, const TernPlace *stands);
/* The newest frame stands still. */
void tern_stream_extend (TernStream *stream, guint64 pts);

/* Frames that show something of [start, end), ns, or, from number @first on, are in @keep [budget]: positions of their rows,
 * and of the head. Returns how many; @n_frames of how many frames. */
guint tern_stream_select (const TernStream *stream, guint64 start, guint64 end, guint64 first, gint32 *keep, guint *n_frames);
/* @timeline, a fork of the stream's, forgets all but @keep. NO_SPACE. */
gboolean tern_stream_narrow (TernStream *stream, TernTimeline *timeline, const gint32 *keep, guint n, GError **error);
gint32 *tern_stream_list (TernStream *stream);          /* [budget] for such a list; another call may overwrite it */

#define TERN_STREAM_SPANS 16
/* When it was that something is remembered of: starts and ends in seconds, oldest first; those nearest to each other are made
 * one where there are more than TERN_STREAM_SPANS. Returns how many numbers, two for each. */
guint tern_stream_spans (const TernStream *stream, double spans[2 * TERN_STREAM_SPANS]);
