/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sessions: frames or tokens in, results out. Installed. */
#pragma once

#include <glib.h>
#include "tern/action.h"
#include "tern/budget.h"
#include "tern/compressor.h"
#include "tern/drafter.h"
#include "tern/encoder.h"
#include "tern/error.h"
#include "tern/frames.h"
#include "tern/gate.h"
#include "tern/reuse.h"
#include "tern/image.h"
#include "tern/model.h"
#include "tern/question.h"
#include "tern/ranges.h"
#include "tern/result.h"
#include "tern/sampling.h"

G_BEGIN_DECLS

/* ---- Parameters ---- */

/**
 * TernPruneGate:
 * @TERN_GATE_PAPER: keep the selection while attention is similar, re-select when it changes
 * @TERN_GATE_REF: as the authors' code: prune only on steps whose attention changed
 * @TERN_GATE_ALWAYS: re-select at every step
 *
 * When the visual keys to look at are selected again (DyCoke, arXiv:2411.15024, stage 2).
 *
 * Since: 0.1
 */
typedef enum {
  TERN_GATE_PAPER,
  TERN_GATE_REF,
  TERN_GATE_ALWAYS,
} TernPruneGate;

/**
 * TernCacheType:
 * @TERN_CACHE_AUTO: F32 for up to 1024 tokens, F16 for more
 * @TERN_CACHE_F32: 32 bit floats
 * @TERN_CACHE_F16: 16 bit floats
 * @TERN_CACHE_INT8: a quarter of F32's memory, at a small cost in quality: docs/numbers.md
 * @TERN_CACHE_INT8_ROTATED: the same after a Walsh-Hadamard transform of each head, for heads of an even number of values
 * @TERN_CACHE_INT4: an eighth
 * @TERN_CACHE_INT4_ROTATED: the same after that transform, which costs less in quality than without it
 * @TERN_CACHE_INT3: rounded to three bits, as BitNet a4.8 does; they lie in the memory of INT4
 * @TERN_CACHE_INT3_ROTATED: the same after that transform
 *
 * How a session keeps the keys and values of what it has read.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_CACHE_AUTO,
  TERN_CACHE_F32,
  TERN_CACHE_F16,
  TERN_CACHE_INT8,
  TERN_CACHE_INT8_ROTATED,
  TERN_CACHE_INT4,
  TERN_CACHE_INT4_ROTATED,
  TERN_CACHE_INT3,
  TERN_CACHE_INT3_ROTATED,
} TernCacheType;

/**
 * TernMemory:
 * @TERN_MEMORY_WINDOW: a window is read by itself, and forgotten with its answer
 * @TERN_MEMORY_STREAM: all frames are read one after the other, once. What is new is remembered whole, of what is older what
 *   matters, and never more than TernSessionParams.memory_tokens, so that memory, time and positions are bounded however long
 *   the stream is. Answers about windows see their own frames, as they were read in the course of the stream; requests see
 *   all that is remembered, or what is of a time (TernRequest.from). Answers themselves are not remembered. Frames with nothing
 *   new (TernTokens.picture) take no room. A flush forgets all, and so do frames that jump back. With {n_frames} prompts have
 *   those of a whole window
 *
 * What a session remembers of frames whose window is over.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_MEMORY_WINDOW,
  TERN_MEMORY_STREAM,
} TernMemory;

/**
 * TernSession:
 *
 * One timeline of frames and what is asked about it. Every function may be called from any thread; pushes, with
 * tern_session_see() and tern_session_finish(), come from one thread at a time.
 *
 * Since: 0.1
 */
typedef struct _TernSession TernSession;

/**
 * TernResultFunc:
 * @data: (closure): TernSessionParams.func_data
 * @result: (transfer none): the result; take a reference to keep it
 *
 * Takes a result. Called on the engine thread without locks held; must not block, nor wait for a lock that a thread in
 * tern_session_flush() or tern_session_free() may hold. Everything may be called on its session from within, free
 * included.
 *
 * Since: 0.1
 */
typedef void (*TernResultFunc) (void *data, TernResult *result);

/**
 * TernPartial:
 * @TERN_PARTIAL_NONE: an answer is one result
 * @TERN_PARTIAL_WORDS: before it come results of kind partial, whenever whole words were added
 *
 * Whether answers are told while they are said.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_PARTIAL_NONE,
  TERN_PARTIAL_WORDS,
} TernPartial;

/**
 * TernSessionParams:
 * @rate_n: frames a second that are looked at, numerator; 0 = every frame, but at most @max_frames (or 32) a window.
 *   For pushed tokens: the rate at which they come, if known
 * @rate_d: frames a second that are looked at, denominator; not 0
 * @window: length of a window in ns, TERN_WINDOW_MIN..TERN_WINDOW_MAX; rounded up to whole groups of frames. Windows
 *   lie on sampling ticks: [start, start + window), the first one starting at the tick of the first frame, others whole
 *   hops behind it, also where there are fewer frames than ticks. The last one ends with the video; after a jump back, and
 *   when frames change their size, a new one begins, and after a pause one begins with the frame behind it
 * @hop: ns from one window to the next, 0 (a window's length)..TERN_HOP_MAX; rounded up likewise, which
 *   tern_session_windows() tells
 * @max_frames: of a window, 0 (as many as the window holds)..TERN_WINDOW_FRAMES_MAX. More are thinned out evenly:
 *   frames are looked at less often
 * @prompt: (nullable): instruction, UTF-8; %NULL = the model's default, "" = none
 * @prompt_id: (nullable): the caller's name for it, UTF-8; comes back in results; %NULL = ""
 * @questions: (nullable) (array length=n_questions): asked about every window instead of @prompt; each gives one
 *   result, in their order
 * @n_questions: 0 (the one of @prompt)..TERN_QUESTIONS_MAX
 * @system_prompt: (nullable): before everything else, UTF-8; %NULL = none
 * @sampling: how text is chosen
 * @fit: how pictures are made to fit
 * @gate: which frames are not encoded because nothing is new in them, and what is: they have the tokens of the one before. A
 *   window all of whose frames show one picture that was answered about already gives its answers again, with finish_reason
 *   `unchanged`. Not for tokens, whose encoder says it (TernTokens.picture). With @action, %TERN_GATE_MODE_AUTO is
 *   %TERN_GATE_MODE_OFF: a gripper may be smaller than what counts
 * @reuse: what of a frame that is encoded is computed again. Not for stills and tokens
 * @budget: (nullable): the account of the stream, which the session holds a reference to: it chooses within what the other
 *   parameters allow which frames are encoded, how many tokens are kept, and which windows are answered; the others are told the
 *   answer before again, with finish_reason `budget`. Of pushed tokens the last alone. Stills and requests are always
 *   answered, and so are questions that have the time in them. Not with @action. %NULL: none
 * @compress: temporal merging; for pushed tokens that are already compressed use %TERN_METHOD_NONE
 * @kv_prune: share of visual keys that decode does not attend to (DyCoke stage 2), 0..TERN_SHARE_MAX; windows only, a
 *   still is always looked at whole
 * @kv_gate: when the keys to attend to are selected again
 * @kv_layer: first block that is pruned (the paper's L); scores come from the last attention block before it. Any;
 *   beyond the model's blocks nothing is pruned
 * @kv_type: how keys and values are kept
 * @memory: what is remembered of frames whose window is over; %TERN_MEMORY_STREAM needs @kv_prune 0, a @kv_type of
 *   %TERN_CACHE_AUTO or %TERN_CACHE_F32, no @action, and a model whose prompts have pictures before the question
 * @memory_tokens: what is remembered of a stream, in tokens, TERN_MEMORY_TOKENS_MIN..TERN_MEMORY_TOKENS_MAX; 0: 4096, or
 *   what the context has room for
 * @live: %TRUE: when the engine is behind, older windows are dropped for the newest one; %FALSE: pushes return
 *   %TERN_ERROR_BUSY
 * @tokens_only: visual tokens will be pushed, no frames: with encoders that make a picture of two frames it says that
 *   what is pushed are pictures
 * @on_demand: windows are not answered: there are requests alone (tern_session_ask()). With encoders that make a picture of two
 *   frames, one that waits for its second frame when something is asked is a picture of one, as of a still, and the next one is not
 *   measured against it
 * @partial: whether answers are told while they are said; with beams there is nothing to tell before the end
 * @action: (nullable): what questions with TernQuestion.action are answered by; the session holds a reference
 * @state_max_age: ns that a robot's state may be older than the frame that is decided about; 0: any. Without one the
 *   decision is a result of kind error
 * @metrics: fill TernResult.metrics
 * @think: let the model think before it answers in words of its own, where its chat template has a switch for it. What it
 *   thinks is no part of results, but counts among the tokens to say
 * @draft_model: (nullable): GGUF of a small language model that guesses answers, which the model then reads several tokens
 *   of at once; %NULL or "" = none. Answers are the same, drawn ones too. It sees the words of prompts, no pictures, and is
 *   asked as long as that saves time; not with beams, labels and actions. Its file is read by tern_session_new()
 * @draft_vocabulary: what its vocabulary has to do with the model's
 * @source: (nullable): comes back in results; %NULL = ""
 * @func: (nullable): results are called back instead of queued for tern_session_poll() and tern_session_next()
 * @func_data: (nullable): handed to @func
 * @reserved: 0
 *
 * What to look at, what to ask and how. tern_session_params_init() or TERN_SESSION_PARAMS_INIT fills in the defaults.
 *
 * Since: 0.1
 */
typedef struct {
  guint rate_n;
  guint rate_d;
  guint64 window;
  guint64 hop;
  guint max_frames;
  const char *prompt;
  const char *prompt_id;
  const TernQuestion *questions;
  guint n_questions;
  const char *system_prompt;
  TernSampling sampling;
  TernFit fit;
  TernGateParams gate;
  TernReuseParams reuse;
  TernBudget *budget;
  TernCompressorParams compress;
  double kv_prune;
  TernPruneGate kv_gate;
  guint kv_layer;
  TernCacheType kv_type;
  TernMemory memory;
  guint memory_tokens;
  gboolean live;
  gboolean tokens_only;
  gboolean on_demand;
  TernPartial partial;
  TernActionModel *action;
  guint64 state_max_age;
  gboolean metrics;
  gboolean think;
  const char *draft_model;
  TernDraftVocabulary draft_vocabulary;
  const char *source;
  TernResultFunc func;
  void *func_data;
  gpointer reserved[5];
} TernSessionParams;

/**
 * tern_session_params_init:
 * @params: (out caller-allocates): what to fill in
 *
 * Fills in the defaults: two frames a second, windows of four seconds, the model's own question, 32 tokens at most. Any
 * thread.
 *
 * Since: 0.1
 */
TERN_API void tern_session_params_init (TernSessionParams *params);

/**
 * TERN_SESSION_PARAMS_INIT: (skip)
 *
 * The same for a variable of C.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_SESSION_PARAMS_INIT { .rate_n = 2, .rate_d = 1, .window = 4 * TERN_SECOND, \
    .sampling = TERN_SAMPLING_INIT, .fit = TERN_FIT_TRAINED, .gate = TERN_GATE_PARAMS_INIT, \
    .reuse = TERN_REUSE_PARAMS_INIT, \
    .compress = TERN_COMPRESSOR_PARAMS_INIT, .kv_prune = 0, .kv_layer = 3 }
#endif

/* ---- Life ---- */

/**
 * tern_session_new:
 * @model: opened with %TERN_MODEL_TEXT, and for frames with %TERN_MODEL_VISION; the session holds a reference
 * @params: what to look at, what to ask and how; copied
 * @error: return location of an error, or %NULL
 *
 * Begins a timeline. Takes all memory that windows of the planned size need.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found; %TERN_ERROR_NO_SPACE: memory, or a
 *   window, its prompt and its answer do not fit into the context.
 *
 * Returns: (transfer full) (nullable): the session; tern_session_free() frees it. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernSession *tern_session_new (TernModel *model, const TernSessionParams *params, GError **error);

/**
 * tern_session_free:
 * @session: (transfer full) (nullable): a session, or %NULL
 *
 * Cancels what runs, wakes who waits for results or room, waits for the engine to let go (under 100 ms), frees. No
 * other call on this session may begin once it has.
 *
 * Since: 0.1
 */
TERN_API void tern_session_free (TernSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernSession, tern_session_free)

/**
 * tern_session_windows:
 * @session: a session
 * @window: (out): how long a window is, in ns
 * @hop: (out): from the start of one to that of the next, in ns
 *
 * What became of TernSessionParams.window and hop by rounding them up to whole groups of frames. Stays. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_session_windows (TernSession *session, guint64 *window, guint64 *hop);

/* ---- In ---- */

/**
 * tern_session_push_frame:
 * @session: a session
 * @image: the next frame of the stream; copied when it is one to look at, else nothing happens
 * @pts: its time stamp, in ns of stream time
 * @duration: how long it stands, in ns; %TERN_TIME_NONE: not known
 * @error: return location of an error, or %NULL
 *
 * Takes a frame. Never waits. A session takes frames or tokens, not both.
 *
 * Errors: %TERN_ERROR_BUSY when the queue is full: tern_session_wait(), then push again. %TERN_ERROR_INVALID without
 *   a PTS, for a picture that cannot be, and for a session of tokens. %TERN_ERROR_NO_SPACE.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_push_frame (TernSession *session, const TernImage *image, guint64 pts, guint64 duration,
    GError **error);

/**
 * tern_session_push_tokens:
 * @session: a session
 * @tokens: a sampled frame's tokens; copied
 * @error: return location of an error, or %NULL
 *
 * Takes the tokens of a frame. Never waits.
 *
 * Errors: as tern_session_push_frame(); %TERN_ERROR_MISMATCH for tokens of another width, %TERN_ERROR_INVALID for numbers that
 *   are not finite, places that do not ascend in the grid, and a part of a grid without places.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_push_tokens (TernSession *session, const TernTokens *tokens, GError **error);

/**
 * tern_session_preview_tokens:
 * @session: a session
 * @tokens: a sampled frame's tokens, all of them; copied
 * @error: return location of an error, or %NULL
 *
 * The tokens of a frame that will come again, by tern_session_push_tokens(), with its group: who chooses what stays of a
 * group holds frames until it is whole. Until then requests are about them as well; windows never see them, and do not
 * change by them; nor does an action model. In the order of the pushes. There are the newest TERN_GROUP_FRAMES of
 * them at most: one stands in the place of those that have its number or a later one. It is dropped when tokens with
 * its number or a later one are pushed, and where a stretch ends: by tern_session_finish(), tern_session_flush(),
 * tern_session_cancel() and frames that jump back. Never waits; there is room whatever waits.
 *
 * Errors: as tern_session_push_tokens(), but for %TERN_ERROR_BUSY; nothing changes then.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_preview_tokens (TernSession *session, const TernTokens *tokens, GError **error);

/**
 * tern_session_see:
 * @session: a session
 * @pts: time stamp of a frame that is not looked at, in ns of stream time; one without says nothing
 * @duration: how long it stands, in ns; %TERN_TIME_NONE: as long as the time since the frame before it; 0: there will
 *   be a frame at @pts, and the window before it is whole
 *
 * A frame of the stream that is not looked at, in the order of the pushes: says how far the stream has come, and so
 * where its last window ends. For who samples outside of the session; tern_session_push_frame() does it by itself. Of
 * the frame pushed last it says how long that stands. Never waits or fails.
 *
 * Since: 0.1
 */
TERN_API void tern_session_see (TernSession *session, guint64 pts, guint64 duration);

/**
 * tern_session_push_still:
 * @session: a session
 * @image: a picture of its own; copied
 * @error: return location of an error, or %NULL
 *
 * Asks about a still: one result a question, whose window is empty. Tiled where the model does it. Never waits.
 *
 * Errors: as tern_session_push_frame().
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_push_still (TernSession *session, const TernImage *image, GError **error);

/**
 * tern_session_finish:
 * @session: a session
 *
 * End of a stretch (EOS, discontinuity): the partial window is answered, then the session is ready for more. Does not
 * wait.
 *
 * Since: 0.1
 */
TERN_API void tern_session_finish (TernSession *session);

/* ---- Changes ---- */

/**
 * tern_session_flush:
 * @session: a session
 *
 * Drops queued input and ends running work within a token; its window gives no result. Returns when the engine has let
 * go (under 100 ms): no result of before comes after it. Results that wait to be polled are dropped too.
 *
 * Since: 0.1
 */
TERN_API void tern_session_flush (TernSession *session);

/**
 * tern_session_cancel:
 * @session: a session
 *
 * Drops queued input and ends running work within a token; its window gives a result with what was said and
 * finish_reason cancelled. Does not wait; results that wait to be polled stay.
 *
 * Since: 0.1
 */
TERN_API void tern_session_cancel (TernSession *session);

/**
 * tern_session_set_prompt:
 * @session: a session
 * @prompt: (nullable): instruction, UTF-8; %NULL = the model's default, "" = none
 * @prompt_id: (nullable): the caller's name for it, UTF-8; %NULL = ""
 * @error: return location of an error, or %NULL
 *
 * What is asked about windows that end after this call, instead of what was asked until then. The caller waits for the
 * prompt to be tokenised; pushes and the engine do not.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE when a window would not fit with it; then nothing changes.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_set_prompt (TernSession *session, const char *prompt, const char *prompt_id,
    GError **error);

/**
 * tern_session_set_questions:
 * @session: a session
 * @questions: (array length=n): what to ask; copied
 * @n: questions, 1..TERN_QUESTIONS_MAX
 * @error: return location of an error, or %NULL
 *
 * As tern_session_set_prompt() with several questions: each gives a result for every window, in their order.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE when a window would not fit with one of them; then nothing changes.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_set_questions (TernSession *session, const TernQuestion *questions, guint n,
    GError **error);

/**
 * tern_session_set_params:
 * @session: a session
 * @params: everything; copied
 * @error: return location of an error, or %NULL
 *
 * Changes sampling, questions, compression, pruning, partial and metrics from the next window on. What the session was
 * made for stays: rate, window, hop, max_frames, live, func, fit, gate, reuse, budget, kv_type, memory, memory_tokens, action,
 * draft_model, draft_vocabulary and source. With %TERN_MEMORY_STREAM the system prompt has to stay: it is what is remembered
 * begins with.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE when a window would not fit; then nothing changes.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_set_params (TernSession *session, const TernSessionParams *params, GError **error);

/**
 * tern_session_ask:
 * @session: a session
 * @request: what is asked; copied
 * @id: (out) (optional): counts the requests of this session, from 1; the result has it as `ask_id`
 * @error: return location of an error, or %NULL
 *
 * Asks once, about what has been seen so far (with %TERN_MEMORY_STREAM: about all that is remembered, or what is of a
 * time; when that is nothing, the result has finish_reason `forgotten`), tern_session_preview_tokens() included, beside
 * whatever runs: windows neither wait for it nor change by it. Its frames are read already as far as they were looked at, so
 * the answer costs its own words. One result, whatever becomes of it: of kind error when its time is over first, or when a
 * stretch ends without a frame. Those of one session's requests come in the order of the calls, but for these. After a flush
 * those that wait are about what comes then; a cancel ends them as cancelled. The caller waits for the prompt to be tokenised.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found; %TERN_ERROR_NO_SPACE when it would not
 *   fit; %TERN_ERROR_BUSY when TERN_REQUESTS_MAX wait. Then there is no result.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_ask (TernSession *session, const TernRequest *request, guint64 *id, GError **error);

/**
 * tern_session_push_state:
 * @session: a session with an action model
 * @time: when it was so, in ns of stream time
 * @values: (array length=n): the robot's state; copied
 * @n: numbers, TernActionSpace.state_dims
 * @error: return location of an error, or %NULL
 *
 * What the robot's joints say. A decision takes the newest one that is not later than the newest frame it is about, of those
 * there are when it is made: the newest 4096 are kept (fewer of more than 256 numbers). One at the time of the one before
 * takes its place. After a flush there are none; after a cancel or tern_session_finish(), and when a stretch ended because
 * frames jumped back, times may begin anew. Never waits.
 *
 * Errors: %TERN_ERROR_INVALID without an action model, for a number that is not finite, or one less than the time
 *   before it; %TERN_ERROR_MISMATCH for other numbers of numbers.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_push_state (TernSession *session, guint64 time, const float *values, guint n,
    GError **error);

/* ---- Out ---- */

/**
 * TernNext:
 * @TERN_NEXT_RESULT: there is a result
 * @TERN_NEXT_PENDING: none within the time given
 * @TERN_NEXT_END: none, and nothing is queued or running; or a flush came while it was waited for
 *
 * What tern_session_next() found.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_NEXT_RESULT,
  TERN_NEXT_PENDING,
  TERN_NEXT_END,
} TernNext;

/**
 * tern_session_poll:
 * @session: a session
 *
 * The oldest result that waits, if there is one. Does not wait.
 *
 * Returns: (transfer full) (nullable): the result; tern_result_unref() frees it. %NULL: none yet
 *
 * Since: 0.1
 */
TERN_API TernResult *tern_session_poll (TernSession *session);

/**
 * tern_session_next:
 * @session: a session
 * @timeout_us: how long to wait, in microseconds; -1: for ever
 * @result: (out) (transfer full) (nullable): the oldest result; tern_result_unref() frees it. %NULL when there is none
 *
 * Waits for a result, or the end of all queued work. Flush, cancel and free are such an end, from whatever thread: who
 * waits is woken, with what there is, and need not poll. A flush ends the wait even though requests go on waiting for what
 * comes then; what a cancel ended is told first.
 *
 * Returns: what there is
 *
 * Since: 0.1
 */
TERN_API TernNext tern_session_next (TernSession *session, gint64 timeout_us, TernResult **result);

/**
 * tern_session_wait:
 * @session: a session
 * @timeout_us: how long to wait, in microseconds; -1: for ever
 *
 * Waits for room to push, or the end of all queued work, as tern_session_next() does.
 *
 * Returns: %FALSE when the time is over
 *
 * Since: 0.1
 */
TERN_API gboolean tern_session_wait (TernSession *session, gint64 timeout_us);

/**
 * TernSessionStats:
 * @frames_in: frames and stills pushed
 * @frames_sampled: of these, frames and stills that are looked at
 * @frames_unchanged: of these, frames that were not encoded, for nothing was new in them
 * @frames_deferred: of these, frames that were not encoded for the sake of a budget, though something was new in them
 * @windows_done: windows and stills answered
 * @windows_unchanged: of these, windows with nothing new, which were told what the one before was
 * @windows_deferred: of these, windows that were told what the one before was for the sake of a budget
 * @windows_dropped: windows of a live session that were dropped
 * @queued_windows: windows and stills that wait or are being answered
 * @memory_tokens: tokens that are remembered of a stream (%TERN_MEMORY_STREAM)
 * @memory_turns: how often some of them were forgotten
 * @reuse: what was computed of frames
 * @guesses: tokens of answers that are over which were guessed, by the answer before or by the draft model, and read
 * @guesses_right: of these, those that were said: each a pass through the model that was saved
 * @drafts: of @guesses, those of the draft model
 * @drafts_right: of these, those that were said
 * @reserved: 0
 *
 * What a session has done since it was made.
 *
 * Since: 0.1
 */
typedef struct {
  guint64 frames_in;
  guint64 frames_sampled;
  guint64 frames_unchanged;
  guint64 frames_deferred;
  guint64 windows_done;
  guint64 windows_unchanged;
  guint64 windows_deferred;
  guint64 windows_dropped;
  guint queued_windows;
  TernReuseStats reuse;
  guint64 memory_tokens;
  guint64 memory_turns;
  guint64 guesses;
  guint64 guesses_right;
  guint64 drafts;
  guint64 drafts_right;
  guint64 reserved[2];
} TernSessionStats;

/**
 * tern_session_stats:
 * @session: a session
 * @stats: (out caller-allocates): what it has done
 *
 * Counts since it was made. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_session_stats (TernSession *session, TernSessionStats *stats);

G_END_DECLS
