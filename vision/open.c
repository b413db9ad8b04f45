/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of an mmproj file. */
#include "vision/packed.h"

#include <math.h>
#include <orc/orconce.h>
#include <string.h>

#include "tern/error.h"
#include "engine/weights/rotation.h"
#include "vision/preprocess-orc.h"

static gboolean
bytes_are (TernBytes bytes, const char *text)
{
  return bytes.len == strlen (text) && memcmp (bytes.data, text, bytes.len) == 0;
}

/* For messages: printable and short. */
static char *
bytes_shown (TernBytes bytes)
{
  g_autofree char *head = g_strndup (bytes.data ? bytes.data : "", MIN (bytes.len, 40));

  return g_strescape (head, NULL);
}

static gboolean
read_kind (TernVision *vision, GError **error)
{
  const char *path = tern_gguf_path (vision->file), *key = "clip.projector_type";
  g_autofree char *shown = NULL;
  gboolean encoder;
  TernBytes text;

  if (!tern_gguf_string (vision->file, "general.architecture", &text, error))
    return FALSE;
  if (!bytes_are (text, "clip")) {
    shown = bytes_shown (text);
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: general.architecture is \"%s\", expected \"clip\": not a "
        "vision encoder (mmproj) file", path, shown);
    return FALSE;
  }
  if (!tern_gguf_bool_or (vision->file, "clip.has_vision_encoder", TRUE, &encoder, error))
    return FALSE;
  if (!encoder) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: clip.has_vision_encoder is false, expected true", path);
    return FALSE;
  }
  if (!tern_gguf_has (vision->file, key) && tern_gguf_has (vision->file, "clip.vision.projector_type"))
    key = "clip.vision.projector_type";
  if (!tern_gguf_string (vision->file, key, &text, error))
    return FALSE;
  vision->projector = tern_projector_find (text, path, key, error);
  return vision->projector != NULL;
}

static gboolean
read_shape (TernVision *vision, GError **error)
{
  const TernGguf *file = vision->file;
  TernVisionInfo *info = &vision->info;
  const char *factor = vision->projector->factor_key ? vision->projector->factor_key : "clip.vision.projector.scale_factor";

  if (!tern_gguf_u32 (file, "clip.vision.patch_size", 1, 256, &info->patch, error)
      || !tern_gguf_u32 (file, factor, 1, 16, &info->factor, error)
      || !tern_gguf_u32 (file, "clip.vision.embedding_length", 1, 1 << 16, &vision->hidden, error)
      || !tern_gguf_u32 (file, "clip.vision.feed_forward_length", 1, 1 << 18, &vision->ffn, error)
      || !tern_gguf_u32 (file, "clip.vision.block_count", 0, 1024, &vision->n_blocks, error)
      || !tern_gguf_u32 (file, "clip.vision.attention.head_count", 1, 1024, &vision->heads, error)
      || !tern_gguf_f32 (file, "clip.vision.attention.layer_norm_epsilon", 0, 1, &vision->eps, error)
      || !tern_gguf_u32 (file, "clip.vision.projection_dim", 1, 1 << 17, &info->embedding_dim, error))
    return FALSE;
  if (vision->hidden % vision->heads) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: clip.vision.attention.head_count: expected a divisor of "
        "clip.vision.embedding_length %u, found %u", tern_gguf_path (file), vision->hidden, vision->heads);
    return FALSE;
  }
  vision->head_dim = vision->hidden / vision->heads;
  info->row_dim = info->embedding_dim;
  return TRUE;
}

static gboolean
read_activation (TernVision *vision, GError **error)
{
  gboolean gelu, silu;

  if (!tern_gguf_bool_or (vision->file, "clip.use_gelu", FALSE, &gelu, error)
      || !tern_gguf_bool_or (vision->file, "clip.use_silu", FALSE, &silu, error))
    return FALSE;
  if (gelu && silu) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: clip.use_gelu and clip.use_silu are both true, expected one at "
        "most", tern_gguf_path (vision->file));
    return FALSE;
  }
  vision->activation = gelu ? tern_activation_gelu_tanh : silu ? tern_activation_silu : tern_activation_quick_gelu;
  return TRUE;
}

static gboolean
read_channels (TernVision *vision, const char *key, float least, float *out, GError **error)
{
  TernGgufArray array;
  guint i;

  if (!tern_gguf_array (vision->file, key, TERN_GGUF_F32, TRUE, &array, error))
    return FALSE;
  if (array.count != 3) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: %s: expected 3 numbers, found %" G_GUINT64_FORMAT,
        tern_gguf_path (vision->file), key, array.count);
    return FALSE;
  }
  memcpy (out, array.data, 3 * sizeof (float));
  for (i = 0; i < 3; i++)
    if (!isfinite (out[i]) || out[i] < least || out[i] > 1000) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: %s[%u]: expected a number from %g to 1000, found %g",
          tern_gguf_path (vision->file), key, i, least, out[i]);
      return FALSE;
    }
  return TRUE;
}

static gboolean
read_name (TernVision *vision, GError **error)
{
  TernBytes text;

  if (!tern_gguf_string_or (vision->file, "general.name", &text, error))
    return FALSE;
  vision->name = text.len && g_utf8_validate (text.data, text.len, NULL) ? g_strndup (text.data, text.len)
      : g_path_get_basename (tern_gguf_path (vision->file));
  vision->info.name = vision->name;
  vision->info.projector = vision->projector->name;
  vision->info.frames = tern_vision_frames (vision);
  return TRUE;
}

/* ORC hands out memory for code without a lock of its own (0.4.33): everybody who compiles, other libraries of the process
 * included, does it under this mutex, as orcc's programs do that are compiled when they are first called. */
void
tern_vision_compile_orc (void)
{
  static gsize done;

  if (g_once_init_enter (&done)) {
    orc_once_mutex_lock ();
    tern_orc_init ();
    orc_once_mutex_unlock ();
    g_once_init_leave (&done, 1);
  }
}

/* Run as they are, rotated matrices give garbage. */
static gboolean
refuse_rotations (const TernGguf *file, GError **error)
{
  TernRotations *rotations;

  if (!tern_rotations_load (file, &rotations, error))
    return FALSE;
  if (!rotations)
    return TRUE;
  tern_rotations_free (rotations);
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: keys prism.hadamard.*: expected none in a vision encoder's file, "
      "found rotated matrices", tern_gguf_path (file));
  return FALSE;
}

TernVision *
tern_vision_open (TernGguf *file, const TernKernels *kernels, GError **error)
{
  g_autoptr (TernVision) vision = g_new0 (TernVision, 1);

  vision->refs = 1;
  g_mutex_init (&vision->packing);
  vision->file = tern_gguf_ref (file);
  vision->kernels = kernels;
  if (!refuse_rotations (file, error) || !read_kind (vision, error) || !read_name (vision, error) || !read_shape (vision, error)
      || !read_activation (vision, error) || !read_channels (vision, "clip.vision.image_mean", -1000, vision->mean, error)
      || !read_channels (vision, "clip.vision.image_std", 1e-3f, vision->std, error)
      || !vision->projector->read_keys (vision, error)
      || !tern_vision_bind (vision, error) || !tern_gguf_check_end (file, error))
    return NULL;
  tern_vision_compile_orc ();
  return g_steal_pointer (&vision);
}

TernVision *
tern_vision_ref (TernVision *vision)
{
  g_atomic_int_inc (&vision->refs);
  return vision;
}

void
tern_vision_unref (TernVision *vision)
{
  if (!vision || !g_atomic_int_dec_and_test (&vision->refs))
    return;
  tern_vision_unbind (vision);
  g_mutex_clear (&vision->packing);
  tern_gguf_unref (vision->file);
  g_free (vision->name);
  g_free (vision);
}

const TernVisionInfo *
tern_vision_info (const TernVision *vision)
{
  return &vision->info;
}

gsize
tern_vision_owned_bytes (const TernVision *vision)
{
  return vision->owned + (vision->packed ? vision->packed->bytes : 0);
}
