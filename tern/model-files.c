/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/model-files.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/readfile.h"
#include "engine/weights/gguf.h"

#define MAX_MAPS ((gsize) 64 << 20)     /* bytes of /proc/self/maps */
#define MAX_NOTE ((gsize) 64 << 10)
#define MAX_LINKS 40            /* as many as the kernel follows */

char *
tern_model_real_path (const char *path, GError **error)
{
  char *real = realpath (path, NULL), *copy;
  int failure = errno;
  gboolean missing = failure == ENOENT || failure == ENOTDIR;

  if (!real) {
    g_autofree char *target = missing ? g_file_read_link (path, NULL) : NULL;

    g_set_error (error, TERN_ERROR, missing ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ, "%s: %s%s%s", path,
        target ? "a link to " : g_strerror (failure), target ? target : "", target ? ", which does not exist" : "");
    return NULL;
  }
  copy = g_strdup (real);
  free (real);
  return copy;
}

/* What @path links to, to be freed; NULL: it is no link. */
static char *
link_target (const char *path)
{
  g_autofree char *target = g_file_read_link (path, NULL), *folder = g_path_get_dirname (path);

  return !target || g_path_is_absolute (target) ? g_steal_pointer (&target) : g_build_filename (folder, target, NULL);
}

char *
tern_model_real_file (const char *path, GError **error)
{
  g_autofree char *real = tern_model_real_path (path, error), *hop = g_strdup (path);

  for (guint i = 0; real && hop && i < MAX_LINKS && tern_gguf_part_of_name (real) == 0; i++) {
    char *next = link_target (hop);

    if (tern_gguf_part_of_name (hop) > 0) {
      g_autofree char *folder = g_path_get_dirname (hop), *real_folder = tern_model_real_path (folder, NULL);
      g_autofree char *name = g_path_get_basename (hop);

      g_free (next);
      return g_build_filename (real_folder ? real_folder : folder, name, NULL);
    }
    g_free (hop);
    hop = next;
  }
  return g_steal_pointer (&real);
}

/* @path from the root, but otherwise as it is: `..` behind a link is not what it looks like. */
static char *
absolute (const char *path)
{
  g_autofree char *here = g_path_is_absolute (path) ? NULL : g_get_current_dir ();

  return here ? g_build_filename (here, path, NULL) : g_strdup (path);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Names of one file count once: the first. What leads nowhere stays, to be complained of when it is opened. */
static void
drop_other_names (const char *folder, GPtrArray *names)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < names->len;) {
    g_autofree char *path = g_build_filename (folder, names->pdata[i], NULL);
    char *real = tern_model_real_path (path, NULL);

    if (real && !g_hash_table_add (seen, real))
      g_ptr_array_remove_index (names, i);
    else
      i++;
  }
}

/* GGUF files in @folder, sorted, of several parts the first; @mmproj: those whose name has mmproj in it, else the others.
 * What begins with a dot is none: another system's notes about a file are called so (._model.gguf). */
static GPtrArray *
list (const char *folder, gboolean mmproj, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) failure = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &failure);
  const char *name;

  if (!dir) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: %s", folder, failure->message);
    return NULL;
  }
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *lower = g_ascii_strdown (name, -1);

    if (*name != '.' && g_str_has_suffix (lower, ".gguf") && tern_gguf_part_of_name (lower) <= 1
        && (strstr (lower, "mmproj") != NULL) == mmproj)
      g_ptr_array_add (names, g_strdup (name));
  }
  g_ptr_array_sort (names, compare_names);
  drop_other_names (folder, names);
  return g_steal_pointer (&names);
}

/* Whether the file says that it goes beside a language model, as an action model does. What cannot be read does not: the
 * error is that of whoever opens it. */
static gboolean
is_companion (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (TernGguf) file = tern_gguf_open (path, NULL);

  return file && tern_gguf_companion (file);
}

/* Language models in @folder, as list(). */
static GPtrArray *
list_text (const char *folder, GError **error)
{
  GPtrArray *names = list (folder, FALSE, error);

  for (guint i = 0; names && names->len > 1 && i < names->len;)
    if (is_companion (folder, names->pdata[i]))
      g_ptr_array_remove_index (names, i);
    else
      i++;
  return names;
}

/* "a, b", or "none". */
static char *
join (GPtrArray *names)
{
  GString *all = g_string_new (NULL);

  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (all, "%s%s", i ? ", " : "", (const char *) names->pdata[i]);
  return g_string_free (all, FALSE);
}

/* ---- The language model ------------------------------------------------------------------------------------------ */

/* Of several language models the one that this build calls its own, or NULL. @all: none of them may be anybody else's. */
static const char *
own_of (const GPtrArray *names, gboolean all)
{
  const char *own = NULL;

  for (guint i = 0; i < names->len; i++) {
    if (all && !g_str_has_prefix (names->pdata[i], "tern-"))
      return NULL;
    if (!own && g_str_has_prefix (names->pdata[i], TERN_BUNDLED_MODEL))
      own = names->pdata[i];
  }
  return own;
}

/* One, or the bundled ones. */
static char *
text_in (const char *folder, GError **error)
{
  g_autoptr (GPtrArray) names = list_text (folder, error);
  g_autofree char *found = names ? join (names) : NULL;
  const char *own = names ? own_of (names, TRUE) : NULL;

  if (names && (own || names->len == 1))
    return g_build_filename (folder, own ? own : names->pdata[0], NULL);
  if (names)
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: expected one *.gguf of a language model, found %s; name "
        "the file as model path", folder, names->len ? found : "none");
  return NULL;
}

static char *
file_or_folder (const char *path, GError **error)
{
  g_autofree char *named = absolute (path);
  g_autofree char *real = NULL, *found = NULL;

  found = g_file_test (named, G_FILE_TEST_IS_DIR) ? text_in (named, error) : g_steal_pointer (&named);
  real = found ? tern_model_real_path (found, error) : NULL;
  return real ? g_steal_pointer (&found) : NULL;
}

/* The file that is mapped at @address, as the kernel tells it. It knows better than the loader, for which a program is
 * what its caller called it: a name found through PATH, or any other word. */
static char *
mapped_at (gsize address)
{
  g_autofree char *maps = tern_file_read ("/proc/self/maps", MAX_MAPS, NULL, NULL);
  char *line, *rest = maps;

  while (rest && (line = strsep (&rest, "\n"))) {
    gsize begin, end;
    char *path = strchr (line, '/');

    if (sscanf (line, "%" G_GSIZE_MODIFIER "x-%" G_GSIZE_MODIFIER "x", &begin, &end) == 2 && address >= begin
        && address < end)
      return path ? tern_model_real_path (path, NULL) : NULL;
  }
  return NULL;
}

char *
tern_model_own_path (void)
{
  gsize address = (gsize) &tern_model_own_path;
  char *path = mapped_at (address);
  Dl_info info;

  if (path || !dladdr ((const void *) address, &info) || !info.dli_fname)
    return path;
  /* No /proc. */
  if (!strchr (info.dli_fname, '/'))
    return g_find_program_in_path (info.dli_fname);
  return tern_model_real_path (info.dli_fname, NULL);
}

/* In a build folder, a note in the folder beside this library's (or program's) says where the models of the source tree
 * are. */
static char *
built_beside (const char *own_path)
{
  g_autofree char *folder = g_path_get_dirname (own_path);
  g_autofree char *note = g_build_filename (folder, "..", "tern", "bundled-models.path", NULL);
  char *models = tern_file_read (note, MAX_NOTE, NULL, NULL);

  return models ? g_strstrip (models) : NULL;
}

char *
tern_model_installed_beside (const char *own_path)
{
  static const char *const folders[] = { TERN_BINDIR, TERN_LIBDIR };
  g_autofree char *folder = g_path_get_dirname (own_path);

  for (guint i = 0; i < G_N_ELEMENTS (folders); i++) {
    g_autofree char *tail = g_strconcat (G_DIR_SEPARATOR_S, folders[i], NULL);

    /* One that is not below the prefix says nothing about where the rest is. */
    if (g_path_is_absolute (folders[i]) || g_path_is_absolute (TERN_DATADIR) || !g_str_has_suffix (folder, tail))
      continue;
    folder[strlen (folder) - strlen (tail)] = 0;
    return g_build_filename (G_DIR_SEPARATOR_S, folder, TERN_DATADIR, "tern", "models", NULL);
  }
  return NULL;
}

/* Where bundled models may be: of the build folder that we run from, of the installation that we run from, wherever it
 * was moved to, and of the one that we were built for. */
static GPtrArray *
bundled_folders (void)
{
  GPtrArray *folders = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *self = tern_model_own_path ();
  char *const places[] = { self ? built_beside (self) : NULL, self ? tern_model_installed_beside (self) : NULL,
    g_strdup (TERN_MODELS_DIR) };

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    if (places[i] && *places[i] && !(folders->len && g_str_equal (folders->pdata[folders->len - 1], places[i])))
      g_ptr_array_add (folders, places[i]);
    else
      g_free (places[i]);
  return folders;
}

/* Of several language models in @folder the one that this build calls its own, or NULL. */
static char *
own_text_in (const char *folder)
{
  g_autoptr (GPtrArray) names = list_text (folder, NULL);
  const char *own = names ? own_of (names, FALSE) : NULL;

  return own ? g_build_filename (folder, own, NULL) : NULL;
}

static char *
bundled (GError **error)
{
  g_autoptr (GPtrArray) folders = bundled_folders ();
  g_autofree char *all = NULL;

  for (guint i = 0; i < folders->len; i++) {
    g_autoptr (GPtrArray) names = list (folders->pdata[i], FALSE, NULL);

    /* A folder without any is passed over, one with several others is an error. */
    if (names && names->len > 0) {
      g_autofree char *own = own_text_in (folders->pdata[i]);

      return file_or_folder (own ? own : folders->pdata[i], error);
    }
  }
  all = join (folders);
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "no model: no model path is set, TERN_MODEL_PATH is not set, and "
      "there is no *.gguf in %s", all);
  return NULL;
}

char *
tern_model_find_text (const char *model_path, GError **error)
{
  const char *variable = g_getenv ("TERN_MODEL_PATH");
  g_autofree char *home = NULL;
  char *found;

  if (model_path)
    return file_or_folder (model_path, error);
  if (!variable || !*variable)
    return bundled (error);
  if (g_str_has_prefix (variable, "~/"))        /* as it stands in a unit or a list of variables, which no shell reads */
    home = g_build_filename (g_get_home_dir (), variable + 2, NULL);
  found = file_or_folder (home ? home : variable, error);
  if (!found)
    g_prefix_error (error, "TERN_MODEL_PATH: ");
  return found;
}

/* ---- Its neighbour ----------------------------------------------------------------------------------------------- */

/* The folders of a path and of what it links to, link by link, each once; and what the model is called there. */
typedef struct {
  GPtrArray *places, *names;
  GArray *homes;                /* guint: where in places each of the names is */
} Hops;

static void
hops_clear (Hops *hops)
{
  g_ptr_array_unref (hops->places);
  g_ptr_array_unref (hops->names);
  g_array_unref (hops->homes);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Hops, hops_clear)

static guint
add_place (GPtrArray *places, const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path), *real = tern_model_real_path (folder, NULL);

  for (guint i = 0; real && i < places->len; i++) {
    g_autofree char *other = tern_model_real_path (places->pdata[i], NULL);

    if (g_strcmp0 (real, other) == 0)
      return i;
  }
  g_ptr_array_add (places, g_steal_pointer (&folder));
  return places->len - 1;
}

static void
hops_init (Hops *hops, const char *path)
{
  g_autofree char *hop = g_strdup (path);

  hops->places = g_ptr_array_new_with_free_func (g_free);
  hops->names = g_ptr_array_new_with_free_func (g_free);
  hops->homes = g_array_new (FALSE, FALSE, sizeof (guint));
  for (guint i = 0; hop && i < MAX_LINKS; i++) {
    char *next = link_target (hop);
    guint home = add_place (hops->places, hop);

    g_ptr_array_add (hops->names, g_path_get_basename (hop));
    g_array_append_val (hops->homes, home);
    g_free (hop);
    hop = next;
  }
}

/* Letters of the model's name in that of an encoder, mmproj-NAME-TYPE.gguf, mmproj-NAME.gguf or NAME.mmproj-TYPE.gguf, if @text
 * begins with that name; else 0. Case does not count. What llama.cpp fetches is called OWNER_REPOSITORY_FILE: what is before the
 * file's own name is before both. */
static gsize
shared_name (const char *mmproj, const char *text)
{
  g_autofree char *lower = g_ascii_strdown (mmproj, -1);
  const char *word = strstr (lower, "mmproj"), *begin = word == lower ? word + strlen ("mmproj") : lower, *end = word, *last = NULL;
  gsize whole, letters, before = word - lower;

  if (before && lower[before - 1] == '_' && g_ascii_strncasecmp (lower, text, before) == 0)
    return before + shared_name (word, text + before);
  if (word == lower) {
    begin += strspn (begin, "-_.");
    end = begin + strlen (begin) - strlen (".gguf");
    last = g_strrstr_len (begin, end - begin, "-");
  } else {
    while (end > begin && strchr ("-_.", end[-1]))
      end--;
  }
  whole = (gsize) MAX (end - begin, 0);
  letters = last ? (gsize) (last - begin) : whole;
  for (gsize i = 0; i < 2; i++) {
    gsize n = i ? letters : whole;

    if (n && g_ascii_strncasecmp (begin, text, n) == 0 && strchr ("-.", text[n]))
      return n;
  }
  return 0;
}

/* The one of several encoders that is called as @text is; NULL when none is, or two are. *@alike: whether any is. */
static const char *
namesake (GPtrArray *names, const char *text, gboolean *alike)
{
  const char *best = NULL;
  gsize most = 0;

  for (guint i = 0; i < names->len; i++) {
    gsize letters = shared_name (names->pdata[i], text);

    if (letters && letters == most)
      best = NULL;
    if (letters > most) {
      most = letters;
      best = names->pdata[i];
    }
  }
  *alike |= most > 0;
  return best;
}

/* Of several encoders in the @place the one that is called as the language model is: there, else as it is where it links to, or
 * where it is linked from. Where none is, the one whose name begins with mmproj. NULL when there is none, or two. */
static const char *
choose_encoder (GPtrArray *names, const Hops *hops, guint place)
{
  const char *best = NULL;
  gboolean alike = FALSE;

  for (guint elsewhere = 0; elsewhere < 2; elsewhere++)
    for (guint i = 0; !best && i < hops->names->len; i++)
      if ((g_array_index (hops->homes, guint, i) != place) == elsewhere)
        best = namesake (names, hops->names->pdata[i], &alike);
  for (guint i = 0, n = 0; !alike && i < names->len; i++)
    if (g_ascii_strncasecmp (names->pdata[i], "mmproj", strlen ("mmproj")) == 0)
      best = n++ ? NULL : names->pdata[i];
  return best;
}

/* Whether @mmproj is called as another language model in the @place is, and not as this one, whose file is @real. */
static gboolean
is_anothers (const char *mmproj, const char *place, const Hops *hops, const char *real)
{
  g_autoptr (GPtrArray) texts = list (place, FALSE, NULL);
  gboolean other = FALSE;

  for (guint i = 0; i < hops->names->len; i++)
    if (shared_name (mmproj, hops->names->pdata[i]))
      return FALSE;
  for (guint i = 0; texts && !other && i < texts->len; i++)
    if (shared_name (mmproj, texts->pdata[i])) {
      g_autofree char *path = g_build_filename (place, texts->pdata[i], NULL), *file = tern_model_real_path (path, NULL);

      other = g_strcmp0 (file, real) != 0;
    }
  return other;
}

/* Takes out of @names those that are other models'; says in @passed which. */
static void
leave_others (GPtrArray *names, const char *place, const Hops *hops, const char *real, GPtrArray *passed)
{
  for (guint i = 0; i < names->len;)
    if (is_anothers (names->pdata[i], place, hops, real))
      g_ptr_array_add (passed, g_ptr_array_steal_index (names, i));
    else
      i++;
}

char *
tern_model_find_mmproj (const char *text_path, GError **error)
{
  g_auto (Hops) hops = { NULL };
  g_autoptr (GPtrArray) passed = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *real = tern_model_real_path (text_path, NULL);
  g_autofree char *first = NULL, *others = NULL, *of_others = NULL;
  GPtrArray *places;

  hops_init (&hops, text_path);
  places = hops.places;
  first = g_strdup (places->pdata[0]);
  for (guint i = 0; i < places->len; i++) {
    g_autoptr (GPtrArray) names = list (places->pdata[i], TRUE, i ? NULL : error);
    g_autofree char *found = NULL;
    const char *one;

    if (!names && !i)
      return NULL;
    if (names)
      leave_others (names, places->pdata[i], &hops, real, passed);
    if (!names || !names->len)
      continue;
    one = names->len == 1 ? names->pdata[0] : choose_encoder (names, &hops, i);
    if (one) {
      found = g_build_filename (places->pdata[i], one, NULL);
      return tern_model_real_path (found, error);
    }
    found = join (names);
    g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: expected one *mmproj*.gguf beside the language model, or one "
        "that is called as it is, found %s; name the file as mmproj path", (const char *) places->pdata[i], found);
    return NULL;
  }
  g_ptr_array_remove_index (places, 0);
  others = join (places);
  of_others = join (passed);
  g_set_error (error, TERN_ERROR, TERN_ERROR_NOT_FOUND, "%s: expected one *mmproj*.gguf beside the language model, found "
      "%s%s%s%s; name the file as mmproj path", first, passed->len ? of_others : "none",
      passed->len ? ", called as another model there is" : "", places->len ? ", nor where it links to, in " : "", others);
  return NULL;
}
