/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sentences of a grammar, said at random and recognised, with a vocabulary of all bytes and of pieces that tokenizers have. */
#pragma once

#include <string.h>

#include "vocabulary.h"
#include "engine/base/random.h"
#include "engine/grammar/constraint.h"

typedef struct {
  Piece pieces[300];
  guint n;
  TernTokenTrie *trie;
} Speaker;

static inline void
speaker_init (Speaker *speaker)
{
  static const char *const words[] = { "{\"", "\": ", "\": \"", "\", \"", ", \"", "\"}", "\"]", "}]", "true", "false", "null",
    " the", "ing", "2024-", "00", "0.", "\\n", "\\\"", "\303\251", "\360\237\230\200", "\": {\"", "\": [", "], \"" };
  static char bytes[256];
  g_autoptr (TernTokenizer) tokenizer = NULL;
  g_autoptr (GError) error = NULL;

  for (speaker->n = 0; speaker->n < 256; speaker->n++) {
    bytes[speaker->n] = speaker->n;
    speaker->pieces[speaker->n] = (Piece) { &bytes[speaker->n], 1 };
  }
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    speaker->pieces[speaker->n++] = (Piece) { words[i], strlen (words[i]) };
  tokenizer = vocabulary_new (speaker->pieces, speaker->n, FALSE);
  speaker->trie = tern_token_trie_new (tokenizer, speaker->n + 2, &error);
  g_assert_no_error (error);
}

static inline void
speaker_clear (Speaker *speaker)
{
  tern_token_trie_unref (speaker->trie);
}

static inline gboolean
speaker_may (const guint32 *mask, guint id)
{
  return mask[id / 32] >> id % 32 & 1;
}

/* One of the allowed ids, the end included; now and then one that ends what is open, if there is one. */
static inline gint32
speaker_choose (const Speaker *speaker, const guint32 *mask, TernRandom *random)
{
  gboolean closing = tern_random_below (random, 4) == 0;
  guint n_ids = speaker->n + 2, start = tern_random_below (random, n_ids);

  for (guint pass = closing ? 0 : 1; pass < 2; pass++)
    for (guint i = 0; i < n_ids; i++) {
      guint id = (start + i) % n_ids;

      if (speaker_may (mask, id) && (pass == 1 || id > speaker->n || strchr ("\",]}", *speaker->pieces[id].bytes)))
        return id;
    }
  return -1;
}

/* A sentence of at most @left tokens; NULL: the mask let nothing be said, which must not be. */
static inline char *
speaker_say (const Speaker *speaker, TernConstraint *constraint, guint left, TernRandom *random)
{
  g_autoptr (TernMatcher) matcher = tern_matcher_new ();
  GString *said = g_string_new (NULL);

  tern_matcher_begin (matcher, constraint);
  for (; left > 0; left--) {
    gint32 id = speaker_choose (speaker, tern_matcher_mask (matcher, left), random);

    if (id == (gint32) speaker->n + 1)
      break;
    if (id < 0 || tern_matcher_failed (matcher))
      return g_string_free (said, TRUE);
    tern_matcher_accept (matcher, id);
    g_string_append_len (said, speaker->pieces[id].bytes, speaker->pieces[id].n);
  }
  if (!tern_matcher_may_end (matcher))
    return g_string_free (said, TRUE);
  return g_string_free (said, FALSE);
}

/* Whether @text is a sentence, byte by byte. */
static inline gboolean
speaker_reads (const Speaker *speaker, TernConstraint *constraint, const char *text)
{
  g_autoptr (TernMatcher) matcher = tern_matcher_new ();

  tern_matcher_begin (matcher, constraint);
  for (const guint8 *p = (const guint8 *) text; *p; p++) {
    if (!speaker_may (tern_matcher_mask (matcher, 1u << 24), *p))
      return FALSE;
    tern_matcher_accept (matcher, *p);
  }
  return tern_matcher_may_end (matcher) && !tern_matcher_failed (matcher);
}
