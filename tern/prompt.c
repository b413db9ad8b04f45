/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/prompt.h"

#include <string.h>

#include "tern/error.h"
#include "tern/prompt-family.h"

/* The template is rendered with stand-ins from a private-use area for the user's words: what they are replaced with is
 * encoded without control tokens, so that no instruction can end the user's turn. */
#define TEXT_PLACE "\xee\x80\x80text\xee\x80\x81"
#define SYSTEM_PLACE "\xee\x80\x80system\xee\x80\x81"
#define IMAGE_PLACE TERN_PROMPT_IMAGE

static const TernPromptFamily *const families[] = {
  &tern_prompt_family_lfm2,
  &tern_prompt_family_idefics3,
  &tern_prompt_family_qwen3vl,
};

/* ---- Families ---------------------------------------------------------------------------------------------------- */

/* The first of its tokens that is no control token of the vocabulary, or NULL. */
static const char *
missing_token (const TernPromptFamily *family, const TernTokenizer *tokenizer)
{
  for (const char *const *token = family->tokens; *token; token++)
    if (!tern_tokenizer_is_control (tokenizer, tern_tokenizer_find (tokenizer, *token)))
      return *token;
  return NULL;
}

static gboolean
refuse_token (const TernTokenizer *tokenizer, const char *where, const char *token, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected the control token %s in the vocabulary, found "
      "%s", where, token, tern_tokenizer_find (tokenizer, token) >= 0 ? "an ordinary token"
      : "none: this model was not made for such pictures");
  return FALSE;
}

const TernPromptFamily *
tern_prompt_family (const char *projector, const TernTokenizer *tokenizer, const char *path, GError **error)
{
  const TernPromptFamily *family = NULL;
  const char *missing;

  for (guint i = 0; i < G_N_ELEMENTS (families) && !family; i++)
    if (g_strcmp0 (families[i]->projector, projector) == 0)
      family = families[i];
  for (guint i = 0; i < G_N_ELEMENTS (families) && !family; i++)
    if (!missing_token (families[i], tokenizer))
      family = families[i];
  if (!family)
    family = families[0];
  missing = missing_token (family, tokenizer);
  if (!missing)
    return family;
  refuse_token (tokenizer, path, missing, error);
  return NULL;
}

gboolean
tern_prompt_is_timed (const TernPromptFamily *family)
{
  return family->timed;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

void
tern_prompt_write (TernPromptWriter *writer, const char *text)
{
  g_string_append (writer->text, text);
}

void
tern_prompt_writef (TernPromptWriter *writer, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_string_append_vprintf (writer->text, format, args);
  va_end (args);
}

void
tern_prompt_write_token (TernPromptWriter *writer, const char *token)
{
  tern_prompt_write (writer, token);
  if (!writer->missing
      && !tern_tokenizer_is_control (writer->tokenizer, tern_tokenizer_find (writer->tokenizer, token)))
    writer->missing = g_strdup (token);
}

void
tern_prompt_write_words (TernPromptWriter *writer, const char *words)
{
  TernTextRange range = { .begin = writer->text->len };

  g_string_append (writer->text, words);
  range.end = writer->text->len;
  g_array_append_val (writer->plain, range);
}

/* What was written and is not encoded yet becomes ids. */
static void
flush (TernPromptWriter *writer)
{
  if (writer->text->len > 0)
    tern_tokenizer_encode_mixed (writer->tokenizer, writer->text->str, writer->text->len,
        (const TernTextRange *) writer->plain->data, writer->plain->len, writer->ids);
  g_string_truncate (writer->text, 0);
  g_array_set_size (writer->plain, 0);
}

void
tern_prompt_write_run (TernPromptWriter *writer)
{
  static const gint32 run = TERN_PROMPT_RUN;

  flush (writer);
  g_array_append_val (writer->ids, run);
}

void
tern_prompt_writer_init (TernPromptWriter *writer, const TernTokenizer *tokenizer, GArray *ids)
{
  *writer = (TernPromptWriter) { .tokenizer = tokenizer, .ids = ids, .text = g_string_new (NULL),
    .plain = g_array_new (FALSE, FALSE, sizeof (TernTextRange)) };
  g_array_set_size (ids, 0);
}

gboolean
tern_prompt_writer_end (TernPromptWriter *writer, GError **error)
{
  gint32 bos = tern_tokenizer_bos (writer->tokenizer);
  GArray *ids = writer->ids;

  flush (writer);
  if (writer->missing)
    return refuse_token (writer->tokenizer, "tiled picture", writer->missing, error);
  if (bos >= 0 && tern_tokenizer_add_bos (writer->tokenizer)
      && (ids->len == 0 || g_array_index (ids, gint32, 0) != bos))
    g_array_prepend_val (ids, bos);
  return TRUE;
}

void
tern_prompt_writer_clear (TernPromptWriter *writer)
{
  g_string_free (writer->text, TRUE);
  g_array_unref (writer->plain);
  g_free (writer->missing);
}

/* ---- The template ------------------------------------------------------------------------------------------------ */

typedef enum { PLACE_VISUAL, PLACE_TEXT, PLACE_SYSTEM, N_PLACES } PlaceKind;

typedef struct {
  const char *place;
  guint wanted, found;
} Place;

guint
tern_prompt_count (const char *text, const char *part)
{
  guint n = 0;

  for (; (text = strstr (text, part)); text += strlen (part))
    n++;
  return n;
}

/* A turn with a video and @parts->text in it. */
static char *
render_video (const TernChat *chat, const TernPromptParts *parts, GError **error)
{
  GString *json = g_string_new ("{\"add_generation_prompt\":true,\"enable_thinking\":");
  char *rendered;

  g_string_append_printf (json, "%s,\"messages\":[", parts->think ? "true" : "false");
  /* Nothing of the user's stands in it: no need to quote. */
  if (parts->system)
    g_string_append (json, "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"" SYSTEM_PLACE "\"}]},");
  g_string_append (json, "{\"role\":\"user\",\"content\":[{\"type\":\"video\"}");
  if (parts->text[0])
    g_string_append (json, ",{\"type\":\"text\",\"text\":\"" TEXT_PLACE "\"}");
  g_string_append (json, "]}]}");
  rendered = tern_chat_render_json (chat, json->str, (gssize) json->len, error);
  g_string_free (json, TRUE);
  return rendered;
}

/* The template's own way with videos, else the family's. */
static char *
render_video_somehow (const TernPromptParts *parts, GError **error)
{
  const char *source = parts->family->video_template;
  g_autofree char *own = render_video (parts->chat, parts, NULL);
  g_autoptr (TernChat) chat = NULL;

  if (own && tern_prompt_count (own, tern_prompt_video_place (parts->family)) == 1)
    return g_steal_pointer (&own);
  chat = tern_chat_new (source, strlen (source), error);
  return chat ? render_video (chat, parts, error) : NULL;
}

static Place *
next_place (const char *at, Place places[N_PLACES], const char **where)
{
  Place *first = NULL;

  for (guint i = 0; i < N_PLACES; i++) {
    const char *p = strstr (at, places[i].place);

    if (p && (!first || p < *where)) {
      first = &places[i];
      *where = p;
    }
  }
  return first;
}

static void
write_visual (TernPromptWriter *writer, const TernPromptFamily *family, const TernPromptVisual *visual, guint i)
{
  if (!visual->video)
    family->still (writer, visual);
  else if (family->video)
    family->video (writer, visual);
  else if (i < visual->n)
    family->frame (writer, &visual->runs[i]);
}

static void
write_all (TernPromptWriter *writer, const char *rendered, Place places[N_PLACES], const TernPromptParts *parts,
    const TernPromptVisual *visual)
{
  const char *at = rendered, *where = NULL;
  Place *place;

  while ((place = next_place (at, places, &where))) {
    g_string_append_len (writer->text, at, where - at);
    if (place == &places[PLACE_VISUAL])
      write_visual (writer, parts->family, visual, place->found);
    else
      tern_prompt_write_words (writer, place == &places[PLACE_TEXT] ? parts->text : parts->system ? parts->system : "");
    place->found++;
    at = where + strlen (place->place);
  }
  tern_prompt_write (writer, at);
  flush (writer);
}

static gboolean
check_places (const Place places[N_PLACES], GError **error)
{
  static const char *const names[] = { NULL, "the prompt", "the system prompt" };

  for (guint i = 0; i < N_PLACES; i++)
    if (places[i].found != places[i].wanted) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
          "chat template: expected to find %s %u times in what it renders, found it %u times",
          names[i] ? names[i] : places[i].place, places[i].wanted, places[i].found);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_prompt_compile (GArray *ids, const TernPromptParts *parts, const TernPromptVisual *visual, GError **error)
{
  gboolean whole_video = visual->video && visual->n > 0 && parts->family->video;
  guint n_images = !visual->video ? 1 : whole_video ? 0 : visual->n;
  gint32 bos = tern_tokenizer_bos (parts->tokenizer);
  TernBytes piece = bos >= 0 ? tern_tokenizer_piece (parts->tokenizer, bos, TRUE) : (TernBytes) { "", 0 };
  g_autofree char *bos_text = g_strndup (piece.data, piece.len);
  Place places[N_PLACES] = {
    [PLACE_VISUAL] = { whole_video ? tern_prompt_video_place (parts->family) : IMAGE_PLACE, whole_video ? 1 : n_images, 0 },
    [PLACE_TEXT] = { TEXT_PLACE, parts->text[0] != '\0', 0 },
    [PLACE_SYSTEM] = { SYSTEM_PLACE, parts->system != NULL, 0 },
  };
  g_autofree char *rendered = whole_video ? render_video_somehow (parts, error)
      : tern_chat_render_user (parts->chat, bos_text, parts->system ? SYSTEM_PLACE : NULL, n_images,
      parts->text[0] ? TEXT_PLACE : "", parts->think, error);
  TernPromptWriter writer;
  gboolean ok;

  if (!rendered) {
    tern_chat_name_file (parts->chat, error);
    return FALSE;
  }
  tern_prompt_writer_init (&writer, parts->tokenizer, ids);
  write_all (&writer, rendered, places, parts, visual);
  ok = check_places (places, error) && tern_prompt_writer_end (&writer, error);
  tern_prompt_writer_clear (&writer);
  return ok;
}

guint
tern_prompt_end_of_run (const GArray *ids, guint n)
{
  guint i = 0;

  while (i < ids->len && n > 0)
    n -= g_array_index (ids, gint32, i++) == TERN_PROMPT_RUN;
  return n == 0 ? i : 0;
}
