/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patterns: their tree (schema-regex-parse.c), and what is made of it (schema-regex.c). */
#pragma once

#include "engine/grammar/schema-priv.h"

G_BEGIN_DECLS

#define TERN_REGEX_LAST 0x10ffff

typedef enum {
  TERN_REGEX_SET,
  TERN_REGEX_SEQUENCE,          /* none: the empty string */
  TERN_REGEX_CHOICE,
  TERN_REGEX_REPEAT,
  TERN_REGEX_BEGIN,             /* ^ */
  TERN_REGEX_END,               /* $ */
} TernRegexKind;

typedef struct _TernRegex TernRegex;
struct _TernRegex {
  TernRegexKind kind;
  GArray *set;                  /* TernCharRange */
  GPtrArray *items;             /* TernRegex; of a repeat the one */
  guint min, max;
  gboolean anchors;             /* in it */
};

void tern_regex_free (TernRegex *regex);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernRegex, tern_regex_free)

TernRegex *tern_regex_new (TernRegexKind kind);
/* NULL: failed, UNSUPPORTED or INVALID at @at. */
TernRegex *tern_regex_parse (TernSchema *ctx, const char *pattern, const TernJsonValue *at);

/* Sets of characters: arrays of TernCharRange. Settled: they ascend and lie apart. */
void tern_char_set_add (GArray *set, gunichar first, gunichar last);

G_END_DECLS
