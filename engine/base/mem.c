/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/mem.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tern/error.h"

/* No memory plan comes near this; a larger request is an arithmetic slip or a damaged file. It also keeps the request
 * below what sanitizers answer with an abort. */
#define MAX_BLOCK MIN ((guint64) 1 << 39, (guint64) G_MAXSSIZE - TERN_ALIGN - sizeof (void *))

/* calloc, not aligned_alloc + memset: large blocks then come as untouched zero pages, so planning a long context costs
 * nothing until it is used. The block that calloc gave stands right before the aligned one. */
void *
tern_mem_alloc (gsize bytes, const char *what, GError **error)
{
  guint8 *raw, *block;

  raw = bytes <= MAX_BLOCK ? calloc (1, bytes + TERN_ALIGN + sizeof (void *)) : NULL;
  if (!raw) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: needs %" G_GSIZE_FORMAT " bytes of memory, which this "
        "process cannot get", what, bytes);
    return NULL;
  }
  block = (guint8 *) (tern_align_up ((guintptr) raw + sizeof (void *)));
  ((void **) block)[-1] = raw;
  return block;
}

void
tern_mem_free (void *block)
{
  if (block)
    free (((void **) block)[-1]);
}

void
tern_mem_dense (void *block, gsize bytes)
{
#ifdef MADV_HUGEPAGE
  guintptr page = sysconf (_SC_PAGESIZE), begin = ((guintptr) block + page - 1) / page * page;
  guintptr end = ((guintptr) block + bytes) / page * page;

  if (begin < end)              /* advice: nothing is lost when it is not taken */
    madvise ((void *) begin, end - begin, MADV_HUGEPAGE);
#endif
}

void *
tern_plan_take (TernArena *arena, gsize a, gsize b, gsize c)
{
  gsize bytes;

  if (!tern_mul (a, b, &bytes) || !tern_mul (bytes, c, &bytes) || bytes > G_MAXSSIZE / 2
      || arena->used > G_MAXSSIZE / 2) {
    g_return_val_if_fail (!arena->base, NULL);
    arena->used = G_MAXSSIZE;
    return NULL;
  }
  return tern_arena_take (arena, bytes);
}
