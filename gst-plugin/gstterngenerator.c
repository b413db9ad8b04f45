/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-terngenerator
 * @title: terngenerator
 * @short_description: says what visual tokens show
 *
 * Collects the visual tokens of a window of frames, and answers the prompt about
 * each window with a language model. `src` has text whose PTS and duration are
 * those of the window, `json_src` the result as one line of JSON. Both carry
 * TernResultMeta. The bus gets an element message `tern-result` and the signal
 * `result` is emitted, whether or not anything is linked.
 *
 * The model works in threads of its own. Behind a live source old windows are
 * dropped for the newest one, with a QOS message; otherwise upstream waits and
 * every window is answered, see `leaky`. At EOS and at a new segment the last,
 * partial window is answered. A flush ends running work.
 *
 * Tokens of an encoder that does not belong to the model are refused when caps
 * are negotiated. Behind a live source text has the time of the newest frame when
 * it was ready, which is what an overlay needs, see `text-timestamps`; JSON keeps
 * the time of its window.
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

#define DEFAULT_LATENCY (2 * GST_SECOND)

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_MMPROJ_PATH,
  PROP_THREADS,
  PROP_SHARED                   /* those of terncaption; PROP_SHARED + the order below */
};

enum
{
  SHARED_PROMPT,
  SHARED_PROMPT_PATH,
  SHARED_WINDOW,
  SHARED_HOP,
  SHARED_MAX_TOKENS,
  SHARED_BEAM,
  SHARED_TEMPERATURE,
  SHARED_TOP_K,
  SHARED_TOP_P,
  SHARED_MIN_P,
  SHARED_REPETITION_PENALTY,
  SHARED_SEED,
  SHARED_KV_PRUNE,
  SHARED_KV_GATE,
  SHARED_KV_TYPE,
  SHARED_LEAKY,
  SHARED_METRICS,
  SHARED_TIMESTAMPS,
  SHARED_LATENCY,
  SHARED_LAST
};

enum
{
  SIGNAL_RESULT,
  SIGNAL_CANCEL,
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

static GstPad *
gst_tern_generator_request_new_pad (GstElement * element,
    GstPadTemplate * template, const gchar * name, const GstCaps * caps)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  gboolean taken;
  GstPad *pad;

  pad = gst_pad_new_from_template (template, "json_src");
  gst_pad_use_fixed_caps (pad);
  gst_pad_set_query_function (pad, gst_tern_generator_src_query);
  gst_pad_set_event_function (pad, gst_tern_generator_src_event);
  gst_object_ref_sink (pad);
  GST_OBJECT_LOCK (self);
  taken = self->jsonpad != NULL;
  if (!taken) {
    self->jsonpad = pad;
    self->json_started = FALSE;
  }
  GST_OBJECT_UNLOCK (self);
  if (taken) {
    GST_WARNING_OBJECT (self, "there is one json_src only");
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
  gboolean ours;

  GST_OBJECT_LOCK (self);
  ours = self->jsonpad == pad;
  if (ours)
    self->jsonpad = NULL;
  GST_OBJECT_UNLOCK (self);
  if (!ours)
    return;
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
  gst_object_unref (pad);
}

static gboolean
check_settings (GstTernGenerator * self)
{
  gchar *prompt = NULL, *id = NULL;
  GError *error = NULL;

  if (gst_tern_model_settings_check (&self->settings, GST_ELEMENT_CAST (self),
          &error))
    gst_tern_generator_get_prompt (self, &prompt, &id, &error);
  g_free (prompt);
  g_free (id);
  if (!error)
    return TRUE;

  gst_tern_post_error (self, error);
  g_error_free (error);
  return FALSE;
}

static void
stop (GstTernGenerator * self)
{
  gst_tern_generator_drop_session (self);
  g_clear_pointer (&self->loader, gst_tern_loader_stop);
  gst_clear_event (&self->segment_event);
  g_mutex_lock (&self->lock);
  gst_tern_generator_clear_out (self);
  self->latency_said = FALSE;
  self->last_latency = GST_CLOCK_TIME_NONE;
  g_mutex_unlock (&self->lock);
  self->have_group_id = FALSE;
  self->src_started = self->json_started = FALSE;
  self->count = 0;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
}

static GstStateChangeReturn
gst_tern_generator_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    self->loader = gst_tern_loader_start (element, &self->settings,
        TERN_MODEL_TEXT);

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

static void
gst_tern_generator_cancel (GstTernGenerator * self)
{
  g_mutex_lock (&self->session_lock);
  if (self->session)
    tern_session_cancel (self->session);
  g_mutex_unlock (&self->session_lock);
}

static void
gst_tern_generator_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  TernSessionParams *params = &self->params;
  gboolean prompt = FALSE, latency = FALSE;

  GST_OBJECT_LOCK (self);
  self->params_changed = TRUE;
  switch (id) {
    case PROP_MODEL_PATH:
      g_free (self->settings.model_path);
      self->settings.model_path = g_value_dup_string (value);
      break;
    case PROP_MMPROJ_PATH:
      g_free (self->settings.mmproj_path);
      self->settings.mmproj_path = g_value_dup_string (value);
      break;
    case PROP_THREADS:
      self->settings.threads = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_PROMPT:
      g_free (self->prompt);
      self->prompt = g_value_dup_string (value);
      self->prompt_number++;
      prompt = TRUE;
      break;
    case PROP_SHARED + SHARED_PROMPT_PATH:
      g_free (self->prompt_path);
      self->prompt_path = g_value_dup_string (value);
      self->prompt_number++;
      prompt = TRUE;
      break;
    case PROP_SHARED + SHARED_WINDOW:
      params->window = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_HOP:
      params->hop = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      params->max_tokens = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_BEAM:
      params->beam = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      params->temperature = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      params->top_k = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      params->top_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      params->min_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      params->repetition_penalty = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_SEED:
      params->seed = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_KV_PRUNE:
      params->kv_prune = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_KV_GATE:
      params->kv_gate = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_KV_TYPE:
      params->kv_type = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      self->leaky = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_METRICS:
      params->metrics = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      self->timestamps = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LATENCY:
      latency = self->latency != g_value_get_uint64 (value);
      self->latency = g_value_get_uint64 (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
  if (prompt)
    gst_tern_generator_update_prompt (self);
  if (latency)
    gst_element_post_message (GST_ELEMENT_CAST (self),
        gst_message_new_latency (GST_OBJECT_CAST (self)));
}

static void
gst_tern_generator_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  const TernSessionParams *params = &self->params;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_value_set_string (value, self->settings.model_path);
      break;
    case PROP_MMPROJ_PATH:
      g_value_set_string (value, self->settings.mmproj_path);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, self->settings.threads);
      break;
    case PROP_SHARED + SHARED_PROMPT:
      g_value_set_string (value, self->prompt);
      break;
    case PROP_SHARED + SHARED_PROMPT_PATH:
      g_value_set_string (value, self->prompt_path);
      break;
    case PROP_SHARED + SHARED_WINDOW:
      g_value_set_uint64 (value, params->window);
      break;
    case PROP_SHARED + SHARED_HOP:
      g_value_set_uint64 (value, params->hop);
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      g_value_set_uint (value, params->max_tokens);
      break;
    case PROP_SHARED + SHARED_BEAM:
      g_value_set_uint (value, params->beam);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      g_value_set_float (value, params->temperature);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      g_value_set_uint (value, params->top_k);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      g_value_set_float (value, params->top_p);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      g_value_set_float (value, params->min_p);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      g_value_set_float (value, params->repetition_penalty);
      break;
    case PROP_SHARED + SHARED_SEED:
      g_value_set_uint64 (value, params->seed);
      break;
    case PROP_SHARED + SHARED_KV_PRUNE:
      g_value_set_double (value, params->kv_prune);
      break;
    case PROP_SHARED + SHARED_KV_GATE:
      g_value_set_enum (value, params->kv_gate);
      break;
    case PROP_SHARED + SHARED_KV_TYPE:
      g_value_set_enum (value, params->kv_type);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      g_value_set_enum (value, self->leaky);
      break;
    case PROP_SHARED + SHARED_METRICS:
      g_value_set_boolean (value, params->metrics);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      g_value_set_enum (value, self->timestamps);
      break;
    case PROP_SHARED + SHARED_LATENCY:
      g_value_set_uint64 (value, self->latency);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_generator_finalize (GObject * object)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);

  gst_tern_token_map_clear (&self->map);
  gst_tern_model_settings_clear (&self->settings);
  g_free (self->prompt);
  g_free (self->prompt_path);
  gst_clear_object (&self->jsonpad);
  g_mutex_clear (&self->session_lock);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_sampling_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;
  const GParamFlags playing = GST_TERN_PARAM_PLAYING;

  /**
   * GstTernGenerator:max-tokens:
   *
   * Most tokens to say about a window.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_TOKENS,
      g_param_spec_uint ("max-tokens", "Maximum tokens",
          "Most tokens to say about a window", TERN_MAX_TOKENS_MIN,
          TERN_MAX_TOKENS_MAX, 32, playing));
  /**
   * GstTernGenerator:beam:
   *
   * Width of the beam search; 1 searches no further than the likeliest token.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_BEAM,
      g_param_spec_uint ("beam", "Beams", "Width of the beam search (1 = none)",
          1, TERN_BEAM_MAX, 1, ready));
  /**
   * GstTernGenerator:temperature:
   *
   * 0 says the likeliest token, always; more chooses among them at random.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TEMPERATURE,
      g_param_spec_float ("temperature", "Temperature",
          "Randomness of what is said (0 = none)", 0.0f, TERN_TEMPERATURE_MAX,
          0.0f, playing));
  /**
   * GstTernGenerator:top-k:
   *
   * Choose among the likeliest tokens, this many; 0 among all.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TOP_K,
      g_param_spec_uint ("top-k", "Top k",
          "Choose among this many tokens (0 = all)", 0, TERN_TOP_K_MAX, 0,
          playing));
  /**
   * GstTernGenerator:top-p:
   *
   * Choose among the likeliest tokens that have this probability together.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TOP_P,
      g_param_spec_float ("top-p", "Top p",
          "Choose among tokens of this probability together (1 = all)",
          TERN_TOP_P_MIN, TERN_TOP_P_MAX, 1.0f, playing));
  /**
   * GstTernGenerator:min-p:
   *
   * Choose among tokens of at least this share of the likeliest one's
   * probability.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MIN_P,
      g_param_spec_float ("min-p", "Min p",
          "Least probability, as a share of the likeliest token's (0 = any)",
          0.0f, TERN_MIN_P_MAX, 0.0f, playing));
  /**
   * GstTernGenerator:repetition-penalty:
   *
   * Makes tokens that were said less likely; 1 does not.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_REPETITION_PENALTY,
      g_param_spec_float ("repetition-penalty", "Repetition penalty",
          "Makes tokens that were said less likely (1 = no)",
          TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX, 1.0f,
          playing));
  /**
   * GstTernGenerator:seed:
   *
   * The same seed says the same.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_SEED,
      g_param_spec_uint64 ("seed", "Seed", "Seed of what is left to chance", 0,
          G_MAXUINT64, 0, playing));
  /**
   * GstTernGenerator:kv-prune:
   *
   * Share of the visual keys that are not looked at while text is made (DyCoke
   * stage 2).
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_KV_PRUNE,
      g_param_spec_double ("kv-prune", "KV pruning",
          "Share of visual keys that are not looked at while decoding", 0.0,
          TERN_SHARE_MAX, 0.7, playing));
  /**
   * GstTernGenerator:kv-gate:
   *
   * When the visual keys to look at are selected again.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_KV_GATE,
      g_param_spec_enum ("kv-gate", "KV pruning gate",
          "When visual keys are selected again", GST_TYPE_TERN_PRUNE_GATE,
          TERN_GATE_PAPER, playing));
  /**
   * GstTernGenerator:kv-type:
   *
   * How the keys and values of what was read are kept.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_KV_TYPE,
      g_param_spec_enum ("kv-type", "KV type",
          "How keys and values of what was read are kept",
          GST_TYPE_TERN_KV_TYPE, TERN_CACHE_AUTO, GST_TERN_PARAM_READY));
}

guint
gst_tern_generator_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;
  const GParamFlags playing = GST_TERN_PARAM_PLAYING;

  /**
   * GstTernGenerator:prompt:
   *
   * What is asked about each window, from the next one on; the results' prompt_id
   * counts the changes. Unset, the instruction that the model was trained with;
   * empty, none.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_PROMPT,
      g_param_spec_string ("prompt", "Prompt",
          "What is asked about each window (default: the model's own)", NULL,
          playing));
  /**
   * GstTernGenerator:prompt-path:
   *
   * A file with the prompt, read when it is set and when the element starts.
   * Instead of `prompt`.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_PROMPT_PATH,
      g_param_spec_string ("prompt-path", "Prompt path",
          "File with the prompt, instead of prompt", NULL, playing));
  /**
   * GstTernGenerator:window:
   *
   * Time that an answer is about, rounded up to whole groups of four frames.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_WINDOW,
      g_param_spec_uint64 ("window", "Window",
          "Time that an answer is about, in ns", TERN_WINDOW_MIN,
          TERN_WINDOW_MAX, 4 * GST_SECOND, ready));
  /**
   * GstTernGenerator:hop:
   *
   * Time from one window's start to the next one's, rounded up to whole groups
   * of four frames; 0 is the window, so that windows do not overlap.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_HOP,
      g_param_spec_uint64 ("hop", "Hop",
          "Time between the starts of windows, in ns (0 = window)", 0,
          TERN_HOP_MAX, 0, ready));
  install_sampling_properties (klass, first);
  /**
   * GstTernGenerator:leaky:
   *
   * What happens when windows come faster than answers.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_LEAKY,
      g_param_spec_enum ("leaky", "Leaky",
          "Whether old windows are dropped for the newest one",
          GST_TYPE_TERN_LEAKY, GST_TERN_LEAKY_AUTO, ready));
  /**
   * GstTernGenerator:metrics:
   *
   * Results say how long each stage took.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_METRICS,
      g_param_spec_boolean ("metrics", "Metrics",
          "Results say how long each stage took", FALSE, playing));
  /**
   * GstTernGenerator:text-timestamps:
   *
   * Whose time text has.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_TIMESTAMPS,
      g_param_spec_enum ("text-timestamps", "Text timestamps",
          "Whose time text has: its window's, or the newest frame's",
          GST_TYPE_TERN_TIMESTAMPS, GST_TERN_TIMESTAMPS_AUTO, ready));
  /**
   * GstTernGenerator:latency:
   *
   * How long answers may take behind a live source: what text with the time of
   * its window is late by, beside the window itself. A WARNING says, once, that
   * an answer took longer.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_LATENCY,
      g_param_spec_uint64 ("latency", "Latency",
          "Time that an answer may take behind a live source, in ns (with "
          "text-timestamps=window)", 0, G_MAXINT64, DEFAULT_LATENCY, playing));
  return first + SHARED_LAST;
}

static void
gst_tern_generator_class_init (GstTernGeneratorClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  const GParamFlags ready = GST_TERN_PARAM_READY;

  GST_DEBUG_CATEGORY_INIT (gst_tern_generator_debug, "terngenerator", 0,
      "Tern language model");

  object_class->set_property = gst_tern_generator_set_property;
  object_class->get_property = gst_tern_generator_get_property;
  object_class->finalize = gst_tern_generator_finalize;
  element_class->change_state = gst_tern_generator_change_state;
  element_class->request_new_pad = gst_tern_generator_request_new_pad;
  element_class->release_pad = gst_tern_generator_release_pad;

  /**
   * GstTernGenerator:model-path:
   *
   * GGUF file of the language model, or a folder with one. Unset,
   * TERN_MODEL_PATH or the bundled model.
   *
   * Since: 0.1
   */
  gst_tern_install_model_path (object_class, PROP_MODEL_PATH);
  /**
   * GstTernGenerator:mmproj-path:
   *
   * GGUF file of the vision encoder whose tokens are accepted; it is identified,
   * not loaded. Unset, the one mmproj*.gguf beside the model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_MMPROJ_PATH,
      g_param_spec_string ("mmproj-path", "Vision encoder path",
          "GGUF file of the vision encoder whose tokens are accepted (default: "
          "the one mmproj*.gguf beside the model)", NULL, ready));
  /**
   * GstTernGenerator:threads:
   *
   * Threads that work on this model; 0 is one for each core.
   *
   * Since: 0.1
   */
  gst_tern_install_threads (object_class, PROP_THREADS);
  gst_tern_generator_install_properties (object_class, PROP_SHARED);

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
   * Ends running work and drops what waits. The running window's result has what
   * was said so far and the finish_reason `cancelled`.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CANCEL] =
      gst_tern_new_cancel_signal (G_TYPE_FROM_CLASS (klass),
      G_CALLBACK (gst_tern_generator_cancel));

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_PRUNE_GATE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_KV_TYPE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_LEAKY, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_TIMESTAMPS, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_add_static_pad_template (element_class, &json_template);
  gst_element_class_set_static_metadata (element_class, "Tern language model",
      "Converter/Analyzer/Text", "Says what visual tokens show",
      "The Tern developers");
}

static void
gst_tern_generator_init (GstTernGenerator * self)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_generator_chain);
  gst_pad_set_event_full_function (self->sinkpad,
      gst_tern_generator_sink_event);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_generator_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_query_function (self->srcpad, gst_tern_generator_src_query);
  gst_pad_set_event_function (self->srcpad, gst_tern_generator_src_event);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_generator_src_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  g_mutex_init (&self->session_lock);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->out);
  self->flow = GST_FLOW_FLUSHING;
  self->params = params;
  self->params.beam = 1;
  self->latency = DEFAULT_LATENCY;
  self->progress = self->last_latency = GST_CLOCK_TIME_NONE;
  self->last_end = self->position = GST_CLOCK_TIME_NONE;
}
