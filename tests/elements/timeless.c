/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames without a time. */
#include "harness.h"

#include <string.h>
#include <gst/app/app.h>

#define RATELESS_CAPS "video/x-raw, format = RGB, width = 16, height = 16, framerate = 0/1"
#define NO_TIME (-1)

static GstFlowReturn
push_at (GstHarness *h, gint ms)
{
  return gst_harness_push (h, make_frame (ms == NO_TIME ? GST_CLOCK_TIME_NONE : MS (ms), GST_CLOCK_TIME_NONE, 0));
}

static void
expect_timeless (GstBus *bus)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;

  gst_message_parse_error (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED));
  fail_unless (strstr (error->message, "do-timestamp=true") != NULL, "%s", error->message);
  fail_unless (strstr (error->message, "is-live=true") != NULL, "%s", error->message);
  gst_message_unref (message);
}

/* A frame without a time is left out with one warning for all that follow each other, and a second one when they are many. */
GST_START_TEST (test_lone_frame_without_time)
{
  static const gint times[] = { 0, NO_TIME, 500, NO_TIME, NO_TIME, NO_TIME, 1000 };
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, RATELESS_CAPS);
  for (i = 0; i < G_N_ELEMENTS (times); i++)
    fail_unless_equals_int (push_at (h, times[i]), GST_FLOW_OK);
  for (i = 0; i < 3; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (500 * i));
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 2);
  for (i = 0; i < 100; i++)
    fail_unless_equals_int (push_at (h, NO_TIME), GST_FLOW_OK);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 2);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A stream of which no frame, or the first one alone, has a time, long or short, is an error that says what to do. */
GST_START_TEST (test_no_times)
{
  gint begin = __i__ == 0 ? NO_TIME : 0;
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);
  GstFlowReturn flow;
  guint i;

  gst_harness_set_src_caps_str (h, RATELESS_CAPS);
  flow = push_at (h, begin);
  for (i = 0; i < 100 && flow == GST_FLOW_OK; i++)
    flow = push_at (h, NO_TIME);
  fail_unless_equals_int (flow, GST_FLOW_ERROR);
  fail_unless_equals_int (push_at (h, NO_TIME), GST_FLOW_ERROR);
  expect_timeless (bus);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);

  h = file_harness ("ternencoder", "sink", "src");
  bus = watch (h->element);
  gst_harness_set_src_caps_str (h, RATELESS_CAPS);
  fail_unless_equals_int (push_at (h, begin), GST_FLOW_OK);
  fail_unless_equals_int (push_at (h, NO_TIME), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect_timeless (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Where the caps of a file have a rate, it says when frames are; also from another rate on, and from the first time. */
GST_START_TEST (test_times_by_rate)
{
  gint begin = __i__ == 0 ? NO_TIME : 300, start = __i__ == 0 ? 0 : 300;
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  GstBus *bus = watch (h->element);
  GstClockTime expected;
  guint i;

  gst_harness_set_src_caps_str (h, "video/x-raw, format = RGB, width = 16, height = 16, framerate = 3/1");
  for (i = 0; i < 6; i++) {
    GstBuffer *buffer;

    if (i == 4) {
      GstCaps *caps = gst_caps_from_string (FRAME_CAPS);

      fail_unless (gst_pad_push_event (h->srcpad, gst_event_new_caps (caps)));
      gst_caps_unref (caps);
    }
    fail_unless_equals_int (push_at (h, i == 0 ? begin : NO_TIME), GST_FLOW_OK);
    buffer = gst_harness_pull (h);
    expected = i < 4 ? i * GST_SECOND / 3 : GST_SECOND + (i - 3) * MS (100);
    /* Thirds of a second are rounded where they are counted from. */
    expected += MS (start);
    fail_unless (GST_BUFFER_PTS (buffer) + 2 >= expected && GST_BUFFER_PTS (buffer) <= expected + 2,
        "frame %u: %" G_GUINT64_FORMAT, i, GST_BUFFER_PTS (buffer));
    gst_buffer_unref (buffer);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames without times near the beginning of a stream whose other ones have some: what was given is not gone over again. */
GST_START_TEST (test_times_begin_late)
{
  static const guint looked_at[] = { 0, 500, 1000, 1500, 2000, 2500 };
  GstHarness *h = __i__ == 0 ? file_harness ("ternencoder frame-rate=2/1", "sink", "src")
      : file_harness ("terncaption frame-rate=2/1 window=2000000000", "sink", "src");
  GstHarness *text = __i__ == 0 ? NULL : gst_harness_new_with_element (h->element, NULL, "text_src");
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (guint i = 0; i < 12; i++)
    fail_unless_equals_int (push_at (h, __i__ == 1 && i == 0 ? 0 : NO_TIME), GST_FLOW_OK);
  for (guint i = 0; i < 30; i++)
    fail_unless_equals_int (push_at (h, 100 * i), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (guint i = 0; __i__ == 0 && i < G_N_ELEMENTS (looked_at); i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (looked_at[i]));
    gst_buffer_unref (buffer);
  }
  if (text) {
    g_autofree char *whole = pull_text (text, 0, MS (2000)), *rest = pull_text (text, MS (2000), MS (1000));

    fail_unless_equals_string (whole, "4 frames, default");
    fail_unless_equals_string (rest, "2 frames, default");
    for (guint i = 0; i < 42; i++)
      gst_buffer_unref (gst_harness_pull (h));
    gst_harness_teardown (text);
  }
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* GstHarness is live: there it is the clock that says when they are, whatever rate a camera states. */
GST_START_TEST (test_times_by_arrival)
{
  static const guint arrivals[] = { 1000, 1070, 1400, 5000 };
  GstHarness *h = gst_harness_new_parse ("ternencoder frame-rate=0/1 idle-timeout=0");
  GstBus *bus = watch (h->element);
  g_autofree char *events = NULL;
  guint i;

  gst_harness_use_testclock (h);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  if (__i__ == 1) {
    fail_unless_equals_int (push_at (h, 0), GST_FLOW_OK);
    gst_buffer_unref (gst_harness_pull (h));
  }
  /* The first few may come before the source knows the time. */
  for (i = 0; i < 8; i++)
    fail_unless_equals_int (push_at (h, NO_TIME), GST_FLOW_OK);
  for (i = 0; i < G_N_ELEMENTS (arrivals); i++) {
    GstBuffer *buffer;

    fail_unless (gst_harness_set_time (h, MS (arrivals[i])));
    fail_unless_equals_int (push_at (h, NO_TIME), GST_FLOW_OK);
    buffer = gst_harness_pull (h);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (arrivals[i]));
    gst_buffer_unref (buffer);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, __i__ == 0 ? "stream-start caps segment gap 0+0 gap 1000+0 gap 5000+3600 eos " :
      "stream-start caps segment gap 0+0 gap 5000+3600 eos ");
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 2);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- terncaption ---- */

/* What waits of the stream's messages. */
static GstMessage *
play_on (GstElement *pipeline, GstMessageType types)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = wait_message (bus, types);

  gst_object_unref (bus);
  return message;
}

static void
feed (GstElement *source, GstClockTime pts)
{
  fail_unless_equals_int (gst_app_src_push_buffer (GST_APP_SRC (source), make_frame (pts, GST_CLOCK_TIME_NONE, 0)),
      GST_FLOW_OK);
}

/* A first frame without a time: sinks of text preroll all the same, and the clock starts that later frames need. */
GST_START_TEST (test_prerolls)
{
  GstElement *pipeline = gst_parse_launch ("appsrc name=a format=time caps=\"" RATELESS_CAPS "\" ! terncaption name=c "
      "! fakesink  c.text_src ! fakesink  c.json_src ! fakesink", NULL);
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  GstMessage *message;
  guint i;

  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  feed (source, GST_CLOCK_TIME_NONE);
  fail_unless_equals_int (gst_element_get_state (pipeline, NULL, NULL, GST_CLOCK_TIME_NONE), GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 20; i++)
    feed (source, MS (10 + 250 * i));
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  message = play_on (pipeline, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (source);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* Both sides have the same times: each frame its own window's result. One message, whoever has seen it. */
GST_START_TEST (test_caption_by_rate)
{
  GstHarness *h = file_harness ("terncaption frame-rate=2/1 window=2000000000 attach=window", "sink", "src");
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 30; i++)
    fail_unless_equals_int (push_at (h, i == 0 ? 0 : NO_TIME), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < 30; i++) {
    GstBuffer *frame = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (frame), MS (100 * i));
    fail_unless_equals_uint64 (result_uint64 (frame, "timestamp"), i / 20 * MS (2000));
    gst_buffer_unref (frame);
  }
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames that are not looked at count: two of them have times, and the stream is none without. */
GST_START_TEST (test_caption_few_times)
{
  static const gint times[] = { 0, 100, NO_TIME };
  GstHarness *h = file_harness ("terncaption frame-rate=2/1", "sink", "src");
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, RATELESS_CAPS);
  for (i = 0; i < G_N_ELEMENTS (times); i++)
    fail_unless_equals_int (push_at (h, times[i]), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < G_N_ELEMENTS (times); i++)
    gst_buffer_unref (gst_harness_pull (h));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_caption_no_times)
{
  GstHarness *h = file_harness ("terncaption frame-rate=2/1", "sink", "src");
  GstBus *bus = watch (h->element);
  GstFlowReturn flow = GST_FLOW_OK;
  guint i;

  gst_harness_set_src_caps_str (h, RATELESS_CAPS);
  for (i = 0; i < 100 && flow == GST_FLOW_OK; i++)
    flow = push_at (h, i == 0 ? 0 : NO_TIME);
  fail_unless_equals_int (flow, GST_FLOW_ERROR);
  expect_timeless (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("timeless");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_lone_frame_without_time);
  tcase_add_loop_test (tc, test_no_times, 0, 2);
  tcase_add_loop_test (tc, test_times_by_rate, 0, 2);
  tcase_add_loop_test (tc, test_times_begin_late, 0, 2);
  tcase_add_loop_test (tc, test_times_by_arrival, 0, 2);
  tcase_add_test (tc, test_prerolls);
  tcase_add_test (tc, test_caption_by_rate);
  tcase_add_test (tc, test_caption_few_times);
  tcase_add_test (tc, test_caption_no_times);
  return run_suite (suite);
}
