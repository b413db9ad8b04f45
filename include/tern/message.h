/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library has to say beside errors. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"

G_BEGIN_DECLS

/**
 * TernMessageLevel:
 * @TERN_MESSAGE_ERROR: something failed, and no call is there to return it
 * @TERN_MESSAGE_WARNING: something is not as it should be, and work goes on
 * @TERN_MESSAGE_INFO: what a user may want to know
 * @TERN_MESSAGE_DEBUG: what a developer may want to know
 *
 * How much a message matters.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_MESSAGE_ERROR,
  TERN_MESSAGE_WARNING,
  TERN_MESSAGE_INFO,
  TERN_MESSAGE_DEBUG,
} TernMessageLevel;

/**
 * TernMessageFunc:
 * @level: how much it matters
 * @message: one line without a final newline; valid during the call
 * @data: (closure): as given to tern_set_message_func()
 *
 * Takes a message. Called on any thread, one message at a time; must not wait for a thread that may have a message too.
 *
 * Since: 0.1
 */
typedef void (*TernMessageFunc) (TernMessageLevel level, const char *message, void *data);

/**
 * tern_set_message_func:
 * @func: (nullable) (scope forever) (closure data): takes messages from now on; %NULL, as at first, drops them
 * @data: (nullable): handed to @func
 *
 * Who is told what the library has to say, in the whole process: it prints nothing by itself. Any thread. Once it
 * returns, whoever was told until then is not called any more.
 *
 * Since: 0.1
 */
TERN_API void tern_set_message_func (TernMessageFunc func, void *data);

G_END_DECLS
