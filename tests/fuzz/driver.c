/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target without libFuzzer: every seed as it is, then RUNS mutations of them, always the same ones for the
 * same SEED, so that ./check has them on every machine. Blind where libFuzzer watches coverage: it guards what was found,
 * -Dfuzz=true finds. Prints TAP; where a target dies, the last comment names the run, and --from RUN starts there.
 *
 * usage: fuzz-NAME-runs RUNS SEED [--from RUN] FILE... */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/random.h"

#define MOST_BYTES 262144
#define MAX_SEEDS 64
#define MAX_CHANGES 8           /* of one input */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

typedef struct {
  guint8 *data;
  gsize size;
} Input;

static TernRandom changes;
static guint running;

static guint32
chance (guint32 n)
{
  return tern_random_below (&changes, n);
}

/* Half of the time near the start, where headers are. */
static gsize
somewhere (gsize size)
{
  return chance (2) ? chance (size) : chance (MIN (size, 256));
}

static void
change (Input *in, const Input *other)
{
  static const guint64 extremes[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
    G_GUINT64_CONSTANT (0x7fffffffffffffff), G_GUINT64_CONSTANT (0x8000000000000000), G_MAXUINT64 };
  gsize at = somewhere (in->size), from, n, wide = 1u << chance (4), most = 1 + chance (64);     /* MIN looks twice */
  guint64 value;

  switch (chance (6)) {
    case 0:
      in->data[at] ^= 1u << chance (8);
      break;
    case 1:
      in->data[at] = chance (256);
      break;
    case 2:                    /* little-endian, of 1, 2, 4 or 8 bytes */
      value = GUINT64_TO_LE (extremes[chance (G_N_ELEMENTS (extremes))]);
      memcpy (in->data + at, &value, MIN (in->size - at, wide));
      break;
    case 3:
      in->size = at + 1;
      break;
    case 4:                    /* a piece of another one */
      from = somewhere (other->size);
      n = MIN (MIN (other->size - from, in->size - at), most);
      memcpy (in->data + at, other->data + from, n);
      break;
    default:                   /* a piece twice */
      from = somewhere (in->size);
      n = MIN (MIN (in->size - from, MOST_BYTES - in->size), most);
      memmove (in->data + from + n, in->data + from, in->size - from);
      in->size += n;
  }
}

/* In a block of its very size, so that a sanitizer or valgrind sees a read behind it. */
static void
give (const Input *in)
{
  guint8 *exact = g_malloc (MAX (in->size, 1));

  memcpy (exact, in->data, in->size);
  LLVMFuzzerTestOneInput (exact, in->size);
  g_free (exact);
}

static void
note_run (int signal)
{
  (void) signal;
  printf ("# died in run %u\n", running);
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  guint runs, from = 0, n_seeds = 0;
  Input seeds[MAX_SEEDS], in = { g_malloc (MOST_BYTES), 0 };

  if (argc < 4) {
    fprintf (stderr, "usage: %s RUNS SEED [--from RUN] FILE...\n", argv[0]);
    return 2;
  }
  runs = strtoul (argv[1], NULL, 10);
  for (int i = 3; i < argc && n_seeds < MAX_SEEDS; i++) {
    char *data = NULL;

    if (strcmp (argv[i], "--from") == 0 && i + 1 < argc) {
      from = strtoul (argv[++i], NULL, 10);
      continue;
    }
    if (!g_file_get_contents (argv[i], &data, &seeds[n_seeds].size, NULL) || seeds[n_seeds].size == 0) {
      fprintf (stderr, "%s: expected a seed, found nothing to read\n", argv[i]);
      return 1;
    }
    seeds[n_seeds].size = MIN (seeds[n_seeds].size, MOST_BYTES);
    seeds[n_seeds++].data = (guint8 *) data;
  }
  signal (SIGABRT, note_run);
  for (running = from; running < n_seeds + runs; running++) {
    const Input *seed = &seeds[running % n_seeds];

    /* Each run by itself, so that one can be repeated alone. */
    changes.state = ((guint64) running << 32) + strtoull (argv[2], NULL, 10);
    in.size = seed->size;
    memcpy (in.data, seed->data, seed->size);
    for (guint n = running < n_seeds ? 0 : 1 + chance (MAX_CHANGES); n > 0; n--)
      change (&in, &seeds[chance (n_seeds)]);
    give (&in);
  }
  printf ("ok 1 - %u seeds and %u changed inputs\n1..1\n", n_seeds, runs);
  for (guint i = 0; i < n_seeds; i++)
    g_free (seeds[i].data);
  g_free (in.data);
  return 0;
}
