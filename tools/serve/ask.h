/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request asks for, whichever door it came through.
 *
 *   ask.c          what all doors share: stop texts, the model's name
 *   ask-form.c     forms of answers
 *   ask-chat.c     OpenAI's messages: parts, pictures, tools
 *   ask-openai.c   POST /v1/chat/completions, /v1/completions
 *   ask-ollama.c   POST /api/chat, /api/generate */
#pragma once

#include <json-glib/json-glib.h>

#include "tools/serve/fields.h"
#include "tools/serve/pictures.h"

G_BEGIN_DECLS

typedef enum {
  TERN_DOOR_CHAT,
  TERN_DOOR_TEXT,
  TERN_DOOR_OLLAMA_CHAT,
  TERN_DOOR_OLLAMA_GENERATE,
} TernDoor;

/* What there is to ask; borrowed. Any thread. */
typedef struct {
  TernModel *model;
  TernDrafter *drafter;         /* NULL: nobody guesses */
  TernPictures *pictures;       /* NULL: the model cannot see */
  const char *const *names;     /* NULL-terminated: the model's, its own first */
  TernPromptUse prompt_use;
  guint max_tokens;             /* where a request does not say */
  guint max_pictures;           /* of a request */
} TernCapacity;

typedef struct {
  TernDoor door;
  gboolean stream;
  gboolean include_usage;       /* of a stream: at its end */
  char *chat;                   /* for TernCompletionParams; NULL: */
  char *text;
  GPtrArray *views;             /* of TernView */
  char *json_schema, *grammar;  /* at most one */
  char *form_field;             /* the member that one came from; NULL: the door's own */
  GPtrArray *stop;              /* of char *, NULL-terminated once parsed */
  TernSampling sampling;
  gboolean scores;
  guint top_scores;
  GPtrArray *tools;             /* of char *: names of functions that may be called; NULL: none are offered */
  gboolean call;                /* one of them has to be; then the schema is of a call */
  char *fixed;                  /* the answer, without asking the model; NULL: it is asked */
  gboolean nothing;             /* Ollama: nothing is asked, the model shall be loaded */
} TernAsked;

/* What is asked by @body at @door. @gone as for tern_pictures_take(). FALSE: refused. */
gboolean tern_ask_parse (TernAsked *ask, TernDoor door, GBytes *body, const TernCapacity *capacity, const gint *gone,
    TernRefusal *refusal);
void tern_ask_clear (TernAsked *ask);

/* ---- Parts of it ---- */

gboolean tern_ask_openai (TernAsked *ask, const TernFields *fields, const TernCapacity *capacity, const gint *gone);
gboolean tern_ask_ollama (TernAsked *ask, const TernFields *fields, const TernCapacity *capacity, const gint *gone);

/* "model", which must be one of the names where it is given; with @tagged also with ":latest". */
gboolean tern_ask_is_name (const TernCapacity *capacity, const char *name, gboolean tagged);
gboolean tern_ask_model (const TernFields *fields, const TernCapacity *capacity, gboolean tagged);
gboolean tern_ask_stop (TernAsked *ask, const TernFields *fields, const char *name);
void tern_ask_schema (TernAsked *ask, JsonNode *schema);
/* OpenAI's "response_format", and what llama.cpp's and vLLM's clients send. */
gboolean tern_ask_form (TernAsked *ask, const TernFields *fields);

/* A conversation that is put together. */
typedef struct {
  TernAsked *ask;
  const TernCapacity *capacity;
  const gint *gone;
  TernRefusal *refusal;
  JsonArray *messages;          /* as TernCompletionParams.chat has them */
  gboolean past;                /* pictures of the message that is read are not shown any more */
} TernTalk;

/* Which of @messages a model that does not read is shown: the last of a user with pictures, by @shows; else the last with any.
 * Its answers are about what it sees, and pictures of earlier turns would mix with it. */
guint tern_talk_newest (JsonArray *messages, gboolean (*shows) (JsonObject *message));

/* "messages" of OpenAI's chats. */
gboolean tern_talk_messages (TernTalk *talk, const TernFields *fields);
/* A picture or clip for @parts, or refused as @param. */
gboolean tern_talk_show (TernTalk *talk, JsonArray *parts, const char *url, gboolean clip, const char *param);
void tern_talk_say (JsonArray *parts, const char *text);
/* A message of @role with @content, which is taken. */
JsonObject *tern_talk_add (TernTalk *talk, const char *role, JsonNode *content);
/* "tools" and "tool_choice". */
gboolean tern_talk_tools (TernTalk *talk, const TernFields *fields, JsonArray **tools);
/* Makes the ask's chat of it; @more: further members for the template, or NULL. A model that does not read instructions is
 * shown the pictures alone. */
gboolean tern_talk_end (TernTalk *talk, JsonArray *tools, JsonObject *more);

G_END_DECLS
