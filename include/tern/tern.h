/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libtern: video in, captions out. The public interface; installed.
 *
 * A TernModel holds weights (immutable, shared, one copy per process). A TernSession is one timeline of frames. All work
 * of a model's sessions and encoders is done by the model's engine thread and its pool, in turn; pushing never does.
 *
 *   tern_model_params_init (&model_params);
 *   model = tern_model_open (&model_params, &error);
 *   tern_session_params_init (&params);
 *   session = tern_session_new (model, &params, &error);
 *   for each frame:
 *     while (!tern_session_push_frame (session, &image, pts, duration, &error)
 *         && g_error_matches (error, TERN_ERROR, TERN_ERROR_BUSY)) {
 *       g_clear_error (&error);
 *       tern_session_wait (session, -1);          // until there is room
 *     }
 *     while ((result = tern_session_poll (session))) { use (result); tern_result_unref (result); }
 *   tern_session_finish (session);                // the last, partial window is answered too
 *   while ((status = tern_session_next (session, -1, &result)) == TERN_NEXT_RESULT) { ... }
 *
 * Thread-safety: every function may be called from any thread; pushes of one session come from one thread at a time.
 * Models, and what a function says is its caller's to free, live until their last reference goes.
 * Times are nanoseconds of stream time; TERN_TIME_NONE where there is none. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/image.h"
#include "tern/ranges.h"
#include "tern/sampling.h"

G_BEGIN_DECLS

#define TERN_TIME_NONE G_MAXUINT64
#define TERN_SECOND G_GUINT64_CONSTANT (1000000000)
#define TERN_GROUP_FRAMES 4     /* frames that temporal merging works on together */

/* ---- Models ------------------------------------------------------------------------------------------------------ */

typedef struct _TernModel TernModel;

typedef enum {
  TERN_MODEL_TEXT = 1,          /* the language model */
  TERN_MODEL_VISION = 2,        /* the vision encoder and projector */
  TERN_MODEL_FULL = 3,
} TernModelParts;

/**
 * TernModelParams:
 * @model_path: GGUF of the language model, or a folder with one; %NULL looks at TERN_MODEL_PATH and then for the
 *   bundled model: of the build folder or the installation that this library is in, wherever that was moved to, then in
 *   the data folder that it was built for
 * @mmproj_path: GGUF of the vision encoder; %NULL takes the one mmproj*.gguf beside the model as it is named, else beside
 *   the file that this name links to, and fails with the list of places or candidates if there is not exactly one
 * @parts: what must be usable. Parts that are only named here are loaded; the encoder id is known in every case when an
 *   mmproj file is found
 * @threads: of the model's pool, the engine thread counted, at most TERN_THREADS_MAX; 0 = the cores this process may use
 * @context: tokens a session holds at most; 0 = what its window needs, at most the model's own
 * @float_activations: compute without activation quantisation (debugging)
 * @yielding: the model's threads run at a lower priority (nice, 5 above the process's), so that threads of this process
 *   that must be on time, as a pipeline's streaming threads, go first when all cores are busy
 */
typedef struct {
  const char *model_path;
  const char *mmproj_path;
  TernModelParts parts;
  guint threads;
  guint context;
  gboolean float_activations;
  gboolean yielding;
  gpointer reserved[8];
} TernModelParams;

/* Fills in the defaults. The macro does the same for a variable of C. */
TERN_API void tern_model_params_init (TernModelParams *params);
#ifndef __cplusplus
#define TERN_MODEL_PARAMS_INIT { .parts = TERN_MODEL_FULL }
#endif

/* Opens, or returns a further reference on the same model when this process holds one with equal paths and options.
 * Errors: NOT_FOUND, READ, FORMAT, UNSUPPORTED, MISMATCH (widths of text file and mmproj differ), NO_SPACE. Both
 * parts at once: UNSUPPORTED when the vocabulary lacks the control tokens of the encoder's family. */
TERN_API TernModel *tern_model_open (const TernModelParams *params, GError **error);
TERN_API TernModel *tern_model_ref (TernModel *model);
TERN_API void tern_model_unref (TernModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernModel, tern_model_unref)

/* Borrowed strings, valid as long as the model. */
TERN_API const char *tern_model_name (const TernModel *model);          /* general.name of the text file */
TERN_API const char *tern_model_path (const TernModel *model);
TERN_API const char *tern_model_mmproj_path (const TernModel *model);   /* NULL: none */
TERN_API const char *tern_model_instruction_set (const TernModel *model);       /* "avx512vnni" */
/* 32 hex digits over header, tensor directory, sizes and sampled pages of the mmproj file and the preprocessing; NULL
 * without one. Tokens go only to a generator with the same id. */
TERN_API const char *tern_model_encoder_id (const TernModel *model);
TERN_API guint tern_model_embedding_dim (const TernModel *model);       /* floats of a visual token */
TERN_API guint tern_model_frame_tokens (const TernModel *model);        /* visual tokens of one video frame, at most */
/* What a session asks when it is given no prompt: the text file's key `tern.default_prompt`, else a plain request. */
TERN_API const char *tern_model_default_prompt (const TernModel *model);
TERN_API guint tern_model_context (const TernModel *model);             /* tokens the model was made for */

/* ---- Steps: sampling, encoding, compressing ---------------------------------------------------------------------- */

/* Which frames of a stream are looked at: the first one, then the first at or after every multiple of 1/rate. By PTS, so
 * that variable frame rates work. A plain value, no allocation. */
typedef struct {
  guint rate_n, rate_d;         /* frames a second; 0/1 = every frame */
  guint64 origin;               /* PTS of the first frame, TERN_TIME_NONE before it */
  guint64 next;                 /* sampling tick that is due */
  guint64 count;                /* frames taken; the number of the last one is count - 1 */
} TernFrameSampler;

typedef enum {
  TERN_STEP_ON,                 /* the frames belong together */
  TERN_STEP_AHEAD,              /* a pause lies between them: they are not merged, though they may be of one window */
  TERN_STEP_BACK,               /* time begins anew: what is open of a window or group ends before the second one */
} TernFrameStep;

/* Whether a stretch of frames ends between two that are looked at one after the other, @from and @to being the sampling
 * ticks that they stand for: BACK by more than a tick, AHEAD by more than a group's ticks and two seconds. Whoever has to
 * know asks this, so that all agree: the sampler, windows, and the elements that number and merge frames. */
TERN_API TernFrameStep tern_frame_step (guint64 from, guint64 to, guint rate_n, guint rate_d);

TERN_API void tern_frame_sampler_init (TernFrameSampler *sampler, guint rate_n, guint rate_d);
/* TRUE: take this frame. Where a stretch ends (tern_frame_step()) the grid begins anew, with a new frame group: count goes
 * on at the next multiple of TERN_GROUP_FRAMES. */
TERN_API gboolean tern_frame_sampler_take (TernFrameSampler *sampler, guint64 pts);
/* Of a frame that was just taken: ns by which @pts is after the tick that it stands for. 0 when every frame is taken. */
TERN_API guint64 tern_frame_sampler_late (const TernFrameSampler *sampler, guint64 pts);

/* Visual tokens of one frame. Borrowed. */
typedef struct {
  guint64 pts, duration;        /* of the frame; duration TERN_TIME_NONE: not known */
  guint64 late;                 /* ns by which pts is after the sampling tick that the frame stands for; 0 unknown */
  guint64 number;               /* of the sampled frame in its stream; frame groups are number / TERN_GROUP_FRAMES */
  guint grid_w, grid_h;         /* before compression */
  guint dim;
  guint n_tokens;               /* rows present */
  const float *tokens;          /* [n_tokens, dim] */
  const gint32 *keep;           /* [n_tokens] ascending positions in the grid, or NULL = all */
} TernTokens;

typedef enum {
  TERN_FIT_CROP,                /* aspect kept, centre cut out: how the bundled model was trained */
  TERN_FIT_LETTERBOX,
  TERN_FIT_STRETCH,
  TERN_FIT_TRAINED,             /* what the model's family was trained with: crop for LFM2-VL, stretch for SmolVLM */
} TernFit;

typedef struct _TernEncoder TernEncoder;

/* @model needs TERN_MODEL_VISION. */
TERN_API TernEncoder *tern_encoder_new (TernModel *model, TernFit fit, GError **error);
TERN_API void tern_encoder_free (TernEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernEncoder, tern_encoder_free)
/* One frame, on the engine thread; the caller waits for it (not for a streaming thread). @tokens has room for
 * tern_model_frame_tokens() x tern_model_embedding_dim() floats. @out->tokens = @tokens. CANCELLED after
 * tern_encoder_cancel(). Allocates nothing once a frame of this size was seen. */
TERN_API gboolean tern_encoder_run (TernEncoder *encoder, const TernImage *image, float *tokens, TernTokens *out,
    GError **error);
/* Ends a run within 100 ms and refuses further ones until @cancel is FALSE again. */
TERN_API void tern_encoder_cancel (TernEncoder *encoder, gboolean cancel);

typedef enum {
  TERN_METHOD_NONE,
  TERN_METHOD_DYCOKE,           /* temporal token merging, DyCoke (arXiv:2411.15024) stage 1, paper semantics */
  TERN_METHOD_RANDOM,           /* as many tokens as DyCoke keeps, at random: for comparison */
} TernMethod;

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

typedef struct {
  TernMethod method;
  double merge_ratio;           /* share dropped in frames 2-4 of a group, 0..TERN_SHARE_MAX */
  guint max_tokens;             /* hard budget for a group, 0 = none; what is over it is dropped evenly */
  guint64 seed;
  gpointer reserved[4];
} TernCompressorParams;

TERN_API void tern_compressor_params_init (TernCompressorParams *params);
#ifndef __cplusplus
#define TERN_COMPRESSOR_PARAMS_INIT { .method = TERN_METHOD_DYCOKE, .merge_ratio = 0.7 }
#endif

/**
 * tern_compressor_bound:
 * @params: how much is kept
 * @n_frames: frames of the group, 0..TERN_GROUP_FRAMES
 * @n_tokens: tokens of each
 *
 * What memory and contexts are planned by. Any thread.
 *
 * Returns: the most tokens that are kept of such a group, whatever is in them
 *
 * Since: 0.1
 */
TERN_API guint64 tern_compressor_bound (const TernCompressorParams *params, guint n_frames, guint n_tokens);

typedef struct {
  guint64 frames, groups;
  guint64 tokens_in, tokens_kept;
  double milliseconds;          /* spent compressing */
} TernCompressorStats;

typedef struct _TernCompressor TernCompressor;

/* For frames of at most @max_tokens tokens of @dim floats. Not thread-safe but for stats. */
TERN_API TernCompressor *tern_compressor_new (const TernCompressorParams *params, guint max_tokens, guint dim,
    GError **error);
TERN_API void tern_compressor_free (TernCompressor *compressor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernCompressor, tern_compressor_free)
/* Changes parameters from the next group on. */
TERN_API gboolean tern_compressor_set_params (TernCompressor *compressor, const TernCompressorParams *params,
    GError **error);
/* Takes (copies) one whole, uncompressed frame. When its group is complete, tern_compressor_pop() gives the frames of the
 * group; take them all before the next push. A frame of another grid, or whose number starts another group, completes
 * the group before it: then push returns FALSE with BUSY until the pending ones were popped. */
TERN_API gboolean tern_compressor_push (TernCompressor *compressor, const TernTokens *frame, GError **error);
TERN_API void tern_compressor_drain (TernCompressor *compressor);       /* the partial group becomes ready */
TERN_API void tern_compressor_reset (TernCompressor *compressor);       /* forget everything (flush) */
TERN_API gboolean tern_compressor_pop (TernCompressor *compressor, TernTokens *frame);  /* borrowed until the next call */
TERN_API void tern_compressor_stats (TernCompressor *compressor, TernCompressorStats *stats);

/* ---- Results ----------------------------------------------------------------------------------------------------- */

/* Spelled in JSON and structures as tern_metrics_fields() says. */
typedef struct {
  double encode_ms, compress_ms, prefill_ms, decode_ms;
  double total_ms;              /* from the window's last frame to the result */
  double prefill_tokens_per_second, decode_tokens_per_second;
  double kv_kept;               /* share of visual keys that decode attended to, over steps and attention layers, 0..1 */
  double ttft_ms;               /* from the start of prefill to the first token */
  double tpot_ms;               /* per further token */
  guint kv_pruned_layers;       /* attention layers that kv_prune works in; 0: nothing is pruned in this model */
} TernMetrics;

/* The result table of docs/metadata.md. Strings are owned by the result and never NULL. */
typedef struct {
  guint version;                /* 1 */
  const char *kind;             /* caption, answer, action, partial, error */
  guint64 id;
  const char *source;
  const char *result;           /* the text */
  guint64 timestamp;            /* ns, start of the window */
  double timestamp_seconds;
  double start, end;            /* s, the window */
  const char *prompt_id, *prompt;
  const char *model;
  const char *finish_reason;    /* stop, length, cancelled, error */
  double confidence;            /* mean probability of the tokens said; -1 unknown */
  guint frames, visual_in, visual_kept, prompt_tokens, generated_tokens;
  gboolean has_metrics;
  TernMetrics metrics;
  guint64 duration;             /* ns, of the window; not a field of the table: end - start says it there */
} TernResult;

/* Atomic reference counts. */
TERN_API TernResult *tern_result_ref (TernResult *result);
TERN_API void tern_result_unref (TernResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernResult, tern_result_unref)

typedef enum {
  TERN_FIELD_UINT,              /* guint */
  TERN_FIELD_UINT64,            /* guint64 */
  TERN_FIELD_DOUBLE,            /* double */
  TERN_FIELD_STRING,            /* const char * */
} TernFieldType;

/* One row of the result table: everything that spells a result (JSON, GstStructure, documentation) walks it. */
typedef struct {
  const char *name;
  TernFieldType type;
  const char *unit;             /* "ns", "s", "tokens", "" */
  const char *meaning;
  gsize offset;                 /* of the member, in TernResult, or in TernMetrics for metric fields */
} TernField;

TERN_API const TernField *tern_result_fields (guint *n);
TERN_API const TernField *tern_metrics_fields (guint *n);
/* One line, no final newline. Free with g_free. */
TERN_API char *tern_result_to_json (const TernResult *result);

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

typedef enum {
  TERN_GATE_PAPER,              /* keep the selection while attention is similar, re-select when it changes */
  TERN_GATE_REF,                /* as the authors' code: prune only on steps whose attention changed */
  TERN_GATE_ALWAYS,             /* re-select at every step */
} TernPruneGate;

/* How a session keeps the keys and values of what it has read. */
typedef enum {
  TERN_CACHE_AUTO,              /* F32 for up to 1024 tokens, F16 for more */
  TERN_CACHE_F32,
  TERN_CACHE_F16,
  TERN_CACHE_INT8,              /* a quarter of F32's memory, at a small cost in quality: docs/numbers.md */
} TernCacheType;

typedef struct _TernSession TernSession;

/* @result is borrowed. Called on the engine thread without locks held; must not block, nor wait for a lock that a thread
 * in tern_session_flush() or tern_session_free() may hold. Everything may be called on its session from within, free
 * included. */
typedef void (*TernResultFunc) (void *data, TernResult *result);

/**
 * TernQuestion:
 * @prompt: instruction; %NULL = the model's default, "" = none
 * @prompt_id: comes back in results; %NULL = ""
 * @reserved: 0
 *
 * One of several questions about the same window.
 *
 * Since: 0.1
 */
typedef struct {
  const char *prompt;
  const char *prompt_id;
  gpointer reserved[4];
} TernQuestion;

/**
 * TernSessionParams:
 * @rate_n, @rate_d: frames a second that are looked at; 0/1 = every frame, but at most max_frames (or 32) a window. For
 *   pushed tokens: the rate at which they come, if known
 * @window, @hop: ns; rounded up to whole groups of frames; hop 0 = window. Windows lie on sampling ticks: [start,
 *   start + window), start being the tick of the first frame that is not part of the window before it. The last one ends
 *   with the video; after a jump back, and when frames change their size, a new one begins (tern/window.c)
 * @max_frames: of a window, at most TERN_WINDOW_FRAMES_MAX; 0 = as many as the window holds. More are thinned out
 *   evenly: frames are looked at less often
 * @prompt: instruction; %NULL = the model's default, "" = none
 * @prompt_id: comes back in results; %NULL = ""
 * @questions, @n_questions: asked about every window instead of @prompt and @prompt_id, at most TERN_QUESTIONS_MAX; each
 *   gives one result, in their order. 0 = the one of @prompt
 * @system_prompt: before everything else; %NULL = none
 * @sampling: how text is chosen
 * @compress: temporal merging; for pushed tokens that are already compressed use TERN_METHOD_NONE
 * @kv_prune: share of visual keys that decode does not attend to (DyCoke stage 2), 0..1; windows only, a still is
 *   always looked at whole
 * @kv_layer: first block that is pruned (the paper's L); scores come from the last attention block before it
 * @kv_type: how keys and values are kept; fixed when the session is made
 * @live: TRUE: when the engine is behind, older windows are dropped for the newest one; FALSE: pushes return BUSY
 * @metrics: fill TernResult.metrics
 * @source: copied into results
 * @func: results are called back instead of queued for polling
 */
typedef struct {
  guint rate_n, rate_d;
  guint64 window, hop;
  guint max_frames;
  const char *prompt;
  const char *prompt_id;
  const TernQuestion *questions;
  guint n_questions;
  const char *system_prompt;
  TernSampling sampling;
  TernFit fit;
  TernCompressorParams compress;
  double kv_prune;
  TernPruneGate kv_gate;
  guint kv_layer;
  TernCacheType kv_type;
  gboolean live;
  gboolean metrics;
  const char *source;
  TernResultFunc func;
  void *func_data;
  gpointer reserved[8];
} TernSessionParams;

TERN_API void tern_session_params_init (TernSessionParams *params);
#ifndef __cplusplus
#define TERN_SESSION_PARAMS_INIT { .rate_n = 2, .rate_d = 1, .window = 4 * TERN_SECOND, \
    .sampling = TERN_SAMPLING_INIT, .fit = TERN_FIT_TRAINED, .compress = TERN_COMPRESSOR_PARAMS_INIT, .kv_prune = 0.7, .kv_layer = 3 }
#endif

/* Copies @params. INVALID names the field, its range and the value found. */
TERN_API TernSession *tern_session_new (TernModel *model, const TernSessionParams *params, GError **error);
/* Cancels what runs, wakes who waits for results or room, waits for the engine to let go (under 100 ms), frees. No other
 * call on this session may begin once it has. */
TERN_API void tern_session_free (TernSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernSession, tern_session_free)

/* A frame of the stream; copied when it is one to look at, else nothing happens. Never waits: BUSY when the queue is
 * full. INVALID without a PTS. A session takes frames or tokens, not both. */
TERN_API gboolean tern_session_push_frame (TernSession *session, const TernImage *image, guint64 pts, guint64 duration,
    GError **error);
/* A sampled frame's tokens; copied. BUSY as above. MISMATCH for another dim. */
TERN_API gboolean tern_session_push_tokens (TernSession *session, const TernTokens *tokens, GError **error);
/* A frame of the stream that is not looked at, in the order of the pushes: says how far the stream has come, and so where
 * its last window ends. For who samples outside of the session; push_frame does it by itself. Of the frame pushed last it
 * says how long that stands. Never waits or fails; a frame without a PTS says nothing. @duration TERN_TIME_NONE: as long as
 * the time since the frame before it; 0: there will be a frame at @pts, and the window before it is whole. */
TERN_API void tern_session_see (TernSession *session, guint64 pts, guint64 duration);
/* A picture of its own (a still): one result, whose window is empty. Tiled where the model does it. */
TERN_API gboolean tern_session_push_still (TernSession *session, const TernImage *image, GError **error);

/* End of a stretch (EOS, discontinuity): the partial window is answered, then the session is ready for more. */
TERN_API void tern_session_finish (TernSession *session);
/* Drops queued input and ends running work within a token; its window gives no result. Returns when the engine has let
 * go (under 100 ms): no result of before comes after it. Results that wait to be polled are dropped too. */
TERN_API void tern_session_flush (TernSession *session);
/* As flush; the running window gives a result with what was said and finish_reason cancelled. */
TERN_API void tern_session_cancel (TernSession *session);
/* For windows that end after this call; instead of what was asked until then. NO_SPACE: a window would not fit with it. */
TERN_API gboolean tern_session_set_prompt (TernSession *session, const char *prompt, const char *prompt_id,
    GError **error);
/* The same with @n questions, 1..TERN_QUESTIONS_MAX: each gives a result for every window, in their order. */
TERN_API gboolean tern_session_set_questions (TernSession *session, const TernQuestion *questions, guint n,
    GError **error);
/* Sampling, questions, compression and pruning from the next window on; rate, window, live, func, fit and source are fixed. */
TERN_API gboolean tern_session_set_params (TernSession *session, const TernSessionParams *params, GError **error);

typedef enum {
  TERN_NEXT_RESULT,
  TERN_NEXT_PENDING,            /* timeout */
  TERN_NEXT_END,                /* nothing is queued or running */
} TernNext;

TERN_API TernResult *tern_session_poll (TernSession *session);          /* NULL: none yet; owned by the caller */
/* Waits up to @timeout_us (-1: for ever) for a result, or the end of all queued work. Flush, cancel and free are such an
 * end, from whatever thread: who waits is woken, with what there is, and need not poll. */
TERN_API TernNext tern_session_next (TernSession *session, gint64 timeout_us, TernResult **result);
/* Waits for room to push, or the end of all queued work, as above. FALSE on timeout. */
TERN_API gboolean tern_session_wait (TernSession *session, gint64 timeout_us);

typedef struct {
  guint64 frames_in, frames_sampled;
  guint64 windows_done, windows_dropped;
  guint queued_windows;
} TernSessionStats;
TERN_API void tern_session_stats (TernSession *session, TernSessionStats *stats);

/* ---- Process ----------------------------------------------------------------------------------------------------- */

typedef enum { TERN_MESSAGE_ERROR, TERN_MESSAGE_WARNING, TERN_MESSAGE_INFO, TERN_MESSAGE_DEBUG } TernMessageLevel;
typedef void (*TernMessageFunc) (TernMessageLevel level, const char *message, void *data);
/* The library never prints; NULL (the default) drops messages. */
TERN_API void tern_set_message_func (TernMessageFunc func, void *data);

G_END_DECLS
