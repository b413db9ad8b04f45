/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libsoup/soup.h>

#include "tools/http/http.h"

G_BEGIN_DECLS

/* ---- http-access.c ---- */

typedef struct {
  char *host;                   /* without brackets */
  guint16 port;
  gboolean loopback;
} TernListen;

/* INVALID. */
gboolean tern_listen_parse (TernListen *listen, const char *text, GError **error);
void tern_listen_clear (TernListen *listen);

/* What is kept of keys. */
typedef struct _TernKeys TernKeys;
TernKeys *tern_keys_read (const char *path, GError **error);
void tern_keys_free (TernKeys *keys);
/* Whether @authorization, a header or NULL, is "Bearer" and one of them. Takes as long whatever it is. */
gboolean tern_keys_allow (const TernKeys *keys, const char *authorization);

/* Whether a browser may have been led here by another site: a name that is not this machine's, a page of another origin. */
gboolean tern_host_is_ours (const char *host, const char *origin);

/* ---- http.c ---- */

struct _TernHttp {
  SoupServer *server;
  const TernHttpService *service;
  TernListen listen;
  TernKeys *keys;               /* NULL: none is asked for */
  gsize max_body, max_bodies, held;
  guint connections;
  GSocket *socket;              /* that is listened at; NULL: none */
  guint accept, again;          /* sources: a connection waits; it is looked again; 0: none */
  GTlsCertificate *certificate; /* NULL: no TLS */
  GSocket *taken;               /* whose connection libsoup is being given; NULL: none */
  GPtrArray *requests;          /* of TernHttpRequest that have a message; not owned */
};

const TernHttpRoute *tern_http_find_route (const TernHttp *http, const char *method, const char *path, gboolean *known);

/* ---- http-listen.c ---- */

/* READ, INVALID. */
gboolean tern_http_read_certificate (TernHttp *http, const TernHttpOptions *options, GError **error);
/* At http->listen. An error of GIO's. */
gboolean tern_http_listen (TernHttp *http, GError **error);
/* Closes what is listened at, not the connections. */
void tern_http_stop_listening (TernHttp *http);
/* The server's end of a connection between these addresses, of the Internet's: its request is waited for. */
void tern_http_take (TernHttp *http, GSocket *socket, GSocketAddress *local, GSocketAddress *remote);

/* ---- http-request.c ---- */

struct _TernHttpRequest {
  guint refs;
  TernHttp *http;               /* NULL: it is closed */
  SoupServerMessage *message;   /* NULL: it is over */
  GSocket *socket;
  const TernHttpRoute *route;   /* NULL: none was found */
  char *path;
  GByteArray *coming;           /* what came of the body */
  gsize counted;                /* bytes of it that count as held */
  gboolean too_large;
  gsize dropped;                /* bytes beyond */
  TernRefusal refusal;          /* to be told once the body was read, and thrown away; status 0: none */
  GBytes *body;
  guint timer, watch;           /* sources; 0: none */
  gint64 begun;                 /* monotonic us */
  gboolean paused, answered, streams, over, gone;
  void (*on_gone) (void *data);
  void *gone_data;
};

/* A connection was made: it has one request. */
void tern_http_request_attach (TernHttp *http, SoupServerMessage *message, GSocket *socket);
TernHttpRequest *tern_http_request_of (SoupServerMessage *message);
/* Its body is there: hands it to its route. */
void tern_http_request_handle (TernHttpRequest *request);

G_END_DECLS
