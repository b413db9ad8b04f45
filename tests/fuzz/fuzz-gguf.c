/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as a GGUF file. Whatever opens is read to the last byte that it promises, its small
 * matrices are bound to the kernels and multiplied, its values quantised. How to build it stands in meson.build;
 * run it with files of any kind as seeds:
 *   fuzz-gguf -max_len=30000 -rss_limit_mb=3000 CORPUS_FOLDER SEED_FOLDER */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/linear.h"
#include "engine/weights/quantize.h"
#include "engine/weights/rotation.h"
#include "tern/tasks.h"

#define MAX_VALUES (1 << 16)    /* of a tensor that is converted: enough for any block type, and quick */
#define MAX_SLICES 3            /* of a tensor of several matrices */

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
check (gboolean good)
{
  if (!good)
    abort ();
}

/* Reads every byte, so that the sanitizer sees them. */
static guint
touch (const void *data, gsize size)
{
  const volatile guint8 *p = data;
  guint sum = 0;
  gsize i;

  for (i = 0; i < size; i++)
    sum += p[i];
  return sum;
}

/* The questions that it carries. Whatever is taken is as it should be. */
static void
walk_tasks (const TernGguf *file)
{
  g_auto (TernTasks) tasks = { NULL, 0 };
  g_autoptr (GError) error = NULL;
  g_autofree float *bias = NULL;
  double temperature;

  check (tern_tasks_read (&tasks, file, &error) != (error != NULL) && (!error || tasks.n == 0));
  for (guint i = 0; i < tasks.n; i++) {
    const TernTask *task = &tasks.tasks[i];
    g_autofree char *problem = NULL;

    check (tern_task_name_is_good (task->name) && g_utf8_validate (task->prompt, -1, NULL));
    check (tern_tasks_find (&tasks, task->name) == task && (i == 0 || strcmp (task[-1].name, task->name) < 0));
    check (!task->labels || (!task->json_schema && tern_task_labels_are_good (task->labels, &problem)));
  }
  check (!tern_tasks_label_temperature (file, &temperature, NULL) || (temperature > 0 && isfinite (temperature)));
  check (!tern_tasks_token_bias (file, 3, &bias, NULL) || !bias || fabsf (bias[2]) <= TERN_TOKEN_BIAS_MOST);
}

static void
walk_keys (const TernGguf *file)
{
  gsize i, e;

  for (i = 0; i < tern_gguf_n_keys (file); i++) {
    const char *name = tern_gguf_key (file, i, NULL);
    TernGgufValue value, element;
    guint32 integer, layers[4];
    const guint8 *cursor;
    TernGgufArray array;
    TernBytes text;
    gboolean flag;
    float real;

    check (tern_gguf_has (file, name));
    touch (tern_gguf_key_record (file, i).data, tern_gguf_key_record (file, i).len);
    tern_gguf_value (file, i, &value);
    touch (value.string.data, value.string.len);
    cursor = value.array.data;
    for (e = 0; e < value.array.count; e++) {
      if (value.array.type == TERN_GGUF_STRING) {
        text = tern_gguf_next_string (&cursor);
        touch (text.data, text.len);
      } else {
        tern_gguf_element (&value.array, e, &element);
      }
    }
    tern_gguf_u32 (file, name, 1, 1000, &integer, NULL);
    tern_gguf_u32_layers (file, name, 0, 1000, 4, layers, NULL);
    tern_gguf_f32 (file, name, 0, 1, &real, NULL);
    tern_gguf_bool_or (file, name, TRUE, &flag, NULL);
    tern_gguf_string (file, name, &text, NULL);
    tern_gguf_array (file, name, TERN_GGUF_F32, TRUE, &array, NULL);
  }
}

/* One product, as what runs and in floats. */
static void
use_linear (TernLinear *linear)
{
  gsize cols = linear->cols, i;
  float *x = tern_mem_alloc (cols * sizeof *x, "x", NULL), *y = tern_mem_alloc (linear->rows * sizeof *y, "y", NULL);
  void *scratch = tern_mem_alloc (tern_linear_input_bytes (1, cols) + tern_linear_turned_bytes (1, cols), "input", NULL);
  TernPool *pool = tern_pool_new (1, NULL);
  TernActivations mode;

  check (x && y && scratch && pool && tern_pool_reserve (pool, tern_linear_scratch (linear), NULL));
  for (i = 0; i < cols; i++)
    x[i] = (float) (i % 5) - 2;
  for (mode = TERN_ACTIVATIONS_INT8; mode <= TERN_ACTIVATIONS_F32; mode++) {
    TernLinearInput input;

    tern_linear_input_init (&input, scratch, linear->kernels, mode, x, cols, 1, cols);
    tern_linear_run (linear, &input, NULL, y, linear->rows, pool);
    touch (y, linear->rows * sizeof *y);
  }
  tern_linear_row (linear, linear->rows - 1, x);
  touch (x, cols * sizeof *x);
  tern_pool_free (pool);
  tern_mem_free (scratch);
  tern_mem_free (y);
  tern_mem_free (x);
}

/* Whatever the values are, as long as the quantisers take them, blocks come out that can be read. */
static void
quantize (const float *values, gsize n)
{
  static const guint32 ids[] = { TERN_TYPE_F16, TERN_TYPE_Q8_0, TERN_TYPE_Q4_0, TERN_TYPE_Q5_0, TERN_TYPE_Q4_K,
    TERN_TYPE_Q6_K, TERN_TYPE_TQ1_0, TERN_TYPE_TQ2_0, TERN_TYPE_Q2_0, TERN_TYPE_PQ2_0, TERN_TYPE_PTQ1_0 };
  guint8 blocks[1024];
  float back[256];
  gsize i;

  if (n < 256)
    return;
  for (i = 0; i < 256; i++)
    if (!(fabsf (values[i]) <= TERN_QUANTIZE_MAX))
      return;
  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    tern_quantizer (ids[i]) (blocks, values, 256);
    tern_type_info (ids[i])->to_f32 (back, blocks, 256);
    touch (back, sizeof back);
  }
}

/* What the file says of rotated matrices, and the names that it gives bound to the first tensor of each. */
static void
use_rotations (const TernGguf *file, const TernKernels *kernels)
{
  TernRotations *rotations;
  TernLinear linear;

  if (!tern_rotations_load (file, &rotations, NULL) || !rotations)
    return;
  for (gsize i = 0; i < tern_gguf_n_tensors (file); i++) {
    const TernTensor *tensor = tern_gguf_tensor_at (file, i);

    if (tern_tensor_values (tensor) > MAX_VALUES || !tern_linear_init (&linear, tensor, kernels, NULL))
      continue;
    tern_rotations_bind (rotations, &linear, i % 2);
    if (linear.rotation && linear.rotation->signs)
      touch (linear.rotation->signs, linear.rotation->width * sizeof (float));
    if ((linear.rotation || linear.row_rotation) && tern_linear_pack (&linear, NULL, NULL))
      use_linear (&linear);
    tern_linear_clear (&linear);
  }
  tern_rotations_check (rotations, NULL);
  tern_rotations_free (rotations);
}

static void
use_tensor (const TernGguf *file, const TernTensor *tensor, const TernKernels *kernels)
{
  TernLinear linear;
  float *values;
  guint i;

  check (tern_gguf_find (file, tensor->name) == tensor);
  touch (tensor->data, tensor->bytes);
  if (tern_tensor_values (tensor) > MAX_VALUES)
    return;
  values = tern_gguf_load_f32 (file, tensor->name, 4, tensor->dims, NULL);
  if (values)
    quantize (values, tern_tensor_values (tensor));
  tern_mem_free (values);
  for (i = 0; i < MIN (tensor->dims[2], MAX_SLICES); i++) {
    if (tern_linear_init_slice (&linear, tensor, i, kernels, NULL) && tern_linear_pack (&linear, NULL, NULL))
      use_linear (&linear);
    tern_linear_clear (&linear);
  }
  if (tensor->dims[0] <= MAX_VALUES && tensor->dims[1] <= MAX_VALUES) {
    if (tern_linear_load (&linear, file, tensor->name, tensor->dims[0], tensor->dims[1], kernels, NULL)
        && tern_linear_pack (&linear, NULL, NULL))
      use_linear (&linear);
    tern_linear_clear (&linear);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = tern_gguf_open_memory (data, size, "fuzz.gguf", &error);
  TernKernels kernels;
  gsize i;

  if (!file) {
    check (error && strstr (error->message, "fuzz.gguf: ") == error->message && !strchr (error->message, '\n')
        && g_utf8_validate (error->message, -1, NULL));
    return 0;
  }
  tern_kernels_init (&kernels, TERN_CPU_SCALAR);
  touch (tern_gguf_header (file).data, tern_gguf_header (file).len);
  walk_keys (file);
  walk_tasks (file);
  for (i = 0; i < tern_gguf_n_tensors (file); i++)
    use_tensor (file, tern_gguf_tensor_at (file, i), &kernels);
  use_rotations (file, &kernels);
  return 0;
}
