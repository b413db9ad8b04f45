/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <gst/app/app.h>

typedef struct {
  GstElement *pipeline;
  GMutex lock;
  guint frames, with_result, results;
  GstClockTime last;
  gboolean in_order;
  gint64 longest;               /* us between frames */
  gint64 last_at;
} Run;

static GstPadProbeReturn
see_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Run *run = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  gint64 now = g_get_monotonic_time ();

  if (run->frames > 0 && GST_BUFFER_PTS (buffer) <= run->last)
    run->in_order = FALSE;
  if (run->frames > 0)
    run->longest = MAX (run->longest, now - run->last_at);
  run->last_at = now;
  run->last = GST_BUFFER_PTS (buffer);
  run->frames++;
  if (gst_buffer_get_custom_meta (buffer, "TernResultMeta"))
    run->with_result++;
  return GST_PAD_PROBE_OK;
}

/* Plays to the end; looks at what arrives at the sink `v`. */
static void
play (Run *run, const char *launch)
{
  GstElement *sink;
  GstBus *bus;
  gboolean end = FALSE;

  *run = (Run) { .in_order = TRUE };
  run->pipeline = gst_parse_launch (launch, NULL);
  fail_unless (run->pipeline != NULL);
  sink = gst_bin_get_by_name (GST_BIN (run->pipeline), "v");
  if (sink) {
    GstPad *pad = gst_element_get_static_pad (sink, "sink");

    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, see_frame, run, NULL);
    gst_object_unref (pad);
    gst_object_unref (sink);
  }
  bus = gst_element_get_bus (run->pipeline);
  gst_element_set_state (run->pipeline, GST_STATE_PLAYING);
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);

    fail_unless (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR, "%" GST_PTR_FORMAT,
        gst_message_get_structure (message));
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT && gst_message_has_name (message, "tern-result"))
      run->results++;
    end = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    gst_message_unref (message);
  }
  gst_object_unref (bus);
  fail_unless_equals_int (gst_element_set_state (run->pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (run->pipeline);
}

#define SOURCE "videotestsrc num-buffers=300 ! video/x-raw, width=320, height=240, framerate=30/1 ! "

/* Every frame of a file, in order, each with the result of its window, while answers are slow. */
GST_START_TEST (test_file)
{
  Run run;

  g_setenv ("TERN_FAKE_GENERATE_MS", "150", TRUE);
  g_setenv ("TERN_FAKE_ENCODE_MS", "10", TRUE);
  play (&run, SOURCE "terncaption ! fakesink name=v");
  fail_unless_equals_int (run.frames, 300);
  fail_unless (run.in_order);
  fail_unless_equals_int (run.with_result, 300);
  fail_unless_equals_int (run.results, 3);
}
GST_END_TEST

/* The bound is small: every frame arrives all the same. */
GST_START_TEST (test_file_small_bound)
{
  Run run;

  g_setenv ("TERN_FAKE_GENERATE_MS", "50", TRUE);
  play (&run, SOURCE "terncaption max-held-bytes=1000000 ! fakesink name=v");
  fail_unless_equals_int (run.frames, 300);
  fail_unless (run.in_order);
  fail_unless_equals_int (run.results, 3);
}
GST_END_TEST

static const char *const outputs[] = {
  "fakesink name=v",
  "fakesink name=v sync=false  c.text_src ! fakesink",
  "fakesink name=v  c.json_src ! fakesink",
  "fakesink name=v  c.text_src ! fakesink  c.json_src ! fakesink",
  "queue ! fakesink name=v  c.text_src ! tee name=t  t. ! queue ! srtenc ! fakesink  t. ! queue ! ternjsonenc ! fakesink",
};

/* Request pads, linked or not, to sinks that preroll: nothing stalls. */
GST_START_TEST (test_outputs)
{
  g_autofree char *launch = g_strconcat (SOURCE "terncaption name=c ! ", outputs[__i__], NULL);
  Run run;

  play (&run, launch);
  fail_unless_equals_int (run.frames, 300);
  fail_unless_equals_int (run.results, 3);
}
GST_END_TEST

/* Video that nobody takes, text that somebody does. */
GST_START_TEST (test_text_only)
{
  Run run;

  play (&run, SOURCE "terncaption name=c  c.text_src ! fakesink name=v");
  fail_unless_equals_int (run.frames, 3);
}
GST_END_TEST

GST_START_TEST (test_muxed)
{
  Run run;

  play (&run, SOURCE "terncaption name=c ! queue ! m.  c.text_src ! queue ! m.  matroskamux name=m ! fakesink name=v");
  fail_unless_equals_int (run.results, 3);
}
GST_END_TEST

/* Frames that do not wait for text: its sink must preroll before a group of frames is complete. */
GST_START_TEST (test_newest_prerolls)
{
  Run run;

  play (&run, SOURCE "terncaption name=c attach=newest ! fakesink name=v  c.text_src ! fakesink");
  fail_unless_equals_int (run.frames, 300);
  fail_unless_equals_int (run.results, 3);
}
GST_END_TEST

static const char *const inputs[] = {
  "video/x-raw, format=YUY2, width=322, height=242, framerate=30/1",
  "video/x-raw, format=xRGB, width=64, height=64, framerate=30/1",
  "video/x-raw, format=NV12, width=320, height=180, framerate=15/1",
  "video/x-raw, format=GRAY8, width=17, height=9, framerate=25/1",
  "video/x-raw, format=I420_10LE, width=64, height=64, framerate=30/1",
};

/* Any raw video passes as it is; what the encoder cannot read is converted on its side alone. */
GST_START_TEST (test_formats)
{
  g_autofree char *launch = g_strdup_printf ("videotestsrc num-buffers=60 ! %s ! terncaption ! %s ! fakesink name=v",
      inputs[__i__], inputs[__i__]);
  Run run;

  play (&run, launch);
  fail_unless_equals_int (run.frames, 60);
  fail_unless_equals_int (run.with_result, 60);
}
GST_END_TEST

/* Live video does not wait, whatever the model does. */
GST_START_TEST (test_live)
{
  Run run;

  g_setenv ("TERN_FAKE_GENERATE_MS", "3000", TRUE);
  g_setenv ("TERN_FAKE_ENCODE_MS", "600", TRUE);
  play (&run, "videotestsrc is-live=true num-buffers=60 ! video/x-raw, width=320, height=240, framerate=30/1 ! "
      "terncaption name=c window=1000000000 frame-rate=4/1 ! fakesink name=v  c.text_src ! fakesink");
  fail_unless_equals_int (run.frames, 60);
  fail_unless (run.in_order);
  fail_unless (run.longest < 500 * G_TIME_SPAN_MILLISECOND, "%" G_GINT64_FORMAT " us between frames", run.longest);
}
GST_END_TEST

/* Downstream's answer to the allocation query reaches upstream. */
static GstPadProbeReturn
add_meta (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);

  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION)
    *(guint *) data += gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL) ? 1 : 0;
  return GST_PAD_PROBE_OK;
}

GST_START_TEST (test_allocation)
{
  /* videoscale answers with GstVideoMeta. */
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=30 ! video/x-raw, format=I420, width=320 ! "
      "terncaption name=c ! videoscale ! video/x-raw, width=64, height=64 ! fakesink", NULL);
  GstElement *caption = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  GstPad *pad = gst_element_get_static_pad (caption, "sink");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;
  guint seen = 0;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM | GST_PAD_PROBE_TYPE_PULL, add_meta, &seen, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  fail_unless (seen > 0, "no GstVideoMeta came back");
  gst_object_unref (pad);
  gst_object_unref (bus);
  gst_object_unref (caption);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* Pads that come and go while it plays. */
GST_START_TEST (test_request_while_playing)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc ! video/x-raw, framerate=30/1 ! terncaption name=c ! "
      "fakesink", NULL);
  GstElement *caption = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  GstBus *bus = gst_element_get_bus (pipeline);
  guint i;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 3; i++) {
    GstElement *sink = gst_element_factory_make ("appsink", NULL);
    const char *name = i % 2 ? "json_src" : "text_src";
    GstSample *sample;
    GstPad *src, *pad;

    g_object_set (sink, "sync", FALSE, "async", FALSE, NULL);
    gst_bin_add (GST_BIN (pipeline), sink);
    pad = gst_element_get_static_pad (sink, "sink");
    src = gst_element_request_pad_simple (caption, name);
    fail_unless (src != NULL);
    fail_unless_equals_int (gst_pad_link (src, pad), GST_PAD_LINK_OK);
    gst_element_sync_state_with_parent (sink);
    sample = gst_app_sink_try_pull_sample (GST_APP_SINK (sink), 10 * GST_SECOND);
    fail_unless (sample != NULL);
    gst_sample_unref (sample);
    gst_pad_unlink (src, pad);
    gst_element_release_request_pad (caption, src);
    gst_object_unref (src);
    gst_object_unref (pad);
    /* The pipeline may still be on its way to PLAYING and would take the sink along. */
    gst_element_set_locked_state (sink, TRUE);
    gst_element_set_state (sink, GST_STATE_NULL);
    gst_bin_remove (GST_BIN (pipeline), sink);
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (caption);
  gst_object_unref (pipeline);
}
GST_END_TEST

GST_START_TEST (test_seek)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=3000 ! video/x-raw, framerate=30/1 ! "
      "terncaption name=c ! fakesink  c.text_src ! fakesink", NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  gint64 begin;
  guint i;

  g_setenv ("TERN_FAKE_GENERATE_MS", "5000", TRUE);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 5; i++) {
    g_usleep (100000);
    begin = g_get_monotonic_time ();
    fail_unless (gst_element_seek_simple (pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, i * 10 * GST_SECOND));
    fail_unless (g_get_monotonic_time () - begin < 2 * G_TIME_SPAN_SECOND, "a seek waited");
  }
  begin = g_get_monotonic_time ();
  gst_element_set_state (pipeline, GST_STATE_NULL);
  fail_unless (g_get_monotonic_time () - begin < G_TIME_SPAN_SECOND, "stopping waited");
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST

GST_START_TEST (test_state_cycles)
{
  GstElement *pipeline = gst_parse_launch (SOURCE "terncaption name=c ! fakesink  c.text_src ! fakesink", NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  guint i;

  g_setenv ("TERN_FAKE_GENERATE_MS", "10", TRUE);
  for (i = 0; i < 10; i++) {
    GstMessage *message;

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    if (i % 2) {                /* in the middle of it */
      g_usleep (i * 5000);
    } else {
      message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
      fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
      gst_message_unref (message);
    }
    fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  }
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* What terncaption has reaches the elements inside, and the other way round. */
GST_START_TEST (test_properties)
{
  GstElement *caption = gst_element_factory_make ("terncaption", NULL);
  GstElement *generator = gst_bin_get_by_name (GST_BIN (caption), "generator");
  GstElement *encoder = gst_bin_get_by_name (GST_BIN (caption), "encoder");
  g_autofree char *path = NULL, *mmproj = NULL, *prompt = NULL;
  guint64 window;
  gboolean metrics;

  g_object_set (caption, "model-path", "/a", "mmproj-path", "/b", "prompt", "why?", "window", G_GUINT64_CONSTANT (7),
      "metrics", TRUE, NULL);
  g_object_get (generator, "model-path", &path, "prompt", &prompt, "window", &window, "metrics", &metrics, NULL);
  g_object_get (encoder, "mmproj-path", &mmproj, NULL);
  fail_unless_equals_string (path, "/a");
  fail_unless_equals_string (mmproj, "/b");
  fail_unless_equals_string (prompt, "why?");
  fail_unless (window == 7 && metrics);
  g_object_get (caption, "window", &window, NULL);
  fail_unless_equals_uint64 (window, 7);
  gst_object_unref (generator);
  gst_object_unref (encoder);
  gst_object_unref (caption);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("terncaption");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_file);
  tcase_add_test (tc, test_file_small_bound);
  tcase_add_loop_test (tc, test_outputs, 0, G_N_ELEMENTS (outputs));
  tcase_add_test (tc, test_text_only);
  tcase_add_test (tc, test_muxed);
  tcase_add_test (tc, test_newest_prerolls);
  tcase_add_loop_test (tc, test_formats, 0, G_N_ELEMENTS (inputs));
  tcase_add_test (tc, test_live);
  tcase_add_test (tc, test_allocation);
  tcase_add_test (tc, test_request_while_playing);
  tcase_add_test (tc, test_seek);
  tcase_add_test (tc, test_state_cycles);
  tcase_add_test (tc, test_properties);
  return run_suite (suite);
}
