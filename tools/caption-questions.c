/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-questions.h"

#include <string.h>

#include "tools/forms.h"
#include "tools/tool.h"

/* At most one of the @n options may be given. */
static int
check_one (const char *const *options, char *const *values, guint n)
{
  const char *first = NULL;

  for (guint i = 0; i < n; i++) {
    if (values[i] && first)
      return tern_tool_usage ("caption: %s and %s exclude each other: expected one of them, found both", first, options[i]);
    if (values[i])
      first = options[i];
  }
  return TERN_TOOL_DONE;
}

/* ID=TEXT of each --question. */
static int
split_questions (TernCaptionQuestions *q, guint n)
{
  q->ids = g_new0 (char *, n + 1);
  q->texts = g_new0 (char *, n + 1);
  for (guint i = 0; i < n; i++) {
    const char *equals = strchr (q->questions[i], '=');

    if (!equals || equals == q->questions[i])
      return tern_tool_usage ("caption: --question: expected ID=TEXT, found %s", q->questions[i]);
    q->ids[i] = g_strndup (q->questions[i], equals - q->questions[i]);
    q->texts[i] = g_strdup (equals + 1);
    for (guint k = 0; k < i; k++)
      if (g_str_equal (q->ids[k], q->ids[i]))
        return tern_tool_usage ("caption: --question: expected an ID of its own for each, found %s twice", q->ids[i]);
  }
  return TERN_TOOL_DONE;
}

static int
check_questions (TernCaptionQuestions *q, guint n, gboolean subtitles)
{
  if (n == 0)
    return TERN_TOOL_DONE;
  if (q->prompt)
    return tern_tool_usage ("caption: --question and --prompt exclude each other: expected one of them, found both");
  if (n > TERN_QUESTIONS_MAX)
    return tern_tool_usage ("caption: --question: expected at most %d, found %u", TERN_QUESTIONS_MAX, n);
  if (n > 1 && subtitles)
    return tern_tool_usage ("caption: --question: expected one for subtitles, which have one text at a time, found %u", n);
  return split_questions (q, n);
}

static int
check_forms (TernCaptionQuestions *q)
{
  static const char *const options[] = { "--labels", "--json-schema", "--grammar" };
  char *const values[] = { q->labels, q->json_schema, q->grammar };
  g_autoptr (GError) error = NULL;
  int status = check_one (options, values, G_N_ELEMENTS (values));

  if (status != TERN_TOOL_DONE)
    return status;
  if (q->min_confidence != TERN_CAPTION_NOT_GIVEN) {
    if (!(q->min_confidence >= 0 && q->min_confidence <= 1))
      return tern_tool_usage ("caption: --min-confidence: expected a number from 0 to 1, found %g", q->min_confidence);
    if (!q->labels && !q->task)
      return tern_tool_usage ("caption: --min-confidence: expected --labels or --task beside it, found neither");
  }
  if ((q->labels && !(q->label_list = tern_form_labels ("--labels", q->labels, &error)))
      || (q->json_schema && !(q->schema_text = tern_form_schema (q->json_schema, NULL, &error)))
      || (q->grammar && !(q->grammar_text = tern_form_grammar (q->grammar, NULL, &error))))
    return tern_tool_fail (&error);
  return TERN_TOOL_DONE;
}

int
tern_caption_questions_check (TernCaptionQuestions *q, gboolean subtitles, TernSessionParams *params)
{
  guint n = q->questions ? g_strv_length (q->questions) : 0;
  int status = check_questions (q, n, subtitles);

  if (status == TERN_TOOL_DONE)
    status = check_forms (q);
  if (status != TERN_TOOL_DONE)
    return status;
  params->n_questions = MAX (n, 1);
  params->questions = q->asked;
  for (guint i = 0; i < params->n_questions; i++)
    q->asked[i] = (TernQuestion) { .prompt = n ? q->texts[i] : q->prompt, .prompt_id = n ? q->ids[i] : NULL,
      .task = q->task, .labels = (const char *const *) q->label_list, .json_schema = q->schema_text,
      .grammar = q->grammar_text,
      .min_confidence = q->min_confidence == TERN_CAPTION_NOT_GIVEN ? 0 : q->min_confidence };
  return TERN_TOOL_DONE;
}

gboolean
tern_caption_questions_suit (const TernCaptionQuestions *q, const TernModel *model)
{
  g_autoptr (GString) names = g_string_new (NULL);
  const TernTask *tasks;
  guint n;

  if (!q->task || tern_model_task (model, q->task))
    return TRUE;
  tasks = tern_model_tasks (model, &n);
  for (guint i = 0; i < n; i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", tasks[i].name);
  if (n > 0)
    tern_tool_usage ("caption: --task: expected one of %s, which %s carries, found %s", names->str, tern_model_path (model),
        q->task);
  else
    tern_tool_usage ("caption: --task: expected a model file with tasks, found that %s carries none; `tern tasks` adds "
        "them", tern_model_path (model));
  return FALSE;
}

void
tern_caption_questions_clear (TernCaptionQuestions *q)
{
  g_free (q->prompt);
  g_free (q->task);
  g_free (q->labels);
  g_free (q->json_schema);
  g_free (q->grammar);
  g_strfreev (q->questions);
  g_strfreev (q->label_list);
  g_strfreev (q->ids);
  g_strfreev (q->texts);
  g_free (q->schema_text);
  g_free (q->grammar_text);
}
