/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lookup structures of the tokenizer: symbols by text, the byte alphabet, the heap of candidates. */
#include <string.h>

#include "engine/base/heap.h"
#include "engine/text/tokenizer-priv.h"

static guint32
hash_bytes (const guint8 *text, gsize len)
{
  guint32 h = 2166136261u;      /* FNV-1a */

  for (gsize i = 0; i < len; i++)
    h = (h ^ text[i]) * 16777619u;
  return h ^ (h >> 15);
}

static void
insert (TernSymbols *symbols, guint32 symbol)
{
  TernBytes text = symbols->texts[symbol];
  guint32 i = hash_bytes ((const guint8 *) text.data, text.len) & symbols->mask;

  for (; symbols->slots[i]; i = (i + 1) & symbols->mask) {
    TernBytes other = symbols->texts[symbols->slots[i] - 1];

    if (other.len == text.len && memcmp (other.data, text.data, text.len) == 0)
      break;
  }
  symbols->slots[i] = symbol + 1;
}

gsize
tern_symbols_slots (guint64 expected)
{
  gsize slots = 64;

  while (slots < 2 * expected)
    slots *= 2;
  return slots;
}

void
tern_symbols_init (TernSymbols *symbols, guint expected)
{
  gsize slots = tern_symbols_slots (expected);

  *symbols = (TernSymbols) { .room = MAX (expected, 16), .mask = slots - 1 };
  symbols->texts = g_new (TernBytes, symbols->room);
  symbols->slots = g_new0 (guint32, slots);
}

void
tern_symbols_clear (TernSymbols *symbols)
{
  g_free (symbols->texts);
  g_free (symbols->slots);
}

gint32
tern_symbols_find (const TernSymbols *symbols, const void *text, gsize len)
{
  for (guint32 i = hash_bytes (text, len) & symbols->mask; symbols->slots[i]; i = (i + 1) & symbols->mask) {
    TernBytes other = symbols->texts[symbols->slots[i] - 1];

    if (other.len == len && memcmp (other.data, text, len) == 0)
      return symbols->slots[i] - 1;
  }
  return TERN_NO_SYMBOL;
}

gint32
tern_symbols_append (TernSymbols *symbols, TernBytes text)
{
  if (symbols->n == symbols->room) {
    symbols->room *= 2;
    symbols->texts = g_renew (TernBytes, symbols->texts, symbols->room);
  }
  symbols->texts[symbols->n++] = text;
  if (2 * (guint64) symbols->n > symbols->mask) {
    symbols->mask = 2 * symbols->mask + 1;
    g_free (symbols->slots);
    symbols->slots = g_new0 (guint32, (gsize) symbols->mask + 1);
    for (guint32 i = 0; i < symbols->n; i++)
      insert (symbols, i);
  } else {
    insert (symbols, symbols->n - 1);
  }
  return symbols->n - 1;
}

/* Printable Latin-1 bytes stand for themselves, the other 68 follow in order from U+0100 (GPT-2's encoder.py). */
gunichar
tern_alphabet_char (guint8 byte)
{
  if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
    return byte;
  if (byte <= 32)
    return 0x100 + byte;
  return byte == 173 ? 0x143 : 0x121 + byte - 127;
}

int
tern_alphabet_byte (gunichar c)
{
  if (c < 0x100)
    return tern_alphabet_char (c) == c ? (int) c : -1;
  if (c <= 0x120)
    return c - 0x100;
  if (c <= 0x142)
    return c - 0x121 + 127;
  return c == 0x143 ? 173 : -1;
}

static inline gboolean
before (const TernMergeCandidate *a, const TernMergeCandidate *b)
{
  return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

TERN_DEFINE_HEAP (merges, TernMergeCandidate, before)

void
tern_merge_heap_push (GArray *heap, TernMergeCandidate candidate)
{
  g_array_set_size (heap, heap->len + 1);
  merges_rise ((TernMergeCandidate *) heap->data, heap->len - 1, candidate);
}

gboolean
tern_merge_heap_pop (GArray *heap, TernMergeCandidate *candidate)
{
  if (heap->len == 0)
    return FALSE;
  *candidate = merges_pop ((TernMergeCandidate *) heap->data, heap->len);
  g_array_set_size (heap, heap->len - 1);
  return TRUE;
}
