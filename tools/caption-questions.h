/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern caption` asks: --prompt, --question, --task, and the forms of answers. */
#pragma once

#include "tern/tern.h"

G_BEGIN_DECLS

#define TERN_CAPTION_NOT_GIVEN G_MININT

typedef struct {
  /* As given; NULL, or TERN_CAPTION_NOT_GIVEN: not. */
  char *prompt, *task, *labels, *json_schema, *grammar;
  char **questions;             /* ID=TEXT */
  double min_confidence;

  /* What they come to. */
  char **label_list, **ids, **texts;
  char *schema_text, *grammar_text;
  TernQuestion asked[TERN_QUESTIONS_MAX];
} TernCaptionQuestions;

/* Fills in what @params asks, which @q keeps owning. A status of the program; if it is not TERN_TOOL_DONE there was a
 * message. @subtitles: a window has room for one answer. */
int tern_caption_questions_check (TernCaptionQuestions *q, gboolean subtitles, TernSessionParams *params);
/* Whether @model has the task; a message if not. */
gboolean tern_caption_questions_suit (const TernCaptionQuestions *q, const TernModel *model);
void tern_caption_questions_clear (TernCaptionQuestions *q);

G_END_DECLS
