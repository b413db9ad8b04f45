/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A series of tar files: a new one begins when the one at hand is full. From one thread.
 *
 * Bytes of the output (and ends in the journal) count samples of all tar files one behind the other, without the ends of
 * archives. Where a tar file begins among them is a mark of the journal, in front of the lines of its first sample: so
 * every part of a journal that is whole says which tar file was at hand, and what was whole in it. */
#pragma once

#include "tools/caption-output.h"

G_BEGIN_DECLS

/* Whether @path's last part has a %: it stands for a series, or is wrong. */
gboolean tern_caption_series_is_meant (const char *path);
/* Whether that is exactly one %0Nd, N from 1 to 9. */
gboolean tern_caption_series_is_right (const char *path);
/* @pattern with the number of the shard before that of the tar file, as wide as the largest one: shard-03-%06d.tar. */
char *tern_caption_series_of_shard (const char *pattern, guint shard, guint shards);

/* Paths (char *) of the series' tar files that are there, from the number @from on. */
GPtrArray *tern_caption_series_find (const char *pattern, guint64 from);

/* Finds the tar file to begin with, or to go on in (@out->tar and what is beside it), and removes what a run before made
 * that its journal does not vouch for; with --overwrite the whole series. FALSE with a message when there is one and neither
 * --overwrite nor the journal says that it may go. */
gboolean tern_caption_series_open (TernCaptionOutput *out);
/* Before a sample: ends the tar file at hand if it is full, brings it and the journal to the disk, and begins the next. When
 * it fails @out->lines has more than whole samples at its end. Errors: READ, NO_SPACE. */
gboolean tern_caption_series_make_room (TernCaptionOutput *out, GError **error);

G_END_DECLS
