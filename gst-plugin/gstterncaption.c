/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-terncaption
 * @title: terncaption
 * @short_description: captions video that passes through
 *
 * A bin: every frame leaves as it came, in order, with TernResultMeta on those
 * that a result is about; captions leave on the request pads `text_src` (text)
 * and `json_src` (JSON lines). Inside,
 * |[
 * sink -> tee -> ternattach -> src
 *          |        ^
 *          |        +--------- tee -> queue -> json_src
 *          |                    |
 *          +-> videoconvert -> ternencoder -> terncompressor -> terngenerator -> queue -> text_src
 * ]|
 * with frames that are not looked at dropped before they are converted.
 *
 * Behind a live source video never waits, and carries the newest finished result.
 * Otherwise frames wait for the result of their own window, as far as
 * `max-held-bytes` goes, and every window is answered; see `attach` and `leaky`.
 *
 * ## Example
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! terncaption name=c frame-rate=1/1 ! queue ! o.video_sink  c.text_src ! queue ! o.text_sink  textoverlay name=o wait-text=false ! videoconvert ! autovideosink
 * ]| A camera with what it sees written over it.
 *
 * Since: 0.1
 */
#include "gstterncaption.h"

#include <gst/video/video.h>
#include "gstternattach.h"
#include "gstterncompressor.h"
#include "gstternencoder.h"
#include "gstternelement.h"
#include "gstterngenerator.h"
#include "tern/tern.h"

GST_DEBUG_CATEGORY_STATIC (gst_tern_caption_debug);
#define GST_CAT_DEFAULT gst_tern_caption_debug

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_THREADS,
  /* Those of the elements inside, in the order of their install functions. */
  PROP_ENCODER = 100,
  PROP_COMPRESSOR = 200,
  PROP_GENERATOR = 300,
  PROP_ATTACH = 400
};

enum
{
  SIGNAL_RESULT,
  SIGNAL_CANCEL,
  LAST_SIGNAL
};

static guint signals[LAST_SIGNAL];

/* A request pad and the queue that feeds it. */
typedef struct
{
  GstPad *ghost;
  GstElement *queue;
  GstPad *from;                 /* requested of the JSON tee, or the text pad */
} Branch;

struct _GstTernCaption
{
  GstBin parent;
  GstElement *tee, *convert, *encoder, *compressor, *generator, *attach;
  GstElement *json_tee;

  GMutex lock;                  /* of the branches */
  Branch text, json;

  /* The streaming thread's: which frames go to the encoder's side. */
  TernFrameSampler sampler;
  GstSegment segment;
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate text_template =
GST_STATIC_PAD_TEMPLATE ("text_src", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8"));
static GstStaticPadTemplate json_template =
GST_STATIC_PAD_TEMPLATE ("json_src", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("application/x-json"));

#define gst_tern_caption_parent_class parent_class
G_DEFINE_TYPE (GstTernCaption, gst_tern_caption, GST_TYPE_BIN);
GST_ELEMENT_REGISTER_DEFINE (terncaption, "terncaption", GST_RANK_NONE,
    GST_TYPE_TERN_CAPTION);

/* ---- The side of the encoder ---- */

static void
restart_sampling (GstTernCaption * self)
{
  GValue rate = G_VALUE_INIT;

  g_value_init (&rate, GST_TYPE_FRACTION);
  g_object_get_property (G_OBJECT (self->encoder), "frame-rate", &rate);
  tern_frame_sampler_init (&self->sampler,
      MAX (0, gst_value_get_fraction_numerator (&rate)),
      gst_value_get_fraction_denominator (&rate));
  g_value_unset (&rate);
}

/* The encoder chooses the same frames out of these: taking the first frame at or
 * after each tick of a grid twice is taking it once. */
static GstPadProbeReturn
sample_probe (GstPad * pad, GstPadProbeInfo * info, gpointer data)
{
  GstTernCaption *self = data;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER) {
    GstClockTime pts = GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info));

    /* The encoder says what is wrong with it. */
    if (!GST_CLOCK_TIME_IS_VALID (pts))
      return GST_PAD_PROBE_OK;
    if (!gst_segment_clip (&self->segment, GST_FORMAT_TIME, pts, pts, NULL,
            NULL) || !tern_frame_sampler_take (&self->sampler, pts))
      return GST_PAD_PROBE_DROP;
    return GST_PAD_PROBE_OK;
  }

  switch (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info))) {
    case GST_EVENT_SEGMENT:
      gst_event_copy_segment (GST_PAD_PROBE_INFO_EVENT (info), &self->segment);
      if (self->segment.format != GST_FORMAT_TIME)
        gst_segment_init (&self->segment, GST_FORMAT_TIME);
      restart_sampling (self);
      break;
    case GST_EVENT_FLUSH_STOP:
    case GST_EVENT_STREAM_START:
      gst_segment_init (&self->segment, GST_FORMAT_TIME);
      restart_sampling (self);
      break;
    default:
      break;
  }
  return GST_PAD_PROBE_OK;
}

/* ---- Request pads ---- */

static void
remove_branch (GstTernCaption * self, Branch * branch)
{
  GstPad *sink;

  if (!branch->queue)
    return;
  sink = gst_element_get_static_pad (branch->queue, "sink");
  gst_pad_unlink (branch->from, sink);
  gst_object_unref (sink);
  if (GST_PAD_PAD_TEMPLATE (branch->from)
      && GST_PAD_TEMPLATE_PRESENCE (GST_PAD_PAD_TEMPLATE (branch->from)) ==
      GST_PAD_REQUEST)
    gst_element_release_request_pad (self->json_tee, branch->from);
  gst_object_unref (branch->from);
  gst_element_set_locked_state (branch->queue, TRUE);
  gst_element_set_state (branch->queue, GST_STATE_NULL);
  gst_bin_remove (GST_BIN_CAST (self), branch->queue);
  *branch = (Branch) { NULL, };
}

/* A blocked reader of text must not keep results from the video. */
static gboolean
add_branch (GstTernCaption * self, Branch * branch, GstPadTemplate * template,
    GstPad * from)
{
  GstPad *sink, *src;
  gboolean ok;

  branch->from = from;
  branch->queue = gst_element_factory_make ("queue", NULL);
  g_object_set (branch->queue, "max-size-buffers", 0, "max-size-bytes",
      1 << 20, "max-size-time", G_GUINT64_CONSTANT (0), "silent", TRUE, NULL);
  gst_bin_add (GST_BIN_CAST (self), branch->queue);

  sink = gst_element_get_static_pad (branch->queue, "sink");
  src = gst_element_get_static_pad (branch->queue, "src");
  branch->ghost = gst_ghost_pad_new_from_template (template->name_template,
      src, template);
  gst_pad_set_active (branch->ghost, TRUE);
  gst_element_add_pad (GST_ELEMENT_CAST (self), branch->ghost);
  gst_element_sync_state_with_parent (branch->queue);
  ok = gst_pad_link (from, sink) == GST_PAD_LINK_OK;
  gst_object_unref (sink);
  gst_object_unref (src);
  return ok;
}

static GstPad *
gst_tern_caption_request_new_pad (GstElement * element,
    GstPadTemplate * template, const gchar * name, const GstCaps * caps)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);
  gboolean text = g_str_equal (template->name_template, "text_src");
  Branch *branch = text ? &self->text : &self->json;
  GstPad *ghost = NULL;

  g_mutex_lock (&self->lock);
  if (branch->queue) {
    GST_WARNING_OBJECT (self, "there is one %s only", template->name_template);
  } else {
    GstPad *from = text ? gst_element_get_static_pad (self->generator, "src") :
        gst_element_request_pad_simple (self->json_tee, "src_%u");

    if (add_branch (self, branch, template, from))
      ghost = branch->ghost;
  }
  g_mutex_unlock (&self->lock);
  return ghost;
}

static void
gst_tern_caption_release_pad (GstElement * element, GstPad * pad)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);

  g_mutex_lock (&self->lock);
  if (pad == self->text.ghost)
    remove_branch (self, &self->text);
  else if (pad == self->json.ghost)
    remove_branch (self, &self->json);
  g_mutex_unlock (&self->lock);
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
}

/* ---- The element ---- */

static void
on_result (GstElement * generator, GstStructure * result, gpointer data)
{
  g_signal_emit (data, signals[SIGNAL_RESULT], 0, result);
}

static void
gst_tern_caption_cancel (GstTernCaption * self)
{
  g_signal_emit_by_name (self->generator, "cancel");
}

static GstStateChangeReturn
gst_tern_caption_change_state (GstElement * element, GstStateChange transition)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && (!self->convert
          || !self->tee || !self->json_tee)) {
    GST_ELEMENT_ERROR (self, CORE, MISSING_PLUGIN,
        ("A GStreamer element is missing."),
        ("expected tee and videoconvert (GStreamer Base Plugins)"));
    return GST_STATE_CHANGE_FAILURE;
  }
  return GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
}

static GstElement *
owner_of (GstTernCaption * self, guint id)
{
  if (id >= PROP_ATTACH)
    return self->attach;
  if (id >= PROP_GENERATOR)
    return self->generator;
  if (id >= PROP_COMPRESSOR)
    return self->compressor;
  return self->encoder;
}

/* What names the model is the same for both that use it. */
static gboolean
names_model (guint id, GParamSpec * pspec)
{
  return id < PROP_ENCODER || g_str_equal (pspec->name, "mmproj-path");
}

static void
gst_tern_caption_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernCaption *self = GST_TERN_CAPTION (object);

  if (gst_tern_refuse_property (GST_ELEMENT_CAST (self), pspec, value))
    return;
  g_object_set_property (G_OBJECT (owner_of (self, id)), pspec->name, value);
  if (names_model (id, pspec))
    g_object_set_property (G_OBJECT (self->generator), pspec->name, value);
}

static void
gst_tern_caption_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernCaption *self = GST_TERN_CAPTION (object);

  g_object_get_property (G_OBJECT (owner_of (self, id)), pspec->name, value);
}

static void
gst_tern_caption_finalize (GObject * object)
{
  g_mutex_clear (&GST_TERN_CAPTION (object)->lock);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_tern_caption_dispose (GObject * object)
{
  GstTernCaption *self = GST_TERN_CAPTION (object);

  g_mutex_lock (&self->lock);
  remove_branch (self, &self->text);
  remove_branch (self, &self->json);
  g_mutex_unlock (&self->lock);
  G_OBJECT_CLASS (parent_class)->dispose (object);
}

static void
gst_tern_caption_class_init (GstTernCaptionClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_caption_debug, "terncaption", 0,
      "Tern captioner");

  object_class->set_property = gst_tern_caption_set_property;
  object_class->get_property = gst_tern_caption_get_property;
  object_class->dispose = gst_tern_caption_dispose;
  object_class->finalize = gst_tern_caption_finalize;
  element_class->change_state = gst_tern_caption_change_state;
  element_class->request_new_pad = gst_tern_caption_request_new_pad;
  element_class->release_pad = gst_tern_caption_release_pad;

  /**
   * GstTernCaption:model-path:
   *
   * GGUF file of the language model, or a folder with one. Unset,
   * TERN_MODEL_PATH or the bundled model.
   *
   * Since: 0.1
   */
  gst_tern_install_model_path (object_class, PROP_MODEL_PATH);
  /**
   * GstTernCaption:threads:
   *
   * Threads that work on the model; 0 is one for each core.
   *
   * Since: 0.1
   */
  gst_tern_install_threads (object_class, PROP_THREADS);
  gst_tern_encoder_install_properties (object_class, PROP_ENCODER);
  gst_tern_compressor_install_properties (object_class, PROP_COMPRESSOR);
  gst_tern_generator_install_properties (object_class, PROP_GENERATOR);
  gst_tern_attach_install_properties (object_class, PROP_ATTACH);

  /**
   * GstTernCaption::result:
   * @caption: the element
   * @result: the result, with the fields of the result table
   *
   * From the thread that pushes text.
   *
   * Since: 0.1
   */
  signals[SIGNAL_RESULT] =
      gst_tern_new_result_signal (G_TYPE_FROM_CLASS (klass));
  /**
   * GstTernCaption::cancel:
   * @caption: the element
   *
   * Ends running work and drops what waits.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CANCEL] =
      gst_tern_new_cancel_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_caption_cancel));

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &text_template);
  gst_element_class_add_static_pad_template (element_class, &json_template);
  gst_element_class_set_static_metadata (element_class, "Tern captioner",
      "Analyzer/Filter/Video/Text", "Captions video that passes through",
      "The Tern developers");
}

static void
add_ghost_pad (GstTernCaption * self, GstStaticPadTemplate * static_template,
    GstElement * element, const gchar * name)
{
  GstPadTemplate *template = gst_static_pad_template_get (static_template);
  GstPad *target = gst_element_get_static_pad (element, name);

  gst_element_add_pad (GST_ELEMENT_CAST (self),
      gst_ghost_pad_new_from_template (name, target, template));
  gst_object_unref (target);
  gst_object_unref (template);
}

static void
link_elements (GstTernCaption * self)
{
  GstPad *pad, *sink;

  /* The encoder gets a frame before the video does: a video sink that prerolls
   * on it blocks, until there is something for the sinks of text. */
  pad = gst_element_request_pad_simple (self->tee, "src_%u");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER |
      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
      sample_probe, self, NULL);
  sink = gst_element_get_static_pad (self->convert, "sink");
  gst_pad_link (pad, sink);
  gst_object_unref (sink);
  gst_object_unref (pad);
  gst_element_link_pads (self->tee, NULL, self->attach, "sink");

  gst_element_link_many (self->convert, self->encoder, self->compressor,
      self->generator, NULL);
  gst_element_link_pads (self->generator, "json_src", self->json_tee, "sink");
  gst_element_link_pads (self->json_tee, NULL, self->attach, "text_sink");
}

static void
gst_tern_caption_init (GstTernCaption * self)
{
  GstBin *bin = GST_BIN_CAST (self);

  g_mutex_init (&self->lock);
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->encoder = g_object_new (GST_TYPE_TERN_ENCODER, "name", "encoder", NULL);
  self->compressor = g_object_new (GST_TYPE_TERN_COMPRESSOR, "name",
      "compressor", NULL);
  self->generator = g_object_new (GST_TYPE_TERN_GENERATOR, "name", "generator",
      NULL);
  self->attach = g_object_new (GST_TYPE_TERN_ATTACH, "name", "attach", NULL);
  gst_bin_add_many (bin, self->encoder, self->compressor, self->generator,
      self->attach, NULL);
  g_signal_connect_object (self->generator, "result", G_CALLBACK (on_result),
      self, 0);

  self->tee = gst_element_factory_make ("tee", "tee");
  self->json_tee = gst_element_factory_make ("tee", "json-tee");
  self->convert = gst_element_factory_make ("videoconvert", "convert");
  if (!self->tee || !self->json_tee || !self->convert) {
    gst_clear_object (&self->tee);
    gst_clear_object (&self->json_tee);
    gst_clear_object (&self->convert);
    return;
  }
  gst_bin_add_many (bin, self->tee, self->json_tee, self->convert, NULL);
  restart_sampling (self);
  link_elements (self);
  add_ghost_pad (self, &sink_template, self->tee, "sink");
  add_ghost_pad (self, &src_template, self->attach, "src");
}
