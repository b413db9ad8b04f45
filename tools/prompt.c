/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern prompt: the text that a model's chat template makes of messages. */
#include <stdio.h>

#include "tern/error.h"
#include "engine/base/readfile.h"
#include "engine/chat/chat.h"
#include "tools/tool.h"

static TernChat *
open_template (const char *path, GError **error)
{
  g_autofree char *source = NULL;
  TernChat *chat;
  gsize len;

  if (!(source = tern_file_read (path, TERN_TOOL_MAX_TEXT, &len, error)))
    return NULL;
  chat = tern_chat_new (source, len, error);
  if (!chat)
    g_prefix_error (error, "%s: ", path);
  return chat;
}

int
tern_tool_prompt (int argc, char **argv)
{
  g_autofree char *model = NULL, *template = NULL, *messages = NULL, *json = NULL, *prompt = NULL;
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &model, "GGUF file whose template is used", "FILE" },
    { "template", 0, 0, G_OPTION_ARG_FILENAME, &template, "Jinja template to use instead", "FILE" },
    { "messages", 0, 0, G_OPTION_ARG_FILENAME, &messages,
        "JSON object with messages, add_generation_prompt, bos_token, tools, ... as the template sees them", "FILE" },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (TernChat) chat = NULL;
  gsize size;

  if (!tern_tool_options (argc, argv, NULL, 0, 0, "Prints the prompt that a chat template makes of messages.", entries,
          &rest))
    return TERN_TOOL_USAGE;
  if (!model == !template)
    return tern_tool_usage ("prompt: expected either --model FILE or --template FILE, found %s",
        model ? "both" : "none");
  if (!messages)
    return tern_tool_usage ("prompt: expected --messages FILE, found none");
  if (model) {
    file = tern_gguf_open (model, &error);
    chat = file ? tern_chat_new_from_gguf (file, &error) : NULL;
  } else {
    chat = open_template (template, &error);
  }
  if (!chat)
    return tern_tool_fail (&error);
  if (!(json = tern_file_read (messages, TERN_TOOL_MAX_TEXT, &size, &error)))
    return tern_tool_fail (&error);
  prompt = tern_chat_render_json (chat, json, size, &error);
  if (!prompt) {
    tern_chat_name_file (chat, &error);
    tern_tool_message ("%s: %s", messages, error->message);
    return TERN_TOOL_FAILED;
  }
  fputs (prompt, stdout);
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}
