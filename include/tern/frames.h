/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time, which frames of a stream are looked at, and the visual tokens that one becomes. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TERN_TIME_NONE:
 *
 * No time: not known, or there is none. Times are nanoseconds of stream time, below 2^63.
 *
 * Since: 0.1
 */
#define TERN_TIME_NONE G_MAXUINT64

/**
 * TERN_SECOND:
 *
 * A second, in nanoseconds.
 *
 * Since: 0.1
 */
#define TERN_SECOND G_GUINT64_CONSTANT (1000000000)

/**
 * TERN_GROUP_FRAMES:
 *
 * Frames that temporal merging works on together. Frame number n is of group n / TERN_GROUP_FRAMES.
 *
 * Since: 0.1
 */
#define TERN_GROUP_FRAMES 4

/**
 * TernFrameStep:
 * @TERN_STEP_ON: the frames belong together
 * @TERN_STEP_AHEAD: a pause lies between them: they are not merged, though they may be of one window
 * @TERN_STEP_BACK: time begins anew: what is open of a window or group ends before the second one
 *
 * What lies between two frames that are looked at one after the other.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_STEP_ON,
  TERN_STEP_AHEAD,
  TERN_STEP_BACK,
} TernFrameStep;

/**
 * tern_frame_step:
 * @from: sampling tick that the first frame stands for, in ns
 * @to: sampling tick that the second one stands for, in ns
 * @rate_n: frames a second that are looked at, numerator; 0 = every frame
 * @rate_d: frames a second that are looked at, denominator; not 0
 *
 * Whether a stretch of frames ends between two that are looked at one after the other: %TERN_STEP_BACK by more than a
 * tick, %TERN_STEP_AHEAD by more than a group's ticks and two seconds. Whoever has to know asks this, so that all agree:
 * the sampler, windows, and the elements that number and merge frames. Any thread.
 *
 * Returns: what lies between them
 *
 * Since: 0.1
 */
TERN_API TernFrameStep tern_frame_step (guint64 from, guint64 to, guint rate_n, guint rate_d);

/**
 * TernFrameSampler:
 * @rate_n: frames a second, numerator; 0 = every frame
 * @rate_d: frames a second, denominator; not 0
 * @origin: PTS of the first frame, %TERN_TIME_NONE before it
 * @next: sampling tick that is due
 * @count: frames taken; the number of the last one is count - 1
 * @reserved: 0
 *
 * Which frames of a stream are looked at: the first one, then the first at or after every multiple of 1/rate. By PTS,
 * so that variable frame rates work. A plain value that tern_frame_sampler_init() fills in and that may be copied; no
 * allocation. One thread at a time.
 *
 * Since: 0.1
 */
typedef struct {
  guint rate_n;
  guint rate_d;
  guint64 origin;
  guint64 next;
  guint64 count;
  guint64 reserved[4];
} TernFrameSampler;

/**
 * tern_frame_sampler_init:
 * @sampler: (out caller-allocates): what is to take frames
 * @rate_n: frames a second, numerator; 0 = every frame
 * @rate_d: frames a second, denominator; 0 counts as 1
 *
 * Begins a stream. Never fails.
 *
 * Since: 0.1
 */
TERN_API void tern_frame_sampler_init (TernFrameSampler *sampler, guint rate_n, guint rate_d);

/**
 * tern_frame_sampler_take:
 * @sampler: what takes frames
 * @pts: time stamp of the stream's next frame, in ns; one without (%TERN_TIME_NONE) is not taken
 *
 * Whether the next frame is one to look at. Where a stretch ends (tern_frame_step()) the grid begins anew, with a new
 * frame group: the count goes on at the next multiple of %TERN_GROUP_FRAMES.
 *
 * Returns: %TRUE: take this frame
 *
 * Since: 0.1
 */
TERN_API gboolean tern_frame_sampler_take (TernFrameSampler *sampler, guint64 pts);

/**
 * tern_frame_sampler_late:
 * @sampler: what took the frame
 * @pts: time stamp of the frame that was just taken, in ns
 *
 * How far a frame is from the tick that it stands for.
 *
 * Returns: ns by which @pts is after that tick; 0 when every frame is taken
 *
 * Since: 0.1
 */
TERN_API guint64 tern_frame_sampler_late (const TernFrameSampler *sampler, guint64 pts);

/**
 * TernTokens:
 * @pts: time stamp of the frame, in ns; of two frames that are one picture: the mean of their times
 * @duration: how long the frame stands, in ns; %TERN_TIME_NONE: not known
 * @late: ns by which @pts is after the sampling tick that the frame, the first of two, stands for; 0: not, or not known
 * @utc: when the frame was taken, in ns since 1970 UTC; 0: nobody says
 * @number: of the sampled frame in its stream; frame groups are number / %TERN_GROUP_FRAMES
 * @picture: which picture was encoded, counted from 1 by who encodes; frames with the number of the one before show nothing
 *   new and have its tokens (TernGate). 0: nobody says
 * @novelty: where @picture is said: the share of the picture that is not as in the one encoded before (tern_gate_novelty()). More
 *   than 0 with the @picture of the frame before: it was not encoded for the sake of a budget
 * @grid_w: columns of the grid before compression; 0: not known
 * @grid_h: rows of the grid before compression; 0: not known
 * @dim: floats of a token's row
 * @n_tokens: tokens present, 0..TERN_FRAME_TOKENS_MAX
 * @tokens: (array): [n_tokens, dim] the tokens
 * @keep: (array) (nullable): [n_tokens] where in the grid each was, row by row, ascending; %NULL = all are there, or the grid is
 *   not known
 * @deepstack: how many features of early layers stand in a row behind the token itself, each as wide as it, which has the first
 *   @dim / (1 + @deepstack) floats (tern_model_deepstack()); 0 for most models
 * @after: ns by which the last frame of a picture of two is after @pts: a robot's decision is about that time. 0: it is of one
 *   frame, or nobody says
 * @reserved: 0
 *
 * Visual tokens of one frame. What it points to is borrowed: a function that takes tokens reads them during the call,
 * and one that gives them says how long they stay.
 *
 * Since: 0.1
 */
typedef struct {
  guint64 pts;
  guint64 duration;
  guint64 late;
  guint64 utc;
  guint64 number;
  guint64 picture;
  double novelty;
  guint grid_w;
  guint grid_h;
  guint dim;
  guint n_tokens;
  const float *tokens;
  const gint32 *keep;
  guint deepstack;
  guint64 after;
  gpointer reserved[1];
} TernTokens;

G_END_DECLS
