/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models, and the process's registry of them: elements that name the same files and options share engine thread and
 * pool. Weights are shared by all who name the same files (shared.h). */
#include "tern/model-priv.h"

#include "engine/base/cpu.h"
#include "engine/base/log.h"
#include "tern/encoder-id.h"
#include "tern/model-files.h"

/* Held while files are loaded: two opens of one model load it once. Taken before the registry's. */
static GMutex load_lock;
/* The one registry of the process. Its lock is never held for long: who takes or gives back a reference must not wait
 * for somebody else's files. */
static GMutex registry_lock;
static GHashTable *registry;    /* key -> TernModel, not referenced */

static void
model_free (TernModel *model)
{
  /* On the engine thread (the last reference went in a callback) the engine ends after this; nothing of it touches the
   * weights again. */
  tern_scheduler_free (model->scheduler);
  tern_shared_unref (model->text);
  tern_shared_unref (model->vision);
  g_free (model->key);
  g_free (model->path);
  g_free (model->mmproj_path);
  g_free (model->encoder_id);
  g_free (model->projector);
  g_free (model);
}

/* What the encoder makes, @width floats a token and @deepstack features behind it, is what the language model takes. */
static gboolean
check_widths (const TernModel *model, const TernLlmInfo *text, guint width, guint deepstack, GError **error)
{
  if (text->width == width && text->deepstack == deepstack)
    return TRUE;
  if (text->width != width)
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH,
        "%s takes embeddings of %u numbers, %s makes visual tokens of %u: they do not belong together", model->path, text->width,
        model->mmproj_path, width);
  else
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "%s (key %s.n_deepstack_layers) takes features of %u early layers of the "
        "encoder beside the tokens, %s (key clip.vision.is_deepstack_layers) makes %u: they do not belong together", model->path,
        text->architecture, text->deepstack, model->mmproj_path, deepstack);
  return FALSE;
}

static gboolean
load_text (TernModel *model, GError **error)
{
  TernModelText *text = tern_shared_text (model->path, model->kernels, &model->policy, model->threads, error);

  if (!text || (model->mmproj_path && model->projected_dim > 0
          && !check_widths (model, tern_llm_info (text->llm), model->projected_dim, model->projected_deepstack, error))) {
    tern_shared_unref (text);
    return FALSE;
  }
  g_atomic_pointer_set (&model->text, text);
  return TRUE;
}

static gboolean
load_vision (TernModel *model, GError **error)
{
  TernVision *vision = tern_shared_vision (model->mmproj_path, model->kernels, error);
  const TernVisionInfo *info = vision ? tern_vision_info (vision) : NULL;

  if (!vision || (model->text
          && !check_widths (model, tern_llm_info (model->text->llm), info->embedding_dim, info->deepstack, error))) {
    tern_shared_unref (vision);
    return FALSE;
  }
  g_atomic_pointer_set (&model->vision, vision);
  return TRUE;
}

/* Identity of the encoder, for those who never load it. */
static gboolean
look_at_mmproj (TernModel *model, GError **error)
{
  g_autoptr (TernGguf) file = tern_gguf_open (model->mmproj_path, error);
  TernBytes kind = { NULL, 0 };
  TernGgufArray marks = { 0 };
  guint32 dim = 0;

  if (!file || !tern_gguf_u32_or (file, "clip.vision.projection_dim", 0, G_MAXINT32, 0, &dim, error)
      || !tern_gguf_array (file, "clip.vision.is_deepstack_layers", TERN_GGUF_BOOL, FALSE, &marks, error)
      || !tern_gguf_string_or (file, tern_gguf_has (file, "clip.projector_type") ? "clip.projector_type"
          : "clip.vision.projector_type", &kind, error))
    return FALSE;
  model->projector = kind.data ? g_strndup (kind.data, kind.len) : NULL;
  model->encoder_id = tern_encoder_id (file);
  model->projected_dim = dim;
  for (guint64 i = 0; i < marks.count; i++)
    model->projected_deepstack += marks.data[i] != 0;
  return TRUE;
}

/* @policy was read of @params. */
static TernModel *
model_new (const TernModelParams *params, const TernActivationPolicy *policy, char *key, char *path, char *mmproj_path,
    GError **error)
{
  TernModel *model = g_new0 (TernModel, 1);

  model->key = key;
  model->path = path;
  model->mmproj_path = mmproj_path;
  model->threads = params->threads;
  model->context = params->context;
  model->policy = *policy;
  model->activations = params->float_activations ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8;
  model->kernels = tern_kernels_default (error);
  model->scheduler = model->kernels ? tern_scheduler_new (params->threads, params->yielding, error) : NULL;
  if (!model->scheduler) {
    model_free (model);
    return NULL;
  }
  return model;
}

/* Files of equal widths may still be of two families: then the vocabulary lacks what this encoder's pictures stand between.
 * Said at once, not with the first picture. */
static gboolean
check_family (const TernModel *model, GError **error)
{
  g_autofree char *files = g_strdup_printf ("%s with %s", model->path, model->mmproj_path);

  return tern_prompt_family (model->projector, model->text->tokenizer, files, error) != NULL;
}

static gboolean
load (TernModel *model, TernModelParts parts, gboolean mmproj_asked_for, GError **error)
{
  if (model->mmproj_path && !model->encoder_id) {
    g_autoptr (GError) failure = NULL;

    if (!look_at_mmproj (model, &failure)) {
      if (mmproj_asked_for || (parts & TERN_MODEL_VISION)) {
        g_propagate_error (error, g_steal_pointer (&failure));
        return FALSE;
      }
      tern_log (TERN_LOG_WARNING, "%s", failure->message);
    }
  }
  return ((parts & TERN_MODEL_TEXT) == 0 || model->text || load_text (model, error))
      && ((parts & TERN_MODEL_VISION) == 0 || model->vision || load_vision (model, error))
      && (parts != TERN_MODEL_FULL || check_family (model, error));
}

/* The encoder beside the language model @named, whose file is @path. Where there is none, a file that is no language model is what
 * is wrong. */
static char *
find_mmproj (const char *named, const char *path, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (TernGguf) file = NULL;
  char *found = tern_model_find_mmproj (named, &failure);

  if (!found && (file = tern_gguf_open (path, error)) && tern_llm_check_kind (file, error))
    g_propagate_error (error, g_steal_pointer (&failure));
  return found;
}

/* The two files that @params stand for. An encoder alone needs no text file. */
static gboolean
find_files (const TernModelParams *params, char **path, char **mmproj_path, GError **error)
{
  gboolean text = (params->parts & TERN_MODEL_TEXT) != 0, vision = (params->parts & TERN_MODEL_VISION) != 0;
  g_autofree char *named = NULL;

  if (text || !params->mmproj_path || params->model_path) {
    named = tern_model_find_text (params->model_path, error);
    *path = named ? tern_model_real_file (named, error) : NULL;
    if (!*path)
      return FALSE;
  }
  if (params->mmproj_path)
    *mmproj_path = tern_model_real_path (params->mmproj_path, error);
  else
    *mmproj_path = vision ? find_mmproj (named, *path, error) : tern_model_find_mmproj (named, NULL);
  return *mmproj_path || (!vision && !params->mmproj_path);
}

/* A reference, or NULL. */
static TernModel *
look_up (const char *key)
{
  TernModel *model;

  g_mutex_lock (&registry_lock);
  model = registry ? g_hash_table_lookup (registry, key) : NULL;
  if (model)
    model->refs++;
  g_mutex_unlock (&registry_lock);
  return model;
}

static void
publish (TernModel *model)
{
  g_mutex_lock (&registry_lock);
  model->refs = 1;
  if (!registry)
    registry = g_hash_table_new (g_str_hash, g_str_equal);
  g_hash_table_insert (registry, model->key, model);
  g_mutex_unlock (&registry_lock);
}

TernModel *
tern_model_open (const TernModelParams *params, GError **error)
{
  g_autofree char *path = NULL, *mmproj_path = NULL;
  g_autoptr (GString) key = NULL;
  TernActivationPolicy policy = { TERN_POLICY_FILE, 0 };
  gboolean ok = TRUE;
  TernModel *model;

  g_return_val_if_fail (params != NULL, NULL);
  if (params->parts < TERN_MODEL_TEXT || params->parts > TERN_MODEL_FULL) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "parts: expected 1 (text), 2 (vision) or 3 (both), found %u",
        (guint) params->parts);
    return NULL;
  }
  if (params->activations && !tern_policy_parse (params->activations, &policy, error)) {
    g_prefix_error (error, "activations: ");
    return NULL;
  }
  if (!find_files (params, &path, &mmproj_path, error))
    return NULL;

  key = g_string_new (NULL);
  tern_shared_append_identity (key, path);
  tern_shared_append_identity (key, mmproj_path);
  g_string_append_printf (key, "%u %u %d %d %u %u", params->threads, params->context, params->float_activations != FALSE,
      params->yielding != FALSE, policy.kind, policy.block);

  g_mutex_lock (&load_lock);
  model = look_up (key->str);
  if (model) {
    ok = load (model, params->parts, params->mmproj_path != NULL, error);
  } else {
    model = model_new (params, &policy, g_string_free (g_steal_pointer (&key), FALSE), g_steal_pointer (&path),
        g_steal_pointer (&mmproj_path), error);
    if (model && !load (model, params->parts, params->mmproj_path != NULL, error))
      g_clear_pointer (&model, model_free);
    if (model)
      publish (model);
  }
  g_mutex_unlock (&load_lock);
  /* Out of the lock: it may be the last reference, and the engine's thread may be at a callback that opens a model. */
  if (!ok)
    g_clear_pointer (&model, tern_model_unref);
  return model;
}

TernModelText *
tern_model_draft (TernModel *model, const char *path, GError **error)
{
  g_autofree char *named = tern_model_find_text (path, error);
  g_autofree char *real = named ? tern_model_real_file (named, error) : NULL;
  TernModelText *text = NULL;

  if (real) {
    g_mutex_lock (&load_lock);
    text = tern_shared_draft (real, model->kernels, model->threads, error);
    g_mutex_unlock (&load_lock);
  }
  if (!text)
    g_prefix_error (error, "draft model: ");
  return text;
}

TernModel *
tern_model_ref (TernModel *model)
{
  g_return_val_if_fail (model != NULL, NULL);
  g_mutex_lock (&registry_lock);
  model->refs++;
  g_mutex_unlock (&registry_lock);
  return model;
}

void
tern_model_unref (TernModel *model)
{
  gboolean last;

  if (!model)
    return;
  g_mutex_lock (&registry_lock);
  last = --model->refs == 0;
  if (last) {
    g_hash_table_remove (registry, model->key);
    if (g_hash_table_size (registry) == 0)
      g_clear_pointer (&registry, g_hash_table_unref);
  }
  g_mutex_unlock (&registry_lock);
  if (last)
    model_free (model);
}

const char *
tern_model_name (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);

  return text ? text->name : "";
}

const char *
tern_model_path (const TernModel *model)
{
  return model->path ? model->path : model->mmproj_path;
}

const char *
tern_model_mmproj_path (const TernModel *model)
{
  return model->mmproj_path;
}

const char *
tern_model_instruction_set (const TernModel *model)
{
  return tern_cpu_name (model->kernels->level);
}

const char *
tern_model_encoder_id (const TernModel *model)
{
  return model->encoder_id;
}

guint
tern_model_embedding_dim (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);
  TernVision *vision = tern_model_vision (model);

  return text ? tern_llm_info (text->llm)->visual_dim : vision ? tern_vision_info (vision)->row_dim
      : model->projected_dim * (1 + model->projected_deepstack);
}

guint
tern_model_deepstack (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);
  TernVision *vision = tern_model_vision (model);

  return text ? tern_llm_info (text->llm)->deepstack : vision ? tern_vision_info (vision)->deepstack
      : model->projected_deepstack;
}

guint
tern_model_frame_tokens (const TernModel *model)
{
  TernVision *vision = tern_model_vision (model);

  return vision ? tern_vision_info (vision)->max_tokens : 0;
}

guint
tern_model_picture_frames (const TernModel *model)
{
  TernVision *vision = tern_model_vision (model);

  return vision ? tern_vision_info (vision)->frames : 0;
}

gboolean
tern_model_looks_back (const TernModel *model)
{
  TernVision *vision = tern_model_vision (model);

  return vision && tern_vision_info (vision)->looks_back;
}

const char *
tern_model_default_prompt (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);

  return text ? text->default_prompt : TERN_DEFAULT_PROMPT;
}

TernPromptUse
tern_model_prompt_use (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);

  return text ? text->prompt_use : TERN_PROMPT_READ;
}

const char *
tern_model_chat_template (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);

  return text && text->chat ? tern_chat_source (text->chat) : "";
}

guint
tern_model_context (const TernModel *model)
{
  const TernModelText *text = tern_model_text (model);

  return text ? tern_llm_info (text->llm)->context : 0;
}

const TernTask *
tern_model_tasks (const TernModel *model, guint *n)
{
  const TernModelText *text = tern_model_text (model);

  *n = text ? text->tasks.n : 0;
  return text ? text->tasks.tasks : NULL;
}

const TernTask *
tern_model_task (const TernModel *model, const char *name)
{
  const TernModelText *text = tern_model_text (model);

  g_return_val_if_fail (name != NULL, NULL);
  return text ? tern_tasks_find (&text->tasks, name) : NULL;
}
