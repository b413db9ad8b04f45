/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <string.h>

static GstHarness *
start (const char *launch)
{
  GstHarness *h = file_harness (launch, "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);

  gst_harness_set_src_caps_str (h, caps);
  return h;
}

/* G_MAXUINT: all of the frame's. */
static guint
kept (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernTokenMeta");
  const GValue *keep = gst_structure_get_value (gst_custom_meta_get_structure (meta), "keep");
  guint n = gst_buffer_get_size (buffer) / (8 * sizeof (float)), i;

  if (!keep)
    return G_MAXUINT;
  fail_unless_equals_int (gst_value_array_get_size (keep), n);
  for (i = 0; i < n; i++)
    fail_unless_equals_int (g_value_get_int (gst_value_array_get_value (keep, i)), i);
  return n;
}

/* A group leaves together, with the times of its frames and the positions of its tokens. */
GST_START_TEST (test_groups)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.5");
  guint64 frames = 0, groups = 0, in = 0, out = 0;
  GstStructure *stats = NULL;
  guint i;

  for (i = 0; i < 4; i++) {
    fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
    gst_harness_push (h, make_tokens (i));
  }
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 4);
  for (i = 0; i < 4; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i * MS (500));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (500));
    fail_unless_equals_uint64 (token_number (buffer), i);
    fail_unless_equals_uint64 (kept (buffer), i == 0 ? G_MAXUINT : 8);
    gst_buffer_unref (buffer);
  }
  g_object_get (h->element, "stats", &stats, NULL);
  gst_structure_get (stats, "frames", G_TYPE_UINT64, &frames, "groups", G_TYPE_UINT64, &groups, "tokens-in",
      G_TYPE_UINT64, &in, "tokens-kept", G_TYPE_UINT64, &out, NULL);
  fail_unless (frames == 4 && groups == 1 && in == 64 && out == 40);
  gst_structure_free (stats);
  gst_harness_teardown (h);
}
GST_END_TEST

static guint
count_previews (GstHarness *h, guint64 number)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_event (h))) {
    if (gst_event_has_name (event, "tern-preview")) {
      const GstStructure *s = gst_event_get_structure (event);
      const GValue *value = gst_structure_get_value (s, "buffer");
      GstBuffer *buffer = gst_value_get_buffer (value);
      guint64 found = G_MAXUINT64;

      fail_unless (GST_EVENT_IS_SERIALIZED (event));
      gst_structure_get_uint64 (s, "number", &found);
      fail_unless_equals_uint64 (found, number + n);
      fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (500) * found);
      fail_unless_equals_int (gst_buffer_get_size (buffer), 16 * 8 * sizeof (float));
      n++;
    }
    gst_event_unref (event);
  }
  return n;
}

/* Of frames that wait, at once, and only where somebody wants it; the buffers are the same. */
GST_START_TEST (test_previews)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7 previews=true"),
      *plain = start ("terncompressor method=dycoke merge-ratio=0.7");
  guint64 i;

  for (i = 0; i < 8; i++) {
    gst_harness_push (h, make_tokens (i));
    gst_harness_push (plain, make_tokens (i));
    fail_unless_equals_int (count_previews (h, i), i % 4 < 3);
    fail_unless_equals_int (count_previews (plain, i), 0);
    fail_unless_equals_int (gst_harness_buffers_in_queue (h), gst_harness_buffers_in_queue (plain));
  }
  for (i = 0; i < 8; i++) {
    GstBuffer *a = gst_harness_pull (h), *b = gst_harness_pull (plain);

    fail_unless_equals_uint64 (token_number (a), token_number (b));
    fail_unless_equals_int (gst_buffer_get_size (a), gst_buffer_get_size (b));
    gst_buffer_unref (a);
    gst_buffer_unref (b);
  }
  gst_util_set_object_arg (G_OBJECT (h->element), "method", "none");     /* nothing waits */
  gst_harness_push (h, make_tokens (8));
  fail_unless_equals_int (count_previews (h, 8), 0);
  gst_harness_teardown (plain);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_none_keeps_all)
{
  GstHarness *h = start ("terncompressor method=none");
  guint i;

  for (i = 0; i < 4; i++)
    gst_harness_push (h, make_tokens (i));
  for (i = 0; i < 4; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_int (gst_buffer_get_size (buffer), 16 * 8 * sizeof (float));
    fail_unless_equals_uint64 (kept (buffer), G_MAXUINT);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* Caps say how many tokens a group has at most, by what the method itself says: no more of them come, and these many do. */
static const struct {
  const char *settings;
  gint tokens;
} plans[] = { { "method=none", 64 }, { "method=dycoke merge-ratio=0.7", 28 }, { "method=dycoke merge-ratio=0.9", 19 },
  { "method=dycoke merge-ratio=1", 16 }, { "method=random merge-ratio=0.7", 28 }, { "method=none max-tokens=9", 9 },
  { "method=dycoke merge-ratio=0.7 max-tokens=20", 20 }, { "method=mean merge-ratio=1", 16 },
  { "method=v-cast merge-ratio=0 max-tokens-per-frame=3", 12 }, { "method=evs merge-ratio=0 max-tokens-per-second=11", 22 },
  { "method=none max-tokens-per-second=7", 14 } };
GST_START_TEST (test_planned)
{
  g_autofree char *launch = g_strdup_printf ("terncompressor %s", plans[__i__].settings);
  GstHarness *h = start (launch);
  gint tokens = 0;
  GstCaps *caps;
  gsize got = 0;
  guint i;

  for (i = 0; i < 4; i++)
    gst_harness_push (h, make_tokens (i));
  for (i = 0; i < 4; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    got += gst_buffer_get_size (buffer) / (8 * sizeof (float));
    gst_buffer_unref (buffer);
  }
  caps = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (gst_structure_get_int (gst_caps_get_structure (caps, 0), "group-tokens", &tokens));
  fail_unless_equals_int (tokens, plans[__i__].tokens);
  fail_unless_equals_int (got, plans[__i__].tokens);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A budget that nothing is known about, or that leaves frames nothing. */
static const struct {
  const char *settings, *what;
  GstFlowReturn flow;
} impossible[] = { { "max-tokens-per-window=100", "terngenerator", GST_FLOW_OK },
  { "max-tokens-per-second=1", "2 frames, found 1", GST_FLOW_ERROR } };
GST_START_TEST (test_impossible)
{
  g_autofree char *launch = g_strdup_printf ("terncompressor %s", impossible[__i__].settings);
  GstHarness *h = start (launch);
  GstBus *bus = watch (h->element);
  g_autofree char *debug = NULL;
  GstMessage *message;
  GError *error = NULL;

  fail_unless_equals_int (gst_harness_push (h, make_tokens (0)), impossible[__i__].flow);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR | GST_MESSAGE_INFO);
  fail_unless (message != NULL);
  if (impossible[__i__].flow == GST_FLOW_OK)
    gst_message_parse_info (message, &error, &debug);
  else
    gst_message_parse_error (message, &error, &debug);
  fail_unless (strstr (debug, impossible[__i__].what) != NULL, "%s", debug);
  g_error_free (error);
  gst_message_unref (message);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The partial group leaves before what ends it: EOS, a segment, a long gap, a jump, another group's number. */
static const char *const drains[] = { "eos", "segment", "gap", "jump", "number" };
GST_START_TEST (test_drains)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7");
  const char *how = drains[__i__];
  GstSegment segment;

  gst_harness_push (h, make_tokens (0));
  gst_harness_push (h, make_tokens (1));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (g_str_equal (how, "eos")) {
    gst_harness_push_event (h, gst_event_new_eos ());
  } else if (g_str_equal (how, "segment")) {
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  } else if (g_str_equal (how, "gap")) {
    gst_harness_push_event (h, gst_event_new_gap (MS (1000), MS (500)));
    fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
    gst_harness_push_event (h, gst_event_new_gap (MS (1500), MS (5000)));
  } else if (g_str_equal (how, "jump")) {
    GstBuffer *late = make_tokens (2);

    GST_BUFFER_PTS (late) = MS (60000);
    gst_harness_push (h, late);
  } else {
    GstBuffer *other = make_tokens (4);

    GST_BUFFER_PTS (other) = MS (1000);
    gst_harness_push (h, other);
  }
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The camera has stopped: what waits leaves, numbers go on afterwards. */
GST_START_TEST (test_drain)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7");
  gboolean found = FALSE;
  GstEvent *event;
  guint i;

  gst_harness_push (h, make_tokens (0));
  gst_harness_push (h, make_tokens (1));
  gst_harness_push_event (h, gst_event_new_gap (MS (900), MS (100)));
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("tern-drain")));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  while ((event = gst_harness_try_pull_event (h))) {
    if (GST_EVENT_TYPE (event) == GST_EVENT_GAP)
      found = TRUE;
    if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_DOWNSTREAM)
      fail_unless (found && gst_event_has_name (event, "tern-drain"));
    gst_event_unref (event);
  }
  fail_unless (found);
  for (i = 2; i < 5; i++)
    gst_harness_push (h, make_tokens (i));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 4);
  for (i = 0; i < 4; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (token_number (buffer), i);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* Where the video ends is said after the frames before it, and not at all when frames follow. */
GST_START_TEST (test_gap_at_the_end)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7");
  guint gaps = 0;
  GstEvent *event;

  gst_harness_push (h, make_tokens (0));
  gst_harness_push_event (h, gst_event_new_gap (MS (400), MS (100)));
  gst_harness_push (h, make_tokens (1));
  gst_harness_push_event (h, gst_event_new_gap (MS (900), MS (100)));
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  while ((event = gst_harness_try_pull_event (h))) {
    GstClockTime pts, duration;

    if (GST_EVENT_TYPE (event) == GST_EVENT_GAP) {
      gst_event_parse_gap (event, &pts, &duration);
      /* One without duration says that a group begins. */
      fail_unless_equals_uint64 (pts, duration ? MS (900) : 0);
      gaps += duration > 0;
    }
    if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      fail_unless_equals_int (gaps, 1);
    gst_event_unref (event);
  }
  fail_unless_equals_int (gaps, 1);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Two in a row: whose fault it is, and nothing about model files. */
GST_START_TEST (test_compressed_already)
{
  GstHarness *h = chain_harness ("terncompressor method=dycoke merge-ratio=0.7 ! terncompressor");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBus *bus = gst_bus_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;
  GstMessage *message;
  guint i;

  gst_element_set_bus (h->element, bus);
  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 4; i++)
    gst_harness_push (h, make_tokens (i));
  message = wait_message (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, &debug);
  fail_unless (g_error_matches (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
  fail_unless (strstr (error->message, "model") == NULL, "%s", error->message);
  fail_unless (strstr (debug, "terncompressor") != NULL, "%s", debug);
  gst_message_unref (message);
  gst_element_set_bus (h->element, NULL);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_events_while_flushing)
{
  GstHarness *h = start ("terncompressor method=none");
  GstPad *src = gst_element_get_static_pad (h->element, "src");
  GstSegment segment;

  gst_harness_push (h, make_tokens (0));
  gst_pad_set_active (src, FALSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (500);
  gst_pad_push_event (h->srcpad, gst_event_new_segment (&segment));
  fail_unless (gst_harness_push (h, make_tokens (1)) != GST_FLOW_ERROR);
  gst_object_unref (src);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_flush_forgets)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7");
  GstSegment segment;
  guint i;

  gst_harness_push (h, make_tokens (0));
  gst_harness_push (h, make_tokens (1));
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (i = 0; i < 4; i++)
    gst_harness_push (h, make_tokens (i));
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 4);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_settings_while_playing)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.5");
  guint i;

  for (i = 0; i < 4; i++)
    gst_harness_push (h, make_tokens (i));
  g_object_set (h->element, "merge-ratio", 0.75, NULL);
  for (i = 4; i < 8; i++)
    gst_harness_push (h, make_tokens (i));
  for (i = 0; i < 8; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (kept (buffer), i % 4 == 0 ? G_MAXUINT : i < 4 ? 8 : 4);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* What comes in must be what it says: whole rows, whole frames, positions inside of the grid. */
static const char *const damages[] = { "size", "count", "keep", "twice", "grid", "nan" };
GST_START_TEST (test_damaged_tokens)
{
  GstHarness *h = start ("terncompressor method=dycoke merge-ratio=0.7");
  GstBus *bus = watch (h->element);
  GstBuffer *buffer = make_tokens (0);
  GstStructure *s = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta"));
  const char *how = damages[__i__];

  if (g_str_equal (how, "size")) {
    gst_buffer_set_size (buffer, 100);
  } else if (g_str_equal (how, "count")) {
    gst_structure_set (s, "n-tokens", G_TYPE_UINT, 17, NULL);
  } else if (g_str_equal (how, "nan")) {
    gst_buffer_memset (buffer, 28, 0xff, sizeof (float));
  } else if (g_str_equal (how, "grid")) {
    gst_structure_set (s, "grid-width", G_TYPE_UINT, 0x10000, "grid-height", G_TYPE_UINT, 0x10000, NULL);
  } else {
    GValue keep = G_VALUE_INIT, value = G_VALUE_INIT;
    guint i;

    g_value_init (&keep, GST_TYPE_ARRAY);
    g_value_init (&value, G_TYPE_INT);
    for (i = 0; i < 16; i++) {
      g_value_set_int (&value, g_str_equal (how, "keep") && i == 15 ? 16 : i);
      gst_value_array_append_value (&keep, &value);
    }
    gst_structure_take_value (s, "keep", &keep);
  }
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("terncompressor");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_groups);
  tcase_add_test (tc, test_previews);
  tcase_add_test (tc, test_none_keeps_all);
  tcase_add_loop_test (tc, test_planned, 0, G_N_ELEMENTS (plans));
  tcase_add_loop_test (tc, test_impossible, 0, G_N_ELEMENTS (impossible));
  tcase_add_loop_test (tc, test_drains, 0, G_N_ELEMENTS (drains));
  tcase_add_test (tc, test_drain);
  tcase_add_test (tc, test_gap_at_the_end);
  tcase_add_test (tc, test_compressed_already);
  tcase_add_test (tc, test_events_while_flushing);
  tcase_add_test (tc, test_flush_forgets);
  tcase_add_test (tc, test_settings_while_playing);
  tcase_add_loop_test (tc, test_damaged_tokens, 0, G_N_ELEMENTS (damages));
  return run_suite (suite);
}
