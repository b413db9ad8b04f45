/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result table and what it spells. */
#include <json-glib/json-glib.h>
#include <locale.h>
#include <string.h>

#include "tern/result-priv.h"

static TernResult *
sample (const char *text)
{
  TernResult values = { .kind = "caption", .id = G_GUINT64_CONSTANT (18446744073709551614), .result = text,
    .running_time = TERN_TIME_NONE, .utc = TERN_TIME_NONE, .timestamp = 1500000000, .timestamp_seconds = 1.5, .start = 1.5,
    .end = 4, .finish_reason = "stop",
    .confidence = .25, .frames = 8, .visual_in = 392, .visual_kept = 182, .prompt_tokens = 220, .generated_tokens = 9,
    .has_metrics = TRUE, .metrics = { .prefill_ms = 12.5, .kv_kept = .65, .kv_pruned_layers = 2, .kv_selections = 7 } };

  return tern_result_new (&values);
}

static JsonObject *
parse (const TernResult *result, JsonParser **parser)
{
  g_autofree char *json = tern_result_to_json (result);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_utf8_validate (json, -1, NULL));
  g_assert_null (strchr (json, '\n'));
  *parser = json_parser_new ();
  json_parser_load_from_data (*parser, json, -1, &error);
  g_assert_no_error (error);
  return json_node_get_object (json_parser_get_root (*parser));
}

static void
test_json (void)
{
  g_autoptr (TernResult) result = sample ("a \"dog\"\\cat\n\t\x01 caf\xc3\xa9");
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *object = parse (result, &parser), *metrics;
  g_autoptr (GList) names = json_object_get_members (object);
  guint n = 0;
  const TernField *fields = tern_result_fields (&n);

  g_assert_cmpstr (json_object_get_string_member (object, "result"), ==, "a \"dog\"\\cat\n\t\x01 caf\xc3\xa9");
  g_assert_cmpstr (json_object_get_string_member (object, "source"), ==, "");
  g_assert_cmpint (json_object_get_int_member (object, "timestamp"), ==, 1500000000);
  g_assert_cmpfloat (json_object_get_double_member (object, "start"), ==, 1.5);
  g_assert_cmpfloat (json_object_get_double_member (object, "end"), ==, 4);
  g_assert_cmpfloat (json_object_get_double_member (object, "confidence"), ==, .25);
  g_assert_cmpint (json_object_get_int_member (object, "visual_kept"), ==, 182);

  /* Every field of the first version, in the order of the table, then the metrics. */
  for (guint i = 0; i < n; i++)
    if (fields[i].version == 1)
      g_assert_cmpstr (g_list_nth_data (names, i), ==, fields[i].name);
    else
      g_assert_false (tern_result_has_field (result, &fields[i]));
  g_assert_cmpstr (g_list_last (names)->data, ==, "metrics");
  g_assert_cmpint (json_object_get_int_member (object, "version"), ==, 1);
  metrics = json_object_get_object_member (object, "metrics");
  g_assert_cmpfloat (json_object_get_double_member (metrics, "kv_kept"), ==, .65);
  g_assert_cmpint (json_object_get_int_member (metrics, "kv_pruned_layers"), ==, 2);
  g_assert_cmpint (json_object_get_int_member (metrics, "kv_selections"), ==, 7);
  g_assert_cmpint (json_object_get_int_member (metrics, "num_input_tokens"), ==, 220);
  g_assert_cmpint (json_object_get_int_member (metrics, "num_generated_tokens"), ==, 9);
}

static void
test_invalid_utf8 (void)
{
  g_autoptr (TernResult) result = sample ("ok \xff\xc3 \xed\xa0\x80 end");
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *object = parse (result, &parser);

  g_assert_true (g_utf8_validate (result->result, -1, NULL));
  g_assert_true (g_str_has_suffix (json_object_get_string_member (object, "result"), " end"));
}

static void
test_locale (void)
{
  static const char *const with_comma[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8" };
  g_autoptr (TernResult) result = sample ("x");
  g_autoptr (JsonParser) parser = NULL;
  gboolean set = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (with_comma) && !set; i++)
    set = setlocale (LC_NUMERIC, with_comma[i]) != NULL;
  if (!set) {
    g_test_skip ("no locale with a decimal comma is installed");
    return;
  }
  g_assert_cmpfloat (json_object_get_double_member (parse (result, &parser), "start"), ==, 1.5);
  setlocale (LC_NUMERIC, "C");
}

static void
test_fields (void)
{
  guint n = 0;
  const TernField *fields = tern_result_fields (&n);
  static const char *const wanted[] = {
    "version", "kind", "id", "source", "result", "timestamp", "timestamp_seconds", "start", "end", "prompt_id", "prompt",
    "model", "finish_reason", "confidence", "frames", "visual_in", "visual_kept", "prompt_tokens", "generated_tokens",
  };

  g_assert_cmpuint (n, >=, G_N_ELEMENTS (wanted));
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (fields[i].version, ==, i < G_N_ELEMENTS (wanted) ? 1 : 2);
  for (guint i = 0; i < n; i++) {
    if (i < G_N_ELEMENTS (wanted))
      g_assert_cmpstr (fields[i].name, ==, wanted[i]);
    g_assert_true (*fields[i].meaning);
    g_assert_cmpuint (fields[i].offset, <, sizeof (TernResult));
  }
  fields = tern_metrics_fields (&n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (fields[i].offset, <, sizeof (TernMetrics));
}

/* Each type of the second version, and that a result owns what it has. */
static void
test_later (void)
{
  char *labels[] = { g_strdup ("yes"), g_strdup ("n\"o\xff"), NULL }, *names[] = { g_strdup ("x"), NULL };
  double scores[] = { .75, .25 }, actions[] = { 1, -2.5, 1e-9 }, spans[] = { 0, 1.5, 7, 8 };
  TernResult values = { .kind = "answer", .running_time = 0, .utc = G_GUINT64_CONSTANT (1764337000123456789),
    .labels = (const char *const *) labels, .scores = scores, .n_labels = 2, .abstained = TRUE, .ask_id = 3,
    .actions = actions, .n_actions = 3, .action_steps = 3, .action_rate = 29.97, .action_space = "arm",
    .action_names = (const char *const *) names, .memory_spans = spans, .n_memory_spans = 4 };
  g_autoptr (TernResult) result = tern_result_new (&values);
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *object;
  JsonArray *array;
  guint n;
  const TernField *fields = tern_result_fields (&n);

  for (guint i = 0; labels[i]; i++)
    g_free (labels[i]);
  g_free (names[0]);
  scores[0] = actions[0] = spans[1] = 9;
  g_assert_cmpuint (result->version, ==, 2);
  object = parse (result, &parser);
  for (guint i = 0; i < n; i++)
    g_assert_true (json_object_has_member (object, fields[i].name));
  g_assert_cmpint (json_object_get_int_member (object, "version"), ==, 2);
  array = json_object_get_array_member (object, "labels");
  g_assert_cmpuint (json_array_get_length (array), ==, 2);
  g_assert_cmpstr (json_array_get_string_element (array, 1), ==, "n\"o\xef\xbf\xbd");
  array = json_object_get_array_member (object, "scores");
  g_assert_cmpuint (json_array_get_length (array), ==, 2);
  g_assert_cmpfloat (json_array_get_double_element (array, 0), ==, .75);
  g_assert_true (json_object_get_boolean_member (object, "abstained"));
  g_assert_cmpint (json_object_get_int_member (object, "ask_id"), ==, 3);
  array = json_object_get_array_member (object, "actions");
  g_assert_cmpuint (json_array_get_length (array), ==, 3);
  g_assert_cmpfloat (json_array_get_double_element (array, 0), ==, 1);
  g_assert_cmpfloat (json_array_get_double_element (array, 2), ==, 1e-9);
  array = json_object_get_array_member (object, "memory_spans");
  g_assert_cmpuint (json_array_get_length (array), ==, 4);
  g_assert_cmpfloat (json_array_get_double_element (array, 1), ==, 1.5);
  g_assert_cmpint (json_object_get_int_member (object, "action_steps"), ==, 3);
  g_assert_cmpfloat (json_object_get_double_member (object, "action_rate"), ==, 29.97);
  g_assert_cmpstr (json_object_get_string_member (object, "action_space"), ==, "arm");
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (object, "action_names")), ==, 1);
  g_assert_cmpint (json_object_get_int_member (object, "running_time"), ==, 0);
  g_assert_cmpint (json_object_get_int_member (object, "utc"), ==, G_GINT64_CONSTANT (1764337000123456789));
}

/* What says nothing is left out, and does not raise the version. */
static void
test_left_out (void)
{
  static const double actions[] = { 1 };
  static const char *const labels[] = { "a", "b", NULL };
  TernResult values = { .kind = "action", .running_time = TERN_TIME_NONE, .utc = TERN_TIME_NONE, .labels = labels,
    .abstained = TRUE, .action_rate = 3 };
  g_autoptr (TernResult) none = tern_result_new (&values);      /* labels and a rate, of nothing */
  g_autoptr (TernResult) nameless = NULL;
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *object;

  g_assert_cmpuint (none->version, ==, 1);
  g_assert_cmpuint (json_object_get_size (parse (none, &parser)), ==, 19);
  g_clear_object (&parser);

  values.actions = actions;
  values.n_actions = values.action_steps = 1;
  nameless = tern_result_new (&values);
  object = parse (nameless, &parser);
  g_assert_cmpint (json_object_get_int_member (object, "version"), ==, 2);
  g_assert_false (json_object_has_member (object, "action_names"));
  g_assert_cmpstr (json_object_get_string_member (object, "action_space"), ==, "");
  g_assert_false (json_object_has_member (object, "labels"));
  g_assert_false (json_object_has_member (object, "running_time"));
}

/* Who changes a copy need not know of versions. */
static void
test_changed (void)
{
  g_autoptr (TernResult) result = sample ("x");
  TernResult copy = *result;
  g_autoptr (JsonParser) parser = NULL;

  copy.utc = 0;
  g_assert_cmpuint (tern_result_version (&copy), ==, 2);
  g_assert_cmpint (json_object_get_int_member (parse (&copy, &parser), "version"), ==, 2);
}

/* docs/metadata.md has each field with its type. */
static void
test_documented (void)
{
  static const char *const types[] = { [TERN_FIELD_UINT] = "uint", [TERN_FIELD_UINT64] = "uint64",
    [TERN_FIELD_DOUBLE] = "double", [TERN_FIELD_STRING] = "string", [TERN_FIELD_BOOLEAN] = "boolean",
    [TERN_FIELD_STRINGS] = "array of string", [TERN_FIELD_DOUBLES] = "array of double" };
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint n;
  const TernField *fields = tern_result_fields (&n);

  g_assert_true (g_file_get_contents (TERN_METADATA_DOC, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf ("`%s`", fields[i].name);
    gboolean found = FALSE;

    for (guint l = 0; lines[l] && !found; l++) {
      g_auto (GStrv) cells = g_strsplit (lines[l], "|", -1);

      found = g_strv_length (cells) > 3 && strstr (cells[1], name) && g_str_equal (g_strstrip (cells[2]), types[fields[i].type]);
    }
    if (!found)
      g_error ("docs/metadata.md: no row for %s of type %s", name, types[fields[i].type]);
  }
}

static void
test_references (void)
{
  TernResult *result = sample ("x");

  g_assert_true (tern_result_ref (result) == result);
  tern_result_unref (result);
  g_assert_cmpstr (result->result, ==, "x");
  tern_result_unref (result);
  tern_result_unref (NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/result/json", test_json);
  g_test_add_func ("/result/invalid-utf8", test_invalid_utf8);
  g_test_add_func ("/result/locale", test_locale);
  g_test_add_func ("/result/fields", test_fields);
  g_test_add_func ("/result/later", test_later);
  g_test_add_func ("/result/left-out", test_left_out);
  g_test_add_func ("/result/changed", test_changed);
  g_test_add_func ("/result/documented", test_documented);
  g_test_add_func ("/result/references", test_references);
  return g_test_run ();
}
