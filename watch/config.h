/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern watch` is told to do: a key file, checked whole before anything starts (docs/watch.md). A configuration does
 * not change once it is made. */
#pragma once

#include "watch/times.h"

G_BEGIN_DECLS

/* A part of the picture. */
typedef struct {
  char *name;
  gboolean hide;                /* what is in it is black; otherwise what is in no zone is */
  GArray *points;               /* double: x, y, x, y, ..., shares of width and height, at least three points */
} TernZone;

typedef struct {
  char *name;
  char *source;                 /* a URI or path; NULL: pipeline */
  char *pipeline;               /* gst-launch's words for a source */
  gboolean file;                /* the source is one: it ends */
  gboolean repeat, pace;        /* a file begins again; it goes as fast as it was taken */
  guint rate_n, rate_d;
  gint64 window;
  char *prompt, *task, *schema; /* NULL: the model's own; none; none */
  char **labels;                /* NULL: none */
  double min_confidence;
  guint max_tokens;
  char *gate;
  guint thumbnail;              /* pixels of its width; 0: none */
  gint64 stall;                 /* without a frame for so long it is connected again */
  GPtrArray *zones;             /* TernZone, of the configuration */
  gboolean scheduled;
  TernWeek schedule;
  char *text;                   /* all that it was made of: equal ones watch the same in the same way */
} TernCameraConfig;

typedef enum { TERN_RULE_LABEL, TERN_RULE_WORDS, TERN_RULE_SILENT } TernRuleKind;

typedef struct {
  char *name;
  TernRuleKind kind;
  char **cameras;               /* NULL: all */
  char *label;
  double threshold, clear;      /* alert at it or above; over when below */
  guint windows;                /* in a row */
  char **words;
  gint64 silent;
  gboolean has_quiet;
  TernWeek quiet;
  gint64 interval;              /* between alerts, at least */
} TernRuleConfig;

typedef enum { TERN_TELL_ALERTS = 1, TERN_TELL_RESULTS = 2 } TernTell;

/* MQTT, a webhook, or a file of JSON lines. */
typedef enum { TERN_SINK_MQTT, TERN_SINK_WEBHOOK, TERN_SINK_LINES } TernSinkKind;

typedef struct {
  char *name;                   /* "mqtt", "webhook NAME", "lines NAME": unique */
  TernSinkKind kind;
  TernTell tell;
  char *host;                   /* mqtt */
  guint port;
  char *user, *password, *ca_file, *client, *prefix;
  char *discovery;              /* topic of Home Assistant's; NULL: none */
  char *url, *secret;           /* webhook */
  char *path;                   /* lines */
  char *text;
} TernSinkConfig;

typedef struct {
  char *path;
  char *memory, *model, *mmproj, *text_model;   /* all but the first NULL: the bundled one, what is beside it, none */
  guint threads;
  gint64 keep;                  /* how long results are kept */
  guint64 keep_bytes;           /* of the memory's file, about */
  char *page;                   /* HOST:PORT at which the page is; NULL: nowhere */
  guint64 spool_bytes;          /* of what waits for each that is told */
  GPtrArray *cameras;           /* TernCameraConfig */
  GPtrArray *rules;             /* TernRuleConfig */
  GPtrArray *sinks;             /* TernSinkConfig */
  GPtrArray *zones;             /* TernZone */
} TernWatchConfig;

/* What those who use them know of values; NULL: they are taken as they are. */
typedef struct {
  gboolean (*pipeline) (const char *words, GError **error);     /* gst-launch's words make a source */
  gboolean (*page) (const char *address, GError **error);       /* the page can be there */
} TernConfigChecks;

/* @checks: or NULL. Errors: those of tern_key_file_read(); INVALID: what is wrong, a
 * line FILE:LINE: WHAT each. */
TernWatchConfig *tern_watch_config_read (const char *path, const TernConfigChecks *checks, GError **error);
void tern_watch_config_free (TernWatchConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernWatchConfig, tern_watch_config_free)

/* How long a window is: whole groups of four pictures, each of @picture_frames frames to the model. */
gint64 tern_camera_config_window (const TernCameraConfig *config, guint picture_frames);
/* Whether @rule looks at the camera of that name. */
gboolean tern_rule_config_has (const TernRuleConfig *rule, const char *camera);

G_END_DECLS
