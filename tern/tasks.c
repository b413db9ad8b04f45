/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/tasks.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Names ------------------------------------------------------------------------------------------------------- */

gboolean
tern_task_name_is_good (const char *name)
{
  return *name && strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen (name);
}

char *
tern_task_of_key (const char *key, const char **field)
{
  const char *rest = key + strlen (TERN_TASK_PREFIX), *dot;

  *field = NULL;
  if (!g_str_has_prefix (key, TERN_TASK_PREFIX))
    return NULL;
  dot = strrchr (rest, '.');
  if (!dot)
    return g_strdup (rest);
  *field = dot + 1;
  return g_strndup (rest, dot - rest);
}

gboolean
tern_task_labels_are_good (const char *const *labels, char **problem)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  guint n = g_strv_length ((char **) labels);

  *problem = NULL;
  if (n < 2 || n > TERN_LABELS_MAX)
    *problem = g_strdup_printf ("expected 2 to %d labels, found %u", TERN_LABELS_MAX, n);
  for (guint i = 0; i < n && !*problem; i++)
    if (!*labels[i]) {
      *problem = g_strdup_printf ("expected words or phrases, found that label %u is empty", i + 1);
    } else if (!g_hash_table_add (seen, (char *) labels[i])) {
      g_autofree char *quoted = tern_bytes_quote ((TernBytes) { labels[i], strlen (labels[i]) });

      *problem = g_strdup_printf ("expected labels that differ, found %s twice", quoted);
    }
  return !*problem;
}

/* ---- Values of keys ---------------------------------------------------------------------------------------------- */

/* @bytes as text of its own; NULL with @error. */
static char *
read_text (const TernGguf *file, const char *key, TernBytes bytes, GError **error)
{
  g_autofree char *quoted = NULL;

  if (g_utf8_validate (bytes.data, (gssize) bytes.len, NULL))
    return g_strndup (bytes.data, bytes.len);
  quoted = tern_bytes_quote (bytes);
  tern_gguf_bad_key (file, key, error, "expected UTF-8 without zero bytes, found %s", quoted);
  return NULL;
}

static char *
read_string (const TernGguf *file, const char *key, GError **error)
{
  TernBytes bytes;

  return tern_gguf_string (file, key, &bytes, error) ? read_text (file, key, bytes, error) : NULL;
}

static char **
read_labels (const TernGguf *file, const char *key, GError **error)
{
  g_auto (GStrv) labels = NULL;
  g_autofree char *problem = NULL;
  const guint8 *cursor;
  TernGgufArray array;

  if (!tern_gguf_array (file, key, TERN_GGUF_STRING, TRUE, &array, error))
    return NULL;
  if (array.count > TERN_LABELS_MAX) {
    tern_gguf_bad_key (file, key, error, "expected 2 to %d labels, found %" G_GUINT64_FORMAT, TERN_LABELS_MAX, array.count);
    return NULL;
  }
  labels = g_new0 (char *, array.count + 1);
  cursor = array.data;
  for (guint64 i = 0; i < array.count; i++)
    if (!(labels[i] = read_text (file, key, tern_gguf_next_string (&cursor), error)))
      return NULL;
  if (tern_task_labels_are_good ((const char *const *) labels, &problem))
    return g_steal_pointer (&labels);
  tern_gguf_bad_key (file, key, error, "%s", problem);
  return NULL;
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------- */

static void
task_clear (void *data)
{
  TernTask *task = data;

  g_free ((char *) task->name);
  g_free ((char *) task->prompt);
  g_strfreev ((char **) task->labels);
  g_free ((char *) task->json_schema);
}

/* The task @name of @tasks, at the end if it was not there; NULL with @error when there are too many. */
static TernTask *
take_name (GArray *tasks, GHashTable *places, char *name, const TernGguf *file, const char *key, GError **error)
{
  void *place;

  if (g_hash_table_lookup_extended (places, name, NULL, &place)) {
    g_free (name);
    return &g_array_index (tasks, TernTask, GPOINTER_TO_UINT (place));
  }
  if (tasks->len == TERN_TASKS_MAX) {
    tern_gguf_bad_key (file, key, error, "expected at most %d tasks in a file, found more", TERN_TASKS_MAX);
    g_free (name);
    return NULL;
  }
  g_hash_table_insert (places, name, GUINT_TO_POINTER (tasks->len));
  g_array_append_val (tasks, (TernTask) { .name = name });
  return &g_array_index (tasks, TernTask, tasks->len - 1);
}

static gboolean
read_key (GArray *tasks, GHashTable *places, const TernGguf *file, const char *key, GError **error)
{
  const char *field;
  g_autofree char *name = tern_task_of_key (key, &field);
  TernTask *task;

  if (!name)
    return TRUE;
  if (!field || !tern_task_name_is_good (name))
    return tern_gguf_bad_key (file, key, error, "expected " TERN_TASK_PREFIX "NAME." TERN_TASK_PROMPT ", NAME of "
        TERN_TASK_NAME_RULE ", found the name \"%s\"%s", name, field ? "" : " alone");
  if (!(task = take_name (tasks, places, g_steal_pointer (&name), file, key, error)))
    return FALSE;
  if (g_str_equal (field, TERN_TASK_PROMPT))
    return (task->prompt = read_string (file, key, error)) != NULL;
  if (g_str_equal (field, TERN_TASK_LABELS))
    return (task->labels = (const char *const *) read_labels (file, key, error)) != NULL;
  if (g_str_equal (field, TERN_TASK_SCHEMA))
    return (task->json_schema = read_string (file, key, error)) != NULL;
  /* Without it the answers would be others. */
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: key %s: expected " TERN_TASK_PROMPT ", " TERN_TASK_LABELS
      " or " TERN_TASK_SCHEMA " of a task, found %s", tern_gguf_path (file), key, field);
  return FALSE;
}

static gboolean
check_task (const TernGguf *file, const TernTask *task, GError **error)
{
  g_autofree char *key = g_strconcat (TERN_TASK_PREFIX, task->name, ".", task->prompt ? TERN_TASK_SCHEMA
      : TERN_TASK_PROMPT, NULL);

  if (!task->prompt)
    return tern_gguf_bad_key (file, key, error, "expected the prompt of the task %s, found no such key", task->name);
  if (task->labels && task->json_schema)
    return tern_gguf_bad_key (file, key, error, "expected labels or a schema of the task %s, found both", task->name);
  return TRUE;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (((const TernTask *) a)->name, ((const TernTask *) b)->name);
}

gboolean
tern_tasks_read (TernTasks *tasks, const TernGguf *file, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (TernTask));
  g_autoptr (GHashTable) places = g_hash_table_new (g_str_hash, g_str_equal);

  *tasks = (TernTasks) { NULL, 0 };
  g_array_set_clear_func (all, task_clear);
  for (gsize i = 0; i < tern_gguf_n_keys (file); i++)
    if (!read_key (all, places, file, tern_gguf_key (file, i, NULL), error))
      return FALSE;
  for (guint i = 0; i < all->len; i++)
    if (!check_task (file, &g_array_index (all, TernTask, i), error))
      return FALSE;
  g_array_sort (all, compare_names);
  tasks->n = all->len;
  tasks->tasks = (TernTask *) g_array_free (g_steal_pointer (&all), FALSE);
  return TRUE;
}

void
tern_tasks_clear (TernTasks *tasks)
{
  for (guint i = 0; i < tasks->n; i++)
    task_clear (&tasks->tasks[i]);
  g_free (tasks->tasks);
  *tasks = (TernTasks) { NULL, 0 };
}

const TernTask *
tern_tasks_find (const TernTasks *tasks, const char *name)
{
  for (guint i = 0; i < tasks->n; i++)
    if (g_str_equal (tasks->tasks[i].name, name))
      return &tasks->tasks[i];
  return NULL;
}

gboolean
tern_tasks_have_prompt (const TernTasks *tasks, const char *prompt)
{
  for (guint i = 0; i < tasks->n; i++)
    if (g_str_equal (tasks->tasks[i].prompt, prompt))
      return TRUE;
  return FALSE;
}

gboolean
tern_tasks_token_bias (const TernGguf *file, guint n_vocab, float **bias, GError **error)
{
  g_autofree float *values = NULL;
  TernGgufArray array;

  *bias = NULL;
  if (!tern_gguf_array (file, TERN_TOKEN_BIAS, TERN_GGUF_F32, FALSE, &array, error))
    return FALSE;
  if (!array.data)
    return TRUE;
  if (array.count != n_vocab)
    return tern_gguf_bad_key (file, TERN_TOKEN_BIAS, error, "expected %u numbers, one for each token, found %" G_GUINT64_FORMAT,
        n_vocab, array.count);
  values = g_new (float, n_vocab);
  for (guint i = 0; i < n_vocab; i++) {
    TernGgufValue value;

    tern_gguf_element (&array, i, &value);
    values[i] = (float) value.f64;
    if (!(fabsf (values[i]) <= TERN_TOKEN_BIAS_MOST))
      return tern_gguf_bad_key (file, TERN_TOKEN_BIAS, error, "expected numbers from -%g to %g, found %g for token %u",
          TERN_TOKEN_BIAS_MOST, TERN_TOKEN_BIAS_MOST, value.f64, i);
  }
  *bias = g_steal_pointer (&values);
  return TRUE;
}

gboolean
tern_tasks_label_temperature (const TernGguf *file, double *temperature, GError **error)
{
  float value;

  if (!tern_gguf_f32_or (file, TERN_LABEL_TEMPERATURE, FLT_MIN, FLT_MAX, 1, &value, error))
    return FALSE;
  *temperature = value;
  return TRUE;
}

gboolean
tern_tasks_prompt_use (const TernGguf *file, TernPromptUse *use, GError **error)
{
  g_autofree char *quoted = NULL;
  TernBytes word;

  *use = TERN_PROMPT_READ;
  if (!tern_gguf_string_or (file, TERN_PROMPT_USE_KEY, &word, error))
    return FALSE;
  if (word.len == strlen ("ignored") && memcmp (word.data, "ignored", word.len) == 0)
    *use = TERN_PROMPT_IGNORED;
  else if (word.data && !(word.len == strlen ("read") && memcmp (word.data, "read", word.len) == 0))
    return tern_gguf_bad_key (file, TERN_PROMPT_USE_KEY, error, "expected \"read\" or \"ignored\", found %s",
        (quoted = tern_bytes_quote (word)));
  return TRUE;
}
