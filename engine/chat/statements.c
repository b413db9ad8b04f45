/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statements, and the parser's entry. */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/parser.h"

static void
block_end (TernTplParser *p)
{
  if (p->at->type == TERN_TOK_BLOCK_END)
    tern_tpl_next (p);
  else
    tern_tpl_expected (p, "%}");
}

/* name, (a, b) or name.attribute: names through next. */
static TernTplNode *
targets (TernTplParser *p, gboolean attributes)
{
  TernTplNode *first = NULL, **end = &first;
  gboolean closed = tern_tpl_take_op (p, '(');

  do {
    *end = tern_tpl_node (p, TERN_TPL_NAME);
    (*end)->value = tern_tpl_need_name (p);
    if (attributes && tern_tpl_take_op (p, '.')) {
      (*end)->kind = TERN_TPL_ATTR;
      (*end)->a = tern_tpl_node (p, TERN_TPL_NAME);
      (*end)->a->value = (*end)->value;
      (*end)->value = tern_tpl_need_name (p);
    }
    end = &(*end)->next;
  } while (!p->failed && tern_tpl_take_op (p, ',') && !tern_tpl_is_op (p, ')'));
  if (closed)
    tern_tpl_need_op (p, ')');
  return first;
}

static TernTplNode *
parse_for (TernTplParser *p)
{
  static const char *const middle[] = { "else", "endfor", NULL }, *const end[] = { "endfor", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_FOR);

  n->a = targets (p, FALSE);
  if (!tern_tpl_take_word (p, "in"))
    tern_tpl_expected (p, "in");
  /* "if" filters the items here, so it is no conditional expression. */
  n->b = tern_tpl_condition (p);
  if (tern_tpl_take_word (p, "if"))
    n->c = tern_tpl_expression (p);
  n->op = tern_tpl_take_word (p, "recursive");
  block_end (p);
  p->loops++;
  n->body = tern_tpl_statements (p, middle);
  p->loops--;
  if (tern_tpl_take_word (p, "else")) {
    block_end (p);
    n->orelse = tern_tpl_statements (p, end);
  }
  tern_tpl_next (p);
  block_end (p);
  return n;
}

static TernTplNode *
parse_if (TernTplParser *p)
{
  static const char *const middle[] = { "elif", "else", "endif", NULL }, *const end[] = { "endif", NULL };
  TernTplNode *first = tern_tpl_node (p, TERN_TPL_IF), *n = first;

  for (;;) {
    n->a = tern_tpl_expression (p);
    block_end (p);
    n->body = tern_tpl_statements (p, middle);
    if (!tern_tpl_take_word (p, "elif"))
      break;
    n->orelse = tern_tpl_node (p, TERN_TPL_IF);  /* the evaluator walks these without recursion */
    n = n->orelse;
  }
  if (tern_tpl_take_word (p, "else")) {
    block_end (p);
    n->orelse = tern_tpl_node (p, TERN_TPL_GROUP);
    n->orelse->body = tern_tpl_statements (p, end);
  }
  tern_tpl_next (p);
  block_end (p);
  return first;
}

static TernTplNode *
parse_set (TernTplParser *p)
{
  static const char *const end[] = { "endset", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_SET), **link = &n->b;

  n->a = targets (p, TRUE);
  if (tern_tpl_take_op (p, '=')) {
    n->b = tern_tpl_expressions (p);
    block_end (p);
    return n;
  }
  n->kind = TERN_TPL_SET_BLOCK;
  for (; !p->failed && tern_tpl_take_op (p, '|'); link = &(*link)->next)
    *link = tern_tpl_parse_filter (p, NULL);
  block_end (p);
  n->body = tern_tpl_statements (p, end);
  tern_tpl_next (p);
  block_end (p);
  return n;
}

/* name, name=default, ...): names through next. The opening parenthesis was taken. */
static TernTplNode *
parameters (TernTplParser *p)
{
  TernTplNode *first = NULL, **link = &first;

  while (!p->failed && !tern_tpl_take_op (p, ')')) {
    *link = tern_tpl_node (p, TERN_TPL_NAME);
    (*link)->value = tern_tpl_need_name (p);
    if (tern_tpl_take_op (p, '='))
      (*link)->a = tern_tpl_expression (p);
    link = &(*link)->next;
    if (!tern_tpl_is_op (p, ')'))
      tern_tpl_need_op (p, ',');
  }
  return first;
}

/* What a macro or call says; loops around it are not its own. */
static void
macro_body (TernTplParser *p, TernTplNode *n, const char *const *end)
{
  guint loops = p->loops;

  block_end (p);
  p->loops = 0;
  n->body = tern_tpl_statements (p, end);
  p->loops = loops;
  tern_tpl_next (p);
  block_end (p);
}

static TernTplNode *
parse_macro (TernTplParser *p)
{
  static const char *const end[] = { "endmacro", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_MACRO);

  n->value = tern_tpl_need_name (p);
  tern_tpl_need_op (p, '(');
  n->a = parameters (p);
  macro_body (p, n, end);
  return n;
}

/* {% call (a) m (x) %} body {% endcall %}: m (x) may call caller (a), which is the body. */
static TernTplNode *
parse_call (TernTplParser *p)
{
  static const char *const end[] = { "endcall", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_CALL_BLOCK);

  n->value = tern_val_str ("caller", 6);
  if (tern_tpl_take_op (p, '('))
    n->a = parameters (p);
  n->b = tern_tpl_expression (p);
  if (!p->failed && n->b->kind != TERN_TPL_CALL)
    tern_tpl_expected (p, "a call of a macro");
  macro_body (p, n, end);
  return n;
}

static TernTplNode *
parse_with (TernTplParser *p)
{
  static const char *const end[] = { "endwith", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_WITH), **link = &n->a;

  while (!p->failed && p->at->type == TERN_TOK_NAME) {
    *link = tern_tpl_node (p, TERN_TPL_NAME);
    (*link)->value = tern_tpl_need_name (p);
    tern_tpl_need_op (p, '=');
    (*link)->a = tern_tpl_expression (p);
    link = &(*link)->next;
    if (!tern_tpl_take_op (p, ','))
      break;
  }
  block_end (p);
  n->body = tern_tpl_statements (p, end);
  tern_tpl_next (p);
  block_end (p);
  return n;
}

static TernTplNode *
parse_filter_block (TernTplParser *p)
{
  static const char *const end[] = { "endfilter", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_FILTER_BLOCK), **link = &n->b;

  do {
    *link = tern_tpl_parse_filter (p, NULL);
    link = &(*link)->next;
  } while (!p->failed && tern_tpl_take_op (p, '|'));
  block_end (p);
  n->body = tern_tpl_statements (p, end);
  tern_tpl_next (p);
  block_end (p);
  return n;
}

/* {% generation %} marks what a model says, for training; rendering ignores it. */
static TernTplNode *
parse_generation (TernTplParser *p)
{
  static const char *const end[] = { "endgeneration", NULL };
  TernTplNode *n = tern_tpl_node (p, TERN_TPL_GROUP);

  block_end (p);
  n->body = tern_tpl_statements (p, end);
  tern_tpl_next (p);
  block_end (p);
  return n;
}

static TernTplNode *
parse_jump (TernTplParser *p, TernTplKind kind, const char *word)
{
  TernTplNode *n = tern_tpl_node (p, kind);

  if (p->loops == 0)
    tern_tpl_parse_fail (p, TERN_ERROR_FORMAT, "%s outside of a loop", word);
  block_end (p);
  return n;
}

/* After {%. */
static TernTplNode *
statement (TernTplParser *p)
{
  TernVal word = p->at->value;

  if (p->at->type != TERN_TOK_NAME) {
    tern_tpl_expected (p, "a statement");
    return NULL;
  }
  tern_tpl_next (p);
  if (tern_val_is (word, "for"))
    return parse_for (p);
  if (tern_val_is (word, "if"))
    return parse_if (p);
  if (tern_val_is (word, "set"))
    return parse_set (p);
  if (tern_val_is (word, "macro"))
    return parse_macro (p);
  if (tern_val_is (word, "call"))
    return parse_call (p);
  if (tern_val_is (word, "with"))
    return parse_with (p);
  if (tern_val_is (word, "filter"))
    return parse_filter_block (p);
  if (tern_val_is (word, "generation"))
    return parse_generation (p);
  if (tern_val_is (word, "break"))
    return parse_jump (p, TERN_TPL_BREAK, "break");
  if (tern_val_is (word, "continue"))
    return parse_jump (p, TERN_TPL_CONTINUE, "continue");
  p->at--;
  tern_tpl_parse_fail (p, TERN_ERROR_UNSUPPORTED, "the statement {%% %.*s %%} is not supported here",
      (int) MIN (word.str.len, 40), word.str.data);
  return NULL;
}

static gboolean
at_end (const TernTplParser *p, const char *const *ends)
{
  if (!ends || p->at->type != TERN_TOK_BLOCK || p->at[1].type != TERN_TOK_NAME)
    return FALSE;
  for (; *ends; ends++)
    if (tern_val_is (p->at[1].value, *ends))
      return TRUE;
  return FALSE;
}

TernTplNode *
tern_tpl_statements (TernTplParser *p, const char *const *ends)
{
  TernTplNode *first = NULL, **end = &first;

  if (!tern_tpl_enter (p))
    return NULL;
  while (!p->failed && !at_end (p, ends)) {
    TernTplNode *n = NULL;

    if (p->at->type == TERN_TOK_END) {
      if (ends)
        tern_tpl_parse_fail (p, TERN_ERROR_FORMAT, "expected {%% %s %%}, found the end of the template",
            ends[g_strv_length ((char **) ends) - 1]);
      break;
    } else if (p->at->type == TERN_TOK_TEXT) {
      n = tern_tpl_node (p, TERN_TPL_TEXT);
      n->value = p->at->value;
      tern_tpl_next (p);
    } else if (p->at->type == TERN_TOK_OUTPUT) {
      n = tern_tpl_node (p, TERN_TPL_OUTPUT);
      tern_tpl_next (p);
      n->a = tern_tpl_expressions (p);
      if (p->at->type == TERN_TOK_OUTPUT_END)
        tern_tpl_next (p);
      else
        tern_tpl_expected (p, "}}");
    } else {
      tern_tpl_next (p);
      n = statement (p);
    }
    if (n) {
      *end = n;
      end = &n->next;
    }
  }
  if (ends)
    tern_tpl_next (p);                   /* {% */
  p->depth--;
  return first;
}

TernTplNode *
tern_tpl_parse (TernTplArena *arena, const char *source, gsize len, GError **error)
{
  g_autoptr (GArray) tokens = tern_tpl_lex (arena, source, len, error);
  TernTplParser p = { .arena = arena, .error = error };
  TernTplNode *root;

  if (!tokens)
    return NULL;
  p.at = (const TernTplToken *) tokens->data;
  root = tern_tpl_node (&p, TERN_TPL_GROUP);
  root->body = tern_tpl_statements (&p, NULL);
  return p.failed ? NULL : root;
}
