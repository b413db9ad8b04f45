/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one error domain of Tern. Installed.
 *
 * Every fallible call takes a GError ** as its last parameter. The message names the file, tensor, key or option, what
 * was expected and what was found; it is one line without a final newline. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * TERN_API: (skip)
 *
 * Marks what the library exports: these functions are its public interface, and nothing else is.
 *
 * Since: 0.1
 */
#if defined(__GNUC__)
#define TERN_API __attribute__ ((visibility ("default")))
#else
#define TERN_API
#endif

/**
 * TERN_ERROR:
 *
 * The domain of all errors of this library; their codes are those of #TernErrorCode.
 *
 * Since: 0.1
 */
#define TERN_ERROR (tern_error_quark ())

/**
 * TernErrorCode:
 * @TERN_ERROR_NOT_FOUND: a file, or an entry that the caller named, does not exist
 * @TERN_ERROR_READ: a file exists and cannot be read
 * @TERN_ERROR_FORMAT: a file is damaged, truncated or contradicts itself
 * @TERN_ERROR_UNSUPPORTED: well formed, and something that this build cannot run
 * @TERN_ERROR_MISMATCH: two things that do not belong together (encoder and generator, text file and mmproj)
 * @TERN_ERROR_INVALID: a parameter is out of its range
 * @TERN_ERROR_NO_SPACE: memory, context or output space is exhausted
 * @TERN_ERROR_BUSY: the queue is full; try again later
 * @TERN_ERROR_CANCELLED: the work was cancelled
 * @TERN_ERROR_FAILED: anything else
 *
 * Codes are what a caller can act on; the message says what happened.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_ERROR_NOT_FOUND,
  TERN_ERROR_READ,
  TERN_ERROR_FORMAT,
  TERN_ERROR_UNSUPPORTED,
  TERN_ERROR_MISMATCH,
  TERN_ERROR_INVALID,
  TERN_ERROR_NO_SPACE,
  TERN_ERROR_BUSY,
  TERN_ERROR_CANCELLED,
  TERN_ERROR_FAILED,
} TernErrorCode;

/**
 * tern_error_quark:
 *
 * What %TERN_ERROR stands for. Any thread.
 *
 * Returns: the quark of the domain
 *
 * Since: 0.1
 */
TERN_API GQuark tern_error_quark (void);

G_END_DECLS
