/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is told, in JSON (docs/watch.md). Pure functions. */
#pragma once

#include "watch/config.h"
#include "watch/rules.h"

G_BEGIN_DECLS

/* A result as it is told and kept. */
typedef struct {
  const char *camera;
  gint64 start, end;
  const char *kind, *text, *model;
  const char *label, *scores;   /* the latter JSON; NULL: none */
  double confidence;
  gboolean abstained, unchanged;
} TernTold;

/* {"yes":0.9,...} */
char *tern_message_scores (const char *const *labels, const double *scores);
char *tern_message_result (const TernTold *told);
/* @told: the result that it came with, or NULL. */
char *tern_message_alert (const TernAlert *alert, const TernTold *told, gint64 now);
/* "porch/result", "porch/person": below the prefix. */
char *tern_message_result_topic (const char *camera);
char *tern_message_alert_topic (const TernAlert *alert);

/* What Home Assistant finds sensors by: pairs of topic and payload, retained. (transfer full) (element-type char*) */
GPtrArray *tern_message_discovery (const TernWatchConfig *config, const TernSinkConfig *sink, const char *model);

G_END_DECLS
