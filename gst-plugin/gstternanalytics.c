/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternanalytics.h"

#include <string.h>
#include <gst/analytics/analytics.h>
#include "gstternvalue.h"

#define MAX_QUARKS 1024         /* of labels that nobody else made quarks */

/* 0: there are too many already. Labels are settings, and few; but an
 * application may ask with others for ever. */
static GQuark
label_quark (const gchar * label)
{
  static gint made;
  GQuark quark = g_quark_try_string (label);

  if (quark != 0 || g_atomic_int_get (&made) >= MAX_QUARKS)
    return quark;
  g_atomic_int_inc (&made);
  return g_quark_from_string (label);
}

static void
add_labels (GstBuffer * buffer, const GstStructure * result)
{
  const GValue *labels =
      gst_tern_structure_get_array (result, "labels", G_TYPE_STRING);
  const GValue *scores =
      gst_tern_structure_get_array (result, "scores", G_TYPE_DOUBLE);
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsClsMtd mtd;
  GQuark *quarks;
  gfloat *levels;
  guint i, n, found = 0;

  if (!labels || !scores)
    return;
  n = MIN (gst_value_array_get_size (labels),
      gst_value_array_get_size (scores));
  quarks = g_new (GQuark, n);
  levels = g_new (gfloat, n);
  for (i = 0; i < n; i++) {
    const gchar *label =
        g_value_get_string (gst_value_array_get_value (labels, i));

    quarks[found] = label ? label_quark (label) : 0;
    levels[found] = g_value_get_double (gst_value_array_get_value (scores, i));
    found += quarks[found] != 0;
  }
  meta = found > 0 ? gst_buffer_add_analytics_relation_meta (buffer) : NULL;
  if (!meta || !gst_analytics_relation_meta_add_cls_mtd (meta, found, levels,
          quarks, &mtd))
    GST_DEBUG ("%u of %u labels, no class metadata", found, n);
  g_free (quarks);
  g_free (levels);
}

#ifdef TERN_HAVE_TEXT_MTD
static void
add_text (GstBuffer * buffer, const GstStructure * result)
{
  const gchar *text = gst_structure_get_string (result, "result");
  GstAnalyticsRelationMeta *meta;
  GstAnalyticsTextMtd mtd;
  gdouble confidence = -1;

  if (!text || !*text
      || g_strcmp0 (gst_structure_get_string (result, "kind"), "error") == 0)
    return;
  gst_structure_get_double (result, "confidence", &confidence);
  meta = gst_buffer_add_analytics_relation_meta (buffer);
  if (meta)
    gst_analytics_relation_meta_add_text_mtd (meta, text, confidence, &mtd);
}
#endif

#if GST_CHECK_VERSION (1, 26, 0)
/* float32, steps x numbers of a step, row major. */
static GstTensor *
make_tensor (const GValue * actions, guint steps)
{
  gsize n = gst_value_array_get_size (actions), i;
  gfloat *values = g_new (gfloat, n);
  GstTensor *tensor = gst_tensor_alloc (2);

  for (i = 0; i < n; i++)
    values[i] = g_value_get_double (gst_value_array_get_value (actions, i));
  tensor->id = g_quark_from_static_string ("actions");
  tensor->layout = GST_TENSOR_LAYOUT_CONTIGUOUS;
  tensor->data_type = GST_TENSOR_DATA_TYPE_FLOAT32;
  tensor->data = gst_buffer_new_wrapped (values, n * sizeof *values);
  tensor->dims_order = GST_TENSOR_DIM_ORDER_ROW_MAJOR;
  tensor->dims[0] = steps;
  tensor->dims[1] = n / steps;
  return tensor;
}

/* Beside what an inference element has put there: readers look at one meta. */
static void
add_actions (GstBuffer * buffer, const GstStructure * result)
{
  const GValue *actions =
      gst_tern_structure_get_array (result, "actions", G_TYPE_DOUBLE);
  GstTensorMeta *meta;
  GstTensor **tensors;
  gsize n = 0, i;
  guint steps;

  if (!actions || gst_value_array_get_size (actions) == 0
      || !gst_structure_get_uint (result, "action_steps", &steps)
      || steps == 0 || gst_value_array_get_size (actions) % steps != 0)
    return;
  meta = gst_buffer_get_tensor_meta (buffer);
  if (!meta)
    meta = gst_buffer_add_tensor_meta (buffer);
  tensors = g_new (GstTensor *, meta->num_tensors + 1);
  for (i = 0; i < meta->num_tensors; i++)
    if (meta->tensors[i]->id != g_quark_from_static_string ("actions"))
      tensors[n++] = gst_tensor_copy (meta->tensors[i]);
  tensors[n++] = make_tensor (actions, steps);
  gst_tensor_meta_set (meta, n, tensors);
}
#endif

void
gst_tern_buffer_add_analytics (GstBuffer * buffer, const GstStructure * result)
{
  add_labels (buffer, result);
#ifdef TERN_HAVE_TEXT_MTD
  add_text (buffer, result);
#endif
#if GST_CHECK_VERSION (1, 26, 0)
  add_actions (buffer, result);
#endif
}
