/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern quantize IN OUT --type TYPE: a GGUF file with its matrices in another type. Rows go through in blocks, so that
 * memory does not grow with the model. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "tern/error.h"
#include "engine/base/mapfile.h"
#include "engine/base/mem.h"
#include "engine/base/threads.h"
#include "engine/kernels/kernels.h"
#include "engine/weights/activations.h"
#include "engine/weights/gguf-write.h"
#include "engine/weights/quantize.h"
#include "tools/quantize-plan.h"
#include "tools/tool.h"

#define CHUNK_BYTES (4u << 20)  /* of floats that become blocks between two writes */
#define MEAN_MIN 1e-5f          /* of |w|, as BitNet's weight quantisation has it */

typedef struct {
  const char *type_name, *activations;
  gboolean force;               /* ternary values */
  gboolean binary;              /* signs */
  TernActivationPolicy policy;  /* that the file will name; FILE: as it does */
  gint threads;
  const TernTypeInfo *type;
  guint32 file_type;
} Options;

typedef struct {
  const Options *options;
  TernGguf *file;
  TernGgufWriter *writer;
  TernQuantizePlan *plans;      /* [tensor] */
  TernPool *pool;
  guint8 *chunk;                /* blocks of some rows */
} Work;

/* One matrix of a tensor, some rows at a time; what the workers share. */
typedef struct {
  const Work *work;
  const TernTensor *tensor;
  const TernTypeInfo *type;     /* that it becomes */
  const guint8 *rows;           /* in the file: the matrix, then the first of the rows at hand */
  float scale;                  /* ternary: s; with --force-ternary and --force-binary the mean of |w| */
  float mean;                   /* with --force-binary: of w */
  double *sums;                 /* [2 row] of |w|, of w */

  gint bad;                     /* atomic: a value was found that cannot be; the winner fills in the rest */
  guint bad_row;
  float bad_value;
} Job;

static gboolean
is_ternary_type (const TernTypeInfo *type)
{
  return type->type == TERN_TYPE_TQ1_0 || type->type == TERN_TYPE_TQ2_0;
}

static void
report (Job *job, guint row, float value)
{
  if (g_atomic_int_compare_and_exchange (&job->bad, 0, 1)) {
    job->bad_row = row;
    job->bad_value = value;
  }
}

/* A row of the file as floats in the worker's scratch. */
static float *
read_row (const Job *job, guint row, guint worker)
{
  const TernTensor *tensor = job->tensor;
  float *x = tern_pool_scratch (job->work->pool, worker);

  tern_type_rows_to_f32 (tensor->type, x, job->rows + row * tern_type_row_bytes (tensor->type, tensor->dims[0]), 1,
      tensor->dims[0], NULL);
  return x;
}

static gsize
matrix_bytes (const TernTensor *tensor)
{
  return tensor->bytes / tensor->dims[2];
}

static gsize
chunk_rows (const TernTensor *tensor)
{
  return CLAMP (CHUNK_BYTES / sizeof (float) / tensor->dims[0], 1, tensor->dims[1]);
}

/* ---- Ternary matrices -------------------------------------------------------------------------------------------- */

static void
check_rows (void *data, guint begin, guint end, guint worker)
{
  Job *job = data;
  guint row;

  for (row = begin; row < end && !g_atomic_int_get (&job->bad); row++) {
    float scale = job->scale, odd;

    if (!tern_is_ternary (read_row (job, row, worker), job->tensor->dims[0], &scale, &odd))
      report (job, row, odd);
  }
}

static void
sum_rows (void *data, guint begin, guint end, guint worker)
{
  Job *job = data;
  guint row;
  gsize i;

  for (row = begin; row < end; row++) {
    const float *x = read_row (job, row, worker);
    double sum = 0, plain = 0;

    for (i = 0; i < job->tensor->dims[0]; i++) {
      sum += fabsf (x[i]);
      plain += x[i];
    }
    job->sums[2 * row] = sum;
    job->sums[2 * row + 1] = plain;
  }
}

/* job->scale and mean: those of |w| and w. */
static void
find_mean (Job *job)
{
  guint rows = job->tensor->dims[1], row;
  double sum = 0, plain = 0;

  job->sums = g_new (double, 2 * (gsize) rows);
  tern_pool_run (job->work->pool, sum_rows, job, rows, 1);
  for (row = 0; row < rows; row++) {
    sum += job->sums[2 * row];
    plain += job->sums[2 * row + 1];
  }
  job->mean = (float) (plain / rows / job->tensor->dims[0]);
  g_clear_pointer (&job->sums, g_free);
  job->scale = MAX ((float) (sum / rows / job->tensor->dims[0]), MEAN_MIN);
}

/* job->scale: s of a matrix of -s, 0 and +s, 0 for one of zeros. */
static gboolean
find_scale (Job *job, GError **error)
{
  const TernTensor *tensor = job->tensor;
  const char *path = tern_gguf_path (job->work->file);
  float odd, stored;
  guint row;

  job->scale = 0;
  for (row = 0; row < tensor->dims[1] && job->scale == 0 && !job->bad; row++)
    if (!tern_is_ternary (read_row (job, row, 0), tensor->dims[0], &job->scale, &odd))
      report (job, row, odd);
  if (job->scale != 0 && !job->bad)
    tern_pool_run (job->work->pool, check_rows, job, tensor->dims[1], 1);
  if (job->bad) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected -s, 0 and +s with one s for %s, "
        "found %g in row %u beside s = %g; --force-ternary rounds the values, which only a model that was trained for "
        "it survives", path, tensor->name, job->type->name, job->bad_value, job->bad_row, job->scale);
    return FALSE;
  }
  stored = tern_f16_to_f32 (tern_f32_to_f16 (job->scale));
  if (fabsf (stored - job->scale) <= job->scale / 1024)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: tensor %s: expected a scale that f16 can hold for %s, "
      "found %g", path, tensor->name, job->type->name, job->scale);
  return FALSE;
}

/* Whether all tensors that are to become ternary are; before anything is written. */
static gboolean
check_ternary (const Work *work, GError **error)
{
  gsize i, m;

  for (i = 0; i < tern_gguf_n_tensors (work->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (work->file, i);

    if (work->plans[i].type == tensor->type || !is_ternary_type (work->plans[i].type))
      continue;
    for (m = 0; m < tensor->dims[2]; m++) {
      Job job = { .work = work, .tensor = tensor, .type = work->plans[i].type,
        .rows = tensor->data + m * matrix_bytes (tensor) };

      if (!find_scale (&job, error))
        return FALSE;
    }
    tern_map_release (tensor->data, tensor->bytes);
  }
  return TRUE;
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

static gboolean
check_values (Job *job, guint row, const float *x, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    if (!(fabsf (x[i]) <= TERN_QUANTIZE_MAX)) {
      report (job, row, x[i]);
      return FALSE;
    }
  return TRUE;
}

static void
quantize_rows (void *data, guint begin, guint end, guint worker)
{
  Job *job = data;
  gsize cols = job->tensor->dims[0], bytes = tern_type_row_bytes (job->type, cols);
  TernQuantizeFunc quantize = tern_quantizer (job->type->type);
  guint row;

  for (row = begin; row < end && !g_atomic_int_get (&job->bad); row++) {
    float *x = read_row (job, row, worker);

    if (!check_values (job, row, x, cols))
      return;
    if (is_ternary_type (job->type) && job->work->options->force)
      tern_make_ternary (x, cols, job->scale);
    if (job->type->type == TERN_TYPE_Q1_0 && job->work->options->binary)
      tern_make_binary (x, cols, job->mean, job->scale);
    quantize (job->work->chunk + row * bytes, x, cols);
  }
}

static gboolean
quantize_matrix (Job *job, GError **error)
{
  const TernTensor *tensor = job->tensor;
  gsize step = chunk_rows (tensor), first, rows;

  if ((is_ternary_type (job->type) && job->work->options->force)
      || (job->type->type == TERN_TYPE_Q1_0 && job->work->options->binary))
    find_mean (job);
  for (first = 0; first < tensor->dims[1]; first += rows) {
    gsize bytes;

    rows = MIN (step, tensor->dims[1] - first);
    bytes = rows * tern_type_row_bytes (tensor->type, tensor->dims[0]);
    tern_pool_run (job->work->pool, quantize_rows, job, rows, 1);
    if (job->bad) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected finite values up to %g, found %g in "
          "row %" G_GSIZE_FORMAT, tern_gguf_path (job->work->file), tensor->name, TERN_QUANTIZE_MAX, job->bad_value,
          first + job->bad_row);
      return FALSE;
    }
    if (!tern_gguf_writer_data (job->work->writer, job->work->chunk, rows * tern_type_row_bytes (job->type,
            tensor->dims[0]), error))
      return FALSE;
    tern_map_release (job->rows, bytes);
    job->rows += bytes;
  }
  return TRUE;
}

static gboolean
write_tensors (const Work *work, GError **error)
{
  gsize i, m;

  for (i = 0; i < tern_gguf_n_tensors (work->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (work->file, i);

    if (work->plans[i].type == tensor->type) {
      if (!tern_gguf_writer_copy_tensor (work->writer, tensor, error))
        return FALSE;
      continue;
    }
    for (m = 0; m < tensor->dims[2]; m++) {
      Job job = { .work = work, .tensor = tensor, .type = work->plans[i].type,
        .rows = tensor->data + m * matrix_bytes (tensor) };

      if (!quantize_matrix (&job, error))
        return FALSE;
    }
  }
  return TRUE;
}

/* ---- File -------------------------------------------------------------------------------------------------------- */

/* What the file says of the inputs of its matrices, where that was asked for. */
static void
write_policy (const Work *work)
{
  const TernActivationPolicy *policy = &work->options->policy;

  if (policy->kind == TERN_POLICY_FILE)
    return;
  tern_gguf_writer_string (work->writer, TERN_POLICY_KEY, tern_policy_name (policy->kind));
  if (policy->block)
    tern_gguf_writer_u32 (work->writer, TERN_POLICY_BLOCK_KEY, policy->block);
}

static gboolean
is_replaced (const Work *work, const char *key)
{
  return work->options->policy.kind != TERN_POLICY_FILE
      && (strcmp (key, TERN_POLICY_KEY) == 0 || strcmp (key, TERN_POLICY_BLOCK_KEY) == 0);
}

/* All keys as they are, but for the two that say how the file is quantised, and for the policy. */
static void
write_keys (const Work *work, gboolean changed)
{
  const struct {
    const char *name;
    guint32 value;
  } own[] = { { "general.file_type", work->options->file_type }, { "general.quantization_version", 2 } };
  gsize i, k;

  for (i = 0; i < tern_gguf_n_keys (work->file); i++) {
    const char *name = tern_gguf_key (work->file, i, NULL);

    for (k = 0; k < G_N_ELEMENTS (own) && strcmp (name, own[k].name) != 0; k++);
    if (changed && k < G_N_ELEMENTS (own))
      tern_gguf_writer_u32 (work->writer, name, own[k].value);
    else if (!is_replaced (work, name))
      tern_gguf_writer_copy_key (work->writer, tern_gguf_key_record (work->file, i));
  }
  for (k = 0; changed && k < G_N_ELEMENTS (own); k++)
    if (!tern_gguf_has (work->file, own[k].name))
      tern_gguf_writer_u32 (work->writer, own[k].name, own[k].value);
  write_policy (work);
}

/* The bytes of @tensor as @type. */
static gboolean
new_bytes (const Work *work, const TernTensor *tensor, const TernTypeInfo *type, gsize *out, GError **error)
{
  guint64 bytes;

  if (tern_type_tensor_bytes (type, tensor->dims, &bytes)) {
    *out = bytes;
    return TRUE;
  }
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected fewer than 2^63 bytes of %s, found more",
      tern_gguf_path (work->file), tensor->name, type->name);
  return FALSE;
}

/* Plans, directory and the memory for the largest tensor. */
static gboolean
prepare (Work *work, GError **error)
{
  gsize scratch = 0, chunk = 0, i;
  gboolean changed = FALSE;

  work->plans = g_new (TernQuantizePlan, tern_gguf_n_tensors (work->file) + 1);
  for (i = 0; i < tern_gguf_n_tensors (work->file); i++)
    tern_quantize_plan (&work->plans[i], tern_gguf_tensor_at (work->file, i), work->options->type->type);
  if (!tern_quantize_widen (work->plans, work->file, work->pool, error))
    return FALSE;
  for (i = 0; i < tern_gguf_n_tensors (work->file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (work->file, i);
    gsize bytes = tensor->bytes;

    if (work->plans[i].type != tensor->type) {
      if (!new_bytes (work, tensor, work->plans[i].type, &bytes, error))
        return FALSE;
      changed = TRUE;
      scratch = MAX (scratch, tensor->dims[0] * sizeof (float));
      chunk = MAX (chunk, chunk_rows (tensor) * tern_type_row_bytes (work->plans[i].type, tensor->dims[0]));
    }
    tern_gguf_writer_tensor (work->writer, tensor->name, work->plans[i].type, tensor->n_dims, tensor->dims, bytes);
  }
  write_keys (work, changed);
  work->chunk = tern_mem_alloc (chunk, "rows to write", error);
  return work->chunk && tern_pool_reserve (work->pool, scratch, error);
}

/* Says once for all tensors alike what is not as it was asked for. */
static void
explain (const Work *work)
{
  gsize n = tern_gguf_n_tensors (work->file), i, j, alike;

  for (i = 0; i < n; i++) {
    const TernQuantizePlan *plan = &work->plans[i];
    const TernTensor *tensor = tern_gguf_tensor_at (work->file, i);

    if (plan->step != TERN_QUANTIZE_DONE && plan->step != TERN_QUANTIZE_FALLBACK)
      continue;
    for (j = 0, alike = 0; j < n; j++) {
      const TernTensor *other = tern_gguf_tensor_at (work->file, j);

      if (work->plans[j].step != plan->step || work->plans[j].type != plan->type
          || (plan->step == TERN_QUANTIZE_FALLBACK
              && (other->dims[0] != tensor->dims[0] || work->plans[j].asked != plan->asked)))
        continue;
      if (j < i)
        break;                  /* said before */
      alike++;
    }
    if (j < n)
      continue;
    if (plan->step == TERN_QUANTIZE_DONE)
      tern_tool_message ("%" G_GSIZE_FORMAT " x %s already (%s, ...): copied unchanged", alike, plan->type->name,
          tensor->name);
    else
      tern_tool_message ("%" G_GSIZE_FORMAT " x %s, not %s (%s, ...): rows of %" G_GUINT64_FORMAT
          " are not a multiple of %u", alike, plan->type->name, plan->asked->name, tensor->name, tensor->dims[0],
          plan->asked->block);
  }
}

static gboolean
same_file (const char *a, const char *b)
{
  struct stat x, y;

  return stat (a, &x) == 0 && stat (b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static gboolean
run (Work *work, const char *in, const char *out, GError **error)
{
  work->file = tern_gguf_open (in, error);
  if (!work->file || !tern_gguf_check_out (work->file, out, error))
    return FALSE;
  work->writer = tern_gguf_writer_new (tern_gguf_alignment (work->file));
  work->pool = tern_pool_new (work->options->threads, error);
  if (!work->pool || !prepare (work, error))
    return FALSE;
  explain (work);
  if (!work->options->force && !check_ternary (work, error))
    return FALSE;
  if (!tern_gguf_writer_begin (work->writer, out, error) || !write_tensors (work, error)
      || !tern_gguf_writer_finish (work->writer, error))
    return FALSE;
  tern_tool_message ("%s: %" G_GSIZE_FORMAT " bytes; %s: %" G_GUINT64_FORMAT " bytes", in, tern_gguf_size (work->file),
      out, tern_gguf_writer_size (work->writer));
  return TRUE;
}

static void
work_clear (Work *work)
{
  g_clear_pointer (&work->writer, tern_gguf_writer_free);
  g_clear_pointer (&work->file, tern_gguf_unref);
  g_clear_pointer (&work->pool, tern_pool_free);
  g_clear_pointer (&work->plans, g_free);
  g_clear_pointer (&work->chunk, tern_mem_free);
}

static int
check_options (Options *o, char **files)
{
  g_autoptr (GError) error = NULL;

  if (!tern_tool_check_files ("quantize", files))
    return TERN_TOOL_USAGE;
  if (!o->type_name)
    return tern_tool_usage ("quantize: expected --type TYPE, found none");
  o->type = tern_quantize_type (o->type_name, &o->file_type);
  if (!o->type)
    return tern_tool_usage ("--type: expected Q8_0, Q4_0, Q4_K, Q6_K, TQ1_0, TQ2_0, Q1_0, Q2_0, PQ2_0 or PTQ1_0, found `%s`",
        o->type_name);
  if (o->activations && !tern_policy_parse (o->activations, &o->policy, &error))
    return tern_tool_usage ("--activations: %s", error->message);
  if (o->binary && o->type->type != TERN_TYPE_Q1_0)
    return tern_tool_usage ("--force-binary: expected --type Q1_0 with it, found %s", o->type->name);
  if (o->binary && o->activations && o->policy.kind != TERN_POLICY_W1A8)
    return tern_tool_usage ("--force-binary: expected w1a8 or nothing as --activations, found %s", o->activations);
  if (o->binary)
    o->policy.kind = TERN_POLICY_W1A8;
  if (!tern_tool_check_threads (o->threads))
    return TERN_TOOL_USAGE;
  if (same_file (files[0], files[1]))
    return tern_tool_usage ("quantize: expected two files, found %s twice", files[0]);
  return TERN_TOOL_DONE;
}

int
tern_tool_quantize (int argc, char **argv)
{
  g_autofree char *type = NULL, *activations = NULL;
  Options o = { NULL };
  const GOptionEntry entries[] = {
    { "type", 0, 0, G_OPTION_ARG_STRING, &type, "Q8_0, Q4_0, Q4_K, Q6_K, TQ1_0, TQ2_0, Q1_0, Q2_0, PQ2_0 or PTQ1_0", "TYPE" },
    { "force-ternary", 0, 0, G_OPTION_ARG_NONE, &o.force, "With TQ1_0 and TQ2_0: round each matrix W to mean|W| times "
        "-1, 0 or +1 (BitNet b1.58). Only models trained that way survive it", NULL },
    { "force-binary", 0, 0, G_OPTION_ARG_NONE, &o.binary, "With Q1_0: make each matrix W mean|W| times the signs of W - mean W "
        "(BitNet, 2023), and say so in the file (" TERN_POLICY_KEY " w1a8). Only models trained that way survive it", NULL },
    { "activations", 0, 0, G_OPTION_ARG_STRING, &activations, "Say in the file how the inputs of its matrices are rounded: "
        "int8, w1a8, a4.8, v2[:BLOCK] or v2-a8[:BLOCK], as the model was trained", "MODE" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &o.threads, "Threads; 0 = all cores", "N" },
    { NULL }
  };
  g_auto (GStrv) files = NULL;
  g_autoptr (GError) error = NULL;
  Work work = { &o };
  int status;

  if (!tern_tool_options (argc, argv, "IN OUT", 2, 2,
          "Writes the GGUF file IN (text model or mmproj) as OUT with its F32, F16 and BF16 matrices in another type.\n"
          "Norms, biases, convolutions, routers, position tables and what is quantised already stay as they are; so do, with\n"
          "8 to 4 bits, matrices of a vision encoder whose output that would change more than tenfold what it does others'.\n"
          "Embedding and output become Q6_K (Q4_0, Q4_K, Q6_K) or Q8_0 (the ternary types). TQ1_0 and TQ2_0 are\n"
          "for ternary models: a matrix of other values than -s, 0 and +s is an error. Q2_0, PQ2_0 and PTQ1_0 take any,\n"
          "to the nearest of -d, 0 and +d, d being each block's, and Q1_0 to -d and +d. Matrices that are rotated "
          "(prism.hadamard) stay so.", entries, &files))
    return TERN_TOOL_USAGE;
  o.type_name = type;
  o.activations = activations;
  status = check_options (&o, files);
  if (status != TERN_TOOL_DONE)
    return status;
  if (!run (&work, files[0], files[1], &error))
    status = tern_tool_fail (&error);
  work_clear (&work);
  return status;
}
