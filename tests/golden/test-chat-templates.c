/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts against what Jinja2 renders. TERN_GOLDEN names the folder with tokenizers/chat-templates.json and
 * chat-constructs.json (make-chat-vectors.py), and qwen35/chat-templates.json, whose template is in vocab-qwen35.gguf;
 * templates that are files of their own are looked for in TERN_TEMPLATES, and their cases skipped without it. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "engine/chat/chat.h"

typedef struct {
  JsonObject *one, *templates;
} Case;

/* The template's text, or NULL when it is not here. */
static char *
template_of (const Case *c)
{
  const char *name = json_object_get_string_member (c->one, "template");
  const char *folder = g_getenv ("TERN_TEMPLATES");
  g_autofree char *path = g_build_filename (folder ? folder : ".", name, NULL);
  char *source = NULL;

  if (json_object_has_member (c->templates, name))
    return g_strdup (json_object_get_string_member (c->templates, name));
  g_file_get_contents (path, &source, NULL, NULL);
  return source;
}

static void
test_case (const void *data)
{
  const Case *c = data;
  g_autofree char *source = template_of (c), *json = NULL, *prompt = NULL;
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = NULL;

  if (!source) {
    g_test_skip ("the template is not here; TERN_TEMPLATES may name its folder");
    return;
  }
  json_node_set_object (node, c->one);
  json = json_to_string (node, FALSE);
  chat = tern_chat_new (source, strlen (source), &error);
  g_assert_no_error (error);
  prompt = tern_chat_render_json (chat, json, -1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (prompt, ==, json_object_get_string_member (c->one, "prompt"));
}

/* ---- Qwen3.5 ----------------------------------------------------------------------------------------------------- */

/* The template and bos of the vocabulary's file. NULL: it is not there. */
static TernChat *
qwen_chat (void)
{
  const char *golden = g_getenv ("TERN_GOLDEN");
  g_autofree char *path = g_build_filename (golden ? golden : ".", "qwen35", "vocab-qwen35.gguf", NULL);
  g_autoptr (TernGguf) file = g_file_test (path, G_FILE_TEST_EXISTS) ? tern_gguf_open (path, NULL) : NULL;
  g_autoptr (GError) error = NULL;
  TernChat *chat = file ? tern_chat_new_from_gguf (file, &error) : NULL;

  g_assert_no_error (error);
  return chat;
}

/* With "expect", the template refuses the messages, in the words of "message". */
static void
test_qwen (const void *data)
{
  const Case *c = data;
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autofree char *json = NULL, *prompt = NULL;
  g_autoptr (TernChat) chat = qwen_chat ();
  g_autoptr (GError) error = NULL;

  if (!chat) {
    g_test_skip ("the vocabulary is not among the data");
    return;
  }
  json_node_set_object (node, c->one);
  json = json_to_string (node, FALSE);
  prompt = tern_chat_render_json (chat, json, -1, &error);
  if (json_object_has_member (c->one, "expect")) {
    g_assert_nonnull (error);
    g_assert_nonnull (strstr (error->message, json_object_get_string_member (c->one, "message")));
    return;
  }
  g_assert_no_error (error);
  g_assert_cmpstr (prompt, ==, json_object_get_string_member (c->one, "prompt"));
}

static gboolean
add_qwen (JsonParser *parser)
{
  static const char *const members[] = { "cases", "raises" };
  const char *golden = g_getenv ("TERN_GOLDEN");
  g_autofree char *path = g_build_filename (golden ? golden : ".", "qwen35", "chat-templates.json", NULL);

  if (!json_parser_load_from_file (parser, path, NULL))
    return FALSE;
  for (guint m = 0; m < G_N_ELEMENTS (members); m++) {
    JsonArray *cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), members[m]);

    for (guint i = 0; i < json_array_get_length (cases); i++) {
      Case c = { .one = json_array_get_object_element (cases, i) };
      g_autofree char *name = g_strconcat ("/chat-templates/qwen35/", json_object_get_string_member (c.one, "name"), NULL);

      g_test_add_data_func_full (name, g_memdup2 (&c, sizeof c), test_qwen, g_free);
    }
  }
  return TRUE;
}

/* FALSE: the file is not there. */
static gboolean
add_cases (JsonParser *parser, const char *file)
{
  const char *golden = g_getenv ("TERN_GOLDEN");
  g_autofree char *path = g_build_filename (golden ? golden : ".", "tokenizers", file, NULL);
  JsonObject *root;
  JsonArray *cases;

  if (!json_parser_load_from_file (parser, path, NULL))
    return FALSE;
  root = json_node_get_object (json_parser_get_root (parser));
  cases = json_object_get_array_member (root, "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++) {
    Case c = { json_array_get_object_element (cases, i), json_object_get_object_member (root, "own_templates") };
    g_autofree char *name = g_strconcat ("/chat-templates/", json_object_get_string_member (c.one, "name"), NULL);

    g_test_add_data_func_full (name, g_memdup2 (&c, sizeof c), test_case, g_free);
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (JsonParser) given = json_parser_new (), made = json_parser_new ();         /* the tests borrow from them */
  g_autoptr (JsonParser) qwen = json_parser_new ();
  gboolean some;

  g_test_init (&argc, &argv, NULL);
  some = add_cases (given, "chat-templates.json");
  some |= add_cases (made, "chat-constructs.json");
  some |= add_qwen (qwen);
  if (!some) {
    g_print ("1..0 # SKIP neither chat-templates.json nor chat-constructs.json among the data\n");
    return 0;
  }
  return g_test_run ();
}
