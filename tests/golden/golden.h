/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the golden tests share: where the models are, .npy files, JSON, error measures.
 *
 * TERN_GOLDEN names the folder with one folder per model; the tests' own data when meson runs them. Files that are not
 * there are skipped, so that the data in the tree can be a part of the whole set. */
#pragma once

#include <json-glib/json-glib.h>
#include "engine/kernels/kernels.h"

typedef struct {
  guint n_dims;
  gsize shape[4];
  gsize n;                      /* values */
  float *data;                  /* converted from u8 when the file holds that */
} GoldenArray;

/* <TERN_GOLDEN>/<folder>/<name>; free with g_free. NULL when the file does not exist. */
char *golden_path (const char *folder, const char *name);
/* Fails the test when the file is damaged. */
GoldenArray *golden_npy (const char *path);
void golden_array_free (GoldenArray *array);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GoldenArray, golden_array_free)

/* NULL when there is no such file. */
JsonParser *golden_json (const char *folder, const char *name, JsonObject **root);
/* An array member of integers; free with g_free. */
gint32 *golden_ids (JsonObject *object, const char *member, guint *n);

/* sum (a - b)^2 / sum b^2 */
double golden_nmse (const float *a, const float *b, gsize n);
double golden_max_abs (const float *a, const float *b, gsize n);
/* Says both of @found [n], called @what, and fails the test where they are more than allowed; @max_abs 0: not bounded. */
void golden_check (const char *what, const float *found, const float *values, gsize n, double nmse, double max_abs);

/* TERN_TEST_SAMPLE is set, as for processors that are emulated: fewer cases, each of a kind that is also among the others. */
gboolean golden_is_sample (void);

/* The instruction sets that golden tests run under, of those this CPU has: calls @func with a table for each, after
 * printing its name. Where TERN_CPU names one, that alone; of a sample the best one. */
typedef void (*GoldenLevelFunc) (const TernKernels *kernels, gconstpointer data);
void golden_each_level (GoldenLevelFunc func, gconstpointer data);
