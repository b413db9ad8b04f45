/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the service manager how we are: sd_notify's protocol, a datagram to the socket that NOTIFY_SOCKET names. Nothing
 * happens where it names none. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Lines such as "READY=1\nSTATUS=watching". FALSE: there is nobody to tell, or telling failed. */
gboolean tern_notify (const char *lines);
/* us between two WATCHDOG=1, half of what WATCHDOG_USEC allows when WATCHDOG_PID is this process or not there; 0: nobody
 * waits for them. */
gint64 tern_notify_watchdog (void);

G_END_DECLS
