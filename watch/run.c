/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/run.h"

#include <string.h>

#include "tern/error.h"
#include "watch/moments.h"
#include "watch/run-source.h"
#include "watch/zones.h"

#define THUMBNAILS 64           /* kept for the windows that are being answered */
#define THUMBNAIL_LEAST (GST_SECOND / 4)
#define THUMBNAIL_MOST (2 * GST_SECOND)
#define SILENCE_LEAST ((gint64) G_USEC_PER_SEC)

typedef struct {
  GstClockTime time;            /* running time */
  GBytes *jpeg;
} Thumbnail;

/* What streaming threads, and the main one, know of a pipeline. They hold references; the owner is gone before them. */
struct _TernRun {
  gint refs;
  const TernRunFuncs *funcs;    /* the main thread's, as all up to the lock */
  gpointer data;
  gboolean closed, told_drops, told_clock;
  gboolean piped;               /* its source is in words of the user's */
  GstElement *pipeline;
  guint watch;

  GMutex lock;
  GQueue observed;              /* TernObserved: on their way to the main thread */
  guint deliver;                /* source that takes them there */
  GQueue thumbnails;            /* Thumbnail */
  GstClockTime thumbnail_due, thumbnail_every;
  gint64 last_frame;            /* when it came; */
  gint64 first_taken, last_taken;       /* what times they have, as monotonic us; 0: none */
  gint64 silence;               /* us without a frame that are told */
  GArray *silences;             /* gint64: from, to */
  TernMoments moments;
  gboolean live;                /* by the first frame: what comes is as old as the pipeline's clock says */
  GPtrArray *zones;             /* TernZone: copies */
  TernMask *mask;               /* the converter's streaming thread's, as the rest */
  gint width, height;
};

void
tern_observed_free (TernObserved *observed)
{
  if (!observed)
    return;
  g_free (observed->kind);
  g_free (observed->text);
  g_free (observed->model);
  g_strfreev (observed->labels);
  g_free (observed->scores);
  g_clear_pointer (&observed->thumbnail, g_bytes_unref);
  g_free (observed);
}

static void
thumbnail_free (gpointer data)
{
  Thumbnail *thumbnail = data;

  g_bytes_unref (thumbnail->jpeg);
  g_free (thumbnail);
}

static TernRun *
run_ref (TernRun *run)
{
  g_atomic_int_inc (&run->refs);
  return run;
}

static void
run_unref (gpointer data)
{
  TernRun *run = data;

  if (!g_atomic_int_dec_and_test (&run->refs))
    return;
  g_queue_clear_full (&run->observed, (GDestroyNotify) tern_observed_free);
  g_queue_clear_full (&run->thumbnails, thumbnail_free);
  g_ptr_array_unref (run->zones);
  g_array_unref (run->silences);
  tern_mask_free (run->mask);
  g_mutex_clear (&run->lock);
  g_free (run);
}

static void
closure_unref (gpointer data, GClosure *closure)
{
  run_unref (data);
}

/* ---- Results ---- */

static void
tell (TernRun *run, const TernObserved *observed)
{
  g_autofree char *clock = observed->utc ? tern_moments_clock_words (observed->start, observed->utc) : NULL;

  if (clock && !run->told_clock)
    run->funcs->warned (run->data, clock);
  run->told_clock |= clock != NULL;
  run->funcs->observed (run->data, observed);
}

static void
drain (TernRun *run)
{
  for (;;) {
    TernObserved *observed;

    g_mutex_lock (&run->lock);
    observed = g_queue_pop_head (&run->observed);
    g_mutex_unlock (&run->lock);
    if (!observed)
      return;
    if (!run->closed)
      tell (run, observed);
    tern_observed_free (observed);
  }
}

static gboolean
deliver (gpointer data)
{
  TernRun *run = data;

  g_mutex_lock (&run->lock);
  run->deliver = 0;
  g_mutex_unlock (&run->lock);
  drain (run);
  return G_SOURCE_REMOVE;
}

/* The one nearest to the middle of the window. */
static GBytes *
find_thumbnail (TernRun *run, GstClockTime from, GstClockTime duration)
{
  GstClockTime middle = from + duration / 2;
  const Thumbnail *best = NULL;

  for (GList *link = run->thumbnails.head; link; link = link->next) {
    const Thumbnail *thumbnail = link->data;

    if (thumbnail->time < from || thumbnail->time >= from + duration)
      continue;
    if (!best || ABS (GST_CLOCK_DIFF (thumbnail->time, middle)) < ABS (GST_CLOCK_DIFF (best->time, middle)))
      best = thumbnail;
  }
  return best ? g_bytes_ref (best->jpeg) : NULL;
}

/* With the lock held. What time it is; a live source's running times follow its clock. */
static TernNow
look_at_clocks (TernRun *run)
{
  GstClock *clock = run->live ? gst_element_get_clock (run->pipeline) : NULL;
  TernNow now = tern_watch_now ();

  if (clock) {
    GstClockTime time = gst_clock_get_time (clock), base = gst_element_get_base_time (run->pipeline);

    tern_moments_follow (&run->moments, GST_CLOCK_DIFF (base, time) / 1000, now);
    gst_object_unref (clock);
  }
  return now;
}

static char **
get_labels (const GstStructure *result)
{
  const GValue *labels = gst_structure_get_value (result, "labels");
  GPtrArray *list;

  if (!labels || !GST_VALUE_HOLDS_ARRAY (labels))
    return NULL;
  list = g_ptr_array_new ();
  for (guint i = 0; i < gst_value_array_get_size (labels); i++)
    g_ptr_array_add (list, g_value_dup_string (gst_value_array_get_value (labels, i)));
  g_ptr_array_add (list, NULL);
  return (char **) g_ptr_array_free (list, FALSE);
}

/* A score for each label, or NULL. */
static double *
get_scores (const GstStructure *result, guint n)
{
  const GValue *values = gst_structure_get_value (result, "scores");
  double *scores;

  if (!values || !GST_VALUE_HOLDS_ARRAY (values) || gst_value_array_get_size (values) != n)
    return NULL;
  scores = g_new (double, n);
  for (guint i = 0; i < n; i++)
    scores[i] = g_value_get_double (gst_value_array_get_value (values, i));
  return scores;
}

/* With the lock held. */
static TernObserved *
make_observed (TernRun *run, const GstStructure *result)
{
  TernObserved *observed = g_new0 (TernObserved, 1);
  TernNow now = look_at_clocks (run);
  guint64 time = 0, utc;
  double start = 0, end = 0;
  gint64 length;

  gst_structure_get (result, "start", G_TYPE_DOUBLE, &start, "end", G_TYPE_DOUBLE, &end, "confidence", G_TYPE_DOUBLE,
      &observed->confidence, NULL);
  gst_structure_get (result, "running_time", G_TYPE_UINT64, &time, NULL);
  gst_structure_get (result, "abstained", G_TYPE_BOOLEAN, &observed->abstained, NULL);
  length = (gint64) ((end - start) * G_USEC_PER_SEC + 0.5);
  observed->start = tern_moments_wall (&run->moments, (gint64) (time / 1000), length, now);
  observed->began = tern_moments_monotonic (&run->moments, (gint64) (time / 1000));
  if (run->live && gst_structure_get (result, "utc", G_TYPE_UINT64, &utc, NULL))
    observed->utc = (gint64) (utc / 1000);
  observed->end = observed->start + length;
  observed->kind = g_strdup (gst_structure_get_string (result, "kind"));
  observed->text = g_strdup (gst_structure_get_string (result, "result"));
  observed->model = g_strdup (gst_structure_get_string (result, "model"));
  /* What was told again for the sake of a budget is no new observation either. */
  observed->unchanged = g_strcmp0 (gst_structure_get_string (result, "finish_reason"), "unchanged") == 0
      || g_strcmp0 (gst_structure_get_string (result, "finish_reason"), "budget") == 0;
  observed->labels = get_labels (result);
  if (observed->labels)
    observed->scores = get_scores (result, g_strv_length (observed->labels));
  if (!observed->unchanged)
    observed->thumbnail = find_thumbnail (run, time, (GstClockTime) ((end - start) * GST_SECOND));
  return observed;
}

static void
on_result (GstElement *generator, GstStructure *result, gpointer data)
{
  TernRun *run = data;

  if (g_strcmp0 (gst_structure_get_string (result, "finish_reason"), "cancelled") == 0)
    return;                     /* by whoever stops the camera */
  g_mutex_lock (&run->lock);
  g_queue_push_tail (&run->observed, make_observed (run, result));
  if (!run->deliver)
    run->deliver = g_idle_add_full (G_PRIORITY_DEFAULT, deliver, run_ref (run), run_unref);
  g_mutex_unlock (&run->lock);
}

/* ---- Frames ---- */

static GstClockTime
running_time (GstPad *pad, GstBuffer *buffer)
{
  GstEvent *event = gst_pad_get_sticky_event (pad, GST_EVENT_SEGMENT, 0);
  GstClockTime time = GST_CLOCK_TIME_NONE;
  const GstSegment *segment;

  if (!event)
    return time;
  gst_event_parse_segment (event, &segment);
  if (segment->format == GST_FORMAT_TIME)
    time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  gst_event_unref (event);
  return time;
}

/* With the lock held. */
static void
note_frame (TernRun *run, GstClockTime time)
{
  gint64 taken;

  look_at_clocks (run);
  taken = tern_moments_monotonic (&run->moments, (gint64) (time / 1000));
  if (!run->first_taken)
    run->first_taken = taken;
  else if (taken - run->last_taken >= run->silence)
    g_array_append_vals (run->silences, (gint64[]) { run->last_taken, taken }, 2);
  run->last_taken = taken;
}

/* Of what stands before @pad, us; 0: it does not say. */
static gint64
ask_duration (GstPad *pad)
{
  gint64 duration;

  return gst_pad_query_duration (pad, GST_FORMAT_TIME, &duration) && duration > 0 ? duration / 1000 : 0;
}

/* Whether what stands before @pad is; a change of state tells of no source that is linked later. */
static gboolean
ask_live (GstPad *pad)
{
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE;

  if (gst_pad_query (pad, query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  gst_query_unref (query);
  return live;
}

/* Every frame, in front of the tee. */
static GstPadProbeReturn
on_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstClockTime time = running_time (pad, GST_PAD_PROBE_INFO_BUFFER (info));
  TernRun *run = data;
  gboolean first, live;
  gint64 duration;

  g_mutex_lock (&run->lock);
  first = !run->moments.begun && GST_CLOCK_TIME_IS_VALID (time);
  g_mutex_unlock (&run->lock);
  duration = first && run->moments.recorded ? ask_duration (pad) : 0;
  live = first && ask_live (pad);
  g_mutex_lock (&run->lock);
  run->last_frame = g_get_monotonic_time ();
  if (first) {
    tern_moments_begin (&run->moments, (gint64) (time / 1000), duration, tern_watch_now ());
    run->live = live;
  }
  if (GST_CLOCK_TIME_IS_VALID (time))
    note_frame (run, time);
  g_mutex_unlock (&run->lock);
  return GST_PAD_PROBE_OK;
}

/* Frames on their way to become thumbnails: a few a window. */
static GstPadProbeReturn
choose_thumbnail (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstClockTime time = running_time (pad, GST_PAD_PROBE_INFO_BUFFER (info));
  TernRun *run = data;
  gboolean due;

  g_mutex_lock (&run->lock);
  due = GST_CLOCK_TIME_IS_VALID (time) && (time >= run->thumbnail_due
      || time + 2 * run->thumbnail_every < run->thumbnail_due);        /* time went back */
  if (due)
    run->thumbnail_due = time + run->thumbnail_every;
  g_mutex_unlock (&run->lock);
  return due ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
}

static GstPadProbeReturn
keep_thumbnail (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  Thumbnail *thumbnail = g_new (Thumbnail, 1);
  gsize size = gst_buffer_get_size (buffer);
  TernRun *run = data;
  guint8 *bytes = g_malloc (size);

  gst_buffer_extract (buffer, 0, bytes, size);
  thumbnail->time = running_time (pad, buffer);
  thumbnail->jpeg = g_bytes_new_take (bytes, size);
  g_mutex_lock (&run->lock);
  g_queue_push_tail (&run->thumbnails, thumbnail);
  if (run->thumbnails.length > THUMBNAILS)
    thumbnail_free (g_queue_pop_head (&run->thumbnails));
  g_mutex_unlock (&run->lock);
  return GST_PAD_PROBE_OK;
}

/* ---- Zones ---- */

/* The mask for frames of these caps, which are I420. */
static void
update_mask (TernRun *run, GstPad *pad)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);
  gint width = 0, height = 0;

  if (caps) {
    gst_structure_get (gst_caps_get_structure (caps, 0), "width", G_TYPE_INT, &width, "height", G_TYPE_INT, &height, NULL);
    gst_caps_unref (caps);
  }
  if (width == run->width && height == run->height)
    return;
  tern_mask_free (run->mask);
  run->mask = width > 0 && height > 0 ? tern_mask_new (run->zones, (guint) width, (guint) height) : NULL;
  run->width = width;
  run->height = height;
}

static GstPadProbeReturn
hide (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  TernRun *run = data;
  GstBuffer *buffer;

  update_mask (run, pad);
  if (!run->mask)
    return GST_PAD_PROBE_OK;
  buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  /* What cannot be hidden is not looked at. */
  return tern_source_hide (buffer, pad, run->mask) ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
}

/* ---- The pipeline ---- */

static void
add_probe (TernRun *run, const char *element, const char *pad_name, GstPadProbeCallback probe)
{
  GstElement *owner = gst_bin_get_by_name (GST_BIN (run->pipeline), element);
  GstPad *pad = owner ? gst_element_get_static_pad (owner, pad_name) : NULL;

  if (pad)
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, probe, run_ref (run), run_unref);
  gst_clear_object (&pad);
  gst_clear_object (&owner);
}

/* What a message says to people, and the reason, which stands behind the place in the code. */
static GError *
message_error (GstMessage *message)
{
  g_autofree char *debug = NULL, *reason = NULL;
  GError *error = NULL;
  const char *line;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  line = debug ? strchr (debug, '\n') : NULL;
  reason = line ? g_strndup (line + 1, strcspn (line + 1, "\n")) : NULL;
  if (reason && *reason && !strstr (error->message, reason)) {
    gsize len = strlen (error->message) - g_str_has_suffix (error->message, ".");
    char *both = g_strdup_printf ("%.*s (%s)", (int) len, error->message, reason);

    g_free (error->message);
    error->message = both;
  }
  return error;
}

static gboolean
is_ours (GstMessage *message)
{
  static const char *const names[] = { "encoder", "generator", NULL };
  const char *name = GST_MESSAGE_SRC_NAME (message);

  return name && g_strv_contains (names, name);
}

/* A window that does not fit into the model's context will not when it is tried again. Memory that is not there, which has the
 * same code, may be there later. */
static gboolean
is_unfit (const GError *error)
{
  return g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT) && strstr (error->message, "(context of ");
}

/* What nobody here can decode is a matter of the stream as well. */
static TernFault
fault_of (GstMessage *message, const GError *error)
{
  if (is_ours (message) && (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS) || is_unfit (error)))
    return TERN_FAULT_SETTINGS;
  return error->domain == GST_STREAM_ERROR || g_error_matches (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN)
      ? TERN_FAULT_STREAM : TERN_FAULT_SOURCE;
}

/* Who falls behind: the encoder, which leaves frames out, or the generator, which leaves out windows. What was left out because
 * nothing was new in it, or for a budget, was meant to be. */
static gboolean
is_behind (GstMessage *message)
{
  if (g_strcmp0 (gst_structure_get_string (gst_message_get_structure (message), "reason"), "late") != 0)
    return FALSE;
  return is_ours (message);
}

/* A stream that has shown all it has, and nothing of that could be linked to what takes video, is none of ours: an error that
 * follows speaks of the plumbing. */
static gboolean
has_no_video (TernRun *run, const GError *error)
{
  return !run->piped && g_error_matches (error, GST_PARSE_ERROR, GST_PARSE_ERROR_DELAYED_LINK);
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  g_autoptr (GError) error = NULL;
  TernRun *run = data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      error = message_error (message);
      drain (run);
      run->funcs->failed (run->data, error->message, fault_of (message, error));
      return G_SOURCE_CONTINUE;
    case GST_MESSAGE_EOS:
      drain (run);
      run->funcs->ended (run->data);
      return G_SOURCE_CONTINUE;
    case GST_MESSAGE_WARNING:
      error = message_error (message);
      if (has_no_video (run, error)) {
        drain (run);
        run->funcs->failed (run->data, "the stream has no video", TERN_FAULT_STREAM);
      } else {
        run->funcs->warned (run->data, error->message);
      }
      return G_SOURCE_CONTINUE;
    case GST_MESSAGE_QOS:
      if (!run->told_drops && is_behind (message)) {
        run->told_drops = TRUE;
        run->funcs->warned (run->data, "windows are left out: there is more to look at than this machine can");
      }
      return G_SOURCE_CONTINUE;
    default:
      return G_SOURCE_CONTINUE;
  }
}

static void
set_model (TernRun *run, TernModel *model)
{
  GstContext *context = gst_context_new ("tern.model", TRUE);

  gst_structure_set (gst_context_writable_structure (context), "model", g_type_from_name ("TernModel"), model, NULL);
  gst_element_set_context (run->pipeline, context);
  gst_context_unref (context);
}

static void
connect_all (TernRun *run)
{
  GstElement *generator = gst_bin_get_by_name (GST_BIN (run->pipeline), "generator");
  GstBus *bus = gst_element_get_bus (run->pipeline);

  g_signal_connect_data (generator, "result", G_CALLBACK (on_result), run_ref (run), closure_unref, 0);
  gst_object_unref (generator);
  if (run->zones->len)
    add_probe (run, "zones", "src", hide);
  add_probe (run, "zones", "src", on_frame);
  add_probe (run, "thumbnail-queue", "sink", choose_thumbnail);
  add_probe (run, "thumbnail", "sink", keep_thumbnail);
  run->watch = gst_bus_add_watch_full (bus, G_PRIORITY_DEFAULT, on_message, run_ref (run), run_unref);
  gst_object_unref (bus);
}

static gpointer
copy_zone (gconstpointer data, gpointer unused)
{
  const TernZone *zone = data;
  TernZone *copy = g_new0 (TernZone, 1);

  copy->hide = zone->hide;
  copy->points = g_array_ref (zone->points);
  return copy;
}

static void
zone_copy_free (gpointer data)
{
  g_array_unref (((TernZone *) data)->points);
  g_free (data);
}

gint64
tern_run_window (const TernCameraConfig *config, TernModel *model)
{
  return tern_camera_config_window (config, tern_model_picture_frames (model));
}

static TernRun *
run_new_for (const TernCameraConfig *config, TernModel *model, const TernRunFuncs *funcs, gpointer data)
{
  TernRun *run = g_new0 (TernRun, 1);

  run->refs = 1;
  run->funcs = funcs;
  run->data = data;
  g_mutex_init (&run->lock);
  g_queue_init (&run->observed);
  g_queue_init (&run->thumbnails);
  run->thumbnail_every = CLAMP ((GstClockTime) config->window * 1000 / 4, THUMBNAIL_LEAST, THUMBNAIL_MOST);
  run->silence = MAX (tern_run_window (config, model) / 2, SILENCE_LEAST);
  run->piped = config->pipeline != NULL;
  run->silences = g_array_new (FALSE, FALSE, sizeof (gint64));
  run->moments.recorded = config->file && !config->pace;
  run->zones = g_ptr_array_new_with_free_func (zone_copy_free);
  for (guint i = 0; i < config->zones->len; i++)
    g_ptr_array_add (run->zones, copy_zone (g_ptr_array_index (config->zones, i), NULL));
  return run;
}

TernRun *
tern_run_new (const TernCameraConfig *config, TernModel *model, const TernRunFuncs *funcs, gpointer data, GError **error)
{
  TernRun *run = run_new_for (config, model, funcs, data);

  run->pipeline = tern_source_pipeline (config, error);
  if (!run->pipeline) {
    run_unref (run);
    return NULL;
  }
  set_model (run, model);
  connect_all (run);
  gst_element_set_state (run->pipeline, GST_STATE_PLAYING);
  return run;                   /* of what failed an error message tells */
}

gint64
tern_run_last_frame (TernRun *run)
{
  gint64 time;

  g_mutex_lock (&run->lock);
  time = run->last_frame;
  g_mutex_unlock (&run->lock);
  return time;
}

void
tern_run_frames (TernRun *run, gint64 *first, gint64 *last, GArray *silences)
{
  g_mutex_lock (&run->lock);
  *first = run->first_taken;
  *last = run->last_taken;
  if (run->silences->len)
    g_array_append_vals (silences, run->silences->data, run->silences->len);
  g_array_set_size (run->silences, 0);
  g_mutex_unlock (&run->lock);
}

static GstStructure *
stats_of (TernRun *run, const char *name)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (run->pipeline), name);
  GstStructure *stats = NULL;

  g_object_get (element, "stats", &stats, NULL);
  gst_object_unref (element);
  return stats;
}

void
tern_run_stats (TernRun *run, TernRunStats *stats)
{
  GstStructure *encoder = stats_of (run, "encoder"), *generator = stats_of (run, "generator");

  *stats = (TernRunStats) { 0 };
  gst_structure_get (encoder, "frames", G_TYPE_UINT64, &stats->frames, "looked-at", G_TYPE_UINT64, &stats->looked_at,
      "unchanged", G_TYPE_UINT64, &stats->unchanged, "dropped", G_TYPE_UINT64, &stats->left_out, NULL);
  gst_structure_get (generator, "windows", G_TYPE_UINT64, &stats->windows, "repeated", G_TYPE_UINT64, &stats->repeated,
      "dropped", G_TYPE_UINT64, &stats->dropped, NULL);
  gst_structure_get (generator, "last-latency", G_TYPE_UINT64, &stats->latency, NULL);
  if (!GST_CLOCK_TIME_IS_VALID (stats->latency))
    stats->latency = 0;
  gst_structure_free (encoder);
  gst_structure_free (generator);
}

/* ---- Closing ---- */

static GMutex closing_lock;
static GCond closing_changed;
static guint closing;           /* pipelines */

/* What is said to a camera that is gone may take seconds. */
static void
close_pipeline (GstElement *pipeline, gpointer run)
{
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_mutex_lock (&closing_lock);
  closing--;
  g_cond_signal (&closing_changed);
  g_mutex_unlock (&closing_lock);
}

void
tern_run_free (TernRun *run)
{
  if (!run)
    return;
  run->closed = TRUE;
  if (run->watch)
    g_source_remove (run->watch);
  g_mutex_lock (&closing_lock);
  closing++;
  g_mutex_unlock (&closing_lock);
  gst_element_call_async (run->pipeline, close_pipeline, run, run_unref);
  gst_object_unref (run->pipeline);
}

void
tern_run_wait_closed (void)
{
  g_mutex_lock (&closing_lock);
  while (closing)
    g_cond_wait (&closing_changed, &closing_lock);
  g_mutex_unlock (&closing_lock);
}
