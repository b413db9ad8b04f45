/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Samples of a WebDataset: a tar file in which an input and its caption stand together, KEY.jpg and KEY.txt. */
#pragma once

#include <stdio.h>

#include "tools/batch-list.h"

G_BEGIN_DECLS

/* Whether this program can write them. */
gboolean tern_caption_tar_is_there (void);

/* What tells @input's sample from others: its name below what was named, without the suffix; dots become _, since readers
 * end a key at the first one. */
char *tern_caption_tar_key (const TernBatchInput *input);

/* Appends @input's bytes and @text under @key: whole blocks, without the end of the archive. What was written when it fails
 * is the caller's to cut. Errors: READ (the input, or what is written to), UNSUPPORTED (the input has no bytes to read
 * again), NO_SPACE. */
gboolean tern_caption_tar_add (FILE *tar, const TernBatchInput *input, const char *key, const char *text, GError **error);

/* The end of the archive. FALSE: errno says why. */
gboolean tern_caption_tar_end (FILE *tar);

G_END_DECLS
