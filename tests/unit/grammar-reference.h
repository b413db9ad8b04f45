/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Grammars as trees, a recogniser of them that is slow and plain, and random ones: the reference of engine/grammar. A tree
 * knows nothing of states, stacks or tokens: it says where a node's strings that begin at a place of a text end, and
 * whether the text's end lies within one. */
#pragma once

#include <string.h>

#include "engine/base/random.h"
#include "engine/grammar/grammar.h"

#define TREE_CHILDREN 4
#define TREE_RULES 4

typedef enum { TREE_BYTES, TREE_CLASS, TREE_SEQUENCE, TREE_CHOICE, TREE_REPEAT, TREE_RULE } TreeKind;

typedef struct _Tree Tree;
struct _Tree {
  TreeKind kind;
  char bytes[8];
  guint n;                      /* bytes, ranges or children */
  TernCharRange ranges[3];
  gboolean negate;
  Tree *children[TREE_CHILDREN];
  guint min, max, rule;
  guint index;
};

typedef struct {
  GPtrArray *trees;             /* all of them */
  Tree *rules[TREE_RULES];
  guint n_rules;
} Forest;

static inline Tree *
tree_new (Forest *f, TreeKind kind)
{
  Tree *tree = g_new0 (Tree, 1);

  tree->kind = kind;
  tree->index = f->trees->len;
  g_ptr_array_add (f->trees, tree);
  return tree;
}

/* ---- What the reference says ------------------------------------------------------------------------------------- */

#define TEXT_MAX 63             /* a set of places is a word */

typedef struct {
  guint64 ends;                 /* places where a string may end */
  gboolean within;              /* the text may end in the middle of a string */
} Reach;

typedef struct {
  const Forest *forest;
  const guint8 *text;
  guint n;
  Reach *known;                 /* [trees][n + 1] */
  guint8 *is_known;
} Reader;

static Reach tree_read (Reader *r, const Tree *tree, guint at);

static inline gboolean
tree_has_char (const Tree *tree, gunichar c)
{
  gboolean in = FALSE;

  if ((c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
    return FALSE;
  for (guint i = 0; i < tree->n; i++)
    in |= c >= tree->ranges[i].first && c <= tree->ranges[i].last;
  return in != tree->negate;
}

/* Whether some character of the class is encoded in @n bytes or more, of which the first are those. */
static inline gboolean
tree_has_start (const Tree *tree, const guint8 *bytes, guint n)
{
  guint length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xc2 ? 0 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
  gunichar c = length == 1 ? bytes[0] : bytes[0] & (0x7f >> length);

  if (length == 0 || n > length || bytes[0] > 0xf4)
    return FALSE;
  for (guint i = 1; i < n; i++) {
    if ((bytes[i] & 0xc0) != 0x80)
      return FALSE;
    c = c << 6 | (bytes[i] & 0x3f);
  }
  for (guint32 k = 0; k < 1u << 6 * (length - n); k++) {
    gunichar whole = c << 6 * (length - n) | k;

    if (g_unichar_to_utf8 (whole, NULL) == (int) length && tree_has_char (tree, whole))
      return TRUE;
  }
  return FALSE;
}

static inline void
reach_then (Reader *r, const Tree *tree, guint64 from, Reach *to)
{
  for (guint at = 0; at <= r->n; at++)
    if (from >> at & 1) {
      Reach reach = tree_read (r, tree, at);

      to->ends |= reach.ends;
      to->within |= reach.within;
    }
}

static inline Reach
tree_read_repeat (Reader *r, const Tree *tree, guint at)
{
  Reach reach = { 0, FALSE };
  guint64 now = (guint64) 1 << at, seen = 0;

  /* Beyond as many as there are bytes nothing new comes but the empty string, which counts. */
  for (guint count = 0; now && count <= tree->max; count++) {
    Reach next = { 0, FALSE };

    if (count >= tree->min)
      reach.ends |= now;
    if (count == tree->max || (count >= tree->min && !(now & ~seen)))
      break;
    if (count >= tree->min)
      seen |= now;
    reach_then (r, tree->children[0], now, &next);
    reach.within |= next.within;
    now = next.ends;
    if (now >> r->n & 1 && count + 1 < tree->min)
      reach.within = TRUE;
  }
  return reach;
}

static inline Reach
tree_read_new (Reader *r, const Tree *tree, guint at)
{
  Reach reach = { 0, FALSE }, step;
  guint left = r->n - at, length;

  switch (tree->kind) {
    case TREE_BYTES:
      if (memcmp (tree->bytes, r->text + at, MIN (left, tree->n)) != 0)
        return reach;
      if (left >= tree->n)
        reach.ends = (guint64) 1 << (at + tree->n);
      reach.within = left < tree->n;
      return reach;
    case TREE_CLASS:
      if (left == 0) {
        reach.within = TRUE;
        return reach;
      }
      for (length = 1; length <= MIN (left, 4); length++) {
        gunichar c = r->text[at] ? g_utf8_get_char_validated ((const char *) r->text + at, length) : 0;

        if (c < 0x110000 && g_unichar_to_utf8 (c, NULL) == (int) length && tree_has_char (tree, c))
          reach.ends |= (guint64) 1 << (at + length);
      }
      reach.within = !reach.ends && left < 4 && tree_has_start (tree, r->text + at, left);
      return reach;
    case TREE_SEQUENCE:
      step.ends = (guint64) 1 << at;
      for (guint i = 0; i < tree->n; i++) {
        Reach next = { 0, FALSE };

        reach_then (r, tree->children[i], step.ends, &next);
        reach.within |= next.within;
        step = next;
      }
      reach.ends = step.ends;
      return reach;
    case TREE_CHOICE:
      for (guint i = 0; i < tree->n; i++)
        reach_then (r, tree->children[i], (guint64) 1 << at, &reach);
      return reach;
    case TREE_REPEAT:
      return tree_read_repeat (r, tree, at);
    default:
      return tree_read (r, r->forest->rules[tree->rule], at);
  }
}

static Reach
tree_read (Reader *r, const Tree *tree, guint at)
{
  gsize place = (gsize) tree->index * (r->n + 1) + at;

  if (!r->is_known[place]) {
    Reach reach = tree_read_new (r, tree, at);

    r->known[place] = reach;
    r->is_known[place] = TRUE;
  }
  return r->known[place];
}

/* Whether @text (none: NULL) is a sentence; whether one begins with it. */
static inline void
forest_read (const Forest *f, const guint8 *text, guint n, gboolean *whole, gboolean *begins)
{
  Reader r = { f, text ? text : (const guint8 *) "", n, g_new0 (Reach, (gsize) f->trees->len * (n + 1)),
    g_malloc0 ((gsize) f->trees->len * (n + 1)) };
  Reach reach;

  g_assert_cmpuint (n, <=, TEXT_MAX);
  reach = tree_read (&r, f->rules[0], 0);
  *whole = reach.ends >> n & 1;
  *begins = *whole || reach.within;
  g_free (r.known);
  g_free (r.is_known);
}

/* ---- The same for the builder ------------------------------------------------------------------------------------ */

static inline TernNode
tree_build (TernGrammarBuilder *b, const Tree *tree, const TernRule *rules)
{
  TernNode nodes[TREE_CHILDREN];

  for (guint i = 0; i < TREE_CHILDREN && tree->children[i]; i++)
    nodes[i] = tree_build (b, tree->children[i], rules);
  switch (tree->kind) {
    case TREE_BYTES:
      return tern_grammar_bytes (b, tree->bytes, tree->n);
    case TREE_CLASS:
      return tern_grammar_class (b, tree->ranges, tree->n, tree->negate);
    case TREE_SEQUENCE:
      return tern_grammar_sequence (b, nodes, tree->n);
    case TREE_CHOICE:
      return tern_grammar_choice (b, nodes, tree->n);
    case TREE_REPEAT:
      return tern_grammar_repeat (b, nodes[0], tree->min, tree->max);
    default:
      return tern_grammar_reference (b, rules[tree->rule]);
  }
}

/* NULL: what was made up is no grammar (a rule that begins with itself or never ends). */
static inline TernGrammar *
forest_build (const Forest *f, GError **error)
{
  g_autoptr (TernGrammarBuilder) b = tern_grammar_builder_new ();
  TernRule rules[TREE_RULES];

  for (guint i = 0; i < f->n_rules; i++)
    rules[i] = tern_grammar_declare (b, "rule");
  for (guint i = 0; i < f->n_rules; i++)
    tern_grammar_define (b, rules[i], tree_build (b, f->rules[i], rules));
  return tern_grammar_build (b, rules[0], error);
}

/* As GBNF, about. */
static inline void
tree_show (const Tree *tree, GString *to)
{
  const char *between = tree->kind == TREE_CHOICE ? " | " : " ";

  if (tree->kind == TREE_BYTES)
    g_string_append_printf (to, "\"%s\"", tree->bytes);
  if (tree->kind == TREE_CLASS)
    g_string_append (to, tree->negate ? "[^" : "[");
  for (guint i = 0; tree->kind == TREE_CLASS && i < tree->n; i++)
    g_string_append_printf (to, "\\U%08x-\\U%08x", tree->ranges[i].first, tree->ranges[i].last);
  if (tree->kind == TREE_CLASS)
    g_string_append (to, "]");
  if (tree->kind == TREE_RULE)
    g_string_append_printf (to, "rule%u", tree->rule);
  if (tree->kind < TREE_SEQUENCE || tree->kind == TREE_RULE)
    return;
  g_string_append (to, "(");
  for (guint i = 0; i < TREE_CHILDREN && tree->children[i]; i++) {
    g_string_append (to, i ? between : "");
    tree_show (tree->children[i], to);
  }
  g_string_append (to, ")");
  if (tree->kind == TREE_REPEAT)
    g_string_append_printf (to, "{%u,%u}", tree->min, tree->max);
}

/* ---- Random ones ------------------------------------------------------------------------------------------------- */

static const char *const forest_letters[] = { "a", "b", "c", "\303\251", "\342\202\254", "\360\237\230\200", " " };

static inline Tree *
tree_random_leaf (Forest *f, TernRandom *random)
{
  Tree *tree = tree_new (f, tern_random_below (random, 3) ? TREE_BYTES : TREE_CLASS);

  if (tree->kind == TREE_BYTES) {
    for (guint n = tern_random_below (random, 10) ? 1 + tern_random_below (random, 2) : 0; n > 0; n--)
      strcat (tree->bytes, forest_letters[tern_random_below (random, 8) ? tern_random_below (random, 3)
          : tern_random_below (random, 6)]);
    tree->n = strlen (tree->bytes);
    return tree;
  }
  tree->n = 1 + tern_random_below (random, 2);
  tree->negate = tern_random_below (random, 4) == 0;
  for (guint i = 0; i < tree->n; i++) {
    static const gunichar firsts[] = { 'a', 'b', 0x80, 0xe0, 0x20a0, 0x1f600, ' ' };
    gunichar first = firsts[tern_random_below (random, G_N_ELEMENTS (firsts))];

    tree->ranges[i] = (TernCharRange) { first, first + tern_random_below (random, first > 0x7f ? 0x60 : 3) };
  }
  return tree;
}

static inline Tree *
tree_random (Forest *f, TernRandom *random, guint depth)
{
  Tree *tree;

  if (depth == 0 || tern_random_below (random, 4) == 0)
    return tree_random_leaf (f, random);
  switch (tern_random_below (random, 8)) {
    case 0:
    case 1:
    case 2:
      tree = tree_new (f, TREE_SEQUENCE);
      break;
    case 3:
    case 4:
      tree = tree_new (f, TREE_CHOICE);
      break;
    case 5:
    case 6:
      tree = tree_new (f, TREE_REPEAT);
      tree->min = tern_random_below (random, 4) ? tern_random_below (random, 3) : tern_random_below (random, 9);
      tree->max = tern_random_below (random, 3) ? tree->min + tern_random_below (random, 4) : TERN_REPEAT_MAX;
      if (tree->max == 0)
        tree->max = 1;
      tree->children[0] = tree_random (f, random, depth - 1);
      return tree;
    default:
      tree = tree_new (f, TREE_RULE);
      tree->rule = tern_random_below (random, f->n_rules);
      return tree;
  }
  tree->n = 1 + tern_random_below (random, TREE_CHILDREN);
  for (guint i = 0; i < tree->n; i++)
    tree->children[i] = tree_random (f, random, depth - 1);
  return tree;
}

static inline void
forest_init_random (Forest *f, TernRandom *random)
{
  memset (f, 0, sizeof *f);
  f->trees = g_ptr_array_new_with_free_func (g_free);
  f->n_rules = 1 + tern_random_below (random, TREE_RULES);
  for (guint i = 0; i < f->n_rules; i++)
    f->rules[i] = tree_random (f, random, 3);
}

static inline void
forest_clear (Forest *f)
{
  g_ptr_array_unref (f->trees);
}
