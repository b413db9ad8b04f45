/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How many cores this process may use. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* At least 1: those of its affinity (taskset, cpusets), and no more than the quota of its control group lasts for
 * (containers started with a limit of CPUs): more threads would be stopped in the middle of their work. */
guint tern_cores (void);

/* The quota alone, in cores, rounded half up; 0: none. The least one of the group and those above it, of either version
 * of control groups. @root is where they are mounted ("/sys/fs/cgroup"), @groups what /proc/self/cgroup says. */
guint tern_cores_quota (const char *root, const char *groups);

G_END_DECLS
