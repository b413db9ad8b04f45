/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text from files on a terminal. */
#pragma once

#include "engine/weights/gguf.h"

G_BEGIN_DECLS

/* Appends at most @chars characters of @bytes in quotation marks. What could steer a terminal is written as its number. */
void tern_append_quoted (GString *out, TernBytes bytes, guint chars);

G_END_DECLS
