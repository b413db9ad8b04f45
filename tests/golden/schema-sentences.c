/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints random sentences of a JSON Schema, one a line; every other one in as few tokens as are promised to suffice, and a
 * few more.
 *
 * usage: schema-sentences COUNT SEED TOKENS FILE */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/sentences.h"

int
main (int argc, char **argv)
{
  g_autofree char *schema = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = NULL;
  g_autoptr (TernConstraint) constraint = NULL;
  Speaker speaker;
  TernRandom random;
  guint count, most, shortest;

  if (argc != 5) {
    fprintf (stderr, "usage: %s COUNT SEED TOKENS FILE\n", argv[0]);
    return 2;
  }
  count = atoi (argv[1]);
  random.state = atoi (argv[2]);
  most = atoi (argv[3]);
  if (!g_file_get_contents (argv[4], &schema, NULL, &error) || !(grammar = tern_grammar_from_json_schema (schema, &error))) {
    fprintf (stderr, "%s: %s\n", argv[4], error->message);
    return 1;
  }
  speaker_init (&speaker);
  constraint = tern_constraint_new (grammar, speaker.trie, &error);
  if (!constraint) {
    fprintf (stderr, "%s: %s\n", argv[4], error->message);
    return 1;
  }
  shortest = tern_constraint_shortest (constraint);
  for (guint i = 0; i < count; i++) {
    guint left = i % 2 ? shortest + tern_random_below (&random, 8) : shortest + most;
    g_autofree char *said = speaker_say (&speaker, constraint, left, &random);

    if (!said) {
      fprintf (stderr, "%s: sentence %u could not be ended within %u tokens\n", argv[4], i, left);
      return 1;
    }
    puts (said);
  }
  speaker_clear (&speaker);
  return 0;
}
