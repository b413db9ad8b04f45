/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/prompt.h"

#include <string.h>

#include "engine/base/error.h"

/* The template is rendered with stand-ins from a private-use area for the user's words: they are tokenised on their
 * own afterwards, without control tokens, so that no instruction can end the user's turn. */
#define TEXT_PLACE "\xee\x80\x80text\xee\x80\x81"
#define SYSTEM_PLACE "\xee\x80\x80system\xee\x80\x81"
#define IMAGE_PLACE "<image>"

typedef struct {
  const char *place;
  const char *words;            /* NULL: an image */
  guint wanted, found;
} Place;

static void
append (GArray *ids, const TernTokenizer *tokenizer, const char *text, gsize len, gboolean scaffolding)
{
  if (len > 0)
    tern_tokenizer_encode (tokenizer, text, len, scaffolding, ids);
}

static Place *
next_place (const char *at, Place *places, guint n_places, const char **where)
{
  Place *first = NULL;

  for (guint i = 0; i < n_places; i++) {
    const char *p = strstr (at, places[i].place);

    if (p && (!first || p < *where)) {
      first = &places[i];
      *where = p;
    }
  }
  return first;
}

gboolean
tern_prompt_compile (GArray *ids, const TernChat *chat, const TernTokenizer *tokenizer, const char *system,
    guint n_images, const char *text, GError **error)
{
  gint32 bos = tern_tokenizer_bos (tokenizer);
  TernBytes piece = bos >= 0 ? tern_tokenizer_piece (tokenizer, bos, TRUE) : (TernBytes) { "", 0 };
  g_autofree char *bos_text = g_strndup (piece.data, piece.len);
  Place places[] = {
    { IMAGE_PLACE, NULL, n_images, 0 },
    { TEXT_PLACE, text, text[0] != '\0', 0 },
    { SYSTEM_PLACE, system, system != NULL, 0 },
  };
  g_autofree char *rendered = tern_chat_render_user (chat, bos_text, system ? SYSTEM_PLACE : NULL, n_images,
      text[0] ? TEXT_PLACE : "", error);
  const char *at = rendered, *where = NULL;
  Place *place;

  if (!rendered)
    return FALSE;
  g_array_set_size (ids, 0);
  while ((place = next_place (at, places, G_N_ELEMENTS (places), &where))) {
    static const gint32 image = TERN_PROMPT_IMAGE;

    append (ids, tokenizer, at, (gsize) (where - at), TRUE);
    if (place->words)
      append (ids, tokenizer, place->words, strlen (place->words), FALSE);
    else
      g_array_append_val (ids, image);
    place->found++;
    at = where + strlen (place->place);
  }
  append (ids, tokenizer, at, strlen (at), TRUE);

  for (guint i = 0; i < G_N_ELEMENTS (places); i++)
    if (places[i].found != places[i].wanted) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
          "chat template: expected to find %s %u times in what it renders, found it %u times",
          i == 0 ? "<image>" : i == 1 ? "the prompt" : "the system prompt", places[i].wanted, places[i].found);
      return FALSE;
    }
  if (bos >= 0 && tern_tokenizer_add_bos (tokenizer) && (ids->len == 0 || g_array_index (ids, gint32, 0) != bos))
    g_array_prepend_val (ids, bos);
  return TRUE;
}

static gboolean
control_token (const TernTokenizer *tokenizer, const char *path, const char *text, gint32 *id, GError **error)
{
  *id = tern_tokenizer_find (tokenizer, text);
  if (*id >= 0 && tern_tokenizer_is_control (tokenizer, *id))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected the control token %s in the vocabulary, found %s",
      path, text, *id >= 0 ? "an ordinary token" : "none: this model does not take pictures");
  return FALSE;
}

gboolean
tern_prompt_markers (const TernTokenizer *tokenizer, const char *path, TernPromptMarkers *markers, GError **error)
{
  return control_token (tokenizer, path, "<|image_start|>", &markers->start, error)
      && control_token (tokenizer, path, "<|image_end|>", &markers->end, error);
}

gboolean
tern_prompt_tile (const TernTokenizer *tokenizer, const TernSubImage *sub, guint n_sub, gint32 *id, GError **error)
{
  char tag[64];

  *id = -1;
  if (n_sub <= 1)
    return TRUE;
  if (sub->thumbnail)
    return control_token (tokenizer, "tiled picture", "<|img_thumbnail|>", id, error);
  g_snprintf (tag, sizeof (tag), "<|img_row_%u_col_%u|>", sub->row, sub->column);
  return control_token (tokenizer, "tiled picture", tag, id, error);
}
