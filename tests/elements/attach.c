/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "attach-harness.h"

GST_START_TEST (test_newest)
{
  GstHarness *h = file_harness ("ternattach attach=newest", "sink", "src");
  GstHarness *text = text_side (h);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 3);
  push_result (text, 5, 0, 1);
  push_frames (h, 3, 6);
  push_result (text, 6, 1, 2);
  push_frames (h, 6, 7);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 7);
  fail_unless_equals_int64 (pull_frame (h, 0), -1);
  fail_unless_equals_int64 (pull_frame (h, 1), -1);
  fail_unless_equals_int64 (pull_frame (h, 2), -1);
  fail_unless_equals_int64 (pull_frame (h, 3), 5);
  fail_unless_equals_int64 (pull_frame (h, 4), 5);
  fail_unless_equals_int64 (pull_frame (h, 5), 5);
  fail_unless_equals_int64 (pull_frame (h, 6), 6);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_window)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 10);
  fail_unless_equals_int (held (h), 10);
  push_result (text, 1, 0, 2);          /* frames 0 to 3 */
  for (i = 0; i < 4; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 1);
  fail_unless_equals_int (held (h), 6);

  /* A window was left out (2 s to 3 s): its frames leave with the last result before them. */
  push_result (text, 2, 3, 4);
  fail_unless_equals_int64 (pull_frame (h, 4), 1);
  fail_unless_equals_int64 (pull_frame (h, 5), 1);
  fail_unless_equals_int64 (pull_frame (h, 6), 2);
  fail_unless_equals_int64 (pull_frame (h, 7), 2);

  /* A result that comes before its frames. */
  push_result (text, 3, 4, 8);
  push_frames (h, 10, 12);
  for (i = 8; i < 12; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 3);

  /* At the end of text nothing waits any more; events keep their place. */
  push_frames (h, 12, 20);
  gst_harness_push_event (h, gst_event_new_eos ());
  gst_harness_push_event (text, gst_event_new_eos ());
  for (i = 12; i < 20; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 3);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is over the bound leaves with the newest result, and the bus hears of it. */
GST_START_TEST (test_bound)
{
  GstHarness *h = file_harness ("ternattach attach=window max-held-bytes=2400", "sink", "src");
  GstHarness *text = text_side (h);
  GstBus *bus = watch (h->element);
  GstMessage *message;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);         /* 768 bytes each: three fit */
  push_result (text, 1, 0, 1);
  push_frames (h, 0, 10);
  for (i = 0; i < 7; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 1);
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_unref (message);
  message = wait_message (bus, GST_MESSAGE_WARNING);
  gst_message_unref (message);
  fail_unless_equals_int (held (h), 3);
  unwatch (bus);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* auto is newest for GstHarness, which is live, and window for a file. */
GST_START_TEST (test_auto)
{
  GstHarness *h = gst_harness_new_with_padnames ("ternattach", "sink", "src");
  GstHarness *text = text_side (h);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 3);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 3);
  gst_harness_teardown (text);
  gst_harness_teardown (h);

  h = file_harness ("ternattach", "sink", "src");
  text = text_side (h);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 3);
  fail_unless_equals_int (held (h), 3);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_flush)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstSegment segment;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 3);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (text, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (text, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  gst_harness_push_event (text, gst_event_new_segment (&segment));
  push_frames (h, 10, 12);
  push_result (text, 9, 5, 6);
  fail_unless_equals_int64 (pull_frame (h, 10), 9);
  fail_unless_equals_int64 (pull_frame (h, 11), 9);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A second segment begins again at 0: its frames do not get the first one's results. */
GST_START_TEST (test_segments)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstSegment segment;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 2);
  push_result (text, 1, 0, 1);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.base = GST_SECOND;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_frames (h, 0, 2);
  fail_unless_equals_int64 (pull_frame (h, 0), 1);
  fail_unless_equals_int64 (pull_frame (h, 1), 1);
  fail_unless_equals_int (held (h), 2);
  gst_harness_push_event (text, gst_event_new_segment (&segment));
  push_result (text, 2, 0, 1);
  fail_unless_equals_int64 (pull_frame (h, 0), 2);
  fail_unless_equals_int64 (pull_frame (h, 1), 2);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_stop_while_holding)
{
  GstHarness *h = file_harness ("ternattach attach=window max-held-bytes=800", "sink", "src");
  GstHarness *text = text_side (h);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 1);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* When windows overlap, a frame has the first that it is in, however late it leaves. */
GST_START_TEST (test_overlap)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_result (text, 1, 0, 2);
  push_result (text, 2, 1, 3);
  push_frames (h, 0, 6);
  for (i = 0; i < 6; i++)
    fail_unless_equals_int64 (pull_frame (h, i), i < 4 ? 1 : 2);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Text hears of every frame, before it leaves. */
GST_START_TEST (test_progress)
{
  GstHarness *h = file_harness (__i__ ? "ternattach attach=window" : "ternattach attach=newest", "sink", "src");
  GstHarness *text = text_side (h);
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_result (text, 1, 0, 2);
  push_frames (h, 0, 3);
  for (i = 0; i < 3; i++) {
    GstEvent *event;
    guint64 time = 1, end = 0;

    pull_frame (h, i);
    do {
      event = gst_harness_try_pull_upstream_event (text);
      fail_unless (event != NULL, "nothing was said of frame %u", i);
      if (!gst_event_has_name (event, "tern-progress"))
        gst_clear_event (&event);
    } while (!event);
    gst_structure_get_uint64 (gst_event_get_structure (event), "running-time", &time);
    gst_structure_get_uint64 (gst_event_get_structure (event), "end", &end);
    fail_unless_equals_uint64 (time, MS (500 * i));
    fail_unless_equals_uint64 (end, MS (500 * (i + 1)));
    gst_event_unref (event);
  }
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames that nobody looks at wait for nothing. */
GST_START_TEST (test_not_looking)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
          gst_structure_new ("tern-looking", "looking", G_TYPE_BOOLEAN, FALSE, NULL)));
  push_frames (h, 0, 2);
  fail_unless_equals_int64 (pull_frame (h, 0), -1);
  fail_unless_equals_int64 (pull_frame (h, 1), -1);
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
          gst_structure_new ("tern-looking", "looking", G_TYPE_BOOLEAN, TRUE, NULL)));
  push_frames (h, 2, 4);
  fail_unless_equals_int (held (h), 2);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A pool of four has a buffer for every frame, although all frames are held. */
GST_START_TEST (test_pool)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstBufferPoolAcquireParams params = { .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT };
  GstBufferPool *pool = gst_buffer_pool_new ();
  GstStructure *config = gst_buffer_pool_get_config (pool);
  guint i;

  gst_buffer_pool_config_set_params (config, NULL, 16 * 16 * 3, 4, 4);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++) {
    GstBuffer *frame = NULL;

    fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &frame, &params), GST_FLOW_OK);
    gst_buffer_memset (frame, 0, i, 16 * 16 * 3);
    GST_BUFFER_PTS (frame) = MS (500 * i);
    GST_BUFFER_DURATION (frame) = MS (500);
    GST_BUFFER_FLAG_SET (frame, GST_BUFFER_FLAG_MARKER);
    GST_BUFFER_OFFSET (frame) = i;
    gst_buffer_add_video_meta (frame, 0, GST_VIDEO_FORMAT_RGB, 16, 16);
    fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  }
  fail_unless_equals_int (held (h), 20);
  push_result (text, 1, 0, 10);
  for (i = 0; i < 20; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 1);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
}
GST_END_TEST

/* A result is put on the frame itself. */
GST_START_TEST (test_no_copy)
{
  GstHarness *h = file_harness ("ternattach attach=newest", "sink", "src");
  GstHarness *text = text_side (h);
  GstBuffer *frame = make_frame (0, MS (500), 1), *left;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_result (text, 1, 0, 2);
  fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  left = gst_harness_pull (h);
  fail_unless (left == frame);
  fail_unless (gst_buffer_is_writable (left) && gst_buffer_is_all_memory_writable (left));
  gst_buffer_unref (left);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- By the clock: a source that sends nothing more ---- */

/* Held buffers of a pool with a limit are not missed while frames come; 250 ms after the last one they go back. */
GST_START_TEST (test_loans_by_clock)
{
  GstTestClock *clock = stop_clock ();
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstBufferPoolAcquireParams params = { .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT };
  GstBufferPool *pool = gst_buffer_pool_new ();
  GstStructure *config = gst_buffer_pool_get_config (pool);
  GstBuffer *lent[4] = { NULL };
  guint i;

  gst_buffer_pool_config_set_params (config, NULL, 16 * 16 * 3, 4, 4);
  fail_unless (gst_buffer_pool_set_config (pool, config));
  fail_unless (gst_buffer_pool_set_active (pool, TRUE));
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &lent[0], NULL), GST_FLOW_OK);
  GST_BUFFER_PTS (lent[0]) = 0;
  fail_unless_equals_int (gst_harness_push (h, lent[0]), GST_FLOW_OK);
  for (i = 0; i < 3; i++)
    fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &lent[i], NULL), GST_FLOW_OK);
  pass_time (h, clock, MS (249));
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &lent[3], &params), GST_FLOW_EOS);
  pass_time (h, clock, MS (1));
  /* Waits until it is there. */
  fail_unless_equals_int (gst_buffer_pool_acquire_buffer (pool, &lent[3], NULL), GST_FLOW_OK);
  fail_unless_equals_int (held (h), 1);
  for (i = 0; i < 4; i++)
    gst_buffer_unref (lent[i]);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
  gst_buffer_pool_set_active (pool, FALSE);
  gst_object_unref (pool);
  let_clock_go (clock);
}
GST_END_TEST

/* A file that sends nothing for 5 s while frames wait waits for them: unless somebody is at work, who is waited for, but not
 * for ever, however long it takes to ask, they leave. */
GST_START_TEST (test_dry_by_clock)
{
  GstTestClock *clock = stop_clock ();
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstBus *bus = watch (h->element);
  GstMessage *message;
  gint i, n;

  g_atomic_int_set (&at_work, 1);
  gst_pad_set_query_function (text->srcpad, work_query);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 4);
  for (i = 0; i < 3; i++) {
    n = g_atomic_int_get (&asked);
    pass_time (h, clock, 5 * GST_SECOND);
    wait_until_asked (n);
  }
  fail_unless_equals_int (held (h), 4);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);

  if (__i__ == 0)
    g_atomic_int_set (&at_work, 0);
  if (__i__ == 2)
    g_atomic_pointer_set (&slow, clock);
  pass_time (h, clock, __i__ == 1 ? 70 * GST_SECOND : 5 * GST_SECOND);
  /* Half of what was held goes on waiting. */
  fail_unless_equals_int64 (pull_frame (h, 0), -1);
  fail_unless_equals_int64 (pull_frame (h, 1), -1);
  message = wait_message (bus, GST_MESSAGE_WARNING);
  gst_message_unref (message);
  push_result (text, 1, 0, 2);
  fail_unless_equals_int64 (pull_frame (h, 2), 1);
  fail_unless_equals_int64 (pull_frame (h, 3), 1);
  unwatch (bus);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
  let_clock_go (clock);
}
GST_END_TEST

static gboolean
frames_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_CUSTOM && gst_structure_has_name (gst_query_get_structure (query), "tern-held")) {
    gst_structure_set (gst_query_writable_structure (query), "latency", G_TYPE_UINT64, 6 * GST_SECOND, NULL);
    return TRUE;
  }
  return work_query (pad, parent, query);
}

/* Behind a source that is live. */
static GstHarness *
camera_harness (const char *launch)
{
  GstElement *element = gst_parse_launch (launch, NULL);
  GstHarness *h = gst_harness_new_with_element (element, "sink", "src");

  gst_object_unref (element);
  return h;
}

/* Frames of 8 MiB, as large ones of a file. */
#define BIG ((guint64) 8 << 20)

static gpointer
push_big_frames (gpointer data)
{
  guint i;

  for (i = 0; i < 20; i++) {
    GstBuffer *frame = gst_buffer_new_allocate (NULL, BIG, NULL);

    GST_BUFFER_PTS (frame) = MS (500 * i);
    GST_BUFFER_DURATION (frame) = MS (500);
    fail_unless_equals_int (gst_harness_push (data, frame), GST_FLOW_OK);
  }
  return NULL;
}

/* While somebody is at work a file stops at 64 MiB; while nobody is, its window is not whole, and it goes on. */
GST_START_TEST (test_back_pressure)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src");
  GstHarness *text = text_side (h);
  GstStructure *stats;
  GThread *thread;
  guint64 most;
  guint i;

  g_atomic_int_set (&at_work, 1);
  gst_pad_set_query_function (text->srcpad, work_query);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  thread = g_thread_new ("frames", push_big_frames, h);
  while (held (h) < 9)
    g_thread_yield ();
  wait_until_asked (g_atomic_int_get (&asked) + 2);
  fail_unless_equals_int (held (h), 9);
  g_atomic_int_set (&at_work, 0);
  g_thread_join (thread);
  fail_unless_equals_int (held (h), 20);
  push_result (text, 1, 0, 10);
  for (i = 0; i < 20; i++) {
    GstBuffer *frame = gst_harness_pull (h);

    fail_unless (gst_buffer_get_custom_meta (frame, "TernResultMeta") != NULL);
    gst_buffer_unref (frame);
  }
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "most-held-bytes", &most));
  fail_unless_equals_uint64 (most, 20 * BIG);
  gst_structure_free (stats);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A live frame waits for its answer as long as LATENCY says, and leaves before it is late. */
GST_START_TEST (test_live_by_clock)
{
  GstTestClock *clock = stop_clock ();
  GstHarness *h = camera_harness ("ternattach attach=window");
  GstHarness *text = text_side (h);
  GstBus *bus = watch (h->element);
  GstMessage *message;

  gst_element_set_clock (h->element, GST_CLOCK (clock));
  gst_element_set_base_time (h->element, 0);
  g_atomic_int_set (&at_work, 1);
  gst_pad_set_query_function (text->srcpad, frames_query);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 4);
  pass_time (h, clock, MS (5970));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS), 0);
  pass_time (h, clock, MS (10));
  fail_unless_equals_int64 (pull_frame (h, 0), -1);
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_unref (message);
  message = wait_message (bus, GST_MESSAGE_WARNING);
  gst_message_unref (message);
  push_result (text, 1, 0, 2);
  fail_unless_equals_int64 (pull_frame (h, 1), 1);
  fail_unless_equals_int64 (pull_frame (h, 2), 1);
  fail_unless_equals_int64 (pull_frame (h, 3), 1);
  unwatch (bus);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
  let_clock_go (clock);
}
GST_END_TEST

/* While the application has paused, no frame is late. */
GST_START_TEST (test_live_in_paused)
{
  GstTestClock *clock = stop_clock ();
  GstHarness *h = camera_harness ("ternattach attach=window");
  GstHarness *text = text_side (h);
  GstBus *bus = watch (h->element);
  guint i;

  gst_element_set_clock (h->element, GST_CLOCK (clock));
  gst_element_set_base_time (h->element, 0);
  g_atomic_int_set (&at_work, 1);
  gst_pad_set_query_function (text->srcpad, frames_query);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 4);
  gst_element_set_state (h->element, GST_STATE_PAUSED);
  pass_time (h, clock, MS (60000));
  push_result (text, 1, 0, 1);
  /* The first two have left with this, the others wait. */
  fail_unless_equals_int64 (pull_frame (h, 0), 1);
  fail_unless_equals_int64 (pull_frame (h, 1), 1);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  /* As a pipeline does that goes on. */
  gst_element_set_base_time (h->element, MS (60000));
  gst_element_set_state (h->element, GST_STATE_PLAYING);
  pass_time (h, clock, MS (100));
  push_result (text, 2, 1, 2);
  for (i = 2; i < 4; i++)
    fail_unless_equals_int64 (pull_frame (h, i), 2);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS | GST_MESSAGE_WARNING), 0);
  unwatch (bus);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
  let_clock_go (clock);
}
GST_END_TEST

/* What is over the bound leaves a camera at once, whoever is at work. */
GST_START_TEST (test_live_bound)
{
  GstHarness *h = camera_harness ("ternattach attach=window max-held-bytes=2400");
  GstHarness *text = text_side (h);
  guint i;

  g_atomic_int_set (&at_work, 1);
  gst_pad_set_query_function (text->srcpad, frames_query);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_frames (h, 0, 10);
  for (i = 0; i < 7; i++)
    fail_unless_equals_int64 (pull_frame (h, i), -1);
  fail_unless_equals_int (held (h), 3);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ternattach");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_newest);
  tcase_add_test (tc, test_window);
  tcase_add_test (tc, test_bound);
  tcase_add_test (tc, test_auto);
  tcase_add_test (tc, test_flush);
  tcase_add_test (tc, test_segments);
  tcase_add_test (tc, test_stop_while_holding);
  tcase_add_test (tc, test_overlap);
  tcase_add_loop_test (tc, test_progress, 0, 2);
  tcase_add_test (tc, test_not_looking);
  tcase_add_test (tc, test_pool);
  tcase_add_test (tc, test_no_copy);
  tcase_add_test (tc, test_loans_by_clock);
  tcase_add_loop_test (tc, test_dry_by_clock, 0, 3);
  tcase_add_test (tc, test_back_pressure);
  tcase_add_test (tc, test_live_by_clock);
  tcase_add_test (tc, test_live_in_paused);
  tcase_add_test (tc, test_live_bound);
  return run_suite (suite);
}
