/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libtern: video in, captions out. The public interface; installed.
 *
 * A TernModel holds weights (immutable, shared, one copy per process). A TernSession is one timeline of frames. All
 * work of a model's sessions and encoders is done by the model's engine thread and its pool; pushing never does.
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

#include "tern/action.h"
#include "tern/budget.h"
#include "tern/completion.h"
#include "tern/compressor.h"
#include "tern/drafter.h"
#include "tern/encoder.h"
#include "tern/error.h"
#include "tern/frames.h"
#include "tern/gate.h"
#include "tern/image.h"
#include "tern/message.h"
#include "tern/model.h"
#include "tern/question.h"
#include "tern/ranges.h"
#include "tern/result.h"
#include "tern/reuse.h"
#include "tern/sampling.h"
#include "tern/session.h"
