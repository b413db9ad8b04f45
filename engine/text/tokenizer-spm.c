/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SentencePiece's BPE: code points are joined as long as two neighbours make a token, the token with the highest score
 * first. What never becomes a token is spelled in byte tokens. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/text/tokenizer-priv.h"
#include "engine/base/unicode.h"

typedef struct {
  guint32 prev, next;           /* nodes; NO_NODE at the ends */
  guint32 len;                  /* bytes; 0: joined to the left */
} Node;

#define NO_NODE G_MAXUINT32
#define TEXT_MAX (1u << 26)     /* bytes of a fragment encoded at once */

static gboolean
find_scores (TernTokenizer *t, const TernGguf *file, TernGgufArray *array, GError **error)
{
  if (!tern_gguf_array (file, "tokenizer.ggml.scores", TERN_GGUF_F32, TRUE, array, error)
      || !tern_gguf_bool_or (file, "tokenizer.ggml.add_space_prefix", TRUE, &t->add_space_prefix, error))
    return FALSE;
  if (array->count != t->n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.scores: expected %u entries, one for each "
        "token, found %" G_GUINT64_FORMAT, tern_gguf_path (file), t->n, array->count);
    return FALSE;
  }
  return TRUE;
}

gboolean
tern_spm_check (TernTokenizer *t, const TernGguf *file, gsize *bytes, GError **error)
{
  TernGgufArray array;

  *bytes += t->n * sizeof (float);
  return find_scores (t, file, &array, error);
}

gboolean
tern_spm_load (TernTokenizer *t, const TernGguf *file, GError **error)
{
  TernGgufArray array;

  if (!find_scores (t, file, &array, error))
    return FALSE;
  t->scores = g_new (float, t->n);
  memcpy (t->scores, array.data, t->n * sizeof (float));
  for (guint id = 0; id < t->n; id++)
    if (isnan (t->scores[id])) {        /* what is merged first would be left to chance */
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.scores[%u]: expected a number, found nan",
          tern_gguf_path (file), id);
      return FALSE;
    }
  for (guint byte = 0; byte < 256; byte++) {
    char text[8];

    g_snprintf (text, sizeof text, "<0x%02X>", byte);
    t->byte_token[byte] = tern_tokenizer_find (t, text);
  }
  t->add_bos = TRUE;
  return TRUE;
}

/* The token that is exactly this text; plain text never becomes a control token. */
static gint32
find (const TernTokenizer *t, const guint8 *text, gsize len)
{
  gint32 id = tern_symbols_find (&t->symbols, text, len);

  return id >= 0 && (t->types[id] == TERN_TOKEN_CONTROL || t->types[id] == TERN_TOKEN_UNKNOWN) ? TERN_NO_SYMBOL : id;
}

/* nodes[i] starts at byte i of the text, whose nodes are as many as its bytes: positions need no field of their own. */
static void
consider (const TernTokenizer *t, const guint8 *text, const Node *nodes, guint32 left, GArray *heap)
{
  guint32 right = left == NO_NODE ? NO_NODE : nodes[left].next;
  gint32 id;

  if (right == NO_NODE)
    return;
  id = find (t, text + left, nodes[left].len + nodes[right].len);
  if (id != TERN_NO_SYMBOL)
    tern_merge_heap_push (heap, (TernMergeCandidate) { -t->scores[id], left, nodes[left].len, nodes[right].len });
}

static void
emit (const TernTokenizer *t, const guint8 *text, gsize len, GArray *ids)
{
  gint32 id = find (t, text, len);

  if (id != TERN_NO_SYMBOL) {
    g_array_append_val (ids, id);
    return;
  }
  for (gsize i = 0; i < len; i++) {
    gint32 byte = t->byte_token[text[i]] >= 0 ? t->byte_token[text[i]] : t->unk;

    if (byte >= 0)
      g_array_append_val (ids, byte);
  }
}

static void
encode_text (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *text, guint32 len, GArray *ids)
{
  Node *nodes;
  GArray *heap = buffers->heap;
  TernMergeCandidate c;
  guint32 last = NO_NODE;

  g_array_set_size (buffers->nodes, len);
  g_array_set_size (heap, 0);
  nodes = (Node *) buffers->nodes->data;
  for (guint32 i = 0; i < len; i += nodes[i].len) {
    nodes[i] = (Node) { last, NO_NODE, MAX (tern_utf8_length (text + i, len - i), 1) };
    if (last != NO_NODE)
      nodes[last].next = i;
    last = i;
  }
  for (guint32 i = 0; i != NO_NODE; i = nodes[i].next)
    consider (t, text, nodes, i, heap);
  while (tern_merge_heap_pop (heap, &c)) {
    Node *left = &nodes[c.left], *right;

    if (left->len != c.left_symbol || left->next == NO_NODE || nodes[left->next].len != c.right_symbol)
      continue;
    right = &nodes[left->next];
    left->len += right->len;
    right->len = 0;
    left->next = right->next;
    if (left->next != NO_NODE)
      nodes[left->next].prev = c.left;
    consider (t, text, nodes, left->prev, heap);
    consider (t, text, nodes, c.left, heap);
  }
  for (guint32 i = 0; i != NO_NODE; i = nodes[i].next)
    emit (t, text + i, nodes[i].len, ids);
}

void
tern_spm_encode (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *text, gsize len, gboolean start,
    GArray *ids)
{
  static const guint8 meta[] = { 0xe2, 0x96, 0x81 };    /* U+2581 stands for a space */
  GByteArray *bytes = buffers->bytes;

  for (gsize done = 0, n; done < len; done += n, start = FALSE) {
    n = MIN (len - done, TEXT_MAX);
    g_byte_array_set_size (bytes, 0);
    if (start && t->add_space_prefix)
      g_byte_array_append (bytes, meta, sizeof meta);
    for (gsize i = 0; i < n; i++)
      g_byte_array_append (bytes, text[done + i] == ' ' ? meta : &text[done + i], text[done + i] == ' ' ? 3 : 1);
    encode_text (t, buffers, bytes->data, bytes->len, ids);
  }
}
