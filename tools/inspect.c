/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern inspect FILE [--json]: what a GGUF file holds, and what running it takes. */
#include <stdio.h>
#include <string.h>

#include "engine/kernels/kernels.h"
#include "engine/weights/gguf.h"
#include "tools/inspect-json.h"
#include "tools/inspect-memory.h"
#include "tools/quoted.h"
#include "tools/task-list.h"
#include "tools/tool.h"

#define SHOWN_ELEMENTS 6        /* of an array, as text */
#define SHOWN_CHARS 100         /* of a string, as text */

/* What the tensors of one type amount to. */
typedef struct {
  const TernTypeInfo *type;
  gsize tensors;
  guint64 values, bytes;
} Total;

/* One Total a type, in the order of first appearance, then one for all (type NULL). */
static GArray *
count_types (const TernGguf *file)
{
  GArray *totals = g_array_new (FALSE, TRUE, sizeof (Total));
  Total all = { NULL };
  gsize i, t;

  for (i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);
    Total *total;

    for (t = 0; t < totals->len; t++)
      if (g_array_index (totals, Total, t).type == tensor->type)
        break;
    if (t == totals->len)
      g_array_append_val (totals, ((Total) { tensor->type }));
    total = &g_array_index (totals, Total, t);
    total->tensors++;
    total->values += tern_tensor_values (tensor);
    total->bytes += tensor->bytes;
    all.tensors++;
    all.values += tern_tensor_values (tensor);
    all.bytes += tensor->bytes;
  }
  g_array_append_val (totals, all);
  return totals;
}

static double
bits_per_weight (const Total *total)
{
  return total->values ? 8.0 * total->bytes / total->values : 0;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void
append_number (GString *out, const TernGgufValue *value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  switch (value->type) {
    case TERN_GGUF_F32:         /* the shorter form where it names the same float */
      g_ascii_formatd (text, sizeof text, "%.6g", value->f64);
      if ((float) g_ascii_strtod (text, NULL) != (float) value->f64)
        g_ascii_formatd (text, sizeof text, "%.9g", value->f64);
      g_string_append (out, text);
      break;
    case TERN_GGUF_F64:
      g_string_append (out, g_ascii_dtostr (text, sizeof text, value->f64));
      break;
    case TERN_GGUF_BOOL:
      g_string_append (out, value->u64 ? "true" : "false");
      break;
    case TERN_GGUF_U8:
    case TERN_GGUF_U16:
    case TERN_GGUF_U32:
    case TERN_GGUF_U64:
      g_string_append_printf (out, "%" G_GUINT64_FORMAT, value->u64);
      break;
    default:
      g_string_append_printf (out, "%" G_GINT64_FORMAT, value->i64);
      break;
  }
}

static void
append_array (GString *out, const TernGgufArray *array)
{
  guint64 shown = MIN (array->count, SHOWN_ELEMENTS), i;
  const guint8 *cursor = array->data;
  TernGgufValue element;

  for (i = 0; i < shown; i++) {
    if (i)
      g_string_append (out, ", ");
    if (array->type == TERN_GGUF_STRING) {
      tern_append_quoted (out, tern_gguf_next_string (&cursor), SHOWN_CHARS);
    } else {
      tern_gguf_element (array, i, &element);
      append_number (out, &element);
    }
  }
  if (shown < array->count)
    g_string_append (out, ", ...");
}

static void
print_keys (const TernGguf *file)
{
  gsize i;

  printf ("\nkeys\n");
  for (i = 0; i < tern_gguf_n_keys (file); i++) {
    g_autoptr (GString) text = g_string_new (NULL);
    g_autofree char *type = NULL;
    TernGgufValue value;

    tern_gguf_value (file, i, &value);
    if (value.type == TERN_GGUF_ARRAY) {
      type = g_strdup_printf ("%s[%" G_GUINT64_FORMAT "]", tern_gguf_type_name (value.array.type), value.array.count);
      append_array (text, &value.array);
    } else {
      type = g_strdup (tern_gguf_type_name (value.type));
      if (value.type == TERN_GGUF_STRING)
        tern_append_quoted (text, value.string, SHOWN_CHARS);
      else
        append_number (text, &value);
    }
    printf ("  %-42s %-12s %s\n", tern_gguf_key (file, i, NULL), type, text->str);
  }
}

static void
print_tensors (const TernGguf *file)
{
  gsize i;
  guint d;

  printf ("\ntensors%*s type    %-20s %12s %14s\n", 37, "", "shape", "bytes", "offset");
  for (i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);
    g_autoptr (GString) shape = g_string_new (NULL);

    for (d = 0; d < tensor->n_dims; d++)
      g_string_append_printf (shape, "%s%" G_GUINT64_FORMAT, d ? " x " : "", tensor->dims[d]);
    printf ("  %-42s %-7s %-20s %12" G_GSIZE_FORMAT " %14" G_GUINT64_FORMAT, tensor->name, tensor->type->name, shape->str,
        tensor->bytes, tensor->offset);
    if (tern_gguf_n_parts (file) > 1)
      printf (" of part %u", tensor->part + 1);
    putchar ('\n');
  }
}

static void
print_totals (const GArray *totals)
{
  gsize i;

  printf ("\ntypes %5s tensors %16s %16s  bits a weight\n", "", "weights", "bytes");
  for (i = 0; i < totals->len; i++) {
    const Total *total = &g_array_index (totals, Total, i);

    printf ("  %-8s %8" G_GSIZE_FORMAT " %16" G_GUINT64_FORMAT " %16" G_GUINT64_FORMAT "  %.4f\n",
        total->type ? total->type->name : "all", total->tensors, total->values, total->bytes, bits_per_weight (total));
  }
}

static void
print_file (const TernGguf *file, const char *cpu)
{
  g_autoptr (GArray) totals = count_types (file);

  printf ("file       %s\n", tern_gguf_path (file));
  for (guint i = 1; i < tern_gguf_n_parts (file); i++)
    printf ("part %-5u %s\n", i + 1, tern_gguf_path (tern_gguf_part (file, i)));
  printf ("bytes      %" G_GSIZE_FORMAT "\nversion    %u\nalignment  %u\n", tern_gguf_size (file), tern_gguf_version (file),
      tern_gguf_alignment (file));
  printf ("keys       %" G_GSIZE_FORMAT "\ntensors    %" G_GSIZE_FORMAT "\n", tern_gguf_n_keys (file),
      tern_gguf_n_tensors (file));
  if (tern_gguf_n_parts (file) == 1)
    printf ("data       at byte %" G_GSIZE_FORMAT "\n", tern_gguf_data_start (file));
  printf ("cpu        %s\n", cpu);
  print_keys (file);
  print_tensors (file);
  print_totals (totals);
}

/* Of a policy, as `--activations` takes it. */
static char *
policy_text (const TernActivationPolicy *policy)
{
  const char *name = tern_policy_name (policy->kind);

  return policy->block ? g_strdup_printf ("%s:%u", name, policy->block) : g_strdup (name);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void
add_keys (TernJson *json, const TernGguf *file)
{
  gsize i;

  tern_json_name (json, "keys");
  tern_json_open (json, '{');
  for (i = 0; i < tern_gguf_n_keys (file); i++) {
    TernGgufValue value;

    tern_gguf_value (file, i, &value);
    tern_json_name (json, tern_gguf_key (file, i, NULL));
    tern_json_gguf (json, &value);
  }
  tern_json_close (json, '}');
}

static void
add_tensors (TernJson *json, const TernGguf *file)
{
  gsize i;
  guint d;

  tern_json_name (json, "tensors");
  tern_json_open (json, '[');
  for (i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    tern_json_open (json, '{');
    tern_json_add_text (json, "name", tensor->name);
    tern_json_add_text (json, "type", tensor->type->name);
    tern_json_name (json, "shape");
    tern_json_open (json, '[');
    for (d = 0; d < tensor->n_dims; d++)
      tern_json_int (json, tensor->dims[d]);
    tern_json_close (json, ']');
    tern_json_add_uint (json, "bytes", tensor->bytes);
    tern_json_add_uint (json, "offset", tensor->offset);
    if (tern_gguf_n_parts (file) > 1)
      tern_json_add_uint (json, "part", tensor->part + 1);
    tern_json_close (json, '}');
  }
  tern_json_close (json, ']');
}

static void
add_totals (TernJson *json, const GArray *totals)
{
  gsize i;

  tern_json_name (json, "types");
  tern_json_open (json, '[');
  for (i = 0; i < totals->len; i++) {
    const Total *total = &g_array_index (totals, Total, i);

    tern_json_open (json, '{');
    tern_json_add_text (json, "type", total->type ? total->type->name : "all");
    tern_json_add_uint (json, "tensors", total->tensors);
    tern_json_add_uint (json, "weights", total->values);
    tern_json_add_uint (json, "bytes", total->bytes);
    tern_json_name (json, "bits_per_weight");
    tern_json_double (json, bits_per_weight (total), TERN_JSON_DIGITS);
    tern_json_close (json, '}');
  }
  tern_json_close (json, ']');
}

/* Whether it could be written is tern_tool_flush()'s to say. */
static void
print_text (GString *out)
{
  fwrite (out->str, 1, out->len, stdout);
}

static void
add_parts (TernJson *json, const TernGguf *file)
{
  tern_json_name (json, "parts");
  tern_json_open (json, '[');
  for (guint i = 0; i < tern_gguf_n_parts (file); i++)
    tern_json_text (json, tern_gguf_path (tern_gguf_part (file, i)), -1);
  tern_json_close (json, ']');
}

static void
print_json (const TernGguf *file, const char *cpu, const TernTasks *tasks, const TernMemoryPlan *plan)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autoptr (GArray) totals = count_types (file);
  TernJson json = { .out = out, .lines = TRUE, .full = print_text };
  guint i;

  tern_json_open (&json, '{');
  tern_json_add_text (&json, "file", tern_gguf_path (file));
  if (tern_gguf_n_parts (file) > 1)
    add_parts (&json, file);
  tern_json_add_uint (&json, "bytes", tern_gguf_size (file));
  tern_json_add_uint (&json, "version", tern_gguf_version (file));
  tern_json_add_uint (&json, "alignment", tern_gguf_alignment (file));
  tern_json_add_uint (&json, "data_start", tern_gguf_data_start (file));
  tern_json_add_text (&json, "cpu", cpu);
  add_keys (&json, file);
  add_tensors (&json, file);
  add_totals (&json, totals);
  tern_json_name (&json, "tasks");
  tern_tasks_to_json (tasks, &json);
  if (plan) {
    tern_json_name (&json, "memory");
    tern_json_open (&json, '{');
    for (i = 0; i < plan->n; i++)
      tern_json_add_uint (&json, plan->entries[i].name, plan->entries[i].bytes);
    if (plan->with.context) {
      tern_json_add_uint (&json, "context", plan->with.context);
      tern_json_add_text (&json, "kv", tern_kv_name (plan->with.kv));
      tern_json_add_uint (&json, "threads", plan->with.threads);
      if (plan->with.memory == TERN_MEMORY_STREAM)
        tern_json_add_uint (&json, "memory_tokens", plan->with.memory_tokens);
    }
    tern_json_close (&json, '}');
  }
  if (plan && plan->activations.kind != TERN_POLICY_FILE) {
    g_autofree char *text = policy_text (&plan->activations);

    tern_json_add_text (&json, "activations", text);
  }
  if (plan && plan->projector) {
    tern_json_name (&json, "vision");
    tern_json_open (&json, '{');
    tern_json_add_text (&json, "projector", plan->projector);
    tern_json_add_uint (&json, "min_tokens", plan->min_tokens);
    tern_json_add_uint (&json, "max_tokens", plan->max_tokens);
    tern_json_add_uint (&json, "max_pieces", plan->max_pieces);
    if (plan->deepstack)
      tern_json_add_uint (&json, "deepstack", plan->deepstack);
    tern_json_add_text (&json, "encoder_id", plan->encoder_id);
    tern_json_close (&json, '}');
  }
  tern_json_close (&json, '}');
  g_string_append_c (out, '\n');
  print_text (out);
}

/* ---- Command ----------------------------------------------------------------------------------------------------- */

static void
print_plan (const TernMemoryPlan *plan)
{
  guint i;

  if (plan->projector) {
    printf ("\nvision\n  %-16s %s\n  %-16s %u", "projector", plan->projector, "tokens", plan->min_tokens);
    if (plan->max_tokens != plan->min_tokens)
      printf (" to %u", plan->max_tokens);
    printf (" for an image\n  %-16s %u of a still, at most\n  %-16s %s\n", "pieces", plan->max_pieces, "encoder id",
        plan->encoder_id);
    if (plan->deepstack)
      printf ("  %-16s features of %u early layers beside each token\n", "deepstack", plan->deepstack);
  }
  printf ("\nmemory\n");
  for (i = 0; i < plan->n; i++)
    printf ("  %-16s %16" G_GUINT64_FORMAT "  %s\n", plan->entries[i].name, plan->entries[i].bytes,
        plan->entries[i].what);
}

static void
print_policy (const TernActivationPolicy *policy)
{
  static const char *const what[] = {
    [TERN_POLICY_W1A8] = "8 bits by the largest magnitude of a token, on binary weights (BitNet)",
    [TERN_POLICY_A4_8] = "4 bits, 8 bits on the larger half before attention's output, 8 bits before ffn_down (BitNet a4.8)",
    [TERN_POLICY_V2] = "4 bits, turned before attention's output and ffn_down (BitNet v2)",
    [TERN_POLICY_V2_A8] = "8 bits, turned before attention's output and ffn_down (BitNet v2, first stage)",
  };
  g_autofree char *text = policy_text (policy);

  if (policy->kind > TERN_POLICY_INT8)
    printf ("\nactivations\n  %-16s %s\n", text, what[policy->kind]);
}

static void
print_tasks (const TernTasks *tasks)
{
  if (tasks->n == 0)
    return;
  printf ("\ntasks\n");
  tern_tasks_print (tasks);
}

static int
inspect (const char *path, gboolean json, const TernMemoryOptions *options)
{
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (GError) error = NULL;
  const TernKernels *kernels = tern_kernels_default (&error);
  TernMemoryPlan plan;
  TernMemoryUse before;
  g_auto (TernTasks) tasks = { NULL, 0 };
  gboolean planned, readable;
  const char *cpu;

  tern_memory_use (&before);
  if (!kernels || !(file = tern_gguf_open (path, &error)))
    return tern_tool_fail (&error);
  cpu = tern_cpu_name (kernels->level);
  planned = tern_memory_plan (&plan, file, kernels, options, &before, &error);
  readable = tern_tasks_read (&tasks, file, planned ? &error : NULL);
  if (json) {
    print_json (file, cpu, &tasks, planned ? &plan : NULL);
  } else {
    print_file (file, cpu);
    print_tasks (&tasks);
    if (planned)
      print_policy (&plan.activations);
    if (planned)
      print_plan (&plan);
  }
  if (!tern_tool_flush ())
    return TERN_TOOL_FAILED;
  return planned && readable ? TERN_TOOL_DONE : tern_tool_fail (&error);
}

static int
check_stream (const char *memory, gint tokens, TernMemoryOptions *options)
{
  if (memory && strcmp (memory, "stream") == 0)
    options->memory = TERN_MEMORY_STREAM;
  else if (memory && strcmp (memory, "window") != 0)
    return tern_tool_usage ("--memory: expected window or stream, found %s", memory);
  if (tokens != 0 && options->memory != TERN_MEMORY_STREAM)
    return tern_tool_usage ("--memory-tokens: expected --memory stream with it, found %s", memory ? memory : "none");
  if (tokens < 0)
    return tern_tool_usage ("--memory-tokens: expected 0 (what a session would choose) or more, found %d", tokens);
  options->memory_tokens = tokens;
  return TERN_TOOL_DONE;
}

static int
check (gint context, gint threads, const char *kv, const char *reuse, TernMemoryOptions *options)
{
  g_autoptr (GError) error = NULL;

  if (context < 0)
    return tern_tool_usage ("--context: expected 0 (the model's own) or more, found %d", context);
  if (!tern_tool_check_threads (threads))
    return TERN_TOOL_USAGE;
  if (kv && !tern_kv_parse (kv, &options->kv))
    return tern_tool_usage ("--kv: expected " TERN_KV_NAMES ", found %s", kv);
  if (reuse && !tern_reuse_mode_parse (reuse, &options->reuse, &error))
    return tern_tool_usage ("--reuse: %s", error->message);
  options->context = context;
  options->threads = threads;
  return TERN_TOOL_DONE;
}

int
tern_tool_inspect (int argc, char **argv)
{
  gboolean json = FALSE;
  gint context = 0, threads = 0, tokens = 0;
  g_autofree char *kv = NULL, *memory = NULL, *reuse = NULL, *draft = NULL;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "One JSON object, arrays in full", NULL },
    { "context", 0, 0, G_OPTION_ARG_INT, &context, "Plan the memory for N tokens; 0 = the model's own context", "N" },
    { "kv", 0, 0, G_OPTION_ARG_STRING, &kv, "... with keys and values as " TERN_KV_NAMES, "TYPE" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &threads, "... and N threads; 0 = all cores", "N" },
    { "memory", 0, 0, G_OPTION_ARG_STRING, &memory, "... and of a session that remembers a stream; window (default): without",
        "window|stream" },
    { "memory-tokens", 0, 0, G_OPTION_ARG_INT, &tokens, "... N tokens of it; 0 = 4096, or what the context has room for", "N" },
    { "draft-model", 0, 0, G_OPTION_ARG_FILENAME, &draft, "... and with this language model guessing what it says; in the total",
        "F" },
    { "reuse", 0, 0, G_OPTION_ARG_STRING, &reuse, "Of a vision encoder: with what is kept of a stream, off (default), auto or on",
        "MODE" },
    { NULL }
  };
  TernMemoryOptions options = { 0 };
  g_auto (GStrv) files = NULL;
  int status;

  if (!tern_tool_options (argc, argv, "FILE", 1, 1,
          "Shows what a GGUF file holds, and the memory that running it takes. No weights are read.\n\n"
          "The plan counts what `tern generate` holds at most, in bytes: program, header and index (vocabulary), the "
          "weights that stay in the file's map (shared between processes) and those that are repacked (once per process), "
          "one timeline's caches and work space, its workers' scratch, one row of logits. A file of which a part cannot "
          "run is shown all the same; what cannot run is said on standard error, and the exit status is 1.", entries,
          &files))
    return TERN_TOOL_USAGE;
  options.draft_model = draft;
  status = check (context, threads, kv, reuse, &options);
  if (status == TERN_TOOL_DONE)
    status = check_stream (memory, tokens, &options);
  return status == TERN_TOOL_DONE ? inspect (files[0], json, &options) : status;
}
