/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern SUBCOMMAND [OPTION...]: the table of subcommands, and what they share. */
#include "tools/tool.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/log.h"
#include "engine/base/threads.h"

static const struct {
  const char *name;
  TernToolFunc run;
  const char *summary;
} subcommands[] = {
  { "caption", tern_tool_caption, "pictures, videos and folders to JSON lines or subtitles" },
#ifdef TERN_HAVE_SERVE
  { "serve", tern_tool_serve, "chats with pictures over HTTP, as OpenAI's API has them" },
#endif
  { "act", tern_tool_act, "a video and a robot's states to actions" },
  { "prompt", tern_tool_prompt, "messages to the text that a model reads" },
  { "tokenize", tern_tool_tokenize, "text on standard input to token ids" },
  { "inspect", tern_tool_inspect, "header, tensors and memory plan of a model file" },
  { "quantize", tern_tool_quantize, "a model file with its matrices in another type" },
  { "tasks", tern_tool_tasks, "the questions that a model file carries, shown and changed" },
  { "generate", tern_tool_generate, "text from a prompt" },
  { "perplexity", tern_tool_perplexity, "how well a model foretells a text" },
  { "logits", tern_tool_logits, "what a model makes of given token ids" },
  { "bench", tern_tool_bench, "how fast a model is, beside what the machine allows" },
};

void
tern_tool_message (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fprintf (stderr, "tern: %s\n", text);
}

int
tern_tool_usage (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  tern_tool_message ("%s", text);
  return TERN_TOOL_USAGE;
}

gboolean
tern_tool_check_threads (gint threads)
{
  if (threads >= 0 && threads <= TERN_THREADS_MAX)
    return TRUE;
  tern_tool_usage ("--threads: expected 0 (all cores) to %d, found %d", TERN_THREADS_MAX, threads);
  return FALSE;
}

gboolean
tern_tool_parse_rate (const char *text, guint *n, guint *d)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  guint64 number, divisor = 1;

  if (!parts[0] || !g_ascii_string_to_unsigned (parts[0], 10, 1, 1000000, &number, NULL)
      || (parts[1] && !g_ascii_string_to_unsigned (parts[1], 10, 1, 1000000, &divisor, NULL)))
    return FALSE;
  *n = (guint) number;
  *d = (guint) divisor;
  return TRUE;
}

int
tern_tool_fail (GError **error)
{
  gboolean usage = g_error_matches (*error, TERN_ERROR, TERN_ERROR_INVALID);

  tern_tool_message ("%s", (*error)->message);
  g_clear_error (error);
  return usage ? TERN_TOOL_USAGE : TERN_TOOL_FAILED;
}

gboolean
tern_tool_flush (void)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return TRUE;
  tern_tool_message ("standard output: %s", g_strerror (errno));
  return FALSE;
}

gboolean
tern_tool_options (int argc, char **argv, const char *operands, gint min, gint max, const char *summary,
    const GOptionEntry *entries, char ***rest)
{
  g_autoptr (GOptionContext) context = g_option_context_new (operands);
  g_autofree char *name = g_strdup_printf ("tern %s", argv[0]);
  g_auto (GStrv) args = g_new0 (char *, argc + 1);
  g_autoptr (GError) error = NULL;
  gint i, n = 0;

  for (i = 0; i < argc; i++)
    args[i] = g_strdup (argv[i]);
  g_set_prgname (name);         /* --help shows it */
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse_strv (context, &args, &error)) {
    tern_tool_message ("%s: %s; see `%s --help`", argv[0], error->message, name);
    return FALSE;
  }

  /* What is left: the name, perhaps "--", the operands. */
  n = g_strv_length (args);
  for (i = 1; i < n && strcmp (args[i], "--") != 0; i++);
  if (i < n) {
    g_free (args[i]);
    memmove (&args[i], &args[i + 1], (n - i) * sizeof *args);
    n--;
  }
  if (n - 1 < min || n - 1 > max) {
    if (max == 0)
      tern_tool_message ("%s: expected options only, found `%s`; see `%s --help`", argv[0], args[1], name);
    else
      tern_tool_message ("%s: expected %s, found %d argument%s; see `%s --help`", argv[0], operands, n - 1,
          n == 2 ? "" : "s", name);
    return FALSE;
  }
  *rest = g_strdupv (args + 1);
  return TRUE;
}

static void
print_help (void)
{
  gsize i;

  printf ("Usage:\n  tern SUBCOMMAND [OPTION...]\n\nSubcommands:\n");
  for (i = 0; i < G_N_ELEMENTS (subcommands); i++)
    printf ("  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
  printf ("\n`tern SUBCOMMAND --help` shows the options. Environment: TERN_CPU caps the instruction set,\n"
      "TERN_MODEL_PATH names the model, or the folder with the model, that is used when none is given.\n"
      "Exit status: 0 done, 1 some input failed, 2 wrong usage.\n");
}

/* What the library has to say beside errors. */
static void
show_warning (TernLogLevel level, const char *message, void *data)
{
  if (level <= TERN_LOG_WARNING)
    tern_tool_message ("%s", message);
}

int
main (int argc, char **argv)
{
  gsize i;

  /* Text is UTF-8 whatever the user's locale; numbers keep their point, messages their language. */
  if (!setlocale (LC_CTYPE, "C.UTF-8"))
    setlocale (LC_CTYPE, "");
  tern_log_set (show_warning, NULL);
  if (argc < 2)
    return tern_tool_usage ("expected a subcommand, found none; see `tern --help`");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0 || strcmp (argv[1], "help") == 0) {
    print_help ();
    return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
  }
  if (strcmp (argv[1], "--version") == 0) {
    printf ("tern %s\n", TERN_VERSION);
    return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
  }
  for (i = 0; i < G_N_ELEMENTS (subcommands); i++)
    if (strcmp (argv[1], subcommands[i].name) == 0)
      return subcommands[i].run (argc - 1, argv + 1);
  return tern_tool_usage ("expected a subcommand, found `%s`; see `tern --help`", argv[1]);
}
