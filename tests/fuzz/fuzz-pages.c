/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: tables of shared pages that grow, are cut and forked in any order, beside plain copies of what each of
 * them holds. */
#include <string.h>

#include "engine/llm/pages.h"
#include "tests/fuzz/bytes.h"

#define TABLES 6
#define MOST_ROWS 96            /* of a table */
#define MOST_PAGES 40
#define ROW_BYTES 8

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

typedef struct {
  TernPageTable table;
  guint32 page[MOST_ROWS];
  guint64 plain[MOST_ROWS];     /* what its rows hold */
} Holder;

typedef struct {
  Bytes bytes;
  TernPages pages;
  Holder holders[TABLES];
  guint64 written;              /* rows so far: each has another value */
} Run;

static guint64 *
row_at (const Run *run, const Holder *holder, guint row)
{
  guint rows = holder->table.rows;

  return (guint64 *) tern_pages_at (&run->pages, holder->page[row / rows]) + row % rows;
}

static guint
pages_of (const Holder *holder)
{
  return (holder->table.n + holder->table.rows - 1) / holder->table.rows;
}

/* References are what tables have, free pages are those that none has, each once; all rows are what was written. */
static void
check (const Run *run)
{
  guint refs[MOST_PAGES] = { 0 }, used = 0;
  gboolean is_free[MOST_PAGES] = { FALSE };

  for (guint h = 0; h < TABLES; h++) {
    const Holder *holder = &run->holders[h];

    for (guint i = 0; i < pages_of (holder); i++) {
      g_assert_cmpuint (holder->page[i], <, run->pages.n);
      refs[holder->page[i]]++;
    }
    for (guint i = 0; i < holder->table.n; i++)
      g_assert_cmpuint (*row_at (run, holder, i), ==, holder->plain[i]);
  }
  for (guint i = 0; i < run->pages.n; i++) {
    used += refs[i] > 0;
    if (refs[i] > 0)
      g_assert_cmpuint (refs[i], ==, run->pages.refs[i]);
  }
  g_assert_cmpuint (used + run->pages.n_free, ==, run->pages.n);
  for (guint i = 0; i < run->pages.n_free; i++) {
    guint32 page = run->pages.free[i];

    g_assert_cmpuint (page, <, run->pages.n);
    g_assert_true (!is_free[page] && refs[page] == 0);
    is_free[page] = TRUE;
  }
}

static void
append (Run *run, Holder *holder, guint more)
{
  guint n = holder->table.n, had = run->pages.n_free, needs = tern_page_table_needs (&holder->table, more);

  if (!tern_page_table_append (&holder->table, more)) {
    g_assert_cmpuint (needs, >, had);
    g_assert_cmpuint (holder->table.n, ==, n);
    g_assert_cmpuint (run->pages.n_free, ==, had);
    return;
  }
  g_assert_cmpuint (holder->table.n, ==, n + more);
  g_assert_cmpuint (run->pages.n_free + needs, ==, had);
  for (guint row = n; row < n + more; row++) {
    g_assert_false (tern_pages_is_shared (&run->pages, holder->page[row / holder->table.rows]));
    *row_at (run, holder, row) = holder->plain[row] = ++run->written;
  }
}

static void
fork_table (Run *run, Holder *to, const Holder *from)
{
  tern_page_table_fork (&to->table, &from->table);
  g_assert_cmpuint (to->table.n, ==, from->table.n);
  memmove (to->plain, from->plain, sizeof to->plain);
}

static void
cut (Run *run, Holder *holder, guint n)
{
  guint before = holder->table.n;

  tern_page_table_cut (&holder->table, n);
  g_assert_cmpuint (holder->table.n, ==, MIN (n, before));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  Run *run = g_new0 (Run, 1);
  guint rows, n;

  run->bytes = (Bytes) { data, data + size };
  rows = 1 + next_below (&run->bytes, 16);
  n = 1 + next_below (&run->bytes, MOST_PAGES);
  g_assert_true (tern_pages_init (&run->pages, rows * ROW_BYTES, n, "pages", NULL));
  for (guint h = 0; h < TABLES; h++)
    run->holders[h].table = (TernPageTable) { &run->pages, rows, 0, run->holders[h].page };

  while (bytes_left (&run->bytes)) {
    Holder *holder = &run->holders[next_below (&run->bytes, TABLES)];

    switch (next_below (&run->bytes, 4)) {
      case 0:
        fork_table (run, holder, &run->holders[next_below (&run->bytes, TABLES)]);
        break;
      case 1:
        cut (run, holder, next_below (&run->bytes, MOST_ROWS));
        break;
      default:
        append (run, holder, next_below (&run->bytes, MOST_ROWS + 1 - holder->table.n));
        break;
    }
    check (run);
  }
  for (guint h = 0; h < TABLES; h++)
    cut (run, &run->holders[h], 0);
  g_assert_cmpuint (run->pages.n_free, ==, n);
  tern_pages_clear (&run->pages);
  g_free (run);
  return 0;
}
