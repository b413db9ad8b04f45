/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The token sequence of a prompt: what the file's own chat template makes of pictures and an instruction, and what the
 * model's family puts around the visual tokens of a picture. */
#pragma once

#include "engine/chat/chat.h"
#include "engine/text/tokenizer.h"
#include "tern/plain.h"
#include "vision/vision.h"

/* Stands in a prompt's ids where the next run of visual tokens goes. */
#define TERN_PROMPT_RUN (-1)
/* What chat templates write where a picture or a video goes. */
#define TERN_PROMPT_IMAGE "<image>"
#define TERN_PROMPT_VIDEO "<video>"

/* One run of visual tokens. */
typedef struct {
  guint row, column;            /* of a tile, counted from 1; else 0 */
  gboolean thumbnail;           /* the last one of a tiled picture */
  guint64 time;                 /* of a frame: ns since the video's first one */
} TernPromptRun;

/* What a prompt shows: the sub-images of a still, or the frames of a video. */
typedef struct {
  const TernPromptRun *runs;    /* [n] */
  guint n;
  gboolean video;
  guint64 start, duration;      /* ns, of the video; where in stream time it starts */
} TernPromptVisual;

typedef struct _TernPromptFamily TernPromptFamily;

/* How the model whose encoder has @projector (NULL: not known) wants its pictures; told by the vocabulary where that does
 * not say it. UNSUPPORTED names the control token that the vocabulary lacks. */
const TernPromptFamily *tern_prompt_family (const char *projector, const TernTokenizer *tokenizer, const char *path,
    GError **error);
/* Whether the ids of a video depend on more than its number of frames. */
gboolean tern_prompt_is_timed (const TernPromptFamily *family);

typedef struct {
  const TernPromptFamily *family;
  const TernChat *chat;
  const TernTokenizer *tokenizer;
  const char *system;           /* NULL: none */
  const char *text;             /* the instruction; "" = none */
  gboolean think;               /* before the answer, where the template has a switch for it */
} TernPromptParts;

/* Replaces the contents of @ids (gint32), with TERN_PROMPT_RUN for each of visual->runs in order. User text never becomes
 * a control token. UNSUPPORTED when the template does not show what it is given, or the vocabulary lacks a tile's tag. */
gboolean tern_prompt_compile (GArray *ids, const TernPromptParts *parts, const TernPromptVisual *visual,
    GError **error);
/* Where in @ids run number @n of it, counted from 1, is over: the index behind it; 0: there are fewer. */
guint tern_prompt_end_of_run (const GArray *ids, guint n);

/* ---- prompt-chat.c: whole conversations ---- */

typedef struct {
  const TernPromptFamily *family;       /* NULL: no pictures */
  const TernChat *chat;
  const TernTokenizer *tokenizer;
  const TernPlain *plain;
  const char *json;             /* TernCompletionParams.chat */
  const TernPromptVisual *visuals;      /* [n] what its parts of type image and video show, in order */
  guint n;
} TernPromptChat;

/* The same for a conversation. FORMAT, INVALID: what @chat->json is not; UNSUPPORTED as above. */
gboolean tern_prompt_compile_chat (GArray *ids, const TernPromptChat *chat, GError **error);
/* The same for a text that is gone on with. */
gboolean tern_prompt_compile_text (GArray *ids, const TernTokenizer *tokenizer, const char *text, GError **error);
