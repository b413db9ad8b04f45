/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern ask: a question about what was seen, answered by a text model from what is found, or by what is found alone. */
#include <math.h>
#include <stdio.h>

#include "tern/tern.h"
#include "engine/base/json.h"
#include "tools/tool.h"
#include "watch/ask.h"
#include "watch/commands.h"
#include "watch/config.h"
#include "watch/find.h"
#include "watch/unseen.h"

#define ANSWER_TOKENS 200

/* An answer on its way from the engine's thread. */
typedef struct {
  GMutex lock;
  GCond changed;
  GString *text;
  GError *error;
  gboolean last;
} Answer;

static void
on_event (void *data, TernCompletion *completion, const TernCompletionEvent *event)
{
  Answer *answer = data;

  g_mutex_lock (&answer->lock);
  g_string_append (answer->text, event->text);
  answer->last = event->last;
  if (event->failure)
    answer->error = g_error_copy (event->failure);
  g_cond_signal (&answer->changed);
  g_mutex_unlock (&answer->lock);
}

/* As many of the hits as the model's context has room for; *@n are told. */
static TernCompletion *
make_completion (TernModel *model, const char *question, const GPtrArray *hits, Answer *answer, guint *n, GError **error)
{
  TernCompletionParams params = TERN_COMPLETION_PARAMS_INIT;

  params.sampling.max_tokens = ANSWER_TOKENS;
  params.func = on_event;
  params.func_data = answer;
  for (*n = hits->len; *n > 0; *n /= 2) {
    g_autofree char *chat = tern_ask_chat (question, hits, *n);
    g_autoptr (GError) why = NULL;
    TernCompletion *completion;

    params.chat = chat;
    completion = tern_completion_new (model, &params, &why);
    if (completion)
      return completion;
    if (*n == 1 || !g_error_matches (why, TERN_ERROR, TERN_ERROR_NO_SPACE)) {
      g_propagate_error (error, g_steal_pointer (&why));
      return NULL;
    }
  }
  return NULL;
}

/* The answer (transfer full), or NULL with @error. */
static char *
ask_model (const char *path, const char *question, const GPtrArray *hits, guint *n, GError **error)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  Answer answer = { .text = g_string_new (NULL) };
  g_autoptr (TernModel) model = NULL;
  g_autoptr (TernCompletion) completion = NULL;

  params.model_path = path;
  params.parts = TERN_MODEL_TEXT;
  model = tern_model_open (&params, error);
  completion = model ? make_completion (model, question, hits, &answer, n, error) : NULL;
  if (!completion) {
    g_string_free (answer.text, TRUE);
    return NULL;
  }
  tern_completion_start (completion);
  g_mutex_lock (&answer.lock);
  while (!answer.last)
    g_cond_wait (&answer.changed, &answer.lock);
  g_mutex_unlock (&answer.lock);
  if (answer.error) {
    g_propagate_error (error, answer.error);
    g_string_free (answer.text, TRUE);
    return NULL;
  }
  return g_strstrip (g_string_free (answer.text, FALSE));
}

static void
print_text (const char *answer, const GPtrArray *hits, guint n, const GPtrArray *unseen)
{
  if (answer)
    printf ("%s\n\n", answer);
  for (guint i = 0; i < n; i++) {
    g_autofree char *line = tern_hit_line (g_ptr_array_index (hits, i));

    if (answer)
      printf ("[%u] ", i + 1);
    puts (line);
  }
  for (guint i = 0; i < unseen->len; i++) {
    g_autofree char *line = tern_unseen_line (g_ptr_array_index (unseen, i));

    tern_tool_message ("%s", line);
  }
}

static void
print_json (const char *answer, const GPtrArray *hits, guint n, const GPtrArray *unseen)
{
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  tern_json_name (&json, "answer");
  if (answer)
    tern_json_text (&json, answer, -1);
  else
    tern_json_double (&json, NAN, 1);   /* null */
  tern_json_close (&json, '}');
  g_string_truncate (json.out, json.out->len - 1);
  g_string_append (json.out, ",\"sources\":[");
  for (guint i = 0; i < n; i++) {
    g_autofree char *hit = tern_hit_json (g_ptr_array_index (hits, i));

    g_string_append_printf (json.out, "%s%s", i ? "," : "", hit);
  }
  g_string_append (json.out, "],\"not_looked_at\":[");
  for (guint i = 0; i < unseen->len; i++) {
    g_autofree char *sum = tern_unseen_json (g_ptr_array_index (unseen, i));

    g_string_append_printf (json.out, "%s%s", i ? "," : "", sum);
  }
  puts (g_string_append (json.out, "]}")->str);
  g_string_free (json.out, TRUE);
}

/* The model that is given, or that of the configuration; NULL: none. */
static char *
find_model (const TernFindOptions *options, const char *model)
{
  g_autoptr (TernWatchConfig) config = NULL;

  if (model || !options->config)
    return g_strdup (model);
  config = tern_watch_config_read (options->config, NULL, NULL);
  return config ? g_strdup (config->text_model) : NULL;
}

static int
answer_question (const TernFindOptions *options, const char *model, const char *question, gboolean json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernWatchMemory) memory = NULL;
  g_autoptr (GPtrArray) hits = NULL, unseen = NULL;
  g_autofree char *words = NULL, *path = NULL, *answer = NULL;
  TernSearch search;
  guint n;

  memory = tern_find_open (options, &search, &error);
  words = tern_ask_words (question);
  search.words = words;
  search.any = TRUE;
  hits = memory ? tern_search (memory, &search, &error) : NULL;
  unseen = hits ? tern_unseen_find (memory, search.camera, search.since, search.until, &error) : NULL;
  if (!unseen)
    return tern_tool_fail (&error);
  n = hits->len;
  path = find_model (options, model);
  if (n == 0)
    tern_tool_message ("nothing was seen of: %s", words);
  else if (path && !(answer = ask_model (path, question, hits, &n, &error)))
    return tern_tool_fail (&error);
  (json ? print_json : print_text) (answer, hits, n, unseen);
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}

int
tern_ask_command (int argc, char **argv)
{
  TernFindOptions options = { .limit = 12 };
  g_autofree char *model = NULL, *question = NULL;
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    TERN_FIND_OPTION_ENTRIES (&options),
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &model, "Text model that answers; else text-model of the configuration, else what "
        "was found is the answer", "F" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "A JSON object with answer and sources", NULL },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, "QUESTION...", 1, G_MAXINT, "Answers a question about what cameras saw, from what is found "
          "of its words.", entries, &rest)) {
    question = g_strjoinv (" ", rest);
    status = g_utf8_validate (question, -1, NULL) ? answer_question (&options, model, question, json)
        : tern_tool_usage ("ask: expected a question in UTF-8, found other bytes");
  }
  tern_find_options_clear (&options);
  return status;
}
