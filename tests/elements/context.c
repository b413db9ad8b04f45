/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model that the application has opened: handed over by a context, shared, given back. */
#include "harness.h"

#include "tern/tern.h"

#define CALL(name) ((__typeof__ (&name)) fake_function (#name))

static TernModel *
open_model (TernModelParts parts)
{
  TernModelParams params = TERN_MODEL_PARAMS_INIT;
  GError *error = NULL;
  TernModel *model;

  params.model_path = model_path;
  params.mmproj_path = mmproj_path;
  params.parts = parts;
  model = CALL (tern_model_open) (&params, &error);
  fail_unless (model != NULL, "%s", error ? error->message : "");
  return model;
}

static GstContext *
context_of (TernModel *model)
{
  GstContext *context = gst_context_new ("tern.model", TRUE);
  GType type = g_type_from_name ("TernModel");

  fail_unless (type != 0);
  gst_structure_set (gst_context_writable_structure (context), "model", type, model, NULL);
  return context;
}

/* Set before the element starts. */
GST_START_TEST (test_given)
{
  GstHarness *h = gst_harness_new ("terngenerator");
  TernModel *model = open_model (TERN_MODEL_TEXT | TERN_MODEL_VISION);
  GstContext *context = context_of (model);
  g_autofree char *caps = token_caps (mmproj_path);
  GstElement *element = gst_object_ref (h->element);

  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_element_set_context (element, context);
  gst_context_unref (context);
  gst_harness_play (h);
  gst_harness_set_src_caps_str (h, caps);
  push_tokens (h, 0, 9);
  gst_buffer_unref (pull_result (h));
  gst_harness_teardown (h);
  gst_object_unref (element);
  CALL (tern_model_unref) (model);
}
GST_END_TEST;

static GstBusSyncReply
answer_context (GstBus *bus, GstMessage *message, gpointer model)
{
  const gchar *type;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_NEED_CONTEXT && gst_message_parse_context_type (message, &type)
      && g_str_equal (type, "tern.model")) {
    GstContext *context = context_of (model);

    gst_element_set_context (GST_ELEMENT (GST_MESSAGE_SRC (message)), context);
    gst_context_unref (context);
  }
  return GST_BUS_PASS;
}

/* Asked for on the bus, by both elements that load, through the bin. */
GST_START_TEST (test_asked_for)
{
  GstElement *pipeline = gst_parse_launch ("videotestsrc num-buffers=20 ! video/x-raw, framerate=2/1, width=16, height=16"
      " ! terncaption name=c ! fakesink sync=false", NULL);
  TernModel *model = open_model (TERN_MODEL_TEXT | TERN_MODEL_VISION);
  GstBus *bus = gst_element_get_bus (pipeline);
  gboolean end = FALSE;
  guint results = 0;

  gst_bus_set_sync_handler (bus, answer_context, model, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!end) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);

    fail_unless (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR, "%" GST_PTR_FORMAT, message);
    results += gst_message_has_name (message, "tern-result");
    end = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    gst_message_unref (message);
  }
  fail_unless_equals_int (results, 3);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  CALL (tern_model_unref) (model);
}
GST_END_TEST;

/* A model without what the element needs. */
GST_START_TEST (test_lacking)
{
  GstElement *element = gst_element_factory_make ("terngenerator", NULL);
  TernModel *model = open_model (TERN_MODEL_VISION);
  GstContext *context = context_of (model);
  GstBus *bus = watch (element);

  gst_element_set_context (element, context);
  gst_context_unref (context);
  gst_element_set_state (element, GST_STATE_PAUSED);
  expect_error (bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (element);
  CALL (tern_model_unref) (model);
}
GST_END_TEST;

typedef struct {
  GMutex lock;
  GCond changed;
  GThread *starter;
  gboolean stops;               /* who hears of it, there and then */
  gboolean heard, over;
} Hearing;

/* What the thread that loads says last: it takes a while to hear it. */
static GstBusSyncReply
hear_slowly (GstBus *bus, GstMessage *message, gpointer data)
{
  Hearing *hearing = data;
  GstProgressType type = GST_PROGRESS_TYPE_START;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_PROGRESS)
    gst_message_parse_progress (message, &type, NULL, NULL);
  if (type != GST_PROGRESS_TYPE_COMPLETE && type != GST_PROGRESS_TYPE_ERROR)
    return GST_BUS_PASS;
  fail_unless (g_thread_self () != hearing->starter);
  if (hearing->stops)
    gst_element_set_state (GST_ELEMENT (GST_MESSAGE_SRC (message)), GST_STATE_NULL);
  g_mutex_lock (&hearing->lock);
  hearing->heard = TRUE;
  g_cond_broadcast (&hearing->changed);
  g_mutex_unlock (&hearing->lock);
  g_usleep (hearing->stops ? 0 : 300000);
  g_mutex_lock (&hearing->lock);
  hearing->over = TRUE;
  g_cond_broadcast (&hearing->changed);
  g_mutex_unlock (&hearing->lock);
  return GST_BUS_PASS;
}

/* Nothing is said on the bus of a bin that is stopped: it may be gone, as a camera's that failed while its model came. 0: loaded;
 * 1: not; 2: who hears of it stops it himself. */
GST_START_TEST (test_stopped_while_told)
{
  Hearing hearing = { .starter = g_thread_self (), .stops = __i__ == 2 };
  GstElement *pipeline = gst_pipeline_new (NULL), *element = gst_element_factory_make ("terngenerator", NULL);
  TernModel *model = open_model (__i__ == 1 ? TERN_MODEL_VISION : TERN_MODEL_TEXT | TERN_MODEL_VISION);
  GstContext *context = context_of (model);
  GstBus *bus = gst_element_get_bus (pipeline);

  g_mutex_init (&hearing.lock);
  g_cond_init (&hearing.changed);
  gst_bin_add (GST_BIN (pipeline), element);
  gst_element_set_context (element, context);
  gst_context_unref (context);
  gst_bus_set_sync_handler (bus, hear_slowly, &hearing, NULL);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  g_mutex_lock (&hearing.lock);
  while (!hearing.heard)
    g_cond_wait (&hearing.changed, &hearing.lock);
  g_mutex_unlock (&hearing.lock);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_mutex_lock (&hearing.lock);
  fail_unless (hearing.over || hearing.stops);
  while (!hearing.over)
    g_cond_wait (&hearing.changed, &hearing.lock);
  g_mutex_unlock (&hearing.lock);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  CALL (tern_model_unref) (model);
  g_mutex_clear (&hearing.lock);
  g_cond_clear (&hearing.changed);
}
GST_END_TEST;

static Suite *
context_suite (void)
{
  Suite *suite = suite_create ("context");
  TCase *cases = tcase_create ("context");

  suite_add_tcase (suite, cases);
  tcase_add_test (cases, test_given);
  tcase_add_test (cases, test_asked_for);
  tcase_add_test (cases, test_lacking);
  tcase_add_loop_test (cases, test_stopped_while_told, 0, 3);
  return suite;
}

int
main (void)
{
  return run_suite (context_suite ());
}
