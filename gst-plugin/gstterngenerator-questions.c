/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The settings that say what is asked. In NULL they come in any order, and what
 * does not go together is an error on the way to READY; from READY on each
 * change is tried at once, and what is not taken changes nothing. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternvalue.h"

#define MAX_IDS 4096            /* texts whose ids are known */

/* ---- Ids of prompts ---- */

/* The key of a text in the table of ids. */
static gchar *
key_of (const gchar * text)
{
  return text ? g_strconcat ("=", text, NULL) : g_strdup ("");
}

static gchar *
id_of (gpointer generator, const gchar * text)
{
  GstTernGenerator *self = generator;
  gchar *key = key_of (text);
  gpointer id;

  if (g_hash_table_lookup_extended (self->prompt_ids, key, NULL, &id)) {
    g_free (key);
  } else {
    if (g_hash_table_size (self->prompt_ids) >= MAX_IDS)
      g_hash_table_remove_all (self->prompt_ids);
    id = GUINT_TO_POINTER (self->next_prompt_id++);
    g_hash_table_insert (self->prompt_ids, key, id);
  }
  return g_strdup_printf ("%u", GPOINTER_TO_UINT (id));
}

gchar *
gst_tern_generator_prompt_id (GstTernGenerator * self, const gchar * prompt)
{
  return id_of (self, prompt);
}

static gboolean
is_newer (gpointer key, gpointer id, gpointer first)
{
  return GPOINTER_TO_UINT (id) >= GPOINTER_TO_UINT (first);
}

/* Ids from @first on were given for nothing. */
void
gst_tern_generator_take_ids_back (GstTernGenerator * self, guint first)
{
  g_hash_table_foreach_remove (self->prompt_ids, is_newer,
      GUINT_TO_POINTER (first));
  self->next_prompt_id = first;
}

/* ---- What stands ---- */

GstTernStanding *
gst_tern_generator_ref_standing (GstTernGenerator * self)
{
  GstTernStanding *standing;

  GST_OBJECT_LOCK (self);
  standing = gst_tern_standing_ref (self->standing);
  GST_OBJECT_UNLOCK (self);
  return standing;
}

/* Takes @standing. */
static void
publish (GstTernGenerator * self, GstTernStanding * standing)
{
  GstTernStanding *before;

  GST_OBJECT_LOCK (self);
  before = self->standing;
  self->standing = standing;
  GST_OBJECT_UNLOCK (self);
  gst_tern_standing_unref (before);
  gst_tern_generator_note_questions (self, standing);
}

/* What runs goes on with what it has when it does not take @standing. */
static gboolean
try_standing (GstTernGenerator * self, GstTernStanding * standing,
    GError ** error)
{
  guint first = self->next_prompt_id;
  gboolean ok = TRUE;

  if (!gst_tern_standing_check (standing, error))
    return FALSE;
  gst_tern_standing_make_questions (standing, id_of, self);
  g_mutex_lock (&self->ask_lock);
  if (self->session)
    ok = tern_session_set_questions (self->session, standing->questions,
        standing->n_questions, error);
  g_mutex_unlock (&self->ask_lock);
  if (!ok)
    gst_tern_generator_take_ids_back (self, first);
  return ok;
}

gboolean
gst_tern_generator_change_standing (GstTernGenerator * self,
    GstTernStanding * standing, GError ** error)
{
  if (!try_standing (self, standing, error)) {
    gst_tern_standing_unref (standing);
    return FALSE;
  }
  publish (self, standing);
  return TRUE;
}

/* ---- Properties ---- */

static gboolean
is_in_null (GstTernGenerator * self)
{
  gboolean is;

  GST_OBJECT_LOCK (self);
  is = GST_STATE (self) == GST_STATE_NULL;
  GST_OBJECT_UNLOCK (self);
  return is;
}

static const gint text_of_setting[] = {
  [GST_TERN_SETTING_PROMPT] = GST_TERN_TEXT_PROMPT,
  [GST_TERN_SETTING_PROMPT_PATH] = GST_TERN_TEXT_PROMPT_PATH,
  [GST_TERN_SETTING_PROMPTS] = -1,
  [GST_TERN_SETTING_TASK] = GST_TERN_TEXT_TASK,
  [GST_TERN_SETTING_LABELS] = -1,
  [GST_TERN_SETTING_MIN_CONFIDENCE] = -1,
  [GST_TERN_SETTING_JSON_SCHEMA] = GST_TERN_TEXT_JSON_SCHEMA,
  [GST_TERN_SETTING_JSON_SCHEMA_PATH] = GST_TERN_TEXT_JSON_SCHEMA_PATH,
  [GST_TERN_SETTING_GRAMMAR] = GST_TERN_TEXT_GRAMMAR,
  [GST_TERN_SETTING_GRAMMAR_PATH] = GST_TERN_TEXT_GRAMMAR_PATH,
  [GST_TERN_SETTING_ACTION_PATH] = GST_TERN_TEXT_ACTION_PATH,
};

static gboolean
is_path (gint text)
{
  return text == GST_TERN_TEXT_PROMPT_PATH
      || text == GST_TERN_TEXT_JSON_SCHEMA_PATH
      || text == GST_TERN_TEXT_GRAMMAR_PATH;
}

/* *@same: it was unset, and is. An empty text is one as a prompt only. */
static gboolean
put (GstTernStanding * standing, GstTernSetting setting, const GValue * value,
    gboolean * same, GError ** error)
{
  gint which = text_of_setting[setting];

  if (setting == GST_TERN_SETTING_MIN_CONFIDENCE) {
    standing->min_confidence = g_value_get_double (value);
  } else if (which < 0) {
    gboolean labels = setting == GST_TERN_SETTING_LABELS;
    gchar ***strings = labels ? &standing->labels : &standing->prompts, **set;

    if (!gst_tern_strings_from_value (value, labels ? "labels" : "prompts",
            &set, error))
      return FALSE;
    *same = !set && !*strings;
    g_strfreev (*strings);
    *strings = set;
  } else {
    const gchar *text = g_value_get_string (value);

    if (text && !*text && which != GST_TERN_TEXT_PROMPT)
      text = NULL;
    *same = !text && !standing->texts[which];
    gst_tern_standing_set_text (standing, which, text);
  }
  return TRUE;
}

/* From READY on: of prompt and prompt-path the one that is set last unsets the
 * other; and what a request had of its own goes with its question. */
static gboolean
settle (GstTernStanding * standing, GstTernSetting setting, GError ** error)
{
  gint which = text_of_setting[setting];

  if (setting <= GST_TERN_SETTING_TASK) {
    g_clear_pointer (&standing->prompt_id, g_free);
    standing->max_tokens = 0;
  }
  if (which < 0 || !standing->texts[which])
    return TRUE;
  if (which == GST_TERN_TEXT_PROMPT)
    gst_tern_standing_set_text (standing, GST_TERN_TEXT_PROMPT_PATH, NULL);
  else if (which == GST_TERN_TEXT_PROMPT_PATH)
    gst_tern_standing_set_text (standing, GST_TERN_TEXT_PROMPT, NULL);
  return !is_path (which) || gst_tern_standing_read (standing, which, error);
}

void
gst_tern_generator_set_question (GstTernGenerator * self,
    GstTernSetting setting, const GValue * value)
{
  GstTernStanding *standing;
  GError *error = NULL;
  gboolean same = FALSE, ok;

  g_mutex_lock (&self->prompt_lock);
  standing = gst_tern_standing_copy (self->standing);
  ok = put (standing, setting, value, &same, &error);
  if (ok && is_in_null (self))
    publish (self, standing);
  else if (ok && !same && settle (standing, setting, &error))
    gst_tern_generator_change_standing (self, standing, &error);
  else
    gst_tern_standing_unref (standing);
  g_mutex_unlock (&self->prompt_lock);
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("What is asked was not changed."), ("%s", error->message));
  g_clear_error (&error);
}

void
gst_tern_generator_get_question (GstTernGenerator * self,
    GstTernSetting setting, GValue * value)
{
  GstTernStanding *standing = gst_tern_generator_ref_standing (self);

  if (setting == GST_TERN_SETTING_MIN_CONFIDENCE)
    g_value_set_double (value, standing->min_confidence);
  else if (setting == GST_TERN_SETTING_LABELS)
    gst_tern_strings_to_value ((const gchar * const *) standing->labels, value);
  else if (setting == GST_TERN_SETTING_PROMPTS)
    gst_tern_strings_to_value ((const gchar * const *) standing->prompts,
        value);
  else
    g_value_set_string (value, standing->texts[text_of_setting[setting]]);
  gst_tern_standing_unref (standing);
}

gboolean
gst_tern_generator_check_questions (GstTernGenerator * self, GError ** error)
{
  GstTernStanding *standing;
  gboolean ok;
  guint i;

  g_mutex_lock (&self->prompt_lock);
  standing = gst_tern_standing_copy (self->standing);
  ok = gst_tern_standing_check (standing, error);
  for (i = 0; i < GST_TERN_TEXTS && ok; i++)
    if (is_path (i) && standing->texts[i])
      ok = gst_tern_standing_read (standing, i, error);
  if (ok) {
    gst_tern_standing_make_questions (standing, id_of, self);
    publish (self, standing);
  } else {
    gst_tern_standing_unref (standing);
  }
  g_mutex_unlock (&self->prompt_lock);
  return ok;
}

void
gst_tern_generator_init_questions (GstTernGenerator * self)
{
  self->standing = gst_tern_standing_new ();
  self->prompt_ids =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->last_ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      NULL);
}

void
gst_tern_generator_clear_questions (GstTernGenerator * self)
{
  gst_tern_standing_unref (self->standing);
  g_hash_table_unref (self->prompt_ids);
  g_hash_table_unref (self->last_ids);
}

/* ---- What gst-inspect says ---- */

static void
install_text (GObjectClass * klass, guint id, const gchar * name,
    const gchar * nick, const gchar * blurb)
{
  g_object_class_install_property (klass, id, g_param_spec_string (name, nick,
          blurb, NULL, GST_TERN_PARAM_PLAYING));
}

static void
install_strings (GObjectClass * klass, guint id, const gchar * name,
    const gchar * nick, const gchar * blurb)
{
  g_object_class_install_property (klass, id, gst_param_spec_array (name, nick,
          blurb, g_param_spec_string ("text", "Text", "Text", NULL,
              G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS),
          GST_TERN_PARAM_PLAYING));
}

static void
install_form_properties (GObjectClass * klass, guint first)
{
  /**
   * GstTernGenerator:labels:
   *
   * The closed set of answers: 2 to 256 words or phrases, `labels="<yes,no>"`.
   * Results are of kind `answer` and have the probability of each. Excludes
   * json-schema, grammar and their files; empty, none.
   *
   * Since: 0.1
   */
  install_strings (klass, first + GST_TERN_SETTING_LABELS, "labels", "Labels",
      "The words or phrases that may be answered");
  /**
   * GstTernGenerator:min-confidence:
   *
   * With labels: where the likeliest one is less probable than this the result
   * says that it `abstained`.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass,
      first + GST_TERN_SETTING_MIN_CONFIDENCE,
      g_param_spec_double ("min-confidence", "Minimum confidence",
          "With labels: probability below which the answer abstains", 0.0, 1.0,
          0.0, GST_TERN_PARAM_PLAYING));
  /**
   * GstTernGenerator:json-schema:
   *
   * Answers are JSON of this JSON Schema (docs/structured-output.md). Excludes
   * labels, grammar and files of them.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_JSON_SCHEMA, "json-schema",
      "JSON Schema", "JSON Schema of the answers");
  /**
   * GstTernGenerator:json-schema-path:
   *
   * A file with the JSON Schema, of at most 1 MiB, read when it is set and when
   * the element goes to READY.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_JSON_SCHEMA_PATH,
      "json-schema-path", "JSON Schema path",
      "File with the JSON Schema of the answers");
  /**
   * GstTernGenerator:grammar:
   *
   * Answers are sentences of this grammar, in GBNF (docs/structured-output.md).
   * Excludes labels, json-schema and files of them.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_GRAMMAR, "grammar", "Grammar",
      "Grammar of the answers, in GBNF");
  /**
   * GstTernGenerator:grammar-path:
   *
   * A file with the grammar, of at most 1 MiB, read when it is set and when the
   * element goes to READY.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_GRAMMAR_PATH, "grammar-path",
      "Grammar path", "File with the grammar of the answers");
  /**
   * GstTernGenerator:action-path:
   *
   * GGUF file of an action model (docs/action-model.md). With one the answer to
   * the prompt is a chunk of steps for a machine: windows are not answered, and
   * decisions are made about the newest frame. Excludes labels, json-schema,
   * grammar and files of them.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + GST_TERN_SETTING_ACTION_PATH,
      g_param_spec_string ("action-path", "Action path",
          "GGUF file of an action model; answers are chunks of steps then",
          NULL, GST_TERN_PARAM_READY));
}

void
gst_tern_generator_install_question_properties (GObjectClass * klass,
    guint first)
{
  /**
   * GstTernGenerator:prompt:
   *
   * What is asked about each window, from the first one on that has not ended;
   * the results' prompt_id counts the texts, and is the same for the same text.
   * Unset, the instruction that the model was trained with; empty, none.
   * `{start}`, `{end}` (s), `{n_frames}` and `{source}` are filled in. Unsets
   * `prompt-path`; in NULL, where both can be set, that is an error when the
   * element starts. Excludes `prompts`.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_PROMPT, "prompt", "Prompt",
      "What is asked about each window (default: the model's own)");
  /**
   * GstTernGenerator:prompt-path:
   *
   * A file with the prompt, of at most 1 MiB, read when it is set and when the
   * element goes to READY. Instead of `prompt`, which it unsets. When it cannot
   * be read the prompt in force stays, and a WARNING says so.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_PROMPT_PATH, "prompt-path",
      "Prompt path", "File with the prompt, instead of prompt");
  /**
   * GstTernGenerator:prompts:
   *
   * Several questions about each window, at most 16, which is read once: each
   * gives a result, in this order. `prompts="<\"who=Who is it?\",\"Where?\">"`:
   * what stands before the first `=` is the prompt_id of the results if it
   * begins with a letter and has letters, digits, `-`, `_` and `.` alone;
   * otherwise all of it is the prompt, whose id is counted. Excludes `prompt`
   * and `prompt-path`; empty, none.
   *
   * Since: 0.1
   */
  install_strings (klass, first + GST_TERN_SETTING_PROMPTS, "prompts",
      "Prompts", "Several questions about each window, as ID=TEXT or TEXT");
  /**
   * GstTernGenerator:task:
   *
   * A question that the model file carries under this name: its prompt, and its
   * labels or schema, as far as other properties do not say.
   *
   * Since: 0.1
   */
  install_text (klass, first + GST_TERN_SETTING_TASK, "task", "Task",
      "A question that the model file carries, by its name");
  install_form_properties (klass, first);
}
