/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests to terngenerator and terncaption: three ways in, one result each, whatever happens to them. */
#include "harness.h"

#include <string.h>
#include <gst/app/app.h>

static GstStructure *
request (const char *fields)
{
  g_autofree char *text = g_strconcat ("tern-ask, ", fields, NULL);
  GstStructure *structure = gst_structure_from_string (text, NULL);

  fail_unless (structure != NULL, "%s", text);
  return structure;
}

static guint64
ask (gpointer element, const char *fields)
{
  GstStructure *structure = request (fields);
  guint64 id = 0;

  g_signal_emit_by_name (element, "ask", structure, &id);
  gst_structure_free (structure);
  return id;
}

static gboolean
send_event (GstElement *element, const char *fields)
{
  return gst_element_send_event (element, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, request (fields)));
}

/* The next result on the bus has these; NULL says nothing. */
static void
expect_result (GstBus *bus, guint64 id, const char *kind, const char *prompt, const char *prompt_id, const char *reason)
{
  GstStructure *result = wait_result (bus);
  g_autofree char *all = gst_structure_to_string (result);
  const char *const fields[] = { "kind", kind, "prompt", prompt, "prompt_id", prompt_id, "finish_reason", reason };
  guint64 found = 0;
  guint i;

  gst_structure_get_uint64 (result, "ask_id", &found);
  fail_unless (found == id, "expected %u, found %s", (guint) id, all);
  for (i = 0; i < G_N_ELEMENTS (fields); i += 2)
    fail_unless (!fields[i + 1] || g_strcmp0 (gst_structure_get_string (result, fields[i]), fields[i + 1]) == 0,
        "%s: expected %s, found %s", fields[i], fields[i + 1], all);
  gst_structure_free (result);
}

static void
expect_text (GstBus *bus, guint64 id, const char *text)
{
  GstStructure *result = wait_result (bus);
  g_autofree char *all = gst_structure_to_string (result);
  guint64 found = 0;

  gst_structure_get_uint64 (result, "ask_id", &found);
  fail_unless (found == id && g_strcmp0 (gst_structure_get_string (result, "result"), text) == 0,
      "expected %u, %s, found %s", (guint) id, text, all);
  gst_structure_free (result);
}

static void
expect_no_result (GstBus *bus)
{
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT);

  fail_unless (message == NULL, "%" GST_PTR_FORMAT, message);
}

static GstHarness *
prompt_harness (GstHarness *h)
{
  GstHarness *p = gst_harness_new_with_element (h->element, "prompt_sink", NULL);

  gst_harness_set_src_caps_str (p, "text/x-raw, format = utf8");
  return p;
}

static void
push_prompt (GstHarness *p, const char *text)
{
  fail_unless_equals_int (gst_harness_push (p, gst_buffer_new_memdup (text, strlen (text))), GST_FLOW_OK);
}

/* With a memory of the stream requests may be about a time; without one that is refused. */
GST_START_TEST (test_times)
{
  GstHarness *h = start_generator ("terngenerator prompt=w memory=stream memory-tokens=1000 on-change=false");
  GstHarness *plain = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  GstStructure *stats;
  guint64 tokens;

  push_tokens (h, 0, 3);
  fail_unless_equals_uint64 (ask (h->element, "prompt=then, from=(guint64)500000000, to=(guint64)1500000000"), 1);
  expect_text (bus, 1, "2 frames, then");
  fail_unless_equals_uint64 (ask (h->element, "prompt=late, from=(guint64)90000000000, to=(guint64)91000000000"), 2);
  expect_result (bus, 2, "caption", "late", "2", "forgotten");
  fail_unless_equals_uint64 (ask (h->element, "prompt=wrong, once=false, to=(guint64)5"), 0);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "memory-tokens", &tokens));
  fail_unless (gst_structure_has_field (stats, "memory-turns"));
  gst_structure_free (stats);

  push_tokens (plain, 0, 3);
  fail_unless_equals_uint64 (ask (plain->element, "prompt=then, from=(guint64)500000000, to=(guint64)1500000000"), 0);
  g_object_get (plain->element, "stats", &stats, NULL);
  fail_if (gst_structure_has_field (stats, "memory-tokens"));
  gst_structure_free (stats);
  gst_object_unref (bus);
  gst_harness_teardown (h);
  gst_harness_teardown (plain);
}
GST_END_TEST

/* By signal, event and pad; the message and JSON have the answers, cues do not: those are about windows. */
GST_START_TEST (test_ways_in)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstHarness *p = prompt_harness (h);
  GstBus *bus = watch (h->element);
  GstBuffer *buffer;

  push_tokens (h, 0, 3);
  fail_unless_equals_uint64 (ask (h->element, "prompt=\"Who?\", prompt-id=who, frames=3"), 1);
  expect_result (bus, 1, "caption", "Who?", "who", "stop");
  fail_unless (send_event (h->element, "prompt=\"Where?\", frames=(uint)2"));
  expect_result (bus, 2, "caption", "Where?", "1", "stop");
  fail_unless (gst_harness_push_upstream_event (json, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
              request ("task=danger, frames=1"))));
  expect_result (bus, 3, "answer", "Is there danger?", "danger", "stop");
  push_prompt (p, "When?\n");
  expect_result (bus, 4, "caption", "When?", "2", "stop");

  buffer = pull_result (json);
  fail_unless_equals_uint64 (result_uint64 (buffer, "ask_id"), 1);
  fail_unless_equals_string (result_string (buffer, "result"), "3 frames, Who?");
  fail_unless_equals_string (result_string (buffer, "prompt_id"), "who");
  gst_buffer_unref (buffer);
  buffer = pull_result (json);
  fail_unless_equals_string (result_string (buffer, "result"), "2 frames, Where?");
  gst_buffer_unref (buffer);
  push_tokens (h, 3, 8);
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "prompt"), "w");
  fail_unless (!result_has (buffer, "ask_id"));
  gst_buffer_unref (buffer);
  fail_unless (gst_harness_try_pull (h) == NULL);
  unwatch (bus);
  gst_harness_teardown (p);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The text shown over live video has them, too. */
GST_START_TEST (test_live_text)
{
  GstHarness *h = gst_harness_new ("terngenerator");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBuffer *buffer;

  gst_harness_set_src_caps_str (h, caps);
  push_tokens (h, 0, 3);
  fail_unless (ask (h->element, "prompt=now, frames=3") == 1);
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "result"), "3 frames, now");
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

/* While nothing is answered: more than the session takes at once. All are answered, in order, each under its own id. */
GST_START_TEST (test_hundred_requests)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  GstStructure *stats;
  guint64 requests = 0, answered = 0;
  guint begun = fake_begun (), i;

  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (begun + 1);
  for (i = 1; i <= 100; i++) {
    g_autofree char *fields = g_strdup_printf ("prompt=\"question %u\", prompt-id=\"id %u\"", i, i);

    fail_unless_equals_uint64 (ask (h->element, fields), i);
  }
  fake_hold (FALSE);
  expect_result (bus, 0, "caption", "w", "0", "stop");
  for (i = 1; i <= 100; i++) {
    g_autofree char *prompt = g_strdup_printf ("question %u", i), *id = g_strdup_printf ("id %u", i);

    expect_result (bus, i, "caption", prompt, id, "stop");
  }
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "requests", G_TYPE_UINT64, &requests, "answered", G_TYPE_UINT64, &answered, NULL));
  fail_unless_equals_uint64 (requests, 100);
  fail_unless_equals_uint64 (answered, 101);
  gst_structure_free (stats);
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The next window each time, and a request in between. */
GST_START_TEST (test_hundred_prompts)
{
  GstHarness *h = start_generator ("terngenerator");
  GstBus *bus = watch (h->element);
  guint i;

  for (i = 0; i < 100; i++) {
    g_autofree char *prompt = g_strdup_printf ("prompt %u", i), *id = g_strdup_printf ("%u", i + 1);

    g_object_set (h->element, "prompt", prompt, NULL);
    push_tokens (h, 8 * i, 8 * i + 8);
    expect_result (bus, 0, "caption", prompt, id, "stop");
    fail_unless_equals_uint64 (ask (h->element, "prompt=q, prompt-id=x"), i + 1);
    expect_result (bus, i + 1, "caption", "q", "x", "stop");
  }
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Before there is a model or a stream they wait; a stop ends those that still do. */
GST_START_TEST (test_early)
{
  GstHarness *h;
  GstBus *bus;
  g_autofree char *caps = token_caps (mmproj_path);

  fake_hold_work (TERN_FAKE_LOADS, TRUE);
  h = file_harness ("terngenerator prompt=w", "sink", "src");
  bus = watch (h->element);
  fail_unless_equals_uint64 (ask (h->element, "prompt=one"), 1);
  fake_hold_work (TERN_FAKE_LOADS, FALSE);
  gst_harness_set_src_caps_str (h, caps);
  fail_unless_equals_uint64 (ask (h->element, "prompt=two"), 2);
  push_tokens (h, 0, 1);
  expect_result (bus, 1, "caption", "one", NULL, "stop");
  expect_result (bus, 2, "caption", "two", NULL, "stop");
  gst_harness_teardown (h);
  unwatch (bus);

  h = file_harness ("terngenerator prompt=w", "sink", "src");
  bus = watch (h->element);
  fail_unless_equals_uint64 (ask (h->element, "prompt=one, prompt-id=x"), 1);
  gst_element_set_state (h->element, GST_STATE_NULL);
  expect_result (bus, 1, "error", "one", "x", "cancelled");
  expect_no_result (bus);
  fail_unless_equals_uint64 (ask (h->element, "prompt=two"), 0);
  expect_refusal (bus, (const char *const[]) { "PAUSED", NULL });
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* The end of its time is a result, with a session and without one. */
GST_START_TEST (test_timeout)
{
  GstHarness *h = file_harness ("terngenerator prompt=w", "sink", "src");
  GstBus *bus = watch (h->element);
  g_autofree char *caps = token_caps (mmproj_path);
  gboolean seen[4] = { FALSE };
  guint begun = fake_begun (), i;

  fail_unless_equals_uint64 (ask (h->element, "prompt=one, timeout=(guint64)1"), 1);
  expect_result (bus, 1, "error", "one", "1", "error");
  gst_harness_set_src_caps_str (h, caps);
  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (begun + 1);
  fail_unless_equals_uint64 (ask (h->element, "prompt=two, timeout=1"), 2);
  fail_unless_equals_uint64 (ask (h->element, "prompt=three"), 3);
  fake_hold (FALSE);
  /* It may be over before the session has the request, or after. */
  for (i = 0; i < 3; i++) {
    GstStructure *result = wait_result (bus);
    guint64 id = 0;

    gst_structure_get_uint64 (result, "ask_id", &id);
    fail_unless (!seen[id]);
    seen[id] = TRUE;
    fail_unless_equals_string (gst_structure_get_string (result, "finish_reason"), id == 2 ? "error" : "stop");
    gst_structure_free (result);
  }
  fail_unless (seen[0] && seen[2] && seen[3]);
  /* Who asked knows it by the result. */
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

static gpointer
flush_start (gpointer h)
{
  gst_harness_push_event (h, gst_event_new_flush_start ());
  return NULL;
}

/* What was asked about the stream before it ends with it; a cancel ends it, too. */
GST_START_TEST (test_flush_and_cancel)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  guint begun = fake_begun ();
  GstSegment segment;
  guint i;

  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (begun + 1);
  for (i = 1; i <= 70; i++)
    fail_unless_equals_uint64 (ask (h->element, "prompt=q"), i);
  g_thread_join (g_thread_new ("flush", flush_start, h));
  for (i = 1; i <= 70; i++)
    expect_result (bus, i, "error", "q", NULL, "cancelled");
  /* During a flush requests wait for its end. */
  fail_unless_equals_uint64 (ask (h->element, "prompt=after"), 71);
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  fake_hold (FALSE);
  push_tokens (h, 0, 1);
  expect_result (bus, 71, "caption", "after", NULL, "stop");

  begun = fake_begun ();
  fake_hold (TRUE);
  push_tokens (h, 1, 8);
  fake_wait_begun (begun + 1);
  for (i = 72; i <= 140; i++)
    fail_unless_equals_uint64 (ask (h->element, "prompt=q"), i);
  g_signal_emit_by_name (h->element, "cancel");
  fake_hold (FALSE);
  for (i = 72; i <= 141; i++) {
    GstStructure *result = wait_result (bus);

    fail_unless_equals_string (gst_structure_get_string (result, "finish_reason"), "cancelled");
    gst_structure_free (result);
  }
  expect_no_result (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

static GMutex told_lock;
static GCond told_cond;
static gboolean told_held, told_waits;

/* Holds the src task up. */
static void
on_told (GstElement *element, GstStructure *result, gpointer data)
{
  g_mutex_lock (&told_lock);
  told_waits = told_held;
  g_cond_broadcast (&told_cond);
  while (told_held && told_waits)
    g_cond_wait (&told_cond, &told_lock);
  g_mutex_unlock (&told_lock);
}

static void
hold_told (gboolean hold)
{
  g_mutex_lock (&told_lock);
  told_held = hold;
  g_cond_broadcast (&told_cond);
  g_mutex_unlock (&told_lock);
}

/* Tokens at another rate need another session: what the one before it answered late is no answer to what is asked now. */
GST_START_TEST (test_another_session)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  g_autofree char *caps = token_caps (mmproj_path);
  g_autoptr (GstCaps) faster = gst_caps_from_string (caps);
  guint begun = fake_begun ();
  gulong handler = g_signal_connect (h->element, "result", G_CALLBACK (on_told), NULL);

  push_tokens (h, 0, 1);
  hold_told (TRUE);
  fail_unless_equals_uint64 (ask (h->element, "prompt=one"), 1);
  g_mutex_lock (&told_lock);
  while (!told_waits)
    g_cond_wait (&told_cond, &told_lock);
  g_mutex_unlock (&told_lock);
  g_signal_handler_disconnect (h->element, handler);
  fail_unless_equals_uint64 (ask (h->element, "prompt=two"), 2);
  fake_wait_begun (begun + 2);
  gst_caps_set_simple (faster, "framerate", GST_TYPE_FRACTION, 4, 1, NULL);
  fail_unless (gst_harness_push_event (h, gst_event_new_caps (faster)));
  expect_result (bus, 2, "error", "two", NULL, "cancelled");
  fake_hold (TRUE);
  push_tokens (h, 0, 1);
  fail_unless_equals_uint64 (ask (h->element, "prompt=three"), 3);
  fail_unless_equals_uint64 (ask (h->element, "prompt=four"), 4);
  hold_told (FALSE);
  expect_result (bus, 1, "caption", "one", NULL, "stop");
  expect_result (bus, 0, "caption", "w", NULL, "stop");         /* the window that was open */
  fake_hold (FALSE);
  expect_result (bus, 3, "caption", "three", NULL, "stop");
  expect_result (bus, 4, "caption", "four", NULL, "stop");
  expect_no_result (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is asked about each window from now on; properties read what is in force, and take it back. */
GST_START_TEST (test_standing)
{
  GstHarness *h = start_generator ("terngenerator prompt=w min-confidence=0.5");
  GstBus *bus = watch (h->element);

  fail_unless (ask (h->element, "prompt=\"Danger?\", prompt-id=danger, labels=(string)<yes, no>, once=false") > 0);
  expect_value (h->element, "prompt", "Danger?");
  expect_value (h->element, "labels", "< (string)yes, (string)no >");
  expect_value (h->element, "min-confidence", "0.5");
  push_tokens (h, 0, 8);
  expect_result (bus, 0, "answer", "Danger?", "danger", "stop");
  push_tokens (h, 8, 16);
  expect_result (bus, 0, "answer", "Danger?", "danger", "stop");
  gst_util_set_object_arg (G_OBJECT (h->element), "labels", "<>");
  g_object_set (h->element, "prompt", "w", NULL);
  push_tokens (h, 16, 24);
  expect_result (bus, 0, "caption", "w", "0", "stop");
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* One question of the pad at a time, and the newest of those that wait; each has its result all the same. In the form of what
 * stands. */
GST_START_TEST (test_prompt_pad_newest)
{
  GstHarness *h = start_generator ("terngenerator prompt=w labels=\"<yes,no>\"");
  GstHarness *p = prompt_harness (h);
  GstBus *bus = watch (h->element);
  guint begun = fake_begun ();

  fake_hold (TRUE);
  push_tokens (h, 0, 8);
  fake_wait_begun (begun + 1);
  push_prompt (p, "one");
  push_prompt (p, "two");
  push_prompt (p, "three");
  expect_result (bus, 2, "error", "two", NULL, "cancelled");
  push_prompt (p, "  \n");
  fake_hold (FALSE);
  expect_result (bus, 0, "answer", "w", NULL, "stop");
  expect_result (bus, 1, "answer", "one", NULL, "stop");
  expect_result (bus, 3, "answer", "three", NULL, "stop");
  expect_no_result (bus);
  unwatch (bus);
  gst_harness_teardown (p);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Nothing that happens to it happens to the rest; markup is no question. */
GST_START_TEST (test_prompt_pad_ends_nothing)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstHarness *p = prompt_harness (h);
  GstBus *bus = watch (h->element);
  GstCaps *markup = gst_caps_from_string ("text/x-raw, format = pango-markup");
  GstPad *pad = gst_element_get_static_pad (h->element, "prompt_sink");

  push_tokens (h, 0, 4);
  fail_unless (!gst_pad_query_accept_caps (pad, markup));
  push_prompt (p, "one");
  expect_result (bus, 1, NULL, "one", NULL, NULL);
  gst_harness_push_event (p, gst_event_new_flush_start ());
  gst_harness_push_event (p, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (p, gst_event_new_eos ());
  push_tokens (h, 4, 8);
  expect_result (bus, 0, NULL, "w", NULL, "stop");
  /* Questions about the stream do not go up the pad of questions. */
  fail_unless (gst_harness_push_upstream_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
              gst_structure_new_empty ("other"))));
  while (TRUE) {
    GstEvent *event = gst_harness_try_pull_upstream_event (p);

    if (!event)
      break;
    fail_unless (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE, "%" GST_PTR_FORMAT, event);
    gst_event_unref (event);
  }
  gst_caps_unref (markup);
  gst_object_unref (pad);
  gst_harness_teardown (p);
  push_tokens (h, 8, 16);
  expect_result (bus, 0, NULL, "w", NULL, "stop");
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

static const char *const lines[] = {
  "videotestsrc num-buffers=60 ! ternencoder ! terngenerator name=g ! fakesink  appsrc name=p ! g.prompt_sink",
  "videotestsrc num-buffers=60 ! terncaption name=g ! fakesink  appsrc name=p ! g.prompt_sink",
  "videotestsrc num-buffers=60 ! terncaption name=g ! fakesink  g.text_src ! fakesink  appsrc name=p ! g.prompt_sink",
};

/* Nobody waits for a pad that says nothing: neither preroll nor the end. */
GST_START_TEST (test_prompt_pad_silent)
{
  GstElement *pipeline = gst_parse_launch (lines[__i__], NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* The bin: its own signals, events to it, and from where its video goes; frames carry what was said about windows. */
GST_START_TEST (test_bin)
{
  GstHarness *h = file_harness ("terncaption prompt=w", "sink", "src");
  GstHarness *p = prompt_harness (h);
  GstBus *bus = watch (h->element);
  guint i;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  fail_unless_equals_uint64 (ask (h->element, "prompt=one"), 1);
  for (i = 0; i < 20; i++)      /* a group of tokens */
    gst_harness_push (h, make_frame (MS (100 * i), MS (100), 0));
  expect_result (bus, 1, "caption", "one", NULL, "stop");
  fail_unless (send_event (h->element, "prompt=two"));
  expect_result (bus, 2, "caption", "two", NULL, "stop");
  fail_unless (gst_harness_push_upstream_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
              request ("prompt=three"))));
  expect_result (bus, 3, "caption", "three", NULL, "stop");
  push_prompt (p, "four");
  expect_result (bus, 4, "caption", "four", NULL, "stop");
  for (i = 20; i < 41; i++)
    gst_harness_push (h, make_frame (MS (100 * i), MS (100), 0));
  for (i = 0; i < 40; i++) {
    GstBuffer *frame = pull_result (h);

    fail_unless_equals_string (result_string (frame, "prompt"), "w");
    gst_buffer_unref (frame);
  }
  gst_harness_teardown (p);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is asked about frames whose group is not whole is answered before it is; windows do not notice. */
GST_START_TEST (test_open_group)
{
  GstHarness *h = chain_harness ("terncompressor previews=true ! terngenerator name=g prompt=w");
  GstElement *generator = gst_bin_get_by_name (GST_BIN (h->element), "g");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBus *bus = watch (generator);
  GstBuffer *buffer;
  guint i;

  gst_harness_set_src_caps_str (h, caps);
  fail_unless_equals_uint64 (ask (generator, "prompt=early"), 1);
  push_tokens (h, 0, 1);
  expect_text (bus, 1, "1 frames, early");
  push_tokens (h, 1, 3);
  fail_unless_equals_uint64 (ask (generator, "prompt=all"), 2);
  expect_text (bus, 2, "3 frames, all");
  fail_unless_equals_uint64 (ask (generator, "prompt=newest, frames=2"), 3);
  expect_text (bus, 3, "2 frames, newest");
  push_tokens (h, 3, 6);
  fail_unless_equals_uint64 (ask (generator, "prompt=both, frames=6"), 4);
  expect_text (bus, 4, "6 frames, both");
  push_tokens (h, 6, 8);
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "result"), "8 frames, w");
  gst_buffer_unref (buffer);
  expect_text (bus, 0, "8 frames, w");

  /* Events that say nothing change nothing; behind a trigger nothing is seen twice. */
  push_tokens (h, 8, 10);
  for (i = 0; i < 3; i++)
    gst_harness_push_event (h, gst_event_new_custom (i ? GST_EVENT_CUSTOM_DOWNSTREAM : GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
            i == 1 ? gst_structure_new_empty ("tern-preview") : gst_structure_new ("tern-preview", "number", G_TYPE_UINT64,
                G_GUINT64_CONSTANT (3), "buffer", G_TYPE_STRING, "none", NULL)));
  fail_unless_equals_uint64 (ask (generator, "prompt=end"), 5);
  expect_text (bus, 5, "2 frames, end");
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("tern-trigger")));
  expect_text (bus, 0, "2 frames, w");
  fail_unless_equals_uint64 (ask (generator, "prompt=over"), 6);
  expect_text (bus, 6, "1 frames, over");
  expect_no_warning (bus);
  unwatch (bus);
  gst_object_unref (generator);
  gst_harness_teardown (h);
}
GST_END_TEST

/* In the bin, one frame after which nothing comes. */
GST_START_TEST (test_bin_at_once)
{
  GstHarness *h = file_harness ("terncaption prompt=w", "sink", "src");
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  gst_harness_push (h, make_frame (0, MS (100), 0));
  fail_unless_equals_uint64 (ask (h->element, "prompt=one"), 1);
  expect_text (bus, 1, "1 frames, one");
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* After the end of the stream its last frames can still be asked about. */
GST_START_TEST (test_after_eos)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  g_autofree char *events = NULL;

  push_tokens (h, 0, 3);
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  expect_result (bus, 0, "caption", "w", NULL, "stop");
  fail_unless_equals_uint64 (ask (h->element, "prompt=q, frames=1"), 1);
  expect_result (bus, 1, "caption", "q", NULL, "stop");
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* `trigger` is said to whoever chooses frames; here that is the harness, which says it back in its place. */
GST_START_TEST (test_trigger)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  gboolean found = FALSE;
  GstEvent *event;
  GstBuffer *buffer;

  push_tokens (h, 0, 3);
  g_signal_emit_by_name (h->element, "trigger");
  while (!found && (event = gst_harness_try_pull_upstream_event (h))) {
    found = gst_event_has_name (event, "tern-trigger");
    gst_event_unref (event);
  }
  fail_unless (found);
  fail_unless (gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
              gst_structure_new_empty ("tern-trigger"))));
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "result"), "3 frames, w");
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

static gboolean
deaf_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  gst_event_unref (event);
  return FALSE;
}

/* An event that an application sends to a pipeline comes from each of its sinks; it is one request, or one refusal. */
GST_START_TEST (test_event_from_all_sinks)
{
  GstElement *pipeline = gst_parse_launch (__i__ == 0 ?
      "appsrc name=a format=time ! terncaption name=c prompt=w ! fakesink  c.text_src ! fakesink  c.json_src ! fakesink" :
      "appsrc name=a format=time ! ternencoder ! terngenerator name=g prompt=w  g.src ! queue ! fakesink  "
      "g.json_src ! queue ! tee name=t  t. ! queue ! fakesink  t. ! queue ! fakesink", NULL);
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  GstBus *bus = gst_element_get_bus (pipeline);
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), __i__ == 0 ? "c" : "g");
  GstEvent *again = gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, request ("prompt=again"));
  GstCaps *caps = gst_caps_from_string (FRAME_CAPS);
  guint i;

  gst_app_src_set_caps (GST_APP_SRC (source), caps);
  gst_caps_unref (caps);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  for (i = 0; i < 10; i++)
    fail_unless_equals_int (gst_app_src_push_buffer (GST_APP_SRC (source), make_frame (MS (100 * i), MS (100), 0)),
        GST_FLOW_OK);
  fail_unless_equals_int (gst_element_get_state (pipeline, NULL, NULL, GST_CLOCK_TIME_NONE), GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (i = 1; i <= 12; i++) {
    g_autofree char *prompt = g_strdup_printf ("prompt=q%u", i);

    fail_unless (send_event (pipeline, prompt));
    expect_result (bus, i, "caption", prompt + strlen ("prompt="), NULL, "stop");
  }
  for (; i <= 14; i++) {        /* the element itself is asked as often as one is sent to it */
    fail_unless (gst_element_send_event (element, gst_event_ref (again)));
    expect_result (bus, i, "caption", "again", NULL, "stop");
  }
  gst_event_unref (again);
  gst_object_unref (element);
  fail_if (send_event (pipeline, "prompt=q, once=5"));
  fail_unless_equals_int (count_messages (bus, GST_MESSAGE_WARNING), 1);
  expect_no_result (bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (source);
  gst_object_unref (pipeline);
}
GST_END_TEST

/* The same of triggers: who chooses frames hears of one. */
GST_START_TEST (test_trigger_from_all_pads)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstEvent *trigger = gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, gst_structure_new_empty ("tern-trigger")), *event;
  guint32 seqnum = gst_event_get_seqnum (trigger);
  guint found = 0;

  push_tokens (h, 0, 3);
  fail_unless (gst_harness_push_upstream_event (h, gst_event_ref (trigger)));
  fail_unless (gst_harness_push_upstream_event (json, trigger));
  while ((event = gst_harness_try_pull_upstream_event (h))) {
    if (gst_event_has_name (event, "tern-trigger")) {
      found++;
      fail_unless_equals_int (gst_event_get_seqnum (event), seqnum);
    }
    gst_event_unref (event);
  }
  fail_unless_equals_int (found, 1);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Tokens from where nobody chooses frames: what there is is answered at once. */
GST_START_TEST (test_trigger_nobody)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBuffer *buffer;

  gst_pad_set_event_function (h->srcpad, deaf_event);
  push_tokens (h, 0, 3);
  g_signal_emit_by_name (h->element, "trigger");
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "result"), "3 frames, w");
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ask");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_ways_in);
  tcase_add_test (tc, test_times);
  tcase_add_test (tc, test_live_text);
  tcase_add_test (tc, test_hundred_requests);
  tcase_add_test (tc, test_hundred_prompts);
  tcase_add_test (tc, test_early);
  tcase_add_test (tc, test_timeout);
  tcase_add_test (tc, test_flush_and_cancel);
  tcase_add_test (tc, test_another_session);
  tcase_add_test (tc, test_standing);
  tcase_add_test (tc, test_prompt_pad_newest);
  tcase_add_test (tc, test_prompt_pad_ends_nothing);
  tcase_add_loop_test (tc, test_prompt_pad_silent, 0, G_N_ELEMENTS (lines));
  tcase_add_test (tc, test_bin);
  tcase_add_test (tc, test_open_group);
  tcase_add_test (tc, test_bin_at_once);
  tcase_add_test (tc, test_after_eos);
  tcase_add_test (tc, test_trigger);
  tcase_add_loop_test (tc, test_event_from_all_sinks, 0, 2);
  tcase_add_test (tc, test_trigger_from_all_pads);
  tcase_add_test (tc, test_trigger_nobody);
  return run_suite (suite);
}
