/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/base/json.h"
#include "tern/error.h"
#include "tools/http/http.h"
#include "watch/html.h"
#include "watch/messages.h"
#include "page-resources.h"
#include "watch/page-views.h"

#define LISTENERS 32            /* of events, at a time */
#define LISTEN_S 1800           /* then they are sent away, and come again */
#define PING_S 15
#define MAX_BODY ((gsize) 4096)
#define CSP "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; " \
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

/* Somebody who hears of what happens. */
typedef struct {
  TernPage *page;
  TernHttpRequest *request;
  guint seconds;
} Listener;

struct _TernPage {
  TernService *service;
  TernHttp *http;
  TernHttpService routes;
  GPtrArray *listeners;         /* Listener */
  TernSamples samples;
  guint seconds;                /* since the last sample */
  gint64 cpu;                   /* us, at the last sample */
};

/* ---- Answers ---- */

static void
reply_html (TernHttpRequest *request, GString *out)
{
  tern_http_header (request, "Content-Security-Policy", CSP);
  tern_http_header (request, "Referrer-Policy", "same-origin");
  tern_http_reply (request, 200, "text/html; charset=utf-8", g_string_free (out, FALSE));
}

static void
now (TernHttpRequest *request, void *data)
{
  GString *out = g_string_new (NULL);

  tern_view_now (((TernPage *) data)->service, out);
  reply_html (request, out);
}

static void
history (TernHttpRequest *request, void *data)
{
  const char *query = tern_http_query (request);
  g_autoptr (GHashTable) fields = tern_html_fields (query, query ? strlen (query) : 0);
  GString *out = g_string_new (NULL);

  tern_view_history (((TernPage *) data)->service, fields, out);
  reply_html (request, out);
}

static void
review (TernHttpRequest *request, void *data)
{
  GString *out = g_string_new (NULL);

  tern_view_review (((TernPage *) data)->service, out);
  reply_html (request, out);
}

static void
health (TernHttpRequest *request, void *data)
{
  TernPage *page = data;
  GString *out = g_string_new (NULL);

  tern_view_health (page->service, &page->samples, out);
  reply_html (request, out);
}

static void
metrics (TernHttpRequest *request, void *data)
{
  GString *out = g_string_new (NULL);

  tern_view_metrics (((TernPage *) data)->service, out);
  tern_http_reply (request, 200, "text/plain; version=0.0.4; charset=utf-8", g_string_free (out, FALSE));
}

static void
refuse (TernHttpRequest *request, guint status, const char *what)
{
  TernRefusal refusal = { 0 };

  tern_refuse (&refusal, status, "invalid_request_error", NULL, "%s", what);
  tern_http_refuse (request, &refusal);
  tern_refusal_clear (&refusal);
}

/* "id" of a form or query; 0: none. */
static gint64
field_id (GHashTable *fields)
{
  const char *text = g_hash_table_lookup (fields, "id");
  guint64 id;

  return text && g_ascii_string_to_unsigned (text, 10, 1, G_MAXINT64, &id, NULL) ? (gint64) id : 0;
}

static void
judge (TernHttpRequest *request, void *data)
{
  TernPage *page = data;
  gsize size;
  const char *body = g_bytes_get_data (tern_http_body (request), &size);
  g_autoptr (GHashTable) fields = tern_html_fields (size ? body : NULL, size);
  const char *right = g_hash_table_lookup (fields, "right");
  g_autoptr (GError) error = NULL;
  gint64 id = field_id (fields);

  if (!id || !right || (strcmp (right, "0") != 0 && strcmp (right, "1") != 0)) {
    refuse (request, 400, "id, right: expected a number, and 0 or 1");
    return;
  }
  if (!tern_memory_judge (tern_service_memory (page->service), id, *right == '1', &error)) {
    refuse (request, 500, error->message);
    return;
  }
  tern_http_header (request, "Location", "/review");
  tern_http_reply (request, 303, "text/plain", g_strdup ("kept\n"));
}

static void
picture (TernHttpRequest *request, void *data)
{
  TernPage *page = data;
  const char *query = tern_http_query (request);
  g_autoptr (GHashTable) fields = tern_html_fields (query, query ? strlen (query) : 0);
  g_autoptr (GBytes) jpeg = tern_memory_thumbnail (tern_service_memory (page->service), field_id (fields), NULL);

  if (jpeg)
    tern_http_reply_bytes (request, 200, "image/jpeg", jpeg);
  else
    refuse (request, 404, "there is no picture of it");
}

static void
reply_resource (TernHttpRequest *request, const char *path, const char *type)
{
  g_autoptr (GBytes) bytes = g_resource_lookup_data (tern_page_get_resource (), path, 0, NULL);

  tern_http_reply_bytes (request, 200, type, bytes);
}

static void
style (TernHttpRequest *request, void *data)
{
  reply_resource (request, "/tern/page.css", "text/css; charset=utf-8");
}

static void
script (TernHttpRequest *request, void *data)
{
  reply_resource (request, "/tern/page.js", "text/javascript; charset=utf-8");
}

/* ---- Events ---- */

static void
listener_free (gpointer data)
{
  Listener *listener = data;

  tern_http_on_gone (listener->request, NULL, NULL);
  tern_http_end (listener->request);
  tern_http_request_unref (listener->request);
  g_free (listener);
}

static void
listener_gone (void *data)
{
  Listener *listener = data;

  g_ptr_array_remove_fast (listener->page->listeners, listener);
}

static void
events (TernHttpRequest *request, void *data)
{
  TernPage *page = data;
  Listener *listener;

  if (page->listeners->len >= LISTENERS) {
    refuse (request, 503, "as many listen as may");
    return;
  }
  listener = g_new0 (Listener, 1);
  listener->page = page;
  listener->request = tern_http_request_ref (request);
  g_ptr_array_add (page->listeners, listener);
  tern_http_begin (request, "text/event-stream");
  tern_http_send (request, "retry: 2000\n\n");
  tern_http_on_gone (request, listener_gone, listener);
}

/* @text is one line. */
static void
tell (TernPage *page, const char *event, const char *text)
{
  g_autofree char *message = event ? g_strdup_printf ("event: %s\ndata: %s\n\n", event, text) : g_strdup (": ping\n\n");

  for (guint i = 0; i < page->listeners->len; i++)
    tern_http_send (((Listener *) g_ptr_array_index (page->listeners, i))->request, message);
}

static void
on_result (gpointer data, const TernTold *told, gint64 id, gboolean has_picture)
{
  g_autofree char *result = tern_message_result (told);
  g_autofree char *message = has_picture ? g_strdup_printf ("{\"picture\":%" G_GINT64_FORMAT ",%s", id, result + 1)
      : g_strdup (result);

  tell (data, "result", message);
}

static void
put_counts (gpointer data, const TernCameraStatus *status)
{
  g_autofree char *counts = tern_view_counts (status);

  tern_json_name (data, status->name);
  tern_json_text (data, counts, -1);
}

static void
tell_counts (TernPage *page)
{
  TernJson json = { g_string_new (NULL) };

  tern_json_open (&json, '{');
  tern_service_each_camera (page->service, put_counts, &json);
  tern_json_close (&json, '}');
  tell (page, "counts", json.out->str);
  g_string_free (json.out, TRUE);
}

/* ---- Samples ---- */

static void
push (double *values, guint n, double value)
{
  if (n == TERN_SAMPLES)
    memmove (values, values + 1, (TERN_SAMPLES - 1) * sizeof *values);
  values[MIN (n, TERN_SAMPLES - 1)] = value;
}

static TernCameraSamples *
samples_of (TernPage *page, const char *camera)
{
  TernCameraSamples *samples;

  for (guint i = 0; i < page->samples.cameras->len; i++) {
    samples = g_ptr_array_index (page->samples.cameras, i);
    if (strcmp (samples->camera, camera) == 0)
      return samples;
  }
  samples = g_new0 (TernCameraSamples, 1);
  samples->camera = g_strdup (camera);
  g_ptr_array_add (page->samples.cameras, samples);
  return samples;
}

static void
camera_samples_free (gpointer data)
{
  g_free (((TernCameraSamples *) data)->camera);
  g_free (data);
}

static void
sample_camera (gpointer data, const TernCameraStatus *status)
{
  TernCameraSamples *samples = samples_of (data, status->name);

  push (samples->latency, samples->n, status->state == TERN_CAMERA_ON && status->latency ? (double) status->latency / 1e6 : NAN);
  samples->n = MIN (samples->n + 1, TERN_SAMPLES);
}

static double
memory_now (void)
{
  g_autofree char *text = NULL;
  unsigned long size = 0, resident = 0;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL) || sscanf (text, "%lu %lu", &size, &resident) != 2)
    return NAN;
  return (double) resident * (double) sysconf (_SC_PAGESIZE) / (1 << 20);
}

static gint64
cpu_now (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * (gint64) G_USEC_PER_SEC + usage.ru_utime.tv_usec
      + usage.ru_stime.tv_usec;
}

static void
sample (TernPage *page)
{
  gint64 cpu = cpu_now ();

  push (page->samples.memory, page->samples.n, memory_now ());
  push (page->samples.cpu, page->samples.n, (double) (cpu - page->cpu) / (TERN_SAMPLE_EVERY * 1e4));
  page->samples.n = MIN (page->samples.n + 1, TERN_SAMPLES);
  page->cpu = cpu;
  tern_service_each_camera (page->service, sample_camera, page);
}

void
tern_page_tick (TernPage *page)
{
  page->seconds++;
  if (page->listeners->len) {
    tell_counts (page);
    if (page->seconds % PING_S == 0)
      tell (page, NULL, NULL);
  }
  for (guint i = page->listeners->len; i > 0; i--) {
    Listener *listener = g_ptr_array_index (page->listeners, i - 1);

    if (++listener->seconds > LISTEN_S)
      g_ptr_array_remove_index_fast (page->listeners, i - 1);
  }
  if (page->seconds % TERN_SAMPLE_EVERY == 1)
    sample (page);
}

/* ---- The whole ---- */

static char *
refusal_body (const char *path, const TernRefusal *refusal, const char **type)
{
  *type = "text/plain; charset=utf-8";
  return g_strdup_printf ("%s\n", refusal->message);
}

static const TernHttpRoute routes[] = {
  { "GET", "/", .handle = now },
  { "GET", "/history", .handle = history },
  { "GET", "/review", .handle = review },
  { "POST", "/review", .handle = judge },
  { "GET", "/health", .handle = health },
  { "GET", "/metrics", .handle = metrics },
  { "GET", "/picture", .handle = picture },
  { "GET", "/events", .handle = events },
  { "GET", "/page.css", .handle = style },
  { "GET", "/page.js", .handle = script },
};

gboolean
tern_page_check (const char *address, GError **error)
{
  if (tern_http_is_loopback (address))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected an address of this machine alone and a port, as 127.0.0.1:8090 or "
      "[::1]:8090, found %s", address);
  return FALSE;
}

TernPage *
tern_page_new (TernService *service, const char *address, GError **error)
{
  TernHttpOptions options = { .listen = address, .option = "page", .max_body = MAX_BODY, .max_bodies = 64 * MAX_BODY };
  TernPage *page = g_new0 (TernPage, 1);

  page->service = service;
  page->listeners = g_ptr_array_new_with_free_func (listener_free);
  page->samples.cameras = g_ptr_array_new_with_free_func (camera_samples_free);
  page->cpu = cpu_now ();
  page->routes = (TernHttpService) { .routes = routes, .n = G_N_ELEMENTS (routes), .refusal_body = refusal_body, .data = page };
  page->http = tern_http_new (&options, &page->routes, error);
  if (!page->http) {
    tern_page_free (page);
    return NULL;
  }
  tern_service_listen (service, on_result, page);
  return page;
}

void
tern_page_free (TernPage *page)
{
  if (!page)
    return;
  tern_service_listen (page->service, NULL, NULL);
  g_ptr_array_unref (page->listeners);
  tern_http_free (page->http);
  g_ptr_array_unref (page->samples.cameras);
  g_free (page);
}

char *
tern_page_address (const TernPage *page)
{
  return tern_http_address (page->http);
}
