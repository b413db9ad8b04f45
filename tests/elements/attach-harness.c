/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach-harness.h"

gint at_work, asked;
GstTestClock *slow;

GstHarness *
text_side (GstHarness *h)
{
  GstHarness *text = gst_harness_new_with_element (h->element, "text_sink", NULL);

  gst_harness_set_src_caps_str (text, "text/x-raw, format = utf8");
  return text;
}

void
push_result (GstHarness *text, guint64 id, guint start, guint end)
{
  GstBuffer *buffer = gst_buffer_new_memdup ("x", 1);
  GstStructure *s = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "TernResultMeta"));

  gst_structure_set (s, "id", G_TYPE_UINT64, id, "start", G_TYPE_DOUBLE, (double) start, "end", G_TYPE_DOUBLE,
      (double) end, NULL);
  GST_BUFFER_PTS (buffer) = start * GST_SECOND;
  GST_BUFFER_DURATION (buffer) = (end - start) * GST_SECOND;
  fail_unless_equals_int (gst_harness_push (text, buffer), GST_FLOW_OK);
}

guint
held (GstHarness *h)
{
  GstStructure *stats;
  guint n = G_MAXUINT;

  g_object_get (h->element, "stats", &stats, NULL);
  gst_structure_get_uint (stats, "held-frames", &n);
  gst_structure_free (stats);
  return n;
}

void
push_frames (GstHarness *h, guint from, guint end)
{
  for (; from < end; from++) {
    GstBuffer *frame = make_frame (MS (500 * from), MS (500), from);

    GST_BUFFER_FLAG_SET (frame, GST_BUFFER_FLAG_MARKER);
    GST_BUFFER_OFFSET (frame) = from;
    gst_buffer_add_video_meta (frame, 0, GST_VIDEO_FORMAT_RGB, 16, 16);
    fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  }
}

gint64
pull_frame (GstHarness *h, guint number)
{
  GstBuffer *frame = gst_harness_pull (h);
  GstCustomMeta *meta;
  guint64 id = -1;
  guint8 value;

  fail_unless (frame != NULL, "frame %u does not come", number);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (frame), MS (500 * number));
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (frame), MS (500));
  fail_unless_equals_uint64 (GST_BUFFER_OFFSET (frame), number);
  fail_unless (GST_BUFFER_FLAG_IS_SET (frame, GST_BUFFER_FLAG_MARKER));
  fail_unless (gst_buffer_get_video_meta (frame) != NULL);
  gst_buffer_extract (frame, 7, &value, 1);
  fail_unless_equals_int (value, number);
  meta = gst_buffer_get_custom_meta (frame, "TernResultMeta");
  if (meta)
    gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), "id", &id);
  gst_buffer_unref (frame);
  return id;
}

GstTestClock *
stop_clock (void)
{
  GstClock *clock = gst_test_clock_new ();

  gst_system_clock_set_default (clock);
  return GST_TEST_CLOCK (clock);
}

void
let_clock_go (GstTestClock *clock)
{
  gst_system_clock_set_default (NULL);
  gst_object_unref (clock);
}

void
pass_time (GstHarness *h, GstTestClock *clock, GstClockTime time)
{
  gst_test_clock_advance_time (clock, time);
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("nudge")));
}

gboolean
work_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  GstTestClock *clock = g_atomic_pointer_get (&slow);

  if (GST_QUERY_TYPE (query) != GST_QUERY_CUSTOM)
    return gst_pad_query_default (pad, parent, query);
  g_atomic_pointer_set (&slow, NULL);
  if (clock)
    gst_test_clock_advance_time (clock, 70 * GST_SECOND);
  if (g_atomic_int_get (&at_work))
    gst_structure_set (gst_query_writable_structure (query), "busy", G_TYPE_BOOLEAN, TRUE, NULL);
  g_atomic_int_inc (&asked);
  return TRUE;
}

void
wait_until_asked (gint more_than)
{
  while (g_atomic_int_get (&asked) <= more_than)
    g_thread_yield ();
}
