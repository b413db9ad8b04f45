/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as what a client sends to an HTTP server of tools/http, whose routes answer at once, later, and in
 * pieces. Whatever it was, the connection ends when the client's side has, and nothing is held:
 *   fuzz-http -max_len=8000 -timeout=20 CORPUS_FOLDER SEED_FOLDER */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/http/http-private.h"

#define PATIENCE 100000         /* turns of the main loop */
#define LOOKS 40                /* of them, in which all that was sent is looked at */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* libsoup 3.2 loses the path of a request that it refuses by itself. Stacks that are walked, so that it is known by its name;
 * not to their ends, which took half of the time (ASAN_OPTIONS=malloc_context_size=30 shows a leak's whole). */
const char *__lsan_default_suppressions (void);
const char *__asan_default_options (void);

const char *
__lsan_default_suppressions (void)
{
  return "leak:soup_headers_parse_request\n";
}

const char *
__asan_default_options (void)
{
  return "fast_unwind_on_malloc=0:malloc_context_size=8";
}

static void
at_once (TernHttpRequest *request, void *data)
{
  tern_http_reply (request, 200, "text/plain", g_strdup_printf ("%" G_GSIZE_FORMAT, g_bytes_get_size (tern_http_body (request))));
}

static gboolean
reply_now (gpointer data)
{
  g_autoptr (TernHttpRequest) request = data;

  tern_http_reply (request, 200, "text/plain", g_strdup ("late"));
  return G_SOURCE_REMOVE;
}

static void
later (TernHttpRequest *request, void *data)
{
  g_idle_add (reply_now, tern_http_request_ref (request));
}

static gboolean
send_more (gpointer data)
{
  g_autoptr (TernHttpRequest) request = data;

  tern_http_send (request, "two");
  tern_http_end (request);
  return G_SOURCE_REMOVE;
}

static void
in_pieces (TernHttpRequest *request, void *data)
{
  tern_http_begin (request, "text/event-stream");
  tern_http_send (request, "one");
  g_idle_add (send_more, tern_http_request_ref (request));
}

static char *
refusal_body (const char *path, const TernRefusal *refusal, const char **type)
{
  return g_strdup (refusal->message);
}

static const TernHttpRoute routes[] = {
  { "GET", "/", TRUE, FALSE, at_once },
  { "POST", "/a", FALSE, TRUE, at_once },
  { "POST", "/l", FALSE, TRUE, later },
  { "POST", "/p", FALSE, TRUE, in_pieces },
};

static TernHttp *
server (void)
{
  static const TernHttpService service = { .routes = routes, .n = G_N_ELEMENTS (routes), .refusal_body = refusal_body };
  static const TernHttpOptions options = { .listen = "127.0.0.1:0", .max_body = 4000, .max_bodies = 8000 };
  static TernHttp *http;

  if (!http && !(http = tern_http_new (&options, &service, NULL)))
    abort ();
  return http;
}

/* The server's end of a connection without a network. */
static void
take (TernHttp *http, int fd)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, NULL);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 1);
  guint before = http->connections;

  tern_http_take (http, socket, address, address);
  if (http->connections != before + 1)
    abort ();
}

/* What comes back is read until the other side has closed. */
static void
drain (int fd)
{
  char block[4096];
  guint turns = 0;
  gssize n;

  while ((n = recv (fd, block, sizeof block, MSG_DONTWAIT)) != 0) {
    if (n < 0 && turns++ > PATIENCE)
      abort ();                 /* it hangs */
    g_main_context_iteration (NULL, FALSE);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  TernHttp *http = server ();
  int ends[2];

  if (socketpair (AF_UNIX, SOCK_STREAM, 0, ends) < 0)
    abort ();
  take (http, ends[0]);
  for (gsize sent = 0; sent < size;) {
    gssize n = send (ends[1], data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n > 0)
      sent += (gsize) n;
    else if (n < 0 && errno != EAGAIN)
      break;                    /* refused and closed */
    g_main_context_iteration (NULL, FALSE);
  }
  for (guint i = 0; i < LOOKS; i++)     /* who has gone before is not answered */
    g_main_context_iteration (NULL, FALSE);
  shutdown (ends[1], SHUT_WR);
  drain (ends[1]);
  close (ends[1]);
  for (guint turns = 0; g_main_context_iteration (NULL, FALSE) || http->connections > 0; turns++)
    if (turns > PATIENCE)
      abort ();
  if (tern_http_held (http) != 0)
    abort ();
  return 0;
}
