/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ternattach beside another stream of the same source: what is told from how much waits in the queues of that. By a clock of the
 * tests. */
#include "attach-harness.h"

static GstPadProbeReturn
stay_closed (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_OK;
}

#define BESIDE(other) "tee name=d  d. ! " other " ! fakesink sync=false async=false  d. ! identity ! ternattach name=t attach=window"
#define MULTI(limits) "multiqueue name=q max-size-time=0 " limits " tee name=d  d. ! q.sink_0  q.src_0 ! fakesink sync=false " \
    "async=false  d. ! q.sink_1  q.src_1 ! ternattach name=t attach=window"

/* Nothing leaves the @pad of q, until three frames are in it. */
static const struct {
  const char *launch, *pad;     /* NULL: it does not stop */
  gboolean full;
} besides[] = {
  { BESIDE ("queue name=q max-size-buffers=3 max-size-time=0"), "src", TRUE },
  { BESIDE ("queue name=q max-size-buffers=0 max-size-time=0 max-size-bytes=2000"), "src", TRUE },
  { BESIDE ("queue name=q max-size-buffers=0 max-size-time=1400000000"), "src", TRUE },
  { MULTI ("max-size-bytes=2000"), "src_0", TRUE },
  /* Room for more. */
  { BESIDE ("queue name=q max-size-buffers=4 max-size-time=0"), "src", FALSE },
  { BESIDE ("queue name=q max-size-buffers=0 max-size-time=1600000000"), "src", FALSE },
  { BESIDE ("queue name=q max-size-buffers=3 max-size-time=0 leaky=downstream"), "src", FALSE },
  { BESIDE ("queue ! queue name=q max-size-buffers=3 max-size-time=0"), "src", FALSE },
  { MULTI ("max-size-buffers=2 max-size-bytes=4000"), "src_0", FALSE },
  { BESIDE ("queue name=q max-size-buffers=3 max-size-time=0"), NULL, FALSE },
};

typedef struct {
  GstTestClock *clock;
  GstHarness *h, *text;
  GstElement *attach;
  GstBus *bus;
} Beside;

static void
start (Beside *b, guint i)
{
  GstElement *bin;

  b->clock = stop_clock ();
  bin = gst_parse_bin_from_description (besides[i].launch, FALSE, NULL);
  fail_unless (bin != NULL);
  if (besides[i].pad) {
    g_autoptr (GstElement) queue = gst_bin_get_by_name (GST_BIN (bin), "q");
    g_autoptr (GstPad) pad = gst_element_get_static_pad (queue, besides[i].pad);

    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, stay_closed, NULL, NULL);
  }
  b->attach = gst_bin_get_by_name (GST_BIN (bin), "t");
  add_ghost (bin, "sink", "d", "sink");
  add_ghost (bin, "text_sink", "t", "text_sink");
  add_ghost (bin, "src", "t", "src");
  b->h = bin_harness (bin);
  b->text = text_side (b->h);
  b->bus = watch (b->h->element);
  g_atomic_int_set (&at_work, 0);
  gst_pad_set_query_function (b->text->srcpad, work_query);
  gst_harness_set_src_caps_str (b->h, FRAME_CAPS);
}

static void
stop (Beside *b)
{
  unwatch (b->bus);
  gst_object_unref (b->attach);
  gst_harness_teardown (b->text);
  gst_harness_teardown (b->h);
  let_clock_go (b->clock);
}

/* Pushes frames [from, end), and waits until they are where they stay. */
static void
fill (Beside *b, guint i, guint from, guint end, guint queued)
{
  g_autoptr (GstElement) queue = gst_bin_get_by_name (GST_BIN (b->h->element), "q");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (queue, besides[i].pad ? besides[i].pad : "src");
  gboolean multi = !g_str_equal (GST_PAD_NAME (pad), "src");
  guint waiting = 0, level = 0;

  push_frames (b->h, from, end);
  do {
    GstStructure *stats;

    g_thread_yield ();
    g_object_get (b->attach, "stats", &stats, NULL);
    gst_structure_get_uint (stats, "held-frames", &waiting);
    gst_structure_free (stats);
    g_object_get (multi ? (gpointer) pad : queue, "current-level-buffers", &level, NULL);
  } while (waiting != end - from || level != queued);
}

/* Text, which comes to nobody else, makes the element look at the clock. */
static void
pass (Beside *b, GstClockTime time)
{
  gst_test_clock_advance_time (b->clock, time);
  gst_harness_push_event (b->text, gst_event_new_stream_start ("text"));
}

/* When another stream of a file is full, no first window will be whole: frames do not wait any more. Else a file may take its
 * time, and frames wait again when it goes on. */
GST_START_TEST (test_full)
{
  Beside b;
  guint i;

  start (&b, __i__);
  fill (&b, __i__, 0, 3, besides[__i__].pad ? 3 : 0);
  if (!besides[__i__].full) {
    gint n = g_atomic_int_get (&asked);

    pass (&b, MS (4900));
    fail_unless_equals_int (gst_harness_buffers_in_queue (b.h), 0);
    fail_unless_equals_int (g_atomic_int_get (&asked), n);
    pass (&b, MS (100));
    fail_unless_equals_int64 (pull_frame (b.h, 0), -1);
    fail_unless_equals_int64 (pull_frame (b.h, 1), -1);
    expect_warning_of (b.bus, "queues beside the video");
    push_result (b.text, 1, 0, 2);
    fail_unless_equals_int64 (pull_frame (b.h, 2), 1);
  } else {
    pass (&b, MS (490));
    fail_unless_equals_int (gst_harness_buffers_in_queue (b.h), 0);
    pass (&b, MS (10));
    for (i = 0; i < 3; i++)
      fail_unless_equals_int64 (pull_frame (b.h, i), -1);
    expect_warning_of (b.bus, "newest result from now on");
  }
  fail_unless_equals_int (count_messages (b.bus, GST_MESSAGE_WARNING), 0);
  stop (&b);
}
GST_END_TEST

/* Nobody leaves early while somebody is at work. */
GST_START_TEST (test_full_and_at_work)
{
  gint n = g_atomic_int_get (&asked);
  Beside b;
  guint i;

  start (&b, 0);
  g_atomic_int_set (&at_work, 1);
  fill (&b, 0, 0, 3, 3);
  pass (&b, MS (500));
  wait_until_asked (n);
  fail_unless_equals_int (gst_harness_buffers_in_queue (b.h), 0);
  g_atomic_int_set (&at_work, 0);
  pass (&b, MS (500));
  for (i = 0; i < 3; i++)
    fail_unless_equals_int64 (pull_frame (b.h, i), -1);
  expect_warning_of (b.bus, "newest result from now on");
  stop (&b);
}
GST_END_TEST

static GstPadProbeReturn
drop (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  return GST_PAD_PROBE_DROP;
}

/* Frames that do not wait any more do again after a flush (0), and in another stream (1), whose first window is found out about as
 * the first one's was. */
GST_START_TEST (test_full_once)
{
  GstSegment segment;
  Beside b;
  guint i;

  start (&b, 0);
  fill (&b, 0, 0, 3, 3);
  pass (&b, MS (500));
  for (i = 0; i < 3; i++)
    fail_unless_equals_int64 (pull_frame (b.h, i), -1);
  {
    g_autoptr (GstElement) queue = gst_bin_get_by_name (GST_BIN (b.h->element), "q");
    g_autoptr (GstPad) pad = gst_element_get_static_pad (queue, "sink");

    /* What is beside it has room for ever. */
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, drop, NULL, NULL);
  }
  push_result (b.text, 1, 0, 2);
  push_frames (b.h, 3, 5);
  fail_unless_equals_int64 (pull_frame (b.h, 3), 1);
  fail_unless_equals_int64 (pull_frame (b.h, 4), 1);

  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (__i__ == 0) {
    gst_harness_push_event (b.h, gst_event_new_flush_start ());
    gst_harness_push_event (b.h, gst_event_new_flush_stop (TRUE));
    gst_harness_push_event (b.text, gst_event_new_flush_start ());
    gst_harness_push_event (b.text, gst_event_new_flush_stop (TRUE));
  } else {
    gst_harness_push_event (b.h, gst_event_new_stream_start ("two"));
  }
  gst_harness_push_event (b.h, gst_event_new_segment (&segment));
  gst_harness_push_event (b.text, gst_event_new_segment (&segment));
  fill (&b, 0, 0, 3, __i__ == 0 ? 0 : 3);
  fail_unless_equals_int (gst_harness_buffers_in_queue (b.h), 0);
  if (__i__ == 1) {
    pass (&b, MS (500));
    for (i = 0; i < 3; i++)
      pull_frame (b.h, i);
  } else {
    push_result (b.text, 2, 0, 2);
    for (i = 0; i < 3; i++)
      fail_unless_equals_int64 (pull_frame (b.h, i), 2);
  }
  stop (&b);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ternattach beside other streams");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_full, 0, G_N_ELEMENTS (besides));
  tcase_add_test (tc, test_full_and_at_work);
  tcase_add_loop_test (tc, test_full_once, 0, 2);
  return run_suite (suite);
}
