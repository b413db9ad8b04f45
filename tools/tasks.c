/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern tasks FILE, tern tasks IN OUT: the questions that a model file carries, shown and changed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/weights/gguf-write.h"
#include "tools/forms.h"
#include "tools/task-list.h"
#include "tools/tool.h"

#define NOT_GIVEN G_MININT

typedef struct {
  char *set, *prompt, *labels, *schema, *instructions;
  char **sets, **remove;        /* as often as they are given */
  double temperature;
  gboolean json;

  char **label_list;
  char *schema_text;
} Options;

/* ---- Showing ----------------------------------------------------------------------------------------------------- */

static void
print_json (const char *path, const TernTasks *tasks, double temperature, TernPromptUse use)
{
  TernJson json = { .out = g_string_new (NULL), .lines = TRUE };

  tern_json_open (&json, '{');
  tern_json_name (&json, "file");
  tern_json_text (&json, path, -1);
  tern_json_name (&json, "label_temperature");
  tern_json_double (&json, temperature, 9);
  if (use == TERN_PROMPT_IGNORED) {
    tern_json_name (&json, "instructions");
    tern_json_text (&json, "ignored", -1);
  }
  tern_json_name (&json, "tasks");
  tern_tasks_to_json (tasks, &json);
  tern_json_close (&json, '}');
  puts (json.out->str);
  g_string_free (json.out, TRUE);
}

static int
show (const char *path, gboolean as_json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open (path, &error);
  g_auto (TernTasks) tasks = { NULL, 0 };
  TernPromptUse use = TERN_PROMPT_READ;
  double temperature = 1;

  if (!file || !tern_tasks_read (&tasks, file, &error) || !tern_tasks_prompt_use (file, &use, &error)
      || !tern_tasks_label_temperature (file, &temperature, &error))
    return tern_tool_fail (&error);
  if (as_json) {
    print_json (path, &tasks, temperature, use);
  } else {
    printf ("%s: %u task%s\n", path, tasks.n, tasks.n == 1 ? "" : "s");
    tern_tasks_print (&tasks);
    if (tern_gguf_has (file, TERN_PROMPT_USE_KEY))
      puts (use == TERN_PROMPT_IGNORED ? "instructions ignored" : "instructions read");
    if (tern_gguf_has (file, TERN_LABEL_TEMPERATURE))
      printf ("label temperature %g\n", temperature);
  }
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}

/* ---- Changing ---------------------------------------------------------------------------------------------------- */

/* Whether the key @name goes: it is one of a task that is removed or set anew, or what else is. */
static gboolean
is_replaced (const Options *o, const char *name)
{
  const char *field;
  g_autofree char *task = tern_task_of_key (name, &field);

  if (task)
    return g_strcmp0 (task, o->set) == 0 || (o->remove && g_strv_contains ((const char *const *) o->remove, task));
  return (o->temperature != NOT_GIVEN && g_str_equal (name, TERN_LABEL_TEMPERATURE))
      || (o->instructions && g_str_equal (name, TERN_PROMPT_USE_KEY));
}

/* As far as it has been asked for: all that are to go must be there. */
static gboolean
check_removed (const Options *o, const TernGguf *file, GError **error)
{
  for (guint r = 0; o->remove && o->remove[r]; r++) {
    gboolean there = FALSE;

    for (gsize i = 0; i < tern_gguf_n_keys (file) && !there; i++) {
      const char *field;
      g_autofree char *task = tern_task_of_key (tern_gguf_key (file, i, NULL), &field);

      there = g_strcmp0 (task, o->remove[r]) == 0;
    }
    if (!there) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--remove: expected a task of %s, found that it has no `%s`",
          tern_gguf_path (file), o->remove[r]);
      return FALSE;
    }
  }
  return TRUE;
}

static char *
key_of (const Options *o, const char *field)
{
  return g_strconcat (TERN_TASK_PREFIX, o->set, ".", field, NULL);
}

static void
write_keys (const Options *o, const TernGguf *file, TernGgufWriter *writer)
{
  for (gsize i = 0; i < tern_gguf_n_keys (file); i++)
    if (!is_replaced (o, tern_gguf_key (file, i, NULL)))
      tern_gguf_writer_copy_key (writer, tern_gguf_key_record (file, i));
  if (o->set) {
    g_autofree char *prompt = key_of (o, TERN_TASK_PROMPT), *labels = key_of (o, TERN_TASK_LABELS);
    g_autofree char *schema = key_of (o, TERN_TASK_SCHEMA);

    tern_gguf_writer_string (writer, prompt, o->prompt);
    if (o->label_list)
      tern_gguf_writer_string_array (writer, labels, (const char *const *) o->label_list, g_strv_length (o->label_list));
    if (o->schema_text)
      tern_gguf_writer_string (writer, schema, o->schema_text);
  }
  if (o->temperature != NOT_GIVEN)
    tern_gguf_writer_f32 (writer, TERN_LABEL_TEMPERATURE, (float) o->temperature);
  if (o->instructions)
    tern_gguf_writer_string (writer, TERN_PROMPT_USE_KEY, o->instructions);
}

/* Tasks are asked of language models. */
static gboolean
check_kind (const TernGguf *file, GError **error)
{
  TernBytes kind;

  if (!tern_gguf_string (file, "general.architecture", &kind, error))
    return FALSE;
  if (!tern_gguf_companion (file))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a language model, found %s", tern_gguf_path (file),
      tern_gguf_companion (file));
  return FALSE;
}

static gboolean
change (const Options *o, const char *in, const char *out, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (in, error);
  g_autoptr (TernGgufWriter) writer = NULL;

  if (!file || !tern_gguf_check_out (file, out, error) || !check_kind (file, error) || !check_removed (o, file, error))
    return FALSE;
  writer = tern_gguf_writer_new (tern_gguf_alignment (file));
  write_keys (o, file, writer);
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    tern_gguf_writer_tensor (writer, tensor->name, tensor->type, tensor->n_dims, tensor->dims, tensor->bytes);
  }
  if (!tern_gguf_writer_begin (writer, out, error))
    return FALSE;
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++)
    if (!tern_gguf_writer_copy_tensor (writer, tern_gguf_tensor_at (file, i), error))
      return FALSE;
  return tern_gguf_writer_finish (writer, error);
}

/* ---- Command ----------------------------------------------------------------------------------------------------- */

static gboolean
is_blank (const char *text)
{
  return strspn (text, " \t\r\n") == strlen (text);
}

static int
check_set (Options *o, GError **error)
{
  if (o->sets && o->sets[1])
    return tern_tool_usage ("tasks: --set: expected one task at a time, found %u", g_strv_length (o->sets));
  o->set = o->sets ? o->sets[0] : NULL;
  if (!o->set)
    return o->prompt || o->labels || o->schema ? tern_tool_usage ("tasks: %s: expected --set NAME beside it, found none",
        o->prompt ? "--prompt" : o->labels ? "--labels" : "--schema") : TERN_TOOL_DONE;
  if (!tern_task_name_is_good (o->set))
    return tern_tool_usage ("--set: expected a name of " TERN_TASK_NAME_RULE ", found `%s`", o->set);
  if (o->remove && g_strv_contains ((const char *const *) o->remove, o->set))
    return tern_tool_usage ("tasks: --set and --remove: expected different tasks, found `%s` twice", o->set);
  if (!o->prompt)
    return tern_tool_usage ("tasks: --set: expected --prompt TEXT beside it, found none");
  if (is_blank (o->prompt))
    return tern_tool_usage ("tasks: --prompt: expected what `%s` asks, found nothing but blanks", o->set);
  if (o->labels && o->schema)
    return tern_tool_usage ("tasks: --labels and --schema exclude each other: expected one, found both");
  if ((o->labels && !(o->label_list = tern_form_labels ("--labels", o->labels, error)))
      || (o->schema && !(o->schema_text = tern_form_schema (o->schema, NULL, error))))
    return tern_tool_fail (error);
  return TERN_TOOL_DONE;
}

static int
run (Options *o, char **files)
{
  gboolean changes = o->sets || o->remove || o->temperature != NOT_GIVEN || o->instructions;
  g_autoptr (GError) error = NULL;
  int status;

  if (!tern_tool_check_files ("tasks", files))
    return TERN_TOOL_USAGE;
  status = check_set (o, &error);
  if (status != TERN_TOOL_DONE)
    return status;
  if (o->temperature != NOT_GIVEN && !((float) o->temperature > 0 && isfinite ((float) o->temperature)))
    return tern_tool_usage ("--label-temperature: expected a number above 0, found %g", o->temperature);
  if (o->instructions && !g_str_equal (o->instructions, "read") && !g_str_equal (o->instructions, "ignored"))
    return tern_tool_usage ("--instructions: expected read or ignored, found %s", o->instructions);
  if (changes && !files[1])
    return tern_tool_usage ("tasks: expected IN and OUT, found %s alone", files[0]);
  if (changes && o->json)
    return tern_tool_usage ("--json: expected FILE alone, found changes as well");
  if (!changes && files[1])
    return tern_tool_usage ("tasks: expected --set, --remove, --label-temperature or --instructions with two files, found none");
  if (!changes)
    return show (files[0], o->json);
  return change (o, files[0], files[1], &error) ? TERN_TOOL_DONE : tern_tool_fail (&error);
}

int
tern_tool_tasks (int argc, char **argv)
{
  Options o = { .temperature = NOT_GIVEN };
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "One JSON object", NULL },
    { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.sets, "Add the task NAME, or put it in the place of the one there is", "NAME" },
    { "prompt", 0, 0, G_OPTION_ARG_STRING, &o.prompt, "What it asks", "TEXT" },
    { "labels", 0, 0, G_OPTION_ARG_STRING, &o.labels, "Its answers: words or phrases; \\, is a comma in one", "A,B,..." },
    { "schema", 0, 0, G_OPTION_ARG_FILENAME, &o.schema, "Or the JSON Schema of its answers", "FILE" },
    { "remove", 0, 0, G_OPTION_ARG_STRING_ARRAY, &o.remove, "Leave the task NAME out (several times: several)", "NAME" },
    { "label-temperature", 0, 0, G_OPTION_ARG_DOUBLE, &o.temperature, "What log-probabilities of labels are divided by",
        "X" },
    { "instructions", 0, 0, G_OPTION_ARG_STRING, &o.instructions, "What the model makes of instructions: read, or ignored",
        "USE" },
    { NULL }
  };
  g_auto (GStrv) files = NULL;
  int status;

  if (!tern_tool_options (argc, argv, "FILE | IN OUT", 1, 2,
          "Lists the questions that a model file carries under names: `tern caption --task NAME` and the property\n"
          "`task` of the elements ask them. With --set, --remove, --label-temperature or --instructions, OUT is written as\n"
          "a copy of IN with these changes; both may be one file, which is replaced when the new one is whole.", entries, &files))
    status = TERN_TOOL_USAGE;
  else
    status = run (&o, files);
  g_strfreev (o.sets);
  g_free (o.prompt);
  g_free (o.labels);
  g_free (o.schema);
  g_free (o.instructions);
  g_strfreev (o.remove);
  g_strfreev (o.label_list);
  g_free (o.schema_text);
  return status;
}
