/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of a list, as --files-from has them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Calls @take for each name that @fd has, as it comes, until it returns FALSE. A name ends with a line or, where there is one in
 * what is read first, or in the first name, with a NUL (find -print0): then lines are part of names. Why the list cannot be read
 * to its end, to be freed; NULL: it was, or nobody wants more. */
char *tern_batch_names_read (int fd, gboolean (*take) (const char *name, void *data), void *data);

G_END_DECLS
