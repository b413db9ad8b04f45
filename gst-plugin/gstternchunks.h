/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chunks of actions in real time: while one is followed the next is computed,
 * and goes on where that one is by then.
 *
 * Steps lie on a grid of the action space's rate, which begins with the first
 * decision. A decision about a moment gives the steps from there on; when it is
 * known, some of them have passed. Those are frozen: they keep the values of the
 * chunk before, which is what was done. Then `overlap` steps go over from the
 * old values to the new ones in equal parts. With a deadline as many steps are
 * frozen as it lasts, however early a chunk is ready, so that what leaves does
 * not depend on how fast the machine is.
 *
 * Plain arithmetic: times are in ns on one timeline, and nobody asks a clock. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct
{
  /* What it is made for. */
  guint dims, steps;            /* numbers of a step, steps of a chunk */
  guint rate_n, rate_d;         /* steps a second */

  gboolean begun;
  GstClockTime origin;          /* of step 0 */
  guint64 first;                /* number of the last chunk's first step */
  gfloat *values;               /* of it, as it left */
} GstTernChunks;

typedef enum
{
  GST_TERN_CHUNK_READY,
  GST_TERN_CHUNK_LATE           /* after its deadline, or when nothing of it was
                                 * still to come; nothing changes */
} GstTernChunkFate;

/* A chunk that leaves. */
typedef struct
{
  GstClockTime pts, duration;
  guint64 first;                /* number of its first step */
  guint frozen;                 /* steps that have passed by then */
  guint blended;                /* steps after them that go over */
  guint64 missed;               /* steps between the chunk before and what is
                                 * still to come of this one */
} GstTernChunkInfo;

void gst_tern_chunks_init (GstTernChunks * self, guint steps, guint dims,
    guint rate_n, guint rate_d);
void gst_tern_chunks_clear (GstTernChunks * self);
/* A new stretch: nothing that was done before counts. */
void gst_tern_chunks_restart (GstTernChunks * self);

GstClockTime gst_tern_chunks_duration (const GstTernChunks * self,
    guint64 steps);

/* What was @decided about that moment, @actions being steps x dims numbers, is
 * ready @now, or nobody waits for it (NONE); @deadline 0: none. The chunk as it
 * leaves is in @out, of as many. */
GstTernChunkFate gst_tern_chunks_add (GstTernChunks * self,
    GstClockTime decided, GstClockTime now, GstClockTime deadline,
    guint overlap, const gdouble * actions, gfloat * out,
    GstTernChunkInfo * info);

G_END_DECLS
