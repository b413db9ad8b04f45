/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/serve/metrics.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double bounds[TERN_BUCKETS] = { .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300 };

void
tern_metrics_init (TernMetricsOfServer *metrics)
{
  *metrics = (TernMetricsOfServer) { .requests = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free) };
}

void
tern_metrics_clear (TernMetricsOfServer *metrics)
{
  g_clear_pointer (&metrics->requests, g_hash_table_unref);
}

void
tern_metrics_request (TernMetricsOfServer *metrics, const char *path, guint status)
{
  char *key = g_strdup_printf ("%s %u", path, status);
  guint64 *count = g_hash_table_lookup (metrics->requests, key);

  if (count) {
    g_free (key);
  } else {
    count = g_new0 (guint64, 1);
    g_hash_table_insert (metrics->requests, key, count);
  }
  ++*count;
}

void
tern_histogram_add (TernHistogram *histogram, double seconds)
{
  guint i = 0;

  while (i < TERN_BUCKETS && seconds > bounds[i])
    i++;
  histogram->counts[i]++;
  histogram->sum += seconds;
  histogram->n++;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void
head (GString *out, const char *name, const char *type, const char *help)
{
  g_string_append_printf (out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
number (GString *out, const char *name, const char *type, const char *help, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  head (out, name, type, help);
  g_string_append_printf (out, "%s %s\n", name, g_ascii_dtostr (text, sizeof text, value));
}

static void
histogram (GString *out, const char *name, const char *help, const TernHistogram *h)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  guint64 below = 0;

  head (out, name, "histogram", help);
  for (guint i = 0; i < TERN_BUCKETS; i++) {
    below += h->counts[i];
    g_string_append_printf (out, "%s_bucket{le=\"%s\"} %" G_GUINT64_FORMAT "\n", name,
        g_ascii_formatd (text, sizeof text, "%g", bounds[i]), below);
  }
  g_string_append_printf (out, "%s_bucket{le=\"+Inf\"} %" G_GUINT64_FORMAT "\n", name, h->n);
  g_string_append_printf (out, "%s_sum %s\n%s_count %" G_GUINT64_FORMAT "\n", name,
      g_ascii_dtostr (text, sizeof text, h->sum), name, h->n);
}

static void
label (GString *out, const char *text)
{
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      g_string_append_printf (out, "\\%c", *text);
    else
      g_string_append_c (out, *text == '\n' ? ' ' : *text);
}

static void
requests (GString *out, GHashTable *counts)
{
  g_autoptr (GList) keys = g_list_sort (g_hash_table_get_keys (counts), (GCompareFunc) strcmp);

  head (out, "tern_http_requests_total", "counter", "Answers by path and status.");
  for (GList *l = keys; l; l = l->next) {
    const char *key = l->data, *blank = strchr (key, ' ');

    g_string_append_printf (out, "tern_http_requests_total{path=\"%.*s\",code=\"%s\"} %" G_GUINT64_FORMAT "\n",
        (int) (blank - key), key, blank + 1, *(guint64 *) g_hash_table_lookup (counts, key));
  }
}

/* Pages that are in memory; 0 where /proc is not there. */
static double
resident_bytes (void)
{
  g_autofree char *text = NULL;
  unsigned long long pages = 0;

  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*u %llu", &pages);
  return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

char *
tern_metrics_text (const TernMetricsOfServer *m, const TernGauges *g)
{
  GString *out = g_string_new (NULL);

  head (out, "tern_build_info", "gauge", "What is running.");
  g_string_append (out, "tern_build_info{version=\"" TERN_VERSION "\",model=\"");
  label (out, g->model);
  g_string_append (out, "\",instruction_set=\"");
  label (out, g->instruction_set);
  g_string_append (out, "\"} 1\n");
  number (out, "tern_ready", "gauge", "Whether the model is loaded.", g->ready);
  requests (out, m->requests);
  number (out, "tern_requests_running", "gauge", "Requests that are worked on.", g->running);
  number (out, "tern_requests_waiting", "gauge", "Requests that wait for their turn.", g->waiting);
  number (out, "tern_requests_cancelled_total", "counter", "Requests whose client went away.", (double) m->cancelled);
  number (out, "tern_requests_refused_total", "counter", "Requests refused because too many waited.",
      (double) m->refused_busy);
  number (out, "tern_prompt_tokens_total", "counter", "Tokens read, visual ones included.", (double) m->prompt_tokens);
  number (out, "tern_visual_tokens_total", "counter", "Visual tokens read.", (double) m->visual_tokens);
  number (out, "tern_generated_tokens_total", "counter", "Tokens said.", (double) m->generated_tokens);
  number (out, "tern_draft_tokens_total", "counter", "Tokens that the draft model guessed, and the model read.",
      (double) m->guesses);
  number (out, "tern_draft_tokens_right_total", "counter", "Of these, tokens that were said.", (double) m->guesses_right);
  number (out, "tern_pictures_total", "counter", "Pictures and clips shown.", (double) g->pictures);
  number (out, "tern_pictures_reused_total", "counter", "Pictures and clips that were kept from before.",
      (double) g->pictures_kept);
  number (out, "tern_picture_cache_bytes", "gauge", "Memory of pictures that are kept.", (double) g->picture_bytes);
  number (out, "tern_body_bytes", "gauge", "Memory of request bodies.", (double) g->body_bytes);
  number (out, "tern_resident_memory_bytes", "gauge", "Memory of the process.", resident_bytes ());
  histogram (out, "tern_request_seconds", "Time from a request's last byte to its answer's.", &m->seconds);
  histogram (out, "tern_first_token_seconds", "Time from a request's last byte to its first word.", &m->first_token);
  return g_string_free (out, FALSE);
}
