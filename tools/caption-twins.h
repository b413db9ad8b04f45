/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inputs of one folder that have the same name but for its suffix, as another run that does a part of them cannot know. From one
 * thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  char *folder;                 /* the last one that was looked at; NULL: none was */
  GHashTable *stems;            /* hashes of its pictures' and videos' names without their suffixes; of how many */
} TernCaptionTwins;

/* Whether the file @path may not be called by its stem: another picture or video there has the same, or it is a file's name. What
 * has no picture's or video's suffix has none to spare. */
gboolean tern_caption_twins_have (TernCaptionTwins *twins, const char *path);
void tern_caption_twins_clear (TernCaptionTwins *twins);

G_END_DECLS
