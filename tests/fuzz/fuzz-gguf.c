/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as a GGUF file. Whatever opens is read to the last byte that it promises, and its small
 * matrices are bound to the kernels. How to build it stands in meson.build; run it with files of any kind as seeds:
 *   fuzz-gguf -max_len=30000 -rss_limit_mb=3000 CORPUS_FOLDER SEED_FOLDER */
#include <stdlib.h>
#include <string.h>

#include "engine/base/mem.h"
#include "engine/weights/linear.h"

#define MAX_VALUES (1 << 16)    /* of a tensor that is converted: enough for any block type, and quick */

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

static void
use_tensor (const TernGguf *file, const TernTensor *tensor, const TernKernels *kernels)
{
  g_autoptr (GError) error = NULL;
  TernLinear linear;
  float *values;

  check (tern_gguf_find (file, tensor->name) == tensor);
  touch (tensor->data, tensor->bytes);
  if (tern_tensor_values (tensor) > MAX_VALUES)
    return;
  values = tern_gguf_load_f32 (file, tensor->name, 4, tensor->dims, NULL);
  if (values && tern_linear_init (&linear, tensor, kernels, &error) && tern_linear_pack (&linear, NULL, &error)) {
    tern_linear_row (&linear, linear.rows - 1, values);
    touch (linear.packed, tern_linear_owned (&linear));
    tern_linear_clear (&linear);
  }
  tern_mem_free (values);
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
  for (i = 0; i < tern_gguf_n_tensors (file); i++)
    use_tensor (file, tern_gguf_tensor_at (file, i), &kernels);
  return 0;
}
