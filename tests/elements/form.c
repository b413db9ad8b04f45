/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What terngenerator is asked, in what form it is answered, and which answers leave. */
#include "harness.h"

#include <string.h>
#include <glib/gstdio.h>

static void
set (gpointer element, const char *name, const char *value)
{
  gst_util_set_object_arg (element, name, value);
}

/* The next result; its own copy. */
static void
expect (GstHarness *h, const char *kind, const char *text, const char *prompt, const char *id)
{
  GstBuffer *buffer = pull_result (h);

  fail_unless_equals_string (result_string (buffer, "kind"), kind);
  fail_unless_equals_string (result_string (buffer, "result"), text);
  fail_unless_equals_string (result_string (buffer, "prompt"), prompt);
  fail_unless_equals_string (result_string (buffer, "prompt_id"), id);
  gst_buffer_unref (buffer);
}

GST_START_TEST (test_labels)
{
  GstHarness *h = start_generator ("terngenerator prompt=p labels=\"<yes,\\\"no, never\\\">\" min-confidence=0.7");
  GstBus *bus = watch (h->element);
  GstStructure *result;
  const GValue *array;
  gboolean abstained = FALSE;
  double confidence = 0;

  push_bright_tokens (h, 0, 8, 51);
  result = wait_result (bus);
  array = gst_structure_get_value (result, "labels");
  fail_unless_equals_int (gst_value_array_get_size (array), 2);
  fail_unless_equals_string (g_value_get_string (gst_value_array_get_value (array, 1)), "no, never");
  array = gst_structure_get_value (result, "scores");
  fail_unless (ABS (g_value_get_double (gst_value_array_get_value (array, 1)) - 0.2) < 1e-6);
  fail_unless (gst_structure_get (result, "abstained", G_TYPE_BOOLEAN, &abstained, "confidence", G_TYPE_DOUBLE, &confidence,
          NULL));
  fail_unless (!abstained && ABS (confidence - 0.8) < 1e-6);
  fail_unless_equals_string (gst_structure_get_string (result, "kind"), "answer");
  gst_structure_free (result);
  expect (h, "answer", "yes", "p", "0");

  push_bright_tokens (h, 8, 16, 102);
  result = wait_result (bus);
  fail_unless (gst_structure_get_boolean (result, "abstained", &abstained) && abstained);
  gst_structure_free (result);
  expect_value (h->element, "labels", "< (string)yes, (string)\"no\\,\\ never\" >");
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* A task's own words, as far as properties do not say; tasks that the model lacks are refused. */
GST_START_TEST (test_task)
{
  GstHarness *h = start_generator ("terngenerator task=danger");
  GstBus *bus = watch (h->element);

  push_tokens (h, 0, 8);
  expect (h, "answer", "yes", "Is there danger?", "danger");
  g_object_set (h->element, "prompt", "Fire?", NULL);
  push_tokens (h, 8, 16);
  expect (h, "answer", "yes", "Fire?", "0");
  g_object_set (h->element, "task", "unknown", NULL);
  expect_refusal (bus, (const char *const[]) { "task", "danger", "unknown", NULL });
  expect_value (h->element, "task", "danger");
  g_object_set (h->element, "task", "", NULL);
  push_tokens (h, 16, 24);
  expect (h, "caption", "8 frames, Fire?", "Fire?", "0");
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Each question gives a result, in order, under its own id; text of a window is decided with the last one. */
GST_START_TEST (test_prompts)
{
  GstHarness *h = start_generator ("terngenerator prompts=\"<\\\"who=Who is it?\\\",\\\"1+1=3?\\\",plain>\"");
  GstBus *bus = watch (h->element);
  GstStructure *stats;
  guint64 windows = 0, answered = 0;
  guint i;

  for (i = 0; i < 2; i++) {
    push_tokens (h, 8 * i, 8 * i + 8);
    expect (h, "caption", "8 frames, Who is it?", "Who is it?", "who");
    expect (h, "caption", "8 frames, 1+1=3?", "1+1=3?", "0");
    expect (h, "caption", "8 frames, plain", "plain", "1");
  }
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "windows", G_TYPE_UINT64, &windows, "answered", G_TYPE_UINT64, &answered, NULL));
  fail_unless_equals_uint64 (windows, 2);
  fail_unless_equals_uint64 (answered, 6);
  gst_structure_free (stats);
  set (h->element, "prompts", "<\"a=b\">");
  push_tokens (h, 16, 24);
  expect (h, "caption", "8 frames, b", "b", "a");
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* GAPs, in ms, and results in the order in which they left. */
static char *
text_of_window (GstHarness *h)
{
  g_autofree char *events = events_until (h, GST_EVENT_EOS);
  GString *gaps = g_string_new (NULL);
  g_auto (GStrv) words = g_strsplit (events, " ", -1);

  for (char **word = words; *word; word++)
    if (g_str_has_suffix (*word, "+0"))
      g_string_append_printf (gaps, "%s ", *word);
  return g_string_free (gaps, FALSE);
}

GST_START_TEST (test_prompts_decide_once)
{
  GstHarness *h = start_generator ("terngenerator prompts=\"<\\\"a=x\\\",\\\"b=y\\\">\"");
  g_autofree char *gaps = NULL;

  push_tokens (h, 0, 16);
  gst_harness_push_event (h, gst_event_new_eos ());
  gaps = text_of_window (h);
  fail_unless_equals_string (gaps, "0+0 4000+0 8000+0 ");
  gst_harness_teardown (h);
}
GST_END_TEST

/* One of each group; what is refused while it plays leaves what is in force. */
GST_START_TEST (test_exclusive)
{
  static const char *const settings[][3] = {
    { "json-schema", "{}", NULL }, { "grammar", "root ::= \"a\"", NULL }, { "json-schema-path", "/no/such/file", NULL },
    { "grammar-path", "/no/such/file", NULL },
  };
  GstHarness *h = start_generator ("terngenerator prompt=p labels=\"<yes,no>\"");
  GstBus *bus = watch (h->element);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (settings); i++) {
    g_object_set (h->element, settings[i][0], settings[i][1], NULL);
    expect_refusal (bus, (const char *const[]) { g_str_has_suffix (settings[i][0], "-path") ? "/no/such" : "labels",
          settings[i][0], NULL });
    expect_value (h->element, settings[i][0], NULL);
    expect_value (h->element, "labels", "< (string)yes, (string)no >");
  }
  set (h->element, "prompts", "<\"a=x\",\"b=y\">");
  expect_refusal (bus, (const char *const[]) { "prompt", "prompts", NULL });
  expect_value (h->element, "prompts", "<  >");
  push_tokens (h, 0, 8);
  expect (h, "answer", "yes", "p", "0");
  expect_no_warning (bus);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

typedef struct {
  float value;
  const char *told;             /* NULL: nothing leaves */
} Step;

/* By 0.2 at once, or for the second time in a row. */
static const Step alert[] = {
  { 0, "ok" }, { 0, NULL }, { 140, NULL }, { 100, NULL }, { 140, NULL }, { 140, "fire" }, { 255, NULL }, { 120, NULL },
  { 140, NULL }, { 120, NULL }, { 50, "ok" },
};

GST_START_TEST (test_on_change)
{
  GstHarness *h = start_generator ("terngenerator prompt=p labels=\"<ok,fire>\" on-change=true");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstBus *bus = watch (h->element);
  guint64 answered = 0, unchanged = 0, told = 0;
  g_autofree char *events = NULL;
  GstStructure *stats;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (alert); i++)
    push_bright_tokens (h, 8 * i, 8 * i + 8, alert[i].value);
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  for (i = 0; i < G_N_ELEMENTS (alert); i++) {
    GstBuffer *text, *line;
    GstStructure *message;

    if (!alert[i].told)
      continue;
    told++;
    text = pull_result (h);
    line = pull_result (json);
    message = wait_result (bus);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (text), i * MS (4000));
    fail_unless_equals_string (result_string (text, "result"), alert[i].told);
    fail_unless_equals_string (result_string (line, "result"), alert[i].told);
    fail_unless_equals_string (gst_structure_get_string (message, "result"), alert[i].told);
    gst_structure_free (message);
    gst_buffer_unref (line);
    gst_buffer_unref (text);
  }
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT) == NULL);
  g_object_get (h->element, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "answered", G_TYPE_UINT64, &answered, "unchanged", G_TYPE_UINT64, &unchanged, NULL));
  fail_unless_equals_uint64 (answered, G_N_ELEMENTS (alert));
  fail_unless_equals_uint64 (unchanged, answered - told);
  gst_structure_free (stats);
  unwatch (bus);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Text as it is; each question for itself; what abstains never. */
GST_START_TEST (test_on_change_text)
{
  GstHarness *h = start_generator ("terngenerator prompt=p on-change=true");

  push_tokens (h, 0, 19);
  gst_harness_push_event (h, gst_event_new_eos ());
  expect (h, "caption", "8 frames, p", "p", "0");
  expect (h, "caption", "3 frames, p", "p", "0");
  gst_harness_teardown (h);

  h = start_generator ("terngenerator prompt=p labels=\"<a,b>\" min-confidence=0.9 on-change=true");
  push_bright_tokens (h, 0, 8, 100);
  push_bright_tokens (h, 8, 16, 255);
  push_bright_tokens (h, 16, 24, 100);
  push_bright_tokens (h, 24, 32, 0);
  expect (h, "answer", "b", "p", "0");
  expect (h, "answer", "a", "p", "0");
  gst_harness_teardown (h);
}
GST_END_TEST

/* On the bus and as JSON; cues are whole. */
GST_START_TEST (test_partial)
{
  GstHarness *h = start_generator ("terngenerator prompt=p partial=words");
  GstHarness *json = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstBuffer *line;
  char *last = NULL;

  push_tokens (h, 0, 8);
  expect (h, "caption", "8 frames, p", "p", "0");
  do {
    line = pull_result (json);
    if (last)
      fail_unless (g_str_has_prefix (result_string (line, "result"), last));
    g_free (last);
    last = g_strdup (result_string (line, "result"));
    fail_unless_equals_string (result_string (line, "kind"), g_str_equal (last, "8 frames, p") ? "caption" : "partial");
    gst_buffer_unref (line);
  } while (!g_str_equal (last, "8 frames, p"));
  fail_unless (gst_harness_try_pull (h) == NULL);
  g_free (last);
  gst_harness_teardown (json);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Running time of the window's start, whatever the segment; UTC of its first frame, where upstream says it. */
GST_START_TEST (test_times)
{
  GstHarness *h = start_generator ("terngenerator");
  GstSegment segment;
  GstBuffer *buffer;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.base = MS (10000);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (i = 0; i < 24; i++) {
    buffer = make_tokens (i);
    if (i >= 8)
      gst_structure_set (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta")), "utc",
          G_TYPE_UINT64, G_GUINT64_CONSTANT (1700000000000000000) + i, NULL);
    gst_harness_push (h, buffer);
  }
  buffer = pull_result (h);
  fail_unless_equals_uint64 (result_uint64 (buffer, "running_time"), MS (10000));
  fail_unless (!result_has (buffer, "utc"));
  gst_buffer_unref (buffer);
  buffer = pull_result (h);
  fail_unless_equals_uint64 (result_uint64 (buffer, "running_time"), MS (14000));
  fail_unless_equals_uint64 (result_uint64 (buffer, "utc"), G_GUINT64_CONSTANT (1700000000000000008));
  gst_buffer_unref (buffer);
  buffer = pull_result (h);
  fail_unless_equals_uint64 (result_uint64 (buffer, "utc"), G_GUINT64_CONSTANT (1700000000000000016));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}
GST_END_TEST

static const char *const languages[][2] = {
  { "terngenerator", "en" }, { "terngenerator language-code=de", "de" }, { "terngenerator language-code=\"\"", NULL },
};

GST_START_TEST (test_language)
{
  GstHarness *h = start_generator (languages[__i__][0]);
  GstEvent *event;
  GstTagList *tags;
  g_autofree char *code = NULL, *events = NULL;

  push_tokens (h, 0, 1);
  gst_harness_push_event (h, gst_event_new_eos ());
  events = events_until (h, GST_EVENT_EOS);
  event = gst_pad_get_sticky_event (h->sinkpad, GST_EVENT_TAG, 0);
  if (event) {
    gst_event_parse_tag (event, &tags);
    gst_tag_list_get_string (tags, GST_TAG_LANGUAGE_CODE, &code);
    gst_event_unref (event);
  }
  fail_unless (g_strcmp0 (code, languages[__i__][1]) == 0, "%s", code);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What a form was made for is over: nothing of it is left. */
GST_START_TEST (test_forms_go)
{
  static const char *const forms[][2] = { { "labels", "<a,b>" }, { "json-schema", "{}" }, { "grammar", "root ::= \"a\"" } };
  guint before = fake_forms (), i;

  for (i = 0; i < G_N_ELEMENTS (forms); i++) {
    GstHarness *h = start_generator ("terngenerator prompt=p");
    GstStructure *request = gst_structure_new ("tern-ask", "prompt", G_TYPE_STRING, "q", "json-schema", G_TYPE_STRING, "{}",
        NULL);
    guint64 id = 0;

    push_tokens (h, 0, 1);
    set (h->element, forms[i][0], forms[i][1]);
    fail_unless_equals_int (fake_forms (), before + 1);
    g_signal_emit_by_name (h->element, "ask", request, &id);
    fail_unless_equals_uint64 (id, 1);
    set (h->element, forms[i][0], "");
    push_tokens (h, 1, 8);
    gst_buffer_unref (pull_result (h));
    gst_structure_free (request);
    gst_harness_teardown (h);
    fail_unless_equals_int (fake_forms (), before);
  }
}
GST_END_TEST

static gpointer
set_schema (gpointer element)
{
  g_object_set (element, "json-schema", "{}", NULL);
  return NULL;
}

static gpointer
ask_schema (gpointer element)
{
  GstStructure *request = gst_structure_new ("tern-ask", "prompt", G_TYPE_STRING, "q", "json-schema", G_TYPE_STRING, "{}",
      NULL);
  guint64 id = 0;

  g_signal_emit_by_name (element, "ask", request, &id);
  gst_structure_free (request);
  return GUINT_TO_POINTER ((guint) id);
}

/* While a schema is compiled frames go on, windows are answered as before, and counts are read. */
GST_START_TEST (test_compiling_holds_nobody)
{
  GstHarness *h = start_generator ("terngenerator prompt=p");
  GstStructure *stats;
  GThread *thread;

  push_tokens (h, 0, 1);
  fake_hold_forms (TRUE);
  thread = g_thread_new ("compile", __i__ == 0 ? set_schema : ask_schema, h->element);
  fake_wait_forms ();
  push_tokens (h, 1, 8);
  expect (h, "caption", "8 frames, p", "p", "0");
  g_object_get (h->element, "stats", &stats, NULL);
  gst_structure_free (stats);
  fake_hold_forms (FALSE);
  fail_unless_equals_int (GPOINTER_TO_UINT (g_thread_join (thread)), __i__);
  if (__i__ == 0) {
    push_tokens (h, 8, 16);
    expect (h, "answer", "{\"frames\": 8}", "p", "0");
  }
  gst_harness_teardown (h);
}
GST_END_TEST

/* The bin has them all. */
GST_START_TEST (test_bin)
{
  GstElement *bin = gst_parse_launch ("terncaption task=danger min-confidence=0.4 on-change=true partial=words "
      "labels=\"<a,b>\" language-code=fr", NULL);
  GstElement *generator = gst_bin_get_by_name (GST_BIN (bin), "generator");
  static const char *const values[][2] = {
    { "task", "danger" }, { "labels", "< (string)a, (string)b >" }, { "on-change", "true" }, { "language-code", "fr" },
    { "grammar", NULL },
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (values); i++) {
    expect_value (bin, values[i][0], values[i][1]);
    expect_value (generator, values[i][0], values[i][1]);
  }
  gst_object_unref (generator);
  gst_object_unref (bin);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("form");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_labels);
  tcase_add_test (tc, test_task);
  tcase_add_test (tc, test_prompts);
  tcase_add_test (tc, test_prompts_decide_once);
  tcase_add_test (tc, test_exclusive);
  tcase_add_test (tc, test_on_change);
  tcase_add_test (tc, test_on_change_text);
  tcase_add_test (tc, test_partial);
  tcase_add_test (tc, test_times);
  tcase_add_loop_test (tc, test_language, 0, G_N_ELEMENTS (languages));
  tcase_add_test (tc, test_forms_go);
  tcase_add_loop_test (tc, test_compiling_holds_nobody, 0, 2);
  tcase_add_test (tc, test_bin);
  return run_suite (suite);
}
