/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result, and the one table that spells it. */
#include "tern/result-priv.h"

#include <math.h>

#include "engine/base/json.h"

#define FIELD(member, type, unit, meaning) { #member, type, unit, meaning, G_STRUCT_OFFSET (TernResult, member) }

static const TernField fields[] = {
  FIELD (version, TERN_FIELD_UINT, "", "version of this table, 1"),
  FIELD (kind, TERN_FIELD_STRING, "", "caption, answer, action, partial or error"),
  FIELD (id, TERN_FIELD_UINT64, "", "counts the results of one session or element, from 0"),
  FIELD (source, TERN_FIELD_STRING, "", "the file, or the element's path"),
  FIELD (result, TERN_FIELD_STRING, "", "the text; of an error, what happened"),
  FIELD (timestamp, TERN_FIELD_UINT64, "ns", "start of the window, stream time"),
  FIELD (timestamp_seconds, TERN_FIELD_DOUBLE, "s", "the same in seconds"),
  FIELD (start, TERN_FIELD_DOUBLE, "s", "start of the window, stream time"),
  FIELD (end, TERN_FIELD_DOUBLE, "s", "end of the window, stream time"),
  FIELD (prompt_id, TERN_FIELD_STRING, "", "the caller's name for the prompt"),
  FIELD (prompt, TERN_FIELD_STRING, "", "what was asked"),
  FIELD (model, TERN_FIELD_STRING, "", "name in the model file"),
  FIELD (finish_reason, TERN_FIELD_STRING, "", "stop, length, cancelled or error"),
  FIELD (confidence, TERN_FIELD_DOUBLE, "", "mean probability of the tokens said; -1 unknown"),
  FIELD (frames, TERN_FIELD_UINT, "frames", "frames that the model looked at"),
  FIELD (visual_in, TERN_FIELD_UINT, "tokens", "visual tokens before compression"),
  FIELD (visual_kept, TERN_FIELD_UINT, "tokens", "visual tokens after compression"),
  FIELD (prompt_tokens, TERN_FIELD_UINT, "tokens", "length of the prompt, kept visual tokens included"),
  FIELD (generated_tokens, TERN_FIELD_UINT, "tokens", "tokens said, the end token excluded"),
};

#undef FIELD
#define FIELD(name, member, type, unit, meaning) { name, type, unit, meaning, G_STRUCT_OFFSET (TernMetrics, member) }

/* Spelled as gvagenai's metrics where the meaning agrees. */
static const TernField metrics[] = {
  FIELD ("prepare_embeddings_duration_mean", encode_ms, TERN_FIELD_DOUBLE, "ms", "encoding of the window's frames"),
  FIELD ("compress_duration", compress_ms, TERN_FIELD_DOUBLE, "ms", "choosing the visual tokens to keep"),
  FIELD ("prefill_duration", prefill_ms, TERN_FIELD_DOUBLE, "ms", "reading the prompt"),
  FIELD ("decode_duration", decode_ms, TERN_FIELD_DOUBLE, "ms", "saying the answer"),
  FIELD ("total_duration", total_ms, TERN_FIELD_DOUBLE, "ms", "from the push of the window's last frame to the result"),
  FIELD ("ttft_mean", ttft_ms, TERN_FIELD_DOUBLE, "ms", "from the start of prefill to the first token"),
  FIELD ("tpot_mean", tpot_ms, TERN_FIELD_DOUBLE, "ms", "per token after the first"),
  FIELD ("throughput_mean", decode_tokens_per_second, TERN_FIELD_DOUBLE, "tokens/s", "of decode"),
  FIELD ("prefill_throughput", prefill_tokens_per_second, TERN_FIELD_DOUBLE, "tokens/s", "of prefill"),
  FIELD ("kv_kept", kv_kept, TERN_FIELD_DOUBLE, "",
      "share of visual keys that decode attended to, over steps and attention layers"),
  FIELD ("kv_pruned_layers", kv_pruned_layers, TERN_FIELD_UINT, "",
      "attention layers whose visual keys were pruned; 0: none"),
};

#undef FIELD

const TernField *
tern_result_fields (guint *n)
{
  *n = G_N_ELEMENTS (fields);
  return fields;
}

const TernField *
tern_metrics_fields (guint *n)
{
  *n = G_N_ELEMENTS (metrics);
  return metrics;
}

/* ---- Life ---- */

typedef struct {
  TernResult result;
  gint refs;                    /* atomic */
} Holder;

static const char **
string_member (TernResult *result, const TernField *field)
{
  return (const char **) ((guint8 *) result + field->offset);
}

TernResult *
tern_result_new (const TernResult *values)
{
  Holder *holder = g_new (Holder, 1);

  holder->result = *values;
  holder->refs = 1;
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (fields[i].type == TERN_FIELD_STRING) {
      const char **member = string_member (&holder->result, &fields[i]);

      *member = g_utf8_make_valid (*member ? *member : "", -1);
    }
  return &holder->result;
}

TernResult *
tern_result_ref (TernResult *result)
{
  g_return_val_if_fail (result != NULL, NULL);
  g_atomic_int_inc (&((Holder *) result)->refs);
  return result;
}

void
tern_result_unref (TernResult *result)
{
  Holder *holder = (Holder *) result;

  if (!result || !g_atomic_int_dec_and_test (&holder->refs))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (fields[i].type == TERN_FIELD_STRING)
      g_free ((char *) *string_member (result, &fields[i]));
  g_free (holder);
}

/* ---- JSON ---- */

/* More than any of these numbers knows. */
#define DIGITS 9

static void
add_fields (TernJson *json, const void *base, const TernField *table, guint n)
{
  for (guint i = 0; i < n; i++) {
    const guint8 *at = (const guint8 *) base + table[i].offset;

    tern_json_name (json, table[i].name);
    switch (table[i].type) {
      case TERN_FIELD_UINT:
        tern_json_uint (json, *(const guint *) at);
        break;
      case TERN_FIELD_UINT64:
        tern_json_uint (json, *(const guint64 *) at);
        break;
      case TERN_FIELD_DOUBLE:
        tern_json_double (json, isfinite (*(const double *) at) ? *(const double *) at : 0, DIGITS);
        break;
      case TERN_FIELD_STRING:
        tern_json_text (json, *(const char *const *) at, -1);
        break;
    }
  }
}

char *
tern_result_to_json (const TernResult *result)
{
  TernJson json = { NULL };

  g_return_val_if_fail (result != NULL, NULL);
  json.out = g_string_sized_new (1024);
  tern_json_open (&json, '{');
  add_fields (&json, result, fields, G_N_ELEMENTS (fields));
  if (result->has_metrics) {
    tern_json_name (&json, "metrics");
    tern_json_open (&json, '{');
    add_fields (&json, &result->metrics, metrics, G_N_ELEMENTS (metrics));
    tern_json_name (&json, "num_input_tokens");
    tern_json_uint (&json, result->prompt_tokens);
    tern_json_name (&json, "num_generated_tokens");
    tern_json_uint (&json, result->generated_tokens);
    tern_json_close (&json, '}');
  }
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}
