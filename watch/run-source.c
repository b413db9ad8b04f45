/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/run-source.h"

#include <gst/video/video.h>
#include <string.h>

#include "tern/error.h"
#include "watch/retry.h"

#define LOOK " ! queue name=look-queue max-size-buffers=1 max-size-bytes=0 max-size-time=0 ! ternencoder name=encoder" \
    " ! terncompressor ! terngenerator name=generator ! fakesink sync=false async=false"
/* Of a file every thumbnail is made; a camera does not wait for them. */
#define THUMBNAIL "  tee. ! queue name=thumbnail-queue max-size-buffers=2 max-size-bytes=0 max-size-time=0 leaky=%s" \
    " ! videoscale ! videoconvert ! capsfilter name=size ! jpegenc ! fakesink name=thumbnail sync=false async=false"

static const char *const needed[] = { "terngenerator", "decodebin", "videoconvert", "videoscale", "videoflip", "jpegenc" };

/* ---- Elements ---- */

static gboolean
has_element (const char *name)
{
  GstElementFactory *factory = gst_element_factory_find (name);

  if (!factory)
    return FALSE;
  gst_object_unref (factory);
  return TRUE;
}

/* In the build folder, and as it was installed: from the folder of the program. */
static void
scan_beside_program (void)
{
  static const char *const places[] = { "../gst-plugin", TERN_PLUGIN_PLACE };
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = program ? g_path_get_dirname (program) : NULL;

  for (guint i = 0; folder && i < G_N_ELEMENTS (places) && !has_element ("terngenerator"); i++) {
    g_autofree char *place = g_canonicalize_filename (places[i], folder);

    if (g_file_test (place, G_FILE_TEST_IS_DIR))
      gst_registry_scan_path (gst_registry_get (), place);
  }
}

gboolean
tern_source_find_elements (GError **error)
{
  GstElement *element;

  if (!has_element ("terngenerator"))
    scan_beside_program ();
  for (guint i = 0; i < G_N_ELEMENTS (needed); i++)
    if (!has_element (needed[i])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "GStreamer: expected the element %s, not found%s", needed[i],
          i == 0 ? "; GST_PLUGIN_PATH names the folder of libgsttern.so" : "");
      return FALSE;
    }
  element = gst_element_factory_make ("ternencoder", NULL);     /* makes its types known */
  gst_clear_object (&element);
  if (g_type_from_name ("TernModel"))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "GStreamer: the elements of Tern that were found take no model "
      "from a program; another version?");
  return FALSE;
}

gboolean
tern_source_check (const char *words, GError **error)
{
  g_autofree char *whole = g_strconcat (words, " ! identity", NULL);    /* they may end with caps */
  GstElement *bin = gst_parse_bin_from_description_full (whole, TRUE, NULL, GST_PARSE_FLAG_FATAL_ERRORS, error);

  if (!bin)
    return FALSE;
  gst_object_unref (gst_object_ref_sink (bin));
  return TRUE;
}

/* ---- The pipeline ---- */

static const char *
source_words (const TernCameraConfig *config)
{
  if (config->pipeline)
    return config->pipeline;
  if (config->file)
    return "filesrc name=source";
  if (g_str_has_prefix (config->source, "v4l2://"))
    return "v4l2src name=source";
  return "rtspsrc name=source latency=200 ! application/x-rtp,media=video";
}

static void
set_source (GstElement *pipeline, const TernCameraConfig *config)
{
  GstElement *source = config->pipeline ? NULL : gst_bin_get_by_name (GST_BIN (pipeline), "source");

  if (!source)
    return;
  if (g_str_has_prefix (config->source, "v4l2://"))
    g_object_set (source, "device", config->source + strlen ("v4l2://"), NULL);
  else
    g_object_set (source, "location", config->source, NULL);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (source), "tcp-timeout"))
    g_object_set (source, "tcp-timeout", (guint64) TERN_RETRY_ANSWER, NULL);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (source), "add-reference-timestamp-meta"))
    g_object_set (source, "add-reference-timestamp-meta", TRUE, NULL);
  gst_object_unref (source);
}

static void
set_labels (GstElement *generator, char **labels)
{
  GValue array = G_VALUE_INIT;

  g_value_init (&array, GST_TYPE_ARRAY);
  for (guint i = 0; labels[i]; i++) {
    GValue label = G_VALUE_INIT;

    g_value_init (&label, G_TYPE_STRING);
    g_value_set_string (&label, labels[i]);
    gst_value_array_append_and_take_value (&array, &label);
  }
  g_object_set_property (G_OBJECT (generator), "labels", &array);
  g_value_unset (&array);
}

static void
set_question (GstElement *pipeline, const TernCameraConfig *config)
{
  GstElement *encoder = gst_bin_get_by_name (GST_BIN (pipeline), "encoder");
  GstElement *generator = gst_bin_get_by_name (GST_BIN (pipeline), "generator");

  g_object_set (encoder, "frame-rate", config->rate_n, config->rate_d, NULL);
  gst_util_set_object_arg (G_OBJECT (encoder), "gate", config->gate);
  g_object_set (generator, "window", (guint64) config->window * 1000, "min-confidence", config->min_confidence, "max-tokens",
      config->max_tokens, NULL);
  if (config->prompt)
    g_object_set (generator, "prompt", config->prompt, NULL);
  if (config->task)
    g_object_set (generator, "task", config->task, NULL);
  if (config->schema)
    g_object_set (generator, "json-schema", config->schema, NULL);
  if (config->labels)
    set_labels (generator, config->labels);
  gst_object_unref (encoder);
  gst_object_unref (generator);
}

static void
set_caps (GstElement *pipeline, const char *name, GstCaps *caps)
{
  GstElement *filter = gst_bin_get_by_name (GST_BIN (pipeline), name);

  if (filter)
    g_object_set (filter, "caps", caps, NULL);
  gst_clear_object (&filter);
  gst_caps_unref (caps);
}

/* It waits for the clock, and says that it is live; but what is told late of a file is told all the same, and nothing is left
 * out. A probe is called behind the answer, too. */
static GstPadProbeReturn
deny_live (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);
  GstClockTime least, most;

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY) {
    gst_query_parse_latency (query, NULL, &least, &most);
    gst_query_set_latency (query, FALSE, least, most);
  }
  return GST_PAD_PROBE_OK;
}

static void
set_pace (GstElement *pipeline)
{
  GstElement *pace = gst_bin_get_by_name (GST_BIN (pipeline), "pace");
  GstPad *pad = pace ? gst_element_get_static_pad (pace, "src") : NULL;

  if (pad)
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_QUERY_UPSTREAM | GST_PAD_PROBE_TYPE_PULL, deny_live, NULL, NULL);
  gst_clear_object (&pad);
  gst_clear_object (&pace);
}

/* Turned as its tags say: pictures that are kept are seen, and points of zones are of what is seen. */
GstElement *
tern_source_pipeline (const TernCameraConfig *config, GError **error)
{
  g_autofree char *thumbnail = g_strdup_printf (THUMBNAIL, config->file ? "no" : "downstream");
  g_autofree char *words = g_strdup_printf ("%s ! decodebin ! videoconvert ! videoflip video-direction=auto %s ! capsfilter "
      "name=zones ! tee name=tee  tee." LOOK "%s", source_words (config),
      config->file && config->pace ? "! clocksync name=pace" : "", config->thumbnail ? thumbnail : "");
  GstElement *pipeline = gst_parse_launch_full (words, NULL, GST_PARSE_FLAG_FATAL_ERRORS, error);

  if (!pipeline)
    return NULL;
  gst_object_ref_sink (pipeline);
  set_source (pipeline, config);
  set_pace (pipeline);
  set_question (pipeline, config);
  if (config->zones->len)
    set_caps (pipeline, "zones", gst_caps_new_simple ("video/x-raw", "format", G_TYPE_STRING, "I420", NULL));
  if (config->thumbnail)
    set_caps (pipeline, "size", gst_caps_new_simple ("video/x-raw", "width", G_TYPE_INT, (int) config->thumbnail,
            "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1, NULL));
  return pipeline;
}

/* ---- Zones ---- */

gboolean
tern_source_hide (GstBuffer *buffer, GstPad *pad, const TernMask *mask)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);
  gboolean ok;
  GstVideoInfo info;
  GstVideoFrame frame;

  ok = caps && gst_video_info_from_caps (&info, caps) && GST_VIDEO_INFO_FORMAT (&info) == GST_VIDEO_FORMAT_I420
      && gst_video_frame_map (&frame, &info, buffer, GST_MAP_READWRITE);
  gst_clear_caps (&caps);
  if (!ok)
    return FALSE;
  for (guint plane = 0; plane < 3; plane++)
    tern_mask_apply (mask, plane > 0, GST_VIDEO_FRAME_PLANE_DATA (&frame, plane),
        (gsize) GST_VIDEO_FRAME_PLANE_STRIDE (&frame, plane), plane ? 128 : 16);
  gst_video_frame_unmap (&frame);
  return TRUE;
}
