/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/subtitles.h"

#include <math.h>
#include <string.h>

void
tern_subtitles_head (TernSubtitles kind, GString *out)
{
  if (kind == TERN_SUBTITLES_VTT)
    g_string_append (out, "WEBVTT\n\n");
}

static void
put_time (TernSubtitles kind, guint64 ms, GString *out)
{
  g_string_append_printf (out, "%02u:%02u:%02u%c%03u", (guint) (ms / 3600000), (guint) (ms / 60000 % 60),
      (guint) (ms / 1000 % 60), kind == TERN_SUBTITLES_SRT ? ',' : '.', (guint) (ms % 1000));
}

/* An empty line would end the cue, and WebVTT reads markup. */
static void
put_text (TernSubtitles kind, const char *text, GString *out)
{
  g_auto (GStrv) lines = g_strsplit_set (text, "\r\n", -1);

  for (guint i = 0; lines[i]; i++) {
    if (*g_strstrip (lines[i]) == 0)
      continue;
    for (const char *p = lines[i]; *p; p++) {
      if (kind == TERN_SUBTITLES_VTT && strchr ("&<>", *p))
        g_string_append (out, *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : "&gt;");
      else
        g_string_append_c (out, *p);
    }
    g_string_append_c (out, '\n');
  }
}

gboolean
tern_subtitles_cue (TernSubtitles kind, guint number, double start, double end, const char *text, GString *out)
{
  guint64 from = llrint (MAX (start, 0) * 1000), to = llrint (MAX (end, 0) * 1000);

  if (strspn (text, " \t\r\n") == strlen (text))
    return FALSE;
  g_string_append_printf (out, "%u\n", number);
  put_time (kind, from, out);
  g_string_append (out, " --> ");
  put_time (kind, MAX (to, from + 1), out);     /* a cue lasts */
  g_string_append_c (out, '\n');
  put_text (kind, text, out);
  g_string_append_c (out, '\n');
  return TRUE;
}
