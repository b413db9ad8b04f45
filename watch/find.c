/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/find.h"

#include "tern/error.h"
#include "watch/config.h"

void
tern_find_options_clear (TernFindOptions *options)
{
  g_free (options->config);
  g_free (options->memory);
  g_free (options->camera);
  g_free (options->label);
  g_free (options->since);
  g_free (options->until);
}

static gboolean
read_time (const char *name, const char *text, gint64 *us, GError **error)
{
  if (!text || tern_watch_parse_moment (text, g_get_real_time (), us))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--%s: expected a time such as 2h, 7d or 2026-11-29T10:00, found %s", name,
      text);
  return FALSE;
}

static char *
find_path (const TernFindOptions *options, GError **error)
{
  g_autoptr (TernWatchConfig) config = NULL;

  if (!options->memory == !options->config) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "expected either --config FILE or --memory FILE, found %s",
        options->memory ? "both" : "neither");
    return NULL;
  }
  if (options->memory)
    return g_strdup (options->memory);
  config = tern_watch_config_read (options->config, NULL, error);
  return config ? g_strdup (config->memory) : NULL;
}

TernWatchMemory *
tern_find_open (const TernFindOptions *options, TernSearch *search, GError **error)
{
  g_autofree char *path = NULL;

  *search = (TernSearch) { .camera = options->camera, .label = options->label };
  if (options->limit < 1 || options->limit > TERN_SEARCH_MOST) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--limit: expected 1 to %d, found %d", TERN_SEARCH_MOST,
        options->limit);
    return NULL;
  }
  search->limit = (guint) options->limit;
  if (!read_time ("since", options->since, &search->since, error)
      || !read_time ("until", options->until, &search->until, error) || !(path = find_path (options, error)))
    return NULL;
  return tern_memory_open (path, TERN_MEMORY_READ, error);
}
