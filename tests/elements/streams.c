/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several streams one after the other on the same pads, each with an end of its own: the ends of video and of text belong
 * together, however far one of them is ahead. */
#include "harness.h"

#include <string.h>

typedef struct {
  GstHarness *h;
  GstBus *bus;
  GMutex lock;
  GCond cond;
  gboolean closed;              /* frames do not leave */
  gboolean text_closed;         /* no stream of text begins */
  GString *left;                /* what did, in order */
  guint begins, ends;
  guint told, told_at[8];       /* results, so far and at each end */
  guint text_begins, text_ends; /* that came to ternattach */
} Streams;

/* r: a frame with the result of its window, x: of another one, .: without. */
static char
kind_of (GstBuffer *frame)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (frame, "TernResultMeta");
  gdouble time = (gdouble) GST_BUFFER_PTS (frame) / GST_SECOND, start, end;

  if (!meta)
    return '.';
  fail_unless (gst_structure_get (gst_custom_meta_get_structure (meta), "start", G_TYPE_DOUBLE, &start, "end", G_TYPE_DOUBLE,
          &end, NULL));
  return start <= time && time < end ? 'r' : 'x';
}

/* S: a stream begins, E: it ends. */
static GstPadProbeReturn
see_left (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Streams *s = data;
  GstMessage *message;

  g_mutex_lock (&s->lock);
  if (GST_IS_BUFFER (info->data)) {
    while (s->closed)
      g_cond_wait (&s->cond, &s->lock);
    g_string_append_c (s->left, kind_of (info->data));
  } else if (GST_EVENT_TYPE (info->data) == GST_EVENT_STREAM_START) {
    g_string_append_c (s->left, 'S');
    s->begins++;
  } else if (GST_EVENT_TYPE (info->data) == GST_EVENT_EOS) {
    while ((message = gst_bus_pop_filtered (s->bus, GST_MESSAGE_ELEMENT))) {
      s->told += gst_message_has_name (message, "tern-result");
      gst_message_unref (message);
    }
    g_string_append_c (s->left, 'E');
    s->told_at[s->ends++] = s->told;
  }
  g_cond_broadcast (&s->cond);
  g_mutex_unlock (&s->lock);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
see_text (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Streams *s = data;

  g_mutex_lock (&s->lock);
  while (s->text_closed && GST_EVENT_TYPE (info->data) == GST_EVENT_STREAM_START)
    g_cond_wait (&s->cond, &s->lock);
  s->text_begins += GST_EVENT_TYPE (info->data) == GST_EVENT_STREAM_START;
  s->text_ends += GST_EVENT_TYPE (info->data) == GST_EVENT_EOS;
  g_cond_broadcast (&s->cond);
  g_mutex_unlock (&s->lock);
  return GST_PAD_PROBE_OK;
}

static void
start (Streams *s, GstHarness *h)
{
  g_autoptr (GstElement) attach = GST_IS_BIN (h->element) ? gst_bin_get_by_name (GST_BIN (h->element), "attach")
      : gst_object_ref (h->element);
  g_autoptr (GstPad) src = gst_element_get_static_pad (h->element, "src");
  g_autoptr (GstPad) text = gst_element_get_static_pad (attach, "text_sink");

  *s = (Streams) { .h = h, .bus = watch (h->element), .left = g_string_new (NULL) };
  g_mutex_init (&s->lock);
  g_cond_init (&s->cond);
  gst_pad_add_probe (src, GST_PAD_PROBE_TYPE_DATA_DOWNSTREAM, see_left, s, NULL);
  gst_pad_add_probe (text, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, see_text, s, NULL);
}

static void
stop (Streams *s)
{
  unwatch (s->bus);
  gst_harness_teardown (s->h);
  g_string_free (s->left, TRUE);
  g_mutex_clear (&s->lock);
  g_cond_clear (&s->cond);
}

static void
set_closed (Streams *s, gboolean *what, gboolean closed)
{
  g_mutex_lock (&s->lock);
  *what = closed;
  g_cond_broadcast (&s->cond);
  g_mutex_unlock (&s->lock);
}

/* Where it stays away, the test's time limit says so. */
static void
wait_for (Streams *s, const guint *count, guint n)
{
  g_mutex_lock (&s->lock);
  while (*count < n)
    g_cond_wait (&s->cond, &s->lock);
  g_mutex_unlock (&s->lock);
}

static void
expect_left (Streams *s, const char *left)
{
  g_mutex_lock (&s->lock);
  fail_unless_equals_string (s->left->str, left);
  g_mutex_unlock (&s->lock);
}

static void
push_event (Streams *s, GstEvent *event)
{
  fail_unless (gst_pad_push_event (s->h->srcpad, event));
}

static void
begin (Streams *s, gboolean segment)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (FRAME_CAPS);
  GstSegment time;

  push_event (s, gst_event_new_stream_start ("stream"));
  if (!segment)
    return;
  gst_segment_init (&time, GST_FORMAT_TIME);
  push_event (s, gst_event_new_caps (caps));
  push_event (s, gst_event_new_segment (&time));
}

/* Half a second each. */
static void
push_frames (Streams *s, guint n)
{
  guint i;

  for (i = 0; i < n; i++)
    fail_unless_equals_int (gst_pad_push (s->h->srcpad, make_frame (MS (500 * i), MS (500), i)), GST_FLOW_OK);
}

/* Of so many frames; -: none, _: not even a segment, g: a gap. */
static void
push_stream (Streams *s, char what)
{
  begin (s, what != '_');
  if (what == 'g')
    push_event (s, gst_event_new_gap (0, MS (500)));
  else if (g_ascii_isdigit (what))
    push_frames (s, what - '0');
  push_event (s, gst_event_new_eos ());
}

/* All @streams have left, their first @seen frames with the results of their windows. No end came before the results of its
 * stream, @each of a stream with frames; those of later streams may have been told as well. */
static void
expect_streams (Streams *s, const char *streams, guint each, guint seen)
{
  g_autoptr (GString) left = g_string_new (NULL);
  guint i, sum = 0, n = strlen (streams);

  wait_for (s, &s->ends, n);
  for (i = 0; i < n; i++) {
    guint frames = g_ascii_isdigit (streams[i]) ? streams[i] - '0' : 0, k;

    g_string_append (left, "S");
    for (k = 0; k < frames; k++)
      g_string_append_c (left, k < seen ? 'r' : 'x');
    g_string_append (left, "E");
    sum += frames ? each : 0;
    fail_unless (s->told_at[i] >= sum, "%u of %u results told before end %u", s->told_at[i], sum, i);
  }
  fail_unless_equals_int (s->told, sum);
  expect_left (s, left->str);
}

static const char *const pads[] = { "text_src", "json_src" };

#define CAPTION "terncaption window=2000000000 "

static const struct {
  const char *launch, *pads;
} elements[] = {
  { CAPTION "attach=window", "" },
  { CAPTION "attach=window", "text_src" },
  { CAPTION "attach=window", "json_src" },
  { CAPTION "attach=window max-held-bytes=4000", "" },
  { CAPTION "attach=window max-frames=1", "" },
};

/* The text of the second stream has begun, and its answers do not end, while the end of the first one's video waits behind a sink
 * that is slow. It leaves: what it waits for has come. */
GST_START_TEST (test_text_ahead)
{
  gboolean max = strstr (elements[__i__].launch, "max-frames") != NULL;
  GstHarness *h = file_harness (elements[__i__].launch, "sink", "src"), *readers[2] = { NULL, };
  Streams s;
  guint i;

  for (i = 0; i < 2; i++)
    if (strstr (elements[__i__].pads, pads[i]))
      readers[i] = gst_harness_new_with_element (h->element, NULL, pads[i]);
  start (&s, h);
  s.closed = TRUE;
  push_stream (&s, '5');
  wait_for (&s, &s.text_ends, 1);
  fake_hold (TRUE);
  begin (&s, TRUE);
  wait_for (&s, &s.text_begins, 2);
  set_closed (&s, &s.closed, FALSE);
  wait_for (&s, &s.ends, 1);
  push_frames (&s, 5);
  push_event (&s, gst_event_new_eos ());
  fake_wait_begun (max ? 2 : 3);
  fake_hold (FALSE);
  if (elements[__i__].pads[0] == '\0') {
    expect_streams (&s, "55", max ? 1 : 2, max ? 1 : 5);
  } else {
    wait_for (&s, &s.ends, 2);
    expect_left (&s, "SrrrrrESrrrrrE");
  }
  for (i = 0; i < 2; i++)
    if (readers[i])
      gst_harness_teardown (readers[i]);
  stop (&s);
}
GST_END_TEST

static const char *const rows[] = { "555", "5---5", "5___5", "5-_g5", "-_g5", "_5", "ggg" };

static const struct {
  const char *launch;
  gboolean closed;
} row_elements[] = {
  { CAPTION "attach=window", FALSE },
  { CAPTION "attach=window", TRUE },
  { CAPTION "attach=newest", FALSE },
};

/* All streams have come before a frame of the first one leaves (1), or as it comes. */
GST_START_TEST (test_row)
{
  const char *streams = rows[__i__ / G_N_ELEMENTS (row_elements)];
  guint how = __i__ % G_N_ELEMENTS (row_elements), i;
  gboolean newest = strstr (row_elements[how].launch, "newest") != NULL;
  Streams s;

  start (&s, file_harness (row_elements[how].launch, "sink", "src"));
  set_closed (&s, &s.closed, row_elements[how].closed);
  for (i = 0; streams[i]; i++)
    push_stream (&s, streams[i]);
  if (row_elements[how].closed)
    wait_for (&s, &s.text_ends, i);
  set_closed (&s, &s.closed, FALSE);
  wait_for (&s, &s.ends, i);
  /* How soon a frame has the newest result is a matter of luck. */
  for (i = 0; newest && i < s.left->len; i++)
    s.left->str[i] = strchr (".x", s.left->str[i]) ? 'r' : s.left->str[i];
  expect_streams (&s, streams, 2, 5);
  stop (&s);
}
GST_END_TEST

/* Answers take their time: the ends wait for those about their own stream. */
GST_START_TEST (test_ends_wait)
{
  Streams s;

  fake_hold (TRUE);
  start (&s, file_harness (CAPTION "attach=window", "sink", "src"));
  push_stream (&s, '5');
  push_stream (&s, '-');
  fake_wait_begun (1);
  expect_left (&s, "S");
  fake_hold (FALSE);
  expect_streams (&s, "5-", 2, 5);
  stop (&s);
}
GST_END_TEST

/* A stream whose tokens ended before its frames did may be followed by one that has neither. */
GST_START_TEST (test_max_frames_then_nothing)
{
  Streams s;

  start (&s, file_harness (CAPTION "attach=window max-frames=1", "sink", "src"));
  push_stream (&s, '5');
  wait_for (&s, &s.ends, 1);
  push_stream (&s, '_');
  wait_for (&s, &s.ends, 2);
  push_stream (&s, '5');
  expect_streams (&s, "5_5", 1, 1);
  stop (&s);
}
GST_END_TEST

static void
flush (Streams *s)
{
  GstSegment segment;

  push_event (s, gst_event_new_flush_start ());
  push_event (s, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  push_event (s, gst_event_new_segment (&segment));
}

/* A flush (0) or a stop (1) comes upon an end that waits for text, also when one has left before (2, 3). The ends after it wait for
 * theirs. */
GST_START_TEST (test_interrupted)
{
  gboolean stopped = __i__ % 2;
  guint before = __i__ / 2;
  Streams s;

  start (&s, file_harness (CAPTION "attach=window", "sink", "src"));
  if (before) {
    push_stream (&s, '5');
    wait_for (&s, &s.ends, 1);
  }
  fake_hold (TRUE);
  push_stream (&s, '5');
  fake_wait_begun (2 * before + 1);
  wait_for (&s, &s.begins, before + 1);
  if (stopped) {
    gst_element_set_state (s.h->element, GST_STATE_READY);
    gst_element_set_state (s.h->element, GST_STATE_PLAYING);
  }
  g_mutex_lock (&s.lock);
  g_string_assign (s.left, stopped ? "" : "S");
  s.ends = s.told = 0;
  g_mutex_unlock (&s.lock);
  if (stopped)
    begin (&s, TRUE);
  else
    flush (&s);
  count_messages (s.bus, GST_MESSAGE_ELEMENT);
  push_frames (&s, 5);
  push_event (&s, gst_event_new_eos ());
  push_stream (&s, '-');
  fake_wait_begun (2 * before + 2);
  expect_left (&s, "S");
  fake_hold (FALSE);
  push_stream (&s, '5');
  expect_streams (&s, "5-5", 2, 5);
  stop (&s);
}
GST_END_TEST

/* ---- ternattach by itself ---- */

/* What a tee or a demuxer gives both sides has as many streams on either: frames wait for the text of theirs, which has not begun
 * when the one before is over. There is no queue in front of text_sink: one that is given a stream while it pushes the end of
 * another (GStreamer 1.22) stands still. */
GST_START_TEST (test_text_behind)
{
  GstElement *bin = gst_parse_bin_from_description ("tee name=d  d. ! ternattach name=attach attach=window  "
      "d. ! ternencoder ! terncompressor ! terngenerator name=g window=2000000000  g.json_src ! attach.text_sink", FALSE, NULL);
  Streams s;

  fail_unless (bin != NULL);
  add_ghost (bin, "sink", "d", "sink");
  add_ghost (bin, "src", "attach", "src");
  start (&s, bin_harness (bin));
  push_stream (&s, '5');
  wait_for (&s, &s.ends, 1);
  wait_for (&s, &s.text_ends, 1);
  set_closed (&s, &s.text_closed, TRUE);
  push_stream (&s, '5');
  wait_for (&s, &s.begins, 2);
  set_closed (&s, &s.text_closed, FALSE);
  expect_streams (&s, "55", 2, 5);
  stop (&s);
}
GST_END_TEST

/* Text that has nothing to do with the video ends once, and nothing waits for it any more. */
GST_START_TEST (test_other_text)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src"), *text;
  Streams s;
  guint i;

  text = gst_harness_new_with_element (h->element, "text_sink", NULL);
  gst_harness_set_src_caps_str (text, "text/x-raw, format = utf8");
  start (&s, h);
  gst_harness_push_event (text, gst_event_new_eos ());
  for (i = 0; i < 2; i++)
    push_stream (&s, '5');
  wait_for (&s, &s.ends, 2);
  expect_left (&s, "S.....ES.....E");
  gst_harness_teardown (text);
  stop (&s);
}
GST_END_TEST

/* Text that was never there (0), or goes away while frames wait for it (1), holds nobody up. */
GST_START_TEST (test_no_text)
{
  GstHarness *h = file_harness ("ternattach attach=window", "sink", "src"), *text = NULL;
  Streams s;

  if (__i__ == 1) {
    text = gst_harness_new_with_element (h->element, "text_sink", NULL);
    gst_harness_set_src_caps_str (text, "text/x-raw, format = utf8");
  }
  start (&s, h);
  begin (&s, TRUE);
  push_frames (&s, 5);
  if (text) {
    g_autoptr (GstPad) pad = gst_element_get_static_pad (h->element, "text_sink");

    expect_left (&s, "S");
    fail_unless (gst_pad_unlink (text->srcpad, pad));
  }
  push_event (&s, gst_event_new_eos ());
  push_stream (&s, '5');
  wait_for (&s, &s.ends, 2);
  expect_left (&s, "S.....ES.....E");
  fail_unless_equals_int (count_messages (s.bus, GST_MESSAGE_WARNING), 0);
  if (text)
    gst_harness_teardown (text);
  stop (&s);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("streams");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_text_ahead, 0, G_N_ELEMENTS (elements));
  tcase_add_loop_test (tc, test_row, 0, G_N_ELEMENTS (rows) * G_N_ELEMENTS (row_elements));
  tcase_add_test (tc, test_ends_wait);
  tcase_add_test (tc, test_max_frames_then_nothing);
  tcase_add_loop_test (tc, test_interrupted, 0, 4);
  tcase_add_test (tc, test_text_behind);
  tcase_add_test (tc, test_other_text);
  tcase_add_loop_test (tc, test_no_text, 0, 2);
  return run_suite (suite);
}
