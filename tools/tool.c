/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the subcommands share. */
#include "tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tern/error.h"
#include "engine/base/fraction.h"
#include "engine/base/threads.h"


void
tern_tool_hold_descriptors (void)
{
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl (fd, F_GETFD) < 0 && errno == EBADF)      /* the lowest that is free is this one */
      open ("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void
tern_append_plain (GString *out, const char *text)
{
  for (const char *p = text, *next; *p; p = next) {
    gunichar c = g_utf8_get_char_validated (p, -1);
    gboolean letter = c < (gunichar) -2;

    next = letter ? g_utf8_next_char (p) : p + 1;
    if (letter && (c == '\t' || !g_unichar_iscntrl (c)))
      g_string_append_len (out, p, next - p);
    else if (letter && c > 0x7f)
      g_string_append_printf (out, "\\u{%x}", c);
    else
      g_string_append_printf (out, "\\x%02x", (guchar) *p);
  }
}

static GMutex line_lock;
static gboolean line_there;

static void
clear_line (void)
{
  if (line_there)
    fputs ("\r\033[K", stderr);
  line_there = FALSE;
}

void
tern_tool_show_line (const char *line)
{
  g_mutex_lock (&line_lock);
  clear_line ();
  if (line)
    fputs (line, stderr);
  line_there = line != NULL;
  fflush (stderr);
  g_mutex_unlock (&line_lock);
}

void
tern_tool_message (const char *format, ...)
{
  g_autoptr (GString) line = g_string_new ("tern: ");
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  tern_append_plain (line, text);
  g_mutex_lock (&line_lock);
  clear_line ();
  fprintf (stderr, "%s\n", line->str);
  g_mutex_unlock (&line_lock);
}

const char *
tern_tool_below (const char *path, const char *folder)
{
  gsize n = strlen (folder);

  if (strncmp (path, folder, n) != 0 || (path[n] != '/' && path[n] != 0 && n != 1))     /* 1: the root */
    return NULL;
  return path + n + strspn (path + n, "/");
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
  return tern_rate_parse (text, n, d) && *n > 0;
}

void
tern_tool_tell_vain (const char *tool, const TernToolVain *all, guint n)
{
  for (guint i = 0; i < n; i++)
    if (all[i].given && all[i].vain)
      tern_tool_message ("%s: %s changes nothing: %s", tool, all[i].option, all[i].why);
}

gboolean
tern_tool_is_unfit (const GError *error)
{
  return (g_error_matches (error, TERN_ERROR, TERN_ERROR_NO_SPACE) && g_str_has_prefix (error->message, "context of "))
      || (g_error_matches (error, TERN_ERROR, TERN_ERROR_INVALID) && g_str_has_prefix (error->message, "frames of a window:"));
}

int
tern_tool_fail (GError **error)
{
  gboolean usage = g_error_matches (*error, TERN_ERROR, TERN_ERROR_INVALID) || tern_tool_is_unfit (*error);

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
tern_tool_check_files (const char *tool, char **files)
{
  for (; *files; files++)
    if (g_str_equal (*files, "-")) {
      tern_tool_usage ("%s: expected files, found `-`: model files are read and written at any place, which standard input "
          "and output have not; ./- is a file of that name", tool);
      return FALSE;
    }
  return TRUE;
}

static gboolean
note_help (const char *name, const char *value, gpointer data, GError **error)
{
  *(gboolean *) data = TRUE;
  return TRUE;
}

/* As GOption shows it, which exits with 0 whatever became of what it printed. */
static void
print_help (const char *operands, const char *summary, const GOptionEntry *entries)
{
  g_autoptr (GOptionContext) context = g_option_context_new (operands);
  g_autofree char *help = NULL;

  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  help = g_option_context_get_help (context, TRUE, NULL);
  fputs (help, stdout);
  exit (tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED);
}

/* Takes the options of a subcommand. @asked: set where help is asked for. */
static GOptionContext *
make_context (const GOptionEntry *entries, gboolean *asked)
{
  GOptionContext *context = g_option_context_new (NULL);
  GOptionGroup *group = g_option_group_new (NULL, NULL, NULL, asked, NULL);
  const GOptionEntry help[] = {
    { "help", 'h', G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, note_help, NULL, NULL },
    { "?", '?', G_OPTION_FLAG_NO_ARG, G_OPTION_ARG_CALLBACK, note_help, NULL, NULL },
    { NULL }
  };

  g_option_context_set_help_enabled (context, FALSE);
  g_option_group_add_entries (group, entries);
  g_option_group_add_entries (group, help);
  g_option_context_set_main_group (context, group);
  return context;
}

gboolean
tern_tool_options (int argc, char **argv, const char *operands, gint min, gint max, const char *summary,
    const GOptionEntry *entries, char ***rest)
{
  gboolean help = FALSE, good;
  g_autoptr (GOptionContext) context = make_context (entries, &help);
  g_autofree char *name = g_strdup_printf ("tern %s", argv[0]);
  g_auto (GStrv) args = g_new0 (char *, argc + 1);
  g_autoptr (GError) error = NULL;
  gint i, n = 0;

  for (i = 0; i < argc; i++)
    args[i] = g_strdup (argv[i]);
  g_set_prgname (name);         /* --help shows it */
  good = g_option_context_parse_strv (context, &args, &error);
  if (help)
    print_help (operands, summary, entries);
  if (!good) {
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
