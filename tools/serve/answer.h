/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers as clients expect them: OpenAI's objects and events, Ollama's objects and lines. */
#pragma once

#include "tern/tern.h"
#include "tools/serve/ask.h"

G_BEGIN_DECLS

/* How likely tokens were, as the members of the JSON arrays that @door has. */
typedef struct {
  GString *content;             /* chats: objects */
  GString *tokens, *logprobs, *tops, *offsets;  /* texts */
  gsize said;                   /* characters before the next token */
} TernScores;

void tern_scores_init (TernScores *scores);
void tern_scores_clear (TernScores *scores);
void tern_scores_add (TernScores *scores, const TernTokenScore *tokens, guint n, gboolean chat);
/* Moves what @from has to the end of @to. */
void tern_scores_move (TernScores *to, TernScores *from);

/* What an answer is about. */
typedef struct {
  TernDoor door;
  const char *id, *model;
  gint64 created;               /* s since 1970 */
  gboolean include_usage;       /* of a stream */
} TernAnswerHead;

/* How it ended. */
typedef struct {
  const char *reason;           /* stop, length, tool_calls */
  guint prompt_tokens, generated_tokens, guesses, guesses_right;
  double encode_ms, prompt_ms, decode_ms, total_ms;
} TernAnswerEnd;

/* A function that is called. */
typedef struct {
  char *name, *arguments;       /* arguments: JSON */
} TernCall;
void tern_call_clear (TernCall *call);
/* Whether @text is a call of one of @names: JSON with name and arguments, as models write it. */
gboolean tern_call_find (TernCall *call, const char *text, const GPtrArray *names);

/* In one piece. @thought: what was thought before, or ""; @scores and @call may be NULL. Free it. */
char *tern_answer_whole (const TernAnswerHead *head, const char *thought, const char *text, const TernScores *scores,
    const TernCall *call, const TernAnswerEnd *end);
/* Pieces of a stream: what comes first, words, and the end. "" for what a door does not send. Free them. */
char *tern_answer_first (const TernAnswerHead *head);
char *tern_answer_piece (const TernAnswerHead *head, const char *thought, const char *text, const TernScores *scores);
char *tern_answer_last (const TernAnswerHead *head, const TernCall *call, const TernAnswerEnd *end);
/* ... or that it ends by an error. */
char *tern_answer_broken (const TernAnswerHead *head, const TernRefusal *refusal);
const char *tern_answer_stream_type (TernDoor door);

/* The body of a refusal; @ollama: as Ollama's clients read it. */
char *tern_refusal_json (const TernRefusal *refusal, gboolean ollama);

/* "2024-05-01T12:00:00Z"; free it. */
char *tern_time_text (gint64 seconds);

G_END_DECLS
