/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/shared.h"

#include <glib/gstdio.h>
#include <string.h>

#include "engine/base/log.h"
#include "tern/error.h"

/* One thing that is loaded. */
typedef struct {
  void *object;
  GDestroyNotify free;
  char *key;                    /* kind and identity of the file */
  guint refs;
} Entry;

/* The process's one list of what is loaded. The lock guards it and the references, and is never held while something is
 * loaded or freed. */
static GMutex lock;
static GSList *entries;         /* of Entry; a process has a handful */

void
tern_shared_append_identity (GString *key, const char *path)
{
  GStatBuf st = { 0 };

  if (path && g_stat (path, &st) == 0)
    g_string_append_printf (key, "%s\n%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %"
        G_GINT64_FORMAT, path, (guint64) st.st_dev, (guint64) st.st_ino, (gint64) st.st_size, (gint64) st.st_mtime);
  else if (path)                /* to be missed when it is opened, or there by then */
    g_string_append (key, path);
  g_string_append_c (key, '\n');
}

static char *
make_key (const char *kind, const char *path)
{
  g_autoptr (GString) key = g_string_new (kind);

  tern_shared_append_identity (key, path);
  return g_string_free (g_steal_pointer (&key), FALSE);
}

/* A new reference to what is there under @key, or NULL. */
static void *
look_up (const char *key)
{
  void *found = NULL;

  g_mutex_lock (&lock);
  for (GSList *l = entries; l && !found; l = l->next) {
    Entry *entry = l->data;

    if (g_str_equal (entry->key, key)) {
      entry->refs++;
      found = entry->object;
    }
  }
  g_mutex_unlock (&lock);
  return found;
}

static void
publish (void *object, GDestroyNotify free_func, char *key)
{
  Entry *entry = g_new (Entry, 1);

  *entry = (Entry) { object, free_func, key, 1 };
  g_mutex_lock (&lock);
  entries = g_slist_prepend (entries, entry);
  g_mutex_unlock (&lock);
}

void
tern_shared_unref (void *object)
{
  Entry *last = NULL;

  g_mutex_lock (&lock);
  for (GSList *l = entries; object && l; l = l->next) {
    Entry *entry = l->data;

    if (entry->object != object)
      continue;
    if (--entry->refs == 0) {
      last = entry;
      entries = g_slist_delete_link (entries, l);
    }
    break;
  }
  g_mutex_unlock (&lock);
  if (last) {
    last->free (last->object);
    g_free (last->key);
    g_free (last);
  }
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

#define FORMS_KEPT 16           /* a few MB each at most: the masks that were looked up */

/* A form that answers were held to. */
typedef struct {
  char *source;                 /* what it was made from */
  TernConstraint *constraint;
} Form;

static void
form_free (void *data)
{
  Form *form = data;

  g_free (form->source);
  tern_constraint_unref (form->constraint);
  g_free (form);
}

static void
text_free (void *data)
{
  TernModelText *text = data;

  g_clear_pointer (&text->llm, tern_llm_unref);
  g_clear_pointer (&text->tokenizer, tern_tokenizer_unref);
  g_clear_pointer (&text->chat, tern_chat_free);
  g_queue_clear_full (&text->forms, form_free);
  g_clear_pointer (&text->trie, tern_token_trie_unref);
  g_free (text->name);
  g_free (text->default_prompt);
  g_free (text->token_bias);
  tern_plain_free (text->plain);
  tern_tasks_clear (&text->tasks);
  g_free (text);
}

/* The weights and the vocabulary. */
static TernModelText *
load_weights (TernGguf *file, const TernKernels *kernels, const TernActivationPolicy *policy, guint threads, GError **error)
{
  /* Its own: an engine's may be at work for an encoder. */
  TernPool *pool = tern_pool_new (threads, error);
  TernModelText *text;
  guint unused;

  if (!pool)
    return NULL;
  text = g_new0 (TernModelText, 1);
  text->llm = tern_llm_open_forced (file, kernels, policy, pool, error);
  tern_pool_free (pool);
  if (!text->llm || !(text->tokenizer = tern_tokenizer_new (file, error))) {
    text_free (text);
    return NULL;
  }
  unused = tern_llm_info (text->llm)->n_unused;
  if (unused)
    tern_log (TERN_LOG_INFO, "%s: %u layer%s of a head that guesses further tokens: not used; draft-model does what it is for",
        tern_gguf_path (file), unused, unused == 1 ? "" : "s");
  return text;
}

static TernModelText *
load_text (const char *path, const TernKernels *kernels, const TernActivationPolicy *policy, guint threads, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (path, error);
  TernModelText *text = file ? load_weights (file, kernels, policy, threads, error) : NULL;
  TernBytes prompt = { NULL, 0 };

  if (!text)
    return NULL;
  if (!(text->chat = tern_chat_new_from_gguf (file, error))
      || !tern_gguf_string_or (file, "tern.default_prompt", &prompt, error)
      || !tern_tasks_prompt_use (file, &text->prompt_use, error)
      || !tern_tasks_read (&text->tasks, file, error)
      || !tern_tasks_label_temperature (file, &text->label_temperature, error)
      || !tern_tasks_token_bias (file, tern_llm_info (text->llm)->n_vocab, &text->token_bias, error)) {
    text_free (text);
    return NULL;
  }
  text->plain = tern_plain_new (text->tokenizer);
  text->name = g_utf8_make_valid (tern_llm_info (text->llm)->name, -1);
  text->default_prompt = prompt.data ? g_utf8_make_valid (prompt.data, (gssize) prompt.len)
      : g_strdup (TERN_DEFAULT_PROMPT);
  return text;
}

TernTokenTrie *
tern_model_text_trie (const TernModelText *text, GError **error)
{
  static GMutex making;
  TernModelText *self = (TernModelText *) text;
  TernTokenTrie *trie;

  g_mutex_lock (&making);
  if (!self->trie)
    self->trie = tern_token_trie_new (self->tokenizer, MIN (tern_tokenizer_size (self->tokenizer),
            tern_llm_info (self->llm)->n_vocab), error);
  trie = self->trie ? tern_token_trie_ref (self->trie) : NULL;
  g_mutex_unlock (&making);
  return trie;
}

static TernConstraint *
make_constraint (const TernModelText *text, const char *json_schema, const char *grammar, GError **error)
{
  g_autoptr (TernGrammar) form = json_schema ? tern_grammar_from_json_schema (json_schema, error)
      : tern_grammar_from_gbnf (grammar, error);
  g_autoptr (TernTokenTrie) trie = form ? tern_model_text_trie (text, error) : NULL;

  return trie ? tern_constraint_new (form, trie, error) : NULL;
}

/* The form of @source, which becomes the newest one; NULL: it is not kept. Under the lock. */
static TernConstraint *
find_form (TernModelText *text, const char *source)
{
  for (GList *l = text->forms.head; l; l = l->next) {
    Form *form = l->data;

    if (!g_str_equal (form->source, source))
      continue;
    g_queue_unlink (&text->forms, l);
    g_queue_push_head_link (&text->forms, l);
    return tern_constraint_ref (form->constraint);
  }
  return NULL;
}

static void
keep_form (TernModelText *text, const char *source, TernConstraint *constraint)
{
  Form *form = g_new (Form, 1);

  *form = (Form) { g_strdup (source), tern_constraint_ref (constraint) };
  g_queue_push_head (&text->forms, form);
  if (text->forms.length > FORMS_KEPT)
    form_free (g_queue_pop_tail (&text->forms));
}

TernConstraint *
tern_model_text_constraint (const TernModelText *text, const char *json_schema, const char *grammar, GError **error)
{
  static GMutex keeping;
  g_autofree char *source = g_strconcat (json_schema ? "s" : "g", json_schema ? json_schema : grammar, NULL);
  TernModelText *self = (TernModelText *) text;
  TernConstraint *constraint, *other;

  g_mutex_lock (&keeping);
  constraint = find_form (self, source);
  g_mutex_unlock (&keeping);
  if (constraint || !(constraint = make_constraint (text, json_schema, grammar, error)))
    return constraint;
  g_mutex_lock (&keeping);
  if ((other = find_form (self, source)))       /* somebody made it meanwhile */
    tern_constraint_unref (other);
  else
    keep_form (self, source, constraint);
  g_mutex_unlock (&keeping);
  return constraint;
}

TernModelText *
tern_shared_text (const char *path, const TernKernels *kernels, const TernActivationPolicy *policy, guint threads, GError **error)
{
  g_autofree char *kind = g_strdup_printf ("text %u %u\n", policy->kind, policy->block);
  g_autofree char *key = make_key (kind, path);
  TernModelText *text = look_up (key);

  if (!text && (text = load_text (path, kernels, policy, threads, error)))
    publish (text, text_free, g_steal_pointer (&key));
  return text;
}

static gboolean
check_draft (const TernGguf *file, GError **error)
{
  if (!tern_gguf_companion (file))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a language model, found %s; a draft sees no "
      "pictures, it guesses words", tern_gguf_path (file), tern_gguf_companion (file));
  return FALSE;
}

TernModelText *
tern_shared_draft (const char *path, const TernKernels *kernels, guint threads, GError **error)
{
  g_autofree char *key = make_key ("draft\n", path);
  g_autoptr (TernGguf) file = NULL;
  TernModelText *text = look_up (key);

  if (!text && (file = tern_gguf_open (path, error)) && check_draft (file, error)
      && (text = load_weights (file, kernels, NULL, threads, error)))
    publish (text, text_free, g_steal_pointer (&key));
  return text;
}

/* ---- Vision ------------------------------------------------------------------------------------------------------ */

static void
vision_free (void *vision)
{
  tern_vision_unref (vision);
}

TernVision *
tern_shared_vision (const char *mmproj_path, const TernKernels *kernels, GError **error)
{
  g_autofree char *key = make_key ("vision\n", mmproj_path);
  g_autoptr (TernGguf) file = NULL;
  TernVision *vision = look_up (key);

  if (!vision && (file = tern_gguf_open (mmproj_path, error)) && (vision = tern_vision_open (file, kernels, error)))
    publish (vision, vision_free, g_steal_pointer (&key));
  return vision;
}
