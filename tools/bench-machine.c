/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/bench-machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CACHE_GUESS ((guint64) 32 << 20)

/* The value behind "NAME  : " at the start of a line of @path; NULL: there is none. */
static char *
find_line (const char *path, const char *name)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return NULL;
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++) {
    char *colon = g_str_has_prefix (*line, name) ? strchr (*line, ':') : NULL;

    if (colon)
      return g_strdup (g_strstrip (colon + 1));
  }
  return NULL;
}

/* A number with K, M or G behind it, or the word in a file of one line. */
static gboolean
read_word (const char *folder, const char *name, char word[64])
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return FALSE;
  g_strlcpy (word, g_strstrip (text), 64);
  return TRUE;
}

static guint64
parse_bytes (const char *word)
{
  char *end;
  guint64 n = g_ascii_strtoull (word, &end, 10);

  return *end == 'K' ? n << 10 : *end == 'M' ? n << 20 : *end == 'G' ? n << 30 : n;
}

/* "0-3,8" */
static guint
count_list (const char *word)
{
  guint n = 0, first, last;
  int used;

  for (; sscanf (word, "%u%n", &first, &used) == 1; word += *word == ',') {
    word += used;
    last = first;
    if (*word == '-' && sscanf (word, "-%u%n", &last, &used) == 1)
      word += used;
    n += last - first + 1;
  }
  return n;
}

static void
look_at_caches (TernMachine *machine)
{
  for (guint i = 0; i < 16 && machine->n_caches < TERN_CACHES; i++) {
    g_autofree char *folder = g_strdup_printf ("/sys/devices/system/cpu/cpu0/cache/index%u", i);
    TernCache cache = { 0 };
    char level[64], type[64], size[64], list[64];

    if (!read_word (folder, "level", level) || !read_word (folder, "type", type) || !read_word (folder, "size", size))
      continue;
    cache.level = g_ascii_strtoull (level, NULL, 10);
    cache.kind = type[0] == 'I' ? 'i' : type[0] == 'D' ? 'd' : 'u';
    cache.bytes = parse_bytes (size);
    cache.sharing = read_word (folder, "shared_cpu_list", list) ? count_list (list) : 0;
    machine->caches[machine->n_caches++] = cache;
  }
}

void
tern_machine_look (TernMachine *machine)
{
  g_autofree char *name = find_line ("/proc/cpuinfo", "model name");
  g_autofree char *board = NULL;

  memset (machine, 0, sizeof *machine);
  if (!name && g_file_get_contents ("/proc/device-tree/model", &board, NULL, NULL))
    name = g_strdup (board);    /* ARM: the board */
  if (name) {
    g_autofree char *valid = g_utf8_make_valid (name, -1);

    g_strlcpy (machine->cpu, valid, sizeof machine->cpu);
  }
  machine->cores = g_get_num_processors ();
  machine->memory = (guint64) MAX (sysconf (_SC_PHYS_PAGES), 0) * MAX (sysconf (_SC_PAGESIZE), 0);
  look_at_caches (machine);
}

guint64
tern_machine_cache_bytes (const TernMachine *machine)
{
  guint64 most = 0;

  for (guint i = 0; i < machine->n_caches; i++) {
    const TernCache *cache = &machine->caches[i];
    guint copies = cache->sharing ? (machine->cores + cache->sharing - 1) / cache->sharing : 1;

    if (cache->kind != 'i')
      most = MAX (most, cache->bytes * copies);
  }
  return most ? most : CACHE_GUESS;
}

/* What is left of the limit of a control group (version 2, then 1). */
static guint64
group_available (void)
{
  static const char *const files[][2] = {
    { "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current" },
    { "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *limit = NULL, *used = NULL;
    guint64 most, now;

    if (!g_file_get_contents (files[i][0], &limit, NULL, NULL) || !g_file_get_contents (files[i][1], &used, NULL, NULL)
        || !g_ascii_isdigit (*limit))
      continue;
    most = g_ascii_strtoull (limit, NULL, 10);
    now = g_ascii_strtoull (used, NULL, 10);
    return most - MIN (now, most);
  }
  return G_MAXUINT64;
}

guint64
tern_machine_available (void)
{
  g_autofree char *line = find_line ("/proc/meminfo", "MemAvailable");
  guint64 kib, available = G_MAXUINT64;

  if (line && sscanf (line, "%" G_GUINT64_FORMAT, &kib) == 1)
    available = kib << 10;
  return MIN (available, group_available ());
}
