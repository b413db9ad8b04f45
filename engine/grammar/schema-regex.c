/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Patterns as grammar. A pattern is found anywhere in a string unless it has anchors: where one may begin, or end, without,
 * anything may stand before, or behind. */
#include "engine/grammar/schema-regex.h"

static TernRegex *
add (TernRegex *to, TernRegex *item)
{
  g_ptr_array_add (to->items, item);
  return to;
}

static TernRegex *
copy (const TernRegex *regex)
{
  TernRegex *same = tern_regex_new (regex->kind);

  same->min = regex->min;
  same->max = regex->max;
  same->set = regex->set ? g_array_ref (regex->set) : NULL;
  for (guint i = 0; i < regex->items->len; i++)
    add (same, copy (regex->items->pdata[i]));
  return same;
}

static TernRegex *
anything (void)
{
  TernRegex *repeat = tern_regex_new (TERN_REGEX_REPEAT), *set = tern_regex_new (TERN_REGEX_SET);

  set->set = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
  tern_char_set_add (set->set, '\t', '\n');
  tern_char_set_add (set->set, '\r', '\r');
  tern_char_set_add (set->set, ' ', TERN_REGEX_LAST);
  repeat->max = TERN_REPEAT_MAX;
  return add (repeat, set);
}

/* ---- Anchors ----------------------------------------------------------------------------------------------------- */

static TernRegex *close_ends (TernSchema *ctx, const TernRegex *regex, gboolean left, gboolean right, const TernJsonValue *at);

static TernRegex *
close_sequence (TernSchema *ctx, const TernRegex *regex, gboolean left, gboolean right, const TernJsonValue *at)
{
  TernRegex *result = tern_regex_new (TERN_REGEX_SEQUENCE);
  guint from = 0, to = regex->items->len;
  gboolean open = FALSE;

#define ITEM(i) ((const TernRegex *) regex->items->pdata[i])
  for (; left && from < to && ITEM (from)->kind == TERN_REGEX_BEGIN; from++)
    open = TRUE;
  left &= !open;
  open = FALSE;
  for (; right && to > from && ITEM (to - 1)->kind == TERN_REGEX_END; to--)
    open = TRUE;
  right &= !open;
  if (from == to && (left || right))
    add (result, anything ());
  for (guint i = from; i < to && !ctx->failed; i++) {
    TernRegex *item = close_ends (ctx, ITEM (i), left && i == from, right && i == to - 1, at);

    if (item)
      add (result, item);
  }
#undef ITEM
  return result;
}

/* @regex without anchors; @left, @right: it stands at that end of the pattern. NULL: failed. */
static TernRegex *
close_ends (TernSchema *ctx, const TernRegex *regex, gboolean left, gboolean right, const TernJsonValue *at)
{
  TernRegex *result;

  if (!left && !right && !regex->anchors)
    return copy (regex);
  switch (regex->kind) {
    case TERN_REGEX_SEQUENCE:
      return close_sequence (ctx, regex, left, right, at);
    case TERN_REGEX_CHOICE:
      result = tern_regex_new (TERN_REGEX_CHOICE);
      for (guint i = 0; i < regex->items->len && !ctx->failed; i++) {
        TernRegex *item = close_ends (ctx, regex->items->pdata[i], left, right, at);

        if (item)
          add (result, item);
      }
      return result;
    case TERN_REGEX_BEGIN:
    case TERN_REGEX_END:
      if (!(regex->kind == TERN_REGEX_BEGIN ? left : right))
        break;
      result = tern_regex_new (TERN_REGEX_SEQUENCE);
      return (regex->kind == TERN_REGEX_BEGIN ? right : left) ? add (result, anything ()) : result;
    default:
      if (regex->anchors)
        break;
      result = tern_regex_new (TERN_REGEX_SEQUENCE);
      if (left)
        add (result, anything ());
      add (result, copy (regex));
      return right ? add (result, anything ()) : result;
  }
  tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected anchors at the ends of a pattern, found one within");
  return NULL;
}

/* ---- Lengths ----------------------------------------------------------------------------------------------------- */

static guint
times (guint a, guint b)
{
  guint64 product = (guint64) a * b;

  if (a == 0 || b == 0)
    return 0;
  return a == TERN_LENGTH_MAX || b == TERN_LENGTH_MAX || product >= TERN_LENGTH_MAX ? TERN_LENGTH_MAX : product;
}

static guint
plus (guint a, guint b)
{
  return a >= TERN_LENGTH_MAX - b ? TERN_LENGTH_MAX : a + b;
}

static void
lengths (const TernRegex *regex, guint *min, guint *max)
{
  guint low, high;

  *min = *max = regex->kind == TERN_REGEX_SET;
  for (guint i = 0; i < regex->items->len; i++) {
    lengths (regex->items->pdata[i], &low, &high);
    if (regex->kind == TERN_REGEX_REPEAT) {
      *min = times (low, regex->min);
      *max = times (high, regex->max);
    } else if (regex->kind == TERN_REGEX_SEQUENCE) {
      *min = plus (*min, low);
      *max = plus (*max, high);
    } else {
      *min = i == 0 ? low : MIN (*min, low);
      *max = i == 0 ? high : MAX (*max, high);
    }
  }
}

/* The one repeat that makes the length of a sequence vary, if its item has a fixed one; @rest: the length of all else. */
static TernRegex *
find_vary (TernRegex *regex, guint *rest)
{
  guint min, max;
  TernRegex *found = NULL;

  lengths (regex, &min, &max);
  if (regex->kind == TERN_REGEX_REPEAT) {
    lengths (regex->items->pdata[0], &min, &max);
    return min == max && min > 0 ? regex : NULL;
  }
  if (regex->kind != TERN_REGEX_SEQUENCE)
    return NULL;
  for (guint i = 0; i < regex->items->len; i++) {
    TernRegex *item = regex->items->pdata[i];

    lengths (item, &min, &max);
    if (min == max) {
      *rest = plus (*rest, min);
      continue;
    }
    if (found)
      return NULL;
    found = find_vary (item, rest);
    if (!found)
      return NULL;
  }
  return found;
}

/* Narrows @regex to strings of @min to @max characters. FALSE: failed, or *@none. */
static gboolean
set_length (TernSchema *ctx, TernRegex *regex, guint min, guint max, gboolean *none, const TernJsonValue *at)
{
  guint low, high, rest = 0, each;
  TernRegex *vary;

  lengths (regex, &low, &high);
  if (low >= min && high <= max)
    return TRUE;
  *none = low > max || high < min;
  if (*none)
    return FALSE;
  vary = find_vary (regex, &rest);
  if (!vary) {
    g_autofree char *most = max == TERN_LENGTH_MAX ? g_strdup ("any number of") : g_strdup_printf ("%u", max);

    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected strings of %u to %s characters, or one repeated part that can "
        "be counted so that they are, found a pattern or format beside minLength or maxLength", min, most);
    return FALSE;
  }
  lengths (vary->items->pdata[0], &each, &each);
  if (min > rest)
    vary->min = MAX (vary->min, (min - rest + each - 1) / each);
  if (max != TERN_LENGTH_MAX)
    vary->max = MIN (vary->max, max < rest ? 0 : (max - rest) / each);
  *none = vary->min > vary->max;
  return !*none;
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------- */

static TernNode
make (TernSchema *ctx, const TernRegex *regex)
{
  g_autofree TernNode *items = g_new (TernNode, regex->items->len + 1);
  guint n = 0;

  if (regex->kind == TERN_REGEX_SET)
    return tern_schema_char (ctx, (const TernCharRange *) regex->set->data, regex->set->len);
  for (guint i = 0; i < regex->items->len; i++) {
    TernNode item = make (ctx, regex->items->pdata[i]);

    if (item != TERN_NODE_NONE)
      items[n++] = item;
    else if (regex->kind == TERN_REGEX_SEQUENCE || (regex->kind == TERN_REGEX_REPEAT && regex->min > 0))
      return TERN_NODE_NONE;
  }
  if (regex->kind == TERN_REGEX_SEQUENCE)
    return tern_grammar_sequence (ctx->builder, items, n);
  if (regex->kind == TERN_REGEX_REPEAT)
    return n ? tern_grammar_repeat (ctx->builder, items[0], regex->min, regex->max) : tern_grammar_bytes (ctx->builder, "", 0);
  return n ? tern_grammar_choice (ctx->builder, items, n) : TERN_NODE_NONE;
}

TernNode
tern_schema_pattern (TernSchema *ctx, const char *pattern, guint min, guint max, const TernJsonValue *at)
{
  g_autoptr (TernRegex) regex = tern_regex_parse (ctx, pattern, at), closed = NULL;
  gboolean none = FALSE;
  TernNode node = TERN_NODE_NONE;

  if (regex)
    closed = close_ends (ctx, regex, TRUE, TRUE, at);
  if (closed && !ctx->failed && set_length (ctx, closed, min, max, &none, at))
    node = make (ctx, closed);
  return node == TERN_NODE_NONE && !ctx->failed ? tern_schema_none (ctx, at, "no string matches it") : node;
}
