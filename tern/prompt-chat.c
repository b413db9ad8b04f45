/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prompt of a conversation: messages become what the template reads, what is said in them is kept from becoming
 * control tokens, and pictures take their places in what is rendered. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "engine/base/json.h"
#include "tern/error.h"
#include "tern/prompt-family.h"

typedef struct {
  const TernPromptChat *chat;
  GPtrArray *kept;              /* of char *: tern_plain_protect() */
  gboolean lists;               /* the template reads lists of parts; else one text */
  gboolean words_as_text;       /* ... but one text where a turn has words alone */
  gboolean frames;              /* the family shows a clip as pictures */
  guint n;                      /* pictures and clips so far */
  guint images, videos;         /* places that there must be */
} Telling;

static gboolean
refuse (GError **error, const char *where, guint i, const char *expected, const char *found)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "messages[%u]%s: expected %s, found %s", i, where, expected, found);
  return FALSE;
}

static const char *
text_member (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
      ? json_node_get_string (node) : NULL;
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static JsonNode *protect (Telling *telling, JsonNode *node);

static JsonNode *
protect_object (Telling *telling, JsonObject *object)
{
  JsonObject *out = json_object_new ();
  JsonNode *node = json_node_alloc ();
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &name, &member)) {
    g_autofree char *safe = tern_plain_protect (telling->chat->plain, name, telling->kept);

    json_object_set_member (out, safe, protect (telling, member));
  }
  json_node_take_object (json_node_init (node, JSON_NODE_OBJECT), out);
  return node;
}

static JsonNode *
protect_array (Telling *telling, JsonArray *array)
{
  JsonArray *out = json_array_new ();
  JsonNode *node = json_node_alloc ();

  for (guint i = 0; i < json_array_get_length (array); i++)
    json_array_add_element (out, protect (telling, json_array_get_element (array, i)));
  json_node_take_array (json_node_init (node, JSON_NODE_ARRAY), out);
  return node;
}

static JsonNode *
text_node (const char *text)
{
  return json_node_init_string (json_node_alloc (), text);
}

/* A copy with every text in it protected. */
static JsonNode *
protect (Telling *telling, JsonNode *node)
{
  g_autofree char *safe = NULL;

  if (JSON_NODE_HOLDS_OBJECT (node))
    return protect_object (telling, json_node_get_object (node));
  if (JSON_NODE_HOLDS_ARRAY (node))
    return protect_array (telling, json_node_get_array (node));
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return json_node_copy (node);
  safe = tern_plain_protect (telling->chat->plain, json_node_get_string (node), telling->kept);
  return text_node (safe);
}

/* ---- Parts ------------------------------------------------------------------------------------------------------- */

/* One part after the other, as a list or as one text. */
typedef struct {
  JsonArray *list;              /* NULL: */
  GString *text;
} Content;

static void
add_typed (Content *content, const char *type, const char *text)
{
  JsonObject *part;

  if (!content->list) {
    g_string_append (content->text, text);
    return;
  }
  part = json_object_new ();
  json_object_set_string_member (part, "type", type);
  if (g_str_equal (type, "text"))
    json_object_set_string_member (part, "text", text);
  json_array_add_object_element (content->list, part);
}

static void
add_words (Telling *telling, Content *content, const char *words)
{
  g_autofree char *safe = tern_plain_protect (telling->chat->plain, words, telling->kept);

  add_typed (content, "text", safe);
}

/* The next picture or clip. */
static void
add_visual (Telling *telling, Content *content)
{
  const TernPromptVisual *visual = &telling->chat->visuals[telling->n++];
  guint pictures = !visual->video ? 1 : telling->frames ? visual->n : 0;

  for (guint i = 0; i < pictures; i++)
    add_typed (content, "image", TERN_PROMPT_IMAGE);
  telling->images += pictures;
  if (pictures == 0 && visual->video && !telling->frames) {
    add_typed (content, "video", telling->chat->family && telling->chat->family->video_text ? telling->chat->family->video_text
        : TERN_PROMPT_VIDEO);
    telling->videos++;
  }
}

static gboolean
add_part (Telling *telling, Content *content, guint i, JsonNode *part, GError **error)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (part) ? json_node_get_object (part) : NULL;
  const char *type = object ? text_member (object, "type") : NULL, *text = object ? text_member (object, "text") : NULL;

  if (!type)
    return refuse (error, ".content", i, "parts with a `type`", object ? "none" : json_node_type_name (part));
  if (g_str_equal (type, "text")) {
    if (!text)
      return refuse (error, ".content", i, "a part with the text `text`", "none");
    add_words (telling, content, text);
    return TRUE;
  }
  if (!g_str_equal (type, "image") && !g_str_equal (type, "video"))
    return refuse (error, ".content", i, "parts of type text, image or video", type);
  if (telling->n >= telling->chat->n)
    return refuse (error, ".content", i, "as many pictures as there are views", "more");
  if (g_str_equal (type, "video") != telling->chat->visuals[telling->n].video)
    return refuse (error, ".content", i, "an image for a still and a video for a clip", type);
  add_visual (telling, content);
  return TRUE;
}

/* Nothing to see is in it. */
static gboolean
is_words (JsonNode *content)
{
  JsonArray *parts = content && JSON_NODE_HOLDS_ARRAY (content) ? json_node_get_array (content) : NULL;

  for (guint p = 0; parts && p < json_array_get_length (parts); p++) {
    JsonNode *part = json_array_get_element (parts, p);
    const char *type = JSON_NODE_HOLDS_OBJECT (part) ? text_member (json_node_get_object (part), "type") : NULL;

    if (g_strcmp0 (type, "text") != 0)
      return FALSE;
  }
  return TRUE;
}

static JsonNode *
make_content (Telling *telling, guint i, JsonNode *content, GError **error)
{
  Content out = { 0 };
  JsonNode *node;
  gboolean ok = TRUE, list = content && JSON_NODE_HOLDS_ARRAY (content);

  if (!list && content && !JSON_NODE_HOLDS_NULL (content)
      && !(JSON_NODE_HOLDS_VALUE (content) && json_node_get_value_type (content) == G_TYPE_STRING)) {
    refuse (error, ".content", i, "a text or a list of parts", json_node_type_name (content));
    return NULL;
  }
  if (telling->lists && !(telling->words_as_text && is_words (content)))
    out.list = json_array_new ();
  else
    out.text = g_string_new (NULL);
  if (list)
    for (guint p = 0; ok && p < json_array_get_length (json_node_get_array (content)); p++)
      ok = add_part (telling, &out, i, json_array_get_element (json_node_get_array (content), p), error);
  else
    add_words (telling, &out, content && !JSON_NODE_HOLDS_NULL (content) ? json_node_get_string (content) : "");
  node = json_node_alloc ();
  if (out.list)
    json_node_take_array (json_node_init (node, JSON_NODE_ARRAY), out.list);
  else
    json_node_init_string (node, out.text->str);
  if (out.text)
    g_string_free (out.text, TRUE);
  if (!ok)
    g_clear_pointer (&node, json_node_unref);
  return node;
}

static JsonNode *
make_message (Telling *telling, guint i, JsonNode *message, GError **error)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (message) ? json_node_get_object (message) : NULL;
  JsonNode *content, *out;

  if (!object || !text_member (object, "role")) {
    refuse (error, "", i, "an object with `role`", object ? "none" : json_node_type_name (message));
    return NULL;
  }
  content = make_content (telling, i, json_object_get_member (object, "content"), error);
  if (!content)
    return NULL;
  out = protect (telling, message);
  json_object_set_member (json_node_get_object (out), "content", content);
  return out;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

static JsonArray *
make_messages (Telling *telling, JsonArray *asked, GError **error)
{
  g_autoptr (JsonArray) messages = json_array_new ();

  for (guint i = 0; i < json_array_get_length (asked); i++) {
    JsonNode *message = make_message (telling, i, json_array_get_element (asked, i), error);

    if (!message)
      return NULL;
    json_array_add_element (messages, message);
  }
  return g_steal_pointer (&messages);
}

/* What the template reads. */
static JsonNode *
make_values (Telling *telling, JsonObject *asked, GError **error)
{
  JsonNode *listed = json_object_get_member (asked, "messages"), *all;
  JsonObject *values;
  JsonArray *messages;
  JsonObjectIter iter;
  const char *name;
  JsonNode *member;

  if (!listed || !JSON_NODE_HOLDS_ARRAY (listed)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "messages: expected an array, found %s", listed
        ? json_node_type_name (listed) : "none");
    return NULL;
  }
  if (!(messages = make_messages (telling, json_node_get_array (listed), error)))
    return NULL;
  values = json_object_new ();
  json_object_iter_init_ordered (&iter, asked);
  while (json_object_iter_next_ordered (&iter, &name, &member))
    if (!g_str_equal (name, "messages"))
      json_object_set_member (values, name, protect (telling, member));
  json_object_set_array_member (values, "messages", messages);
  if (!json_object_has_member (values, "add_generation_prompt"))
    json_object_set_boolean_member (values, "add_generation_prompt", TRUE);
  all = json_node_alloc ();
  json_node_take_object (json_node_init (all, JSON_NODE_OBJECT), values);
  return all;
}

static char *
render (Telling *telling, const TernChat *template, JsonObject *asked, GError **error)
{
  g_autoptr (JsonNode) values = NULL;
  g_autofree char *json = NULL;

  telling->n = telling->images = telling->videos = 0;
  g_ptr_array_set_size (telling->kept, 0);
  if (!(values = make_values (telling, asked, error)))
    return NULL;
  if (telling->n < telling->chat->n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "views: expected as many as there are pictures in the messages, "
        "%u, found %u", telling->n, telling->chat->n);
    return NULL;
  }
  json = json_to_string (values, FALSE);
  return tern_chat_render_json (template, json, -1, error);
}

static gboolean
shows_all (const Telling *telling, const char *rendered)
{
  return tern_prompt_count (rendered, TERN_PROMPT_IMAGE) == telling->images
      && tern_prompt_count (rendered, tern_prompt_video_place (telling->chat->family)) == telling->videos;
}

/* Templates differ in whether texts may be lists; those of a family without a place for clips have another one. */
static char *
render_somehow (Telling *telling, JsonObject *asked, GError **error)
{
  const TernPromptFamily *family = telling->chat->family;
  const char *source = family ? family->video_template : NULL;
  g_autoptr (GError) failure = NULL;
  char *rendered;

  telling->lists = tern_chat_takes_parts (telling->chat->chat);
  rendered = render (telling, telling->chat->chat, asked, &failure);
  /* Some read the user's turn as a list and put the system's into their text as it is. */
  if (!rendered && telling->lists && telling->chat->n > 0) {
    telling->words_as_text = TRUE;
    rendered = render (telling, telling->chat->chat, asked, NULL);
  }
  if (!rendered && telling->lists && telling->chat->n == 0) {
    telling->lists = FALSE;
    rendered = render (telling, telling->chat->chat, asked, NULL);
  }
  if (telling->videos > 0 && source && !(rendered && shows_all (telling, rendered))) {
    g_autoptr (TernChat) own = tern_chat_new (source, strlen (source), error);

    g_free (rendered);
    return own ? render (telling, own, asked, error) : NULL;
  }
  if (!rendered)
    g_propagate_error (error, g_steal_pointer (&failure));
  return rendered;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* Which picture comes next: of a clip that is shown as pictures, which frame of it. */
typedef struct {
  guint visual, frame;
} Next;

static void
write_visual (TernPromptWriter *writer, const Telling *telling, Next *next, gboolean video)
{
  const TernPromptFamily *family = telling->chat->family;
  const TernPromptVisual *visual;

  /* Clips of which no frame is left have no place. */
  while (telling->chat->visuals[next->visual].video && telling->frames && telling->chat->visuals[next->visual].n == 0)
    next->visual++;
  visual = &telling->chat->visuals[next->visual];
  if (!visual->video) {
    family->still (writer, visual);
  } else if (!telling->frames) {
    family->video (writer, visual);
  } else {
    family->frame (writer, &visual->runs[next->frame++]);
    if (next->frame < visual->n)
      return;
  }
  next->visual++;
  next->frame = 0;
}

/* The template's own text up to @end, pictures in their places. */
static void
write_scaffold (TernPromptWriter *writer, const Telling *telling, const char *text, const char *end, Next *next)
{
  const char *place = tern_prompt_video_place (telling->chat->family);

  while (text < end) {
    const char *image = g_strstr_len (text, end - text, TERN_PROMPT_IMAGE);
    const char *video = g_strstr_len (text, end - text, place);
    const char *first = image && (!video || image < video) ? image : video;
    g_autofree char *before = g_strndup (text, (gsize) ((first ? first : end) - text));

    tern_prompt_write (writer, before);
    if (!first)
      return;
    write_visual (writer, telling, next, first == video);
    text = first + strlen (first == video ? place : TERN_PROMPT_IMAGE);
  }
}

static void
write_all (TernPromptWriter *writer, const Telling *telling, const char *rendered)
{
  const char *begin, *end;
  Next next = { 0, 0 };
  guint number;

  while (tern_plain_find (rendered, telling->kept, &number, &begin, &end)) {
    write_scaffold (writer, telling, rendered, begin, &next);
    tern_prompt_write_words (writer, telling->kept->pdata[number]);
    rendered = end;
  }
  write_scaffold (writer, telling, rendered, rendered + strlen (rendered), &next);
}

static gboolean
check_shown (const Telling *telling, const char *rendered, GError **error)
{
  if (shows_all (telling, rendered))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "chat template: expected to find %u pictures and %u clips in what"
      " it renders, found %u and %u", telling->images, telling->videos, tern_prompt_count (rendered, TERN_PROMPT_IMAGE),
      tern_prompt_count (rendered, tern_prompt_video_place (telling->chat->family)));
  return FALSE;
}

static JsonNode *
parse (const char *json, GError **error)
{
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (GError) broken = NULL;
  g_autofree char *mended = NULL;

  if (!tern_json_check (json, strlen (json), "chat", error))
    return NULL;
  mended = tern_json_mend_numbers (json, -1, NULL);
  root = json_from_string (mended, &broken);
  if (root && JSON_NODE_HOLDS_OBJECT (root))
    return g_steal_pointer (&root);
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "chat: expected a JSON object, found %s", broken ? broken->message
      : root ? json_node_type_name (root) : "nothing");
  return NULL;
}

gboolean
tern_prompt_compile_chat (GArray *ids, const TernPromptChat *chat, GError **error)
{
  g_autoptr (JsonNode) root = parse (chat->json, error);
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_free);
  Telling telling = { .chat = chat, .kept = kept, .frames = chat->family && chat->family->frame };
  g_autofree char *rendered = root ? render_somehow (&telling, json_node_get_object (root), error) : NULL;
  TernPromptWriter writer;
  gboolean ok;

  if (!rendered || !check_shown (&telling, rendered, error))
    return FALSE;
  tern_prompt_writer_init (&writer, chat->tokenizer, ids);
  write_all (&writer, &telling, rendered);
  ok = tern_prompt_writer_end (&writer, error);
  tern_prompt_writer_clear (&writer);
  return ok;
}

gboolean
tern_prompt_compile_text (GArray *ids, const TernTokenizer *tokenizer, const char *text, GError **error)
{
  TernPromptWriter writer;
  gboolean ok;

  tern_prompt_writer_init (&writer, tokenizer, ids);
  tern_prompt_write_words (&writer, text);
  ok = tern_prompt_writer_end (&writer, error);
  tern_prompt_writer_clear (&writer);
  return ok;
}
