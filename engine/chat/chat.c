/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/chat/chat.h"

#include <json-glib/json-glib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/chat/template.h"

#define SOURCE_MAX (1u << 20)
#define IMAGE "<image>"
#define PROBE "tern-probe"

/* What LFM2, SmolLM2 and many others were trained on. */
static const char chatml[] =
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{{- '" IMAGE "' if part.type == 'image' else part.text -}}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";

/* For a vocabulary without ChatML's tokens: the texts and nothing else. */
static const char bare[] =
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{{- '" IMAGE "' if part.type == 'image' else part.text -}}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endfor -%}";

/* What BitNet b1.58 2B-4T was trained on. Microsoft's converter to GGUF writes a stopgap instead, told by BITNET_STOPGAP,
 * under which the model talks on without an end. */
#define BITNET_STOPGAP "BITNETAssistant"
#define BITNET_END "<|eot_id|>"
static const char bitnet[] =
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- message.role | capitalize + ': ' -}}"
    "{%- if message.content is string -%}{{- message.content | trim -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{{- '" IMAGE "' if part.type == 'image' else part.text | trim -}}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '" BITNET_END "' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant: ' -}}{%- endif -%}";

struct _TernChat {
  TernTplArena arena;
  TernTplNode *root;
  gboolean takes_parts;         /* content may be a list of parts, images among them */
  char *bos, *eos;              /* texts of the file's tokens, for messages that leave them out; NULL: unknown */
  char *path;                   /* of the file; NULL: it is of none */
  char *source;
};

static TernVal
text (const char *string)
{
  return tern_val_str (string, strlen (string));
}

static char *
render (const TernChat *chat, TernTplRun *run, const TernValDict *values, GError **error)
{
  TernTplScope globals = { NULL, *values }, top = { &globals };
  char *out = NULL;

  run->scope = &top;
  run->out = g_string_new (NULL);
  tern_tpl_exec (run, chat->root);
  out = g_string_free (run->out, run->error != NULL);
  if (run->error)
    g_propagate_error (error, run->error);
  tern_tpl_arena_clear (&run->arena);
  return out;
}

static void
set (TernTplRun *run, TernVal dict, const char *key, TernVal value)
{
  tern_val_dict_set (&run->arena, dict.dict, text (key), value);
}

static TernVal
message (TernTplRun *run, const char *role, TernVal content)
{
  TernVal out = tern_val_dict (&run->arena);

  set (run, out, "role", text (role));
  set (run, out, "content", content);
  return out;
}

/* One turn's content: a list of parts, or one string for templates that know nothing else. */
static TernVal
content (TernTplRun *run, gboolean parts, guint n_images, const char *words)
{
  TernVal list, part;
  GString *joined;

  if (!parts) {
    joined = g_string_new (NULL);
    for (guint i = 0; i < n_images && tern_tpl_put (run, joined, IMAGE, strlen (IMAGE)); i++)
      ;
    tern_tpl_put (run, joined, words, strlen (words));
    return tern_tpl_take (run, joined);
  }
  list = tern_val_list (&run->arena, n_images + 1);
  for (guint i = 0; i < n_images; i++) {
    part = tern_val_dict (&run->arena);
    set (run, part, "type", text ("image"));
    tern_val_list_add (&run->arena, list, part);
  }
  if (*words || n_images == 0) {
    part = tern_val_dict (&run->arena);
    set (run, part, "type", text ("text"));
    set (run, part, "text", text (words));
    tern_val_list_add (&run->arena, list, part);
  }
  return list;
}

static char *
render_turn (const TernChat *chat, gboolean parts, const char *bos, const char *system, guint n_images,
    const char *words, gboolean think, GError **error)
{
  TernTplRun run = { 0 };
  TernVal values = tern_val_dict (&run.arena), messages = tern_val_list (&run.arena, 2);

  if (system)
    tern_val_list_add (&run.arena, messages, message (&run, "system", content (&run, parts, 0, system)));
  tern_val_list_add (&run.arena, messages, message (&run, "user", content (&run, parts, n_images, words)));
  set (&run, values, "messages", messages);
  set (&run, values, "add_generation_prompt", tern_val_bool (TRUE));
  set (&run, values, "enable_thinking", tern_val_bool (think));
  set (&run, values, "bos_token", text (bos));
  set (&run, values, "eos_token", text (chat->eos ? chat->eos : ""));
  return render (chat, &run, values.dict, error);
}

/* Some templates print a list as JSON, or lose it: what one image and a word become tells. */
static gboolean
takes_parts (const TernChat *chat)
{
  g_autofree char *shown = render_turn (chat, TRUE, chat->bos ? chat->bos : "", NULL, 1, PROBE, FALSE, NULL);
  const char *image = shown ? strstr (shown, IMAGE) : NULL;

  return image && strstr (image, PROBE) && !strstr (shown, "'type'") && !strstr (shown, "\"type\"");
}

/* The tokens come first: templates are asked with them what they read. Takes @bos and @eos, which may be NULL. */
static TernChat *
chat_new (const char *source, gsize len, char *bos, char *eos, GError **error)
{
  g_autoptr (TernChat) chat = g_new0 (TernChat, 1);

  chat->bos = bos;
  chat->eos = eos;
  if (len > SOURCE_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "chat template: expected at most %u bytes, found %"
        G_GSIZE_FORMAT, SOURCE_MAX, len);
    return NULL;
  }
  chat->root = tern_tpl_parse (&chat->arena, source, len, error);
  if (!chat->root)
    return NULL;
  chat->takes_parts = takes_parts (chat);
  chat->source = g_utf8_make_valid (source, (gssize) len);
  return g_steal_pointer (&chat);
}

TernChat *
tern_chat_new (const char *source, gsize len, GError **error)
{
  return source ? chat_new (source, len, NULL, NULL, error) : chat_new (chatml, strlen (chatml), NULL, NULL, error);
}

/* ---- Of a file --------------------------------------------------------------------------------------------------- */

/* Of the vocabulary: whether ChatML can be said in it, and BitNet's end of a turn, and the texts of BOS and EOS. */
typedef struct {
  gboolean chatml, bitnet_end;
  char *bos, *eos;
} Tokens;

static gboolean
bytes_are (TernBytes bytes, const char *string)
{
  return bytes.data && bytes.len == strlen (string) && memcmp (bytes.data, string, bytes.len) == 0;
}

static gboolean
scan_tokens (const TernGguf *file, Tokens *found, GError **error)
{
  TernGgufArray tokens;
  const guint8 *cursor;
  guint32 bos_id, eos_id;
  TernBytes kind;
  gboolean spm;

  *found = (Tokens) { 0 };
  if (!tern_gguf_string_or (file, "tokenizer.ggml.model", &kind, error))
    return FALSE;
  spm = bytes_are (kind, "llama");      /* such files may leave out the two that SentencePiece has at these places */
  if (!tern_gguf_array (file, "tokenizer.ggml.tokens", TERN_GGUF_STRING, FALSE, &tokens, error)
      || !tern_gguf_u32_or (file, "tokenizer.ggml.bos_token_id", 0, G_MAXUINT32, spm ? 1 : G_MAXUINT32, &bos_id, error)
      || !tern_gguf_u32_or (file, "tokenizer.ggml.eos_token_id", 0, G_MAXUINT32, spm ? 2 : G_MAXUINT32, &eos_id, error))
    return FALSE;
  cursor = tokens.data;
  for (guint64 i = 0; i < tokens.count; i++) {
    TernBytes token = tern_gguf_next_string (&cursor);

    found->chatml |= bytes_are (token, "<|im_start|>");
    found->bitnet_end |= bytes_are (token, BITNET_END);
    if (i == bos_id)
      found->bos = g_strndup (token.data, token.len);
    if (i == eos_id)
      found->eos = g_strndup (token.data, token.len);
  }
  return TRUE;
}

/* What the file's own template is replaced by, as a warning says; NULL: nothing. */
static const char *
other_template (const TernGguf *file, TernBytes source, const Tokens *tokens)
{
  TernBytes architecture;

  if (!source.data) {
    tern_log (TERN_LOG_WARNING, "%s: tokenizer.chat_template: found none; %s", tern_gguf_path (file), tokens->chatml
        ? "prompts are written in ChatML, whose tokens the vocabulary has"
        : "prompts go to the model as they are, to be continued, not answered");
    return tokens->chatml ? chatml : bare;
  }
  if (tokens->bitnet_end && g_strstr_len (source.data, (gssize) source.len, BITNET_STOPGAP)
      && tern_gguf_string_or (file, "general.architecture", &architecture, NULL) && architecture.len >= strlen ("bitnet")
      && memcmp (architecture.data, "bitnet", strlen ("bitnet")) == 0) {
    tern_log (TERN_LOG_WARNING, "%s: tokenizer.chat_template: expected what BitNet was trained on, found its converter's stopgap (`"
        BITNET_STOPGAP "`); prompts are written as `User: ..." BITNET_END "Assistant: `", tern_gguf_path (file));
    return bitnet;
  }
  return NULL;
}

TernChat *
tern_chat_new_from_gguf (const TernGguf *file, GError **error)
{
  const char *other;
  Tokens tokens;
  TernBytes source;
  TernChat *chat;

  if (!tern_gguf_string_or (file, "tokenizer.chat_template", &source, error) || !scan_tokens (file, &tokens, error))
    return NULL;
  if ((other = other_template (file, source, &tokens)))
    source = (TernBytes) { other, strlen (other) };
  chat = chat_new (source.data, source.len, tokens.bos, tokens.eos, error);
  if (!chat) {
    g_prefix_error (error, "%s: ", tern_gguf_path (file));
    return NULL;
  }
  chat->path = g_strdup (tern_gguf_path (file));
  return chat;
}

void
tern_chat_free (TernChat *chat)
{
  if (!chat)
    return;
  tern_tpl_arena_clear (&chat->arena);
  g_free (chat->bos);
  g_free (chat->eos);
  g_free (chat->path);
  g_free (chat->source);
  g_free (chat);
}

const char *
tern_chat_source (const TernChat *chat)
{
  return chat->source;
}

void
tern_chat_name_file (const TernChat *chat, GError **error)
{
  if (error && g_error_matches (*error, TERN_ERROR, TERN_ERROR_INVALID))
    (*error)->code = TERN_ERROR_UNSUPPORTED;
  if (chat->path)
    g_prefix_error (error, "%s: ", chat->path);
}

gboolean
tern_chat_takes_parts (const TernChat *chat)
{
  return chat->takes_parts;
}

char *
tern_chat_render_user (const TernChat *chat, const char *bos, const char *system, guint n_images, const char *words,
    gboolean think, GError **error)
{
  return render_turn (chat, chat->takes_parts, bos ? bos : "", system, n_images, words ? words : "", think, error);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static gboolean
refuse (GError **error, const char *expected, const char *found)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "messages: expected %s, found %s", expected, found);
  return FALSE;
}

static TernVal
from_json (TernTplArena *arena, JsonNode *node)
{
  TernVal out;

  switch (json_node_get_node_type (node)) {
    case JSON_NODE_OBJECT: {
      JsonObjectIter iter;
      const char *name;
      JsonNode *member;

      out = tern_val_dict (arena);
      json_object_iter_init_ordered (&iter, json_node_get_object (node));
      while (json_object_iter_next_ordered (&iter, &name, &member))
        tern_val_dict_add (arena, out.dict, text (name), from_json (arena, member));
      return out;
    }
    case JSON_NODE_ARRAY: {
      JsonArray *array = json_node_get_array (node);

      out = tern_val_list (arena, json_array_get_length (array));
      for (guint i = 0; i < json_array_get_length (array); i++)
        tern_val_list_add (arena, out, from_json (arena, json_array_get_element (array, i)));
      return out;
    }
    case JSON_NODE_VALUE:
      switch (json_node_get_value_type (node)) {
        case G_TYPE_STRING:
          return text (json_node_get_string (node));
        case G_TYPE_BOOLEAN:
          return tern_val_bool (json_node_get_boolean (node));
        case G_TYPE_DOUBLE:
          return tern_val_float (json_node_get_double (node));
        default:
          return tern_val_int (json_node_get_int (node));
      }
    default:
      return (TernVal) { .type = TERN_VAL_NONE };
  }
}

char *
tern_chat_render_json (const TernChat *chat, const char *json, gssize len, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) broken = NULL;
  g_autofree char *mended = NULL;
  TernTplRun run = { 0 };
  JsonNode *root;
  TernVal values;
  const TernVal *messages;

  if (len < 0)
    len = strlen (json);
  if (!tern_json_check (json, len, "messages", error))
    return NULL;
  mended = tern_json_mend_numbers (json, len, NULL);
  if (!json_parser_load_from_data (parser, mended, -1, &broken)) {
    refuse (error, "JSON", broken->message);
    return NULL;
  }
  root = json_parser_get_root (parser);
  if (!root || !JSON_NODE_HOLDS_OBJECT (root)) {
    refuse (error, "a JSON object with the array `messages`", root ? json_node_type_name (root) : "nothing");
    return NULL;
  }
  values = from_json (&run.arena, root);
  messages = tern_val_dict_find (values.dict, "messages", strlen ("messages"));
  if (!messages || messages->type != TERN_VAL_LIST) {
    refuse (error, "the array `messages`", messages ? tern_val_type_name (*messages) : "none");
    tern_tpl_arena_clear (&run.arena);
    return NULL;
  }
  if (chat->bos && !tern_val_dict_find (values.dict, "bos_token", strlen ("bos_token")))
    set (&run, values, "bos_token", text (chat->bos));
  if (chat->eos && !tern_val_dict_find (values.dict, "eos_token", strlen ("eos_token")))
    set (&run, values, "eos_token", text (chat->eos));
  return render (chat, &run, values.dict, error);
}
