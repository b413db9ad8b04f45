/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a frame shows anything new, so that what does not need not be encoded. Installed. */
#pragma once

#include <glib.h>
#include "tern/budget.h"
#include "tern/error.h"
#include "tern/image.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernGateMode:
 * @TERN_GATE_MODE_AUTO: frames with nothing new are left out once the scene has stood still for 16 frames that are looked at
 *   and eight seconds, until half of the newest 16 frames were new. Where everything moves, the gate sleeps
 * @TERN_GATE_MODE_OFF: every frame is encoded
 * @TERN_GATE_MODE_ON: frames with nothing new are left out from the second one on
 *
 * When frames with nothing new are left out.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_GATE_MODE_AUTO,
  TERN_GATE_MODE_OFF,
  TERN_GATE_MODE_ON,
} TernGateMode;

/**
 * TernGateParams:
 * @mode: when frames with nothing new are left out
 * @threshold: smallest difference that counts, in levels of 255, TERN_GATE_THRESHOLD_MIN..TERN_GATE_THRESHOLD_MAX. More
 *   where there is more noise: what is seen of noise is learned
 * @max_silence: ns after which a frame is encoded although nothing is new, at most 2^63 - 1; 0: never
 * @reserved: 0
 *
 * What counts as new.
 *
 * Since: 0.1
 */
typedef struct {
  TernGateMode mode;
  double threshold;
  guint64 max_silence;
  gpointer reserved[2];
} TernGateParams;

/**
 * TERN_GATE_PARAMS_INIT: (skip)
 *
 * The same for a variable of C.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_GATE_PARAMS_INIT { .threshold = 6, .max_silence = G_GUINT64_CONSTANT (60000000000) }
#endif

/**
 * tern_gate_params_init:
 * @params: (out caller-allocates): what to fill in
 *
 * Fills in the defaults: by itself, six levels, a look every minute. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_params_init (TernGateParams *params);

/**
 * TernGateStats:
 * @frames: frames that were looked at
 * @unchanged: of these, frames with nothing new, which were not to be encoded
 * @forced: of the others, frames with nothing new that were to be encoded because of TernGateParams.max_silence or
 *   tern_gate_set_settle()
 * @asleep: of the others, frames that the gate did not look at, for everything moved
 * @deferred: frames that were not to be encoded for the sake of a budget
 * @reserved: 0
 *
 * What a gate has decided since it was made.
 *
 * Since: 0.1
 */
typedef struct {
  guint64 frames;
  guint64 unchanged;
  guint64 forced;
  guint64 asleep;
  guint64 deferred;
  guint64 reserved[1];
} TernGateStats;

/**
 * TernGate:
 *
 * Compares frames of one camera with the one that was encoded last. One thread at a time.
 *
 * Since: 0.1
 */
typedef struct _TernGate TernGate;

/**
 * tern_gate_params_check:
 * @params: what counts as new
 * @error: return location of an error, or %NULL
 *
 * Whether all of @params are in their ranges. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_gate_params_check (const TernGateParams *params, GError **error);

/**
 * tern_gate_new:
 * @params: what counts as new; copied
 * @error: return location of an error, or %NULL
 *
 * Takes all memory that looking needs.
 *
 * Errors: as tern_gate_params_check().
 *
 * Returns: (transfer full) (nullable): the gate; tern_gate_free() frees it. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernGate *tern_gate_new (const TernGateParams *params, GError **error);

/**
 * tern_gate_free:
 * @gate: (transfer full) (nullable): a gate, or %NULL
 *
 * Frees it.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_free (TernGate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernGate, tern_gate_free)

/**
 * tern_gate_look:
 * @gate: a gate
 * @image: the next frame that would be encoded; read during the call, as it lies in memory
 * @shift: 0: samples are bytes. Else @image's samples are of 16 bits, little endian, of a planar format, and a byte's value
 *   when they are shifted right so far: 2 for I420_10LE, 8 for P010
 * @pts: time stamp of the frame, in ns
 *
 * Looks at a frame: some rows of it, in some .2 ms of 1920 x 1080 pixels. A frame that is earlier than the one before, of
 * another size or format, or not a picture at all is new.
 *
 * Returns: %TRUE: it is to be encoded, and is what later ones are compared with; %FALSE: nothing is new
 *
 * Since: 0.1
 */
TERN_API gboolean tern_gate_look (TernGate *gate, const TernImage *image, guint shift, guint64 pts);

/**
 * tern_gate_novelty:
 * @gate: a gate
 *
 * How much was new in the frame that was looked at last: against the one encoded before it, whether it is to be encoded or not.
 *
 * Returns: the share of the picture, 0 (nothing) to 1 (all, or nobody looked)
 *
 * Since: 0.1
 */
TERN_API double tern_gate_novelty (const TernGate *gate);

/**
 * tern_gate_set_budget:
 * @gate: a gate
 * @budget: (nullable): the account of the stream; a reference is held. %NULL: none
 *
 * From the next frame on frames that would be encoded are only encoded when the account has what is needed, and every frame is
 * looked at, with %TERN_GATE_MODE_OFF too. Frames that are put off for that stay new until one is encoded. After
 * TernGateParams.max_silence one is in any case. The gate tells the account what it has spent, how the time goes, and what is new.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_set_budget (TernGate *gate, TernBudget *budget);

/**
 * tern_gate_set_settle:
 * @gate: a gate
 * @settle: whether the visual tokens of a picture say what moves in it: tern_model_picture_frames() is 2
 *
 * Of such pictures the first one in which nothing is new is encoded, too, after one in which something was: the tokens of that
 * say that it moves, which those that are like it do not. Off at first.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_set_settle (TernGate *gate, gboolean settle);

/**
 * tern_gate_force:
 * @gate: a gate
 *
 * The next frame is to be encoded, whatever it shows: another stretch of video begins, somebody asked for it, or the last one
 * could not be encoded. What was learned of noise stays.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_force (TernGate *gate);

/**
 * tern_gate_set_params:
 * @gate: a gate
 * @params: what counts as new from the next frame on; copied
 * @error: return location of an error, or %NULL
 *
 * Changes everything. What was learned of noise is lost with another threshold.
 *
 * Errors: as tern_gate_params_check(); then nothing changes.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_gate_set_params (TernGate *gate, const TernGateParams *params, GError **error);

/**
 * tern_gate_stats:
 * @gate: a gate
 * @stats: (out caller-allocates): what it has decided
 *
 * Counts since it was made.
 *
 * Since: 0.1
 */
TERN_API void tern_gate_stats (const TernGate *gate, TernGateStats *stats);

/**
 * tern_gate_mode_parse:
 * @name: "auto", "off" or "on"
 * @mode: (out): the mode
 * @error: return location of an error, or %NULL
 *
 * The mode of that name. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID names what was expected and found.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_gate_mode_parse (const char *name, TernGateMode *mode, GError **error);

G_END_DECLS
