/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the machine can do at most: the same threads read memory, or do nothing but multiply and add, in short bursts of which
 * the fastest counts: other jobs do not make the floor lower. */
#include <string.h>

#include "engine/base/mem.h"
#include "tools/bench.h"
#include "tools/bench-machine.h"

#define READ_MIN ((guint64) 256 << 20)  /* bytes of the buffer, at least ... */
#define READ_CACHES 4                   /* ... and this many times the caches */
#define READ_SHARE 4                    /* of the memory that is left a quarter at most */
#define READ_PIECES 8                   /* of the buffer, one a burst */
#define BURSTS 40                       /* of a run; a whole number of turns through the buffer */
#define BURST_SECONDS 0.001             /* takes one at least */
#define TRIES 5                         /* that must all take as long */

/* Shared by the two reads. */
typedef struct {
  gatomicrefcount refs;
  guint8 *data;
} Buffer;

typedef struct {
  TernFigure parent;
  const TernBenchPlan *plan;
  Buffer *buffer;
  gsize part;                   /* bytes of the buffer that each thread has */
  gsize piece, at;              /* bytes of it that a burst reads, and from where */
  gsize rounds;                 /* times that it reads them; of arithmetic */
  gboolean i8;
  guint64 *sink;                /* [threads] what came out: nothing may be left out */
} Probe;

static void
buffer_unref (Buffer *buffer)
{
  if (buffer && g_atomic_ref_count_dec (&buffer->refs)) {
    tern_mem_free (buffer->data);
    g_free (buffer);
  }
}

static void
probe_clear (TernFigure *figure)
{
  Probe *self = (Probe *) figure;

  buffer_unref (self->buffer);
  g_free (self->sink);
}

static void
read_part (void *data, guint begin, guint end, guint worker)
{
  Probe *self = data;

  for (guint i = begin; i < end; i++)
    for (gsize r = 0; r < self->rounds; r++)
      self->sink[i] ^= self->plan->kernels->read (self->buffer->data + i * self->part + self->at, self->piece);
}

static void
multiply (void *data, guint begin, guint end, guint worker)
{
  Probe *self = data;

  for (guint i = begin; i < end; i++)
    self->sink[i] = (self->i8 ? self->plan->kernels->peak_i8 : self->plan->kernels->peak_f32) (self->rounds);
}

/* One burst; returns what it did a second, in units of 10^9. */
static double
burst (Probe *self)
{
  guint threads = self->plan->threads;
  gint64 start = g_get_monotonic_time ();
  double amount = 0;

  tern_pool_run (self->plan->pool, self->buffer ? read_part : multiply, self, threads, 1);
  self->parent.seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  if (self->buffer) {
    amount = (double) self->piece * threads * self->rounds;
    self->at = self->at + 2 * self->piece <= self->part ? self->at + self->piece : 0;
  } else {
    for (guint i = 0; i < threads; i++)
      amount += self->sink[i];
  }
  return amount / 1e9 / self->parent.seconds;
}

static gboolean
run_probe (TernFigure *figure, GError **error)
{
  double best = 0;

  for (guint i = 0; i < BURSTS; i++)
    best = MAX (best, burst ((Probe *) figure));
  figure->amount = best;
  figure->seconds = 1;
  return TRUE;
}

static Probe *
add_probe (GPtrArray *figures, const TernBenchPlan *plan, const char *name, const char *unit)
{
  Probe *self = g_new0 (Probe, 1);

  self->parent = (TernFigure) { .name = name, .unit = unit, .run = run_probe, .clear = probe_clear };
  self->plan = plan;
  self->sink = g_new0 (guint64, plan->threads);
  self->rounds = 1;
  g_ptr_array_add (figures, self);
  return self;
}

/* As many rounds as the time asks for, by the fastest of some tries. */
static void
calibrate (Probe *self)
{
  for (; self->rounds < MIN ((guint64) 1 << 40, G_MAXSIZE / 2); self->rounds *= 2) {
    double fastest = G_MAXDOUBLE;

    for (guint i = 0; i < TRIES && fastest >= BURST_SECONDS; i++) {
      burst (self);
      fastest = MIN (fastest, self->parent.seconds);
    }
    if (fastest >= BURST_SECONDS)
      break;
  }
}

static void
touch (void *data, guint begin, guint end, guint worker)
{
  Probe *self = data;

  memset (self->buffer->data + begin * self->part, 1, (end - begin) * self->part);
}

/* A read of @bytes, each thread its part, in @pieces. */
static Probe *
add_read (GPtrArray *figures, const TernBenchPlan *plan, const char *name, Buffer *buffer, guint64 bytes, guint pieces)
{
  Probe *self = add_probe (figures, plan, name, "GB/s");

  g_atomic_ref_count_inc (&buffer->refs);
  self->buffer = buffer;
  self->piece = MAX (bytes / plan->threads / pieces / TERN_READ_BYTES, 1) * TERN_READ_BYTES;
  self->part = self->piece * pieces;
  self->parent.what = g_strdup_printf ("%.1f MB, 64-byte words", (double) self->part * plan->threads / 1e6);
  return self;
}

static Probe *
add_peak (GPtrArray *figures, const TernBenchPlan *plan, gboolean i8)
{
  Probe *self = add_probe (figures, plan, i8 ? "peak_int8" : "peak_float", "G multiply-adds/s");

  self->i8 = i8;
  self->parent.what = g_strdup_printf ("%s, in registers", tern_cpu_name (plan->kernels->level));
  calibrate (self);
  return self;
}

gboolean
tern_probes_add (TernProbes *probes, GPtrArray *figures, const TernBenchPlan *plan, guint64 cache_bytes, double bytes,
    GError **error)
{
  guint64 size = MIN (MAX (READ_MIN, READ_CACHES * cache_bytes), tern_machine_available () / READ_SHARE);
  Buffer *buffer = g_new0 (Buffer, 1);
  Probe *memory, *again;

  g_atomic_ref_count_init (&buffer->refs);
  size += (gsize) plan->threads * TERN_READ_BYTES;      /* for parts that are rounded up */
  buffer->data = tern_mem_alloc (size, "buffer to measure memory with", error);
  if (buffer->data) {
    memory = add_read (figures, plan, "bandwidth", buffer, size - plan->threads * TERN_READ_BYTES, READ_PIECES);
    tern_pool_run (plan->pool, touch, memory, plan->threads, 1);
    probes->memory = &memory->parent;
    if (bytes > 0 && bytes < size / 2) {
      again = add_read (figures, plan, "bandwidth_model", buffer, bytes, 1);
      calibrate (again);
      probes->again = &again->parent;
    }
    probes->i8 = &add_peak (figures, plan, TRUE)->parent;
    probes->f32 = &add_peak (figures, plan, FALSE)->parent;
  }
  buffer_unref (buffer);
  return probes->memory != NULL;
}

double
tern_probes_floor (const TernProbes *probes, const TernFigure *figure, const char **bound)
{
  const TernCost *cost = &figure->cost;
  double read = cost->bytes / 1e9 / (probes->again ? probes->again : probes->memory)->rate.max;
  double compute = cost->i8 / 1e9 / probes->i8->rate.max + (cost->f32 + cost->bf16 / 2) / 1e9 / probes->f32->rate.max;

  *bound = read >= compute ? "memory" : "arithmetic";
  return figure->amount / MAX (read, compute);
}
