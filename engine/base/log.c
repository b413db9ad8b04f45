/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/log.h"

/* Held while the callback runs, so that nothing is called any more once tern_log_set() has returned; recursive, so that
 * a callback may itself lead to a message. */
static GRecMutex lock;
static TernLogFunc log_func;
static void *log_data;

void
tern_log_set (TernLogFunc func, void *data)
{
  g_rec_mutex_lock (&lock);
  log_func = func;
  log_data = data;
  g_rec_mutex_unlock (&lock);
}

void
tern_log (TernLogLevel level, const char *format, ...)
{
  g_rec_mutex_lock (&lock);
  if (log_func) {
    g_autofree char *message = NULL;
    va_list args;

    va_start (args, format);
    message = g_strdup_vprintf (format, args);
    va_end (args);
    log_func (level, message, log_data);
  }
  g_rec_mutex_unlock (&lock);
}
