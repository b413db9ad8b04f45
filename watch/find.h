/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options by which subcommands find things in the memory. */
#pragma once

#include "watch/search.h"

G_BEGIN_DECLS

/* Strings are freed by tern_find_options_clear(). */
typedef struct {
  char *config, *memory, *camera, *label, *since, *until;
  gint limit;
} TernFindOptions;

#define TERN_FIND_OPTION_ENTRIES(o) \
  { "config", 0, 0, G_OPTION_ARG_FILENAME, &(o)->config, "Of `tern watch`: it names the memory", "FILE" }, \
  { "memory", 0, 0, G_OPTION_ARG_FILENAME, &(o)->memory, "The memory itself", "FILE" }, \
  { "camera", 0, 0, G_OPTION_ARG_STRING, &(o)->camera, "Only what this one saw", "NAME" }, \
  { "label", 0, 0, G_OPTION_ARG_STRING, &(o)->label, "Only where this label was the likeliest", "LABEL" }, \
  { "since", 0, 0, G_OPTION_ARG_STRING, &(o)->since, "2h, 30m, 7d, or 2026-11-29T10:00", "TIME" }, \
  { "until", 0, 0, G_OPTION_ARG_STRING, &(o)->until, "Likewise", "TIME" }, \
  { "limit", 0, 0, G_OPTION_ARG_INT, &(o)->limit, "Hits, at most", "N" }

void tern_find_options_clear (TernFindOptions *options);
/* Fills @search, with strings of @options, and opens the memory. NULL with @error (INVALID: an option). */
TernWatchMemory *tern_find_open (const TernFindOptions *options, TernSearch *search, GError **error);

G_END_DECLS
