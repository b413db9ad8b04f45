/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternvalue.h"

#include "tern/tern.h"

/* ---- Strings ---- */

/* An element of @value, or NULL: there is none, or it is no string. */
static const gchar *
string_at (const GValue * value, guint i)
{
  const GValue *element = GST_VALUE_HOLDS_ARRAY (value) ?
      gst_value_array_get_value (value, i) : gst_value_list_get_value (value,
      i);

  return G_VALUE_HOLDS_STRING (element) ? g_value_get_string (element) : NULL;
}

gboolean
gst_tern_strings_from_value (const GValue * value, const gchar * name,
    gchar *** strings, GError ** error)
{
  GPtrArray *all;
  guint i, n;

  *strings = NULL;
  if (G_VALUE_HOLDS (value, G_TYPE_STRV)) {
    gchar **strv = g_value_get_boxed (value);

    *strings = strv && strv[0] ? g_strdupv (strv) : NULL;
    return TRUE;
  }
  if (!GST_VALUE_HOLDS_ARRAY (value) && !GST_VALUE_HOLDS_LIST (value)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected an array of strings, found a %s", name,
        G_VALUE_TYPE_NAME (value));
    return FALSE;
  }

  n = GST_VALUE_HOLDS_ARRAY (value) ? gst_value_array_get_size (value) :
      gst_value_list_get_size (value);
  all = g_ptr_array_new_with_free_func (g_free);
  for (i = 0; i < n && string_at (value, i); i++)
    g_ptr_array_add (all, g_strdup (string_at (value, i)));
  if (i < n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected strings, found something else at %u", name, i);
    g_ptr_array_unref (all);
    return FALSE;
  }
  g_ptr_array_add (all, NULL);
  if (n > 0)
    *strings = (gchar **) g_ptr_array_steal (all, NULL);
  g_ptr_array_unref (all);
  return TRUE;
}

void
gst_tern_strings_to_value (const gchar * const *strings, GValue * value)
{
  for (; strings && *strings; strings++) {
    GValue string = G_VALUE_INIT;

    g_value_init (&string, G_TYPE_STRING);
    g_value_set_string (&string, *strings);
    gst_value_array_append_and_take_value (value, &string);
  }
}

/* ---- Fields ---- */

const GValue *
gst_tern_structure_get_array (const GstStructure * structure,
    const gchar * name, GType type)
{
  const GValue *array = gst_structure_get_value (structure, name);
  guint i, n;

  if (!array || !GST_VALUE_HOLDS_ARRAY (array))
    return NULL;
  n = gst_value_array_get_size (array);
  for (i = 0; i < n; i++)
    if (!G_VALUE_HOLDS (gst_value_array_get_value (array, i), type))
      return NULL;
  return array;
}
