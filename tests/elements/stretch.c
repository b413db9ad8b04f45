/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a stretch of frames ends, and what is said of it. */
#include "harness.h"

#include "tern/tern.h"

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

static GstClockTime duration = 12 * GST_SECOND;

/* A file that says how long it is. */
static gboolean
long_file_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    gst_query_set_latency (query, FALSE, 0, GST_CLOCK_TIME_NONE);
  else if (GST_QUERY_TYPE (query) == GST_QUERY_DURATION)
    gst_query_set_duration (query, GST_FORMAT_TIME, duration);
  else
    return gst_pad_query_default (pad, parent, query);
  return TRUE;
}

/* The last of several files that follow each other is whole when it is as long as was said when it began, whatever another one's
 * length is that is said at the end of all. Second: it is not. */
GST_START_TEST (test_end_of_several)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);
  guint i;

  gst_pad_set_query_function (h->srcpad, long_file_query);
  duration = (__i__ ? 12 : 2) * GST_SECOND;
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100) * i, MS (100), 0)), GST_FLOW_OK);
  duration = 12 * GST_SECOND;
  gst_harness_push_event (h, gst_event_new_eos ());
  g_free (events_until (h, GST_EVENT_EOS));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), __i__);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

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
  unwatch (bus);
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

/* Frames at every tick with one jump between them, just below and just above what ends a stretch: the elements number and
 * merge them as a session that is given the pictures does, which goes by the sampler. */
static const struct {
  gint n, d;
} rates[] = { { 2, 1 }, { 10, 1 }, { 1, 5 }, { 30000, 1001 }, { 0, 1 } };

static guint64
tick_of (guint rate)
{
  return rates[rate].n ? GST_SECOND * rates[rate].d / rates[rate].n : MS (100);
}

GST_START_TEST (test_jumps)
{
  guint rate = __i__ / 6, jump = __i__ % 6, i, n = 0;
  guint64 tick = tick_of (rate), most = MAX (rates[rate].n ? 4 * tick : 0, 2 * GST_SECOND);
  guint64 least = rates[rate].n ? tick : MS (1), times[12], numbers[12], last = G_MAXUINT64;
  gint64 by[6] = { most - MS (1), most, most + MS (1), -(gint64) (least - MS (1)), -(gint64) (least + MS (1)), -5 * (gint64) tick };
  g_autofree char *launch = g_strdup_printf ("ternencoder frame-rate=%d/%d ! terncompressor method=dycoke merge-ratio=0.7",
      rates[rate].n, rates[rate].d);
  GstHarness *h = chain_harness (launch);
  TernFrameSampler sampler;

  tern_frame_sampler_init (&sampler, rates[rate].n, rates[rate].d);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 12; i++) {
    guint64 pts = 60 * GST_SECOND + (i < 6 ? i * tick : 5 * tick + by[jump] + (i - 6) * tick);

    fail_unless_equals_int (gst_harness_push (h, make_frame (pts, tick, i)), GST_FLOW_OK);
    if (!tern_frame_sampler_take (&sampler, pts))
      continue;
    times[n] = pts;
    numbers[n++] = sampler.count - 1;
  }
  /* Only a step back of at most a tick is no jump. */
  fail_unless_equals_uint64 (numbers[n - 1], jump < 2 ? 11 : jump == 3 ? n - 1 : 13);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < n; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL, "frame %u does not come", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), times[i]);
    fail_unless_equals_uint64 (token_number (buffer), numbers[i]);
    fail_unless ((gst_buffer_get_size (buffer) == 16 * 8 * sizeof (float)) == (numbers[i] / 4 != last),
        "frame %u does not begin a group, or does", i);
    last = numbers[i] / 4;
    gst_buffer_unref (buffer);
  }
  fail_unless (gst_harness_try_pull (h) == NULL);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Before a jump back the last frame of the stretch is told of. */
GST_START_TEST (test_jump_back)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  g_autofree char *events = NULL;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 16; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (5000 + 100 * i - (i < 8 ? 0 : 3000)), MS (100), 0)),
        GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, "stream-start caps segment gap 5000+0 gap 5700+100 gap 3500+100 eos ");
  gst_harness_teardown (h);
}
GST_END_TEST

/* Pictures of another size begin another stretch, as in a session that is given the pictures; another rate does not. */
GST_START_TEST (test_size_changes)
{
  static const guint sizes[] = { 16, 16, 8, 8 }, numbers[] = { 0, 1, 4, 5 };
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  g_autofree char *events = NULL;
  GstBuffer *buffer;
  guint i;

  for (i = 0; i < 4; i++) {
    g_autofree char *caps = g_strdup_printf ("video/x-raw, format = RGB, width = %u, height = 16, framerate = %u/1", sizes[i],
        i % 2 ? 10 : 20);
    g_autoptr (GstCaps) parsed = gst_caps_from_string (caps);

    if (i == 0)
      gst_harness_set_src_caps_str (h, caps);
    else
      fail_unless (gst_pad_push_event (h->srcpad, gst_event_new_caps (parsed)));
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500 * i), MS (100), 0)), GST_FLOW_OK);
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500 * i + 100), MS (100), 0)), GST_FLOW_OK);
    buffer = gst_harness_pull (h);
    fail_unless_equals_uint64 (token_number (buffer), numbers[i]);
    gst_buffer_unref (buffer);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 gap 600+100 tern-drain gap 1600+100 eos ");
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
  tcase_add_loop_test (tc, test_end_of_several, 0, 2);
  tcase_add_test (tc, test_numbers_skip_holes);
  tcase_add_loop_test (tc, test_jumps, 0, 6 * G_N_ELEMENTS (rates));
  tcase_add_test (tc, test_jump_back);
  tcase_add_test (tc, test_size_changes);
  return run_suite (suite);
}
