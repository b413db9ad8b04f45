/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressing as a step of its own: of the tokens of a group of frames, those that say something new are kept.
 * Installed. */
#pragma once

#include <glib.h>
#include "tern/budget.h"
#include "tern/error.h"
#include "tern/frames.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernMethod:
 * @TERN_METHOD_NONE: all tokens are kept
 * @TERN_METHOD_DYCOKE: temporal token merging, DyCoke (arXiv:2411.15024) stage 1, as in the paper
 * @TERN_METHOD_RANDOM: as many tokens as DyCoke keeps, at random: for comparison
 * @TERN_METHOD_VLA_CACHE: what VLA-Cache (arXiv:2502.02175) would not reuse
 * @TERN_METHOD_RANDOM_ANY: at random from all frames alike: for comparison
 * @TERN_METHOD_UNIFORM: at equal distances: for comparison
 * @TERN_METHOD_MEAN: means over time of what stays the same
 * @TERN_METHOD_VIDCOM2: VidCom2 (arXiv:2505.14454)
 * @TERN_METHOD_V_CAST: V-CAST (arXiv:2603.27650)
 * @TERN_METHOD_EVS: Efficient Video Sampling (arXiv:2510.14624)
 * @TERN_METHOD_STTM: STTM (arXiv:2507.07990), means over areas and time
 * @TERN_METHOD_VISIONZIP: VisionZip (arXiv:2412.04467), means of what is attended to least
 * @TERN_METHOD_HOLITOM: HoliTom (arXiv:2505.21334) before the language model
 * @TERN_METHOD_FASTVID: FastVID (arXiv:2503.11187)
 * @TERN_METHOD_FLASHVID: FlashVID (arXiv:2602.08024) before the language model
 * @TERN_METHOD_CDPRUNER: CDPruner (arXiv:2506.10967) without a question
 *
 * Which tokens are kept. Methods work on a group of frames, which for most papers' authors is the whole video.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_METHOD_NONE,
  TERN_METHOD_DYCOKE,
  TERN_METHOD_RANDOM,
  TERN_METHOD_VLA_CACHE,
  TERN_METHOD_RANDOM_ANY,
  TERN_METHOD_UNIFORM,
  TERN_METHOD_MEAN,
  TERN_METHOD_VIDCOM2,
  TERN_METHOD_V_CAST,
  TERN_METHOD_EVS,
  TERN_METHOD_STTM,
  TERN_METHOD_VISIONZIP,
  TERN_METHOD_HOLITOM,
  TERN_METHOD_FASTVID,
  TERN_METHOD_FLASHVID,
  TERN_METHOD_CDPRUNER,
} TernMethod;

/**
 * tern_method_parse:
 * @name: none, dycoke, random, ...
 * @method: (out): the method of that name
 * @error: return location of an error, or %NULL
 *
 * Reads a name. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_method_parse (const char *name, TernMethod *method, GError **error);

/**
 * tern_method_name:
 * @method: a method; methods are numbered from 0 without gaps
 *
 * Its name, as tern_method_parse() reads it. Any thread.
 *
 * Returns: (transfer none): the name, valid for ever; "" when there is no such method
 *
 * Since: 0.1
 */
TERN_API const char *tern_method_name (TernMethod method);

/**
 * tern_method_about:
 * @method: a method
 *
 * What it keeps, in a line. Any thread.
 *
 * Returns: (transfer none): the line, valid for ever; "" when there is no such method
 *
 * Since: 0.1
 */
TERN_API const char *tern_method_about (TernMethod method);

/**
 * TernCompressorParams:
 * @method: which tokens are kept
 * @merge_ratio: share dropped in frames 2-4 of a group, 0..TERN_SHARE_MAX. Methods other than DyCoke keep as many of the
 *   group as that leaves (1: a quarter of a whole group), wherever they are
 * @max_tokens: hard budget for a group, in tokens, 0 = none; methods that choose how many choose within it, what others keep
 *   over it is dropped evenly
 * @max_tokens_per_frame: the same for each frame
 * @max_tokens_per_window: the same for every @window_frames frames in a row, spread evenly over them: exact in each window
 *   that has all its frames. At least a token a frame
 * @max_tokens_per_second: the same for every second, @rate_n / @rate_d frames
 * @window_frames: frames of a window, 0 = not known; a session fills in its own
 * @rate_n: frames a second, numerator, 0 = not known; a session fills in its own
 * @rate_d: frames a second, denominator
 * @seed: of methods with chance in them; same seed, same tokens
 * @reserved: 0
 *
 * How much is kept. tern_compressor_params_init() or TERN_COMPRESSOR_PARAMS_INIT fills in the defaults.
 *
 * Since: 0.1
 */
typedef struct {
  TernMethod method;
  double merge_ratio;
  guint max_tokens;
  guint max_tokens_per_frame;
  guint max_tokens_per_window;
  guint max_tokens_per_second;
  guint window_frames;
  guint rate_n;
  guint rate_d;
  guint64 seed;
  gpointer reserved[4];
} TernCompressorParams;

/**
 * tern_compressor_params_init:
 * @params: (out caller-allocates): what to fill in
 *
 * Fills in the defaults: DyCoke, 0.8 dropped. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_params_init (TernCompressorParams *params);

/**
 * TERN_COMPRESSOR_PARAMS_INIT: (skip)
 *
 * The same for a variable of C.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_COMPRESSOR_PARAMS_INIT { .method = TERN_METHOD_DYCOKE, .merge_ratio = 0.8 }
#endif

/**
 * tern_compressor_bound:
 * @params: how much is kept
 * @n_frames: frames of the group, 0..TERN_GROUP_FRAMES
 * @n_tokens: tokens of each, 0..TERN_FRAME_TOKENS_MAX
 *
 * What memory and contexts are planned by. Any thread.
 *
 * Returns: the most tokens that are kept of such a group, whatever is in them
 *
 * Since: 0.1
 */
TERN_API guint64 tern_compressor_bound (const TernCompressorParams *params, guint n_frames, guint n_tokens);

/**
 * TernCompressorStats:
 * @frames: frames compressed
 * @groups: groups compressed
 * @tokens_in: tokens before
 * @tokens_kept: tokens after
 * @milliseconds: spent compressing, in ms
 * @reserved: 0
 *
 * What a compressor has done since it was made.
 *
 * Since: 0.1
 */
typedef struct {
  guint64 frames;
  guint64 groups;
  guint64 tokens_in;
  guint64 tokens_kept;
  double milliseconds;
  guint64 reserved[4];
} TernCompressorStats;

/**
 * TernCompressor:
 *
 * Compresses one stream of frames. tern_compressor_stats() may be called from any thread; of the others, one at a time.
 *
 * Since: 0.1
 */
typedef struct _TernCompressor TernCompressor;

/**
 * tern_compressor_new:
 * @params: how much is kept; copied
 * @max_tokens: tokens of a frame at most, 1..TERN_FRAME_TOKENS_MAX
 * @dim: floats of a token's row, 1..TERN_EMBEDDING_DIM_MAX
 * @error: return location of an error, or %NULL
 *
 * Takes all memory that a group of such frames needs.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE.
 *
 * Returns: (transfer full) (nullable): the compressor; tern_compressor_free() frees it. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernCompressor *tern_compressor_new (const TernCompressorParams *params, guint max_tokens, guint dim,
    GError **error);

/**
 * tern_compressor_free:
 * @compressor: (transfer full) (nullable): a compressor, or %NULL
 *
 * Frees it, and what it holds.
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_free (TernCompressor *compressor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernCompressor, tern_compressor_free)

/**
 * tern_compressor_set_params:
 * @compressor: a compressor
 * @params: how much is kept; copied
 * @error: return location of an error, or %NULL
 *
 * Changes parameters from the next group that becomes complete.
 *
 * Errors: %TERN_ERROR_INVALID; then nothing changes.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_compressor_set_params (TernCompressor *compressor, const TernCompressorParams *params,
    GError **error);

/**
 * tern_compressor_set_budget:
 * @compressor: a compressor
 * @budget: (nullable): the account of the stream; a reference is held. %NULL: none
 *
 * From the next group that becomes complete on fewer tokens are kept where the account has little, never more.
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_set_budget (TernCompressor *compressor, TernBudget *budget);

/**
 * tern_compressor_push:
 * @compressor: a compressor
 * @frame: one whole, uncompressed frame; copied
 * @error: return location of an error, or %NULL
 *
 * Takes a frame. When its group is complete, tern_compressor_pop() gives the frames of the group; take them all before
 * the next push. A frame of another grid, or whose number starts another group, completes the group before it.
 *
 * Errors: %TERN_ERROR_BUSY when frames wait to be popped, which this frame may just have completed: it was not taken,
 *   pop and push again. %TERN_ERROR_MISMATCH for another width, %TERN_ERROR_INVALID for a frame that is not whole,
 *   or has numbers that are not finite.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_compressor_push (TernCompressor *compressor, const TernTokens *frame, GError **error);

/**
 * tern_compressor_drain:
 * @compressor: a compressor
 *
 * Completes the group that is open: its frames can be popped.
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_drain (TernCompressor *compressor);

/**
 * tern_compressor_reset:
 * @compressor: a compressor
 *
 * Forgets all frames (flush).
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_reset (TernCompressor *compressor);

/**
 * tern_compressor_pop:
 * @compressor: a compressor
 * @frame: (out caller-allocates): the next frame of the group that is complete, with the tokens that were kept; what it
 *   points to is borrowed until the next call on this compressor
 *
 * Gives the frames of a group, in their order.
 *
 * Returns: %FALSE: there is none
 *
 * Since: 0.1
 */
TERN_API gboolean tern_compressor_pop (TernCompressor *compressor, TernTokens *frame);

/**
 * tern_compressor_stats:
 * @compressor: a compressor
 * @stats: (out caller-allocates): what it has done
 *
 * Counts since it was made. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_compressor_stats (TernCompressor *compressor, TernCompressorStats *stats);

/**
 * TernGrouper:
 *
 * Says which frames are merged together on the way to a session that is given visual tokens: groups of
 * %TERN_GROUP_FRAMES that do not go on beyond the end of a window, or the beginning of one, as a session that is given
 * pictures groups them. It has to hear what the session will hear. One thread at a time.
 *
 * Since: 0.1
 */
typedef struct _TernGrouper TernGrouper;

/**
 * TernGrouping:
 * @TERN_GROUPING_ON: the frame is of the group of the one before it
 * @TERN_GROUPING_BEGIN: a group begins with it
 * @TERN_GROUPING_SKIP: no window has the frame: it lies between two, or is a tick's second one
 *
 * What becomes of a frame.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_GROUPING_ON,
  TERN_GROUPING_BEGIN,
  TERN_GROUPING_SKIP,
} TernGrouping;

/**
 * tern_grouper_new:
 * @window: time that an answer is about, in ns, as in #TernSessionParams
 * @hop: ns between the starts of windows; 0 = @window
 * @rate_n: frames a second, numerator; not 0
 * @rate_d: frames a second, denominator; not 0
 *
 * Begins a stream.
 *
 * Returns: (transfer full) (nullable): the grouper; tern_grouper_free() frees it. %NULL when there are no such windows:
 *   more than TERN_WINDOW_FRAMES_MAX frames
 *
 * Since: 0.1
 */
TERN_API TernGrouper *tern_grouper_new (guint64 window, guint64 hop, guint rate_n, guint rate_d);

/**
 * tern_grouper_free:
 * @grouper: (transfer full) (nullable): a grouper, or %NULL
 *
 * Frees it.
 *
 * Since: 0.1
 */
TERN_API void tern_grouper_free (TernGrouper *grouper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGrouper, tern_grouper_free)

/**
 * tern_grouper_add:
 * @grouper: a grouper
 * @pts: time stamp of the next frame, in ns of stream time
 * @late: ns by which it is after its sampling tick
 * @duration: how long it stands, in ns; %TERN_TIME_NONE: not known
 *
 * Takes a frame that is looked at. One that follows a pause or a step back begins a group, too (tern_frame_step()).
 *
 * Returns: what becomes of it
 *
 * Since: 0.1
 */
TERN_API TernGrouping tern_grouper_add (TernGrouper *grouper, guint64 pts, guint64 late, guint64 duration);

/**
 * tern_grouper_see:
 * @grouper: a grouper
 * @pts: how far the video has come, in ns of stream time
 * @duration: how long the frame there stands, in ns; 0: there is none
 *
 * As tern_session_see().
 *
 * Returns: %TRUE: a window is over, and the group that is open with it
 *
 * Since: 0.1
 */
TERN_API gboolean tern_grouper_see (TernGrouper *grouper, guint64 pts, guint64 duration);

/**
 * tern_grouper_window_frames:
 * @grouper: a grouper
 *
 * What budgets of windows are spread over (#TernCompressorParams).
 *
 * Returns: frames of a whole window
 *
 * Since: 0.1
 */
TERN_API guint tern_grouper_window_frames (const TernGrouper *grouper);

/**
 * tern_grouper_finish:
 * @grouper: a grouper
 *
 * A stretch of the stream ends, and the group that is open.
 *
 * Since: 0.1
 */
TERN_API void tern_grouper_finish (TernGrouper *grouper);

G_END_DECLS
