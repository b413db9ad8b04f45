/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternchunks.h"

#include <string.h>

void
gst_tern_chunks_init (GstTernChunks * self, guint steps, guint dims,
    guint rate_n, guint rate_d)
{
  memset (self, 0, sizeof *self);
  self->steps = steps;
  self->dims = dims;
  self->rate_n = rate_n;
  self->rate_d = rate_d;
  self->values = g_new0 (gfloat, (gsize) steps * dims);
}

void
gst_tern_chunks_clear (GstTernChunks * self)
{
  g_clear_pointer (&self->values, g_free);
}

void
gst_tern_chunks_restart (GstTernChunks * self)
{
  self->begun = FALSE;
}

GstClockTime
gst_tern_chunks_duration (const GstTernChunks * self, guint64 steps)
{
  return gst_util_uint64_scale (steps, GST_SECOND * self->rate_d, self->rate_n);
}

static GstClockTime
step_time (const GstTernChunks * self, guint64 number)
{
  return self->origin + gst_tern_chunks_duration (self, number);
}

/* The step nearest to @time. */
static guint64
nearest_step (const GstTernChunks * self, GstClockTime time)
{
  return gst_util_uint64_scale_round (time - self->origin, self->rate_n,
      GST_SECOND * self->rate_d);
}

/* The first step that is not before @time. */
static guint64
next_step (const GstTernChunks * self, GstClockTime time)
{
  guint64 number;

  if (time <= self->origin)
    return 0;
  number = gst_util_uint64_scale (time - self->origin, self->rate_n,
      GST_SECOND * self->rate_d);
  while (step_time (self, number) < time)
    number++;
  return number;
}

/* What the chunk before has for a step; NULL: nothing. */
static const gfloat *
old_step (const GstTernChunks * self, guint64 number)
{
  if (!self->begun || number < self->first
      || number - self->first >= self->steps)
    return NULL;
  return self->values + (number - self->first) * self->dims;
}

/* @share of the new values, the rest of the old ones where there are any. */
static void
join_step (const GstTernChunks * self, guint64 number, gdouble share,
    const gdouble * actions, gfloat * out)
{
  const gfloat *old = old_step (self, number);
  guint i;

  for (i = 0; i < self->dims; i++)
    out[i] = old ? (gfloat) (old[i] + share * (actions[i] - old[i])) :
        (gfloat) actions[i];
}

/* The number of the first step that is still to come. */
static guint64
first_due (const GstTernChunks * self, guint64 first, GstClockTime decided,
    GstClockTime now, GstClockTime deadline)
{
  guint64 due = first;

  if (deadline > 0)
    due = MAX (due, next_step (self, decided + deadline));
  else if (GST_CLOCK_TIME_IS_VALID (now))
    due = MAX (due, next_step (self, now));
  return due;
}

GstTernChunkFate
gst_tern_chunks_add (GstTernChunks * self, GstClockTime decided,
    GstClockTime now, GstClockTime deadline, guint overlap,
    const gdouble * actions, gfloat * out, GstTernChunkInfo * info)
{
  gboolean begins = !self->begun || decided < self->origin;
  guint64 due, i;

  if (deadline > 0 && GST_CLOCK_TIME_IS_VALID (now)
      && now > decided + deadline)
    return GST_TERN_CHUNK_LATE;
  /* Where a grid begins nothing is lost if the chunk is late. */
  if (begins) {
    self->begun = FALSE;
    self->origin = decided;
  }
  info->first = nearest_step (self, decided);
  due = first_due (self, info->first, decided, now, deadline);
  if (due - info->first >= self->steps)
    return GST_TERN_CHUNK_LATE;

  info->pts = step_time (self, info->first);
  info->duration = gst_tern_chunks_duration (self, self->steps);
  info->frozen = due - info->first;
  info->blended = 0;
  info->missed = self->begun && due > self->first + self->steps ?
      due - self->first - self->steps : 0;
  for (i = 0; i < self->steps; i++) {
    guint64 number = info->first + i;
    gdouble share = 1;

    if (number < due) {
      share = 0;
    } else if (number - due < overlap && old_step (self, number)) {
      share = (gdouble) (number - due + 1) / ((gdouble) overlap + 1);
      info->blended++;
    }
    join_step (self, number, share, actions + i * self->dims,
        out + i * self->dims);
  }
  memcpy (self->values, out, sizeof *out * self->steps * self->dims);
  self->first = info->first;
  self->begun = TRUE;
  return GST_TERN_CHUNK_READY;
}
