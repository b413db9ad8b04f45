/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What model families put around visual tokens: a file each, and a line in prompt.c's table. */
#pragma once

#include "tern/prompt.h"

/* A prompt that is being written. */
typedef struct {
  const TernTokenizer *tokenizer;
  GArray *ids;
  GString *text;                /* not encoded yet */
  GArray *plain;                /* TernTextRange of it that is the user's */
  char *missing;                /* a control token that was written and that the vocabulary lacks; NULL: none */
} TernPromptWriter;

struct _TernPromptFamily {
  const char *projector;        /* clip.projector_type of its encoders */
  const char *const *tokens;    /* control tokens of every picture; NULL-terminated */
  gboolean timed;
  /* One still, in the template's place for a picture. */
  void (*still) (TernPromptWriter *writer, const TernPromptVisual *still);
  /* One frame of a video, in a place for a picture; NULL where `video` is set. */
  void (*frame) (TernPromptWriter *writer, const TernPromptRun *run);
  /* A whole video, in the template's place for one. */
  void (*video) (TernPromptWriter *writer, const TernPromptVisual *video);
  const char *video_place;      /* what stands for a video in what templates render; NULL: "<video>" */
  /* What they write for one, with that place in it, where it is part of a text; NULL: the place alone. */
  const char *video_text;
  const char *video_template;   /* for files whose own template has no place for a video */
};

extern const TernPromptFamily tern_prompt_family_lfm2, tern_prompt_family_idefics3, tern_prompt_family_qwen3vl;

/* What stands for a video in what a template renders; @family may be NULL. */
static inline const char *
tern_prompt_video_place (const TernPromptFamily *family)
{
  return family && family->video_place ? family->video_place : TERN_PROMPT_VIDEO;
}

/* Text, control tokens in it being recognised. */
void tern_prompt_write (TernPromptWriter *writer, const char *text);
void tern_prompt_writef (TernPromptWriter *writer, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* A control token that not every vocabulary of the family has. */
void tern_prompt_write_token (TernPromptWriter *writer, const char *token);
/* The user's words: no control token is recognised in them. */
void tern_prompt_write_words (TernPromptWriter *writer, const char *words);
/* The place of the next run of visual tokens. */
void tern_prompt_write_run (TernPromptWriter *writer);

/* ---- For who writes a whole prompt ---- */

/* How often @part, which is not empty, stands in @text. */
guint tern_prompt_count (const char *text, const char *part);

void tern_prompt_writer_init (TernPromptWriter *writer, const TernTokenizer *tokenizer, GArray *ids);
/* All that was written becomes ids, and the token that every text of this vocabulary begins with. UNSUPPORTED names a control
 * token that is missing. */
gboolean tern_prompt_writer_end (TernPromptWriter *writer, GError **error);
void tern_prompt_writer_clear (TernPromptWriter *writer);
