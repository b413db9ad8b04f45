/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions that a model file carries: what is read, and which key is named when one is damaged. */
#include <math.h>

#include "gguf-writer.h"
#include "tern/tasks.h"

/* What is read of the file with the keys of @w. */
static gboolean
read_tasks (const GgufWriter *w, TernTasks *tasks, double *temperature, GError **error)
{
  g_autoptr (GByteArray) bytes = writer_finish (w);
  g_autoptr (GError) failure = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open_memory (bytes->data, bytes->len, "m.gguf", &failure);

  g_assert_no_error (failure);
  *tasks = (TernTasks) { NULL, 0 };
  return tern_tasks_read (tasks, file, error) && tern_tasks_label_temperature (file, temperature, error);
}

static void
add_labels (GgufWriter *w, const char *key, const char *labels)
{
  g_auto (GStrv) split = g_strsplit (labels, "|", -1);

  writer_array (w, key, TERN_GGUF_STRING, g_strv_length (split));
  for (guint i = 0; split[i]; i++)
    put_string (w->keys, split[i]);
}

static void
test_read (void)
{
  g_auto (GgufWriter) w = { 0 };
  g_auto (TernTasks) tasks = { 0 };
  g_autoptr (GError) error = NULL;
  double temperature = 0;

  writer_init (&w);
  writer_string (&w, "tern.task.scene.schema", "{\"type\":\"object\"}");
  writer_string (&w, "general.name", "x");
  writer_string (&w, "tern.task.2-b_c.prompt", "");
  writer_string (&w, "tern.taskless", "of no task");
  writer_string (&w, "tern.task.scene.prompt", "Was ist los?");
  add_labels (&w, "tern.task.fire.labels", "yes|no|gro\xc3\x9f, und mehr");
  writer_string (&w, "tern.task.fire.prompt", "Is there fire?");
  writer_number (&w, TERN_LABEL_TEMPERATURE, TERN_GGUF_F64, &(double) { 1.75 }, 8);
  g_assert_true (read_tasks (&w, &tasks, &temperature, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (tasks.n, ==, 3);
  g_assert_cmpfloat (temperature, ==, 1.75);

  g_assert_cmpstr (tasks.tasks[0].name, ==, "2-b_c");
  g_assert_cmpstr (tasks.tasks[0].prompt, ==, "");
  g_assert_null (tasks.tasks[0].labels);
  g_assert_null (tasks.tasks[0].json_schema);
  g_assert_cmpstr (tasks.tasks[1].name, ==, "fire");
  g_assert_cmpstr (tasks.tasks[1].labels[2], ==, "gro\xc3\x9f, und mehr");
  g_assert_null (tasks.tasks[1].labels[3]);
  g_assert_true (tern_tasks_find (&tasks, "scene") == &tasks.tasks[2]);
  g_assert_cmpstr (tasks.tasks[2].json_schema, ==, "{\"type\":\"object\"}");
  g_assert_null (tern_tasks_find (&tasks, "Scene"));
}

static void
test_none (void)
{
  g_auto (GgufWriter) w = { 0 };
  g_auto (TernTasks) tasks = { 0 };
  double temperature = 0;

  writer_init (&w);
  writer_string (&w, "general.name", "x");
  g_assert_true (read_tasks (&w, &tasks, &temperature, NULL));
  g_assert_cmpuint (tasks.n, ==, 0);
  g_assert_cmpfloat (temperature, ==, 1);
  g_assert_null (tern_tasks_find (&tasks, "a"));
}

/* The file of @w, one key of which is damaged; the message names it. */
static void
refuse (GgufWriter *w, TernErrorCode code, const char *key, const char *what)
{
  g_autoptr (GError) error = NULL;
  TernTasks tasks;
  double temperature;

  g_assert_false (read_tasks (w, &tasks, &temperature, &error));
  g_assert_error (error, TERN_ERROR, (gint) code);
  g_assert_true (g_str_has_prefix (error->message, "m.gguf: key "));
  if (!strstr (error->message, key) || !strstr (error->message, what))
    g_error ("\"%s\" lacks \"%s\" or \"%s\"", error->message, key, what);
  tern_tasks_clear (&tasks);
  writer_clear (w);
  writer_init (w);
}

static void
test_damaged (void)
{
  static const char *const names[] = { "tern.task.A.prompt", "tern.task..prompt", "tern.task.a.b.prompt",
    "tern.task.a b.prompt", "tern.task.\xc3\xa4.prompt" };
  g_autoptr (GString) many = g_string_new ("l0");
  GgufWriter w;

  writer_init (&w);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    writer_string (&w, names[i], "x");
    refuse (&w, TERN_ERROR_FORMAT, names[i], TERN_TASK_NAME_RULE);
  }
  writer_string (&w, "tern.task.a", "x");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a:", "alone");
  writer_string (&w, "tern.task.a.schema", "{}");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.prompt", "no such key");
  writer_u32 (&w, "tern.task.a.prompt", 7);
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.prompt", "expected a string");
  writer_string (&w, "tern.task.a.prompt", "\xff\xfe");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.prompt", "UTF-8");
  writer_string (&w, "tern.task.a.prompt", "x");
  writer_string (&w, "tern.task.a.grammar", "root ::= \"x\"");
  refuse (&w, TERN_ERROR_UNSUPPORTED, "tern.task.a.grammar", "found grammar");

  writer_string (&w, "tern.task.a.prompt", "x");
  writer_string (&w, "tern.task.a.schema", "{}");
  add_labels (&w, "tern.task.a.labels", "yes|no");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.schema", "both");
  writer_string (&w, "tern.task.a.labels", "yes,no");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "array of string");
  writer_array (&w, "tern.task.a.labels", TERN_GGUF_U32, 1);
  put_u32 (w.keys, 1);
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "array of 1 u32");
  add_labels (&w, "tern.task.a.labels", "yes");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "found 1");
  add_labels (&w, "tern.task.a.labels", "yes||no");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "label 2 is empty");
  add_labels (&w, "tern.task.a.labels", "yes|no|yes");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "\"yes\" twice");
  add_labels (&w, "tern.task.a.labels", "yes|n\xff");
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "UTF-8");
  for (guint i = 1; i <= TERN_LABELS_MAX; i++)
    g_string_append_printf (many, "|l%u", i);
  add_labels (&w, "tern.task.a.labels", many->str);
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.a.labels", "found 257");
  writer_clear (&w);
}

static void
test_temperature (void)
{
  static const float bad[] = { 0, -1, INFINITY, NAN };
  GgufWriter w;

  writer_init (&w);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    writer_number (&w, TERN_LABEL_TEMPERATURE, TERN_GGUF_F32, &bad[i], 4);
    refuse (&w, TERN_ERROR_FORMAT, TERN_LABEL_TEMPERATURE, "a float from");
  }
  writer_u32 (&w, TERN_LABEL_TEMPERATURE, 1);
  refuse (&w, TERN_ERROR_FORMAT, TERN_LABEL_TEMPERATURE, "a float from");
  writer_clear (&w);
}

/* A file of nothing but tasks is refused before they cost anything. */
static void
test_many (void)
{
  GgufWriter w;

  writer_init (&w);
  for (guint i = 0; i <= TERN_TASKS_MAX; i++) {
    g_autofree char *key = g_strdup_printf ("tern.task.t%u.prompt", i);

    writer_string (&w, key, "x");
  }
  refuse (&w, TERN_ERROR_FORMAT, "tern.task.t1024.prompt", "1024");
  writer_clear (&w);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tasks/read", test_read);
  g_test_add_func ("/tasks/none", test_none);
  g_test_add_func ("/tasks/damaged", test_damaged);
  g_test_add_func ("/tasks/temperature", test_temperature);
  g_test_add_func ("/tasks/many", test_many);
  return g_test_run ();
}
