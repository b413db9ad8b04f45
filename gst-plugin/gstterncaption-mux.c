/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterncaption-mux.h"

/* Elements between the text pad and a muxer: queues, mostly. */
#define MOST_ELEMENTS 16
#define SHORTEST_CUE (GST_SECOND / 2)

typedef struct
{
  GWeakRef out;
  gboolean decided, keeps;
  GQueue cues;                  /* GstBuffer, until the end */
} Watch;

static void
watch_clear (Watch * watch)
{
  GstBuffer *cue;

  while ((cue = g_queue_pop_head (&watch->cues)))
    gst_buffer_unref (cue);
}

static void
watch_free (gpointer data)
{
  Watch *watch = data;

  watch_clear (watch);
  g_weak_ref_clear (&watch->out);
  g_free (watch);
}

/* The sink pad, inside of bins, that @src leads to; NULL for none. */
static GstPad *
get_next_sink (GstPad * src)
{
  GstPad *pad = gst_pad_get_peer (src);

  while (pad && GST_IS_GHOST_PAD (pad)) {
    GstPad *target = gst_ghost_pad_get_target (GST_GHOST_PAD_CAST (pad));

    gst_object_unref (pad);
    pad = target;
  }
  /* Out of a bin, the other way round. */
  if (pad && GST_IS_PROXY_PAD (pad)) {
    GstProxyPad *outer =
        gst_proxy_pad_get_internal (GST_PROXY_PAD (pad));

    gst_object_unref (pad);
    pad = outer ? get_next_sink (GST_PAD_CAST (outer)) : NULL;
    gst_clear_object (&outer);
  }
  return pad;
}

static gboolean
is_mp4_muxer (GstElement * element)
{
  GType type = g_type_from_name ("GstBaseQTMux");

  return type != 0 && g_type_is_a (G_OBJECT_TYPE (element), type);
}

/* What cuts files writes each with a muxer of its own, and its end is not ours. */
static gboolean
cuts_files (GstElement * element)
{
  GstObject *parent = gst_object_get_parent (GST_OBJECT_CAST (element));
  gboolean cuts = parent && g_strcmp0 (G_OBJECT_TYPE_NAME (parent),
      "GstSplitMuxSink") == 0;

  gst_clear_object (&parent);
  return cuts;
}

static gboolean
leads_to_mp4 (GstPad * out)
{
  GstPad *src = gst_object_ref (out);
  gboolean found = FALSE;
  guint i;

  for (i = 0; src && !found && i < MOST_ELEMENTS; i++) {
    GstPad *sink = get_next_sink (src);
    GstElement *element = sink ? gst_pad_get_parent_element (sink) : NULL;

    gst_clear_object (&src);
    if (element) {
      found = is_mp4_muxer (element) && !cuts_files (element);
      if (element->numsrcpads == 1 && !found)
        src = gst_element_get_static_pad (element, "src");
    }
    gst_clear_object (&element);
    gst_clear_object (&sink);
  }
  gst_clear_object (&src);
  return found;
}

/* MP4 knows no cues at the same time: one that the next one meets would be lost. */
static void
space_cues (Watch * watch)
{
  GstClockTime end = GST_CLOCK_TIME_NONE;
  GList *link;

  for (link = watch->cues.tail; link; link = link->prev) {
    GstBuffer *cue = link->data = gst_buffer_make_writable (link->data);
    GstClockTime pts = GST_BUFFER_PTS (cue);

    if (GST_CLOCK_TIME_IS_VALID (end) && GST_CLOCK_TIME_IS_VALID (pts)) {
      if (pts + SHORTEST_CUE > end)
        pts = end > SHORTEST_CUE ? end - SHORTEST_CUE : 0;
      GST_BUFFER_PTS (cue) = pts;
      GST_BUFFER_DURATION (cue) = MIN (GST_BUFFER_DURATION (cue), end - pts);
    }
    end = pts;
  }
}

/* Before what ends the stream. */
static void
hand_over (Watch * watch, GstPad * pad)
{
  GstPad *peer = gst_pad_get_peer (pad);
  GstBuffer *cue;

  space_cues (watch);
  while (peer && (cue = g_queue_pop_head (&watch->cues)))
    gst_pad_chain (peer, cue);
  watch_clear (watch);
  gst_clear_object (&peer);
}

static GstPadProbeReturn
keep_cue (Watch * watch, GstPad * pad, GstBuffer * cue)
{
  if (!watch->decided) {
    GstPad *out = g_weak_ref_get (&watch->out);

    watch->decided = TRUE;
    watch->keeps = out && leads_to_mp4 (out);
    if (watch->keeps)
      GST_INFO_OBJECT (pad, "cues wait for the end: an MP4 muxer takes them");
    gst_clear_object (&out);
  }
  if (!watch->keeps)
    return GST_PAD_PROBE_OK;
  g_queue_push_tail (&watch->cues, gst_buffer_ref (cue));
  return GST_PAD_PROBE_DROP;
}

static GstPadProbeReturn
watch_probe (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  Watch *watch = data;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER)
    return keep_cue (watch, pad, GST_PAD_PROBE_INFO_BUFFER (info));
  switch (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info))) {
    case GST_EVENT_EOS:
    case GST_EVENT_SEGMENT:
    case GST_EVENT_SEGMENT_DONE:
      hand_over (watch, pad);
      break;
    case GST_EVENT_FLUSH_STOP:
      watch_clear (watch);
      break;
    case GST_EVENT_STREAM_START:
      hand_over (watch, pad);
      watch->decided = FALSE;
      break;
    default:
      break;
  }
  return GST_PAD_PROBE_OK;
}

void
gst_tern_caption_watch_text (GstPad * pad, GstPad * out)
{
  Watch *watch = g_new0 (Watch, 1);

  g_weak_ref_init (&watch->out, out);
  g_queue_init (&watch->cues);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER
      | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
      watch_probe, watch, watch_free);
}
