/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <string.h>
#include <glib/gstdio.h>

static GstHarness *
start (const char *launch)
{
  GstHarness *h = file_harness (launch, "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);

  gst_harness_set_src_caps_str (h, caps);
  return h;
}

static void
push (GstHarness *h, guint64 from, guint64 end)
{
  guint64 i;

  for (i = from; i < end; i++)
    fail_unless_equals_int (gst_harness_push (h, make_tokens (i)), GST_FLOW_OK);
}

static void
expect_text (GstHarness *h, guint pts_ms, guint duration_ms, const char *expected)
{
  g_autofree char *text = pull_text (h, MS (pts_ms), MS (duration_ms));

  fail_unless_equals_string (text, expected);
}

/* Windows of 4 s are 8 frames; EOS answers the partial one. */
GST_START_TEST (test_windows)
{
  GstHarness *h = start ("terngenerator prompt=hello");
  GstCaps *caps;

  push (h, 0, 19);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  expect_text (h, 0, 4000, "8 frames, hello");
  expect_text (h, 4000, 4000, "8 frames, hello");
  expect_text (h, 8000, 1500, "3 frames, hello");
  fail_unless (gst_harness_try_pull (h) == NULL);
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless_equals_string (gst_structure_get_name (gst_caps_get_structure (caps, 0)), "text/x-raw");
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The partial window is answered before what ends it goes on. */
static const char *const drains[] = { "eos", "segment", "jump", "gap" };
GST_START_TEST (test_drains)
{
  GstHarness *h = start ("terngenerator prompt=p");
  const char *how = drains[__i__];
  GstSegment segment;

  g_setenv ("TERN_FAKE_GENERATE_MS", "100", TRUE);
  push (h, 0, 3);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (g_str_equal (how, "eos"))
    gst_harness_push_event (h, gst_event_new_eos ());
  else if (g_str_equal (how, "segment"))
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  else if (g_str_equal (how, "gap"))
    gst_harness_push_event (h, gst_event_new_gap (MS (1500), MS (9000)));
  else
    push (h, 40, 41);
  expect_text (h, 0, 1500, "3 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* Sinks can preroll and muxers start before the first window is over. */
GST_START_TEST (test_gap_at_start)
{
  GstHarness *h = start ("terngenerator");
  gboolean gap = FALSE;
  GstEvent *event;

  push (h, 0, 1);
  while (!gap && (event = gst_harness_pull_event (h))) {
    gap = GST_EVENT_TYPE (event) == GST_EVENT_GAP;
    gst_event_unref (event);
  }
  fail_unless (gap);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_other_encoder)
{
  GstHarness *h = file_harness ("terngenerator", "sink", "src");
  g_autofree char *caps = token_caps (other_model_path);
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, caps);
  expect_error (bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
  fail_unless (gst_harness_push (h, make_tokens (0)) < GST_FLOW_OK);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* From the next window on, and the result says which prompt it was. */
GST_START_TEST (test_prompt_while_playing)
{
  GstHarness *h = start ("terngenerator prompt=one");
  g_autofree char *path = g_strconcat (model_path, ".prompt", NULL);
  GstBus *bus = watch (h->element);
  GstMessage *message;

  push (h, 0, 8);
  expect_text (h, 0, 4000, "8 frames, one");
  g_object_set (h->element, "prompt", "two", NULL);
  push (h, 8, 16);
  expect_text (h, 4000, 4000, "8 frames, two");

  /* A file instead; both at once change nothing. */
  fail_unless (g_file_set_contents (path, "three\n", -1, NULL));
  g_object_set (h->element, "prompt-path", path, NULL);
  message = wait_message (bus, GST_MESSAGE_WARNING);
  gst_message_unref (message);
  g_object_set (h->element, "prompt", NULL, NULL);
  push (h, 16, 24);
  expect_text (h, 8000, 4000, "8 frames, three");
  g_unlink (path);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_prompt_errors)
{
  GstElement *element = gst_element_factory_make ("terngenerator", NULL);
  GstBus *bus = watch (element);

  g_object_set (element, "prompt", "a", "prompt-path", "/no/such/prompt", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  g_object_set (element, "prompt", NULL, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (element);
}
GST_END_TEST

/* Text, JSON, message, signal and metas say the same. */
static void
on_result (GstElement *element, GstStructure *result, gpointer data)
{
  GstStructure **copy = data;

  *copy = gst_structure_copy (result);
}

GST_START_TEST (test_one_result_everywhere)
{
  GstHarness *h = start ("terngenerator prompt=p metrics=true");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstStructure *signalled = NULL, *from_text, *from_json;
  const GstStructure *message_result;
  GstBus *bus = watch (h->element);
  GstBuffer *text, *line;
  GstMessage *message;
  GstMapInfo map;
  guint64 id;

  g_signal_connect (h->element, "result", G_CALLBACK (on_result), &signalled);
  push (h, 0, 8);
  text = gst_harness_pull (h);
  line = gst_harness_pull (json);
  message = wait_message (bus, GST_MESSAGE_ELEMENT);
  message_result = gst_message_get_structure (message);
  fail_unless (signalled != NULL);
  fail_unless_equals_string (gst_structure_get_name (message_result), "tern-result");
  fail_unless (gst_structure_is_equal (message_result, signalled));
  fail_unless_equals_string (gst_structure_get_string (message_result, "result"), "8 frames, p");
  fail_unless (gst_structure_get_uint64 (message_result, "id", &id));
  fail_unless (gst_structure_has_field_typed (message_result, "metrics", GST_TYPE_STRUCTURE));

  from_text = gst_structure_copy (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (text, "TernResultMeta")));
  from_json = gst_structure_copy (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (line, "TernResultMeta")));
  gst_structure_set_name (from_text, "tern-result");
  gst_structure_set_name (from_json, "tern-result");
  fail_unless (gst_structure_is_equal (from_text, message_result));
  fail_unless (gst_structure_is_equal (from_json, message_result));
  gst_buffer_map (line, &map, GST_MAP_READ);
  fail_unless (map.data[map.size - 1] == '\n');
  fail_unless (g_strstr_len ((char *) map.data, map.size, "\"result\": \"8 frames, p\""));
  gst_buffer_unmap (line, &map);

  gst_structure_free (signalled);
  gst_structure_free (from_text);
  gst_structure_free (from_json);
  gst_message_unref (message);
  gst_buffer_unref (text);
  gst_buffer_unref (line);
  gst_object_unref (bus);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_flush_ends_slow_work)
{
  GstHarness *h = start ("terngenerator prompt=p");
  GstSegment segment;
  gint64 begin;

  g_setenv ("TERN_FAKE_GENERATE_MS", "20000", TRUE);
  push (h, 0, 12);
  g_usleep (50000);
  begin = g_get_monotonic_time ();
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  fail_unless (g_get_monotonic_time () - begin < G_TIME_SPAN_SECOND, "a flush waited");
  g_setenv ("TERN_FAKE_GENERATE_MS", "0", TRUE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  push (h, 20, 28);
  expect_text (h, 10000, 4000, "8 frames, p");

  g_setenv ("TERN_FAKE_GENERATE_MS", "20000", TRUE);
  push (h, 28, 36);
  g_usleep (50000);
  begin = g_get_monotonic_time ();
  gst_harness_teardown (h);
  fail_unless (g_get_monotonic_time () - begin < G_TIME_SPAN_SECOND, "stopping waited");
}
GST_END_TEST

/* An EOS that waits for its answer is interrupted by a flush, too. */
static gpointer
push_eos (gpointer data)
{
  gst_harness_push_event (data, gst_event_new_eos ());
  return NULL;
}

GST_START_TEST (test_flush_ends_draining)
{
  GstHarness *h = start ("terngenerator");
  GThread *thread;
  gint64 begin;

  g_setenv ("TERN_FAKE_GENERATE_MS", "20000", TRUE);
  push (h, 0, 3);
  thread = g_thread_new ("eos", push_eos, h);
  g_usleep (100000);
  begin = g_get_monotonic_time ();
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  g_thread_join (thread);
  fail_unless (g_get_monotonic_time () - begin < G_TIME_SPAN_SECOND);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_cancel)
{
  GstHarness *h = start ("terngenerator prompt=p");
  GstCustomMeta *meta;
  GstBuffer *buffer;

  g_setenv ("TERN_FAKE_GENERATE_MS", "20000", TRUE);
  push (h, 0, 8);
  g_usleep (100000);
  g_signal_emit_by_name (h->element, "cancel");
  buffer = gst_harness_pull (h);
  fail_unless (buffer != NULL);
  meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");
  fail_unless_equals_string (gst_structure_get_string (gst_custom_meta_get_structure (meta), "finish_reason"),
      "cancelled");
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A file is never thinned out: slow answers hold upstream back. */
GST_START_TEST (test_lossless)
{
  GstHarness *h = start ("terngenerator prompt=p window=2000000000");
  guint i;

  g_setenv ("TERN_FAKE_GENERATE_MS", "30", TRUE);
  push (h, 0, 48);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < 12; i++)
    expect_text (h, 2000 * i, 2000, "4 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* GstHarness is live: pushing never waits, old windows make room for the newest, the bus hears of it. */
GST_START_TEST (test_live_newest)
{
  GstHarness *h = gst_harness_new ("terngenerator");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBus *bus = watch (h->element);
  GstCustomMeta *meta;
  guint64 processed, dropped, timestamp = 0;
  GstMessage *message;
  GstBuffer *buffer;
  GstFormat format;
  gint64 begin;

  g_setenv ("TERN_FAKE_GENERATE_MS", "700", TRUE);
  gst_harness_set_src_caps_str (h, caps);
  begin = g_get_monotonic_time ();
  push (h, 0, 80);
  fail_unless (g_get_monotonic_time () - begin < 4 * G_TIME_SPAN_SECOND, "a live source waited");
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless (dropped > 0);
  gst_message_unref (message);
  gst_harness_push_event (h, gst_event_new_eos ());
  while (timestamp != MS (36000)) {     /* the last window is answered */
    buffer = gst_harness_pull (h);
    fail_unless (buffer != NULL);
    meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");
    gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), "timestamp", &timestamp);
    /* Stamped with what was seen by then: an overlay shows it now. */
    fail_unless (GST_BUFFER_PTS (buffer) >= timestamp + MS (4000));
    gst_buffer_unref (buffer);
  }
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

static void
query_latency (GstHarness *h, gboolean *live, GstClockTime *min)
{
  GstQuery *query = gst_query_new_latency ();

  fail_unless (gst_pad_peer_query (h->sinkpad, query));
  gst_query_parse_latency (query, live, min, NULL);
  gst_query_unref (query);
}

GST_START_TEST (test_latency)
{
  GstHarness *h = gst_harness_new_parse ("terngenerator text-timestamps=window");
  g_autofree char *caps = token_caps (mmproj_path);
  GstClockTime min;
  gboolean live;

  gst_harness_set_upstream_latency (h, MS (30));
  gst_harness_set_src_caps_str (h, caps);
  push (h, 0, 1);
  query_latency (h, &live, &min);
  fail_unless (live && min == MS (4030), "%" GST_TIME_FORMAT, GST_TIME_ARGS (min));
  gst_harness_teardown (h);

  h = start ("terngenerator");
  push (h, 0, 1);
  query_latency (h, &live, &min);
  fail_unless (!live && min == 0);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Times of results are stream times; buffers keep to the segment. */
GST_START_TEST (test_segment_times)
{
  GstHarness *h = file_harness ("terngenerator", "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  guint64 timestamp = 0;
  GstSegment segment;
  GstBuffer *buffer;
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (3600000);
  segment.time = 0;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (i = 0; i < 8; i++) {
    buffer = make_tokens (i);
    GST_BUFFER_PTS (buffer) += MS (3600000);
    gst_harness_push (h, buffer);
  }
  buffer = gst_harness_pull (h);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (3600000));
  gst_structure_get_uint64 (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernResultMeta")),
      "timestamp", &timestamp);
  fail_unless_equals_uint64 (timestamp, 0);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_no_pts)
{
  GstHarness *h = start ("terngenerator");
  GstBus *bus = watch (h->element);
  GstBuffer *buffer = make_tokens (0);

  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_nothing_linked)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=60 ! ternencoder ! terngenerator", NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_ELEMENT | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_ELEMENT);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("terngenerator");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_windows);
  tcase_add_loop_test (tc, test_drains, 0, G_N_ELEMENTS (drains));
  tcase_add_test (tc, test_gap_at_start);
  tcase_add_test (tc, test_other_encoder);
  tcase_add_test (tc, test_prompt_while_playing);
  tcase_add_test (tc, test_prompt_errors);
  tcase_add_test (tc, test_one_result_everywhere);
  tcase_add_test (tc, test_flush_ends_slow_work);
  tcase_add_test (tc, test_flush_ends_draining);
  tcase_add_test (tc, test_cancel);
  tcase_add_test (tc, test_lossless);
  tcase_add_test (tc, test_live_newest);
  tcase_add_test (tc, test_latency);
  tcase_add_test (tc, test_segment_times);
  tcase_add_test (tc, test_no_pts);
  tcase_add_test (tc, test_nothing_linked);
  return run_suite (suite);
}
