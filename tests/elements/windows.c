/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames an answer is about, from frames to text: by PTS, whatever comes; and that it comes. */
#include "harness.h"

#include <string.h>

/* All three elements behind a file; the encoder is `e`. */
static GstHarness *
chain (const char *encoder, const char *generator)
{
  g_autofree char *launch = g_strdup_printf ("ternencoder name=e %s ! terncompressor ! terngenerator prompt=p %s", encoder,
      generator);

  return chain_harness (launch);
}

static void
push (GstHarness *h, GstClockTime pts, GstClockTime duration)
{
  fail_unless_equals_int (gst_harness_push (h, make_frame (pts, duration, 0)), GST_FLOW_OK);
}

/* Frames of 100 ms, [from, end) ms. */
static void
push_tenths (GstHarness *h, guint from, guint end)
{
  for (; from < end; from += 100)
    push (h, MS (from), MS (100));
}

static void
expect (GstHarness *h, guint pts_ms, guint duration_ms, const char *expected)
{
  g_autofree char *text = pull_text (h, MS (pts_ms), MS (duration_ms));

  fail_unless_equals_string (text, expected);
}

static GstEvent *
trigger_event (GstEventType type)
{
  return gst_event_new_custom (type, gst_structure_new_empty ("tern-trigger"));
}

static void
wait_for_end (GstHarness *h)
{
  gboolean end = FALSE;

  while (!end) {
    GstEvent *event = gst_harness_pull_event (h);

    fail_unless (event != NULL, "no end");
    end = GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
}

/* ---- Rates ---- */

/* Frames of a clip: @n[0] in one stretch of @ms, @n[1] in the next one. */
static const struct {
  const char *caps;             /* what is said of the rate */
  guint n[2], ms;
} clips[] = {
  { ", framerate = 24/1", { 24, 60 }, 1000 },
  { ", framerate = 0/1", { 24, 60 }, 1000 },
  { ", framerate = 30000/1001", { 30000, 30000 }, 1001000 },
  { ", framerate = 25/1", { 25, 25 }, 1000 },
  { ", framerate = 15/1", { 15, 15 }, 1000 },
  { ", framerate = 7/1", { 7, 7 }, 1000 },
  { ", framerate = 0/1", { 7, 25 }, 1000 },
  { "", { 30, 30 }, 1000 },
  { ", framerate = 3/2", { 3, 3 }, 2000 },      /* slower than it is looked at */
};

typedef struct {
  GstClockTime last, since, longest;    /* frame pushed last; from the one before to it; longest from one to the next */
  guint64 looked;
  GstClockTime worst;
} Sampling;

/* How far the frame that is looked at is from a tick of the grid. */
static GstPadProbeReturn
see_tokens (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Sampling *s = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  s->worst = MAX (s->worst, GST_BUFFER_PTS (buffer) % MS (500));
  s->looked++;
  return GST_PAD_PROBE_OK;
}

/* Of the result that the next frame carries; 9: none. */
static guint64
pulled_id (GstHarness *h)
{
  GstBuffer *frame = gst_harness_pull (h);
  guint64 id = 9;

  fail_unless (frame != NULL);
  gst_structure_get_uint64 (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (frame, "TernResultMeta")), "id", &id);
  gst_buffer_unref (frame);
  return id;
}

/* A minute: fifteen windows of four seconds, on the grid, in none of which a frame is looked at later after its tick than
 * the next one came; without durations too. */
GST_START_TEST (test_rates)
{
  guint c = __i__ / 2, turn, i, windows = 0;
  GstHarness *h = chain ("frame-rate=2/1", "");
  g_autofree char *caps = g_strconcat ("video/x-raw, format = RGB, width = 16, height = 16", clips[c].caps, NULL);
  g_autoptr (GstElement) encoder = gst_bin_get_by_name (GST_BIN (h->element), "e");
  g_autoptr (GstPad) src = gst_element_get_static_pad (encoder, "src");
  Sampling sampling = { 0 };
  GstClockTime until = 0, end;
  gboolean slow = clips[c].n[0] * 500 < clips[c].ms;
  GstBuffer *buffer;

  gst_pad_add_probe (src, GST_PAD_PROBE_TYPE_BUFFER, see_tokens, &sampling, NULL);
  gst_harness_set_src_caps_str (h, caps);
  for (turn = 0; turn * clips[c].ms < 60000; turn++)
    for (i = 0; i < clips[c].n[turn % 2]; i++) {
      GstClockTime each = MS (clips[c].ms), pts = turn * each + gst_util_uint64_scale (i, each, clips[c].n[turn % 2]);

      if (pts >= 60 * GST_SECOND)
        break;
      sampling.since = pts - sampling.last;
      sampling.longest = MAX (sampling.longest, sampling.since);
      sampling.last = pts;
      push (h, pts, __i__ % 2 ? each / clips[c].n[turn % 2] : GST_CLOCK_TIME_NONE);
    }
  gst_harness_push_event (h, gst_event_new_eos ());
  wait_for_end (h);
  while ((buffer = gst_harness_try_pull (h))) {
    const GstStructure *s = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernResultMeta"));
    guint frames = 0;

    gst_structure_get_uint (s, "frames", &frames);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), windows * 4 * GST_SECOND);
    if (windows < 14)
      fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), 4 * GST_SECOND);
    fail_unless (slow || frames == 8, "%u frames in window %u", frames, windows);
    windows++;
    until = GST_BUFFER_PTS (buffer) + GST_BUFFER_DURATION (buffer);
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (windows, 15);
  /* The last frame stands as long as the one before, where nothing is said, and not longer than its window. */
  end = MIN (sampling.last + sampling.since, 60 * GST_SECOND);
  fail_unless (until + 2 > end && until < end + 2, "ends at %" G_GUINT64_FORMAT ", not %" G_GUINT64_FORMAT, until, end);
  fail_unless (slow || sampling.looked == 120);
  fail_unless (sampling.worst < sampling.longest, "looked at %" G_GUINT64_FORMAT " ns after a tick, frames are %"
      G_GUINT64_FORMAT " ns apart", sampling.worst, sampling.longest);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- The last frame ---- */

/* A recording with a pause ends when its last frame is over, as is said of it; slides that are said to stand for a moment do
 * not. Where the last frame is not looked at, too. */
GST_START_TEST (test_pause_before_last)
{
  gboolean slides = __i__ & 1, two = (__i__ & 2) != 0;
  GstHarness *h = chain ("frame-rate=2/1", "");
  GstClockTime end = 0, last = (slides ? 60 : 20) * GST_SECOND;
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  if (!slides)
    push_tenths (h, 0, 5000);
  for (guint i = 0; slides && i < 3; i++)
    push (h, i * 20 * GST_SECOND, MS (40));
  push (h, last, slides ? MS (40) : MS (100));
  if (two && !slides)
    push (h, last + MS (100), MS (100));
  gst_harness_push_event (h, gst_event_new_eos ());
  wait_for_end (h);
  while ((buffer = gst_harness_try_pull (h))) {
    end = GST_BUFFER_PTS (buffer) + GST_BUFFER_DURATION (buffer);
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_uint64 (end, slides ? last + 4 * GST_SECOND : last + (two ? MS (200) : MS (100)));
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Latency ---- */

static void
expect_latency (GstHarness *h, GstClockTime expected)
{
  GstQuery *query = gst_query_new_latency ();
  GstClockTime min;
  gboolean live;

  fail_unless (gst_pad_peer_query (h->sinkpad, query));
  gst_query_parse_latency (query, &live, &min, NULL);
  fail_unless (live);
  fail_unless_equals_uint64 (min, expected);
  gst_query_unref (query);
}

/* Live frames that wait for their window say how long, through all that is in the bin. */
GST_START_TEST (test_live_latency)
{
  GstHarness *h = gst_harness_new_parse ("terncaption attach=window latency=1500000000");

  gst_harness_set_upstream_latency (h, MS (30));
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push (h, 0, MS (100));
  expect_latency (h, MS (4000 + 1500 + 30));
  gst_harness_teardown (h);
}
GST_END_TEST

/* Windows that are longer than was asked for (whole groups of four pictures) are known when there is a session: the application
 * hears that LATENCY is another. */
GST_START_TEST (test_rounded_latency)
{
  GstHarness *h = gst_harness_new_parse ("terncaption attach=window latency=1500000000 window=3000000000");
  GstBus *bus = watch (h->element);

  fake_hold_work (TERN_FAKE_LOADS, TRUE);
  gst_harness_set_upstream_latency (h, MS (30));
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push (h, 0, MS (100));
  expect_latency (h, MS (3000 + 1500 + 30));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_LATENCY), 0);
  fake_hold_work (TERN_FAKE_LOADS, FALSE);
  gst_message_unref (wait_message (bus, GST_MESSAGE_LATENCY));
  expect_latency (h, MS (4000 + 1500 + 30));
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Backwards nothing is looked at: video passes, and nobody waits for an answer. */
GST_START_TEST (test_backwards)
{
  GstHarness *h = file_harness ("terncaption", "sink", "src");
  GstHarness *text = gst_harness_new_with_element (h->element, NULL, "text_src");
  GstSegment segment;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = -1.0;
  segment.stop = segment.position = 10 * GST_SECOND;
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (i = 100; i > 0; i--)
    push (h, MS (100 * (i - 1)), MS (100));
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = 100; i > 0; i--) {
    GstBuffer *frame = gst_harness_pull (h);

    fail_unless (frame && GST_BUFFER_PTS (frame) == MS (100 * (i - 1)));
    fail_if (gst_buffer_get_custom_meta (frame, "TernResultMeta"));
    gst_buffer_unref (frame);
  }
  wait_for_end (text);
  fail_unless (gst_harness_try_pull (text) == NULL);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- The end ---- */

typedef enum { NOTHING, ONE, PART, WHOLE, BUSY, FULL, N_STATES } WindowState;
static const guint frames_of[] = { 0, 1, 5, 8, 8, 400 };

static gpointer
push_all (gpointer data)
{
  GstHarness *h = ((gpointer *) data)[0];
  WindowState state = GPOINTER_TO_UINT (((gpointer *) data)[1]);
  guint i;

  for (i = 0; i < frames_of[state]; i++)
    push (h, MS (500 * i), MS (500));
  gst_harness_push_event (h, gst_event_new_eos ());
  return NULL;
}

/* Whatever there is of windows, and whatever is done with them: each is answered, then comes the end. */
GST_START_TEST (test_end)
{
  guint frames = frames_of[__i__], n = 0;
  GstHarness *h = chain ("frame-rate=2/1", "");
  gboolean held = __i__ == BUSY || __i__ == FULL;
  GstClockTime until = 0;
  GstBuffer *buffer;
  GThread *thread;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  if (held)
    fake_hold (TRUE);
  thread = g_thread_new ("push", push_all, (gpointer[]) { h, GUINT_TO_POINTER (__i__) });
  if (held) {
    fake_wait_begun (1);
    fail_unless (gst_harness_try_pull (h) == NULL);
    fake_hold (FALSE);
  }
  g_thread_join (thread);
  wait_for_end (h);
  while ((buffer = gst_harness_try_pull (h))) {
    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), until);
    until += GST_BUFFER_DURATION (buffer);
    n++;
    gst_buffer_unref (buffer);
  }
  fail_unless_equals_int (n, (frames + 7) / 8);
  fail_unless_equals_uint64 (until, MS (500) * frames);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Triggers ---- */

/* The window that is open ends with the last frame that came, another begins with the next one; from downstream as the
 * generator asks for it, from upstream as a detector does. */
GST_START_TEST (test_trigger)
{
  GstHarness *h = chain ("frame-rate=2/1", "");

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 1400);
  if (__i__ == 0)
    fail_unless (gst_harness_push_upstream_event (h, trigger_event (GST_EVENT_CUSTOM_UPSTREAM)));
  else
    fail_unless (gst_harness_push_event (h, trigger_event (__i__ == 1 ? GST_EVENT_CUSTOM_DOWNSTREAM :
                GST_EVENT_CUSTOM_DOWNSTREAM_OOB)));
  push_tenths (h, 1400, 1500);
  expect (h, 0, 1400, "3 frames, p");
  push_tenths (h, 1500, 6200);
  expect (h, 1400, 4000, "8 frames, p");
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (h, 5400, 800, "2 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* An application may send the same event to an element again: one that is sent, not one that comes by several pads. */
GST_START_TEST (test_trigger_again)
{
  GstHarness *h = __i__ == 0 ? file_harness ("terncaption prompt=p", "sink", "text_src")
      : chain_harness ("ternencoder name=e ! terngenerator prompt=p");
  GstEvent *trigger = trigger_event (GST_EVENT_CUSTOM_UPSTREAM);
  GstElement *element = __i__ == 0 ? gst_object_ref (h->element) : gst_bin_get_by_name (GST_BIN (h->element), "e");

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (guint i = 0; i < 3; i++) {
    push_tenths (h, 1000 * i, 1000 * i + 1000);
    fail_unless (gst_element_send_event (element, gst_event_ref (trigger)));
  }
  push_tenths (h, 3000, 4000);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (guint i = 0; i < 4; i++)
    expect (h, 1000 * i, 1000, "2 frames, p");
  gst_event_unref (trigger);
  gst_object_unref (element);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Tokens from elsewhere: whoever holds them hears it in their order. */
GST_START_TEST (test_trigger_tokens)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");

  push_tokens (h, 0, 3);
  fail_unless (gst_harness_push_event (h, trigger_event (GST_EVENT_CUSTOM_DOWNSTREAM)));
  expect (h, 0, 1500, "3 frames, p");
  push_tokens (h, 4, 12);
  expect (h, 2000, 4000, "8 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* In the bin the joint chooses the frames: they carry the results of the windows that a trigger made. */
GST_START_TEST (test_trigger_in_bin)
{
  GstHarness *h = file_harness ("terncaption prompt=p", "sink", "src");
  GstHarness *text = gst_harness_new_with_element (h->element, NULL, "text_src");
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 1400);
  if (__i__ == 0)
    fail_unless (gst_harness_push_upstream_event (text, trigger_event (GST_EVENT_CUSTOM_UPSTREAM)));
  else if (__i__ == 1)
    fail_unless (gst_harness_push_upstream_event (h, trigger_event (GST_EVENT_CUSTOM_UPSTREAM)));
  else
    fail_unless (gst_harness_push_event (h, trigger_event (GST_EVENT_CUSTOM_DOWNSTREAM)));
  push_tenths (h, 1400, 6200);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (text, 0, 1400, "3 frames, p");
  expect (text, 1400, 4000, "8 frames, p");
  expect (text, 5400, 800, "2 frames, p");
  for (i = 0; i < 62; i++)
    fail_unless_equals_uint64 (pulled_id (h), i < 14 ? 0 : i < 54 ? 1 : 2);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- What ends windows ---- */

static GstPadProbeReturn
note_group (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  guint64 group = token_number (GST_PAD_PROBE_INFO_BUFFER (info)) / 4;

  g_array_append_val (data, group);
  return GST_PAD_PROBE_OK;
}

/* Nothing comes for so long that a window is over: it is answered although no frame shows it. */
GST_START_TEST (test_gap)
{
  GstHarness *h = chain ("frame-rate=2/1", "");

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 800);
  gst_harness_push_event (h, gst_event_new_gap (MS (800), MS (8000)));
  expect (h, 0, 4000, "2 frames, p");
  push_tenths (h, 8800, 9900);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (h, 8800, 1100, "3 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* Pictures of another size or shape are not of the same window; in the bin as well, where the encoder does not see all frames. */
static const char *const shapes[] = {
  "video/x-raw, format = RGB, width = 8, height = 16, framerate = 10/1",
  FRAME_CAPS ", pixel-aspect-ratio = 4/3",
};

GST_START_TEST (test_size)
{
  const char *other = shapes[__i__ / 2];
  gboolean bin = __i__ % 2;
  GstHarness *h = bin ? file_harness ("terncaption prompt=p", "sink", "src") : chain ("frame-rate=2/1", "");
  GstHarness *text = bin ? gst_harness_new_with_element (h->element, NULL, "text_src") : h;
  g_autoptr (GstCaps) half = gst_caps_from_string (other);
  GstBus *bus = watch (h->element);
  GstMessage *message;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 1800);
  fail_unless (gst_pad_push_event (h->srcpad, gst_event_new_caps (half)));
  push_tenths (h, 1800, 7000);
  gst_harness_push_event (h, gst_event_new_eos ());
  /* What is looked at next is at 2 s; the frames in between are of the window before. */
  expect (text, 0, 2000, "4 frames, p");
  expect (text, 2000, 4000, "8 frames, p");
  expect (text, 6000, 1000, "2 frames, p");
  message = wait_message (bus, GST_MESSAGE_INFO);
  fail_unless (!bin || GST_MESSAGE_SRC (message) == GST_OBJECT (h->element));
  gst_message_unref (message);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_INFO), 0);
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR), 0);
  unwatch (bus);
  if (bin)
    gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames are missing, below what makes a pause: groups end with windows all the same, so that nothing is merged with what
 * another answer is about. The first frame of a group is whole. */
static const guint missing_ticks[] = { 0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 18 };
static const guint missing_groups[] = { 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4 };

GST_START_TEST (test_missing)
{
  GstHarness *h = chain ("frame-rate=2/1", "");
  g_autoptr (GstElement) generator = NULL;
  g_autoptr (GstPad) sink = NULL;
  g_autoptr (GArray) groups = g_array_new (FALSE, FALSE, sizeof (guint64));
  guint i;

  for (GList *link = GST_BIN_CHILDREN (h->element); link; link = link->next)
    if (g_str_has_prefix (GST_OBJECT_NAME (link->data), "terngenerator"))
      generator = gst_object_ref (link->data);
  sink = gst_element_get_static_pad (generator, "sink");
  gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_BUFFER, note_group, groups, NULL);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < G_N_ELEMENTS (missing_ticks); i++)
    push (h, MS (500 * missing_ticks[i]), MS (500));
  gst_harness_push_event (h, gst_event_new_eos ());
  wait_for_end (h);
  fail_unless_equals_int (groups->len, G_N_ELEMENTS (missing_ticks));
  for (i = 0; i < groups->len; i++)
    fail_unless_equals_uint64 (g_array_index (groups, guint64, i), missing_groups[i]);
  expect (h, 0, 4000, "7 frames, p");
  expect (h, 4000, 4000, "7 frames, p");
  expect (h, 8000, 1500, "2 frames, p");
  gst_harness_teardown (h);
}
GST_END_TEST

/* A file that is played in a loop: each round has its windows, at its own stream times. */
GST_START_TEST (test_loop)
{
  GstHarness *h = chain ("frame-rate=2/1", "");
  GstSegment segment;
  guint round;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (round = 0; round < 3; round++) {
    segment.base = round * 5 * GST_SECOND;
    segment.stop = 5 * GST_SECOND;
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    push_tenths (h, 0, 5000);
    gst_harness_push_event (h, gst_event_new_segment_done (GST_FORMAT_TIME, 5 * GST_SECOND));
    expect (h, 0, 4000, "8 frames, p");
    expect (h, 4000, 1000, "2 frames, p");
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* A demuxer that finds behind the first frame that the stream began somewhat earlier: windows go on, with what frames carry. */
GST_START_TEST (test_corrected_segment)
{
  GstHarness *h = file_harness ("terncaption prompt=p", "sink", "src");
  GstHarness *text = gst_harness_new_with_element (h->element, NULL, "text_src");
  GstSegment segment;
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (23);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tenths (h, 23, 23 + 100 * __i__);
  segment.start = 0;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tenths (h, 23 + 100 * __i__, 5023);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (text, 23, 4000, "8 frames, p");
  expect (text, 4023, 1000, "2 frames, p");
  for (i = 0; i < 50; i++)
    fail_unless_equals_uint64 (pulled_id (h), i < 40 ? 0 : 1);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A seek: what was open is forgotten, windows begin at the first frame after it. */
GST_START_TEST (test_seek)
{
  GstHarness *h = chain ("frame-rate=2/1", "");
  GstSegment segment;
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 3000);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = segment.position = MS (60300);
  segment.rate = __i__ ? 2.0 : 1.0;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tenths (h, 60000, 65300);        /* from the key frame on */
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (h, 60300, 4000, "8 frames, p");
  expect (h, 64300, 1000, "2 frames, p");
  buffer = gst_harness_try_pull (h);
  fail_unless (buffer == NULL);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A source that dies and returns, as another stream with other pictures and times: it goes on, and results are counted on. */
GST_START_TEST (test_return)
{
  GstHarness *h = chain ("frame-rate=2/1", "");
  g_autoptr (GstCaps) other = gst_caps_from_string ("video/x-raw, format = GRAY8, width = 32, height = 24, framerate = 5/1");
  GstSegment segment;
  guint64 ids[2];
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  push_tenths (h, 0, 1000);
  if (__i__ == 0) {
    gst_harness_push_event (h, gst_event_new_eos ());
  } else if (__i__ == 1) {
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  }
  gst_harness_push_event (h, gst_event_new_stream_start ("again"));
  fail_unless (gst_pad_push_event (h->srcpad, gst_event_new_caps (other)));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push_tenths (h, 300, 2300);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (i = __i__ == 1; i < 2; i++) {
    GstBuffer *buffer = gst_harness_pull (h);

    fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), i ? MS (300) : 0);
    gst_structure_get_uint64 (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernResultMeta")), "id",
        &ids[i]);
    gst_buffer_unref (buffer);
  }
  if (__i__ != 1)
    fail_unless_equals_uint64 (ids[1], ids[0] + 1);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("windows");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_rates, 0, 2 * G_N_ELEMENTS (clips));
  tcase_add_loop_test (tc, test_pause_before_last, 0, 4);
  tcase_add_test (tc, test_live_latency);
  tcase_add_test (tc, test_rounded_latency);
  tcase_add_test (tc, test_backwards);
  tcase_add_loop_test (tc, test_end, 0, N_STATES);
  tcase_add_loop_test (tc, test_trigger, 0, 3);
  tcase_add_loop_test (tc, test_trigger_again, 0, 2);
  tcase_add_test (tc, test_trigger_tokens);
  tcase_add_loop_test (tc, test_trigger_in_bin, 0, 3);
  tcase_add_test (tc, test_gap);
  tcase_add_loop_test (tc, test_size, 0, 2 * G_N_ELEMENTS (shapes));
  tcase_add_test (tc, test_missing);
  tcase_add_test (tc, test_loop);
  tcase_add_loop_test (tc, test_corrected_segment, 0, 3);
  tcase_add_loop_test (tc, test_seek, 0, 2);
  tcase_add_loop_test (tc, test_return, 0, 3);
  return run_suite (suite);
}
