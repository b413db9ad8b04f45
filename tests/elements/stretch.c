/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a stretch of frames ends, and what is said of it. */
#include "harness.h"

/* The last frame that came says where a stretch ends, looked at or not; once. */
static const char *const ends[] = { "eos", "segment", "segment-done", "stream-start" };
GST_START_TEST (test_last_frame)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  const char *how = ends[__i__];
  g_autofree char *events = NULL, *expected = NULL;
  GstSegment segment;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 8; i++)       /* the last one is at 700 ms, 500 was looked at */
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100) * i, MS (100), 0)), GST_FLOW_OK);
  if (__i__ == 1)
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  else if (__i__ == 2)
    gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, MS (800)));
  else if (__i__ == 3)
    gst_harness_push_event (h, gst_event_new_stream_start ("another"));
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  expected = g_strdup_printf ("stream-start caps segment gap 0+0 gap 700+100 %s%seos ", __i__ ? how : "", __i__ ? " " : "");
  fail_unless_equals_string (events, expected);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_last_frame_looked_at)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  g_autofree char *events = NULL;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 6; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100) * i, MS (100), 0)), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 eos ");
  gst_harness_teardown (h);
}
GST_END_TEST

/* A source of 12 s that ends after 4 is cut off; one that ends where it said, or nearly, is not. */
static const struct {
  const char *end;
  guint warnings;
} early[] = { { "identity eos-after=40", 1 }, { "identity", 0 }, { "identity eos-after=110", 0 } };

GST_START_TEST (test_cut_off)
{
  g_autofree char *launch = g_strdup_printf ("videotestsrc num-buffers=120 ! video/x-raw,framerate=10/1,width=16,height=16 ! "
      "%s ! ternencoder ! fakesink", early[__i__].end);
  GstElement *pipeline = gst_parse_launch (launch, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  guint warnings = 0;
  gboolean end = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);

    end = GST_MESSAGE_TYPE (message) != GST_MESSAGE_WARNING;
    warnings += !end;
    fail_if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR);
    gst_message_unref (message);
  }
  fail_unless_equals_int (warnings, early[__i__].warnings);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* A file that says how long it is. */
static gboolean
long_file_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    gst_query_set_latency (query, FALSE, 0, GST_CLOCK_TIME_NONE);
  else if (GST_QUERY_TYPE (query) == GST_QUERY_DURATION)
    gst_query_set_duration (query, GST_FORMAT_TIME, 12 * GST_SECOND);
  else
    return gst_pad_query_default (pad, parent, query);
  return TRUE;
}

/* Of a segment without frames nothing is known, whatever came before it, and how. */
GST_START_TEST (test_cut_off_by_segment)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  GstBus *bus = watch (h->element);
  GstSegment segment;
  guint i;

  gst_pad_set_query_function (h->srcpad, long_file_query);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 40; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100) * i, MS (100), 0)), GST_FLOW_OK);
  if (__i__ == 1) {
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  }
  if (__i__ < 2)
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), __i__ == 2);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A group of four must not span a hole: numbers go on with the next group. */
GST_START_TEST (test_numbers_skip_holes)
{
  const GstClockTime in[] = { 0, 500, 9000, 9500 };
  const guint64 expected[] = { 0, 1, 4, 5 };
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < G_N_ELEMENTS (in); i++) {
    GstBuffer *buffer = gst_harness_push_and_pull (h, make_frame (MS (in[i]), MS (100), 0));

    fail_unless_equals_uint64 (token_number (buffer), expected[i]);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("stretch");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_last_frame, 0, G_N_ELEMENTS (ends));
  tcase_add_test (tc, test_last_frame_looked_at);
  tcase_add_loop_test (tc, test_cut_off, 0, G_N_ELEMENTS (early));
  tcase_add_loop_test (tc, test_cut_off_by_segment, 0, 3);
  tcase_add_test (tc, test_numbers_skip_holes);
  return run_suite (suite);
}
