/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-ternklvenc
 * @title: ternklvenc
 * @short_description: results as KLV packets
 *
 * Turns TernResultMeta, on text or JSON, into one KLV packet for each result: a
 * local set (SMPTE ST 336) under a key of our own that docs/klv.md describes. It
 * is not one of MISB's sets. A packet has the time and duration of its buffer.
 * Buffers without a result become GAP events, so that muxers go on.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! qtdemux ! h264parse ! tee name=t t. ! queue ! mpegtsmux name=m ! filesink location=clip.ts t. ! queue ! avdec_h264 ! terncaption name=c ! fakesink c.text_src ! queue ! ternklvenc ! m.
 * ]| A transport stream of the video and what is said about it.
 *
 * Since: 0.1
 */
#include "gstternklvenc.h"

#include "gstternelement.h"
#include "gstternklv.h"

GST_DEBUG_CATEGORY_STATIC (gst_tern_klv_enc_debug);
#define GST_CAT_DEFAULT gst_tern_klv_enc_debug

struct _GstTernKlvEnc
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8; application/x-json"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("meta/x-klv, parsed = (boolean) true"));

#define gst_tern_klv_enc_parent_class parent_class
G_DEFINE_TYPE (GstTernKlvEnc, gst_tern_klv_enc, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (ternklvenc, "ternklvenc", GST_RANK_NONE,
    GST_TYPE_TERN_KLV_ENC);

/* NULL: it makes none, which is a warning. */
static GstBuffer *
make_packet (GstElement * element, const GstStructure * result)
{
  GError *error = NULL;
  GstBuffer *packet = gst_tern_klv_encode (result, &error);

  if (!packet) {
    GST_ELEMENT_WARNING (element, STREAM, ENCODE,
        ("A result could not be made a KLV packet."), ("%s", error->message));
    g_error_free (error);
  }
  return packet;
}

static GstFlowReturn
gst_tern_klv_enc_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  return gst_tern_format_results (GST_ELEMENT_CAST (parent),
      GST_TERN_KLV_ENC (parent)->srcpad, buffer, make_packet);
}

static GstFlowReturn
gst_tern_klv_enc_sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  return gst_tern_format_event (pad, parent, GST_TERN_KLV_ENC (parent)->srcpad,
      event);
}

static void
gst_tern_klv_enc_class_init (GstTernKlvEncClass * klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_klv_enc_debug, "ternklvenc", 0,
      "Tern KLV encoder");

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern KLV encoder",
      "Formatter/Metadata", "Turns results into KLV packets",
      "The Tern developers");
}

static void
gst_tern_klv_enc_init (GstTernKlvEnc * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_klv_enc_chain);
  gst_pad_set_event_full_function (self->sinkpad, gst_tern_klv_enc_sink_event);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);
}
