/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several elements do alike. */
#pragma once

#include <gst/gst.h>
#include "gstternmeta.h"

G_BEGIN_DECLS

#define GST_TERN_PARAM_READY \
  ((GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | \
      GST_PARAM_MUTABLE_READY))
#define GST_TERN_PARAM_PLAYING \
  ((GParamFlags) (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | \
      GST_PARAM_MUTABLE_PLAYING))

/* Events of our own.
 *
 * GST_TERN_EVENT_DRAIN, serialized downstream, without fields: the stream
 * pauses. What waits for the rest of its group or window is answered; afterwards
 * the stream goes on with another group.
 *
 * GST_TERN_EVENT_PROGRESS, not serialized, in both directions: video has got so
 * far. `running-time` and `end` (uint64, ns) are those of a frame that was seen
 * (downstream, by ternencoder) or leaves now (upstream, by ternattach), so that
 * text need not hold anybody up who waits for it. */
#define GST_TERN_EVENT_DRAIN "tern-drain"
#define GST_TERN_EVENT_PROGRESS "tern-progress"

/* Field of a GAP event of JSON (boolean) that says how far video is, and not
 * that results before that are decided. */
#define GST_TERN_GAP_UNDECIDED "tern-undecided"

/* GST_TERN_EVENT_TRIGGER, in both directions, without fields: something happens
 * now. A stretch of frames ends before the next one: what there is of a group
 * and of a window is answered as far as it goes, and a window begins with that
 * frame. Upstream it is for whoever chooses frames, downstream (serialized or
 * not) for who comes first of that and whoever holds frames.
 *
 * GST_TERN_QUERY_TRIGGER, a custom query upstream by ternencoder that was
 * triggered: whoever chooses frames for it does that now, and tells it in its
 * place among them (boolean `taken`). */
#define GST_TERN_EVENT_TRIGGER "tern-trigger"
#define GST_TERN_QUERY_TRIGGER "tern-trigger"

/* A custom query downstream by terncompressor: which windows will the tokens be
 * in? terngenerator answers with `window` and `hop` (uint64, ns, as they were
 * set), so that groups end with them. */
#define GST_TERN_QUERY_WINDOWS "tern-windows"

/* GST_TERN_EVENT_PREVIEW, serialized downstream, by terncompressor with
 * `previews` to terngenerator: a frame that is held until its group is whole.
 * `buffer` (GstBuffer): its tokens, as they came, with their timestamps;
 * `number` (uint64): the one that they will have when they come again. */
#define GST_TERN_EVENT_PREVIEW "tern-preview"

/* A request to terngenerator: the name of the structure of the action `ask` and
 * of the custom event, in whatever direction it is sent. */
#define GST_TERN_ASK "tern-ask"

/* A bin sends an event to each of its sinks, from where it comes here as often;
 * it is one all the same. The last few that came, and what they were told. */
typedef struct
{
  struct
  {
    guint32 seqnum;
    gboolean taken;
  } events[8];
  guint next;
} GstTernHeard;

/* Whether @event came before, and then, whether it was taken. Otherwise it is
 * from now on, unless that is said to be wrong. */
gboolean gst_tern_heard_before (GstTernHeard * self, GstElement * element,
    GstEvent * event, gboolean * taken);
void gst_tern_heard_refused (GstTernHeard * self, GstElement * element,
    GstEvent * event);

/* A boolean field of LATENCY queries that ask on behalf of text:
 * terncompressor, which holds tokens for the rest of their group, does not
 * count that. */
#define GST_TERN_QUERY_TEXT "tern-text"

/* GST_TERN_EVENT_LOOKING, serialized downstream, by the joint of terncaption to
 * ternattach: whether the frames that follow are looked at (boolean `looking`),
 * so that none waits for a result that does not come. */
#define GST_TERN_EVENT_LOOKING "tern-looking"

/* A custom query upstream from ternattach: is anybody at work (boolean `busy`),
 * so that results will come although no more frames do, or frames that wait for
 * theirs further up? */
#define GST_TERN_QUERY_WORK "tern-work"

/* A custom query upstream from ternattach, whose live frames wait for their
 * result: LATENCY of that, whatever time is on text, as `latency` (uint64, ns);
 * nothing when it is not live. Not a LATENCY query: what is in between makes one
 * of its own of that. */
#define GST_TERN_QUERY_HELD "tern-held"

GstEvent *gst_tern_event_new_drain (void);
GstEvent *gst_tern_event_new_trigger (void);
GstEvent *gst_tern_event_new_preview (GstBuffer * buffer, guint64 number);
/* FALSE: it has not what it should have. @buffer is the event's. */
gboolean gst_tern_event_parse_preview (GstEvent * event, GstBuffer ** buffer,
    guint64 * number);
/* Whether somebody upstream of @sinkpad chooses frames, and has heard it. */
gboolean gst_tern_query_trigger (GstPad * sinkpad);
gboolean gst_tern_take_trigger_query (GstQuery * query);

gboolean gst_tern_query_held (GstPad * sinkpad, guint64 * latency);
gboolean gst_tern_is_held_query (GstQuery * query);

gboolean gst_tern_query_windows (GstPad * srcpad, guint64 * window,
    guint64 * hop);
gboolean gst_tern_is_windows_query (GstQuery * query);

/* Whether somebody upstream of @sinkpad is at work. */
gboolean gst_tern_query_work (GstPad * sinkpad);
gboolean gst_tern_is_work_query (GstQuery * query);
/* Who is @busy says so; who is not leaves what others said. */
void gst_tern_answer_work_query (GstQuery * query, gboolean busy);

/* At the top of set_property: TRUE when the property cannot be set now, because
 * it is fixed from PAUSED on. Says so, unless it has that value already. */
gboolean gst_tern_refuse_property (GstElement * element, GParamSpec * pspec,
    const GValue * value);

/* The properties `model-path`, `threads` and `float-activations`, with the id
 * @id. */
void gst_tern_install_model_path (GObjectClass * klass, guint id);
void gst_tern_install_threads (GObjectClass * klass, guint id);
void gst_tern_install_float_activations (GObjectClass * klass, guint id);

/* The signals `result` and `cancel` of @type; return their ids. */
guint gst_tern_new_result_signal (GType type);
guint gst_tern_new_ask_signal (GType type, GCallback ask);
guint gst_tern_new_trigger_signal (GType type, GCallback trigger);
guint gst_tern_new_cancel_signal (GType type, GCallback cancel);

/* How many buffers there are in all of a pool; 0 when there is no limit, or no
 * @pool. */
guint gst_tern_pool_limit (GstBufferPool * pool);

/* What an event function returns when @srcpad did not take the event. */
GstFlowReturn gst_tern_event_flow (GstPad * srcpad);

/* For elements that make another kind of thing of each result: events of @pad
 * go on as they are, caps as those of @srcpad's template. */
GstFlowReturn gst_tern_format_event (GstPad * pad, GstObject * parent,
    GstPad * srcpad, GstEvent * event);
/* What @element makes of a result; NULL: nothing. */
typedef GstBuffer *(*GstTernFormatFunc) (GstElement * element,
    const GstStructure * result);
/* Pushes what is made of each result of @buffer, which is taken, with that result
 * and the buffer's times. Where it is nothing at all, a gap lets sinks and muxers
 * go on. */
GstFlowReturn gst_tern_format_results (GstElement * element, GstPad * srcpad,
    GstBuffer * buffer, GstTernFormatFunc make);

/* For iterate_internal_links of a pad whose data go to or come from @other
 * alone. */
GstIterator *gst_tern_iterate_one_pad (GstPad * other);

/* Takes the segment out of @event. One that is not in time is an error of
 * @element with the message @text, and leaves @segment as it is. */
gboolean gst_tern_take_time_segment (GstElement * element, GstEvent * event,
    const gchar * text, GstSegment * segment);

/* What pictures look like, by their caps. */
typedef struct
{
  gint width, height, par_n, par_d;
} GstTernShape;

/* Whether pictures of @b do not belong to a window with those of @a, which is
 * 0 x 0 where there were none. */
gboolean gst_tern_shapes_part (const GstTernShape * a, const GstTernShape * b);

/* The frame that came last. `stated` is what is said of how long it stands, 0
 * when nothing is; `stands` how long it does as far as the frames before it
 * tell, as in a session that is given all of them, NONE when that is not
 * known; `kept` whether one of this stretch stood as long as was said. */
typedef struct
{
  GstClockTime pts, stated, stands;
  gboolean kept;
} GstTernSeen;

void gst_tern_seen_init (GstTernSeen * seen);
/* @tick is the time between frames that are looked at, 0 when all are. */
void gst_tern_seen_frame (GstTernSeen * seen, GstBuffer * buffer,
    GstClockTime tick);

/* Whether @event is a segment that says no more than that the stream began
 * somewhat earlier than the segment @before it said: matroskademux takes the
 * first block for the beginning, and finds sound with earlier times behind it. */
gboolean gst_tern_corrects_segment (GstEvent * event,
    const GstSegment * before);

/* Whether a stretch of frames ends with @event: what waits for the rest of its
 * group or window is answered before it. Where one ends between two frames says
 * tern_frame_step(). @before: the segment that holds when it comes. */
gboolean gst_tern_ends_stretch (GstEvent * event, const GstSegment * before);

/* Whether @item, which waits in a queue, is still to be said after a flush: it
 * is true of the stream until it is said anew, and upstream does not say it
 * again. */
gboolean gst_tern_outlives_flush (GstMiniObject * item);

/* Reads the caps of visual tokens; others are an error of @element. */
gboolean gst_tern_take_token_caps (GstElement * element, const GstCaps * caps,
    GstTernTokenInfo * info);

/* Why something was left out: the field `reason` of QOS messages. */
#define GST_TERN_DROPPED_LATE "late"    /* there was more than could be done */
#define GST_TERN_DROPPED_UNCHANGED "unchanged"  /* nothing was new */
#define GST_TERN_DROPPED_DEFERRED "deferred"    /* for the sake of a budget */

typedef struct
{
  const gchar *reason;
  gboolean live;
  GstClockTime pts, duration;   /* of what was left out */
  guint64 done, dropped;        /* so far, this one too */
} GstTernDropped;

/* A QOS message. No lock is held. */
void gst_tern_post_dropped (GstElement * element, const GstSegment * segment,
    const GstTernDropped * dropped);

G_END_DECLS
