/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <string.h>

#define TEXT_CAPS "text/x-raw, format = utf8"

static const guint8 key[16] = { 6, 14, 43, 52, 2, 11, 1, 1, 15, 'T', 'E', 'R', 'N', 1, 1, 0 };

/* ---- A reader, by docs/klv.md ---- */

typedef struct
{
  GBytes *value[128];
  guint order[128], n;          /* the tags, as they came */
} Packet;

static gsize
read_length (const guint8 *data, gsize size, gsize *at)
{
  gsize length = 0;
  guint n;

  fail_unless (*at < size);
  n = data[(*at)++];
  if (n < 128)
    return n;
  for (n &= 127; n > 0; n--) {
    fail_unless (*at < size);
    length = length << 8 | data[(*at)++];
  }
  return length;
}

static void
read_packet (Packet *packet, GstBuffer *buffer)
{
  gsize at = sizeof key, length, i;
  guint16 sum = 0;
  GstMapInfo map;

  memset (packet, 0, sizeof *packet);
  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  fail_unless (map.size > 20 && memcmp (map.data, key, sizeof key) == 0);
  length = read_length (map.data, map.size, &at);
  fail_unless_equals_uint64 (at + length, map.size);
  while (at < map.size) {
    guint8 tag = map.data[at++];

    fail_unless (tag < 128 && !packet->value[tag]);
    length = read_length (map.data, map.size, &at);
    fail_unless (length <= map.size - at);
    packet->value[tag] = g_bytes_new (map.data + at, length);
    packet->order[packet->n++] = tag;
    at += length;
  }
  fail_unless_equals_int (packet->order[packet->n - 1], 1);
  for (i = 0; i + 2 < map.size; i++)
    sum += i % 2 ? map.data[i] : map.data[i] << 8;
  fail_unless_equals_int (sum,
      map.data[map.size - 2] << 8 | map.data[map.size - 1]);
  gst_buffer_unmap (buffer, &map);
}

static void
clear_packet (Packet *packet)
{
  guint i;

  for (i = 0; i < 128; i++)
    g_clear_pointer (&packet->value[i], g_bytes_unref);
}

static guint64
get_number (const Packet *packet, guint tag)
{
  gsize size, i;
  const guint8 *data;
  guint64 number = 0;

  fail_unless (packet->value[tag] != NULL, "no tag %u", tag);
  data = g_bytes_get_data (packet->value[tag], &size);
  fail_unless (size >= 1 && size <= 8);
  for (i = 0; i < size; i++)
    number = number << 8 | data[i];
  return number;
}

static void
expect_text (const Packet *packet, guint tag, const char *text)
{
  gsize size;
  const char *data;

  fail_unless (packet->value[tag] != NULL, "no tag %u", tag);
  data = g_bytes_get_data (packet->value[tag], &size);
  fail_unless (size == strlen (text) && memcmp (data, text, size) == 0, "tag %u: %.*s", tag, (int) size, data);
}

static void
expect_bytes (const Packet *packet, guint tag, const void *bytes, gsize n)
{
  gsize size;
  const void *data;

  fail_unless (packet->value[tag] != NULL, "no tag %u", tag);
  data = g_bytes_get_data (packet->value[tag], &size);
  fail_unless (size == n && memcmp (data, bytes, n) == 0, "tag %u", tag);
}

/* ---- Results ---- */

static GstBuffer *
make_text (guint64 id, const char *text, const char *more)
{
  GstBuffer *buffer = *text ? gst_buffer_new_memdup (text, strlen (text)) : gst_buffer_new ();
  GstStructure *structure = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "TernResultMeta"));
  g_autofree char *fields = g_strdup_printf ("result, %s", more);
  GstStructure *others = gst_structure_from_string (fields, NULL);
  int i;

  fail_unless (others != NULL, "%s", fields);
  gst_structure_set (structure, "version", G_TYPE_UINT, 1, "kind", G_TYPE_STRING, "caption", "id", G_TYPE_UINT64, id,
      "result", G_TYPE_STRING, text, "timestamp", G_TYPE_UINT64, id * GST_SECOND, "end", G_TYPE_DOUBLE, id + 1.0,
      "prompt_id", G_TYPE_STRING, "7", "confidence", G_TYPE_DOUBLE, -1.0, NULL);
  for (i = 0; i < gst_structure_n_fields (others); i++)
    gst_structure_set_value (structure, gst_structure_nth_field_name (others, i),
        gst_structure_get_value (others, gst_structure_nth_field_name (others, i)));
  gst_structure_free (others);
  GST_BUFFER_PTS (buffer) = id * GST_SECOND;
  GST_BUFFER_DURATION (buffer) = GST_SECOND;
  return buffer;
}

static GstHarness *
start (const char *caps)
{
  GstHarness *h = file_harness ("ternklvenc", "sink", "src");

  gst_harness_set_src_caps_str (h, caps);
  return h;
}

/* What the generator itself says, as text and as JSON. */
GST_START_TEST (test_generator)
{
  GstHarness *g = start_generator ("terngenerator name=g prompt=\"Who is there?\"");
  GstHarness *json = gst_harness_new_with_element (g->element, NULL, "json_src");
  GstHarness *h[2] = { start (TEXT_CAPS), start ("application/x-json") };
  guint i;

  push_tokens (g, 0, 16);
  for (i = 0; i < 4; i++) {
    GstBuffer *in = pull_result (i % 2 ? json : g), *out;
    Packet packet;

    out = gst_harness_push_and_pull (h[i % 2], gst_buffer_ref (in));
    read_packet (&packet, out);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (out), GST_BUFFER_PTS (in));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (out), GST_BUFFER_DURATION (in));
    fail_unless_equals_uint64 (get_number (&packet, 3), 1);
    expect_text (&packet, 4, result_string (in, "kind"));
    fail_unless_equals_uint64 (get_number (&packet, 5), i / 2);
    expect_text (&packet, 6, result_string (in, "result"));
    expect_text (&packet, 7, result_string (in, "prompt_id"));
    fail_unless_equals_uint64 (get_number (&packet, 8), GST_BUFFER_PTS (in));
    fail_unless_equals_uint64 (get_number (&packet, 9), GST_BUFFER_PTS (in) + GST_BUFFER_DURATION (in));
    expect_text (&packet, 20, result_string (in, "source"));
    expect_text (&packet, 21, result_string (in, "model"));
    expect_text (&packet, 22, result_string (in, "finish_reason"));
    fail_unless (!packet.value[2] && !packet.value[11] && !packet.value[14]);
    clear_packet (&packet);
    gst_buffer_unref (in);
    gst_buffer_unref (out);
  }
  for (i = 0; i < 2; i++) {
    g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h[i]->sinkpad);
    g_autofree char *string = gst_caps_to_string (caps);

    fail_unless_equals_string (string, "meta/x-klv, parsed=(boolean)true");
    gst_harness_teardown (h[i]);
  }
  gst_harness_teardown (json);
  gst_harness_teardown (g);
}
GST_END_TEST

/* Bytes by hand from the formats: IEEE 754, big endian. */
GST_START_TEST (test_fields)
{
  static const guint8 labels[] = { 2, 'j', 'a', 5, 'n', 0xc3, 0xa4, '!', '?' };
  static const guint8 scores[] = { 0x3f, 0x40, 0, 0, 0x3e, 0x80, 0, 0 };
  static const guint8 actions[] = { 0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0, 0, 0, 0, 0, 0x41, 0x80, 0, 0 };
  static const guint8 rate[] = { 0x40, 0x3e, 0, 0, 0, 0, 0, 0 };
  static const guint8 half[] = { 0x3f, 0xe0, 0, 0, 0, 0, 0, 0 };
  GstHarness *h = start (TEXT_CAPS);
  GstBuffer *out;
  Packet packet;
  guint i;

  out = gst_harness_push_and_pull (h, make_text (3, "ja", "kind=answer, utc=(guint64)1700000000123456789, "
          "confidence=0.5, labels=<ja, \"n\303\244!?\">, scores=<0.75, 0.25>, abstained=true, ask_id=(guint64)9, "
          "actions=<1.0, -2.5, 0.0, 16.0>, action_steps=(uint)2, action_rate=30.0, action_space=arm, action_names=<x, y>"));
  read_packet (&packet, out);
  fail_unless_equals_int (packet.order[0], 2);
  for (i = 1; i + 1 < packet.n; i++)
    fail_unless (packet.order[i] > 2);
  fail_unless_equals_uint64 (get_number (&packet, 2), 1700000000123456);
  expect_text (&packet, 4, "answer");
  expect_bytes (&packet, 10, half, sizeof half);
  expect_bytes (&packet, 11, labels, sizeof labels);
  expect_bytes (&packet, 12, scores, sizeof scores);
  fail_unless_equals_uint64 (get_number (&packet, 13), 1);
  expect_bytes (&packet, 14, actions, sizeof actions);
  fail_unless_equals_uint64 (get_number (&packet, 15), 2);
  expect_bytes (&packet, 16, rate, sizeof rate);
  expect_text (&packet, 17, "arm");
  expect_text (&packet, 18, "\001x\001y");
  fail_unless_equals_uint64 (get_number (&packet, 19), 9);
  clear_packet (&packet);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Lengths around the ends of the short form and of one and two bytes, and one that a transport stream cannot carry. */
GST_START_TEST (test_lengths)
{
  static const guint lengths[] = { 0, 1, 126, 127, 128, 255, 256, 1000, 64000 };
  GstHarness *h = start (TEXT_CAPS);
  GstBus *bus = watch (h->element);
  g_autofree char *text = g_strnfill (70000, 'x');
  GstEvent *event;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (lengths); i++) {
    g_autofree char *part = g_strndup (text, lengths[i]);
    GstBuffer *out = gst_harness_push_and_pull (h, make_text (i, part, "kind=caption"));
    Packet packet;

    read_packet (&packet, out);
    if (lengths[i] > 0)
      expect_text (&packet, 6, part);
    else
      fail_unless (!packet.value[6]);
    clear_packet (&packet);
    gst_buffer_unref (out);
  }
  while ((event = gst_harness_try_pull_event (h)))
    gst_event_unref (event);
  fail_unless_equals_int (gst_harness_push (h, make_text (i, text, "kind=caption")), GST_FLOW_OK);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  event = gst_harness_pull_event (h);
  fail_unless_equals_int (GST_EVENT_TYPE (event), GST_EVENT_GAP);
  gst_event_unref (event);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  gst_harness_teardown (h);
  gst_object_unref (bus);
}
GST_END_TEST

/* A buffer with results of two sources makes two packets. */
GST_START_TEST (test_two_sources)
{
  GstHarness *h = start (TEXT_CAPS);
  GstBuffer *both = make_text (0, "one", "kind=caption"), *other = make_text (0, "two", "kind=caption"), *out;
  Packet packet;

  gst_structure_set (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (other, "TernResultMeta")), "source",
      G_TYPE_STRING, "another", NULL);
  gst_buffer_copy_into (both, other, GST_BUFFER_COPY_META, 0, -1);
  gst_buffer_unref (other);
  fail_unless_equals_int (gst_harness_push (h, both), GST_FLOW_OK);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  out = gst_harness_pull (h);
  read_packet (&packet, out);
  expect_text (&packet, 6, "one");
  clear_packet (&packet);
  gst_buffer_unref (out);
  out = gst_harness_pull (h);
  read_packet (&packet, out);
  expect_text (&packet, 6, "two");
  clear_packet (&packet);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A buffer without a result makes no packet, and neither does a meta of that name that is none; muxers hear of both. */
GST_START_TEST (test_without_result)
{
  GstHarness *h = start (TEXT_CAPS);
  GstBus *bus = watch (h->element);
  GstEvent *event;
  GstBuffer *buffer;
  guint i;

  while ((event = gst_harness_try_pull_event (h)))
    gst_event_unref (event);
  for (i = 0; i < 2; i++) {
    buffer = gst_buffer_new_memdup ("text", 4);
    GST_BUFFER_PTS (buffer) = i;
    if (i == 1)
      gst_buffer_add_custom_meta (buffer, "TernResultMeta");
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
    event = gst_harness_pull_event (h);
    fail_unless_equals_int (GST_EVENT_TYPE (event), GST_EVENT_GAP);
    gst_event_unref (event);
    fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), i);
  }
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  gst_harness_teardown (h);
  gst_object_unref (bus);
}
GST_END_TEST

/* ---- A transport stream ---- */

static void
run_to_end (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);

  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_object_unref (bus);
}

static void
write_stream (const char *path)
{
  g_autofree char *launch = g_strdup_printf ("audiotestsrc samplesperbuffer=960 num-buffers=250 "
      "! audio/x-raw, rate=48000 ! opusenc ! queue ! mpegtsmux name=m ! filesink location=\"%s\" "
      "appsrc name=in format=time caps=\"" TEXT_CAPS "\" ! ternklvenc ! queue ! m.", path);
  GstElement *pipeline = gst_parse_launch (launch, NULL);
  GstElement *in = gst_bin_get_by_name (GST_BIN (pipeline), "in");
  g_autofree char *text = g_strnfill (60000, 'y');
  guint i;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 5; i++) {
    GstBuffer *buffer = i == 2 ? gst_buffer_new () : make_text (i, i == 3 ? text : "A dog runs.", "kind=caption");

    GST_BUFFER_PTS (buffer) = i * GST_SECOND;
    fail_unless_equals_int (gst_app_src_push_buffer (GST_APP_SRC (in), buffer), GST_FLOW_OK);
  }
  gst_app_src_end_of_stream (GST_APP_SRC (in));
  run_to_end (pipeline);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (in);
  gst_object_unref (pipeline);
}

/* Muxed beside a stream with a clock and read back: the same packets, also one of 60 kB, a second apart. */
GST_START_TEST (test_transport_stream)
{
  g_autofree char *folder = g_dir_make_tmp ("tern-klv-XXXXXX", NULL), *path = g_build_filename (folder, "out.ts", NULL);
  g_autofree char *launch = g_strdup_printf ("filesrc location=\"%s\" ! tsdemux ! meta/x-klv ! appsink name=out sync=false", path);
  static const guint ids[] = { 0, 1, 3, 4 };
  GstElement *pipeline, *out;
  GstClockTime begin = 0;
  guint i;

  write_stream (path);
  pipeline = gst_parse_launch (launch, NULL);
  out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    g_autoptr (GstSample) sample = gst_app_sink_pull_sample (GST_APP_SINK (out));
    GstClockTime pts;
    Packet packet;

    fail_unless (sample != NULL, "no packet %u", i);
    pts = GST_BUFFER_PTS (gst_sample_get_buffer (sample));
    if (i == 0)
      begin = pts;
    fail_unless (ABS ((gint64) (pts - begin) - (gint64) (ids[i] * GST_SECOND)) < (gint64) GST_MSECOND);
    read_packet (&packet, gst_sample_get_buffer (sample));
    fail_unless_equals_uint64 (get_number (&packet, 5), ids[i]);
    if (ids[i] != 3)
      expect_text (&packet, 6, "A dog runs.");
    else
      fail_unless_equals_uint64 (g_bytes_get_size (packet.value[6]), 60000);
    clear_packet (&packet);
  }
  fail_unless (gst_app_sink_pull_sample (GST_APP_SINK (out)) == NULL);
  fail_unless (gst_app_sink_is_eos (GST_APP_SINK (out)));
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (out);
  gst_object_unref (pipeline);
  g_unlink (path);
  g_rmdir (folder);
}
GST_END_TEST

static gboolean
has_element (const char *name)
{
  GstElementFactory *factory = gst_element_factory_find (name);
  gboolean found = factory != NULL;

  gst_clear_object (&factory);
  return found;
}

int
main (void)
{
  Suite *suite = suite_create ("ternklvenc");
  TCase *tc = tcase_create ("general");

  gst_init (NULL, NULL);
  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_generator);
  tcase_add_test (tc, test_fields);
  tcase_add_test (tc, test_lengths);
  tcase_add_test (tc, test_two_sources);
  tcase_add_test (tc, test_without_result);
  if (has_element ("mpegtsmux") && has_element ("tsdemux") && has_element ("opusenc"))
    tcase_add_test (tc, test_transport_stream);
  else
    g_print ("# SKIP the transport stream: there is no mpegtsmux, tsdemux or opusenc\n");
  return run_suite (suite);
}
