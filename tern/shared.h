/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What models of the same files have in common, whatever their options: weights, vocabulary, chat template. One copy of
 * each in the process. */
#pragma once

#include "engine/chat/chat.h"
#include "engine/grammar/constraint.h"
#include "engine/llm/llm.h"
#include "engine/text/tokenizer.h"
#include "tern/plain.h"
#include "tern/tasks.h"
#include "vision/vision.h"

G_BEGIN_DECLS

#define TERN_DEFAULT_PROMPT "Describe what happens."    /* of files that name none */

/* The language model's half. */
typedef struct _TernModelText {
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernChat *chat;
  TernPlain *plain;             /* keeps what is said in a conversation from becoming control tokens */
  char *name, *default_prompt;
  TernPromptUse prompt_use;
  TernTasks tasks;              /* questions that the file carries */
  double label_temperature;     /* that log-probabilities of labels are divided by */
  float *token_bias;            /* [n_vocab] of what is said freely; NULL: none */
  TernTokenTrie *trie;          /* made when it is first needed: tern_model_text_trie() */
  GQueue forms;                 /* of what tern_model_text_constraint() keeps, newest first; under its lock */
} TernModelText;

/* The vocabulary as constraints want it; a reference. Any thread. */
TernTokenTrie *tern_model_text_trie (const TernModelText *text, GError **error);

/* What holds answers to @json_schema or, where that is NULL, @grammar; a reference. The last ones are kept: who asks for one
 * form again and again waits for it once. INVALID, UNSUPPORTED. Any thread. */
TernConstraint *tern_model_text_constraint (const TernModelText *text, const char *json_schema, const char *grammar,
    GError **error);

/* References; a file that is in use already is not read again. One load at a time: the caller holds a lock around the two
 * that the unrefs do not need. @policy: how inputs are rounded (of kind FILE: as the file says). @threads pack the weights. */
TernModelText *tern_shared_text (const char *path, const TernKernels *kernels, const TernActivationPolicy *policy, guint threads,
    GError **error);
/* The language model and the vocabulary alone, for a draft, which is asked nothing. */
TernModelText *tern_shared_draft (const char *path, const TernKernels *kernels, guint threads, GError **error);
TernVision *tern_shared_vision (const char *mmproj_path, const TernKernels *kernels, GError **error);
/* From any thread; NULL too. */
void tern_shared_unref (void *text_or_vision);

/* Appends what tells the file at @path from others, and from itself after it was replaced. */
void tern_shared_append_identity (GString *key, const char *path);

G_END_DECLS
