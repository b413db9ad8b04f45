/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What no output replaces: a file that is an input of the same run, by whatever name. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _TernCaptionInputs TernCaptionInputs;

/* Of what is named, and of the list @files_from (nullable) where it is a file, which is read for that. Names that come from a
 * pipe or standard input are not known before they come. */
TernCaptionInputs *tern_caption_inputs_new (char **operands, const char *files_from);
void tern_caption_inputs_free (TernCaptionInputs *inputs);

/* Whether the file @path is among those that are named. */
gboolean tern_caption_inputs_have (const TernCaptionInputs *inputs, const char *path);
/* Whether it is an input, or may be one: pictures and videos in folders that are looked through, and, where names
 * are not known, any picture, video or tar file. */
gboolean tern_caption_inputs_may_have (const TernCaptionInputs *inputs, const char *path);
/* Not all names are known. */
gboolean tern_caption_inputs_are_open (const TernCaptionInputs *inputs);

G_END_DECLS
