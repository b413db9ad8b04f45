/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/key-file.h"

#include <string.h>

#include "tern/error.h"
#include "engine/base/readfile.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"        /* of editors that begin UTF-8 with one */

typedef struct {
  guint line;
  gboolean known;
} Place;

typedef struct {
  guint line;
  char *text;
} Mistake;

struct _TernKeyFile {
  char *path;
  GKeyFile *file;
  GPtrArray *groups;            /* names, NULL at the end */
  GHashTable *places;           /* "group" or "group\nkey" -> Place */
  GArray *mistakes;             /* Mistake */
};

static void
mistake_clear (gpointer mistake)
{
  g_free (((Mistake *) mistake)->text);
}

void
tern_key_file_free (TernKeyFile *keys)
{
  if (!keys)
    return;
  g_free (keys->path);
  g_key_file_unref (keys->file);
  g_ptr_array_unref (keys->groups);
  g_hash_table_unref (keys->places);
  g_array_unref (keys->mistakes);
  g_free (keys);
}

static void
add_mistake (TernKeyFile *keys, guint line, char *text)
{
  Mistake mistake = { line, text };

  g_array_append_val (keys->mistakes, mistake);
}

static Place *
find_place (const TernKeyFile *keys, const char *group, const char *key)
{
  g_autofree char *name = key ? g_strconcat (group, "\n", key, NULL) : g_strdup (group);

  return g_hash_table_lookup (keys->places, name);
}

/* FALSE: it is there already, as was told. */
static gboolean
add_place (TernKeyFile *keys, const char *group, const char *key, guint line)
{
  Place *place = find_place (keys, group, key);

  if (place) {
    add_mistake (keys, line, key ? g_strdup_printf ("%s: expected once, found in line %u too", key, place->line)
        : g_strdup_printf ("[%s]: expected once, found in line %u too", group, place->line));
    return FALSE;
  }
  place = g_new0 (Place, 1);
  place->line = line;
  g_hash_table_insert (keys->places, key ? g_strconcat (group, "\n", key, NULL) : g_strdup (group), place);
  return TRUE;
}

static gboolean
is_key (const char *key)
{
  for (const char *p = key; *p; p++)
    if (!g_ascii_isalnum (*p) && *p != '-')
      return FALSE;
  return *key != 0;
}

/* "[name]": the name (transfer full), or NULL as was told. */
static char *
read_group (TernKeyFile *keys, const char *text, guint line)
{
  gsize len = strlen (text);

  if (len < 3 || text[len - 1] != ']' || memchr (text + 1, '[', len - 1) || memchr (text, ']', len - 1)) {
    add_mistake (keys, line, g_strdup_printf ("expected [GROUP], found %s", text));
    return NULL;
  }
  return g_strndup (text + 1, len - 2);
}

/* Whether a line may stay; *@group is the one that it is in, NULL in one that is left out. */
static gboolean
read_line (TernKeyFile *keys, const char *line, guint number, char **group, gboolean *any)
{
  g_autofree char *text = g_strstrip (g_strdup (line));
  g_autofree char *key = NULL;
  char *equals;

  if (!*text || *text == '#')
    return TRUE;
  if (*text == '[') {
    g_free (*group);
    *any = TRUE;
    *group = read_group (keys, text, number);
    if (*group && !add_place (keys, *group, NULL, number))
      g_clear_pointer (group, g_free);
    if (*group)
      g_ptr_array_add (keys->groups, g_strdup (*group));
    return *group != NULL;
  }
  equals = strchr (text, '=');
  key = equals ? g_strchomp (g_strndup (text, equals - text)) : NULL;
  if (!key || !is_key (key)) {
    add_mistake (keys, number, g_strdup_printf ("expected KEY=VALUE, [GROUP] or a comment that begins with #, found %s",
            text));
    return FALSE;
  }
  if (!*any)
    add_mistake (keys, number, g_strdup_printf ("%s: expected a [GROUP] first", key));
  return *group && add_place (keys, *group, key, number);
}

static void
read_lines (TernKeyFile *keys, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GString) good = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *group = NULL;
  gboolean any = FALSE;

  for (guint i = 0; lines[i]; i++)
    if (read_line (keys, lines[i], i + 1, &group, &any))
      g_string_append_printf (good, "%s\n", g_strstrip (lines[i]));
  g_ptr_array_add (keys->groups, NULL);
  if (!g_key_file_load_from_data (keys->file, good->str, good->len, G_KEY_FILE_NONE, &error))
    add_mistake (keys, 1, g_strdup (error->message));
}

TernKeyFile *
tern_key_file_read (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  TernKeyFile *keys;
  gsize len;

  text = tern_file_read (path, TERN_KEY_FILE_MAX, &len, error);
  if (!text)
    return NULL;
  if (!g_utf8_validate (text, len, NULL) || strlen (text) != len) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected UTF-8 text, found other bytes", path);
    return NULL;
  }
  keys = g_new0 (TernKeyFile, 1);
  keys->path = g_strdup (path);
  keys->file = g_key_file_new ();
  keys->groups = g_ptr_array_new_with_free_func (g_free);
  keys->places = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  keys->mistakes = g_array_new (FALSE, FALSE, sizeof (Mistake));
  g_array_set_clear_func (keys->mistakes, mistake_clear);
  read_lines (keys, text + (g_str_has_prefix (text, BYTE_ORDER_MARK) ? strlen (BYTE_ORDER_MARK) : 0));
  return keys;
}

const char *const *
tern_key_file_groups (const TernKeyFile *keys)
{
  return (const char *const *) keys->groups->pdata;
}

gboolean
tern_key_file_has_group (const TernKeyFile *keys, const char *group)
{
  return find_place (keys, group, NULL) != NULL;
}

char *
tern_key_file_string (TernKeyFile *keys, const char *group, const char *key)
{
  Place *place = find_place (keys, group, key);
  g_autoptr (GError) error = NULL;
  char *value;

  if (!place)
    return NULL;
  place->known = TRUE;
  value = g_key_file_get_string (keys->file, group, key, &error);
  if (!value)
    tern_key_file_mistake (keys, group, key, "%s", error->message);
  return value;
}

char **
tern_key_file_list (TernKeyFile *keys, const char *group, const char *key)
{
  Place *place = find_place (keys, group, key);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) items = NULL;
  GPtrArray *list;

  if (!place)
    return NULL;
  place->known = TRUE;
  items = g_key_file_get_string_list (keys->file, group, key, NULL, &error);
  if (!items) {
    tern_key_file_mistake (keys, group, key, "%s", error->message);
    return NULL;
  }
  list = g_ptr_array_new ();
  for (guint i = 0; items[i]; i++)
    if (*g_strstrip (items[i]))
      g_ptr_array_add (list, g_strdup (items[i]));
  g_ptr_array_add (list, NULL);
  return (char **) g_ptr_array_free (list, FALSE);
}

char *
tern_key_file_text (const TernKeyFile *keys, const char *group)
{
  g_auto (GStrv) names = g_key_file_get_keys (keys->file, group, NULL, NULL);
  GString *text = g_string_new (NULL);

  for (guint i = 0; names && names[i]; i++) {
    g_autofree char *value = g_key_file_get_value (keys->file, group, names[i], NULL);

    g_string_append_printf (text, "%s=%s\n", names[i], value);
  }
  return g_string_free (text, FALSE);
}

void
tern_key_file_mistake (TernKeyFile *keys, const char *group, const char *key, const char *format, ...)
{
  const Place *place = key ? find_place (keys, group, key) : NULL;
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  if (!place)
    place = find_place (keys, group, NULL);
  add_mistake (keys, place ? place->line : 1, key ? g_strdup_printf ("%s: %s", key, what)
      : g_strdup_printf ("[%s]: %s", group, what));
}

static int
compare_mistakes (gconstpointer a, gconstpointer b)
{
  const Mistake *x = a, *y = b;

  return x->line < y->line ? -1 : x->line > y->line ? 1 : strcmp (x->text, y->text);
}

static void
find_unknown (TernKeyFile *keys)
{
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init (&iter, keys->places);
  while (g_hash_table_iter_next (&iter, &name, &value)) {
    const Place *place = value;
    const char *key = strchr (name, '\n');

    if (key && !place->known)
      add_mistake (keys, place->line, g_strdup_printf ("%s: no such key in [%.*s]", key + 1,
              (int) (key - (const char *) name), (const char *) name));
  }
}

gboolean
tern_key_file_check (TernKeyFile *keys, GError **error)
{
  g_autoptr (GString) all = g_string_new (NULL);

  find_unknown (keys);
  if (keys->mistakes->len == 0)
    return TRUE;
  g_array_sort (keys->mistakes, compare_mistakes);
  for (guint i = 0; i < keys->mistakes->len; i++) {
    const Mistake *mistake = &g_array_index (keys->mistakes, Mistake, i);

    g_string_append_printf (all, "%s%s:%u: %s", i ? "\n" : "", keys->path, mistake->line, mistake->text);
  }
  g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, all->str);
  return FALSE;
}
