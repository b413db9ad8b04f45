/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers of terncaption's text that are slow, or come late. */
#include "harness.h"

/* A pad that text or JSON goes to. It says what came ("S", "T" for each text, "E"), and waits at the end while it is closed. */
typedef struct {
  GstHarness *h;
  GstPad *from, *pad;
  GMutex lock;
  GCond cond;
  GString *came;
  gboolean closed;
} Reader;

static void
note (Reader *reader, char what)
{
  g_mutex_lock (&reader->lock);
  g_string_append_c (reader->came, what);
  g_cond_broadcast (&reader->cond);
  while (what == 'E' && reader->closed)
    g_cond_wait (&reader->cond, &reader->lock);
  g_mutex_unlock (&reader->lock);
}

static GstFlowReturn
read_text (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  note (g_object_get_data (G_OBJECT (pad), "reader"), 'T');
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
read_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Reader *reader = g_object_get_data (G_OBJECT (pad), "reader");

  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START)
    note (reader, 'S');
  else if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    note (reader, 'E');
  gst_event_unref (event);
  return TRUE;
}

static void
link_reader (Reader *reader)
{
  fail_unless_equals_int (gst_pad_link (reader->from, reader->pad), GST_PAD_LINK_OK);
}

static void
start (Reader *reader, const char *name)
{
  *reader = (Reader) { .h = file_harness ("terncaption attach=newest window=2000000000", "sink", "src") };
  g_mutex_init (&reader->lock);
  g_cond_init (&reader->cond);
  reader->came = g_string_new (NULL);
  reader->from = gst_element_request_pad_simple (reader->h->element, name);
  reader->pad = gst_pad_new ("reader", GST_PAD_SINK);
  g_object_set_data (G_OBJECT (reader->pad), "reader", reader);
  gst_pad_set_chain_function (reader->pad, read_text);
  gst_pad_set_event_function (reader->pad, read_event);
  gst_pad_set_active (reader->pad, TRUE);
  gst_harness_set_drop_buffers (reader->h, TRUE);
}

static void
stop (Reader *reader)
{
  gst_pad_set_active (reader->pad, FALSE);
  gst_element_release_request_pad (reader->h->element, reader->from);
  gst_object_unref (reader->from);
  gst_harness_teardown (reader->h);
  gst_object_unref (reader->pad);
  g_string_free (reader->came, TRUE);
  g_mutex_clear (&reader->lock);
  g_cond_clear (&reader->cond);
}

/* Two windows, and the end. */
static void
push_stream (Reader *reader)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (FRAME_CAPS);
  static guint streams;
  g_autofree char *id = g_strdup_printf ("stream-%u", streams++);
  GstSegment segment;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  fail_unless (gst_harness_push_event (reader->h, gst_event_new_stream_start (id)));
  fail_unless (gst_harness_push_event (reader->h, gst_event_new_caps (caps)));
  fail_unless (gst_harness_push_event (reader->h, gst_event_new_segment (&segment)));
  for (i = 0; i < 8; i++)
    fail_unless_equals_int (gst_harness_push (reader->h, make_frame (MS (500 * i), MS (500), 0)), GST_FLOW_OK);
  fail_unless (gst_harness_push_event (reader->h, gst_event_new_eos ()));
}

static void
wait_for (Reader *reader, const char *came)
{
  g_mutex_lock (&reader->lock);
  while (reader->came->len < strlen (came))
    g_cond_wait (&reader->cond, &reader->lock);
  fail_unless_equals_string (reader->came->str, came);
  g_mutex_unlock (&reader->lock);
}

static void
set_closed (Reader *reader, gboolean closed)
{
  g_mutex_lock (&reader->lock);
  reader->closed = closed;
  g_cond_broadcast (&reader->cond);
  g_mutex_unlock (&reader->lock);
}

static const char *const names[] = { "text_src", "json_src" };

/* Streams that begin while a reader is busy with the end of the one before come to it as well. */
GST_START_TEST (test_end_is_slow)
{
  Reader reader;

  start (&reader, names[__i__]);
  link_reader (&reader);
  set_closed (&reader, TRUE);
  push_stream (&reader);
  wait_for (&reader, "STTE");
  push_stream (&reader);
  push_stream (&reader);
  set_closed (&reader, FALSE);
  wait_for (&reader, "STTESTTESTTE");
  stop (&reader);
}
GST_END_TEST

/* A pad that led nowhere for a stream has the next one. */
GST_START_TEST (test_linked_late)
{
  Reader reader;

  start (&reader, names[__i__]);
  push_stream (&reader);
  link_reader (&reader);
  push_stream (&reader);
  g_mutex_lock (&reader.lock);
  while (!g_str_has_suffix (reader.came->str, "STTE"))
    g_cond_wait (&reader.cond, &reader.lock);
  g_mutex_unlock (&reader.lock);
  stop (&reader);
}
GST_END_TEST

static gpointer
push_streams (gpointer reader)
{
  push_stream (reader);
  push_stream (reader);
  return NULL;
}

static gpointer
set_null (gpointer element)
{
  return GINT_TO_POINTER (gst_element_set_state (element, GST_STATE_NULL));
}

/* A stop comes upon a reader that is busy, and does not wait for what is behind. */
GST_START_TEST (test_stop)
{
  GThread *thread;
  Reader reader;

  start (&reader, names[__i__]);
  link_reader (&reader);
  set_closed (&reader, TRUE);
  thread = g_thread_new ("streams", push_streams, &reader);
  wait_for (&reader, "STTE");
  g_thread_join (thread);
  thread = g_thread_new ("stop", set_null, reader.h->element);
  set_closed (&reader, FALSE);
  fail_unless_equals_int (GPOINTER_TO_INT (g_thread_join (thread)), GST_STATE_CHANGE_SUCCESS);
  stop (&reader);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("text queue");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_end_is_slow, 0, G_N_ELEMENTS (names));
  tcase_add_loop_test (tc, test_linked_late, 0, G_N_ELEMENTS (names));
  tcase_add_loop_test (tc, test_stop, 0, G_N_ELEMENTS (names));
  return run_suite (suite);
}
