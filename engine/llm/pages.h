/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory in pages of one size, reference counted, and tables of them: what grows at its end, is forked instead of copied,
 * and is written to by one owner alone. Nothing below allocates but init and grow, and what grows stays where it is. One
 * thread at a time. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  gsize bytes;                  /* of a page; a multiple of TERN_ALIGN */
  guint n, n_free;
  guint8 **at;                  /* [n] */
  guint *refs;                  /* [n] */
  guint32 *free;                /* [n_free] a stack: the page that was let go last is taken first */
  void **blocks;                /* [n_blocks] memory of pages that came at once */
  guint n_blocks;
} TernPages;

#define TERN_NO_PAGE G_MAXUINT32

/* @n pages of @bytes (rounded up), zeroed. NO_SPACE names @what. */
gboolean tern_pages_init (TernPages *pages, gsize bytes, guint n, const char *what, GError **error);
/* @more of them. NO_SPACE: nothing was changed. */
gboolean tern_pages_grow (TernPages *pages, guint more, const char *what, GError **error);
void tern_pages_clear (TernPages *pages);
/* Bytes that init takes; saturates. */
gsize tern_pages_size (gsize bytes, guint n);

/* A page of anybody's former contents, with one reference; TERN_NO_PAGE: all are in use. */
guint32 tern_pages_take (TernPages *pages);
void tern_pages_ref (TernPages *pages, guint32 page);
void tern_pages_unref (TernPages *pages, guint32 page);     /* TERN_NO_PAGE too */

static inline guint8 *
tern_pages_at (const TernPages *pages, guint32 page)
{
  return pages->at[page];
}

static inline gboolean
tern_pages_is_shared (const TernPages *pages, guint32 page)
{
  return pages->refs[page] > 1;
}

/* Rows in pages of @rows each. */
typedef struct {
  TernPages *pages;
  guint rows;                   /* of a page */
  guint n;                      /* rows held */
  guint32 *page;                /* [ceil (n / rows)] of the caller's memory */
} TernPageTable;

/* Makes rows [n, n + more) writable, and says that they are held: takes pages, and a copy of the last one where another
 * table has it too. FALSE: pages are missing, nothing was changed. */
gboolean tern_page_table_append (TernPageTable *table, guint more);
/* Pages that this would take. */
guint tern_page_table_needs (const TernPageTable *table, guint more);
/* @table lets go of what it has and holds what @from (of the same pages) does. */
void tern_page_table_fork (TernPageTable *table, const TernPageTable *from);
/* Lets go of all rows from @n on. */
void tern_page_table_cut (TernPageTable *table, guint n);

G_END_DECLS
