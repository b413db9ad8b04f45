/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts text into the pieces that byte-level BPE works on. A piece never merges with its neighbour. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The published regular expressions, as rules for one hand-written matcher:
 *   words    llama-bpe, qwen2: [^\r\n\p{L}\p{N}]?\p{L}+ , \p{N} runs of limited length, newlines cling to punctuation
 *   gpt-2    optional space before letters, numbers and anything else */
typedef struct {
  gboolean words;               /* the llama-bpe family instead of gpt-2's */
  guint digits;                 /* words: most \p{N} in a piece */
  gboolean single_digits;       /* gpt-2: every \p{N} is first cut out as a piece of its own */
  gboolean ignore_merges;       /* a piece that is a token as a whole is taken as it is */
  gboolean add_bos;             /* unless the file says otherwise */
} TernPretokenizer;

/* By tokenizer.ggml.pre; NULL when unknown. */
const TernPretokenizer *tern_pretokenizer_find (const char *name, gsize len);
/* Comma separated, for messages. Free with g_free. */
char *tern_pretokenizer_names (void);

/* Walks @text; set pos and segment to 0. */
typedef struct {
  const guint8 *text;
  gsize len;
  gsize pos;                    /* where the next piece starts */
  gsize segment;                /* single_digits: end of the run without numbers around pos */
} TernPieces;

/* FALSE at the end, else the next piece is text[*start, *start + *len), at least one byte. */
gboolean tern_pieces_next (TernPieces *pieces, const TernPretokenizer *rules, gsize *start, gsize *len);

G_END_DECLS
