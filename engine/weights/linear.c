/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/linear.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"
#include "engine/weights/linear-blocks.h"
#include "engine/weights/linear-input.h"
#include "engine/weights/linear-ternary.h"

/* Expanded rows stay in the level 2 cache while all activations pass over them. */
#define EXPAND_BYTES (128 * 1024)
#define EXPAND_MAX_ROWS 16

/* What a thread asks for at once of the input. */
#define FETCH_INPUT (16 * 1024)

/* So do rows that are read twice. */
#define BOTH_BYTES (128 * 1024)

static guint
expand_rows (const TernLinear *linear)
{
  gsize rows = EXPAND_BYTES / sizeof (float) / linear->cols;

  return MIN (CLAMP (rows, 1, EXPAND_MAX_ROWS), linear->rows);
}

/* ---- Binding ----------------------------------------------------------------------------------------------------- */

static gboolean
wrong_shape (const TernTensor *tensor, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
      "tensor %s: expected a matrix of %s in blocks of %u, found %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT
      " x %" G_GUINT64_FORMAT " x %" G_GUINT64_FORMAT " in %" G_GSIZE_FORMAT " bytes", tensor->name,
      tensor->type->name, tensor->type->block, tensor->dims[0], tensor->dims[1], tensor->dims[2], tensor->dims[3],
      tensor->bytes);
  return FALSE;
}

/* Matrix @index of a tensor of one or more: it exists and lies within the tensor's bytes. */
static gboolean
check_shape (const TernTensor *tensor, guint index, GError **error)
{
  const guint64 dims[4] = { tensor->dims[0], tensor->dims[1], (guint64) index + 1, 1 };
  guint64 bytes;

  if (tensor->dims[3] == 1 && index < tensor->dims[2]
      && tensor->dims[0] >= 1 && tensor->dims[0] <= G_MAXINT32
      && tensor->dims[1] >= 1 && tensor->dims[1] <= G_MAXINT32
      && tensor->dims[0] % tensor->type->block == 0
      && tern_type_tensor_bytes (tensor->type, dims, &bytes) && bytes <= tensor->bytes)
    return TRUE;
  return wrong_shape (tensor, error);
}

gboolean
tern_linear_init (TernLinear *linear, const TernTensor *tensor, const TernKernels *kernels, GError **error)
{
  if (tensor->dims[2] != 1) {
    memset (linear, 0, sizeof *linear);
    return wrong_shape (tensor, error);
  }
  return tern_linear_init_slice (linear, tensor, 0, kernels, error);
}

gboolean
tern_linear_init_slice (TernLinear *linear, const TernTensor *tensor, guint index, const TernKernels *kernels,
    GError **error)
{
  memset (linear, 0, sizeof *linear);
  if (!tensor->type || !tensor->type->to_f32) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "tensor %s: expected one of the types %s, found %s (%u)",
        tensor->name, tern_type_list (), tensor->type ? tensor->type->name : "an unknown one", tensor->type_id);
    return FALSE;
  }
  if (!check_shape (tensor, index, error))
    return FALSE;

  linear->kernels = kernels;
  linear->type = tensor->type;
  linear->name = tensor->name;
  linear->cols = tensor->dims[0];
  linear->rows = tensor->dims[1];
  linear->data = tensor->data + (gsize) index * linear->rows * tern_linear_row_bytes (linear);
  linear->tail = tern_tensor_tail (tensor);
  linear->mapped = tensor->mapped;
  linear->factor = 1;
  switch (tensor->type->type) {
    case TERN_TYPE_TQ1_0:
    case TERN_TYPE_TQ2_0:
    case TERN_TYPE_I2_S:
    case TERN_TYPE_IQ1_BN:
    case TERN_TYPE_IQ2_BN:
      linear->packable = tern_linear_ternary_fits (linear);
      linear->form = linear->packable ? TERN_FORM_T2 : TERN_FORM_EXPAND;
      return TRUE;
    case TERN_TYPE_Q1_0:
    case TERN_TYPE_Q2_0:
    case TERN_TYPE_PQ2_0:
    case TERN_TYPE_PTQ1_0:
      linear->packable = tern_linear_ternary_fits (linear);
      linear->form = linear->packable ? TERN_FORM_T2S : TERN_FORM_EXPAND;
      linear->parts = TERN_T2_COLS / linear->type->block;
      return TRUE;
    case TERN_TYPE_F32:
      linear->form = (guintptr) linear->data % sizeof (float) ? TERN_FORM_EXPAND : TERN_FORM_F32;
      return TRUE;
    case TERN_TYPE_F16:
      linear->form = (guintptr) linear->data % sizeof (guint16) ? TERN_FORM_EXPAND : TERN_FORM_F16;
      return TRUE;
    case TERN_TYPE_BF16:
      linear->form = (guintptr) linear->data % sizeof (guint16) ? TERN_FORM_EXPAND : TERN_FORM_BF16;
      return TRUE;
    default:
      linear->form = tern_linear_blocks (linear->type, &linear->blocks) ? TERN_FORM_BLOCKS : TERN_FORM_EXPAND;
      return TRUE;
  }
}

gboolean
tern_linear_is_packable (const TernLinear *linear)
{
  return (linear->form == TERN_FORM_T2 || linear->form == TERN_FORM_T2S) && !linear->packed;
}

gsize
tern_linear_packed_bytes (const TernLinear *linear)
{
  if (!linear->packable)
    return 0;
  return linear->parts ? tern_scaled_bytes (tern_linear_layout (linear), linear->rows, linear->cols, linear->parts)
      : tern_ternary_bytes (linear->kernels->ternary, linear->rows, linear->cols);
}

const TernTernaryLayout *
tern_linear_layout (const TernLinear *linear)
{
  const TernKernels *kernels = linear->kernels;

  if (linear->parts == 0)
    return kernels->ternary;
  switch (linear->type->type) {
    case TERN_TYPE_Q1_0:
    case TERN_TYPE_PTQ1_0:
      return kernels->gemm_t3s ? kernels->ternary : &tern_layout_t2;
    default:                    /* which may have a digit 3, or two runs a group */
      return &tern_layout_t2;
  }
}

guint
tern_linear_groups (const TernLinear *linear)
{
  return (linear->cols + TERN_T2_COLS - 1) / TERN_T2_COLS;
}

gboolean
tern_linear_pack (TernLinear *linear, TernPool *pool, GError **error)
{
  return tern_linear_pack_into (linear, NULL, pool, error);
}

gboolean
tern_linear_pack_into (TernLinear *linear, void *place, TernPool *pool, GError **error)
{
  if (!tern_linear_is_packable (linear))
    return TRUE;
  return linear->form == TERN_FORM_T2S ? tern_linear_pack_scaled (linear, place, pool, error)
      : tern_linear_pack_ternary (linear, place, pool, error);
}

/* The scale in a tensor of its own, if there is one. */
static gboolean
load_factor (TernLinear *linear, const TernGguf *file, const char *name, GError **error)
{
  static const guint64 one[1] = { 1 };
  g_autofree char *scale = NULL;
  float *value;

  if (!g_str_has_suffix (name, ".weight"))
    return TRUE;
  scale = g_strdup_printf ("%.*s.scale", (int) (strlen (name) - strlen (".weight")), name);
  if (!tern_gguf_find (file, scale))
    return TRUE;
  value = tern_gguf_load_f32 (file, scale, 1, one, error);
  if (!value)
    return FALSE;
  linear->factor = *value;
  tern_mem_free (value);
  if (isfinite (linear->factor))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: tensor %s: expected a finite scale, found %g",
      tern_gguf_path (file), scale, linear->factor);
  return FALSE;
}

gboolean
tern_linear_load (TernLinear *linear, const TernGguf *file, const char *name, guint cols, guint rows,
    const TernKernels *kernels, GError **error)
{
  const guint64 dims[2] = { cols, rows };
  const TernTensor *tensor;

  memset (linear, 0, sizeof *linear);
  tensor = tern_gguf_require (file, name, 2, dims, error);
  if (!tensor)
    return FALSE;
  if (tern_linear_init (linear, tensor, kernels, error))
    return load_factor (linear, file, name, error);
  g_prefix_error (error, "%s: ", tern_gguf_path (file));
  return FALSE;
}

void
tern_linear_clear (TernLinear *linear)
{
  if (!linear->borrowed)
    tern_mem_free (linear->packed);
  if (!linear->scale_borrowed)
    tern_mem_free (linear->row_scale);
  memset (linear, 0, sizeof *linear);
}

gsize
tern_linear_scratch (const TernLinear *linear)
{
  if (linear->form == TERN_FORM_F32 || linear->form == TERN_FORM_F16 || linear->form == TERN_FORM_BF16)
    return 0;
  return tern_align_up ((gsize) expand_rows (linear) * linear->cols * sizeof (float));
}

gsize
tern_linear_owned (const TernLinear *linear)
{
  if (linear->form != TERN_FORM_T2 && linear->form != TERN_FORM_T2S)
    return 0;
  return tern_linear_packed_bytes (linear) + (linear->row_scale ? linear->rows * sizeof (float) : 0);
}

void
tern_linear_row (const TernLinear *linear, guint row, float *dst)
{
  guint c;

  tern_type_rows_to_f32 (linear->type, dst, linear->data + row * tern_linear_row_bytes (linear), 1, linear->cols,
      linear->tail);
  if (linear->factor != 1)
    for (c = 0; c < linear->cols; c++)
      dst[c] *= linear->factor;
  if (linear->row_rotation)
    linear->kernels->hadamard (dst, dst, linear->row_rotation->signs, linear->cols, linear->row_rotation->block, TRUE);
}

/* ---- Product ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const TernLinear *linear;
  const TernLinearInput *input;
  const float *bias;
  float *y;
  gsize ldy;
  TernPool *pool;
} Job;

/* What comes after the products: scales that they lack, bias. */
static void
finish_rows (const Job *job, const float *row_scale, guint begin, guint end)
{
  float factor = job->linear->factor;
  guint t, r;

  for (t = 0; t < job->input->n; t++) {
    float *y = job->y + t * job->ldy;

    if (row_scale)
      for (r = begin; r < end; r++)
        y[r] *= row_scale[r];
    if (factor != 1)
      for (r = begin; r < end; r++)
        y[r] *= factor;
    if (job->bias)
      job->input->kernels->add (y + begin, job->bias + begin, end - begin);
  }
}

/* The product of weight rows [begin, end), without what comes after, with @n rows of the input from @first on. */
typedef void (*ProductFunc) (const Job *job, guint begin, guint end, guint first, guint n, gboolean many);

static void
product_blocks (const Job *job, guint begin, guint end, guint first, guint n, gboolean many)
{
  const TernLinear *linear = job->linear;
  gsize bytes = tern_linear_row_bytes (linear), blocks = tern_linear_q8_stride (linear->cols);

  linear->kernels->gemm_blocks[linear->blocks] (job->y + first * job->ldy + begin, job->ldy,
      linear->data + begin * bytes, bytes, end - begin, blocks, job->input->q8 + first * blocks, blocks, n, many);
}

static void
product_f32 (const Job *job, guint begin, guint end, guint first, guint n, gboolean many)
{
  const TernLinear *linear = job->linear;

  linear->kernels->gemm_f32 (job->y + first * job->ldy + begin, job->ldy,
      (const float *) linear->data + (gsize) begin * linear->cols, linear->cols, end - begin, linear->cols,
      job->input->x + first * job->input->ldx, job->input->ldx, n, many);
}

static void
product_f16 (const Job *job, guint begin, guint end, guint first, guint n, gboolean many)
{
  const TernLinear *linear = job->linear;

  linear->kernels->gemm_f16 (job->y + first * job->ldy + begin, job->ldy,
      (const guint16 *) linear->data + (gsize) begin * linear->cols, linear->cols, end - begin, linear->cols,
      job->input->x + first * job->input->ldx, job->input->ldx, n, many);
}

static void
product_bf16 (const Job *job, guint begin, guint end, guint first, guint n, gboolean many)
{
  const TernLinear *linear = job->linear;

  linear->kernels->gemm_bf16 (job->y + first * job->ldy + begin, job->ldy,
      (const guint16 *) linear->data + (gsize) begin * linear->cols, linear->cols, end - begin, linear->cols,
      job->input->x + first * job->input->ldx, job->input->ldx, n, many);
}

/* Rows of the input that are summed in the order for few. */
static inline guint
few_rows (const TernLinearInput *input)
{
  return MIN (input->few, input->n);
}

/* Both orders, where the input has rows of both, over weight rows that stay in the cache between the two. */
static void
in_both_orders (const Job *job, guint begin, guint end, ProductFunc product)
{
  guint few = few_rows (job->input), n = job->input->n, step = end - begin, r;

  if (few > 0 && few < n)
    step = MAX (BOTH_BYTES / tern_linear_row_bytes (job->linear) / TERN_LINEAR_GRAIN, 2) * TERN_LINEAR_GRAIN;
  for (r = begin; r < end; r += MIN (step, end - r)) {
    guint last = r + MIN (step, end - r);

    if (few > 0)
      product (job, r, last, 0, few, FALSE);
    if (few < n)
      product (job, r, last, few, n - few, TRUE);
  }
}

static void
rows_t2 (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  const TernLinear *linear = job->linear;
  const TernLinearInput *input = job->input;

  linear->kernels->gemm_t2 (job->y + begin, job->ldy,
      linear->packed + tern_ternary_bytes (linear->kernels->ternary, begin, linear->cols), end - begin, linear->groups,
      linear->scale, input->i8, tern_linear_i8_stride (input->cols), input->i8_scale, input->i8_sum, input->n);
  finish_rows (job, linear->row_scale, begin, end);
}

static void
rows_t2s (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  const TernLinear *linear = job->linear;
  const TernLinearInput *input = job->input;

  const TernTernaryLayout *layout = tern_linear_layout (linear);
  TERN_DECL_GEMM_T2S ((*gemm)) = layout == &tern_layout_t2 ? linear->kernels->gemm_t2s : linear->kernels->gemm_t3s;

  gemm (job->y + begin, job->ldy, linear->packed + begin / layout->rows * tern_scaled_panel (layout, linear->groups, linear->parts),
      end - begin, linear->groups, linear->parts, input->i8, tern_linear_i8_stride (input->cols), input->i8_scale,
      input->i8_part, tern_linear_part_stride (input->cols), input->n);
  finish_rows (job, NULL, begin, end);
}

static void
rows_blocks (void *data, guint begin, guint end, guint worker)
{
  in_both_orders (data, begin, end, product_blocks);
  finish_rows (data, NULL, begin, end);
}

static void
rows_f32 (void *data, guint begin, guint end, guint worker)
{
  in_both_orders (data, begin, end, product_f32);
  finish_rows (data, NULL, begin, end);
}

static void
rows_f16 (void *data, guint begin, guint end, guint worker)
{
  in_both_orders (data, begin, end, product_f16);
  finish_rows (data, NULL, begin, end);
}

static void
rows_bf16 (void *data, guint begin, guint end, guint worker)
{
  in_both_orders (data, begin, end, product_bf16);
  finish_rows (data, NULL, begin, end);
}

static void
rows_expand (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  const TernLinear *linear = job->linear;
  const TernLinearInput *input = job->input;
  float *w = tern_pool_scratch (job->pool, worker);
  gsize bytes = tern_linear_row_bytes (linear);
  guint step = expand_rows (linear), few = few_rows (input), r, rows;

  for (r = begin; r < end; r += rows) {
    rows = MIN (step, end - r);
    tern_type_rows_to_f32 (linear->type, w, linear->data + r * bytes, rows, linear->cols, linear->tail);
    if (few > 0)
      linear->kernels->gemm_f32 (job->y + r, job->ldy, w, linear->cols, rows, linear->cols, input->x, input->ldx, few,
          FALSE);
    if (few < input->n)
      linear->kernels->gemm_f32 (job->y + few * job->ldy + r, job->ldy, w, linear->cols, rows, linear->cols,
          input->x + few * input->ldx, input->ldx, input->n - few, TRUE);
  }
  finish_rows (job, NULL, begin, end);
}

/* The caller's core has just made the input. */
static void
fetch_input (const TernLinearInput *input)
{
  gsize bytes = MIN (input->n * tern_linear_i8_stride (input->cols), FETCH_INPUT);

  for (gsize i = 0; input->has_i8 && i < bytes; i += TERN_ALIGN)
    __builtin_prefetch (input->i8 + i);
  bytes = MIN (input->n * tern_linear_q8_stride (input->cols) * sizeof *input->q8, FETCH_INPUT);
  for (gsize i = 0; input->has_q8 && i < bytes; i += TERN_ALIGN)
    __builtin_prefetch ((const guint8 *) input->q8 + i);
}

static void
run_rows (void *data, guint begin, guint end, guint worker)
{
  static const TernPoolFunc funcs[] = {
    [TERN_FORM_T2] = rows_t2, [TERN_FORM_T2S] = rows_t2s, [TERN_FORM_BLOCKS] = rows_blocks, [TERN_FORM_F32] = rows_f32,
    [TERN_FORM_F16] = rows_f16, [TERN_FORM_BF16] = rows_bf16, [TERN_FORM_EXPAND] = rows_expand,
  };
  const Job *job = data;
  TernLinearInput turned;
  Job own;

  if (tern_linear_turns (job->linear)) {
    turned = tern_linear_input_turned (job->input);
    own = *job;
    own.input = &turned;
    job = &own;
  }
  fetch_input (job->input);
  funcs[tern_linear_run_form (job->linear, job->input)] ((void *) job, begin, end, worker);
}

void
tern_linear_rows (const TernLinear *linear, const TernLinearInput *input, const float *bias, float *y, gsize ldy,
    guint begin, guint end, TernPool *pool, guint worker)
{
  Job job = { linear, input, bias, y, ldy, pool };

  run_rows (&job, begin, end, worker);
}

guint
tern_linear_grain (const TernLinear *linear, const TernLinearInput *input)
{
  TernForm form = tern_linear_run_form (linear, input);
  guint panel = form == TERN_FORM_T2 || form == TERN_FORM_T2S ? tern_linear_layout (linear)->rows : TERN_LINEAR_UNIT;

  return input->n > input->few && panel == TERN_LINEAR_UNIT ? 2 * panel : panel;        /* kernels take two of the small */
}

/* ---- Several in one run ------------------------------------------------------------------------------------------ */

/* Their rows one after the other, each linear's from a multiple of the grain on; or the same rows of all. */
typedef struct {
  Job jobs[TERN_LINEAR_BESIDE];
  guint first[TERN_LINEAR_BESIDE + 1];
  guint n;
  TernPoolFunc then;
  void *then_data;
} Side;

/* So many bytes of another linear's rows are asked for while those before are computed: as the kernels do within one. */
#define FETCH_BESIDE 8192

static const guint8 *rows_at (const TernLinear *linear, TernForm form, guint row, gsize *bytes);

/* The same rows of all. */
static void
run_in_step (void *data, guint begin, guint end, guint worker)
{
  const Side *side = data;

  for (guint i = 0; i < side->n; i++) {
    if (i + 1 < side->n) {
      const Job *job = &side->jobs[i + 1];
      gsize bytes;
      const guint8 *at = rows_at (job->linear, tern_linear_run_form (job->linear, job->input), begin, &bytes);

      for (gsize b = 0; b < MIN (bytes, FETCH_BESIDE); b += TERN_ALIGN)
        __builtin_prefetch (at + b, 0, 2);
    }
    run_rows ((void *) &side->jobs[i], begin, end, worker);
  }
  side->then (side->then_data, begin, end, worker);
}

static void
run_side (void *data, guint begin, guint end, guint worker)
{
  const Side *side = data;

  for (guint i = 0; i < side->n; i++) {
    guint first = side->first[i], from = MAX (begin, first), to = MIN (end, first + side->jobs[i].linear->rows);

    if (from < to)
      run_rows ((void *) &side->jobs[i], from - first, to - first, worker);
  }
}

/* Of both: begins of pieces are whole panels of either. */
static guint
common_grain (guint a, guint b)
{
  return a == 0 || a == b ? b : 2 * TERN_LINEAR_GRAIN;
}

static guint
rows_up_to (guint rows, guint grain)
{
  return (rows + grain - 1) / grain * grain;
}

/* From row @row, the beginning of a panel, to the end. */
static const guint8 *
rows_at (const TernLinear *linear, TernForm form, guint row, gsize *bytes)
{
  gsize at, end;

  if (form == TERN_FORM_T2S) {
    const TernTernaryLayout *layout = tern_linear_layout (linear);
    gsize panel = tern_scaled_panel (layout, linear->groups, linear->parts);

    at = row / layout->rows * panel;
    end = (linear->rows + layout->rows - 1) / layout->rows * panel;
  } else if (form == TERN_FORM_T2) {
    at = tern_ternary_bytes (linear->kernels->ternary, row, linear->cols);
    end = tern_ternary_bytes (linear->kernels->ternary, linear->rows, linear->cols);
  } else {
    at = row * tern_linear_row_bytes (linear);
    end = linear->rows * tern_linear_row_bytes (linear);
  }
  *bytes = end - at;
  return (form == TERN_FORM_T2 || form == TERN_FORM_T2S ? linear->packed : linear->data) + at;
}

/* Tells each thread where its share of the run that begins with @next begins. */
static void
fetch_next (const TernLinear *next, const TernLinearInput *input, TernPool *pool)
{
  guint grain = 0, items = 0;
  const TernLinear *linear;

  for (linear = next; linear; linear = linear->beside)
    grain = common_grain (grain, tern_linear_grain (linear, input));
  for (linear = next; linear; linear = linear->in_step ? NULL : linear->beside)
    items += rows_up_to (linear->rows, grain);
  for (guint worker = 0; worker < tern_pool_threads (pool); worker++) {
    guint row = tern_pool_share (pool, items, grain, worker);
    const guint8 *at = NULL;
    gsize bytes = 0;

    for (linear = next; linear && row >= rows_up_to (linear->rows, grain); linear = linear->beside)
      row -= rows_up_to (linear->rows, grain);
    if (linear && row < linear->rows)
      at = rows_at (linear, tern_linear_run_form (linear, input), row, &bytes);
    tern_pool_fetch (pool, worker, at, bytes);
  }
}

gboolean
tern_linear_run_beside (const TernLinearProduct *products, guint n, TernLinearInput *input, TernPoolFunc then,
    void *then_data, TernPool *pool, TernCancel *cancel)
{
  Side side = { .n = n, .then = then, .then_data = then_data };
  guint grain = 0;

  g_return_val_if_fail (n >= 1 && n <= TERN_LINEAR_BESIDE, FALSE);
  for (guint i = 0; i < n; i++) {
    const TernLinearProduct *p = &products[i];

    tern_linear_ready (p->linear, input, pool);
    side.jobs[i] = (Job) { p->linear, input, p->bias, p->y, p->ldy, pool };
    grain = common_grain (grain, tern_linear_grain (p->linear, input));
  }
  for (guint i = 0; i < n; i++)
    side.first[i + 1] = side.first[i] + rows_up_to (products[i].linear->rows, grain);
  if (pool && products[0].linear->next)
    fetch_next (products[0].linear->next, input, pool);
  if (then)
    return tern_pool_run_until (pool, run_in_step, &side, products[0].linear->rows, grain,
        (guint64) n * input->n * input->cols, cancel);
  return tern_pool_run_until (pool, run_side, &side, side.first[n - 1] + products[n - 1].linear->rows, grain,
      (guint64) input->n * input->cols, cancel);
}

gboolean
tern_linear_run_until (const TernLinear *linear, TernLinearInput *input, const float *bias, float *y, gsize ldy,
    TernPool *pool, TernCancel *cancel)
{
  const TernLinearProduct product = { linear, bias, y, ldy };

  return tern_linear_run_beside (&product, 1, input, NULL, NULL, pool, cancel);
}

void
tern_linear_run (const TernLinear *linear, TernLinearInput *input, const float *bias, float *y, gsize ldy,
    TernPool *pool)
{
  tern_linear_run_until (linear, input, bias, y, ldy, pool, NULL);
}
