/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges of parameters, stated once: for the library's own checks, the elements' properties and the tools' options.
 * Both ends of a range are part of it. Installed. */
#pragma once

#include <glib.h>

/* ---- Models ---- */

/**
 * TERN_THREADS_MAX:
 *
 * Most threads of a model's pool. 0 = as many as there are cores.
 *
 * Since: 0.1
 */
#define TERN_THREADS_MAX 512

/* ---- Pictures and tokens ---- */

/**
 * TERN_IMAGE_SIDE_MAX:
 *
 * Most pixels on a side of a picture, as it lies in memory; the least is 1.
 *
 * Since: 0.1
 */
#define TERN_IMAGE_SIDE_MAX 65535

/**
 * TERN_ORIENTATION_MAX:
 *
 * Last orientation of a picture, as EXIF's tag 0x0112 counts; the first is 1, and 0 = 1.
 *
 * Since: 0.1
 */
#define TERN_ORIENTATION_MAX 8

/**
 * TERN_PIXEL_ASPECT_MAX:
 *
 * Most that a pixel is wider than high, or higher than wide.
 *
 * Since: 0.1
 */
#define TERN_PIXEL_ASPECT_MAX 16

/**
 * TERN_FRAME_TOKENS_MAX:
 *
 * Most visual tokens of a frame.
 *
 * Since: 0.1
 */
#define TERN_FRAME_TOKENS_MAX 1048576

/**
 * TERN_EMBEDDING_DIM_MAX:
 *
 * Most floats of a visual token; the least is 1.
 *
 * Since: 0.1
 */
#define TERN_EMBEDDING_DIM_MAX 1048576

/* ---- What is said ---- */

/**
 * TERN_MAX_TOKENS_MIN:
 *
 * Fewest tokens that may be the most to say.
 *
 * Since: 0.1
 */
#define TERN_MAX_TOKENS_MIN 1

/**
 * TERN_MAX_TOKENS_MAX:
 *
 * Most tokens to say.
 *
 * Since: 0.1
 */
#define TERN_MAX_TOKENS_MAX 65536

/**
 * TERN_BEAM_MIN:
 *
 * Fewest beams: no beam search.
 *
 * Since: 0.1
 */
#define TERN_BEAM_MIN 1

/**
 * TERN_BEAM_MAX:
 *
 * Most beams.
 *
 * Since: 0.1
 */
#define TERN_BEAM_MAX 64

/**
 * TERN_TEMPERATURE_MAX:
 *
 * Highest temperature; the lowest, 0, says the likeliest token always, and is the only one with more than one beam.
 *
 * Since: 0.1
 */
#define TERN_TEMPERATURE_MAX 100.0f

/**
 * TERN_TOP_K_MAX:
 *
 * Most tokens to choose among. 0 = all.
 *
 * Since: 0.1
 */
#define TERN_TOP_K_MAX G_MAXINT32

/**
 * TERN_TOP_P_MIN:
 *
 * Least probability of the tokens to choose among, together.
 *
 * Since: 0.1
 */
#define TERN_TOP_P_MIN 1e-6f

/**
 * TERN_TOP_P_MAX:
 *
 * Most probability of the tokens to choose among: all.
 *
 * Since: 0.1
 */
#define TERN_TOP_P_MAX 1.0f

/**
 * TERN_MIN_P_MAX:
 *
 * Most that a token's least probability may be, as a share of the likeliest one's. 0 = any.
 *
 * Since: 0.1
 */
#define TERN_MIN_P_MAX 1.0f

/**
 * TERN_REPETITION_PENALTY_MIN:
 *
 * Least repetition penalty; below 1 what was said gets likelier. 1 = none.
 *
 * Since: 0.1
 */
#define TERN_REPETITION_PENALTY_MIN 0.01f

/**
 * TERN_REPETITION_PENALTY_MAX:
 *
 * Most repetition penalty.
 *
 * Since: 0.1
 */
#define TERN_REPETITION_PENALTY_MAX 100.0f

/* ---- Windows ---- */

/**
 * TERN_WINDOW_MIN:
 *
 * Shortest window, in ns; it is rounded up to a group of frames.
 *
 * Since: 0.1
 */
#define TERN_WINDOW_MIN 1

/**
 * TERN_WINDOW_MAX:
 *
 * Longest window, in ns.
 *
 * Since: 0.1
 */
#define TERN_WINDOW_MAX G_MAXINT64

/**
 * TERN_HOP_MAX:
 *
 * Longest time from one window to the next, in ns. 0 = a window's length.
 *
 * Since: 0.1
 */
#define TERN_HOP_MAX G_MAXINT64

/**
 * TERN_WINDOW_FRAMES_MAX:
 *
 * Most frames of a window. 0 = as many as the window holds.
 *
 * Since: 0.1
 */
#define TERN_WINDOW_FRAMES_MAX 4096

/**
 * TERN_MEMORY_TOKENS_MIN:
 *
 * Fewest tokens that are remembered of a stream.
 *
 * Since: 0.1
 */
#define TERN_MEMORY_TOKENS_MIN 64

/**
 * TERN_MEMORY_TOKENS_MAX:
 *
 * Most tokens that are remembered of a stream; a model's context may be less.
 *
 * Since: 0.1
 */
#define TERN_MEMORY_TOKENS_MAX 1048576

/**
 * TERN_QUESTIONS_MAX:
 *
 * Most questions about one window.
 *
 * Since: 0.1
 */
#define TERN_QUESTIONS_MAX 16

/* ---- Completions ---- */

/**
 * TERN_VIEWS_MAX:
 *
 * Most pictures and clips of a completion.
 *
 * Since: 0.1
 */
#define TERN_VIEWS_MAX 256

/**
 * TERN_STOPS_MAX:
 *
 * Most texts that end a completion.
 *
 * Since: 0.1
 */
#define TERN_STOPS_MAX 16

/**
 * TERN_TOP_SCORES_MAX:
 *
 * Most likeliest tokens that are told with each token of a completion.
 *
 * Since: 0.1
 */
#define TERN_TOP_SCORES_MAX 20

/* ---- Compression ---- */

/**
 * TERN_LABELS_MAX:
 *
 * Most labels of a question; the least is 2.
 *
 * Since: 0.1
 */
#define TERN_LABELS_MAX 256

/**
 * TERN_REQUESTS_MAX:
 *
 * Most requests of a session that wait for their answers.
 *
 * Since: 0.1
 */
#define TERN_REQUESTS_MAX 64

/**
 * TERN_GATE_THRESHOLD_MIN:
 *
 * Least difference that a gate may take for new, in levels of 255.
 *
 * Since: 0.1
 */
#define TERN_GATE_THRESHOLD_MIN 1.0

/**
 * TERN_GATE_THRESHOLD_MAX:
 *
 * Most that a difference must be for a gate to take it for new, in levels of 255.
 *
 * Since: 0.1
 */
#define TERN_GATE_THRESHOLD_MAX 255.0

/**
 * TERN_REUSE_THRESHOLD_MIN:
 *
 * Least difference for which a patch may be computed again, in levels of 255.
 *
 * Since: 0.1
 */
#define TERN_REUSE_THRESHOLD_MIN 0.5

/**
 * TERN_REUSE_THRESHOLD_MAX:
 *
 * Most that a difference must be for a patch to be computed again, in levels of 255.
 *
 * Since: 0.1
 */
#define TERN_REUSE_THRESHOLD_MAX 64.0

/**
 * TERN_REUSE_REFRESH_MAX:
 *
 * Most frames from one all of which is computed to the next.
 *
 * Since: 0.1
 */
#define TERN_REUSE_REFRESH_MAX 100000

/**
 * TERN_SHARE_MAX:
 *
 * Most that a share may be: kv_prune and merge_ratio. The least is 0.
 *
 * Since: 0.1
 */
#define TERN_SHARE_MAX 1.0

/**
 * TERN_BUDGET_MAX:
 *
 * Most that a budget of visual tokens for a window or a second may be.
 *
 * Since: 0.1
 */
#define TERN_BUDGET_MAX (1u << 24)

/**
 * TERN_BUDGET_CORES_MIN:
 *
 * Least that a budget of processor time may be, in cores; 0 is none.
 *
 * Since: 0.1
 */
#define TERN_BUDGET_CORES_MIN 0.001

/**
 * TERN_BUDGET_CORES_MAX:
 *
 * Most that a budget of processor time may be, in cores.
 *
 * Since: 0.1
 */
#define TERN_BUDGET_CORES_MAX 1024.0

/**
 * TERN_BUDGET_WATTS_MIN:
 *
 * Least that a budget of power may be, in watts; 0 is none.
 *
 * Since: 0.1
 */
#define TERN_BUDGET_WATTS_MIN 0.01

/**
 * TERN_BUDGET_WATTS_MAX:
 *
 * Most that a budget of power may be, in watts.
 *
 * Since: 0.1
 */
#define TERN_BUDGET_WATTS_MAX 10000.0
