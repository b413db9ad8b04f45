/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokenizers of a few pieces, made in memory. */
#pragma once

#include "gguf-writer.h"
#include "engine/text/tokenizer.h"

typedef struct {
  const char *bytes;
  guint n;
} Piece;

/* The character that stands for a byte in vocabularies of the gpt2 kind. */
static inline gunichar
alphabet_char (guint8 byte)
{
  guint n = 0;

  if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
    return byte;
  for (guint b = 0; b < byte; b++)
    n += !((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174);
  return 256 + n;
}

/* @pieces [@n], then <pad> (control) and </s> (the end). @spm: of SentencePiece's kind, where a piece of one byte that is
 * no character is a byte token, and spaces are U+2581. */
static inline TernTokenizer *
vocabulary_new (const Piece *pieces, guint n, gboolean spm)
{
  g_auto (GgufWriter) w;
  g_autoptr (GByteArray) file = NULL;
  g_autoptr (TernGguf) gguf = NULL;
  g_autofree guint32 *types = g_new (guint32, n + 2);
  g_autoptr (GError) error = NULL;
  TernTokenizer *tokenizer;

  writer_init (&w);
  writer_string (&w, "tokenizer.ggml.model", spm ? "llama" : "gpt2");
  writer_string (&w, "tokenizer.ggml.pre", "gpt-2");
  writer_array (&w, "tokenizer.ggml.tokens", TERN_GGUF_STRING, n + 2);
  for (guint i = 0; i < n; i++) {
    g_autoptr (GString) text = g_string_new (NULL);

    types[i] = 1;
    if (spm && !g_utf8_validate (pieces[i].bytes, pieces[i].n, NULL)) {
      g_assert_cmpuint (pieces[i].n, ==, 1);
      types[i] = 6;
      g_string_printf (text, "<0x%02X>", (guint8) pieces[i].bytes[0]);
    } else {
      for (guint k = 0; k < pieces[i].n; k++) {
        guint8 byte = pieces[i].bytes[k];

        if (!spm)
          g_string_append_unichar (text, alphabet_char (byte));
        else if (byte == ' ')
          g_string_append (text, "\342\226\201");
        else
          g_string_append_c (text, byte);
      }
    }
    put_string (w.keys, text->str);
  }
  put_string (w.keys, "<pad>");
  put_string (w.keys, "</s>");
  types[n] = types[n + 1] = 3;
  writer_array (&w, "tokenizer.ggml.token_type", TERN_GGUF_I32, n + 2);
  for (guint i = 0; i < n + 2; i++)
    put_u32 (w.keys, types[i]);
  if (spm) {
    writer_array (&w, "tokenizer.ggml.scores", TERN_GGUF_F32, n + 2);
    for (guint i = 0; i < n + 2; i++)
      put_u32 (w.keys, 0);
    writer_u32 (&w, "tokenizer.ggml.bos_token_id", n);
    writer_u32 (&w, "tokenizer.ggml.unknown_token_id", n);
  } else {
    writer_array (&w, "tokenizer.ggml.merges", TERN_GGUF_STRING, 0);
  }
  writer_u32 (&w, "tokenizer.ggml.eos_token_id", n + 1);
  file = writer_finish (&w);
  gguf = tern_gguf_open_memory (file->data, file->len, "vocabulary", &error);
  g_assert_no_error (error);
  tokenizer = tern_tokenizer_new (gguf, &error);
  g_assert_no_error (error);
  return tokenizer;
}
