/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files a model is made of. */
#pragma once

#include <glib.h>

/* The file that @model_path names, be it the file or the folder that holds it, or the bundled model: an absolute path as
 * it was named, links and all, for its neighbours lie beside that name. Of several bundled ones, the build's own
 * (free-models-only: the watcher, else the captioner). NULL + NOT_FOUND lists where it was looked for,
 * or the candidates. */
char *tern_model_find_text (const char *model_path, GError **error);
/* The one *mmproj*.gguf beside @text_path, from tern_model_find_text(), or of several the one called
 * as the model is (mmproj-tern-watcher-4m-f16.gguf beside tern-watcher-4m-tq2_0.gguf): in the folder of that name, else in
 * those of what it links to, link by link (a Hugging Face cache keeps names in one folder and files in another). A real path.
 * NULL + NOT_FOUND names the folders or the candidates. */
char *tern_model_find_mmproj (const char *text_path, GError **error);
/* realpath() with an error that names @path. */
char *tern_model_real_path (const char *path, GError **error);
/* The same of a language model, which may be in several files: where the real name does not say which of them it is, the first link
 * that does, in its real folder, for the others lie beside that. */
char *tern_model_real_file (const char *path, GError **error);

/* For tests: the program or library that this code is in, an absolute path; NULL when the system does not tell. */
char *tern_model_own_path (void);
/* For tests: where the installation that has @own_path in its folder of programs or of libraries keeps the bundled
 * models, wherever it was moved to; NULL when @own_path is in neither. */
char *tern_model_installed_beside (const char *own_path);
