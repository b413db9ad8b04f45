/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/page-views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "watch/html.h"
#include "watch/search.h"
#include "watch/unseen.h"

#define PAGE 40                 /* hits of a page */
#define HOUR ((gint64) 3600 * G_USEC_PER_SEC)
#define UNSEEN_SPANS 60         /* of a day, that are shown */

/* ---- Hits ---- */

static GPtrArray *
find (TernService *service, const TernSearch *search, GString *out)
{
  g_autoptr (GError) error = NULL;
  GPtrArray *hits = tern_search (tern_service_memory (service), search, &error);

  if (!hits)
    tern_html_put (out, "<p role=\"alert\">%s</p>\n", error->message);
  return hits;
}

/* A picture has its text beside it: to a screen reader it is told once. */
static void
put_hit (GString *out, const TernHit *hit, gboolean review)
{
  tern_html_put (out, "<li id=\"r%" G_GINT64_FORMAT "\"><img src=\"/picture?id=%" G_GINT64_FORMAT "\" alt=\"\" loading=\"lazy\">\n"
      "<div><p>", hit->id, hit->id);
  tern_html_time (out, hit->start);
  tern_html_put (out, " %s</p>\n<p>%s%s</p>\n", hit->camera, hit->text, hit->abstained ? " (not sure)" : "");
  if (hit->until > hit->end) {
    g_string_append (out, "<p>nothing new until ");
    tern_html_time (out, hit->until);
    g_string_append (out, "</p>\n");
  }
  tern_html_scores (out, hit->scores);
  if (review)
    tern_html_put (out, "<form class=\"verdict\" method=\"post\" action=\"/review\"><input type=\"hidden\" name=\"id\" "
        "value=\"%" G_GINT64_FORMAT "\"><button name=\"right\" value=\"1\" aria-label=\"%s is right\">Right</button>"
        "<button name=\"right\" value=\"0\" aria-label=\"%s is wrong\">Wrong</button></form>\n", hit->id, hit->text, hit->text);
  g_string_append (out, "</div></li>\n");
}

static void
put_hits (GString *out, const GPtrArray *hits, gboolean review)
{
  if (hits->len == 0)
    g_string_append (out, "<p>Nothing.</p>\n");
  else
    g_string_append (out, "<ol class=\"hits\">\n");
  for (guint i = 0; i < hits->len; i++)
    put_hit (out, g_ptr_array_index (hits, i), review);
  if (hits->len)
    g_string_append (out, "</ol>\n");
}

/* ---- What was not looked at ---- */

static GPtrArray *
sum_unseen (TernService *service, const char *camera, gint64 since, gint64 until)
{
  GPtrArray *sums = tern_unseen_sum (tern_service_memory (service), camera, since, until, g_get_real_time (), NULL);

  return sums ? sums : g_ptr_array_new ();
}

/* Of all that was due in [@since, @until); us. */
static gint64
unseen_time (const GPtrArray *spans, gint64 since, gint64 until)
{
  double time = 0;

  for (guint i = 0; i < spans->len; i++) {
    const TernUnseenSum *span = g_ptr_array_index (spans, i);
    gint64 common = MIN (span->end, until) - MAX (span->start, since);

    if (common > 0 && span->reason != TERN_UNSEEN_SCHEDULE)
      time += (double) span->time * (double) common / (double) (span->end - span->start);
  }
  return (gint64) time;
}

static GPtrArray *
list_unseen (TernService *service, const char *camera, gint64 since, gint64 until, guint limit)
{
  gint64 now = g_get_real_time ();
  GPtrArray *spans = tern_unseen_list (tern_service_memory (service), camera, since, until ? MIN (until, now) : now, limit, NULL);

  return spans ? spans : g_ptr_array_new ();
}

static void
put_unseen (GString *out, const TernUnseenSum *sum)
{
  g_autofree char *time = tern_watch_length (sum->time);

  tern_html_put (out, "<tr><th scope=\"row\">%s</th>\n<td>%s</td>\n<td>", sum->camera, tern_unseen_words (sum->reason));
  tern_html_time (out, sum->start);
  g_string_append (out, "</td>\n<td>");
  tern_html_time (out, sum->end);
  tern_html_put (out, "</td>\n<td>%s</td>\n<td>%" G_GUINT64_FORMAT "</td></tr>\n", time, sum->windows);
}

static void
put_unseen_table (GString *out, const char *caption, const GPtrArray *sums)
{
  if (sums->len == 0)
    return;
  tern_html_put (out, "<div class=\"scroll\" role=\"region\" aria-label=\"%s\" tabindex=\"0\"><table class=\"unseen\">\n<caption>%s"
      "</caption>\n", caption, caption);
  g_string_append (out, "<thead><tr><th scope=\"col\">Camera</th><th scope=\"col\">Why</th><th scope=\"col\">From</th>"
      "<th scope=\"col\">Until</th><th scope=\"col\">Time in it</th><th scope=\"col\">Windows</th></tr></thead>\n<tbody>\n");
  for (guint i = 0; i < sums->len; i++)
    put_unseen (out, g_ptr_array_index (sums, i));
  g_string_append (out, "</tbody></table></div>\n");
}

/* Of a day or an hour the spans themselves; else, where "nothing" would be said of it, how much it is. */
static void
put_unseen_of (TernService *service, const TernSearch *search, gboolean spans, GString *out)
{
  g_autoptr (GPtrArray) found = spans ? list_unseen (service, search->camera, search->since, search->until, UNSEEN_SPANS)
      : sum_unseen (service, search->camera, search->since, search->until);

  put_unseen_table (out, "Not looked at", found);
}

/* ---- Now ---- */

static guint64
unseen_windows (const TernTally *tally)
{
  guint64 n = 0;

  for (guint i = 0; i < TERN_UNSEEN_REASONS; i++)
    n += tally->unseen[i];
  return n;
}

static const char *
state_of (const TernCameraStatus *status)
{
  static const char *const names[] = { "Not connected", "Connected", "Watched to its end", "Given up" };

  return names[status->state];
}

char *
tern_view_counts (const TernCameraStatus *status)
{
  return g_strdup_printf ("%s. %" G_GUINT64_FORMAT " windows since, %" G_GUINT64_FORMAT " of them with nothing new; %"
      G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " frames looked at were not encoded; since the start %" G_GUINT64_FORMAT
      " windows were not looked at", state_of (status), status->windows, status->repeated, status->unchanged, status->looked_at,
      unseen_windows (status->tally));
}

static void
put_card (gpointer data, const TernCameraStatus *status)
{
  struct { TernService *service; GString *out; } *view = data;
  TernSearch search = { .camera = status->name, .limit = 1, .order = TERN_SEARCH_TIME };
  g_autoptr (GPtrArray) hits = find (view->service, &search, view->out);
  const TernHit *hit = hits && hits->len ? g_ptr_array_index (hits, 0) : NULL;
  g_autofree char *counts = tern_view_counts (status);

  tern_html_put (view->out, "<article class=\"card\" data-camera=\"%s\">\n<h2>%s</h2>\n", status->name, status->name);
  if (hit)
    tern_html_put (view->out, "<img src=\"/picture?id=%" G_GINT64_FORMAT "\" alt=\"%s\">\n", hit->id, hit->text);
  else
    g_string_append (view->out, "<img src=\"\" alt=\"\" hidden>\n");
  tern_html_put (view->out, "<p class=\"seen\">%s</p>\n", hit ? hit->text : "nothing yet");
  if (hit)
    tern_html_scores (view->out, hit->scores);
  g_string_append (view->out, "<p>");
  if (hit)
    tern_html_time (view->out, hit->start);
  else
    g_string_append (view->out, "<time></time>");
  tern_html_put (view->out, "</p>\n<p class=\"counts\">%s</p>\n<p><a href=\"/history?camera=%s\">What %s saw</a></p>\n"
      "</article>\n", counts, status->name, status->name);
}

void
tern_view_now (TernService *service, GString *out)
{
  struct { TernService *service; GString *out; } view = { service, out };

  tern_html_begin (out, "now", "Now");
  g_string_append (out, "<div class=\"cameras\">\n");
  tern_service_each_camera (service, put_card, &view);
  g_string_append (out, "</div>\n");
  tern_html_end (out);
}

/* ---- History ---- */

static const char *
field (GHashTable *fields, const char *name)
{
  const char *text = g_hash_table_lookup (fields, name);

  return text && *text ? text : NULL;
}

static void
put_choice (gpointer data, const TernCameraStatus *status)
{
  struct { const char *chosen; GString *out; } *choice = data;

  tern_html_put (choice->out, "<option value=\"%s\"", status->name);
  g_string_append (choice->out, g_strcmp0 (choice->chosen, status->name) == 0 ? " selected>" : ">");
  tern_html_put (choice->out, "%s</option>\n", status->name);
}

static void
put_form (TernService *service, GHashTable *fields, GString *out)
{
  const char *words = field (fields, "q"), *label = field (fields, "label"), *day = field (fields, "day");
  struct { const char *chosen; GString *out; } choice = { field (fields, "camera"), out };

  tern_html_put (out, "<form class=\"search\" role=\"search\" action=\"/history\">\n<label>Words <input type=\"search\" name=\"q\" "
      "value=\"%s\"></label>\n<label>Camera <select name=\"camera\"><option value=\"\">all</option>\n", words ? words : "");
  tern_service_each_camera (service, put_choice, &choice);
  tern_html_put (out, "</select></label>\n<label>Label <input name=\"label\" value=\"%s\"></label>\n<label>Day <input "
      "type=\"date\" name=\"day\" value=\"%s\"></label>\n<button>Search</button>\n</form>\n", label ? label : "", day ? day : "");
}

/* The fields again, but @name, as a query that may be gone on with. */
static char *
query_without (GHashTable *fields, const char *name)
{
  static const char *const names[] = { "q", "camera", "label", "day", "hour" };
  GString *query = g_string_new ("/history?");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    const char *text = field (fields, names[i]);
    g_autofree char *value = text && strcmp (names[i], name) != 0 ? g_uri_escape_string (text, NULL, FALSE) : NULL;

    if (value)
      g_string_append_printf (query, "%s=%s&", names[i], value);
  }
  return g_string_free (query, FALSE);
}

/* What a day has, an hour each: how many windows had something new, and how long nobody looked. */
static void
put_hours (TernService *service, GHashTable *fields, gint64 day, GString *out)
{
  g_autofree char *query = query_without (fields, "hour");
  g_autoptr (GPtrArray) spans = list_unseen (service, field (fields, "camera"), day, tern_watch_hour (day, 24), G_MAXINT);
  const char *chosen = field (fields, "hour");

  g_string_append (out, "<nav aria-label=\"Hours of the day\"><ul class=\"hours\">\n");
  for (guint hour = 0; hour < 24; hour++) {
    gint64 from = tern_watch_hour (day, hour), to = tern_watch_hour (day, hour + 1);
    guint n = tern_memory_count (tern_service_memory (service), field (fields, "camera"), from, to);
    gint64 unseen = unseen_time (spans, from, to);
    g_autofree char *length = tern_watch_length (unseen);

    if (n == 0 && unseen == 0)
      continue;
    tern_html_put (out, "<li><a href=\"%shour=%u\"", query, hour);
    g_string_append (out, chosen && (guint) atoi (chosen) == hour ? " aria-current=\"true\">" : ">");
    tern_html_put (out, n ? "%02u:00 <small>(%u)</small></a>" : "%02u:00</a>", hour, n);
    if (unseen)
      tern_html_put (out, " <small class=\"unseen\">%s not looked at</small>", length);
    g_string_append (out, "</li>\n");
  }
  g_string_append (out, "</ul></nav>\n");
}

static gboolean
parse_day (const char *text, gint64 *day)
{
  return text && strlen (text) == 10 && text[4] == '-' && tern_watch_parse_moment (text, 0, day);
}

void
tern_view_history (TernService *service, GHashTable *fields, GString *out)
{
  const char *hour = field (fields, "hour"), *before = field (fields, "before");
  TernSearch search = { .words = field (fields, "q"), .camera = field (fields, "camera"), .label = field (fields, "label"),
    .limit = PAGE, .order = field (fields, "q") ? TERN_SEARCH_RANK : TERN_SEARCH_TIME };
  g_autoptr (GPtrArray) hits = NULL;
  gboolean of_day;
  gint64 day;

  tern_html_begin (out, "history", "History");
  put_form (service, fields, out);
  of_day = parse_day (field (fields, "day"), &day);
  if (of_day) {
    guint from = hour ? (guint) CLAMP (atoi (hour), 0, 23) : 0;

    search.since = tern_watch_hour (day, from);
    search.until = tern_watch_hour (day, hour ? from + 1 : 24);
    put_hours (service, fields, day, out);
  }
  if (before && g_ascii_strtoll (before, NULL, 10) > 0)
    search.until = g_ascii_strtoll (before, NULL, 10);
  hits = find (service, &search, out);
  if (hits)
    put_hits (out, hits, FALSE);
  if (of_day || (hits && hits->len == 0))
    put_unseen_of (service, &search, of_day, out);
  if (hits && hits->len == PAGE && search.order == TERN_SEARCH_TIME) {
    g_autofree char *query = query_without (fields, "");
    const TernHit *last = g_ptr_array_index (hits, PAGE - 1);

    tern_html_put (out, "<p><a href=\"%sbefore=%" G_GINT64_FORMAT "\">Before that</a></p>\n", query, last->start);
  }
  tern_html_end (out);
}

/* ---- Review ---- */

void
tern_view_review (TernService *service, GString *out)
{
  TernSearch search = { .unsure = TRUE, .limit = PAGE, .order = TERN_SEARCH_TIME };
  g_autoptr (GPtrArray) hits = NULL;

  tern_html_begin (out, "review", "Review");
  g_string_append (out, "<p>What the model was not sure of. What you say is kept with it.</p>\n");
  hits = find (service, &search, out);
  if (hits)
    put_hits (out, hits, TRUE);
  tern_html_end (out);
}

/* ---- Health ---- */

static void
put_row (gpointer data, const TernCameraStatus *status)
{
  g_autofree char *latency = status->latency ? g_strdup_printf ("%.0f", (double) status->latency / 1e6) : g_strdup ("-");
  GString *out = data;

  tern_html_put (out, "<tr><th scope=\"row\">%s</th><td class=\"%s\">%s</td><td>%" G_GUINT64_FORMAT "</td><td>%" G_GUINT64_FORMAT
      "</td><td>%" G_GUINT64_FORMAT "</td><td>%" G_GUINT64_FORMAT "</td><td>%" G_GUINT64_FORMAT "</td><td>%" G_GUINT64_FORMAT
      "</td><td>%" G_GUINT64_FORMAT "</td><td>%s</td></tr>\n", status->name, status->state == TERN_CAMERA_ON ? "on" : "off",
      state_of (status), status->frames, status->looked_at, status->unchanged, status->left_out,
      status->windows, status->repeated, status->dropped, latency);
}

void
tern_view_health (TernService *service, const TernSamples *samples, GString *out)
{
  g_autoptr (GPtrArray) day = NULL;

  tern_html_begin (out, "health", "Health");
  g_string_append (out, "<div class=\"scroll\" role=\"region\" aria-label=\"Cameras\" tabindex=\"0\"><table>\n<caption>Since each "
      "camera was connected</caption>\n<thead><tr><th scope=\"col\">Camera</th><th scope=\"col\">State</th><th scope=\"col\">Frames"
      "</th><th scope=\"col\">Looked at</th><th scope=\"col\">Nothing new</th><th scope=\"col\">"
      "Frames left out</th><th scope=\"col\">Windows</th><th scope=\"col\">"
      "Told again</th><th scope=\"col\">Windows left out</th><th scope=\"col\">Latency, ms</th></tr></thead>\n<tbody>\n");
  tern_service_each_camera (service, put_row, out);
  g_string_append (out, "</tbody></table></div>\n");
  day = sum_unseen (service, NULL, g_get_real_time () - 24 * HOUR, 0);
  put_unseen_table (out, "Not looked at in the last 24 hours", day);
  g_string_append (out, "<h2>The last hour</h2>\n");
  tern_html_plot (out, &(TernPlot) { "Memory of the process", "MiB", samples->memory, samples->n });
  tern_html_plot (out, &(TernPlot) { "Processor", "% of a core", samples->cpu, samples->n });
  for (guint i = 0; i < samples->cameras->len; i++) {
    const TernCameraSamples *camera = g_ptr_array_index (samples->cameras, i);
    g_autofree char *name = g_strdup_printf ("Latency of %s", camera->camera);

    tern_html_plot (out, &(TernPlot) { name, "ms", camera->latency, camera->n });
  }
  tern_html_end (out);
}

/* ---- Metrics ---- */

typedef struct {
  GString *out;
  const char *name, *label;     /* one of them, and one value of its label */
  guint64 (*value) (const TernCameraStatus *status);
} Metric;

static void
put_metric (gpointer data, const TernCameraStatus *status)
{
  const Metric *metric = data;

  g_string_append_printf (metric->out, "%s{camera=\"%s\"%s} %" G_GUINT64_FORMAT "\n", metric->name, status->name,
      metric->label ? metric->label : "", metric->value (status));
}

static void
head (GString *out, const char *name, const char *type, const char *help)
{
  g_string_append_printf (out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
put_unseen_metrics (gpointer data, const TernCameraStatus *status)
{
  struct { GString *out; gboolean seconds; } *metric = data;

  for (guint i = 0; i < TERN_UNSEEN_REASONS; i++) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf (metric->out, "tern_watch_unseen_%s_total{camera=\"%s\",reason=\"%s\"} %s\n",
        metric->seconds ? "seconds" : "windows", status->name, tern_unseen_name (i), g_ascii_dtostr (number, sizeof number,
            metric->seconds ? (double) status->tally->unseen_time[i] / G_USEC_PER_SEC : (double) status->tally->unseen[i]));
  }
}

static guint64
value_up (const TernCameraStatus *status)
{
  return status->state == TERN_CAMERA_ON;
}

static guint64
value_new (const TernCameraStatus *status)
{
  return status->tally->results - status->tally->unchanged - status->tally->failed;
}

static guint64
value_unchanged (const TernCameraStatus *status)
{
  return status->tally->unchanged;
}

static guint64
value_failed (const TernCameraStatus *status)
{
  return status->tally->failed;
}

/* Names of cameras are letters, digits, `-` and `_`. */
void
tern_view_metrics (TernService *service, GString *out)
{
  struct { GString *out; gboolean seconds; } unseen = { out, FALSE };
  static const struct { const char *label; guint64 (*value) (const TernCameraStatus *status); } outcomes[] = {
    { ",outcome=\"new\"", value_new }, { ",outcome=\"unchanged\"", value_unchanged }, { ",outcome=\"failed\"", value_failed } };

  head (out, "tern_watch_camera_up", "gauge", "Whether pictures of the camera come.");
  tern_service_each_camera (service, put_metric, &(Metric) { out, "tern_watch_camera_up", NULL, value_up });
  head (out, "tern_watch_windows_total", "counter", "Windows that were answered.");
  for (guint i = 0; i < G_N_ELEMENTS (outcomes); i++)
    tern_service_each_camera (service, put_metric, &(Metric) { out, "tern_watch_windows_total", outcomes[i].label,
          outcomes[i].value });
  head (out, "tern_watch_unseen_windows_total", "counter", "Windows that were due and not looked at.");
  tern_service_each_camera (service, put_unseen_metrics, &unseen);
  head (out, "tern_watch_unseen_seconds_total", "counter", "Time that was not looked at.");
  unseen.seconds = TRUE;
  tern_service_each_camera (service, put_unseen_metrics, &unseen);
}
