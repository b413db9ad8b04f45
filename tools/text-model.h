/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A language model as the subcommands that take text or token ids open it. */
#pragma once

#include "engine/llm/solo.h"
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

#define TERN_TOOL_ACTIVATIONS "f32 (not at all), int8, w1a8, a4.8, v2[:BLOCK] or v2-a8[:BLOCK]"

/* What the user chose; strings are freed by tern_text_options_clear. */
typedef struct {
  char *model;
  char *kv;
  gint threads;
  char *activations_name;
  TernActivations activations;  /* set by tern_text_options_check(), as is the next */
  TernActivationPolicy policy;  /* FILE: as the file says */
} TernTextOptions;

#define TERN_TEXT_OPTION_ENTRIES(o) \
  { "model", 0, 0, G_OPTION_ARG_FILENAME, &(o)->model, "Language model", "F" }, \
  { "threads", 0, 0, G_OPTION_ARG_INT, &(o)->threads, "Threads; 0 = all cores", "N" }, \
  { "kv", 0, 0, G_OPTION_ARG_STRING, &(o)->kv, "Keys and values are kept as " TERN_KV_NAMES " (auto: f32 for up to " \
      "1024 tokens and with float activations, else f16)", "TYPE" }, \
  { "activations", 0, 0, G_OPTION_ARG_STRING, &(o)->activations_name, "How inputs of matrices are rounded, instead of as the " \
      "file says: " TERN_TOOL_ACTIVATIONS, "MODE" }

/* Where *@path is NULL, the model of TERN_MODEL_PATH, where it is a folder, the one in it, to be freed. TERN_TOOL_DONE, or another
 * status with a message. */
int tern_text_find_model (char **path, const char *subcommand);

/* The same of the options, which are looked at, too. Reads what names stand for. */
int tern_text_options_check (TernTextOptions *options, const char *subcommand);
/* "f32", the name of a policy or NULL (as the file says). FALSE with a message for anything else. */
gboolean tern_text_parse_activations (const char *text, TernActivations *activations, TernActivationPolicy *policy);
void tern_text_options_clear (TernTextOptions *options);

typedef struct {
  const TernTextOptions *options;
  TernGguf *file;
  TernLlm *llm;
  TernTokenizer *tokenizer;
  TernPool *pool;
  TernSoloParams params;
  TernSolo *state;
} TernTextModel;

/* Everything that can be wrong with the file is found here, the tokenizer too: ids mean nothing without one. */
gboolean tern_text_model_open (TernTextModel *model, const TernTextOptions *options, GError **error);
/* Takes the memory for @need tokens, which must fit in the model's context, and up to @wish more as far as they do.
 * @what: the option or file that the tokens come from, for messages. */
gboolean tern_text_model_start (TernTextModel *model, const char *what, gsize need, gsize wish, GError **error);
void tern_text_model_clear (TernTextModel *model);

G_END_DECLS
