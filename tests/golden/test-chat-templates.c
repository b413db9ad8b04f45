/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompts against what Jinja2 renders. TERN_GOLDEN names the folder with tokenizers/chat-templates.json and
 * chat-constructs.json (make-chat-vectors.py); templates that are files of their own are looked for in TERN_TEMPLATES, and their cases skipped without it. */
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
  gboolean some;

  g_test_init (&argc, &argv, NULL);
  some = add_cases (given, "chat-templates.json");
  some |= add_cases (made, "chat-constructs.json");
  if (!some) {
    g_print ("1..0 # SKIP neither chat-templates.json nor chat-constructs.json among the data\n");
    return 0;
  }
  return g_test_run ();
}
