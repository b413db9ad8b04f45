/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a text file says about questions: those that it carries under names (keys `tern.task.NAME.prompt`, `.labels` and
 * `.schema`), how sure it is of labels, and which words it is to use more often than it would. */
#pragma once

#include "engine/weights/gguf.h"
#include "tern/tern.h"

G_BEGIN_DECLS

#define TERN_TASK_PREFIX "tern.task."
#define TERN_TASK_PROMPT "prompt"
#define TERN_TASK_LABELS "labels"
#define TERN_TASK_SCHEMA "schema"
#define TERN_TASK_NAME_RULE "a-z, 0-9, - and _"          /* for messages */
#define TERN_LABEL_TEMPERATURE "tern.label_temperature"
#define TERN_PROMPT_USE_KEY "tern.prompt"       /* "read", as without it, or "ignored" */
#define TERN_TOKEN_BIAS "tern.token_bias"
#define TERN_TOKEN_BIAS_MOST 100.0f     /* either way */
#define TERN_TASKS_MAX 1024     /* of a file */

/* By name; {0}: none. */
typedef struct {
  TernTask *tasks;
  guint n;
} TernTasks;

/* FORMAT names the key that is damaged, UNSUPPORTED one of a task that means nothing to this build. @tasks is {0} then. */
gboolean tern_tasks_read (TernTasks *tasks, const TernGguf *file, GError **error);
void tern_tasks_clear (TernTasks *tasks);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (TernTasks, tern_tasks_clear)
const TernTask *tern_tasks_find (const TernTasks *tasks, const char *name);     /* NULL: none */
/* Whether @prompt is what one of them asks. */
gboolean tern_tasks_have_prompt (const TernTasks *tasks, const char *prompt);

/* What log-probabilities of labels are divided by, 1 where the file says nothing. FORMAT. */
gboolean tern_tasks_label_temperature (const TernGguf *file, double *temperature, GError **error);

/* [n_vocab] what is added to the logits of its captions and of what it says in conversations, not of tasks and other forms (logit
 * adjustment: Menon et al. 2021, arXiv:2007.07314 eq. 9); NULL where the file says nothing. Free with g_free. FORMAT. */
gboolean tern_tasks_token_bias (const TernGguf *file, guint n_vocab, float **bias, GError **error);

/* What the model makes of instructions. FORMAT. */
gboolean tern_tasks_prompt_use (const TernGguf *file, TernPromptUse *use, GError **error);

/* The task of @key, as long as it is one of a task's: free with g_free. @field: what follows its name, or NULL when there is
 * no such thing. */
char *tern_task_of_key (const char *key, const char **field);
gboolean tern_task_name_is_good (const char *name);
/* Whether @labels, NULL-terminated, are 2 to TERN_LABELS_MAX, none empty, none twice; else *@problem says what was expected
 * and found. Free it with g_free. */
gboolean tern_task_labels_are_good (const char *const *labels, char **problem);

G_END_DECLS
