/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page's HTML: all that is put in is escaped but what the format itself says. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void tern_html_put (GString *out, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The page up to its content, for the view that is called @here ("now", "history", "review", "health"). */
void tern_html_begin (GString *out, const char *here, const char *title);
void tern_html_end (GString *out);
/* A local time, for people and for programs. */
void tern_html_time (GString *out, gint64 us);
/* Labels with bars; @scores is a JSON object of numbers, or NULL. */
void tern_html_scores (GString *out, const char *scores);

/* One line of numbers. */
typedef struct {
  const char *name, *unit;
  const double *values;         /* [n], the oldest first; NAN: none */
  guint n;
} TernPlot;

/* A picture of it, with what it shows in words. */
void tern_html_plot (GString *out, const TernPlot *plot);

/* The fields of a form or query, decoded; fields that are none are left out. (transfer full) */
GHashTable *tern_html_fields (const char *text, gsize len);

G_END_DECLS
