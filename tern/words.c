/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/words.h"

#include "tern/error.h"

gboolean
tern_word_parse (const char *name, const char *const *words, guint n, guint *which, GError **error)
{
  g_autoptr (GString) list = g_string_new (words[0]);

  for (*which = 0; *which < n; ++*which)
    if (g_str_equal (name, words[*which]))
      return TRUE;
  for (guint i = 1; i < n; i++)
    g_string_append_printf (list, "%s%s", i + 1 < n ? ", " : " or ", words[i]);
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected %s, found %s", list->str, name);
  return FALSE;
}
