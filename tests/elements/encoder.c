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

  /* What was asked for, whatever comes in. */
  gst_harness_set_src_caps_str (h, "video/x-raw, format = GRAY8, width = 32, height = 8, framerate = 1/1");
  buffer = gst_buffer_new_allocate (NULL, 32 * 8, NULL);
  gst_buffer_memset (buffer, 0, 9, 32 * 8);
  GST_BUFFER_PTS (buffer) = MS (1000);
  buffer = gst_harness_push_and_pull (h, buffer);
  caps = gst_pad_get_current_caps (h->sinkpad);
  {
    gint n = 0, d = 0;

    gst_structure_get_fraction (gst_caps_get_structure (caps, 0), "framerate", &n, &d);
    fail_unless (n == 2 && d == 1);
  }
  gst_caps_unref (caps);
  gst_buffer_unref (buffer);
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

/* ---- What downstream hears ---- */

static GstEvent *
pull_event (GstHarness *h, GstEventType type)
{
  GstEvent *event;

  while ((event = gst_harness_pull_event (h)) && GST_EVENT_TYPE (event) != type)
    gst_event_unref (event);
  fail_unless (event != NULL, "no event %s", gst_event_type_get_name (type));
  return event;
}

/* Another rate that comes in changes nothing downstream. */
GST_START_TEST (test_rate_change)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  g_autofree char *events = NULL;
  guint i;

  for (i = 0; i < 8; i++) {
    GstCaps *caps = gst_caps_from_string (FRAME_CAPS);
    GstBuffer *buffer;

    gst_caps_set_simple (caps, "framerate", GST_TYPE_FRACTION, i % 4 < 2 ? 10 : 1, i % 4 < 2 ? 1 : 2, NULL);
    if (i == 0)
      gst_harness_set_src_caps (h, gst_caps_ref (caps));
    else if (i % 2 == 0)
      fail_unless (gst_pad_push_event (h->srcpad, gst_event_new_caps (caps)));
    gst_caps_unref (caps);
    buffer = gst_harness_push_and_pull (h, make_frame (MS (500) * i, MS (100), 0));
    fail_unless_equals_uint64 (token_number (buffer), i);
    gst_buffer_unref (buffer);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 eos ");
  gst_harness_teardown (h);
}
GST_END_TEST

/* Pictures that stand for long are not merged, as in a session of pictures: each may have a window of its own. */
GST_START_TEST (test_slow_source)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  guint i;

  gst_harness_set_src_caps_str (h, "video/x-raw, format = RGB, width = 16, height = 16, framerate = 1/5");
  for (i = 0; i < 6; i++) {
    GstBuffer *buffer = gst_harness_push_and_pull (h, make_frame (5 * i * GST_SECOND, i < 3 ? 5 * GST_SECOND :
            GST_CLOCK_TIME_NONE, 0));

    fail_unless_equals_uint64 (token_number (buffer), 4 * i);
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), 5 * GST_SECOND);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_late)
{
  static const guint in[] = { 0, 510, 1100, 1700 }, late[] = { 0, 10, 100, 200 };
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < G_N_ELEMENTS (in); i++) {
    GstBuffer *buffer = gst_harness_push_and_pull (h, make_frame (MS (in[i]), MS (40), 0));
    GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernTokenMeta");
    guint64 found = G_MAXUINT64;

    gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), "late", &found);
    fail_unless_equals_uint64 (found, MS (late[i]));
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* Every frame that comes is told of, in running time, without waiting for the worker. */
GST_START_TEST (test_tells_progress)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=1/1", "sink", "src");
  GstSegment segment;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (1000);
  segment.stop = MS (1950);
  segment.base = MS (7000);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (i = 0; i < 12; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (900 + 100 * i), MS (100), 0)), GST_FLOW_OK);
  for (i = 0; i < 10; i++) {
    GstEvent *event = pull_event (h, GST_EVENT_CUSTOM_DOWNSTREAM_OOB);
    guint64 running = 0, end = 0;

    fail_unless (gst_event_has_name (event, "tern-progress"));
    gst_structure_get (gst_event_get_structure (event), "running-time", G_TYPE_UINT64, &running, "end", G_TYPE_UINT64, &end,
        NULL);
    fail_unless_equals_uint64 (running, MS (7000 + 100 * i));
    fail_unless_equals_uint64 (end, MS (MIN (7100 + 100 * i, 7950)));
    gst_event_unref (event);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* GstHarness is live. What waits is answered when no frame comes, and the stream goes on with another group. */
GST_START_TEST (test_idle)
{
  GstHarness *h = gst_harness_new_parse ("ternencoder frame-rate=2/1 idle-timeout=1");
  g_autofree char *events = NULL, *more = NULL;
  GstBus *bus = watch (h->element);
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_buffer_unref (gst_harness_push_and_pull (h, make_frame (0, MS (100), 0)));
  events = events_until (h, GST_EVENT_CUSTOM_DOWNSTREAM);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_INFO), 1);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 tern-drain ");
  gst_harness_push (h, make_frame (MS (100), MS (100), 0));
  more = events_until (h, GST_EVENT_CUSTOM_DOWNSTREAM);
  fail_unless_equals_string (more, "gap 100+100 tern-drain ");
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_INFO), 2);   /* it sends again; it has stopped */
  buffer = gst_harness_push_and_pull (h, make_frame (MS (500), MS (100), 0));
  fail_unless_equals_uint64 (token_number (buffer), 4);
  gst_buffer_unref (buffer);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A camera that the application has paused has not stopped; one that sends nothing afterwards has. */
GST_START_TEST (test_idle_in_paused)
{
  GstHarness *h = gst_harness_new_parse ("ternencoder frame-rate=2/1 idle-timeout=1");
  g_autofree char *events = NULL, *more = NULL;
  GstBus *bus = watch (h->element);
  guint i;

  fail_unless_equals_int (gst_element_set_state (h->element, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++)
    gst_buffer_unref (gst_harness_push_and_pull (h, make_frame (MS (500 * i), MS (500), 0)));
  fail_unless (gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "a", NULL))));
  events = events_until (h, GST_EVENT_TAG);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 tag ");
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_INFO), 0);
  fail_unless_equals_int (gst_element_set_state (h->element, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
  more = events_until (h, GST_EVENT_CUSTOM_DOWNSTREAM);
  fail_unless_equals_string (more, "tern-drain ");
  gst_message_unref (wait_message (bus, GST_MESSAGE_INFO));
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A file is waited for. */
GST_START_TEST (test_no_idle_file)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1 idle-timeout=1", "sink", "src");
  g_autofree char *events = NULL;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 5; i++)
    gst_buffer_unref (gst_harness_push_and_pull (h, make_frame (MS (100) * i, MS (100), 0)));
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 eos ");
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_stats)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=2/1", "sink", "src");
  GstStructure *stats = NULL;
  guint64 frames = 0, looked_at = 0, dropped = 1;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 12; i++)
    gst_harness_push (h, make_frame (MS (100) * i, MS (100), 0));
  g_object_get (h->element, "stats", &stats, NULL);
  gst_structure_get (stats, "frames", G_TYPE_UINT64, &frames, "looked-at", G_TYPE_UINT64, &looked_at, "dropped",
      G_TYPE_UINT64, &dropped, NULL);
  fail_unless (frames == 12 && looked_at == 3 && dropped == 0);
  gst_structure_free (stats);
  gst_harness_teardown (h);
}
GST_END_TEST

/* While everything is shut down nothing is an error. */
GST_START_TEST (test_events_while_flushing)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstPad *src = gst_element_get_static_pad (h->element, "src");
  GstSegment segment;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_buffer_unref (gst_harness_push_and_pull (h, make_frame (0, MS (100), 0)));
  gst_pad_set_active (src, FALSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (h->srcpad, gst_event_new_segment (&segment));
  fail_unless_equals_int (gst_harness_push (h, make_frame (GST_SECOND, MS (100), 0)), GST_FLOW_FLUSHING);
  gst_object_unref (src);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A late sink of text does not slow the camera down; seeks do reach it. */
GST_START_TEST (test_qos_stays)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstEvent *event;

  gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 2, MS (100), 0));
  gst_harness_push_upstream_event (h, gst_event_new_step (GST_FORMAT_BUFFERS, 1, 1, TRUE, FALSE));
  while ((event = gst_harness_try_pull_upstream_event (h))) {
    fail_unless (GST_EVENT_TYPE (event) != GST_EVENT_QOS);
    gst_event_unref (event);
  }
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
  unwatch (bus);
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
  unwatch (bus);
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
  unwatch (bus);
  gst_object_unref (element);
}
GST_END_TEST

GST_START_TEST (test_progress)
{
  GstElement *element = gst_element_factory_make ("ternencoder", NULL);
  const GstProgressType expected[] = { GST_PROGRESS_TYPE_START, GST_PROGRESS_TYPE_COMPLETE, GST_PROGRESS_TYPE_START,
    GST_PROGRESS_TYPE_CANCELED };
  GstBus *bus = watch (element);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (expected); i++) {
    GstProgressType type;
    GstMessage *message;

    if (i == 0)
      gst_element_set_state (element, GST_STATE_PAUSED);
    if (i == 2) {
      gst_element_set_state (element, GST_STATE_READY);
      /* A state change that waited for this model would not end. */
      fake_hold_work (TERN_FAKE_LOADS, TRUE);
      gst_element_set_state (element, GST_STATE_PAUSED);
      fake_wait_work (TERN_FAKE_LOADS, 2);
      gst_element_set_state (element, GST_STATE_READY);
    }
    message = wait_message (bus, GST_MESSAGE_PROGRESS);
    gst_message_parse_progress (message, &type, NULL, NULL);
    fail_unless_equals_int (type, expected[i]);
    gst_message_unref (message);
  }
  fake_hold_work (TERN_FAKE_LOADS, FALSE);
  gst_element_set_state (element, GST_STATE_NULL);
  unwatch (bus);
  gst_object_unref (element);
}
GST_END_TEST

/* Frames that would never be done: who waited for one would not end. */
GST_START_TEST (test_flush_ends_slow_work)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  GstBuffer *buffer;
  GstSegment segment;

  fake_hold_work (TERN_FAKE_FRAMES, TRUE);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push (h, make_frame (0, MS (100), 0));
  gst_harness_push (h, make_frame (MS (100), MS (100), 0));
  fake_wait_work (TERN_FAKE_FRAMES, 1);
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  fail_unless_equals_int (fake_begun_work (TERN_FAKE_FRAMES), 1);
  fake_hold_work (TERN_FAKE_FRAMES, FALSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));

  /* Nothing of before, and numbers start again. */
  buffer = gst_harness_push_and_pull (h, make_frame (MS (5000), MS (100), 0));
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (5000));
  fail_unless_equals_uint64 (token_number (buffer), 0);
  gst_buffer_unref (buffer);

  fake_hold_work (TERN_FAKE_FRAMES, TRUE);
  gst_harness_push (h, make_frame (MS (5100), MS (100), 0));
  fake_wait_work (TERN_FAKE_FRAMES, 3);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Caps that wait for the model are true after a flush as well: upstream does not send them again. */
GST_START_TEST (test_flush_while_loading)
{
  GstHarness *h;
  GstBuffer *buffer;
  GstSegment segment;

  fake_hold_work (TERN_FAKE_LOADS, TRUE);
  h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push (h, make_frame (0, MS (100), 0));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  fail_unless_equals_int (gst_harness_push (h, make_frame (MS (5000), MS (100), 0)), GST_FLOW_OK);
  fake_hold_work (TERN_FAKE_LOADS, FALSE);
  buffer = gst_harness_pull (h);
  fail_unless (buffer != NULL, "no tokens after the flush");
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (5000));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* GstHarness is live: frames are dropped rather than upstream blocked, which would be for ever, and the bus hears of each. */
GST_START_TEST (test_live_drops)
{
  GstElement *element = gst_parse_launch ("ternencoder frame-rate=0/1", NULL);
  GstHarness *h = gst_harness_new_with_element (element, "sink", "src");
  GstBus *bus;
  GstMessage *message;
  guint64 processed, dropped;
  GstFormat format;
  guint i;

  gst_object_unref (element);
  bus = watch (h->element);
  fake_hold_work (TERN_FAKE_FRAMES, TRUE);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 10; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (100 * i), MS (100), 0)), GST_FLOW_OK);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  fake_hold_work (TERN_FAKE_FRAMES, FALSE);
  do {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless (buffer != NULL);
    i = GST_BUFFER_PTS (buffer) / MS (100);
    gst_buffer_unref (buffer);
  } while (i != 9);             /* the newest is not lost */
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless_equals_uint64 (dropped, 1);
  fail_unless_equals_string (gst_structure_get_string (gst_message_get_structure (message), "reason"), "late");
  gst_message_unref (message);
  unwatch (bus);
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
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "frame-rate");
  GValue value = G_VALUE_INIT;

  g_value_init (&value, GST_TYPE_FRACTION);
  gst_value_set_fraction (&value, -2, 1);
  fail_unless (g_param_value_validate (pspec, &value), "-2/1 is in range");
  gst_value_set_fraction (&value, 0, 1);
  fail_if (g_param_value_validate (pspec, &value));
  g_value_unset (&value);
  gst_object_unref (element);
}
GST_END_TEST

/* When a frame was taken, if upstream says so, in ns since 1970; through compression too. */
static const struct {
  const char *caps;
  guint64 time, expected;
} references[] = {
  { "timestamp/x-unix", 1700000000 * GST_SECOND + 5, 1700000000 * GST_SECOND + 5 },
  { "timestamp/x-ntp", (1700000000 + G_GUINT64_CONSTANT (2208988800)) * GST_SECOND + 5, 1700000000 * GST_SECOND + 5 },
  { "timestamp/x-ntp", GST_SECOND, 0 },         /* before 1970 */
  { "timestamp/x-ptp", 1700000000 * GST_SECOND, 0 },    /* another epoch and other leap seconds */
  { NULL, 0, 0 },
};

GST_START_TEST (test_utc)
{
  GstHarness *h = chain_harness ("ternencoder ! terncompressor");
  GstBuffer *frame = make_frame (0, MS (100), 0), *out;
  const GstStructure *s;
  guint64 utc = 0;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  if (references[__i__].caps) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (references[__i__].caps);

    gst_buffer_add_reference_timestamp_meta (frame, caps, references[__i__].time, GST_CLOCK_TIME_NONE);
  }
  fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  out = gst_harness_pull (h);
  s = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (out, "TernTokenMeta"));
  fail_unless_equals_int (gst_structure_get_uint64 (s, "utc", &utc), references[__i__].expected > 0);
  fail_unless_equals_uint64 (utc, references[__i__].expected);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
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
  tcase_add_test (tc, test_allocation);
  tcase_add_test (tc, test_rate_change);
  tcase_add_test (tc, test_slow_source);
  tcase_add_test (tc, test_late);
  tcase_add_test (tc, test_tells_progress);
  tcase_add_test (tc, test_idle);
  tcase_add_test (tc, test_idle_in_paused);
  tcase_add_test (tc, test_no_idle_file);
  tcase_add_test (tc, test_stats);
  tcase_add_test (tc, test_events_while_flushing);
  tcase_add_test (tc, test_qos_stays);
  tcase_add_test (tc, test_tiny_picture);
  tcase_add_test (tc, test_engine_error);
  tcase_add_test (tc, test_model_files);
  tcase_add_test (tc, test_progress);
  tcase_add_test (tc, test_flush_ends_slow_work);
  tcase_add_test (tc, test_flush_while_loading);
  tcase_add_test (tc, test_live_drops);
  tcase_add_test (tc, test_state_cycles);
  tcase_add_test (tc, test_negative_rate);
  tcase_add_loop_test (tc, test_utc, 0, G_N_ELEMENTS (references));
  return run_suite (suite);
}
