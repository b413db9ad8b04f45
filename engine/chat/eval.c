/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks the syntax tree. The first failure is kept in run->error; from then on everything returns at its next step. */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

typedef enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

static Flow exec (TernTplRun *run, const TernTplNode *n);
static TernVal loop_method (TernTplRun *run, TernVal method, const TernTplArgs *args);
static void exec_items (TernTplRun *run, const TernTplNode *n, TernVal items, gint64 depth);

/* The key of what is called when a loop is: a macro value whose node is the loop's. */
#define LOOP_SELF "", 0

static const TernVal nothing = { TERN_VAL_UNDEFINED, .str = { "", 0 } };

/* Templates are quoted, cut where it may hurt, and need not be UTF-8; messages are. */
char *
tern_tpl_message (const char *format, va_list args)
{
  g_autofree char *what = g_strdup_vprintf (format, args);

  return g_utf8_make_valid (what, -1);
}

void
tern_tpl_fail (TernTplRun *run, int code, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  if (run->error)
    return;
  va_start (args, format);
  what = tern_tpl_message (format, args);
  va_end (args);
  run->error = g_error_new (TERN_ERROR, code, "chat template, line %u: %s", run->line, what);
}

gboolean
tern_tpl_step (TernTplRun *run)
{
  if (!run->error && ++run->steps > TERN_TPL_STEPS)
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u steps", TERN_TPL_STEPS);
  if (!run->error && run->arena.total > TERN_TPL_BYTES)
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u bytes of values", TERN_TPL_BYTES);
  return !run->error;
}

void
tern_tpl_charge (TernTplRun *run, TernVal value)
{
  if (value.type != TERN_VAL_STRING || value.str.len < TERN_TPL_STEP_BYTES)
    return;
  run->steps += value.str.len / TERN_TPL_STEP_BYTES;
  tern_tpl_step (run);
}

gboolean
tern_tpl_put (TernTplRun *run, GString *out, const char *data, gsize len)
{
  if (run->error)
    return FALSE;
  if (out->len + len > TERN_TPL_BYTES || run->arena.total + out->len + len > 2 * (gsize) TERN_TPL_BYTES) {
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u bytes of text", TERN_TPL_BYTES);
    return FALSE;
  }
  g_string_append_len (out, data, len);
  return TRUE;
}

TernVal
tern_tpl_take (TernTplRun *run, GString *text)
{
  char *copy = tern_tpl_alloc (&run->arena, text->len + 1);
  gsize len = text->len;

  memcpy (copy, text->str, len);
  g_string_free (text, TRUE);
  return tern_val_str (copy, len);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static TernTplScope *
push_scope (TernTplRun *run, TernTplScope *parent)
{
  TernTplScope *scope = tern_tpl_alloc (&run->arena, sizeof *scope);

  scope->parent = parent;
  run->scope = scope;
  return scope;
}

static void
assign (TernTplRun *run, TernVal name, TernVal value)
{
  tern_val_dict_set (&run->arena, &run->scope->vars, name, value);
}

static TernVal
lookup (TernTplRun *run, TernValStr name)
{
  const char *global;

  for (const TernTplScope *scope = run->scope; scope; scope = scope->parent) {
    const TernVal *found = tern_val_dict_find (&scope->vars, name.data, name.len);

    if (found)
      return *found;
  }
  global = tern_tpl_global_name (name);
  if (global)
    return (TernVal) { .type = TERN_VAL_GLOBAL, .method = { global, NULL } };
  return tern_val_undefined (name.data, name.len);
}

/* ---- Calls ------------------------------------------------------------------------------------------------------- */

/* The evaluated arguments of a call, filter or test. */
static void
arguments (TernTplRun *run, const TernTplNode *n, TernTplArgs *out)
{
  TernVal list = tern_val_list (&run->arena, 0), named = tern_val_dict (&run->arena);

  for (; n && tern_tpl_step (run); n = n->next) {
    TernVal value = tern_tpl_eval (run, n->a);

    if (n->value.type == TERN_VAL_STRING)
      tern_val_dict_set (&run->arena, named.dict, n->value, value);
    else
      tern_val_list_add (&run->arena, list, value);
  }
  *out = (TernTplArgs) { list.list->items, list.list->n, named.dict };
}

static TernVal
call_macro (TernTplRun *run, TernVal macro, const TernVal *args, guint n, const TernValDict *named)
{
  TernTplScope *caller = run->scope;
  GString *out = run->out;
  const TernVal *caller_block;
  TernVal text;
  guint i = 0;

  push_scope (run, macro.macro.scope);
  run->out = g_string_new (NULL);
  for (const TernTplNode *p = macro.macro.node->a; p && !run->error; p = p->next, i++) {
    const TernVal *given = i < n ? &args[i] : tern_val_dict_find (named, p->value.str.data, p->value.str.len);

    assign (run, p->value, given ? *given : p->a ? tern_tpl_eval (run, p->a)
        : tern_val_undefined (p->value.str.data, p->value.str.len));
  }
  caller_block = tern_val_dict_find (named, "caller", strlen ("caller"));
  if (caller_block)
    assign (run, tern_val_str ("caller", strlen ("caller")), *caller_block);
  if (i < n)
    tern_tpl_fail (run, TERN_ERROR_INVALID, "macro %.*s takes %u arguments, found %u",
        (int) macro.macro.node->value.str.len, macro.macro.node->value.str.data, i, n);
  exec (run, macro.macro.node->body);
  run->scope = caller;
  text = tern_tpl_take (run, run->out);
  run->out = out;
  return text;
}

/* loop (items) in a loop that is recursive: the loop over other items, a level deeper. */
static TernVal
call_loop (TernTplRun *run, TernVal loop, const TernTplArgs *args)
{
  const TernVal *self = tern_val_dict_find (loop.dict, LOOP_SELF), *depth = tern_val_dict_find (loop.dict, "depth", 5);
  TernTplScope *caller = run->scope;
  GString *out = run->out;
  TernVal text;

  if (!self || self->type != TERN_VAL_MACRO || !self->macro.node->op || !depth || depth->type != TERN_VAL_INT
      || args->n != 1) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, self ? "loop: expected a loop that is recursive, and one argument"
        : "a namespace cannot be called");
    return nothing;
  }
  run->scope = self->macro.scope;
  run->out = g_string_new (NULL);
  exec_items (run, self->macro.node, tern_tpl_iterate (run, args->args[0]), depth->integer + 1);
  run->scope = caller;
  text = tern_tpl_take (run, run->out);
  run->out = out;
  return text;
}

TernVal
tern_tpl_call (TernTplRun *run, TernVal callee, const TernVal *args, guint n, const TernValDict *named)
{
  TernTplArgs all = { args, n, named };

  if (!tern_tpl_step (run) || tern_tpl_refuse_undefined (run, callee))
    return nothing;
  switch (callee.type) {
    case TERN_VAL_MACRO:
      return call_macro (run, callee, args, n, named);
    case TERN_VAL_METHOD:
      if (g_str_has_prefix (callee.method.name, "loop."))
        return loop_method (run, callee, &all);
      return tern_tpl_method (run, callee.method.name, *callee.method.self, &all);
    case TERN_VAL_GLOBAL:
      return tern_tpl_global (run, callee.method.name, &all);
    case TERN_VAL_NAMESPACE:
      return call_loop (run, callee, &all);
    default:
      tern_tpl_fail (run, TERN_ERROR_INVALID, "a %s cannot be called", tern_val_type_name (callee));
      return nothing;
  }
}

/* ---- Expressions ------------------------------------------------------------------------------------------------- */

static TernVal
eval_items (TernTplRun *run, const TernTplNode *n)
{
  TernVal out;

  if (n->kind == TERN_TPL_DICT) {
    out = tern_val_dict (&run->arena);
    for (const TernTplNode *item = n->a; item && tern_tpl_step (run); item = item->next) {
      TernVal key = tern_tpl_eval (run, item->a);

      tern_val_dict_set (&run->arena, out.dict, key, tern_tpl_eval (run, item->b));
    }
    return out;
  }
  out = tern_val_list (&run->arena, 0);
  for (const TernTplNode *item = n->a; item && tern_tpl_step (run); item = item->next)
    tern_val_list_add (&run->arena, out, tern_tpl_eval (run, item->a));
  out.tuple = n->kind == TERN_TPL_TUPLE;
  return out;
}

static TernVal
eval_compare (TernTplRun *run, const TernTplNode *n)
{
  TernVal left = tern_tpl_eval (run, n->a);

  for (const TernTplNode *link = n->b; link && tern_tpl_step (run); link = link->next) {
    TernVal right = tern_tpl_eval (run, link->a);

    if (!tern_tpl_related (run, link->op, left, right))
      return tern_val_bool (FALSE);
    left = right;
  }
  return tern_val_bool (TRUE);
}

static TernVal
eval_call (TernTplRun *run, const TernTplNode *n)
{
  TernVal callee = tern_tpl_eval (run, n->a);
  TernTplArgs args;

  arguments (run, n->b, &args);
  run->line = n->line;
  return tern_tpl_call (run, callee, args.args, args.n, args.named);
}

static TernVal
apply_filter (TernTplRun *run, const TernTplNode *n, TernVal value)
{
  TernTplArgs args;

  arguments (run, n->b, &args);
  run->line = n->line;
  return tern_tpl_step (run) ? tern_tpl_filter (run, n->value.str, value, &args) : nothing;
}

static TernVal
eval_item (TernTplRun *run, const TernTplNode *n)
{
  TernVal value = tern_tpl_eval (run, n->a), bounds[3] = { { TERN_VAL_NONE }, { TERN_VAL_NONE }, { TERN_VAL_NONE } };

  if (n->b->kind != TERN_TPL_SLICE)
    return tern_tpl_item (run, value, tern_tpl_eval (run, n->b));
  if (n->b->a)
    bounds[0] = tern_tpl_eval (run, n->b->a);
  if (n->b->b)
    bounds[1] = tern_tpl_eval (run, n->b->b);
  if (n->b->c)
    bounds[2] = tern_tpl_eval (run, n->b->c);
  return tern_tpl_slice (run, value, bounds);
}

static TernVal
eval_test (TernTplRun *run, const TernTplNode *n)
{
  TernVal value = tern_tpl_eval (run, n->a);
  TernTplArgs args;

  arguments (run, n->b, &args);
  return tern_val_bool (tern_tpl_test (run, n->value.str, value, &args) != n->op);
}

static TernVal
eval_kind (TernTplRun *run, const TernTplNode *n)
{
  TernVal left;

  switch (n->kind) {
    case TERN_TPL_CONST:
      return n->value;
    case TERN_TPL_NAME:
      return lookup (run, n->value.str);
    case TERN_TPL_LIST:
    case TERN_TPL_TUPLE:
    case TERN_TPL_DICT:
      return eval_items (run, n);
    case TERN_TPL_ATTR:
      return tern_tpl_attribute (run, tern_tpl_eval (run, n->a), n->value.str);
    case TERN_TPL_ITEM:
      return eval_item (run, n);
    case TERN_TPL_CALL:
      return eval_call (run, n);
    case TERN_TPL_FILTER:
      return apply_filter (run, n, tern_tpl_eval (run, n->a));
    case TERN_TPL_TEST:
      return eval_test (run, n);
    case TERN_TPL_UNARY:
      return tern_tpl_unary (run, n->op, tern_tpl_eval (run, n->a));
    case TERN_TPL_BINARY:
      left = tern_tpl_eval (run, n->a);
      if (n->op == '~')
        return tern_tpl_concatenate (run, tern_tpl_string (run, left),
            tern_tpl_string (run, tern_tpl_eval (run, n->b)));
      return tern_tpl_binary (run, n->op, left, tern_tpl_eval (run, n->b));
    case TERN_TPL_COMPARE:
      return eval_compare (run, n);
    case TERN_TPL_AND:
      left = tern_tpl_eval (run, n->a);
      return tern_val_truth (left) ? tern_tpl_eval (run, n->b) : left;
    case TERN_TPL_OR:
      left = tern_tpl_eval (run, n->a);
      return tern_val_truth (left) ? left : tern_tpl_eval (run, n->b);
    case TERN_TPL_NOT:
      return tern_val_bool (!tern_val_truth (tern_tpl_eval (run, n->a)));
    case TERN_TPL_COND:
      if (tern_val_truth (tern_tpl_eval (run, n->b)))
        return tern_tpl_eval (run, n->a);
      return n->c ? tern_tpl_eval (run, n->c) : nothing;
    default:
      return nothing;
  }
}

TernVal
tern_tpl_eval (TernTplRun *run, const TernTplNode *n)
{
  TernVal value;

  if (!tern_tpl_step (run))
    return nothing;
  run->line = n->line;
  if (++run->depth > TERN_TPL_DEPTH) {
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u nested evaluations", TERN_TPL_DEPTH);
    value = nothing;
  } else {
    value = eval_kind (run, n);
    tern_tpl_charge (run, value);
  }
  run->depth--;
  return value;
}

/* ---- Statements -------------------------------------------------------------------------------------------------- */

/* One name takes the value, several take its items. */
static void
assign_targets (TernTplRun *run, const TernTplNode *targets, TernVal value)
{
  TernVal items;
  guint i = 0, n = 0;

  if (!targets->next) {
    TernVal owner;

    if (targets->kind == TERN_TPL_NAME) {
      assign (run, targets->value, value);
      return;
    }
    owner = tern_tpl_eval (run, targets->a);
    if (owner.type != TERN_VAL_NAMESPACE)
      tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a namespace to set an attribute of, found %s",
          tern_val_type_name (owner));
    else
      tern_val_dict_set (&run->arena, owner.dict, targets->value, value);
    return;
  }
  items = tern_tpl_iterate (run, value);
  for (const TernTplNode *t = targets; t; t = t->next)
    n++;
  if (items.list->n != n) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected %u values to unpack, found %u", n, items.list->n);
    return;
  }
  for (const TernTplNode *t = targets; t; t = t->next)
    assign (run, t->value, items.list->items[i++]);
}

/* The items that pass the loop's condition, which sees the loop's names. */
static TernVal
loop_items (TernTplRun *run, const TernTplNode *n, TernVal all)
{
  TernTplScope *outer = run->scope;
  TernVal kept;

  if (!n->c)
    return all;
  kept = tern_val_list (&run->arena, 0);
  for (guint i = 0; i < all.list->n && tern_tpl_step (run); i++) {
    push_scope (run, outer);
    assign_targets (run, n->a, all.list->items[i]);
    if (tern_val_truth (tern_tpl_eval (run, n->c)))
      tern_val_list_add (&run->arena, kept, all.list->items[i]);
  }
  run->scope = outer;
  return kept;
}

/* A loop that goes on: what stays the same from item to item. */
typedef struct {
  const TernTplNode *node;
  TernTplScope *scope;          /* around it */
  TernVal items;
  gint64 depth;
  TernVal *seen;                /* what loop.changed () was last called with */
} Loop;

static TernVal
loop_state (TernTplRun *run, const Loop *loop, guint i)
{
  TernTplArena *arena = &run->arena;
  TernVal out = tern_val_dict (arena), *index = tern_tpl_alloc (arena, sizeof *index);
  const TernVal *items = loop->items.list->items;
  guint n = loop->items.list->n;
  const struct {
    const char *name;
    TernVal value;
  } fields[] = {
    { "index", tern_val_int (i + 1) }, { "index0", tern_val_int (i) }, { "revindex", tern_val_int (n - i) },
    { "revindex0", tern_val_int (n - i - 1) }, { "first", tern_val_bool (i == 0) },
    { "last", tern_val_bool (i + 1 == n) }, { "length", tern_val_int (n) }, { "depth", tern_val_int (loop->depth) },
    { "depth0", tern_val_int (loop->depth - 1) },
    { "previtem", i > 0 ? items[i - 1] : tern_val_undefined ("loop.previtem", 13) },
    { "nextitem", i + 1 < n ? items[i + 1] : tern_val_undefined ("loop.nextitem", 13) },
    { "cycle", { .type = TERN_VAL_METHOD, .method = { "loop.cycle", index } } },
    { "changed", { .type = TERN_VAL_METHOD, .method = { "loop.changed", loop->seen } } },
    { "", { .type = TERN_VAL_MACRO, .macro = { loop->node, loop->scope } } },
  };

  *index = tern_val_int (i);
  for (guint k = 0; k < G_N_ELEMENTS (fields); k++)
    tern_val_dict_set (arena, out.dict, tern_val_str (fields[k].name, strlen (fields[k].name)), fields[k].value);
  out.type = TERN_VAL_NAMESPACE;
  return out;
}

/* loop.cycle (a, b, ...): one after the other; loop.changed (a, ...): whether that is new since the last call. */
static TernVal
loop_method (TernTplRun *run, TernVal method, const TernTplArgs *args)
{
  TernVal given, *self = (TernVal *) method.method.self;
  gboolean same;

  if (g_str_equal (method.method.name, "loop.cycle")) {
    if (args->n)
      return args->args[self->integer % args->n];
    tern_tpl_fail (run, TERN_ERROR_INVALID, "loop.cycle: expected values, found none");
    return nothing;
  }
  given = tern_val_list (&run->arena, args->n);
  for (guint i = 0; i < args->n; i++)
    tern_val_list_add (&run->arena, given, args->args[i]);
  same = self->type == TERN_VAL_LIST && tern_tpl_equal (run, *self, given);
  *self = given;
  return tern_val_bool (!same);
}

static void
exec_items (TernTplRun *run, const TernTplNode *n, TernVal all, gint64 depth)
{
  Loop loop = { n, run->scope, loop_items (run, n, all), depth, tern_tpl_alloc (&run->arena, sizeof *loop.seen) };
  guint count = loop.items.list->n;

  for (guint i = 0; i < count && tern_tpl_step (run); i++) {
    push_scope (run, loop.scope);
    assign (run, tern_val_str ("loop", 4), loop_state (run, &loop, i));
    assign_targets (run, n->a, loop.items.list->items[i]);
    if (exec (run, n->body) == FLOW_BREAK)
      break;
  }
  run->scope = loop.scope;
  if (count == 0)
    exec (run, n->orelse);
}

static void
exec_for (TernTplRun *run, const TernTplNode *n)
{
  exec_items (run, n, tern_tpl_iterate (run, tern_tpl_eval (run, n->b)), 1);
}

static Flow
exec_if (TernTplRun *run, const TernTplNode *n)
{
  for (; n && n->kind == TERN_TPL_IF && tern_tpl_step (run); n = n->orelse)
    if (tern_val_truth (tern_tpl_eval (run, n->a)))
      return exec (run, n->body);
  return n && !run->error ? exec (run, n->body) : FLOW_ON;
}

/* The text that @body makes, through the filters in @filters. */
static TernVal
captured (TernTplRun *run, const TernTplNode *body, const TernTplNode *filters)
{
  GString *out = run->out;
  TernVal text;

  run->out = g_string_new (NULL);
  exec (run, body);
  text = tern_tpl_take (run, run->out);
  run->out = out;
  for (; filters && tern_tpl_step (run); filters = filters->next)
    text = apply_filter (run, filters, text);
  return text;
}

static void
exec_with (TernTplRun *run, const TernTplNode *n)
{
  TernTplScope *outer = run->scope, *inner = push_scope (run, outer);

  for (const TernTplNode *t = n->a; t && !run->error; t = t->next) {
    TernVal value;

    run->scope = outer;
    value = tern_tpl_eval (run, t->a);
    run->scope = inner;
    assign (run, t->value, value);
  }
}

static void
exec_call (TernTplRun *run, const TernTplNode *n)
{
  TernVal callee = tern_tpl_eval (run, n->b->a);
  TernVal block = { .type = TERN_VAL_MACRO, .macro = { n, run->scope } };
  TernTplArgs args;

  arguments (run, n->b->b, &args);
  tern_val_dict_set (&run->arena, (TernValDict *) args.named, n->value, block);
  tern_tpl_print (run, run->out, tern_tpl_call (run, callee, args.args, args.n, args.named), FALSE, 0);
}

static Flow
exec_one (TernTplRun *run, const TernTplNode *n)
{
  TernTplScope *scope = run->scope;
  Flow flow = FLOW_ON;

  switch (n->kind) {
    case TERN_TPL_TEXT:
      tern_tpl_put (run, run->out, n->value.str.data, n->value.str.len);
      break;
    case TERN_TPL_OUTPUT:
      tern_tpl_print (run, run->out, tern_tpl_eval (run, n->a), FALSE, 0);
      break;
    case TERN_TPL_IF:
      return exec_if (run, n);
    case TERN_TPL_FOR:
      exec_for (run, n);
      break;
    case TERN_TPL_SET:
      assign_targets (run, n->a, tern_tpl_eval (run, n->b));
      break;
    case TERN_TPL_SET_BLOCK:
      push_scope (run, scope);
      {
        TernVal text = captured (run, n->body, n->b);

        run->scope = scope;
        assign_targets (run, n->a, text);
      }
      break;
    case TERN_TPL_MACRO:
      assign (run, n->value, (TernVal) { .type = TERN_VAL_MACRO, .macro = { n, scope } });
      break;
    case TERN_TPL_GROUP:
      return exec (run, n->body);
    case TERN_TPL_WITH:
      exec_with (run, n);
      flow = exec (run, n->body);
      run->scope = scope;
      break;
    case TERN_TPL_FILTER_BLOCK:
      push_scope (run, scope);
      tern_tpl_print (run, run->out, captured (run, n->body, n->b), FALSE, 0);
      run->scope = scope;
      break;
    case TERN_TPL_CALL_BLOCK:
      exec_call (run, n);
      break;
    case TERN_TPL_BREAK:
      return FLOW_BREAK;
    case TERN_TPL_CONTINUE:
      return FLOW_CONTINUE;
    default:
      break;
  }
  return flow;
}

static Flow
exec (TernTplRun *run, const TernTplNode *n)
{
  Flow flow = FLOW_ON;

  if (++run->depth > TERN_TPL_DEPTH)
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u nested evaluations", TERN_TPL_DEPTH);
  for (; n && flow == FLOW_ON && tern_tpl_step (run); n = n->next) {
    run->line = n->line;
    flow = exec_one (run, n);
  }
  run->depth--;
  return flow;
}

void
tern_tpl_exec (TernTplRun *run, const TernTplNode *statements)
{
  exec (run, statements);
}
