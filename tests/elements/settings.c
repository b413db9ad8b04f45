/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Settings of terngenerator: what is in force is what is read back; prompts; ranges. */
#include "harness.h"

#include <sys/stat.h>
#include <glib/gstdio.h>
#include "tern/tern.h"

/* The next window was asked @prompt, under @id. */
static void
expect_prompt (GstHarness *h, guint64 *number, const char *prompt, const char *id)
{
  GstBuffer *buffer;

  push_tokens (h, *number, *number + 8);
  *number += 8;
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "prompt"), prompt);
  fail_unless_equals_string (result_string (buffer, "prompt_id"), id);
  gst_buffer_unref (buffer);
}

static void
expect_property (gpointer object, const char *name, const char *expected)
{
  g_autofree char *value = NULL;

  g_object_get (object, name, &value, NULL);
  fail_unless (g_strcmp0 (value, expected) == 0, "%s: %s", name, value);
}

static void
expect_warning (GstBus *bus)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_WARNING);
  GError *error = NULL;

  gst_message_parse_warning (message, &error, NULL);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  g_error_free (error);
  gst_message_unref (message);
}

/* From the next window on; results say which prompt it was, with one id for one text; what is read back is in force. */
GST_START_TEST (test_prompt_while_playing)
{
  GstHarness *h = start_generator ("terngenerator prompt=one");
  g_autofree char *path = g_strconcat (model_path, ".prompt", NULL);
  g_autofree char *fifo = g_strconcat (model_path, ".fifo", NULL);
  g_autofree char *longest = g_strnfill (20000, 'x');
  GstBus *bus = watch (h->element);
  guint64 n = 0;

  expect_prompt (h, &n, "one", "0");
  g_object_set (h->element, "prompt", "one", NULL);
  expect_prompt (h, &n, "one", "0");
  g_object_set (h->element, "prompt", "two", NULL);
  expect_prompt (h, &n, "two", "1");

  /* The file instead, as it was when it was set, whatever else is set. */
  fail_unless (g_file_set_contents (path, "three\n", -1, NULL));
  g_object_set (h->element, "prompt-path", path, NULL);
  expect_property (h->element, "prompt", NULL);
  expect_property (h->element, "prompt-path", path);
  expect_prompt (h, &n, "three", "2");
  fail_unless (g_file_set_contents (path, "four\n", -1, NULL));
  g_object_set (h->element, "seed", (guint64) 5, NULL);
  expect_prompt (h, &n, "three", "2");
  g_unlink (path);
  g_object_set (h->element, "metrics", TRUE, "prompt", NULL, NULL);
  expect_prompt (h, &n, "three", "2");
  expect_no_warning (bus);

  /* What cannot be read, or is not taken, changes nothing. */
  g_object_set (h->element, "prompt-path", path, NULL);
  expect_warning (bus);
  g_object_set (h->element, "prompt-path", "/dev/zero", NULL);
  expect_warning (bus);
  fail_unless_equals_int (mkfifo (fifo, 0600), 0);
  g_object_set (h->element, "prompt-path", fifo, NULL);
  expect_warning (bus);
  g_unlink (fifo);
  g_object_set (h->element, "prompt", longest, NULL);
  expect_warning (bus);
  expect_property (h->element, "prompt-path", path);
  expect_property (h->element, "prompt", NULL);
  expect_prompt (h, &n, "three", "2");
  expect_no_warning (bus);

  g_object_set (h->element, "prompt", "one", NULL);
  expect_property (h->element, "prompt-path", NULL);
  expect_prompt (h, &n, "one", "0");
  g_object_set (h->element, "prompt", NULL, NULL);
  expect_prompt (h, &n, "default", "3");
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* What is fixed while it runs is refused and not read back; what the model does not take is not read back either. */
GST_START_TEST (test_fixed_properties)
{
  GstHarness *h = start_generator ("terngenerator window=4000000000 max-tokens=20");
  GstBus *bus = watch (h->element);
  guint64 window = 0;
  guint tokens = 0;
  gboolean think = TRUE;

  push_tokens (h, 0, 1);
  g_object_get (h->element, "think", &think, NULL);
  fail_unless (!think);
  g_object_set (h->element, "window", (guint64) 4000000000, NULL);
  expect_no_warning (bus);
  g_object_set (h->element, "window", (guint64) 8000000000, NULL);
  expect_warning (bus);
  g_object_get (h->element, "window", &window, NULL);
  fail_unless_equals_uint64 (window, 4000000000);
  g_object_set (h->element, "model-path", "/elsewhere", NULL);
  expect_warning (bus);
  expect_property (h->element, "model-path", NULL);

  g_object_set (h->element, "max-tokens", 50000, NULL);
  push_tokens (h, 1, 8);
  expect_warning (bus);
  g_object_get (h->element, "max-tokens", &tokens, NULL);
  fail_unless_equals_int (tokens, 20);
  g_object_set (h->element, "max-tokens", 30, "think", TRUE, NULL);
  push_tokens (h, 8, 16);
  g_object_get (h->element, "max-tokens", &tokens, "think", &think, NULL);
  fail_unless_equals_int (tokens, 30);
  fail_unless (think);
  expect_no_warning (bus);

  gst_element_set_state (h->element, GST_STATE_READY);
  g_object_set (h->element, "window", (guint64) 8000000000, NULL);
  g_object_get (h->element, "window", &window, NULL);
  fail_unless_equals_uint64 (window, 8000000000);
  expect_no_warning (bus);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

GST_START_TEST (test_prompt_errors)
{
  GstElement *element = gst_element_factory_make ("terngenerator", NULL);
  g_autofree char *fifo = g_strconcat (model_path, ".fifo", NULL);
  g_autofree char *large = g_strconcat (model_path, ".large", NULL);
  g_autofree char *longest = g_strnfill ((1 << 20) + 1, 'x');
  GstBus *bus = watch (element);

  g_object_set (element, "prompt", "a", "prompt-path", "/no/such/prompt", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  g_object_set (element, "prompt", NULL, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND);
  g_object_set (element, "prompt-path", "/dev/zero", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
  fail_unless (g_file_set_contents (large, longest, -1, NULL));
  g_object_set (element, "prompt-path", large, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
  g_unlink (large);
  g_object_set (element, "prompt-path", NULL, "prompt", "\xff", NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  /* A pipe nobody writes to is no model, and nobody waits for it. */
  fail_unless_equals_int (mkfifo (fifo, 0600), 0);
  g_object_set (element, "prompt", NULL, "model-path", fifo, NULL);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
  g_unlink (fifo);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (element);
}
GST_END_TEST

static const struct {
  const char *name;
  double min, max;
} property_ranges[] = {
  { "max-tokens", TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX },
  { "beam", TERN_BEAM_MIN, TERN_BEAM_MAX },
  { "temperature", 0, TERN_TEMPERATURE_MAX },
  { "top-k", 0, TERN_TOP_K_MAX },
  { "top-p", TERN_TOP_P_MIN, TERN_TOP_P_MAX },
  { "min-p", 0, TERN_MIN_P_MAX },
  { "repetition-penalty", TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX },
  { "kv-prune", 0, TERN_SHARE_MAX },
  { "window", TERN_WINDOW_MIN, (double) TERN_WINDOW_MAX },
  { "hop", 0, (double) TERN_HOP_MAX },
  { "threads", 0, TERN_THREADS_MAX },
};

/* What the library takes, no more and no less. */
GST_START_TEST (test_property_ranges)
{
  static const char *const elements[] = { "terngenerator", "terncaption" };
  guint e, i;

  for (e = 0; e < G_N_ELEMENTS (elements); e++) {
    GstElement *element = gst_element_factory_make (elements[e], NULL);

    for (i = 0; i < G_N_ELEMENTS (property_ranges); i++) {
      GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), property_ranges[i].name);
      double min, max;

      fail_unless (spec != NULL, "%s", property_ranges[i].name);
      if (G_IS_PARAM_SPEC_UINT (spec)) {
        min = G_PARAM_SPEC_UINT (spec)->minimum;
        max = G_PARAM_SPEC_UINT (spec)->maximum;
      } else if (G_IS_PARAM_SPEC_UINT64 (spec)) {
        min = (double) G_PARAM_SPEC_UINT64 (spec)->minimum;
        max = (double) G_PARAM_SPEC_UINT64 (spec)->maximum;
      } else if (G_IS_PARAM_SPEC_FLOAT (spec)) {
        min = G_PARAM_SPEC_FLOAT (spec)->minimum;
        max = G_PARAM_SPEC_FLOAT (spec)->maximum;
      } else {
        min = G_PARAM_SPEC_DOUBLE (spec)->minimum;
        max = G_PARAM_SPEC_DOUBLE (spec)->maximum;
      }
      fail_unless_equals_float (min, property_ranges[i].min);
      fail_unless_equals_float (max, property_ranges[i].max);
    }
    gst_object_unref (element);
  }
}
GST_END_TEST

static const char *const with_settings[] = { "ternencoder", "terncompressor", "terngenerator", "ternattach" };

static gboolean
set_to_end (GParamSpec *spec, GValue *value, gboolean max)
{
  g_value_init (value, spec->value_type);
  if (G_IS_PARAM_SPEC_UINT (spec))
    g_value_set_uint (value, max ? G_PARAM_SPEC_UINT (spec)->maximum : G_PARAM_SPEC_UINT (spec)->minimum);
  else if (G_IS_PARAM_SPEC_UINT64 (spec))
    g_value_set_uint64 (value, max ? G_PARAM_SPEC_UINT64 (spec)->maximum : G_PARAM_SPEC_UINT64 (spec)->minimum);
  else if (G_IS_PARAM_SPEC_FLOAT (spec))
    g_value_set_float (value, max ? G_PARAM_SPEC_FLOAT (spec)->maximum : G_PARAM_SPEC_FLOAT (spec)->minimum);
  else if (G_IS_PARAM_SPEC_DOUBLE (spec))
    g_value_set_double (value, max ? G_PARAM_SPEC_DOUBLE (spec)->maximum : G_PARAM_SPEC_DOUBLE (spec)->minimum);
  else if (G_IS_PARAM_SPEC_ENUM (spec))
    g_value_set_enum (value, max ? G_PARAM_SPEC_ENUM (spec)->enum_class->maximum
        : G_PARAM_SPEC_ENUM (spec)->enum_class->minimum);
  else if (GST_IS_PARAM_SPEC_FRACTION (spec))
    gst_value_set_fraction (value, max ? GST_PARAM_SPEC_FRACTION (spec)->max_num : GST_PARAM_SPEC_FRACTION (spec)->min_num,
        max ? GST_PARAM_SPEC_FRACTION (spec)->max_den : GST_PARAM_SPEC_FRACTION (spec)->min_den);
  else
    return FALSE;
  return TRUE;
}

/* Starts an element with @value, and lets it work; what it was given is what it has. */
static void
expect_accepted (const char *name, GParamSpec *spec, const GValue *value)
{
  gboolean frames = g_str_equal (name, "ternencoder") || g_str_equal (name, "ternattach");
  g_autofree char *tokens = token_caps (mmproj_path);
  g_autofree char *text = gst_value_serialize (value);
  g_autoptr (GString) caps = g_string_new (frames ? FRAME_CAPS : tokens);
  GstElement *element = gst_element_factory_make (name, NULL);
  GValue found = G_VALUE_INIT;
  GstMessage *message;
  GstHarness *h;
  GstBus *bus;

  /* At no rate of its own, so that every window can be planned. */
  g_string_replace (caps, "framerate = 2/1", "framerate = 0/1", 0);
  g_object_set_property (G_OBJECT (element), spec->name, value);
  bus = watch (element);
  h = gst_harness_new_with_element (element, "sink", "src");
  gst_object_unref (element);
  gst_harness_set_src_caps_str (h, caps->str);
  gst_harness_push (h, frames ? make_frame (0, MS (100), 0) : make_tokens (0));
  gst_harness_push_event (h, gst_event_new_eos ());
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING))) {
    g_autoptr (GError) error = NULL;
    g_autofree char *debug = NULL;

    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      gst_message_parse_error (message, &error, &debug);
    else
      gst_message_parse_warning (message, &error, &debug);
    /* The fake model has little context; that is none of the range. */
    fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT), "%s %s=%s: %s (%s)", name,
        spec->name, text, error->message, debug);
    gst_message_unref (message);
  }
  g_value_init (&found, spec->value_type);
  g_object_get_property (G_OBJECT (h->element), spec->name, &found);
  fail_unless_equals_int (g_param_values_cmp (spec, &found, value), 0);
  g_value_unset (&found);
  gst_object_unref (bus);
  gst_harness_teardown (h);
}

/* Both ends of every property are in the range that the library, whose checks are its own here too, takes. */
GST_START_TEST (test_ends_of_ranges)
{
  const char *name = with_settings[__i__];
  GstElement *element = gst_element_factory_make (name, NULL);
  guint n, i, tried = 0;
  GParamSpec **specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

  for (i = 0; i < 2 * n; i++) {
    GParamSpec *spec = specs[i / 2];
    GValue value = G_VALUE_INIT;

    if (!(spec->flags & G_PARAM_WRITABLE) || spec->owner_type != G_OBJECT_TYPE (element))
      continue;
    if (g_str_equal (spec->name, "budget-watts") && i % 2)     /* needs a machine with energy counters */
      continue;
    if (set_to_end (spec, &value, i % 2)) {
      expect_accepted (name, spec, &value);
      tried++;
    }
    g_value_unset (&value);
  }
  fail_unless (tried >= 4);
  g_free (specs);
  gst_object_unref (element);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("settings");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_prompt_while_playing);
  tcase_add_test (tc, test_fixed_properties);
  tcase_add_test (tc, test_prompt_errors);
  tcase_add_test (tc, test_property_ranges);
  tcase_add_loop_test (tc, test_ends_of_ranges, 0, G_N_ELEMENTS (with_settings));
  return run_suite (suite);
}
