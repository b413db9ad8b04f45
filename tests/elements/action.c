/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* States in, chunks of actions out. The fake action model has three numbers of state, and chunks of 8 steps of 2 numbers at 10
 * a second: number d of step s is s + d / 10 + the state's first number. */
#include "harness.h"

#include <glib/gstdio.h>
#include <gst/check/gsttestclock.h>
#include <math.h>
#include <string.h>

#define STEPS 8
#define STATE_CAPS "tensor/strided, tensor-id = (string) state, type = (string) float32, dims = (int) < 3 >"

static char *action_path;

typedef struct
{
  GstHarness *h, *state, *action, *json;
  GstBus *bus;
} Robot;

/* @live: as GstHarness is, on its test clock. */
static Robot
start (gboolean live, const char *properties)
{
  g_autofree char *launch = g_strdup_printf ("terngenerator action-path=\"%s\" prompt=go window=2000000000 %s", action_path,
      properties);
  g_autofree char *caps = token_caps (mmproj_path);
  GstElement *element = gst_parse_launch (launch, NULL);
  Robot r;

  r.h = live ? gst_harness_new_with_element (element, "sink", "src") : file_harness (launch, "sink", "src");
  gst_object_unref (element);
  r.bus = watch (r.h->element);
  r.state = gst_harness_new_with_element (r.h->element, "state_sink", NULL);
  r.action = gst_harness_new_with_element (r.h->element, NULL, "action_src");
  r.json = gst_harness_new_with_element (r.h->element, NULL, "json_src");
  gst_harness_set_src_caps_str (r.state, STATE_CAPS);
  gst_harness_set_src_caps_str (r.h, caps);
  return r;
}

static void
stop (Robot *r)
{
  gst_harness_teardown (r->state);
  gst_harness_teardown (r->action);
  gst_harness_teardown (r->json);
  gst_harness_teardown (r->h);
  gst_object_unref (r->bus);
}

/* Each harness has brought a clock. */
static void
set_time (Robot *r, GstClockTime time)
{
  gst_harness_set_time (r->h, time);
  gst_harness_set_time (r->state, time);
  gst_harness_set_time (r->action, time);
  gst_harness_set_time (r->json, time);
}

static GstFlowReturn
push_state (Robot *r, GstClockTime pts, float value)
{
  float values[3] = { value, 0, 0 };
  GstBuffer *buffer = gst_buffer_new_memdup (values, sizeof values);

  GST_BUFFER_PTS (buffer) = pts;
  return gst_harness_push (r->state, buffer);
}

/* The next chunk: where it lies, what has passed of it, and its first and last step's first numbers. */
static void
expect_chunk (Robot *r, GstClockTime pts, guint64 number, guint frozen, float begin, float end)
{
  GstBuffer *buffer = gst_harness_pull (r->action);
  float values[STEPS][2];

  fail_unless (buffer != NULL, "no chunk");
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), pts);
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), MS (800));
  fail_unless_equals_uint64 (GST_BUFFER_OFFSET (buffer), number);
  fail_unless_equals_uint64 (GST_BUFFER_OFFSET_END (buffer), number + frozen);
  fail_unless_equals_int (gst_buffer_extract (buffer, 0, values, sizeof values), sizeof values);
  fail_unless_equals_int (gst_buffer_get_size (buffer), sizeof values);
  fail_unless (fabsf (values[0][0] - begin) < 1e-4f && fabsf (values[STEPS - 1][0] - end) < 1e-4f, "%g ... %g",
      values[0][0], values[STEPS - 1][0]);
  fail_unless (fabsf (values[3][1] - values[3][0] - .1f) < 1e-4f);
  fail_unless_equals_string (result_string (buffer, "kind"), "action");
  gst_buffer_unref (buffer);
}

static guint64
count_of (Robot *r, const char *field)
{
  GstStructure *stats;
  guint64 n = G_MAXUINT64;

  g_object_get (r->h->element, "stats", &stats, NULL);
  gst_structure_get_uint64 (stats, field, &n);
  gst_structure_free (stats);
  return n;
}

/* A sink behind each pad, and one of them waits for its preroll. */
GST_START_TEST (test_preroll)
{
  Robot r = start (FALSE, "");
  g_autofree char *events = NULL;

  gst_harness_push_event (r.h, gst_event_new_gap (0, 0));
  events = events_until (r.action, GST_EVENT_GAP);
  fail_unless_equals_string (events, "stream-start caps segment gap 0+0 ");
  stop (&r);
}
GST_END_TEST

/* Of a file every frame has a decision, by the newest state that is not later, and what leaves is what was decided. */
GST_START_TEST (test_file)
{
  Robot r = start (FALSE, "");
  g_autoptr (GstCaps) caps = NULL;
  g_autofree char *string = NULL;
  const GstSegment *segment;
  GstEvent *event;
  guint i;

  for (i = 0; i <= 20; i++)
    fail_unless_equals_int (push_state (&r, MS (90 * i), 100 * i), GST_FLOW_OK);
  push_tokens (r.h, 0, 4);
  for (i = 0; i < 4; i++)
    expect_chunk (&r, MS (500 * i), 5 * i, 0, 100 * (500 * i / 90), 100 * (500 * i / 90) + 7);
  caps = gst_pad_get_current_caps (r.action->sinkpad);
  string = gst_caps_to_string (caps);
  fail_unless_equals_string (string, "tensor/strided, tensor-id=(string)actions, type=(string)float32, "
      "dims-order=(string)row-major, rate=(fraction)10/1, action-space=(string)fake, dims=(int)< 8, 2 >");
  event = gst_pad_get_sticky_event (r.action->sinkpad, GST_EVENT_SEGMENT, 0);
  gst_event_parse_segment (event, &segment);
  fail_unless_equals_int (segment->format, GST_FORMAT_TIME);
  gst_event_unref (event);
  fail_unless_equals_uint64 (count_of (&r, "chunks"), 4);
  fail_unless_equals_uint64 (count_of (&r, "late-chunks"), 0);

  /* The end comes to all pads, and no window is answered besides; a machine's steps are no text. */
  fail_unless (gst_harness_push_event (r.h, gst_event_new_eos ()));
  g_free (events_until (r.action, GST_EVENT_EOS));
  for (i = 0; i < 4; i++)
    gst_buffer_unref (pull_result (r.json));
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.json), 0);
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.h), 0);
  stop (&r);
}
GST_END_TEST

/* A picture of two frames is decided about when the second one has come: its time is that of the chunk, and its state. */
GST_START_TEST (test_file_pairs)
{
  Robot r = start (FALSE, "");
  guint i;

  for (i = 0; i <= 20; i++)
    fail_unless_equals_int (push_state (&r, MS (100 * i), 100 * i), GST_FLOW_OK);
  for (i = 0; i < 3; i++) {
    GstBuffer *buffer = make_tokens (i);

    gst_structure_set (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta")), "after",
        G_TYPE_UINT64, MS (200), NULL);
    fail_unless_equals_int (gst_harness_push (r.h, buffer), GST_FLOW_OK);
    expect_chunk (&r, MS (500 * i + 200), 5 * i, 0, 500 * i + 200, 500 * i + 207);
  }
  stop (&r);
}
GST_END_TEST

static gpointer
push_one (gpointer h)
{
  return GINT_TO_POINTER (gst_harness_push (h, make_tokens (0)));
}

static gpointer
push_second (gpointer h)
{
  return GINT_TO_POINTER (gst_harness_push (h, make_tokens (1)));
}

/* A frame of a file waits for the states of its time, however they come to be known: one that is later, a gap, the end. */
GST_START_TEST (test_file_waits)
{
  guint how;

  for (how = 0; how < 4; how++) {
    Robot r = start (FALSE, "state-max-age=0");
    GThread *thread;

    push_state (&r, 0, 3);
    gst_harness_push_event (r.h, gst_event_new_gap (0, 0));
    thread = g_thread_new ("frame", push_second, r.h);
    if (how == 0)
      push_state (&r, MS (510), 4);
    else if (how == 1)
      gst_harness_push_event (r.state, gst_event_new_gap (0, MS (510)));
    else if (how == 2)
      gst_harness_push_event (r.state, gst_event_new_eos ());
    else
      gst_harness_push_event (r.h, gst_event_new_flush_start ());
    fail_unless_equals_int (GPOINTER_TO_INT (g_thread_join (thread)), how < 3 ? GST_FLOW_OK : GST_FLOW_FLUSHING);
    if (how < 3)
      expect_chunk (&r, MS (500), 0, 0, 3, 10);
    stop (&r);
  }
}
GST_END_TEST

/* As many states as a robot that is read in one go has; those that no frame needs make room. */
GST_START_TEST (test_many_states)
{
  Robot r = start (FALSE, "");
  GThread *thread;
  guint i;

  thread = g_thread_new ("frame", push_one, r.h);
  for (i = 0; i < 1000; i++)
    push_state (&r, MS (i), i);
  g_thread_join (thread);
  expect_chunk (&r, 0, 0, 0, 0, 7);
  push_tokens (r.h, 1, 2);
  expect_chunk (&r, MS (500), 5, 0, 500, 507);
  for (i = 1000; i < 1400; i++)
    push_state (&r, MS (i), i);
  push_tokens (r.h, 2, 3);
  expect_chunk (&r, MS (1000), 10, 0, 1000, 1007);
  stop (&r);
}
GST_END_TEST

static gpointer
push_one_more (gpointer robot)
{
  return GINT_TO_POINTER (push_state (robot, MS (1024), 1024));
}

/* States that nobody takes hold their source up, not memory: the next one waits, until a frame takes some, or all stops. */
GST_START_TEST (test_stop_while_waiting)
{
  guint how, i;

  for (how = 0; how < 2; how++) {
    Robot r = start (FALSE, "");
    GThread *thread;

    for (i = 0; i < 1024; i++)
      fail_unless_equals_int (push_state (&r, MS (i), i), GST_FLOW_OK);
    thread = g_thread_new ("states", push_one_more, &r);
    if (how == 0)
      gst_element_set_state (r.h->element, GST_STATE_NULL);
    else
      push_tokens (r.h, 1, 2);
    g_thread_join (thread);
    stop (&r);
  }
}
GST_END_TEST

/* No state, or one that is too old: a result that says so, and no chunk. */
GST_START_TEST (test_no_state)
{
  Robot r = start (FALSE, "state-max-age=100000000");
  GstBuffer *buffer;
  guint i;

  push_state (&r, MS (100), 1);
  push_state (&r, MS (900), 2);
  push_state (&r, MS (5000), 3);
  push_tokens (r.h, 0, 3);
  for (i = 0; i < 3; i++) {
    buffer = pull_result (r.json);
    fail_unless_equals_string (result_string (buffer, "kind"), i < 2 ? "error" : "action");
    gst_buffer_unref (buffer);
  }
  expect_chunk (&r, MS (1000), 0, 0, 2, 9);
  fail_unless_equals_uint64 (count_of (&r, "undecided"), 2);
  fail_unless_equals_int (count_messages (r.bus, GST_MESSAGE_WARNING), 1);
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.action), 0);
  stop (&r);
}
GST_END_TEST

/* The engine is held while time goes on: steps that have passed are what the chunk before said. */
GST_START_TEST (test_live_frozen)
{
  Robot r = start (TRUE, "action-overlap=1");
  guint begun = fake_begun ();

  push_state (&r, 0, 0);
  push_tokens (r.h, 0, 1);
  expect_chunk (&r, 0, 0, 0, 0, 7);
  push_state (&r, MS (450), 100);
  fake_hold (TRUE);
  set_time (&r, MS (500));
  push_tokens (r.h, 1, 2);
  fake_wait_begun (begun + 2);
  set_time (&r, MS (620));
  fake_hold (FALSE);
  /* Steps 5 and 6 (0.5 and 0.6 s) were done by the first chunk, step 7 goes over from its 7 to 102. */
  expect_chunk (&r, MS (500), 5, 2, 5, 107);
  stop (&r);
}
GST_END_TEST

/* After its deadline: never sent, counted, said; the one after it is. */
GST_START_TEST (test_live_late)
{
  Robot r = start (TRUE, "deadline=200000000");
  guint begun = fake_begun ();
  GstMessage *message;
  guint64 processed, dropped;
  GstFormat format;
  GstBuffer *buffer;

  push_state (&r, 0, 0);
  fake_hold (TRUE);
  push_tokens (r.h, 0, 1);
  fake_wait_begun (begun + 1);
  set_time (&r, MS (200) + 1);
  fake_hold (FALSE);
  buffer = pull_result (r.json);
  fail_unless_equals_string (result_string (buffer, "kind"), "action");
  gst_buffer_unref (buffer);
  message = wait_message (r.bus, GST_MESSAGE_QOS);
  gst_message_parse_qos_stats (message, &format, &processed, &dropped);
  fail_unless (processed == 0 && dropped == 1);
  gst_message_unref (message);
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.action), 0);
  fail_unless_equals_uint64 (count_of (&r, "late-chunks"), 1);

  set_time (&r, MS (500));
  push_state (&r, MS (500), 100);
  push_tokens (r.h, 1, 2);
  expect_chunk (&r, MS (500), 0, 2, 100, 107);
  fail_unless_equals_uint64 (count_of (&r, "chunks"), 1);
  stop (&r);
}
GST_END_TEST

/* Frames that come while a decision is made: the next one is about the newest of them. */
GST_START_TEST (test_live_newest)
{
  Robot r = start (TRUE, "");
  guint begun = fake_begun ();

  push_state (&r, 0, 0);
  push_state (&r, MS (1000), 50);
  fake_hold (TRUE);
  push_tokens (r.h, 0, 1);
  fake_wait_begun (begun + 1);
  push_tokens (r.h, 1, 3);
  fake_hold (FALSE);
  expect_chunk (&r, 0, 0, 0, 0, 7);
  expect_chunk (&r, MS (1000), 10, 0, 50, 57);
  fail_unless_equals_int (fake_begun () - begun, 2);
  stop (&r);
}
GST_END_TEST

/* What was decided before a flush is nothing for who comes after it. */
GST_START_TEST (test_flush)
{
  Robot r = start (TRUE, "");
  guint begun = fake_begun ();
  GstSegment segment;

  push_state (&r, 0, 0);
  push_tokens (r.h, 0, 1);
  expect_chunk (&r, 0, 0, 0, 0, 7);
  fake_hold (TRUE);
  push_tokens (r.h, 1, 2);
  fake_wait_begun (begun + 2);
  fail_unless (gst_harness_push_event (r.h, gst_event_new_flush_start ()));
  fail_unless (gst_harness_push_event (r.h, gst_event_new_flush_stop (TRUE)));
  fake_hold (FALSE);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (r.h, gst_event_new_segment (&segment));
  push_state (&r, MS (1000), 20);
  push_tokens (r.h, 2, 3);
  expect_chunk (&r, MS (1000), 0, 0, 20, 27);
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.action), 0);
  stop (&r);
}
GST_END_TEST

/* States that would steer a machine nowhere: said once in a row, and the one before holds. */
GST_START_TEST (test_bad_states)
{
  Robot r = start (TRUE, "state-max-age=0");
  GstBuffer *buffer;
  guint i;

  push_state (&r, 0, 5);
  for (i = 0; i < 3; i++)
    fail_unless_equals_int (push_state (&r, MS (10 + i), i == 0 ? NAN : INFINITY), GST_FLOW_OK);
  fail_unless_equals_int (count_messages (r.bus, GST_MESSAGE_WARNING), 1);
  push_state (&r, MS (20), 6);
  buffer = gst_buffer_new_memdup ("four", 4);
  GST_BUFFER_PTS (buffer) = MS (30);
  gst_harness_push (r.state, buffer);
  fail_unless_equals_int (count_messages (r.bus, GST_MESSAGE_WARNING), 1);
  push_state (&r, MS (31), 6);
  push_state (&r, GST_CLOCK_TIME_NONE, 7);
  fail_unless_equals_int (count_messages (r.bus, GST_MESSAGE_WARNING), 1);
  push_tokens (r.h, 1, 2);
  expect_chunk (&r, MS (500), 0, 0, 6, 13);
  stop (&r);
}
GST_END_TEST

static void
expect_ready_error (const char *path, const char *properties, GQuark domain, gint code)
{
  g_autofree char *launch = g_strdup_printf ("terngenerator action-path=\"%s\" %s", path, properties);
  GstElement *element = gst_parse_launch (launch, NULL);
  GstBus *bus = watch (element);

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, domain, code);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (element);
  gst_object_unref (bus);
}

GST_START_TEST (test_misuse)
{
  g_autofree char *caps G_GNUC_UNUSED = token_caps (mmproj_path);
  GstHarness *h, *state;
  guint64 deadline;
  GstBus *bus;
  Robot r;

  expect_ready_error ("/no/such/file.gguf", "", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND);
  expect_ready_error ("/dev/null", "", GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE);
  expect_ready_error (action_path, "labels=\"<yes,no>\"", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  expect_ready_error (action_path, "prompts=\"<one,two>\"", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  expect_ready_error (action_path, "deadline=800000000", GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);

  /* While playing what is in force stays. */
  r = start (FALSE, "deadline=700000000");
  g_object_set (r.h->element, "deadline", (guint64) 900000000, NULL);
  fail_unless_equals_int (count_messages (r.bus, GST_MESSAGE_WARNING), 1);
  g_object_get (r.h->element, "deadline", &deadline, NULL);
  fail_unless_equals_uint64 (deadline, 700000000);
  /* A pad may go, and come again. */
  gst_harness_teardown (r.action);
  push_state (&r, 0, 1);
  push_tokens (r.h, 0, 1);
  gst_buffer_unref (pull_result (r.json));
  r.action = gst_harness_new_with_element (r.h->element, NULL, "action_src");
  push_state (&r, MS (500), 2);
  push_tokens (r.h, 1, 2);
  expect_chunk (&r, MS (500), 5, 7, 6, 9);
  /* States of another machine. */
  gst_harness_set_src_caps_str (r.state, "tensor/strided, tensor-id = (string) state, type = (string) float32, "
      "dims = (int) < 4 >");
  expect_error (r.bus, GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION);
  stop (&r);

  /* States without an action model. */
  h = start_generator ("terngenerator");
  bus = watch (h->element);
  state = gst_harness_new_with_element (h->element, "state_sink", NULL);
  gst_harness_set_src_caps_str (state, STATE_CAPS);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  gst_harness_teardown (state);
  gst_harness_teardown (h);
  gst_object_unref (bus);
}
GST_END_TEST

/* Another action model from NULL on, and none. */
GST_START_TEST (test_again)
{
  Robot r = start (FALSE, "");
  g_autofree char *caps = token_caps (mmproj_path);
  guint i;

  for (i = 0; i < 2; i++) {
    push_state (&r, 0, 1);
    push_state (&r, MS (10), 2);
    push_tokens (r.h, 0, 1);
    expect_chunk (&r, 0, 0, 0, 1, 8);
    gst_element_set_state (r.h->element, GST_STATE_NULL);
    gst_harness_play (r.h);
    gst_harness_set_src_caps_str (r.state, STATE_CAPS);
    gst_harness_set_src_caps_str (r.h, caps);
  }
  gst_element_set_state (r.h->element, GST_STATE_NULL);
  g_object_set (r.h->element, "action-path", NULL, NULL);
  gst_harness_play (r.h);
  gst_harness_set_src_caps_str (r.h, caps);
  push_tokens (r.h, 0, 4);
  gst_buffer_unref (pull_result (r.h));
  fail_unless_equals_int (gst_harness_buffers_in_queue (r.action), 0);
  stop (&r);
}
GST_END_TEST

/* The bin has the pads of the element inside. */
GST_START_TEST (test_bin)
{
  g_autofree char *launch = g_strdup_printf ("terncaption action-path=\"%s\" method=none frame-rate=2/1 attach=newest "
      "window=2000000000", action_path);
  Robot r = { .h = file_harness (launch, "sink", "src") };
  guint i;

  r.bus = watch (r.h->element);
  r.state = gst_harness_new_with_element (r.h->element, "state_sink", NULL);
  r.action = gst_harness_new_with_element (r.h->element, NULL, "action_src");
  r.json = gst_harness_new_with_element (r.h->element, NULL, "json_src");
  gst_harness_set_src_caps_str (r.state, STATE_CAPS);
  gst_harness_set_src_caps_str (r.h, FRAME_CAPS);
  for (i = 0; i <= 20; i++)
    push_state (&r, MS (100 * i), i);
  for (i = 0; i < 11; i++)
    fail_unless_equals_int (gst_harness_push (r.h, make_frame (MS (100 * i), MS (100), 0)), GST_FLOW_OK);
  for (i = 0; i < 3; i++)
    expect_chunk (&r, MS (500 * i), 5 * i, 0, 5 * i, 5 * i + 7);
  fail_unless (gst_harness_push_event (r.h, gst_event_new_eos ()));
  g_free (events_until (r.action, GST_EVENT_EOS));
  fail_unless_equals_int (gst_harness_buffers_received (r.h), 11);
  stop (&r);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("action");
  TCase *tc = tcase_create ("general");
  g_autofree char *folder = g_dir_make_tmp ("tern-action-XXXXXX", NULL);
  int failed;

  action_path = g_build_filename (folder, "head.gguf", NULL);
  g_assert_true (g_file_set_contents (action_path, "GGUF dims=2 steps=8 rate=10/1 state=3 frames=1", -1, NULL));
  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_preroll);
  tcase_add_test (tc, test_file);
  tcase_add_test (tc, test_file_pairs);
  tcase_add_test (tc, test_file_waits);
  tcase_add_test (tc, test_many_states);
  tcase_add_test (tc, test_stop_while_waiting);
  tcase_add_test (tc, test_no_state);
  tcase_add_test (tc, test_live_frozen);
  tcase_add_test (tc, test_live_late);
  tcase_add_test (tc, test_live_newest);
  tcase_add_test (tc, test_flush);
  tcase_add_test (tc, test_bad_states);
  tcase_add_test (tc, test_misuse);
  tcase_add_test (tc, test_again);
  tcase_add_test (tc, test_bin);
  failed = run_suite (suite);
  g_unlink (action_path);
  g_rmdir (folder);
  g_free (action_path);
  return failed;
}
