/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as a chat template, rendered for messages with tools and parts. It may refuse, never crash,
 * hang or take all memory:
 *   fuzz-chat -max_len=8000 -timeout=20 CORPUS_FOLDER SEED_FOLDER */
#include <stdlib.h>

#include "engine/chat/chat.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const char messages[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": [{\"type\": \"image\"}, "
    "{\"type\": \"text\", \"text\": \"a <think> b\"}]}, {\"role\": \"assistant\", \"content\": \"c</think>d\", "
    "\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"x\": 1.5, \"y\": null}}}]}, "
    "{\"role\": \"tool\", \"content\": \"\303\251\\n\"}], \"tools\": [{\"function\": {\"name\": \"f\"}}], "
    "\"bos_token\": \"<s>\", \"eos_token\": \"</s>\", \"add_generation_prompt\": true}";

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = tern_chat_new ((const char *) data, size, &error);
  g_autofree char *text = chat ? tern_chat_render_json (chat, messages, sizeof messages - 1, &error) : NULL;

  if (!text && (!error || !g_utf8_validate (error->message, -1, NULL)))
    abort ();
  return 0;
}
