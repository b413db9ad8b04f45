/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results as structures, and back: what is read is what was written, to the byte of its JSON line; what is not a result is
 * refused. And caps of visual tokens whose rows hold more than the token. */
#include <gst/check/gstcheck.h>

#include "gst-plugin/gstternmeta.h"
#include "tern/result-priv.h"

static const char *const labels[] = { "yes", "no", "gro\xc3\x9f, \"perhaps\"", NULL };
static const char *const names[] = { "x", "gripper", NULL };
static const double scores[] = { .7, .2, .1 };
static const double actions[] = { 1, -.25, 1e-9, 3, 4.5, 6 };

static TernResult
plain (void)
{
  return (TernResult) { .kind = "caption", .id = 7, .source = "/pipeline/g", .result = "a dog", .timestamp = 1500000000,
    .timestamp_seconds = 1.5, .start = 1.5, .end = 5.5, .prompt_id = "0", .prompt = "Say \"it\".", .model = "m",
    .finish_reason = "stop", .confidence = 1 / 3., .frames = 8, .visual_in = 392, .visual_kept = 182,
    .prompt_tokens = 220, .generated_tokens = 9, .running_time = TERN_TIME_NONE, .utc = TERN_TIME_NONE };
}

static TernResult
answer (void)
{
  TernResult result = plain ();

  result.kind = "answer";
  result.labels = labels;
  result.scores = scores;
  result.n_labels = G_N_ELEMENTS (scores);
  result.abstained = TRUE;
  return result;
}

static TernResult
action (void)
{
  TernResult result = plain ();

  result.kind = "action";
  result.actions = actions;
  result.n_actions = G_N_ELEMENTS (actions);
  result.action_steps = 3;
  result.action_rate = 30;
  result.action_space = "arm";
  result.action_names = names;
  return result;
}

static TernResult
everything (void)
{
  TernResult result = action ();

  result.labels = labels;
  result.scores = scores;
  result.n_labels = G_N_ELEMENTS (scores);
  result.ask_id = 3;
  result.running_time = 0;
  result.utc = G_GUINT64_CONSTANT (1764337000123456789);
  result.has_metrics = TRUE;
  result.metrics.prefill_ms = 12.5;
  return result;
}

static GstStructure *
to_structure (const TernResult *values)
{
  TernResult *result = tern_result_new (values);
  GstStructure *structure = gst_tern_result_to_structure (result, "tern-result");

  tern_result_unref (result);
  return structure;
}

static void
check_same (TernResult values, guint version)
{
  TernResult *result = tern_result_new (&values), read;
  GstStructure *structure = gst_tern_result_to_structure (result, "tern-result");
  GstBuffer *buffer = gst_buffer_new ();
  g_autofree char *direct = tern_result_to_json (result), *again = NULL;

  tern_result_unref (result);
  gst_tern_buffer_set_result (buffer, structure);
  gst_structure_free (structure);
  fail_unless (gst_tern_result_from_structure (&read, gst_tern_buffer_get_result (buffer)));
  again = tern_result_to_json (&read);
  fail_unless_equals_string (direct, again);
  fail_unless_equals_int (read.version, version);
  gst_tern_result_clear (&read);
  gst_tern_result_clear (&read);
  gst_buffer_unref (buffer);
}

GST_START_TEST (test_same)
{
  TernResult asked = plain (), timed = plain (), dated = plain (), nameless = action ();

  nameless.action_names = NULL;
  check_same (nameless, 2);
  asked.ask_id = 1;
  timed.running_time = 5;
  dated.utc = 0;
  check_same (plain (), 1);
  check_same (answer (), 2);
  check_same (action (), 2);
  check_same (everything (), 2);
  check_same (asked, 2);
  check_same (timed, 2);
  check_same (dated, 2);
}
GST_END_TEST

/* Who fills in a field of a copy need not know of versions. */
GST_START_TEST (test_version)
{
  TernResult values = plain (), *made = tern_result_new (&values), copy = *made;
  g_autofree char *json = NULL;
  GstStructure *structure;
  guint version = 0;

  fail_unless_equals_int (made->version, 1);
  copy.running_time = 9;
  json = tern_result_to_json (&copy);
  structure = gst_tern_result_to_structure (&copy, "tern-result");
  fail_unless (g_str_has_prefix (json, "{\"version\":2,"));
  fail_unless (gst_structure_get_uint (structure, "version", &version));
  fail_unless_equals_int (version, 2);
  gst_structure_free (structure);
  tern_result_unref (made);
}
GST_END_TEST

static void
set_array (GstStructure *structure, const char *name, guint n, GType type)
{
  GValue array = G_VALUE_INIT;

  gst_value_array_init (&array, n);
  for (guint i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    g_value_init (&value, type);
    if (type == G_TYPE_STRING)
      g_value_set_string (&value, i ? "b" : "a");
    gst_value_array_append_and_take_value (&array, &value);
  }
  gst_structure_take_value (structure, name, &array);
}

/* Takes @structure. */
static void
refuse (GstStructure *structure)
{
  TernResult read;

  if (gst_tern_result_from_structure (&read, structure))
    fail ("a result: %s", gst_structure_to_string (structure));
  gst_structure_free (structure);
}

static GstStructure *
without (TernResult values, const char *field)
{
  GstStructure *structure = to_structure (&values);

  fail_unless (gst_structure_has_field (structure, field));
  gst_structure_remove_field (structure, field);
  return structure;
}

/* Others make structures of this name, too. */
GST_START_TEST (test_refused)
{
  static const char *const of_labels[] = { "labels", "scores", "abstained" };
  static const char *const of_actions[] = { "actions", "action_steps", "action_rate" };
  TernResult result = answer ();
  GstStructure *s;
  const TernField *fields;
  guint i, n;

  fields = tern_result_fields (&n);
  for (i = 0; i < n; i++)
    if (fields[i].version == 1)
      refuse (without (plain (), fields[i].name));
  for (i = 0; i < G_N_ELEMENTS (of_labels); i++)
    refuse (without (answer (), of_labels[i]));
  for (i = 0; i < G_N_ELEMENTS (of_actions); i++)
    refuse (without (action (), of_actions[i]));

  s = to_structure (&result);
  set_array (s, "labels", 2, G_TYPE_STRING);     /* of three scores */
  refuse (s);
  s = to_structure (&result);
  set_array (s, "scores", 3, G_TYPE_FLOAT);
  refuse (s);
  s = to_structure (&result);
  set_array (s, "labels", 3, G_TYPE_INT);
  refuse (s);
  s = to_structure (&result);
  set_array (s, "labels", 0, G_TYPE_STRING);
  set_array (s, "scores", 0, G_TYPE_DOUBLE);
  refuse (s);
  s = to_structure (&result);
  gst_structure_set (s, "labels", G_TYPE_STRING, "yes,no", NULL);
  refuse (s);
  s = to_structure (&result);
  gst_structure_set (s, "abstained", G_TYPE_INT, 1, NULL);
  refuse (s);
  s = to_structure (&result);
  gst_structure_set (s, "running_time", G_TYPE_UINT, 1, NULL);
  refuse (s);
}
GST_END_TEST

GST_START_TEST (test_deepstack)
{
  GstTernTokenInfo info = { .dim = 6, .encoder_id = "e", .rate_n = 2, .rate_d = 1 }, found;
  GstCaps *caps = gst_tern_token_info_to_caps (&info);

  fail_if (gst_structure_has_field (gst_caps_get_structure (caps, 0), "deepstack"));
  fail_unless (gst_tern_token_info_from_caps (&found, caps));
  assert_equals_int (found.deepstack, 0);
  gst_caps_unref (caps);
  info.deepstack = 2;
  caps = gst_tern_token_info_to_caps (&info);
  fail_unless (gst_tern_token_info_from_caps (&found, caps));
  assert_equals_int (found.deepstack, 2);
  assert_equals_int (found.dim, 6);
  gst_caps_set_simple (caps, "deepstack", G_TYPE_INT, 3, NULL);         /* four parts of six numbers */
  fail_if (gst_tern_token_info_from_caps (&found, caps));
  gst_caps_unref (caps);
}
GST_END_TEST

/* One result of each source: the next one of the same takes its place. */
GST_START_TEST (test_sources)
{
  static const struct
  {
    const char *source, *text, *all;
  } steps[] = {
    { "a", "one", "a one " }, { "b", "two", "a one b two " }, { "a", "three", "a three b two " },
    { "c", "four", "a three b two c four " }, { "b", "five", "a three b five c four " },
  };
  GstBuffer *buffer = gst_buffer_new ();
  GstCustomMeta *meta;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autoptr (GString) all = g_string_new (NULL);
    const GstStructure *found;
    TernResult values = plain ();
    gpointer state = NULL;
    GstStructure *structure;

    values.source = steps[i].source;
    values.result = steps[i].text;
    structure = to_structure (&values);
    gst_tern_buffer_set_result (buffer, structure);
    gst_structure_free (structure);
    while ((found = gst_tern_buffer_next_result (buffer, &state)))
      g_string_append_printf (all, "%s %s ", gst_structure_get_string (found, "source"),
          gst_structure_get_string (found, "result"));
    fail_unless_equals_string (all->str, steps[i].all);
  }
  /* What applications are told to ask for. */
  meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");
  fail_unless (gst_custom_meta_get_structure (meta) == gst_tern_buffer_get_result (buffer));
  fail_unless_equals_string (gst_structure_get_string (gst_custom_meta_get_structure (meta), "source"), "a");
  gst_buffer_unref (buffer);
}
GST_END_TEST

int
main (int argc, char **argv)
{
  Suite *suite = suite_create ("meta");
  TCase *tc = tcase_create ("general");
  SRunner *runner;
  int failed;

  g_setenv ("CK_TAP_LOG_FILE_NAME", "-", TRUE);
  gst_check_init (&argc, &argv);
  gst_tern_meta_register ();
  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_same);
  tcase_add_test (tc, test_version);
  tcase_add_test (tc, test_refused);
  tcase_add_test (tc, test_sources);
  tcase_add_test (tc, test_deepstack);
  runner = srunner_create (suite);
  srunner_run_all (runner, CK_SILENT);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);
  return failed > 0;
}
