/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/search.h"

#include <string.h>

#include "tern/error.h"
#include "engine/base/json.h"
#include "watch/memory-priv.h"
#include "watch/times.h"

/* ---- What is searched for, in the words of FTS5 ---- */

/* Users' words mean themselves: each stands in quotes. */
static void
put_quoted (GString *out, const char *word, gsize len)
{
  g_string_append_c (out, '"');
  for (gsize i = 0; i < len; i++) {
    if (word[i] == '"')
      g_string_append_c (out, '"');
    g_string_append_c (out, word[i]);
  }
  g_string_append_c (out, '"');
}

/* Whether the tokenizer finds anything in it. */
static gboolean
has_letters (const char *word)
{
  for (const char *p = word; *p; p = g_utf8_next_char (p))
    if (g_unichar_isalnum (g_utf8_get_char (p)))
      return TRUE;
  return FALSE;
}

static void
put_tag (GString *match, char kind, const char *name)
{
  g_autofree char *tag = tern_memory_tag (kind, name);

  g_string_append_printf (match, "%stags : %s", match->len ? " AND " : "", tag);
}

/* Words and tags; NULL: neither. */
static char *
match_words (const TernSearch *search, char **words)
{
  g_autoptr (GString) match = g_string_new (NULL);

  for (guint i = 0; words[i]; i++) {
    gsize len = strlen (words[i]);
    gboolean begins = len > 1 && words[i][len - 1] == '*';

    g_string_append (match, i == 0 ? "text : (" : search->any ? " OR " : " AND ");
    put_quoted (match, words[i], begins ? len - 1 : len);
    if (begins)
      g_string_append (match, " *");
  }
  if (match->len)
    g_string_append_c (match, ')');
  else if (!search->label)
    return NULL;
  if (search->camera)
    put_tag (match, 'c', search->camera);
  if (search->label)
    put_tag (match, 'l', search->label);
  return g_string_free (g_steal_pointer (&match), FALSE);
}

/* Anywhere in the text, three characters at least; NULL: one is too short. */
static char *
match_pieces (const TernSearch *search, char **words)
{
  g_autoptr (GString) match = g_string_new (NULL);

  for (guint i = 0; words[i]; i++) {
    gsize len = strlen (words[i]);

    if (len > 1 && words[i][len - 1] == '*')
      len--;
    if (g_utf8_strlen (words[i], (gssize) len) < 3)
      return NULL;
    if (i)
      g_string_append (match, search->any ? " OR " : " AND ");
    put_quoted (match, words[i], len);
  }
  return match->len ? g_string_free (g_steal_pointer (&match), FALSE) : NULL;
}

/* ---- Statements ---- */

#define COLUMNS "r.id, r.camera, r.start, r.end, coalesce ((SELECT max (u.end) FROM result u WHERE u.camera = r.camera" \
    " AND u.fresh = 0 AND u.kind <> 'error' AND u.id > r.id AND u.id < coalesce ((SELECT min (f.id) FROM result f" \
    " WHERE f.camera = r.camera AND f.fresh = 1 AND f.id > r.id), 9223372036854775807)), r.end), r.text, r.label, r.scores," \
    " r.confidence, r.abstained"
#define FILTERS " r.fresh = 1 AND (?2 IS NULL OR r.camera = ?2) AND (?3 IS NULL OR r.label = ?3) AND r.start >= ?4" \
    " AND r.start < ?5 AND (?6 = 0 OR (r.abstained = 1 AND r.verdict IS NULL))"
/* What has a common word is a large part of everything: the newest are looked at, and the best of them shown. */
#define RANKED(table) "SELECT " COLUMNS " FROM (SELECT " table ".rowid AS id, bm25 (" table ") AS score FROM " table \
    " JOIN result r ON r.id = " table ".rowid WHERE " table " MATCH ?1 AND" FILTERS " ORDER BY " table ".rowid DESC" \
    " LIMIT " G_STRINGIFY (TERN_SEARCH_CANDIDATES) ") AS best JOIN result r ON r.id = best.id" \
    " ORDER BY best.score, r.id DESC LIMIT ?7"
#define NEWEST(table) "SELECT " COLUMNS " FROM " table " JOIN result r ON r.id = " table ".rowid WHERE " table \
    " MATCH ?1 AND" FILTERS " ORDER BY " table ".rowid DESC LIMIT ?7"
#define ANYTHING "SELECT " COLUMNS " FROM result r WHERE ?1 IS NULL AND" FILTERS " ORDER BY r.start DESC LIMIT ?7"
/* Left to itself SQLite goes through all that is of the time. */
#define UNSURE "SELECT " COLUMNS " FROM result r INDEXED BY result_unsure WHERE ?1 IS NULL AND r.abstained = 1 AND r.verdict IS NULL" \
    " AND" FILTERS " ORDER BY r.id DESC LIMIT ?7"

static void
hit_free (gpointer data)
{
  TernHit *hit = data;

  g_free (hit->camera);
  g_free (hit->text);
  g_free (hit->label);
  g_free (hit->scores);
  g_free (hit);
}

static TernHit *
read_hit (sqlite3_stmt *statement)
{
  TernHit *hit = g_new0 (TernHit, 1);

  hit->id = sqlite3_column_int64 (statement, 0);
  hit->camera = tern_memory_column_text (statement, 1);
  hit->start = sqlite3_column_int64 (statement, 2);
  hit->end = sqlite3_column_int64 (statement, 3);
  hit->until = sqlite3_column_int64 (statement, 4);
  hit->text = tern_memory_column_text (statement, 5);
  hit->label = tern_memory_column_text (statement, 6);
  hit->scores = tern_memory_column_text (statement, 7);
  hit->confidence = sqlite3_column_double (statement, 8);
  hit->abstained = sqlite3_column_int (statement, 9);
  return hit;
}

static gboolean
find (TernWatchMemory *memory, const char *sql, const char *match, const TernSearch *search, GPtrArray *hits, GError **error)
{
  sqlite3_stmt *statement = tern_memory_prepare (memory, sql, error);
  int rc;

  if (!statement)
    return FALSE;
  tern_memory_bind_text (statement, 1, match);
  tern_memory_bind_text (statement, 2, search->camera);
  tern_memory_bind_text (statement, 3, search->label);
  sqlite3_bind_int64 (statement, 4, search->since);
  sqlite3_bind_int64 (statement, 5, search->until ? search->until : G_MAXINT64);
  sqlite3_bind_int (statement, 6, search->unsure != 0);
  sqlite3_bind_int (statement, 7, (int) search->limit);
  while ((rc = tern_memory_step (statement)) == SQLITE_ROW)
    g_ptr_array_add (hits, read_hit (statement));
  return tern_memory_end (memory, statement, rc, error);
}

static gboolean
find_words (TernWatchMemory *memory, const TernSearch *search, char **words, GPtrArray *hits, GError **error)
{
  gboolean ranked = search->order == TERN_SEARCH_RANK;
  g_autofree char *match = match_words (search, words);
  g_autofree char *pieces = NULL;

  if (!match)
    return find (memory, search->unsure ? UNSURE : ANYTHING, NULL, search, hits, error);
  if (!find (memory, ranked && words[0] ? RANKED ("words") : NEWEST ("words"), match, search, hits, error))
    return FALSE;
  if (hits->len)
    return TRUE;
  pieces = match_pieces (search, words);
  return !pieces || find (memory, ranked ? RANKED ("pieces") : NEWEST ("pieces"), pieces, search, hits, error);
}

GPtrArray *
tern_search (TernWatchMemory *memory, const TernSearch *search, GError **error)
{
  g_autoptr (GPtrArray) hits = g_ptr_array_new_with_free_func (hit_free);
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  g_auto (GStrv) parts = NULL;

  if (search->words && !g_utf8_validate (search->words, -1, NULL)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "words: expected UTF-8, found other bytes");
    return NULL;
  }
  parts = g_strsplit_set (search->words ? search->words : "", " \t\r\n\f\v", -1);
  for (guint i = 0; parts[i]; i++)
    if (has_letters (parts[i]))
      g_ptr_array_add (words, parts[i]);
  if (words->len == 0 && search->words && *search->words) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected words with letters or digits, found %s", search->words);
    return NULL;
  }
  g_ptr_array_add (words, NULL);
  return find_words (memory, search, (char **) words->pdata, hits, error) ? g_steal_pointer (&hits) : NULL;
}

/* ---- Showing ---- */

/* Scores are JSON already. */
char *
tern_hit_json (const TernHit *hit)
{
  g_autofree char *start = tern_watch_utc (hit->start);
  g_autofree char *end = tern_watch_utc (hit->end);
  g_autofree char *until = tern_watch_utc (hit->until);
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  tern_json_name (&json, "id");
  tern_json_int (&json, hit->id);
  tern_json_name (&json, "camera");
  tern_json_text (&json, hit->camera, -1);
  tern_json_name (&json, "start");
  tern_json_text (&json, start, -1);
  tern_json_name (&json, "end");
  tern_json_text (&json, end, -1);
  tern_json_name (&json, "until");
  tern_json_text (&json, until, -1);
  tern_json_name (&json, "text");
  tern_json_text (&json, hit->text, -1);
  if (hit->label) {
    tern_json_name (&json, "label");
    tern_json_text (&json, hit->label, -1);
  }
  tern_json_name (&json, "confidence");
  tern_json_double (&json, hit->confidence, 6);
  tern_json_name (&json, "abstained");
  tern_json_bool (&json, hit->abstained);
  tern_json_close (&json, '}');
  if (hit->scores) {
    g_string_truncate (json.out, json.out->len - 1);
    g_string_append_printf (json.out, ",\"scores\":%s}", hit->scores);
  }
  return g_string_free (json.out, FALSE);
}

char *
tern_hit_line (const TernHit *hit)
{
  g_autofree char *start = tern_watch_local (hit->start);
  g_autofree char *text = g_strdelimit (g_strdup (hit->text), "\r\n\t", ' ');

  return g_strdup_printf ("%s  %s  %s%s", start, hit->camera, text, hit->abstained ? " (not sure)" : "");
}
