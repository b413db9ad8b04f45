/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Expressions: recursive descent with Jinja's precedences. */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/parser.h"

static TernTplNode *unary (TernTplParser *p, gboolean filters);

void
tern_tpl_parse_fail (TernTplParser *p, int code, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  if (p->failed)
    return;
  p->failed = TRUE;
  va_start (args, format);
  what = tern_tpl_message (format, args);
  va_end (args);
  g_set_error (p->error, TERN_ERROR, code, "chat template, line %u: %s", p->at->line, what);
}

void
tern_tpl_expected (TernTplParser *p, const char *what)
{
  TernValStr found = p->at->value.str;

  if (p->at->type == TERN_TOK_INT || p->at->type == TERN_TOK_FLOAT)
    tern_tpl_parse_fail (p, TERN_ERROR_FORMAT, "expected %s, found a number", what);
  else
    tern_tpl_parse_fail (p, TERN_ERROR_FORMAT, "expected %s, found %.*s", what, (int) MIN (found.len, 40), found.data);
}

TernTplNode *
tern_tpl_node (TernTplParser *p, TernTplKind kind)
{
  TernTplNode *n = tern_tpl_alloc (p->arena, sizeof *n);

  n->kind = kind;
  n->line = p->at->line;
  return n;
}

void
tern_tpl_need_op (TernTplParser *p, int op)
{
  char what[4] = { '\'', op, '\'', 0 };

  if (!tern_tpl_take_op (p, op))
    tern_tpl_expected (p, what);
}

gboolean
tern_tpl_enter (TernTplParser *p)
{
  if (++p->depth > TERN_TPL_NESTING)
    tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "expected at most %u nested expressions and statements",
        TERN_TPL_NESTING);
  return !p->failed;
}

/* (a, b, name=c): a list through next; value holds the name. The opening parenthesis was taken. */
static TernTplNode *
arguments (TernTplParser *p)
{
  TernTplNode *first = NULL, **end = &first;

  while (!p->failed && !tern_tpl_take_op (p, ')')) {
    TernTplNode *argument;
    TernVal name = { 0 };

    if (tern_tpl_is_op (p, '*') || tern_tpl_is_op (p, TERN_OP_POW))
      tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "unpacked arguments (* and **) are not supported");
    if (p->at->type == TERN_TOK_NAME && p->at[1].type == TERN_TOK_OP && p->at[1].op == '=') {
      name = p->at->value;
      tern_tpl_next (p);
      tern_tpl_next (p);
    }
    argument = tern_tpl_node (p, TERN_TPL_GROUP);
    argument->value = name;
    argument->a = tern_tpl_expression (p);
    *end = argument;
    end = &argument->next;
    if (!tern_tpl_is_op (p, ')'))
      tern_tpl_need_op (p, ',');
  }
  return first;
}

static TernTplNode *
items_until (TernTplParser *p, int close)
{
  TernTplNode *first = NULL, **end = &first;

  while (!p->failed && !tern_tpl_take_op (p, close)) {
    *end = tern_tpl_node (p, TERN_TPL_GROUP);
    (*end)->a = tern_tpl_expression (p);
    if (close == '}') {
      tern_tpl_need_op (p, ':');
      (*end)->b = tern_tpl_expression (p);
    }
    end = &(*end)->next;
    if (!tern_tpl_is_op (p, close))
      tern_tpl_need_op (p, ',');
  }
  return first;
}

/* (a), (a, b), (): the opening parenthesis was taken. */
static TernTplNode *
parenthesis (TernTplParser *p)
{
  TernTplNode *tuple = tern_tpl_node (p, TERN_TPL_TUPLE), *first;

  if (tern_tpl_take_op (p, ')'))
    return tuple;
  first = tern_tpl_expression (p);
  if (tern_tpl_take_op (p, ')'))
    return first;
  tern_tpl_need_op (p, ',');
  tuple->a = tern_tpl_node (p, TERN_TPL_GROUP);
  tuple->a->a = first;
  tuple->a->next = items_until (p, ')');
  return tuple;
}

static TernTplNode *
constant (TernTplParser *p, TernVal value)
{
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_CONST);

  n->value = value;
  return n;
}

static TernTplNode *
name_or_constant (TernTplParser *p)
{
  TernTplNode *n;

  if (tern_tpl_take_word (p, "true") || tern_tpl_take_word (p, "True"))
    return constant (p, tern_val_bool (TRUE));
  if (tern_tpl_take_word (p, "false") || tern_tpl_take_word (p, "False"))
    return constant (p, tern_val_bool (FALSE));
  if (tern_tpl_take_word (p, "none") || tern_tpl_take_word (p, "None"))
    return constant (p, (TernVal) { .type = TERN_VAL_NONE });
  n = tern_tpl_node (p, TERN_TPL_NAME);
  n->value = tern_tpl_need_name (p);
  return n;
}

/* Neighbouring strings are one. */
static TernTplNode *
strings (TernTplParser *p)
{
  TernTplNode *n = constant (p, p->at->value);

  for (tern_tpl_next (p); p->at->type == TERN_TOK_STRING; tern_tpl_next (p)) {
    TernValStr a = n->value.str, b = p->at->value.str;
    char *both = tern_tpl_alloc (p->arena, a.len + b.len + 1);

    memcpy (both, a.data, a.len);
    memcpy (both + a.len, b.data, b.len);
    n->value = tern_val_str (both, a.len + b.len);
  }
  return n;
}

static TernTplNode *
primary (TernTplParser *p)
{
  TernTplNode *n;

  switch (p->at->type) {
    case TERN_TOK_NAME:
      return name_or_constant (p);
    case TERN_TOK_STRING:
      return strings (p);
    case TERN_TOK_INT:
    case TERN_TOK_FLOAT:
      n = constant (p, p->at->value);
      tern_tpl_next (p);
      return n;
    default:
      break;
  }
  if (tern_tpl_take_op (p, '('))
    return parenthesis (p);
  if (tern_tpl_take_op (p, '[')) {
    n = tern_tpl_node (p, TERN_TPL_LIST);
    n->a = items_until (p, ']');
    return n;
  }
  if (tern_tpl_take_op (p, '{')) {
    n = tern_tpl_node (p, TERN_TPL_DICT);
    n->a = items_until (p, '}');
    return n;
  }
  tern_tpl_expected (p, "an expression");
  return tern_tpl_node (p, TERN_TPL_CONST);
}

/* x[i], x[a:b:c]; the bracket was taken. */
static TernTplNode *
subscript (TernTplParser *p, TernTplNode *of)
{
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_ITEM);
  TernTplNode *parts[3] = { NULL };
  guint colons = 0;

  n->a = of;
  for (guint i = 0; i < 3 && !p->failed && !tern_tpl_is_op (p, ']'); i++) {
    if (!tern_tpl_is_op (p, ':'))
      parts[i] = tern_tpl_expression (p);
    if (!tern_tpl_take_op (p, ':'))
      break;
    colons++;
  }
  if (tern_tpl_is_op (p, ','))
    tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "tuples as subscripts are not supported");
  tern_tpl_need_op (p, ']');
  if (colons == 0) {
    if (!parts[0])
      tern_tpl_expected (p, "a subscript");
    n->b = parts[0];
    return n;
  }
  n->b = tern_tpl_node (p, TERN_TPL_SLICE);
  n->b->a = parts[0];
  n->b->b = parts[1];
  n->b->c = parts[2];
  return n;
}

static TernTplNode *
postfix (TernTplParser *p, TernTplNode *n)
{
  while (!p->failed) {
    TernTplNode *outer;

    if (tern_tpl_take_op (p, '.')) {
      if (p->at->type == TERN_TOK_INT) {
        outer = tern_tpl_node (p, TERN_TPL_ITEM);
        outer->b = constant (p, p->at->value);
        tern_tpl_next (p);
      } else {
        outer = tern_tpl_node (p, TERN_TPL_ATTR);
        outer->value = tern_tpl_need_name (p);
      }
      outer->a = n;
    } else if (tern_tpl_take_op (p, '[')) {
      outer = subscript (p, n);
    } else if (tern_tpl_take_op (p, '(')) {
      outer = tern_tpl_node (p, TERN_TPL_CALL);
      outer->a = n;
      outer->b = arguments (p);
    } else {
      break;
    }
    n = outer;
  }
  return n;
}

TernTplNode *
tern_tpl_parse_filter (TernTplParser *p, TernTplNode *of)
{
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_FILTER);

  n->a = of;
  n->value = p->at->value;
  if (p->at->type == TERN_TOK_NAME && !tern_tpl_has_filter (n->value.str))
    tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "the filter %.*s is not supported", (int) n->value.str.len,
        n->value.str.data);
  tern_tpl_need_name (p);
  if (tern_tpl_take_op (p, '('))
    n->b = arguments (p);
  return n;
}

/* A test may have one argument without parentheses: x is divisibleby 3. */
static gboolean
starts_argument (const TernTplParser *p)
{
  static const char *const keywords[] = { "else", "or", "and", "if", "is", "in", "not" };

  switch (p->at->type) {
    case TERN_TOK_STRING:
    case TERN_TOK_INT:
    case TERN_TOK_FLOAT:
      return TRUE;
    case TERN_TOK_NAME:
      for (guint i = 0; i < G_N_ELEMENTS (keywords); i++)
        if (tern_tpl_is_word (p, keywords[i]))
          return FALSE;
      return TRUE;
    case TERN_TOK_OP:
      return p->at->op == '[' || p->at->op == '{';
    default:
      return FALSE;
  }
}

static TernTplNode *
test (TernTplParser *p, TernTplNode *of)
{
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_TEST);

  n->a = of;
  n->op = tern_tpl_take_word (p, "not");
  n->value = p->at->value;
  if (p->at->type == TERN_TOK_NAME && !tern_tpl_has_test (n->value.str))
    tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "the test \"is %.*s\" is not supported", (int) n->value.str.len,
        n->value.str.data);
  tern_tpl_need_name (p);
  if (tern_tpl_take_op (p, '(')) {
    n->b = arguments (p);
  } else if (starts_argument (p)) {
    n->b = tern_tpl_node (p, TERN_TPL_GROUP);
    n->b->a = postfix (p, primary (p));
  }
  return n;
}

static TernTplNode *
unary (TernTplParser *p, gboolean filters)
{
  TernTplNode *n;

  if (!tern_tpl_enter (p))
    return tern_tpl_node (p, TERN_TPL_CONST);
  if (tern_tpl_is_op (p, '-') || tern_tpl_is_op (p, '+')) {
    n = tern_tpl_node (p, TERN_TPL_UNARY);
    n->op = p->at->op;
    tern_tpl_next (p);
    n->a = unary (p, FALSE);
  } else {
    n = primary (p);
  }
  n = postfix (p, n);
  while (filters && !p->failed) {
    if (tern_tpl_take_op (p, '|'))
      n = tern_tpl_parse_filter (p, n);
    else if (tern_tpl_take_word (p, "is"))
      n = test (p, n);
    else if (tern_tpl_is_op (p, '(') && (n->kind == TERN_TPL_FILTER || n->kind == TERN_TPL_TEST))
      n = postfix (p, n);
    else
      break;
  }
  p->depth--;
  return n;
}

static TernTplNode *
pair (TernTplParser *p, TernTplKind kind, int op, TernTplNode *a, TernTplNode *b)
{
  TernTplNode *n = tern_tpl_node (p, kind);

  n->op = op;
  n->a = a;
  n->b = b;
  return n;
}

/* Left to right: ** binds tightest, then * / // %, then ~, then + and -. */
static TernTplNode *
binary (TernTplParser *p, guint level)
{
  static const int ops[4][4] = {
    { '+', '-' }, { '~' }, { '*', '/', TERN_OP_FLOORDIV, '%' }, { TERN_OP_POW },
  };
  TernTplNode *n = level == 3 ? unary (p, TRUE) : binary (p, level + 1);

  while (!p->failed && p->at->type == TERN_TOK_OP) {
    int op = p->at->op;
    gboolean ours = FALSE;

    for (guint i = 0; i < 4; i++)
      ours |= op == ops[level][i];
    if (!ours)
      break;
    tern_tpl_next (p);
    n = pair (p, TERN_TPL_BINARY, op, n, level == 3 ? unary (p, TRUE) : binary (p, level + 1));
  }
  return n;
}

static int
comparison (TernTplParser *p)
{
  int op = 0;

  if (p->at->type == TERN_TOK_OP && strchr ("ENLG<>", p->at->op)) {
    op = p->at->op;
    tern_tpl_next (p);
  } else if (tern_tpl_take_word (p, "in")) {
    op = TERN_OP_IN;
  } else if (tern_tpl_is_word (p, "not") && p->at[1].type == TERN_TOK_NAME && tern_val_is (p->at[1].value, "in")) {
    op = TERN_OP_NOT_IN;
    tern_tpl_next (p);
    tern_tpl_next (p);
  }
  return op;
}

/* a < b < c is (a < b) and (b < c): operands through next, each with the operator before it. */
static TernTplNode *
compare (TernTplParser *p)
{
  TernTplNode *first = binary (p, 0), *n, **end;
  int op = comparison (p);

  if (!op)
    return first;
  n = tern_tpl_node (p, TERN_TPL_COMPARE);
  n->a = first;
  for (end = &n->b; op && !p->failed; op = comparison (p), end = &(*end)->next) {
    *end = tern_tpl_node (p, TERN_TPL_GROUP);
    (*end)->op = op;
    (*end)->a = binary (p, 0);
  }
  return n;
}

static TernTplNode *
negation (TernTplParser *p)
{
  TernTplNode *n;

  if (!tern_tpl_is_word (p, "not"))
    return compare (p);
  n = tern_tpl_node (p, TERN_TPL_NOT);
  tern_tpl_next (p);
  if (!tern_tpl_enter (p))
    return n;
  n->a = negation (p);
  p->depth--;
  return n;
}

TernTplNode *
tern_tpl_condition (TernTplParser *p)
{
  TernTplNode *n = NULL;

  do {
    TernTplNode *both = negation (p);

    while (!p->failed && tern_tpl_take_word (p, "and"))
      both = pair (p, TERN_TPL_AND, 0, both, negation (p));
    n = n ? pair (p, TERN_TPL_OR, 0, n, both) : both;
  } while (!p->failed && tern_tpl_take_word (p, "or"));
  return n;
}

TernTplNode *
tern_tpl_expression (TernTplParser *p)
{
  TernTplNode *n;

  if (!tern_tpl_enter (p))
    return tern_tpl_node (p, TERN_TPL_CONST);
  n = tern_tpl_condition (p);
  while (!p->failed && tern_tpl_take_word (p, "if")) {
    TernTplNode *choice = tern_tpl_node (p, TERN_TPL_COND);

    choice->a = n;
    choice->b = tern_tpl_condition (p);
    if (tern_tpl_take_word (p, "else"))
      choice->c = tern_tpl_expression (p);
    n = choice;
  }
  p->depth--;
  return n;
}

/* An expression, or several with commas: a tuple. */
TernTplNode *
tern_tpl_expressions (TernTplParser *p)
{
  TernTplNode *first = tern_tpl_expression (p), *tuple, **end;

  if (!tern_tpl_is_op (p, ','))
    return first;
  tuple = tern_tpl_node (p, TERN_TPL_TUPLE);
  tuple->a = tern_tpl_node (p, TERN_TPL_GROUP);
  tuple->a->a = first;
  for (end = &tuple->a->next; !p->failed && tern_tpl_take_op (p, ',') && p->at->type != TERN_TOK_BLOCK_END
      && p->at->type != TERN_TOK_OUTPUT_END; end = &(*end)->next) {
    *end = tern_tpl_node (p, TERN_TPL_GROUP);
    (*end)->a = tern_tpl_expression (p);
  }
  return tuple;
}
