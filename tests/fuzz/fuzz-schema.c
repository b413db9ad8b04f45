/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer target: any bytes as a JSON Schema. It may be refused, in words, or become a grammar; never crash, hang or take
 * all memory:
 *   fuzz-schema -max_len=6000 -timeout=20 CORPUS_FOLDER SEED_FOLDER */
#include <stdlib.h>

#include "engine/grammar/grammar.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = tern_grammar_from_json_schema (text, &error);

  if (!grammar && (!error || !g_utf8_validate (error->message, -1, NULL)))
    abort ();
  if (grammar && error)
    abort ();
  return 0;
}
