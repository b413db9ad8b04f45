/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completions: one answer to a conversation with pictures in it, or to a text. Installed.
 *
 * A session is about a stream; a completion is about what it is given, and is over with its answer. All of a model's
 * completions and sessions are worked on at once, in the same passes.
 *
 *   view = tern_view_new_still (model, &image, &error);
 *   params.chat = "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"text\","
 *       "\"text\":\"What is this?\"}]}]}";
 *   params.views = &view;
 *   params.n_views = 1;
 *   params.func = told;                           // hears words as they are said, and the end
 *   completion = tern_completion_new (model, &params, &error);
 *   tern_completion_start (completion);
 *   ...
 *   tern_completion_free (completion);            // also from within the last call of told() */
#pragma once

#include <glib.h>
#include "tern/drafter.h"
#include "tern/error.h"
#include "tern/image.h"
#include "tern/model.h"
#include "tern/ranges.h"
#include "tern/sampling.h"

G_BEGIN_DECLS

/* ---- What is shown ---- */

/**
 * TernView:
 *
 * A picture, or a clip, as it is shown to a model: counted, and encoded once, by the first completion that needs it.
 * Who keeps a reference saves the next completion that work. Any thread; frames are added before it is first shown.
 *
 * Since: 0.1
 */
typedef struct _TernView TernView;

/**
 * tern_view_new_still:
 * @model: opened with %TERN_MODEL_VISION; the view holds a reference
 * @image: the picture; copied
 * @error: return location of an error, or %NULL
 *
 * A picture of its own; tiled where the model does it.
 *
 * Errors: %TERN_ERROR_INVALID (the picture, or a model without an encoder), %TERN_ERROR_NO_SPACE.
 *
 * Returns: (transfer full) (nullable): the view; tern_view_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernView *tern_view_new_still (TernModel *model, const TernImage *image, GError **error);

/**
 * tern_view_new_clip:
 * @model: opened with %TERN_MODEL_VISION; the view holds a reference
 * @error: return location of an error, or %NULL
 *
 * A clip without frames: tern_view_add_frame(). What of them is kept is chosen as in the windows of a session by default
 * (TERN_COMPRESSOR_PARAMS_INIT). Frames are paired, and told what changed since the one before, as in a session, where the model
 * does so (tern_model_picture_frames(), tern_model_looks_back()); two in turn of one size make a picture, whatever the time
 * between.
 *
 * Errors: %TERN_ERROR_INVALID: a model without an encoder.
 *
 * Returns: (transfer full) (nullable): the view; tern_view_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernView *tern_view_new_clip (TernModel *model, GError **error);

/**
 * tern_view_add_frame:
 * @view: a clip that was not shown yet
 * @image: its next frame; copied
 * @pts: its time stamp, in ns from the beginning of the clip
 * @error: return location of an error, or %NULL
 *
 * A further frame, TERN_WINDOW_FRAMES_MAX at most.
 *
 * Errors: %TERN_ERROR_INVALID (the picture, too many, not a clip, shown already), %TERN_ERROR_NO_SPACE.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_view_add_frame (TernView *view, const TernImage *image, guint64 pts, GError **error);

/**
 * tern_view_ref:
 * @view: a view
 *
 * A further reference. Any thread.
 *
 * Returns: (transfer full): @view
 *
 * Since: 0.1
 */
TERN_API TernView *tern_view_ref (TernView *view);

/**
 * tern_view_unref:
 * @view: (transfer full) (nullable): a view, or %NULL
 *
 * Gives a reference back. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_view_unref (TernView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernView, tern_view_unref)

/**
 * tern_view_is_clip:
 * @view: a view
 *
 * Which of the two it is.
 *
 * Returns: %TRUE: a clip; %FALSE: a still
 *
 * Since: 0.1
 */
TERN_API gboolean tern_view_is_clip (const TernView *view);

/**
 * tern_view_bytes:
 * @view: a view
 *
 * What it takes, pixels or visual tokens: for who keeps views, and wants to know when there are too many.
 *
 * Returns: bytes, about
 *
 * Since: 0.1
 */
TERN_API gsize tern_view_bytes (TernView *view);

/* ---- What is told ---- */

/**
 * TernTopScore:
 * @text: (array length=len): the token's bytes, not always whole characters
 * @len: bytes of @text
 * @logprob: log of its probability, by the model, whatever form the answer has
 * @reserved: 0
 *
 * A token that might have been said.
 *
 * Since: 0.1
 */
typedef struct {
  const char *text;
  guint len;
  double logprob;
  gpointer reserved[2];
} TernTopScore;

/**
 * TernTokenScore:
 * @text: (array length=len): the token's bytes, not always whole characters
 * @len: bytes of @text
 * @logprob: log of its probability, by the model, whatever form the answer has
 * @top: (nullable) (array length=n_top): the likeliest tokens in its place, likeliest first
 * @n_top: how many there are
 * @reserved: 0
 *
 * How likely a token was.
 *
 * Since: 0.1
 */
typedef struct {
  const char *text;
  guint len;
  double logprob;
  const TernTopScore *top;
  guint n_top;
  gpointer reserved[2];
} TernTokenScore;

/**
 * TernCompletionEvent:
 * @text: what was added to the answer, whole characters, UTF-8; may be ""
 * @scores: (nullable) (array length=n_scores): of the tokens that were added since the last event, where
 *   TernCompletionParams.scores asks for them
 * @n_scores: how many there are
 * @last: nothing comes after it
 * @finish_reason: (nullable): of the last one: stop (an end token, a stop text, the end of the form), length,
 *   cancelled, error
 * @failure: (nullable): of the last one with finish_reason error: why
 * @prompt_tokens: tokens of the prompt, visual ones included
 * @visual_tokens: of these, visual tokens
 * @generated_tokens: tokens said so far
 * @encode_ms: spent on pictures so far, ms
 * @prompt_ms: from the last picture to the first token, ms; 0 before that
 * @decode_ms: from the first token until now, ms
 * @guesses: tokens that TernCompletionParams.drafter guessed so far, and that were read
 * @guesses_right: of these, those that were said
 * @thought: (nullable): what was added to what the model thinks before it answers a conversation, as @text; it is no part of the
 *   answer, and @stop and @scores do not look at it, but its tokens are counted
 * @reserved: 0
 *
 * What is told of a completion. Valid during the call.
 *
 * Since: 0.1
 */
typedef struct {
  const char *text;
  const TernTokenScore *scores;
  guint n_scores;
  gboolean last;
  const char *finish_reason;
  const GError *failure;
  guint prompt_tokens;
  guint visual_tokens;
  guint generated_tokens;
  double encode_ms;
  double prompt_ms;
  double decode_ms;
  guint guesses;
  guint guesses_right;
  const char *thought;
  gpointer reserved[2];
} TernCompletionEvent;

/**
 * TernCompletion:
 *
 * One answer: prepared by tern_completion_new(), worked on from tern_completion_start() on. Once it was started
 * tern_completion_cancel() may be called from any thread; of the others, one at a time.
 *
 * Since: 0.1
 */
typedef struct _TernCompletion TernCompletion;

/**
 * TernCompletionFunc:
 * @data: (closure): TernCompletionParams.func_data
 * @completion: whose event it is
 * @event: what there is to tell
 *
 * Takes an event. Called on the engine thread without locks held; must not block. The completion may be freed from
 * within.
 *
 * Since: 0.1
 */
typedef void (*TernCompletionFunc) (void *data, TernCompletion *completion, const TernCompletionEvent *event);

/* ---- What is asked ---- */

/**
 * TernCompletionParams:
 * @chat: (nullable): a conversation, a JSON object: `messages`, each with `role` and `content` (a text, or a list of parts
 *   {"type":"text","text":...}, {"type":"image"}, {"type":"video"}), and whatever else the model file's chat template
 *   reads (`tools`, `enable_thinking`, ...). What is said in it never becomes a control token
 * @text: (nullable): instead of @chat, a text that is gone on with, UTF-8; control tokens in it are not recognised
 * @views: (nullable) (array length=n_views): the pictures and clips that stand in @chat, in order; a reference is held
 * @n_views: how many there are, TERN_VIEWS_MAX at most
 * @json_schema: (nullable): the answer is a JSON value of this JSON Schema, UTF-8
 * @grammar: (nullable): the answer is a sentence of this grammar in GBNF, UTF-8
 * @stop: (nullable) (array zero-terminated=1): the answer ends before the first of these texts, TERN_STOPS_MAX at most
 * @sampling: how text is chosen; fewer than max_tokens are said where the context has no room for as many
 * @scores: tell how likely each token was; with one beam alone
 * @top_scores: likeliest tokens to tell with each of them, 0..TERN_TOP_SCORES_MAX
 * @drafter: (nullable): guesses the answer, which is the same without, as long as that saves time; a reference is held. It is not
 *   asked with @scores, nor with beams
 * @func: told what is said
 * @func_data: (nullable): handed to @func
 * @reserved: 0
 *
 * What to answer, and how. TERN_COMPLETION_PARAMS_INIT has the defaults.
 *
 * Since: 0.1
 */
typedef struct {
  const char *chat;
  const char *text;
  TernView *const *views;
  guint n_views;
  const char *json_schema;
  const char *grammar;
  const char *const *stop;
  TernSampling sampling;
  gboolean scores;
  guint top_scores;
  TernCompletionFunc func;
  void *func_data;
  TernDrafter *drafter;
  gpointer reserved[5];
} TernCompletionParams;

/**
 * TERN_COMPLETION_PARAMS_INIT: (skip)
 *
 * Defaults for a variable of type #TernCompletionParams.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_COMPLETION_PARAMS_INIT { .sampling = TERN_SAMPLING_INIT }
#endif

/* ---- Life ---- */

/**
 * tern_completion_new:
 * @model: opened with %TERN_MODEL_TEXT, and for views with %TERN_MODEL_VISION; the completion holds a reference
 * @params: what to answer, and how; copied
 * @error: return location of an error, or %NULL
 *
 * Writes and measures the prompt, and takes the memory for it and its answer, on the caller's thread. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found; %TERN_ERROR_FORMAT: @params->chat is not
 *   what the template reads; %TERN_ERROR_UNSUPPORTED: a form that cannot be held, a template that does not show what it is
 *   given; %TERN_ERROR_NO_SPACE: the context, with both numbers, or memory.
 *
 * Returns: (transfer full) (nullable): the completion; tern_completion_free() frees it. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernCompletion *tern_completion_new (TernModel *model, const TernCompletionParams *params, GError **error);

/**
 * tern_completion_prompt_tokens:
 * @completion: a completion
 *
 * How long its prompt is; before a clip was encoded, at most. Before it is started, or from within its
 * #TernCompletionFunc.
 *
 * Returns: tokens, visual ones included
 *
 * Since: 0.1
 */
TERN_API guint tern_completion_prompt_tokens (TernCompletion *completion);

/**
 * tern_completion_start:
 * @completion: a completion that was not started
 *
 * The engine may work on it, and TernCompletionParams.func is called. Does not wait.
 *
 * Since: 0.1
 */
TERN_API void tern_completion_start (TernCompletion *completion);

/**
 * tern_completion_cancel:
 * @completion: a completion
 *
 * Ends it within 100 ms: what follows is the last event, with finish_reason cancelled, unless that has come already. Any
 * thread; does not wait.
 *
 * Since: 0.1
 */
TERN_API void tern_completion_cancel (TernCompletion *completion);

/**
 * tern_completion_free:
 * @completion: (transfer full) (nullable): a completion, or %NULL
 *
 * Ends it without a further event, waits for the engine to let go (under 100 ms), frees. From within its
 * #TernCompletionFunc it does not wait.
 *
 * Since: 0.1
 */
TERN_API void tern_completion_free (TernCompletion *completion);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernCompletion, tern_completion_free)

G_END_DECLS
