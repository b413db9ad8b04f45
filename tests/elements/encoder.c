/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <string.h>
#include <glib/gstdio.h>
#include <sys/stat.h>

/* Frames at uneven times: the first one, then the first at or after each tick. */
GST_START_TEST (test_samples_by_pts)
{
  const GstClockTime in[] = { 0, 40, 300, 490, 510, 520, 1700, 1900, 2001, 2400, 2500 };
  const GstClockTime expected[] = { 0, 510, 1700, 2001, 2500 };
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  guint i;

  gst_harness_set_src_caps_str (h, "video/x-raw, format = RGB, width = 16, height = 16, framerate = 0/1");
  for (i = 0; i < G_N_ELEMENTS (in); i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (in[i]), MS (20), i)), GST_FLOW_OK);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  for (i = 0; i < G_N_ELEMENTS (expected); i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (expected[i]));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (20));
    gst_buffer_unref (buffer);
  }
  fail_unless (gst_harness_try_pull (h) == NULL);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_every_frame)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100 * i), MS (100), i)), GST_FLOW_OK);
  for (i = 0; i < 20; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (token_number (buffer), i);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_max_frames_ends_tokens)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1 max-frames=3", "sink", "src");
  gboolean eos = FALSE;
  GstEvent *event;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100 * i), MS (100), i)), GST_FLOW_OK);
  for (i = 0; i < 3; i++)
    gst_buffer_unref (gst_harness_pull (h));
  while (!eos && (event = gst_harness_pull_event (h))) {
    eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  fail_unless (eos);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_caps)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  g_autofree char *expected = token_caps (mmproj_path);
  GstCaps *caps, *wanted = gst_caps_from_string (expected);
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  buffer = gst_harness_push_and_pull (h, make_frame (0, MS (100), 7));
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (gst_caps_is_equal (caps, wanted), "%s", gst_caps_to_string (caps));
  fail_unless_equals_int (gst_buffer_get_size (buffer), 16 * 8 * sizeof (float));
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  gst_caps_unref (wanted);

  /* 1/1 comes in: 2/1 cannot go out. */
  gst_harness_set_src_caps_str (h, "video/x-raw, format = GRAY8, width = 32, height = 8, framerate = 1/1");
  buffer = gst_buffer_new_allocate (NULL, 32 * 8, NULL);
  gst_buffer_memset (buffer, 0, 9, 32 * 8);
  GST_BUFFER_PTS (buffer) = MS (1000);
  buffer = gst_harness_push_and_pull (h, buffer);
  caps = gst_pad_get_current_caps (h->sinkpad);
  {
    gint n = 0, d = 0;

    gst_structure_get_fraction (gst_caps_get_structure (caps, 0), "framerate", &n, &d);
    fail_unless (n == 1 && d == 1);
  }
  gst_caps_unref (caps);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

static const char *const formats[] = { "RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8", "I420", "NV12" };

/* The same picture with and without padding gives the same tokens: rows and planes are found by the buffer's meta. */
GST_START_TEST (test_strides)
{
  g_autofree char *caps = g_strdup_printf ("video/x-raw, format = %s, width = 18, height = 10, framerate = 10/1",
      formats[__i__]);
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  GstBuffer *plain, *padded, *out[2];
  GstVideoInfo info, wide;
  GstVideoFrame from, to;
  GstCaps *gst_caps = gst_caps_from_string (caps);
  GstMapInfo maps[2];
  guint8 *data;
  guint i, x, y;

  fail_unless (gst_video_info_from_caps (&info, gst_caps));
  gst_caps_unref (gst_caps);
  data = g_malloc0 (info.size);
  for (i = 0; i < info.size; i++)
    data[i] = (i * 37) >> 2;
  plain = gst_buffer_new_wrapped (data, info.size);

  /* Larger strides, gaps between planes, other bytes in both. */
  gst_video_info_set_format (&wide, GST_VIDEO_INFO_FORMAT (&info), 64, 32);
  padded = gst_buffer_new_allocate (NULL, wide.size + 13, NULL);
  gst_buffer_memset (padded, 0, 0xEE, wide.size + 13);
  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (&wide); i++)
    wide.offset[i] += 13;
  gst_buffer_add_video_meta_full (padded, 0, GST_VIDEO_INFO_FORMAT (&info), 18, 10, GST_VIDEO_INFO_N_PLANES (&info),
      wide.offset, wide.stride);
  fail_unless (gst_video_frame_map (&from, &info, plain, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&to, &info, padded, GST_MAP_WRITE));
  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (&info); i++)
    for (y = 0; y < (i ? 5 : 10); y++)
      for (x = 0; x < GST_VIDEO_INFO_PLANE_STRIDE (&info, i); x++)
        if (x < 18 * GST_VIDEO_INFO_COMP_PSTRIDE (&info, i))
          ((guint8 *) to.data[i])[y * GST_VIDEO_FRAME_PLANE_STRIDE (&to, i) + x] =
              ((guint8 *) from.data[i])[y * GST_VIDEO_FRAME_PLANE_STRIDE (&from, i) + x];
  fail_unless (GST_VIDEO_FRAME_PLANE_STRIDE (&to, 0) > GST_VIDEO_FRAME_PLANE_STRIDE (&from, 0));
  gst_video_frame_unmap (&from);
  gst_video_frame_unmap (&to);

  gst_harness_set_src_caps_str (h, caps);
  GST_BUFFER_PTS (plain) = 0;
  GST_BUFFER_PTS (padded) = MS (100);
  out[0] = gst_harness_push_and_pull (h, plain);
  out[1] = gst_harness_push_and_pull (h, padded);
  for (i = 0; i < 2; i++)
    fail_unless (gst_buffer_map (out[i], &maps[i], GST_MAP_READ));
  fail_unless (memcmp (maps[0].data, maps[1].data, maps[0].size) == 0);
  fail_unless (((float *) maps[0].data)[0] != ((float *) maps[0].data)[15 * 8]);
  for (i = 0; i < 2; i++) {
    gst_buffer_unmap (out[i], &maps[i]);
    gst_buffer_unref (out[i]);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_allocation)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstCaps *caps = gst_caps_from_string (FRAME_CAPS);
  GstQuery *query = gst_query_new_allocation (caps, TRUE);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_unless (gst_pad_peer_query (h->srcpad, query));
  fail_unless (gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL));
  gst_query_unref (query);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_no_pts)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_unless_equals_int (gst_harness_push (h, make_frame (GST_CLOCK_TIME_NONE, MS (100), 0)), GST_FLOW_ERROR);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* One row is refused with its caps; one frame more and the flow is refused too. */
GST_START_TEST (test_tiny_picture)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, "video/x-raw, format = GRAY8, width = 16, height = 1, framerate = 10/1");
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
  fail_unless_equals_int (gst_harness_push (h, make_frame (0, MS (100), 0)), GST_FLOW_NOT_NEGOTIATED);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What the engine says of a frame reaches the bus, and the flow. */
GST_START_TEST (test_engine_error)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  GstBus *bus = watch (h->element);
  GstFlowReturn flow = GST_FLOW_OK;
  guint i;

  gst_harness_set_src_caps_str (h, "video/x-raw, format = GRAY8, width = 2, height = 2, framerate = 10/1");
  for (i = 0; i < 10 && flow == GST_FLOW_OK; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 8, NULL);

    GST_BUFFER_PTS (buffer) = MS (100 * i);
    flow = gst_harness_push (h, buffer);
  }
  fail_unless_equals_int (flow, GST_FLOW_ERROR);
  expect_error (bus, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_model_files)
{
  GstElement *element = gst_element_factory_make ("ternencoder", NULL);
  g_autofree char *damaged = g_strconcat (model_path, ".damaged", NULL);
  g_autofree char *cut = g_strconcat (model_path, ".cut", NULL);
  GstBus *bus = watch (element);
  GstStateChangeReturn ret;

  g_object_set (element, "model-path", "/no/such/model.gguf", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND);

  fail_unless (g_file_set_contents (damaged, "PK, not a model", -1, NULL));
  g_object_set (element, "model-path", model_path, "mmproj-path", damaged, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);

  /* A pipe nobody writes to: not waited for. */
  fail_unless (mkfifo (cut, 0600) == 0);
  g_object_set (element, "mmproj-path", cut, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
  g_unlink (cut);

  /* Found while loading, in the background. */
  fail_unless (g_file_set_contents (cut, "GGUF", -1, NULL));
  g_object_set (element, "mmproj-path", cut, NULL);
  ret = gst_element_set_state (element, GST_STATE_PAUSED);
  fail_unless (ret == GST_STATE_CHANGE_SUCCESS);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
  gst_element_set_state (element, GST_STATE_NULL);

  /* And it works after that. */
  g_object_set (element, "mmproj-path", NULL, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (element, GST_STATE_NULL);
  g_unlink (damaged);
  g_unlink (cut);
  gst_object_unref (bus);
  gst_object_unref (element);
}
GST_END_TEST

GST_START_TEST (test_progress)
{
  GstElement *element = gst_element_factory_make ("ternencoder", NULL);
  const GstProgressType expected[] = { GST_PROGRESS_TYPE_START, GST_PROGRESS_TYPE_COMPLETE, GST_PROGRESS_TYPE_START,
    GST_PROGRESS_TYPE_CANCELED };
  GstBus *bus = watch (element);
  gint64 start;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (expected); i++) {
    GstProgressType type;
    GstMessage *message;

    if (i == 0)
      gst_element_set_state (element, GST_STATE_PAUSED);
    if (i == 2) {
      gst_element_set_state (element, GST_STATE_READY);
      g_setenv ("TERN_FAKE_LOAD_MS", "3000", TRUE);
      start = g_get_monotonic_time ();
      gst_element_set_state (element, GST_STATE_PAUSED);
      gst_element_set_state (element, GST_STATE_READY);
      fail_unless (g_get_monotonic_time () - start < G_TIME_SPAN_SECOND, "a state change waited for the model");
    }
    message = wait_message (bus, GST_MESSAGE_PROGRESS);
    gst_message_parse_progress (message, &type, NULL, NULL);
    fail_unless_equals_int (type, expected[i]);
    gst_message_unref (message);
  }
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (element);
}
GST_END_TEST

GST_START_TEST (test_flush_ends_slow_work)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  GstBuffer *buffer;
  GstSegment segment;
  gint64 start;

  g_setenv ("TERN_FAKE_ENCODE_MS", "20000", TRUE);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push (h, make_frame (0, MS (100), 0));
  gst_harness_push (h, make_frame (MS (100), MS (100), 0));
  g_usleep (50000);
  start = g_get_monotonic_time ();
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (g_get_monotonic_time () - start < G_TIME_SPAN_SECOND);
  g_setenv ("TERN_FAKE_ENCODE_MS", "0", TRUE);
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));

  /* Nothing of before, and numbers start again. */
  buffer = gst_harness_push_and_pull (h, make_frame (MS (5000), MS (100), 0));
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (5000));
  fail_unless_equals_uint64 (token_number (buffer), 0);
  gst_buffer_unref (buffer);

  g_setenv ("TERN_FAKE_ENCODE_MS", "20000", TRUE);
  gst_harness_push (h, make_frame (MS (5100), MS (100), 0));
  g_usleep (50000);
  start = g_get_monotonic_time ();
  gst_harness_teardown (h);
  fail_unless (g_get_monotonic_time () - start < G_TIME_SPAN_SECOND, "stopping waited for a frame");
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

/* GstHarness is live: frames are dropped rather than upstream blocked, and the bus hears of each. */
GST_START_TEST (test_live_drops)
{
  GstElement *element = gst_parse_launch ("ternencoder frame-rate=0/1", NULL);
  GstHarness *h = gst_harness_new_with_element (element, "sink", "src");
  GstBus *bus;
  GstMessage *message;
  guint64 processed, dropped;
  GstFormat format;
  gint64 start;
  guint i;

  gst_object_unref (element);
  bus = watch (h->element);
  g_setenv ("TERN_FAKE_ENCODE_MS", "500", TRUE);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  start = g_get_monotonic_time ();
  for (i = 0; i < 10; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100 * i), MS (100), 0)), GST_FLOW_OK);
  fail_unless (g_get_monotonic_time () - start < 2 * G_TIME_SPAN_SECOND, "a live source waited");
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  do {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL);
    i = GST_BUFFER_PTS (buffer) / MS (100);
    gst_buffer_unref (buffer);
  } while (i != 9);             /* the newest is not lost */
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless_equals_uint64 (dropped, 1);
  gst_message_unref (message);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_state_cycles)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=30 ! ternencoder ! fakesink", NULL);
  guint i;

  for (i = 0; i < 5; i++) {
    GstBus *bus = gst_element_get_bus (pipeline);
    GstMessage *message;

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
    gst_message_unref (message);
    fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
    gst_object_unref (bus);
  }
  gst_object_unref (pipeline);
}
GST_END_TEST

GST_START_TEST (test_negative_rate)
{
  GstElement *element = gst_element_factory_make ("ternencoder", NULL);
  GstBus *bus = watch (element);

  gst_util_set_object_arg (G_OBJECT (element), "frame-rate", "-2/1");
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  gst_object_unref (bus);
  gst_object_unref (element);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ternencoder");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_samples_by_pts);
  tcase_add_test (tc, test_every_frame);
  tcase_add_test (tc, test_max_frames_ends_tokens);
  tcase_add_test (tc, test_caps);
  tcase_add_loop_test (tc, test_strides, 0, G_N_ELEMENTS (formats));
  tcase_add_test (tc, test_allocation);
  tcase_add_test (tc, test_no_pts);
  tcase_add_test (tc, test_tiny_picture);
  tcase_add_test (tc, test_engine_error);
  tcase_add_test (tc, test_model_files);
  tcase_add_test (tc, test_progress);
  tcase_add_test (tc, test_flush_ends_slow_work);
  tcase_add_test (tc, test_numbers_skip_holes);
  tcase_add_test (tc, test_live_drops);
  tcase_add_test (tc, test_state_cycles);
  tcase_add_test (tc, test_negative_rate);
  return run_suite (suite);
}
