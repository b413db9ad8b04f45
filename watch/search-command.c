/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern search: what was seen. */
#include <stdio.h>

#include "tools/tool.h"
#include "watch/commands.h"
#include "watch/find.h"
#include "watch/unseen.h"

/* What is not found may be what nobody looked at. */
static gboolean
print_unseen (TernWatchMemory *memory, const TernSearch *search, gboolean json, GError **error)
{
  g_autoptr (GPtrArray) sums = tern_unseen_find (memory, search->camera, search->since, search->until, error);

  for (guint i = 0; sums && i < sums->len; i++) {
    const TernUnseenSum *sum = g_ptr_array_index (sums, i);
    g_autofree char *line = json ? tern_unseen_json (sum) : tern_unseen_line (sum);

    if (json)
      puts (line);
    else
      tern_tool_message ("%s", line);
  }
  return sums != NULL;
}

static void
print (const GPtrArray *hits, gboolean json)
{
  for (guint i = 0; i < hits->len; i++) {
    const TernHit *hit = g_ptr_array_index (hits, i);
    g_autofree char *line = json ? tern_hit_json (hit) : tern_hit_line (hit);

    puts (line);
  }
}

int
tern_search_command (int argc, char **argv)
{
  TernFindOptions options = { .limit = 20 };
  gboolean json = FALSE, newest = FALSE, unsure = FALSE;
  const GOptionEntry entries[] = {
    TERN_FIND_OPTION_ENTRIES (&options),
    { "newest", 0, 0, G_OPTION_ARG_NONE, &newest, "The newest first, not the best", NULL },
    { "unsure", 0, 0, G_OPTION_ARG_NONE, &unsure, "Only what the model was not sure of", NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "JSON lines", NULL },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autofree char *words = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernWatchMemory) memory = NULL;
  g_autoptr (GPtrArray) hits = NULL;
  TernSearch search;
  int status = TERN_TOOL_USAGE;

  if (tern_tool_options (argc, argv, "WORD...", 0, G_MAXINT, "Finds what cameras saw: all of the words, `parcel*` for what "
          "begins so; without words the newest.", entries, &rest)) {
    words = g_strjoinv (" ", rest);
    memory = tern_find_open (&options, &search, &error);
    search.words = words;
    search.unsure = unsure;
    search.order = newest ? TERN_SEARCH_TIME : TERN_SEARCH_RANK;
    hits = memory ? tern_search (memory, &search, &error) : NULL;
    if (hits)
      print (hits, json);
    if (hits && !unsure && !print_unseen (memory, &search, json, &error))
      g_clear_pointer (&hits, g_ptr_array_unref);
    status = !hits ? tern_tool_fail (&error) : tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
  }
  tern_find_options_clear (&options);
  return status;
}
