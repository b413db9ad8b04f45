/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A picture, of one frame or of two, and the buffer of tokens that it becomes. Of the frame before it, where the encoder looks
 * back, the tokens say what has changed since. */
#include "gstternencoder-priv.h"

#include <string.h>

#include "gstternerror.h"

#define BEFORE 2

/* Frames as they lie in memory: first, second, the one before. */
typedef struct
{
  GstBuffer *buffers[GST_TERN_ENCODER_FRAMES];
  GstVideoFrame frames[GST_TERN_ENCODER_FRAMES];
  TernImage images[GST_TERN_ENCODER_FRAMES];
  guint shifts[GST_TERN_ENCODER_FRAMES];
  gboolean mapped[GST_TERN_ENCODER_FRAMES];
  guint n;                      /* frames of the picture */
} Picture;

/* ---- Times ---- */

GstClockTime
gst_tern_encoder_duration (GstTernEncoder * self, GstBuffer * buffer)
{
  gint n = GST_VIDEO_INFO_FPS_N (&self->info);
  gint d = GST_VIDEO_INFO_FPS_D (&self->info);

  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    return GST_BUFFER_DURATION (buffer);
  if (n > 0 && d > 0 && gst_util_fraction_compare (n, d, self->worker_rate_n,
          self->worker_rate_d) < 0)
    return gst_util_uint64_scale (GST_SECOND, d, n);
  return GST_CLOCK_TIME_NONE;
}

/* Seconds from the beginning of 1900, which NTP counts from, to that of 1970. */
#define NTP_TO_UNIX (G_GUINT64_CONSTANT (2208988800) * GST_SECOND)

/* When the frame was taken, as far as upstream says so; 0 else. */
static guint64
get_utc (GstBuffer * buffer)
{
  static GstStaticCaps unix_caps = GST_STATIC_CAPS ("timestamp/x-unix");
  static GstStaticCaps ntp_caps = GST_STATIC_CAPS ("timestamp/x-ntp");
  GstReferenceTimestampMeta *meta;
  GstCaps *caps = gst_static_caps_get (&unix_caps);

  meta = gst_buffer_get_reference_timestamp_meta (buffer, caps);
  gst_caps_unref (caps);
  if (meta)
    return GST_CLOCK_TIME_IS_VALID (meta->timestamp) ? meta->timestamp : 0;
  caps = gst_static_caps_get (&ntp_caps);
  meta = gst_buffer_get_reference_timestamp_meta (buffer, caps);
  gst_caps_unref (caps);
  if (!meta || !GST_CLOCK_TIME_IS_VALID (meta->timestamp)
      || meta->timestamp <= NTP_TO_UNIX)
    return 0;
  return meta->timestamp - NTP_TO_UNIX;
}

/* Of two frames: the mean of their times, which is what the model reads. A frame
 * that stands alone for two has its own. */
static GstClockTime
picture_time (GstBuffer * first, GstBuffer * second)
{
  GstClockTime pts = GST_BUFFER_PTS (first);

  return second ? pts + (GST_BUFFER_PTS (second) - pts) / 2 : pts;
}

/* Until the last frame ends, as far as that is known. */
static void
describe_times (GstTernEncoder * self, GstBuffer * first, GstBuffer * second,
    guint64 late, TernTokens * tokens)
{
  GstBuffer *last = second ? second : first;

  tokens->pts = picture_time (first, second);
  tokens->duration = gst_tern_encoder_duration (self, last);
  if (GST_CLOCK_TIME_IS_VALID (tokens->duration))
    tokens->duration += GST_BUFFER_PTS (last) - tokens->pts;
  tokens->late = tokens->pts - GST_BUFFER_PTS (first) + late;
  tokens->after = GST_BUFFER_PTS (last) - tokens->pts;
  tokens->utc = get_utc (first);
  if (tokens->utc > 0)
    tokens->utc += tokens->pts - GST_BUFFER_PTS (first);
}

/* ---- What is new ---- */

/* Another scene begins, or what was encoded is not there. */
void
gst_tern_encoder_forget_picture (GstTernEncoder * self)
{
  gst_clear_buffer (&self->last);
  if (self->gate)
    tern_gate_force (self->gate);
}

/* Whether the picture is to be encoded, else why not: @image as it lies in
 * memory. */
static gboolean
is_new (GstTernEncoder * self, const TernImage * image, guint shift,
    GstClockTime pts, const gchar ** why_not)
{
  gboolean found;
  guint64 deferred;

  *why_not = GST_TERN_DROPPED_UNCHANGED;
  if (!self->gate)
    return TRUE;
  found = tern_gate_look (self->gate, image, shift, pts) || !self->last;
  g_mutex_lock (&self->task.lock);
  deferred = self->gate_stats.deferred;
  tern_gate_stats (self->gate, &self->gate_stats);
  if (self->gate_stats.deferred > deferred)
    *why_not = GST_TERN_DROPPED_DEFERRED;
  g_mutex_unlock (&self->task.lock);
  return found;
}

/* The tokens of the picture that was encoded last. */
static gboolean
repeat (GstTernEncoder * self, float *tokens, TernTokens * out,
    GError ** error)
{
  GstTernTokenMap map = { {0,}, };

  if (!gst_tern_token_map (&map, self->last, &self->token_info, 0, error))
    return FALSE;
  *out = map.tokens;
  out->tokens = tokens;
  memcpy (tokens, map.tokens.tokens,
      (gsize) map.tokens.n_tokens * map.tokens.dim * sizeof (float));
  gst_tern_token_unmap (&map, self->last);
  gst_tern_token_map_clear (&map);
  return TRUE;
}

static gboolean
look (GstTernEncoder * self, Picture * picture, float *tokens,
    TernTokens * out, GError ** error)
{
  const TernImage *images[GST_TERN_ENCODER_FRAMES] = { NULL, };
  gboolean ok = TRUE;
  guint i;

  for (i = 0; i < GST_TERN_ENCODER_FRAMES && ok; i++) {
    if (!picture->mapped[i])
      continue;
    images[i] = &picture->images[i];
    ok = gst_tern_frame_narrow (&picture->images[i], picture->shifts[i],
        &self->rooms[i], error);
  }
  if (!ok || !tern_encoder_run_frames (self->encoder, images[BEFORE], images[0],
          images[1], tokens, out, error)) {
    gst_tern_encoder_forget_picture (self);
    return FALSE;
  }
  self->picture++;
  g_mutex_lock (&self->task.lock);
  self->encoded += picture->n;
  tern_encoder_reuse_stats (self->encoder, &self->reuse_stats);
  g_mutex_unlock (&self->task.lock);
  return TRUE;
}

/* ---- Encoding ---- */

gboolean
gst_tern_encoder_can_read (GstTernEncoder * self, GstBuffer * buffer,
    GError ** error)
{
  GstVideoFrame frame;
  TernImage image;
  guint shift;

  if (!gst_tern_frame_map (&frame, &image, &self->info, buffer, &shift, error))
    return FALSE;
  gst_video_frame_unmap (&frame);
  return TRUE;
}

static gboolean
map_picture (GstTernEncoder * self, GstBuffer * first, GstBuffer * second,
    Picture * picture)
{
  GError *error = NULL;
  guint i;

  *picture = (Picture) { .buffers = { first, second, self->before },
    .n = second ? 2 : 1 };
  for (i = 0; i < GST_TERN_ENCODER_FRAMES; i++) {
    if (!picture->buffers[i])
      continue;
    if (!gst_tern_frame_map (&picture->frames[i], &picture->images[i],
            &self->info, picture->buffers[i], &picture->shifts[i], &error)) {
      GST_ELEMENT_ERROR (self, STREAM, FAILED,
          ("A video frame cannot be read."),
          ("frame at %" GST_TIME_FORMAT ": %s",
              GST_TIME_ARGS (GST_BUFFER_PTS (picture->buffers[i])),
              error->message));
      g_clear_error (&error);
      return FALSE;
    }
    picture->images[i].orientation = self->tag_orientation[0] ?
        self->tag_orientation[0] : self->tag_orientation[1];
    picture->mapped[i] = TRUE;
  }
  return TRUE;
}

static void
unmap_picture (Picture * picture)
{
  guint i;

  for (i = 0; i < GST_TERN_ENCODER_FRAMES; i++)
    if (picture->mapped[i])
      gst_video_frame_unmap (&picture->frames[i]);
}

/* Frames that have the tokens @out of one before. */
static void
tell_spared (GstTernEncoder * self, const Picture * picture, GstBuffer * out,
    const gchar * reason)
{
  g_mutex_lock (&self->task.lock);
  self->spared += picture->n;
  g_mutex_unlock (&self->task.lock);
  gst_tern_encoder_post_dropped (self, &self->out_segment, out, reason);
}

static GstBuffer *
run (GstTernEncoder * self, Picture * picture, guint64 late, GError ** error)
{
  GstBuffer *first = picture->buffers[0], *second = picture->buffers[1];
  const gchar *why_not;
  gboolean ok, found = is_new (self, &picture->images[picture->n - 1],
      picture->shifts[picture->n - 1], picture_time (first, second), &why_not);
  GstBuffer *out = NULL;
  TernTokens tokens;
  GstMapInfo map;

  if (gst_buffer_pool_acquire_buffer (self->pool, &out, NULL) != GST_FLOW_OK) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
        "no memory for a frame's visual tokens");
    return NULL;
  }
  if (!gst_buffer_map (out, &map, GST_MAP_WRITE)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED,
        "a buffer for visual tokens cannot be mapped");
    gst_buffer_unref (out);
    return NULL;
  }
  ok = found ? look (self, picture, (float *) map.data, &tokens, error) :
      repeat (self, (float *) map.data, &tokens, error);
  gst_buffer_unmap (out, &map);
  if (!ok) {
    gst_buffer_unref (out);
    return NULL;
  }

  describe_times (self, first, second, late, &tokens);
  tokens.picture = self->gate ? self->picture : 0;
  tokens.novelty = self->gate ? tern_gate_novelty (self->gate) : 0;
  tokens.number = self->number++;
  gst_tern_token_buffer_describe (out, &tokens);
  if (self->gate && found)
    gst_buffer_replace (&self->last, out);
  if (!found)
    tell_spared (self, picture, out, why_not);
  if (GST_BUFFER_IS_DISCONT (first)
      || (second && GST_BUFFER_IS_DISCONT (second)))
    GST_BUFFER_FLAG_SET (out, GST_BUFFER_FLAG_DISCONT);
  return out;
}

GstFlowReturn
gst_tern_encoder_encode (GstTernEncoder * self, GstBuffer * first,
    GstBuffer * second, guint64 late)
{
  GstBuffer *out = NULL;
  GError *error = NULL;
  Picture picture;
  gboolean mapped, cancelled;

  mapped = map_picture (self, first, second, &picture);
  if (mapped)
    out = run (self, &picture, late, &error);
  unmap_picture (&picture);
  if (!mapped)
    return GST_FLOW_ERROR;

  if (!out) {
    cancelled = g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED);
    gst_tern_post_error (self, error);
    g_clear_error (&error);
    return cancelled ? GST_FLOW_FLUSHING : GST_FLOW_ERROR;
  }
  GST_LOG_OBJECT (self, "tokens %" GST_PTR_FORMAT, out);
  return gst_pad_push (self->srcpad, out);
}
