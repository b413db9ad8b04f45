/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a question's answer may look like, on the vocabulary of a model; and the questions that a model file carries. */
#include "tern/session-config.h"

#include "tern/shared.h"
#include "tern/tasks.h"

static const char *
keep (GStringChunk *strings, const char *text, const char *otherwise)
{
  const char *kept = text ? text : otherwise;

  return kept ? g_string_chunk_insert (strings, kept) : NULL;
}

/* The array alone is the caller's to free. */
static const char *const *
keep_labels (GStringChunk *strings, const char *const *labels)
{
  guint n = labels ? g_strv_length ((char **) labels) : 0;
  const char **kept = labels ? g_new0 (const char *, n + 1) : NULL;

  for (guint i = 0; i < n; i++)
    kept[i] = g_string_chunk_insert (strings, labels[i]);
  return kept;
}

static const TernTask *
find_task (const TernModelText *text, const char *name, GError **error)
{
  const TernTask *task = tern_tasks_find (&text->tasks, name);
  g_autoptr (GString) names = g_string_new (NULL);

  if (task)
    return task;
  for (guint i = 0; i < text->tasks.n; i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", text->tasks.tasks[i].name);
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "task: expected one that %s carries (%s), found \"%s\"", text->name,
      text->tasks.n ? names->str : "it has none", name);
  return NULL;
}

gboolean
tern_question_fill (TernQuestion *question, const TernQuestion *asked, const TernModelText *text, GStringChunk *strings,
    GError **error)
{
  const TernTask *task = NULL;
  gboolean formed = asked->labels || asked->json_schema || asked->grammar || asked->action;

  if (asked->task && !(task = find_task (text, asked->task, error)))
    return FALSE;
  question->prompt = keep (strings, asked->prompt ? asked->prompt : task ? task->prompt : NULL, text->default_prompt);
  question->prompt_id = keep (strings, asked->prompt_id ? asked->prompt_id : asked->task, "");
  question->task = keep (strings, asked->task, NULL);
  question->labels = keep_labels (strings, !formed && task ? task->labels : asked->labels);
  question->json_schema = keep (strings, !formed && task ? task->json_schema : asked->json_schema, NULL);
  question->grammar = keep (strings, asked->grammar, NULL);
  return TRUE;
}

static TernConstraint *
constrain (const TernQuestion *question, const TernModelText *text, guint max_tokens, GError **error)
{
  const char *name = question->json_schema ? "json_schema" : "grammar";
  g_autoptr (TernGrammar) grammar = question->json_schema
      ? tern_grammar_from_json_schema (question->json_schema, error) : tern_grammar_from_gbnf (question->grammar, error);
  g_autoptr (TernTokenTrie) trie = grammar ? tern_model_text_trie (text, error) : NULL;
  TernConstraint *constraint = trie ? tern_constraint_new (grammar, trie, error) : NULL;

  if (!constraint) {
    g_prefix_error (error, "%s: ", name);
  } else if (tern_constraint_shortest (constraint) > max_tokens) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected max_tokens of at least %u, which its shortest answer"
        " has, found %u", name, tern_constraint_shortest (constraint), max_tokens);
    g_clear_pointer (&constraint, tern_constraint_unref);
  }
  return constraint;
}

gboolean
tern_answer_form_init (TernAnswerForm *form, const TernQuestion *question, const TernModelText *text, guint max_tokens,
    GError **error)
{
  *form = (TernAnswerForm) { .max_tokens = max_tokens };
  if (question->labels) {
    form->labels = tern_labels_new (text->tokenizer, question->labels, g_strv_length ((char **) question->labels), error);
    form->max_tokens = form->labels ? tern_labels_longest (form->labels) : 0;
    return form->labels != NULL;
  }
  if (question->json_schema || question->grammar)
    return (form->constraint = constrain (question, text, max_tokens, error)) != NULL;
  if (question->action)
    form->max_tokens = 1;
  else if (!tern_tasks_have_prompt (&text->tasks, question->prompt))
    form->bias = text->token_bias;
  return TRUE;
}

void
tern_answer_form_clear (TernAnswerForm *form)
{
  g_clear_pointer (&form->labels, tern_labels_unref);
  g_clear_pointer (&form->constraint, tern_constraint_unref);
}
