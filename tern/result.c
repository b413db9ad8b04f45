/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result, and the one table that spells it. */
#include "tern/result-priv.h"

#include <math.h>

#include "engine/base/json.h"

#define FIELD(member, type, unit, meaning) { #member, type, unit, meaning, G_STRUCT_OFFSET (TernResult, member), 0, 1 }
#define LATER(member, count, type, unit, meaning) \
  { #member, type, unit, meaning, G_STRUCT_OFFSET (TernResult, member), count, 2 }
#define OF_LABELS G_STRUCT_OFFSET (TernResult, n_labels)
#define OF_ACTIONS G_STRUCT_OFFSET (TernResult, n_actions)
#define OF_MEMORY G_STRUCT_OFFSET (TernResult, n_memory_spans)

static const TernField fields[] = {
  FIELD (version, TERN_FIELD_UINT, "", "version of this table: 1, or 2 when a field is there that 2 brought"),
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
  FIELD (finish_reason, TERN_FIELD_STRING, "", "stop, length, unchanged, budget, forgotten, cancelled or error"),
  FIELD (confidence, TERN_FIELD_DOUBLE, "", "mean probability of the tokens said; -1 unknown"),
  FIELD (frames, TERN_FIELD_UINT, "frames", "frames that the model looked at"),
  FIELD (visual_in, TERN_FIELD_UINT, "tokens", "visual tokens before compression"),
  FIELD (visual_kept, TERN_FIELD_UINT, "tokens",
      "visual tokens after compression; with memory=stream those of the window that are remembered"),
  FIELD (prompt_tokens, TERN_FIELD_UINT, "tokens", "length of the prompt, kept visual tokens included"),
  FIELD (generated_tokens, TERN_FIELD_UINT, "tokens", "tokens said, the end token excluded"),
  LATER (labels, OF_LABELS, TERN_FIELD_STRINGS, "", "the closed set that was asked with"),
  LATER (scores, OF_LABELS, TERN_FIELD_DOUBLES, "", "probability of each label, sum 1"),
  LATER (abstained, OF_LABELS, TERN_FIELD_BOOLEAN, "", "the likeliest label is less probable than min-confidence"),
  LATER (ask_id, 0, TERN_FIELD_UINT64, "", "of the request that is answered, as asking returned it"),
  LATER (actions, OF_ACTIONS, TERN_FIELD_DOUBLES, "", "steps x dims numbers, row major, in the space's units"),
  LATER (action_steps, OF_ACTIONS, TERN_FIELD_UINT, "steps", "of the chunk"),
  LATER (action_rate, OF_ACTIONS, TERN_FIELD_DOUBLE, "1/s", "steps a second"),
  LATER (action_space, OF_ACTIONS, TERN_FIELD_STRING, "", "name of the space"),
  LATER (action_names, OF_ACTIONS, TERN_FIELD_STRINGS, "", "of each number of a step"),
  LATER (memory_spans, OF_MEMORY, TERN_FIELD_DOUBLES, "s", "starts and ends of the times that something is remembered of"),
  LATER (running_time, 0, TERN_FIELD_UINT64, "ns", "start of the window, running time"),
  LATER (utc, 0, TERN_FIELD_UINT64, "ns", "when the window's first frame was taken, since 1970 UTC"),
};

#undef FIELD
#define FIELD(name, member, type, unit, meaning) \
  { name, type, unit, meaning, G_STRUCT_OFFSET (TernMetrics, member), 0, 1 }

/* Spelled as gvagenai's metrics where the meaning agrees. */
static const TernField metrics[] = {
  FIELD ("prepare_embeddings_duration_mean", encode_ms, TERN_FIELD_DOUBLE, "ms",
      "work on encoding the window's frames: of a video most of it before total_duration begins"),
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
  FIELD ("kv_selections", kv_selections, TERN_FIELD_UINT, "",
      "tokens before which it was chosen anew which visual keys to attend to"),
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

/* ---- What is there ---- */

static guint
count_of (const TernResult *result, const TernField *field)
{
  return *(const guint *) ((const guint8 *) result + field->count_offset);
}

gboolean
tern_result_has_field (const TernResult *result, const TernField *field)
{
  const guint8 *at = (const guint8 *) result + field->offset;

  g_return_val_if_fail (result != NULL && field != NULL, FALSE);
  if (field->version == 1)
    return TRUE;
  if (field->type == TERN_FIELD_STRING || field->type == TERN_FIELD_STRINGS || field->type == TERN_FIELD_DOUBLES)
    return count_of (result, field) > 0 && *(void *const *) at != NULL;
  if (field->count_offset)
    return count_of (result, field) > 0;
  g_return_val_if_fail (field->type == TERN_FIELD_UINT64, FALSE);
  return *(const guint64 *) at != (*field->unit ? TERN_TIME_NONE : 0);
}

guint
tern_result_version (const TernResult *result)
{
  guint version = 1;

  g_return_val_if_fail (result != NULL, 1);
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (tern_result_has_field (result, &fields[i]))
      version = MAX (version, fields[i].version);
  return version;
}

/* ---- Life ---- */

typedef struct {
  TernResult result;
  gint refs;                    /* atomic */
} Holder;

static char **
valid_strings (const char *const *strings)
{
  GPtrArray *valid = g_ptr_array_new ();

  for (; *strings; strings++)
    g_ptr_array_add (valid, g_utf8_make_valid (*strings, -1));
  g_ptr_array_add (valid, NULL);
  return (char **) g_ptr_array_free (valid, FALSE);
}

/* Makes what @field points to the result's own. */
static void
own_field (TernResult *result, const TernField *field)
{
  void *at = (guint8 *) result + field->offset;

  if (field->type == TERN_FIELD_STRING) {
    const char **text = at;

    *text = g_utf8_make_valid (*text ? *text : "", -1);
  } else if (field->type == TERN_FIELD_STRINGS) {
    const char *const **strings = at;

    *strings = *strings && count_of (result, field) ? (const char *const *) valid_strings (*strings) : NULL;
  } else if (field->type == TERN_FIELD_DOUBLES) {
    const double **numbers = at;

    *numbers = *numbers ? g_memdup2 (*numbers, count_of (result, field) * sizeof **numbers) : NULL;
  }
}

static void
free_field (TernResult *result, const TernField *field)
{
  void *at = (guint8 *) result + field->offset;

  if (field->type == TERN_FIELD_STRING || field->type == TERN_FIELD_DOUBLES)
    g_free (*(void **) at);
  else if (field->type == TERN_FIELD_STRINGS)
    g_strfreev (*(char ***) at);
}

TernResult *
tern_result_new (const TernResult *values)
{
  Holder *holder = g_new (Holder, 1);

  holder->result = *values;
  holder->result.version = tern_result_version (values);
  holder->refs = 1;
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    own_field (&holder->result, &fields[i]);
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
    free_field (result, &fields[i]);
  g_free (holder);
}

/* ---- JSON ---- */

/* More than any of these numbers knows. */
#define DIGITS 9

static void
add_double (TernJson *json, double value)
{
  tern_json_double (json, isfinite (value) ? value : 0, DIGITS);
}

static void
add_strings (TernJson *json, const char *const *strings)
{
  tern_json_open (json, '[');
  for (; *strings; strings++)
    tern_json_text (json, *strings, -1);
  tern_json_close (json, ']');
}

static void
add_doubles (TernJson *json, const double *numbers, guint n)
{
  tern_json_open (json, '[');
  for (guint i = 0; i < n; i++)
    add_double (json, numbers[i]);
  tern_json_close (json, ']');
}

/* @n: numbers of a field that has several. */
static void
add_field (TernJson *json, const TernField *field, const guint8 *at, guint n)
{
  tern_json_name (json, field->name);
  switch (field->type) {
    case TERN_FIELD_UINT:
      tern_json_uint (json, *(const guint *) at);
      break;
    case TERN_FIELD_UINT64:
      tern_json_uint (json, *(const guint64 *) at);
      break;
    case TERN_FIELD_DOUBLE:
      add_double (json, *(const double *) at);
      break;
    case TERN_FIELD_STRING:
      tern_json_text (json, *(const char *const *) at, -1);
      break;
    case TERN_FIELD_BOOLEAN:
      tern_json_bool (json, *(const gboolean *) at);
      break;
    case TERN_FIELD_STRINGS:
      add_strings (json, *(const char *const *const *) at);
      break;
    case TERN_FIELD_DOUBLES:
      add_doubles (json, *(const double *const *) at, n);
      break;
  }
}

char *
tern_result_to_json (const TernResult *given)
{
  TernJson json = { NULL };
  TernResult versioned, *result = &versioned;

  g_return_val_if_fail (given != NULL, NULL);
  versioned = *given;           /* whoever filled it in may not have thought of its version */
  versioned.version = tern_result_version (given);
  json.out = g_string_sized_new (1024);
  tern_json_open (&json, '{');
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (tern_result_has_field (result, &fields[i]))
      add_field (&json, &fields[i], (const guint8 *) result + fields[i].offset,
          fields[i].count_offset ? count_of (result, &fields[i]) : 0);
  if (result->has_metrics) {
    tern_json_name (&json, "metrics");
    tern_json_open (&json, '{');
    for (guint i = 0; i < G_N_ELEMENTS (metrics); i++)
      add_field (&json, &metrics[i], (const guint8 *) &result->metrics + metrics[i].offset, 0);
    tern_json_name (&json, "num_input_tokens");
    tern_json_uint (&json, result->prompt_tokens);
    tern_json_name (&json, "num_generated_tokens");
    tern_json_uint (&json, result->generated_tokens);
    tern_json_close (&json, '}');
  }
  tern_json_close (&json, '}');
  return g_string_free (json.out, FALSE);
}
