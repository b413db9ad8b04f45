/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP server of tools/http: that nothing of a connection stays, whatever its client did. Counted, not timed: after so many
 * connections of a kind there are as many open files, requests and blocks of memory as before them. */
#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/http/http-private.h"

#define ROUND 100               /* connections */
#define SECURE_ROUND 20         /* with TLS: each takes long */
#define ROUNDS 40

/* ---- The server ---- */

static void
at_once (TernHttpRequest *request, void *data)
{
  tern_http_reply (request, 200, "text/plain", g_strdup ("here"));
}

/* Held until its client is gone, as a long answer is. */
static void
let_go (void *data)
{
  tern_http_request_unref (data);
}

static void
never (TernHttpRequest *request, void *data)
{
  tern_http_on_gone (request, let_go, tern_http_request_ref (request));
}

static void
in_pieces (TernHttpRequest *request, void *data)
{
  tern_http_begin (request, "text/event-stream");
  tern_http_send (request, "one");
  tern_http_on_gone (request, let_go, tern_http_request_ref (request));
}

static char *
refusal_body (const char *path, const TernRefusal *refusal, const char **type)
{
  return g_strdup (refusal->message);
}

static const TernHttpRoute routes[] = {
  { "GET", "/", TRUE, FALSE, at_once },
  { "POST", "/take", FALSE, TRUE, at_once },
  { "POST", "/never", FALSE, TRUE, never },
  { "POST", "/pieces", FALSE, TRUE, in_pieces },
};

static const TernHttpService service = { .routes = routes, .n = G_N_ELEMENTS (routes), .refusal_body = refusal_body };

/* @folder: with a certificate and its key; NULL: no TLS. */
static TernHttp *
server (const char *folder)
{
  g_autofree char *certificate = folder ? g_build_filename (folder, "certificate.pem", NULL) : NULL;
  g_autofree char *key = folder ? g_build_filename (folder, "key.pem", NULL) : NULL;
  TernHttpOptions options = { .listen = "127.0.0.1:0", .certificate = certificate, .private_key = key, .max_body = 4000,
    .max_bodies = 1 << 20 };
  g_autoptr (GError) error = NULL;
  TernHttp *http = tern_http_new (&options, &service, &error);

  g_assert_no_error (error);
  return http;
}

/* ---- Clients ---- */

/* @read: until its first bytes are there (1), or the end (2). */
typedef struct {
  const char *name, *says;
  int read;
} Kind;

static const Kind kinds[] = {
  { "asks and reads", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 2 },
  { "asks and goes", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 0 },
  { "says nothing", "", 0 },
  { "goes in its headers", "POST /take HTTP/1.1\r\nHost: 127.", 0 },
  { "goes in its body", "POST /take HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3000\r\n\r\nabc", 0 },
  { "goes in a body of pieces", "POST /take HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", 0 },
  { "goes while it is worked for", "POST /never HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc", 0 },
  { "goes in the middle of a stream", "POST /pieces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc", 1 },
  { "asks for what is not there", "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 2 },
  { "sends too much", "POST /take HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nabc", 0 },
  { "is led here", "GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 2 },
  { "sends nonsense", "\x16\x03\x01\x02\x01\x01\r\n\r\n", 2 },
};

static int
connect_to (const TernHttp *http)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (http->socket, NULL);
  struct sockaddr_in native;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (fd, >=, 0);
  g_assert_true (g_socket_address_to_native (address, &native, sizeof native, NULL));
  /* The system's end of the server takes it: nobody is waited for. */
  g_assert_cmpint (connect (fd, (struct sockaddr *) &native, sizeof native), ==, 0);
  return fd;
}

/* Until what must come has come; what never does runs into the time limit of the test. */
static void
turn (void)
{
  g_main_context_iteration (NULL, FALSE);
}

static void
read_some (int fd, gboolean all)
{
  char block[4096];
  gssize n;

  while ((n = recv (fd, block, sizeof block, MSG_DONTWAIT)) != 0) {
    if (n > 0 && !all)
      return;
    if (n < 0 && errno != EAGAIN)
      return;                   /* reset: refused before all was read */
    turn ();
  }
}

static void
until_there_are (const TernHttp *http, guint connections)
{
  while (http->connections != connections)
    turn ();
}

static void
visit (const TernHttp *http, const Kind *kind)
{
  int fd = connect_to (http);

  until_there_are (http, 1);
  g_assert_cmpint (send (fd, kind->says, strlen (kind->says), MSG_NOSIGNAL), ==, (gssize) strlen (kind->says));
  if (kind->read)
    read_some (fd, kind->read == 2);
  for (guint i = 0; i < 20; i++)        /* what was sent is looked at, as far as it goes, before the client goes */
    g_main_context_iteration (NULL, FALSE);
  close (fd);
  until_there_are (http, 0);
}

/* ---- Clients with TLS ---- */

static gboolean
accept_any (GTlsConnection *connection, GTlsCertificate *certificate, GTlsCertificateFlags errors, gpointer data)
{
  return TRUE;
}

static void
keep_result (GObject *object, GAsyncResult *result, gpointer data)
{
  *(GAsyncResult **) data = g_object_ref (result);
}

static GAsyncResult *
wait_for (GAsyncResult **result)
{
  while (!*result)
    g_main_context_iteration (NULL, TRUE);
  return *result;
}

static void
ask_and_read (GIOStream *stream)
{
  static const char text[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  g_autoptr (GAsyncResult) wrote = NULL;
  char block[4096];
  gssize n, all = 0;

  g_output_stream_write_all_async (g_io_stream_get_output_stream (stream), text, strlen (text), 0, NULL, keep_result, &wrote);
  g_assert_true (g_output_stream_write_all_finish (g_io_stream_get_output_stream (stream), wait_for (&wrote), NULL, NULL));
  do {
    GInputStream *input = g_io_stream_get_input_stream (stream);
    g_autoptr (GAsyncResult) got = NULL;

    g_input_stream_read_async (input, block, sizeof block, 0, NULL, keep_result, &got);
    n = g_input_stream_read_finish (input, wait_for (&got), NULL);
    all += MAX (n, 0);
  } while (n > 0);
  g_assert_cmpint (all, >, 0);
}

static void
visit_secure (const TernHttp *http, const Kind *unused)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (connect_to (http), NULL);
  g_autoptr (GSocketConnection) plain = g_socket_connection_factory_create_connection (socket);
  g_autoptr (GIOStream) stream = g_tls_client_connection_new (G_IO_STREAM (plain), NULL, NULL);
  g_autoptr (GAsyncResult) shaken = NULL;

  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, TRUE, NULL);
  g_tls_connection_set_database (G_TLS_CONNECTION (stream), NULL);      /* to read the system's takes long */
  g_signal_connect (stream, "accept-certificate", G_CALLBACK (accept_any), NULL);
  g_tls_connection_handshake_async (G_TLS_CONNECTION (stream), 0, NULL, keep_result, &shaken);
  g_assert_true (g_tls_connection_handshake_finish (G_TLS_CONNECTION (stream), wait_for (&shaken), NULL));
  ask_and_read (stream);
  g_socket_close (socket, NULL);
  until_there_are (http, 0);
}

/* FALSE: there is no openssl, or no TLS for GLib. */
static gboolean
make_certificate (const char *folder)
{
  const char *argv[] = { "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
    "-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=localhost", "-days", "2", NULL };
  int status = 1;

  return g_tls_backend_supports_tls (g_tls_backend_get_default ())
      && g_spawn_sync (folder, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL, NULL,
      &status, NULL) && status == 0;
}

/* ---- What there is ---- */

/* Blocks that were given and not taken back, counted here: what malloc tells of itself has its own stores in it. */
static gint blocks;

#if defined (__GLIBC__) && !defined (__SANITIZE_ADDRESS__) && !defined (__SANITIZE_THREAD__)
#define COUNTED TRUE

void *__libc_malloc (size_t size);
void *__libc_calloc (size_t n, size_t size);
void *__libc_realloc (void *block, size_t size);
void *__libc_memalign (size_t alignment, size_t size);
void __libc_free (void *block);
void *memalign (size_t alignment, size_t size);

static void *
count (void *block)
{
  if (block)
    g_atomic_int_inc (&blocks);
  return block;
}

void *
malloc (size_t size)
{
  return count (__libc_malloc (size));
}

void *
calloc (size_t n, size_t size)
{
  return count (__libc_calloc (n, size));
}

void *
realloc (void *block, size_t size)
{
  void *moved = __libc_realloc (block, size);

  if (!block)
    count (moved);
  else if (size == 0 && !moved)
    g_atomic_int_add (&blocks, -1);
  return moved;
}

void *
memalign (size_t alignment, size_t size)
{
  return count (__libc_memalign (alignment, size));
}

void *
aligned_alloc (size_t alignment, size_t size)
{
  return count (__libc_memalign (alignment, size));
}

int
posix_memalign (void **block, size_t alignment, size_t size)
{
  *block = count (__libc_memalign (alignment, size));
  return *block ? 0 : ENOMEM;
}

void
free (void *block)
{
  if (block)
    g_atomic_int_add (&blocks, -1);
  __libc_free (block);
}
#else
#define COUNTED FALSE
#endif

static guint
open_files (void)
{
  GDir *folder = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  g_assert_nonnull (folder);
  while (g_dir_read_name (folder))
    n++;
  g_dir_close (folder);
  return n;
}

/* Blocks that stay of @n visits. */
static gint
visit_often (TernHttp *http, void (*visit_by) (const TernHttp *, const Kind *), const Kind *kind, guint n)
{
  gint before = g_atomic_int_get (&blocks);

  for (guint i = 0; i < n; i++)
    visit_by (http, kind);
  return g_atomic_int_get (&blocks) - before;
}

/* What is lost of each connection is lost in every round, a block a visit at least. What is made once, or is freed later by
 * threads of a library (GIO closes TLS in some), is not: there is a round without it. */
static void
check_nothing_stays (TernHttp *http, void (*visit_by) (const TernHttp *, const Kind *), const Kind *kind, guint n)
{
  gint least = G_MAXINT;
  guint files;

  visit_often (http, visit_by, kind, n);
  files = open_files ();
  for (guint i = 0; i < ROUNDS && least >= (gint) n / 10; i++)
    least = MIN (least, visit_often (http, visit_by, kind, n));
  g_test_message ("who %s %u times: %d blocks of memory stay%s", kind->name, n, least, COUNTED ? "" : " (not counted)");
  g_assert_cmpint (least, <, (gint) n / 10);
  while (open_files () > files) /* those threads close files, too */
    turn ();
  g_assert_cmpuint (http->requests->len, ==, 0);
  g_assert_cmpuint (tern_http_held (http), ==, 0);
}

static void
test_nothing_stays (gconstpointer data)
{
  TernHttp *http = server (NULL);

  check_nothing_stays (http, visit, data, ROUND);
  tern_http_free (http);
}

static void
test_nothing_stays_of_tls (void)
{
  static const Kind secure = { "asks by TLS", "", 0 }, broken = { "begins no TLS", "GET / HTTP/1.1\r\n\r\n", 2 },
      gone = { "goes in the handshake", "\x16\x03\x01\x02", 0 };
  g_autofree char *folder = g_dir_make_tmp ("tern-http-XXXXXX", NULL);
  TernHttp *http;

  if (make_certificate (folder)) {
    http = server (folder);
    check_nothing_stays (http, visit_secure, &secure, SECURE_ROUND);
    check_nothing_stays (http, visit, &broken, SECURE_ROUND);
    check_nothing_stays (http, visit, &gone, SECURE_ROUND);
    tern_http_free (http);
  } else {
    g_test_skip ("no certificate can be made (openssl), or there is no TLS (glib-networking)");
  }
  for (guint i = 0; i < 2; i++) {
    g_autofree char *path = g_build_filename (folder, i ? "key.pem" : "certificate.pem", NULL);

    g_unlink (path);
  }
  g_rmdir (folder);
}

/* A connection that cannot be taken, since there are too many open files, is taken when there are not. */
static void
test_too_many_files (void)
{
  TernHttp *http = server (NULL);
  struct rlimit were, few;
  int fd;

  visit (http, &kinds[0]);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &were), ==, 0);
  fd = connect_to (http);
  few = (struct rlimit) { (rlim_t) fd + 1, were.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  while (!http->again)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (http->connections, ==, 0);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &were), ==, 0);
  while (http->connections == 0)
    g_main_context_iteration (NULL, TRUE);
  close (fd);
  until_there_are (http, 0);
  visit (http, &kinds[0]);
  tern_http_free (http);
}

/* A hundred that come at once, before any is looked at, are all answered. */
static void
test_at_once (void)
{
  TernHttp *http = server (NULL);
  int fds[ROUND];

  for (guint i = 0; i < ROUND; i++) {
    fds[i] = connect_to (http);
    g_assert_cmpint (send (fds[i], kinds[0].says, strlen (kinds[0].says), MSG_NOSIGNAL), >, 0);
  }
  for (guint i = 0; i < ROUND; i++) {
    g_autoptr (GString) got = g_string_new (NULL);
    char block[4096];
    gssize n;

    while ((n = recv (fds[i], block, sizeof block, MSG_DONTWAIT)) != 0) {
      g_assert_true (n > 0 || errno == EAGAIN);
      if (n > 0)
        g_string_append_len (got, block, n);
      else
        turn ();
    }
    g_assert_true (g_str_has_prefix (got->str, "HTTP/1.1 200 ") && g_str_has_suffix (got->str, "\r\n\r\nhere"));
    close (fds[i]);
  }
  until_there_are (http, 0);
  tern_http_free (http);
}

int
main (int argc, char **argv)
{
  g_setenv ("G_SLICE", "always-malloc", TRUE);  /* GLib's own store would hide what is kept */
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_strdup_printf ("/http/nothing-stays/%s", kinds[i].name);

    g_strdelimit (path, " ", '-');
    g_test_add_data_func (path, &kinds[i], test_nothing_stays);
  }
  g_test_add_func ("/http/nothing-stays/tls", test_nothing_stays_of_tls);
  g_test_add_func ("/http/too-many-files", test_too_many_files);
  g_test_add_func ("/http/at-once", test_at_once);
  return g_test_run ();
}
