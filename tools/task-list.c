/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/task-list.h"

#include <stdio.h>
#include <string.h>

#include "tools/quoted.h"

#define SHOWN_CHARS 100         /* of a text, as text */
#define SHOWN_LABELS 12

static void
append (GString *out, const char *text)
{
  tern_append_quoted (out, (TernBytes) { text, strlen (text) }, SHOWN_CHARS);
}

static void
append_form (GString *out, const TernTask *task)
{
  if (task->json_schema) {
    g_string_append_printf (out, "  %-16s schema ", "");
    append (out, task->json_schema);
    g_string_append_c (out, '\n');
  } else if (task->labels) {
    guint n = g_strv_length ((char **) task->labels);

    g_string_append_printf (out, "  %-16s labels ", "");
    for (guint i = 0; i < MIN (n, SHOWN_LABELS); i++) {
      g_string_append (out, i ? ", " : "");
      append (out, task->labels[i]);
    }
    if (n > SHOWN_LABELS)
      g_string_append_printf (out, ", ... (%u)", n);
    g_string_append_c (out, '\n');
  }
}

void
tern_tasks_print (const TernTasks *tasks)
{
  for (guint i = 0; i < tasks->n; i++) {
    g_autoptr (GString) out = g_string_new (NULL);

    g_string_append_printf (out, "  %-16s ", tasks->tasks[i].name);
    append (out, tasks->tasks[i].prompt);
    g_string_append_c (out, '\n');
    append_form (out, &tasks->tasks[i]);
    fputs (out->str, stdout);
  }
}

void
tern_tasks_to_json (const TernTasks *tasks, TernJson *json)
{
  tern_json_open (json, '[');
  for (guint i = 0; i < tasks->n; i++) {
    const TernTask *task = &tasks->tasks[i];

    tern_json_open (json, '{');
    tern_json_add_text (json, "name", task->name);
    tern_json_add_text (json, "prompt", task->prompt);
    if (task->labels) {
      tern_json_name (json, "labels");
      tern_json_open (json, '[');
      for (guint l = 0; task->labels[l]; l++)
        tern_json_text (json, task->labels[l], -1);
      tern_json_close (json, ']');
    }
    if (task->json_schema)
      tern_json_add_text (json, "schema", task->json_schema);
    tern_json_close (json, '}');
  }
  tern_json_close (json, ']');
}
