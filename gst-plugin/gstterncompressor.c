/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-terncompressor
 * @title: terncompressor
 * @short_description: drops visual tokens that repeat earlier frames
 *
 * Works on groups of four frames. A group's frames leave together, when its
 * last one has come; the positions of the tokens that stay are in `keep` of
 * TernTokenMeta. An incomplete group leaves at EOS, at a new segment or stream,
 * where time jumps, and when the camera has stopped (`idle-timeout` of
 * ternencoder). With `previews` requests to terngenerator (`tern-ask`) see
 * frames before their group is whole.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder model-path=tern.gguf ! terncompressor method=dycoke merge-ratio=0.8 ! terngenerator model-path=tern.gguf ! filesink location=captions.txt
 * ]| Captions with 48 % of the visual tokens.
 *
 * Since: 0.1
 */
#include "gstterncompressor-priv.h"

#include "gstternbudget.h"
#include "gstternelement.h"
#include "gstternenums.h"

GST_DEBUG_CATEGORY (gst_tern_compressor_debug);

enum
{
  PROP_0,
  PROP_MAX_TOKENS,
  PROP_SEED,
  PROP_STATS,
  PROP_PREVIEWS,
  PROP_SHARED                   /* those of terncaption, in the order below */
};

enum
{
  SHARED_METHOD,
  SHARED_MERGE_RATIO,
  SHARED_FRAME_TOKENS,
  SHARED_WINDOW_TOKENS,
  SHARED_SECOND_TOKENS,
  SHARED_LAST
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));

#define gst_tern_compressor_parent_class parent_class
G_DEFINE_TYPE (GstTernCompressor, gst_tern_compressor, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (terncompressor, "terncompressor", GST_RANK_NONE,
    GST_TYPE_TERN_COMPRESSOR);

/* ---- The element ---- */

static GstStructure *
make_stats (GstTernCompressor * self)
{
  TernCompressorStats now = { 0, };
  TernCompressorStats stats;

  GST_OBJECT_LOCK (self);
  stats = self->stats;
  if (self->compressor)
    tern_compressor_stats (self->compressor, &now);
  GST_OBJECT_UNLOCK (self);
  return gst_structure_new ("stats",
      "frames", G_TYPE_UINT64, stats.frames + now.frames,
      "groups", G_TYPE_UINT64, stats.groups + now.groups,
      "tokens-in", G_TYPE_UINT64, stats.tokens_in + now.tokens_in,
      "tokens-kept", G_TYPE_UINT64, stats.tokens_kept + now.tokens_kept,
      "milliseconds", G_TYPE_DOUBLE, stats.milliseconds + now.milliseconds,
      NULL);
}

void
gst_tern_compressor_set_budget (GstTernCompressor * self, TernBudget * budget)
{
  gst_tern_budget_replace (GST_OBJECT_CAST (self), &self->budget, budget);
}

static GstStateChangeReturn
gst_tern_compressor_change_state (GstElement * element,
    GstStateChange transition)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    gst_tern_compressor_reset (self);
    GST_OBJECT_LOCK (self);
    self->stats = (TernCompressorStats) { 0, };
    GST_OBJECT_UNLOCK (self);
  }
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_tern_compressor_drop (self);
    gst_clear_event (&self->gap);
    g_clear_pointer (&self->grouper, tern_grouper_free);
    self->have_info = FALSE;
    gst_tern_compressor_set_budget (self, NULL);
  }
  return ret;
}

static void
gst_tern_compressor_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (object);

  GST_OBJECT_LOCK (self);
  self->params_changed = TRUE;
  switch (id) {
    case PROP_MAX_TOKENS:
      self->params.max_tokens = g_value_get_uint (value);
      break;
    case PROP_SEED:
      self->params.seed = g_value_get_uint64 (value);
      break;
    case PROP_PREVIEWS:
      self->previews = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_METHOD:
      self->params.method = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_MERGE_RATIO:
      self->params.merge_ratio = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_FRAME_TOKENS:
      self->params.max_tokens_per_frame = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_WINDOW_TOKENS:
      self->params.max_tokens_per_window = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_SECOND_TOKENS:
      self->params.max_tokens_per_second = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_compressor_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, make_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MAX_TOKENS:
      g_value_set_uint (value, self->params.max_tokens);
      break;
    case PROP_SEED:
      g_value_set_uint64 (value, self->params.seed);
      break;
    case PROP_PREVIEWS:
      g_value_set_boolean (value, self->previews);
      break;
    case PROP_SHARED + SHARED_METHOD:
      g_value_set_enum (value, self->params.method);
      break;
    case PROP_SHARED + SHARED_MERGE_RATIO:
      g_value_set_double (value, self->params.merge_ratio);
      break;
    case PROP_SHARED + SHARED_FRAME_TOKENS:
      g_value_set_uint (value, self->params.max_tokens_per_frame);
      break;
    case PROP_SHARED + SHARED_WINDOW_TOKENS:
      g_value_set_uint (value, self->params.max_tokens_per_window);
      break;
    case PROP_SHARED + SHARED_SECOND_TOKENS:
      g_value_set_uint (value, self->params.max_tokens_per_second);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_compressor_finalize (GObject * object)
{
  GstTernCompressor *self = GST_TERN_COMPRESSOR (object);

  gst_tern_compressor_drop (self);
  g_clear_pointer (&self->grouper, tern_grouper_free);
  gst_clear_event (&self->gap);
  gst_tern_token_map_clear (&self->map);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

guint
gst_tern_compressor_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags playing = GST_TERN_PARAM_PLAYING;
  const TernCompressorParams defaults = TERN_COMPRESSOR_PARAMS_INIT;

  /**
   * GstTernCompressor:method:
   *
   * How tokens are chosen, from the next group on.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_METHOD,
      g_param_spec_enum ("method", "Method", "How the tokens that stay are "
          "chosen", GST_TYPE_TERN_METHOD, defaults.method, playing));
  /**
   * GstTernCompressor:merge-ratio:
   *
   * The share of tokens that is dropped in the second to fourth frame of a
   * group.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MERGE_RATIO,
      g_param_spec_double ("merge-ratio", "Merge ratio",
          "Share of tokens dropped in frames 2 to 4 of a group", 0.0,
          TERN_SHARE_MAX, defaults.merge_ratio, playing));
  /**
   * GstTernCompressor:max-tokens-per-frame:
   *
   * Visual tokens of a frame that stay at most; 0 is no limit.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_FRAME_TOKENS,
      g_param_spec_uint ("max-tokens-per-frame", "Maximum tokens per frame",
          "Visual tokens of a frame, at most (0 = no limit)", 0,
          TERN_BUDGET_MAX, 0, playing));
  /**
   * GstTernCompressor:max-tokens-per-window:
   *
   * Visual tokens of a window that stay at most, spread evenly over its frames;
   * 0 is no limit. At least one for each of them.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_WINDOW_TOKENS,
      g_param_spec_uint ("max-tokens-per-window", "Maximum tokens per window",
          "Visual tokens of a window, at most (0 = no limit)", 0,
          TERN_BUDGET_MAX, 0, playing));
  /**
   * GstTernCompressor:max-tokens-per-second:
   *
   * Visual tokens of a second of video that stay at most, spread evenly over
   * the frames that are looked at; 0 is no limit. At least one for each of them.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_SECOND_TOKENS,
      g_param_spec_uint ("max-tokens-per-second", "Maximum tokens per second",
          "Visual tokens of a second of video, at most (0 = no limit)", 0,
          TERN_BUDGET_MAX, 0, playing));
  return first + SHARED_LAST;
}

static void
gst_tern_compressor_class_init (GstTernCompressorClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  const GParamFlags playing = GST_TERN_PARAM_PLAYING;

  GST_DEBUG_CATEGORY_INIT (gst_tern_compressor_debug, "terncompressor", 0,
      "Tern visual token compressor");

  object_class->set_property = gst_tern_compressor_set_property;
  object_class->get_property = gst_tern_compressor_get_property;
  object_class->finalize = gst_tern_compressor_finalize;
  element_class->change_state = gst_tern_compressor_change_state;

  /**
   * GstTernCompressor:max-tokens:
   *
   * Tokens of a group that stay at most; 0 is no limit. What is over it is
   * dropped evenly.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_MAX_TOKENS,
      g_param_spec_uint ("max-tokens", "Maximum tokens",
          "Tokens of a group of four frames, at most (0 = no limit)", 0,
          G_MAXINT, 0, playing));
  /**
   * GstTernCompressor:seed:
   *
   * Of the method `random`.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed", "Seed of the method random", 0,
          G_MAXUINT64, 0, playing));
  /**
   * GstTernCompressor:previews:
   *
   * Tells terngenerator at once of a frame that waits for its group (an event
   * `tern-preview`), so that requests are about it, too. Buffers are the same.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_PREVIEWS,
      g_param_spec_boolean ("previews", "Previews",
          "Let requests see frames that wait for their group", FALSE,
          playing));
  /**
   * GstTernCompressor:stats:
   *
   * `frames`, `groups`, `tokens-in`, `tokens-kept` (uint64) and `milliseconds`
   * (double) since the element left READY.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames, groups and tokens so far", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_tern_compressor_install_properties (object_class, PROP_SHARED);

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_METHOD, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class,
      "Tern visual token compressor", "Filter/Analyzer",
      "Drops visual tokens that repeat earlier frames",
      "The Tern developers");
}

static void
gst_tern_compressor_init (GstTernCompressor * self)
{
  TernCompressorParams params = TERN_COMPRESSOR_PARAMS_INIT;

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_compressor_chain);
  gst_pad_set_event_full_function (self->sinkpad,
      gst_tern_compressor_sink_event);
  GST_PAD_SET_PROXY_CAPS (self->sinkpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_event_function (self->srcpad, gst_tern_compressor_src_event);
  gst_pad_set_query_function (self->srcpad, gst_tern_compressor_src_query);
  GST_PAD_SET_PROXY_CAPS (self->srcpad);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->params = params;
  self->last_tick = GST_CLOCK_TIME_NONE;
}
