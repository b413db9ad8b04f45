/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words around the pictures of a stream that is remembered (session-memory-stream.c).
 *
 * A prompt of the model's family is cut where its pictures end:
 *
 *   head  open PICTURE  close open PICTURE  close open PICTURE  close and the question
 *
 * The head stays for ever; `close` belongs to the picture before it and `open` to the one behind it, so that a frame is
 * forgotten with all that was around it. Families whose words say when a frame was (tern_prompt_is_timed()) are told the time
 * since the stream began; models whose rows of pictures stand in a height and a width have them there as in a window. */
#pragma once

#include "tern/session-priv.h"

typedef struct {
  GArray *first, *between;      /* gint32: up to the end of the first picture; from there to the end of the next */
  guint head, close;            /* ids of `first` that stay for ever; of `between` that belong to the picture before */
} TernStreamWords;

void tern_stream_words_init (TernStreamWords *words);
void tern_stream_words_clear (TernStreamWords *words);

/* All of these tokenise. */

/* Makes them of the session's first question. UNSUPPORTED: its template has pictures behind the question. */
gboolean tern_stream_words_plan (TernStreamWords *words, const TernSession *session, GError **error);
/* Replaces the contents of @tail (gint32) by what question @q of @config puts behind the pictures; @when: what of the video it
 * is about, or NULL. @filled: as in tern_session_compile(). INVALID: it does not begin as the first one did. */
gboolean tern_stream_words_tail (const TernStreamWords *words, const TernSession *session, const TernSessionConfig *config,
    guint q, const TernPromptVisual *when, GArray *tail, char **filled, GError **error);
/* Of the longest tail and answer of @config's questions, tokens. */
gboolean tern_stream_words_longest (const TernStreamWords *words, const TernSession *session,
    const TernSessionConfig *config, guint *longest, GError **error);
/* Appends to @ids the words of @n pictures at @times[1], ... ns, the one at @times[0] being read, or, where @first, from the
 * beginning on. For families whose words say when it was: they have to be made for each frame. */
gboolean tern_stream_words_timed (TernSession *session, const guint64 *times, guint n, gboolean first, GArray *ids);
