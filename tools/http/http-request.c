/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <poll.h>
#include <string.h>

#include "tools/http/http-private.h"

#define CONNECTIONS 1024        /* at a time; more are closed at once */
#define IDLE_S 30               /* until a request's headers are there */
#define SILENT_S 30             /* within a body */
#define RECEIVE_S 600           /* for a body, altogether */
#define STALLED_S 60            /* for an answer that nobody reads */
/* Bytes of a body that is too large which are read and thrown away, so that its client hears why. */
#define DROP_BYTES (64 << 20)
/* The other side has closed: poll(2) knows it where GIOCondition has no name for it. */
#define HUNG_UP ((GIOCondition) POLLRDHUP | G_IO_HUP | G_IO_ERR)

static const char key[] = "tern-http-request";

/* ---- Life -------------------------------------------------------------------------------------------------------- */

TernHttpRequest *
tern_http_request_ref (TernHttpRequest *request)
{
  request->refs++;
  return request;
}

const char *
tern_http_path (const TernHttpRequest *request)
{
  return request->path;
}

const char *
tern_http_query (const TernHttpRequest *request)
{
  return request->message ? g_uri_get_query (soup_server_message_get_uri (request->message)) : NULL;
}

GBytes *
tern_http_body (const TernHttpRequest *request)
{
  return request->body;
}

static void
stop_sources (TernHttpRequest *request)
{
  g_clear_handle_id (&request->timer, g_source_remove);
  g_clear_handle_id (&request->watch, g_source_remove);
}

void
tern_http_drop_body (TernHttpRequest *request)
{
  if (request->http)
    request->http->held -= request->counted;
  request->counted = 0;
  g_clear_pointer (&request->body, g_bytes_unref);
  g_clear_pointer (&request->coming, g_byte_array_unref);
}

void
tern_http_request_unref (TernHttpRequest *request)
{
  if (!request || --request->refs > 0)
    return;
  stop_sources (request);
  tern_http_drop_body (request);
  tern_refusal_clear (&request->refusal);
  g_object_unref (request->socket);
  g_free (request->path);
  g_free (request);
}

/* Nobody waits for the answer any more. */
static void
is_gone (TernHttpRequest *request)
{
  void (*func) (void *data) = request->on_gone;

  if (request->gone || request->over)
    return;
  request->gone = TRUE;
  request->on_gone = NULL;
  if (func)
    func (request->gone_data);
}

void
tern_http_on_gone (TernHttpRequest *request, void (*func) (void *data), void *data)
{
  request->on_gone = func;
  request->gone_data = data;
  if (func && (request->gone || !request->message)) {
    request->gone = FALSE;
    is_gone (request);
  }
}

/* The message is freed: its request has nobody to talk to. */
static void
detach (gpointer data)
{
  TernHttpRequest *request = data;

  stop_sources (request);
  request->message = NULL;
  if (request->http) {
    request->http->connections--;
    g_ptr_array_remove_fast (request->http->requests, request);
  }
  is_gone (request);
  tern_http_request_unref (request);
}

TernHttpRequest *
tern_http_request_of (SoupServerMessage *message)
{
  return g_object_get_data (G_OBJECT (message), key);
}

/* A message that waits for its answer must go on to find out that nobody reads it: else it stays for ever. */
static void
give_up_answer (TernHttpRequest *request)
{
  if (request->streams && !request->over)
    soup_message_body_complete (soup_server_message_get_response_body (request->message));
  else if (!request->answered)
    soup_server_message_set_status (request->message, 503, NULL);
  if (request->paused || (request->streams && !request->over))
    soup_server_message_unpause (request->message);
  request->over = request->answered = TRUE;
  request->paused = FALSE;
}

void
tern_http_hang_up (TernHttpRequest *request)
{
  stop_sources (request);
  if (request->message)
    g_socket_shutdown (request->socket, TRUE, TRUE, NULL);
  is_gone (request);
  if (request->message)
    give_up_answer (request);
}

static gboolean
late (gpointer data)
{
  TernHttpRequest *request = data;

  request->timer = 0;
  tern_http_hang_up (request);
  return G_SOURCE_REMOVE;
}

/* The connection is closed when nothing happened for @seconds. */
static void
wait_for (TernHttpRequest *request, guint seconds)
{
  g_clear_handle_id (&request->timer, g_source_remove);
  if (seconds > 0)
    request->timer = g_timeout_add_seconds (seconds, late, request);
}

/* ---- Answering --------------------------------------------------------------------------------------------------- */

static void
go_on (TernHttpRequest *request)
{
  if (request->paused && request->message) {
    request->paused = FALSE;
    soup_server_message_unpause (request->message);
  }
}

static void
say_answered (TernHttpRequest *request, guint status)
{
  request->answered = TRUE;
  if (request->http && request->http->service->answered)
    request->http->service->answered (request->http->service->data, request->route, status);
}

void
tern_http_header (TernHttpRequest *request, const char *name, const char *value)
{
  if (request->message)
    soup_message_headers_replace (soup_server_message_get_response_headers (request->message), name, value);
}

static void
common_headers (TernHttpRequest *request)
{
  tern_http_header (request, "Connection", "close");
  tern_http_header (request, "X-Content-Type-Options", "nosniff");
  tern_http_header (request, "Cache-Control", "no-store");
}

void
tern_http_reply (TernHttpRequest *request, guint status, const char *type, char *body)
{
  g_autoptr (GBytes) bytes = g_bytes_new_take (body, strlen (body));

  tern_http_reply_bytes (request, status, type, bytes);
}

void
tern_http_reply_bytes (TernHttpRequest *request, guint status, const char *type, GBytes *body)
{
  gsize size;
  const char *data = g_bytes_get_data (body, &size);

  if (!request->message || request->answered)
    return;
  request->over = TRUE;
  g_clear_handle_id (&request->watch, g_source_remove);
  wait_for (request, STALLED_S);
  common_headers (request);
  say_answered (request, status);
  soup_server_message_set_status (request->message, status, NULL);
  soup_server_message_set_response (request->message, type, SOUP_MEMORY_COPY, data, size);
  go_on (request);
}

void
tern_http_refuse (TernHttpRequest *request, const TernRefusal *refusal)
{
  const char *type = "text/plain";
  char *body;

  if (!request->message || !request->http || request->answered)
    return;
  body = request->http->service->refusal_body (request->path ? request->path : "", refusal, &type);
  if (refusal->retry_after > 0) {
    g_autofree char *seconds = g_strdup_printf ("%u", refusal->retry_after);

    tern_http_header (request, "Retry-After", seconds);
  }
  if (refusal->status == 401)
    tern_http_header (request, "WWW-Authenticate", "Bearer");
  tern_http_reply (request, refusal->status, type, body);
}

void
tern_http_begin (TernHttpRequest *request, const char *type)
{
  SoupMessageHeaders *headers;
  gboolean chunks;

  if (!request->message || request->answered)
    return;
  headers = soup_server_message_get_response_headers (request->message);
  chunks = soup_server_message_get_http_version (request->message) != SOUP_HTTP_1_0;
  common_headers (request);
  soup_message_headers_set_content_type (headers, type, NULL);
  soup_message_headers_set_encoding (headers, chunks ? SOUP_ENCODING_CHUNKED : SOUP_ENCODING_EOF);
  /* A proxy in between must not keep words until there are many. */
  tern_http_header (request, "X-Accel-Buffering", "no");
  soup_message_body_set_accumulate (soup_server_message_get_response_body (request->message), FALSE);
  soup_server_message_set_status (request->message, 200, NULL);
  request->streams = TRUE;
  say_answered (request, 200);
}

void
tern_http_send (TernHttpRequest *request, const char *text)
{
  if (!request->message || !request->streams || request->over || request->gone)
    return;
  soup_message_body_append (soup_server_message_get_response_body (request->message), SOUP_MEMORY_COPY, text,
      strlen (text));
  request->paused = FALSE;
  soup_server_message_unpause (request->message);
}

void
tern_http_end (TernHttpRequest *request)
{
  if (!request->message || !request->streams || request->over)
    return;
  request->over = TRUE;
  g_clear_handle_id (&request->watch, g_source_remove);
  wait_for (request, STALLED_S);
  soup_message_body_complete (soup_server_message_get_response_body (request->message));
  request->paused = FALSE;
  soup_server_message_unpause (request->message);
}

/* ---- Before the body --------------------------------------------------------------------------------------------- */

/* Who sends a body without asking first would have the connection reset under the answer, and not hear it: the body is read,
 * thrown away, and answered then. Not where it is too long, nor where its length is in doubt. */
static gboolean
can_wait (const TernHttpRequest *request, SoupMessageHeaders *headers, const TernRefusal *refusal)
{
  SoupEncoding encoding = soup_message_headers_get_encoding (headers);

  if (refusal->status == 400 || (soup_message_headers_get_expectations (headers) & SOUP_EXPECTATION_CONTINUE))
    return FALSE;
  return encoding == SOUP_ENCODING_CHUNKED || (encoding == SOUP_ENCODING_CONTENT_LENGTH
      && soup_message_headers_get_content_length (headers) > 0
      && soup_message_headers_get_content_length (headers) <= DROP_BYTES);
}

static void
refuse_early (TernHttpRequest *request, SoupMessageHeaders *headers, TernRefusal *refusal)
{
  if (can_wait (request, headers, refusal)) {
    request->refusal = *refusal;
    request->too_large = TRUE;
    *refusal = (TernRefusal) { 0 };
    soup_message_body_set_accumulate (soup_server_message_get_request_body (request->message), FALSE);
    request->begun = g_get_monotonic_time ();
    wait_for (request, SILENT_S);
    return;
  }
  tern_http_refuse (request, refusal);
  tern_refusal_clear (refusal);
}

static gboolean
may_ask (const TernHttpRequest *request, SoupMessageHeaders *headers, TernRefusal *refusal)
{
  const TernHttp *http = request->http;
  gboolean open = request->route && request->route->open;

  if (http->keys)
    return open || tern_keys_allow (http->keys, soup_message_headers_get_one (headers, "Authorization"))
        || tern_refuse (refusal, 401, "authentication_error", NULL,
        "Authorization: expected \"Bearer KEY\" with a key of this server, found %s",
        soup_message_headers_get_one (headers, "Authorization") ? "another" : "none");
  return tern_host_is_ours (soup_message_headers_get_one (headers, "Host"),
      soup_message_headers_get_one (headers, "Origin"))
      || tern_refuse (refusal, 403, "permission_error", NULL, "Host and Origin: expected this machine's, as long as no key"
      " is asked for, found another's");
}

/* Two lengths of one body are how a request is hidden in another. */
static gboolean
has_one_length (SoupMessageHeaders *headers, TernRefusal *refusal)
{
  const char *coding = soup_message_headers_get_list (headers, "Transfer-Encoding");
  const char *length = soup_message_headers_get_list (headers, "Content-Length");
  guint64 bytes;

  if (coding && length)
    return tern_refuse (refusal, 400, "invalid_request_error", NULL, "headers: expected Content-Length or Transfer-Encoding,"
        " found both");
  if (coding && g_ascii_strcasecmp (coding, "chunked") != 0)
    return tern_refuse (refusal, 400, "invalid_request_error", NULL, "Transfer-Encoding: expected chunked, found another");
  if (length && !g_ascii_string_to_unsigned (length, 10, 0, G_MAXINT64, &bytes, NULL))
    return tern_refuse (refusal, 400, "invalid_request_error", NULL, "Content-Length: expected one number, found another"
        " thing");
  return TRUE;
}

static gboolean
has_room (const TernHttpRequest *request, SoupMessageHeaders *headers, TernRefusal *refusal)
{
  const TernHttp *http = request->http;
  gboolean counted = soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH;
  guint64 bytes = counted ? (guint64) soup_message_headers_get_content_length (headers) : 0;

  if (bytes > http->max_body)
    return tern_refuse (refusal, 413, "invalid_request_error", NULL, "body: expected at most %" G_GSIZE_FORMAT " bytes, found"
        " %" G_GUINT64_FORMAT, http->max_body, bytes);
  if (http->held + bytes > http->max_bodies) {
    tern_refuse (refusal, 429, "rate_limit_error", NULL, "this server has as much in hand as it can hold; try again");
    refusal->retry_after = 1;
    return FALSE;
  }
  return !request->route->works || !http->service->admit || http->service->admit (http->service->data, refusal);
}

static gboolean
has_route (TernHttpRequest *request, TernRefusal *refusal)
{
  const char *method = soup_server_message_get_method (request->message);
  gboolean known;

  request->route = tern_http_find_route (request->http, method, request->path, &known);
  if (request->route)
    return TRUE;
  return known ? tern_refuse (refusal, 405, "invalid_request_error", NULL, "%s: expected another method, found %s",
      request->path, method)
      : tern_refuse (refusal, 404, "not_found_error", NULL, "%s: there is no such thing here", request->path);
}

static void
got_headers (SoupServerMessage *message, gpointer data)
{
  TernHttpRequest *request = data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  TernRefusal refusal = { 0 };
  gboolean routed, known;

  request->path = g_strdup (g_uri_get_path (soup_server_message_get_uri (message)));
  request->route = tern_http_find_route (request->http, soup_server_message_get_method (message), request->path, &known);
  /* As if the client had asked for it: the answer's own header goes with a 100 Continue. */
  soup_message_headers_replace (headers, "Connection", "close");
  /* Who may not ask is not told what there is. */
  routed = may_ask (request, headers, &refusal) && has_route (request, &refusal) && has_one_length (headers, &refusal)
      && has_room (request, headers, &refusal);
  if (!routed) {
    refuse_early (request, headers, &refusal);
    return;
  }
  soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
  request->coming = g_byte_array_new ();
  request->begun = g_get_monotonic_time ();
  wait_for (request, SILENT_S);
}

/* ---- The body ---------------------------------------------------------------------------------------------------- */

static void
got_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  TernHttpRequest *request = data;
  gsize n;
  const guint8 *bytes = g_bytes_get_data (chunk, &n);

  if (request->answered || !request->http || (!request->coming && !request->refusal.status))
    return;
  request->too_large = request->too_large || request->coming->len + n > request->http->max_body
      || request->http->held + n > request->http->max_bodies;
  if (request->too_large) {
    request->dropped += n;
  } else {
    g_byte_array_append (request->coming, bytes, (guint) n);
    request->counted += n;
    request->http->held += n;
  }
  if (request->dropped > DROP_BYTES || g_get_monotonic_time () - request->begun > RECEIVE_S * G_USEC_PER_SEC)
    tern_http_hang_up (request);
  else
    wait_for (request, SILENT_S);
}

static gboolean
hung_up (gint fd, GIOCondition condition, gpointer data)
{
  TernHttpRequest *request = data;

  request->watch = 0;
  tern_http_hang_up (request);
  return G_SOURCE_REMOVE;
}

/* Where there is much to do, who gave up meanwhile is found behind his request: he takes no place from others. */
static gboolean
has_hung_up (const TernHttpRequest *request)
{
  struct pollfd file = { g_socket_get_fd (request->socket), HUNG_UP, 0 };

  return poll (&file, 1, 0) > 0;
}

void
tern_http_request_handle (TernHttpRequest *request)
{
  G_GNUC_UNUSED g_autoptr (TernHttpRequest) held = tern_http_request_ref (request);

  if (!request->answered && request->refusal.status) {
    tern_http_refuse (request, &request->refusal);
    return;
  }
  if (request->answered || !request->route || !request->coming)
    return;
  wait_for (request, 0);
  request->body = g_byte_array_free_to_bytes (g_steal_pointer (&request->coming));
  if (request->too_large) {
    TernRefusal refusal = { 0 };

    tern_refuse (&refusal, 413, "invalid_request_error", NULL, "body: expected at most %" G_GSIZE_FORMAT " bytes, found more",
        request->http->max_body);
    tern_http_refuse (request, &refusal);
    tern_refusal_clear (&refusal);
    return;
  }
  if (request->route->works && has_hung_up (request)) {
    tern_http_hang_up (request);
    return;
  }
  if (!g_socket_is_closed (request->socket))
    request->watch = g_unix_fd_add (g_socket_get_fd (request->socket), HUNG_UP, hung_up, request);
  request->route->handle (request, request->http->service->data);
  /* A stream that has begun goes out as far as it is there, and waits by itself. */
  if (!request->answered) {
    request->paused = TRUE;
    soup_server_message_pause (request->message);
  }
}

static void
finished (SoupServerMessage *message, gpointer data)
{
  TernHttpRequest *request = data;

  stop_sources (request);
  is_gone (request);
}

/* What was written shows that somebody reads. */
static void
wrote (SoupServerMessage *message, gpointer data)
{
  TernHttpRequest *request = data;

  if (request->over)
    wait_for (request, STALLED_S);
}

/* A connection is for one request: libsoup (3.2) does not notice when a client closes one that waits for its next, and keeps
 * it for ever. So nothing that was sent behind a request is ever taken for another one, either. It is said before anything
 * is read: libsoup's own refusals keep to it, too. */
void
tern_http_request_attach (TernHttp *http, SoupServerMessage *message, GSocket *socket)
{
  TernHttpRequest *request = g_new0 (TernHttpRequest, 1);

  request->refs = 1;
  request->http = http;
  request->message = message;
  request->socket = g_object_ref (socket);
  tern_http_header (request, "Connection", "close");
  http->connections++;
  g_ptr_array_add (http->requests, request);
  g_object_set_data_full (G_OBJECT (message), key, request, detach);
  g_signal_connect (message, "got-headers", G_CALLBACK (got_headers), request);
  g_signal_connect (message, "got-chunk", G_CALLBACK (got_chunk), request);
  g_signal_connect (message, "wrote-chunk", G_CALLBACK (wrote), request);
  g_signal_connect (message, "finished", G_CALLBACK (finished), request);
  wait_for (request, IDLE_S);
  if (http->connections > CONNECTIONS)
    tern_http_hang_up (request);
}
