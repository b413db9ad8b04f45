/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HTTP server for programs of this project: libsoup's, with what it leaves to its users. A request is looked at before
 * its body is read (key, host, path, method, size, whether there is room), its body is bounded however it comes, who goes
 * away is noticed while nothing is written, and who is slow is not waited for. Knows nothing of models.
 *
 *   http.c           which request goes where
 *   http-listen.c    listening and TLS
 *   http-request.c   a request from its first byte to the last of its answer
 *   http-access.c    who may ask: keys, hosts, addresses to listen at
 *
 * All of it on the thread of the default main context. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _TernHttp TernHttp;
typedef struct _TernHttpRequest TernHttpRequest;

/* Why a request is not answered. */
typedef struct {
  guint status;                 /* 400, 401, ... */
  const char *type;             /* static; "invalid_request_error" */
  const char *code;             /* static; NULL */
  char *param;                  /* which field is meant; NULL: none */
  char *message;
  guint retry_after;            /* s; 0: not said */
} TernRefusal;

void tern_refusal_clear (TernRefusal *refusal);
/* Fills @refusal, whose former contents are freed. @param may be NULL. FALSE, for callers to return. */
gboolean tern_refuse (TernRefusal *refusal, guint status, const char *type, const char *param, const char *format, ...)
    G_GNUC_PRINTF (5, 6);

typedef struct {
  const char *method;           /* "GET" answers HEAD, too */
  const char *path;             /* "/x/" followed by "*": whatever begins so and goes on */
  gboolean open;                /* nobody is asked for a key */
  gboolean works;               /* takes a body, and a place among those that are worked on: @admit is asked */
  void (*handle) (TernHttpRequest *request, void *data);
} TernHttpRoute;

/* [n] of them, static. */
typedef struct {
  const TernHttpRoute *routes;
  guint n;
  /* Whether there is room for another one that works, before its body is read; NULL: always. */
  gboolean (*admit) (void *data, TernRefusal *refusal);
  /* The body of a refusal, in the form that clients of @path expect; *@type its content type. */
  char *(*refusal_body) (const char *path, const TernRefusal *refusal, const char **type);
  /* An answer's first line is out; NULL: nobody counts. */
  void (*answered) (void *data, const TernHttpRoute *route, guint status);
  void *data;
} TernHttpService;

typedef struct {
  const char *listen;           /* HOST:PORT or [HOST]:PORT; port 0: any */
  const char *option;           /* where that stands, for messages; NULL: --listen */
  const char *key_file;         /* keys, one a line; NULL: none is asked for, which needs a loopback address */
  const char *certificate, *private_key;        /* files; NULL: no TLS */
  gsize max_body;               /* bytes */
  gsize max_bodies;             /* of all that are held at a time */
} TernHttpOptions;

/* Whether @listen is an address, of this machine alone. */
gboolean tern_http_is_loopback (const char *listen);

/* Listens. INVALID: an address, a key file without keys, no key beyond loopback; READ, NOT_FOUND, FORMAT: files; FAILED: the
 * address is in use. @service is borrowed. */
TernHttp *tern_http_new (const TernHttpOptions *options, const TernHttpService *service, GError **error);
/* Closes all connections. Requests that are held on to are gone. */
void tern_http_free (TernHttp *http);
/* "http://127.0.0.1:8080", the port that it really is. */
char *tern_http_address (const TernHttp *http);
/* Bytes of bodies that are held. */
gsize tern_http_held (const TernHttp *http);

/* ---- Requests ---- */

TernHttpRequest *tern_http_request_ref (TernHttpRequest *request);
void tern_http_request_unref (TernHttpRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernHttpRequest, tern_http_request_unref)

const char *tern_http_path (const TernHttpRequest *request);    /* as it came, with its %XX */
const char *tern_http_query (const TernHttpRequest *request);   /* "a=b&c=d", as it came; NULL: none */
GBytes *tern_http_body (const TernHttpRequest *request);        /* borrowed */
/* Forgets the body, whose bytes do not count any more. */
void tern_http_drop_body (TernHttpRequest *request);

/* @func is called, once, when the client has gone before its answer was complete: from then on what is sent is dropped. */
void tern_http_on_gone (TernHttpRequest *request, void (*func) (void *data), void *data);

/* A further header of the answer. */
void tern_http_header (TernHttpRequest *request, const char *name, const char *value);
/* An answer in one piece; takes @body. */
void tern_http_reply (TernHttpRequest *request, guint status, const char *type, char *body);
void tern_http_reply_bytes (TernHttpRequest *request, guint status, const char *type, GBytes *body);
void tern_http_refuse (TernHttpRequest *request, const TernRefusal *refusal);
/* An answer in pieces, each of which is sent at once. */
void tern_http_begin (TernHttpRequest *request, const char *type);
void tern_http_send (TernHttpRequest *request, const char *text);
void tern_http_end (TernHttpRequest *request);
/* Closes the connection, whatever was sent. */
void tern_http_hang_up (TernHttpRequest *request);

G_END_DECLS
