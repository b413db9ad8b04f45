/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library never prints: messages go to one process-wide callback, none by default. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_LOG_ERROR,
  TERN_LOG_WARNING,
  TERN_LOG_INFO,
  TERN_LOG_DEBUG,
} TernLogLevel;

typedef void (*TernLogFunc) (TernLogLevel level, const char *message, void *data);

/* Thread-safe. NULL turns messages off. */
void tern_log_set (TernLogFunc func, void *data);
void tern_log (TernLogLevel level, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_END_DECLS
