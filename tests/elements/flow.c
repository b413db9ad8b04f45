/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What elements with a thread of their own do when downstream takes no more: the flow goes back, the end goes on, and who
 * has to say what is wrong says it, once. */
#include "harness.h"

/* ---- The elements ---- */

typedef enum { ENCODER, GENERATOR, ATTACH, N_ELEMENTS } Kind;

typedef struct {
  Kind kind;
  GstHarness *h, *text, *json;
  GstPad *src;
  GstBus *bus;
  Gate gate;
  guint64 n;                    /* buffers that came */
} Fixture;

static GstFlowReturn
push_one (Fixture *f)
{
  GstBuffer *buffer = f->kind == GENERATOR ? make_tokens (f->n) : make_frame (MS (500 * f->n), MS (500), 0);

  f->n++;
  return gst_harness_push (f->h, buffer);
}

/* Up to where the first buffer leaves, and waits. */
static void
start (Fixture *f, Kind kind, GstFlowReturn flow)
{
  static const char *const launch[] = { "ternencoder frame-rate=0/1", "terngenerator", "ternattach attach=window" };
  guint i;

  *f = (Fixture) { .kind = kind };
  gate_init (&f->gate, flow);
  f->h = kind == GENERATOR ? start_generator (launch[kind]) : file_harness (launch[kind], "sink", "src");
  f->bus = watch (f->h->element);
  f->src = gst_element_get_static_pad (f->h->element, "src");
  gst_pad_add_probe (f->src, GST_PAD_PROBE_TYPE_BUFFER, wait_at_gate, &f->gate, NULL);
  if (kind == ATTACH) {
    f->text = gst_harness_new_with_element (f->h->element, "text_sink", NULL);
    gst_harness_set_src_caps_str (f->text, "text/x-raw, format = utf8");
  }
  if (kind == GENERATOR) {
    g_autoptr (GstPad) pad = NULL;

    f->json = gst_harness_new_with_element (f->h->element, NULL, "json_src");
    pad = gst_element_get_static_pad (f->h->element, "json_src");
    gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, wait_at_gate, &f->gate, NULL);
  } else {
    gst_harness_set_src_caps_str (f->h, FRAME_CAPS);
  }
  for (i = 0; i < (kind == GENERATOR ? 8 : 1); i++)
    fail_unless_equals_int (push_one (f), GST_FLOW_OK);
  if (kind == ATTACH)
    gst_harness_push_event (f->text, gst_event_new_eos ());
  wait_for_arrival (&f->gate);
}

static void
wait_for_pause (Fixture *f)
{
  while (gst_pad_get_task_state (f->src) != GST_TASK_PAUSED)
    g_thread_yield ();
}

/* Stops it: what is to be said is said then. */
static guint
count_errors (Fixture *f)
{
  gst_element_set_state (f->h->element, GST_STATE_NULL);
  return count_messages (f->bus, GST_MESSAGE_ERROR);
}

static void
end (Fixture *f)
{
  unwatch (f->bus);
  gst_object_unref (f->src);
  if (f->text)
    gst_harness_teardown (f->text);
  if (f->json)
    gst_harness_teardown (f->json);
  gst_harness_teardown (f->h);
  gate_clear (&f->gate);
}

static gboolean
hears (GstHarness *h, GstEventType type)
{
  gboolean found = FALSE;
  GstEvent *event;

  while (!found && (event = gst_harness_try_pull_event (h))) {
    found = GST_EVENT_TYPE (event) == type;
    gst_event_unref (event);
  }
  return found;
}

/* ---- Tests ---- */

static const struct {
  GstFlowReturn flow;
  guint errors[N_ELEMENTS];
} cases[] = {
  { GST_FLOW_EOS, { 0, 0, 0 } },
  { GST_FLOW_NOT_LINKED, { 1, 0, 0 } },         /* results go to the bus, and video may be wanted for its text alone */
  { GST_FLOW_NOT_NEGOTIATED, { 1, 1, 1 } },
  { GST_FLOW_ERROR, { 0, 0, 0 } },              /* of who returned it */
};

/* After the end upstream is not told any more. */
GST_START_TEST (test_after_eos)
{
  guint c = __i__ / N_ELEMENTS, kind = __i__ % N_ELEMENTS;
  Fixture f;

  start (&f, kind, cases[c].flow);
  fail_unless (gst_harness_push_event (f.h, gst_event_new_eos ()));
  fail_if (hears (f.h, GST_EVENT_EOS));
  open_gate (&f.gate);
  if (kind == GENERATOR && cases[c].flow == GST_FLOW_NOT_LINKED) {
    while (!hears (f.h, GST_EVENT_EOS))
      g_thread_yield ();
  } else {
    wait_for_pause (&f);
    fail_unless_equals_int (hears (f.h, GST_EVENT_EOS), cases[c].flow == GST_FLOW_EOS);
  }
  fail_unless_equals_int (count_errors (&f), cases[c].errors[kind]);
  end (&f);
}
GST_END_TEST

/* Before the end it is, and tells; the end goes on although nothing else does. */
GST_START_TEST (test_before_eos)
{
  guint c = __i__ / N_ELEMENTS, kind = __i__ % N_ELEMENTS;
  GstFlowReturn flow = cases[c].flow;
  Fixture f;

  if (kind == GENERATOR && flow == GST_FLOW_NOT_LINKED)
    return;
  start (&f, kind, flow);
  open_gate (&f.gate);
  wait_for_pause (&f);
  fail_unless_equals_int (push_one (&f), flow);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  fail_unless_equals_int (hears (f.h, GST_EVENT_EOS), flow == GST_FLOW_EOS);
  fail_unless_equals_int (count_errors (&f), 0);
  end (&f);
}
GST_END_TEST

static GstPadProbeReturn
open_by_flush (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  open_gate (data);
  return GST_PAD_PROBE_REMOVE;
}

/* What is true of the stream after a flush as well is said after it, if it waited; the segment and the end are not. */
GST_START_TEST (test_flush)
{
  GstTagList *tags = gst_tag_list_new (GST_TAG_TITLE, "a", NULL);
  GstSegment segment;
  Fixture f;

  start (&f, __i__, GST_FLOW_FLUSHING);
  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_GLOBAL);
  gst_harness_push_event (f.h, gst_event_new_tag (tags));
  gst_harness_push_event (f.h, gst_event_new_eos ());
  gst_pad_add_probe (f.src, GST_PAD_PROBE_TYPE_EVENT_FLUSH, open_by_flush, &f.gate, NULL);
  fail_unless (gst_harness_push_event (f.h, gst_event_new_flush_start ()));
  fail_unless_equals_int (push_one (&f), GST_FLOW_FLUSHING);
  fail_unless (gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (f.h, gst_event_new_segment (&segment)));
  fail_unless (hears (f.h, GST_EVENT_FLUSH_STOP));
  while (!hears (f.h, GST_EVENT_TAG))
    g_thread_yield ();
  fail_unless_equals_int (count_errors (&f), 0);
  fail_if (hears (f.h, GST_EVENT_EOS));
  end (&f);
}
GST_END_TEST

static gboolean
refuse_group_done (GstPad *pad, GstObject *parent, GstEvent *event)
{
  gboolean refused = GST_EVENT_TYPE (event) == GST_EVENT_STREAM_GROUP_DONE;

  gst_event_unref (event);
  return !refused;
}

/* textoverlay hands events of text to its video pad, which takes none once the video has ended. */
GST_START_TEST (test_group_done)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");

  gst_pad_set_event_function (h->sinkpad, refuse_group_done);
  push_tokens (h, 0, 3);
  fail_unless (gst_harness_push_event (h, gst_event_new_stream_group_done (7)));
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  g_free (pull_text (h, 0, MS (1500)));
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("flow");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_after_eos, 0, G_N_ELEMENTS (cases) * N_ELEMENTS);
  tcase_add_loop_test (tc, test_before_eos, 0, G_N_ELEMENTS (cases) * N_ELEMENTS);
  tcase_add_loop_test (tc, test_flush, 0, N_ELEMENTS);
  tcase_add_test (tc, test_group_done);
  return run_suite (suite);
}
