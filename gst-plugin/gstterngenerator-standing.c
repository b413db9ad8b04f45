/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterngenerator-standing.h"

#include <string.h>
#include "gstternfile.h"

#define MAX_FILE (1 << 20)      /* bytes */

/* By GstTernText. */
static const gchar *const names[GST_TERN_TEXTS] = {
  "prompt", "prompt-path", "task", "json-schema", "json-schema-path",
  "grammar", "grammar-path", "action-path"
};

/* ---- Life ---- */

GstTernStanding *
gst_tern_standing_new (void)
{
  return g_atomic_rc_box_new0 (GstTernStanding);
}

GstTernStanding *
gst_tern_standing_copy (const GstTernStanding * other)
{
  GstTernStanding *self = gst_tern_standing_new ();
  guint i;

  for (i = 0; i < GST_TERN_TEXTS; i++) {
    self->texts[i] = g_strdup (other->texts[i]);
    self->contents[i] = g_strdup (other->contents[i]);
  }
  self->prompts = g_strdupv (other->prompts);
  self->labels = g_strdupv (other->labels);
  self->min_confidence = other->min_confidence;
  self->prompt_id = g_strdup (other->prompt_id);
  self->max_tokens = other->max_tokens;
  return self;
}

GstTernStanding *
gst_tern_standing_ref (GstTernStanding * self)
{
  return g_atomic_rc_box_acquire (self);
}

static void
clear (gpointer data)
{
  GstTernStanding *self = data;
  guint i;

  for (i = 0; i < GST_TERN_TEXTS; i++) {
    g_free (self->texts[i]);
    g_free (self->contents[i]);
  }
  g_strfreev (self->prompts);
  g_strfreev (self->labels);
  g_free (self->prompt_id);
  for (i = 0; i < self->n_questions; i++) {
    g_free ((gchar *) self->questions[i].prompt);
    g_free ((gchar *) self->questions[i].prompt_id);
  }
  g_free (self->questions);
}

void
gst_tern_standing_unref (GstTernStanding * self)
{
  g_atomic_rc_box_release_full (self, clear);
}

/* ---- Settings ---- */

void
gst_tern_standing_set_text (GstTernStanding * self, GstTernText which,
    const gchar * text)
{
  g_free (self->texts[which]);
  self->texts[which] = g_strdup (text);
  g_clear_pointer (&self->contents[which], g_free);
}

/* ---- Prompts with ids ---- */

/* "ID=TEXT": where the text begins; the whole, when nothing that can be an id
 * stands before a '='. One begins with a letter: numbers are ours. */
static const gchar *
skip_id (const gchar * entry)
{
  gsize n = strspn (entry, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_.");

  return g_ascii_isalpha (*entry) && entry[n] == '=' ? entry + n + 1 : entry;
}

/* ---- What goes together ---- */

static gboolean
check_utf8 (const gchar * name, const gchar * text, GError ** error)
{
  if (!text || g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
      "%s: expected UTF-8 text, found other bytes", name);
  return FALSE;
}

/* Of @n settings one at most is set. */
static gboolean
check_one (const gchar * what, const gchar * const *set, guint n,
    GError ** error)
{
  const gchar *first = NULL;
  guint i;

  for (i = 0; i < n; i++) {
    if (set[i] && first) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
          "expected %s, found both %s and %s", what, first, set[i]);
      return FALSE;
    }
    first = set[i] ? set[i] : first;
  }
  return TRUE;
}

static const gchar *
name_if_set (const GstTernStanding * self, GstTernText which)
{
  return self->texts[which] ? names[which] : NULL;
}

static gboolean
check_exclusive (const GstTernStanding * self, GError ** error)
{
  const gchar *asked[] = {
    name_if_set (self, GST_TERN_TEXT_PROMPT),
    name_if_set (self, GST_TERN_TEXT_PROMPT_PATH),
    self->prompts ? "prompts" : NULL
  };
  const gchar *forms[] = {
    self->labels ? "labels" : NULL,
    name_if_set (self, GST_TERN_TEXT_JSON_SCHEMA),
    name_if_set (self, GST_TERN_TEXT_JSON_SCHEMA_PATH),
    name_if_set (self, GST_TERN_TEXT_GRAMMAR),
    name_if_set (self, GST_TERN_TEXT_GRAMMAR_PATH),
    name_if_set (self, GST_TERN_TEXT_ACTION_PATH)
  };

  return check_one ("prompt, prompt-path or prompts", asked,
      G_N_ELEMENTS (asked), error)
      && check_one ("labels, json-schema, json-schema-path, grammar, "
      "grammar-path or action-path", forms, G_N_ELEMENTS (forms), error);
}

/* Each once, and none empty. */
static gboolean
check_strings (const gchar * name, gchar ** strings, guint least, guint most,
    GError ** error)
{
  guint n = strings ? g_strv_length (strings) : 0, i;
  GHashTable *seen;
  gboolean ok = TRUE;

  if (!strings)
    return TRUE;
  if (n < least || n > most) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected %u to %u, found %u", name, least, most, n);
    return FALSE;
  }
  seen = g_hash_table_new (g_str_hash, g_str_equal);
  for (i = 0; i < n && ok; i++) {
    ok = check_utf8 (name, strings[i], error);
    if (ok && (!*strings[i] || !g_hash_table_add (seen, strings[i]))) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
          "%s: expected each once and with something in it, found \"%s\" at "
          "%u", name, strings[i], i);
      ok = FALSE;
    }
  }
  g_hash_table_unref (seen);
  return ok;
}

static gboolean
check_prompts (gchar ** prompts, GError ** error)
{
  guint n = prompts ? g_strv_length (prompts) : 0, i, j;

  if (!check_strings ("prompts", prompts, 1, TERN_QUESTIONS_MAX, error))
    return FALSE;
  for (i = 0; i < n; i++)
    for (j = 0; j < i; j++) {
      gsize a = skip_id (prompts[i]) - prompts[i];
      gsize b = skip_id (prompts[j]) - prompts[j];

      if (a > 0 && a == b && strncmp (prompts[i], prompts[j], a) == 0) {
        g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
            "prompts: expected each id once, found \"%.*s\" twice",
            (gint) a - 1, prompts[i]);
        return FALSE;
      }
    }
  return TRUE;
}

gboolean
gst_tern_standing_check (const GstTernStanding * self, GError ** error)
{
  guint i;

  for (i = 0; i < GST_TERN_TEXTS; i++)
    if (!check_utf8 (names[i], self->texts[i], error))
      return FALSE;
  return check_exclusive (self, error)
      && check_strings ("labels", self->labels, 2, TERN_LABELS_MAX, error)
      && check_prompts (self->prompts, error);
}

/* ---- Files ---- */

gboolean
gst_tern_standing_read (GstTernStanding * self, GstTernText which,
    GError ** error)
{
  const gchar *path = self->texts[which];
  gchar *text;
  gsize length;

  if (!gst_tern_read_file (path, MAX_FILE, &text, &length, error)) {
    g_prefix_error (error, "%s: ", names[which]);
    return FALSE;
  }
  if (strlen (text) != length || !g_utf8_validate (text, length, NULL)) {
    g_free (text);
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: %s: expected UTF-8 text, found other bytes", names[which], path);
    return FALSE;
  }
  g_free (self->contents[which]);
  self->contents[which] = g_strchomp (text);
  return TRUE;
}

/* ---- Questions ---- */

/* That of @which, or of the file that @path names. */
static const gchar *
text_of (const GstTernStanding * self, GstTernText which, GstTernText path)
{
  return self->texts[which] ? self->texts[which] : self->contents[path];
}

void
gst_tern_standing_make_questions (GstTernStanding * self, GstTernIdFunc id_of,
    gpointer data)
{
  const TernQuestion form = {
    .task = self->texts[GST_TERN_TEXT_TASK],
    .labels = (const gchar * const *) self->labels,
    .min_confidence = self->min_confidence,
    .json_schema = text_of (self, GST_TERN_TEXT_JSON_SCHEMA,
        GST_TERN_TEXT_JSON_SCHEMA_PATH),
    .grammar = text_of (self, GST_TERN_TEXT_GRAMMAR,
        GST_TERN_TEXT_GRAMMAR_PATH),
    .action = self->texts[GST_TERN_TEXT_ACTION_PATH] != NULL,
    .max_tokens = self->max_tokens
  };
  guint i;

  self->n_questions = self->prompts ? g_strv_length (self->prompts) : 1;
  self->questions = g_new (TernQuestion, self->n_questions);
  for (i = 0; i < self->n_questions; i++) {
    TernQuestion *question = &self->questions[i];
    const gchar *entry = self->prompts ? self->prompts[i] : NULL;
    const gchar *prompt = entry ? skip_id (entry) :
        text_of (self, GST_TERN_TEXT_PROMPT, GST_TERN_TEXT_PROMPT_PATH);

    *question = form;
    question->prompt = g_strdup (prompt);
    if (entry && prompt > entry)
      question->prompt_id = g_strndup (entry, prompt - entry - 1);
    else if (self->prompt_id)
      question->prompt_id = g_strdup (self->prompt_id);
    else if (!prompt && form.task)
      question->prompt_id = g_strdup (form.task);
    else
      question->prompt_id = id_of (data, prompt);
  }
}
