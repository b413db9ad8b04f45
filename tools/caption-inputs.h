/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern caption` shall look at: files as given, and the pictures and videos in folders. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The files that @operands (NULL-terminated) stand for, in order: a folder's, and those of the folders in it, sorted by
 * name. Folder entries are picked by their suffix. An array of strings with a free function. Folders that cannot be read or
 * hold nothing to see are told on stderr and counted in *@failed. */
GPtrArray *tern_caption_inputs (char **operands, guint *failed);

G_END_DECLS
