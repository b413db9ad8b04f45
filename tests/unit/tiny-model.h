/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tiny language models that tests write themselves: weights drawn by name, opened from memory. What a family's files hold, each
 * test says; here is what is done with them. */
#pragma once

#include <math.h>

#include "engine/llm/solo.h"
#include "tern/error.h"
#include "tests/unit/gguf-writer.h"

#define WIDTH 24u
#define VOCAB 32u
#define LAYERS 3u
#define HEADS 2u
#define KV 1u
#define HEAD 12u
#define IDS 9u
#define LONG 1000000u           /* tokens after which no state may have left its bounds */

static const gint32 tiny_ids[IDS] = { 3, 19, 0, 7, 7, 12, 30, 1, 2 };

/* Of a tensor; no rows: a vector, no n: a matrix. */
typedef struct {
  const char *name;
  guint cols, rows, n;
} Shape;

/* Value @i of the tensor @name, in [-0.5, 0.5). */
static inline float
draw (const char *name, gsize i)
{
  guint hash = g_str_hash (name) * 2654435761u + (guint) i * 40503u;

  hash = (hash ^ hash >> 15) * 2246822519u;
  return (float) (hash >> 8) / (1 << 24) - 0.5f;
}

/* The key @name, of the type that its last word has in files; NAN: it is left out. */
static inline void
tiny_number (GgufWriter *w, const char *name, double number)
{
  static const char *const floats[] = { "epsilon", "base", "scale" }, *const flags[] = { "finetuned", "rms", "weights_norm" };

  if (isnan (number))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (floats); i++)
    if (g_str_has_suffix (name, floats[i])) {
      writer_number (w, name, TERN_GGUF_F32, &(float) { (float) number }, sizeof (float));
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    if (g_str_has_suffix (name, flags[i])) {
      writer_number (w, name, TERN_GGUF_BOOL, &(guint8) { number != 0 }, 1);
      return;
    }
  writer_u32 (w, name, (guint32) number);
}

typedef struct {
  GByteArray *bytes;
  TernPool *pool;
  TernLlm *llm;
} Model;

/* Takes @bytes; tiny_clear() is due in any case. */
static inline gboolean
tiny_open (Model *model, GByteArray *bytes, TernCpu level, GError **error)
{
  static TernKernels kernels;
  g_autoptr (TernGguf) file = NULL;

  tern_kernels_init (&kernels, level);
  *model = (Model) { .bytes = bytes, .pool = tern_pool_new (2, NULL) };
  file = tern_gguf_open_memory (bytes->data, bytes->len, "test.gguf", error);
  model->llm = file ? tern_llm_open (file, &kernels, model->pool, error) : NULL;
  return model->llm != NULL;
}

static inline void
tiny_clear (Model *model)
{
  tern_llm_unref (model->llm);
  tern_pool_free (model->pool);
  g_byte_array_unref (model->bytes);
}

/* What a right file says about tiny_ids: @logits [IDS, VOCAB]. Takes @bytes. */
static inline void
tiny_logits (GByteArray *bytes, float *logits)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = NULL;
  Model model;

  tiny_open (&model, bytes, TERN_CPU_SCALAR, &error);
  g_assert_no_error (error);
  solo = tern_solo_new (model.llm, &(TernSoloParams) { .context = 16 }, model.pool, &error);
  g_assert_no_error (error);
  g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = tiny_ids, .n = IDS }, TERN_LOGITS_ALL, logits, NULL, &error));
  for (guint i = 0; i < IDS * VOCAB; i++)
    g_assert_true (isfinite (logits[i]));
  g_clear_pointer (&solo, tern_solo_free);
  tiny_clear (&model);
}

static inline double
tiny_difference (const float *a, const float *b)
{
  double most = 0;

  for (guint i = 0; i < IDS * VOCAB; i++)
    most = MAX (most, fabs ((double) a[i] - b[i]));
  return most;
}

/* Case @i: the file is refused, in words that name it and have @what (two, or the second NULL). Takes @bytes. */
static inline void
tiny_refused (guint i, GByteArray *bytes, const char *const what[2], gboolean unsupported)
{
  g_autoptr (GError) error = NULL;
  Model model;

  g_assert_false (tiny_open (&model, bytes, TERN_CPU_SCALAR, &error));
  g_test_message ("%u: %s", i, error ? error->message : "no error");
  g_assert_error (error, TERN_ERROR, (unsupported ? TERN_ERROR_UNSUPPORTED : TERN_ERROR_FORMAT));
  g_assert_nonnull (strstr (error->message, "test.gguf"));
  for (guint k = 0; k < 2 && what[k]; k++)
    g_assert_nonnull (strstr (error->message, what[k]));
  tiny_clear (&model);
}

/* The largest value of all layers' states @part, of @size floats each, when LONG random tokens were read in prompts and @said
 * more one by one. All are finite. Takes @bytes. */
static inline double
tiny_drift (GByteArray *bytes, const char *part, gsize size, guint said)
{
  enum { AT_ONCE = 128 };
  TernSoloParams params = { .context = LONG + 2 * AT_ONCE + said, .batch = AT_ONCE, .activations = TERN_ACTIVATIONS_F32 };
  g_autoptr (GError) error = NULL;
  g_autoptr (TernSolo) solo = NULL;
  gint32 ids[AT_ONCE];
  double most = 0;
  Model model;

  tiny_open (&model, bytes, tern_kernels_default (NULL)->level, &error);
  g_assert_no_error (error);
  solo = tern_solo_new (model.llm, &params, model.pool, &error);
  g_assert_no_error (error);
  for (guint at = 0; at < LONG + said; at += at < LONG ? AT_ONCE : 1) {
    for (guint i = 0; i < AT_ONCE; i++)
      ids[i] = g_test_rand_int_range (0, VOCAB);
    g_assert_true (tern_solo_eval (solo, &(TernLlmInput) { .ids = ids, .n = at < LONG ? AT_ONCE : 1 }, TERN_LOGITS_NONE, NULL,
            NULL, &error));
  }
  g_assert_cmpuint (tern_solo_pos (solo), >=, LONG + said);
  for (guint layer = 0; layer < LAYERS; layer++) {
    gsize n;
    const float *state = tern_timeline_state (tern_solo_timeline (solo), layer, part, &n);

    g_assert_cmpuint (n, ==, size);
    for (gsize i = 0; i < n; i++) {
      g_assert_true (isfinite (state[i]));
      most = MAX (most, fabs (state[i]));
    }
  }
  g_test_message ("largest of all states after %u tokens: %g", tern_solo_pos (solo), most);
  g_clear_pointer (&solo, tern_solo_free);
  tiny_clear (&model);
  return most;
}
