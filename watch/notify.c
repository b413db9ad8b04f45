/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A name that begins with @ is one of Linux's that are in no folder. */
gboolean
tern_notify (const char *lines)
{
  const char *path = g_getenv ("NOTIFY_SOCKET");
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  gssize sent;
  gsize len;
  int fd;

  if (!path || (*path != '/' && *path != '@') || (len = strlen (path)) >= sizeof address.sun_path)
    return FALSE;
  memcpy (address.sun_path, path, len);
  if (*path == '@')
    address.sun_path[0] = 0;
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return FALSE;
  sent = sendto (fd, lines, strlen (lines), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *) &address,
      (socklen_t) (offsetof (struct sockaddr_un, sun_path) + len));
  close (fd);
  return sent == (gssize) strlen (lines);
}

gint64
tern_notify_watchdog (void)
{
  const char *us = g_getenv ("WATCHDOG_USEC"), *pid = g_getenv ("WATCHDOG_PID");
  guint64 value, whose;

  if (!us || !g_ascii_string_to_unsigned (us, 10, 1, G_MAXINT64, &value, NULL))
    return 0;
  if (pid && (!g_ascii_string_to_unsigned (pid, 10, 1, G_MAXINT32, &whose, NULL) || (pid_t) whose != getpid ()))
    return 0;
  return (gint64) (value / 2);
}
