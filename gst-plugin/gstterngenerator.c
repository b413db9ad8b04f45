/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-terngenerator
 * @title: terngenerator
 * @short_description: says what visual tokens show
 *
 * Collects the visual tokens of a window of frames, and answers the prompt
 * about each window with a language model. `src` has text whose PTS and
 * duration are those of the window, `json_src` the result as one line of JSON.
 * Both carry TernResultMeta. The bus gets an element message `tern-result` and
 * the signal `result` is emitted, whether or not anything is linked.
 *
 * The model works in threads of its own. Behind a live source old windows are
 * dropped for the newest one, with a QOS message; otherwise upstream waits and
 * every window is answered, see `leaky`. At EOS and at a new segment the last,
 * partial window is answered. A flush ends running work.
 *
 * `prompt`, `prompts` or `task` say what is asked, `labels`, `json-schema` or
 * `grammar` in what form it is answered; all of them may change while it plays.
 * Beside that a question may be asked once, about what was seen so far: by the
 * action signal `ask`, the custom event `tern-ask`, which travels upstream, or
 * text on the request pad `prompt_sink`.
 *
 * Tokens of an encoder that does not belong to the model are refused when caps
 * are negotiated. Behind a live source text has the time of the newest frame
 * when it was ready, which is what an overlay needs, see `text-timestamps`;
 * JSON keeps the time of its window. Text with the time of its window comes
 * later than that by the window and `latency`, which LATENCY queries are told.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder model-path=tern.gguf ! terncompressor ! terngenerator model-path=tern.gguf prompt="What happens?" window=4000000000 ! srtenc ! filesink location=clip.srt
 * ]| Subtitles of a file.
 *
 * Since: 0.1
 */
#include "gstterngenerator-priv.h"

#include "gstternelement.h"
#include "gstternerror.h"

GST_DEBUG_CATEGORY (gst_tern_generator_debug);

enum
{
  SIGNAL_RESULT,
  SIGNAL_CANCEL,
  SIGNAL_ASK,
  SIGNAL_TRIGGER,
  LAST_SIGNAL
};

static guint signals[LAST_SIGNAL];

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8"));
static GstStaticPadTemplate json_template =
GST_STATIC_PAD_TEMPLATE ("json_src", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("application/x-json"));
static GstStaticPadTemplate prompt_template =
GST_STATIC_PAD_TEMPLATE ("prompt_sink", GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("text/x-raw, format = (string) utf8"));

#define gst_tern_generator_parent_class parent_class
G_DEFINE_TYPE (GstTernGenerator, gst_tern_generator, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (terngenerator, "terngenerator", GST_RANK_NONE,
    GST_TYPE_TERN_GENERATOR);

void
gst_tern_generator_signal_result (GstTernGenerator * self,
    GstStructure * result)
{
  g_signal_emit (self, signals[SIGNAL_RESULT], 0, result);
}

/* ---- Request pads ---- */

static void
trigger_action (GstTernGenerator * self)
{
  gst_tern_generator_trigger (self, GST_SEQNUM_INVALID);
}

static GstPad *
make_json_pad (GstPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_template (template, "json_src");

  gst_pad_use_fixed_caps (pad);
  gst_pad_set_query_function (pad, gst_tern_generator_src_query);
  gst_pad_set_event_function (pad, gst_tern_generator_src_event);
  gst_pad_set_iterate_internal_links_function (pad,
      gst_tern_generator_iterate_sink);
  return pad;
}

static GstPad *
make_prompt_pad (GstPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_template (template, "prompt_sink");

  gst_pad_set_chain_function (pad, gst_tern_generator_prompt_chain);
  gst_pad_set_event_function (pad, gst_tern_generator_prompt_event);
  gst_pad_set_iterate_internal_links_function (pad,
      gst_tern_generator_iterate_no_pad);
  return pad;
}

static GstPad *
gst_tern_generator_request_new_pad (GstElement * element,
    GstPadTemplate * template, const gchar * name, const GstCaps * caps)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  gboolean json = g_str_equal (template->name_template, "json_src"), taken;
  GstPad **place = json ? &self->jsonpad : &self->promptpad, *pad;

  if (gst_tern_action_is_template (template))
    return gst_tern_action_request_pad (self->action, template);
  pad = json ? make_json_pad (template) : make_prompt_pad (template);
  gst_object_ref_sink (pad);
  GST_OBJECT_LOCK (self);
  taken = *place != NULL;
  if (!taken) {
    *place = pad;
    self->json_started &= !json;
  }
  GST_OBJECT_UNLOCK (self);
  if (taken) {
    GST_WARNING_OBJECT (self, "there is one %s only", template->name_template);
    gst_object_unref (pad);
    return NULL;
  }
  gst_pad_set_active (pad, TRUE);
  gst_element_add_pad (element, pad);
  return pad;
}

static void
gst_tern_generator_release_pad (GstElement * element, GstPad * pad)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  GstPad **place = NULL;

  if (gst_tern_action_release_pad (self->action, pad))
    return;
  GST_OBJECT_LOCK (self);
  if (self->jsonpad == pad)
    place = &self->jsonpad;
  else if (self->promptpad == pad)
    place = &self->promptpad;
  if (place)
    *place = NULL;
  GST_OBJECT_UNLOCK (self);
  if (!place)
    return;
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
  gst_object_unref (pad);
}

/* ---- States ---- */

static gboolean
open_action (GstTernGenerator * self, GError ** error)
{
  GstTernStanding *standing = gst_tern_generator_ref_standing (self);
  gboolean ok;

  ok = gst_tern_action_open (self->action,
      standing->texts[GST_TERN_TEXT_ACTION_PATH], error);
  if (ok && standing->texts[GST_TERN_TEXT_ACTION_PATH]
      && standing->n_questions > 1) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "prompts: expected one question with action-path, found %u",
        standing->n_questions);
    ok = FALSE;
  }
  gst_tern_standing_unref (standing);
  return ok;
}

static gboolean
check_settings (GstTernGenerator * self)
{
  const gchar *text = NULL;
  GError *error = NULL;

  if (gst_tern_model_settings_check (&self->settings, GST_ELEMENT_CAST (self),
          &error) && !gst_tern_generator_check_questions (self, &error))
    text = "What is to be asked cannot be used.";
  else if (!error)
    open_action (self, &error);
  if (!error)
    return TRUE;

  gst_tern_post_error_as (self, error, text);
  g_error_free (error);
  return FALSE;
}

static gboolean
check_action (GstTernGenerator * self)
{
  GError *error = NULL;

  if (open_action (self, &error))
    return TRUE;
  gst_tern_post_error (self, error);
  g_error_free (error);
  return FALSE;
}

static void
take_asks (GstTernGenerator * self, gboolean take)
{
  g_mutex_lock (&self->task.lock);
  self->takes_asks = take;
  g_mutex_unlock (&self->task.lock);
}

void
gst_tern_generator_set_budget (GstTernGenerator * self, TernBudget * budget)
{
  gst_tern_budget_replace (GST_OBJECT_CAST (self), &self->budget, budget);
}

/* Its own account, unless it was given one. */
static gboolean
open_budget (GstTernGenerator * self)
{
  TernBudget *budget = NULL;
  TernBudgetParams params;
  gboolean ok;

  GST_OBJECT_LOCK (self);
  params = self->budget_params;
  if (self->budget)
    budget = tern_budget_ref (self->budget);
  GST_OBJECT_UNLOCK (self);
  ok = gst_tern_budget_open (GST_ELEMENT_CAST (self), &params, &budget);
  gst_tern_generator_set_budget (self, budget);
  tern_budget_unref (budget);
  return ok;
}

static void
stop (GstTernGenerator * self)
{
  gst_tern_generator_drop_session (self);
  gst_tern_generator_set_budget (self, NULL);
  g_clear_pointer (&self->loader, gst_tern_loader_stop);
  take_asks (self, FALSE);
  gst_tern_generator_end_asks (self, TRUE, "the element stopped");
  gst_tern_generator_reset_captures (self, NULL);
  g_hash_table_remove_all (self->told);
  gst_clear_event (&self->segment_event);
  gst_clear_caps (&self->refused);
  g_mutex_lock (&self->task.lock);
  gst_tern_task_empty (&self->task, FALSE);
  self->progress = GST_CLOCK_TIME_NONE;
  self->latency_said = FALSE;
  gst_tern_generator_reset_counts (self);
  g_mutex_unlock (&self->task.lock);
  gst_tern_action_stop (self->action);
  self->have_group_id = FALSE;
  self->src_started = self->json_started = self->text_ended = FALSE;
  self->begun = self->ended = FALSE;
  g_atomic_int_set (&self->triggered, FALSE);
  self->count = 0;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
  self->cue_until = self->sample_until = GST_CLOCK_TIME_NONE;
}

static GstStateChangeReturn
gst_tern_generator_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    /* What it is may have changed in READY. */
    if (!check_action (self) || !open_budget (self))
      return GST_STATE_CHANGE_FAILURE;
    self->loader = gst_tern_loader_start (element, &self->settings,
        TERN_MODEL_TEXT);
    take_asks (self, TRUE);
  }

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL)
    gst_tern_action_close (self->action);
  return ret;
}

static void
gst_tern_generator_cancel (GstTernGenerator * self)
{
  /* What the session ends makes room for those that are held. */
  g_mutex_lock (&self->ask_lock);
  gst_tern_generator_cancel_held_asks (self);
  if (self->session)
    tern_session_cancel (self->session);
  g_mutex_unlock (&self->ask_lock);
}

static void
gst_tern_generator_finalize (GObject * object)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);

  gst_tern_token_map_clear (&self->map);
  gst_tern_model_settings_clear (&self->settings);
  gst_tern_generator_clear_questions (self);
  g_hash_table_unref (self->told);
  g_array_unref (self->captures);
  g_free (self->draft_model);
  g_free (self->draft_named);
  g_free (self->language);
  gst_clear_object (&self->jsonpad);
  gst_clear_object (&self->promptpad);
  gst_tern_action_free (self->action);
  g_mutex_clear (&self->prompt_lock);
  g_mutex_clear (&self->ask_lock);
  g_mutex_clear (&self->session_lock);
  gst_tern_task_finalize (&self->task);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

/* By an application, from no pad. */
static gboolean
gst_tern_generator_send_event (GstElement * element, GstEvent * event)
{
  gboolean taken;

  if (!gst_tern_generator_take_event (GST_TERN_GENERATOR (element), event, TRUE,
          &taken))
    return GST_ELEMENT_CLASS (parent_class)->send_event (element, event);
  gst_event_unref (event);
  return taken;
}

static void
gst_tern_generator_class_init (GstTernGeneratorClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_generator_debug, "terngenerator", 0,
      "Tern language model");

  object_class->finalize = gst_tern_generator_finalize;
  element_class->change_state = gst_tern_generator_change_state;
  element_class->request_new_pad = gst_tern_generator_request_new_pad;
  element_class->release_pad = gst_tern_generator_release_pad;
  element_class->send_event = gst_tern_generator_send_event;

  object_class->set_property = gst_tern_generator_set_property;
  object_class->get_property = gst_tern_generator_get_property;
  gst_tern_generator_install_own_properties (object_class);

  /**
   * GstTernGenerator::result:
   * @generator: the element
   * @result: the result, with the fields of the result table
   *
   * From the thread that pushes text.
   *
   * Since: 0.1
   */
  signals[SIGNAL_RESULT] =
      gst_tern_new_result_signal (G_TYPE_FROM_CLASS (klass));
  /**
   * GstTernGenerator::cancel:
   * @generator: the element
   *
   * Ends running work and drops what waits. The results of the running window
   * and of requests have what was said so far and the finish_reason
   * `cancelled`.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CANCEL] =
      gst_tern_new_cancel_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_generator_cancel));
  /**
   * GstTernGenerator::ask:
   * @generator: the element
   * @request: a structure `tern-ask`
   *
   * Asks, at once, about what was seen so far. Fields: `prompt` or `task`
   * (string), `prompt-id` (string), one of `labels` (array of strings),
   * `json-schema` and `grammar` (string), `min-confidence` (double),
   * `max-tokens` (uint), `frames` (uint: the newest so many; otherwise those of
   * the window that is open), with memory=stream `from` and `to` (uint64, ns of
   * stream time: what is remembered of then is looked at alone; when that is
   * nothing the result has finish_reason forgotten), `timeout` (uint64, ns), `once` (boolean; with
   * FALSE the question is asked about each window from now on, instead of
   * what the properties said).
   *
   * There is one result, with `ask_id` and `prompt_id`. A request that waits
   * for the model, or for room, is held; one that is not answered in time, or
   * that a flush or a stop ends, gives a result of kind `error`.
   *
   * Returns: the request's id; 0: it was refused, a WARNING names the field,
   *   what was expected and what was found
   *
   * Since: 0.1
   */
  signals[SIGNAL_ASK] = gst_tern_new_ask_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_generator_ask));
  /**
   * GstTernGenerator::trigger:
   * @generator: the element
   *
   * Something happens: what is open of a window is answered as far as it goes,
   * and another one begins with the next frame.
   *
   * Since: 0.1
   */
  signals[SIGNAL_TRIGGER] =
      gst_tern_new_trigger_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (trigger_action));

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_PRUNE_GATE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_KV_TYPE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_LEAKY, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_PARTIAL, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_TIMESTAMPS, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &json_template);
  gst_element_class_add_static_pad_template (element_class, &prompt_template);
  gst_tern_action_add_templates (element_class);
  gst_element_class_set_static_metadata (element_class, "Tern language model",
      "Converter/Analyzer/Text", "Says what visual tokens show",
      "The Tern developers");
}

static void
gst_tern_generator_init (GstTernGenerator * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_generator_chain);
  gst_pad_set_query_function (self->sinkpad, gst_tern_generator_sink_query);
  gst_pad_set_event_full_function (self->sinkpad,
      gst_tern_generator_sink_event);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_generator_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_query_function (self->srcpad, gst_tern_generator_src_query);
  gst_pad_set_event_function (self->srcpad, gst_tern_generator_src_event);
  gst_pad_set_iterate_internal_links_function (self->srcpad,
      gst_tern_generator_iterate_sink);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_generator_src_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  g_mutex_init (&self->prompt_lock);
  g_mutex_init (&self->ask_lock);
  g_mutex_init (&self->session_lock);
  self->action = gst_tern_action_new (self);
  gst_tern_task_init (&self->task, self, self->srcpad,
      &gst_tern_generator_task);
  gst_tern_generator_init_properties (self);
  gst_tern_generator_init_questions (self);
  self->told = gst_tern_generator_new_told ();
  self->captures = g_array_new (FALSE, FALSE, 2 * sizeof (GstClockTime));
  self->progress = self->last_latency = GST_CLOCK_TIME_NONE;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
  self->cue_until = self->sample_until = GST_CLOCK_TIME_NONE;
}
