/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much energy the processor has taken, and how long its cores have run, as Linux counts both: for all programs of the
 * machine. One thread at a time. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define TERN_ENERGY_POWERCAP "/sys/class/powercap"
#define TERN_ENERGY_STAT "/proc/stat"

typedef struct _TernEnergy TernEnergy;

/* @powercap: a folder with a folder for each domain (RAPL, of Intel and AMD): in it `name`, of which those that begin with
 * "package-" count, `energy_uj` and `max_energy_range_uj`, at which it begins again. @stat: its first line says for how many
 * ticks cores did what. UNSUPPORTED names what is missing or may not be read. */
TernEnergy *tern_energy_open (const char *powercap, const char *stat, GError **error);
void tern_energy_free (TernEnergy *energy);
/* *@joules of all packages, *@busy seconds of all cores, both since it was opened. FALSE: a counter cannot be read any more. */
gboolean tern_energy_read (TernEnergy *energy, double *joules, double *busy);

G_END_DECLS
