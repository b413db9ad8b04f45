/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <string.h>

static char *
contents (GstBuffer *buffer)
{
  gsize size = gst_buffer_get_size (buffer);
  char *text = g_malloc0 (size + 1);

  gst_buffer_extract (buffer, 0, text, size);
  return text;
}

/* The line is the one that the generator itself has on json_src, metrics and quoting included. */
GST_START_TEST (test_same_as_json_src)
{
  GstHarness *h = file_harness ("terngenerator name=g metrics=true prompt=\"say \\\"a\\\\b\\\"\"", "sink", "src");
  GstHarness *direct = gst_harness_new_with_element (h->element, NULL, "json_src");
  GstHarness *json = file_harness ("ternjsonenc", "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  guint i, j;

  gst_harness_set_src_caps_str (h, caps);
  gst_harness_set_src_caps_str (json, "text/x-raw, format = utf8");
  for (i = 0; i < 3; i++) {
    g_autofree char *a = NULL, *b = NULL;
    GstBuffer *text, *line, *same;

    for (j = 0; j < 8; j++)
      gst_harness_push (h, make_tokens (8 * i + j));
    text = gst_harness_pull (h);
    line = gst_harness_push_and_pull (json, gst_buffer_ref (text));
    same = gst_harness_pull (direct);
    a = contents (line);
    b = contents (same);
    fail_unless_equals_string (a, b);
    fail_unless (strstr (a, "\"metrics\":{") != NULL);
    fail_unless (g_str_has_suffix (a, "\n") && strchr (a, '\n') == a + strlen (a) - 1);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (line), GST_BUFFER_PTS (text));
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (line), GST_BUFFER_DURATION (text));
    gst_buffer_unref (text);
    gst_buffer_unref (line);
    gst_buffer_unref (same);
  }
  gst_harness_teardown (json);
  gst_harness_teardown (direct);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Frames that carry one result make one line. */
GST_START_TEST (test_video)
{
  GstHarness *g = file_harness ("terngenerator", "sink", "src");
  GstHarness *h = file_harness ("ternjsonenc", "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  GstBuffer *text[2];
  guint i;

  gst_harness_set_src_caps_str (g, caps);
  for (i = 0; i < 16; i++)
    gst_harness_push (g, make_tokens (i));
  text[0] = gst_harness_pull (g);
  text[1] = gst_harness_pull (g);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 20; i++) {
    GstBuffer *frame = make_frame (MS (100 * i), MS (100), 0);

    if (i >= 2)
      gst_buffer_copy_into (frame, text[i >= 10], GST_BUFFER_COPY_META, 0, -1);
    fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
  }
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 2);
  gst_buffer_unref (text[0]);
  gst_buffer_unref (text[1]);
  gst_harness_teardown (h);
  gst_harness_teardown (g);
}
GST_END_TEST

/* Frames of three sources by turns, as behind a funnel, with stream starts in between; and a source that begins to count again
 * loses nothing. */
GST_START_TEST (test_sources)
{
  static const struct
  {
    const char *source, *text;
    guint id;
    gboolean line;
  } frames[] = {
    {"a", "one", 0, TRUE}, {"b", "two", 0, TRUE}, {"a", "one", 0, FALSE}, {"c", "one", 0, TRUE}, {"b", "two", 0, FALSE},
    {"a", "three", 1, TRUE}, {"b", "two", 0, FALSE}, {"a", "three", 1, FALSE}, {"a", "one again", 0, TRUE},
    {"c", "one", 0, FALSE}, {"a", "one again", 0, FALSE},
  };
  GstHarness *g = file_harness ("terngenerator", "sink", "src");
  GstHarness *h = file_harness ("ternjsonenc", "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);
  guint i, expected = 0;
  GstBuffer *text;

  gst_harness_set_src_caps_str (g, caps);
  for (i = 0; i < 8; i++)
    gst_harness_push (g, make_tokens (i));
  text = gst_harness_pull (g);
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstBuffer *frame = make_frame (MS (100 * i), MS (100), 0);

    gst_buffer_copy_into (frame, text, GST_BUFFER_COPY_META, 0, -1);
    gst_structure_set (gst_custom_meta_get_structure (gst_buffer_get_custom_meta (frame, "TernResultMeta")),
        "source", G_TYPE_STRING, frames[i].source, "result", G_TYPE_STRING, frames[i].text,
        "id", G_TYPE_UINT64, (guint64) frames[i].id, NULL);
    fail_unless (gst_harness_push_event (h, gst_event_new_stream_start (frames[i].source)));
    fail_unless_equals_int (gst_harness_push (h, frame), GST_FLOW_OK);
    expected += frames[i].line;
    fail_unless_equals_int (gst_harness_buffers_in_queue (h), expected);
  }
  gst_buffer_unref (text);
  gst_harness_teardown (h);
  gst_harness_teardown (g);
}
GST_END_TEST

/* Of two captioners one behind the other frames carry both results, and each makes its lines. */
GST_START_TEST (test_captioners_in_series)
{
  GstHarness *h = chain_harness ("terncaption name=a attach=window window=2000000000 prompt=one ! "
      "terncaption name=b attach=window window=4000000000 prompt=two ! ternjsonenc");
  guint i, found[2] = { 0, 0 };
  GstBuffer *line;

  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  for (i = 0; i < 16; i++)
    fail_unless_equals_int (gst_harness_push (h, make_frame (MS (500 * i), MS (500), 0)), GST_FLOW_OK);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  for (i = 0; i < 6; i++) {
    const char *prompt;

    line = pull_result (h);
    prompt = result_string (line, "prompt");
    fail_unless (g_str_equal (prompt, "one") || g_str_equal (prompt, "two"), "%s", prompt);
    fail_unless (strstr (result_string (line, "source"), g_str_equal (prompt, "one") ? ":a/" : ":b/") != NULL, "%s",
        result_string (line, "source"));
    found[g_str_equal (prompt, "two")]++;
    gst_buffer_unref (line);
  }
  fail_unless (found[0] == 4 && found[1] == 2, "%u and %u", found[0], found[1]);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_without_result)
{
  GstHarness *h = file_harness ("ternjsonenc", "sink", "src");
  GstBuffer *buffer = gst_buffer_new_memdup ("text", 4);

  gst_harness_set_src_caps_str (h, "text/x-raw, format = utf8");
  GST_BUFFER_PTS (buffer) = 0;
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);

  /* A meta of that name that is no result. */
  buffer = gst_buffer_new_memdup ("text", 4);
  GST_BUFFER_PTS (buffer) = 1;
  gst_buffer_add_custom_meta (buffer, "TernResultMeta");
  fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  fail_unless_equals_int (gst_harness_buffers_in_queue (h), 0);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("ternjsonenc");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_same_as_json_src);
  tcase_add_test (tc, test_video);
  tcase_add_test (tc, test_sources);
  tcase_add_test (tc, test_captioners_in_series);
  tcase_add_test (tc, test_without_result);
  return run_suite (suite);
}
