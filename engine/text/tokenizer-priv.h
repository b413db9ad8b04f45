/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of the tokenizer share: the symbol table, the merges, and the two model kinds. */
#pragma once

#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

/* tokenizer.ggml.token_type */
typedef enum {
  TERN_TOKEN_NORMAL = 1,
  TERN_TOKEN_UNKNOWN = 2,
  TERN_TOKEN_CONTROL = 3,
  TERN_TOKEN_USER_DEFINED = 4,
  TERN_TOKEN_UNUSED = 5,
  TERN_TOKEN_BYTE = 6,
} TernTokenType;

/* Texts numbered in the order of their first appearance: 0 .. n_tokens - 1 are the vocabulary, what follows are texts
 * that merges name and the vocabulary lacks. Open addressing; a text that appears twice is found under its last token,
 * as in llama.cpp. */
typedef struct {
  TernBytes *texts;             /* [n] borrowed */
  guint n, room;
  guint32 *slots;               /* [mask + 1] symbol + 1, 0 = free */
  guint32 mask;
} TernSymbols;

#define TERN_NO_SYMBOL (-1)

/* Slots of a hash table for that many entries. */
gsize tern_symbols_slots (guint64 expected);
void tern_symbols_init (TernSymbols *symbols, guint expected);
void tern_symbols_clear (TernSymbols *symbols);
gint32 tern_symbols_find (const TernSymbols *symbols, const void *text, gsize len);
gint32 tern_symbols_append (TernSymbols *symbols, TernBytes text);

/* A merge of symbols, found by its pair. Lower ranks go first. */
typedef struct {
  guint32 left, right;
  gint32 rank;
  gint32 result;
} TernMerge;

typedef struct {
  TernMerge *slots;             /* [mask + 1], rank -1 = free */
  guint32 mask;
} TernMerges;

typedef enum {
  TERN_VOCAB_BPE,               /* tokenizer.ggml.model gpt2: byte-level BPE */
  TERN_VOCAB_SPM,               /* llama: SentencePiece's BPE over code points */
} TernVocabKind;

struct _TernTokenizer {
  gatomicrefcount refs;
  TernVocabKind kind;
  guint n;                      /* tokens */
  guint8 *types;                /* [n] TernTokenType */
  guint8 *eog;                  /* [n] */
  TernBytes *pieces;            /* [n] what the tokens stand for */
  char *text_block;             /* the vocabulary's bytes */
  guint8 *piece_block;          /* the decoded ones */
  gint32 bos, eos, unk;
  gboolean add_bos, add_eos;
  TernSymbols symbols;

  /* Special tokens, by length: long ones are cut out first. */
  guint n_special_lengths;
  gsize *special_lengths;       /* descending */
  guint8 (*special_first)[32];  /* per length, one bit for each first byte */

  /* BPE */
  const TernPretokenizer *rules;
  TernMerges merges;
  GStringChunk *merge_texts;    /* results of merges that the vocabulary lacks */
  gint32 byte_symbol[256];      /* the symbol of each byte's character */

  /* SPM */
  float *scores;                /* [n] */
  gint32 byte_token[256];       /* <0xHH>, or unk */
  gboolean add_space_prefix;
};

/* Work buffers of one encode call. */
typedef struct {
  GArray *nodes;
  GArray *heap;
  GByteArray *bytes;
} TernEncodeBuffers;

/* The character of the GPT-2 alphabet that stands for a byte, and back (-1 when it stands for none). */
gunichar tern_alphabet_char (guint8 byte);
int tern_alphabet_byte (gunichar c);

/* The keys without the tables, and what these take: added to *@bytes. */
gboolean tern_bpe_check (TernTokenizer *t, const TernGguf *file, gsize *bytes, GError **error);
gboolean tern_spm_check (TernTokenizer *t, const TernGguf *file, gsize *bytes, GError **error);

gboolean tern_bpe_load (TernTokenizer *t, const TernGguf *file, GError **error);
void tern_bpe_encode (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *text, gsize len, GArray *ids);

gboolean tern_spm_load (TernTokenizer *t, const TernGguf *file, GError **error);
/* @start: the text's first fragment, or one that follows a special token. */
void tern_spm_encode (const TernTokenizer *t, TernEncodeBuffers *buffers, const guint8 *text, gsize len,
    gboolean start, GArray *ids);

/* A heap of candidate merges, the lowest (rank, left) first. */
typedef struct {
  double rank;
  guint32 left;                 /* node */
  guint32 left_symbol, right_symbol;
} TernMergeCandidate;

void tern_merge_heap_push (GArray *heap, TernMergeCandidate candidate);
gboolean tern_merge_heap_pop (GArray *heap, TernMergeCandidate *candidate);

G_END_DECLS
