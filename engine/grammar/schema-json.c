/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "tern/error.h"
#include "engine/base/readfile.h"
#include "engine/grammar/schema-json.h"

#define FEW_MEMBERS 8

struct _TernJsonDocument {
  TernJsonValue *root;
  GStringChunk *texts;
  GPtrArray *values;
};

typedef struct {
  TernJsonDocument *document;
  const char *begin, *at;
  guint depth;
  GString *text;                /* of the string that is being read */
  GError **error;
  gboolean failed;
} Reader;

static TernJsonValue *read_value (Reader *reader);

static void G_GNUC_PRINTF (2, 3)
fail (Reader *reader, const char *format, ...)
{
  g_autofree char *message = NULL;
  guint line = 1, column = 1;
  va_list args;

  if (reader->failed)
    return;
  reader->failed = TRUE;
  for (const char *p = reader->begin; p < reader->at; p++) {
    column = *p == '\n' ? 1 : column + 1;
    line += *p == '\n';
  }
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (reader->error, TERN_ERROR, TERN_ERROR_INVALID, "JSON Schema, line %u, column %u: %s", line, column, message);
}

static void
expected (Reader *reader, const char *what)
{
  gunichar c = g_utf8_get_char (reader->at);

  if (c == 0)
    fail (reader, "expected %s, found the end of the text", what);
  else if (g_unichar_isprint (c))
    fail (reader, "expected %s, found '%.*s'", what, (int) (g_utf8_next_char (reader->at) - reader->at), reader->at);
  else
    fail (reader, "expected %s, found the character U+%04X", what, c);
}

static void
skip_blanks (Reader *reader)
{
  reader->at += strspn (reader->at, " \t\r\n");
}

static gboolean
take (Reader *reader, char c)
{
  skip_blanks (reader);
  if (*reader->at != c)
    return FALSE;
  reader->at++;
  return TRUE;
}

static gboolean
read_hex (Reader *reader, gunichar *unit)
{
  *unit = 0;
  for (guint i = 0; i < 4; i++, reader->at++) {
    int digit = g_ascii_xdigit_value (*reader->at);

    if (digit < 0) {
      expected (reader, "four hexadecimal digits");
      return FALSE;
    }
    *unit = *unit * 16 + digit;
  }
  return TRUE;
}

static gboolean
read_escape (Reader *reader)
{
  static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  const char *letter = *reader->at ? strchr (letters, *reader->at) : NULL;
  gunichar c, low;

  if (letter) {
    g_string_append_c (reader->text, meant[letter - letters]);
    reader->at++;
    return TRUE;
  }
  if (*reader->at != 'u') {
    expected (reader, "an escape of JSON");
    return FALSE;
  }
  reader->at++;
  if (!read_hex (reader, &c))
    return FALSE;
  if (c >= 0xd800 && c < 0xdc00 && reader->at[0] == '\\' && reader->at[1] == 'u') {
    reader->at += 2;
    if (!read_hex (reader, &low))
      return FALSE;
    c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : 0xd800;
  }
  if (c == 0 || (c >= 0xd800 && c < 0xe000)) {
    fail (reader, "expected a character, found %s", c == 0 ? "NUL" : "half of a surrogate pair");
    return FALSE;
  }
  g_string_append_unichar (reader->text, c);
  return TRUE;
}

/* Behind the first quote; the text stays with the document. */
static const char *
read_string (Reader *reader, guint *n)
{
  g_string_truncate (reader->text, 0);
  for (;;) {
    gsize plain = 0;

    while ((guint8) reader->at[plain] >= 0x20 && reader->at[plain] != '"' && reader->at[plain] != '\\')
      plain++;
    g_string_append_len (reader->text, reader->at, plain);
    reader->at += plain;
    if (*reader->at == '"')
      break;
    if (*reader->at != '\\') {
      expected (reader, "the end of a string");
      return NULL;
    }
    reader->at++;
    if (!read_escape (reader))
      return NULL;
  }
  reader->at++;
  *n = reader->text->len;
  return g_string_chunk_insert_len (reader->document->texts, reader->text->str, reader->text->len);
}

/* @text is a number of JSON. */
static void
set_decimal (Reader *reader, TernDecimal *number, const char *text)
{
  gint64 exponent = 0, written = 0;
  gboolean point = FALSE;
  const char *p = text;

  number->negative = *p == '-';
  g_string_truncate (reader->text, 0);
  for (p += number->negative; *p && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      point = TRUE;
      continue;
    }
    if (reader->text->len > 0 || *p != '0') {
      g_string_append_c (reader->text, *p);
      exponent += !point;
    } else {
      exponent -= point;
    }
  }
  if (*p)
    written = CLAMP (g_ascii_strtoll (p + 1, NULL, 10), -1000000000, 1000000000);
  while (reader->text->len > 0 && reader->text->str[reader->text->len - 1] == '0')
    g_string_truncate (reader->text, reader->text->len - 1);
  number->n = reader->text->len;
  number->digits = g_string_chunk_insert_len (reader->document->texts, reader->text->str, reader->text->len);
  number->exponent = number->n == 0 ? 0 : CLAMP (exponent + written, -1000000000, 1000000000);
  number->negative &= number->n > 0;
}

static gboolean
read_digits (Reader *reader, const char *what)
{
  if (!g_ascii_isdigit (*reader->at)) {
    expected (reader, what);
    return FALSE;
  }
  while (g_ascii_isdigit (*reader->at))
    reader->at++;
  return TRUE;
}

static gboolean
read_number (Reader *reader, TernJsonValue *value)
{
  const char *start = reader->at;

  reader->at += *reader->at == '-';
  if (*reader->at == '0')
    reader->at++;
  else if (!read_digits (reader, "a value"))
    return FALSE;
  if (*reader->at == '.') {
    reader->at++;
    if (!read_digits (reader, "digits behind the point"))
      return FALSE;
  }
  if (*reader->at == 'e' || *reader->at == 'E') {
    reader->at++;
    reader->at += *reader->at == '+' || *reader->at == '-';
    if (!read_digits (reader, "digits of an exponent"))
      return FALSE;
  }
  value->kind = TERN_JSON_NUMBER;
  value->n = reader->at - start;
  value->text = g_string_chunk_insert_len (reader->document->texts, start, value->n);
  set_decimal (reader, &value->number, value->text);
  return TRUE;
}

static void
append (TernJsonValue *parent, TernJsonValue *child)
{
  child->parent = parent;
  child->index = parent->n++;
  if (parent->last)
    parent->last->next = child;
  else
    parent->first = child;
  parent->last = child;
}

static void
remember_name (TernJsonValue *object, TernJsonValue *member)
{
  if (object->n <= FEW_MEMBERS)
    return;
  if (!object->names) {
    object->names = g_hash_table_new (g_str_hash, g_str_equal);
    for (TernJsonValue *m = object->first; m; m = m->next)
      g_hash_table_insert (object->names, (gpointer) m->name, m);
  }
  g_hash_table_insert (object->names, (gpointer) member->name, member);
}

static gboolean
read_member (Reader *reader, TernJsonValue *object)
{
  TernJsonValue *member;
  const char *name;
  guint n;

  if (!take (reader, '"')) {
    expected (reader, "a name in quotes");
    return FALSE;
  }
  name = read_string (reader, &n);
  if (!name)
    return FALSE;
  if (tern_json_member (object, name)) {
    fail (reader, "expected each name once, found '%.100s' twice", name);
    return FALSE;
  }
  if (!take (reader, ':')) {
    expected (reader, "':'");
    return FALSE;
  }
  member = read_value (reader);
  if (!member)
    return FALSE;
  member->name = name;
  append (object, member);
  remember_name (object, member);
  return TRUE;
}

static gboolean
read_members (Reader *reader, TernJsonValue *value, char end)
{
  if (++reader->depth > TERN_SCHEMA_MAX_NESTING) {
    fail (reader, "expected at most %u levels, found more", TERN_SCHEMA_MAX_NESTING);
    return FALSE;
  }
  if (!take (reader, end)) {
    do {
      if (value->kind == TERN_JSON_OBJECT) {
        if (!read_member (reader, value))
          return FALSE;
      } else {
        TernJsonValue *element = read_value (reader);

        if (!element)
          return FALSE;
        append (value, element);
      }
    } while (take (reader, ','));
    if (!take (reader, end)) {
      expected (reader, end == '}' ? "',' or '}'" : "',' or ']'");
      return FALSE;
    }
  }
  reader->depth--;
  return TRUE;
}

static gboolean
read_word (Reader *reader, const char *word)
{
  gsize n = strlen (word);

  if (strncmp (reader->at, word, n) != 0)
    return FALSE;
  reader->at += n;
  return TRUE;
}

static TernJsonValue *
read_value (Reader *reader)
{
  TernJsonValue *value = g_new0 (TernJsonValue, 1);
  gboolean good = TRUE;

  g_ptr_array_add (reader->document->values, value);
  skip_blanks (reader);
  switch (*reader->at) {
    case '{':
    case '[':
      value->kind = *reader->at == '{' ? TERN_JSON_OBJECT : TERN_JSON_ARRAY;
      reader->at++;
      good = read_members (reader, value, value->kind == TERN_JSON_OBJECT ? '}' : ']');
      break;
    case '"':
      reader->at++;
      value->kind = TERN_JSON_STRING;
      value->text = read_string (reader, &value->n);
      good = value->text != NULL;
      break;
    default:
      if (read_word (reader, "true")) {
        value->kind = TERN_JSON_BOOLEAN;
        value->truth = TRUE;
      } else if (read_word (reader, "false")) {
        value->kind = TERN_JSON_BOOLEAN;
      } else if (!read_word (reader, "null")) {
        good = read_number (reader, value);
      }
  }
  return good ? value : NULL;
}

static void
free_value (gpointer data)
{
  TernJsonValue *value = data;

  if (value->names)
    g_hash_table_unref (value->names);
  g_free (value);
}

TernJsonDocument *
tern_json_document_new (const char *text, GError **error)
{
  g_autoptr (TernJsonDocument) document = NULL;
  gsize n = strnlen (text, TERN_SCHEMA_MAX_BYTES + 1);
  Reader reader = { .begin = text, .at = text, .error = error };

  if (n > TERN_SCHEMA_MAX_BYTES) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "JSON Schema: expected at most %u bytes, found more",
        TERN_SCHEMA_MAX_BYTES);
    return NULL;
  }
  if (!g_utf8_validate (text, n, NULL)) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "JSON Schema: expected UTF-8, found other bytes");
    return NULL;
  }
  if (g_str_has_prefix (text, TERN_BOM))
    reader.begin = reader.at = text + strlen (TERN_BOM);
  reader.document = document = g_new0 (TernJsonDocument, 1);
  document->texts = g_string_chunk_new (4096);
  document->values = g_ptr_array_new_with_free_func (free_value);
  reader.text = g_string_new (NULL);
  document->root = read_value (&reader);
  skip_blanks (&reader);
  if (document->root && *reader.at)
    expected (&reader, "the end of the text");
  g_string_free (reader.text, TRUE);
  return reader.failed ? NULL : g_steal_pointer (&document);
}

void
tern_json_document_free (TernJsonDocument *document)
{
  if (!document)
    return;
  g_ptr_array_unref (document->values);
  g_string_chunk_free (document->texts);
  g_free (document);
}

TernJsonValue *
tern_json_document_root (const TernJsonDocument *document)
{
  return document->root;
}

TernJsonValue *
tern_json_member (const TernJsonValue *object, const char *name)
{
  if (object->kind != TERN_JSON_OBJECT)
    return NULL;
  if (object->names)
    return g_hash_table_lookup (object->names, name);
  for (TernJsonValue *member = object->first; member; member = member->next)
    if (strcmp (member->name, name) == 0)
      return member;
  return NULL;
}

TernJsonValue *
tern_json_element (const TernJsonValue *array, guint index)
{
  TernJsonValue *element = array->kind == TERN_JSON_ARRAY ? array->first : NULL;

  for (; element && index > 0; index--)
    element = element->next;
  return element;
}

gboolean
tern_json_equal (const TernJsonValue *a, const TernJsonValue *b)
{
  if (a->kind != b->kind)
    return FALSE;
  switch (a->kind) {
    case TERN_JSON_NULL:
      return TRUE;
    case TERN_JSON_BOOLEAN:
      return a->truth == b->truth;
    case TERN_JSON_NUMBER:
      return tern_decimal_compare (&a->number, &b->number) == 0;
    case TERN_JSON_STRING:
      return strcmp (a->text, b->text) == 0;
    default:
      break;
  }
  if (a->n != b->n)
    return FALSE;
  for (const TernJsonValue *x = a->first, *y = b->first; x; x = x->next, y = y->next) {
    const TernJsonValue *other = a->kind == TERN_JSON_OBJECT ? tern_json_member (b, x->name) : y;

    if (!other || !tern_json_equal (x, other))
      return FALSE;
  }
  return TRUE;
}

const char *
tern_json_kind_name (TernJsonKind kind)
{
  static const char *const names[] = { "null", "a boolean", "a number", "a string", "an array", "an object" };

  return names[kind];
}

char *
tern_json_pointer (const TernJsonValue *value)
{
  GString *pointer = g_string_new ("#");
  g_autoptr (GPtrArray) path = g_ptr_array_new ();

  for (; value->parent; value = value->parent)
    g_ptr_array_add (path, (gpointer) value);
  for (guint i = path->len; i > 0; i--) {
    value = path->pdata[i - 1];
    g_string_append_c (pointer, '/');
    if (!value->name)
      g_string_append_printf (pointer, "%u", value->index);
    for (const char *p = value->name; p && *p && pointer->len < 500; p++) {
      if (*p == '~' || *p == '/')
        g_string_append (pointer, *p == '~' ? "~0" : "~1");
      else
        g_string_append_c (pointer, *p);
    }
  }
  if (pointer->len > 400) {
    const char *end = g_utf8_find_prev_char (pointer->str, pointer->str + 397);

    g_string_truncate (pointer, end - pointer->str);
    g_string_append (pointer, "...");
  }
  return g_string_free (pointer, FALSE);
}

void
tern_json_quote (GString *out, const char *text)
{
  static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

  g_string_append_c (out, '"');
  for (const char *p = text; *p; p++) {
    const char *found = strchr (special, *p);

    if (found)
      g_string_append_printf (out, "\\%c", letters[found - special]);
    else if ((guint8) *p < 0x20)
      g_string_append_printf (out, "\\u%04x", *p);
    else
      g_string_append_c (out, *p);
  }
  g_string_append_c (out, '"');
}

void
tern_json_print (GString *out, const TernJsonValue *value)
{
  gboolean object = value->kind == TERN_JSON_OBJECT;

  switch (value->kind) {
    case TERN_JSON_NULL:
      g_string_append (out, "null");
      break;
    case TERN_JSON_BOOLEAN:
      g_string_append (out, value->truth ? "true" : "false");
      break;
    case TERN_JSON_NUMBER:
      g_string_append (out, value->text);
      break;
    case TERN_JSON_STRING:
      tern_json_quote (out, value->text);
      break;
    default:
      g_string_append_c (out, object ? '{' : '[');
      for (const TernJsonValue *member = value->first; member; member = member->next) {
        if (object) {
          tern_json_quote (out, member->name);
          g_string_append (out, ": ");
        }
        tern_json_print (out, member);
        if (member->next)
          g_string_append (out, ", ");
      }
      g_string_append_c (out, object ? '}' : ']');
  }
}

static int
compare_magnitudes (const TernDecimal *a, const TernDecimal *b)
{
  if (a->n == 0 || b->n == 0)
    return (a->n > 0) - (b->n > 0);
  if (a->exponent != b->exponent)
    return a->exponent < b->exponent ? -1 : 1;
  for (guint i = 0; i < MAX (a->n, b->n); i++) {
    char x = i < a->n ? a->digits[i] : '0', y = i < b->n ? b->digits[i] : '0';

    if (x != y)
      return x < y ? -1 : 1;
  }
  return 0;
}

int
tern_decimal_compare (const TernDecimal *a, const TernDecimal *b)
{
  if (a->negative != b->negative)
    return a->negative ? -1 : 1;
  return a->negative ? compare_magnitudes (b, a) : compare_magnitudes (a, b);
}

gboolean
tern_decimal_is_integer (const TernDecimal *value)
{
  return value->exponent >= (int) value->n;
}

gint64
tern_decimal_floor (const TernDecimal *value)
{
  gint64 result = 0;

  for (int i = 0; i < value->exponent; i++) {
    int digit = i < (int) value->n ? value->digits[i] - '0' : 0;

    /* Downwards for numbers below 0, for there is one more of those. */
    if (__builtin_mul_overflow (result, (gint64) 10, &result)
        || __builtin_add_overflow (result, (gint64) (value->negative ? -digit : digit), &result))
      return value->negative ? G_MININT64 : G_MAXINT64;
  }
  if (value->negative && !tern_decimal_is_integer (value) && result > G_MININT64)
    result--;
  return result;
}
