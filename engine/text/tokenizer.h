/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text <-> token ids, from a GGUF file's tokenizer.ggml.* keys. Immutable, any thread. */
#pragma once

#include <glib.h>
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct _TernTokenizer TernTokenizer;

/* Copies what it needs: @file may go. */
TernTokenizer *tern_tokenizer_new (const TernGguf *file, GError **error);
/* Whether tern_tokenizer_new() would take @file, and about how much memory, found out without building its tables: for
 * those who only look. */
gboolean tern_tokenizer_check (const TernGguf *file, gsize *bytes, GError **error);
TernTokenizer *tern_tokenizer_ref (TernTokenizer *tokenizer);
void tern_tokenizer_unref (TernTokenizer *tokenizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernTokenizer, tern_tokenizer_unref)

guint tern_tokenizer_size (const TernTokenizer *tokenizer);     /* tokens */
gint32 tern_tokenizer_bos (const TernTokenizer *tokenizer);     /* -1: none */
gint32 tern_tokenizer_eos (const TernTokenizer *tokenizer);
gboolean tern_tokenizer_add_bos (const TernTokenizer *tokenizer);
gboolean tern_tokenizer_add_eos (const TernTokenizer *tokenizer);
/* Ends a generation: the eos id, or a token known by its text (<|im_end|>, <|endoftext|>, ...). */
gboolean tern_tokenizer_is_eog (const TernTokenizer *tokenizer, gint32 id);
/* The id whose text is exactly @text, or -1. */
gint32 tern_tokenizer_find (const TernTokenizer *tokenizer, const char *text);
gboolean tern_tokenizer_is_control (const TernTokenizer *tokenizer, gint32 id);

/* Appends the ids of @len bytes at @text to @ids (a GArray of gint32). @special: control tokens in the text are
 * recognised (scaffolding); else only user-defined ones are (untrusted text). BOS and EOS are the caller's business.
 * Any bytes are accepted. */
void tern_tokenizer_encode (const TernTokenizer *tokenizer, const char *text, gsize len, gboolean special, GArray *ids);

/* The same with @special, but for text[begin, end) of each of @plain (ascending): no control token is recognised that
 * touches one. Scaffolding with untrusted text in it is encoded at once so that words that touch are split as in
 * training. */
typedef struct {
  gsize begin, end;
} TernTextRange;
void tern_tokenizer_encode_mixed (const TernTokenizer *tokenizer, const char *text, gsize len,
    const TernTextRange *plain, guint n_plain, GArray *ids);

/* The bytes of one token: empty for control tokens unless @special. Borrowed. */
TernBytes tern_tokenizer_piece (const TernTokenizer *tokenizer, gint32 id, gboolean special);

/* Detokenises a stream: appends to @out whole UTF-8 sequences only and holds back an unfinished one. */
typedef struct {
  guint8 held[4];
  guint n_held;
} TernTextStream;

void tern_text_stream_push (TernTextStream *stream, const TernTokenizer *tokenizer, gint32 id, GString *out);
/* What is held becomes U+FFFD. */
void tern_text_stream_end (TernTextStream *stream, GString *out);

G_END_DECLS
