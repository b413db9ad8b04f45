/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/tern.h"

#include "engine/base/log.h"

G_STATIC_ASSERT ((int) TERN_MESSAGE_ERROR == (int) TERN_LOG_ERROR);
G_STATIC_ASSERT ((int) TERN_MESSAGE_WARNING == (int) TERN_LOG_WARNING);
G_STATIC_ASSERT ((int) TERN_MESSAGE_INFO == (int) TERN_LOG_INFO);
G_STATIC_ASSERT ((int) TERN_MESSAGE_DEBUG == (int) TERN_LOG_DEBUG);

void
tern_set_message_func (TernMessageFunc func, void *data)
{
  /* The two types differ in the name of an enumeration with equal values. */
  tern_log_set ((TernLogFunc) (void (*) (void)) func, data);
}
