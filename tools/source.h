/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the bytes of a picture or video come from: a file, a stream that can be read once (`-`, a FIFO), an address. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_SOURCE_FILE,             /* any byte at any time */
  TERN_SOURCE_STREAM,           /* its first bytes at any time, the others once */
  TERN_SOURCE_ADDRESS,          /* libavformat opens it */
} TernSourceKind;

typedef struct _TernSource TernSource;

/* @input: a path, `-` for standard input, or, when the network is allowed, a URL. Errors: NOT_FOUND, READ, FORMAT (empty,
 * a folder), INVALID (an address that is not allowed). */
TernSource *tern_source_open (const char *input, gboolean allow_network, GError **error);

/* The same with an end to waiting. @fd: unless -1, what is read in place of @input, which then is its name alone; not taken.
 * @stop: (nullable): when it is no longer 0 (any thread sets it), whatever waits for a stream fails within a tenth of a
 * second, with READ. Lives as long as the source. */
TernSource *tern_source_open_full (const char *input, gboolean allow_network, int fd, const gint *stop, GError **error);
void tern_source_free (TernSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernSource, tern_source_free)

/* Bytes in memory, as a FILE; @name is for messages. FORMAT: there are none. */
TernSource *tern_source_new_bytes (GBytes *bytes, const char *name, GError **error);

/* "scheme://..." that is not the name of a file. */
gboolean tern_source_is_address (const char *input);

/* An address without what stands before its @; another input as it is. Free with g_free. */
char *tern_source_public_name (const char *input);

/* What tells a name from others that JSON cannot: its bytes, all but ASCII letters, digits and -._~/ as %XX, which is what
 * Python's urllib.parse.unquote_to_bytes() reads. NULL: @name is UTF-8, and JSON has it as it is. Free with g_free. */
char *tern_source_bytes (const char *name);

TernSourceKind tern_source_kind (const TernSource *source);
const char *tern_source_name (const TernSource *source);        /* for messages: an address without its password */
/* What libavformat opens by its name, NULL for what it must read through tern_source_take(). */
const char *tern_source_url (const TernSource *source);
guint64 tern_source_size (const TernSource *source);            /* G_MAXUINT64: unknown */

/* Bytes at @offset: all @n, or fewer at the end and beyond what is at hand of a stream. */
gsize tern_source_read (const TernSource *source, guint64 offset, void *to, gsize n);

/* In turn: the next bytes, 0 at the end, -errno. */
gssize tern_source_take (TernSource *source, void *to, gsize n);
gboolean tern_source_seek (TernSource *source, guint64 offset);  /* FALSE: it is a stream */

/* From now on a FILE is the whole file's bytes from @offset, at most @size of them (G_MAXUINT64: all), as if they were one. */
void tern_source_narrow (TernSource *source, guint64 offset, guint64 size);

/* Keeps all of a stream in a temporary file without a name: then it is a FILE. */
gboolean tern_source_spool (TernSource *source, GError **error);

G_END_DECLS
