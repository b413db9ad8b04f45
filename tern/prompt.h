/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The token sequence of a prompt: what the file's own chat template makes of pictures and an instruction. */
#pragma once

#include "engine/llm/chat.h"
#include "engine/llm/tokenizer.h"
#include "vision/vision.h"

/* Stands in a prompt's ids where the next picture goes. */
#define TERN_PROMPT_IMAGE (-1)

/* Replaces the contents of @ids (gint32). User text never becomes a control token. UNSUPPORTED when the template does
 * not show what it is given. */
gboolean tern_prompt_compile (GArray *ids, const TernChat *chat, const TernTokenizer *tokenizer, const char *system,
    guint n_images, const char *text, GError **error);

/* What stands around a picture. */
typedef struct {
  gint32 start, end;
} TernPromptMarkers;

/* UNSUPPORTED names the control token that the vocabulary lacks. */
gboolean tern_prompt_markers (const TernTokenizer *tokenizer, const char *path, TernPromptMarkers *markers,
    GError **error);
/* The tag before a tile or thumbnail; -1: none is wanted (a picture in one piece). */
gboolean tern_prompt_tile (const TernTokenizer *tokenizer, const TernSubImage *sub, guint n_sub, gint32 *id,
    GError **error);
