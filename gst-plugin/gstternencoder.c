/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-ternencoder
 * @title: ternencoder
 * @short_description: turns video frames into visual tokens
 *
 * Looks at frames by their timestamps, `frame-rate` of them a second, and turns
 * each into the visual tokens of a vision encoder (an mmproj GGUF file).
 * Between the frames that it looks at nothing is mapped or converted.
 *
 * The work is done by a thread of its own. Behind a live source a frame that is
 * still waiting when the next one comes is dropped; otherwise upstream waits.
 * QOS messages tell of frames that are not encoded, with a field `reason`: late,
 * or, those that have the tokens of the picture before, unchanged or deferred. While a stream plays backwards nothing is looked
 * at. When a live source stops, what waits downstream for further frames is
 * answered after `idle-timeout`. A buffer without a timestamp is left out, with
 * a warning; a file whose video ends long before its duration gets one, too.
 * Where no buffer has a timestamp, or the first alone, those of a file get what
 * `framerate` of the caps gives, and those of a live source the running time of
 * their arrival; without a frame rate such a file is an error.
 *
 * Pictures are looked at as they are shown: turned as the tag
 * `image-orientation` says (videoflip takes it out when it has turned them),
 * with the shape that `pixel-aspect-ratio` gives them, PQ and HLG tone mapped.
 * With `interlace-mode=alternate` each field is a picture.
 *
 * Where two frames make one picture to the model (Qwen3-VL, Qwen3.5), they have
 * one buffer of tokens, at the mean of their times, and `framerate` in the caps
 * is that of pictures. A frame whose second one does not come, because the
 * stream or a stretch of it ends or goes on beyond it, stands for both. Where the
 * tokens say what changed since the frame before, a copy of that is kept until
 * the stretch ends.
 *
 * A stretch of frames ends, and what waits of a group and of a window is
 * answered, at a new segment or stream, where time goes back, where the size of
 * pictures changes, and before the next frame when the event `tern-trigger`
 * comes, from either side.
 *
 * ## Example
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! ternencoder mmproj-path=mmproj-tern.gguf frame-rate=2/1 ! fakesink silent=false -v
 * ]| Prints the tokens' caps and one buffer for each frame.
 *
 * Since: 0.1
 */
#include "gstternencoder-priv.h"

#include "gstternelement.h"
#include "gstternenums.h"
#include "gstternerror.h"
#include "gstternframe.h"

GST_DEBUG_CATEGORY (gst_tern_encoder_debug);

#define DEFAULT_RATE_N 2
#define DEFAULT_RATE_D 1
#define DEFAULT_IDLE_TIMEOUT (5 * GST_SECOND)

enum
{
  PROP_0,
  PROP_MODEL_PATH,
  PROP_THREADS,
  PROP_FLOAT_ACTIVATIONS,
  PROP_STATS,
  PROP_SHARED                   /* those of terncaption, in the order below */
};

enum
{
  SHARED_MMPROJ_PATH,
  SHARED_FRAME_RATE,
  SHARED_MAX_FRAMES,
  SHARED_SCALING,
  SHARED_IDLE_TIMEOUT,
  SHARED_GATE,
  SHARED_GATE_THRESHOLD,
  SHARED_MAX_SILENCE,
  SHARED_REUSE,
  SHARED_REUSE_THRESHOLD,
  SHARED_REUSE_REFRESH,
  SHARED_BUDGET,
  SHARED_BUDGET_WATTS,
  SHARED_LAST
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE ("sink",
    GST_PAD_SINK, GST_PAD_ALWAYS,
    GST_STATIC_CAPS (GST_TERN_VIDEO_CAPS));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src",
    GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_TERN_TOKEN_CAPS));

#define gst_tern_encoder_parent_class parent_class
G_DEFINE_TYPE (GstTernEncoder, gst_tern_encoder, GST_TYPE_ELEMENT);
GST_ELEMENT_REGISTER_DEFINE (ternencoder, "ternencoder", GST_RANK_NONE,
    GST_TYPE_TERN_ENCODER);

/* ---- The element ---- */

static gboolean
check_settings (GstTernEncoder * self)
{
  GError *error = NULL;

  if (gst_tern_model_settings_check (&self->settings, GST_ELEMENT_CAST (self),
          &error))
    return TRUE;
  gst_tern_post_error (self, error);
  g_clear_error (&error);
  return FALSE;
}

gboolean
gst_tern_encoder_open_budget (GstTernEncoder * self, TernBudget ** budget)
{
  TernBudget *opened = NULL;
  TernBudgetParams params;

  GST_OBJECT_LOCK (self);
  params = self->budget_params;
  if (self->budget)
    opened = tern_budget_ref (self->budget);
  GST_OBJECT_UNLOCK (self);
  if (!gst_tern_budget_open (GST_ELEMENT_CAST (self), &params, &opened))
    return FALSE;
  GST_OBJECT_LOCK (self);
  if (!self->budget && opened)
    self->budget = tern_budget_ref (opened);
  GST_OBJECT_UNLOCK (self);
  *budget = opened;
  return TRUE;
}

static void
close_budget (GstTernEncoder * self)
{
  TernBudget *budget;

  GST_OBJECT_LOCK (self);
  budget = self->budget;
  self->budget = NULL;
  GST_OBJECT_UNLOCK (self);
  tern_budget_unref (budget);
}

static void
stop (GstTernEncoder * self)
{
  close_budget (self);
  g_mutex_lock (&self->task.lock);
  gst_tern_task_empty (&self->task, FALSE);
  g_clear_pointer (&self->encoder, tern_encoder_free);
  g_mutex_unlock (&self->task.lock);
  gst_clear_buffer (&self->last);
  gst_tern_encoder_drop_half (self);
  g_clear_pointer (&self->gate, tern_gate_free);
  if (self->pool) {
    gst_buffer_pool_set_active (self->pool, FALSE);
    gst_clear_object (&self->pool);
  }
  g_clear_pointer (&self->model, tern_model_unref);
  g_clear_pointer (&self->loader, gst_tern_loader_stop);
  gst_clear_caps (&self->token_caps);
  self->tag_orientation[0] = self->tag_orientation[1] = 0;
  self->number = 0;
  self->last_tick = GST_CLOCK_TIME_NONE;
}

static GstStateChangeReturn
gst_tern_encoder_change_state (GstElement * element, GstStateChange transition)
{
  GstTernEncoder *self = GST_TERN_ENCODER (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING) {
    g_mutex_lock (&self->task.lock);
    self->seen_at = gst_tern_task_now (&self->task);
    g_mutex_unlock (&self->task.lock);
  }
  gst_tern_task_change_state (&self->task, transition);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    TernBudget *budget;

    if (!gst_tern_encoder_open_budget (self, &budget))
      return GST_STATE_CHANGE_FAILURE;
    tern_budget_unref (budget);
    g_mutex_lock (&self->task.lock);
    self->frames = self->taken = self->dropped = 0;
    self->encoded = self->spared = 0;
    self->gate_stats = (TernGateStats) { 0, };
    self->reuse_stats = (TernReuseStats) { 0, };
    g_mutex_unlock (&self->task.lock);
    self->loader = gst_tern_loader_start (element, &self->settings,
        TERN_MODEL_VISION);
  }

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

void
gst_tern_encoder_post_dropped (GstTernEncoder * self,
    const GstSegment * segment, GstBuffer * buffer, const gchar * reason)
{
  GstTernDropped dropped = { reason, FALSE, GST_BUFFER_PTS (buffer),
    GST_BUFFER_DURATION (buffer) };

  g_mutex_lock (&self->task.lock);
  dropped.live = self->live;
  dropped.done = self->encoded;
  dropped.dropped = self->dropped + self->spared;
  g_mutex_unlock (&self->task.lock);
  gst_tern_post_dropped (GST_ELEMENT_CAST (self), segment, &dropped);
}

static GstStructure *
make_stats (GstTernEncoder * self)
{
  GstStructure *stats;

  g_mutex_lock (&self->task.lock);
  stats = gst_structure_new ("stats",
      "frames", G_TYPE_UINT64, self->frames,
      "looked-at", G_TYPE_UINT64, self->taken,
      "dropped", G_TYPE_UINT64, self->dropped,
      "unchanged", G_TYPE_UINT64, self->gate_stats.unchanged,
      "deferred", G_TYPE_UINT64, self->gate_stats.deferred,
      "forced", G_TYPE_UINT64, self->gate_stats.forced,
      "patches-computed", G_TYPE_UINT64, self->reuse_stats.patches_computed,
      "patches-reused", G_TYPE_UINT64, self->reuse_stats.patches_reused,
      "refreshes", G_TYPE_UINT64, self->reuse_stats.refreshed, NULL);
  g_mutex_unlock (&self->task.lock);
  GST_OBJECT_LOCK (self);
  gst_tern_budget_add_stats (self->budget, stats);
  GST_OBJECT_UNLOCK (self);
  return stats;
}

static void
gst_tern_encoder_set_property (GObject * object, guint id,
    const GValue * value, GParamSpec * pspec)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  if (gst_tern_refuse_property (GST_ELEMENT_CAST (self), pspec, value))
    return;
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_free (self->settings.model_path);
      self->settings.model_path = g_value_dup_string (value);
      break;
    case PROP_THREADS:
      self->settings.threads = g_value_get_uint (value);
      break;
    case PROP_FLOAT_ACTIVATIONS:
      self->settings.float_activations = g_value_get_boolean (value);
      break;
    case PROP_SHARED + SHARED_MMPROJ_PATH:
      g_free (self->settings.mmproj_path);
      self->settings.mmproj_path = g_value_dup_string (value);
      break;
    case PROP_SHARED + SHARED_FRAME_RATE:
      self->rate_n = gst_value_get_fraction_numerator (value);
      self->rate_d = gst_value_get_fraction_denominator (value);
      break;
    case PROP_SHARED + SHARED_MAX_FRAMES:
      self->max_frames = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_SCALING:
      self->fit = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_IDLE_TIMEOUT:
      self->idle_timeout = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_GATE:
      self->gate_params.mode = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_GATE_THRESHOLD:
      self->gate_params.threshold = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_MAX_SILENCE:
      self->gate_params.max_silence = g_value_get_uint64 (value);
      break;
    case PROP_SHARED + SHARED_REUSE:
      self->reuse_params.mode = g_value_get_enum (value);
      break;
    case PROP_SHARED + SHARED_REUSE_THRESHOLD:
      self->reuse_params.threshold = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_REUSE_REFRESH:
      self->reuse_params.refresh = g_value_get_uint (value);
      break;
    case PROP_SHARED + SHARED_BUDGET:
      self->budget_params.cores = g_value_get_double (value);
      break;
    case PROP_SHARED + SHARED_BUDGET_WATTS:
      self->budget_params.watts = g_value_get_double (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_encoder_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, make_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_MODEL_PATH:
      g_value_set_string (value, self->settings.model_path);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, self->settings.threads);
      break;
    case PROP_FLOAT_ACTIVATIONS:
      g_value_set_boolean (value, self->settings.float_activations);
      break;
    case PROP_SHARED + SHARED_MMPROJ_PATH:
      g_value_set_string (value, self->settings.mmproj_path);
      break;
    case PROP_SHARED + SHARED_FRAME_RATE:
      gst_value_set_fraction (value, self->rate_n, self->rate_d);
      break;
    case PROP_SHARED + SHARED_MAX_FRAMES:
      g_value_set_uint (value, self->max_frames);
      break;
    case PROP_SHARED + SHARED_SCALING:
      g_value_set_enum (value, self->fit);
      break;
    case PROP_SHARED + SHARED_IDLE_TIMEOUT:
      g_value_set_uint64 (value, self->idle_timeout);
      break;
    case PROP_SHARED + SHARED_GATE:
      g_value_set_enum (value, self->gate_params.mode);
      break;
    case PROP_SHARED + SHARED_GATE_THRESHOLD:
      g_value_set_double (value, self->gate_params.threshold);
      break;
    case PROP_SHARED + SHARED_MAX_SILENCE:
      g_value_set_uint64 (value, self->gate_params.max_silence);
      break;
    case PROP_SHARED + SHARED_REUSE:
      g_value_set_enum (value, self->reuse_params.mode);
      break;
    case PROP_SHARED + SHARED_REUSE_THRESHOLD:
      g_value_set_double (value, self->reuse_params.threshold);
      break;
    case PROP_SHARED + SHARED_REUSE_REFRESH:
      g_value_set_uint (value, self->reuse_params.refresh);
      break;
    case PROP_SHARED + SHARED_BUDGET:
      g_value_set_double (value, self->budget_params.cores);
      break;
    case PROP_SHARED + SHARED_BUDGET_WATTS:
      g_value_set_double (value, self->budget_params.watts);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_tern_encoder_finalize (GObject * object)
{
  GstTernEncoder *self = GST_TERN_ENCODER (object);

  gst_tern_model_settings_clear (&self->settings);
  for (guint i = 0; i < G_N_ELEMENTS (self->rooms); i++)
    g_free (self->rooms[i].data);
  gst_tern_task_finalize (&self->task);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_gate_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;
  TernGateParams defaults;

  tern_gate_params_init (&defaults);
  /**
   * GstTernEncoder:gate:
   *
   * Whether frames in which nothing is new are encoded. Those that are not have
   * the tokens of the last one that was, and its `picture` in TernTokenMeta; a
   * window that shows the one picture that was answered about before is not
   * answered again, but told the same with `finish_reason` unchanged. With auto
   * that begins when the scene has stood still for 16 frames that are looked at
   * and eight seconds, and ends when half of 16 were new; where everything
   * moves the gate sleeps.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_GATE,
      g_param_spec_enum ("gate", "Gate",
          "Whether frames in which nothing is new are left out",
          GST_TYPE_TERN_GATE, defaults.mode, ready));
  /**
   * GstTernEncoder:gate-threshold:
   *
   * Smallest difference of an object of 1 % of the picture that counts, in levels
   * of 255. Where noise is larger, that counts.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_GATE_THRESHOLD,
      g_param_spec_double ("gate-threshold", "Gate threshold",
          "Smallest difference that is something new, in levels of 255",
          TERN_GATE_THRESHOLD_MIN, TERN_GATE_THRESHOLD_MAX, defaults.threshold,
          ready));
  /**
   * GstTernEncoder:max-silence:
   *
   * Nanoseconds of the stream after which a frame is encoded although nothing
   * is new. 0 is never.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_SILENCE,
      g_param_spec_uint64 ("max-silence", "Maximum silence",
          "Nanoseconds after which a frame is encoded although nothing is new "
          "(0 = never)", 0, G_MAXINT64, defaults.max_silence, ready));
}

static void
install_reuse_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;
  TernReuseParams defaults;

  tern_reuse_params_init (&defaults);
  /**
   * GstTernEncoder:reuse:
   *
   * Whether patches of a frame that look as they did when they were computed
   * keep their features: the encoder then computes what changed and a ring
   * around it. Tokens are near those of the whole encoder, not the same. With
   * auto a frame is computed whole when an estimate says that they would not be
   * near, and where too much changes the cache rests. Takes memory for keys and
   * values of all layers.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_REUSE,
      g_param_spec_enum ("reuse", "Reuse",
          "Whether patches that look as they did keep their features",
          GST_TYPE_TERN_REUSE, defaults.mode, ready));
  /**
   * GstTernEncoder:reuse-threshold:
   *
   * Smallest difference of a part of a patch for which it is computed again, in
   * levels of 255. Up to three times as much where everything is noisy.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_REUSE_THRESHOLD,
      g_param_spec_double ("reuse-threshold", "Reuse threshold",
          "Smallest difference for which a patch is computed again, in levels "
          "of 255", TERN_REUSE_THRESHOLD_MIN, TERN_REUSE_THRESHOLD_MAX,
          defaults.threshold, ready));
  /**
   * GstTernEncoder:reuse-refresh:
   *
   * Encoded frames from one that is computed whole to the next, at most. 0 is
   * no limit.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_REUSE_REFRESH,
      g_param_spec_uint ("reuse-refresh", "Reuse refresh",
          "Frames from one that is computed whole to the next, at most (0 = no "
          "limit)", 0, TERN_REUSE_REFRESH_MAX, defaults.refresh, ready));
}

guint
gst_tern_encoder_install_properties (GObjectClass * klass, guint first)
{
  const GParamFlags ready = GST_TERN_PARAM_READY;

  /**
   * GstTernEncoder:mmproj-path:
   *
   * GGUF file of the vision encoder. Unset, the one *mmproj*.gguf beside the
   * model.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MMPROJ_PATH,
      g_param_spec_string ("mmproj-path", "Vision encoder path",
          "GGUF file of the vision encoder (default: the one *mmproj*.gguf "
          "beside the model)", NULL, ready));
  /**
   * GstTernEncoder:frame-rate:
   *
   * Frames a second that are looked at, by their timestamps; 0/1 looks at every
   * frame.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_FRAME_RATE,
      gst_param_spec_fraction ("frame-rate", "Frame rate",
          "Frames a second that are looked at (0/1 = all)", 0, 1, G_MAXINT, 1,
          DEFAULT_RATE_N, DEFAULT_RATE_D, ready));
  /**
   * GstTernEncoder:max-frames:
   *
   * Frames of a segment that are looked at, at most; then the tokens end, and
   * what made them goes on. 0 is no limit.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_MAX_FRAMES,
      g_param_spec_uint ("max-frames", "Maximum frames",
          "Frames of a segment that are looked at, at most (0 = no limit)", 0,
          G_MAXUINT, 0, GST_TERN_PARAM_PLAYING));
  /**
   * GstTernEncoder:scaling:
   *
   * How a picture is fitted into the square that the encoder sees.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_SCALING,
      g_param_spec_enum ("scaling", "Scaling",
          "How pictures are fitted into what the encoder sees",
          GST_TYPE_TERN_SCALING, TERN_FIT_TRAINED, ready));
  /**
   * GstTernEncoder:idle-timeout:
   *
   * Behind a live source, what waits for further frames is answered when none
   * came for so long, in nanoseconds; the stream goes on when the next one
   * does. 0 waits for ever. Other sources, such as files, are always waited
   * for.
   *
   * Since: 0.1
   */
  g_object_class_install_property (klass, first + SHARED_IDLE_TIMEOUT,
      g_param_spec_uint64 ("idle-timeout", "Idle timeout",
          "Nanoseconds without a frame after which what waits is answered, "
          "behind a live source (0 = never)", 0, G_MAXINT64,
          DEFAULT_IDLE_TIMEOUT, ready));
  install_gate_properties (klass, first);
  install_reuse_properties (klass, first);
  /**
   * GstTernEncoder:budget:
   *
   * Seconds of one core that are spent for each second of the stream: with it
   * frames are encoded where what is new in them is worth it. Of terncaption
   * the whole bin's: tokens and answers are chosen, too. 0 is no limit.
   *
   * Since: 0.1
   */
  /**
   * GstTernEncoder:budget-watts:
   *
   * The same as power: turned into time of a core by what that costs on this
   * machine, as its energy counters say (RAPL); where there are none it is an
   * error. 0 is no limit.
   *
   * Since: 0.1
   */
  gst_tern_budget_install_properties (klass, first + SHARED_BUDGET);
  return first + SHARED_LAST;
}

/* By an application, from no pad, so that one event may come again. */
static gboolean
gst_tern_encoder_send_event (GstElement * element, GstEvent * event)
{
  if (!GST_EVENT_IS_UPSTREAM (event)
      || !gst_event_has_name (event, GST_TERN_EVENT_TRIGGER))
    return GST_ELEMENT_CLASS (parent_class)->send_event (element, event);
  gst_tern_encoder_trigger (GST_TERN_ENCODER (element));
  gst_event_unref (event);
  return TRUE;
}

static void
gst_tern_encoder_class_init (GstTernEncoderClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (gst_tern_encoder_debug, "ternencoder", 0,
      "Tern vision encoder");

  object_class->set_property = gst_tern_encoder_set_property;
  object_class->get_property = gst_tern_encoder_get_property;
  object_class->finalize = gst_tern_encoder_finalize;
  element_class->change_state = gst_tern_encoder_change_state;
  element_class->send_event = gst_tern_encoder_send_event;

  /**
   * GstTernEncoder:model-path:
   *
   * GGUF file of the language model, or a folder with one: where to look for
   * the vision encoder when `mmproj-path` is not set. Unset, TERN_MODEL_PATH or
   * the bundled model.
   *
   * Since: 0.1
   */
  gst_tern_install_model_path (object_class, PROP_MODEL_PATH);
  /**
   * GstTernEncoder:threads:
   *
   * Threads that work on this model; 0 is one for each core.
   *
   * Since: 0.1
   */
  gst_tern_install_threads (object_class, PROP_THREADS);
  /**
   * GstTernEncoder:float-activations:
   *
   * Compute on floats instead of int8 and bf16: slower, for comparison.
   *
   * Since: 0.1
   */
  gst_tern_install_float_activations (object_class, PROP_FLOAT_ACTIVATIONS);
  /**
   * GstTernEncoder:stats:
   *
   * `frames` that came, `looked-at`, and `dropped` because they still waited
   * when the next one came; of those looked at `unchanged`, which were not
   * encoded, and `forced`, which were after `max-silence` (uint64), since the
   * element left READY. With `reuse` `patches-computed`, `patches-reused`, and
   * `refreshes`, frames all of which was computed (uint64). With a budget
   * `deferred`, frames that were not encoded for its sake (uint64), and what the
   * account says (double, s): `budget-rate` of a core that comes in for each
   * second of the stream, `budget-allowed` so far, `budget-balance`, and what
   * was spent: `spent-encoding`, `spent-reading`, `spent-saying`,
   * `spent-otherwise`; `tokens-spared` and `answers-pruned` (uint64), and
   * `joules-per-second` of a core, 0 where that is not known.
   *
   * Since: 0.1
   */
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames so far", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_tern_encoder_install_properties (object_class, PROP_SHARED);

  gst_type_mark_as_plugin_api (GST_TYPE_TERN_SCALING, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_GATE, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_TERN_REUSE, 0);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Tern vision encoder",
      "Encoder/Analyzer/Video", "Turns video frames into visual tokens",
      "The Tern developers");
}

static void
gst_tern_encoder_init (GstTernEncoder * self)
{
  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, gst_tern_encoder_chain);
  gst_pad_set_event_full_function (self->sinkpad, gst_tern_encoder_sink_event);
  gst_pad_set_query_function (self->sinkpad, gst_tern_encoder_sink_query);
  gst_pad_set_activatemode_function (self->sinkpad,
      gst_tern_encoder_sink_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_event_function (self->srcpad, gst_tern_encoder_src_event);
  gst_pad_set_query_function (self->srcpad, gst_tern_encoder_src_query);
  gst_pad_set_activatemode_function (self->srcpad,
      gst_tern_encoder_src_activate_mode);
  gst_element_add_pad (GST_ELEMENT_CAST (self), self->srcpad);

  gst_tern_task_init (&self->task, self, self->srcpad, &gst_tern_encoder_task);
  self->rate_n = DEFAULT_RATE_N;
  self->rate_d = DEFAULT_RATE_D;
  self->fit = TERN_FIT_TRAINED;
  tern_gate_params_init (&self->gate_params);
  tern_reuse_params_init (&self->reuse_params);
  self->idle_timeout = DEFAULT_IDLE_TIMEOUT;
  self->idle = TRUE;
  gst_segment_init (&self->out_segment, GST_FORMAT_TIME);
  gst_tern_seen_init (&self->seen);
  self->last_tick = GST_CLOCK_TIME_NONE;
}
