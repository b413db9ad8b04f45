/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern caption` shall look at: what was named, and everything in folders. Whether a folder's file is a picture or a
 * video is seen when it is opened, so that each is opened once. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A folder that was named, and what became of the files in it. */
typedef struct {
  char *path;
  guint files, passed;          /* found; passed over, because they are neither pictures nor videos */
  GString *examples;            /* the first names that were passed over */
} TernCaptionFolder;

typedef struct {
  char *path;                   /* as named, or the folder's path and the file's name */
  TernCaptionFolder *folder;    /* NULL: it was named itself */
} TernCaptionInput;

typedef struct {
  GArray *inputs;               /* TernCaptionInput */
  GPtrArray *folders;           /* TernCaptionFolder */
} TernCaptionInputs;

/* The files that @operands (NULL-terminated) stand for, in order: a folder's, and those of the folders in it, sorted by
 * name; without those whose name begins with a dot. Folders that cannot be read are told on stderr and counted in *@failed. */
TernCaptionInputs *tern_caption_inputs (char **operands, guint *failed);
void tern_caption_inputs_free (TernCaptionInputs *inputs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernCaptionInputs, tern_caption_inputs_free)

/* @input is neither picture nor video. FALSE when that is an error: it was named, or has the name of one. */
gboolean tern_caption_input_pass (TernCaptionInput *input);

/* Tells how many files of each folder were passed over. Folders with nothing to see are counted in *@failed. */
void tern_caption_inputs_report (const TernCaptionInputs *inputs, guint *failed);

G_END_DECLS
