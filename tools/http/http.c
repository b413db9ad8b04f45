/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/error.h"
#include "tools/http/http-private.h"

/* ---- Refusals ---------------------------------------------------------------------------------------------------- */

void
tern_refusal_clear (TernRefusal *refusal)
{
  g_free (refusal->param);
  g_free (refusal->message);
  *refusal = (TernRefusal) { 0 };
}

gboolean
tern_refuse (TernRefusal *refusal, guint status, const char *type, const char *param, const char *format, ...)
{
  char *kept = g_strdup (param);
  va_list args;
  char *message;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  tern_refusal_clear (refusal);
  refusal->status = status;
  refusal->type = type;
  refusal->param = kept;
  refusal->message = message;
  return FALSE;
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

static gboolean
leads_to (const char *route, const char *path)
{
  gsize n = strlen (route) - 1;

  return route[n] == '*' ? strncmp (route, path, n) == 0 && path[n] : g_str_equal (route, path);
}

const TernHttpRoute *
tern_http_find_route (const TernHttp *http, const char *method, const char *path, gboolean *known)
{
  const char *wanted = g_str_equal (method, "HEAD") ? "GET" : method;

  *known = FALSE;
  for (guint i = 0; i < http->service->n; i++) {
    const TernHttpRoute *route = &http->service->routes[i];

    if (!leads_to (route->path, path))
      continue;
    *known = TRUE;
    if (g_str_equal (route->method, wanted))
      return route;
  }
  return NULL;
}

static void
handle (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  TernHttpRequest *request = tern_http_request_of (message);

  if (request)
    tern_http_request_handle (request);
  else
    soup_server_message_set_status (message, 503, NULL);
}

static void
request_started (SoupServer *server, SoupServerMessage *message, gpointer data)
{
  TernHttp *http = data;

  if (http->taken)
    tern_http_request_attach (http, message, http->taken);
}

/* ---- Life --------------------------------------------------------------------------------------------------- */

static gboolean
check_access (const TernHttp *http, GError **error)
{
  if (http->keys || http->listen.loopback)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--listen %s:%u: expected --api-key-file F with an address that other"
      " machines reach, found none", http->listen.host, http->listen.port);
  return FALSE;
}

static gboolean
start (TernHttp *http, const TernHttpOptions *options, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (!tern_listen_parse (&http->listen, options->listen, error)
      || (options->key_file && !(http->keys = tern_keys_read (options->key_file, error)))
      || !check_access (http, error) || !tern_http_read_certificate (http, options, error))
    return FALSE;
  if (tern_http_listen (http, &failure))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s %s: expected an address that is free, found: %s",
      options->option ? options->option : "--listen", options->listen, failure->message);
  return FALSE;
}

TernHttp *
tern_http_new (const TernHttpOptions *options, const TernHttpService *service, GError **error)
{
  TernHttp *http = g_new0 (TernHttp, 1);

  http->service = service;
  http->max_body = options->max_body;
  http->max_bodies = options->max_bodies;
  http->requests = g_ptr_array_new ();
  http->server = soup_server_new ("server-header", "tern", NULL);
  g_signal_connect (http->server, "request-started", G_CALLBACK (request_started), http);
  soup_server_add_handler (http->server, NULL, handle, http, NULL);
  if (start (http, options, error))
    return http;
  tern_http_free (http);
  return NULL;
}

void
tern_http_free (TernHttp *http)
{
  if (!http)
    return;
  tern_http_stop_listening (http);
  while (http->requests->len > 0) {
    TernHttpRequest *request = tern_http_request_ref (http->requests->pdata[http->requests->len - 1]);

    g_ptr_array_remove_index_fast (http->requests, http->requests->len - 1);
    tern_http_hang_up (request);
    request->http = NULL;
    tern_http_request_unref (request);
  }
  g_signal_handlers_disconnect_by_data (http->server, http);
  soup_server_disconnect (http->server);
  g_object_unref (http->server);
  g_ptr_array_unref (http->requests);
  tern_keys_free (http->keys);
  tern_listen_clear (&http->listen);
  g_free (http);
}

gsize
tern_http_held (const TernHttp *http)
{
  return http->held;
}
