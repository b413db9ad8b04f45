/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal of `tern caption --resume`: torn at any byte it says what was whole before, and never what was not. */
#include <glib/gstdio.h>
#include <string.h>

#include "tern/error.h"
#include "tools/batch-journal.h"

static char *path;

static const char *const settings[] = { "model", "m.gguf", "window", "4\ts\n", NULL };

static TernJournal *
open_journal (void)
{
  g_autoptr (GError) error = NULL;
  TernJournal *journal = tern_journal_open (path, settings, FALSE, &error);

  g_assert_no_error (error);
  return journal;
}

static void
commit (TernJournal *journal)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (tern_journal_commit (journal, &error));
  g_assert_no_error (error);
}

static char *
nth_name (guint i)
{
  return g_strdup_printf ("folder %u/\xff name\twith\nall of it %u", i % 3, i);        /* no UTF-8, and what ends fields */
}

static void
test_words (void)
{
  g_autoptr (TernJournal) journal = open_journal ();

  g_assert_cmpint (tern_journal_find (journal, "a", 7 << 3), ==, TERN_JOURNAL_NEW);
  tern_journal_add (journal, TERN_JOURNAL_DONE, "a", 7 << 3, 100, 2, "out/a\n.srt");
  tern_journal_add (journal, TERN_JOURNAL_FAILED, "b", 8 << 3, 100, 2, "b: damaged");
  tern_journal_add (journal, TERN_JOURNAL_PASSED, "c", 9 << 3, 100, 2, NULL);
  g_assert_true (tern_journal_pending (journal));
  commit (journal);
  g_assert_false (tern_journal_pending (journal));
  g_clear_pointer (&journal, tern_journal_free);

  journal = open_journal ();
  g_assert_cmpint (tern_journal_find (journal, "a", 7 << 3), ==, TERN_JOURNAL_DONE);
  g_assert_cmpint (tern_journal_find (journal, "a", 6 << 3), ==, TERN_JOURNAL_CHANGED);
  g_assert_cmpint (tern_journal_find (journal, "b", 8 << 3), ==, TERN_JOURNAL_FAILED);
  g_assert_cmpint (tern_journal_find (journal, "c", 9 << 3), ==, TERN_JOURNAL_PASSED);
  g_assert_cmpint (tern_journal_find (journal, "d", 0), ==, TERN_JOURNAL_NEW);
  g_assert_true (tern_journal_made (journal, "out/a\n.srt", "a"));
  g_assert_false (tern_journal_made (journal, "out/a", "a"));
  g_assert_false (tern_journal_made (journal, "out/a\n.srt", "b"));
  g_assert_true (tern_journal_made_for_other (journal, "out/a\n.srt", "b"));
  g_assert_false (tern_journal_made_for_other (journal, "out/a\n.srt", "a"));
  g_assert_false (tern_journal_made_for_other (journal, "out/a", "b"));
  g_assert_cmpuint (tern_journal_end (journal), ==, 100);
  g_assert_cmpuint (tern_journal_results (journal), ==, 2);
  tern_journal_add (journal, TERN_JOURNAL_DONE, "b", 8 << 3, 120, 3, NULL);
  tern_journal_mark (journal, "again", "yes");
  tern_journal_set_end (journal, 90);
  commit (journal);
  g_clear_pointer (&journal, tern_journal_free);

  journal = open_journal ();
  g_assert_cmpuint (tern_journal_count (journal, TERN_JOURNAL_DONE), ==, 2);
  g_assert_cmpuint (tern_journal_count (journal, TERN_JOURNAL_FAILED), ==, 0);
  g_assert_cmpstr (tern_journal_marked (journal, "again"), ==, "yes");
  g_assert_cmpuint (tern_journal_end (journal), ==, 90);
  g_unlink (path);
}

/* Where the words stand among the lines, in this run and as a later one reads them. */
static void
test_made_since (void)
{
  g_autoptr (TernJournal) journal = open_journal ();

  tern_journal_add (journal, TERN_JOURNAL_DONE, "a", 1 << 3, 10, 1, "a.txt");
  g_assert_cmpuint (tern_journal_made_since (journal, "word"), ==, 1);
  tern_journal_mark (journal, "word", "one");
  g_assert_cmpuint (tern_journal_made_since (journal, "word"), ==, 0);
  tern_journal_add (journal, TERN_JOURNAL_DONE, "b", 2 << 3, 20, 2, "b.txt");
  tern_journal_mark (journal, "other", "x");
  tern_journal_add (journal, TERN_JOURNAL_FAILED, "b", 3 << 3, 20, 2, "b: changed");    /* it was done all the same */
  tern_journal_add (journal, TERN_JOURNAL_DONE, "d", 5 << 3, 20, 2, NULL);      /* and nothing was made of it */
  tern_journal_add (journal, TERN_JOURNAL_DONE, "c", 4 << 3, 30, 3, "c.txt");
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpuint (tern_journal_made_since (journal, "word"), ==, 2);
    g_assert_cmpuint (tern_journal_made_since (journal, "other"), ==, 1);
    g_assert_cmpuint (tern_journal_made_since (journal, "never said"), ==, 3);
    commit (journal);
    g_clear_pointer (&journal, tern_journal_free);
    journal = open_journal ();
  }
  g_unlink (path);
}

static void
test_settings (void)
{
  static const char *const other[] = { "model", "n.gguf", "window", "4\ts\n", NULL };
  g_autoptr (TernJournal) journal = open_journal ();
  g_autoptr (GError) error = NULL;

  g_assert_null (tern_journal_open (path, settings, FALSE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_BUSY);
  g_clear_error (&error);
  g_clear_pointer (&journal, tern_journal_free);
  g_assert_null (tern_journal_open (path, other, FALSE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "model = m.gguf"));
  g_assert_nonnull (strstr (error->message, "found n.gguf"));
  g_clear_error (&error);
  journal = tern_journal_open (path, other, TRUE, &error);
  g_assert_no_error (error);
  g_clear_pointer (&journal, tern_journal_free);
  journal = tern_journal_open (path, other, FALSE, &error);     /* they are its own now */
  g_assert_no_error (error);
  g_unlink (path);
}

static void
test_other_files (void)
{
  static const char *const others[] = { "{\"version\":1}\n", "no end", "tern-journal 2\nmore\n" };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *kept = NULL;

    g_assert_true (g_file_set_contents (path, others[i], -1, NULL));
    g_assert_null (tern_journal_open (path, settings, FALSE, &error));
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_assert_true (g_file_get_contents (path, &kept, NULL, NULL));
    g_assert_cmpstr (kept, ==, others[i]);      /* it is somebody's */
  }
  g_unlink (path);
}

#define ENTRIES 6

/* How many of the first entries @journal knows; none of the later ones. */
static guint
count_known (const TernJournal *journal)
{
  guint known = 0;

  for (guint i = 0; i < ENTRIES; i++) {
    g_autofree char *name = nth_name (i);
    TernJournalStatus status = tern_journal_find (journal, name, (guint64) (i + 1) << 40 | i << 3);

    g_assert_true (status == TERN_JOURNAL_NEW || status == TERN_JOURNAL_DONE);
    if (status == TERN_JOURNAL_DONE) {
      g_assert_cmpuint (known, ==, i);
      known++;
    }
  }
  g_assert_cmpuint (tern_journal_end (journal), ==, known * 10);
  g_assert_cmpuint (tern_journal_results (journal), ==, known);
  return known;
}

/* Cut off at each byte, and with each byte spoilt: what stands before that line is known, what follows is done again. */
static void
test_torn (void)
{
  g_autofree char *whole = NULL;
  gsize size, first = 0;
  guint before = 0;

  {
    g_autoptr (TernJournal) journal = open_journal ();

    for (guint i = 0; i < ENTRIES; i++) {
      g_autofree char *name = nth_name (i);

      tern_journal_add (journal, TERN_JOURNAL_DONE, name, (guint64) (i + 1) << 40 | i << 3, (i + 1) * 10, i + 1, NULL);
    }
    commit (journal);
  }
  g_assert_true (g_file_get_contents (path, &whole, &size, NULL));
  first = strstr (whole, "\ndone") + 1 - whole;
  for (gsize cut = 0; cut <= size; cut++) {
    g_autoptr (TernJournal) journal = NULL;
    guint known;

    g_assert_true (g_file_set_contents (path, whole, cut, NULL));
    journal = open_journal ();
    known = count_known (journal);
    g_assert_cmpuint (known, >=, before);
    g_assert_cmpuint (known, <=, before + 1);
    before = known;
    /* It goes on from there. */
    tern_journal_add (journal, TERN_JOURNAL_DONE, "new", 0, known * 10, known, NULL);
    commit (journal);
    g_clear_pointer (&journal, tern_journal_free);
    journal = open_journal ();
    g_assert_cmpint (tern_journal_find (journal, "new", 0), ==, TERN_JOURNAL_DONE);
    g_assert_cmpuint (count_known (journal), ==, known);
  }
  g_assert_cmpuint (before, ==, ENTRIES);
  for (gsize i = first; i < size; i++) {
    g_autofree char *spoilt = g_memdup2 (whole, size);
    g_autoptr (TernJournal) journal = NULL;

    spoilt[i] ^= 0x15;
    g_assert_true (g_file_set_contents (path, spoilt, size, NULL));
    journal = open_journal ();
    g_assert_cmpuint (count_known (journal), <, ENTRIES);
  }
  g_unlink (path);
}

/* Why something failed is told by the next run, once, as long as nothing newer is known of it. */
static void
test_reasons (void)
{
  static const char *const names[] = { "a\xff\tb\n.jpg", "later done", "failed again", "whole" };
  g_autofree char *longest = g_strnfill (9000, 0xfe);   /* four letters a byte where it is written */
  TernJournal *journal = open_journal ();

  tern_journal_add (journal, TERN_JOURNAL_FAILED, names[0], 8, 0, 0, "tab\there, line\nthere: \377");
  tern_journal_add (journal, TERN_JOURNAL_FAILED, names[1], 8, 0, 0, "old");
  tern_journal_add (journal, TERN_JOURNAL_FAILED, names[2], 8, 0, 0, "first");
  tern_journal_add (journal, TERN_JOURNAL_FAILED, longest, 8, 0, 0, longest);
  tern_journal_add (journal, TERN_JOURNAL_DONE, names[1], 8, 0, 0, NULL);
  tern_journal_add (journal, TERN_JOURNAL_FAILED, names[2], 8, 0, 0, "second");
  tern_journal_add (journal, TERN_JOURNAL_DONE, names[3], 8, 0, 0, "whole.txt");
  g_assert_null (tern_journal_take_reason (journal, names[0]));         /* of this run: it knows */
  commit (journal);
  tern_journal_free (journal);

  journal = open_journal ();
  for (guint again = 0; again < 2; again++) {
    const char *const told[] = { "tab\there, line\nthere: \377", NULL, "second", NULL };

    for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
      g_autofree char *reason = tern_journal_take_reason (journal, names[i]);

      g_assert_cmpstr (reason, ==, again ? NULL : told[i]);
    }
  }
  {
    g_autofree char *reason = tern_journal_take_reason (journal, longest);

    g_assert_cmpstr (reason, ==, longest);
  }
  tern_journal_free (journal);
  g_unlink (path);
}

/* More than the table begins with. */
static void
test_many (void)
{
  guint64 n = 20000;

  for (guint round = 0; round < 2; round++) {
    g_autoptr (TernJournal) journal = open_journal ();

    for (guint i = 0; i < n; i++) {
      g_autofree char *name = g_strdup_printf ("%u.jpg", i);

      if (round == 0)
        tern_journal_add (journal, TERN_JOURNAL_DONE, name, i << 3, i, i, NULL);
      else
        g_assert_cmpint (tern_journal_find (journal, name, i << 3), ==, TERN_JOURNAL_DONE);
    }
    g_assert_cmpuint (tern_journal_count (journal, TERN_JOURNAL_DONE), ==, n);
    commit (journal);
  }
  g_unlink (path);
}

int
main (int argc, char **argv)
{
  g_autofree char *folder = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("tern-journal-XXXXXX", NULL);
  path = g_build_filename (folder, "journal", NULL);
  g_test_add_func ("/batch-journal/words", test_words);
  g_test_add_func ("/batch-journal/made-since", test_made_since);
  g_test_add_func ("/batch-journal/settings", test_settings);
  g_test_add_func ("/batch-journal/other-files", test_other_files);
  g_test_add_func ("/batch-journal/torn", test_torn);
  g_test_add_func ("/batch-journal/reasons", test_reasons);
  g_test_add_func ("/batch-journal/many", test_many);
  status = g_test_run ();
  g_rmdir (folder);
  g_free (path);
  return status;
}
