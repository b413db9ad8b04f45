/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Template source to tokens, white space control included: trim_blocks takes the newline after a block tag or comment,
 * lstrip_blocks the blanks before it on its line, '-' all white space on its side, '+' switches the former two off. */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

typedef struct {
  TernTplArena *arena;
  char *src;                    /* newlines are \n */
  gsize len, pos;
  guint line;
  GArray *tokens;
  GError **error;
} Lexer;

static gboolean
fail (Lexer *lex, int code, const char *what)
{
  g_set_error (lex->error, TERN_ERROR, code, "chat template, line %u: %s", lex->line, what);
  return FALSE;
}

static gboolean
is_blank (char c)
{
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
advance (Lexer *lex, gsize n)
{
  for (; n > 0; n--)
    lex->line += lex->src[lex->pos++] == '\n';
}

static gboolean
looking_at (const Lexer *lex, gsize at, const char *text)
{
  gsize n = strlen (text);

  return lex->len - at >= n && memcmp (lex->src + at, text, n) == 0;
}

static void
add (Lexer *lex, TernTok type, int op, TernVal value)
{
  TernTplToken token = { type, op, lex->line, value };

  g_array_append_val (lex->tokens, token);
}

/* The text of [start, end), with what @sign and lstrip_blocks take from its end. */
static void
add_text (Lexer *lex, gsize start, gsize end, char sign, gboolean variable)
{
  if (sign == '-') {
    while (end > start && is_blank (lex->src[end - 1]))
      end--;
  } else if (sign != '+' && !variable) {
    gsize at = end;

    while (at > start && lex->src[at - 1] != '\n' && is_blank (lex->src[at - 1]))
      at--;
    if (at > start ? lex->src[at - 1] == '\n' : at == 0 || lex->src[at - 1] == '\n')
      end = at;
  }
  if (end > start)
    add (lex, TERN_TOK_TEXT, 0, tern_val_str (lex->src + start, end - start));
}

/* After a tag's end: '-' takes white space, else @trim one newline. */
static void
after_tag (Lexer *lex, char sign, gboolean trim)
{
  if (sign == '-') {
    while (lex->pos < lex->len && is_blank (lex->src[lex->pos]))
      advance (lex, 1);
  } else if (trim && sign != '+' && lex->pos < lex->len && lex->src[lex->pos] == '\n') {
    advance (lex, 1);
  }
}

static gboolean
skip_comment (Lexer *lex)
{
  gsize at = lex->pos + 2;
  char sign;

  while (at < lex->len && !looking_at (lex, at, "#}"))
    at++;
  if (at >= lex->len)
    return fail (lex, TERN_ERROR_FORMAT, "expected #} at the end of a comment, found the end of the template");
  sign = at > lex->pos + 2 ? lex->src[at - 1] : 0;
  advance (lex, at + 2 - lex->pos);
  after_tag (lex, sign, TRUE);
  return TRUE;
}

/* {% word %} at @at: its end, *@before and *@after its signs. 0: something else. */
static gsize
bare_tag (const Lexer *lex, gsize at, const char *word, char *before, char *after)
{
  *before = *after = 0;
  if (!looking_at (lex, at, "{%"))
    return 0;
  at += 2;
  if (at < lex->len && (lex->src[at] == '-' || lex->src[at] == '+'))
    *before = lex->src[at++];
  while (at < lex->len && is_blank (lex->src[at]))
    at++;
  if (!looking_at (lex, at, word))
    return 0;
  at += strlen (word);
  while (at < lex->len && is_blank (lex->src[at]))
    at++;
  if (at < lex->len && (lex->src[at] == '-' || lex->src[at] == '+'))
    *after = lex->src[at++];
  return looking_at (lex, at, "%}") ? at + 2 : 0;
}

static gboolean
raw_block (Lexer *lex, gsize begin_end, char sign)
{
  gsize start, end, at;
  char before, after;

  advance (lex, begin_end - lex->pos);
  after_tag (lex, sign, FALSE);
  start = lex->pos;
  for (at = start; at < lex->len; at++) {
    end = bare_tag (lex, at, "endraw", &before, &after);
    if (end) {
      add_text (lex, start, at, before, FALSE);
      advance (lex, end - lex->pos);
      after_tag (lex, after, TRUE);
      return TRUE;
    }
  }
  return fail (lex, TERN_ERROR_FORMAT, "expected {% endraw %}, found the end of the template");
}

static int
hex_of (Lexer *lex, gsize digits, gunichar *c)
{
  *c = 0;
  if (lex->len - lex->pos < digits)
    return FALSE;
  for (gsize i = 0; i < digits; i++) {
    int digit = g_ascii_xdigit_value (lex->src[lex->pos + i]);

    if (digit < 0)
      return FALSE;
    *c = *c << 4 | digit;
  }
  lex->pos += digits;
  return digits > 2 ? g_unichar_validate (*c) : TRUE;
}

/* What follows a backslash, as in Python's string literals. */
static gboolean
escape (Lexer *lex, GString *out)
{
  static const char from[] = "ntrabfv\\'\"", to[] = "\n\t\r\a\b\f\v\\'\"";
  char c = lex->src[lex->pos++];
  const char *simple = memchr (from, c, sizeof from - 1);
  gunichar wide;

  if (simple) {
    g_string_append_c (out, to[simple - from]);
  } else if (c == '\n') {
    lex->line++;
  } else if (c == 'x' || c == 'u' || c == 'U') {
    if (!hex_of (lex, c == 'x' ? 2 : c == 'u' ? 4 : 8, &wide))
      return fail (lex, TERN_ERROR_FORMAT, "expected hexadecimal digits of a character after \\x, \\u or \\U");
    g_string_append_unichar (out, wide);
  } else if (c >= '0' && c <= '7') {
    wide = c - '0';
    for (guint i = 0; i < 2 && lex->pos < lex->len && lex->src[lex->pos] >= '0' && lex->src[lex->pos] <= '7'; i++)
      wide = 8 * wide + (lex->src[lex->pos++] - '0');
    g_string_append_unichar (out, wide);
  } else {
    g_string_append_c (out, '\\');
    g_string_append_c (out, c);
  }
  return TRUE;
}

static gboolean
lex_string (Lexer *lex)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char quote = lex->src[lex->pos++], *copy;

  while (lex->pos < lex->len && lex->src[lex->pos] != quote) {
    char c = lex->src[lex->pos++];

    if (c == '\\' && lex->pos < lex->len) {
      if (!escape (lex, text))
        return FALSE;
      continue;
    }
    lex->line += c == '\n';
    g_string_append_c (text, c);
  }
  if (lex->pos >= lex->len)
    return fail (lex, TERN_ERROR_FORMAT, "expected the end of a string, found the end of the template");
  lex->pos++;
  copy = tern_tpl_alloc (lex->arena, text->len + 1);
  memcpy (copy, text->str, text->len);
  add (lex, TERN_TOK_STRING, 0, tern_val_str (copy, text->len));
  return TRUE;
}

static gboolean
lex_number (Lexer *lex)
{
  g_autoptr (GString) digits = g_string_new (NULL);
  gboolean real = FALSE;
  gsize at = lex->pos;

  for (; at < lex->len; at++) {
    char c = lex->src[at];

    if (c == '.' && !real && at + 1 < lex->len && g_ascii_isdigit (lex->src[at + 1])) {
      real = TRUE;
    } else if ((c == 'e' || c == 'E') && at + 1 < lex->len && (g_ascii_isdigit (lex->src[at + 1])
            || ((lex->src[at + 1] == '-' || lex->src[at + 1] == '+') && at + 2 < lex->len
                && g_ascii_isdigit (lex->src[at + 2])))) {
      real = TRUE;
      g_string_append_c (digits, c);
      c = lex->src[++at];
    } else if (c == '_') {
      continue;
    } else if (!g_ascii_isdigit (c)) {
      break;
    }
    g_string_append_c (digits, c);
  }
  lex->pos = at;
  if (real) {
    add (lex, TERN_TOK_FLOAT, 0, tern_val_float (g_ascii_strtod (digits->str, NULL)));
  } else {
    gint64 value;

    if (!g_ascii_string_to_signed (digits->str, 10, 0, G_MAXINT64, &value, NULL))
      return fail (lex, TERN_ERROR_UNSUPPORTED, "expected an integer below 2^63");
    add (lex, TERN_TOK_INT, 0, tern_val_int (value));
  }
  return TRUE;
}

static gboolean
is_name (char c, gboolean first)
{
  return g_ascii_isalpha (c) || c == '_' || (guchar) c >= 0x80 || (!first && g_ascii_isdigit (c));
}

static gboolean
lex_operator (Lexer *lex, guint *braces)
{
  static const struct {
    char text[3];
    int op;
  } two[] = {
    { "**", TERN_OP_POW }, { "//", TERN_OP_FLOORDIV }, { "==", TERN_OP_EQ }, { "!=", TERN_OP_NE },
    { "<=", TERN_OP_LE }, { ">=", TERN_OP_GE },
  };
  char c = lex->src[lex->pos];
  char message[64];

  for (guint i = 0; i < G_N_ELEMENTS (two); i++) {
    if (looking_at (lex, lex->pos, two[i].text)) {
      add (lex, TERN_TOK_OP, two[i].op, tern_val_str (lex->src + lex->pos, 2));
      lex->pos += 2;
      return TRUE;
    }
  }
  if (!strchr ("+-*/%~[](){}<>=.:|,", c) || c == 0) {
    g_snprintf (message, sizeof message, g_ascii_isprint (c) ? "unexpected character '%c'" : "unexpected byte 0x%02x",
        g_ascii_isprint (c) ? c : (guchar) c);
    return fail (lex, TERN_ERROR_FORMAT, message);
  }
  if (strchr ("([{", c))
    ++*braces;
  else if (strchr (")]}", c) && *braces > 0)
    --*braces;
  add (lex, TERN_TOK_OP, c, tern_val_str (lex->src + lex->pos, 1));
  lex->pos++;
  return TRUE;
}

/* The inside of {{ }} or {% %}. A closing brace pair within brackets does not end it. */
static gboolean
lex_tag (Lexer *lex, gboolean variable)
{
  const char *end = variable ? "}}" : "%}";
  guint braces = 0;

  for (;;) {
    char c, sign = 0;

    while (lex->pos < lex->len && is_blank (lex->src[lex->pos]))
      advance (lex, 1);
    if (lex->pos >= lex->len)
      return fail (lex, TERN_ERROR_FORMAT, variable ? "expected }}, found the end of the template"
          : "expected %}, found the end of the template");
    c = lex->src[lex->pos];
    if (c == '-' || (c == '+' && !variable))
      sign = looking_at (lex, lex->pos + 1, end) ? c : 0;
    if (braces == 0 && (sign || looking_at (lex, lex->pos, end))) {
      add (lex, variable ? TERN_TOK_OUTPUT_END : TERN_TOK_BLOCK_END, 0, tern_val_str (end, 2));
      advance (lex, sign ? 3 : 2);
      after_tag (lex, sign, !variable);
      return TRUE;
    }
    if (c == '"' || c == '\'') {
      if (!lex_string (lex))
        return FALSE;
    } else if (g_ascii_isdigit (c)) {
      if (!lex_number (lex))
        return FALSE;
    } else if (is_name (c, TRUE)) {
      gsize start = lex->pos;

      while (lex->pos < lex->len && is_name (lex->src[lex->pos], FALSE))
        lex->pos++;
      add (lex, TERN_TOK_NAME, 0, tern_val_str (lex->src + start, lex->pos - start));
    } else if (!lex_operator (lex, &braces)) {
      return FALSE;
    }
  }
}

/* One stretch of text and the tag that ends it. */
static gboolean
lex_next (Lexer *lex)
{
  gsize start = lex->pos, at = start, end;
  char kind, sign, before, after;

  while (at < lex->len && !(lex->src[at] == '{' && at + 1 < lex->len && strchr ("{%#", lex->src[at + 1])
          && lex->src[at + 1]))
    at++;
  if (at >= lex->len) {
    add_text (lex, start, at, '+', FALSE);
    advance (lex, at - start);
    return TRUE;
  }
  kind = lex->src[at + 1];
  sign = at + 2 < lex->len && strchr ("-+", lex->src[at + 2]) && lex->src[at + 2] ? lex->src[at + 2] : 0;
  add_text (lex, start, at, sign, kind == '{');
  advance (lex, at - start);
  if (kind == '#')
    return skip_comment (lex);
  end = bare_tag (lex, at, "raw", &before, &after);
  if (end)
    return raw_block (lex, end, after);
  add (lex, kind == '{' ? TERN_TOK_OUTPUT : TERN_TOK_BLOCK, 0, tern_val_str (lex->src + at, 2));
  lex->pos += sign ? 3 : 2;
  return lex_tag (lex, kind == '{');
}

/* \r\n and \r become \n, and the newline at the end of the file goes. */
static void
load (Lexer *lex, const char *source, gsize len)
{
  lex->src = tern_tpl_alloc (lex->arena, len + 1);
  for (gsize i = 0; i < len; i++) {
    if (source[i] == '\r') {
      i += i + 1 < len && source[i + 1] == '\n';
      lex->src[lex->len++] = '\n';
    } else {
      lex->src[lex->len++] = source[i];
    }
  }
  if (lex->len > 0 && lex->src[lex->len - 1] == '\n')
    lex->len--;
}

GArray *
tern_tpl_lex (TernTplArena *arena, const char *source, gsize len, GError **error)
{
  Lexer lex = { .arena = arena, .line = 1, .error = error };
  g_autoptr (GArray) tokens = g_array_new (FALSE, FALSE, sizeof (TernTplToken));

  lex.tokens = tokens;
  load (&lex, source, len);
  while (lex.pos < lex.len)
    if (!lex_next (&lex))
      return NULL;
  add (&lex, TERN_TOK_END, 0, tern_val_str ("the end of the template", 23));
  return g_steal_pointer (&tokens);
}
