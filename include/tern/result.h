/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results: what was answered about a window, and the table that spells it. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"

G_BEGIN_DECLS

/**
 * TernMetrics:
 * @encode_ms: work on encoding the window's frames, in ms. Of a video most of it is done as they come, before @total_ms begins,
 *   and it may be more
 * @compress_ms: choosing the visual tokens to keep, in ms
 * @prefill_ms: reading the prompt, in ms
 * @decode_ms: saying the answer, in ms
 * @total_ms: from the push of the window's last frame to the result, in ms
 * @prefill_tokens_per_second: tokens of the prompt read a second
 * @decode_tokens_per_second: tokens said a second, after the first
 * @kv_kept: share of visual keys that decode attended to, over steps and attention layers, 0..1
 * @ttft_ms: from the start of prefill to the first token, in ms
 * @tpot_ms: per token after the first, in ms
 * @kv_pruned_layers: attention layers that kv_prune works in; 0: nothing is pruned in this model
 * @kv_selections: tokens said before which it was chosen anew which visual keys to attend to
 *
 * How long each stage took. Spelled in JSON and structures as tern_metrics_fields() says.
 *
 * Since: 0.1
 */
typedef struct {
  double encode_ms;
  double compress_ms;
  double prefill_ms;
  double decode_ms;
  double total_ms;
  double prefill_tokens_per_second;
  double decode_tokens_per_second;
  double kv_kept;
  double ttft_ms;
  double tpot_ms;
  guint kv_pruned_layers;
  guint kv_selections;
} TernMetrics;

/**
 * TernResult:
 * @version: version of this table: 1, or 2 when one of its later fields is there
 * @kind: caption (free text), answer (of a closed form), action, partial (the text so far of an answer under way) or error
 * @id: counts the results of one session, from 0
 * @source: the session's
 * @result: the text; of an error, what happened
 * @timestamp: start of the window, in ns of stream time
 * @timestamp_seconds: the same in seconds
 * @start: start of the window, in seconds of stream time; of a request: the sampling tick of its first frame
 * @end: end of the window, in seconds of stream time; of a request: of its last frame's tick, or how far the stream has come
 * @prompt_id: the caller's name for the prompt
 * @prompt: what was asked
 * @model: name in the model file
 * @finish_reason: stop, length, cancelled or error; forgotten: a request about a time of which nothing is remembered, @result
 *   is empty; unchanged: nothing is new, @result is what was answered before, and no
 *   tokens were read or said; budget: the same, for what is new was not worth an answer
 * @confidence: mean probability of the tokens said, 0..1; -1 unknown
 * @frames: frames that the model looked at
 * @visual_in: visual tokens before compression
 * @visual_kept: visual tokens after compression; with %TERN_MEMORY_STREAM those of the window's frames that are remembered: a frame
 *   with nothing new has none
 * @prompt_tokens: length of the prompt in tokens, kept visual tokens included
 * @generated_tokens: tokens said, the end token excluded
 * @labels: (nullable) (array zero-terminated=1): the closed set that was asked with; %NULL: none
 * @scores: (nullable) (array length=n_labels): probability of each label, sum 1; %NULL: none
 * @n_labels: how many
 * @abstained: of labels: the likeliest is less probable than the question's min_confidence
 * @ask_id: of the request that is answered (tern_session_ask()); 0: it is about a window
 * @actions: (nullable) (array length=n_actions): steps x dims numbers, row major, in the units of the space; %NULL: none
 * @n_actions: how many
 * @action_steps: steps of the chunk
 * @action_rate: steps a second
 * @action_space: name of the space
 * @action_names: (nullable) (array zero-terminated=1): of each number of a step; %NULL: none
 * @memory_spans: (nullable) (array length=n_memory_spans): with %TERN_MEMORY_STREAM, when it was that something is remembered
 *   of, in seconds of stream time: start and end of each span, oldest first; %NULL: none
 * @n_memory_spans: how many numbers
 * @running_time: of the window's start, in ns; %TERN_TIME_NONE: not known (the elements know it)
 * @utc: when the window's first frame was taken, in ns since 1970 UTC; %TERN_TIME_NONE: upstream does not say
 * @duration: of the window, in ns; not a field of the table: end - start says it there
 * @has_metrics: whether @metrics says anything
 * @metrics: how long each stage took
 *
 * What was answered about a window; docs/metadata.md has the table. Made by the library alone, and may have more
 * members in later versions. Strings are owned by the result and never %NULL. A result does not change once it is given
 * to a caller: any thread may read it that holds a reference.
 *
 * Since: 0.1
 */
typedef struct {
  guint version;
  const char *kind;
  guint64 id;
  const char *source;
  const char *result;
  guint64 timestamp;
  double timestamp_seconds;
  double start;
  double end;
  const char *prompt_id;
  const char *prompt;
  const char *model;
  const char *finish_reason;
  double confidence;
  guint frames;
  guint visual_in;
  guint visual_kept;
  guint prompt_tokens;
  guint generated_tokens;
  const char *const *labels;
  const double *scores;
  guint n_labels;
  gboolean abstained;
  guint64 ask_id;
  const double *actions;
  guint n_actions;
  guint action_steps;
  double action_rate;
  const char *action_space;
  const char *const *action_names;
  const double *memory_spans;
  guint n_memory_spans;
  guint64 running_time;
  guint64 utc;
  guint64 duration;
  gboolean has_metrics;
  TernMetrics metrics;
} TernResult;

/**
 * tern_result_ref:
 * @result: a result
 *
 * A further reference. Any thread; counts are atomic.
 *
 * Returns: (transfer full): @result
 *
 * Since: 0.1
 */
TERN_API TernResult *tern_result_ref (TernResult *result);

/**
 * tern_result_unref:
 * @result: (transfer full) (nullable): a result, or %NULL
 *
 * Gives a reference back; the last one frees the result. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_result_unref (TernResult *result);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernResult, tern_result_unref)

/**
 * TernFieldType:
 * @TERN_FIELD_UINT: guint
 * @TERN_FIELD_UINT64: guint64
 * @TERN_FIELD_DOUBLE: double
 * @TERN_FIELD_STRING: const char *
 * @TERN_FIELD_BOOLEAN: gboolean
 * @TERN_FIELD_STRINGS: const char *const *, %NULL-terminated
 * @TERN_FIELD_DOUBLES: const double *, as many as the guint at TernField.count_offset says
 *
 * What a member of a result is.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_FIELD_UINT,
  TERN_FIELD_UINT64,
  TERN_FIELD_DOUBLE,
  TERN_FIELD_STRING,
  TERN_FIELD_BOOLEAN,
  TERN_FIELD_STRINGS,
  TERN_FIELD_DOUBLES,
} TernFieldType;

/**
 * TernField:
 * @name: as JSON and structures spell it
 * @type: of the member
 * @unit: "ns", "s", "tokens", or ""
 * @meaning: a line of text
 * @offset: of the member in #TernResult, or in #TernMetrics for metric fields, in bytes
 * @count_offset: of a guint beside it that counts its numbers; 0: none
 * @version: of the table that brought it. Fields of 2 are left out where they say nothing: tern_result_has_field()
 * @reserved: 0
 *
 * One row of the result table: everything that spells a result (JSON, GstStructure, documentation) walks it.
 *
 * Since: 0.1
 */
typedef struct {
  const char *name;
  TernFieldType type;
  const char *unit;
  const char *meaning;
  gsize offset;
  gsize count_offset;
  guint version;
  gpointer reserved[2];
} TernField;

/**
 * tern_result_fields:
 * @n: (out): rows
 *
 * The table of #TernResult. Any thread.
 *
 * Returns: (transfer none) (array length=n): the rows, valid for ever
 *
 * Since: 0.1
 */
TERN_API const TernField *tern_result_fields (guint *n);

/**
 * tern_result_version:
 * @result: a result
 *
 * The version of the table that its fields need: for who changed a copy of one. Any thread.
 *
 * Returns: 1 or 2
 *
 * Since: 0.1
 */
TERN_API guint tern_result_version (const TernResult *result);

/**
 * tern_result_has_field:
 * @result: a result
 * @field: a row of tern_result_fields()
 *
 * Whether a result says something there. Any thread.
 *
 * Returns: %TRUE for all fields of version 1; of those of 2 where there is something
 *
 * Since: 0.1
 */
TERN_API gboolean tern_result_has_field (const TernResult *result, const TernField *field);

/**
 * tern_metrics_fields:
 * @n: (out): rows
 *
 * The table of #TernMetrics. Any thread.
 *
 * Returns: (transfer none) (array length=n): the rows, valid for ever
 *
 * Since: 0.1
 */
TERN_API const TernField *tern_metrics_fields (guint *n);

/**
 * tern_result_to_json:
 * @result: a result
 *
 * Spells a result as a JSON object: the fields of tern_result_fields(), and those of tern_metrics_fields() in a member
 * "metrics" if it has them. Any thread.
 *
 * Returns: (transfer full): one line of UTF-8 without a final newline; free it with g_free()
 *
 * Since: 0.1
 */
TERN_API char *tern_result_to_json (const TernResult *result);

G_END_DECLS
