/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/html.h"

#include <math.h>
#include <string.h>

#include "watch/times.h"

#define PLOT_WIDTH 600
#define PLOT_HEIGHT 80

static const struct {
  const char *name, *path, *text;
} views[] = {
  { "now", "/", "Now" },
  { "history", "/history", "History" },
  { "review", "/review", "Review" },
  { "health", "/health", "Health" },
};

void
tern_html_put (GString *out, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_markup_vprintf_escaped (format, args);
  va_end (args);
  g_string_append (out, text);
}

void
tern_html_begin (GString *out, const char *here, const char *title)
{
  tern_html_put (out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s - Tern</title>\n"
      "<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"/page.css\">\n"
      "<script type=\"module\" src=\"/page.js\"></script>\n</head>\n<body>\n"
      "<a class=\"skip\" href=\"#content\">To the content</a>\n<header>\n<nav aria-label=\"Views\"><ul>\n", title);
  for (guint i = 0; i < G_N_ELEMENTS (views); i++) {
    gboolean this = strcmp (views[i].name, here) == 0;

    tern_html_put (out, "<li><a href=\"%s\"", views[i].path);
    g_string_append (out, this ? " aria-current=\"page\">" : ">");
    tern_html_put (out, "%s</a></li>\n", views[i].text);
  }
  tern_html_put (out, "</ul></nav>\n<p id=\"live\" role=\"status\"></p>\n</header>\n<main id=\"content\">\n<h1>%s</h1>\n", title);
}

void
tern_html_end (GString *out)
{
  g_string_append (out, "</main>\n</body>\n</html>\n");
}

void
tern_html_time (GString *out, gint64 us)
{
  g_autofree char *utc = tern_watch_utc (us), *local = tern_watch_local (us);

  tern_html_put (out, "<time datetime=\"%s\">%s</time>", utc, local);
}

/* The end of the JSON text that begins at @p with a quote. */
static const char *
end_of_text (const char *p)
{
  for (p++; *p && *p != '"'; p++)
    if (*p == '\\' && p[1])
      p++;
  return p;
}

/* Scores are written by tern_message_scores(): names in quotes and numbers, without blanks. */
void
tern_html_scores (GString *out, const char *scores)
{
  const char *p = scores ? strchr (scores, '"') : NULL;

  if (!p)
    return;
  g_string_append (out, "<ul class=\"scores\">\n");
  for (; p; p = strchr (p, '"')) {
    const char *end = end_of_text (p);
    g_autofree char *quoted = g_strndup (p + 1, end - p - 1), *name = g_strcompress (quoted);
    double value = *end ? g_ascii_strtod (end + 2, NULL) : 0;
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_formatd (number, sizeof number, "%.3f", value);
    tern_html_put (out, "<li><span class=\"label\">%s</span> <meter min=\"0\" max=\"1\" value=\"%s\" aria-label=\"%s\"></meter> "
        "<span class=\"percent\">%d %%</span></li>\n", name, number, name, (int) lround (value * 100));
    p = *end ? end + 1 : end;
  }
  g_string_append (out, "</ul>\n");
}

static double
largest (const TernPlot *plot)
{
  double most = 0;

  for (guint i = 0; i < plot->n; i++)
    if (!isnan (plot->values[i]))
      most = MAX (most, plot->values[i]);
  return most;
}

void
tern_html_plot (GString *out, const TernPlot *plot)
{
  double most = largest (plot), last = plot->n ? plot->values[plot->n - 1] : NAN;
  g_autofree char *words = g_strdup_printf ("%s: now %.4g %s, at most %.4g %s", plot->name, isnan (last) ? 0 : last, plot->unit,
      most, plot->unit);
  gboolean drawing = FALSE;

  tern_html_put (out, "<figure>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\" preserveAspectRatio=\"none\">\n"
      "<path d=\"", PLOT_WIDTH, PLOT_HEIGHT, words);
  for (guint i = 0; i < plot->n; i++) {
    gboolean there = !isnan (plot->values[i]);
    int x = (int) (i * PLOT_WIDTH / MAX (plot->n - 1, 1));

    if (there)
      tern_html_put (out, "%c%d %d", drawing ? 'L' : 'M', x,
          (int) (PLOT_HEIGHT - 2 - (most > 0 ? plot->values[i] / most * (PLOT_HEIGHT - 4) : 0)));
    drawing = there;
  }
  tern_html_put (out, "\"/>\n</svg>\n<figcaption>%s</figcaption>\n</figure>\n", words);
}

GHashTable *
tern_html_fields (const char *text, gsize len)
{
  GHashTable *fields = text ? g_uri_parse_params (text, (gssize) len, "&", G_URI_PARAMS_WWW_FORM, NULL) : NULL;

  return fields ? fields : g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}
