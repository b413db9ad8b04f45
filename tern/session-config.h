/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What holds for the work of a session that is pushed from now on; may change between windows. */
#pragma once

#include "compress/dycoke-dp.h"
#include "engine/decode/labels.h"
#include "engine/grammar/constraint.h"
#include "tern/tern.h"
#include "tern/work-queue.h"

typedef struct _TernModelText TernModelText;

/* How one question is answered. */
typedef struct {
  TernConstraint *constraint;   /* of a schema or grammar; NULL: none */
  TernLabels *labels;           /* NULL: none */
  const float *bias;            /* the text's, of what is said freely; NULL: none */
  guint max_tokens;             /* that may be said */
} TernAnswerForm;

/* Immutable, counted. */
struct _TernSessionConfig {
  gint refs;                    /* atomic */
  /* As asked for, in its range. Strings and questions are the config's; what is not for windows to come (source, func,
   * func_data, budget) is NULL. */
  TernSessionParams params;
  /* [n_questions], at least one; no prompt or id is NULL, tasks were filled in. */
  const TernQuestion *questions;
  TernAnswerForm *forms;              /* [n_questions] */
  guint n_questions;
  guint max_tokens, forks, label;       /* of all forms, at most; tokens of the longest label */
  TernDpParams dp;              /* of params.kv_* */
  GStringChunk *strings;
};

/* INVALID names the parameter, its range and the value found. @text has what is asked where a prompt is NULL, tasks, and
 * the vocabulary that forms are made for. */
TernSessionConfig *tern_session_config_new (const TernSessionParams *params, const TernModelText *text, GError **error);
/* @config's, but for its questions: @question alone. */
TernSessionConfig *tern_session_config_with (const TernSessionConfig *config, const TernQuestion *question,
    const TernModelText *text, GError **error);
TernSessionConfig *tern_session_config_ref (TernSessionConfig *config);
void tern_session_config_unref (TernSessionConfig *config);

/* ---- session-memory-stream.c ---- */

/* Whether what is remembered goes together with the rest; INVALID names the parameter. */
gboolean tern_session_stream_check (const TernSessionParams *params, GError **error);

/* ---- session-form.c: forms on the vocabulary of a model ---- */

/* Makes @question what @asked is with its task filled in: strings in @strings, the array of labels to be freed. INVALID
 * names what was found. */
gboolean tern_question_fill (TernQuestion *question, const TernQuestion *asked, const TernModelText *text,
    GStringChunk *strings, GError **error);
gboolean tern_answer_form_init (TernAnswerForm *form, const TernQuestion *question, const TernModelText *text, guint max_tokens,
    GError **error);
void tern_answer_form_clear (TernAnswerForm *form);

/* Whether the answer is in the model's own words: what it may think before. */
static inline gboolean
tern_session_config_is_free (const TernSessionConfig *config, guint question)
{
  return !config->forms[question].constraint && !config->forms[question].labels && !config->questions[question].action;
}
