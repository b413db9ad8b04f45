/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternenums.h"

#define DEFINE_ENUM(function, name, ...) \
GType \
function (void) \
{ \
  static gsize type = 0; \
  static const GEnumValue values[] = { __VA_ARGS__, {0, NULL, NULL} }; \
\
  if (g_once_init_enter (&type)) \
    g_once_init_leave (&type, g_enum_register_static (name, values)); \
  return type; \
}

/* Those that the library has. */
GType
gst_tern_method_get_type (void)
{
  static gsize type = 0;

  if (g_once_init_enter (&type)) {
    GArray *values = g_array_new (TRUE, TRUE, sizeof (GEnumValue));
    gint i;

    for (i = 0; *tern_method_name (i); i++) {
      GEnumValue value = { i, tern_method_about (i), tern_method_name (i) };

      g_array_append_val (values, value);
    }
    /* Types have their values for ever. */
    g_once_init_leave (&type, g_enum_register_static ("GstTernMethod",
            (GEnumValue *) g_array_free (values, FALSE)));
  }
  return type;
}

/* *INDENT-OFF* */
DEFINE_ENUM (gst_tern_scaling_get_type, "GstTernScaling",
    {TERN_FIT_CROP, "Keep the aspect, cut out the centre", "crop"},
    {TERN_FIT_LETTERBOX, "Keep the aspect, pad", "letterbox"},
    {TERN_FIT_STRETCH, "Change the aspect", "stretch"},
    {TERN_FIT_TRAINED, "As the model was trained", "trained"})

DEFINE_ENUM (gst_tern_gate_get_type, "GstTernGate",
    {TERN_GATE_MODE_AUTO, "Once the scene has stood still for a while", "auto"},
    {TERN_GATE_MODE_OFF, "Every frame is encoded", "off"},
    {TERN_GATE_MODE_ON, "From the second frame on", "on"})

DEFINE_ENUM (gst_tern_reuse_get_type, "GstTernReuse",
    {TERN_REUSE_OFF, "All of every frame is computed", "off"},
    {TERN_REUSE_AUTO, "Where the tokens stay near", "auto"},
    {TERN_REUSE_ON, "Where at most half of the picture changes", "on"})

DEFINE_ENUM (gst_tern_prune_gate_get_type, "GstTernPruneGate",
    {TERN_GATE_PAPER, "Select again when attention changes", "paper"},
    {TERN_GATE_REF, "Prune only steps whose attention changed", "ref"},
    {TERN_GATE_ALWAYS, "Select again at every step", "always"})

DEFINE_ENUM (gst_tern_kv_type_get_type, "GstTernKvType",
    {TERN_CACHE_AUTO, "f32 for up to 1024 tokens, f16 for more", "auto"},
    {TERN_CACHE_F32, "32-bit floats", "f32"},
    {TERN_CACHE_F16, "16-bit floats", "f16"},
    {TERN_CACHE_INT8, "8-bit integers with scales", "int8"},
    {TERN_CACHE_INT8_ROTATED, "The same, rotated before", "int8-rotated"},
    {TERN_CACHE_INT4, "4-bit integers with scales", "int4"},
    {TERN_CACHE_INT4_ROTATED, "The same, rotated before", "int4-rotated"},
    {TERN_CACHE_INT3, "3-bit integers with scales, in the memory of int4", "int3"},
    {TERN_CACHE_INT3_ROTATED, "The same, rotated before", "int3-rotated"})

DEFINE_ENUM (gst_tern_memory_get_type, "GstTernMemory",
    {TERN_MEMORY_WINDOW, "A window is forgotten with its answer", "window"},
    {TERN_MEMORY_STREAM, "What matters of all that was seen", "stream"})

DEFINE_ENUM (gst_tern_draft_vocabulary_get_type, "GstTernDraftVocabulary",
    {TERN_DRAFT_VOCABULARY_AUTO, "By how much they have in common", "auto"},
    {TERN_DRAFT_VOCABULARY_SAME, "It has to be the same", "same"},
    {TERN_DRAFT_VOCABULARY_TLI, "Tokens that both have", "tli"},
    {TERN_DRAFT_VOCABULARY_SLEM, "Its text is split anew", "slem"})

DEFINE_ENUM (gst_tern_leaky_get_type, "GstTernLeaky",
    {GST_TERN_LEAKY_AUTO, "downstream when live, otherwise no", "auto"},
    {GST_TERN_LEAKY_NO, "Answer every window, upstream waits", "no"},
    {GST_TERN_LEAKY_DOWNSTREAM, "Drop old windows for the newest", "downstream"})

DEFINE_ENUM (gst_tern_timestamps_get_type, "GstTernTimestamps",
    {GST_TERN_TIMESTAMPS_AUTO, "arrival when live, otherwise window", "auto"},
    {GST_TERN_TIMESTAMPS_WINDOW, "The window that the text is about", "window"},
    {GST_TERN_TIMESTAMPS_ARRIVAL, "The newest frame when the text was ready",
        "arrival"})

DEFINE_ENUM (gst_tern_partial_get_type, "GstTernPartial",
    {TERN_PARTIAL_NONE, "Only what is final", "none"},
    {TERN_PARTIAL_WORDS, "Whenever whole words were added", "words"})

DEFINE_ENUM (gst_tern_attach_mode_get_type, "GstTernAttachMode",
    {GST_TERN_ATTACH_AUTO, "newest when live, otherwise window", "auto"},
    {GST_TERN_ATTACH_NEWEST, "The newest finished result, at once", "newest"},
    {GST_TERN_ATTACH_WINDOW, "The result of the frame's own window", "window"})
/* *INDENT-ON* */
