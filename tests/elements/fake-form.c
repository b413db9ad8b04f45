/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closed forms of answers without a vocabulary, for the fake libtern: labels are what they are, a schema is what begins with
 * '{', and a grammar what has a rule called root. Their shortest answers have three tokens. */
#include <string.h>

#include "fake-priv.h"
#include "fake-tern.h"

static gint forms;

guint
tern_fake_forms (void)
{
  return g_atomic_int_get (&forms);
}

/* ---- Compiling that takes its time ---- */

static GMutex hold_lock;
static GCond hold_cond;
static gboolean held;
static guint waiting;

void
tern_fake_hold_forms (gboolean hold)
{
  g_mutex_lock (&hold_lock);
  held = hold;
  g_cond_broadcast (&hold_cond);
  g_mutex_unlock (&hold_lock);
}

void
tern_fake_wait_forms (void)
{
  g_mutex_lock (&hold_lock);
  while (waiting == 0)
    g_cond_wait (&hold_cond, &hold_lock);
  g_mutex_unlock (&hold_lock);
}

static void
take_time (void)
{
  g_mutex_lock (&hold_lock);
  waiting++;
  g_cond_broadcast (&hold_cond);
  while (held)
    g_cond_wait (&hold_cond, &hold_lock);
  waiting--;
  g_mutex_unlock (&hold_lock);
}

/* ---- Labels ---- */

struct _TernLabels {
  gint refs;
  char **texts;
};

TernLabels *
tern_labels_new (const TernTokenizer *tokenizer, const char *const *labels, guint n, GError **error)
{
  TernLabels *self;

  if (n < 2 || n > TERN_LABELS_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "labels: expected 2 to %u, found %u", TERN_LABELS_MAX, n);
    return NULL;
  }
  self = g_new (TernLabels, 1);
  self->refs = 1;
  g_atomic_int_inc (&forms);
  self->texts = g_strdupv ((char **) labels);
  return self;
}

TernLabels *
tern_labels_ref (TernLabels *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_labels_unref (TernLabels *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_atomic_int_add (&forms, -1);
  g_strfreev (self->texts);
  g_free (self);
}

guint
tern_labels_n (const TernLabels *self)
{
  return g_strv_length (self->texts);
}

const char *
tern_labels_text (const TernLabels *self, guint i)
{
  return self->texts[i];
}

guint
tern_labels_forks (const TernLabels *self)
{
  return 0;
}

guint
tern_labels_longest (const TernLabels *self)
{
  return 1;
}

/* The last one is as likely as @share says, the others share the rest. */
guint
fake_label_scores (const TernLabels *self, double share, double *scores)
{
  guint n = tern_labels_n (self), best = 0;

  for (guint i = 0; i < n; i++) {
    scores[i] = i + 1 < n ? (1 - share) / (n - 1) : share;
    best = scores[i] > scores[best] ? i : best;
  }
  return best;
}

/* ---- Grammars ---- */

struct _TernGrammar {
  gint refs;
};

struct _TernConstraint {
  gint refs;
};

static TernGrammar *
grammar_new (gboolean is, const char *expected, GError **error)
{
  TernGrammar *self;

  if (!is) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected %s, found something else", expected);
    return NULL;
  }
  self = g_new (TernGrammar, 1);
  self->refs = 1;
  return self;
}

TernGrammar *
tern_grammar_from_json_schema (const char *json, GError **error)
{
  return grammar_new (*json == '{', "an object", error);
}

TernGrammar *
tern_grammar_from_gbnf (const char *text, GError **error)
{
  return grammar_new (strstr (text, "root ::=") != NULL, "a rule called root", error);
}

void
tern_grammar_unref (TernGrammar *self)
{
  if (g_atomic_int_dec_and_test (&self->refs))
    g_free (self);
}

TernTokenTrie *
tern_model_text_trie (const TernModelText *text, GError **error)
{
  static int none;

  return (TernTokenTrie *) &none;
}

void
tern_token_trie_unref (TernTokenTrie *trie)
{
}

TernConstraint *
tern_constraint_new (TernGrammar *grammar, TernTokenTrie *trie, GError **error)
{
  TernConstraint *self = g_new (TernConstraint, 1);

  take_time ();
  self->refs = 1;
  g_atomic_int_inc (&forms);
  return self;
}

TernConstraint *
tern_constraint_ref (TernConstraint *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_constraint_unref (TernConstraint *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_atomic_int_add (&forms, -1);
  g_free (self);
}

guint
tern_constraint_shortest (const TernConstraint *self)
{
  return 3;
}
