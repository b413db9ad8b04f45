/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SmolVLM and SmolVLM2, as SmolVLMProcessor (Hugging Face transformers) writes it. A picture in one piece: marker, tag of
 * the whole, tokens, marker. Tiles: rows of marker, tag and tokens, a line each, then an empty line and the whole. A
 * video: how many frames of how long a video, then each frame after its time. */
#include "tern/prompt-family.h"

#define MARKER "<fake_token_around_image>"
#define WHOLE "<global-img>"

#define DAY 86400u

static void
whole (TernPromptWriter *writer)
{
  tern_prompt_write (writer, MARKER WHOLE);
  tern_prompt_write_run (writer);
  tern_prompt_write (writer, MARKER);
}

static void
still (TernPromptWriter *writer, const TernPromptVisual *visual)
{
  for (guint i = 0; i < visual->n; i++) {
    const TernPromptRun *run = &visual->runs[i];
    g_autofree char *tag = g_strdup_printf ("<row_%u_col_%u>", run->row, run->column);

    if (run->row) {
      tern_prompt_write (writer, MARKER);
      tern_prompt_write_token (writer, tag);
      tern_prompt_write_run (writer);
      if (i + 1 < visual->n && visual->runs[i + 1].row != run->row)
        tern_prompt_write (writer, "\n");
    } else {
      tern_prompt_write (writer, run->thumbnail ? "\n" : "");
      whole (writer);
    }
  }
}

/* @n < 1000 */
static void
append_hundreds (GString *words, guint n)
{
  static const char *const small[] = { "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
  static const char *const tens[] = { "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty",
    "ninety" };
  guint rest = n % 100;

  if (n >= 100)
    g_string_append_printf (words, "%s hundred%s", small[n / 100], rest ? " and " : "");
  if (rest >= 20)
    g_string_append_printf (words, "%s%s%s", tens[rest / 10], rest % 10 ? "-" : "", rest % 10 ? small[rest % 10] : "");
  else if (rest > 0 || n == 0)
    g_string_append (words, small[rest]);
}

/* English, as num2words spells it. A session's windows have fewer than a million frames. */
static char *
number_words (guint n)
{
  GString *words = g_string_new (NULL);
  guint rest = n % 1000;

  n = MIN (n, 999999);
  if (n >= 1000) {
    append_hundreds (words, n / 1000);
    g_string_append (words, " thousand");
    if (rest > 0)
      g_string_append (words, rest < 100 ? " and " : ", ");
  }
  if (rest > 0 || n < 1000)
    append_hundreds (words, rest);
  return g_string_free (words, FALSE);
}

/* H:MM:SS, days before it, as Python prints a timedelta. */
static char *
duration_text (guint64 ns)
{
  guint64 seconds = ns / G_GUINT64_CONSTANT (1000000000), days = seconds / DAY;
  guint rest = (guint) (seconds % DAY);
  g_autofree char *head = days == 0 ? g_strdup ("") : g_strdup_printf ("%" G_GUINT64_FORMAT " day%s, ", days,
      days == 1 ? "" : "s");

  return g_strdup_printf ("%s%u:%02u:%02u", head, rest / 3600, rest / 60 % 60, rest % 60);
}

static void
video (TernPromptWriter *writer, const TernPromptVisual *visual)
{
  g_autofree char *count = number_words (visual->n), *duration = duration_text (visual->duration);

  tern_prompt_writef (writer, "You are provided the following series of %s frames from a %s [H:MM:SS] video.\n", count,
      duration);
  for (guint i = 0; i < visual->n; i++) {
    guint64 seconds = visual->runs[i].time / G_GUINT64_CONSTANT (1000000000);

    tern_prompt_writef (writer, "\nFrame from %02" G_GINT64_MODIFIER "u:%02u:", seconds / 60, (guint) (seconds % 60));
    whole (writer);
  }
  tern_prompt_write (writer, "\n\n");
}

static const char *const tokens[] = { MARKER, WHOLE, NULL };

const TernPromptFamily tern_prompt_family_idefics3 = {
  .projector = "idefics3",
  .tokens = tokens,
  .timed = TRUE,
  .still = still,
  .video = video,
  /* Templates older than the family's videos have parts for text and images alone. */
  .video_template = "{{- '<|im_start|>' -}}"
      "{%- for message in messages -%}"
      "{{- message.role | capitalize ~ (':' if message.content[0].type == 'image' else ': ') -}}"
      "{%- for part in message.content -%}"
      "{{- part.text if part.type == 'text' else '<video>' -}}"
      "{%- endfor -%}"
      "{{- '<end_of_utterance>\n' -}}"
      "{%- endfor -%}"
      "{{- 'Assistant:' if add_generation_prompt -}}",
};
