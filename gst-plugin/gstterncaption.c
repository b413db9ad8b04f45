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
 * sink -> joint --------------------------------> ternattach -> src
 *           |                                          ^
 *           v                                          |
 *    videoconvert                          +-> tee ----+--> queue -> json_src
 *           v                              |
 *    ternencoder -> terncompressor -> terngenerator -> tee -> queue -> text_src
 * ]|
 * where the joint passes every frame on, and those that are due to the encoder,
 * too. Video that the encoder's side cannot read (in the memory of a GPU, say)
 * passes without captions, and a warning says so. Messages of what is inside
 * are posted in the name of the bin, a fault once.
 *
 * Behind a live source video never waits, and carries the newest finished
 * result. Otherwise frames wait for the result of their own window, as far as
 * `max-held-bytes` goes, and every window is answered; see `attach` and
 * `leaky`.
 *
 * ## Example
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! terncaption name=c frame-rate=1/1 ! queue ! o.video_sink  c.text_src ! queue ! o.text_sink  textoverlay name=o wait-text=false ! videoconvert ! autovideosink
 * ]| A camera with what it sees written over it.
 *
 * Since: 0.1
 */
#include "gstterncaption.h"

#include "gstternaction.h"
#include "gstternattach.h"
#include "gstterncompressor.h"
#include "gstternencoder.h"
#include "gstternelement.h"
#include "gstterngenerator.h"
#include "gstternjoint.h"
#include "gstternmeta.h"
#include "gstterntextqueue.h"

GST_DEBUG_CATEGORY_STATIC (gst_tern_caption_debug);
#define GST_CAT_DEFAULT gst_tern_caption_debug

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_THREADS,
  PROP_FLOAT_ACTIVATIONS,
  PROP_STATS,
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
  SIGNAL_ASK,
  SIGNAL_TRIGGER,
  LAST_SIGNAL
};

static guint signals[LAST_SIGNAL];

/* A request pad and the queue that feeds it. */
typedef struct
{
  GstPad *ghost;
  GstElement *queue;
  GstElement *tee;
  GstPad *from;                 /* requested of the tee */
} Branch;

/* A request pad that is the generator's own. */
typedef struct
{
  const gchar *name;
  GstPad *ghost;
  GstPad *target;
} Pass;

/* The elements that load a model. */
#define LOADERS 2

struct _GstTernCaption
{
  GstBin parent;
  GstElement *joint, *convert, *encoder, *compressor, *generator, *attach;
  GstElement *text_tee, *json_tee;

  GMutex lock;
  Branch text, json;
  Pass passes[3];
  /* What the bus was told since the last start. */
  gboolean failed;              /* an error */
  gboolean loading;             /* the start of loading, and not its end */
  guint loaded;                 /* elements */
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
static GstStaticPadTemplate prompt_template =
GST_STATIC_PAD_TEMPLATE ("prompt_sink", GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8"));

#define gst_tern_caption_parent_class parent_class
G_DEFINE_TYPE (GstTernCaption, gst_tern_caption, GST_TYPE_BIN);
GST_ELEMENT_REGISTER_DEFINE (terncaption, "terncaption", GST_RANK_NONE,
    GST_TYPE_TERN_CAPTION);

static Pass *
find_pass (GstTernCaption * self, const gchar * name)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (self->passes); i++)
    if (g_str_equal (self->passes[i].name, name))
      return &self->passes[i];
  return NULL;
}

/* With the lock. Who hears of results by message, signal or meta alone hears of
 * the last one before the end. Where text has a pad it has an end of its own, and
 * who takes both may need that of video to go on; after an error none may come. */
static void
update_eos (GstTernCaption * self)
{
  if (self->attach)
    gst_tern_attach_set_keep_eos (GST_TERN_ATTACH (self->attach),
        !self->text.queue && !self->json.queue && !self->failed
        && !find_pass (self, "action_src")->ghost);
}

/* ---- Messages ---- */

/* Whether @message is the first that tells of an end or a beginning of loading:
 * the elements inside load parts of one model. */
static gboolean
loading_is_news (GstTernCaption * self, GstProgressType type)
{
  gboolean news;

  switch (type) {
    case GST_PROGRESS_TYPE_START:
      news = !self->loading && self->loaded == 0 && !self->failed;
      self->loading |= news;
      return news;
    case GST_PROGRESS_TYPE_CONTINUE:
      return self->loading;
    case GST_PROGRESS_TYPE_COMPLETE:
      self->loaded++;
      news = self->loading && self->loaded == LOADERS;
      break;
    default:
      news = self->loading;
      break;
  }
  if (news)
    self->loading = FALSE;
  return news;
}

static GstMessage *
repeat_progress (GstTernCaption * self, GstMessage * message)
{
  gchar *code, *text;
  GstProgressType type;
  GstMessage *ours = NULL;
  gboolean news;

  gst_message_parse_progress (message, &type, &code, &text);
  g_mutex_lock (&self->lock);
  news = loading_is_news (self, type);
  g_mutex_unlock (&self->lock);
  if (news)
    ours = gst_message_new_progress (GST_OBJECT_CAST (self), type, code, text);
  g_free (code);
  g_free (text);
  return ours;
}

/* The first error is the cause of those that follow. */
static GstMessage *
repeat_error (GstTernCaption * self, GstMessage * message)
{
  const GstStructure *details;
  GstMessage *ours = NULL;
  GError *error;
  gboolean news;
  gchar *debug;

  g_mutex_lock (&self->lock);
  news = !self->failed;
  self->failed = TRUE;
  update_eos (self);
  g_mutex_unlock (&self->lock);
  if (!news)
    return NULL;
  gst_message_parse_error (message, &error, &debug);
  gst_message_parse_error_details (message, &details);
  ours = gst_message_new_error_with_details (GST_OBJECT_CAST (self), error,
      debug, details ? gst_structure_copy (details) : NULL);
  g_error_free (error);
  g_free (debug);
  return ours;
}

static GstMessage *
repeat_warning (GstTernCaption * self, GstMessage * message)
{
  const GstStructure *details;
  GstMessage *ours;
  GError *error;
  gchar *debug;

  gst_message_parse_warning (message, &error, &debug);
  gst_message_parse_warning_details (message, &details);
  ours = gst_message_new_warning_with_details (GST_OBJECT_CAST (self), error,
      debug, details ? gst_structure_copy (details) : NULL);
  g_error_free (error);
  g_free (debug);
  return ours;
}

static GstMessage *
repeat_info (GstTernCaption * self, GstMessage * message)
{
  GstMessage *ours;
  GError *error;
  gchar *debug;

  gst_message_parse_info (message, &error, &debug);
  ours = gst_message_new_info (GST_OBJECT_CAST (self), error, debug);
  g_error_free (error);
  g_free (debug);
  return ours;
}

/* What is inside is nobody's business: what it has to say to people is said in
 * the name of the bin. */
static void
gst_tern_caption_handle_message (GstBin * bin, GstMessage * message)
{
  GstTernCaption *self = GST_TERN_CAPTION (bin);
  GstMessage *ours = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      ours = repeat_error (self, message);
      break;
    case GST_MESSAGE_WARNING:
      ours = repeat_warning (self, message);
      break;
    case GST_MESSAGE_INFO:
      ours = repeat_info (self, message);
      break;
    case GST_MESSAGE_PROGRESS:
      ours = repeat_progress (self, message);
      break;
    case GST_MESSAGE_ELEMENT:
      if (gst_message_has_name (message, GST_TERN_RESULT_NAME)) {
        ours = gst_message_new_element (GST_OBJECT_CAST (self),
            gst_structure_copy (gst_message_get_structure (message)));
        break;
      }
      /* FALLTHROUGH */
    default:
      GST_BIN_CLASS (parent_class)->handle_message (bin, message);
      return;
  }
  if (ours) {
    gst_message_set_seqnum (ours, gst_message_get_seqnum (message));
    GST_BIN_CLASS (parent_class)->handle_message (bin, ours);
  }
  gst_message_unref (message);
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
  gst_element_release_request_pad (branch->tee, branch->from);
  gst_object_unref (branch->from);
  gst_element_set_locked_state (branch->queue, TRUE);
  gst_element_set_state (branch->queue, GST_STATE_NULL);
  gst_bin_remove (GST_BIN_CAST (self), branch->queue);
  *branch = (Branch) { NULL, };
}

/* A blocked reader of text must not keep results from the video. */
static gboolean
add_branch (GstTernCaption * self, Branch * branch, GstPadTemplate * template,
    GstElement * tee)
{
  GstPad *sink, *src;
  gboolean ok;

  branch->tee = tee;
  branch->from = gst_element_request_pad_simple (tee, "src_%u");
  branch->queue = g_object_new (GST_TYPE_TERN_TEXT_QUEUE, NULL);
  gst_bin_add (GST_BIN_CAST (self), branch->queue);

  sink = gst_element_get_static_pad (branch->queue, "sink");
  src = gst_element_get_static_pad (branch->queue, "src");
  branch->ghost = gst_ghost_pad_new_from_template (template->name_template,
      src, template);
  gst_pad_set_active (branch->ghost, TRUE);
  gst_element_add_pad (GST_ELEMENT_CAST (self), branch->ghost);
  gst_element_sync_state_with_parent (branch->queue);
  ok = gst_pad_link (branch->from, sink) == GST_PAD_LINK_OK;
  gst_object_unref (sink);
  gst_object_unref (src);
  return ok;
}

static GstPad *
add_pass (GstTernCaption * self, Pass * pass, GstPadTemplate * template)
{
  pass->target = gst_element_request_pad_simple (self->generator, pass->name);
  pass->ghost = gst_ghost_pad_new_from_template (pass->name, pass->target,
      template);
  gst_pad_set_active (pass->ghost, TRUE);
  gst_element_add_pad (GST_ELEMENT_CAST (self), pass->ghost);
  return pass->ghost;
}

static void
remove_pass (GstTernCaption * self, Pass * pass)
{
  if (!pass->target)
    return;
  gst_element_release_request_pad (self->generator, pass->target);
  gst_clear_object (&pass->target);
  pass->ghost = NULL;
}

static GstPad *
gst_tern_caption_request_new_pad (GstElement * element,
    GstPadTemplate * template, const gchar * name, const GstCaps * caps)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);
  gboolean text = g_str_equal (template->name_template, "text_src");
  Branch *branch = text ? &self->text : &self->json;
  Pass *pass = find_pass (self, template->name_template);
  GstPad *ghost = NULL;

  g_mutex_lock (&self->lock);
  if (pass ? pass->ghost != NULL : branch->queue != NULL) {
    GST_WARNING_OBJECT (self, "there is one %s only", template->name_template);
  } else if (pass) {
    ghost = add_pass (self, pass, template);
  } else if (self->joint && add_branch (self, branch, template,
          text ? self->text_tee : self->json_tee)) {
    ghost = branch->ghost;
  }
  update_eos (self);
  g_mutex_unlock (&self->lock);
  return ghost;
}

static void
gst_tern_caption_release_pad (GstElement * element, GstPad * pad)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);
  guint i;

  gst_pad_set_active (pad, FALSE);
  g_mutex_lock (&self->lock);
  if (pad == self->text.ghost)
    remove_branch (self, &self->text);
  else if (pad == self->json.ghost)
    remove_branch (self, &self->json);
  for (i = 0; i < G_N_ELEMENTS (self->passes); i++)
    if (pad == self->passes[i].ghost)
      remove_pass (self, &self->passes[i]);
  update_eos (self);
  g_mutex_unlock (&self->lock);
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

static guint64
gst_tern_caption_ask (GstTernCaption * self, const GstStructure * request)
{
  guint64 id = 0;

  g_signal_emit_by_name (self->generator, "ask", request, &id);
  return id;
}

static void
gst_tern_caption_trigger (GstTernCaption * self)
{
  g_signal_emit_by_name (self->generator, "trigger");
}

/* Requests and triggers that come up from where video goes, and perhaps from
 * where text goes, too: the generator sees all of them. FALSE: another event. */
static gboolean
take_event (GstTernCaption * self, GstEvent * event, gboolean sent,
    gboolean * ok)
{
  if (!gst_tern_generator_take_event (GST_TERN_GENERATOR (self->generator),
          event, sent, ok))
    return FALSE;
  gst_event_unref (event);
  return TRUE;
}

static gboolean
src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gboolean ok;

  if (take_event (GST_TERN_CAPTION (parent), event, FALSE, &ok))
    return ok;
  return gst_pad_event_default (pad, parent, event);
}

/* By an application: a bin would look for sinks in it. */
static gboolean
gst_tern_caption_send_event (GstElement * element, GstEvent * event)
{
  gboolean ok;

  if (take_event (GST_TERN_CAPTION (element), event, TRUE, &ok))
    return ok;
  return GST_ELEMENT_CLASS (parent_class)->send_event (element, event);
}

/* The joint looks at the frames that the encoder will choose. */
static void
share_frame_rate (GstTernCaption * self)
{
  GValue rate = G_VALUE_INIT;

  g_value_init (&rate, GST_TYPE_FRACTION);
  g_object_get_property (G_OBJECT (self->encoder), "frame-rate", &rate);
  gst_tern_joint_set_rate (GST_TERN_JOINT (self->joint),
      gst_value_get_fraction_numerator (&rate),
      gst_value_get_fraction_denominator (&rate));
  g_value_unset (&rate);
}

/* One account for all that work on the stream. */
static gboolean
share_budget (GstTernCaption * self)
{
  TernBudget *budget;

  if (!gst_tern_encoder_open_budget (GST_TERN_ENCODER (self->encoder),
          &budget))
    return FALSE;
  gst_tern_compressor_set_budget (GST_TERN_COMPRESSOR (self->compressor),
      budget);
  gst_tern_generator_set_budget (GST_TERN_GENERATOR (self->generator), budget);
  tern_budget_unref (budget);
  return TRUE;
}

static GstStateChangeReturn
gst_tern_caption_change_state (GstElement * element, GstStateChange transition)
{
  GstTernCaption *self = GST_TERN_CAPTION (element);

  if (transition == GST_STATE_CHANGE_NULL_TO_READY
      || transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    g_mutex_lock (&self->lock);
    self->failed = self->loading = FALSE;
    self->loaded = 0;
    update_eos (self);
    g_mutex_unlock (&self->lock);
  }
  if (self->joint)
    share_frame_rate (self);
  else if (transition == GST_STATE_CHANGE_NULL_TO_READY) {
    GST_ELEMENT_ERROR (self, CORE, MISSING_PLUGIN,
        ("A GStreamer element is missing."),
        ("expected tee and videoconvert (GStreamer Base Plugins)"));
    return GST_STATE_CHANGE_FAILURE;
  }
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !share_budget (self))
    return GST_STATE_CHANGE_FAILURE;
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

/* Those of the elements inside, under their names. */
static GstStructure *
make_stats (GstTernCaption * self)
{
  GstElement *const elements[] = {
    self->encoder, self->compressor, self->generator, self->attach
  };
  GstStructure *all = gst_structure_new_empty ("stats"), *stats;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (elements); i++) {
    g_object_get (elements[i], "stats", &stats, NULL);
    if (stats)
      gst_structure_set (all, GST_OBJECT_NAME (elements[i]),
          GST_TYPE_STRUCTURE, stats, NULL);
    g_clear_pointer (&stats, gst_structure_free);
  }
  return all;
}

static void
gst_tern_caption_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernCaption *self = GST_TERN_CAPTION (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, make_stats (self));
    return;
  }
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
  guint i;

  g_mutex_lock (&self->lock);
  remove_branch (self, &self->text);
  remove_branch (self, &self->json);
  for (i = 0; i < G_N_ELEMENTS (self->passes); i++)
    remove_pass (self, &self->passes[i]);
  self->attach = NULL;          /* goes before the pads do */
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
  element_class->send_event = gst_tern_caption_send_event;
  element_class->request_new_pad = gst_tern_caption_request_new_pad;
  element_class->release_pad = gst_tern_caption_release_pad;
  GST_BIN_CLASS (klass)->handle_message = gst_tern_caption_handle_message;

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
  /**
   * GstTernCaption:float-activations:
   *
   * Compute on floats instead of int8 and bf16: slower, for comparison.
   *
   * Since: 0.1
   */
  gst_tern_install_float_activations (object_class, PROP_FLOAT_ACTIVATIONS);
  /**
   * GstTernCaption:stats:
   *
   * What was done so far: a structure with the stats of the elements inside,
   * each under its name (encoder, compressor, generator, attach).
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Of the elements inside, by their names", GST_TYPE_STRUCTURE,
          (GParamFlags) (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
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
  /**
   * GstTernCaption::ask:
   * @caption: the element
   * @request: a structure `tern-ask`
   *
   * Asks, at once, about what was seen so far: see #GstTernGenerator::ask.
   *
   * Returns: the request's id; 0: it was refused
   *
   * Since: 0.1
   */
  signals[SIGNAL_ASK] = gst_tern_new_ask_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_caption_ask));
  /**
   * GstTernCaption::trigger:
   * @caption: the element
   *
   * Something happens: what is open of a window is answered as far as it goes,
   * and another one begins with the next frame.
   *
   * Since: 0.1
   */
  signals[SIGNAL_TRIGGER] =
      gst_tern_new_trigger_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_caption_trigger));

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &text_template);
  gst_element_class_add_static_pad_template (element_class, &json_template);
  gst_element_class_add_static_pad_template (element_class, &prompt_template);
  gst_tern_action_add_templates (element_class);
  gst_element_class_set_static_metadata (element_class, "Tern captioner",
      "Analyzer/Filter/Video/Text", "Captions video that passes through",
      "The Tern developers");
}

static GstPad *
add_ghost_pad (GstTernCaption * self, GstStaticPadTemplate * static_template,
    GstElement * element, const gchar * name)
{
  GstPadTemplate *template = gst_static_pad_template_get (static_template);
  GstPad *target = gst_element_get_static_pad (element, name);
  GstPad *ghost = gst_ghost_pad_new_from_template (name, target, template);

  gst_element_add_pad (GST_ELEMENT_CAST (self), ghost);
  gst_object_unref (target);
  gst_object_unref (template);
  return ghost;
}

static void
link_elements (GstTernCaption * self)
{
  gst_element_link_pads (self->joint, "look_src", self->convert, "sink");
  gst_element_link_pads (self->joint, "src", self->attach, "sink");
  gst_element_link_many (self->convert, self->encoder, self->compressor,
      self->generator, NULL);
  gst_element_link_pads (self->generator, "src", self->text_tee, "sink");
  gst_element_link_pads (self->generator, "json_src", self->json_tee, "sink");
  gst_element_link_pads (self->json_tee, NULL, self->attach, "text_sink");
}

static void
gst_tern_caption_init (GstTernCaption * self)
{
  GstBin *bin = GST_BIN_CAST (self);
  GstPad *src;

  g_mutex_init (&self->lock);
  self->passes[0].name = "prompt_sink";
  self->passes[1].name = "state_sink";
  self->passes[2].name = "action_src";
  self->encoder = g_object_new (GST_TYPE_TERN_ENCODER, "name", "encoder", NULL);
  self->compressor = g_object_new (GST_TYPE_TERN_COMPRESSOR, "name",
      "compressor", "previews", TRUE, NULL);
  self->generator = g_object_new (GST_TYPE_TERN_GENERATOR, "name", "generator",
      NULL);
  self->attach = g_object_new (GST_TYPE_TERN_ATTACH, "name", "attach", NULL);
  gst_bin_add_many (bin, self->encoder, self->compressor, self->generator,
      self->attach, NULL);
  g_signal_connect_object (self->generator, "result", G_CALLBACK (on_result),
      self, 0);

  self->text_tee = gst_element_factory_make ("tee", "text-tee");
  self->json_tee = gst_element_factory_make ("tee", "json-tee");
  self->convert = gst_element_factory_make ("videoconvert", "convert");
  if (!self->text_tee || !self->json_tee || !self->convert) {
    gst_clear_object (&self->text_tee);
    gst_clear_object (&self->json_tee);
    gst_clear_object (&self->convert);
    return;
  }
  /* What asks for pads that lead nowhere must not find that of text. */
  g_object_set (self->text_tee, "allow-not-linked", TRUE, NULL);
  self->joint = g_object_new (GST_TYPE_TERN_JOINT, "name", "joint", NULL);
  gst_bin_add_many (bin, self->joint, self->text_tee, self->json_tee,
      self->convert, NULL);
  link_elements (self);
  add_ghost_pad (self, &sink_template, self->joint, "sink");
  src = add_ghost_pad (self, &src_template, self->attach, "src");
  gst_pad_set_event_function (src, src_event);
}
