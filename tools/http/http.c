/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "tern/error.h"
#include "tools/http/http-private.h"

#define BACKLOG 512             /* connections that wait to be taken */

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

const TernHttpRoute *
tern_http_find_route (const TernHttp *http, const char *method, const char *path, gboolean *known)
{
  const char *wanted = g_str_equal (method, "HEAD") ? "GET" : method;

  *known = FALSE;
  for (guint i = 0; i < http->service->n; i++) {
    const TernHttpRoute *route = &http->service->routes[i];

    if (!g_str_equal (route->path, path))
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
  tern_http_request_attach (data, message);
}

/* ---- Listening --------------------------------------------------------------------------------------------------- */

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
open_tls (TernHttp *http, const TernHttpOptions *options, GError **error)
{
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (GError) failure = NULL;

  if (!options->certificate && !options->private_key)
    return TRUE;
  if (!options->certificate || !options->private_key) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--tls-certificate and --tls-key: expected both, found %s alone",
        options->certificate ? "--tls-certificate" : "--tls-key");
    return FALSE;
  }
  certificate = g_tls_certificate_new_from_files (options->certificate, options->private_key, &failure);
  if (!certificate) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "--tls-certificate %s, --tls-key %s: expected a certificate and its key"
        " in PEM, found that they cannot be used: %s", options->certificate, options->private_key, failure->message);
    return FALSE;
  }
  soup_server_set_tls_certificate (http->server, certificate);
  http->tls = TRUE;
  return TRUE;
}

/* By a socket of our own: libsoup's lets ten connections wait to be taken, and the next ones are reset. */
static GSocket *
open_socket (const TernHttp *http, GError **error)
{
  const char *host = g_ascii_strcasecmp (http->listen.host, "localhost") == 0 ? "127.0.0.1" : http->listen.host;
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, http->listen.port);
  g_autoptr (GSocket) socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, error);

  if (!socket || !g_socket_bind (socket, address, TRUE, error))
    return NULL;
  g_socket_set_listen_backlog (socket, BACKLOG);
  return g_socket_listen (socket, error) ? g_steal_pointer (&socket) : NULL;
}

static gboolean
listen_at (TernHttp *http, GError **error)
{
  g_autoptr (GSocket) socket = open_socket (http, error);

  return socket && soup_server_listen_socket (http->server, socket, http->tls ? SOUP_SERVER_LISTEN_HTTPS : 0, error);
}

static gboolean
start (TernHttp *http, const TernHttpOptions *options, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (!tern_listen_parse (&http->listen, options->listen, error)
      || (options->key_file && !(http->keys = tern_keys_read (options->key_file, error)))
      || !check_access (http, error) || !open_tls (http, options, error))
    return FALSE;
  if (listen_at (http, &failure))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "--listen %s: expected an address that is free, found: %s",
      options->listen, failure->message);
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

char *
tern_http_address (const TernHttp *http)
{
  GSList *uris = soup_server_get_uris (http->server);
  g_autofree char *text = uris ? g_uri_to_string (uris->data) : g_strdup ("");

  g_slist_free_full (uris, (GDestroyNotify) g_uri_unref);
  if (g_str_has_suffix (text, "/"))
    text[strlen (text) - 1] = 0;
  return g_steal_pointer (&text);
}

gsize
tern_http_held (const TernHttp *http)
{
  return http->held;
}
