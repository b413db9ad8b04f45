/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that is planned once at open: 64-byte aligned blocks and an arena that is carved from one of them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_ALIGN 64

/* Rounds up to the next multiple of TERN_ALIGN. */
static inline gsize
tern_align_up (gsize bytes)
{
  return (bytes + TERN_ALIGN - 1) & ~(gsize) (TERN_ALIGN - 1);
}

/* @n rounded up to a multiple of @step. */
static inline gsize
tern_round_up (gsize n, gsize step)
{
  return (n + step - 1) / step * step;
}

/* @bytes of zeroed, 64-byte aligned memory, or NULL with TERN_ERROR_NO_SPACE that names @what. Free: tern_mem_free. */
void *tern_mem_alloc (gsize bytes, const char *what, GError **error);
void tern_mem_free (void *block);
/* @block will be filled whole, and read again and again: large pages, where the system has them for who asks. */
void tern_mem_dense (void *block, gsize bytes);

/* TRUE and *@out = a * b unless that overflows gsize. */
static inline gboolean
tern_mul (gsize a, gsize b, gsize *out)
{
  return !__builtin_mul_overflow (a, b, out);
}

/* Carves aligned pieces from one block. Two passes with the same calls: with base NULL it only counts (`used` is then
 * the size to allocate), with base set it hands out the pieces. */
typedef struct {
  guint8 *base;
  gsize used;
} TernArena;

static inline void *
tern_arena_take (TernArena *arena, gsize bytes)
{
  void *p = arena->base ? arena->base + arena->used : NULL;

  arena->used += tern_align_up (bytes);
  return p;
}

/* Takes a * b * c bytes; sizes come from files, so a product that overflows makes the plan impossibly large instead. */
void *tern_plan_take (TernArena *arena, gsize a, gsize b, gsize c);

G_END_DECLS
