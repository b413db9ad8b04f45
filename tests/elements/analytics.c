/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What frames carry in the words of GStreamer's analytics library. Built where there is one. */
#include "harness.h"

#include <gst/analytics/analytics.h>
#include <string.h>

static GstHarness *
start (GstHarness **text)
{
  GstHarness *h = file_harness ("ternattach attach=newest", "sink", "src");

  *text = gst_harness_new_with_element (h->element, "text_sink", NULL);
  gst_harness_set_src_caps_str (*text, "text/x-raw, format = utf8");
  gst_harness_set_src_caps_str (h, FRAME_CAPS);
  return h;
}

static void
push_result (GstHarness *text, const char *fields)
{
  GstBuffer *buffer = gst_buffer_new_memdup ("x", 1);
  GstStructure *s = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "TernResultMeta"));
  g_autofree char *all = g_strdup_printf ("result, start=0.0, end=1.0, %s", fields);
  GstStructure *from = gst_structure_from_string (all, NULL);
  int i;

  fail_unless (from != NULL, "%s", all);
  for (i = 0; i < gst_structure_n_fields (from); i++)
    gst_structure_set_value (s, gst_structure_nth_field_name (from, i),
        gst_structure_get_value (from, gst_structure_nth_field_name (from, i)));
  gst_structure_free (from);
  GST_BUFFER_PTS (buffer) = 0;
  fail_unless_equals_int (gst_harness_push (text, buffer), GST_FLOW_OK);
}

static gboolean
find_class (GstBuffer *frame, GstAnalyticsClsMtd *mtd)
{
  GstAnalyticsRelationMeta *meta = gst_buffer_get_analytics_relation_meta (frame);
  gpointer state = NULL;

  return meta && gst_analytics_relation_meta_iterate (meta, &state, gst_analytics_cls_mtd_get_mtd_type (),
      (GstAnalyticsMtd *) mtd);
}

/* Labels with their scores; what another element knows of the frame stays. */
GST_START_TEST (test_labels)
{
  GstHarness *text, *h = start (&text);
  GstBuffer *frame = make_frame (0, MS (100), 0);
  GstAnalyticsClsMtd mtd;
  GstAnalyticsODMtd od;
  gsize i;

  fail_unless (gst_analytics_relation_meta_add_od_mtd (gst_buffer_add_analytics_relation_meta (frame),
          g_quark_from_static_string ("dog"), 1, 2, 3, 4, .5, &od));
  push_result (text, "kind=answer, result=yes, labels=<(string)no, (string)yes, \"not sure\">, scores=<0.25, 0.625, 0.125>");
  frame = gst_harness_push_and_pull (h, frame);
  fail_unless (find_class (frame, &mtd));
  fail_unless_equals_int (gst_analytics_cls_mtd_get_length (&mtd), 3);
  for (i = 0; i < 3; i++) {
    fail_unless_equals_string (g_quark_to_string (gst_analytics_cls_mtd_get_quark (&mtd, i)),
        ((const char *[]) { "no", "yes", "not sure" })[i]);
    fail_unless_equals_float (gst_analytics_cls_mtd_get_level (&mtd, i), ((float[]) { .25, .625, .125 })[i]);
  }
  fail_unless (gst_analytics_relation_meta_get_od_mtd (gst_buffer_get_analytics_relation_meta (frame), od.id, &od));
  gst_buffer_unref (frame);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* Free text never becomes a quark, a class or a tensor; neither do fields that are something else than they should be. */
GST_START_TEST (test_no_quarks)
{
  static const char *const fields[] = {
    "kind=caption", "kind=answer, labels=(string)no, scores=<0.5>", "kind=answer, labels=<(int)1>, scores=<0.5>",
    "kind=answer, labels=<(string)no>, scores=<(string)no>", "kind=answer, labels=<(string)no>",
    "kind=action, actions=<0.5, 0.5, 0.5>",
    "kind=action, actions=<0.5, 0.5, 0.5>, action_steps=(uint)2", "kind=action, actions=<0.5>, action_steps=(uint)0",
  };
  GstHarness *text, *h = start (&text);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fields); i++) {
    g_autofree char *all = g_strdup_printf ("result=\"free text %u\", %s", i, fields[i]);
    g_autofree char *said = g_strdup_printf ("free text %u", i);
    GstAnalyticsClsMtd mtd;
    GstBuffer *frame;

    push_result (text, all);
    frame = gst_harness_push_and_pull (h, make_frame (MS (100 * i), MS (100), 0));
    fail_unless (gst_buffer_get_custom_meta (frame, "TernResultMeta") != NULL);
    fail_unless (!find_class (frame, &mtd), "%s", fields[i]);
    fail_unless_equals_int (g_quark_try_string (said), 0);
#if GST_CHECK_VERSION (1, 26, 0)
    fail_unless (gst_buffer_get_tensor_meta (frame) == NULL, "%s", fields[i]);
#endif
    gst_buffer_unref (frame);
  }
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

/* An application that asks with other labels for ever does not fill the process with quarks. */
GST_START_TEST (test_many_labels)
{
  GstHarness *text, *h = start (&text);
  GstAnalyticsClsMtd mtd;
  guint i, with = 0;

  for (i = 0; i < 3000; i++) {
    g_autofree char *fields = g_strdup_printf ("kind=answer, labels=<\"label %u\">, scores=<1.0>", i);
    GstBuffer *frame;

    push_result (text, fields);
    frame = gst_harness_push_and_pull (h, make_frame (MS (100 * i), MS (100), 0));
    with += find_class (frame, &mtd);
    gst_buffer_unref (frame);
  }
  fail_unless (with >= 1000 && with <= 1024, "%u of 3000 labels became quarks", with);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST

#if GST_CHECK_VERSION (1, 26, 0)
/* Beside another element's tensor. */
GST_START_TEST (test_actions)
{
  static const float expected[] = { 1, -2.5, 0, 16, .5, 3 };
  GstHarness *text, *h = start (&text);
  GstBuffer *frame = make_frame (0, MS (100), 0);
  GstTensor **tensors = g_new (GstTensor *, 1);
  const GstTensor *tensor;
  GstTensorMeta *meta;
  float found[6];

  tensors[0] = gst_tensor_new_simple (g_quark_from_static_string ("boxes"), GST_TENSOR_DATA_TYPE_UINT8,
      gst_buffer_new_allocate (NULL, 4, NULL), GST_TENSOR_DIM_ORDER_ROW_MAJOR, 1, (gsize[]) { 4 });
  gst_tensor_meta_set (gst_buffer_add_tensor_meta (frame), 1, tensors);
  push_result (text, "kind=action, actions=<1.0, -2.5, 0.0, 16.0, 0.5, 3.0>, action_steps=(uint)2");
  frame = gst_harness_push_and_pull (h, frame);
  meta = gst_buffer_get_tensor_meta (frame);
  fail_unless_equals_int (meta->num_tensors, 2);
  fail_unless_equals_string (g_quark_to_string (meta->tensors[0]->id), "boxes");
  tensor = meta->tensors[1];
  fail_unless_equals_string (g_quark_to_string (tensor->id), "actions");
  fail_unless_equals_int (tensor->data_type, GST_TENSOR_DATA_TYPE_FLOAT32);
  fail_unless_equals_int (tensor->dims_order, GST_TENSOR_DIM_ORDER_ROW_MAJOR);
  fail_unless_equals_int (tensor->num_dims, 2);
  fail_unless_equals_int (tensor->dims[0], 2);
  fail_unless_equals_int (tensor->dims[1], 3);
  fail_unless_equals_int (gst_buffer_extract (tensor->data, 0, found, sizeof found), sizeof found);
  fail_unless (memcmp (found, expected, sizeof found) == 0);
  gst_buffer_unref (frame);
  gst_harness_teardown (text);
  gst_harness_teardown (h);
}
GST_END_TEST
#endif

int
main (void)
{
  Suite *suite = suite_create ("analytics");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (suite, tc);
  tcase_add_test (tc, test_labels);
  tcase_add_test (tc, test_no_quarks);
  tcase_add_test (tc, test_many_labels);
#if GST_CHECK_VERSION (1, 26, 0)
  tcase_add_test (tc, test_actions);
#endif
  return run_suite (suite);
}
