/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of action models against what numpy computes in double precision from the same files (make-action.py). */
#include <math.h>

#include "engine/action/head.h"
#include "tests/golden/golden.h"

static GoldenArray *
load (const char *stem, const char *what)
{
  g_autofree char *name = g_strdup_printf ("%s.%s.npy", stem, what);
  g_autofree char *path = golden_path ("action", name);

  g_assert_nonnull (path);
  return golden_npy (path);
}

static void
test_head (gconstpointer data)
{
  const char *stem = data;
  g_autofree char *about = g_strconcat (stem, ".json", NULL);
  g_autofree char *file = g_strconcat (stem, ".gguf", NULL);
  g_autofree char *path = golden_path ("action", file);
  g_autoptr (GoldenArray) hidden = NULL;
  g_autoptr (GoldenArray) state = NULL;
  g_autoptr (GoldenArray) actions = NULL;
  g_autoptr (TernActionHead) head = NULL;
  g_autoptr (TernActionRun) run = NULL;
  g_autofree double *found = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = NULL;
  JsonObject *root;
  JsonArray *times;
  guint n;

  parser = golden_json ("action", about, &root);
  if (!parser || !path) {
    g_test_skip ("no such file in TERN_GOLDEN");
    return;
  }
  hidden = load (stem, "hidden");
  state = load (stem, "state");
  actions = load (stem, "actions");
  head = tern_action_head_open (path, &error);
  g_assert_no_error (error);
  run = tern_action_run_new (head, &error);
  g_assert_no_error (error);
  times = json_object_get_array_member (root, "nanoseconds");
  n = json_array_get_length (times);
  g_assert_cmpuint (hidden->shape[0], ==, n);
  g_assert_cmpuint (hidden->shape[1], ==, tern_action_head_info (head)->width);
  g_assert_cmpuint (actions->shape[1], ==, tern_action_head_info (head)->steps * tern_action_head_info (head)->dims);
  found = g_new (double, actions->shape[1]);
  for (guint t = 0; t < n; t++) {
    g_assert_true (tern_action_run_decide (run, hidden->data + t * hidden->shape[1], state->data + t * state->shape[1],
            json_array_get_int_element (times, t), found, &error));
    g_assert_no_error (error);
    for (guint i = 0; i < actions->shape[1]; i++)
      g_assert_cmpfloat_with_epsilon (found[i], actions->data[t * actions->shape[1] + i],
          json_object_get_double_member (root, "tolerance"));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/action/mlp", "mlp", test_head);
  g_test_add_data_func ("/action/mlp-lags", "mlp-lags", test_head);
  g_test_add_data_func ("/action/cfc", "cfc", test_head);
  g_test_add_data_func ("/action/cfc-no-gate", "cfc-no-gate", test_head);
  g_test_add_data_func ("/action/cfc-pure", "cfc-pure", test_head);
  return g_test_run ();
}
