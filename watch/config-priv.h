/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of reading a configuration: values of keys, and a file each for groups that belong together. What is wrong is
 * told to @keys, and something else stands in its place, so that reading goes on. */
#pragma once

#include "watch/config.h"
#include "watch/key-file.h"

G_BEGIN_DECLS

/* Each takes what stands at @key, or @otherwise without one. */
gboolean tern_config_bool (TernKeyFile *keys, const char *group, const char *key, gboolean otherwise);
guint tern_config_uint (TernKeyFile *keys, const char *group, const char *key, guint min, guint max, guint otherwise);
double tern_config_share (TernKeyFile *keys, const char *group, const char *key, double otherwise);
gint64 tern_config_duration (TernKeyFile *keys, const char *group, const char *key, gint64 min, gint64 otherwise);
/* NULL without the key; otherwise it is not empty, or that is a mistake. */
char *tern_config_text (TernKeyFile *keys, const char *group, const char *key);
/* A path, to be taken from the folder of the configuration if it is not absolute. */
char *tern_config_path (TernKeyFile *keys, const char *group, const char *key, const TernWatchConfig *config);
/* The content of the file at @key, at most 64 KiB, without white space at its end. */
char *tern_config_file (TernKeyFile *keys, const char *group, const char *key, const TernWatchConfig *config);
/* FALSE without the key. */
gboolean tern_config_week (TernKeyFile *keys, const char *group, const char *key, TernWeek *week);

/* "camera porch": what follows the blank, when the group begins with @kind and a blank; letters, digits, `-` and `_`, or
 * that is a mistake. NULL: another group. */
const char *tern_config_name (TernKeyFile *keys, const char *group, const char *kind);

void tern_config_read_zones (TernWatchConfig *config, TernKeyFile *keys);
void tern_config_read_cameras (TernWatchConfig *config, TernKeyFile *keys, const TernConfigChecks *checks);
void tern_config_read_rules (TernWatchConfig *config, TernKeyFile *keys);
void tern_config_read_sinks (TernWatchConfig *config, TernKeyFile *keys);
void tern_camera_config_free (gpointer camera);
void tern_rule_config_free (gpointer rule);
void tern_sink_config_free (gpointer sink);
void tern_zone_free (gpointer zone);

G_END_DECLS
