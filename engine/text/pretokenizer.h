/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cuts text into the pieces that byte-level BPE works on. A piece never merges with its neighbour.
 *
 * Files name one of the published lists of regular expressions. Each expression is applied to the pieces that the one
 * before left; what it does not match stays a piece too. Here an expression is a matcher in C with its parameters, a
 * stage, and a list of up to TERN_STAGES of them a rule set. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_STAGES 5

typedef struct _TernStage TernStage;

struct _TernStage {
  /* The end of the match that starts at @pos < @end, or @pos when there is none. Nothing outside of @pos..@end counts,
   * but for what stands before @pos. */
  gsize (*match) (const TernStage *stage, const guint8 *text, gsize pos, gsize end);
  guint kinds;                  /* TernCharKind mask: what the stage is about */
  guint most;                   /* code points, or numbers, in a piece; 0 = any number */
  guint flags;                  /* of the matcher */
};

typedef struct {
  TernStage stages[TERN_STAGES];        /* match NULL: no more */
  gboolean ignore_merges;       /* a piece that is a token as a whole is taken as it is */
  gboolean add_bos;             /* unless the file says otherwise */
  gboolean nfc;                 /* text is put into Unicode's form NFC first */
} TernPretokenizer;

/* By tokenizer.ggml.pre; NULL when unknown. */
const TernPretokenizer *tern_pretokenizer_find (const char *name, gsize len);
/* Comma separated, for messages. Free with g_free. */
char *tern_pretokenizer_names (void);

/* Walks @text; set everything else to 0. */
typedef struct {
  const guint8 *text;
  gsize len;
  gsize pos;                    /* where the next piece starts */
  gsize ends[TERN_STAGES];      /* of the stage's piece around pos */
} TernPieces;

/* FALSE at the end, else the next piece is text[*start, *start + *len), at least one byte. */
gboolean tern_pieces_next (TernPieces *pieces, const TernPretokenizer *rules, gsize *start, gsize *len);

G_END_DECLS
