/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterngenerator-ask.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternvalue.h"

typedef enum
{
  FIELD_TEXT,
  FIELD_LABELS,
  FIELD_COUNT,
  FIELD_TIME,
  FIELD_SHARE,
  FIELD_FLAG
} FieldType;

typedef struct
{
  const gchar *name;
  FieldType type;
  gsize offset;                 /* in a Fields */
} Field;

/* As the structure has them. */
typedef struct
{
  const gchar *prompt, *task, *prompt_id, *json_schema, *grammar;
  gchar **labels;
  guint max_tokens, frames;
  guint64 timeout, from, to;
  gdouble min_confidence;
  gboolean once;
} Fields;

static const Field fields[] = {
  {"prompt", FIELD_TEXT, G_STRUCT_OFFSET (Fields, prompt)},
  {"task", FIELD_TEXT, G_STRUCT_OFFSET (Fields, task)},
  {"prompt-id", FIELD_TEXT, G_STRUCT_OFFSET (Fields, prompt_id)},
  {"labels", FIELD_LABELS, G_STRUCT_OFFSET (Fields, labels)},
  {"json-schema", FIELD_TEXT, G_STRUCT_OFFSET (Fields, json_schema)},
  {"grammar", FIELD_TEXT, G_STRUCT_OFFSET (Fields, grammar)},
  {"min-confidence", FIELD_SHARE, G_STRUCT_OFFSET (Fields, min_confidence)},
  {"max-tokens", FIELD_COUNT, G_STRUCT_OFFSET (Fields, max_tokens)},
  {"frames", FIELD_COUNT, G_STRUCT_OFFSET (Fields, frames)},
  {"from", FIELD_TIME, G_STRUCT_OFFSET (Fields, from)},
  {"to", FIELD_TIME, G_STRUCT_OFFSET (Fields, to)},
  {"timeout", FIELD_TIME, G_STRUCT_OFFSET (Fields, timeout)},
  {"once", FIELD_FLAG, G_STRUCT_OFFSET (Fields, once)},
};

static const gchar *const expected[] = {
  [FIELD_TEXT] = "UTF-8 text",
  [FIELD_LABELS] = "an array of strings",
  [FIELD_COUNT] = "a number from 0 to 65536",
  [FIELD_TIME] = "a number of ns from 0 on",
  [FIELD_SHARE] = "a number from 0 to 1",
  [FIELD_FLAG] = "true or false",
};

/* ---- Fields ---- */

/* Whatever type of integer: "max-tokens=5" in a text is an int. */
static gboolean
read_integer (const GValue * value, guint64 most, guint64 * number)
{
  GValue wide = G_VALUE_INIT;
  gboolean ok = FALSE;

  if (G_VALUE_HOLDS_UINT64 (value)) {
    *number = g_value_get_uint64 (value);
    return *number <= most;
  }
  if (!G_VALUE_HOLDS_INT (value) && !G_VALUE_HOLDS_UINT (value)
      && !G_VALUE_HOLDS_INT64 (value))
    return FALSE;
  g_value_init (&wide, G_TYPE_INT64);
  if (g_value_transform (value, &wide) && g_value_get_int64 (&wide) >= 0) {
    *number = g_value_get_int64 (&wide);
    ok = *number <= most;
  }
  g_value_unset (&wide);
  return ok;
}

static gboolean
read_value (const Field * field, const GValue * value, gpointer at)
{
  guint64 number;

  switch (field->type) {
    case FIELD_TEXT:
      if (!G_VALUE_HOLDS_STRING (value) || !g_value_get_string (value)
          || !g_utf8_validate (g_value_get_string (value), -1, NULL))
        return FALSE;
      *(const gchar **) at = g_value_get_string (value);
      return TRUE;
    case FIELD_LABELS:
      g_clear_pointer ((gchar ***) at, g_strfreev);
      return gst_tern_strings_from_value (value, field->name, at, NULL);
    case FIELD_COUNT:
      if (!read_integer (value, TERN_MAX_TOKENS_MAX, &number))
        return FALSE;
      *(guint *) at = number;
      return TRUE;
    case FIELD_TIME:
      return read_integer (value, G_MAXUINT64, at);
    case FIELD_SHARE:
      if (!G_VALUE_HOLDS_DOUBLE (value))
        return FALSE;
      *(gdouble *) at = g_value_get_double (value);
      return *(gdouble *) at >= 0.0 && *(gdouble *) at <= 1.0;
    case FIELD_FLAG:
      if (!G_VALUE_HOLDS_BOOLEAN (value))
        return FALSE;
      *(gboolean *) at = g_value_get_boolean (value);
      return TRUE;
  }
  return FALSE;
}

static gboolean
read_field (const GstStructure * structure, const gchar * name, Fields * into,
    GError ** error)
{
  const GValue *value = gst_structure_get_value (structure, name);
  gchar *found;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fields); i++)
    if (g_str_equal (fields[i].name, name))
      break;
  if (i < G_N_ELEMENTS (fields)
      && read_value (&fields[i], value, (guint8 *) into + fields[i].offset))
    return TRUE;
  found = gst_value_serialize (value);
  if (i < G_N_ELEMENTS (fields))
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected %s, found (%s) %s", name, expected[fields[i].type],
        G_VALUE_TYPE_NAME (value), found ? found : "of another kind");
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected one of the fields prompt, task, prompt-id, labels, "
        "json-schema, grammar, min-confidence, max-tokens, frames, from, to, "
        "timeout and once", name);
  g_free (found);
  return FALSE;
}

/* ---- What goes together ---- */

static gboolean
check_fields (const GstStructure * structure, const Fields * f, GError ** error)
{
  guint forms = (f->labels != NULL) + (f->json_schema != NULL)
      + (f->grammar != NULL);
  const gchar *only_once = gst_structure_has_field (structure, "timeout") ?
      "timeout" : gst_structure_has_field (structure, "frames") ? "frames" :
      gst_structure_has_field (structure, "to") ? "to" : NULL;

  if (!f->prompt && !f->task)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected prompt or task, found neither");
  else if (forms > 1)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected one of labels, json-schema and grammar, found %u", forms);
  else if (!f->once && only_once)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected with once=true, found it with once=false", only_once);
  else
    return TRUE;
  return FALSE;
}

static gboolean
read_fields (const GstStructure * structure, Fields * into, GError ** error)
{
  gint i;

  if (!gst_structure_has_name (structure, GST_TERN_ASK)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "expected a structure " GST_TERN_ASK ", found %s",
        gst_structure_get_name (structure));
    return FALSE;
  }
  for (i = 0; i < gst_structure_n_fields (structure); i++)
    if (!read_field (structure, gst_structure_nth_field_name (structure, i),
            into, error))
      return FALSE;
  return check_fields (structure, into, error);
}

/* ---- Asks ---- */

GstTernAsk *
gst_tern_ask_from_structure (const GstStructure * given, GError ** error)
{
  GstStructure *structure = gst_structure_copy (given);
  Fields f = { .once = TRUE, .min_confidence = -1 };
  GstTernAsk *self;

  if (!read_fields (structure, &f, error)) {
    g_prefix_error (error, GST_TERN_ASK ": ");
    g_strfreev (f.labels);
    gst_structure_free (structure);
    return NULL;
  }
  self = g_new0 (GstTernAsk, 1);
  self->structure = structure;
  self->labels = f.labels;
  self->prompt_id = g_strdup (f.prompt_id ? f.prompt_id :
      f.prompt ? NULL : f.task);
  self->prompt = g_strdup (f.prompt);
  self->stands = !f.once;
  self->deadline = GST_CLOCK_TIME_NONE;
  self->request = (TernRequest) {
    .question = {
      .prompt = self->prompt,
      .task = f.task,
      .labels = (const gchar * const *) self->labels,
      .json_schema = f.json_schema,
      .grammar = f.grammar,
      .min_confidence = f.min_confidence,
      .max_tokens = f.max_tokens
    },
    .timeout = f.timeout,
    .frames = f.frames,
    .from = f.from,
    .to = f.to
  };
  return self;
}

GstTernAsk *
gst_tern_ask_from_text (gchar * prompt, GstTernStanding * form)
{
  GstTernAsk *self = g_new0 (GstTernAsk, 1);

  self->from_pad = TRUE;
  self->prompt = prompt;
  self->form = gst_tern_standing_ref (form);
  self->deadline = GST_CLOCK_TIME_NONE;
  self->request.question = form->questions[0];
  self->request.question.prompt = prompt;
  return self;
}

void
gst_tern_ask_free (gpointer data)
{
  GstTernAsk *self = data;

  if (!self)
    return;
  g_clear_pointer (&self->structure, gst_structure_free);
  g_strfreev (self->labels);
  g_free (self->prompt);
  g_free (self->prompt_id);
  g_clear_pointer (&self->form, gst_tern_standing_unref);
  g_free (self->failure);
  g_free (self);
}

GstTernStanding *
gst_tern_ask_to_standing (const GstTernAsk * self,
    const GstTernStanding * before)
{
  GstTernStanding *standing = gst_tern_standing_new ();
  const TernQuestion *question = &self->request.question;

  gst_tern_standing_set_text (standing, GST_TERN_TEXT_PROMPT,
      question->prompt);
  gst_tern_standing_set_text (standing, GST_TERN_TEXT_TASK, question->task);
  gst_tern_standing_set_text (standing, GST_TERN_TEXT_JSON_SCHEMA,
      question->json_schema);
  gst_tern_standing_set_text (standing, GST_TERN_TEXT_GRAMMAR,
      question->grammar);
  standing->labels = g_strdupv (self->labels);
  standing->min_confidence = question->min_confidence >= 0 ?
      question->min_confidence : before->min_confidence;
  standing->prompt_id = g_strdup (self->prompt_id);
  standing->max_tokens = question->max_tokens;
  return standing;
}
