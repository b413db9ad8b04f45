/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Byte-level BPE (Radford et al. 2019): each byte of a piece is a symbol; the adjacent pair with the lowest rank in the
 * list of merges is joined until no pair is in it. */
#include <string.h>

#include "tern/error.h"
#include "engine/base/log.h"
#include "engine/text/tokenizer-priv.h"

#define MERGES_MAX (1u << 22)

typedef struct {
  guint32 prev, next;           /* nodes; NO_NODE at the ends */
  gint32 symbol;                /* TERN_NO_SYMBOL: joined to the left */
} Node;

#define NO_NODE G_MAXUINT32
#define PIECE_MAX (1u << 26)    /* bytes: the work buffers stay below their index types; no real piece is that long */

static guint32
hash_pair (guint32 left, guint32 right)
{
  guint64 h = ((guint64) left << 32 | right) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return h >> 32;
}

static TernMerge *
merge_slot (const TernMerges *merges, guint32 left, guint32 right)
{
  guint32 i = hash_pair (left, right) & merges->mask;

  while (merges->slots[i].rank >= 0 && (merges->slots[i].left != left || merges->slots[i].right != right))
    i = (i + 1) & merges->mask;
  return &merges->slots[i];
}

/* The symbol of @text, which is kept when it is new. */
static gint32
intern (TernTokenizer *t, const char *text, gsize len)
{
  gint32 found = tern_symbols_find (&t->symbols, text, len);

  if (found != TERN_NO_SYMBOL)
    return found;
  return tern_symbols_append (&t->symbols,
      (TernBytes) { g_string_chunk_insert_len (t->merge_texts, text, len), len });
}

/* The space between the two texts of a line; NULL: there are not two. */
static const char *
find_space (TernBytes line)
{
  /* The first part has one character at least, even if that is a space. */
  const char *space = line.len > 1 ? memchr (line.data + 1, ' ', line.len - 1) : NULL;

  return space && space + 1 < line.data + line.len ? space : NULL;
}

static void
load_merge (TernTokenizer *t, TernBytes line, guint rank, GString *joined)
{
  const char *space = find_space (line);
  gsize left = space - line.data, right = line.len - left - 1;
  TernMerge *slot, merge = { .rank = rank };

  merge.left = intern (t, line.data, left);
  merge.right = intern (t, space + 1, right);
  slot = merge_slot (&t->merges, merge.left, merge.right);
  if (slot->rank >= 0)
    return;                     /* the first of two equal lines counts */
  g_string_truncate (joined, 0);
  g_string_append_len (joined, line.data, left);
  g_string_append_len (joined, space + 1, right);
  merge.result = intern (t, joined->str, joined->len);
  *slot = merge;
}

static gboolean
find_merges (const TernGguf *file, TernGgufArray *array, GError **error)
{
  const guint8 *cursor;

  if (!tern_gguf_array (file, "tokenizer.ggml.merges", TERN_GGUF_STRING, TRUE, array, error))
    return FALSE;
  if (array->count > MERGES_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.merges: expected at most %u entries, found %"
        G_GUINT64_FORMAT, tern_gguf_path (file), MERGES_MAX, array->count);
    return FALSE;
  }
  cursor = array->data;
  for (guint i = 0; i < array->count; i++)
    if (!find_space (tern_gguf_next_string (&cursor))) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.merges[%u]: expected two texts with a "
          "space between them, found none", tern_gguf_path (file), i);
      return FALSE;
    }
  return TRUE;
}

static void
load_merges (TernTokenizer *t, const TernGgufArray *array)
{
  const guint8 *cursor = array->data;
  gsize slots = tern_symbols_slots (array->count);
  g_autoptr (GString) joined = g_string_new (NULL);

  t->merges.mask = slots - 1;
  t->merges.slots = g_new (TernMerge, slots);
  for (gsize i = 0; i < slots; i++)
    t->merges.slots[i].rank = -1;
  t->merge_texts = g_string_chunk_new (4096);
  for (guint i = 0; i < array->count; i++)
    load_merge (t, tern_gguf_next_string (&cursor), i, joined);
}

static gboolean
starts_with (TernBytes text, const char *start)
{
  return text.len >= strlen (start) && memcmp (text.data, start, strlen (start)) == 0;
}

/* What a file without tokenizer.ggml.pre means. Early ones lack the key; two families have one pre-tokenizer each, and
 * the rest is read as llama.cpp does. */
static TernBytes
assumed_rules (const TernGguf *file, TernBytes architecture)
{
  if (starts_with (architecture, "lfm2"))
    return (TernBytes) { "lfm2", 4 };
  if (starts_with (architecture, "bitnet"))
    return (TernBytes) { "llama-bpe", 9 };
  tern_log (TERN_LOG_WARNING, "%s: tokenizer.ggml.pre: found none, taken as \"default\"; the model may have been made "
      "with another pre-tokenizer", tern_gguf_path (file));
  return (TernBytes) { "default", 7 };
}

static gboolean
load_rules (TernTokenizer *t, const TernGguf *file, GError **error)
{
  TernBytes pre, architecture;
  g_autofree char *names = NULL;
  g_autofree char *shown = NULL;

  if (!tern_gguf_string_or (file, "tokenizer.ggml.pre", &pre, error)
      || !tern_gguf_string_or (file, "general.architecture", &architecture, error))
    return FALSE;
  if (!pre.data)
    pre = assumed_rules (file, architecture);
  t->rules = tern_pretokenizer_find (pre.data, pre.len);
  if (t->rules)
    return TRUE;
  names = tern_pretokenizer_names ();
  shown = g_utf8_make_valid (pre.data, MIN (pre.len, 64));
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tokenizer.ggml.pre: expected one of %s, found %s",
      tern_gguf_path (file), names, shown);
  return FALSE;
}

gboolean
tern_bpe_check (TernTokenizer *t, const TernGguf *file, gsize *bytes, GError **error)
{
  TernGgufArray merges;

  if (!load_rules (t, file, error) || !find_merges (file, &merges, error))
    return FALSE;
  *bytes += tern_symbols_slots (merges.count) * sizeof (TernMerge);
  return TRUE;
}

gboolean
tern_bpe_load (TernTokenizer *t, const TernGguf *file, GError **error)
{
  TernGgufArray merges;
  char text[6];

  if (!load_rules (t, file, error) || !find_merges (file, &merges, error))
    return FALSE;
  load_merges (t, &merges);
  for (guint byte = 0; byte < 256; byte++)
    t->byte_symbol[byte] = intern (t, text, g_unichar_to_utf8 (tern_alphabet_char (byte), text));
  t->add_bos = t->rules->add_bos;
  return TRUE;
}

static void
consider (const TernTokenizer *t, const Node *nodes, guint32 left, GArray *heap)
{
  guint32 right = left == NO_NODE ? NO_NODE : nodes[left].next;
  const TernMerge *merge;

  if (right == NO_NODE)
    return;
  merge = merge_slot (&t->merges, nodes[left].symbol, nodes[right].symbol);
  if (merge->rank >= 0)
    tern_merge_heap_push (heap, (TernMergeCandidate) { merge->rank, left, nodes[left].symbol, nodes[right].symbol });
}

/* A symbol only ever grows, so a candidate whose two symbols still stand side by side is the pair it was. */
static void
merge_all (const TernTokenizer *t, Node *nodes, GArray *heap)
{
  TernMergeCandidate c;

  while (tern_merge_heap_pop (heap, &c)) {
    Node *left = &nodes[c.left], *right;

    if (left->symbol != (gint32) c.left_symbol || left->next == NO_NODE)
      continue;
    right = &nodes[left->next];
    if (right->symbol != (gint32) c.right_symbol)
      continue;
    left->symbol = merge_slot (&t->merges, c.left_symbol, c.right_symbol)->result;
    right->symbol = TERN_NO_SYMBOL;
    left->next = right->next;
    if (left->next != NO_NODE)
      nodes[left->next].prev = c.left;
    consider (t, nodes, left->prev, heap);
    consider (t, nodes, c.left, heap);
  }
}

/* What is no token falls apart into the tokens of its bytes; a byte without one is dropped, as in llama.cpp. */
static void
emit (const TernTokenizer *t, gint32 symbol, const guint8 *bytes, gsize n, GArray *ids)
{
  if (symbol < (gint32) t->n) {
    g_array_append_val (ids, symbol);
    return;
  }
  for (gsize i = 0; i < n; i++)
    if (t->byte_symbol[bytes[i]] < (gint32) t->n)
      g_array_append_val (ids, t->byte_symbol[bytes[i]]);
}

static gint32
whole_piece (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *piece, gsize len)
{
  char text[6];
  gint32 id;

  g_byte_array_set_size (buffers->bytes, 0);
  for (gsize i = 0; i < len; i++)
    g_byte_array_append (buffers->bytes, (guint8 *) text, g_unichar_to_utf8 (tern_alphabet_char (piece[i]), text));
  id = tern_symbols_find (&t->symbols, buffers->bytes->data, buffers->bytes->len);
  /* Plain text never becomes a control token. */
  if (id >= (gint32) t->n || (id >= 0 && t->types[id] != TERN_TOKEN_NORMAL && t->types[id] != TERN_TOKEN_USER_DEFINED))
    return TERN_NO_SYMBOL;
  return id;
}

static void
encode_piece (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *piece, gsize len, GArray *ids)
{
  Node *nodes;

  if (t->rules->ignore_merges) {
    gint32 id = whole_piece (t, buffers, piece, len);

    if (id >= 0) {
      g_array_append_val (ids, id);
      return;
    }
  }
  g_array_set_size (buffers->nodes, len);
  g_array_set_size (buffers->heap, 0);
  nodes = (Node *) buffers->nodes->data;
  for (gsize i = 0; i < len; i++)
    nodes[i] = (Node) { i ? i - 1 : NO_NODE, i + 1 < len ? i + 1 : NO_NODE, t->byte_symbol[piece[i]] };
  for (gsize i = 0; i + 1 < len; i++)
    consider (t, nodes, i, buffers->heap);
  merge_all (t, nodes, buffers->heap);
  for (guint32 i = 0, next; i != NO_NODE; i = next) {
    next = nodes[i].next;
    emit (t, nodes[i].symbol, piece + i, (next == NO_NODE ? len : next) - i, ids);
  }
}

void
tern_bpe_encode (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *text, gsize len, GArray *ids)
{
  TernPieces pieces = { .text = text, .len = len };
  gsize start, n;

  while (tern_pieces_next (&pieces, t->rules, &start, &n))
    for (gsize done = 0; done < n; done += PIECE_MAX)
      encode_piece (t, buffers, text + start + done, MIN (n - done, PIECE_MAX), ids);
}
