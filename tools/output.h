/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file that appears under its name when it is complete: written beside it, then renamed. One that it replaces gives it its
 * mode; a link stays one, and what it names is replaced. Devices and pipes are written directly, and `-` is standard output. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _TernOutput TernOutput;

/* Errors (all functions): READ, NO_SPACE; the message names @path. */
TernOutput *tern_output_open (const char *path, GError **error);
gboolean tern_output_write (TernOutput *output, const void *data, gsize bytes, GError **error);
/* Brings what was written to the disk. */
gboolean tern_output_sync (TernOutput *output, GError **error);
/* Both free @output. Commit gives the file its name; discard leaves what was there before. */
gboolean tern_output_commit (TernOutput *output, GError **error);
void tern_output_discard (TernOutput *output);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernOutput, tern_output_discard)

/* Of a file that was made as @path: a new one is there after a power cut when its folder is on the disk too. Where folders cannot
 * be brought there they need not be. */
void tern_output_sync_folder (const char *path);

G_END_DECLS
