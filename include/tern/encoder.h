/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Encoding as a step of its own: a frame becomes visual tokens. Installed. */
#pragma once

#include <glib.h>
#include "tern/budget.h"
#include "tern/error.h"
#include "tern/frames.h"
#include "tern/image.h"
#include "tern/model.h"
#include "tern/reuse.h"

G_BEGIN_DECLS

/**
 * TernFit:
 * @TERN_FIT_CROP: aspect kept, centre cut out: how the bundled model was trained
 * @TERN_FIT_LETTERBOX: aspect kept, bars added
 * @TERN_FIT_STRETCH: all of the picture, aspect not kept
 * @TERN_FIT_TRAINED: what the model's family was trained with: crop for LFM2-VL, stretch for SmolVLM
 *
 * How a picture is made to fit the encoder's.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_FIT_CROP,
  TERN_FIT_LETTERBOX,
  TERN_FIT_STRETCH,
  TERN_FIT_TRAINED,
} TernFit;

/**
 * TernEncoder:
 *
 * Encodes frames one at a time, on the model's engine thread. tern_encoder_cancel() may be called from any thread; of
 * the others, one at a time.
 *
 * Since: 0.1
 */
typedef struct _TernEncoder TernEncoder;

/**
 * tern_encoder_new:
 * @model: opened with %TERN_MODEL_VISION; the encoder holds a reference
 * @fit: how pictures are made to fit
 * @error: return location of an error, or %NULL
 *
 * Takes all memory that encoding a frame needs.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE.
 *
 * Returns: (transfer full) (nullable): the encoder; tern_encoder_free() frees it. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernEncoder *tern_encoder_new (TernModel *model, TernFit fit, GError **error);

/**
 * tern_encoder_free:
 * @encoder: (transfer full) (nullable): an encoder that nobody runs any more, or %NULL
 *
 * Frees it.
 *
 * Since: 0.1
 */
TERN_API void tern_encoder_free (TernEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernEncoder, tern_encoder_free)

/**
 * tern_encoder_set_reuse:
 * @encoder: an encoder that does not run
 * @params: what of a frame is computed again; copied
 * @error: return location of an error, or %NULL
 *
 * Frames that are run from now on are of one camera, and patches that look as they did may keep their features. Takes all
 * memory that this needs; what was kept is lost.
 *
 * Errors: %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE; %TERN_ERROR_UNSUPPORTED with %TERN_REUSE_ON for a model whose encoder
 * cannot. Then all of every frame is computed.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_encoder_set_reuse (TernEncoder *encoder, const TernReuseParams *params, GError **error);

/**
 * tern_encoder_reuse_stats:
 * @encoder: an encoder that does not run
 * @stats: (out caller-allocates): what was computed
 *
 * Counts since tern_encoder_set_reuse().
 *
 * Since: 0.1
 */
TERN_API void tern_encoder_reuse_stats (const TernEncoder *encoder, TernReuseStats *stats);

/**
 * tern_encoder_set_budget:
 * @encoder: an encoder that does not run
 * @budget: (nullable): the account of the stream; a reference is held. %NULL: none
 *
 * What runs cost is charged to it from now on.
 *
 * Since: 0.1
 */
TERN_API void tern_encoder_set_budget (TernEncoder *encoder, TernBudget *budget);

/**
 * tern_encoder_run:
 * @encoder: an encoder
 * @image: the frame; read during the call
 * @tokens: (array): room for tern_model_frame_tokens() x tern_model_embedding_dim() floats; the caller's
 * @out: (out caller-allocates): what was encoded; its tokens are @tokens, its times are %TERN_TIME_NONE
 * @error: return location of an error, or %NULL
 *
 * Encodes one frame. The engine thread does it, in slices between its passes, and the caller waits: nothing for a
 * streaming thread. Allocates nothing once a frame of this size was seen.
 *
 * Errors: %TERN_ERROR_INVALID (the picture), %TERN_ERROR_NO_SPACE, %TERN_ERROR_CANCELLED after tern_encoder_cancel().
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_encoder_run (TernEncoder *encoder, const TernImage *image, float *tokens, TernTokens *out,
    GError **error);

/**
 * tern_encoder_run_pair:
 * @encoder: an encoder of a model whose tern_model_picture_frames() is 2
 * @first: the earlier frame; read during the call
 * @second: the later one, shown at the same size; read during the call
 * @tokens: (array): as for tern_encoder_run()
 * @out: (out caller-allocates): as for tern_encoder_run()
 * @error: return location of an error, or %NULL
 *
 * Encodes two frames of a video as the one picture that they are to the model, which says that it is of the mean of their
 * times. tern_encoder_run() with one frame alone stands for two equal ones. All of it is computed, whatever
 * tern_encoder_set_reuse() said.
 *
 * Errors: as tern_encoder_run(); %TERN_ERROR_INVALID for two sizes, or a model that does not pair frames, too.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_encoder_run_pair (TernEncoder *encoder, const TernImage *first, const TernImage *second,
    float *tokens, TernTokens *out, GError **error);

/**
 * tern_encoder_run_frames:
 * @encoder: an encoder
 * @before: (nullable): the frame that came directly before @first in the same stream: the second one of the picture before
 *   it, or its only one, encoded or not; read during the call. %NULL: there is none, as where a stretch begins
 *   (tern_frame_step()), after a flush, and when the size of the frames has changed
 * @first: the frame, or the earlier one of two; read during the call
 * @second: (nullable): the later one of two, as for tern_encoder_run_pair(); read during the call. %NULL: @first is a
 *   picture by itself
 * @tokens: (array): as for tern_encoder_run()
 * @out: (out caller-allocates): as for tern_encoder_run()
 * @error: return location of an error, or %NULL
 *
 * Encodes a picture, whose tokens say what changed since @before too, where the model looks back (tern_model_looks_back()).
 * Otherwise @before is not looked at, nor is one that is shown at another size than @first. With @second, or @before where it
 * is looked at, all of the picture is computed, whatever tern_encoder_set_reuse() said. Without both this is tern_encoder_run().
 * Nothing of the pictures is kept: who calls it keeps the last frame for the next call.
 *
 * Errors: as tern_encoder_run_pair(), for a @second; %TERN_ERROR_INVALID for a @before that is no picture, too.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_encoder_run_frames (TernEncoder *encoder, const TernImage *before, const TernImage *first,
    const TernImage *second, float *tokens, TernTokens *out, GError **error);

/**
 * tern_encoder_cancel:
 * @encoder: an encoder
 * @cancel: %TRUE ends a run and refuses further ones, %FALSE lets them be again
 *
 * Ends a run that is under way within 100 ms. Any thread; does not wait.
 *
 * Since: 0.1
 */
TERN_API void tern_encoder_cancel (TernEncoder *encoder, gboolean cancel);

G_END_DECLS
