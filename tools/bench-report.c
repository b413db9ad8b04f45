/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "engine/base/json.h"
#include "engine/kernels/kernels.h"
#include "tools/bench.h"

#define DIGITS 6                /* of measured values: more are noise */

/* What the file's tensors amount to, and the type that most of their bytes have. */
typedef struct {
  guint64 weights, bytes;
  const char *type;
} Contents;

static Contents
count_contents (const TernGguf *file)
{
  Contents all = { 0, 0, "" };
  guint64 most = 0;

  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);
    guint64 same = 0;

    all.weights += tern_tensor_values (tensor);
    all.bytes += tensor->bytes;
    for (gsize j = i; j < tern_gguf_n_tensors (file); j++)
      if (tern_gguf_tensor_at (file, j)->type == tensor->type)
        same += tern_tensor_values (tern_gguf_tensor_at (file, j));
    if (same > most) {
      most = same;
      all.type = tensor->type->name;
    }
  }
  return all;
}

static gboolean
is_probe (const TernFigure *figure, const TernProbes *probes)
{
  return figure == probes->memory || figure == probes->again || figure == probes->i8 || figure == probes->f32;
}

static const char *
activations_of (const TernBenchReport *report)
{
  return report->llm ? tern_policy_name (tern_llm_info (report->llm)->policy.kind) : "int8";
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void
add_double (TernJson *json, const char *name, double value)
{
  tern_json_name (json, name);
  tern_json_double (json, value, DIGITS);
}

static void
add_machine (TernJson *json, const TernBenchReport *report)
{
  const TernMachine *machine = report->machine;

  tern_json_name (json, "machine");
  tern_json_open (json, '{');
  tern_json_add_text (json, "cpu", machine->cpu);
  tern_json_add_uint (json, "cores", machine->cores);
  tern_json_add_uint (json, "memory", machine->memory);
  tern_json_name (json, "caches");
  tern_json_open (json, '[');
  for (guint i = 0; i < machine->n_caches; i++) {
    const TernCache *cache = &machine->caches[i];

    tern_json_open (json, '{');
    tern_json_add_uint (json, "level", cache->level);
    tern_json_add_text (json, "kind", cache->kind == 'd' ? "data" : cache->kind == 'i' ? "instruction" : "unified");
    tern_json_add_uint (json, "bytes", cache->bytes);
    tern_json_add_uint (json, "cores", cache->sharing);
    tern_json_close (json, '}');
  }
  tern_json_close (json, ']');
  tern_json_add_text (json, "instruction_set", tern_cpu_name (report->plan->kernels->level));
  tern_json_add_uint (json, "threads", report->plan->threads);
  tern_json_add_text (json, "version", TERN_VERSION);
  tern_json_add_text (json, "activations", activations_of (report));
  tern_json_close (json, '}');
}

static void
add_contents (TernJson *json, const TernGguf *file)
{
  Contents contents = count_contents (file);

  tern_json_add_uint (json, "weights", contents.weights);
  tern_json_add_uint (json, "bytes", contents.bytes);
  tern_json_add_text (json, "type", contents.type);
}

static void
add_model (TernJson *json, const TernBenchReport *report)
{
  tern_json_name (json, "model");
  tern_json_open (json, '{');
  tern_json_add_text (json, "source", report->plan->source);
  if (report->llm) {
    tern_json_add_text (json, "name", tern_llm_info (report->llm)->name);
    tern_json_add_text (json, "architecture", tern_llm_info (report->llm)->architecture);
    tern_json_add_text (json, "kv", tern_kv_name (report->kv));
    add_contents (json, report->file);
  }
  if (report->mmproj) {
    tern_json_name (json, "vision");
    tern_json_open (json, '{');
    add_contents (json, report->mmproj);
    tern_json_close (json, '}');
  }
  tern_json_close (json, '}');
}

/* What a second of processor time does, beside what it does for the other figure: where other programs run, clocks say less. */
static double
cpu_ratio (const TernFigure *figure)
{
  const TernFigure *single = figure->single;

  return figure->amount / MAX (figure->cpu, 1e-9) / (single->amount / MAX (single->cpu, 1e-9));
}

/* A draft that was not asked, or whose words the model has none of, changed nothing: what differs is the machine's. */
static gboolean
is_compared (const TernFigure *figure)
{
  return figure->single && (!figure->drafts || figure->guesses > 0);
}

static void
add_figure (TernJson *json, const TernBenchReport *report, const TernFigure *figure)
{
  const char *bound;
  double floor;

  tern_json_name (json, figure->name);
  tern_json_open (json, '{');
  add_double (json, "value", figure->rate.value);
  tern_json_add_text (json, "unit", figure->unit);
  add_double (json, "min", figure->rate.min);
  add_double (json, "max", figure->rate.max);
  if (!is_probe (figure, report->probes)) {
    floor = tern_probes_floor (report->probes, figure, &bound);
    add_double (json, "floor", floor);
    add_double (json, "share", figure->rate.value / floor);
    tern_json_add_text (json, "bound", bound);
    tern_json_add_uint (json, "bytes", figure->cost.bytes);
    tern_json_add_uint (json, "int8_multiply_adds", figure->cost.i8);
    tern_json_add_uint (json, "float_multiply_adds", figure->cost.f32);
    tern_json_add_uint (json, "bf16_multiply_adds", figure->cost.bf16);
  }
  add_double (json, "cores_busy", figure->cpu / figure->wall);
  if (figure->tokens)
    tern_json_add_uint (json, "tokens", figure->tokens);
  if (figure->sessions)
    tern_json_add_uint (json, "depth", figure->depth);
  if (figure->sessions)
    tern_json_add_uint (json, "sessions", figure->sessions);
  if (figure->drafts) {
    add_double (json, "guesses", figure->guesses);
    add_double (json, "guesses_right", figure->guesses_right);
  }
  if (is_compared (figure)) {
    add_double (json, "ratio", figure->rate.value / figure->single->rate.value);
    add_double (json, "cpu_ratio", cpu_ratio (figure));
  }
  tern_json_close (json, '}');
}

void
tern_bench_print_json (const TernBenchReport *report)
{
  g_autoptr (GString) out = g_string_new (NULL);
  TernJson json = { .out = out, .lines = TRUE };

  tern_json_open (&json, '{');
  add_machine (&json, report);
  add_model (&json, report);
  tern_json_add_uint (&json, "repeat", report->repeat);
  for (guint i = 0; i < report->figures->len; i++)
    add_figure (&json, report, report->figures->pdata[i]);
  tern_json_close (&json, '}');
  puts (out->str);
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static void
print_machine (const TernBenchReport *report)
{
  const TernMachine *machine = report->machine;

  printf ("machine  %s, %u core%s", *machine->cpu ? machine->cpu : "unknown CPU", machine->cores,
      machine->cores == 1 ? "" : "s");
  for (guint i = 0; i < machine->n_caches; i++)
    if (machine->caches[i].kind != 'i')
      printf (", L%u %" G_GUINT64_FORMAT " KiB", machine->caches[i].level, machine->caches[i].bytes >> 10);
  printf ("\n         tern %s, %s, %u thread%s, activations %s\n", TERN_VERSION,
      tern_cpu_name (report->plan->kernels->level), report->plan->threads, report->plan->threads == 1 ? "" : "s",
      activations_of (report));
}

static void
print_file (const char *what, const char *name, const TernGguf *file, const char *more)
{
  Contents contents = count_contents (file);

  printf ("%-8s %s: %.1f M weights, mostly %s, %.1f MB%s\n", what, name, contents.weights / 1e6, contents.type,
      contents.bytes / 1e6, more);
}

static void
print_figure (const TernBenchReport *report, const TernFigure *figure)
{
  const char *bound = "";
  double floor;

  printf ("%-16s %-38s %11.4g %11.4g %11.4g", figure->name, figure->what, figure->rate.value, figure->rate.min,
      figure->rate.max);
  if (!is_probe (figure, report->probes)) {
    floor = tern_probes_floor (report->probes, figure, &bound);
    printf (" %11.4g %5.0f %%", floor, 100 * figure->rate.value / floor);
  } else {
    printf (" %11s %7s", "", "");
  }
  printf (" %6.2f  %s%s%s", figure->cpu / figure->wall, figure->unit, *bound ? ", " : "", bound);
  if (is_compared (figure))
    printf ("; %.2f times %s, %.2f by processor time", figure->rate.value / figure->single->rate.value,
        figure->sessions ? "one" : figure->single->name, cpu_ratio (figure));
  else if (figure->drafts)
    printf ("; the draft guessed nothing, so it is no comparison with %s", figure->single->name);
  printf ("\n");
}

void
tern_bench_print_text (const TernBenchReport *report)
{
  print_machine (report);
  if (report->llm) {
    g_autofree char *kv = g_strdup_printf (", keys and values %s", tern_kv_name (report->kv));

    print_file ("model", report->plan->source, report->file, kv);
  }
  if (report->mmproj)
    print_file ("vision", tern_gguf_path (report->mmproj), report->mmproj, "");
  printf ("\n%-16s %-38s %11s %11s %11s %11s %7s %6s  median, least and most of %u\n", "figure", "", "median", "min",
      "max", "floor", "share", "cores", report->repeat);
  for (guint i = 0; i < report->figures->len; i++)
    print_figure (report, report->figures->pdata[i]);
}
