/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern-watch: the subcommands of `tern` that stand on GStreamer or on the memory, as `tern` calls them. It is a program of its
 * own because it uses the libtern that the elements use, which everything else has built in. */
#include <locale.h>
#include <string.h>

#include "tools/tool.h"
#include "watch/commands.h"

static const struct {
  const char *name;
  TernToolFunc run;
} subcommands[] = {
  { "watch", tern_watch_command },
  { "search", tern_search_command },
  { "ask", tern_ask_command },
};

int
main (int argc, char **argv)
{
  tern_tool_hold_descriptors ();
  if (!setlocale (LC_CTYPE, "C.UTF-8"))
    setlocale (LC_CTYPE, "");
  if (argc < 2)
    return tern_tool_usage ("expected to be called by tern: tern watch, tern search, tern ask");
  for (gsize i = 0; i < G_N_ELEMENTS (subcommands); i++)
    if (strcmp (argv[1], subcommands[i].name) == 0)
      return subcommands[i].run (argc - 1, argv + 1);
  return tern_tool_usage ("expected watch, search or ask, found `%s`", argv[1]);
}
