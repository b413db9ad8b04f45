/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a prompt says about the window that it asks about: {start}, {end}, {n_frames}, {source}. */
#pragma once

#include <glib.h>

typedef struct {
  guint64 start, end;           /* ns of stream time */
  guint n_frames;
  const char *source;
} TernPlaceholders;

gboolean tern_placeholders_any (const char *text);
/* @text with them filled in, seconds to the millisecond; another brace stays as it is. Free it with g_free. */
char *tern_placeholders_fill (const char *text, const TernPlaceholders *values);
