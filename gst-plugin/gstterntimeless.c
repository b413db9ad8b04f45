/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstterntimeless.h"

#define MOST_TIMELESS 30        /* frames without a time that begin a stream */
#define MOST_ARRIVED 8          /* ... a live one, before they have that of their
                                 * arrival: the first few may come before the
                                 * source has a clock */

void
gst_tern_timeless_begin_segment (GstTernTimeless * self)
{
  self->from = self->last = self->ahead = GST_CLOCK_TIME_NONE;
  self->given = self->behind = 0;
  self->announced = FALSE;
}

void
gst_tern_timeless_begin_stream (GstTernTimeless * self)
{
  gint n = self->rate_n, d = self->rate_d;

  *self = (GstTernTimeless) { .rate_n = n, .rate_d = MAX (d, 1) };
  gst_tern_timeless_begin_segment (self);
}

void
gst_tern_timeless_set_rate (GstTernTimeless * self, gint n, gint d)
{
  n = MAX (n, 0);
  d = MAX (d, 1);
  if (n == self->rate_n && d == self->rate_d)
    return;
  self->rate_n = n;
  self->rate_d = d;
  self->from = GST_CLOCK_TIME_NONE;
}

/* ---- What the bus hears ---- */

static void
post_timeless (GstTernTimeless * self, GstElement * element)
{
  GST_ELEMENT_ERROR (element, STREAM, FAILED,
      ("Video without timestamps cannot be captioned. A file gets them from a "
          "frame rate in its caps (jpegparse ! capssetter caps=image/jpeg,"
          "framerate=10/1 ! jpegdec, say), a source that sends as it goes from "
          "the clock, with do-timestamp=true and, where it has that, "
          "is-live=true."),
      ("expected a PTS on every buffer, found none on %u, and on %u one",
          self->timeless, self->timed));
}

static void
warn_of_given (GstTernTimeless * self, GstElement * element, gboolean live)
{
  if (self->gives)
    return;
  self->gives = TRUE;
  GST_ELEMENT_WARNING (element, STREAM, FAILED,
      ("Video without timestamps gets %s.", live ? "the time at which its "
              "frames come" : "those that its frame rate gives"),
      ("expected a PTS on every buffer, found none after %" GST_TIME_FORMAT
          "; framerate = %d/%d", GST_TIME_ARGS (self->last), self->rate_n,
          self->rate_d));
}

static void
warn_of_left_out (GstTernTimeless * self, GstElement * element)
{
  if (self->timeless == 1)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("A video frame without a timestamp is not looked at."),
        ("expected a PTS on every buffer, found none after %" GST_TIME_FORMAT,
            GST_TIME_ARGS (self->last)));
  else if (self->timeless == MOST_TIMELESS)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("Video frames without timestamps are not looked at."),
        ("expected a PTS on every buffer, found none on %u of them after %"
            GST_TIME_FORMAT, self->timeless, GST_TIME_ARGS (self->last)));
}

/* ---- Times ---- */

/* By the rate: a file's frames follow each other, whenever they come. */
static GstClockTime
count_time (GstTernTimeless * self, const GstSegment * segment)
{
  GstClockTime frame = gst_util_uint64_scale (GST_SECOND, self->rate_d,
      self->rate_n);

  if (!GST_CLOCK_TIME_IS_VALID (self->from)) {
    self->from = GST_CLOCK_TIME_IS_VALID (self->last) ? self->last + frame :
        segment->start;
    self->given = 0;
  }
  return self->from + gst_util_uint64_scale (self->given,
      GST_SECOND * (guint64) self->rate_d, self->rate_n);
}

/* As a source with do-timestamp has it, some microseconds later. */
static GstClockTime
arrival_time (GstTernTimeless * self, GstElement * element,
    const GstSegment * segment)
{
  GstClock *clock = gst_element_get_clock (element);
  GstClockTime base = gst_element_get_base_time (element), now, time;

  if (!clock)
    return GST_CLOCK_TIME_NONE;
  now = gst_clock_get_time (clock);
  gst_object_unref (clock);
  if (!GST_CLOCK_TIME_IS_VALID (now) || !GST_CLOCK_TIME_IS_VALID (base)
      || now < base)
    return GST_CLOCK_TIME_NONE;
  time = gst_segment_position_from_running_time (segment, GST_FORMAT_TIME,
      now - base);
  if (GST_CLOCK_TIME_IS_VALID (time) && GST_CLOCK_TIME_IS_VALID (self->last))
    time = MAX (time, self->last);
  return time;
}

/* Of a stream that has no times of its own. Backwards nothing is looked at. */
static GstClockTime
find_time (GstTernTimeless * self, GstElement * element,
    const GstSegment * segment, gboolean live)
{
  if (self->timed > 1 || segment->rate <= 0.0)
    return GST_CLOCK_TIME_NONE;
  if (!live)
    return self->rate_n > 0 ? count_time (self, segment) : GST_CLOCK_TIME_NONE;
  /* A rate that a camera states is not when its frames were taken. */
  if (!self->gives && self->timeless < MOST_ARRIVED)
    return GST_CLOCK_TIME_NONE;
  return arrival_time (self, element, segment);
}

static GstBuffer *
give_time (GstTernTimeless * self, gboolean live, GstBuffer * buffer,
    GstClockTime time)
{
  buffer = gst_buffer_make_writable (buffer);
  GST_BUFFER_PTS (buffer) = time;
  if (!GST_BUFFER_DURATION_IS_VALID (buffer) && !live)
    GST_BUFFER_DURATION (buffer) = gst_util_uint64_scale (GST_SECOND,
        self->rate_d, self->rate_n);
  self->given++;
  self->last = time;
  if (!live)
    self->ahead = time;
  return buffer;
}

/* Of the first frames of a stream some had no times, and were given what the next
 * ones have: time does not go back for that. Where it is for long, it does. */
static gboolean
falls_behind (GstTernTimeless * self, GstClockTime pts)
{
  if (!GST_CLOCK_TIME_IS_VALID (self->ahead))
    return FALSE;
  if (pts <= self->ahead && self->given < MOST_TIMELESS
      && self->behind < MOST_TIMELESS) {
    self->behind++;
    return TRUE;
  }
  self->ahead = GST_CLOCK_TIME_NONE;
  return FALSE;
}

GstTernTiming
gst_tern_timeless_take (GstTernTimeless * self, GstElement * element,
    const GstSegment * segment, gboolean live, GstBuffer ** buffer)
{
  GstClockTime time;

  if (GST_BUFFER_PTS_IS_VALID (*buffer)) {
    self->timed = MIN (self->timed + 1, 2);
    if (self->timed > 1)
      self->timeless = 0;
    if (falls_behind (self, GST_BUFFER_PTS (*buffer)))
      return GST_TERN_LEFT_OUT;
    self->last = GST_BUFFER_PTS (*buffer);
    self->from = GST_CLOCK_TIME_NONE;
    return GST_TERN_TIMED;
  }
  time = find_time (self, element, segment, live);
  if (GST_CLOCK_TIME_IS_VALID (time)) {
    warn_of_given (self, element, live);
    *buffer = give_time (self, live, *buffer, time);
    return GST_TERN_TIMED;
  }
  self->timeless++;
  if (self->timed <= 1 && !live && self->timeless >= MOST_TIMELESS) {
    if (self->timeless == MOST_TIMELESS)
      post_timeless (self, element);
    return GST_TERN_TIMELESS;
  }
  warn_of_left_out (self, element);
  return GST_TERN_LEFT_OUT;
}

GstEvent *
gst_tern_timeless_announce (GstTernTimeless * self, const GstSegment * segment)
{
  if (self->announced || GST_CLOCK_TIME_IS_VALID (self->last))
    return NULL;
  self->announced = TRUE;
  return gst_event_new_gap (segment->start, 0);
}

void
gst_tern_timeless_end_stream (GstTernTimeless * self, GstElement * element)
{
  if (self->timed <= 1 && !self->gives && self->timeless > 0
      && self->timeless < MOST_TIMELESS)
    post_timeless (self, element);
}
