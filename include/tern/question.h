/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked about a window, and in what form it is answered. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernQuestion:
 * @prompt: (nullable): instruction, UTF-8; %NULL = the task's, else the model's default, "" = none. Placeholders {start}
 *   and {end} (seconds of stream time, of the window), {n_frames} and {source} are filled in; a brace that begins none
 *   of these stays as it is
 * @prompt_id: (nullable): the caller's name for it, UTF-8; comes back in results; %NULL = the task's name, else ""
 * @task: (nullable): a question that the model file carries under this name (tern_model_task()); its prompt, and its
 *   labels or schema, hold where the fields below say nothing
 * @labels: (nullable) (array zero-terminated=1): the answer is one of these words or phrases, UTF-8; 2 to
 *   TERN_LABELS_MAX, not empty, none twice. The result has their probabilities
 * @min_confidence: below it the result of labels is marked as abstained, 0..1
 * @json_schema: (nullable): the answer is a JSON value of this JSON Schema, UTF-8
 * @grammar: (nullable): the answer is a sentence of this grammar in GBNF, UTF-8
 * @action: the answer is a chunk of the session's action model (TernSessionParams.action)
 * @max_tokens: most tokens to say, 0 (TernSampling.max_tokens of the session)..TERN_MAX_TOKENS_MAX
 * @reserved: 0
 *
 * A question. @labels, @json_schema, @grammar and @action exclude each other; without any the answer is free text.
 *
 * Since: 0.1
 */
typedef struct {
  const char *prompt;
  const char *prompt_id;
  const char *task;
  const char *const *labels;
  double min_confidence;
  const char *json_schema;
  const char *grammar;
  gboolean action;
  guint max_tokens;
  gpointer reserved[4];
} TernQuestion;

/**
 * TernRequest:
 * @question: what is asked
 * @timeout: ns until an answer that is not there yet becomes a result of kind error; 0: none
 * @frames: the newest so many frames are looked at, at most those of a window; 0: those of the open window so far, or of
 *   the last one before its first frame; with %TERN_MEMORY_STREAM all that is remembered
 * @from: with %TERN_MEMORY_STREAM, what is remembered from this time on is looked at, and nothing else; in ns of stream time
 * @to: up to here, in ns of stream time; 0: of any time
 * @reserved: 0
 *
 * A question that is asked once, about what has been seen by then: tern_session_ask().
 *
 * Since: 0.1
 */
typedef struct {
  TernQuestion question;
  guint64 timeout;
  guint frames;
  guint64 from;
  guint64 to;
  gpointer reserved[4];
} TernRequest;

G_END_DECLS
