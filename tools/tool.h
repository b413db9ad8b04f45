/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame of the program `tern`: a file and a function a subcommand, listed in main.c. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What the program returns. */
enum {
  TERN_TOOL_DONE = 0,
  TERN_TOOL_FAILED = 1,         /* some input failed; the others were done */
  TERN_TOOL_USAGE = 2,          /* wrong options or arguments */
  TERN_TOOL_TRY_AGAIN = 75,     /* EX_TEMPFAIL of sysexits.h: no room, or another run has what it needs */
};

/* Bytes of the texts, ids and messages that subcommands take, from files and standard input. */
#define TERN_TOOL_MAX_TEXT ((gsize) 256 << 20)

/* argv[0] is the name of the subcommand. */
typedef int (*TernToolFunc) (int argc, char **argv);

int tern_tool_act (int argc, char **argv);
int tern_tool_bench (int argc, char **argv);
int tern_tool_caption (int argc, char **argv);
int tern_tool_generate (int argc, char **argv);
int tern_tool_inspect (int argc, char **argv);
int tern_tool_logits (int argc, char **argv);
int tern_tool_perplexity (int argc, char **argv);
int tern_tool_prompt (int argc, char **argv);
int tern_tool_quantize (int argc, char **argv);
int tern_tool_serve (int argc, char **argv);
int tern_tool_tasks (int argc, char **argv);
int tern_tool_tokenize (int argc, char **argv);
/* The subcommands of the program tern-watch. */
int tern_tool_watch (int argc, char **argv);

/* Options and operands of a subcommand. @operands: how the operands are shown ("FILE", "INPUT...") or NULL for none;
 * at least @min and at most @max of them must be there (G_MAXINT: any number). On success *@rest holds the operands,
 * NULL-terminated, to be freed with g_strfreev. FALSE: the message was printed, return TERN_TOOL_USAGE.
 * `--help` prints and exits, with TERN_TOOL_FAILED where it could not. Use G_OPTION_ARG_FILENAME for paths. */
gboolean tern_tool_options (int argc, char **argv, const char *operands, gint min, gint max, const char *summary,
    const GOptionEntry *entries, char ***rest);

/* First of all: standard descriptors that whoever called has closed are held, so that no file that is opened later becomes
 * one of them, and messages or results end up in it. Reading or writing them fails as before. */
void tern_tool_hold_descriptors (void);

/* Appends @text as a line for people: what could steer a terminal or end the line, and bytes that are no UTF-8, by their numbers. */
void tern_append_plain (GString *out, const char *text);
/* "tern: message" on stderr, written so. From any thread. */
void tern_tool_message (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* The line of progress, on a terminal; NULL: none. It goes before each message. */
void tern_tool_show_line (const char *line);
/* What of @path lies behind @folder, "" for the folder itself, NULL where it lies elsewhere. Both without links. */
const char *tern_tool_below (const char *path, const char *folder);
/* A message for an option that is missing or wrong. Returns TERN_TOOL_USAGE. */
int tern_tool_usage (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* Whether @threads of an option are 0 (all cores) to as many as a pool has; a message if not. */
gboolean tern_tool_check_threads (gint threads);
/* Whether none of @files, NULL-terminated, is `-`, which names no model file; a message with the name @tool if one is. */
gboolean tern_tool_check_files (const char *tool, char **files);
/* As tern_rate_parse(), more than nothing; FALSE without a message. */
gboolean tern_tool_parse_rate (const char *text, guint *n, guint *d);
/* An option beside what makes it vain. */
typedef struct {
  const char *option;
  gboolean given, vain;
  const char *why;              /* "expected ..., found ..." or so */
} TernToolVain;

/* Says of each of the @n that is given and vain that it changes nothing. */
void tern_tool_tell_vain (const char *tool, const TernToolVain *all, guint n);

/* Whether other settings would do: what was asked for does not fit into the model's context, or into a window. Memory that is
 * not there is NO_SPACE, too. */
gboolean tern_tool_is_unfit (const GError *error);
/* Prints @error and clears it. Returns TERN_TOOL_USAGE when it is INVALID (a parameter out of its range) or
 * tern_tool_is_unfit(), else
 * TERN_TOOL_FAILED. */
int tern_tool_fail (GError **error);

/* Flushes stdout; FALSE with a message when what was printed could not be written (full disk, closed pipe). */
gboolean tern_tool_flush (void);

G_END_DECLS
