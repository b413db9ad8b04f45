/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text pad: cues, and up to where there are none; the latter of JSON, too. */
#include "gstterngenerator-priv.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternupstream.h"

#define MAX_HOPS 32             /* pads between us and a muxer */
#define BLANK_LEAD (250 * GST_MSECOND)

/* ---- The MP4 muxer, and splitmuxsink ----
 *
 * qtmux (mp4mux, ...; up to 1.26 at least) keeps the last text buffer until the
 * next one, goes by its time while it does, and throws GAPs away: video later
 * than that waits. What moves it is another buffer. Without text in it that is
 * what it would write for a gap by itself, an empty sample; but an empty cue to
 * srtenc. So these blanks are sent where they lead to such a muxer alone; of a
 * camera, which would stand still, by a tee to others, too.
 * splitmuxsink (1.22) closes a group of pictures when each stream has a buffer
 * behind it, and GAPs are none to it either, whatever muxer is inside. */

static gboolean
wants_blanks (GstElement * element)
{
  GType type;

  for (type = G_OBJECT_TYPE (element); type; type = g_type_parent (type))
    if (g_str_equal (g_type_name (type), "GstBaseQTMux")
        || g_str_equal (g_type_name (type), "GstSplitMuxSink"))
      return TRUE;
  return FALSE;
}

typedef enum
{
  TO_BLANKS_ALONE,              /* to an element that wants them, without tees */
  TO_BLANKS,                    /* ... or with them */
  TO_OTHERS                     /* to where it meets other streams */
} Goal;

static gboolean leads_to (GstPad * src, Goal goal, guint hops);

/* The same of what comes in by @sink. Where it meets others its way ends: a
 * muxer waits for each of its streams, and what it makes of them is no text. */
static gboolean
goes_on_to (GstPad * sink, Goal goal, guint hops)
{
  g_autoptr (GPtrArray) ways = gst_tern_linked_inside (sink);
  guint i;

  if (goal == TO_BLANKS_ALONE && ways->len > 1)
    return FALSE;
  for (i = 0; i < ways->len; i++) {
    GstPad *src = g_ptr_array_index (ways, i);
    g_autoptr (GPtrArray) sources = gst_tern_linked_inside (src);

    if (sources->len > 1 ? goal == TO_OTHERS : leads_to (src, goal, hops - 1))
      return TRUE;
  }
  return FALSE;
}

/* By one of the ways that what leaves by @src goes, by tees. */
static gboolean
leads_to (GstPad * src, Goal goal, guint hops)
{
  GstPad *peer = gst_pad_get_peer (src);
  GstElement *element = peer ? gst_pad_get_parent_element (peer) : NULL;
  gboolean found = goal != TO_OTHERS && element && wants_blanks (element);

  if (peer && !found && hops > 0)
    found = goes_on_to (peer, goal, hops);
  gst_clear_object (&element);
  gst_clear_object (&peer);
  return found;
}

static gboolean
sends_blanks (GstTernGenerator * self)
{
  gboolean live;

  GST_OBJECT_LOCK (self);
  live = self->live;
  GST_OBJECT_UNLOCK (self);
  return leads_to (self->srcpad, live ? TO_BLANKS : TO_BLANKS_ALONE, MAX_HOPS);
}

/* A muxer, or an overlay: it waits for text as long as that has not ended. */
gboolean
gst_tern_generator_text_meets_others (GstTernGenerator * self)
{
  return leads_to (self->srcpad, TO_OTHERS, MAX_HOPS);
}

static GstClockTime
running_time (GstTernGenerator * self, GstClockTime time)
{
  return gst_segment_to_running_time (&self->out_segment, GST_FORMAT_TIME,
      time);
}

static GstFlowReturn
push_blank (GstTernGenerator * self, GstClockTime time)
{
  GstClockTime running = running_time (self, time);
  GstBuffer *buffer;

  if (!GST_CLOCK_TIME_IS_VALID (running)
      || (GST_CLOCK_TIME_IS_VALID (self->sample_until)
          && running <= self->sample_until))
    return GST_FLOW_OK;
  self->sample_until = running;
  buffer = gst_buffer_new ();
  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DURATION (buffer) = 0;
  return gst_pad_push (self->srcpad, buffer);
}

/* ---- Gaps and cues ---- */

void
gst_tern_generator_push_json_gap (GstPad * json, GstClockTime time,
    gboolean decided)
{
  GstEvent *gap;

  if (!decided && !leads_to (json, TO_OTHERS, MAX_HOPS))
    return;
  gap = gst_event_new_gap (time, 0);
  if (!decided)
    gst_structure_set (gst_event_writable_structure (gap),
        GST_TERN_GAP_UNDECIDED, G_TYPE_BOOLEAN, TRUE, NULL);
  gst_pad_push_event (json, gap);
}

/* A point, not the time since the last one: muxers go by where a gap begins. */
void
gst_tern_generator_push_gap (GstTernGenerator * self, GstClockTime time,
    gboolean decided)
{
  if (sends_blanks (self)) {
    GstClockTime running = running_time (self, time);

    /* Ahead, so that one frame in a few needs one. */
    if (decided)
      push_blank (self, time);
    else if (!GST_CLOCK_TIME_IS_VALID (self->sample_until)
        || running >= self->sample_until)
      push_blank (self, time + BLANK_LEAD);
  }
  gst_pad_push_event (self->srcpad, gst_event_new_gap (time, 0));
}

/* Cues whose times are chosen here do not overlap: one that comes before the
 * last one's end waits for it, and ends when it would have ended. */
static void
move_cue (GstTernGenerator * self, gboolean blanks, GstClockTime * pts,
    GstClockTime * duration)
{
  GstClockTime least = self->cue_until, running = running_time (self, *pts);
  GstClockTime later, late;

  if (blanks && GST_CLOCK_TIME_IS_VALID (self->sample_until)
      && (!GST_CLOCK_TIME_IS_VALID (least) || least < self->sample_until))
    least = self->sample_until;
  if (!GST_CLOCK_TIME_IS_VALID (least) || !GST_CLOCK_TIME_IS_VALID (running)
      || running >= least
      || gst_segment_position_from_running_time_full (&self->out_segment,
          GST_FORMAT_TIME, least, &later) != 1 || later < *pts)
    return;
  late = later - *pts;
  *pts = later;
  *duration = MAX (*duration > late ? *duration - late : 0, *duration / 4);
}

/* Every result is a buffer, with or without text: an error is none to show, and
 * its meta says what it is. One with the time of its window keeps it, also when
 * video is further already. */
GstFlowReturn
gst_tern_generator_push_text (GstTernGenerator * self,
    const TernResult * result, const GstStructure * structure)
{
  gboolean arrival = gst_tern_generator_stamps_arrival (self);
  gboolean blanks = sends_blanks (self);
  GstClockTime pts = result->timestamp, duration = result->duration;
  gsize size = strlen (result->result);
  GstFlowReturn flow;

  if (strcmp (result->kind, "error") == 0)
    size = 0;
  if (arrival && GST_CLOCK_TIME_IS_VALID (self->position))
    pts = self->position;
  if (arrival)
    duration = MIN (duration, gst_tern_generator_hop_time (self));
  if (arrival || blanks)
    move_cue (self, blanks, &pts, &duration);
  if (!GST_CLOCK_TIME_IS_VALID (self->position) || pts > self->position) {
    self->position = pts;
    gst_pad_push_event (self->srcpad, gst_event_new_gap (pts, 0));
  }

  flow = gst_pad_push (self->srcpad, gst_tern_generator_result_buffer (
          result->result, size, pts, duration, structure));
  self->cue_until = running_time (self, pts + duration);
  if (blanks) {
    self->sample_until = running_time (self, pts);
    if (flow == GST_FLOW_OK)
      flow = push_blank (self, pts + duration);
  }
  return flow;
}
