/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server counts, as Prometheus reads it. One thread. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_BUCKETS 12

typedef struct {
  guint64 counts[TERN_BUCKETS + 1];     /* the last: beyond */
  double sum;
  guint64 n;
} TernHistogram;

typedef struct {
  GHashTable *requests;         /* "path" SPACE "status" -> guint64 * */
  TernHistogram seconds, first_token;   /* s */
  guint64 prompt_tokens, visual_tokens, generated_tokens, guesses, guesses_right;
  guint64 cancelled, refused_busy;
} TernMetricsOfServer;

/* What is looked up when it is asked for. */
typedef struct {
  const char *model, *instruction_set;
  gboolean ready;
  guint running, waiting;
  guint64 pictures, pictures_kept;
  gsize picture_bytes, body_bytes;
} TernGauges;

void tern_metrics_init (TernMetricsOfServer *metrics);
void tern_metrics_clear (TernMetricsOfServer *metrics);
void tern_metrics_request (TernMetricsOfServer *metrics, const char *path, guint status);
void tern_histogram_add (TernHistogram *histogram, double seconds);
/* Free it. */
char *tern_metrics_text (const TernMetricsOfServer *metrics, const TernGauges *gauges);

G_END_DECLS
