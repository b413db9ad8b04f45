/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

static void
expect_text (GstHarness *h, guint pts_ms, guint duration_ms, const char *expected)
{
  g_autofree char *text = pull_text (h, MS (pts_ms), MS (duration_ms));

  fail_unless_equals_string (text, expected);
}

/* Windows of 4 s are 8 frames; EOS answers the partial one. */
GST_START_TEST (test_windows)
{
  GstHarness *h = start_generator ("terngenerator prompt=hello");
  GstCaps *caps;

  push_tokens (h, 0, 19);
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

/* The partial window is answered before what ends it goes on. The end of a stretch cuts it short, what shows that its time is
 * over does not. */
static const struct {
  const char *how;
  guint duration_ms;
} drains[] = { { "eos", 1500 }, { "segment", 1500 }, { "jump", 4000 }, { "gap", 4000 } };
GST_START_TEST (test_drains)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  const char *how = drains[__i__].how;
  GstSegment segment;

  push_tokens (h, 0, 3);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (g_str_equal (how, "eos"))
    gst_harness_push_event (h, gst_event_new_eos ());
  else if (g_str_equal (how, "segment"))
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  else if (g_str_equal (how, "gap"))
    gst_harness_push_event (h, gst_event_new_gap (MS (4000), MS (6500)));
  else
    push_tokens (h, 40, 41);
  expect_text (h, 0, drains[__i__].duration_ms, "3 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* Sinks can preroll and muxers start before the first window is over. */
GST_START_TEST (test_gap_at_start)
{
  GstHarness *h = start_generator ("terngenerator");
  gboolean gap = FALSE;
  GstEvent *event;

  push_tokens (h, 0, 1);
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

/* Each event that follows brings the refused caps along; what is wrong is said once. */
GST_START_TEST (test_other_encoder_is_one_fault)
{
  g_autofree char *launch = g_strdup_printf ("videotestsrc num-buffers=20 ! ternencoder model-path=\"%s\" ! "
      "terngenerator name=g model-path=\"%s\" ! fakesink", model_path, other_model_path);
  GstElement *pipeline = gst_parse_launch (launch, NULL), *generator = gst_bin_get_by_name (GST_BIN (pipeline), "g");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;
  guint ours = 0;
  gboolean end = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!end) {
    message = wait_message (bus, GST_MESSAGE_ERROR);
    end = GST_MESSAGE_SRC (message) != GST_OBJECT (generator);    /* the source's own */
    ours += !end;
    gst_message_unref (message);
  }
  gst_element_set_state (pipeline, GST_STATE_READY);
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR))) {
    ours += GST_MESSAGE_SRC (message) == GST_OBJECT (generator);
    gst_message_unref (message);
  }
  fail_unless_equals_int (ours, 1);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (generator);
  gst_object_unref (pipeline);
}
GST_END_TEST

static guint64
uint64_of (GstBuffer *buffer, const char *field)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");
  guint64 value = G_MAXUINT64;

  fail_unless (meta != NULL);
  fail_unless (gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), field, &value));
  return value;
}

/* Text, JSON, message, signal and metas say the same. */
static void
on_result (GstElement *element, GstStructure *result, gpointer data)
{
  GstStructure **copy = data;

  *copy = gst_structure_copy (result);
}

GST_START_TEST (test_one_result_everywhere)
{
  GstHarness *h = start_generator ("terngenerator prompt=p metrics=true");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstStructure *signalled = NULL, *from_text, *from_json;
  const GstStructure *message_result;
  GstBus *bus = watch (h->element);
  GstBuffer *text, *line;
  GstMessage *message;
  GstMapInfo map;
  guint64 id;

  g_signal_connect (h->element, "result", G_CALLBACK (on_result), &signalled);
  push_tokens (h, 0, 8);
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
  fail_unless (g_strstr_len ((char *) map.data, map.size, "\"result\":\"8 frames, p\""));
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

/* A flush, and stopping, end an answer that would never end. */
GST_START_TEST (test_flush_ends_slow_work)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  GstSegment segment;

  fake_hold (TRUE);
  push_tokens (h, 0, 12);
  fake_wait_begun (1);
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  fake_hold (FALSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  push_tokens (h, 20, 28);
  expect_text (h, 10000, 4000, "8 frames, p");
  fail_unless_equals_int (fake_begun (), 2);

  fake_hold (TRUE);
  push_tokens (h, 28, 36);
  fake_wait_begun (3);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What waits is interrupted by a flush: an EOS for its answer, a frame for room. */
static gpointer
push_eos (gpointer data)
{
  gst_harness_push_event (data, gst_event_new_eos ());
  return NULL;
}

static gpointer
push_many (gpointer data)
{
  GstFlowReturn flow = GST_FLOW_OK;
  guint64 i;

  for (i = 0; i < 1000 && flow == GST_FLOW_OK; i++)
    flow = gst_harness_push (data, make_tokens (i));
  return GINT_TO_POINTER (flow);
}

GST_START_TEST (test_flush_ends_waiting)
{
  GstHarness *h = start_generator ("terngenerator");
  GThread *thread;

  fake_hold (TRUE);
  if (__i__ == 0) {
    push_tokens (h, 0, 3);
    thread = g_thread_new ("eos", push_eos, h);
  } else {
    thread = g_thread_new ("push", push_many, h);
  }
  fake_wait_begun (1);
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  if (__i__ == 0)
    g_thread_join (thread);
  else
    fail_unless_equals_int (GPOINTER_TO_INT (g_thread_join (thread)), GST_FLOW_FLUSHING);
  gst_harness_teardown (h);
}
GST_END_TEST

static guint64
queued_windows (GstHarness *h)
{
  GstStructure *stats;
  guint64 n = G_MAXUINT64;

  g_object_get (h->element, "stats", &stats, NULL);
  gst_structure_get_uint64 (stats, "queued", &n);
  gst_structure_free (stats);
  return n;
}

/* Downstream fails while a window is worked on: that is given up, and whoever waits for it goes on. */
GST_START_TEST (test_downstream_fails)
{
  GstHarness *h = start_generator ("terngenerator");
  GThread *thread;
  GstPad *src;
  Gate gate;

  gate_init (&gate, GST_FLOW_ERROR);
  src = gst_element_get_static_pad (h->element, "src");
  gst_pad_add_probe (src, GST_PAD_PROBE_TYPE_BUFFER, wait_at_gate, &gate, NULL);
  push_tokens (h, 0, 8);
  wait_for_arrival (&gate);
  fake_hold (TRUE);
  push_tokens (h, 8, 16);
  fake_wait_begun (2);
  thread = g_thread_new ("upstream", __i__ == 0 ? push_eos : push_many, h);

  open_gate (&gate);
  g_thread_join (thread);
  /* The answer is held: it ends only if it is given up. */
  while (queued_windows (h) > 0)
    g_thread_yield ();
  fail_unless_equals_int (fake_begun (), 2);
  gst_object_unref (src);
  gst_harness_teardown (h);
  gate_clear (&gate);
}
GST_END_TEST

GST_START_TEST (test_cancel)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  GstBuffer *buffer;

  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (1);
  g_signal_emit_by_name (h->element, "cancel");
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "finish_reason"), "cancelled");
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A file is never thinned out: slow answers hold upstream back. */
GST_START_TEST (test_lossless)
{
  GstHarness *h = start_generator ("terngenerator prompt=p window=2000000000");
  guint i;

  g_setenv ("TERN_FAKE_GENERATE_MS", "30", TRUE);
  push_tokens (h, 0, 48);
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
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBus *bus = watch (h->element);
  guint64 processed, dropped, timestamp = 0, windows = 0;
  GstStructure *stats = NULL;
  GstMessage *message;
  GstBuffer *buffer;
  GstEvent *event;
  GThread *thread;
  GstFormat format;
  gboolean end;
  guint n = 0;

  fake_hold (TRUE);
  gst_harness_set_src_caps_str (h, caps);
  push_tokens (h, 0, 8);
  fake_wait_begun (1);
  push_tokens (h, 8, 80);
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless (dropped > 0);
  gst_message_unref (message);
  /* Live text ends with the video, whatever is still to be answered. */
  thread = g_thread_new ("eos", push_eos, h);
  do {
    event = gst_harness_pull_event (h);
    fail_unless (event != NULL);
    end = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  } while (!end);
  fake_hold (FALSE);
  g_thread_join (thread);
  while (timestamp != MS (36000)) {     /* the first window and the last are answered */
    buffer = pull_result (json);
    timestamp = uint64_of (buffer, "timestamp");
    n++;
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (n, 2);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "windows", G_TYPE_UINT64, &windows, "dropped", G_TYPE_UINT64, &dropped, NULL));
  fail_unless_equals_uint64 (windows, 2);
  fail_unless_equals_uint64 (dropped, 8);
  gst_structure_free (stats);
  gst_object_unref (bus);
  gst_harness_teardown (json);
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
  GstElement *element = gst_parse_launch ("terngenerator text-timestamps=window", NULL);
  GstHarness *h = gst_harness_new_with_element (element, "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  GstClockTime min;
  gboolean live;

  gst_object_unref (element);
  gst_harness_set_upstream_latency (h, MS (30));
  gst_harness_set_src_caps_str (h, caps);
  push_tokens (h, 0, 1);
  query_latency (h, &live, &min);
  fail_unless (live && min == MS (6030), "%" GST_TIME_FORMAT, GST_TIME_ARGS (min));
  /* Whatever was measured; only the property changes it, and says so. */
  g_object_set (h->element, "latency", G_GUINT64_CONSTANT (5000000000), NULL);
  query_latency (h, &live, &min);
  fail_unless (live && min == MS (9030), "%" GST_TIME_FORMAT, GST_TIME_ARGS (min));
  gst_harness_teardown (h);

  /* What has the time of its arrival is never waited for, nor is JSON. */
  h = gst_harness_new ("terngenerator");
  gst_harness_set_upstream_latency (h, MS (30));
  gst_harness_set_src_caps_str (h, caps);
  push_tokens (h, 0, 1);
  query_latency (h, &live, &min);
  fail_unless (live && min == MS (30), "%" GST_TIME_FORMAT, GST_TIME_ARGS (min));
  gst_harness_teardown (h);

  h = start_generator ("terngenerator");
  push_tokens (h, 0, 1);
  query_latency (h, &live, &min);
  fail_unless (!live && min == 0);
  gst_harness_teardown (h);
}
GST_END_TEST

static void
push_at (GstHarness *h, guint64 number, GstClockTime pts, GstClockTime duration)
{
  GstBuffer *buffer = make_tokens (number);

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
}

static GstClockTime
running_time_of (GstHarness *h, GstClockTime pts)
{
  GstEvent *event = gst_pad_get_sticky_event (h->sinkpad, GST_EVENT_SEGMENT, 0);
  const GstSegment *segment;
  GstClockTime time;

  fail_unless (event != NULL);
  gst_event_parse_segment (event, &segment);
  fail_unless_equals_uint64 (gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts), pts);
  time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts);
  gst_event_unref (event);
  return time;
}

/* Timestamps of text are stream times, as those in its result: subtitle encoders write them as they are. Running times stay,
 * whatever the segment of the tokens is. */
typedef struct {
  guint start_ms, stop_ms, time_ms, base_ms, offset_ms;
  double rate, applied_rate;
} SegmentCase;
static const SegmentCase segment_cases[] = {
  { 3600000, 0, 0, 0, 0, 1, 1 },                /* MPEG-TS */
  { 200, 12200, 0, 0, 0, 1, 1 },                /* an edit list that leaves out 0.2 s */
  { 0, 0, 2500, 2500, 0, 1, 1 },                /* one that begins late */
  { 0, 9000, 0, 12000, 0, 1, 1 },               /* the second file of concat */
  { 5000, 0, 5000, 0, 0, 1, 1 },                /* a seek */
  { 5000, 0, 5000, 700, 300, 1, 1 },
  { 1000, 0, 1000, 0, 0, 2, 1 },
  { 1000, 0, 1000, 0, 0, 1, 2 },
  { 1000, 0, 3000, 50, 0, 1.5, 0.5 },
};

GST_START_TEST (test_segment_times)
{
  const SegmentCase *c = &segment_cases[__i__];
  GstHarness *h = file_harness ("terngenerator", "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  GstClockTime begin = MS (c->start_ms + c->offset_ms + 100), stream;
  GstSegment segment;
  GstBuffer *buffer;
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (c->start_ms);
  segment.stop = c->stop_ms ? MS (c->stop_ms) : GST_CLOCK_TIME_NONE;
  segment.time = MS (c->time_ms);
  segment.base = MS (c->base_ms);
  segment.offset = MS (c->offset_ms);
  segment.rate = c->rate;
  segment.applied_rate = c->applied_rate;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  /* Frames come as often in stream time, whatever was applied to their timestamps. */
  for (i = 0; i < 8; i++)
    push_at (h, i, begin + MS (500) * i / c->applied_rate, MS (500) / c->applied_rate);
  buffer = gst_harness_pull (h);
  stream = gst_segment_to_stream_time (&segment, GST_FORMAT_TIME, begin);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), stream);
  fail_unless_equals_uint64 (uint64_of (buffer, "timestamp"), stream);
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (4000));
  fail_unless_equals_uint64 (running_time_of (h, GST_BUFFER_PTS (buffer)),
      gst_segment_to_running_time (&segment, GST_FORMAT_TIME, begin));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The caps alone, no new segment with them. */
static void
push_caps (GstHarness *h, const char *text)
{
  GstCaps *caps = gst_caps_from_string (text);

  fail_unless (gst_harness_push_event (h, gst_event_new_caps (caps)));
  gst_caps_unref (caps);
}

/* Ids count on as long as the element lives: over rates, segments, flushes, sessions and states. A rate that changes does
 * not even end a window. */
GST_START_TEST (test_ids)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  g_autofree char *caps = token_caps (mmproj_path);
  g_autoptr (GString) slow = g_string_new (caps);
  GstSegment segment;
  GstBuffer *buffer;
  guint i;

  g_string_replace (slow, "framerate = 2/1", "framerate = 1/1", 0);
  push_tokens (h, 0, 8);
  push_caps (h, slow->str);
  push_tokens (h, 8, 12);
  push_caps (h, caps);
  push_tokens (h, 12, 16);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tokens (h, 0, 8);
  for (i = 0; i < 3; i++) {
    buffer = gst_harness_pull (h);
    fail_unless_equals_uint64 (uint64_of (buffer, "id"), i);
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (4000));
    gst_buffer_unref (buffer);
  }
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tokens (h, 0, 8);
  buffer = gst_harness_pull (h);
  fail_unless_equals_uint64 (uint64_of (buffer, "id"), 3);
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Progress ---- */

static GstEvent *
progress (gboolean upstream, GstClockTime time, GstClockTime end)
{
  return gst_event_new_custom (upstream ? GST_EVENT_CUSTOM_UPSTREAM : GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
      gst_structure_new ("tern-progress", "running-time", G_TYPE_UINT64, time, "end", G_TYPE_UINT64, end, NULL));
}

/* Waits until text is said not to come before @end. */
static void
expect_gap (GstHarness *h, GstClockTime end)
{
  GstClockTime pts = 0, duration = 0;
  GstEvent *event;

  do {
    event = gst_harness_pull_event (h);
    fail_unless (event != NULL, "no GAP to %" GST_TIME_FORMAT, GST_TIME_ARGS (end));
    if (GST_EVENT_TYPE (event) == GST_EVENT_GAP)
      gst_event_parse_gap (event, &pts, &duration);
    gst_event_unref (event);
  } while (pts < end);
  fail_unless_equals_uint64 (pts, end);
  fail_unless_equals_uint64 (duration, 0);
}

/* ---- Hops ---- */

static void
expect_rounding (GstBus *bus)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_INFO);
  g_autofree char *debug = NULL;

  gst_message_parse_info (message, NULL, &debug);
  fail_unless (strstr (debug, "hop=1000000000 is 2000000000") != NULL, "%s", debug);
  fail_unless (strstr (debug, "window=4000000000 is 4000000000") != NULL, "%s", debug);
  gst_message_unref (message);
}

/* Groups of four frames make 2 s of a hop of 1 s, which alone is told: live cues follow each other without a hole. */
GST_START_TEST (test_hop_live)
{
  GstHarness *h = gst_harness_new_parse (__i__ ? "terngenerator hop=1000000000" : "terngenerator hop=2000000000");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBus *bus = watch (h->element);
  GstBuffer *buffer;
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  if (__i__)
    expect_rounding (bus);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_INFO), 0);
  for (i = 0; i < 3; i++) {
    push_tokens (h, i == 0 ? 0 : 4 * i + 4, 4 * i + 8);
    buffer = pull_result (h);
    fail_unless_equals_uint64 (uint64_of (buffer, "timestamp"), MS (2000 * i));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (2000));
    gst_buffer_unref (buffer);
  }
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Text with the time of its window is decided up to just before the next one. */
GST_START_TEST (test_hop_decided)
{
  GstHarness *h = start_generator ("terngenerator hop=1000000000");
  GstBuffer *buffer;

  push_tokens (h, 0, 9);
  buffer = pull_result (h);
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (4000));
  gst_buffer_unref (buffer);
  expect_gap (h, MS (1500));
  gst_harness_teardown (h);
}
GST_END_TEST

/* Live text tells of every frame that was seen or left, though no token and no answer moves. */
GST_START_TEST (test_progress_live)
{
  GstHarness *h = gst_harness_new ("terngenerator");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  g_autofree char *caps = token_caps (mmproj_path);
  GstSegment segment;
  GstBuffer *buffer;

  fake_hold (TRUE);
  gst_harness_set_src_caps_str (h, caps);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = MS (1000);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  gst_harness_push_event (h, progress (FALSE, 0, MS (40)));
  expect_gap (h, MS (1040));
  gst_pad_send_event (h->element->srcpads->data, progress (TRUE, MS (40), MS (80)));
  expect_gap (h, MS (1080));
  push_tokens (h, 2, 10);
  expect_gap (json, MS (1000));         /* its sink prerolls, however far text is */
  fake_wait_begun (1);
  gst_harness_push_event (h, progress (FALSE, MS (4460), MS (4500)));
  expect_gap (h, MS (5500));
  /* The answer has the time of the newest frame, not an earlier one. */
  fake_hold (FALSE);
  buffer = gst_harness_pull (h);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (5500));
  gst_buffer_unref (buffer);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Video may be held up by who waits for text from its first frame on, before a model is there: that frame is told all the same. */
GST_START_TEST (test_progress_early)
{
  GstHarness *h = gst_harness_new ("terngenerator");
  g_autofree char *caps = token_caps (mmproj_path);

  gst_pad_send_event (h->element->srcpads->data, progress (TRUE, 0, MS (40)));
  g_usleep (50000);             /* whoever takes it has taken it: before that nothing could be lost */
  gst_harness_set_src_caps_str (h, caps);
  expect_gap (h, MS (40));
  gst_harness_teardown (h);
}
GST_END_TEST

/* A file's text is ahead of its windows only as far as video has left. */
GST_START_TEST (test_progress_file)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");

  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (1);
  gst_harness_push_event (h, progress (FALSE, MS (3000), MS (3040)));   /* seen: text may still come */
  gst_harness_push_upstream_event (json, progress (TRUE, MS (480), MS (520)));  /* left */
  expect_gap (h, 0);
  expect_gap (h, MS (520));
  fake_hold (FALSE);
  /* Late, at its own time; then all is decided up to the next window. */
  expect_text (h, 0, 4000, "8 frames, p");
  expect_gap (h, MS (4000));
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What a sink of text cannot keep up with is not told to the camera. */
GST_START_TEST (test_qos_stays)
{
  GstHarness *h = start_generator ("terngenerator");

  push_tokens (h, 0, 1);
  while (gst_harness_try_pull_upstream_event (h)) {
  }
  fail_unless (gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 2.0, 5, 0)));
  fail_unless (gst_harness_try_pull_upstream_event (h) == NULL);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A camera pauses: what it has shown is answered, and the stream goes on. */
GST_START_TEST (test_drain_event)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");

  push_tokens (h, 0, 3);
  fail_unless (gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
              gst_structure_new_empty ("tern-drain"))));
  expect_text (h, 0, 1500, "3 frames, p");
  push_tokens (h, 40, 48);
  expect_text (h, 20000, 4000, "8 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_no_pts)
{
  GstHarness *h = start_generator ("terngenerator");
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
  tcase_add_test (tc, test_other_encoder_is_one_fault);
  tcase_add_test (tc, test_one_result_everywhere);
  tcase_add_test (tc, test_flush_ends_slow_work);
  tcase_add_loop_test (tc, test_flush_ends_waiting, 0, 2);
  tcase_add_loop_test (tc, test_downstream_fails, 0, 2);
  tcase_add_test (tc, test_cancel);
  tcase_add_test (tc, test_lossless);
  tcase_add_test (tc, test_live_newest);
  tcase_add_loop_test (tc, test_hop_live, 0, 2);
  tcase_add_test (tc, test_hop_decided);
  tcase_add_test (tc, test_latency);
  tcase_add_loop_test (tc, test_segment_times, 0, G_N_ELEMENTS (segment_cases));
  tcase_add_test (tc, test_ids);
  tcase_add_test (tc, test_progress_live);
  tcase_add_test (tc, test_progress_early);
  tcase_add_test (tc, test_progress_file);
  tcase_add_test (tc, test_qos_stays);
  tcase_add_test (tc, test_drain_event);
  tcase_add_test (tc, test_no_pts);
  tcase_add_test (tc, test_nothing_linked);
  return run_suite (suite);
}
