/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-ternjsonenc
 * @title: ternjsonenc
 * @short_description: results as JSON lines
 *
 * Turns TernResultMeta, on text or on video, into one line of JSON for each
 * result: the same line that terngenerator has on `json_src`. A result that
 * several frames carry makes one line, also where frames of several sources
 * come by turns.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder ! terncompressor ! terngenerator ! ternjsonenc ! filesink location=clip.jsonl
 * ]| A line for each window of a file.
 *
 * Since: 0.1
 */
#include "gstternjsonenc.h"

#include <string.h>
#include "gstternelement.h"
#include "gstternmeta.h"

#define MAX_SOURCES 64          /* whose last result is known */

GST_DEBUG_CATEGORY_STATIC (gst_tern_json_enc_debug);
#define GST_CAT_DEFAULT gst_tern_json_enc_debug

struct _GstTernJsonEnc
{
  GstElement parent;
  GstPad *sinkpad, *srcpad;

  /* The streaming thread's. */
  GQueue last;                  /* GstStructure: the last result of each source,
                                 * the one seen last first */
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8; video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("application/x-json"));

#define gst_tern_json_enc_parent_class parent_class
G_DEFINE_TYPE (GstTernJsonEnc, gst_tern_json_enc, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (ternjsonenc, "ternjsonenc", GST_RANK_NONE,
    GST_TYPE_TERN_JSON_ENC);

static void
forget_last (GstTernJsonEnc * self)
{
  g_queue_clear_full (&self->last, (GDestroyNotify) gst_structure_free);
}

/* Whether this result was the last one of its source; now it is. All of it is
 * compared: ids count for as long as an element lives, and sources may be known
 * by the same name in two processes. */
static gboolean
is_last (GstTernJsonEnc * self, const GstStructure * result)
{
  const gchar *source = gst_structure_get_string (result, "source");
  gboolean same = FALSE;
  GList *link;

  for (link = self->last.head; link; link = link->next)
    if (g_strcmp0 (gst_structure_get_string (link->data, "source"),
            source) == 0)
      break;
  if (!link && self->last.length >= MAX_SOURCES)
    link = self->last.tail;
  if (link) {
    same = gst_structure_is_equal (link->data, result);
    g_queue_unlink (&self->last, link);
    g_queue_push_head_link (&self->last, link);
  } else {
    g_queue_push_head (&self->last, NULL);
  }
  if (!same) {
    g_clear_pointer (&self->last.head->data, gst_structure_free);
    self->last.head->data = gst_structure_copy (result);
  }
  return same;
}

/* The line of a result; NULL when it was the same before. */
static GstBuffer *
make_line (GstElement * element, const GstStructure * structure)
{
  GstTernJsonEnc *self = GST_TERN_JSON_ENC (element);
  gchar *json, *line = NULL;
  TernResult result;

  if (!gst_tern_result_from_structure (&result, structure)) {
    GST_WARNING_OBJECT (self, "not a result: %" GST_PTR_FORMAT, structure);
    return NULL;
  }
  if (!is_last (self, structure)) {
    json = tern_result_to_json (&result);
    line = g_strconcat (json, "\n", NULL);
    g_free (json);
  }
  gst_tern_result_clear (&result);
  return line ? gst_buffer_new_wrapped (line, strlen (line)) : NULL;
}

static GstFlowReturn
gst_tern_json_enc_chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  return gst_tern_format_results (GST_ELEMENT_CAST (parent),
      GST_TERN_JSON_ENC (parent)->srcpad, buffer, make_line);
}

static GstFlowReturn
gst_tern_json_enc_sink_event (GstPad * pad, GstObject * parent,
    GstEvent * event)
{
  GstTernJsonEnc *self = GST_TERN_JSON_ENC (parent);

  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    forget_last (self);
  return gst_tern_format_event (pad, parent, self->srcpad, event);
}

static GstStateChangeReturn
gst_tern_json_enc_change_state (GstElement * element, GstStateChange transition)
{
  GstStateChangeReturn ret;

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    forget_last (GST_TERN_JSON_ENC (element));
  return ret;
}

static void
gst_tern_json_enc_finalize (GObject * object)
{
  forget_last (GST_TERN_JSON_ENC (object));
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_tern_json_enc_class_init (GstTernJsonEncClass * klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_json_enc_debug, "ternjsonenc", 0,
      "Tern JSON encoder");

  G_OBJECT_CLASS (klass)->finalize = gst_tern_json_enc_finalize;
  element_class->change_state = gst_tern_json_enc_change_state;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern JSON encoder",
      "Formatter/Metadata", "Turns results into JSON lines",
      "The Tern developers");
}

static void
gst_tern_json_enc_init (GstTernJsonEnc * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_json_enc_chain);
  gst_pad_set_event_full_function (self->sinkpad, gst_tern_json_enc_sink_event);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);
  g_queue_init (&self->last);
}
