/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections are taken here, and libsoup is given streams: its own listener (3.2) loses a GSocket, 340 bytes, of every
 * connection that was, loses the whole connection when a TLS handshake fails, listens no more after the first one that could
 * not be taken (too many open files), and lets ten wait to be taken, after which they are reset. */
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "tern/error.h"
#include "tools/http/http-private.h"

#define BACKLOG 512             /* connections that wait to be taken */
#define AT_ONCE 64              /* that are taken before others have their turn */
#define AGAIN_MS 200            /* after one that could not be taken: there are too many open files */

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

gboolean
tern_http_read_certificate (TernHttp *http, const TernHttpOptions *options, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (!options->certificate && !options->private_key)
    return TRUE;
  if (!options->certificate || !options->private_key) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--tls-certificate and --tls-key: expected both, found %s alone",
        options->certificate ? "--tls-certificate" : "--tls-key");
    return FALSE;
  }
  http->certificate = g_tls_certificate_new_from_files (options->certificate, options->private_key, &failure);
  if (http->certificate)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "--tls-certificate %s, --tls-key %s: expected a certificate and its key"
      " in PEM, found that they cannot be used: %s", options->certificate, options->private_key, failure->message);
  return FALSE;
}

/* The handshake is a part of the first reading: who does not come to its end is closed as who does not ask. No certificate is
 * asked of clients: where nobody says that there are none to trust, all of the system's are read for every connection. */
static GIOStream *
secure (const TernHttp *http, GIOStream *connection)
{
  static const char *const protocols[] = { "http/1.1", "http/1.0", NULL };

  return g_initable_new (g_tls_backend_get_server_connection_type (g_tls_backend_get_default ()), NULL, NULL,
      "base-io-stream", connection, "certificate", http->certificate, "database", NULL, "require-close-notify", FALSE,
      "advertised-protocols", protocols, NULL);
}

/* ---- Connections ------------------------------------------------------------------------------------------------- */

void
tern_http_take (TernHttp *http, GSocket *socket, GSocketAddress *local, GSocketAddress *remote)
{
  g_autoptr (GSocketConnection) connection = g_socket_connection_factory_create_connection (socket);
  g_autoptr (GIOStream) stream = http->certificate ? secure (http, G_IO_STREAM (connection))
      : g_object_ref (G_IO_STREAM (connection));

  if (!stream)
    return;
  http->taken = socket;
  soup_server_accept_iostream (http->server, stream, local, remote, NULL);
  http->taken = NULL;
}

/* One that is over already has no other side, and is dropped. */
static void
take_accepted (TernHttp *http, GSocket *socket)
{
  g_autoptr (GSocketAddress) local = g_socket_get_local_address (socket, NULL);
  g_autoptr (GSocketAddress) remote = g_socket_get_remote_address (socket, NULL);

  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, TRUE, NULL);
  if (local && remote)
    tern_http_take (http, socket, local, remote);
}

static void wait_for_connections (TernHttp *http);

static gboolean
look_again (gpointer data)
{
  TernHttp *http = data;

  http->again = 0;
  wait_for_connections (http);
  return G_SOURCE_REMOVE;
}

/* All that wait; a while later again where one could not be taken, and still waits. */
static gboolean
take_waiting (GSocket *listening, GIOCondition condition, gpointer data)
{
  TernHttp *http = data;

  for (guint n = 0; n < AT_ONCE; n++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GSocket) socket = g_socket_accept (listening, NULL, &error);

    if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
      return G_SOURCE_CONTINUE;
    if (!socket) {
      http->accept = 0;
      http->again = g_timeout_add (AGAIN_MS, look_again, http);
      return G_SOURCE_REMOVE;
    }
    take_accepted (http, socket);
  }
  return G_SOURCE_CONTINUE;
}

static void
wait_for_connections (TernHttp *http)
{
  g_autoptr (GSource) source = g_socket_create_source (http->socket, G_IO_IN, NULL);

  g_source_set_callback (source, G_SOURCE_FUNC (take_waiting), http, NULL);
  http->accept = g_source_attach (source, NULL);
}

/* ---- Listening --------------------------------------------------------------------------------------------------- */

gboolean
tern_http_listen (TernHttp *http, GError **error)
{
  const char *host = g_ascii_strcasecmp (http->listen.host, "localhost") == 0 ? "127.0.0.1" : http->listen.host;
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string (host, http->listen.port);
  g_autoptr (GSocket) socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, error);

  if (!socket || !g_socket_bind (socket, address, TRUE, error))
    return FALSE;
  g_socket_set_blocking (socket, FALSE);
  g_socket_set_listen_backlog (socket, BACKLOG);
  if (!g_socket_listen (socket, error))
    return FALSE;
  http->socket = g_steal_pointer (&socket);
  wait_for_connections (http);
  return TRUE;
}

void
tern_http_stop_listening (TernHttp *http)
{
  g_clear_handle_id (&http->accept, g_source_remove);
  g_clear_handle_id (&http->again, g_source_remove);
  g_clear_object (&http->socket);
  g_clear_object (&http->certificate);
}

char *
tern_http_address (const TernHttp *http)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (http->socket, NULL);
  GInetSocketAddress *inet = (GInetSocketAddress *) address;
  const char *scheme = http->certificate ? "https" : "http";
  g_autofree char *host = NULL;
  gboolean brackets;

  if (!address)
    return g_strdup ("");
  host = g_inet_address_to_string (g_inet_socket_address_get_address (inet));
  brackets = g_socket_address_get_family (address) == G_SOCKET_FAMILY_IPV6;
  return g_strdup_printf ("%s://%s%s%s:%u", scheme, brackets ? "[" : "", host, brackets ? "]" : "",
      g_inet_socket_address_get_port (inet));
}
