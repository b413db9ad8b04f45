/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern caption as its user runs it, with a tiny random model. TERN_PROGRAM names the program, TERN_GOLDEN the folder with the
 * models. */
#pragma once

#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/clip.h"

static char *folder;

/* A path in the folder of this run. Lives as long as the program. */
static inline const char *
at (const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_intern_string (path);
}

typedef struct {
  int status;
  char *out, *err;
} Run;

static inline void
run_clear (Run *run)
{
  g_free (run->out);
  g_free (run->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Run, run_clear)

/* With the model, and @... as further arguments. @script, unless NULL, is run for it by the shell, with the command as "$@" and
 * @zero as "$0". */
static inline Run G_GNUC_NULL_TERMINATED
caption_by (const char *script, const char *zero, const char *first, ...)
{
  const char *golden = g_getenv ("TERN_GOLDEN");
  g_autoptr (GPtrArray) args = g_ptr_array_new ();
  g_autofree char *model = g_build_filename (golden, "lfm2", "lfm2-tq2_0.gguf", NULL);
  g_autofree char *mmproj = g_build_filename (golden, "lfm2vl", "mmproj-ship-q8_0.gguf", NULL);
  const char *const fixed[] = { g_getenv ("TERN_PROGRAM"), "caption", "--model", model, "--mmproj", mmproj,
    "--max-tokens", "3", "--threads", "1" };
  const char *const shell[] = { "/bin/sh", "-c", script, zero };
  g_autoptr (GError) error = NULL;
  Run run = { 0 };
  va_list list;

  for (guint i = 0; script && i < G_N_ELEMENTS (shell); i++)
    g_ptr_array_add (args, (void *) shell[i]);
  for (guint i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (args, (void *) fixed[i]);
  va_start (list, first);
  for (const char *arg = first; arg; arg = va_arg (list, const char *))
    g_ptr_array_add (args, (void *) arg);
  va_end (list);
  g_ptr_array_add (args, NULL);
  g_spawn_sync (NULL, (char **) args->pdata, NULL, G_SPAWN_DEFAULT, NULL, NULL, &run.out, &run.err, &run.status,
      &error);
  g_assert_no_error (error);
  g_assert_true (WIFEXITED (run.status));
  run.status = WEXITSTATUS (run.status);
  return run;
}

#define caption(...) caption_by (NULL, NULL, __VA_ARGS__)
#define caption_from(input, ...) caption_by ("cat \"$0\" | \"$@\"", input, __VA_ARGS__)

static inline gboolean
absent (void)
{
  const char *golden = g_getenv ("TERN_GOLDEN"), *program = g_getenv ("TERN_PROGRAM");
  g_autofree char *model = g_build_filename (golden ? golden : ".", "lfm2vl", "mmproj-ship-q8_0.gguf", NULL);

  if (program && golden && g_file_test (model, G_FILE_TEST_EXISTS))
    return FALSE;
  g_test_skip ("TERN_PROGRAM or the models in TERN_GOLDEN are not there");
  return TRUE;
}

/* The source, start and end of each JSON line. */
static inline char *
summary (const char *lines)
{
  g_auto (GStrv) split = g_strsplit (lines, "\n", -1);
  GString *out = g_string_new (NULL);

  for (guint i = 0; split[i] && *split[i]; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    g_autoptr (GError) error = NULL;
    JsonObject *one;

    json_parser_load_from_data (parser, split[i], -1, &error);
    g_assert_no_error (error);
    one = json_node_get_object (json_parser_get_root (parser));
    g_assert_cmpint (json_object_get_int_member (one, "version"), ==, 1);
    g_assert_cmpint (json_object_get_int_member (one, "id"), ==, i);
    g_assert_cmpstr (json_object_get_string_member (one, "kind"), ==, "caption");
    g_assert_cmpint (json_object_get_int_member (one, "generated_tokens"), <=, 3);
    g_assert_true (g_str_has_prefix (json_object_get_string_member (one, "source"), folder));
    g_string_append_printf (out, "%s %g-%g\n", json_object_get_string_member (one, "source") + strlen (folder) + 1,
        json_object_get_double_member (one, "start"), json_object_get_double_member (one, "end"));
  }
  return g_string_free (out, FALSE);
}

/* The wholly given file whose cues there are. */
static inline void
assert_cues (const char *path, const char *first)
{
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    g_error ("%s was not written", path);
  g_assert_true (g_str_has_prefix (text, first));
}

/* A usage error that says each of @words, and no output. */
static inline void
expect_usage (Run run, const char *const *words)
{
  g_auto (Run) cleared G_GNUC_UNUSED = run;

  g_assert_cmpstr (run.out, ==, "");
  for (guint i = 0; words[i]; i++)
    if (!strstr (run.err, words[i]))
      g_error ("\"%s\" lacks \"%s\"", run.err, words[i]);
  g_assert_cmpint (run.status, ==, 2);
}

#define WORDS(...) (const char *const[]) { __VA_ARGS__, NULL }
