/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A camera that is watched as long as its schedule says so: connected, and when that fails connected again (watch/retry.h). What
 * was due and not looked at is found out (watch/vigil.h). On the thread of the default main context. */
#pragma once

#include "tern/tern.h"
#include "watch/run.h"
#include "watch/vigil.h"

G_BEGIN_DECLS

typedef struct _TernCamera TernCamera;

typedef enum {
  TERN_CAMERA_AWAY,             /* not connected, or not to be watched now */
  TERN_CAMERA_ON,               /* frames come */
  TERN_CAMERA_ENDED,            /* a file that does not repeat was watched to its end: there is no more to come, */
  TERN_CAMERA_GIVEN_UP,         /* nor of a file that has no video, or breaks off, */
  TERN_CAMERA_REFUSED           /* and of what cannot be asked as its configuration says */
} TernCameraState;

typedef struct {
  void (*observed) (gpointer data, TernCamera *camera, const TernObserved *observed);
  /* Before `observed` of what comes after it. Times: us since 1970 UTC. */
  void (*unseen) (gpointer data, TernCamera *camera, const TernUnseen *span);
  void (*say) (gpointer data, const char *what);        /* for people, with the camera's name */
} TernCameraFuncs;

/* @config, @model and @funcs must live as long. It begins with the next tick. */
TernCamera *tern_camera_new (const TernCameraConfig *config, TernModel *model, const TernCameraFuncs *funcs, gpointer data);
/* Ends it; `unseen` may still be heard. */
void tern_camera_free (gpointer camera);

/* About once a second: begins what is due and ends what has stalled, or is not to be watched now. */
void tern_camera_tick (TernCamera *camera, gint64 monotonic, gint64 wall);

/* Another description of the same: equal texts. */
void tern_camera_set_config (TernCamera *camera, const TernCameraConfig *config);
const TernCameraConfig *tern_camera_config (const TernCamera *camera);
TernCameraState tern_camera_state (const TernCamera *camera);
/* What is being missed just now, until now; FALSE: nothing. Times: us since 1970 UTC. */
gboolean tern_camera_is_missed (TernCamera *camera, TernUnseen *span);
/* Since it was connected; all 0 when it is not. */
void tern_camera_stats (const TernCamera *camera, TernRunStats *stats);

G_END_DECLS
