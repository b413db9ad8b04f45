/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actions between their files. */
#pragma once

#include "gstternaction.h"
#include "gstternchunks.h"
#include "gstterngenerator-priv.h"

G_BEGIN_DECLS

/* A state that waits for the frame that it is before. */
typedef struct
{
  GstClockTime time;            /* running time */
  gfloat values[];
} GstTernState;

/* A decision that was asked for. */
typedef struct
{
  guint64 id;                   /* of the session's requests */
  gboolean made;                /* the engine has */
  gboolean stale;               /* nobody waits for it */
} GstTernDecision;

struct _GstTernAction
{
  GstTernGenerator *generator;

  GMutex lock;                  /* for what follows; taken after the ask lock and
                                 * the session's, and before the object's */
  GCond cond;                   /* states, or nobody waits */
  gchar *path;                  /* of the model */
  guint overlap;
  GstClockTime deadline, max_age;
  TernActionModel *model;       /* from READY on */
  GstPad *statepad, *srcpad;
  gboolean interrupted;

  /* States. */
  GstSegment state_segment;
  GstSegment frame_segment;     /* of the tokens; UNDEFINED before it */
  gboolean state_caps;
  GQueue states;                /* GstTernState, that were not used yet */
  GstClockTime state_position;  /* none before it comes any more; or NONE */
  gboolean state_eos;
  GstClockTime used;            /* stream time of the last one that was; NONE */
  gboolean state_bad;           /* the last one was, and that was said */
  GstClockTime frame_time;      /* running time of the newest frame; NONE */

  /* Requests. */
  GQueue requests;              /* GstTernDecision, in order */
  gboolean again;               /* a frame came while one was under way */

  /* Chunks; the src task's, but for counts. */
  GstTernChunks chunks;
  gfloat *out;
  gboolean started;             /* the pad has caps and segment */
  gboolean failed;              /* the decision before had none */
  guint64 sent, late, missed, undecided;
};

/* With the lock. */
const TernActionSpace *gst_tern_action_space (const GstTernAction * self);

/* A frame came while a decision was under way that is made now. */
void gst_tern_action_decide_again (GstTernAction * self);

/* gstternaction-states.c */
GstPad *gst_tern_action_new_state_pad (GstTernAction * self,
    GstPadTemplate * templ);
void gst_tern_action_clear_states (GstTernAction * self);

/* gstternaction-chunks.c */
GstPad *gst_tern_action_new_src_pad (GstTernAction * self,
    GstPadTemplate * templ);

G_END_DECLS
