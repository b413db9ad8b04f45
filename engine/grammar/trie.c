/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tokens of a vocabulary by their bytes. */
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/constraint-priv.h"
#include "tern/error.h"

typedef struct {
  const guint8 *bytes;
  guint32 n;
  gint32 id;
} Word;

static int
by_bytes (const void *a, const void *b)
{
  const Word *x = a, *y = b;
  int order = memcmp (x->bytes, y->bytes, MIN (x->n, y->n));

  return order ? order : x->n != y->n ? (x->n < y->n ? -1 : 1) : (x->id < y->id ? -1 : x->id > y->id);
}

/* What may be said, in order. */
static GArray *
find_words (TernTokenTrie *trie)
{
  GArray *words = g_array_new (FALSE, FALSE, sizeof (Word));
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (gint32));

  for (guint id = 0; id < trie->n_ids; id++) {
    TernBytes piece = tern_tokenizer_piece (trie->tokenizer, id, FALSE);
    Word word = { (const guint8 *) piece.data, piece.len, id };

    if (tern_tokenizer_is_eog (trie->tokenizer, id))
      g_array_append_val (ends, word.id);
    else if (!tern_tokenizer_is_control (trie->tokenizer, id) && piece.len > 0 && piece.len <= TERN_TOKEN_BYTES_MAX)
      g_array_append_val (words, word);
  }
  if (words->len > 0)
    qsort (words->data, words->len, sizeof (Word), by_bytes);
  trie->n_ends = ends->len;
  trie->ends = g_memdup2 (ends->data, ends->len * sizeof (gint32));
  return words;
}

static guint
in_common (const Word *a, const Word *b)
{
  guint n = 0;

  while (n < a->n && n < b->n && a->bytes[n] == b->bytes[n])
    n++;
  return n;
}

static void
fill_nodes (TernTokenTrie *trie, const GArray *words)
{
  guint32 open[TERN_TOKEN_BYTES_MAX];   /* the nodes of the word before */
  guint n_open = 0;
  g_autoptr (GArray) nodes = g_array_new (FALSE, FALSE, sizeof (TernTrieNode));

  for (guint i = 0; i < words->len; i++) {
    const Word *word = &g_array_index (words, Word, i);
    guint keep = i ? in_common (word - 1, word) : 0;
    TernTrieNode *last;

    while (n_open > keep) {
      guint32 node = open[--n_open];

      g_array_index (nodes, TernTrieNode, node).size = nodes->len - node;
    }
    for (; n_open < word->n; n_open++) {
      TernTrieNode node = { 0, -1, word->bytes[n_open], n_open };

      open[n_open] = nodes->len;
      g_array_append_val (nodes, node);
    }
    last = &g_array_index (nodes, TernTrieNode, open[word->n - 1]);
    trie->same[word->id] = last->id;
    last->id = word->id;
  }
  while (n_open > 0) {
    guint32 node = open[--n_open];

    g_array_index (nodes, TernTrieNode, node).size = nodes->len - node;
  }
  trie->n_nodes = nodes->len;
  trie->nodes = g_memdup2 (nodes->data, nodes->len * sizeof (TernTrieNode));
}

static void
index_first (TernTokenTrie *trie)
{
  for (guint i = 0; i < 256; i++) {
    trie->first[i] = trie->n_nodes;
    trie->byte_id[i] = -1;
  }
  for (guint i = 0; i < trie->n_nodes; i += trie->nodes[i].size) {
    trie->first[trie->nodes[i].byte] = i;
    trie->byte_id[trie->nodes[i].byte] = trie->nodes[i].id;
  }
}

/* SentencePiece puts a space before a text, and models say one first. */
static gboolean
begins_with_space (const TernTokenizer *tokenizer)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  TernBytes piece;

  tern_tokenizer_encode (tokenizer, "a", 1, FALSE, ids);
  if (ids->len == 0)
    return FALSE;
  piece = tern_tokenizer_piece (tokenizer, g_array_index (ids, gint32, 0), FALSE);
  return piece.len > 0 && piece.data[0] == ' ';
}

TernTokenTrie *
tern_token_trie_new (TernTokenizer *tokenizer, guint n_ids, GError **error)
{
  TernTokenTrie *trie = g_new0 (TernTokenTrie, 1);
  g_autoptr (GArray) words = NULL;

  g_atomic_ref_count_init (&trie->refs);
  trie->tokenizer = tern_tokenizer_ref (tokenizer);
  trie->n_ids = n_ids;
  trie->same = g_new (gint32, MAX (n_ids, 1));
  words = find_words (trie);
  if (words->len == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "a constraint on a vocabulary of %u tokens: expected some that "
        "stand for text, found none", n_ids);
    tern_token_trie_unref (trie);
    return NULL;
  }
  fill_nodes (trie, words);
  index_first (trie);
  trie->space_first = begins_with_space (tokenizer);
  return trie;
}

TernTokenTrie *
tern_token_trie_ref (TernTokenTrie *trie)
{
  g_atomic_ref_count_inc (&trie->refs);
  return trie;
}

void
tern_token_trie_unref (TernTokenTrie *trie)
{
  if (!trie || !g_atomic_ref_count_dec (&trie->refs))
    return;
  tern_tokenizer_unref (trie->tokenizer);
  g_free (trie->nodes);
  g_free (trie->same);
  g_free (trie->ends);
  g_free (trie);
}
