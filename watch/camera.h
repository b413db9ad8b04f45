/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A camera that is watched as long as its schedule says so: connected, and when that fails connected again, after 1 s, 2 s,
 * 4 s, and from then on every 8 s. On the thread of the default main context. */
#pragma once

#include "tern/tern.h"
#include "watch/run.h"

G_BEGIN_DECLS

typedef struct _TernCamera TernCamera;

typedef struct {
  void (*observed) (gpointer data, TernCamera *camera, const TernObserved *observed);
  void (*say) (gpointer data, const char *what);        /* for people, with the camera's name */
} TernCameraFuncs;

/* @config, @model and @funcs must live as long. It begins with the next tick. */
TernCamera *tern_camera_new (const TernCameraConfig *config, TernModel *model, const TernCameraFuncs *funcs, gpointer data);
void tern_camera_free (gpointer camera);

/* About once a second: begins what is due and ends what has stalled, or is not to be watched now. */
void tern_camera_tick (TernCamera *camera, gint64 monotonic, gint64 wall);

/* Another description of the same: equal texts. */
void tern_camera_set_config (TernCamera *camera, const TernCameraConfig *config);
const TernCameraConfig *tern_camera_config (const TernCamera *camera);
/* A file that does not repeat was watched to its end. */
gboolean tern_camera_has_ended (const TernCamera *camera);
/* Whether frames come. */
gboolean tern_camera_is_on (const TernCamera *camera);
/* Since it was connected; all 0 when it is not. */
void tern_camera_stats (const TernCamera *camera, TernRunStats *stats);

G_END_DECLS
