/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternerror.h"

typedef struct
{
  GQuark domain;
  gint code;
  const gchar *text;
} GstTernErrorMapping;

static GstTernErrorMapping
map_error (const GError * error)
{
  if (error->domain != TERN_ERROR)
    return (GstTernErrorMapping) {
    GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED, "Captioning failed."};

  switch (error->code) {
    case TERN_ERROR_NOT_FOUND:
      return (GstTernErrorMapping) {
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND,
            "A model file was not found."};
    case TERN_ERROR_READ:
      return (GstTernErrorMapping) {
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ,
            "A model file cannot be read."};
    case TERN_ERROR_FORMAT:
      return (GstTernErrorMapping) {
      GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE,
            "A model file is damaged or not a model."};
    case TERN_ERROR_UNSUPPORTED:
      return (GstTernErrorMapping) {
      GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT,
            "This build cannot run the model."};
    case TERN_ERROR_MISMATCH:
      return (GstTernErrorMapping) {
      GST_CORE_ERROR, GST_CORE_ERROR_NEGOTIATION,
            "Encoder and language model do not belong together."};
    case TERN_ERROR_INVALID:
      return (GstTernErrorMapping) {
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
            "A setting is out of its range."};
    case TERN_ERROR_NO_SPACE:
      return (GstTernErrorMapping) {
      GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT,
            "There is not enough memory or context."};
    default:
      return (GstTernErrorMapping) {
      GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_FAILED, "Captioning failed."};
  }
}

void
gst_tern_post_error_full (GstElement * element, const GError * error,
    const gchar * text, const gchar * file, const gchar * function, gint line)
{
  GstTernErrorMapping map;

  if (g_error_matches (error, TERN_ERROR, TERN_ERROR_CANCELLED))
    return;

  map = map_error (error);
  gst_element_message_full (element, GST_MESSAGE_ERROR, map.domain, map.code,
      g_strdup (text ? text : map.text), g_strdup (error->message), file,
      function, line);
}
