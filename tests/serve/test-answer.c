/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which texts of a model are calls of functions, and where thoughts stand in what clients read. */
#include <string.h>

#include "tools/serve/answer.h"

static void
test_calls (void)
{
  static const struct { const char *text, *arguments; } cases[] = {
    { "{\"name\": \"zoom\", \"arguments\": {\"factor\": 2}}", "{\"factor\":2}" },
    { " <tool_call>\n{\"name\": \"zoom\", \"arguments\": {}}\n</tool_call> and more", "{}" },
    { "{\"name\": \"zoom\", \"parameters\": {\"a\": [18446744073709551615, 0.1, 1e3, -0, 1.50]}}",
      "{\"a\":[18446744073709551615,0.1,1e3,-0,1.50]}" },
    { "They want it {near}.\n</think>\n\n{\"name\": \"zoom\", \"arguments\": {\"factor\": 0.7}}", "{\"factor\":0.7}" },
    { "<think>so</think><tool_call>{\"name\": \"zoom\", \"arguments\": {}}</tool_call>", "{}" },
    { "I might <tool_call>.\n</think>\n{\"name\": \"zoom\", \"arguments\": {}}", "{}" },
    { "{\"name\": \"zoom\", \"arguments\": {\"text\": \"</think>\"}}", "{\"text\":\"</think>\"}" },
    { "{\"name\": \"lamp\", \"arguments\": {}}", NULL },
    { "{\"name\": \"zoom\", \"arguments\": \"{}\"}", NULL },
    { "I call {\"name\": \"zoom\", \"arguments\": {}}", NULL },
    { "</think>", NULL },
    { "", NULL },
  };
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  g_ptr_array_add (names, (gpointer) "zoom");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    TernCall call = { NULL, NULL };
    gboolean found = tern_call_find (&call, cases[i].text, names);

    g_test_message ("%s", cases[i].text);
    g_assert_cmpint (found, ==, cases[i].arguments != NULL);
    g_assert_cmpstr (call.arguments, ==, cases[i].arguments);
    g_assert_cmpstr (call.name, ==, found ? "zoom" : NULL);
    tern_call_clear (&call);
  }
}

static void
check_has (char *owned, const char *part, gboolean has)
{
  g_autofree char *text = owned;

  g_test_message ("%s", text);
  g_assert_cmpint (strstr (text, part) != NULL, ==, has);
}

static void
test_thoughts (void)
{
  static const char reasoning[] = "\"reasoning_content\":\"hm\"", thinking[] = "\"thinking\":\"hm\"";
  const TernAnswerEnd end = { .reason = "stop" };
  TernCall call = { (char *) "zoom", (char *) "{}" };
  TernAnswerHead head = { .door = TERN_DOOR_CHAT, .id = "chatcmpl-1", .model = "m" };

  check_has (tern_answer_whole (&head, "hm", "yes", NULL, NULL, &end), reasoning, TRUE);
  check_has (tern_answer_whole (&head, "hm", "", NULL, &call, &end), reasoning, TRUE);
  check_has (tern_answer_whole (&head, "", "yes", NULL, NULL, &end), "reasoning_content", FALSE);
  check_has (tern_answer_piece (&head, "hm", "", NULL), reasoning, TRUE);
  check_has (tern_answer_piece (&head, "hm", "", NULL), "\"content\"", FALSE);
  check_has (tern_answer_piece (&head, "", "yes", NULL), "reasoning_content", FALSE);
  head.door = TERN_DOOR_OLLAMA_CHAT;
  check_has (tern_answer_whole (&head, "hm", "yes", NULL, NULL, &end), thinking, TRUE);
  check_has (tern_answer_piece (&head, "hm", "", NULL), thinking, TRUE);
  check_has (tern_answer_piece (&head, "", "yes", NULL), "thinking", FALSE);
  head.door = TERN_DOOR_OLLAMA_GENERATE;
  check_has (tern_answer_whole (&head, "hm", "yes", NULL, NULL, &end), thinking, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/serve/calls", test_calls);
  g_test_add_func ("/serve/thoughts", test_thoughts);
  return g_test_run ();
}
