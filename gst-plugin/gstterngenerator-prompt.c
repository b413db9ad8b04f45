/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prompt: the properties `prompt` and `prompt-path`, of which one is set,
 * and the text in force. In NULL both can be set, for settings come in any
 * order; from READY on the one that is set last unsets the other. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternfile.h"

#define MAX_FILE (1 << 20)      /* bytes */
#define MAX_IDS 4096            /* texts whose ids are known */

/* The key of a text in the table of ids. */
static gchar *
key_of (const gchar * text)
{
  return text ? g_strconcat ("=", text, NULL) : g_strdup ("");
}

static guint
id_of (GstTernGenerator * self, const gchar * text)
{
  gchar *key = key_of (text);
  gpointer id;

  if (!self->prompt_ids)
    self->prompt_ids =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (g_hash_table_lookup_extended (self->prompt_ids, key, NULL, &id)) {
    g_free (key);
    return GPOINTER_TO_UINT (id);
  }
  if (g_hash_table_size (self->prompt_ids) >= MAX_IDS)
    g_hash_table_remove_all (self->prompt_ids);
  id = GUINT_TO_POINTER (self->next_prompt_id++);
  g_hash_table_insert (self->prompt_ids, key, id);
  return GPOINTER_TO_UINT (id);
}

void
gst_tern_generator_get_prompt (GstTernGenerator * self, gchar ** prompt,
    gchar ** id)
{
  GST_OBJECT_LOCK (self);
  *prompt = g_strdup (self->prompt_text);
  GST_OBJECT_UNLOCK (self);
  *id = g_strdup_printf ("%u", id_of (self, *prompt));
}

static gboolean
check_utf8 (const gchar * text, GError ** error)
{
  if (!text || g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
      "prompt: expected UTF-8 text, found other bytes");
  return FALSE;
}

static gboolean
read_prompt_file (const gchar * path, gchar ** text, GError ** error)
{
  gsize length;

  if (!gst_tern_read_file (path, MAX_FILE, text, &length, error)) {
    g_prefix_error (error, "prompt-path: ");
    return FALSE;
  }
  if (strlen (*text) != length || !g_utf8_validate (*text, length, NULL)) {
    g_clear_pointer (text, g_free);
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "prompt-path: %s: expected UTF-8 text, found other bytes", path);
    return FALSE;
  }
  g_strchomp (*text);
  return TRUE;
}

/* What runs goes on with what it has when it does not take @text. */
static gboolean
try_prompt (GstTernGenerator * self, const gchar * text, GError ** error)
{
  gboolean ok = TRUE, known;
  gchar *key = key_of (text);

  known = self->prompt_ids
      && g_hash_table_contains (self->prompt_ids, key);
  g_mutex_lock (&self->session_lock);
  if (self->session) {
    gchar *id = g_strdup_printf ("%u",
        known ? id_of (self, text) : self->next_prompt_id);

    ok = tern_session_set_prompt (self->session, text, id, error);
    if (ok)
      id_of (self, text);
    g_free (id);
  }
  g_mutex_unlock (&self->session_lock);
  g_free (key);
  return ok;
}

/* Takes the three strings over. */
static void
store (GstTernGenerator * self, gchar * prompt, gchar * path, gchar * text)
{
  GST_OBJECT_LOCK (self);
  g_free (self->prompt);
  g_free (self->prompt_path);
  g_free (self->prompt_text);
  self->prompt = prompt;
  self->prompt_path = path;
  self->prompt_text = text;
  GST_OBJECT_UNLOCK (self);
}

static void
warn (GstTernGenerator * self, GError * error)
{
  if (!error)
    return;
  GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
      ("The prompt was not changed."), ("%s", error->message));
  g_error_free (error);
}

static gboolean
is_in_null (GstTernGenerator * self)
{
  gboolean is;

  GST_OBJECT_LOCK (self);
  is = GST_STATE (self) == GST_STATE_NULL;
  GST_OBJECT_UNLOCK (self);
  return is;
}

void
gst_tern_generator_set_prompt (GstTernGenerator * self, const gchar * prompt)
{
  GError *error = NULL;

  g_mutex_lock (&self->prompt_lock);
  if (is_in_null (self)) {
    store (self, g_strdup (prompt), g_strdup (self->prompt_path), NULL);
  } else if ((prompt || !self->prompt_path) && check_utf8 (prompt, &error)
      && try_prompt (self, prompt, &error)) {
    store (self, g_strdup (prompt), NULL, g_strdup (prompt));
  }
  g_mutex_unlock (&self->prompt_lock);
  warn (self, error);
}

void
gst_tern_generator_set_prompt_path (GstTernGenerator * self,
    const gchar * path)
{
  GError *error = NULL;
  gchar *text = NULL;

  g_mutex_lock (&self->prompt_lock);
  if (is_in_null (self)) {
    store (self, g_strdup (self->prompt), g_strdup (path), NULL);
  } else if ((path || self->prompt_path) && (!path
          || read_prompt_file (path, &text, &error))
      && try_prompt (self, text, &error)) {
    store (self, NULL, g_strdup (path), g_steal_pointer (&text));
  }
  g_mutex_unlock (&self->prompt_lock);
  g_free (text);
  warn (self, error);
}

gboolean
gst_tern_generator_check_prompt (GstTernGenerator * self, GError ** error)
{
  gchar *text = NULL;
  gboolean ok;

  g_mutex_lock (&self->prompt_lock);
  ok = !self->prompt || !self->prompt_path;
  if (!ok)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected prompt or prompt-path, found both");
  else if (self->prompt_path)
    ok = read_prompt_file (self->prompt_path, &text, error);
  else if ((ok = check_utf8 (self->prompt, error)))
    text = g_strdup (self->prompt);
  if (ok)
    store (self, g_strdup (self->prompt), g_strdup (self->prompt_path), text);
  g_mutex_unlock (&self->prompt_lock);
  return ok;
}

void
gst_tern_generator_clear_prompt (GstTernGenerator * self)
{
  store (self, NULL, NULL, NULL);
  g_clear_pointer (&self->prompt_ids, g_hash_table_unref);
}
