/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/pages.h"

#include <string.h>

#include "engine/base/mem.h"
#include "tern/error.h"

/* From here on the memory of pages is asked for in large pages of the system, whose addresses it looks up less often: a head's
 * keys of a page are 4 KiB in int8, far from those of the next. What is never used costs nothing either way. */
#define DENSE_BYTES ((gsize) 16 << 20)

static gsize
page_bytes (gsize bytes)
{
  return bytes > G_MAXSSIZE / 2 ? bytes : tern_align_up (bytes);
}

gsize
tern_pages_size (gsize bytes, guint n)
{
  gsize page = page_bytes (bytes), beside = sizeof (guint8 *) + sizeof (guint) + sizeof (guint32);

  return n > 0 && page > (G_MAXSSIZE / n) - beside ? G_MAXSSIZE : n * (page + beside);
}

gboolean
tern_pages_grow (TernPages *pages, guint more, const char *what, GError **error)
{
  guint8 *block;

  if (more == 0)
    return TRUE;
  if (more > G_MAXUINT32 - 1 - pages->n || tern_pages_size (pages->bytes, more) == G_MAXSSIZE) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: expected fewer pages, found %u and %u more", what, pages->n,
        more);
    return FALSE;
  }
  block = tern_mem_alloc (more * MAX (pages->bytes, 1), what, error);
  if (!block)
    return FALSE;
  if (more * pages->bytes >= DENSE_BYTES)
    tern_mem_dense (block, more * pages->bytes);
  pages->blocks = g_renew (void *, pages->blocks, pages->n_blocks + 1);
  pages->blocks[pages->n_blocks++] = block;
  pages->at = g_renew (guint8 *, pages->at, pages->n + more);
  pages->refs = g_renew (guint, pages->refs, pages->n + more);
  pages->free = g_renew (guint32, pages->free, pages->n + more);
  for (guint i = 0; i < more; i++) {
    pages->at[pages->n + i] = block + i * pages->bytes;
    pages->refs[pages->n + i] = 0;
  }
  for (guint i = more; i > 0; i--)
    pages->free[pages->n_free++] = pages->n + i - 1;
  pages->n += more;
  return TRUE;
}

gboolean
tern_pages_init (TernPages *pages, gsize bytes, guint n, const char *what, GError **error)
{
  *pages = (TernPages) { .bytes = page_bytes (bytes) };
  return tern_pages_grow (pages, n, what, error);
}

void
tern_pages_clear (TernPages *pages)
{
  for (guint i = 0; i < pages->n_blocks; i++)
    tern_mem_free (pages->blocks[i]);
  g_free (pages->blocks);
  g_free (pages->at);
  g_free (pages->refs);
  g_free (pages->free);
  *pages = (TernPages) { 0 };
}

guint32
tern_pages_take (TernPages *pages)
{
  guint32 page;

  if (pages->n_free == 0)
    return TERN_NO_PAGE;
  page = pages->free[--pages->n_free];
  pages->refs[page] = 1;
  return page;
}

void
tern_pages_ref (TernPages *pages, guint32 page)
{
  pages->refs[page]++;
}

void
tern_pages_unref (TernPages *pages, guint32 page)
{
  if (page != TERN_NO_PAGE && --pages->refs[page] == 0)
    pages->free[pages->n_free++] = page;
}

static guint
page_count (const TernPageTable *table, guint n)
{
  return n / table->rows + (n % table->rows > 0);
}

/* The last page, when it has room and another table has it too: the next row goes to a copy. */
static gboolean
must_copy (const TernPageTable *table)
{
  return table->n % table->rows > 0 && tern_pages_is_shared (table->pages, table->page[table->n / table->rows]);
}

guint
tern_page_table_needs (const TernPageTable *table, guint more)
{
  return more ? page_count (table, table->n + more) - page_count (table, table->n) + must_copy (table) : 0;
}

gboolean
tern_page_table_append (TernPageTable *table, guint more)
{
  TernPages *pages = table->pages;
  guint have = page_count (table, table->n), want = page_count (table, table->n + more);

  if (tern_page_table_needs (table, more) > pages->n_free)
    return FALSE;
  if (more && must_copy (table)) {
    guint32 *last = &table->page[have - 1], copy = tern_pages_take (pages);

    memcpy (tern_pages_at (pages, copy), tern_pages_at (pages, *last), pages->bytes);
    tern_pages_unref (pages, *last);
    *last = copy;
  }
  while (have < want)
    table->page[have++] = tern_pages_take (pages);
  table->n += more;
  return TRUE;
}

void
tern_page_table_cut (TernPageTable *table, guint n)
{
  guint keep = page_count (table, MIN (n, table->n));

  for (guint i = page_count (table, table->n); i > keep; i--)
    tern_pages_unref (table->pages, table->page[i - 1]);
  table->n = MIN (n, table->n);
}

void
tern_page_table_fork (TernPageTable *table, const TernPageTable *from)
{
  if (table == from)
    return;
  for (guint i = 0; i < page_count (from, from->n); i++)
    tern_pages_ref (from->pages, from->page[i]);
  tern_page_table_cut (table, 0);
  memcpy (table->page, from->page, page_count (from, from->n) * sizeof *from->page);
  table->n = from->n;
}
