/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Subcommands that a program of its own has, beside this one: tern-watch stands on GStreamer, whose elements bring their own
 * libtern. */
#include "tools/tool.h"

#include <errno.h>
#include <unistd.h>

int
tern_tool_watch (int argc, char **argv)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = g_path_get_dirname (program ? program : "/usr/bin/tern");
  g_autofree char *watch = g_build_filename (folder, "tern-watch", NULL);
  g_autoptr (GPtrArray) args = g_ptr_array_new ();

  g_ptr_array_add (args, watch);
  for (int i = 0; i < argc; i++)
    g_ptr_array_add (args, argv[i]);
  g_ptr_array_add (args, NULL);
  execv (watch, (char **) args->pdata);
  if (errno == ENOENT)
    return tern_tool_usage ("%s: expected the program %s beside this one, not found", argv[0], watch);
  tern_tool_message ("%s: %s: cannot be started: %s", argv[0], watch, g_strerror (errno));
  return TERN_TOOL_FAILED;
}
