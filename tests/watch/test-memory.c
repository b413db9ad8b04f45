/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The memory: what is put in is found, and forgotten when it is time; the spool; files that are none of ours. */
#include <string.h>
#include <sys/stat.h>

#include "tern/error.h"
#include "tests/watch/memory-place.h"
#include "watch/memory-priv.h"
#include "watch/search.h"
#include "watch/spool.h"
#include "watch/teller.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
#define NOON ((gint64) 1764417600 * G_USEC_PER_SEC)

static void
place_init (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  place_open (place, data);
  place->run = tern_memory_new_run (place->memory, NOON, &error);
  g_assert_no_error (error);
  g_assert_cmpint (place->run, >, 0);
}

static gint64
add (Place *place, TernMemoryResult result)
{
  g_autoptr (GError) error = NULL;
  gint64 id = 0;

  result.run = place->run;
  result.number = place->number++;
  result.camera = result.camera ? result.camera : "porch";
  result.kind = result.kind ? result.kind : "caption";
  result.end = result.start + 4 * SECOND;
  g_assert_true (tern_memory_begin (place->memory, &error) && tern_memory_add (place->memory, &result, &id, &error)
      && tern_memory_commit (place->memory, &error));
  g_assert_no_error (error);
  return id;
}

/* Ids of what is found, in its order: "3 1". */
static char *
find (Place *place, TernSearch search)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) hits = NULL;
  GString *ids = g_string_new (NULL);

  search.limit = search.limit ? search.limit : 20;
  hits = tern_search (place->memory, &search, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < hits->len; i++)
    g_string_append_printf (ids, "%s%d", i ? " " : "", (int) ((TernHit *) g_ptr_array_index (hits, i))->id);
  return g_string_free (ids, FALSE);
}

#define assert_found(place, expected, ...) G_STMT_START { \
  g_autofree char *found_ = find (place, (TernSearch) { __VA_ARGS__ }); \
  g_assert_cmpstr (found_, ==, expected); \
} G_STMT_END

static void
fill (Place *place)
{
  add (place, (TernMemoryResult) { .start = NOON, .text = "a red car drives past a car" });                          /* 1 */
  add (place, (TernMemoryResult) { .start = NOON + 4 * SECOND, .text = "two cars, one is red, in front of a house with a garden" });
  add (place, (TernMemoryResult) { .start = NOON + 8 * SECOND, .text = "a dog", .camera = "yard" });                 /* 3 */
  add (place, (TernMemoryResult) { .start = NOON + 12 * SECOND, .text = "a dog", .camera = "yard", .unchanged = TRUE });
  add (place, (TernMemoryResult) { .start = NOON + 16 * SECOND, .text = "a café closes", .label = "open door" });    /* 5 */
  add (place, (TernMemoryResult) { .start = NOON + 20 * SECOND, .text = "a dog of an error", .kind = "error" });
  add (place, (TernMemoryResult) { .start = NOON + 24 * SECOND, .text = "a parcel, \"fragile\"", .abstained = TRUE });
}

static void
test_search (Place *place, gconstpointer data)
{
  fill (place);
  assert_found (place, "1 2", .words = "red car");
  assert_found (place, "1 2", .words = "CARS");         /* other forms; the shorter and more often, the better */
  assert_found (place, "2 1", .words = "car", .order = TERN_SEARCH_TIME);
  assert_found (place, "3", .words = "dog");            /* not what is unchanged, nor an error */
  assert_found (place, "", .words = "dog car");
  assert_found (place, "3 1 2", .words = "dog car", .any = TRUE);       /* the rarer word weighs more */
  assert_found (place, "1 2", .words = "dog car", .any = TRUE, .camera = "porch");
  assert_found (place, "7", .words = "parc*");
  assert_found (place, "7", .words = "arcel");          /* inside a word */
  assert_found (place, "5", .words = "cafe");
  assert_found (place, "5", .words = "close");
  assert_found (place, "7 5 3 2 1", .words = NULL);
  assert_found (place, "7 5", .limit = 2);
  assert_found (place, "3", .camera = "yard");
  assert_found (place, "", .camera = "yar");
  assert_found (place, "", .words = "dog", .camera = "porch");
  assert_found (place, "5", .label = "open door");
  assert_found (place, "", .label = "open");
  assert_found (place, "7", .unsure = TRUE);
  assert_found (place, "7", .words = "parcel", .unsure = TRUE);
  g_assert_true (tern_memory_judge (place->memory, 7, TRUE, NULL));     /* somebody is sure now */
  assert_found (place, "", .unsure = TRUE);
  assert_found (place, "7", .words = "parcel");
  g_assert_cmpuint (tern_memory_count (place->memory, NULL, NOON, NOON + 16 * SECOND), ==, 3);
  g_assert_cmpuint (tern_memory_count (place->memory, "yard", NOON, NOON + 100 * SECOND), ==, 1);
  assert_found (place, "2", .words = "car", .since = NOON + SECOND);
  assert_found (place, "1", .words = "car", .until = NOON + 4 * SECOND);
}

/* What means something to FTS5 means nothing to us. */
static void
test_syntax (Place *place, gconstpointer data)
{
  static const char *const words[] = { "\"", "\"a", "a\"b\"c", "*", "a**", "(", "NEAR(a b)", "a AND", "OR", "NOT a", "-a", "a:b",
    "tags:c706f7263680", "text:car", "^car", "{text}:car", "a+b", "'; DROP TABLE result; --", "\\", "%", "_", "\xc2\xa0\x61" };
  g_autoptr (GError) error = NULL;
  TernSearch bad = { .words = "\xff", .limit = 1 };

  fill (place);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint order = 0; order < 2; order++) {
      TernSearch search = { .words = words[i], .limit = 20, .order = (TernSearchOrder) order };
      g_autoptr (GPtrArray) hits = NULL;
      g_autoptr (GError) none = NULL;

      hits = tern_search (place->memory, &search, &none);
      if (!hits && !g_error_matches (none, TERN_ERROR, TERN_ERROR_INVALID))
        g_error ("`%s`: %s", words[i], none->message);
    }
  assert_found (place, "", .words = "tags:c706f7263680");
  assert_found (place, "7", .words = "\"fragile\"");
  g_assert_null (tern_search (place->memory, &bad, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
}

/* A hit lasts as long as nothing new came after it. */
static void
test_until (Place *place, gconstpointer data)
{
  TernSearch search = { .words = "dog", .limit = 5 };
  g_autoptr (GPtrArray) hits = NULL;
  const TernHit *hit;
  g_autofree char *json = NULL, *line = NULL;

  fill (place);
  hits = tern_search (place->memory, &search, NULL);
  hit = g_ptr_array_index (hits, 0);
  g_assert_cmpint (hit->until, ==, NOON + 16 * SECOND);
  json = tern_hit_json (hit);
  g_assert_cmpstr (json, ==, "{\"id\":3,\"camera\":\"yard\",\"start\":\"2025-11-29T12:00:08.000Z\",\"end\":"
      "\"2025-11-29T12:00:12.000Z\",\"until\":\"2025-11-29T12:00:16.000Z\",\"text\":\"a dog\",\"confidence\":0.0,"
      "\"abstained\":false}");
  line = tern_hit_line (hit);
  g_assert_cmpstr (line, ==, "2025-11-29 12:00:08  yard  a dog");
}

static void
test_thumbnails (Place *place, gconstpointer data)
{
  g_autoptr (GBytes) jpeg = g_bytes_new_static ("\xff\xd8\0x", 4);
  gint64 id = add (place, (TernMemoryResult) { .start = NOON, .text = "a", .thumbnail = jpeg });
  gint64 without = add (place, (TernMemoryResult) { .start = NOON, .text = "a" });
  g_autoptr (GBytes) found = tern_memory_thumbnail (place->memory, id, NULL);
  guint n;

  g_assert_true (g_bytes_equal (found, jpeg));
  g_assert_null (tern_memory_thumbnail (place->memory, without, NULL));
  g_assert_true (tern_memory_forget (place->memory, NOON + 10 * SECOND, G_MAXUINT64, 100, &n, NULL) && n == 2);
  g_assert_null (tern_memory_thumbnail (place->memory, id, NULL));
}

static void
test_once (Place *place, gconstpointer data)
{
  TernMemoryResult result = { .run = place->run, .camera = "porch", .number = 7, .kind = "caption", .text = "a" };
  g_autoptr (GError) error = NULL;
  gint64 id;

  g_assert_true (tern_memory_add (place->memory, &result, &id, NULL));
  g_assert_false (tern_memory_add (place->memory, &result, &id, &error));
  g_assert_nonnull (error);
  result.camera = "yard";
  g_assert_true (tern_memory_add (place->memory, &result, &id, NULL));
}

static gint64
file_size (const char *path)
{
  struct stat st;

  g_assert_cmpint (stat (path, &st), ==, 0);
  return st.st_size;
}

/* By age and by bytes, the words with the rest; and the file becomes smaller. */
static void
test_forget (Place *place, gconstpointer data)
{
  g_autofree char *noise = g_malloc0 (20000);
  g_autoptr (GBytes) jpeg = g_bytes_new (noise, 20000);
  g_autoptr (GError) error = NULL;
  guint n;

  for (guint i = 0; i < 200; i++) {
    g_autofree char *text = g_strdup_printf ("number%u of many", i);

    add (place, (TernMemoryResult) { .start = NOON + i * 4 * SECOND, .text = text, .thumbnail = jpeg, .unchanged = i % 10 == 1 });
  }
  assert_found (place, "1", .words = "number0");
  g_assert_true (tern_memory_forget (place->memory, NOON + 40 * SECOND, G_MAXUINT64, 5, &n, &error) && n == 5);
  g_assert_true (tern_memory_forget (place->memory, NOON + 40 * SECOND, G_MAXUINT64, 100, &n, &error) && n == 4);
  g_assert_true (tern_memory_forget (place->memory, NOON + 40 * SECOND, G_MAXUINT64, 100, &n, &error) && n == 0);
  assert_found (place, "", .words = "number0");
  assert_found (place, "", .words = "umber0");
  assert_found (place, "11", .words = "number10");
  g_assert_true (tern_memory_forget (place->memory, 0, 1 << 20, 1000, &n, &error) && n > 100);
  g_assert_no_error (error);
  g_assert_cmpint (sqlite3_wal_checkpoint_v2 (place->memory->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), ==, SQLITE_OK);
  g_assert_cmpint (file_size (place->path), <, 3 << 19);
  assert_found (place, "200", .words = "number199");
  assert_found (place, "", .words = "number10");
  /* The indices of words agree with what they are of. */
  g_assert_cmpint (sqlite3_exec (place->memory->db, "INSERT INTO words (words, rank) VALUES ('integrity-check', 1);"
          "INSERT INTO pieces (pieces, rank) VALUES ('integrity-check', 1)", NULL, NULL, NULL), ==, SQLITE_OK);
}

/* What is not committed is not there, and a process that writes does not disturb one that reads. */
static void
test_transactions (Place *place, gconstpointer data)
{
  TernMemoryResult result = { .run = place->run, .camera = "porch", .kind = "caption", .text = "a cat" };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernWatchMemory) reader = tern_memory_open (place->path, TERN_MEMORY_READ, &error);
  g_autoptr (GPtrArray) hits = NULL;
  TernSearch search = { .words = "cat", .limit = 5 };
  gint64 id;

  g_assert_no_error (error);
  g_assert_true (tern_memory_begin (place->memory, NULL) && tern_memory_add (place->memory, &result, &id, NULL)
      && tern_memory_put (place->memory, "rules", "x", NULL) && tern_spool_add (place->memory, "mqtt", "t", "{}", TRUE, NULL));
  hits = tern_search (reader, &search, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (hits->len, ==, 0);
  tern_memory_rollback (place->memory);
  assert_found (place, "", .words = "cat");
  g_assert_null (tern_memory_get (place->memory, "rules", NULL));
}

static void
test_notes (Place *place, gconstpointer data)
{
  g_autofree char *text = NULL;

  g_assert_null (tern_memory_get (place->memory, "rules", NULL));
  g_assert_true (tern_memory_put (place->memory, "rules", "one", NULL));
  g_assert_true (tern_memory_put (place->memory, "rules", "two", NULL));
  text = tern_memory_get (place->memory, "rules", NULL);
  g_assert_cmpstr (text, ==, "two");
  g_assert_true (tern_memory_put (place->memory, "rules", NULL, NULL));
  g_assert_null (tern_memory_get (place->memory, "rules", NULL));
}

static void
test_files (Place *place, gconstpointer data)
{
  g_autofree char *other = g_build_filename (place->folder, "other", NULL);
  g_autofree char *gone = g_build_filename (place->folder, "no", "m.db", NULL);
  g_autofree char *foreign = g_build_filename (place->folder, "foreign", NULL);
  g_autoptr (GError) error = NULL, locked = NULL;
  struct stat st;
  sqlite3 *db;

  g_assert_true (stat (place->path, &st) == 0 && (st.st_mode & 0777) == 0600);
  g_assert_null (tern_memory_open (gone, TERN_MEMORY_READ, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (tern_memory_open (gone, TERN_MEMORY_WRITE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (g_file_set_contents (other, "this is no database, but text of some length, so that nothing is guessed", -1, NULL));
  g_assert_null (tern_memory_open (other, TERN_MEMORY_WRITE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_clear_error (&error);
  g_assert_cmpint (sqlite3_open (foreign, &db), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (db, "CREATE TABLE t (a)", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (db);
  g_assert_null (tern_memory_open (foreign, TERN_MEMORY_WRITE, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
  g_clear_error (&error);
  g_assert_true (tern_memory_lock (place->path, &error));
  g_assert_false (tern_memory_lock (place->path, &locked));
  g_assert_error (locked, TERN_ERROR, TERN_ERROR_BUSY);
}

/* ---- The spool ---- */

static char *
all_of (Place *place, const char *sink)
{
  GString *payloads = g_string_new (NULL);
  TernSpoolEntry entry;

  while (tern_spool_first (place->memory, sink, &entry, NULL) && entry.id) {
    g_string_append (payloads, entry.payload);
    g_assert_true (tern_spool_done (place->memory, entry.id, NULL));
    tern_spool_entry_clear (&entry);
  }
  return g_string_free (payloads, FALSE);
}

static void
test_spool (Place *place, gconstpointer data)
{
  g_autofree char *a = NULL, *b = NULL, *message = NULL, *expected = NULL;
  g_auto (GStrv) names = NULL;
  TernSpoolEntry entry;

  for (guint i = 0; i < 3; i++) {
    g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);

    g_assert_true (tern_spool_add (place->memory, "a", "porch/result", payload, FALSE, NULL));
    g_assert_true (tern_spool_add (place->memory, "b", "porch/person", payload, TRUE, NULL));
  }
  names = tern_spool_sinks (place->memory, NULL);
  g_assert_cmpuint (g_strv_length (names), ==, 2);
  g_assert_true (tern_spool_first (place->memory, "a", &entry, NULL));
  g_assert_cmpstr (entry.topic, ==, "porch/result");
  message = tern_spool_message (&entry);
  expected = g_strdup_printf ("{\"id\":%" G_GINT64_FORMAT ",\"n\":0}", entry.id);
  g_assert_cmpstr (message, ==, expected);
  tern_spool_entry_clear (&entry);
  a = all_of (place, "a");
  g_assert_cmpstr (a, ==, "{\"n\":0}{\"n\":1}{\"n\":2}");
  g_assert_true (tern_spool_drop (place->memory, "b", NULL));
  b = all_of (place, "b");
  g_assert_cmpstr (b, ==, "");
}

/* Alerts stay longest, and of the same kind what is new. */
static void
test_trim (Place *place, gconstpointer data)
{
  g_autofree char *left = NULL;
  guint n;

  for (guint i = 0; i < 6; i++) {
    g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);

    g_assert_true (tern_spool_add (place->memory, "a", "t", payload, i < 2, NULL));
  }
  g_assert_true (tern_spool_trim (place->memory, "a", 6 * 71, &n, NULL) && n == 0);
  g_assert_true (tern_spool_trim (place->memory, "a", 4 * 71, &n, NULL) && n == 2);
  left = all_of (place, "a");
  g_assert_cmpstr (left, ==, "{\"n\":0}{\"n\":1}{\"n\":4}{\"n\":5}");
}

/* ---- JSON lines ---- */

static void
say (gpointer data, const char *what)
{
  g_test_message ("%s", what);
}

static const TernTellerFuncs funcs = { say, NULL };

static void
tell_all (Place *place, const TernSinkConfig *sink)
{
  g_autoptr (GError) error = NULL;
  TernTeller *teller = tern_teller_new (sink, place->memory, &funcs, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (tern_teller_is_idle (teller));
  tern_teller_free (teller);
}

/* A line that is there is not written again, and one that was cut off is whole again: as after a kill at any point. */
static void
test_lines (Place *place, gconstpointer data)
{
  g_autofree char *path = g_build_filename (place->folder, "log", NULL);
  TernSinkConfig sink = { .name = (char *) "lines x", .kind = TERN_SINK_LINES, .path = path };
  g_autofree char *whole = NULL;
  TernSpoolEntry entries[3];
  gsize len;

  for (guint i = 0; i < 3; i++) {
    g_autofree char *long_text = g_strnfill (5000, 'a');
    g_autofree char *payload = g_strdup_printf ("{\"n\":%u,\"t\":\"%s\"}", i, long_text);

    g_assert_true (tern_spool_add (place->memory, "lines x", "t", payload, FALSE, NULL));
    g_assert_true (tern_spool_first (place->memory, "lines x", &entries[i], NULL));
    tell_all (place, &sink);
  }
  g_assert_true (g_file_get_contents (path, &whole, &len, NULL));
  for (gsize cut = 0; cut <= len; cut += cut < 10 || len - cut < 10 || (cut % 5000 > 4900) ? 1 : 997) {
    g_autofree char *again = NULL;

    /* All that is not in the file as a whole line is still in the spool; of the last whole one nobody knows. */
    g_assert_true (g_file_set_contents (path, whole, (gssize) cut, NULL));
    for (guint i = 0, from = 0; i < 3; i++) {
      guint end = from + (guint) strcspn (whole + from, "\n") + 1;
      gboolean last = cut >= end && (i == 2 || cut < end + strcspn (whole + end, "\n") + 1);

      if (cut < end || last) {
        g_autofree char *sql = g_strdup_printf ("INSERT INTO spool (id, sink, topic, payload, alert) VALUES (%"
            G_GINT64_FORMAT ", 'lines x', 't', '%s', 0)", entries[i].id, entries[i].payload);

        g_assert_cmpint (sqlite3_exec (place->memory->db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
      }
      from = end;
    }
    tell_all (place, &sink);
    g_assert_true (g_file_get_contents (path, &again, NULL, NULL));
    if (strcmp (again, whole) != 0)
      g_error ("cut at %" G_GSIZE_FORMAT ": %" G_GSIZE_FORMAT " bytes, expected %" G_GSIZE_FORMAT, cut, strlen (again), len);
  }
  for (guint i = 0; i < 3; i++)
    tern_spool_entry_clear (&entries[i]);
}

/* The file goes to another memory, and back: ids say nothing then, and neither does the end of the file. */
static void
test_lines_shared (Place *place, gconstpointer data)
{
  static const char *const ends[] = { "{\"id\":9000000000000000,\"n\":7}\n", "{\"id\":2,\"n\":0}\n", "[1]\n", "\n" };
  g_autofree char *path = g_build_filename (place->folder, "log", NULL);
  TernSinkConfig sink = { .name = (char *) "lines x", .kind = TERN_SINK_LINES, .path = path };

  for (guint i = 0; i < G_N_ELEMENTS (ends); i++) {
    g_autofree char *text = NULL, *first = NULL, *expected = NULL;
    TernSpoolEntry entry;

    g_assert_true (tern_spool_add (place->memory, "lines x", "t", "{\"n\":0}", FALSE, NULL));
    g_assert_true (tern_spool_first (place->memory, "lines x", &entry, NULL));
    first = tern_spool_message (&entry);
    tern_spool_entry_clear (&entry);
    g_assert_true (g_file_set_contents (path, ends[i], -1, NULL));
    tell_all (place, &sink);
    expected = g_strconcat (ends[i], first, "\n", NULL);
    g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
    g_assert_cmpstr (text, ==, expected);
  }
}

static void
test_lines_fail (Place *place, gconstpointer data)
{
  g_autofree char *path = g_build_filename (place->folder, "no", "log", NULL);
  TernSinkConfig sink = { .name = (char *) "lines x", .kind = TERN_SINK_LINES, .path = path };
  TernSinkConfig full = { .name = (char *) "lines y", .kind = TERN_SINK_LINES, .path = (char *) "/dev/full" };
  g_autoptr (GError) error = NULL;
  TernTeller *teller;

  g_assert_null (tern_teller_new (&sink, place->memory, &funcs, NULL, &error));
  g_assert_error (error, TERN_ERROR, TERN_ERROR_READ);
  g_assert_true (tern_spool_add (place->memory, "lines y", "t", "{\"n\":1}", FALSE, NULL));
  teller = tern_teller_new (&full, place->memory, &funcs, NULL, NULL);
  g_assert_nonnull (teller);
  g_assert_false (tern_teller_is_idle (teller));        /* it waits */
  tern_teller_free (teller);
}

/* How long searches take: `test-watch-memory -m perf -p /watch/memory/speed`, with TERN_WATCH_MEMORY=FILE, of
 * tests/watch/fill-memory.py. */
static void
test_speed (void)
{
  static const char *const words[] = { "man", "parcel42", "red car", "man wall", "two dogs bench", "arcel42", "wal*", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernWatchMemory) memory = NULL;

  if (!g_test_perf () || !g_getenv ("TERN_WATCH_MEMORY")) {
    g_test_skip ("measures: with -m perf and TERN_WATCH_MEMORY=FILE");
    return;
  }
  memory = tern_memory_open (g_getenv ("TERN_WATCH_MEMORY"), TERN_MEMORY_READ, &error);
  g_assert_no_error (error);
  for (guint i = 0; i <= 3 * G_N_ELEMENTS (words); i++) {
    gboolean unsure = i == 3 * G_N_ELEMENTS (words);
    TernSearch search = { .words = unsure ? NULL : words[i / 3], .camera = i % 3 == 1 ? "cam3" : NULL, .limit = 20,
      .order = i % 3 == 2 || unsure ? TERN_SEARCH_TIME : TERN_SEARCH_RANK, .unsure = unsure };
    double best = G_MAXDOUBLE;
    guint hits = 0;

    for (guint turn = 0; turn < 7; turn++) {
      gint64 began = g_get_monotonic_time ();
      g_autoptr (GPtrArray) found = tern_search (memory, &search, NULL);

      best = MIN (best, (double) (g_get_monotonic_time () - began) / 1000);
      hits = found->len;
    }
    g_test_minimized_result (best, "%-16s%-10s%-8s %3u hits  %6.1f ms",
        unsure ? "(unsure)" : search.words ? search.words : "(anything)",
        search.camera ? "of cam3" : "", search.order == TERN_SEARCH_TIME ? "newest" : "best", hits, best);
  }
}

int
main (int argc, char **argv)
{
  g_setenv ("TZ", "UTC", TRUE);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add (name, Place, NULL, place_init, func, place_clear)
  ADD ("/watch/memory/search", test_search);
  ADD ("/watch/memory/syntax", test_syntax);
  ADD ("/watch/memory/until", test_until);
  ADD ("/watch/memory/thumbnails", test_thumbnails);
  ADD ("/watch/memory/once", test_once);
  ADD ("/watch/memory/forget", test_forget);
  ADD ("/watch/memory/transactions", test_transactions);
  ADD ("/watch/memory/notes", test_notes);
  ADD ("/watch/memory/files", test_files);
  ADD ("/watch/spool", test_spool);
  ADD ("/watch/spool/trim", test_trim);
  ADD ("/watch/lines", test_lines);
  ADD ("/watch/lines/shared", test_lines_shared);
  ADD ("/watch/lines/fail", test_lines_fail);
  g_test_add_func ("/watch/memory/speed", test_speed);
  return g_test_run ();
}
