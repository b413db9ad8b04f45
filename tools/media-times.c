/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/media-private.h"

#include <libavutil/version.h>

#include "tern/tern.h"

#define JITTER (TERN_SECOND / 2)        /* by which clocks go back without anything having been joined */
#define LEAP (60 * TERN_SECOND)         /* forward, in formats whose clock may start anew */
/* What damaged files say is anything: 36 years from a file's start, so that sums and differences do not overflow. */
#define MOST ((gint64) 1 << 60)

static const AVRational ns = { 1, 1000000000 };

/* AVI has no times: the n-th frame is shown at n frames. GXF says the n-th field in the order in which they are coded. */
static gboolean
counts_frames (const TernMedia *media)
{
  const char *name = media->format->iformat->name;

  return g_str_equal (name, "avi") || g_str_equal (name, "gxf");
}

/* Where no length is said libavformat says the mean of all frames. At a variable rate that is none of this one: a second and more for
 * the frames of a screen that stood still before. */
static gboolean
is_mean (const AVStream *stream, gint64 length)
{
  AVRational mean = stream->avg_frame_rate, twice = { 2 * mean.num, mean.den };

  return mean.num > 0 && mean.num <= G_MAXINT / 2 && mean.den > 0 && av_cmp_q (stream->r_frame_rate, twice) > 0
      && ABS (length - av_rescale_q (1, av_inv_q (mean), stream->time_base)) <= 1;
}

static gint64
frame_length (const TernMedia *media)
{
  AVStream *stream = tern_media_stream (media);
  AVRational rate = av_guess_frame_rate (media->format, stream, media->frame);
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT (57, 30, 100)
  gint64 length = media->frame->duration;
#else
  gint64 length = media->frame->pkt_duration;
#endif

  if (counts_frames (media) && rate.num > 0 && rate.den > 0)
    length = 0;                 /* fields are taken for frames */
  else if (is_mean (stream, length))
    return 0;
  if (length > 0)
    return MIN (av_rescale_q (length, stream->time_base, ns), MOST);
  /* A tick a frame is what libavformat says of a rate that it knows nothing of. */
  if (stream->avg_frame_rate.num == 0 && av_cmp_q (rate, av_inv_q (stream->time_base)) == 0)
    return 0;
  return rate.num > 0 && rate.den > 0 ? av_rescale_q (1, av_inv_q (rate), ns) : 0;
}

/* The file's clock, ns from its start. */
static gboolean
frame_clock (const TernMedia *media, gint64 *clock)
{
  gint64 start = media->format->start_time, stamp = media->frame->best_effort_timestamp;

  if (stamp == AV_NOPTS_VALUE)
    return FALSE;
  stamp = av_rescale_q (stamp, tern_media_stream (media)->time_base, ns);
  start = start != AV_NOPTS_VALUE ? av_rescale_q (start, AV_TIME_BASE_Q, ns) : 0;
  *clock = CLAMP (CLAMP (stamp, -2 * MOST, 2 * MOST) - CLAMP (start, -2 * MOST, 2 * MOST), -MOST, MOST);
  return TRUE;
}

/* Coded video without a container: what libavformat makes up may begin anywhere. */
static gboolean
has_no_clock (const TernMedia *media)
{
  static const char *const names[] = { "mpegvideo", "h264", "hevc", "vvc", "m4v", "h263", "h261", "vc1", "cavsvideo",
    "dirac", "obu", "mjpeg" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (media->format->iformat->name, names[i]))
      return TRUE;
  return FALSE;
}

/* Of the first frame, which libavformat gives the time at which it leaves the decoder. Frames that a file leaves out before
 * it are no delay. */
static gint64
decoder_delay (const TernMedia *media, gint64 clock)
{
  return CLAMP (clock, 0, MAX (media->codec->has_b_frames, 0) * frame_length (media));
}

/* Two recordings in one file: the clock goes back, or leaps where it may start anew at any time. */
static gboolean
is_joint (const TernMedia *media, gint64 clock)
{
  const TernTimeline *t = &media->timeline;
  gint64 step = clock - t->clock;

  return step < -(gint64) JITTER || ((media->format->iformat->flags & AVFMT_TS_DISCONT) && step > (gint64) LEAP);
}

void
tern_media_times (TernMedia *media, guint64 *pts, guint64 *duration)
{
  TernTimeline *t = &media->timeline;
  gint64 clock, length = frame_length (media);

  if (!frame_clock (media, &clock)) {
    *pts = MIN (t->end, 2 * MOST);
  } else {
    if (!t->started)
      t->offset = has_no_clock (media) ? -clock : counts_frames (media) ? -decoder_delay (media, clock) : 0;
    else if (t->joint || is_joint (media, clock))
      t->offset = (gint64) t->end - clock;
    t->clock = clock;
    *pts = CLAMP (clock + t->offset, (gint64) t->pts, 2 * MOST);
  }
  t->started = TRUE;
  t->joint = FALSE;
  t->pts = *pts;
  t->end = *pts + MAX (length, 0);
  *duration = length > 0 ? (guint64) length : TERN_TIME_NONE;
}

gboolean
tern_media_rate (const TernMedia *media, guint *n, guint *d)
{
  const AVStream *stream = media->still ? NULL : tern_media_stream (media);
  AVRational rate;

  if (!stream)
    return FALSE;
  rate = av_cmp_q (stream->r_frame_rate, stream->avg_frame_rate) > 0 || stream->avg_frame_rate.num <= 0 ? stream->r_frame_rate
      : stream->avg_frame_rate;
  if (rate.num <= 0 || rate.den <= 0)
    return FALSE;
  *n = (guint) rate.num;
  *d = (guint) rate.den;
  return TRUE;
}
