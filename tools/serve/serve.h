/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern serve: a model behind OpenAI's API, and Ollama's.
 *
 *   serve.c        options, the model, the main loop
 *   routes.c       what there is, and what the model is
 *   job.c          a request that is worked on: waits, is read, is answered, or is given up
 *   ask*.c         what requests ask for
 *   answer.c       how answers are written
 *   pictures.c, fields.c, metrics.c
 *
 * Three kinds of threads: the main loop has sockets and jobs, a few workers read requests and decode pictures, the engine's
 * does the rest and calls back. */
#pragma once

#include "tools/http/http.h"
#include "tools/serve/answer.h"
#include "tools/serve/ask.h"
#include "tools/serve/metrics.h"

G_BEGIN_DECLS

typedef struct {
  guint parallel;               /* requests that are worked on at a time */
  guint waiting;                /* ... that wait beside them */
  guint timeout;                /* s for a request, waiting included */
} TernServeLimits;

typedef struct {
  TernHttp *http;
  TernHttpService service;
  TernServeLimits limits;
  TernPictureLimits pictures;
  TernCapacity capacity;        /* model NULL: it is not loaded yet */
  char **names;                 /* NULL-terminated */
  gint64 started;               /* s since 1970 */
  TernMetricsOfServer metrics;
  GThreadPool *workers;
  GQueue waiting;               /* of TernJob */
  guint running;
  GPtrArray *jobs;              /* of TernJob that are not over; not owned */
  guint64 counted;              /* requests */
} TernServe;

/* ---- routes.c ---- */

void tern_serve_fill_service (TernServe *serve);

/* ---- job.c ---- */

/* The request's body is there. */
void tern_job_begin (TernServe *serve, TernHttpRequest *request, TernDoor door);
gboolean tern_serve_admit (void *data, TernRefusal *refusal);
/* All jobs end: nobody is answered any more. Returns when none is left. */
void tern_serve_end_jobs (TernServe *serve);
void tern_serve_work (gpointer job, gpointer serve);

G_END_DECLS
