/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/quoted.h"

void
tern_append_quoted (GString *out, TernBytes bytes, guint chars)
{
  g_autofree char *text = g_utf8_make_valid (bytes.data ? bytes.data : "", bytes.len);
  const char *p = text;
  guint n;

  g_string_append_c (out, '"');
  for (n = 0; *p && n < chars; n++, p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (c == '\n')
      g_string_append (out, "\\n");
    else if (c == '"' || c == '\\')
      g_string_append_printf (out, "\\%c", (char) c);
    else if (g_unichar_isprint (c))
      g_string_append_unichar (out, c);
    else
      g_string_append_printf (out, "\\u{%x}", c);
  }
  g_string_append (out, *p ? "\"..." : "\"");
}
