/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each way to use a property, structure, pad, model or stream wrongly: what the bus hears, of which domain and code, with what
 * is named. A critical would end the test, a hang its time. */
#include "harness.h"

#include <string.h>
#include <glib/gstdio.h>

/* ---- On the way to READY ---- */

typedef struct {
  const char *launch;           /* MODEL is replaced */
  const char *domain;
  gint code;
  const char *named;            /* in the debug text */
} Start;

#define RESOURCE "gst-resource-error-quark"
#define STREAM "gst-stream-error-quark"
#define CORE "gst-core-error-quark"

static const Start starts[] = {
  { "terngenerator model-path=/no/such/model.gguf", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "/no/such/model.gguf" },
  { "ternencoder mmproj-path=/no/such/model.gguf", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "/no/such/model.gguf" },
  { "terncaption model-path=/no/such/model.gguf", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "/no/such/model.gguf" },
  { "terngenerator model-path=/dev/zero", RESOURCE, GST_RESOURCE_ERROR_OPEN_READ, "/dev/zero" },
  { "terngenerator model-path=/etc/passwd", STREAM, GST_STREAM_ERROR_WRONG_TYPE, "/etc/passwd" },
  { "terngenerator prompt=a prompt-path=/dev/null", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both prompt and prompt-path" },
  { "terngenerator prompt=a prompts=<b>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both prompt and prompts" },
  { "terngenerator prompt-path=/dev/null prompts=<b>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both prompt-path and prompts" },
  { "terngenerator prompt-path=/no/such/file", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "prompt-path: /no/such/file" },
  { "terngenerator json-schema-path=/no/such/file", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "json-schema-path: /no/such" },
  { "terngenerator grammar-path=/no/such/file", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "grammar-path: /no/such/file" },
  { "terngenerator json-schema-path=/dev/zero", RESOURCE, GST_RESOURCE_ERROR_OPEN_READ, "json-schema-path: /dev/zero" },
  { "terngenerator grammar-path=/tmp", RESOURCE, GST_RESOURCE_ERROR_OPEN_READ, "grammar-path: /tmp" },
  { "terngenerator labels=<yes>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "labels: expected 2 to 256, found 1" },
  { "terngenerator labels=<yes,no,yes>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "labels: expected each once" },
  { "terngenerator labels=<yes,\"\">", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "labels: expected each once and with something" },
  { "terngenerator labels=<yes,no> json-schema={}", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both labels and json-schema" },
  { "terngenerator labels=<yes,no> grammar=g", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both labels and grammar" },
  { "terngenerator json-schema={} grammar=g", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both json-schema and grammar" },
  { "terngenerator json-schema={} json-schema-path=/dev/null", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "both json-schema and json-schema-path" },
  { "terngenerator grammar=g grammar-path=/dev/null", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "both grammar and grammar-path" },
  { "terngenerator prompts=<a,a>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "prompts: expected each once" },
  { "terngenerator prompts=\"<\\\"a=x\\\",\\\"a=y\\\">\"", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "prompts: expected each id once, found \"a\"" },
  { "terngenerator prompts=<a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q>", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "prompts: expected 1 to 16, found 17" },
  { "terngenerator action-path=/no/such/file", RESOURCE, GST_RESOURCE_ERROR_NOT_FOUND, "/no/such/file" },
  { "terngenerator action-path=/etc/passwd", STREAM, GST_STREAM_ERROR_WRONG_TYPE, "/etc/passwd" },
  { "terngenerator labels=<yes,no> action-path=/etc/passwd", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "both labels and action-path" },
  { "terngenerator json-schema={} action-path=/etc/passwd", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "both json-schema and action-path" },
  { "terncaption grammar=g action-path=/etc/passwd", RESOURCE, GST_RESOURCE_ERROR_SETTINGS,
      "both grammar and action-path" },
  { "terncaption labels=<yes,no> json-schema={}", RESOURCE, GST_RESOURCE_ERROR_SETTINGS, "both labels and json-schema" },
};

static void
expect_message (GstBus *bus, GstMessageType type, const char *domain, gint code, const char *named)
{
  GstMessage *message = wait_message (bus, type);
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, &debug);
  else
    gst_message_parse_warning (message, &error, &debug);
  fail_unless (g_str_equal (g_quark_to_string (error->domain), domain) && error->code == code, "%s %d: %s (%s)",
      g_quark_to_string (error->domain), error->code, error->message, debug);
  fail_unless (strstr (debug, named) != NULL, "no \"%s\" in %s", named, debug);
  /* For people: a sentence, without what only the one who debugs needs. */
  fail_unless (g_str_has_suffix (error->message, ".") && !strchr (error->message, '/'), "%s", error->message);
  gst_message_unref (message);
}

GST_START_TEST (test_start)
{
  const Start *c = &starts[__i__];
  GstElement *element = gst_parse_launch (c->launch, NULL);
  GstBus *bus;

  fail_unless (element != NULL, "%s", c->launch);
  bus = watch (element);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_READY), GST_STATE_CHANGE_FAILURE);
  expect_message (bus, GST_MESSAGE_ERROR, c->domain, c->code, c->named);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR) == NULL);
  gst_element_set_state (element, GST_STATE_NULL);
  unwatch (bus);
  gst_object_unref (element);
}
GST_END_TEST

/* ---- While it plays: refused with a WARNING, and what is in force stays ---- */

typedef struct {
  const char *launch, *property, *value, *in_force, *named;
} Change;

static const Change changes[] = {
  { "terngenerator", "model-path", "/elsewhere", NULL, "model-path" },
  { "terngenerator", "window", "1000000000", "4000000000", "window" },
  { "terngenerator", "hop", "1000000000", "0", "hop" },
  { "terngenerator", "beam", "4", "1", "beam" },
  { "terngenerator", "kv-type", "f16", "GST_TERN_KV_TYPE", "kv-type" },
  { "terngenerator", "memory", "stream", "GST_TERN_MEMORY", "memory" },
  { "terngenerator", "memory-tokens", "100", "0", "memory-tokens" },
  { "terngenerator", "draft-model", "small.gguf", NULL, "draft-model" },
  { "terngenerator", "draft-vocabulary", "slem", "GST_TERN_DRAFT_VOCABULARY", "draft-vocabulary" },
  { "terngenerator", "leaky", "no", "GST_TERN_LEAKY", "leaky" },
  { "terngenerator", "threads", "3", "0", "threads" },
  { "terngenerator", "float-activations", "true", "false", "float-activations" },
  { "terngenerator", "text-timestamps", "window", "GST_TERN_TIMESTAMPS", "text-timestamps" },
  { "terngenerator", "action-path", "/elsewhere", NULL, "action-path" },
  { "terngenerator", "language-code", "de", "en", "language-code" },
  { "terngenerator", "prompt-path", "/no/such/file", NULL, "prompt-path: /no/such/file" },
  { "terngenerator prompt=p", "prompts", "<a,b>", "<  >", "both prompt and prompts" },
  { "terngenerator", "prompts", "<a,a>", "<  >", "prompts: expected each once" },
  { "terngenerator", "task", "nothing", NULL, "task: expected one that fake carries" },
  { "terngenerator", "labels", "<one>", "<  >", "labels: expected 2 to 256, found 1" },
  { "terngenerator labels=<a,b>", "labels", "<c,c>", "< (string)a, (string)b >", "labels: expected each once" },
  { "terngenerator labels=<a,b>", "json-schema", "{}", NULL, "both labels and json-schema" },
  { "terngenerator labels=<a,b>", "grammar", "root ::= \"a\"", NULL, "both labels and grammar" },
  { "terngenerator labels=<a,b>", "grammar-path", "/dev/null", NULL, "grammar-path: /dev/null" },
  { "terngenerator", "json-schema-path", "/no/such/file", NULL, "json-schema-path: /no/such/file" },
  { "terngenerator", "json-schema", "no schema", NULL, "json_schema" },
  { "terngenerator", "grammar", "no grammar", NULL, "grammar" },
};

GST_START_TEST (test_change)
{
  const Change *c = &changes[__i__];
  GstHarness *h = start_generator (c->launch);
  GstBus *bus = watch (h->element);
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (h->element), c->property);
  GValue before = G_VALUE_INIT, after = G_VALUE_INIT;

  push_tokens (h, 0, 1);
  g_value_init (&before, spec->value_type);
  g_value_init (&after, spec->value_type);
  g_object_get_property (G_OBJECT (h->element), c->property, &before);
  gst_util_set_object_arg (G_OBJECT (h->element), c->property, c->value);
  expect_message (bus, GST_MESSAGE_WARNING, RESOURCE, GST_RESOURCE_ERROR_SETTINGS, c->named);
  g_object_get_property (G_OBJECT (h->element), c->property, &after);
  fail_unless_equals_int (gst_value_compare (&before, &after), GST_VALUE_EQUAL);
  if (!G_IS_PARAM_SPEC_ENUM (spec))
    expect_value (h->element, c->property, c->in_force);
  /* It goes on. */
  push_tokens (h, 1, 8);
  gst_buffer_unref (pull_result (h));
  g_value_unset (&before);
  g_value_unset (&after);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Requests ---- */

typedef struct {
  const char *structure, *named;
} Request;

static const Request requests[] = {
  { "tern-ask", "expected prompt or task" },
  { "something, prompt=a", "expected a structure tern-ask, found something" },
  { "tern-ask, prompt=(int)5", "prompt: expected UTF-8 text, found (gint) 5" },
  { "tern-ask, task=(boolean)true", "task: expected UTF-8 text" },
  { "tern-ask, prompt=a, prompt-id=(int)5", "prompt-id: expected UTF-8 text" },
  { "tern-ask, prompt=a, labels=one", "labels: expected an array of strings, found (gchararray) one" },
  { "tern-ask, prompt=a, labels=<(int)1, (int)2>", "labels: expected an array of strings" },
  { "tern-ask, prompt=a, labels=(string)<one>", "labels: expected 2 to 256" },
  { "tern-ask, prompt=a, labels=(string)<a, b>, json-schema=\"{}\"", "expected one of labels, json-schema and grammar" },
  { "tern-ask, prompt=a, json-schema=(int)1", "json-schema: expected UTF-8 text" },
  { "tern-ask, prompt=a, grammar=(double)1", "grammar: expected UTF-8 text" },
  { "tern-ask, prompt=a, max-tokens=many", "max-tokens: expected a number from 0 to 65536, found (gchararray) many" },
  { "tern-ask, prompt=a, max-tokens=(int)-1", "max-tokens: expected a number from 0" },
  { "tern-ask, prompt=a, max-tokens=(uint)70000", "max-tokens: expected a number from 0 to 65536, found (guint) 70000" },
  { "tern-ask, prompt=a, frames=(uint)4096", "frames: expected at most the 8" },
  { "tern-ask, prompt=a, timeout=soon", "timeout: expected a number of ns" },
  { "tern-ask, prompt=a, once=(int)1", "once: expected true or false, found (gint) 1" },
  { "tern-ask, prompt=a, once=false, timeout=(guint64)5", "timeout: expected with once=true" },
  { "tern-ask, prompt=a, once=false, frames=1", "frames: expected with once=true" },
  { "tern-ask, prompt=a, min-confidence=(double)1.5", "min-confidence: expected a number from 0 to 1" },
  { "tern-ask, prompt=a, colour=blue", "colour: expected one of the fields" },
  { "tern-ask, task=nothing", "task: expected one that fake carries" },
  { "tern-ask, task=nothing, once=false", "task: expected one that fake carries" },
};

/* By the signal the id is 0, the event was not taken; there is no result. */
GST_START_TEST (test_request)
{
  const Request *c = &requests[__i__];
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstBus *bus = watch (h->element);
  GstStructure *structure = gst_structure_from_string (c->structure, NULL);
  GstBuffer *buffer;
  guint64 id = 1;

  fail_unless (structure != NULL, "%s", c->structure);
  push_tokens (h, 0, 1);
  g_signal_emit_by_name (h->element, "ask", structure, &id);
  fail_unless_equals_uint64 (id, 0);
  expect_message (bus, GST_MESSAGE_WARNING, RESOURCE, GST_RESOURCE_ERROR_SETTINGS, c->named);
  if (gst_structure_has_name (structure, "tern-ask")) {
    fail_unless (!gst_element_send_event (h->element, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
                gst_structure_copy (structure))));
    expect_message (bus, GST_MESSAGE_WARNING, RESOURCE, GST_RESOURCE_ERROR_SETTINGS, c->named);
  }
  gst_structure_free (structure);
  push_tokens (h, 1, 8);
  buffer = pull_result (h);
  fail_unless_equals_string (result_string (buffer, "prompt"), "w");
  fail_unless_equals_string (result_string (buffer, "prompt_id"), "0");
  fail_unless_equals_uint64 (result_uint64 (buffer, "id"), 0);
  gst_buffer_unref (buffer);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Pads ---- */

/* There is one of each, before and after a release. */
GST_START_TEST (test_request_pads)
{
  static const char *const pads[][2] = {
    { "terngenerator", "json_src" }, { "terngenerator", "prompt_sink" }, { "terncaption", "json_src" },
    { "terncaption", "text_src" }, { "terncaption", "prompt_sink" },
  };
  guint i, turn;

  for (i = 0; i < G_N_ELEMENTS (pads); i++) {
    GstElement *element = gst_element_factory_make (pads[i][0], NULL);

    for (turn = 0; turn < 2; turn++) {
      GstPad *pad = gst_element_request_pad_simple (element, pads[i][1]);

      fail_unless (pad != NULL, "%s", pads[i][1]);
      fail_unless (gst_element_request_pad (element, gst_element_get_pad_template (element, pads[i][1]), NULL, NULL)
          == NULL);
      gst_element_release_request_pad (element, pad);
      gst_object_unref (pad);
    }
    gst_object_unref (element);
  }
}
GST_END_TEST

static const struct {
  const char *bytes;
  guint n;
  const char *named;
} questions[] = { { "\xff\xfe", 2, "UTF-8" }, { "a\0b", 3, "UTF-8" }, { NULL, (1 << 20) + 1, "1048576" } };

GST_START_TEST (test_prompt_sink_bytes)
{
  GstHarness *h = start_generator ("terngenerator prompt=w");
  GstHarness *p = gst_harness_new_with_element (h->element, "prompt_sink", NULL);
  GstBus *bus = watch (h->element);
  guint n = questions[__i__].n;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, n, NULL);

  gst_buffer_memset (buffer, 0, 'x', n);
  if (questions[__i__].bytes)
    gst_buffer_fill (buffer, 0, questions[__i__].bytes, n);
  gst_harness_set_src_caps_str (p, "text/x-raw, format = utf8");
  push_tokens (h, 0, 1);
  fail_unless_equals_int (gst_harness_push (p, buffer), GST_FLOW_OK);
  expect_message (bus, GST_MESSAGE_WARNING, RESOURCE, GST_RESOURCE_ERROR_SETTINGS, questions[__i__].named);
  unwatch (bus);
  gst_harness_teardown (p);
  gst_harness_teardown (h);
}
GST_END_TEST

/* ---- Caps and streams ---- */

static const struct {
  const char *caps, *domain;
  gint code;
} tokens[] = {
  { "tensor/strided, tensor-id=visual-tokens, type=float32, embedding-dim=8, framerate=2/1", CORE,
      GST_CORE_ERROR_NEGOTIATION },
  { "tensor/strided, tensor-id=visual-tokens, type=float32, embedding-dim=8, encoder-id=other, framerate=2/1", CORE,
      GST_CORE_ERROR_NEGOTIATION },
  { "tensor/strided, tensor-id=visual-tokens, type=float32, embedding-dim=9, encoder-id=other, framerate=2/1", CORE,
      GST_CORE_ERROR_NEGOTIATION },
};

GST_START_TEST (test_token_caps)
{
  GstHarness *h = file_harness ("terngenerator", "sink", "src");
  GstBus *bus = watch (h->element);

  gst_harness_set_src_caps_str (h, tokens[__i__].caps);
  expect_error (bus, g_quark_from_string (tokens[__i__].domain), tokens[__i__].code);
  fail_unless (gst_harness_push (h, make_tokens (0)) < GST_FLOW_OK);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

typedef enum {
  NO_PTS,
  ODD_SIZE,
  WRONG_GRID,
  KEEP_TWICE,
  NOT_A_NUMBER,
  BYTES_SEGMENT,
  LAST_STREAM
} Stream;

/* A buffer that contradicts itself, or a segment that is none of time, ends the stream with what was wrong. */
GST_START_TEST (test_streams)
{
  static const gint codes[] = { GST_STREAM_ERROR_FAILED, GST_STREAM_ERROR_WRONG_TYPE, GST_STREAM_ERROR_WRONG_TYPE,
    GST_STREAM_ERROR_WRONG_TYPE, GST_STREAM_ERROR_WRONG_TYPE, GST_STREAM_ERROR_FORMAT };
  GstHarness *h = start_generator ("terngenerator");
  GstBus *bus = watch (h->element);
  GstBuffer *buffer = make_tokens (0);
  GstStructure *s = gst_custom_meta_get_structure (gst_buffer_get_custom_meta (buffer, "TernTokenMeta"));
  GstSegment segment;
  GstEvent *keep;

  switch (__i__) {
    case NO_PTS:
      GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
      break;
    case ODD_SIZE:
      gst_buffer_set_size (buffer, 100);
      break;
    case WRONG_GRID:
      gst_structure_set (s, "grid-width", G_TYPE_UINT, 5, NULL);
      break;
    case KEEP_TWICE:
      keep = gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, gst_structure_from_string (
              "k, keep=(int)<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,14>", NULL));
      gst_structure_set_value (s, "keep", gst_structure_get_value (gst_event_get_structure (keep), "keep"));
      gst_event_unref (keep);
      break;
    case NOT_A_NUMBER:
      gst_buffer_memset (buffer, 28, 0xff, sizeof (float));
      break;
    case BYTES_SEGMENT:
      gst_segment_init (&segment, GST_FORMAT_BYTES);
      gst_harness_push_event (h, gst_event_new_segment (&segment));
      break;
  }
  if (__i__ == BYTES_SEGMENT)
    gst_buffer_unref (buffer);
  else
    fail_unless_equals_int (gst_harness_push (h, buffer), GST_FLOW_ERROR);
  expect_error (bus, GST_STREAM_ERROR, codes[__i__]);
  unwatch (bus);
  gst_harness_teardown (h);
}
GST_END_TEST

int
main (void)
{
  Suite *suite = suite_create ("misuse");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_loop_test (tc, test_start, 0, G_N_ELEMENTS (starts));
  tcase_add_loop_test (tc, test_change, 0, G_N_ELEMENTS (changes));
  tcase_add_loop_test (tc, test_request, 0, G_N_ELEMENTS (requests));
  tcase_add_test (tc, test_request_pads);
  tcase_add_loop_test (tc, test_prompt_sink_bytes, 0, G_N_ELEMENTS (questions));
  tcase_add_loop_test (tc, test_token_caps, 0, G_N_ELEMENTS (tokens));
  tcase_add_loop_test (tc, test_streams, 0, LAST_STREAM);
  return run_suite (suite);
}
