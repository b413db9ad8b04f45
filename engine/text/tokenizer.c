/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vocabulary, special tokens, and text in and out; the models are in tokenizer-bpe.c and tokenizer-spm.c. */
#include "engine/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/text/tokenizer-priv.h"
#include "engine/base/unicode.h"

#define TOKENS_MAX (1u << 22)

/* Tokens that end a turn, known by their text: many files name one end token of several (llama.cpp keeps such a list
 * too). */
static const char *const eog_texts[] = {
  "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "<|return|>", "<|call|>",
  "<end_of_turn>", "<end_of_utterance>", "</s>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>",
  "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>",
  /* code models: what separates files ends an answer too */
  "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<fim_pad>", "<fim-pad>", "<fim-repo>", "<reponame>",
};

static gboolean
load_kind (TernTokenizer *t, const TernGguf *file, GError **error)
{
  TernBytes model;
  g_autofree char *shown = NULL;

  if (!tern_gguf_string (file, "tokenizer.ggml.model", &model, error))
    return FALSE;
  if (model.len == 4 && memcmp (model.data, "gpt2", 4) == 0) {
    t->kind = TERN_VOCAB_BPE;
    return TRUE;
  }
  if (model.len == 5 && memcmp (model.data, "llama", 5) == 0) {
    t->kind = TERN_VOCAB_SPM;
    return TRUE;
  }
  shown = g_utf8_make_valid (model.data, MIN (model.len, 64));
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
      "%s: tokenizer.ggml.model: expected gpt2 or llama, found \"%s\"", tern_gguf_path (file), shown);
  return FALSE;
}

static gboolean
find_texts (TernTokenizer *t, const TernGguf *file, TernGgufArray *array, GError **error)
{
  if (!tern_gguf_array (file, "tokenizer.ggml.tokens", TERN_GGUF_STRING, TRUE, array, error))
    return FALSE;
  if (array->count == 0 || array->count > TOKENS_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.tokens: expected 1 to %u entries, found %"
        G_GUINT64_FORMAT, tern_gguf_path (file), TOKENS_MAX, array->count);
    return FALSE;
  }
  t->n = array->count;
  return TRUE;
}

static gsize
count_text (const TernGgufArray *array)
{
  const guint8 *cursor = array->data;
  gsize bytes = 0;

  for (guint64 i = 0; i < array->count; i++)
    bytes += tern_gguf_next_string (&cursor).len;
  return bytes;
}

static void
load_texts (TernTokenizer *t, const TernGgufArray *array)
{
  const guint8 *cursor = array->data;
  gsize used = 0;

  t->text_block = g_malloc (MAX (count_text (array), 1));
  tern_symbols_init (&t->symbols, t->n + 256);
  for (guint i = 0; i < t->n; i++) {
    TernBytes text = tern_gguf_next_string (&cursor);

    if (text.len)
      memcpy (t->text_block + used, text.data, text.len);
    tern_symbols_append (&t->symbols, (TernBytes) { t->text_block + used, text.len });
    used += text.len;
  }
}

static gboolean
load_types (TernTokenizer *t, const TernGguf *file, GError **error)
{
  TernGgufArray array;

  if (!tern_gguf_array (file, "tokenizer.ggml.token_type", TERN_GGUF_I32, FALSE, &array, error))
    return FALSE;
  if (array.data && array.count != t->n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tokenizer.ggml.token_type: expected %u entries, one for "
        "each token, found %" G_GUINT64_FORMAT, tern_gguf_path (file), t->n, array.count);
    return FALSE;
  }
  t->types = g_malloc (t->n);
  for (guint i = 0; i < t->n; i++) {
    gint32 type = TERN_TOKEN_NORMAL;

    if (array.data) {
      memcpy (&type, array.data + 4 * (gsize) i, sizeof type);
      type = GINT32_FROM_LE (type);
    }
    /* 0 is "undefined" in the format and means an ordinary token. */
    t->types[i] = type < TERN_TOKEN_NORMAL || type > TERN_TOKEN_BYTE ? TERN_TOKEN_NORMAL : type;
  }
  return TRUE;
}

static gboolean
load_id (const TernTokenizer *t, const TernGguf *file, const char *key, gint32 fallback, gint32 *id, GError **error)
{
  guint32 value;

  *id = fallback < (gint32) t->n ? fallback : -1;
  if (!tern_gguf_has (file, key))
    return TRUE;
  if (!tern_gguf_u32 (file, key, 0, t->n - 1, &value, error))
    return FALSE;
  *id = value;
  return TRUE;
}

static gboolean
load_ids (TernTokenizer *t, const TernGguf *file, GError **error)
{
  gboolean spm = t->kind == TERN_VOCAB_SPM;
  gint32 eot, eom;

  if (!load_id (t, file, "tokenizer.ggml.bos_token_id", spm ? 1 : -1, &t->bos, error)
      || !load_id (t, file, "tokenizer.ggml.eos_token_id", spm ? 2 : -1, &t->eos, error)
      || !load_id (t, file, "tokenizer.ggml.unknown_token_id", spm ? 0 : -1, &t->unk, error)
      || !load_id (t, file, "tokenizer.ggml.eot_token_id", -1, &eot, error)
      || !load_id (t, file, "tokenizer.ggml.eom_token_id", -1, &eom, error)
      || !tern_gguf_bool_or (file, "tokenizer.ggml.add_bos_token", t->add_bos, &t->add_bos, error)
      || !tern_gguf_bool_or (file, "tokenizer.ggml.add_eos_token", FALSE, &t->add_eos, error))
    return FALSE;
  t->add_bos = t->add_bos && t->bos >= 0;
  t->add_eos = t->add_eos && t->eos >= 0;
  t->eog = g_malloc0 (t->n);
  if (t->eos >= 0)
    t->eog[t->eos] = TRUE;
  if (eot >= 0)
    t->eog[eot] = TRUE;
  if (eom >= 0)
    t->eog[eom] = TRUE;
  return TRUE;
}

static void
mark_ends (TernTokenizer *t)
{
  for (guint i = 0; i < G_N_ELEMENTS (eog_texts); i++) {
    gint32 id = tern_tokenizer_find (t, eog_texts[i]);

    if (id >= 0) {
      t->eog[id] = TRUE;
      t->types[id] = TERN_TOKEN_CONTROL;        /* whatever the file calls it: text must not end a turn */
    }
  }
}

static int
by_length_descending (const void *a, const void *b)
{
  gsize x = *(const gsize *) a, y = *(const gsize *) b;

  return x < y ? 1 : x > y ? -1 : 0;
}

static gboolean
is_special (const TernTokenizer *t, gint32 id)
{
  return t->types[id] == TERN_TOKEN_CONTROL || t->types[id] == TERN_TOKEN_UNKNOWN
      || t->types[id] == TERN_TOKEN_USER_DEFINED;
}

static void
index_specials (TernTokenizer *t)
{
  g_autoptr (GArray) lengths = g_array_new (FALSE, FALSE, sizeof (gsize));
  guint n = 0;

  for (guint i = 0; i < t->n; i++)
    if (is_special (t, i) && t->symbols.texts[i].len)
      g_array_append_val (lengths, t->symbols.texts[i].len);
  g_array_sort (lengths, by_length_descending);
  for (guint i = 0; i < lengths->len; i++)
    if (i == 0 || g_array_index (lengths, gsize, i) != g_array_index (lengths, gsize, n - 1))
      g_array_index (lengths, gsize, n++) = g_array_index (lengths, gsize, i);
  t->n_special_lengths = n;
  t->special_first = g_malloc0 (MAX (n, 1) * sizeof *t->special_first);
  t->special_lengths = g_new (gsize, MAX (n, 1));
  if (n)
    memcpy (t->special_lengths, lengths->data, n * sizeof (gsize));
  for (guint i = 0; i < t->n; i++) {
    TernBytes text = t->symbols.texts[i];
    gsize *at;
    guint8 first;

    if (!is_special (t, i) || !text.len)
      continue;
    at = bsearch (&text.len, t->special_lengths, n, sizeof (gsize), by_length_descending);
    first = text.data[0];
    t->special_first[at - t->special_lengths][first / 8] |= 1 << first % 8;
  }
}

/* <0xHH> -> HH, or -1. */
static int
byte_of_token (TernBytes text)
{
  int high, low;

  if (text.len != 6 || memcmp (text.data, "<0x", 3) != 0 || text.data[5] != '>')
    return -1;
  high = g_ascii_xdigit_value (text.data[3]);
  low = g_ascii_xdigit_value (text.data[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* What a token stands for is never longer than its text. */
static gsize
decode_token (const TernTokenizer *t, guint id, guint8 *out)
{
  static const guint8 meta[] = { 0xe2, 0x96, 0x81 };    /* U+2581, SentencePiece's space */
  TernBytes text = t->symbols.texts[id];
  const guint8 *in = (const guint8 *) text.data;
  gsize used = 0, step;
  int byte;

  if (t->types[id] == TERN_TOKEN_BYTE && (byte = byte_of_token (text)) >= 0) {
    out[0] = byte;
    return 1;
  }
  if (t->types[id] == TERN_TOKEN_UNUSED)
    return 0;
  if (t->types[id] != TERN_TOKEN_NORMAL && t->types[id] != TERN_TOKEN_BYTE) {
    if (text.len)
      memcpy (out, in, text.len);
    return text.len;
  }
  for (gsize i = 0; i < text.len; i += step) {
    gsize length = tern_utf8_length (in + i, text.len - i);

    step = MAX (length, 1);
    if (t->kind == TERN_VOCAB_SPM) {
      byte = step == 3 && memcmp (in + i, meta, 3) == 0 ? ' ' : -1;
    } else {
      byte = length ? tern_alphabet_byte (g_utf8_get_char ((const char *) in + i)) : -1;
    }
    if (byte >= 0) {
      out[used++] = byte;
    } else {
      memcpy (out + used, in + i, step);
      used += step;
    }
  }
  return used;
}

static void
decode_all (TernTokenizer *t)
{
  gsize bytes = 0, used = 0;

  for (guint i = 0; i < t->n; i++)
    bytes += t->symbols.texts[i].len;
  t->piece_block = g_malloc (MAX (bytes, 1));
  t->pieces = g_new (TernBytes, t->n);
  for (guint i = 0; i < t->n; i++) {
    gsize len = decode_token (t, i, t->piece_block + used);

    t->pieces[i] = (TernBytes) { (char *) t->piece_block + used, len };
    used += len;
  }
}

TernTokenizer *
tern_tokenizer_new (const TernGguf *file, GError **error)
{
  g_autoptr (TernTokenizer) t = g_new0 (TernTokenizer, 1);
  TernGgufArray texts;

  g_atomic_ref_count_init (&t->refs);
  if (!load_kind (t, file, error) || !find_texts (t, file, &texts, error))
    return NULL;
  load_texts (t, &texts);
  if (!load_types (t, file, error)
      || !(t->kind == TERN_VOCAB_BPE ? tern_bpe_load (t, file, error) : tern_spm_load (t, file, error))
      || !load_ids (t, file, error))
    return NULL;
  mark_ends (t);
  index_specials (t);
  decode_all (t);
  return g_steal_pointer (&t);
}

gboolean
tern_tokenizer_check (const TernGguf *file, gsize *bytes, GError **error)
{
  g_autoptr (TernTokenizer) t = g_new0 (TernTokenizer, 1);
  TernGgufArray texts;

  g_atomic_ref_count_init (&t->refs);
  if (!load_kind (t, file, error) || !find_texts (t, file, &texts, error))
    return FALSE;
  /* texts and pieces; their places; symbols by text; kinds and ends */
  *bytes = 2 * count_text (&texts) + 2 * t->n * sizeof (TernBytes) + tern_symbols_slots (t->n + 256) * sizeof (guint32)
      + 2 * t->n;
  return load_types (t, file, error)
      && (t->kind == TERN_VOCAB_BPE ? tern_bpe_check (t, file, bytes, error) : tern_spm_check (t, file, bytes, error))
      && load_ids (t, file, error);
}

TernTokenizer *
tern_tokenizer_ref (TernTokenizer *tokenizer)
{
  g_atomic_ref_count_inc (&tokenizer->refs);
  return tokenizer;
}

void
tern_tokenizer_unref (TernTokenizer *tokenizer)
{
  if (!tokenizer || !g_atomic_ref_count_dec (&tokenizer->refs))
    return;
  tern_symbols_clear (&tokenizer->symbols);
  g_clear_pointer (&tokenizer->merge_texts, g_string_chunk_free);
  g_free (tokenizer->merges.slots);
  g_free (tokenizer->types);
  g_free (tokenizer->eog);
  g_free (tokenizer->pieces);
  g_free (tokenizer->text_block);
  g_free (tokenizer->piece_block);
  g_free (tokenizer->special_lengths);
  g_free (tokenizer->special_first);
  g_free (tokenizer->scores);
  g_free (tokenizer);
}

guint
tern_tokenizer_size (const TernTokenizer *tokenizer)
{
  return tokenizer->n;
}

gint32
tern_tokenizer_bos (const TernTokenizer *tokenizer)
{
  return tokenizer->bos;
}

gint32
tern_tokenizer_eos (const TernTokenizer *tokenizer)
{
  return tokenizer->eos;
}

gboolean
tern_tokenizer_add_bos (const TernTokenizer *tokenizer)
{
  return tokenizer->add_bos;
}

gboolean
tern_tokenizer_add_eos (const TernTokenizer *tokenizer)
{
  return tokenizer->add_eos;
}

gboolean
tern_tokenizer_is_eog (const TernTokenizer *tokenizer, gint32 id)
{
  return id >= 0 && (guint) id < tokenizer->n && tokenizer->eog[id];
}

gint32
tern_tokenizer_find (const TernTokenizer *tokenizer, const char *text)
{
  gint32 id = tern_symbols_find (&tokenizer->symbols, text, strlen (text));

  return id < (gint32) tokenizer->n ? id : -1;
}

gboolean
tern_tokenizer_is_control (const TernTokenizer *tokenizer, gint32 id)
{
  return id >= 0 && (guint) id < tokenizer->n && tokenizer->types[id] == TERN_TOKEN_CONTROL;
}

TernBytes
tern_tokenizer_piece (const TernTokenizer *tokenizer, gint32 id, gboolean special)
{
  TernBytes none = { "", 0 };
  guint8 type;

  if (id < 0 || (guint) id >= tokenizer->n)
    return none;
  type = tokenizer->types[id];
  return !special && (type == TERN_TOKEN_CONTROL || type == TERN_TOKEN_UNKNOWN) ? none : tokenizer->pieces[id];
}
