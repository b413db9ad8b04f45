/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:plugin-tern
 * @title: tern
 * @short_description: captions video on a CPU with a native-ternary model
 */
#include <gst/gst.h>
#include "gstternattach.h"
#include "gstterncaption.h"
#include "gstterncompressor.h"
#include "gstternencoder.h"
#include "gstterngenerator.h"
#include "gstternjsonenc.h"
#include "gstternklvenc.h"
#include "gstternloader.h"
#include "gstternmeta.h"

GST_DEBUG_CATEGORY_STATIC (tern_debug);

static void
log_message (TernMessageLevel level, const char *message, void *data)
{
  GstDebugLevel to;

  switch (level) {
    case TERN_MESSAGE_ERROR:
      to = GST_LEVEL_ERROR;
      break;
    case TERN_MESSAGE_WARNING:
      to = GST_LEVEL_WARNING;
      break;
    case TERN_MESSAGE_INFO:
      to = GST_LEVEL_INFO;
      break;
    default:
      to = GST_LEVEL_DEBUG;
      break;
  }
  GST_CAT_LEVEL_LOG (tern_debug, to, NULL, "%s", message);
}

static gboolean
plugin_init (GstPlugin * plugin)
{
  gboolean ok = TRUE;

  GST_DEBUG_CATEGORY_INIT (tern_debug, "tern", 0, "messages of libtern");
  tern_set_message_func (log_message, NULL);
  gst_tern_meta_register ();
  g_type_ensure (GST_TYPE_TERN_MODEL);

  ok &= GST_ELEMENT_REGISTER (ternencoder, plugin);
  ok &= GST_ELEMENT_REGISTER (terncompressor, plugin);
  ok &= GST_ELEMENT_REGISTER (terngenerator, plugin);
  ok &= GST_ELEMENT_REGISTER (ternattach, plugin);
  ok &= GST_ELEMENT_REGISTER (terncaption, plugin);
  ok &= GST_ELEMENT_REGISTER (ternjsonenc, plugin);
  ok &= GST_ELEMENT_REGISTER (ternklvenc, plugin);
  return ok;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, tern,
    "Captions video on a CPU with a native-ternary model", plugin_init,
    TERN_VERSION, "LGPL", TERN_PACKAGE_NAME, TERN_PACKAGE_ORIGIN)
