/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The subcommands of tern-watch; as in tools/tool.h. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

int tern_watch_command (int argc, char **argv);
int tern_search_command (int argc, char **argv);
int tern_ask_command (int argc, char **argv);

G_END_DECLS
