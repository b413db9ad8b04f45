/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties. What is read back is what is in force, or will be from the next
 * window on. */
#include "gstterngenerator-priv.h"

#include "gstternelement.h"

#define DEFAULT_LATENCY (2 * GST_SECOND)
#define DEFAULT_LANGUAGE "en"

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_MMPROJ_PATH,
  PROP_THREADS,
  PROP_FLOAT_ACTIVATIONS,
  PROP_STATS,
  PROP_BUDGET,
  PROP_BUDGET_WATTS,
  PROP_SHARED                   /* those of terncaption, in the order below */
};

enum
{
  SHARED_QUESTIONS,             /* GstTernSetting */
  SHARED_WINDOW = SHARED_QUESTIONS + GST_TERN_SETTINGS,
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
  SHARED_MEMORY,
  SHARED_MEMORY_TOKENS,
  SHARED_DRAFT_MODEL,
  SHARED_DRAFT_VOCABULARY,
  SHARED_LEAKY,
  SHARED_METRICS,
  SHARED_THINK,
  SHARED_TIMESTAMPS,
  SHARED_LATENCY,
  SHARED_ON_CHANGE,
  SHARED_PARTIAL,
  SHARED_LANGUAGE_CODE,
  SHARED_ACTION,                /* those of GstTernAction */
  SHARED_LAST = SHARED_ACTION + GST_TERN_ACTION_LAST
};

static gboolean
is_question (guint id)
{
  return id >= PROP_SHARED + SHARED_QUESTIONS
      && id < PROP_SHARED + SHARED_WINDOW;
}

/* Whether @id is one of GstTernAction's, and which. */
static gboolean
is_action (guint id, guint * which)
{
  *which = id - (PROP_SHARED + SHARED_ACTION);
  return id >= PROP_SHARED + SHARED_ACTION && *which < GST_TERN_ACTION_LAST;
}

void
gst_tern_generator_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  TernSessionParams *params = &self->params;
  gboolean latency = FALSE;
  guint which;

  if (gst_tern_refuse_property (GST_ELEMENT_CAST (self), pspec, value))
    return;
  if (is_question (id)) {
    gst_tern_generator_set_question (self, id - PROP_SHARED - SHARED_QUESTIONS,
        value);
    return;
  }
  if (is_action (id, &which)) {
    if (gst_tern_action_set_property (self->action, which, value)) {
      GST_OBJECT_LOCK (self);
      self->params_changed = TRUE;
      GST_OBJECT_UNLOCK (self);
    }
    return;
  }

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
    case PROP_FLOAT_ACTIVATIONS:
      self->settings.float_activations = g_value_get_boolean (value);
      break;
    case PROP_BUDGET:
      self->budget_params.cores = g_value_get_double (value);
      break;
    case PROP_BUDGET_WATTS:
      self->budget_params.watts = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_WINDOW:
      params->window = g_value_get_uint64 (value);
      self->window = self->hop = 0;
      break;
    case PROP_SHARED + SHARED_HOP:
      params->hop = g_value_get_uint64 (value);
      self->window = self->hop = 0;
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      params->sampling.max_tokens = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_BEAM:
      params->sampling.beam = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      params->sampling.temperature = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      params->sampling.top_k = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      params->sampling.top_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      params->sampling.min_p = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      params->sampling.repetition_penalty = g_value_get_float (value);
      break;
    case PROP_SHARED + SHARED_SEED:
      params->sampling.seed = g_value_get_uint64 (value);
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
    case PROP_SHARED + SHARED_MEMORY:
      params->memory = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_MEMORY_TOKENS:
      params->memory_tokens = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_DRAFT_MODEL:
      g_free (self->draft_model);
      self->draft_model = g_value_dup_string (value);
      break;
    case PROP_SHARED + SHARED_DRAFT_VOCABULARY:
      params->draft_vocabulary = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      self->leaky = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_METRICS:
      params->metrics = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_THINK:
      params->think = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      self->timestamps = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LATENCY:
      latency = self->latency != g_value_get_uint64 (value);
      self->latency = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_ON_CHANGE:
      self->on_change = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_PARTIAL:
      params->partial = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_LANGUAGE_CODE:
      g_free (self->language);
      self->language = g_value_dup_string (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
  if (latency)
    gst_element_post_message (GST_ELEMENT_CAST (self),
        gst_message_new_latency (GST_OBJECT_CAST (self)));
}

void
gst_tern_generator_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernGenerator *self = GST_TERN_GENERATOR (object);
  const TernSessionParams *params = &self->params;
  GstStructure *stats = NULL;
  guint which;

  if (is_question (id)) {
    gst_tern_generator_get_question (self, id - PROP_SHARED - SHARED_QUESTIONS,
        value);
    return;
  }
  if (is_action (id, &which)) {
    gst_tern_action_get_property (self->action, which, value);
    return;
  }
  if (id == PROP_STATS)
    stats = gst_tern_generator_make_stats (self);
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
    case PROP_FLOAT_ACTIVATIONS:
      g_value_set_boolean (value, self->settings.float_activations);
      break;
    case PROP_BUDGET:
      g_value_set_double (value, self->budget_params.cores);
      break;
    case PROP_BUDGET_WATTS:
      g_value_set_double (value, self->budget_params.watts);
      break;
    case PROP_STATS:
      g_value_take_boxed (value, stats);
      break;
    case PROP_SHARED + SHARED_WINDOW:
      g_value_set_uint64 (value, params->window);
      break;
    case PROP_SHARED + SHARED_HOP:
      g_value_set_uint64 (value, params->hop);
      break;
    case PROP_SHARED + SHARED_MAX_TOKENS:
      g_value_set_uint (value, params->sampling.max_tokens);
      break;
    case PROP_SHARED + SHARED_BEAM:
      g_value_set_uint (value, params->sampling.beam);
      break;
    case PROP_SHARED + SHARED_TEMPERATURE:
      g_value_set_float (value, params->sampling.temperature);
      break;
    case PROP_SHARED + SHARED_TOP_K:
      g_value_set_uint (value, params->sampling.top_k);
      break;
    case PROP_SHARED + SHARED_TOP_P:
      g_value_set_float (value, params->sampling.top_p);
      break;
    case PROP_SHARED + SHARED_MIN_P:
      g_value_set_float (value, params->sampling.min_p);
      break;
    case PROP_SHARED + SHARED_REPETITION_PENALTY:
      g_value_set_float (value, params->sampling.repetition_penalty);
      break;
    case PROP_SHARED + SHARED_SEED:
      g_value_set_uint64 (value, params->sampling.seed);
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
    case PROP_SHARED + SHARED_MEMORY:
      g_value_set_enum (value, params->memory);
      break;
    case PROP_SHARED + SHARED_MEMORY_TOKENS:
      g_value_set_uint (value, params->memory_tokens);
      break;
    case PROP_SHARED + SHARED_DRAFT_MODEL:
      g_value_set_string (value, self->draft_model);
      break;
    case PROP_SHARED + SHARED_DRAFT_VOCABULARY:
      g_value_set_enum (value, params->draft_vocabulary);
      break;
    case PROP_SHARED + SHARED_LEAKY:
      g_value_set_enum (value, self->leaky);
      break;
    case PROP_SHARED + SHARED_METRICS:
      g_value_set_boolean (value, params->metrics);
      break;
    case PROP_SHARED + SHARED_THINK:
      g_value_set_boolean (value, params->think);
      break;
    case PROP_SHARED + SHARED_TIMESTAMPS:
      g_value_set_enum (value, self->timestamps);
      break;
    case PROP_SHARED + SHARED_LATENCY:
      g_value_set_uint64 (value, self->latency);
      break;
    case PROP_SHARED + SHARED_ON_CHANGE:
      g_value_set_boolean (value, self->on_change);
      break;
    case PROP_SHARED + SHARED_PARTIAL:
      g_value_set_enum (value, params->partial);
      break;
    case PROP_SHARED + SHARED_LANGUAGE_CODE:
      g_value_set_string (value, self->language);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
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
          TERN_BEAM_MIN, TERN_BEAM_MAX, 1, ready));
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
          TERN_SHARE_MAX, 0.0, playing));
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
  /**
   * GstTernGenerator:memory:
   *
   * What is remembered of frames whose window is over: with `stream` they are
   * read one after the other, since READY, the stream's begin or a flush. What
   * is new is remembered whole, of what is older what matters, never more than
   * memory-tokens, so that a stream may go on for ever. Windows see their own
   * frames, requests all that is remembered, or what is of a time (`from` and
   * `to`); results have `memory_spans`. Needs kv-type auto or f32, kv-prune 0,
   * and no action model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MEMORY,
      g_param_spec_enum ("memory", "Memory",
          "What is remembered of frames whose window is over",
          GST_TYPE_TERN_MEMORY, TERN_MEMORY_WINDOW, GST_TERN_PARAM_READY));
  /**
   * GstTernGenerator:memory-tokens:
   *
   * With memory=stream, how much is remembered: tokens whose keys and values
   * are kept; 0 = 4096, or what the model's context has room for.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MEMORY_TOKENS,
      g_param_spec_uint ("memory-tokens", "Memory tokens",
          "Tokens that are remembered of a stream (0 = 4096, or what there is "
          "room for)", 0, TERN_MEMORY_TOKENS_MAX, 0, GST_TERN_PARAM_READY));
}

static void
install_draft_properties (GObjectClass * klass, guint first)
{
  /**
   * GstTernGenerator:draft-model:
   *
   * GGUF file of a small language model that guesses answers: the model then
   * reads several tokens at once. Answers are the same. It sees the words of
   * prompts, no pictures, and is asked as long as that saves time. Empty, none.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_DRAFT_MODEL,
      g_param_spec_string ("draft-model", "Draft model",
          "GGUF file of a small language model that guesses answers (default: "
          "none)", NULL, GST_TERN_PARAM_READY));
  /**
   * GstTernGenerator:draft-vocabulary:
   *
   * What the vocabulary of draft-model has to do with the model's.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_DRAFT_VOCABULARY,
      g_param_spec_enum ("draft-vocabulary", "Draft vocabulary",
          "What the vocabulary of draft-model has to do with the model's",
          GST_TYPE_TERN_DRAFT_VOCABULARY, TERN_DRAFT_VOCABULARY_AUTO,
          GST_TERN_PARAM_READY));
}

guint
gst_tern_generator_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;
  const GParamFlags playing = GST_TERN_PARAM_PLAYING;

  gst_tern_generator_install_question_properties (klass,
      first + SHARED_QUESTIONS);
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
   * of four pictures, of one frame each or two (an INFO message says to what);
   * 0 is the window, so that windows do not overlap.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_HOP,
      g_param_spec_uint64 ("hop", "Hop",
          "Time between the starts of windows, in ns (0 = window)", 0,
          TERN_HOP_MAX, 0, ready));
  install_sampling_properties (klass, first);
  install_draft_properties (klass, first);
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
   * GstTernGenerator:think:
   *
   * Lets the model think before it answers in its own words, where its chat
   * template has a switch for it. Thoughts never leave, but count among
   * max-tokens.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_THINK,
      g_param_spec_boolean ("think", "Think",
          "Let the model think before it answers; thoughts count among max-tokens",
          FALSE, playing));
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
  /**
   * GstTernGenerator:on-change:
   *
   * Of the answers about windows only those leave that say something else than
   * the last one that left, by prompt id: for alerts. Text and JSON are compared
   * as they are. Another label leaves when it is likelier than the last one by
   * 0.2, or is the answer for the second time in a row; an answer that abstains
   * leaves never. Errors, and answers to requests, always do.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_ON_CHANGE,
      g_param_spec_boolean ("on-change", "On change",
          "Only answers that differ from the last one leave", FALSE, playing));
  /**
   * GstTernGenerator:partial:
   *
   * Whether answers are told while they are said: results of kind `partial`,
   * with the text so far, on the bus, by the signal and as JSON. Text has final
   * answers alone. Not with on-change, nor with beams.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_PARTIAL,
      g_param_spec_enum ("partial", "Partial",
          "Whether answers are told while they are said",
          GST_TYPE_TERN_PARTIAL, TERN_PARTIAL_NONE, playing));
  /**
   * GstTernGenerator:language-code:
   *
   * ISO 639-1 code of the language that the model is asked to answer in: the
   * tag `language-code` of text, which muxers write. Empty, no tag.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_LANGUAGE_CODE,
      g_param_spec_string ("language-code", "Language code",
          "Tag of text: the language of answers (empty = none)",
          DEFAULT_LANGUAGE, ready));
  gst_tern_action_install_properties (klass, first + SHARED_ACTION);
  return first + SHARED_LAST;
}

void
gst_tern_generator_init_properties (GstTernGenerator * self)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;

  self->params = params;
  self->latency = DEFAULT_LATENCY;
  self->language = g_strdup (DEFAULT_LANGUAGE);
}

/* Those of its own, and those that terncaption has, too. */
void
gst_tern_generator_install_own_properties (GObjectClass * klass)
{
  /**
   * GstTernGenerator:model-path:
   *
   * GGUF file of the language model, or a folder with one. Unset,
   * TERN_MODEL_PATH or the bundled model.
   *
   * Since: 0.1
   */
  gst_tern_install_model_path (klass, PROP_MODEL_PATH);
  /**
   * GstTernGenerator:mmproj-path:
   *
   * GGUF file of the vision encoder whose tokens are accepted; it is
   * identified, not loaded. Unset, the one *mmproj*.gguf beside the model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, PROP_MMPROJ_PATH,
      g_param_spec_string ("mmproj-path", "Vision encoder path",
          "GGUF file of the vision encoder whose tokens are accepted (default: "
          "the one *mmproj*.gguf beside the model)", NULL,
          GST_TERN_PARAM_READY));
  /**
   * GstTernGenerator:threads:
   *
   * Threads that work on this model; 0 is one for each core.
   *
   * Since: 0.1
   */
  gst_tern_install_threads (klass, PROP_THREADS);
  /**
   * GstTernGenerator:float-activations:
   *
   * Compute on floats instead of int8 and bf16: slower, for comparison.
   *
   * Since: 0.1
   */
  gst_tern_install_float_activations (klass, PROP_FLOAT_ACTIVATIONS);
  /**
   * GstTernGenerator:stats:
   *
   * What was done since the element left READY (uint64): `frames` that came,
   * `windows` that were answered, of these `repeated`, which showed nothing new
   * and were told what the one before was, `answered` questions about them and
   * requests, of these `errors`, `abstained` and `unchanged` (kept back by
   * on-change), `requests` asked, windows `dropped` and `queued`, and behind a live source
   * `last-latency`, ns from the end of a window to its answer. With
   * a budget `deferred` windows, which were told what the one before was for its
   * sake, and what the account says, as ternencoder has it; with
   * memory=stream `memory-tokens` that are remembered now, and `memory-turns`,
   * how often some were forgotten.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics", "What was done so far",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  /**
   * GstTernGenerator:budget:
   *
   * Seconds of one core that are spent on answers for each second of the
   * stream: windows that are not worth one are told the answer before again,
   * with finish_reason `budget`. 0 is no limit. In terncaption the bin's
   * `budget` is in the place of it.
   *
   * Since: 0.1
   */
  /**
   * GstTernGenerator:budget-watts:
   *
   * The same as power; see ternencoder. 0 is no limit.
   *
   * Since: 0.1
   */
  gst_tern_budget_install_properties (klass, PROP_BUDGET);
  gst_tern_generator_install_properties (klass, PROP_SHARED);
}
