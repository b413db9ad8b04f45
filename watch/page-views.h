/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the views show. Pure functions on the service. */
#pragma once

#include "watch/service.h"

G_BEGIN_DECLS

#define TERN_SAMPLES 360        /* of the plots: an hour */
#define TERN_SAMPLE_EVERY 10    /* s */

/* What is kept of the last hour; NAN where there was nothing. */
typedef struct {
  char *camera;
  guint n;
  double latency[TERN_SAMPLES]; /* ms */
} TernCameraSamples;

typedef struct {
  guint n;
  double memory[TERN_SAMPLES];  /* MiB */
  double cpu[TERN_SAMPLES];     /* % of one core */
  GPtrArray *cameras;           /* TernCameraSamples */
} TernSamples;

void tern_view_now (TernService *service, GString *out);
/* @fields: q, camera, label, day (2026-11-29), hour (0..23), before (an id); any may be missing or wrong. */
void tern_view_history (TernService *service, GHashTable *fields, GString *out);
void tern_view_review (TernService *service, GString *out);
void tern_view_health (TernService *service, const TernSamples *samples, GString *out);
/* For Prometheus. */
void tern_view_metrics (TernService *service, GString *out);
/* "12 windows, 9 with nothing new; ..." */
char *tern_view_counts (const TernCameraStatus *status);

G_END_DECLS
