/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much of the vision encoder is computed again for a frame that looks like the one before. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernReuseMode:
 * @TERN_REUSE_OFF: all of every frame is computed
 * @TERN_REUSE_AUTO: patches that look as they did keep their features, unless an estimate says that the tokens would be too
 *   far from those of the whole encoder, or too much of the picture changes: then all is computed
 * @TERN_REUSE_ON: the same, whatever the estimate says
 *
 * Which patches of a frame are computed.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_REUSE_OFF,
  TERN_REUSE_AUTO,
  TERN_REUSE_ON,
} TernReuseMode;

/**
 * TernReuseParams:
 * @mode: which patches are computed
 * @threshold: smallest difference of a part of a patch that counts, in levels of 255,
 *   TERN_REUSE_THRESHOLD_MIN..TERN_REUSE_THRESHOLD_MAX; up to three times as much where everything is noisy
 * @refresh: frames from one that is computed whole to the next, at most; 1: all are. 0: no more than is needed otherwise
 * @reserved: 0
 *
 * What of a frame is computed again. Memory of it: keys and values of all layers for each session or encoder.
 *
 * Since: 0.1
 */
typedef struct {
  TernReuseMode mode;
  double threshold;
  guint refresh;
  gpointer reserved[2];
} TernReuseParams;

/**
 * TERN_REUSE_PARAMS_INIT: (skip)
 *
 * The same for a variable of C.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_REUSE_PARAMS_INIT { .mode = TERN_REUSE_OFF, .threshold = 4, .refresh = 16 }
#endif

/**
 * tern_reuse_params_init:
 * @params: (out caller-allocates): what to fill in
 *
 * Fills in the defaults: off; four levels, and every 16th frame whole. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_reuse_params_init (TernReuseParams *params);

/**
 * tern_reuse_params_check:
 * @params: what is computed again
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
TERN_API gboolean tern_reuse_params_check (const TernReuseParams *params, GError **error);

/**
 * tern_reuse_mode_parse:
 * @name: "off", "auto" or "on"
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
TERN_API gboolean tern_reuse_mode_parse (const char *name, TernReuseMode *mode, GError **error);

/**
 * TernReuseStats:
 * @frames: frames that were encoded
 * @refreshed: of these, frames all of which was computed
 * @patches_computed: patches of all frames that were computed
 * @patches_reused: and those that kept their features
 * @operations: multiply-adds of products and attention that were done
 * @operations_whole: those of the whole encoder
 * @reserved: 0
 *
 * What was computed since it was made. All zero with %TERN_REUSE_OFF.
 *
 * Since: 0.1
 */
typedef struct {
  guint64 frames;
  guint64 refreshed;
  guint64 patches_computed;
  guint64 patches_reused;
  guint64 operations;
  guint64 operations_whole;
  guint64 reserved[2];
} TernReuseStats;

G_END_DECLS
