/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/times.h"

#include <string.h>

#define DAY_MINUTES (24 * 60)

static const char *const days[] = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" };

TernNow
tern_watch_now (void)
{
  return (TernNow) { g_get_real_time (), g_get_monotonic_time () };
}

/* A decimal number at the start of @text; *@rest is what follows it. */
static gboolean
parse_number (const char *text, double *number, const char **rest)
{
  char *end;

  if (!g_ascii_isdigit (*text))
    return FALSE;
  *number = g_ascii_strtod (text, &end);
  *rest = end;
  return *number < 1e15;
}

gboolean
tern_watch_parse_duration (const char *text, gint64 *us)
{
  static const struct {
    const char *unit;
    double seconds;
  } units[] = { { "", 1 }, { "ms", 1e-3 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
  const char *rest;
  double number;

  if (!parse_number (text, &number, &rest))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (strcmp (rest, units[i].unit) == 0 && number * units[i].seconds < 1e11) {
      *us = (gint64) (number * units[i].seconds * 1e6 + 0.5);
      return TRUE;
    }
  return FALSE;
}

/* @text with the seconds that GLib wants: "2026-11-29", "2026-11-29T10:00Z". */
static char *
add_seconds (const char *text)
{
  const char *clock = strpbrk (text, "Tt ");
  const char *after = clock && strlen (clock) > 5 && clock[3] == ':' ? clock + 6 : NULL;

  if (!clock)
    return g_strconcat (text, "T00:00:00", NULL);
  if (!after || *after == ':')
    return g_strdup (text);
  return g_strdup_printf ("%.*s:00%s", (int) (after - text), text, after);
}

gboolean
tern_watch_parse_moment (const char *text, gint64 now, gint64 *us)
{
  g_autoptr (GTimeZone) local = g_time_zone_new_local ();
  g_autoptr (GDateTime) time = NULL;
  g_autofree char *whole = NULL;
  gint64 before;

  if (tern_watch_parse_duration (text, &before)) {
    *us = now - before;
    return TRUE;
  }
  whole = add_seconds (text);
  time = g_date_time_new_from_iso8601 (whole, local);
  if (!time)
    return FALSE;
  *us = g_date_time_to_unix (time) * G_USEC_PER_SEC + g_date_time_get_microsecond (time);
  return TRUE;
}

gint64
tern_watch_hour (gint64 day, guint hour)
{
  g_autoptr (GDateTime) begin = g_date_time_new_from_unix_local (day / G_USEC_PER_SEC);
  g_autoptr (GDateTime) date = g_date_time_add_days (begin, (gint) hour / 24);
  g_autoptr (GDateTime) time = g_date_time_new_local (g_date_time_get_year (date), g_date_time_get_month (date),
      g_date_time_get_day_of_month (date), (gint) hour % 24, 0, 0);
  g_autoptr (GDateTime) before = g_date_time_add_hours (time, -1);
  /* An hour that there is twice begins with the first of the two. */
  gboolean twice = g_date_time_get_hour (before) == g_date_time_get_hour (time);

  return g_date_time_to_unix (twice ? before : time) * G_USEC_PER_SEC;
}

gboolean
tern_watch_parse_bytes (const char *text, guint64 *bytes)
{
  static const char units[] = "KMGT";
  const char *rest, *unit;
  double number;

  if (!parse_number (text, &number, &rest))
    return FALSE;
  if (*rest) {
    unit = strchr (units, *rest);
    if (!unit || rest[1])
      return FALSE;
    number *= (double) ((guint64) 1 << (10 * (unit - units + 1)));
  }
  if (number > 1e18)
    return FALSE;
  *bytes = (guint64) number;
  return TRUE;
}

char *
tern_watch_utc (gint64 us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (us / G_USEC_PER_SEC);
  g_autofree char *text = time ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%S") : g_strdup ("?");

  return g_strdup_printf ("%s.%03dZ", text, (int) (us % G_USEC_PER_SEC / 1000));
}

char *
tern_watch_local (gint64 us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (us / G_USEC_PER_SEC);

  return time ? g_date_time_format (time, "%Y-%m-%d %H:%M:%S") : g_strdup ("?");
}

char *
tern_watch_length (gint64 us)
{
  static const struct { const char *name; gint64 seconds; } units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
  gint64 seconds = (us + G_USEC_PER_SEC / 2) / G_USEC_PER_SEC;
  guint i = 0;

  while (i + 1 < G_N_ELEMENTS (units) && seconds < units[i].seconds)
    i++;
  if (i + 1 == G_N_ELEMENTS (units) || seconds % units[i].seconds < units[i + 1].seconds)
    return g_strdup_printf ("%" G_GINT64_FORMAT " %s", seconds / units[i].seconds, units[i].name);
  return g_strdup_printf ("%" G_GINT64_FORMAT " %s %" G_GINT64_FORMAT " %s", seconds / units[i].seconds, units[i].name,
      seconds % units[i].seconds / units[i + 1].seconds, units[i + 1].name);
}

/* ---- Hours of the week ---- */

static void
set_minutes (TernWeek *week, guint from, guint n)
{
  for (guint i = 0; i < n; i++) {
    guint minute = (from + i) % TERN_WEEK_MINUTES;

    week->bits[minute / 8] |= (guint8) (1 << minute % 8);
  }
}

static int
parse_day (const char *text)
{
  for (guint i = 0; i < G_N_ELEMENTS (days); i++)
    if (g_ascii_strcasecmp (text, days[i]) == 0)
      return (int) i;
  return -1;
}

/* "Mon-Fri,Sun": a bit a day. */
static gboolean
parse_days (const char *text, guint *mask)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  *mask = 0;
  for (guint i = 0; parts[i]; i++) {
    g_auto (GStrv) ends = g_strsplit (parts[i], "-", 2);
    int first = ends[0] ? parse_day (ends[0]) : -1;
    int last = ends[0] && ends[1] ? parse_day (ends[1]) : first;

    if (first < 0 || last < 0)
      return FALSE;
    for (int day = first;; day = (day + 1) % 7) {
      *mask |= 1u << day;
      if (day == last)
        break;
    }
  }
  return *mask != 0;
}

static gboolean
parse_clock (const char *text, guint *minute)
{
  if (strlen (text) != 5 || text[2] != ':' || !g_ascii_isdigit (text[0]) || !g_ascii_isdigit (text[1])
      || !g_ascii_isdigit (text[3]) || !g_ascii_isdigit (text[4]))
    return FALSE;
  *minute = (guint) (((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 + text[4] - '0');
  return *minute <= DAY_MINUTES && text[3] < '6';
}

static gboolean
parse_hours (const char *text, guint *from, guint *n)
{
  g_auto (GStrv) ends = g_strsplit (text, "-", 2);
  guint to;

  if (!ends[0] || !ends[1] || !parse_clock (ends[0], from) || !parse_clock (ends[1], &to) || *from == DAY_MINUTES)
    return FALSE;
  *n = to > *from ? to - *from : to + DAY_MINUTES - *from;
  return TRUE;
}

static gboolean
parse_item (TernWeek *week, const char *item)
{
  g_auto (GStrv) parts = g_strsplit (item, " ", -1);
  guint mask = 0x7f, from = 0, n = DAY_MINUTES, i = 0;

  if (parts[i] && g_ascii_isalpha (*parts[i]) && !parse_days (parts[i++], &mask))
    return FALSE;
  while (parts[i] && !*parts[i])
    i++;
  if (parts[i] && !parse_hours (parts[i++], &from, &n))
    return FALSE;
  if (parts[i])
    return FALSE;
  for (guint day = 0; day < 7; day++)
    if (mask & 1u << day)
      set_minutes (week, day * DAY_MINUTES + from, n);
  return TRUE;
}

gboolean
tern_week_parse (TernWeek *week, const char *text, char **wrong)
{
  g_auto (GStrv) items = g_strsplit (text, ";", -1);
  guint n = 0;

  memset (week, 0, sizeof *week);
  for (guint i = 0; items[i]; i++) {
    if (!*g_strstrip (items[i]))
      continue;
    n++;
    if (!parse_item (week, items[i])) {
      *wrong = g_strdup (items[i]);
      return FALSE;
    }
  }
  if (n == 0)
    *wrong = g_strdup (text);
  return n > 0;
}

gboolean
tern_week_has (const TernWeek *week, gint64 us)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_local (us / G_USEC_PER_SEC);
  guint minute;

  if (!time)
    return FALSE;
  minute = (guint) ((g_date_time_get_day_of_week (time) - 1) * DAY_MINUTES + g_date_time_get_hour (time) * 60
      + g_date_time_get_minute (time));
  return week->bits[minute / 8] >> minute % 8 & 1;
}
