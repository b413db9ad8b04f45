/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/forms.h"

#include <string.h>

#include "engine/base/readfile.h"
#include "tern/tasks.h"

#define MOST_BYTES ((gsize) 4 << 20)    /* of a schema or grammar */

/* ---- Labels ------------------------------------------------------------------------------------------------------ */

static void
take_label (GPtrArray *labels, GString *label)
{
  g_ptr_array_add (labels, g_strstrip (g_strdup (label->str)));
  g_string_truncate (label, 0);
}

char **
tern_form_labels (const char *option, const char *text, GError **error)
{
  g_autoptr (GPtrArray) labels = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) label = g_string_new (NULL);
  g_autofree char *problem = NULL;

  if (*text == '<' && g_str_has_suffix (text, ">") && strchr (text, ',')) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected LABEL,LABEL, found %s: brackets are the notation of gst-launch-1.0",
        option, text);
    return NULL;
  }
  for (const char *p = text; *p; p++) {
    if (*p == '\\' && (p[1] == ',' || p[1] == '\\'))
      g_string_append_c (label, *++p);
    else if (*p == ',')
      take_label (labels, label);
    else
      g_string_append_c (label, *p);
  }
  take_label (labels, label);
  g_ptr_array_add (labels, NULL);
  if (tern_task_labels_are_good ((const char *const *) labels->pdata, &problem))
    return (char **) g_ptr_array_free (g_steal_pointer (&labels), FALSE);
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: %s", option, problem);
  return NULL;
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

/* Line and column of the first byte that is not of UTF-8, counted from 1. */
static void
bad_utf8 (const char *path, const char *text, const char *bad, GError **error)
{
  guint line = 1, column = 1;

  for (; text < bad; text++) {
    column = *text == '\n' ? 1 : column + (((guchar) *text & 0xc0) != 0x80);
    line += *text == '\n';
  }
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: line %u, column %u: expected UTF-8, found the byte 0x%02x", path,
      line, column, (guchar) *bad);
}

static char *
read_form (const char *path, TernGrammar *(*parse) (const char *text, GError **error), TernGrammar **grammar, GError **error)
{
  gsize size;
  g_autofree char *text = tern_file_read (path, MOST_BYTES, &size, error);
  g_autoptr (TernGrammar) parsed = NULL;
  g_autoptr (GError) failure = NULL;
  const char *bad;

  if (!text)
    return NULL;
  if (!g_utf8_validate (text, (gssize) size, &bad)) {
    bad_utf8 (path, text, bad, error);
    return NULL;
  }
  parsed = parse (text, &failure);
  if (!parsed) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: %s", path, failure->message);
    return NULL;
  }
  if (grammar)
    *grammar = g_steal_pointer (&parsed);
  return g_steal_pointer (&text);
}

char *
tern_form_schema (const char *path, TernGrammar **grammar, GError **error)
{
  return read_form (path, tern_grammar_from_json_schema, grammar, error);
}

char *
tern_form_grammar (const char *path, TernGrammar **grammar, GError **error)
{
  return read_form (path, tern_grammar_from_gbnf, grammar, error);
}
