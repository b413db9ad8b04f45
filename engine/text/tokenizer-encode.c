/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to ids around the models: special tokens are cut out first, then each fragment between them is encoded. */
#include "engine/text/tokenizer-priv.h"
#include "engine/base/unicode.h"

typedef struct {
  gsize start, len;
  gint32 id;                    /* -1: text still to be encoded */
} Fragment;

/* Where control tokens are recognised. */
typedef struct {
  gboolean special;             /* at all */
  const TernTextRange *plain;   /* [n_plain] but here */
  guint n_plain;
} Trust;

static gboolean
is_trusted (const Trust *trust, gsize begin, gsize end)
{
  for (guint i = 0; i < trust->n_plain; i++)
    if (begin < trust->plain[i].end && end > trust->plain[i].begin)
      return FALSE;
  return trust->special;
}

/* The special token that is exactly @len bytes at @at, if the caller lets it be recognised. */
static gint32
special_at (const TernTokenizer *t, const guint8 *all, gsize at, gsize len, const Trust *trust)
{
  const guint8 *text = all + at;
  gint32 id = tern_symbols_find (&t->symbols, text, len);

  if (id < 0 || id >= (gint32) t->n)
    return -1;
  switch (t->types[id]) {
    case TERN_TOKEN_USER_DEFINED:
      return id;
    case TERN_TOKEN_CONTROL:
    case TERN_TOKEN_UNKNOWN:
      return is_trusted (trust, at, at + len) ? id : -1;
    default:
      return -1;
  }
}

static void
append_text (GArray *fragments, gsize start, gsize end)
{
  Fragment fragment = { start, end - start, -1 };

  if (end > start)
    g_array_append_val (fragments, fragment);
}

/* Cuts tokens of one length out of one fragment, left to right. */
static void
cut (const TernTokenizer *t, const guint8 *text, Fragment from, guint length, const Trust *trust, GArray *out)
{
  gsize len = t->special_lengths[length], end = from.start + from.len, begin = from.start, at = begin;
  const guint8 *first = t->special_first[length];

  while (from.len >= len && at <= end - len) {
    gint32 id = first[text[at] / 8] >> text[at] % 8 & 1 ? special_at (t, text, at, len, trust) : -1;

    if (id < 0) {
      at++;
      continue;
    }
    append_text (out, begin, at);
    g_array_append_val (out, ((Fragment) { at, len, id }));
    begin = at += len;
  }
  append_text (out, begin, end);
}

/* The longest tokens first, each over all the text that is left, as llama.cpp does it: "longest wins" holds for the
 * whole text, not only where a match starts. */
static GArray *
partition (const TernTokenizer *t, const guint8 *text, gsize len, const Trust *trust)
{
  GArray *fragments = g_array_new (FALSE, FALSE, sizeof (Fragment));
  GArray *next = g_array_new (FALSE, FALSE, sizeof (Fragment));

  append_text (fragments, 0, len);
  for (guint length = 0; length < t->n_special_lengths; length++) {
    GArray *swap = fragments;

    g_array_set_size (next, 0);
    for (guint i = 0; i < fragments->len; i++) {
      Fragment fragment = g_array_index (fragments, Fragment, i);

      if (fragment.id < 0)
        cut (t, text, fragment, length, trust, next);
      else
        g_array_append_val (next, fragment);
    }
    fragments = next;
    next = swap;
  }
  g_array_unref (next);
  return fragments;
}

/* ---- NFC --------------------------------------------------------------------------------------------------------- */

/* Code points below U+0300 stand for themselves in NFC and do not change what is before them. */
static gboolean
may_change (const guint8 *text, gsize len)
{
  for (gsize i = 0; i < len; i++)
    if (text[i] >= 0xcc)
      return TRUE;
  return FALSE;
}

/* @text in NFC, where it is UTF-8; what is not stays as it is. */
static GString *
normalised (const guint8 *text, gsize len)
{
  GString *out = g_string_sized_new (len);
  gsize at = 0, end, n;

  while (at < len) {
    for (end = at; end < len && text[end] != 0 && (n = tern_utf8_length (text + end, len - end)) > 0; end += n)
      ;
    if (end > at) {
      g_autofree char *part = g_utf8_normalize ((const char *) text + at, (gssize) (end - at), G_NORMALIZE_NFC);

      if (part)
        g_string_append (out, part);
      else
        g_string_append_len (out, (const char *) text + at, (gssize) (end - at));
    }
    if (end < len)              /* a byte of no sequence, or a NUL, where GLib would stop */
      g_string_append_c (out, (char) text[end++]);
    at = end;
  }
  return out;
}

static void
encode_words (const TernTokenizer *tokenizer, TernEncodeBuffers *buffers, const guint8 *text, gsize len, GArray *ids)
{
  g_autoptr (GString) nfc = NULL;

  if (tokenizer->rules->nfc && may_change (text, len)) {
    nfc = normalised (text, len);
    text = (const guint8 *) nfc->str;
    len = nfc->len;
  }
  tern_bpe_encode (tokenizer, buffers, text, len, ids);
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static void
encode (const TernTokenizer *tokenizer, const char *text, gsize len, const Trust *trust, GArray *ids)
{
  const guint8 *bytes = (const guint8 *) text;
  g_autoptr (GArray) fragments = partition (tokenizer, bytes, len, trust);
  TernEncodeBuffers buffers = {
    g_array_new (FALSE, FALSE, 3 * sizeof (guint32)),
    g_array_new (FALSE, FALSE, sizeof (TernMergeCandidate)),
    g_byte_array_new (),
  };
  gboolean start = TRUE;

  for (guint i = 0; i < fragments->len; i++) {
    const Fragment *fragment = &g_array_index (fragments, Fragment, i);

    if (fragment->id >= 0)
      g_array_append_val (ids, fragment->id);
    else if (tokenizer->kind == TERN_VOCAB_BPE)
      encode_words (tokenizer, &buffers, bytes + fragment->start, fragment->len, ids);
    else
      tern_spm_encode (tokenizer, &buffers, bytes + fragment->start, fragment->len, start, ids);
    start = fragment->id >= 0;
  }
  g_array_unref (buffers.nodes);
  g_array_unref (buffers.heap);
  g_byte_array_unref (buffers.bytes);
}

void
tern_tokenizer_encode (const TernTokenizer *tokenizer, const char *text, gsize len, gboolean special, GArray *ids)
{
  encode (tokenizer, text, len, &(Trust) { .special = special }, ids);
}

void
tern_tokenizer_encode_mixed (const TernTokenizer *tokenizer, const char *text, gsize len, const TernTextRange *plain,
    guint n_plain, GArray *ids)
{
  encode (tokenizer, text, len, &(Trust) { TRUE, plain, n_plain }, ids);
}

/* Bytes that @text (@left > 0) is still short of being one UTF-8 sequence; 0: complete, or never to be one. */
static gboolean
is_unfinished (const guint8 *text, gsize left)
{
  static const guint8 low[] = { [0xe0 - 0xc2] = 0xa0, [0xf0 - 0xc2] = 0x90 };
  guint8 lead = text[0], min, max;
  gsize whole;

  if (lead < 0xc2 || lead > 0xf4)
    return FALSE;
  whole = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (left >= whole)
    return FALSE;
  min = lead - 0xc2 < G_N_ELEMENTS (low) && low[lead - 0xc2] ? low[lead - 0xc2] : 0x80;
  max = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  for (gsize i = 1; i < left; i++, min = 0x80, max = 0xbf)
    if (text[i] < min || text[i] > max)
      return FALSE;
  return TRUE;
}

static void
take (TernTextStream *stream, guint8 byte, GString *out)
{
  stream->held[stream->n_held++] = byte;
  while (stream->n_held > 0) {
    gsize n = tern_utf8_length (stream->held, stream->n_held);

    if (n == 0) {
      if (is_unfinished (stream->held, stream->n_held))
        return;
      g_string_append (out, "\357\277\275");    /* U+FFFD */
      n = 1;
    } else {
      g_string_append_len (out, (char *) stream->held, n);
    }
    stream->n_held -= n;
    for (guint i = 0; i < stream->n_held; i++)
      stream->held[i] = stream->held[n + i];
  }
}

void
tern_text_stream_push (TernTextStream *stream, const TernTokenizer *tokenizer, gint32 id, GString *out)
{
  TernBytes piece = tern_tokenizer_piece (tokenizer, id, FALSE);

  for (gsize i = 0; i < piece.len; i++)
    take (stream, piece.data[i], out);
}

void
tern_text_stream_end (TernTextStream *stream, GString *out)
{
  if (stream->n_held > 0)
    g_string_append (out, "\357\277\275");
  stream->n_held = 0;
}
