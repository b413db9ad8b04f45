/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two halves of the template parser share. After the first error every function returns whatever it has;
 * p->failed is looked at once in a while, and the tree is thrown away. */
#pragma once

#include "engine/chat/template.h"

G_BEGIN_DECLS

#define TERN_TPL_NESTING 100    /* of expressions and statements */

typedef struct {
  TernTplArena *arena;
  const TernTplToken *at;
  guint depth;
  guint loops;                  /* for statements around */
  gboolean failed;
  GError **error;
} TernTplParser;

void tern_tpl_parse_fail (TernTplParser *p, int code, const char *format, ...) G_GNUC_PRINTF (3, 4);
void tern_tpl_expected (TernTplParser *p, const char *what);
TernTplNode *tern_tpl_node (TernTplParser *p, TernTplKind kind);
/* Takes the operator, or fails. */
void tern_tpl_need_op (TernTplParser *p, int op);
/* One more level; FALSE fails. Leave with p->depth--. */
gboolean tern_tpl_enter (TernTplParser *p);

TernTplNode *tern_tpl_expression (TernTplParser *p);
TernTplNode *tern_tpl_expressions (TernTplParser *p);           /* several with commas: a tuple */
TernTplNode *tern_tpl_condition (TernTplParser *p);             /* no "if ... else" */
TernTplNode *tern_tpl_parse_filter (TernTplParser *p, TernTplNode *of);
/* Until a tag that starts with one of @ends, whose word is the next token then; NULL: until the end. */
TernTplNode *tern_tpl_statements (TernTplParser *p, const char *const *ends);

static inline void
tern_tpl_next (TernTplParser *p)
{
  if (p->at->type != TERN_TOK_END)
    p->at++;
}

static inline gboolean
tern_tpl_is_op (const TernTplParser *p, int op)
{
  return p->at->type == TERN_TOK_OP && p->at->op == op;
}

static inline gboolean
tern_tpl_is_word (const TernTplParser *p, const char *word)
{
  return p->at->type == TERN_TOK_NAME && tern_val_is (p->at->value, word);
}

static inline gboolean
tern_tpl_take_op (TernTplParser *p, int op)
{
  if (!tern_tpl_is_op (p, op))
    return FALSE;
  tern_tpl_next (p);
  return TRUE;
}

static inline gboolean
tern_tpl_take_word (TernTplParser *p, const char *word)
{
  if (!tern_tpl_is_word (p, word))
    return FALSE;
  tern_tpl_next (p);
  return TRUE;
}

static inline TernVal
tern_tpl_need_name (TernTplParser *p)
{
  TernVal name = p->at->value;

  if (p->at->type == TERN_TOK_NAME)
    tern_tpl_next (p);
  else
    tern_tpl_expected (p, "a name");
  return name;
}

G_END_DECLS
