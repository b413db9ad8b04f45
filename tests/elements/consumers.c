/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What others make of what leaves: files are written by GStreamer's own elements and read back. Three windows of four seconds,
 * "8 frames, hello" each. */
#include "harness.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <string.h>

#define CUE "8 frames, hello"
#define CUES 3
#define FRAMES 300
#define SOURCE "videotestsrc num-buffers=300 pattern=black ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 ! " \
    "terncaption name=c prompt=hello "

static char *folder;

static gboolean
have (const char *elements)
{
  g_auto (GStrv) names = g_strsplit (elements, " ", -1);

  for (guint i = 0; names[i]; i++) {
    GstElementFactory *factory = gst_element_factory_find (names[i]);

    if (!factory) {
      g_print ("# skipped: no %s\n", names[i]);
      return FALSE;
    }
    gst_object_unref (factory);
  }
  return TRUE;
}

/* One that there is; without pictures that come before others. */
static const char *
h264_encoder (void)
{
  GstElementFactory *factory = gst_element_factory_find ("x264enc");

  if (!factory)
    return "openh264enc";
  gst_object_unref (factory);
  return "x264enc tune=zerolatency";
}

static gboolean
have_h264_encoder (void)
{
  return have (g_str_has_prefix (h264_encoder (), "x264enc") ? "x264enc h264parse" : "openh264enc h264parse");
}

static GstElement *
launch (const char *format, ...)
{
  g_autofree char *text = NULL;
  GstElement *pipeline;
  GError *error = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  pipeline = gst_parse_launch (text, &error);
  fail_unless (pipeline && !error, "%s: %s", text, error ? error->message : "");
  return pipeline;
}

static void
play (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_autoptr (GError) error = NULL;
    g_autofree char *debug = NULL;

    gst_message_parse_error (message, &error, &debug);
    fail ("%s (%s)", error->message, debug);
  }
  gst_message_unref (message);
  gst_object_unref (bus);
}

static void
stop (GstElement *pipeline)
{
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

static char *
path_of (const char *name)
{
  return g_build_filename (folder, name, NULL);
}

static char *
read_and_remove (const char *name)
{
  g_autofree char *path = path_of (name);
  char *text;

  fail_unless (g_file_get_contents (path, &text, NULL, NULL), "%s was not written", name);
  g_unlink (path);
  return text;
}

/* ---- Subtitle files ---- */

static const struct {
  const char *encoder, *format;
} subtitles[] = {
  { "srtenc", "00:00:%02u,000 --> 00:00:%02u,000\n" CUE },
  { "webvttenc", "00:00:%02u.000 --> 00:00:%02u.000\n" CUE },
};

/* Where the next @what is in @text behind @from; ends up behind all when there is none. */
static G_GNUC_NO_INLINE gsize
find (const char *text, gsize from, const char *what)
{
  const char *at = strstr (text + from, what);

  return at ? (gsize) (at - text) : strlen (text);
}

GST_START_TEST (test_subtitles)
{
  const char *encoder = subtitles[__i__].encoder;
  char *path = path_of ("subtitles"), *text;
  GstElement *pipeline;
  gsize at = 0;
  guint n = 0;

  if (!have (encoder))
    return;
  pipeline = launch (SOURCE "! fakesink c.text_src ! queue ! %s ! filesink location=\"%s\"", encoder, path);
  play (pipeline);
  stop (pipeline);
  text = read_and_remove ("subtitles");
  while (text[at = find (text, at, "-->")]) {
    at++;
    n++;
  }
  fail_unless_equals_int (n, CUES);
  for (at = n = 0; n < CUES; n++) {
    char *cue = g_strdup_printf (subtitles[__i__].format, 4 * n, 4 * n + 4);

    at = find (text, at, cue);
    fail_unless (text[at] != 0, "no cue %s in %s", cue, text);
    g_free (cue);
  }
  g_free (text);
  g_free (path);
}
GST_END_TEST

/* ---- Muxers ---- */

static const struct {
  const char *elements, *mux, *demux;
  guint late;                   /* ms by which cues may be, see docs/elements.md */
} muxers[] = {
  { "matroskamux matroskademux", "matroskamux", "matroskademux", 0 },
  { "mp4mux qtdemux", "mp4mux", "qtdemux", 250 },
  { "mp4mux qtdemux", "mp4mux fragment-duration=1000", "qtdemux", 250 },
  { "qtmux qtdemux", "qtmux", "qtdemux", 250 },
};

GST_START_TEST (test_muxers)
{
  g_autofree char *path = path_of ("muxed");
  guint cues = 0, frames = 0;
  GstElement *pipeline, *text, *video;
  GstSample *sample;

  if (!have (muxers[__i__].elements) || !have_h264_encoder ())
    return;
  pipeline = launch (SOURCE "! %s ! h264parse ! queue ! m. c.text_src ! queue ! m. %s name=m ! filesink location=\"%s\"",
      h264_encoder (), muxers[__i__].mux, path);
  play (pipeline);
  stop (pipeline);

  pipeline = launch ("filesrc location=\"%s\" ! %s name=d d.subtitle_0 ! queue max-size-time=0 ! appsink name=t sync=false "
      "d.video_0 ! queue max-size-time=0 ! appsink name=v sync=false", path, muxers[__i__].demux);
  text = gst_bin_get_by_name (GST_BIN (pipeline), "t");
  video = gst_bin_get_by_name (GST_BIN (pipeline), "v");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (video)))) {
    frames++;
    gst_sample_unref (sample);
  }
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (text)))) {
    GstBuffer *buffer = gst_sample_get_buffer (sample);
    char found[64] = "";

    gst_buffer_extract (buffer, 0, found, sizeof found - 1);
    if (*found && !g_str_equal (found, "\n") && !g_str_equal (found, " ")) {
      guint at = GST_BUFFER_PTS (buffer) / GST_MSECOND, end = at + GST_BUFFER_DURATION (buffer) / GST_MSECOND;

      fail_unless (g_str_has_prefix (found, CUE), "found %s", found);
      fail_unless (at >= 4000 * cues && at <= 4000 * cues + muxers[__i__].late, "cue %u at %u ms", cues, at);
      fail_unless (end + 1 >= 4000 * cues + 4000 && end <= 4001 + 4000 * cues + muxers[__i__].late, "cue %u until %u ms", cues,
          end);
      cues++;
    }
    gst_sample_unref (sample);
  }
  fail_unless_equals_int (cues, CUES);
  fail_unless_equals_int (frames, FRAMES);
  gst_object_unref (text);
  gst_object_unref (video);
  stop (pipeline);
  g_unlink (path);
}
GST_END_TEST

static const struct {
  const char *mux, *branch;
} live_branches[] = {
  { "matroskamux", "c.text_src ! queue" },
  { "mpegtsmux", "c.text_src ! ternklvenc ! queue" },
  { "mpegtsmux", "c.json_src ! ternklvenc ! queue" },
  { "mpegtsmux", "c.json_src ! tee name=t t. ! queue ! fakesink t. ! queue ! ternklvenc" },
  { "mp4mux", "c.text_src ! tee name=t t. ! queue ! fakesink t. ! queue" },
};

/* A muxer waits for each of its streams: of a camera neither text nor JSON, which comes when its window is over, may hold video up.
 * Ends when all frames went through. */
GST_START_TEST (test_live_muxed)
{
  const char *mux = live_branches[__i__].mux;
  GstElement *pipeline;

  if (!have (mux) || !have_h264_encoder ())
    return;
  pipeline = launch ("videotestsrc is-live=true num-buffers=60 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
      "terncaption name=c ! %s ! h264parse ! %s name=m ! fakesink async=false %s ! m.", h264_encoder (), mux,
      live_branches[__i__].branch);
  play (pipeline);
  stop (pipeline);
}
GST_END_TEST

/* Of a file, whose video waits, a tee to mp4mux and to a file of subtitles brings no cues without text into that. */
GST_START_TEST (test_subtitles_beside)
{
  char *path = path_of ("subtitles"), *text;
  GstElement *pipeline;
  guint n = 0;

  if (!have ("srtenc mp4mux") || !have_h264_encoder ())
    return;
  pipeline = launch (SOURCE "! %s ! h264parse ! queue ! mp4mux name=m ! fakesink  c.text_src ! tee name=t  t. ! queue ! m.  "
      "t. ! queue ! srtenc ! filesink location=\"%s\"", h264_encoder (), path);
  play (pipeline);
  stop (pipeline);
  text = read_and_remove ("subtitles");
  for (gsize at = 0; text[at = find (text, at, "-->")]; at++)
    n++;
  fail_unless_equals_int (n, CUES);
  g_free (text);
  g_free (path);
}
GST_END_TEST

static const char *const split_muxers[] = { "mp4mux", "matroskamux" };

/* splitmuxsink goes on where each of its streams does, GAPs not counted. */
GST_START_TEST (test_live_split)
{
  gboolean x264 = g_str_has_prefix (h264_encoder (), "x264enc");
  const char *mux = split_muxers[__i__];
  GstElement *pipeline;
  guint parts;

  if (!have (mux) || !have ("splitmuxsink") || !have_h264_encoder ())
    return;
  pipeline = launch ("videotestsrc is-live=true num-buffers=90 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
      "terncaption name=c ! %s %s=15 ! h264parse ! splitmuxsink name=m muxer=%s location=\"%s/part%%d\" max-size-time=1000000000 "
      "c.text_src ! queue ! m.subtitle_%%u", h264_encoder (), x264 ? "key-int-max" : "gop-size", mux, folder);
  play (pipeline);
  stop (pipeline);
  for (parts = 0;; parts++) {
    g_autofree char *path = g_strdup_printf ("%s/part%u", folder, parts);

    if (g_unlink (path) != 0)
      break;
  }
  fail_unless (parts >= 3, "%u parts", parts);
}
GST_END_TEST

/* A playlist of all the video, and its parts. */
GST_START_TEST (test_hls)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  GstElement *pipeline;
  double seconds = 0;
  guint parts = 0, i;

  if (!have ("hlssink2 mpegtsmux") || !have_h264_encoder ())
    return;
  pipeline = launch (SOURCE "! %s ! h264parse ! hlssink2 location=\"%s/part%%05d.ts\" playlist-location=\"%s/list.m3u8\" "
      "target-duration=2 playlist-length=0 max-files=0 c.text_src ! queue ! fakesink", h264_encoder (), folder, folder);
  play (pipeline);
  stop (pipeline);
  text = read_and_remove ("list.m3u8");
  lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines[i]; i++) {
    if (g_str_has_prefix (lines[i], "#EXTINF:"))
      seconds += g_ascii_strtod (lines[i] + 8, NULL);
    if (g_str_has_suffix (lines[i], ".ts")) {
      g_autofree char *part = path_of (lines[i]);

      fail_unless (g_unlink (part) == 0, "%s: no such part", part);
      parts++;
    }
  }
  fail_unless (strstr (text, "#EXT-X-ENDLIST") != NULL);
  fail_unless (parts >= 1 && seconds > 11.9 && seconds < 12.1, "%u parts, %g s", parts, seconds);
}
GST_END_TEST

/* ---- Sinks ---- */

/* Black video, on which only letters are light: every frame has some. */
GST_START_TEST (test_overlay)
{
  GstElement *pipeline, *sink;
  GstSample *sample;
  guint frames = 0;

  if (!have ("textoverlay"))
    return;
  pipeline = launch (SOURCE "! queue max-size-time=0 max-size-bytes=0 ! o.video_sink c.text_src ! queue ! o.text_sink "
      "textoverlay name=o ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=s sync=false");
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (sink)))) {
    GstMapInfo map;
    guint light = 0;

    gst_buffer_map (gst_sample_get_buffer (sample), &map, GST_MAP_READ);
    for (gsize i = 0; i < map.size; i++)
      light += map.data[i] > 128;
    gst_buffer_unmap (gst_sample_get_buffer (sample), &map);
    fail_unless (light > 10, "no text on frame %u", frames);
    frames++;
    gst_sample_unref (sample);
  }
  fail_unless_equals_int (frames, FRAMES);
  gst_object_unref (sink);
  stop (pipeline);
}
GST_END_TEST

GST_START_TEST (test_appsink)
{
  GstElement *pipeline = launch (SOURCE "! fakesink c.text_src ! appsink name=s sync=false"), *sink;
  GstSample *sample;
  guint cues = 0;

  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (sink)))) {
    GstBuffer *buffer = gst_sample_get_buffer (sample);

    fail_unless (gst_buffer_memcmp (buffer, 0, CUE, strlen (CUE)) == 0);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), cues++ * 4 * GST_SECOND);
    fail_unless_equals_string (result_string (buffer, "result"), CUE);
    gst_sample_unref (sample);
  }
  fail_unless_equals_int (cues, CUES);
  gst_object_unref (sink);
  stop (pipeline);
}
GST_END_TEST

#define CAMERA "videotestsrc is-live=true num-buffers=3 ! video/x-raw,format=RGB,width=16,height=16,framerate=10/1 ! "
#define LOOK "ternencoder ! terncompressor ! terngenerator name=g prompt=hello "

static const char *const alone[] = { "", "! queue ", "! tee name=t ! queue ! fakesink async=false t. ! queue " };

/* A camera stops in the middle of a window, and nothing but text leaves: its end is that of the pipeline, and comes after the
 * answer. */
GST_START_TEST (test_live_last)
{
  GstElement *pipeline = launch (CAMERA LOOK "%s! appsink name=s sync=false async=false", alone[__i__]), *sink;
  GstBus *bus = gst_element_get_bus (pipeline);
  GstStructure *result;
  GstSample *sample;
  guint cues = 0;

  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (sink)))) {
    fail_unless_equals_string (result_string (gst_sample_get_buffer (sample), "result"), "1 frames, hello");
    cues++;
    gst_sample_unref (sample);
  }
  fail_unless_equals_int (cues, 1);
  result = wait_result (bus);
  fail_unless_equals_string (gst_structure_get_string (result, "result"), "1 frames, hello");
  gst_structure_free (result);
  gst_message_unref (wait_message (bus, GST_MESSAGE_EOS));
  gst_object_unref (sink);
  gst_object_unref (bus);
  stop (pipeline);
}
GST_END_TEST

/* Where text meets another stream, that waits for no answer. */
GST_START_TEST (test_live_last_muxed)
{
  GstElement *pipeline;

  if (!have ("matroskamux"))
    return;
  fake_hold (TRUE);
  pipeline = launch (CAMERA "tee name=t ! queue ! " LOOK "! queue ! m.  t. ! queue ! videoconvert ! matroskamux name=m ! "
      "fakesink async=false");
  play (pipeline);
  fake_hold (FALSE);
  stop (pipeline);
}
GST_END_TEST

/* A datagram a result, which is a line. */
GST_START_TEST (test_udp)
{
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_UDP, NULL);
  g_autoptr (GInetAddress) host = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (host, 0), bound = NULL;
  GstElement *pipeline;
  guint i;

  if (!have ("udpsink"))
    return;
  fail_unless (socket && g_socket_bind (socket, any, FALSE, NULL));
  g_socket_set_timeout (socket, 20);
  bound = g_socket_get_local_address (socket, NULL);
  pipeline = launch (SOURCE "! fakesink c.json_src ! udpsink sync=false host=127.0.0.1 port=%u",
      g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound)));
  play (pipeline);
  stop (pipeline);
  for (i = 0; i < CUES; i++) {
    g_autofree char *id = g_strdup_printf ("\"id\":%u,", i);
    char line[4096] = "";
    gssize n = g_socket_receive (socket, line, sizeof line - 1, NULL, NULL);

    fail_unless (n > 2 && line[0] == '{' && line[n - 2] == '}' && line[n - 1] == '\n', "found %s", line);
    fail_unless (strstr (line, id) && strstr (line, "\"result\":\"" CUE "\""), "found %s", line);
  }
}
GST_END_TEST

static gboolean
somebody_works (GstHarness *h)
{
  GstQuery *query = gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty ("tern-work"));
  gboolean busy = FALSE;

  gst_pad_peer_query (h->sinkpad, query);
  gst_structure_get_boolean (gst_query_get_structure (query), "busy", &busy);
  gst_query_unref (query);
  return busy;
}

/* Whoever waits for frames behind a captioner, another one for instance, can tell that it holds them. */
GST_START_TEST (test_held_frames_are_work)
{
  GstHarness *h = chain_harness ("terncaption attach=window window=2000000000 ! identity");
  guint i;

  fake_hold (TRUE);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_if (somebody_works (h));
  for (i = 0; i < 5; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500 * i), MS (500), 0)), GST_FLOW_OK);
  fake_wait_begun (1);
  fail_unless (somebody_works (h));
  fake_hold (FALSE);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < 5; i++)
    gst_buffer_unref (gst_harness_pull (h));
  fail_if (somebody_works (h));
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("consumers");
  TCase *tc = tcase_create ("general");
  int status;

  folder = g_dir_make_tmp ("tern-consumers-XXXXXX", NULL);
  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_subtitles, 0, G_N_ELEMENTS (subtitles));
  tcase_add_loop_test (tc, test_muxers, 0, G_N_ELEMENTS (muxers));
  tcase_add_loop_test (tc, test_live_muxed, 0, G_N_ELEMENTS (live_branches));
  tcase_add_test (tc, test_subtitles_beside);
  tcase_add_loop_test (tc, test_live_split, 0, G_N_ELEMENTS (split_muxers));
  tcase_add_test (tc, test_hls);
  tcase_add_test (tc, test_overlay);
  tcase_add_test (tc, test_appsink);
  tcase_add_loop_test (tc, test_live_last, 0, G_N_ELEMENTS (alone));
  tcase_add_test (tc, test_live_last_muxed);
  tcase_add_test (tc, test_udp);
  tcase_add_test (tc, test_held_frames_are_work);
  status = run_suite (suite);
  g_rmdir (folder);
  g_free (folder);
  return status;
}
