/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/weights/gguf.h"

/* 32 hex digits that stand for an encoder: two files with the same id make the same tokens of the same picture. Reads
 * the header and a few dozen pages. Free with g_free. */
char *tern_encoder_id (const TernGguf *mmproj);

/* The same for a language model: two files with the same id say the same. Of gigabytes it sees pages, so what differs in a few
 * weights alone may pass. Free with g_free. */
char *tern_model_file_id (const TernGguf *file);
