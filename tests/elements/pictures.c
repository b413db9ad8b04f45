/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which pixels ternencoder hands to libtern, and what it says of them. */
#include "harness.h"

#include <string.h>

/* One of the numbers that the fake encoder makes of a picture. */
enum { WIDTH = 1, HEIGHT, ORIENTATION, ASPECT, TRANSFER };

static float
seen (GstBuffer *buffer, guint what)
{
  float value;

  fail_unless (buffer != NULL);
  gst_buffer_extract (buffer, what * sizeof (float), &value, sizeof value);
  return value;
}

static void
push_tag (GstHarness *h, const char *orientation, GstTagScope scope)
{
  GstTagList *tags = gst_tag_list_new (GST_TAG_TITLE, "x", NULL);

  if (orientation)
    gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_TAG_IMAGE_ORIENTATION, orientation, NULL);
  gst_tag_list_set_scope (tags, scope);
  fail_unless (gst_harness_push_event (h, gst_event_new_tag (tags)));
}

static guint frame_second;

static guint
orientation_of_next (GstHarness *h)
{
  GstBuffer *buffer = gst_harness_push_and_pull (h, make_frame (frame_second++ * GST_SECOND, MS (100), 0));
  guint orientation = (guint) seen (buffer, ORIENTATION);

  gst_buffer_unref (buffer);
  return orientation;
}

/* Tags come at any time; those of the stream count more; another stream has its own. */
GST_START_TEST (test_orientation)
{
  static const char *const names[] = { "rotate-0", "flip-rotate-0", "rotate-180", "flip-rotate-180", "flip-rotate-270",
    "rotate-90", "flip-rotate-90", "rotate-270" };
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  guint i;

  frame_second = 0;
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_unless_equals_int (orientation_of_next (h), 0);
  push_tag (h, "rotate-180", GST_TAG_SCOPE_GLOBAL);
  fail_unless_equals_int (orientation_of_next (h), 3);
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    push_tag (h, names[i], GST_TAG_SCOPE_STREAM);
    fail_unless_equals_int (orientation_of_next (h), i + 1);
  }
  push_tag (h, "rotate-90", GST_TAG_SCOPE_GLOBAL);
  push_tag (h, NULL, GST_TAG_SCOPE_STREAM);
  fail_unless_equals_int (orientation_of_next (h), 8);
  fail_unless (gst_harness_push_event (h, gst_event_new_stream_start ("another")));
  {
    GstSegment segment;

    gst_segment_init (&segment, GST_FORMAT_TIME);
    fail_unless (gst_harness_push_event (h, gst_event_new_segment (&segment)));
  }
  fail_unless_equals_int (orientation_of_next (h), 0);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Behind videoflip nothing is turned twice. */
GST_START_TEST (test_orientation_behind_videoflip)
{
  GstHarness *h = chain_harness ("videoflip video-direction=auto ! ternencoder");

  frame_second = 0;
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tag (h, "rotate-90", GST_TAG_SCOPE_STREAM);
  fail_unless_equals_int (orientation_of_next (h), 1);
  fail_unless_equals_int (orientation_of_next (h), 1);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Shape of the pixels, fields of their own, curves of light. */
GST_START_TEST (test_shape_and_curve)
{
  static const struct {
    const char *caps;
    guint bytes;
    float height, aspect, transfer;
  } cases[] = {
    { "video/x-raw, format=GRAY8, width=16, height=16, framerate=10/1", 256, 16, 1, 0 },
    { "video/x-raw, format=GRAY8, width=16, height=16, framerate=10/1, pixel-aspect-ratio=16/15", 256, 16, 16 / 15.0f, 0 },
    { "video/x-raw, format=GRAY8, width=16, height=16, framerate=10/1, interlace-mode=interleaved", 256, 16, 1, 0 },
    { "video/x-raw(format:Interlaced), format=GRAY8, width=16, height=16, framerate=10/1, interlace-mode=alternate", 128, 8,
        0.5f, 0 },
    { "video/x-raw(format:Interlaced), format=GRAY8, width=16, height=15, framerate=10/1, interlace-mode=alternate, "
        "pixel-aspect-ratio=4/3", 128, 8, 2 / 3.0f, 0 },
    { "video/x-raw, format=I420, width=16, height=16, framerate=10/1, colorimetry=bt2100-pq", 384, 16, 1, 1 },
    { "video/x-raw, format=I420, width=16, height=16, framerate=10/1, colorimetry=bt2100-hlg", 384, 16, 1, 2 },
    { "video/x-raw, format=I420, width=16, height=16, framerate=10/1, colorimetry=bt2020", 384, 16, 1, 0 },
  };
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, cases[i].bytes, NULL);

    gst_buffer_memset (buffer, 0, 0, cases[i].bytes);
    GST_BUFFER_PTS (buffer) = i * GST_SECOND;
    gst_harness_set_src_caps_str (h, cases[i].caps);
    buffer = gst_harness_push_and_pull (h, buffer);
    fail_unless (seen (buffer, WIDTH) == 16 && seen (buffer, HEIGHT) == cases[i].height
        && seen (buffer, ASPECT) == cases[i].aspect && seen (buffer, TRANSFER) == cases[i].transfer, "%s: %g x %g, %g, %g",
        cases[i].caps, seen (buffer, WIDTH), seen (buffer, HEIGHT), seen (buffer, ASPECT), seen (buffer, TRANSFER));
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* Samples of 10 bits become bytes with the same mean. */
GST_START_TEST (test_ten_bits)
{
  GstHarness *h = file_harness ("ternencoder frame-rate=0/1", "sink", "src");
  const gboolean high = __i__ == 1;
  guint value;

  gst_harness_set_src_caps_str (h, high ? "video/x-raw, format=P010_10LE, width=16, height=16, framerate=10/1" :
      "video/x-raw, format=I420_10LE, width=16, height=16, framerate=10/1");
  for (value = 0; value < 1020; value += 7) {
    guint16 samples[384];
    GstBuffer *buffer;
    guint i;

    for (i = 0; i < G_N_ELEMENTS (samples); i++)
      samples[i] = GUINT16_TO_LE (high ? value << 6 : value);
    buffer = gst_buffer_new_memdup (samples, sizeof samples);
    GST_BUFFER_PTS (buffer) = MS (100) * value;
    buffer = gst_harness_push_and_pull (h, buffer);
    fail_unless (seen (buffer, 0) == value / 4.0f, "%u: %g", value, seen (buffer, 0));
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* PQ that videoconvert made 8 bits of is still PQ. */
GST_START_TEST (test_curve_behind_videoconvert)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=1 ! capsfilter caps=video/x-raw,format=I420_10LE,"
      "width=64,height=64,framerate=1/1,colorimetry=bt2100-pq ! videoconvert ! video/x-raw,format=I420 ! ternencoder name=e ! "
      "fakesink name=s", NULL);
  GstElement *encoder = gst_bin_get_by_name (GST_BIN (pipeline), "e");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstPad *pad = gst_element_get_static_pad (encoder, "sink");
  GstMessage *message;
  GstVideoInfo info;
  GstCaps *caps;

  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  message = wait_message (bus, GST_MESSAGE_ASYNC_DONE | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_ASYNC_DONE);
  gst_message_unref (message);
  caps = gst_pad_get_current_caps (pad);
  fail_unless (gst_video_info_from_caps (&info, caps));
  fail_unless_equals_int (info.colorimetry.transfer, GST_VIDEO_TRANSFER_SMPTE2084);
  gst_caps_unref (caps);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pad);
  gst_object_unref (bus);
  gst_object_unref (encoder);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* Memory that the CPU cannot read as it is is refused when caps are negotiated. */
GST_START_TEST (test_memory)
{
  static const struct {
    const char *features;
    gboolean taken;
  } cases[] = {
    { "", TRUE }, { "(memory:SystemMemory)", TRUE }, { "(memory:SystemMemory, meta:GstVideoOverlayComposition)", TRUE },
    { "(memory:NVMM)", FALSE }, { "(memory:CUDAMemory)", FALSE }, { "(memory:GLMemory)", FALSE },
    { "(memory:VAMemory)", FALSE }, { "(memory:D3D11Memory)", FALSE }, { "(memory:DMABuf)", FALSE },
    { "(memory:DMABuf, meta:GstVideoOverlayComposition)", FALSE },
  };
  GstElement *element = gst_element_factory_make ("ternencoder", NULL);
  GstPad *pad = gst_element_get_static_pad (element, "sink");
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = g_strdup_printf ("video/x-raw%s, format=NV12, width=16, height=16, framerate=10/1",
        cases[i].features);
    GstCaps *caps = gst_caps_from_string (text);

    fail_unless (caps != NULL);
    fail_unless_equals_int (gst_pad_query_accept_caps (pad, caps), cases[i].taken);
    gst_caps_unref (caps);
  }
  gst_object_unref (pad);
  gst_object_unref (element);
}
GST_END_TEST

static const char *const malformed[] = { "short", "empty", "format", "small", "offset", "stride", "negative" };

/* A buffer that holds less than the caps, or its meta, say. */
static GstBuffer *
make_malformed (const char *how, GstClockTime pts)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 384, NULL);
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0, 256, 320 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 16, 8, 8 };

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = MS (500);
  if (g_str_equal (how, "short") || g_str_equal (how, "empty")) {
    gst_buffer_set_size (buffer, how[0] == 's' ? 383 : 0);
  } else if (g_str_equal (how, "format")) {
    gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_NV12, 16, 16, 2, offset, stride);
  } else if (g_str_equal (how, "small")) {
    gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_I420, 8, 16, 3, offset, stride);
  } else {
    GstVideoMeta *meta = gst_buffer_add_video_meta_full (buffer, 0, GST_VIDEO_FORMAT_I420, 16, 16, 3, offset, stride);

    if (g_str_equal (how, "offset"))
      meta->offset[2] = 321;
    else
      meta->stride[1] = how[0] == 's' ? 1000 : -8;
    if (how[0] == 'n')
      meta->offset[1] = 40;
  }
  return buffer;
}

static GstBuffer *
make_whole (GstClockTime pts)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 384, NULL);

  gst_buffer_memset (buffer, 0, 128, 384);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = MS (500);
  return buffer;
}

#define I420_CAPS "video/x-raw, format = I420, width = 16, height = 16, framerate = 2/1"

/* One of many, the first one or another, is not looked at; the others are. */
GST_START_TEST (test_malformed)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, I420_CAPS);
  for (i = 0; i < 12; i++) {
    gboolean whole = i != 0 && i != 5;
    GstClockTime pts = i * MS (500);
    GstBuffer *out;

    fail_unless_equals_int (gst_harness_push (h, whole ? make_whole (pts) : make_malformed (malformed[__i__], pts)), GST_FLOW_OK);
    if (!whole)
      continue;
    out = gst_harness_pull (h);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (out), pts);
    gst_buffer_unref (out);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  g_free (events_until (h, GST_EVENT_EOS));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 2);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* All of them are a fault of the stream: of a long one at once, of a short one at its end. */
GST_START_TEST (test_all_malformed)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);
  GstFlowReturn flow = GST_FLOW_OK;
  guint i, n = __i__ ? 1000 : 3;

  gst_harness_set_src_caps_str (h, I420_CAPS);
  for (i = 0; i < n && flow == GST_FLOW_OK; i++)
    flow = gst_harness_push (h, make_malformed ("short", i * MS (500)));
  fail_unless_equals_int (flow, __i__ ? GST_FLOW_ERROR : GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect_error (bus, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_ERROR), 0);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is marked as no frame at all needs no warning. */
GST_START_TEST (test_empty_gap)
{
  GstHarness *h = file_harness ("ternencoder", "sink", "src");
  GstBus *bus = watch (h->element);
  GstBuffer *gap = gst_buffer_new ();

  gst_harness_set_src_caps_str (h, I420_CAPS);
  gst_harness_push (h, make_whole (0));
  gst_buffer_unref (gst_harness_pull (h));
  GST_BUFFER_PTS (gap) = MS (500);
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  fail_unless_equals_int (gst_harness_push (h, gap), GST_FLOW_OK);
  gst_harness_push (h, make_whole (MS (1000)));
  gst_buffer_unref (gst_harness_pull (h));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

static const char *const formats[] = { "RGB", "BGR", "RGBx", "BGRx", "RGBA", "BGRA", "GRAY8", "I420", "NV12", "I420_10LE",
  "P010_10LE" };

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
  for (i = 1; GST_VIDEO_INFO_FORMAT (&info) == GST_VIDEO_FORMAT_I420_10LE && i < info.size; i += 2)
    data[i] = i / 600;          /* the upper two bits */
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

static GstPadProbeReturn
note_layout (GstPad *pad, GstPadProbeInfo *info, gpointer layout)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (GST_PAD_PROBE_INFO_BUFFER (info));

  fail_unless (meta != NULL);
  *(GstVideoMeta *) layout = *meta;
  return GST_PAD_PROBE_OK;
}

static void
watch_what_is_looked_at (GstElement *caption, GstVideoMeta *layout)
{
  g_autoptr (GstIterator) all = gst_bin_iterate_recurse (GST_BIN (caption));
  g_auto (GValue) item = G_VALUE_INIT;
  GstPad *pad = NULL;

  while (!pad && gst_iterator_next (all, &item) == GST_ITERATOR_OK) {
    pad = gst_element_get_static_pad (g_value_get_object (&item), "look_src");
    g_value_reset (&item);
  }
  fail_unless (pad != NULL);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, note_layout, layout, NULL);
  gst_object_unref (pad);
}

/* What terncaption looks at says where its rows and planes are, be it the frame or, of a live source, a copy; also of the copy in the
 * memory of the one before, and of frames in two pieces of memory. */
GST_START_TEST (test_copied_strides)
{
  gboolean live = __i__ == 1;
  GstHarness *h = live ? gst_harness_new_with_padnames ("terncaption", "sink", "src") : file_harness ("terncaption", "sink", "src");
  gsize offset[GST_VIDEO_MAX_PLANES] = { 7, 7 + 64 * 12, 7 + 64 * 12 + 32 * 8 };
  gint stride[GST_VIDEO_MAX_PLANES] = { 64, 32, 32 };
  GstVideoMeta layout;
  guint i, plane;

  watch_what_is_looked_at (h->element, &layout);
  gst_harness_set_src_caps_str (h, "video/x-raw, format = I420, width = 18, height = 10, framerate = 10/1");
  for (i = 0; i < 3; i++) {
    GstBuffer *frame = gst_buffer_new_allocate (NULL, 2000, NULL);

    gst_buffer_memset (frame, 0, 60 * i, 2000);
    if (i == 2)
      gst_buffer_append_memory (frame, gst_allocator_alloc (NULL, 100, NULL));
    stride[0] -= i;
    gst_buffer_add_video_meta_full (frame, 0, GST_VIDEO_FORMAT_I420, 18, 10, 3, offset, stride);
    GST_BUFFER_PTS (frame) = i * GST_SECOND;
    memset (&layout, 0, sizeof layout);
    gst_buffer_unref (gst_harness_push_and_pull (h, frame));
    for (plane = 0; plane < 3; plane++) {
      fail_unless_equals_uint64 (layout.offset[plane], offset[plane]);
      fail_unless_equals_int (layout.stride[plane], stride[plane]);
    }
  }
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ternencoder-pictures");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_strides, 0, G_N_ELEMENTS (formats));
  tcase_add_loop_test (tc, test_copied_strides, 0, 2);
  tcase_add_test (tc, test_orientation);
  tcase_add_test (tc, test_orientation_behind_videoflip);
  tcase_add_test (tc, test_shape_and_curve);
  tcase_add_loop_test (tc, test_ten_bits, 0, 2);
  tcase_add_test (tc, test_curve_behind_videoconvert);
  tcase_add_test (tc, test_memory);
  tcase_add_loop_test (tc, test_malformed, 0, G_N_ELEMENTS (malformed));
  tcase_add_loop_test (tc, test_all_malformed, 0, 2);
  tcase_add_test (tc, test_empty_gap);
  return run_suite (suite);
}
