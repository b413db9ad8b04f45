/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A camera that is watched as long as its schedule says so: connected, and when that fails connected again (watch/retry.h). What
 * was due and not looked at is found out (watch/vigil.h). On the thread of the default main context. */
#pragma once

#include "tern/tern.h"
#include "watch/run.h"
#include "watch/vigil.h"

G_BEGIN_DECLS

typedef struct _TernCamera TernCamera;

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
/* A file that does not repeat was watched to its end, or one is given up. */
gboolean tern_camera_has_ended (const TernCamera *camera);
/* A file that has no video, or breaks off. */
gboolean tern_camera_is_given_up (const TernCamera *camera);
/* Whether frames come. */
gboolean tern_camera_is_on (const TernCamera *camera);
/* What is being missed just now, until now; FALSE: nothing. Times: us since 1970 UTC. */
gboolean tern_camera_is_missed (TernCamera *camera, TernUnseen *span);
/* Since it was connected; all 0 when it is not. */
void tern_camera_stats (const TernCamera *camera, TernRunStats *stats);

G_END_DECLS
