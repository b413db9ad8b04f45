/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that are read whole, and what is taken for a file at all: regular ones. A pipe would make us wait for its
 * writer, a device such as /dev/zero has no end. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* The mark (U+FEFF) that some editors put before the first line of a file; no part of its text. */
#define TERN_BOM "\357\273\277"

/* A descriptor for reading the regular file @path, and what fstat() says of it; -1 with NOT_FOUND or READ, which names
 * @path and what was found instead. Never waits. */
int tern_file_open (const char *path, struct stat *st, GError **error);

/* All of @path, which holds at most @most bytes; a zero byte follows, and *@size (may be NULL) does not count it.
 * Errors: NOT_FOUND, READ (not a regular file; too large: the message says how much is taken). Free: g_free(). */
char *tern_file_read (const char *path, gsize most, gsize *size, GError **error);

/* Likewise what comes from @fd until its end, whatever it is: standard input. @name is for messages. */
char *tern_file_read_stream (int fd, const char *name, gsize most, gsize *size, GError **error);

G_END_DECLS
