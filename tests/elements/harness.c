/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <string.h>
#include <glib/gstdio.h>

char *model_path, *mmproj_path, *other_model_path;

static char *
write_file (const char *folder, const char *sub, const char *name, const char *text)
{
  g_autofree char *dir = g_build_filename (folder, sub, NULL);
  char *path = g_build_filename (dir, name, NULL);

  g_mkdir_with_parents (dir, 0700);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

int
run_suite (Suite *suite)
{
  g_autofree char *folder = g_dir_make_tmp ("tern-elements-XXXXXX", NULL);
  g_autofree char *other_mmproj = NULL;
  SRunner *runner;
  int failed;

  g_setenv ("CK_TAP_LOG_FILE_NAME", "-", TRUE);
  gst_check_init (NULL, NULL);
  model_path = write_file (folder, "a", "text.gguf", "GGUF, a text model");
  mmproj_path = write_file (folder, "a", "mmproj-a.gguf", "GGUF, encoder a");
  other_model_path = write_file (folder, "b", "text.gguf", "GGUF, another text model");
  other_mmproj = write_file (folder, "b", "mmproj-b.gguf", "GGUF, encoder b");
  g_setenv ("TERN_MODEL_PATH", model_path, TRUE);

  runner = srunner_create (suite);
  srunner_run_all (runner, CK_SILENT);
  failed = srunner_ntests_failed (runner);
  srunner_free (runner);

  g_unlink (model_path);
  g_unlink (mmproj_path);
  g_unlink (other_model_path);
  g_unlink (other_mmproj);
  for (const char *const *sub = (const char *[]) { "a", "b", NULL }; *sub; sub++) {
    g_autofree char *dir = g_build_filename (folder, *sub, NULL);

    g_rmdir (dir);
  }
  g_rmdir (folder);
  g_free (model_path);
  g_free (mmproj_path);
  g_free (other_model_path);
  return failed != 0;
}

static gboolean
file_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY) {
    gst_query_set_latency (query, FALSE, 0, GST_CLOCK_TIME_NONE);
    return TRUE;
  }
  return gst_pad_query_default (pad, parent, query);
}

GstHarness *
file_harness (const char *launch, const char *sink, const char *src)
{
  GstElement *element = gst_parse_launch (launch, NULL);
  GstHarness *h;

  fail_unless (element != NULL);
  h = gst_harness_new_with_element (element, sink, src);
  gst_object_unref (element);
  gst_pad_set_query_function (h->srcpad, file_query);
  return h;
}

GstHarness *
chain_harness (const char *launch)
{
  GstElement *bin = gst_parse_bin_from_description (launch, TRUE, NULL);

  fail_unless (bin != NULL);
  return bin_harness (bin);
}

GstHarness *
bin_harness (GstElement *bin)
{
  GstHarness *h;

  h = gst_harness_new_with_element (bin, "sink", "src");
  gst_object_unref (bin);
  gst_pad_set_query_function (h->srcpad, file_query);
  return h;
}

GstBus *
watch (GstElement *element)
{
  GstBus *bus = gst_bus_new ();

  gst_element_set_bus (element, bus);
  return bus;
}

void
unwatch (GstBus *bus)
{
  gst_bus_set_flushing (bus, TRUE);
  gst_object_unref (bus);
}

guint
count_messages (GstBus *bus, GstMessageType types)
{
  GstMessage *message;
  guint n = 0;

  while ((message = gst_bus_pop_filtered (bus, types))) {
    gst_message_unref (message);
    n++;
  }
  return n;
}

GstMessage *
wait_message (GstBus *bus, GstMessageType types)
{
  GstMessage *message = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE, types);

  fail_unless (message != NULL, "no such message");
  return message;
}

void
expect_error (GstBus *bus, GQuark domain, gint code)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_ERROR);
  GError *error = NULL;
  char *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  fail_unless (error->domain == domain && error->code == code, "%s %d: %s (%s)", g_quark_to_string (error->domain),
      error->code, error->message, debug);
  g_error_free (error);
  g_free (debug);
  gst_message_unref (message);
}

gpointer
fake_function (const char *name)
{
  GstPlugin *plugin = gst_registry_find_plugin (gst_registry_get (), "tern");
  gpointer function = NULL;
  GModule *module;

  fail_unless (plugin != NULL);
  module = g_module_open (gst_plugin_get_filename (plugin), 0);
  fail_unless (module && g_module_symbol (module, name, &function), "%s: %s", name, g_module_error ());
  gst_object_unref (plugin);
  return function;
}

void
fake_hold_work (TernFakeWork what, gboolean hold)
{
  ((__typeof__ (&tern_fake_hold)) fake_function ("tern_fake_hold")) (what, hold);
}

guint
fake_begun_work (TernFakeWork what)
{
  return ((__typeof__ (&tern_fake_begun)) fake_function ("tern_fake_begun")) (what);
}

void
fake_wait_work (TernFakeWork what, guint n)
{
  ((__typeof__ (&tern_fake_wait_begun)) fake_function ("tern_fake_wait_begun")) (what, n);
}

void
fake_hold (gboolean hold)
{
  fake_hold_work (TERN_FAKE_ANSWERS, hold);
}

guint
fake_begun (void)
{
  return fake_begun_work (TERN_FAKE_ANSWERS);
}

void
fake_wait_begun (guint n)
{
  fake_wait_work (TERN_FAKE_ANSWERS, n);
}

guint
fake_forms (void)
{
  return ((__typeof__ (&tern_fake_forms)) fake_function ("tern_fake_forms")) ();
}

void
fake_hold_forms (gboolean hold)
{
  ((__typeof__ (&tern_fake_hold_forms)) fake_function ("tern_fake_hold_forms")) (hold);
}

void
fake_wait_forms (void)
{
  ((__typeof__ (&tern_fake_wait_forms)) fake_function ("tern_fake_wait_forms")) ();
}

GstBuffer *
make_frame (GstClockTime pts, GstClockTime duration, guint8 value)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 16 * 16 * 3, NULL);

  gst_buffer_memset (buffer, 0, value, 16 * 16 * 3);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  return buffer;
}

char *
token_caps (const char *mmproj)
{
  g_autofree char *bytes = NULL, *id = NULL;

  fail_unless (g_file_get_contents (mmproj, &bytes, NULL, NULL));
  id = g_compute_checksum_for_string (G_CHECKSUM_MD5, bytes, -1);
  return g_strdup_printf ("tensor/strided, tensor-id = (string) visual-tokens, type = (string) float32, "
      "embedding-dim = 8, encoder-id = (string) %s, group = 4, framerate = 2/1, frame-tokens = 16", id);
}

GstBuffer *
make_tokens (guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 16 * 8 * sizeof (float), NULL);
  GstStructure *s = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "TernTokenMeta"));

  gst_buffer_memset (buffer, 0, 0, 16 * 8 * sizeof (float));
  gst_structure_set (s, "number", G_TYPE_UINT64, number, "grid-width", G_TYPE_UINT, 4, "grid-height", G_TYPE_UINT, 4,
      "n-tokens", G_TYPE_UINT, 16, NULL);
  GST_BUFFER_PTS (buffer) = number * MS (500);
  GST_BUFFER_DURATION (buffer) = MS (500);
  return buffer;
}

guint64
token_number (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernTokenMeta");
  guint64 number = G_MAXUINT64;

  fail_unless (meta != NULL);
  gst_structure_get_uint64 (gst_custom_meta_get_structure (meta), "number", &number);
  return number;
}

char *
pull_text (GstHarness *h, GstClockTime pts, GstClockTime duration)
{
  GstBuffer *buffer = gst_harness_pull (h);
  char *text;
  gsize size;

  fail_unless (buffer != NULL, "no text");
  fail_unless_equals_uint64 (GST_BUFFER_PTS (buffer), pts);
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (buffer), duration);
  size = gst_buffer_get_size (buffer);
  text = g_malloc0 (size + 1);
  gst_buffer_extract (buffer, 0, text, size);
  gst_buffer_unref (buffer);
  return text;
}

GstHarness *
start_generator (const char *launch)
{
  GstHarness *h = file_harness (launch, "sink", "src");
  g_autofree char *caps = token_caps (mmproj_path);

  gst_harness_set_src_caps_str (h, caps);
  return h;
}

void
push_tokens (GstHarness *h, guint64 from, guint64 end)
{
  guint64 i;

  for (i = from; i < end; i++)
    fail_unless_equals_int (gst_harness_push (h, make_tokens (i)), GST_FLOW_OK);
}

GstBuffer *
pull_result (GstHarness *h)
{
  GstBuffer *buffer = gst_harness_pull (h);

  fail_unless (buffer != NULL, "no text");
  return buffer;
}

const char *
result_string (GstBuffer *buffer, const char *field)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");

  fail_unless (meta != NULL);
  return gst_structure_get_string (gst_custom_meta_get_structure (meta), field);
}

static const GstStructure *
result_of (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "TernResultMeta");

  fail_unless (meta != NULL);
  return gst_custom_meta_get_structure (meta);
}

guint64
result_uint64 (GstBuffer *buffer, const char *field)
{
  guint64 value = 0;

  fail_unless (gst_structure_get_uint64 (result_of (buffer), field, &value), "%s", field);
  return value;
}

gboolean
result_has (GstBuffer *buffer, const char *field)
{
  return gst_structure_has_field (result_of (buffer), field);
}

void
push_bright_tokens (GstHarness *h, guint64 from, guint64 end, float value)
{
  guint64 i;

  for (i = from; i < end; i++) {
    GstBuffer *buffer = make_tokens (i);

    gst_buffer_fill (buffer, 0, &value, sizeof value);
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_OK);
  }
}

GstStructure *
wait_result (GstBus *bus)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_ELEMENT);
  GstStructure *result;

  fail_unless (gst_message_has_name (message, "tern-result"));
  result = gst_structure_copy (gst_message_get_structure (message));
  gst_message_unref (message);
  return result;
}

void
expect_refusal (GstBus *bus, const char *const *words)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_WARNING);
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  gst_message_parse_warning (message, &error, &debug);
  fail_unless (g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS), "%s (%s)", error->message, debug);
  for (; *words; words++)
    fail_unless (strstr (debug, *words) != NULL, "no \"%s\" in %s", *words, debug);
  gst_message_unref (message);
}

void
expect_no_warning (GstBus *bus)
{
  GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);

  fail_unless (message == NULL, "%" GST_PTR_FORMAT, message);
}

void
expect_value (gpointer object, const char *name, const char *expected)
{
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (object), name);
  g_autofree char *text = NULL;
  GValue value = G_VALUE_INIT;

  fail_unless (spec != NULL, "%s", name);
  g_value_init (&value, spec->value_type);
  g_object_get_property (object, name, &value);
  if (!G_VALUE_HOLDS_STRING (&value))
    text = gst_value_serialize (&value);
  else
    text = g_value_dup_string (&value);
  fail_unless (g_strcmp0 (text, expected) == 0, "%s: expected %s, found %s", name, expected, text);
  g_value_unset (&value);
}

char *
events_until (GstHarness *h, GstEventType last)
{
  GString *all = g_string_new (NULL);
  gboolean done = FALSE;
  GstEvent *event;

  while (!done && (event = gst_harness_pull_event (h))) {
    done = GST_EVENT_TYPE (event) == last;
    if (GST_EVENT_TYPE (event) == GST_EVENT_GAP) {
      GstClockTime pts, duration;

      gst_event_parse_gap (event, &pts, &duration);
      g_string_append_printf (all, "gap %u+%u ", (guint) (pts / GST_MSECOND), (guint) (duration / GST_MSECOND));
    } else if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_DOWNSTREAM) {
      g_string_append_printf (all, "%s ", gst_structure_get_name (gst_event_get_structure (event)));
    } else if (GST_EVENT_TYPE (event) != GST_EVENT_CUSTOM_DOWNSTREAM_OOB) {
      g_string_append_printf (all, "%s ", GST_EVENT_TYPE_NAME (event));
    }
    gst_event_unref (event);
  }
  return g_string_free (all, FALSE);
}

/* ---- Gates ---- */

void
gate_init (Gate *gate, GstFlowReturn flow)
{
  *gate = (Gate) { .flow = flow };
  g_mutex_init (&gate->lock);
  g_cond_init (&gate->cond);
}

void
gate_clear (Gate *gate)
{
  g_mutex_clear (&gate->lock);
  g_cond_clear (&gate->cond);
}

GstPadProbeReturn
wait_at_gate (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Gate *gate = data;

  g_mutex_lock (&gate->lock);
  gate->arrived = TRUE;
  g_cond_broadcast (&gate->cond);
  while (!gate->go)
    g_cond_wait (&gate->cond, &gate->lock);
  g_mutex_unlock (&gate->lock);
  gst_clear_buffer ((GstBuffer **) &info->data);
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = gate->flow;
  return GST_PAD_PROBE_HANDLED;
}

void
wait_for_arrival (Gate *gate)
{
  g_mutex_lock (&gate->lock);
  while (!gate->arrived)
    g_cond_wait (&gate->cond, &gate->lock);
  g_mutex_unlock (&gate->lock);
}

void
open_gate (Gate *gate)
{
  g_mutex_lock (&gate->lock);
  gate->go = TRUE;
  g_cond_broadcast (&gate->cond);
  g_mutex_unlock (&gate->lock);
}

void
add_ghost (GstElement *bin, const char *name, const char *child, const char *pad)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (bin), child);
  GstPad *target = gst_element_get_static_pad (element, pad);

  fail_unless (gst_element_add_pad (bin, gst_ghost_pad_new (name, target)));
  gst_object_unref (target);
  gst_object_unref (element);
}

void
expect_warning_of (GstBus *bus, const char *words)
{
  GstMessage *message = wait_message (bus, GST_MESSAGE_WARNING);
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  gst_message_parse_warning (message, &error, &debug);
  fail_unless (strstr (error->message, words) || strstr (debug, words), "%s (%s)", error->message, debug);
  gst_message_unref (message);
}
