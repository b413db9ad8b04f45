/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two blocks side by side: y = first (x) + second (x), of the same normed rows. What is remembered by position is the first
 * one's, recurrent states are the second one's. */
#include "engine/llm/blocks/blocks.h"

typedef struct {
  TernBlock parent;
  TernBlock *first, *second;
  guint width;
} Pair;

static void
pair_free (TernBlock *block)
{
  Pair *self = (Pair *) block;

  tern_block_free (self->first);
  tern_block_free (self->second);
  g_free (self);
}

static void
pair_linears (TernBlock *block, TernLinearFunc func, void *data)
{
  Pair *self = (Pair *) block;

  self->first->klass->linears (self->first, func, data);
  self->second->klass->linears (self->second, func, data);
}

static gsize
owned (const TernBlock *block)
{
  return block->klass->owned ? block->klass->owned (block) : 0;
}

static gsize
pair_owned (const TernBlock *block)
{
  const Pair *self = (const Pair *) block;

  return owned (self->first) + owned (self->second);
}

static gsize
pair_page (const TernBlock *block, TernKvType kv)
{
  const Pair *self = (const Pair *) block;

  return self->first->klass->page ? self->first->klass->page (self->first, kv) : 0;
}

static guint
pair_state (const TernBlock *block, TernStatePart *parts)
{
  return tern_block_state (((const Pair *) block)->second, parts);
}

/* One runs after the other, in the same memory behind the sum. */
static void
pair_work (const TernBlock *block, TernArena *arena, guint n, guint context)
{
  const Pair *self = (const Pair *) block;
  TernArena second;

  tern_plan_take (arena, n, self->width, sizeof (float));
  second = *arena;
  self->first->klass->work (self->first, arena, n, context);
  self->second->klass->work (self->second, &second, n, context);
  arena->used = MAX (arena->used, second.used);
}

static gsize
worker (const TernBlock *block, guint n, guint context)
{
  return block->klass->worker ? block->klass->worker (block, n, context) : 0;
}

static gsize
pair_worker (const TernBlock *block, guint n, guint context)
{
  const Pair *self = (const Pair *) block;

  return MAX (worker (self->first, n, context), worker (self->second, n, context));
}

static guint
chunk (const TernBlock *block)
{
  return block->klass->chunk ? block->klass->chunk (block) : 1;
}

static guint
pair_chunk (const TernBlock *block)
{
  const Pair *self = (const Pair *) block;

  return MAX (chunk (self->first), chunk (self->second));
}

static gboolean
pair_eval (const TernBlock *block, TernPass *pass, const float *x, float *y)
{
  const Pair *self = (const Pair *) block;
  float *sum = tern_plan_take (&pass->work, pass->n, self->width, sizeof (float));
  TernArena rest = pass->work;

  if (!self->first->klass->eval (self->first, pass, x, y))
    return FALSE;
  pass->work = rest;
  if (!self->second->klass->eval (self->second, pass, x, sum))
    return FALSE;
  pass->kernels->add (y, sum, (gsize) pass->n * self->width);
  return TRUE;
}

#define PAIR_CLASS \
  .name = "pair", \
  .free = pair_free, \
  .linears = pair_linears, \
  .chunk = pair_chunk, \
  .owned = pair_owned, \
  .page = pair_page, \
  .state = pair_state, \
  .work = pair_work, \
  .worker = pair_worker, \
  .eval = pair_eval

static const TernBlockClass pair_class = { PAIR_CLASS };
static const TernBlockClass pair_in_turn_class = { PAIR_CLASS, .in_turn = TRUE };

TernBlock *
tern_pair_new (TernBlock *first, TernBlock *second, guint width)
{
  Pair *self;

  if (!first || !second) {
    tern_block_free (first);
    tern_block_free (second);
    return NULL;
  }
  self = g_new0 (Pair, 1);
  self->parent.klass = first->klass->in_turn && second->klass->in_turn ? &pair_in_turn_class : &pair_class;
  self->first = first;
  self->second = second;
  self->width = width;
  return &self->parent;
}

const TernBlock *
tern_pair_first (const TernBlock *block)
{
  if (block && (block->klass == &pair_class || block->klass == &pair_in_turn_class))
    return ((const Pair *) block)->first;
  return block;
}
