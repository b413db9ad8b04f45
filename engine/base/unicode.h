/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of code points that pre-tokenizers tell apart. Bytes that are not UTF-8 count as one code point each, of the
 * kind TERN_CHAR_OTHER: text of any bytes is split without losing one. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A bit each, so that a set of kinds is a mask. */
typedef enum {
  TERN_CHAR_END = 0,            /* past the text */
  TERN_CHAR_UPPER = 1 << 0,     /* \p{Lu} \p{Lt} */
  TERN_CHAR_LOWER = 1 << 1,     /* \p{Ll} */
  TERN_CHAR_CASELESS = 1 << 2,  /* \p{Lm} \p{Lo} */
  TERN_CHAR_MARK = 1 << 3,      /* \p{M} */
  TERN_CHAR_NUMBER = 1 << 4,    /* \p{N} */
  TERN_CHAR_PUNCTUATION = 1 << 5,       /* \p{P} */
  TERN_CHAR_SYMBOL = 1 << 6,    /* \p{S} */
  TERN_CHAR_NEWLINE = 1 << 7,   /* \r and \n, which are white space too */
  TERN_CHAR_SPACE = 1 << 8,     /* White_Space but \r and \n */
  TERN_CHAR_OTHER = 1 << 9,     /* controls, unassigned code points, bytes that are not UTF-8 */
} TernCharKind;

#define TERN_CHAR_LETTER (TERN_CHAR_UPPER | TERN_CHAR_LOWER | TERN_CHAR_CASELESS)       /* \p{L} */
#define TERN_CHAR_BLANK (TERN_CHAR_NEWLINE | TERN_CHAR_SPACE)                           /* \s */
#define TERN_CHAR_ANY ((1 << 10) - 1)

/* The kind of the code point at @text[@pos]; *@next is where the next one starts. At @end: TERN_CHAR_END. */
TernCharKind tern_char_kind (const guint8 *text, gsize pos, gsize end, gsize *next);

/* Bytes of the code point that starts at @text (@left > 0 bytes), or 0 when they are not UTF-8. */
gsize tern_utf8_length (const guint8 *text, gsize left);

G_END_DECLS
