/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/cores.h"

#include <sched.h>
#include <string.h>

#include "engine/base/readfile.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define MOST (1 << 16)          /* bytes of such a file */

/* Of cpu_set_t: more CPUs than the static one holds are possible. */
static guint
count_affinity (void)
{
  gsize cpus;

  for (cpus = CPU_SETSIZE; cpus <= 1u << 16; cpus *= 2) {
    cpu_set_t *set = CPU_ALLOC (cpus);
    gsize size = CPU_ALLOC_SIZE (cpus);
    gint count = 0;

    if (!set)
      break;
    if (sched_getaffinity (0, size, set) == 0)
      count = CPU_COUNT_S (size, set);
    CPU_FREE (set);
    if (count > 0)
      return count;
  }
  return MAX (g_get_num_processors (), 1);
}

/* The first two whole numbers in a file of a group; TRUE: both are there and positive. "max" and -1 mean no quota. */
static gboolean
read_numbers (const char *folder, const char *name, gint64 *first, gint64 *second)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = tern_file_read (path, MOST, NULL, NULL);
  char *end = text;

  if (!text)
    return FALSE;
  *first = g_ascii_strtoll (end, &end, 10);
  if (second)
    *second = g_ascii_strtoll (end, &end, 10);
  return *first > 0 && (!second || *second > 0);
}

static double
quota_of (const char *folder)
{
  gint64 quota, period;

  if (read_numbers (folder, "cpu.max", &quota, &period)
      || (read_numbers (folder, "cpu.cfs_quota_us", &quota, NULL)
          && read_numbers (folder, "cpu.cfs_period_us", &period, NULL)))
    return (double) quota / period;
  return 0;
}

/* The least of @path's below @root and of all groups above it; inside of a container @path may be the host's name of it,
 * which is not there, and @root the group itself. */
static double
least_quota (const char *root, const char *path)
{
  g_autofree char *folder = g_build_filename (root, path, NULL);
  double least = 0;

  for (;;) {
    double quota = quota_of (folder);
    char *slash;

    if (quota > 0 && (least == 0 || quota < least))
      least = quota;
    slash = strrchr (folder, '/');
    if (strlen (folder) <= strlen (root) || !slash)
      return least;
    *slash = 0;
  }
}

/* Lines are "0::/path" (version 2) or "4:cpu,cpuacct:/path" (version 1, mounted by the names of its controllers). */
guint
tern_cores_quota (const char *root, const char *groups)
{
  g_auto (GStrv) lines = g_strsplit (groups, "\n", -1);
  double least = 0;
  guint i;

  for (i = 0; lines[i]; i++) {
    g_auto (GStrv) parts = g_strsplit (lines[i], ":", 3);
    g_auto (GStrv) controllers = NULL;
    g_autofree char *mount = NULL;
    double quota;

    if (g_strv_length (parts) != 3 || strstr (parts[2], ".."))
      continue;
    controllers = g_strsplit (parts[1], ",", -1);
    if (*parts[1] && !g_strv_contains ((const char *const *) controllers, "cpu"))
      continue;
    mount = g_build_filename (root, parts[1], NULL);
    quota = least_quota (mount, parts[2]);
    if (quota > 0 && (least == 0 || quota < least))
      least = quota;
  }
  return least > 0 ? (guint) CLAMP (least + 0.5, 1, G_MAXINT32) : 0;
}

guint
tern_cores (void)
{
  g_autofree char *groups = tern_file_read ("/proc/self/cgroup", MOST, NULL, NULL);
  guint cores = count_affinity (), quota = groups ? tern_cores_quota (CGROUP_ROOT, groups) : 0;

  return quota > 0 ? MIN (cores, quota) : cores;
}
