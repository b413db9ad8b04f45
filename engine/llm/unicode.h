/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The five kinds of code points that pre-tokenizers tell apart. Bytes that are not UTF-8 count as one code point each,
 * of the kind TERN_CHAR_OTHER: text of any bytes is split without losing one. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_CHAR_END,                /* past the text */
  TERN_CHAR_LETTER,             /* \p{L} */
  TERN_CHAR_NUMBER,             /* \p{N} */
  TERN_CHAR_NEWLINE,            /* \r and \n, which are white space too */
  TERN_CHAR_SPACE,              /* White_Space but \r and \n */
  TERN_CHAR_OTHER,
} TernCharKind;

/* The kind of the code point at @text[@pos]; *@next is where the next one starts. At @end: TERN_CHAR_END. */
TernCharKind tern_char_kind (const guint8 *text, gsize pos, gsize end, gsize *next);

/* Bytes of the code point that starts at @text (@left > 0 bytes), or 0 when they are not UTF-8. */
gsize tern_utf8_length (const guint8 *text, gsize left);

G_END_DECLS
