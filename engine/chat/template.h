/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The part of Jinja that chat templates use, interpreted: values, syntax tree, and the run that renders it.
 *
 * A template is untrusted input. It can reach nothing but the values it is given; nesting, steps, memory and output are
 * bounded, and whatever is outside of the subset is an error that names construct and line. Semantics follow Jinja2
 * with trim_blocks and lstrip_blocks set, as chat templates are rendered everywhere. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* ---- Memory: everything of a tree or a run lives until its end --------------------------------------------------- */

typedef struct {
  GSList *blocks;
  guint8 *at;
  gsize left;
  gsize total;                  /* bytes handed out */
} TernTplArena;

void *tern_tpl_alloc (TernTplArena *arena, gsize bytes);        /* zeroed */
void tern_tpl_arena_clear (TernTplArena *arena);

/* ---- Values ------------------------------------------------------------------------------------------------------ */

typedef enum {
  TERN_VAL_UNDEFINED,           /* str: what was looked up */
  TERN_VAL_NONE,
  TERN_VAL_BOOL,
  TERN_VAL_INT,
  TERN_VAL_FLOAT,
  TERN_VAL_STRING,
  TERN_VAL_LIST,
  TERN_VAL_DICT,
  TERN_VAL_NAMESPACE,           /* the one thing a template may change; uses dict */
  TERN_VAL_MACRO,
  TERN_VAL_METHOD,              /* bound to a value; str: its name */
  TERN_VAL_GLOBAL,              /* a function by name */
} TernValType;

typedef struct _TernVal TernVal;
typedef struct _TernValList TernValList;
typedef struct _TernValDict TernValDict;
typedef struct _TernTplNode TernTplNode;
typedef struct _TernTplScope TernTplScope;

typedef struct {
  const char *data;             /* not terminated */
  gsize len;                    /* bytes */
} TernValStr;

struct _TernVal {
  TernValType type;
  gboolean tuple;               /* of a list: how it prints */
  union {
    gboolean boolean;
    gint64 integer;
    double real;
    TernValStr str;
    TernValList *list;
    TernValDict *dict;
    struct {
      const TernTplNode *node;
      TernTplScope *scope;
    } macro;
    struct {
      const char *name;         /* terminated */
      const TernVal *self;
    } method;
  };
};

struct _TernValList {
  guint n, room;
  TernVal *items;
};

/* In insertion order, as Python's. */
struct _TernValDict {
  guint n, room;
  TernVal *keys, *values;
};

static inline TernVal
tern_val_undefined (const char *name, gsize len)
{
  return (TernVal) { .type = TERN_VAL_UNDEFINED, .str = { name, len } };
}

static inline TernVal
tern_val_bool (gboolean value)
{
  return (TernVal) { .type = TERN_VAL_BOOL, .boolean = !!value };
}

static inline TernVal
tern_val_int (gint64 value)
{
  return (TernVal) { .type = TERN_VAL_INT, .integer = value };
}

static inline TernVal
tern_val_float (double value)
{
  return (TernVal) { .type = TERN_VAL_FLOAT, .real = value };
}

static inline TernVal
tern_val_str (const char *data, gsize len)
{
  return (TernVal) { .type = TERN_VAL_STRING, .str = { data, len } };
}

TernVal tern_val_list (TernTplArena *arena, guint room);
void tern_val_list_add (TernTplArena *arena, TernVal list, TernVal item);
TernVal tern_val_dict (TernTplArena *arena);
void tern_val_dict_set (TernTplArena *arena, TernValDict *dict, TernVal key, TernVal value);
/* The same for a key that is known to be new: no search. */
void tern_val_dict_add (TernTplArena *arena, TernValDict *dict, TernVal key, TernVal value);
const TernVal *tern_val_dict_get (const TernValDict *dict, TernVal key);
const TernVal *tern_val_dict_find (const TernValDict *dict, const char *name, gsize len);

gboolean tern_val_is (TernVal value, const char *text);         /* a string equal to @text */
gboolean tern_val_truth (TernVal value);
/* Counts on @steps what it looks at; FALSE, unfinished, when they pass TERN_TPL_STEPS. */
gboolean tern_val_equal (TernVal a, TernVal b, guint64 *steps);
const char *tern_val_type_name (TernVal value);
gboolean tern_val_number (TernVal value, double *out);          /* ints, floats and booleans */
/* Code points of a string. */
gsize tern_val_chars (TernValStr str);
gsize tern_val_char_offset (TernValStr str, gsize chars);       /* bytes before the nth code point */

/* ---- Syntax tree ------------------------------------------------------------------------------------------------- */

typedef enum {
  /* expressions */
  TERN_TPL_CONST, TERN_TPL_NAME, TERN_TPL_LIST, TERN_TPL_TUPLE, TERN_TPL_DICT, TERN_TPL_ATTR, TERN_TPL_ITEM,
  TERN_TPL_SLICE, TERN_TPL_CALL, TERN_TPL_FILTER, TERN_TPL_TEST, TERN_TPL_UNARY, TERN_TPL_BINARY, TERN_TPL_COMPARE,
  TERN_TPL_AND, TERN_TPL_OR, TERN_TPL_NOT, TERN_TPL_COND,
  /* statements */
  TERN_TPL_TEXT, TERN_TPL_OUTPUT, TERN_TPL_IF, TERN_TPL_FOR, TERN_TPL_SET, TERN_TPL_SET_BLOCK, TERN_TPL_MACRO,
  TERN_TPL_BREAK, TERN_TPL_CONTINUE, TERN_TPL_GROUP, TERN_TPL_WITH, TERN_TPL_FILTER_BLOCK, TERN_TPL_CALL_BLOCK,
} TernTplKind;

/* Operators by their first character, doubled ones in upper case codes. */
enum {
  TERN_OP_POW = 'P', TERN_OP_FLOORDIV = 'D', TERN_OP_EQ = 'E', TERN_OP_NE = 'N', TERN_OP_LE = 'L', TERN_OP_GE = 'G',
  TERN_OP_IN = 'I', TERN_OP_NOT_IN = 'O',
};

struct _TernTplNode {
  TernTplKind kind;
  int op;                       /* operator; TEST: 1 = negated; FOR: 1 = recursive */
  guint line;
  TernVal value;                /* constant; name, attribute, filter, test, keyword as a string */
  TernTplNode *a, *b, *c;       /* operands; lists of arguments and statements through next */
  TernTplNode *body, *orelse;
  TernTplNode *next;
};

/* Errors: UNSUPPORTED for what is not in the subset, FORMAT for what is no template. */
TernTplNode *tern_tpl_parse (TernTplArena *arena, const char *source, gsize len, GError **error);

/* Tokens, for the parser. */
typedef enum {
  TERN_TOK_TEXT, TERN_TOK_OUTPUT, TERN_TOK_OUTPUT_END, TERN_TOK_BLOCK, TERN_TOK_BLOCK_END, TERN_TOK_NAME,
  TERN_TOK_STRING, TERN_TOK_INT, TERN_TOK_FLOAT, TERN_TOK_OP, TERN_TOK_END,
} TernTok;

typedef struct {
  TernTok type;
  int op;                       /* OP */
  guint line;
  TernVal value;                /* text, name, string, number */
} TernTplToken;

/* A GArray of TernTplToken that ends with TERN_TOK_END; texts are in @arena. */
GArray *tern_tpl_lex (TernTplArena *arena, const char *source, gsize len, GError **error);

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

struct _TernTplScope {
  TernTplScope *parent;
  TernValDict vars;
};

typedef struct {
  TernTplArena arena;
  GString *out;
  TernTplScope *scope;
  guint64 steps;
  guint depth;
  guint line;                   /* of the node at work, for messages */
  GError *error;                /* the first one; everything stops */
} TernTplRun;

#define TERN_TPL_DEPTH 300      /* nested evaluations */
#define TERN_TPL_STEPS 1000000
#define TERN_TPL_STEP_BYTES 512         /* of a text that is read count as a step */
#define TERN_TPL_BYTES (64u << 20)      /* values, and each text, of a run */
#define TERN_TPL_RANGE 100000

char *tern_tpl_message (const char *format, va_list args) G_GNUC_PRINTF (1, 0);
void tern_tpl_fail (TernTplRun *run, int code, const char *format, ...) G_GNUC_PRINTF (3, 4);
/* FALSE once the run has failed, its steps or memory are used up (which fails it). */
gboolean tern_tpl_step (TernTplRun *run);
/* Counts the reading of a value that may be a long text: without it one step could cost TERN_TPL_BYTES. */
void tern_tpl_charge (TernTplRun *run, TernVal value);
/* Appends to a text; FALSE when that fails the run. */
gboolean tern_tpl_put (TernTplRun *run, GString *out, const char *data, gsize len);
/* A value with a copy of the text. Frees @text. */
TernVal tern_tpl_take (TernTplRun *run, GString *text);

void tern_tpl_exec (TernTplRun *run, const TernTplNode *statements);
TernVal tern_tpl_eval (TernTplRun *run, const TernTplNode *expression);
TernVal tern_tpl_call (TernTplRun *run, TernVal callee, const TernVal *args, guint n, const TernValDict *named);
/* Fails the run for an undefined value. */
gboolean tern_tpl_refuse_undefined (TernTplRun *run, TernVal value);
TernVal tern_tpl_item (TernTplRun *run, TernVal value, TernVal key);
TernVal tern_tpl_slice (TernTplRun *run, TernVal value, const TernVal bounds[3]);
TernVal tern_tpl_unary (TernTplRun *run, int op, TernVal value);
TernVal tern_tpl_binary (TernTplRun *run, int op, TernVal a, TernVal b);
TernVal tern_tpl_concatenate (TernTplRun *run, TernVal a, TernVal b);      /* two strings or two lists */
gboolean tern_tpl_related (TernTplRun *run, int op, TernVal a, TernVal b);
TernVal tern_tpl_attribute (TernTplRun *run, TernVal value, TernValStr name);
gboolean tern_tpl_equal (TernTplRun *run, TernVal a, TernVal b);
int tern_tpl_compare (TernTplRun *run, TernVal a, TernVal b);   /* < 0, 0, > 0; fails for what has no order */
gboolean tern_tpl_contains (TernTplRun *run, TernVal container, TernVal item);
/* The items of a list, keys of a dict, characters of a string. Fails for anything else. */
TernVal tern_tpl_iterate (TernTplRun *run, TernVal value);
/* As Python's str() and repr(). */
void tern_tpl_print (TernTplRun *run, GString *out, TernVal value, gboolean repr, guint depth);
TernVal tern_tpl_string (TernTplRun *run, TernVal value);
/* As json.dumps; @indent < 0: on one line. */
typedef struct {
  int indent;
  gboolean ascii, sort;
  TernValStr item_separator, key_separator;
} TernTplJson;
void tern_tpl_json (TernTplRun *run, GString *out, TernVal value, const TernTplJson *style, guint depth);
TernVal tern_tpl_sorted (TernTplRun *run, TernVal list, TernVal by, gboolean reverse, gboolean case_sensitive);

/* Positional or named argument of a filter, test or function; NULL when it was not given. */
typedef struct {
  const TernVal *args;
  guint n;
  const TernValDict *named;
} TernTplArgs;
const TernVal *tern_tpl_arg (const TernTplArgs *args, guint i, const char *name);

gboolean tern_tpl_has_filter (TernValStr name);
TernVal tern_tpl_filter (TernTplRun *run, TernValStr name, TernVal value, const TernTplArgs *args);
gboolean tern_tpl_has_test (TernValStr name);
gboolean tern_tpl_test (TernTplRun *run, TernValStr name, TernVal value, const TernTplArgs *args);
/* Terminated static name of a method of this type of value, or NULL. */
const char *tern_tpl_method_name (TernVal value, TernValStr name);
TernVal tern_tpl_method (TernTplRun *run, const char *name, TernVal self, const TernTplArgs *args);
const char *tern_tpl_global_name (TernValStr name);
TernVal tern_tpl_global (TernTplRun *run, const char *name, const TernTplArgs *args);

/* Pieces shared by filters and methods. */
TernVal tern_tpl_strip (TernTplRun *run, TernValStr str, const TernVal *chars, gboolean left, gboolean right);
TernVal tern_tpl_replace (TernTplRun *run, TernValStr str, TernValStr old, TernValStr by, gint64 count);
TernVal tern_tpl_case (TernTplRun *run, TernValStr str, const char *how);       /* upper, lower, title, capitalize */
/* "..." % values: all values must be used, but for those with names. */
TernVal tern_tpl_percent (TernTplRun *run, TernValStr format, const TernTplArgs *values);
TernVal tern_tpl_format (TernTplRun *run, TernValStr format, const TernTplArgs *values);        /* "{}".format () */
TernVal tern_tpl_join (TernTplRun *run, TernVal list, TernValStr separator);

G_END_DECLS
