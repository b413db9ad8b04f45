/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames with nothing new in them: ternencoder does not encode them, and windows of nothing else are told what the one before
 * was. A picture's number counts how often the encoder ran. */
#include "harness.h"

#include <string.h>

#define SIDE 64

static const char *const formats[] = { "RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8", "I420", "NV12", "I420_10LE",
  "P010_10LE" };

static char *
caps_of (const char *format, guint side)
{
  return g_strdup_printf ("video/x-raw, format = %s, width = %u, height = %u, framerate = 10/1", format, side, side);
}

/* A ramp, and where @object is not 0 a square of a sixteenth of the picture that is brighter by it. In every format: the
 * byte that a sample's value lies in is drawn. */
static GstBuffer *
make_scene (const char *format, guint side, GstClockTime pts, guint8 object)
{
  g_autofree char *text = caps_of (format, side);
  GstCaps *caps = gst_caps_from_string (text);
  GstVideoFrame frame;
  GstVideoInfo info;
  GstBuffer *buffer;
  guint x, y, c;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_caps_unref (caps);
  buffer = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (&info), NULL);
  gst_buffer_memset (buffer, 0, 0, GST_VIDEO_INFO_SIZE (&info));
  fail_unless (gst_video_frame_map (&frame, &info, buffer, GST_MAP_WRITE));
  for (y = 0; y < side; y++)
    for (x = 0; x < side; x++) {
      gboolean in = x >= side / 4 && x < side / 2 && y >= side / 4 && y < side / 2;
      guint value = 60 + x * 80 / side + (in ? object : 0);
      guint8 *row = GST_VIDEO_FRAME_PLANE_DATA (&frame, 0);
      guint bytes = GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, 0);

      row += y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0) + x * bytes;
      if (g_str_equal (format, "I420_10LE"))
        GST_WRITE_UINT16_LE (row, value << 2);
      else if (g_str_equal (format, "P010_10LE"))
        GST_WRITE_UINT16_LE (row, value << 8);
      else
        for (c = 0; c < bytes; c++)
          row[c] = value;
    }
  gst_video_frame_unmap (&frame);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = MS (500);
  return buffer;
}

/* Which picture the next tokens are of; 0: they do not say. The first number of the token with the square goes to @square. */
static guint64
next_picture (GstHarness *h, float *square)
{
  GstBuffer *buffer = gst_harness_pull (h);
  guint64 picture = 0;

  fail_unless (buffer != NULL);
  gst_structure_get_uint64 (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta")), "picture",
      &picture);
  if (square)
    gst_buffer_extract (buffer, 5 * 8 * sizeof *square, square, sizeof *square);
  gst_buffer_unref (buffer);
  return picture;
}

static guint64
count (GstElement *element, const char *what)
{
  GstStructure *stats;
  guint64 n = 0;

  g_object_get (element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, what, &n), "no %s", what);
  gst_structure_free (stats);
  return n;
}

static void
push_scene (GstHarness *h, const char *format, guint64 number, guint8 object)
{
  fail_unless_equals_int (gst_harness_push (h, make_scene (format, SIDE, MS (500) * number, object)), GST_FLOW_OK);
}

/* Every format that is accepted: the second frame of a scene is not encoded, and has the tokens of the first. */
GST_START_TEST (test_formats)
{
  const char *format = formats[__i__];
  GstHarness *h = file_harness ("ternencoder gate=on", "sink", "src");
  g_autofree char *caps = caps_of (format, SIDE);
  const guint8 objects[] = { 0, 0, 0, 40, 40, 0 };
  const guint64 expected[] = { 1, 1, 1, 2, 2, 3 };
  float square, before = -1;
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < G_N_ELEMENTS (objects); i++) {
    push_scene (h, format, i, objects[i]);
    fail_unless_equals_uint64 (next_picture (h, &square), expected[i]);
    fail_unless (i == 0 || (square == before) == (expected[i] == expected[i - 1]), "%s, frame %u: %g after %g", format, i, square,
        before);
    before = square;
  }
  fail_unless_equals_uint64 (count (h->element, "unchanged"), 3);
  fail_unless_equals_uint64 (count (h->element, "looked-at"), 6);
  gst_harness_teardown (h);
}
GST_END_TEST

typedef struct {
  const char *reason;
  guint64 pts, processed, dropped;
} Left;

/* The next QOS message on @bus tells of a frame of a file that was not encoded, as @left says, @since the beginning. */
static void
expect_left (GstBus *bus, const Left *left, GstClockTime since)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_QOS);
  guint64 running, stream, pts, duration, processed, dropped;
  GstFormat format;
  gboolean live;

  gst_message_parse_qos (message, &live, &running, &stream, &pts, &duration);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless_equals_string (gst_structure_get_string (gst_message_get_structure (message), "reason"), left->reason);
  fail_if (live);
  fail_unless_equals_uint64 (pts, left->pts);
  fail_unless_equals_uint64 (running, left->pts - since);
  fail_unless_equals_uint64 (stream, left->pts - since);
  fail_unless_equals_uint64 (duration, MS (500));
  fail_unless_equals_int (format, GST_FORMAT_BUFFERS);
  fail_unless_equals_uint64 (processed, left->processed);
  fail_unless_equals_uint64 (dropped, left->dropped);
  gst_message_unref (message);
}

/* Frames that are not encoded are told as other elements tell what they drop: before their tokens leave, with the times of
 * their own segment, and what was encoded by then. The second segment begins elsewhere, with a picture that is encoded anew. */
GST_START_TEST (test_tells_unchanged)
{
  const Left expected[] = { { "unchanged", MS (500), 1, 1 }, { "unchanged", MS (1000), 1, 2 }, { "unchanged", MS (2000), 2, 3 } };
  const Left later[] = { { "unchanged", MS (60500), 4, 4 }, { "unchanged", MS (61000), 4, 5 } };
  const guint8 objects[] = { 0, 0, 0, 40, 40, 0 };
  GstHarness *h = file_harness ("ternencoder gate=on", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  GstBus *bus = watch (h->element);
  GstSegment segment;
  guint i, n = 0;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < G_N_ELEMENTS (objects); i++) {
    push_scene (h, "GRAY8", i, objects[i]);
    next_picture (h, NULL);
    if (n < G_N_ELEMENTS (expected) && expected[n].pts == MS (500) * i)
      expect_left (bus, &expected[n++], 0);
  }
  fail_unless_equals_int (n, G_N_ELEMENTS (expected));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (60000);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  for (i = 0; i < 3; i++) {
    push_scene (h, "GRAY8", 120 + i, 0);
    next_picture (h, NULL);
    if (i > 0)
      expect_left (bus, &later[i - 1], MS (60000));
  }
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Both frames of a picture were left out. The tokens of the first picture may say that something moves: the first one with nothing
 * new is encoded, too. */
GST_START_TEST (test_tells_pairs)
{
  GstHarness *h;
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  GstMessage *message;
  guint64 processed, dropped;
  GstBus *bus;
  guint i;

  g_setenv ("TERN_FAKE_PAIRS", "1", TRUE);
  h = file_harness ("ternencoder gate=on", "sink", "src");
  bus = watch (h->element);
  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 6; i++)
    push_scene (h, "GRAY8", i, 0);
  for (i = 0; i < 3; i++)
    fail_unless_equals_uint64 (next_picture (h, NULL), MIN (i + 1, 2));
  message = wait_message (bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, NULL, &processed, &dropped);
  fail_unless_equals_uint64 (processed, 4);
  fail_unless_equals_uint64 (dropped, 2);
  gst_message_unref (message);
  fail_unless_equals_uint64 (count (h->element, "forced"), 1);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS), 0);
  unwatch (bus);
  gst_harness_teardown (h);
  g_unsetenv ("TERN_FAKE_PAIRS");
}
GST_END_TEST

/* Off, every frame is encoded and nothing is said of it. */
GST_START_TEST (test_off)
{
  GstHarness *h = file_harness ("ternencoder gate=off", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 40; i++) {
    push_scene (h, "GRAY8", i, 0);
    fail_unless_equals_uint64 (next_picture (h, NULL), 0);
  }
  fail_unless_equals_uint64 (count (h->element, "unchanged"), 0);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* By itself not before the scene has stood still for 16 frames and eight seconds. */
GST_START_TEST (test_auto)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 40; i++) {
    push_scene (h, "GRAY8", i, 0);
    fail_unless_equals_uint64 (next_picture (h, NULL), MIN (i + 1, 16));
  }
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_max_silence)
{
  GstHarness *h = file_harness ("ternencoder gate=on max-silence=2000000000", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 12; i++) {
    push_scene (h, "GRAY8", i, 0);
    fail_unless_equals_uint64 (next_picture (h, NULL), 1 + i / 4);
  }
  fail_unless_equals_uint64 (count (h->element, "forced"), 2);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What counts as new is a property. */
GST_START_TEST (test_threshold)
{
  GstHarness *h = file_harness (__i__ ? "ternencoder gate=on gate-threshold=30" : "ternencoder gate=on", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 8; i++) {
    push_scene (h, "GRAY8", i, i < 4 ? 0 : 15);
    fail_unless_equals_uint64 (next_picture (h, NULL), __i__ || i < 4 ? 1 : 2);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

static void
turn (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new (GST_TAG_IMAGE_ORIENTATION, "rotate-180",
                  NULL))));
}

static void
trigger (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
              gst_structure_new_empty ("tern-trigger"))));
}

static void
begin_segment (GstHarness *h)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
}

static void
seek (GstHarness *h)
{
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
  begin_segment (h);
}

static void
widen (GstHarness *h)
{
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  g_autofree char *wider = g_strconcat (caps, ", pixel-aspect-ratio = 2/1", NULL);

  gst_harness_set_src_caps_str (h, wider);
}

/* What another stretch begins with is encoded, whatever it shows. */
GST_START_TEST (test_begins_anew)
{
  void (*const changes[]) (GstHarness *h) = { turn, trigger, begin_segment, seek, widen };
  GstHarness *h = file_harness ("ternencoder gate=on", "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 3; i++) {
    push_scene (h, "GRAY8", i, 0);
    fail_unless_equals_uint64 (next_picture (h, NULL), 1);
  }
  changes[__i__] (h);
  for (; i < 6; i++) {
    push_scene (h, "GRAY8", i, 0);
    fail_unless_equals_uint64 (next_picture (h, NULL), 2);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* Behind a compressor, too: a text a window, and the engine is asked where something is new and once more when that is all
 * there is to see. */
GST_START_TEST (test_windows)
{
  static const char *const methods[] = { "dycoke", "none", "random" };
  g_autofree char *launch = g_strdup_printf ("ternencoder gate=on model-path=\"%s\" mmproj-path=\"%s\" ! terncompressor "
      "method=%s ! terngenerator name=g model-path=\"%s\" mmproj-path=\"%s\" window=2000000000 prompt=what", model_path,
      mmproj_path, methods[__i__], model_path, mmproj_path);
  GstHarness *h = chain_harness (launch);
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  const char expected[] = ".uuu..uu";
  GstElement *generator;
  guint i, begun = fake_begun ();

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 4 * strlen (expected); i++)
    push_scene (h, "GRAY8", i, i < 18 ? 0 : 40);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  for (i = 0; i < strlen (expected); i++) {
    GstBuffer *buffer = pull_result (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), 2 * i * GST_SECOND);
    fail_unless_equals_string (result_string (buffer, "kind"), "caption");
    fail_unless_equals_string (result_string (buffer, "finish_reason"), expected[i] == 'u' ? "unchanged" : "stop");
    fail_unless_equals_string (result_string (buffer, "result"), "4 frames, what");
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (fake_begun () - begun, 3);
  generator = gst_bin_get_by_name (GST_BIN (h->element), "g");
  fail_unless_equals_uint64 (count (generator, "windows"), 8);
  fail_unless_equals_uint64 (count (generator, "repeated"), 5);
  gst_object_unref (generator);
  gst_harness_teardown (h);
}
GST_END_TEST

static double
number (GstElement *element, const char *what)
{
  GstStructure *stats;
  double x = -1;

  g_object_get (element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_double (stats, what, &x), "no %s", what);
  gst_structure_free (stats);
  return x;
}

/* Frames that are all new, and nearly nothing to spend: one is encoded after each silence, and the tokens of the others say how
 * much of them is new. The engine says that a frame costs .1 s. */
GST_START_TEST (test_budget)
{
  static const char *const modes[] = { "auto", "off", "on" };
  g_autofree char *launch = g_strdup_printf ("ternencoder budget=0.001 max-silence=5000000000 gate=%s", modes[__i__]);
  GstHarness *h;
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  GstBus *bus;
  guint i;

  g_setenv ("TERN_FAKE_COST_MS", "100", TRUE);
  h = file_harness (launch, "sink", "src");
  bus = watch (h->element);
  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 40; i++) {
    const Left left = { "deferred", MS (500) * i, 1 + i / 10, i - i / 10 };
    GstBuffer *buffer;
    const GstStructure *meta;
    guint64 picture = 0;
    double novelty = -1;

    push_scene (h, "GRAY8", i, i % 10 ? 40 + i % 3 * 50 : 0);
    buffer = gst_harness_pull (h);
    meta = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta"));
    gst_structure_get_uint64 (meta, "picture", &picture);
    gst_structure_get_double (meta, "novelty", &novelty);
    fail_unless_equals_uint64 (picture, 1 + i / 10);
    fail_unless (i == 0 || i % 10 == 0 || (novelty > .02 && novelty < .2), "frame %u: %g", i, novelty);
    if (i % 10)
      expect_left (bus, &left, 0);
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_uint64 (count (h->element, "deferred"), 36);
  fail_unless_equals_uint64 (count (h->element, "unchanged"), 0);
  fail_unless_equals_uint64 (count (h->element, "forced"), 3);
  fail_unless_equals_float (number (h->element, "spent-encoding"), 4 * .1);
  fail_unless_equals_float (number (h->element, "budget-rate"), .001);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_QOS), 0);
  unwatch (bus);
  gst_harness_teardown (h);
  g_unsetenv ("TERN_FAKE_COST_MS");
}
GST_END_TEST

/* Windows that are not worth an answer are told the last one; 0: by an account that the generator has for itself, 1: by that of
 * the encoder in front of it alone, which puts off the frames whose news they would tell. */
GST_START_TEST (test_budget_windows)
{
  g_autofree char *launch = g_strdup_printf (__i__ == 0
      ? "ternencoder gate=off model-path=\"%s\" mmproj-path=\"%s\" ! terncompressor ! terngenerator name=g budget=0.001 "
      "window=2000000000 prompt=what model-path=\"%s\" mmproj-path=\"%s\""
      : "ternencoder name=e budget=0.001 max-silence=0 model-path=\"%s\" mmproj-path=\"%s\" ! terncompressor ! terngenerator "
      "name=g window=2000000000 prompt=what model-path=\"%s\" mmproj-path=\"%s\"", model_path, mmproj_path, model_path,
      mmproj_path);
  const char *const expected = ".bbbb";
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i, begun = fake_begun ();
  GstElement *generator;
  GstHarness *h;

  g_setenv ("TERN_FAKE_COST_MS", "100", TRUE);
  h = chain_harness (launch);
  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 4 * strlen (expected); i++)
    push_scene (h, "GRAY8", i, i % 2 ? 40 : 0);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  for (i = 0; i < strlen (expected); i++) {
    GstBuffer *buffer = pull_result (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), 2 * i * GST_SECOND);
    fail_unless_equals_string (result_string (buffer, "finish_reason"), expected[i] == 'b' ? "budget" : "stop");
    fail_unless_equals_string (result_string (buffer, "result"), "4 frames, what");
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (fake_begun () - begun, 1);
  generator = gst_bin_get_by_name (GST_BIN (h->element), "g");
  fail_unless_equals_uint64 (count (generator, "windows"), 5);
  fail_unless_equals_uint64 (count (generator, "deferred"), 4);
  gst_object_unref (generator);
  gst_harness_teardown (h);
  g_unsetenv ("TERN_FAKE_COST_MS");
}
GST_END_TEST

/* The bin has the properties, and hands them on. */
GST_START_TEST (test_bin)
{
  GstElement *caption = gst_element_factory_make ("terncaption", NULL);

  fail_unless (caption != NULL);
  expect_value (caption, "gate", "auto");
  expect_value (caption, "gate-threshold", "6");
  expect_value (caption, "max-silence", "60000000000");
  expect_value (caption, "reuse", "off");
  expect_value (caption, "reuse-threshold", "4");
  expect_value (caption, "reuse-refresh", "16");
  expect_value (caption, "budget", "0");
  expect_value (caption, "budget-watts", "0");
  gst_util_set_object_arg (G_OBJECT (caption), "budget", "0.5");
  expect_value (caption, "budget", "0.5");
  gst_util_set_object_arg (G_OBJECT (caption), "reuse", "auto");
  expect_value (caption, "reuse", "auto");
  gst_util_set_object_arg (G_OBJECT (caption), "gate", "on");
  gst_util_set_object_arg (G_OBJECT (caption), "gate-threshold", "9");
  expect_value (caption, "gate", "on");
  expect_value (caption, "gate-threshold", "9");
  gst_object_unref (caption);
}
GST_END_TEST

/* Properties reach the encoder, and what it counts the statistics. */
GST_START_TEST (test_reuse)
{
  GstHarness *h = file_harness (__i__ ? "ternencoder gate=off reuse=on reuse-threshold=9 reuse-refresh=3" : "ternencoder gate=off",
      "sink", "src");
  g_autofree char *caps = caps_of ("GRAY8", SIDE);
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  for (i = 0; i < 7; i++) {
    push_scene (h, "GRAY8", i, 0);
    next_picture (h, NULL);
  }
  fail_unless_equals_uint64 (count (h->element, "patches-computed"), __i__ ? 7 * 9 : 0);
  fail_unless_equals_uint64 (count (h->element, "patches-reused"), __i__ ? 7 * 2 : 0);      /* "on" */
  fail_unless_equals_uint64 (count (h->element, "refreshes"), __i__ ? 3 : 0);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("gate");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_formats, 0, G_N_ELEMENTS (formats));
  tcase_add_test (tc, test_tells_unchanged);
  tcase_add_test (tc, test_tells_pairs);
  tcase_add_test (tc, test_off);
  tcase_add_test (tc, test_auto);
  tcase_add_test (tc, test_max_silence);
  tcase_add_loop_test (tc, test_threshold, 0, 2);
  tcase_add_loop_test (tc, test_begins_anew, 0, 5);
  tcase_add_loop_test (tc, test_reuse, 0, 2);
  tcase_add_loop_test (tc, test_windows, 0, 3);
  tcase_add_loop_test (tc, test_budget, 0, 3);
  tcase_add_loop_test (tc, test_budget_windows, 0, 2);
  tcase_add_test (tc, test_bin);
  return run_suite (suite);
}
