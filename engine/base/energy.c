/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/energy.h"

#include <string.h>
#include <unistd.h>

#include "tern/error.h"

typedef struct {
  char *path;                   /* of its counter */
  guint64 last, range;          /* uJ: read last; at which it begins again */
} Package;

struct _TernEnergy {
  GArray *packages;             /* Package */
  char *stat;
  double joules;                /* since it was opened */
  guint64 first_ticks;
};

static void
clear_package (void *data)
{
  g_free (((Package *) data)->path);
}

/* A file with a number in it. */
static gboolean
read_number (const char *path, guint64 *value)
{
  g_autofree char *text = NULL;
  char *end;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  *value = g_ascii_strtoull (text, &end, 10);
  return end != text;
}

/* Adds the domain in @folder if it is a package's. FALSE: it is one, and cannot be read. */
static gboolean
add_domain (TernEnergy *self, const char *folder, GError **error)
{
  g_autofree char *name_path = g_build_filename (folder, "name", NULL), *name = NULL;
  g_autofree char *range_path = g_build_filename (folder, "max_energy_range_uj", NULL);
  Package package = { 0 };

  if (!g_file_get_contents (name_path, &name, NULL, NULL) || !g_str_has_prefix (name, "package-"))
    return TRUE;
  package.path = g_build_filename (folder, "energy_uj", NULL);
  if (!read_number (package.path, &package.last)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected an energy counter that may be read, found none or"
        " no right to read it", package.path);
    g_free (package.path);
    return FALSE;
  }
  read_number (range_path, &package.range);
  g_array_append_val (self->packages, package);
  return TRUE;
}

static gboolean
add_domains (TernEnergy *self, const char *powercap, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (powercap, 0, NULL);
  const char *entry;

  while (dir && (entry = g_dir_read_name (dir))) {
    g_autofree char *folder = g_build_filename (powercap, entry, NULL);

    if (!add_domain (self, folder, error))
      return FALSE;
  }
  if (self->packages->len > 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected the energy counter of a processor's package (RAPL),"
      " found none on this machine", powercap);
  return FALSE;
}

/* Ticks in which cores worked: user, nice, system, then after idle and iowait irq and softirq. */
static gboolean
read_ticks (const char *stat, guint64 *ticks)
{
  g_autofree char *text = NULL;
  guint64 field[7];
  char *at;

  if (!g_file_get_contents (stat, &text, NULL, NULL) || !g_str_has_prefix (text, "cpu "))
    return FALSE;
  at = text + strlen ("cpu ");
  for (guint i = 0; i < G_N_ELEMENTS (field); i++) {
    char *end;

    field[i] = g_ascii_strtoull (at, &end, 10);
    if (end == at)
      return FALSE;
    at = end;
  }
  *ticks = field[0] + field[1] + field[2] + field[5] + field[6];
  return TRUE;
}

TernEnergy *
tern_energy_open (const char *powercap, const char *stat, GError **error)
{
  TernEnergy *self = g_new0 (TernEnergy, 1);

  self->packages = g_array_new (FALSE, FALSE, sizeof (Package));
  g_array_set_clear_func (self->packages, clear_package);
  self->stat = g_strdup (stat);
  if (!add_domains (self, powercap, error)) {
    tern_energy_free (self);
    return NULL;
  }
  if (!read_ticks (stat, &self->first_ticks)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected the times of all cores in its first line, found"
        " something else", stat);
    tern_energy_free (self);
    return NULL;
  }
  return self;
}

void
tern_energy_free (TernEnergy *self)
{
  if (!self)
    return;
  g_array_unref (self->packages);
  g_free (self->stat);
  g_free (self);
}

gboolean
tern_energy_read (TernEnergy *self, double *joules, double *busy)
{
  guint64 ticks;

  for (guint i = 0; i < self->packages->len; i++) {
    Package *package = &g_array_index (self->packages, Package, i);
    guint64 now;

    if (!read_number (package->path, &now))
      return FALSE;
    if (now >= package->last)
      self->joules += (double) (now - package->last) / 1e6;
    else if (package->range >= package->last)
      self->joules += (double) (package->range - package->last + now) / 1e6;
    package->last = now;
  }
  if (!read_ticks (self->stat, &ticks))
    return FALSE;
  *joules = self->joules;
  *busy = ticks > self->first_ticks ? (double) (ticks - self->first_ticks) / (double) sysconf (_SC_CLK_TCK) : 0;
  return TRUE;
}
