/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/placeholders.h"

#include <string.h>

#include "tern/frames.h"

static const char *const names[] = { "{start}", "{end}", "{n_frames}", "{source}" };

/* The one that @at begins with, or -1. */
static gint
placeholder_at (const char *at)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_has_prefix (at, names[i]))
      return (gint) i;
  return -1;
}

gboolean
tern_placeholders_any (const char *text)
{
  for (const char *at = text; (at = strchr (at, '{')); at++)
    if (placeholder_at (at) >= 0)
      return TRUE;
  return FALSE;
}

static void
append_seconds (GString *out, guint64 ns)
{
  guint64 ms = ns / (TERN_SECOND / 1000) + (ns % (TERN_SECOND / 1000) >= TERN_SECOND / 2000);

  g_string_append_printf (out, "%" G_GUINT64_FORMAT ".%03u", ms / 1000, (guint) (ms % 1000));
  while (out->str[out->len - 1] == '0')
    g_string_truncate (out, out->len - 1);
  if (out->str[out->len - 1] == '.')
    g_string_truncate (out, out->len - 1);
}

char *
tern_placeholders_fill (const char *text, const TernPlaceholders *values)
{
  GString *out = g_string_new (NULL);

  while (*text) {
    gint which = placeholder_at (text);

    if (which < 0) {
      g_string_append_c (out, *text++);
      continue;
    }
    text += strlen (names[which]);
    if (which == 0)
      append_seconds (out, values->start);
    else if (which == 1)
      append_seconds (out, values->end);
    else if (which == 2)
      g_string_append_printf (out, "%u", values->n_frames);
    else
      g_string_append (out, values->source);
  }
  return g_string_free (out, FALSE);
}
