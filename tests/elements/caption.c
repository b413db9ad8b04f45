/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <stdio.h>
#include <gst/app/app.h>

typedef struct {
  GstElement *pipeline;
  GMutex lock;
  guint frames, with_result, results;
  GstClockTime last;
  gboolean in_order;
} Run;

static GstPadProbeReturn
see_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Run *run = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  if (run->frames > 0 && GST_BUFFER_PTS (buffer) <= run->last)
    run->in_order = FALSE;
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
  g_autoptr (GError) error = NULL;
  GstElement *sink;
  GstBus *bus;
  gboolean end = FALSE;

  *run = (Run) { .in_order = TRUE };
  run->pipeline = gst_parse_launch (launch, &error);
  fail_unless (error == NULL, "%s", error ? error->message : "");
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

#define SOURCE "videotestsrc num-buffers=300 ! video/x-raw, format=I420, " \
    "width=320, height=240, framerate=30/1 ! "

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

/* There is room for one window: frames wait for who is at work on theirs. */
GST_START_TEST (test_file_window_bound)
{
  Run run;

  g_setenv ("TERN_FAKE_GENERATE_MS", "300", TRUE);
  play (&run, "videotestsrc num-buffers=300 ! video/x-raw, format=I420, width=320, height=240, framerate=30/1 ! "
      "terncaption max-held-bytes=14500000 ! fakesink name=v");
  fail_unless_equals_int (run.frames, 300);
  fail_unless_equals_int (run.with_result, 300);
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

  if (strstr (launch, "srtenc") && !gst_registry_check_feature_version (gst_registry_get (), "srtenc", 1, 0, 0)) {
    g_print ("# skipped: no srtenc\n");
    return;
  }
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

typedef struct {
  GMutex lock;
  GCond cond;
  guint frames, shared;
} Seen;

static GstPadProbeReturn
count_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Seen *seen = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  g_mutex_lock (&seen->lock);
  seen->frames++;
  seen->shared += !gst_buffer_is_writable (buffer) || !gst_buffer_is_all_memory_writable (buffer);
  g_cond_broadcast (&seen->cond);
  g_mutex_unlock (&seen->lock);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
answer_no_latency (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_QUERY_TYPE (GST_PAD_PROBE_INFO_QUERY (info)) == GST_QUERY_LATENCY ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

/* Live video does not wait, whatever the model does: here it never answers. What leaves belongs to who gets it. Second, where
 * nobody upstream says that it is live, as while another source of an input-selector is not there yet. */
GST_START_TEST (test_live)
{
  Seen seen = { 0, };
  GstElement *pipeline, *sink;
  GstPad *pad;

  g_setenv ("TERN_FAKE_GENERATE_MS", "100000000", TRUE);
  g_setenv ("TERN_FAKE_ENCODE_MS", "100000000", TRUE);
  pipeline = gst_parse_launch ("videotestsrc is-live=true ! video/x-raw, width=320, height=240, framerate=30/1 ! identity name=i ! "
      "terncaption name=c window=1000000000 frame-rate=4/1 ! fakesink name=v  c.text_src ! fakesink", NULL);
  if (__i__ == 1) {
    GstElement *identity = gst_bin_get_by_name (GST_BIN (pipeline), "i");

    pad = gst_element_get_static_pad (identity, "src");
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM, answer_no_latency, NULL, NULL);
    gst_object_unref (pad);
    gst_object_unref (identity);
  }
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "v");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, count_frame, &seen, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_mutex_lock (&seen.lock);
  while (seen.frames < 60)
    g_cond_wait (&seen.cond, &seen.lock);
  fail_unless_equals_int (seen.shared, 0);
  g_mutex_unlock (&seen.lock);
  fail_unless_equals_int (gst_element_set_state (pipeline, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (pad);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* A muxer that keeps a cue until the next one is there must not stop the video. */
GST_START_TEST (test_muxed_mp4)
{
  GstElementFactory *encoder = gst_element_factory_find ("openh264enc");
  GstElementFactory *mux = gst_element_factory_find ("mp4mux");
  Run run;

  if (encoder && mux) {
    play (&run, SOURCE "terncaption name=c max-held-bytes=1000000 ! openh264enc ! h264parse ! m.  c.text_src ! queue ! m.  "
        "mp4mux name=m ! fakesink");
    fail_unless_equals_int (run.results, 3);
  }
  gst_clear_object (&encoder);
  gst_clear_object (&mux);
}
GST_END_TEST

static void
push_feature_frames (GstElement *source, const char *caps_text, guint from, guint n, gsize size)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (caps_text);
  guint i;

  gst_app_src_set_caps (GST_APP_SRC (source), caps);
  for (i = from; i < from + n; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

    gst_buffer_memset (buffer, 0, i, size);
    GST_BUFFER_PTS (buffer) = MS (100 * i);
    GST_BUFFER_DURATION (buffer) = MS (100);
    fail_unless_equals_int (gst_app_src_push_buffer (GST_APP_SRC (source), buffer), GST_FLOW_OK);
  }
}

static const char *const unreadable[] = {
  "video/x-raw(memory:NVMM), format=NV12, width=64, height=64, framerate=10/1",
  "video/x-raw(memory:CUDAMemory), format=NV12, width=64, height=64, framerate=10/1",
  "video/x-raw(memory:GLMemory), format=RGBA, width=64, height=64, framerate=10/1, texture-target=2D",
  "video/x-raw(memory:DMABuf), format=DMA_DRM, width=64, height=64, framerate=10/1",
};

/* What cannot be read passes, with one warning; then what can be read is answered. */
GST_START_TEST (test_memory_features)
{
  GstElement *pipeline = gst_parse_launch ("appsrc name=a format=time ! terncaption name=c ! fakesink name=v", NULL);
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  GstElement *sink = gst_bin_get_by_name (GST_BIN (pipeline), "v");
  GstPad *pad = gst_element_get_static_pad (sink, "sink");
  GstBus *bus = gst_element_get_bus (pipeline);
  guint warnings = 0, results = 0;
  gboolean end = FALSE;
  Run run = { 0, };

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, see_frame, &run, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  push_feature_frames (source, unreadable[__i__], 0, 50, 64);
  push_feature_frames (source, "video/x-raw, format=GRAY8, width=64, height=64, framerate=10/1", 50, 50, 64 * 64);
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT
        | GST_MESSAGE_WARNING);

    fail_unless (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR);
    warnings += GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING;
    results += gst_message_has_name (message, "tern-result");
    end = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    gst_message_unref (message);
  }
  fail_unless_equals_int (run.frames, 100);
  fail_unless_equals_int (run.with_result, 50);
  fail_unless_equals_int (warnings, 1);
  fail_unless (results > 0);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pad);
  gst_object_unref (sink);
  gst_object_unref (source);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* Fields that come one by one, in a format that the encoder does not read: converted as pictures of half the height. */
GST_START_TEST (test_alternate_fields)
{
  GstElement *pipeline = gst_parse_launch ("appsrc name=a format=time ! terncaption name=c ! fakesink name=v", NULL);
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  GstBus *bus = gst_element_get_bus (pipeline);
  guint results = 0;
  gboolean end = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  push_feature_frames (source, "video/x-raw(format:Interlaced), format=P010_10LE, width=64, height=64, framerate=10/1, "
      "interlace-mode=alternate", 0, 20, 64 * 32 * 3);
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT
        | GST_MESSAGE_WARNING);

    fail_unless (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR && GST_MESSAGE_TYPE (message) != GST_MESSAGE_WARNING,
        "%" GST_PTR_FORMAT, gst_message_get_structure (message));
    results += gst_message_has_name (message, "tern-result");
    end = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    gst_message_unref (message);
  }
  fail_unless_equals_int (results, 1);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (source);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* One load, one beginning and one end, in the name of the bin; results, too. */
GST_START_TEST (test_messages)
{
  GstElement *pipeline = gst_parse_launch (SOURCE "terncaption name=c ! fakesink", NULL);
  GstElement *caption = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  GstBus *bus = gst_element_get_bus (pipeline);
  guint start = 0, complete = 0, results = 0;
  GstStructure *stats;
  gboolean end = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT
        | GST_MESSAGE_PROGRESS);
    GstProgressType type = GST_PROGRESS_TYPE_CONTINUE;

    end = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    fail_unless (end || GST_MESSAGE_SRC (message) == GST_OBJECT_CAST (caption));
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_PROGRESS)
      gst_message_parse_progress (message, &type, NULL, NULL);
    start += type == GST_PROGRESS_TYPE_START;
    complete += type == GST_PROGRESS_TYPE_COMPLETE;
    results += gst_message_has_name (message, "tern-result");
    gst_message_unref (message);
  }
  fail_unless_equals_int (start, 1);
  fail_unless_equals_int (complete, 1);
  fail_unless_equals_int (results, 3);
  g_object_get (caption, "stats", &stats, NULL);
  fail_unless (gst_structure_has_field (stats, "compressor") && gst_structure_has_field (stats, "attach"));
  gst_structure_free (stats);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (caption);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* Both that load the damaged model fail; one error says so. */
GST_START_TEST (test_one_error)
{
  g_autofree char *path = g_strconcat (model_path, ".bad", NULL);
  g_autofree char *launch = g_strdup_printf ("videotestsrc ! terncaption name=c model-path=\"%s\" mmproj-path=\"%s\" ! fakesink",
      path, path);
  GstElement *pipeline, *caption;
  GstMessage *message;
  guint errors = 0;
  GstBus *bus;

  fail_unless (g_file_set_contents (path, "GGUF", -1, NULL));
  pipeline = gst_parse_launch (launch, NULL);
  caption = gst_bin_get_by_name (GST_BIN (pipeline), "c");
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_ERROR);
  fail_unless (GST_MESSAGE_SRC (message) == GST_OBJECT_CAST (caption));
  gst_message_unref (message);
  /* Stopping waits for those who load. */
  gst_element_set_state (pipeline, GST_STATE_READY);
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR))) {
    errors += gst_object_has_as_ancestor (GST_MESSAGE_SRC (message), GST_OBJECT_CAST (caption))
        || GST_MESSAGE_SRC (message) == GST_OBJECT_CAST (caption);
    gst_message_unref (message);
  }
  fail_unless_equals_int (errors, 0);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  remove (path);
  gst_object_unref (bus);
  gst_object_unref (caption);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* As playbin's video-filter in gst-launch-1.0: no pad inside leads nowhere. */
GST_START_TEST (test_as_filter)
{
  GError *error = NULL;
  GstElement *bin = gst_parse_bin_from_description ("terncaption", TRUE, &error);
  GstPad *pad;

  fail_unless (bin != NULL, "%s", error ? error->message : "");
  fail_unless_equals_int (bin->numpads, 2);
  pad = gst_element_get_static_pad (bin, "src");
  fail_unless (pad != NULL);
  gst_object_unref (pad);
  gst_object_unref (bin);
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
    sample = gst_app_sink_pull_sample (GST_APP_SINK (sink));
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
  guint i;

  g_setenv ("TERN_FAKE_GENERATE_MS", "100000000", TRUE);         /* whoever waits for it does so until the test ends */
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 0; i < 5; i++) {
    g_usleep (100000);          /* somewhere in the middle */
    fail_unless (gst_element_seek_simple (pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, i * 10 * GST_SECOND));
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
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

/* Where time goes back, without a segment that says so, windows begin anew, and each frame has the result that is about it. */
GST_START_TEST (test_time_goes_back)
{
  GstHarness *h = file_harness ("terncaption attach=window window=2000000000 frame-rate=2/1", "sink", "src");
  guint64 last = 0;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500) * (i % 10), MS (500), i)), GST_FLOW_OK);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 0; i < 20; i++) {
    GstBuffer *frame = gst_harness_pull (h);
    GstCustomMeta *meta = gst_buffer_get_custom_meta (frame, "TernResultMeta");
    GstStructure *result = meta ? gst_custom_meta_get_structure (meta) : NULL;
    gdouble start, end, at = 0.5 * (i % 10);
    guint64 id;

    fail_unless (result != NULL);
    fail_unless (gst_structure_get (result, "start", G_TYPE_DOUBLE, &start, "end", G_TYPE_DOUBLE, &end, "id", G_TYPE_UINT64, &id, NULL));
    fail_unless (start <= at && at < end, "frame %u at %g: window %g to %g", i, at, start, end);
    fail_unless (id >= last);
    if (i == 10)
      fail_unless (id > last);
    last = id;
    gst_buffer_unref (frame);
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- The end ---- */

typedef struct {
  GstHarness *h;
  GstBus *bus;
  GMutex lock;
  GCond cond;
  gboolean ended;
  guint results;                /* that were told before the end */
} End;

static GstPadProbeReturn
see_end (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  End *end = data;
  GstMessage *message;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) != GST_EVENT_EOS)
    return GST_PAD_PROBE_OK;
  g_mutex_lock (&end->lock);
  while ((message = gst_bus_pop_filtered (end->bus, GST_MESSAGE_ELEMENT))) {
    end->results += gst_message_has_name (message, "tern-result");
    gst_message_unref (message);
  }
  end->ended = TRUE;
  g_cond_broadcast (&end->cond);
  g_mutex_unlock (&end->lock);
  return GST_PAD_PROBE_OK;
}

static gpointer
push_end (gpointer data)
{
  return GINT_TO_POINTER (gst_harness_push_event (((End *) data)->h, gst_event_new_eos ()));
}

/* Nine frames, half a second each, in windows of two seconds; answers do not end. The end of video is on its way. */
static GThread *
start_end (End *end, GstHarness *h)
{
  GstPad *pad = gst_element_get_static_pad (h->element, "src");
  guint i;

  *end = (End) { .h = h, .bus = watch (h->element) };
  g_mutex_init (&end->lock);
  g_cond_init (&end->cond);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, see_end, end, NULL);
  gst_object_unref (pad);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 9; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500 * i), MS (500), 0)), GST_FLOW_OK);
  return g_thread_new ("end", push_end, end);
}

static void
stop_end (End *end)
{
  unwatch (end->bus);
  gst_harness_teardown (end->h);
  g_mutex_clear (&end->lock);
  g_cond_clear (&end->cond);
}

static const struct {
  const char *launch;
  gboolean live;
  guint results;                /* 0: some; a live encoder leaves frames out */
} kept[] = {
  { "terncaption attach=newest window=2000000000", FALSE, 3 },
  { "terncaption window=2000000000", FALSE, 3 },
  /* Frames leave with what is said first. */
  { "terncaption window=2000000000 prompts=<a,b,c>", FALSE, 9 },
  { "terncaption window=2000000000 idle-timeout=0", TRUE, 0 },
};

/* Nobody takes text: all results are told before the end of video, which an application stops at. */
GST_START_TEST (test_end_after_results)
{
  GstHarness *h = kept[__i__].live ? gst_harness_new_parse (kept[__i__].launch)
      : file_harness (kept[__i__].launch, "sink", "src");
  GThread *thread;
  End end;

  fake_hold (TRUE);
  thread = start_end (&end, h);
  fake_wait_begun (1);
  fake_hold (FALSE);
  g_mutex_lock (&end.lock);
  while (!end.ended)
    g_cond_wait (&end.cond, &end.lock);
  if (kept[__i__].live)
    fail_unless (end.results > 0);
  else
    fail_unless_equals_int (end.results, kept[__i__].results);
  g_mutex_unlock (&end.lock);
  fail_unless (g_thread_join (thread));
  stop_end (&end);
}
GST_END_TEST

/* A flush, a stop, an error and a pad for text that is asked for meanwhile end the wait. */
GST_START_TEST (test_end_is_let_go)
{
  GstHarness *h = file_harness ("terncaption attach=newest window=2000000000", "sink", "src");
  GstElement *element = GST_ELEMENT (gst_object_ref (h->element)), *encoder;
  GThread *thread;
  GstPad *pad;
  End end;

  fake_hold (TRUE);
  thread = start_end (&end, h);
  fake_wait_begun (1);
  switch (__i__) {
    case 0:
      fail_unless (gst_harness_push_event (h, gst_event_new_flush_start ()));
      g_thread_join (thread);
      fail_unless (gst_harness_push_event (h, gst_event_new_flush_stop (TRUE)));
      break;
    case 1:
      fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
      g_thread_join (thread);
      break;
    case 2:
      encoder = gst_bin_get_by_name (GST_BIN (element), "encoder");
      GST_ELEMENT_ERROR (encoder, STREAM, FAILED, (NULL), (NULL));
      gst_object_unref (encoder);
      fail_unless (g_thread_join (thread));
      break;
    default:
      pad = gst_element_request_pad_simple (element, "json_src");
      fail_unless (g_thread_join (thread));
      gst_element_release_request_pad (element, pad);
      gst_object_unref (pad);
      break;
  }
  fake_hold (FALSE);
  stop_end (&end);
  gst_object_unref (element);
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
  tcase_add_test (tc, test_file_window_bound);
  tcase_add_loop_test (tc, test_outputs, 0, G_N_ELEMENTS (outputs));
  tcase_add_test (tc, test_text_only);
  tcase_add_test (tc, test_muxed);
  tcase_add_test (tc, test_newest_prerolls);
  tcase_add_loop_test (tc, test_formats, 0, G_N_ELEMENTS (inputs));
  tcase_add_loop_test (tc, test_live, 0, 2);
  tcase_add_test (tc, test_muxed_mp4);
  tcase_add_loop_test (tc, test_memory_features, 0, G_N_ELEMENTS (unreadable));
  tcase_add_test (tc, test_alternate_fields);
  tcase_add_test (tc, test_messages);
  tcase_add_test (tc, test_one_error);
  tcase_add_test (tc, test_as_filter);
  tcase_add_test (tc, test_allocation);
  tcase_add_test (tc, test_request_while_playing);
  tcase_add_test (tc, test_seek);
  tcase_add_test (tc, test_state_cycles);
  tcase_add_test (tc, test_properties);
  tcase_add_test (tc, test_time_goes_back);
  tcase_add_loop_test (tc, test_end_after_results, 0, G_N_ELEMENTS (kept));
  tcase_add_loop_test (tc, test_end_is_let_go, 0, 4);
  return run_suite (suite);
}
