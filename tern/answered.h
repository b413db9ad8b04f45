/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was answered about the last window. If all of its frames show one picture the next such window is told the same, and is
 * not read. A window in which that picture came is another matter: what is said of it is how it came. Under a budget any
 * window may be told the same, which it says. */
#pragma once

#include "tern/session-config.h"

typedef struct {
  guint64 picture;              /* TernTokens.picture of all frames; 0: nothing is remembered */
  TernSessionConfig *config;    /* whose questions were asked; a reference */
  GPtrArray *results;           /* TernResult, of its questions, in their order */
} TernAnswered;

void tern_answered_init (TernAnswered *answered);
void tern_answered_clear (TernAnswered *answered);
void tern_answered_forget (TernAnswered *answered);

/* A window of @picture (0: of several, or nobody says) is being answered: what was remembered is forgotten. */
void tern_answered_begin (TernAnswered *answered, guint64 picture, TernSessionConfig *config);
/* Its next answer. One that was not given is not repeated. */
void tern_answered_add (TernAnswered *answered, TernResult *result);

/* Whether there is an answer to all that @config asks, whatever it was about. */
gboolean tern_answered_has (const TernAnswered *answered, const TernSessionConfig *config);
/* Whether a window of @picture has been answered as it is, by what @config asks. Actions, and questions that have the time in
 * them, are always asked. */
gboolean tern_answered_is (const TernAnswered *answered, guint64 picture, const TernSessionConfig *config);
/* The answer to question @q once more, with the window's counts and times in @values, for @reason. */
TernResult *tern_answered_repeat (const TernAnswered *answered, guint q, const TernResult *values, const char *reason);
