/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models to which two frames of a video are one picture: ternencoder puts them together as a session does that is given frames
 * (tests/golden/test-prompts.c), and what comes between two frames does not come between them and their tokens. The fake
 * engine's tokens begin with the mean of the first frame; their seventh number is that of the second, -1 where none came; where
 * the model looks back the eighth is that of the frame before, -1 where there is none. */
#include "harness.h"

#include <string.h>

typedef struct {
  guint pts, duration;          /* ms */
  guint64 number;
  gint first, second;
  gint before;                  /* 0: the model does not look back */
} Picture;

static GstHarness *
pairs_harness (const char *launch, const char *caps)
{
  GstHarness *h;

  g_setenv ("TERN_FAKE_PAIRS", "1", TRUE);
  h = file_harness (launch, "sink", "src");
  gst_harness_set_src_caps_str (h, caps ? caps : FRAME_CAPS);
  return h;
}

static void
push (GstHarness *h, guint pts, guint duration, guint8 value)
{
  fail_unless_equals_int (gst_harness_push (h, make_frame (MS (pts), duration ? MS (duration) : GST_CLOCK_TIME_NONE, value)),
      GST_FLOW_OK);
}

/* Where its last frame was: as far as they say how long that stood, half of a second apart. */
static void
expect_last (GstBuffer *buffer, const Picture *expected)
{
  const GstStructure *s = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta"));
  guint64 after = 0;

  fail_unless_equals_int (gst_structure_get_uint64 (s, "after", &after), expected->second >= 0);
  if (expected->second >= 0 && expected->duration == 750)
    fail_unless_equals_uint64 (after, MS (250));
}

static void
expect (GstHarness *h, const Picture *expected, guint n)
{
  for (guint i = 0; i < n; i++) {
    GstBuffer *buffer = gst_harness_pull (h);
    float token[8];

    fail_unless (buffer != NULL, "no picture %u", i);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), MS (expected[i].pts));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), expected[i].duration ? MS (expected[i].duration)
        : GST_CLOCK_TIME_NONE);
    fail_unless_equals_uint64 (token_number (buffer), expected[i].number);
    expect_last (buffer, &expected[i]);
    gst_buffer_extract (buffer, 0, token, sizeof token);
    fail_unless (token[0] == expected[i].first && token[6] == expected[i].second && token[7] == expected[i].before,
        "picture %u: %g, %g behind %g", i, token[0], token[6], token[7]);
    gst_buffer_unref (buffer);
  }
  fail_unless (gst_harness_try_pull (h) == NULL);
}

static void
end (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  g_free (events_until (h, GST_EVENT_EOS));
}

static const char every_half[] = "ternencoder gate=off frame-rate=2/1";

/* Eight frames, four pictures, whose rate the caps have. A fifth picture of one frame alone comes before the end. */
GST_START_TEST (test_in_turn)
{
  static const Picture expected[] = { { 250, 750, 0, 1, 2 }, { 1250, 750, 1, 3, 4 }, { 2250, 750, 2, 5, 6 },
    { 3250, 750, 3, 7, 8 }, { 4000, 500, 4, 9, -1 } };
  GstHarness *h = pairs_harness (every_half, NULL);
  gint n = 0, d = 0;
  GstCaps *caps;

  for (guint i = 0; i < 9; i++)
    push (h, 500 * i, 500, i + 1);
  end (h);
  expect (h, expected, 5);
  caps = gst_pad_get_current_caps (h->sinkpad);
  gst_structure_get_fraction (gst_caps_get_structure (caps, 0), "framerate", &n, &d);
  fail_unless (n == 1 && d == 1, "%d/%d", n, d);
  gst_caps_unref (caps);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Of 25 frames a second those are put together that are looked at; without durations nobody knows where the last one ends. */
GST_START_TEST (test_between)
{
  static const Picture expected[] = { { 260, 0, 0, 0, 13 }, { 1260, 0, 1, 25, 38 } };
  GstHarness *h = pairs_harness (every_half, "video/x-raw, format = RGB, width = 16, height = 16, framerate = 25/1");

  for (guint i = 0; i < 50; i++)
    push (h, 40 * i, 0, i);
  end (h);
  expect (h, expected, 2);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A pause ends picture and group; time that goes back does. */
GST_START_TEST (test_pause)
{
  static const Picture expected[] = { { 250, 750, 0, 1, 2 }, { 1000, 500, 1, 3, -1 }, { 9250, 750, 4, 4, 5 },
    { 10000, 500, 5, 6, -1 }, { 2250, 750, 8, 7, 8 } };
  static const guint times[] = { 0, 500, 1000, 9000, 9500, 10000, 2000, 2500 };
  GstHarness *h = pairs_harness (every_half, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (times); i++)
    push (h, times[i], 500, i + 1);
  end (h);
  expect (h, expected, 5);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A frame that stands longer than a picture's time has no second one, by its own word or by that of one that was passed over;
 * nor has one of a source that is slower than that. */
GST_START_TEST (test_stands)
{
  static const Picture own[] = { { 0, 1200, 0, 1, -1 }, { 1450, 750, 1, 2, 3 } };
  static const Picture other[] = { { 0, 100, 0, 1, -1 }, { 1450, 750, 1, 3, 4 } };
  static const Picture slow[] = { { 0, 2000, 0, 1, -1 }, { 2000, 2000, 1, 2, -1 } };
  GstHarness *h = pairs_harness (every_half, NULL);

  push (h, 0, 1200, 1);
  push (h, 1200, 500, 2);
  push (h, 1700, 500, 3);
  end (h);
  expect (h, own, 2);
  gst_harness_teardown (h);

  h = pairs_harness (every_half, NULL);
  push (h, 0, 100, 1);
  push (h, 100, 1100, 2);       /* not looked at */
  push (h, 1200, 500, 3);
  push (h, 1700, 500, 4);
  end (h);
  expect (h, other, 2);
  gst_harness_teardown (h);

  h = pairs_harness (every_half, "video/x-raw, format = RGB, width = 16, height = 16, framerate = 1/2");
  push (h, 0, 0, 1);
  push (h, 2000, 0, 2);
  end (h);
  expect (h, slow, 2);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Events are told in their place: a GAP within a picture's time behind its tokens, if at all; one beyond it ends it. */
GST_START_TEST (test_gaps)
{
  static const Picture within[] = { { 250, 750, 0, 1, 2 } }, beyond[] = { { 0, 100, 0, 1, -1 }, { 500, 500, 1, 2, -1 } };
  GstHarness *h = pairs_harness (every_half, NULL);
  g_autofree char *events = NULL;

  push (h, 0, 100, 1);
  fail_unless (gst_harness_push_event (h, gst_event_new_gap (MS (100), MS (400))));
  push (h, 500, 500, 2);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  events = events_until (h, GST_EVENT_EOS);
  fail_unless (g_str_has_suffix (events, "gap 0+0 eos "), "%s", events);
  expect (h, within, 1);
  gst_harness_teardown (h);

  for (guint held = 0; held < 2; held++) {
    g_autofree char *told = NULL;

    h = pairs_harness (every_half, NULL);
    push (h, 0, 100, 1);
    fail_unless (gst_harness_push_event (h, gst_event_new_gap (MS (100), MS (held ? 400 : 1000))));
    if (!held)
      push (h, 500, 500, 2);    /* comes back: its own picture */
    fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
    expect (h, beyond, held ? 1 : 2);
    told = events_until (h, GST_EVENT_EOS);
    fail_unless (strstr (told, held ? "gap 0+0 gap 100+400 eos" : "gap 0+0 gap 100+1000 eos") != NULL, "%s", told);
    gst_harness_teardown (h);
  }
}
GST_END_TEST

/* A flush drops what waits; a segment does not, nor do another size, a trigger and a turn of the camera. */
GST_START_TEST (test_flush)
{
  static const Picture expected[] = { { 8250, 750, 0, 2, 3 } };
  GstHarness *h = pairs_harness (every_half, NULL);
  GstSegment segment;

  push (h, 0, 500, 1);
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  push (h, 8000, 500, 2);
  push (h, 8500, 500, 3);
  end (h);
  expect (h, expected, 1);
  gst_harness_teardown (h);
}
GST_END_TEST

static void
begin_segment (GstHarness *h)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
}

static void
trigger (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
              gst_structure_new_empty ("tern-trigger"))));
}

static void
turn (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new (GST_TAG_IMAGE_ORIENTATION, "rotate-180",
                  NULL))));
}

static void
grow (GstHarness *h)
{
  GstCaps *caps = gst_caps_from_string ("video/x-raw, format = RGB, width = 8, height = 32, framerate = 10/1");

  fail_unless (gst_harness_push_event (h, gst_event_new_caps (caps)));
  gst_caps_unref (caps);
}

static void (*const partings[]) (GstHarness *) = { begin_segment, trigger, turn, grow };

static void
parted (GstHarness *h, guint by, gint before)
{
  /* With a segment numbers begin anew, with a trigger and a size groups do. */
  static const guint64 numbers[] = { 0, 4, 1, 4 };
  Picture expected[] = { { 0, 500, 0, 1, -1, before }, { 750, 750, numbers[by], 2, 3, before } };

  push (h, 0, 500, 1);
  partings[by] (h);
  push (h, 500, 500, 2);
  push (h, 1000, 500, 3);
  end (h);
  expect (h, expected, 2);
  gst_harness_teardown (h);
}

GST_START_TEST (test_parted)
{
  parted (pairs_harness (every_half, NULL), __i__, 0);
}
GST_END_TEST

/* A frame that waits for its second one is not the upstream's any more. */
static void
note_gone (gpointer data, GstMiniObject *object)
{
  g_atomic_int_set ((gint *) data, TRUE);
}

/* Takes @frame, which nobody has any more when the element is drained. */
static void
push_and_drain (GstHarness *h, GstBuffer *frame)
{
  GstQuery *query = gst_query_new_drain ();
  gint gone = FALSE;

  gst_mini_object_weak_ref (GST_MINI_OBJECT_CAST (frame), note_gone, &gone);
  fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  fail_unless (gst_pad_peer_query (h->srcpad, query));
  fail_unless (g_atomic_int_get (&gone));
  gst_query_unref (query);
}

GST_START_TEST (test_copy)
{
  GstHarness *h = pairs_harness (every_half, NULL);

  push_and_drain (h, make_frame (0, MS (500), 1));
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames of 10 bits are brought down to 8 each in memory of its own. */
GST_START_TEST (test_deep)
{
  static const Picture expected[] = { { 250, 750, 0, 40, 160 } };
  GstHarness *h = pairs_harness (every_half, "video/x-raw, format = I420_10LE, width = 16, height = 16, framerate = 2/1");

  for (guint i = 0; i < 2; i++) {
    guint16 samples[16 * 16 * 3 / 2];
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, sizeof samples, NULL);

    for (guint s = 0; s < G_N_ELEMENTS (samples); s++)
      samples[s] = GUINT16_TO_LE ((i ? 160 : 40) << 2);
    gst_buffer_fill (buffer, 0, samples, sizeof samples);
    GST_BUFFER_PTS (buffer) = MS (500 * i);
    GST_BUFFER_DURATION (buffer) = MS (500);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
  end (h);
  expect (h, expected, 1);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Pictures with nothing new in their second frame have the tokens of the one before, but for the first, which may not move any more. */
GST_START_TEST (test_gate)
{
  static const Picture expected[] = { { 250, 750, 0, 9, 9 }, { 1250, 750, 1, 9, 10 }, { 2250, 750, 2, 9, 10 },
    { 3250, 750, 3, 10, 90 }, { 4250, 750, 4, 90, 91 }, { 5250, 750, 5, 90, 91 } };
  static const guint8 values[] = { 9, 9, 9, 10, 10, 10, 10, 90, 90, 91, 91, 91 };
  GstHarness *h = pairs_harness ("ternencoder gate=on frame-rate=2/1", NULL);
  GstStructure *stats;
  guint64 unchanged = 0;

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    push (h, 500 * i, 500, values[i]);
  end (h);
  expect (h, expected, 6);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "unchanged", &unchanged));
  fail_unless_equals_uint64 (unchanged, 2);
  gst_structure_free (stats);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- The frame before ---- */

static GstHarness *
back_harness (const char *launch)
{
  g_setenv ("TERN_FAKE_BACK", "1", TRUE);
  return pairs_harness (launch, NULL);
}

static void
back_teardown (GstHarness *h)
{
  gst_harness_teardown (h);
  g_unsetenv ("TERN_FAKE_BACK");
}

/* The second one of the picture before, or its only one; none where a stretch begins. */
GST_START_TEST (test_back)
{
  static const Picture expected[] = { { 250, 750, 0, 1, 2, -1 }, { 1250, 750, 1, 3, 4, 2 }, { 2000, 1200, 2, 5, -1, 4 },
    { 3450, 750, 3, 6, 7, 5 }, { 9250, 750, 4, 8, 9, -1 }, { 10250, 750, 5, 10, 11, 9 }, { 2250, 750, 8, 12, 13, -1 },
    { 3000, 500, 9, 14, -1, 13 } };
  static const guint times[] = { 0, 500, 1000, 1500, 2000, 3200, 3700, 9000, 9500, 10000, 10500, 2000, 2500, 3000 };
  GstHarness *h = back_harness (every_half);

  for (guint i = 0; i < G_N_ELEMENTS (times); i++)
    push (h, times[i], i == 4 ? 1200 : 500, i + 1);
  end (h);
  expect (h, expected, 8);
  back_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_back_flush)
{
  static const Picture expected[] = { { 8250, 750, 0, 3, 4, -1 } };
  GstHarness *h = back_harness (every_half);

  push (h, 0, 500, 1);
  push (h, 500, 500, 2);
  gst_buffer_unref (gst_harness_pull (h));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  begin_segment (h);
  push (h, 8000, 500, 3);
  push (h, 8500, 500, 4);
  end (h);
  expect (h, expected, 1);
  back_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_back_parted)
{
  parted (back_harness (every_half), __i__, -1);
  g_unsetenv ("TERN_FAKE_BACK");
}
GST_END_TEST

/* One that the gate leaves out is before the next one all the same. */
GST_START_TEST (test_back_gate)
{
  static const Picture expected[] = { { 250, 750, 0, 9, 9, -1 }, { 1250, 750, 1, 9, 10, 9 }, { 2250, 750, 2, 9, 10, 9 },
    { 3250, 750, 3, 90, 91, 11 } };
  static const guint8 values[] = { 9, 9, 9, 10, 10, 11, 90, 91 };
  GstHarness *h = back_harness ("ternencoder gate=on frame-rate=2/1");

  for (guint i = 0; i < G_N_ELEMENTS (values); i++)
    push (h, 500 * i, 500, values[i]);
  end (h);
  expect (h, expected, 4);
  back_teardown (h);
}
GST_END_TEST

/* It is kept as a copy: the frame is the upstream's again, looked back to or not. */
GST_START_TEST (test_back_copy)
{
  GstHarness *h = __i__ ? back_harness (every_half) : pairs_harness (every_half, NULL);

  push (h, 0, 500, 1);
  push_and_drain (h, make_frame (MS (500), MS (500), 2));
  back_teardown (h);
}
GST_END_TEST

/* Windows, groups and results count pictures: 4 s are four, and the text begins where the video does. */
GST_START_TEST (test_windows)
{
  static const char *const chains[] = { "ternencoder frame-rate=2/1 ! terngenerator prompt=x",
    "ternencoder frame-rate=2/1 ! terncompressor ! terngenerator prompt=x" };
  GstHarness *h;

  g_setenv ("TERN_FAKE_PAIRS", "1", TRUE);
  h = chain_harness (chains[__i__]);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (guint i = 0; i < 11; i++)
    push (h, 500 * i, 500, i);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  for (guint i = 0; i < 2; i++) {
    g_autofree char *text = pull_text (h, MS (4000 * i), MS (i ? 1500 : 4000));

    fail_unless_equals_string (text, i ? "2 frames, x" : "4 frames, x");
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is said to begin text is where the first window does, not the middle of its first picture: muxers would move the cue. */
GST_START_TEST (test_text_begins)
{
  static const char *const chains[] = { "ternencoder gate=off frame-rate=2/1 ! terngenerator",
    "ternencoder gate=off frame-rate=2/1 ! terncompressor ! terngenerator" };
  GstHarness *h;
  g_autofree char *events = NULL;

  g_setenv ("TERN_FAKE_PAIRS", "1", TRUE);
  h = chain_harness (chains[__i__]);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (guint i = 0; i < 3; i++)
    push (h, 1000 + 500 * i, 500, i);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  events = events_until (h, GST_EVENT_EOS);
  fail_unless (g_str_has_prefix (events, "stream-start caps segment tag gap 1000+0 gap 2500+0 "), "%s", events);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("pairs");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_in_turn);
  tcase_add_test (tc, test_between);
  tcase_add_test (tc, test_pause);
  tcase_add_test (tc, test_stands);
  tcase_add_test (tc, test_gaps);
  tcase_add_test (tc, test_flush);
  tcase_add_loop_test (tc, test_parted, 0, G_N_ELEMENTS (partings));
  tcase_add_test (tc, test_copy);
  tcase_add_test (tc, test_deep);
  tcase_add_test (tc, test_gate);
  tcase_add_test (tc, test_back);
  tcase_add_test (tc, test_back_flush);
  tcase_add_loop_test (tc, test_back_parted, 0, G_N_ELEMENTS (partings));
  tcase_add_test (tc, test_back_gate);
  tcase_add_loop_test (tc, test_back_copy, 0, 2);
  tcase_add_loop_test (tc, test_windows, 0, 2);
  tcase_add_loop_test (tc, test_text_begins, 0, 2);
  return run_suite (suite);
}
