/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternklv.h"

#include <string.h>
#include "gstternmeta.h"
#include "gstternvalue.h"

/* A local set with tags and lengths in BER, of the class that is for
 * experiments; "TERN", results, version 1. */
static const guint8 key[16] = {
  0x06, 0x0e, 0x2b, 0x34, 0x02, 0x0b, 0x01, 0x01,
  0x0f, 0x54, 0x45, 0x52, 0x4e, 0x01, 0x01, 0x00
};

/* docs/klv.md. All are below 128, so that a tag is a byte. */
enum
{
  TAG_CHECKSUM = 1,
  TAG_UTC = 2,
  TAG_VERSION = 3,
  TAG_KIND = 4,
  TAG_ID = 5,
  TAG_TEXT = 6,
  TAG_PROMPT_ID = 7,
  TAG_START = 8,
  TAG_END = 9,
  TAG_CONFIDENCE = 10,
  TAG_LABELS = 11,
  TAG_SCORES = 12,
  TAG_ABSTAINED = 13,
  TAG_ACTIONS = 14,
  TAG_ACTION_STEPS = 15,
  TAG_ACTION_RATE = 16,
  TAG_ACTION_SPACE = 17,
  TAG_ACTION_NAMES = 18,
  TAG_ASK_ID = 19,
  TAG_SOURCE = 20,
  TAG_MODEL = 21,
  TAG_FINISH_REASON = 22
};

/* ---- Bytes ---- */

/* The short form below 128, else the long one with as many bytes as it needs. */
static void
add_length (GByteArray * out, gsize length)
{
  guint8 bytes[1 + sizeof length];
  guint i, n = 0;

  if (length < 128) {
    bytes[0] = length;
  } else {
    while (n < sizeof length && length >> (8 * n) != 0)
      n++;
    bytes[0] = 0x80 | n;
    for (i = 0; i < n; i++)
      bytes[1 + i] = length >> (8 * (n - 1 - i));
  }
  g_byte_array_append (out, bytes, 1 + n);
}

static void
add_item (GByteArray * out, guint8 tag, gconstpointer value, gsize size)
{
  g_byte_array_append (out, &tag, 1);
  add_length (out, size);
  if (size > 0)
    g_byte_array_append (out, value, size);
}

static void
add_uint64 (GByteArray * out, guint8 tag, guint64 value)
{
  guint8 bytes[8];

  GST_WRITE_UINT64_BE (bytes, value);
  add_item (out, tag, bytes, sizeof bytes);
}

static void
add_double (GByteArray * out, guint8 tag, gdouble value)
{
  guint8 bytes[8];

  GST_WRITE_DOUBLE_BE (bytes, value);
  add_item (out, tag, bytes, sizeof bytes);
}

static void
add_byte (GByteArray * out, guint8 tag, guint8 value)
{
  add_item (out, tag, &value, 1);
}

/* ---- Fields ---- */

static void
add_string_field (GByteArray * out, guint8 tag, const GstStructure * result,
    const gchar * field)
{
  const gchar *text = gst_structure_get_string (result, field);

  if (text && *text)
    add_item (out, tag, text, strlen (text));
}

/* Each with its length before it. */
static void
add_strings_field (GByteArray * out, guint8 tag, const GstStructure * result,
    const gchar * field)
{
  const GValue *array =
      gst_tern_structure_get_array (result, field, G_TYPE_STRING);
  GByteArray *value;
  guint i;

  if (!array)
    return;
  value = g_byte_array_new ();
  for (i = 0; i < gst_value_array_get_size (array); i++) {
    const gchar *text =
        g_value_get_string (gst_value_array_get_value (array, i));
    gsize length = text ? strlen (text) : 0;

    add_length (value, length);
    if (length > 0)
      g_byte_array_append (value, (const guint8 *) text, length);
  }
  add_item (out, tag, value->data, value->len);
  g_byte_array_unref (value);
}

/* As single precision: what comes from a model has no more. */
static void
add_floats_field (GByteArray * out, guint8 tag, const GstStructure * result,
    const gchar * field)
{
  const GValue *array =
      gst_tern_structure_get_array (result, field, G_TYPE_DOUBLE);
  GByteArray *value;
  guint i;

  if (!array)
    return;
  value = g_byte_array_new ();
  for (i = 0; i < gst_value_array_get_size (array); i++) {
    guint8 bytes[4];

    GST_WRITE_FLOAT_BE (bytes,
        (gfloat) g_value_get_double (gst_value_array_get_value (array, i)));
    g_byte_array_append (value, bytes, sizeof bytes);
  }
  add_item (out, tag, value->data, value->len);
  g_byte_array_unref (value);
}

/* Nanoseconds of a time in seconds; the table has the window's end as such. */
static guint64
seconds_to_ns (gdouble seconds)
{
  if (!(seconds > 0))
    return 0;
  if (seconds >= 9.2e9)
    return G_MAXINT64;
  return (guint64) (seconds * GST_SECOND + 0.5);
}

static void
add_answer (GByteArray * out, const GstStructure * result)
{
  gboolean abstained;
  gdouble number;

  if (gst_structure_get_double (result, "confidence", &number) && number >= 0)
    add_double (out, TAG_CONFIDENCE, number);
  add_strings_field (out, TAG_LABELS, result, "labels");
  add_floats_field (out, TAG_SCORES, result, "scores");
  if (gst_structure_get_boolean (result, "abstained", &abstained))
    add_byte (out, TAG_ABSTAINED, abstained ? 1 : 0);
}

static void
add_actions (GByteArray * out, const GstStructure * result)
{
  gdouble rate;
  guint steps;

  if (!gst_structure_has_field (result, "actions"))
    return;
  add_floats_field (out, TAG_ACTIONS, result, "actions");
  if (gst_structure_get_uint (result, "action_steps", &steps))
    add_uint64 (out, TAG_ACTION_STEPS, steps);
  if (gst_structure_get_double (result, "action_rate", &rate))
    add_double (out, TAG_ACTION_RATE, rate);
  add_string_field (out, TAG_ACTION_SPACE, result, "action_space");
  add_strings_field (out, TAG_ACTION_NAMES, result, "action_names");
}

/* ---- The packet ---- */

/* Time first and the checksum, which is not counted here, last: so do other
 * sets, and readers look there. */
static GByteArray *
make_value (const GstStructure * result, const gchar * kind, guint64 id,
    guint64 start)
{
  GByteArray *out = g_byte_array_new ();
  guint64 utc, ask_id;
  gdouble end;

  if (gst_structure_get_uint64 (result, "utc", &utc) && utc != TERN_TIME_NONE)
    add_uint64 (out, TAG_UTC, utc / 1000);
  add_byte (out, TAG_VERSION, 1);
  add_item (out, TAG_KIND, kind, strlen (kind));
  add_uint64 (out, TAG_ID, id);
  add_string_field (out, TAG_TEXT, result, "result");
  add_string_field (out, TAG_PROMPT_ID, result, "prompt_id");
  add_uint64 (out, TAG_START, start);
  if (gst_structure_get_double (result, "end", &end))
    add_uint64 (out, TAG_END, seconds_to_ns (end));
  add_answer (out, result);
  add_actions (out, result);
  if (gst_structure_get_uint64 (result, "ask_id", &ask_id) && ask_id > 0)
    add_uint64 (out, TAG_ASK_ID, ask_id);
  add_string_field (out, TAG_SOURCE, result, "source");
  add_string_field (out, TAG_MODEL, result, "model");
  add_string_field (out, TAG_FINISH_REASON, result, "finish_reason");
  return out;
}

/* The sum of all before it in 16-bit words, as that of ST 0601. */
static void
add_checksum (GByteArray * packet)
{
  static const guint8 head[2] = { TAG_CHECKSUM, 2 };
  guint8 bytes[2];
  guint16 sum = 0;
  guint i;

  g_byte_array_append (packet, head, sizeof head);
  for (i = 0; i < packet->len; i++)
    sum += (guint16) (packet->data[i] << (8 * ((i + 1) % 2)));
  GST_WRITE_UINT16_BE (bytes, sum);
  g_byte_array_append (packet, bytes, sizeof bytes);
}

GstBuffer *
gst_tern_klv_encode (const GstStructure * result, GError ** error)
{
  GByteArray *value, *packet;
  const gchar *kind;
  guint64 id, start;
  gsize size;

  kind = gst_structure_get_string (result, "kind");
  if (!kind || !gst_structure_get_uint64 (result, "id", &id)
      || !gst_structure_get_uint64 (result, "timestamp", &start)) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
        "expected a result with kind, id and timestamp, found %s",
        gst_structure_get_name (result));
    return NULL;
  }

  value = make_value (result, kind, id, start);
  packet = g_byte_array_new ();
  g_byte_array_append (packet, key, sizeof key);
  add_length (packet, value->len + 4);
  g_byte_array_append (packet, value->data, value->len);
  g_byte_array_unref (value);
  add_checksum (packet);
  if (packet->len > GST_TERN_KLV_MAX) {
    g_set_error (error, GST_STREAM_ERROR, GST_STREAM_ERROR_ENCODE,
        "a packet holds %d bytes at most, result %" G_GUINT64_FORMAT
        " makes %u", GST_TERN_KLV_MAX, id, packet->len);
    g_byte_array_unref (packet);
    return NULL;
  }
  size = packet->len;
  return gst_buffer_new_wrapped (g_byte_array_free (packet, FALSE), size);
}
