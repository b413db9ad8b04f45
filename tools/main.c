/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern SUBCOMMAND [OPTION...]: the table of subcommands. */
#include "tools/tool.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/log.h"

/* What a build may lack, and with which option and libraries it has it. */
#define LACKS_SERVE "libsoup 3.2 or later when it is built (meson setup -Dserve=enabled)"
#define LACKS_WATCH "GStreamer and SQLite 3.34 or later when it is built (meson setup -Dwatch=enabled)"

#ifndef TERN_HAVE_SERVE
#define tern_tool_serve NULL
#endif
#ifndef TERN_HAVE_WATCH
#define tern_tool_watch NULL
#endif

static const struct {
  const char *name;
  TernToolFunc run;             /* NULL: not in this build */
  const char *summary;
  const char *lacks;            /* what it needs then */
} subcommands[] = {
  { "caption", tern_tool_caption, "pictures, videos and folders to JSON lines or subtitles" },
  { "serve", tern_tool_serve, "chats with pictures over HTTP, as OpenAI's API has them", LACKS_SERVE },
  { "watch", tern_tool_watch, "cameras, day and night: what they see is remembered and told", LACKS_WATCH },
  { "search", tern_tool_watch, "what cameras saw", LACKS_WATCH },
  { "ask", tern_tool_watch, "a question about what cameras saw", LACKS_WATCH },
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

static int
print_version (void)
{
  printf ("tern %s\n", TERN_VERSION);
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}

static int
print_help (void)
{
  gsize i;

  printf ("Usage:\n  tern SUBCOMMAND [OPTION...]\n\nSubcommands:\n");
  for (i = 0; i < G_N_ELEMENTS (subcommands); i++)
    printf ("  %-10s %s%s\n", subcommands[i].name, subcommands[i].summary, subcommands[i].run ? "" : " (not in this build)");
  printf ("\n`tern SUBCOMMAND --help`, or `tern help SUBCOMMAND`, shows the options. Environment: TERN_CPU caps the instruction "
      "set,\nTERN_MODEL_PATH names the model, or the folder with the model, that is used when none is given (not by what is about\n"
      "files: bench, inspect, prompt, quantize, tasks).\n"
      "Exit status: 0 done, 1 some input failed, 2 wrong usage.\n");
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}

/* NULL: as was told. */
static TernToolFunc
find (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (subcommands); i++) {
    if (strcmp (name, subcommands[i].name) != 0)
      continue;
    if (!subcommands[i].run)
      tern_tool_usage ("%s: not in this build: it needs %s", name, subcommands[i].lacks);
    return subcommands[i].run;
  }
  tern_tool_usage ("expected a subcommand, found `%s`; see `tern --help`", name);
  return NULL;
}

static int
help (int argc, char **argv)
{
  char *asked[] = { argc > 0 ? argv[0] : NULL, (char *) "--help", NULL };
  TernToolFunc run;

  if (argc < 1 || argv[0][0] == '-')
    return print_help ();
  run = find (argv[0]);
  return run ? run (2, asked) : TERN_TOOL_USAGE;
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
  TernToolFunc run;

  tern_tool_hold_descriptors ();
  /* Text is UTF-8 whatever the user's locale; numbers keep their point, messages their language. */
  if (!setlocale (LC_CTYPE, "C.UTF-8"))
    setlocale (LC_CTYPE, "");
  tern_log_set (show_warning, NULL);
  if (argc < 2)
    return tern_tool_usage ("expected a subcommand, found none; see `tern --help`");
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)
    return print_help ();
  if (strcmp (argv[1], "help") == 0)
    return help (argc - 2, argv + 2);
  if (strcmp (argv[1], "--version") == 0)
    return print_version ();
  run = find (argv[1]);
  if (run && argc > 2 && strcmp (argv[2], "--version") == 0)
    return print_version ();
  return run ? run (argc - 1, argv + 1) : TERN_TOOL_USAGE;
}
