/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Actions of terngenerator: an action model, the robot's states that come in,
 * and chunks of steps that leave.
 *
 * With an action model windows are not answered. After each frame of tokens a
 * decision is asked for, and its chunk leaves through `action_src`. Behind a
 * live source one decision is made at a time, about the newest frame; otherwise
 * every frame has one, and waits until the states of its time are there. */
#pragma once

#include "gstterngenerator.h"
#include "tern/tern.h"

G_BEGIN_DECLS

typedef struct _GstTernAction GstTernAction;

/* ---- Life, by the generator's ---- */

GstTernAction *gst_tern_action_new (GstTernGenerator * generator);
void gst_tern_action_free (GstTernAction * self);
/* Reads the model, unless it is the one that is there; NULL: none. */
gboolean gst_tern_action_open (GstTernAction * self, const gchar * path,
    GError ** error);
void gst_tern_action_close (GstTernAction * self);
/* A session was made, or there is none: requests of another one are over. */
void gst_tern_action_reset_session (GstTernAction * self);
/* From PAUSED to READY. */
void gst_tern_action_stop (GstTernAction * self);

/* ---- Properties ---- */

enum
{
  GST_TERN_ACTION_OVERLAP,
  GST_TERN_ACTION_DEADLINE,
  GST_TERN_ACTION_STATE_MAX_AGE,
  GST_TERN_ACTION_LAST
};

void gst_tern_action_install_properties (GObjectClass * klass, guint first_id);
/* FALSE: the value cannot be, and why was said; the old one stays. */
gboolean gst_tern_action_set_property (GstTernAction * self, guint which,
    const GValue * value);
void gst_tern_action_get_property (GstTernAction * self, guint which,
    GValue * value);
void gst_tern_action_fill_params (GstTernAction * self,
    TernSessionParams * params);
/* chunks, late-chunks, missed-steps, undecided; nothing without a model. */
void gst_tern_action_add_stats (GstTernAction * self, GstStructure * stats);

/* ---- Pads ---- */

void gst_tern_action_add_templates (GstElementClass * klass);
gboolean gst_tern_action_is_template (const GstPadTemplate * templ);
/* NULL when there is one already, which was said. */
GstPad *gst_tern_action_request_pad (GstTernAction * self,
    GstPadTemplate * templ);
/* FALSE: it is none of ours. */
gboolean gst_tern_action_release_pad (GstTernAction * self, GstPad * pad);

/* ---- Frames, on the streaming thread ---- */

/* What tokens' times are in from now on. */
void gst_tern_action_set_segment (GstTernAction * self,
    const GstSegment * tokens);
/* Before the session gets a frame's tokens: states of its time are there. */
GstFlowReturn gst_tern_action_await_state (GstTernAction * self,
    GstClockTime pts);
/* After it: asks for a decision about it. */
GstFlowReturn gst_tern_action_decide (GstTernAction * self);
/* Nobody waits any more, until it ends. */
void gst_tern_action_interrupt (GstTernAction * self, gboolean interrupt);

/* ---- Results ---- */

/* On the engine thread, for each. */
void gst_tern_action_note_result (GstTernAction * self,
    const TernResult * result);
/* Whether an error is to be said: the decision before was none, or there are
 * no decisions. */
gboolean gst_tern_action_is_news (GstTernAction * self);
/* On the src task: whether a result is about what was asked for here, and is
 * not any more. @stale: nobody waits for it. */
gboolean gst_tern_action_take_result (GstTernAction * self,
    const TernResult * result, gboolean * stale);
/* Its chunk leaves, if it has one. */
GstFlowReturn gst_tern_action_push_result (GstTernAction * self,
    const TernResult * result, const GstStructure * structure);
/* On the src task, and FLUSH_START and FLUSH_STOP from anywhere. Keeps its own
 * reference. */
void gst_tern_action_push_event (GstTernAction * self, GstEvent * event);
/* On the src task: sinks may preroll. */
void gst_tern_action_push_start (GstTernAction * self, GstClockTime time);
/* On the src task: another stream begins. */
void gst_tern_action_restart_pad (GstTernAction * self);

G_END_DECLS
