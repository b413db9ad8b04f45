/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/weights/gguf.h"

/* 32 hex digits that stand for an encoder: two files with the same id make the same tokens of the same picture. Reads
 * the header and a few dozen pages. Free with g_free. */
char *tern_encoder_id (const TernGguf *mmproj);
