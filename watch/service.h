/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `tern watch` at work: cameras, memory, rules and who is told, on the thread of the default main context. */
#pragma once

#include "tern/tern.h"
#include "watch/camera.h"
#include "watch/config.h"
#include "watch/memory.h"
#include "watch/messages.h"
#include "watch/vigil.h"

G_BEGIN_DECLS

typedef struct _TernService TernService;

/* Nothing of it goes on when this fails. @config is taken over, in any case. */
TernService *tern_service_new (TernWatchConfig *config, TernModel *model, void (*say) (const char *what), GError **error);
/* Ends all of it. */
void tern_service_free (TernService *service);

/* About once a second. FALSE: there is nothing left to watch (files that were watched to their end, and all was told). */
gboolean tern_service_tick (TernService *service);
/* Another configuration: what is the same in both goes on. @config is taken over. What only a start can change is said. */
void tern_service_reload (TernService *service, TernWatchConfig *config);
/* Whether a camera is in that state. */
gboolean tern_service_has (TernService *service, TernCameraState state);
/* "3 of 4 cameras": for people. */
char *tern_service_status (TernService *service);

/* ---- For the page ---- */

/* Of a camera, since the program began. */
typedef struct {
  guint64 results, unchanged, failed;           /* windows: all that were answered, with nothing new, with an error */
  guint64 unseen[TERN_UNSEEN_REASONS];          /* windows that were due and not looked at, */
  gint64 unseen_time[TERN_UNSEEN_REASONS];      /* and us of them; what goes on is not in here */
  gint64 going_on;                              /* id in the memory of what goes on, 0: nothing */
  gint64 last;                                  /* ... of what was over last, 0: nothing in this run; */
  TernUnseen last_span;                         /* and that itself */
} TernTally;

typedef struct {
  const char *name;
  TernCameraState state;
  guint64 frames, looked_at, unchanged, left_out, windows, repeated, dropped, latency;    /* as in watch/run.h */
  const TernTally *tally;
} TernCameraStatus;

TernWatchMemory *tern_service_memory (TernService *service);
void tern_service_each_camera (TernService *service, void (*func) (gpointer data, const TernCameraStatus *status), gpointer data);
/* @func is called with each result that is remembered; NULL: no longer. @id: in the memory. */
void tern_service_listen (TernService *service, void (*func) (gpointer data, const TernTold *told, gint64 id,
        gboolean has_picture), gpointer data);
/* The memory failed: what it said. NULL: it did not. Whoever cannot remember had better be started again. */
const char *tern_service_failure (TernService *service);

G_END_DECLS
