/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/unicode.h"

static TernCharKind
kind_of_unichar (gunichar c)
{
  switch (g_unichar_type (c)) {
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
      return TERN_CHAR_UPPER;
    case G_UNICODE_LOWERCASE_LETTER:
      return TERN_CHAR_LOWER;
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
      return TERN_CHAR_CASELESS;
    case G_UNICODE_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_NON_SPACING_MARK:
      return TERN_CHAR_MARK;
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_LETTER_NUMBER:
    case G_UNICODE_OTHER_NUMBER:
      return TERN_CHAR_NUMBER;
    case G_UNICODE_CONNECT_PUNCTUATION:
    case G_UNICODE_DASH_PUNCTUATION:
    case G_UNICODE_CLOSE_PUNCTUATION:
    case G_UNICODE_FINAL_PUNCTUATION:
    case G_UNICODE_INITIAL_PUNCTUATION:
    case G_UNICODE_OTHER_PUNCTUATION:
    case G_UNICODE_OPEN_PUNCTUATION:
      return TERN_CHAR_PUNCTUATION;
    case G_UNICODE_CURRENCY_SYMBOL:
    case G_UNICODE_MODIFIER_SYMBOL:
    case G_UNICODE_MATH_SYMBOL:
    case G_UNICODE_OTHER_SYMBOL:
      return TERN_CHAR_SYMBOL;
    case G_UNICODE_SPACE_SEPARATOR:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return TERN_CHAR_SPACE;
    default:                    /* White_Space has a few controls, which are not in a category of their own */
      if (c == '\r' || c == '\n')
        return TERN_CHAR_NEWLINE;
      return (c >= 0x09 && c <= 0x0d) || c == 0x85 ? TERN_CHAR_SPACE : TERN_CHAR_OTHER;
  }
}

/* The Unicode Standard, table 3-7: what may follow the first byte decides about overlong forms, surrogates and the end of
 * the code space. Vocabularies are read through this: GLib's own takes longer than the rest of their loading. */
gsize
tern_utf8_length (const guint8 *text, gsize left)
{
  guint8 first = text[0], low = 0x80, high = 0xbf;
  gsize n, i;

  if (first < 0x80)
    return 1;
  n = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first < 0xc2 || first > 0xf4 || left < n)
    return 0;
  if (first == 0xe0)
    low = 0xa0;
  else if (first == 0xed)
    high = 0x9f;
  else if (first == 0xf0)
    low = 0x90;
  else if (first == 0xf4)
    high = 0x8f;
  if (text[1] < low || text[1] > high)
    return 0;
  for (i = 2; i < n; i++)
    if ((text[i] & 0xc0) != 0x80)
      return 0;
  return n;
}

TernCharKind
tern_char_kind (const guint8 *text, gsize pos, gsize end, gsize *next)
{
  gsize length;

  if (pos >= end) {
    *next = end;
    return TERN_CHAR_END;
  }
  if (text[pos] < 0x80) {
    *next = pos + 1;
    return kind_of_unichar (text[pos]);
  }
  length = tern_utf8_length (text + pos, end - pos);
  *next = pos + MAX (length, 1);
  return length ? kind_of_unichar (g_utf8_get_char ((const char *) text + pos)) : TERN_CHAR_OTHER;
}
