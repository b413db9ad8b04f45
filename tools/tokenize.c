/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tern tokenize: standard input, byte for byte, to token ids on one line. */
#include <stdio.h>
#include <unistd.h>

#include "engine/base/readfile.h"
#include "engine/text/tokenizer.h"
#include "tools/text-model.h"
#include "tools/tool.h"

int
tern_tool_tokenize (int argc, char **argv)
{
  g_autofree char *model = NULL;
  gboolean special = FALSE, no_bos = FALSE;
  const GOptionEntry entries[] = {
    { "model", 0, 0, G_OPTION_ARG_FILENAME, &model, "GGUF file with the vocabulary", "FILE" },
    { "special", 0, 0, G_OPTION_ARG_NONE, &special, "Control tokens in the text are recognised", NULL },
    { "no-bos", 0, 0, G_OPTION_ARG_NONE, &no_bos, "Leave out the first and last tokens that the file asks for", NULL },
    { NULL }
  };
  g_auto (GStrv) rest = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGguf) file = NULL;
  g_autoptr (TernTokenizer) tokenizer = NULL;
  g_autofree char *text = NULL;
  int status;
  gsize size;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  if (!tern_tool_options (argc, argv, NULL, 0, 0, "Prints the token ids of standard input.", entries, &rest))
    return TERN_TOOL_USAGE;
  if ((status = tern_text_find_model (&model, "tokenize")) != TERN_TOOL_DONE)
    return status;
  file = tern_gguf_open (model, &error);
  tokenizer = file ? tern_tokenizer_new (file, &error) : NULL;
  if (!tokenizer)
    return tern_tool_fail (&error);
  if (!(text = tern_file_read_stream (STDIN_FILENO, "standard input", TERN_TOOL_MAX_TEXT, &size, &error)))
    return tern_tool_fail (&error);
  if (tern_tokenizer_add_bos (tokenizer) && !no_bos) {
    gint32 bos = tern_tokenizer_bos (tokenizer);

    g_array_append_val (ids, bos);
  }
  tern_tokenizer_encode (tokenizer, text, size, special, ids);
  if (tern_tokenizer_add_eos (tokenizer) && !no_bos) {
    gint32 eos = tern_tokenizer_eos (tokenizer);

    g_array_append_val (ids, eos);
  }
  for (guint i = 0; i < ids->len; i++)
    printf ("%s%d", i ? " " : "", g_array_index (ids, gint32, i));
  putchar ('\n');
  return tern_tool_flush () ? TERN_TOOL_DONE : TERN_TOOL_FAILED;
}
