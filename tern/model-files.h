/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files a model is made of. */
#pragma once

#include <glib.h>

/* @model_path, or the bundled model: a real path. NULL + NOT_FOUND lists where it was looked for, or the candidates. */
char *tern_model_find_text (const char *model_path, GError **error);
/* The one mmproj*.gguf beside @text_path. NULL + NOT_FOUND names the candidates. */
char *tern_model_find_mmproj (const char *text_path, GError **error);
/* realpath() with an error that names @path. */
char *tern_model_real_path (const char *path, GError **error);
