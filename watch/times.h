/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times as people write them: durations, moments, sizes, and hours of the week. All times are microseconds, moments since
 * 1970 UTC. Pure functions but for the first one, any thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What time it is: since 1970, which may be set at any time, for what people are told; and since some beginning, for how long
 * something takes. */
typedef struct {
  gint64 wall, monotonic;
} TernNow;

TernNow tern_watch_now (void);

/* "500ms", "4s", "10m", "2h", "30d", "4" (seconds); up to some thousand years. FALSE: nothing of the kind. */
gboolean tern_watch_parse_duration (const char *text, gint64 *us);
/* A duration, which is so long before @now, or ISO 8601 ("2026-11-29T10:00", "20261129T100000Z"), local without a zone;
 * a date alone is its first instant. */
gboolean tern_watch_parse_moment (const char *text, gint64 now, gint64 *us);
/* When the hour @hour (24: the next day) of the day that begins at @day, by local clocks, begins: between two hours there are
 * two hours, or none, where clocks are changed. */
gint64 tern_watch_hour (gint64 day, guint hour);
/* "4096", "500K", "10M", "2G", "1T": powers of 1024. */
gboolean tern_watch_parse_bytes (const char *text, guint64 *bytes);

/* "2026-11-29T10:00:00.250Z". */
char *tern_watch_utc (gint64 us);
/* The same in local time with its offset, for people: "2026-11-29 11:00:00". */
char *tern_watch_local (gint64 us);
/* How long, for people: "45 s", "2 min 10 s", "3 h 5 min", "2 d 4 h". */
char *tern_watch_length (gint64 us);

#define TERN_WEEK_MINUTES (7 * 24 * 60)

/* Which minutes of a week, Monday 00:00 first. */
typedef struct {
  guint8 bits[TERN_WEEK_MINUTES / 8];
} TernWeek;

/* "Mon-Fri 08:00-18:00; Sat,Sun 22:00-06:00": items with days (none: every day) and hours (none: all day). Hours whose
 * end is not after their start end on the next day. FALSE: *@wrong is the item that is none (transfer full). */
gboolean tern_week_parse (TernWeek *week, const char *text, char **wrong);
/* @us in the time zone of the machine. */
gboolean tern_week_has (const TernWeek *week, gint64 us);

G_END_DECLS
