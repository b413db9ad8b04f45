/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern bench: how fast a model is on this machine, beside what the machine allows. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tern/error.h"
#include "tern/model-files.h"
#include "tern/model-priv.h"
#include "tools/bench.h"
#include "tools/bench-shape.h"
#include "tools/tool.h"

#define TOKENS_MAX (1 << 20)
#define SESSIONS_MAX 256
#define REPEAT_MAX 1000
#define DEPTH_DEFAULT 2048
#define DEPTH_UNSET G_MININT

typedef struct {
  char *model, *mmproj, *shape, *type, *kv, *save, *activations;
  char *draft_model, *draft_shape, *draft_type, *draft_vocabulary;
  double agree;
  gint prefill, decode, depth, sessions, threads, repeat;
  gboolean json;
} Options;

typedef struct {
  const Options *options;
  TernBenchPlan plan;
  TernMachine machine;
  char *path, *mmproj_path;     /* what is opened; NULL: none */
  int fd, draft_fd;             /* of random models that are not saved; -1: none */
  TernTokenizer *tokenizer;     /* with a draft */
  TernDraftModel *draft;
  TernDraftScheme scheme;
  TernGguf *file, *mmproj;
  TernLlm *llm;
  TernVision *vision;
  TernModel *model;             /* both parts, when both lie in files */
  GPtrArray *figures;
  TernProbes probes;
  TernKvType kv;
} Bench;

/* ---- Measuring --------------------------------------------------------------------------------------------------- */

void
tern_figure_free (TernFigure *figure)
{
  if (figure->clear)
    figure->clear (figure);
  if (figure->values)
    g_array_unref (figure->values);
  g_free (figure->what);
  g_free (figure);
}

static int
compare (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static void
sum_up (TernFigure *figure)
{
  guint n = figure->values->len;
  const double *v;

  g_array_sort (figure->values, compare);
  v = (const double *) figure->values->data;
  figure->rate = (TernSpread) { (v[(n - 1) / 2] + v[n / 2]) / 2, v[0], v[n - 1] };
}

/* Linux's clock of one thread, which counts to the moment even while that thread runs elsewhere; the process's own counts
 * other threads up to their last tick, some milliseconds ago. (pthread_getcpuclockid() is this, of threads that one made.) */
static clockid_t
thread_clock (gint64 id)
{
  return (clockid_t) (~(guint32) id << 3 | 6);
}

static double
seconds_on (clockid_t clock)
{
  struct timespec t;

  return clock_gettime (clock, &t) == 0 ? t.tv_sec + t.tv_nsec / 1e9 : 0;
}

/* Seconds that the other threads of this process were on a core. */
static double
others_time (void)
{
  g_autoptr (GDir) threads = g_dir_open ("/proc/self/task", 0, NULL);
  const char *name;
  double sum = 0;

  while (threads && (name = g_dir_read_name (threads))) {
    gint64 id = g_ascii_strtoll (name, NULL, 10);

    if (id != syscall (SYS_gettid))
      sum += seconds_on (thread_clock (id));
  }
  return sum;
}

/* One run that counts. Looking at the others takes longer than some runs: this thread's own clock is read next to the run. */
static gboolean
run_figure (TernFigure *figure, GError **error)
{
  double others = others_time (), own = seconds_on (CLOCK_THREAD_CPUTIME_ID), rate;
  gint64 start = g_get_monotonic_time ();

  if (!figure->run (figure, error))
    return FALSE;
  figure->wall += MAX (g_get_monotonic_time () - start, 1) / 1e6;
  own = seconds_on (CLOCK_THREAD_CPUTIME_ID) - own;
  figure->cpu += own + others_time () - others;
  rate = figure->amount / figure->seconds;
  g_array_append_val (figure->values, rate);
  return TRUE;
}

/* Runs all of @figures (of TernFigure *) in turn, once to warm up and @repeat times that count, and fills in what they
 * gave. */
static gboolean
measure (GPtrArray *figures, guint repeat, GError **error)
{
  for (guint i = 0; i < figures->len; i++) {    /* warms up */
    TernFigure *figure = figures->pdata[i];

    figure->values = g_array_new (FALSE, FALSE, sizeof (double));
    if (!figure->run (figure, error))
      return FALSE;
  }
  for (guint r = 0; r < repeat; r++)
    for (guint i = 0; i < figures->len; i++)
      if (!run_figure (figures->pdata[i], error))
        return FALSE;
  for (guint i = 0; i < figures->len; i++)
    sum_up (figures->pdata[i]);
  return TRUE;
}

/* ---- What is measured -------------------------------------------------------------------------------------------- */

static gboolean
check_memory (const char *name, guint64 bytes, GError **error)
{
  guint64 available = tern_machine_available ();

  if (bytes <= available)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: needs %" G_GUINT64_FORMAT " MB of memory, %" G_GUINT64_FORMAT
      " are there", name, bytes >> 20, available >> 20);
  return FALSE;
}

/* A file without a name, in memory. */
static gboolean
write_unnamed (const char *name, TernShape *shape, int *fd, char **path, GError **error)
{
  *fd = memfd_create ("tern-bench", MFD_CLOEXEC);
  if (*fd < 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "a file in memory cannot be made: %s", g_strerror (errno));
    return FALSE;
  }
  *path = g_strdup_printf ("/proc/self/fd/%d", *fd);
  return tern_shape_write (shape, *fd, name, error);
}

/* The random model: saved, or in memory alone. */
static gboolean
make_shape (Bench *bench, const TernGguf *shipped, char **path, GError **error)
{
  const Options *o = bench->options;
  g_autoptr (TernShape) shape = o->draft_shape ? tern_shape_new_chain (o->shape, o->type, 1)
      : tern_shape_new (o->shape, o->type, shipped);

  if (o->repeat > 0 && !check_memory (o->shape, tern_shape_bytes (shape) + tern_shape_packed_bytes (shape), error))
    return FALSE;
  if (!o->save)
    return write_unnamed (o->shape, shape, &bench->fd, path, error);
  *path = g_strdup (o->save);
  return tern_shape_save (shape, o->save, error);
}

/* The bundled files; of the language model one like it when values are to be random. */
static gboolean
find_shipped (Bench *bench, GError **error)
{
  const Options *o = bench->options;
  g_autofree char *text = tern_model_find_text (NULL, error);
  g_autoptr (TernGguf) file = NULL;

  if (!text || !(bench->mmproj_path = tern_model_find_mmproj (text, error)))
    return FALSE;
  if (!o->type && !o->save) {
    bench->path = g_steal_pointer (&text);
    return TRUE;
  }
  return (file = tern_gguf_open (text, error)) && make_shape (bench, file, &bench->path, error);
}

static gboolean
is_encoder (const TernGguf *file)
{
  TernBytes architecture;

  return tern_gguf_string (file, "general.architecture", &architecture, NULL) && architecture.len == 4
      && memcmp (architecture.data, "clip", 4) == 0;
}

/* Sets the paths of what is measured. */
static gboolean
find_files (Bench *bench, GError **error)
{
  const Options *o = bench->options;

  if (o->model) {
    g_autoptr (TernGguf) file = tern_gguf_open (o->model, error);

    if (!file)
      return FALSE;
    *(is_encoder (file) ? &bench->mmproj_path : &bench->path) = g_strdup (o->model);
    if (o->mmproj) {
      g_free (bench->mmproj_path);
      bench->mmproj_path = g_strdup (o->mmproj);
    }
    return TRUE;
  }
  if (g_str_equal (o->shape, TERN_SHAPE_SHIPPED))
    return find_shipped (bench, error);
  return make_shape (bench, NULL, tern_shape_is_vision (o->shape) ? &bench->mmproj_path : &bench->path, error);
}

/* Whether the public library can open both parts, which it finds by their names. */
static gboolean
has_window (const Bench *bench)
{
  return bench->path && bench->mmproj_path && bench->fd < 0;
}

static guint64
file_bytes (const TernGguf *file)
{
  return tern_gguf_size (file) - tern_gguf_data_start (file);
}

/* The language model, if it fits. */
static gboolean
check_text (Bench *bench, GError **error)
{
  g_autoptr (TernLlm) plan = tern_llm_plan (bench->file, bench->plan.kernels, error);

  return plan && (bench->fd >= 0    /* it is there, and was counted before */
      || check_memory (bench->path, file_bytes (bench->file) - tern_llm_repack (plan).source
          + tern_llm_owned_bytes (plan), error));
}

static gboolean
open_both (Bench *bench, GError **error)
{
  TernModelParams params;

  tern_model_params_init (&params);
  params.model_path = bench->path;
  params.mmproj_path = bench->mmproj_path;
  params.parts = TERN_MODEL_TEXT | TERN_MODEL_VISION;
  params.threads = bench->plan.threads;
  params.activations = bench->options->activations;
  if (!(bench->model = tern_model_open (&params, error)))
    return FALSE;
  bench->llm = tern_llm_ref (tern_model_text (bench->model)->llm);
  bench->vision = tern_vision_ref (tern_model_vision (bench->model));
  return TRUE;
}

static gboolean
open_model (Bench *bench, GError **error)
{
  if (bench->path && (!(bench->file = tern_gguf_open (bench->path, error)) || !check_text (bench, error)))
    return FALSE;
  if (bench->mmproj_path && (!(bench->mmproj = tern_gguf_open (bench->mmproj_path, error))
          || !check_memory (bench->mmproj_path, bench->fd >= 0 ? 0 : file_bytes (bench->mmproj), error)))
    return FALSE;
  if (has_window (bench))
    return open_both (bench, error);
  return (!bench->file || (bench->llm = tern_llm_open_forced (bench->file, bench->plan.kernels, &bench->plan.policy,
              bench->plan.pool, error)))
      && (!bench->mmproj || (bench->vision = tern_vision_open (bench->mmproj, bench->plan.kernels, error)));
}

/* The draft: a file, or a random model that agrees with the other one as often as was asked for. */
static gboolean
open_draft (Bench *bench, GError **error)
{
  const Options *o = bench->options;
  g_autofree char *path = g_strdup (o->draft_model);
  g_autoptr (TernShape) shape = o->draft_shape ? tern_shape_new_chain (o->draft_shape, o->draft_type, o->agree) : NULL;
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (TernLlm) llm = NULL;
  g_autoptr (TernTokenizer) tokenizer = NULL;

  if (!path && !shape)
    return TRUE;
  if (shape && !write_unnamed (o->draft_shape, shape, &bench->draft_fd, &path, error))
    return FALSE;
  return (bench->tokenizer = tern_tokenizer_new (bench->file, error)) && (file = tern_gguf_open (path, error))
      && (llm = tern_llm_open (file, bench->plan.kernels, bench->plan.pool, error))
      && (tokenizer = tern_tokenizer_new (file, error))
      && (bench->draft = tern_draft_model_new (llm, tokenizer, bench->llm, bench->tokenizer, bench->scheme, error));
}

/* Where nobody asked for a depth, a model with a small context has what it can. */
static void
limit_depth (Bench *bench)
{
  guint context = tern_llm_info (bench->llm)->context, said = bench->plan.decode + 1;

  if (bench->options->depth == DEPTH_UNSET)
    bench->plan.depth = MIN (bench->plan.depth, context - MIN (context, said));
}

static gboolean
add_figures (Bench *bench, GError **error)
{
  double bytes = bench->llm ? tern_text_token_bytes (bench->llm) : 0;

  if (bench->llm)
    limit_depth (bench);
  return tern_probes_add (&bench->probes, bench->figures, &bench->plan, tern_machine_cache_bytes (&bench->machine),
      bytes, error)
      && (!bench->llm || tern_text_figures_add (bench->figures, &bench->plan, bench->llm, &bench->kv, error))
      && (!bench->draft || tern_draft_figures_add (bench->figures, &bench->plan, bench->llm, bench->draft, bench->tokenizer,
              error))
      && (!bench->vision || tern_vision_figures_add (bench->figures, &bench->plan, bench->vision, error))
      && (!bench->model || tern_window_figure_add (bench->figures, bench->model, bench->llm, bench->vision, error));
}

/* ---- Command ----------------------------------------------------------------------------------------------------- */

static void
report (const Bench *bench)
{
  const Options *o = bench->options;
  TernBenchReport all = { &bench->plan, &bench->machine, &bench->probes, bench->figures, o->repeat,
    bench->file, bench->mmproj, bench->llm, bench->kv };

  if (o->json)
    tern_bench_print_json (&all);
  else
    tern_bench_print_text (&all);
}

static gboolean
run (Bench *bench, GError **error)
{
  const Options *o = bench->options;

  bench->plan.kernels = tern_kernels_default (error);
  if (!bench->plan.kernels || !(bench->plan.pool = tern_pool_new (o->threads, error)))
    return FALSE;
  bench->plan.threads = tern_pool_threads (bench->plan.pool);
  tern_machine_look (&bench->machine);
  if (!find_files (bench, error))
    return FALSE;
  if (o->repeat == 0)
    return TRUE;
  if (!open_model (bench, error) || !open_draft (bench, error) || !add_figures (bench, error)
      || !measure (bench->figures, o->repeat, error))
    return FALSE;
  report (bench);
  return TRUE;
}

static void
bench_clear (Bench *bench)
{
  g_ptr_array_unref (bench->figures);
  tern_model_unref (bench->model);
  tern_llm_unref (bench->llm);
  g_clear_pointer (&bench->vision, tern_vision_unref);
  g_clear_pointer (&bench->file, tern_gguf_unref);
  g_clear_pointer (&bench->mmproj, tern_gguf_unref);
  tern_pool_free (bench->plan.pool);
  tern_draft_model_unref (bench->draft);
  g_clear_pointer (&bench->tokenizer, tern_tokenizer_unref);
  if (bench->fd >= 0)
    close (bench->fd);
  if (bench->draft_fd >= 0)
    close (bench->draft_fd);
  g_free (bench->path);
  g_free (bench->mmproj_path);
}

static int
check_source (const Options *o)
{
  guint32 file_type;

  if (!o->model == !o->shape)
    return tern_tool_usage ("bench: expected one of --model F and --shape NAME, found %s", o->model ? "both" : "none");
  if (o->model && (o->type || o->save))
    return tern_tool_usage ("%s: expected with --shape NAME alone, found with --model", o->type ? "--type" : "--save");
  if (o->shape && o->mmproj)
    return tern_tool_usage ("--mmproj: expected with --model F alone, found with --shape");
  if (o->shape && !g_strv_contains (tern_shape_names (), o->shape)) {
    g_autofree char *known = g_strjoinv (", ", (char **) tern_shape_names ());

    return tern_tool_usage ("--shape: expected one of %s, found `%s`", known, o->shape);
  }
  if (o->type && !tern_shape_type (o->type, &file_type))
    return tern_tool_usage ("--type: expected " TERN_SHAPE_TYPES ", found `%s`", o->type);
  return TERN_TOOL_DONE;
}

static int
check_draft (Bench *bench, const Options *o)
{
  if (o->draft_model && o->draft_shape)
    return tern_tool_usage ("bench: expected one of --draft-model F and --draft-shape NAME, found both");
  if (o->draft_model && (!o->model || o->draft_type))
    return tern_tool_usage ("--draft-model: expected with --model F, and without --draft-type, found %s", o->model
        ? "--draft-type" : "--shape");
  if (o->draft_shape && (!o->shape || !tern_shape_is_text (o->shape) || !tern_shape_is_text (o->draft_shape)))
    return tern_tool_usage ("--draft-shape: expected bitnet-2b, lfm2-1.2b or lfm2-350m here and as --shape, found `%s` and `%s`",
        o->draft_shape, o->shape ? o->shape : "none");
  if (o->draft_type && (!o->draft_shape || !tern_shape_type (o->draft_type, &(guint32) { 0 })))
    return tern_tool_usage ("--draft-type: expected " TERN_SHAPE_TYPES ", with --draft-shape, found `%s`", o->draft_type);
  if (!(o->agree > 0 && o->agree <= 1))
    return tern_tool_usage ("--agree: expected a share above 0, at most 1, found %g", o->agree);
  if ((o->draft_model || o->draft_shape) && o->decode < 1)
    return tern_tool_usage ("--decode: expected 1 or more with a draft, found %d", o->decode);
  if (o->draft_vocabulary && !tern_draft_scheme_parse (o->draft_vocabulary, &bench->scheme))
    return tern_tool_usage ("--draft-vocabulary: expected auto, same, tli or slem, found %s", o->draft_vocabulary);
  return TERN_TOOL_DONE;
}

static int
check_counts (const Options *o)
{
  const struct {
    const char *name;
    gint value, min, max;
  } counts[] = {
    { "--prefill", o->prefill, 0, TOKENS_MAX }, { "--decode", o->decode, 0, TOKENS_MAX },
    { "--depth", o->depth == DEPTH_UNSET ? 0 : o->depth, 0, TOKENS_MAX }, { "--sessions", o->sessions, 1, SESSIONS_MAX },
    { "--repeat", o->repeat, o->save ? 0 : 1, REPEAT_MAX },
  };

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    if (counts[i].value < counts[i].min || counts[i].value > counts[i].max)
      return tern_tool_usage ("%s: expected %d to %d, found %d", counts[i].name, counts[i].min, counts[i].max,
          counts[i].value);
  return tern_tool_check_threads (o->threads) ? TERN_TOOL_DONE : TERN_TOOL_USAGE;
}

static int
bench_main (const Options *o)
{
  Bench bench = { .options = o, .fd = -1, .draft_fd = -1,
    .plan = { .source = o->model ? o->model : o->shape, .prefill = o->prefill, .decode = o->decode,
      .depth = o->depth == DEPTH_UNSET ? DEPTH_DEFAULT : o->depth, .sessions = o->sessions } };
  g_autoptr (GError) error = NULL;
  int status = check_source (o);

  if (status == TERN_TOOL_DONE)
    status = check_counts (o);
  if (status == TERN_TOOL_DONE)
    status = check_draft (&bench, o);
  if (status != TERN_TOOL_DONE)
    return status;
  if (o->kv && !tern_kv_parse (o->kv, &bench.plan.kv))
    return tern_tool_usage ("--kv: expected " TERN_KV_NAMES ", found %s", o->kv);
  if (o->activations && !tern_policy_parse (o->activations, &bench.plan.policy, &error))
    return tern_tool_usage ("--activations: %s", error->message);
  bench.figures = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_figure_free);
  if (!run (&bench, &error))
    status = tern_tool_fail (&error);
  bench_clear (&bench);
  return status == TERN_TOOL_DONE && !tern_tool_flush () ? TERN_TOOL_FAILED : status;
}

int
tern_tool_bench (int argc, char **argv)
{
  Options o = { .prefill = 256, .decode = 32, .depth = DEPTH_UNSET, .sessions = 1, .repeat = 5, .agree = .7 };
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &o.model, "Language model or vision encoder (GGUF)", "F" },
    { "mmproj", 0, 0, G_OPTION_ARG_FILENAME, &o.mmproj, "... and the vision encoder of the language model", "F" },
    { "shape", 0, 0, G_OPTION_ARG_STRING, &o.shape, "Random weights in the shape of bitnet-2b, lfm2-1.2b, lfm2-350m, "
        "qwen3.5-2b, qwen3-vl-2b, bonsai-2b, granite-4-h-micro, nemotron-h-4b, siglip-b-512, qwen3.5-2b-vision or "
        "qwen3-vl-2b-vision; shipped: the bundled model", "NAME" },
    { "type", 0, 0, G_OPTION_ARG_STRING, &o.type, "... with matrices of " TERN_SHAPE_TYPES, "TYPE" },
    { "prefill", 0, 0, G_OPTION_ARG_INT, &o.prefill, "Tokens of a prompt; 0 = leave out", "N" },
    { "decode", 0, 0, G_OPTION_ARG_INT, &o.decode, "Tokens said one by one; 0 = leave out", "N" },
    { "depth", 0, 0, G_OPTION_ARG_INT, &o.depth, "... and said after N others (2048, or what fits); 0 = leave out",
        "N" },
    { "sessions", 0, 0, G_OPTION_ARG_INT, &o.sessions, "... and said by N timelines together, at that depth", "N" },
    { "kv", 0, 0, G_OPTION_ARG_STRING, &o.kv, "Keys and values as " TERN_KV_NAMES, "TYPE" },
    { "activations", 0, 0, G_OPTION_ARG_STRING, &o.activations, "How inputs of matrices are rounded, instead of as the file says: "
        "int8, w1a8, a4.8, v2[:BLOCK] or v2-a8[:BLOCK]", "MODE" },
    { "draft-model", 0, 0, G_OPTION_ARG_FILENAME, &o.draft_model, "Language model that guesses what --model says", "F" },
    { "draft-shape", 0, 0, G_OPTION_ARG_STRING, &o.draft_shape, "With --shape: a random model of this shape as the draft; both are "
        "made so that they agree in a share of tokens", "NAME" },
    { "draft-type", 0, 0, G_OPTION_ARG_STRING, &o.draft_type, "... with matrices of a type as those of --type (TQ2_0)", "TYPE" },
    { "agree", 0, 0, G_OPTION_ARG_DOUBLE, &o.agree, "... and this share (0.7)", "P" },
    { "draft-vocabulary", 0, 0, G_OPTION_ARG_STRING, &o.draft_vocabulary, "The draft's vocabulary: auto, same, tli or slem",
        "KIND" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads; 0 = all cores", "N" },
    { "repeat", 0, 0, G_OPTION_ARG_INT, &o.repeat, "Runs of everything, in turn; the median counts", "N" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &o.json, "One JSON object instead of a table", NULL },
    { "save", 0, 0, G_OPTION_ARG_FILENAME, &o.save, "Write the random model to F; with --repeat 0 nothing else is done",
        "F" },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, NULL, 0, 0,
          "Measures how fast a model reads and says tokens, encodes and merges pictures and answers windows of video.\n"
          "Beside each figure stand what the machine allows, measured in the same run (memory read by as many threads,\n"
          "or the widest multiply-add of the instruction set in use), and the share of it that was reached. Figures are\n"
          "run in turn after one round that is not counted: median, least and most.", entries, &rest))
    status = bench_main (&o);
  g_free (o.model);
  g_free (o.mmproj);
  g_free (o.shape);
  g_free (o.type);
  g_free (o.kv);
  g_free (o.activations);
  g_free (o.draft_model);
  g_free (o.draft_shape);
  g_free (o.draft_type);
  g_free (o.draft_vocabulary);
  g_free (o.save);
  return status;
}
