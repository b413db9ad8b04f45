/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of GGUF files in JSON. */
#pragma once

#include "engine/base/json.h"
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

/* Of any type, arrays in full. What JSON has no number for (infinities, integers beyond 2^63) is a string. */
void tern_json_gguf (TernJson *json, const TernGgufValue *value);

G_END_DECLS
