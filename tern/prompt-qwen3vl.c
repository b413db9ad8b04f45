/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Qwen3-VL and Qwen3.5, as Qwen3VLProcessor (Hugging Face transformers 5) writes it: a picture between two markers. A video
 * stands where the template has its place, which it puts between the same markers: for each picture of it the time in
 * seconds, to one decimal as printf rounds it, and the picture between two markers of its own. */
#include "tern/prompt-family.h"

#define START "<|vision_start|>"
#define END "<|vision_end|>"

static void
picture (TernPromptWriter *writer)
{
  tern_prompt_write (writer, START);
  tern_prompt_write_run (writer);
  tern_prompt_write (writer, END);
}

static void
still (TernPromptWriter *writer, const TernPromptVisual *visual)
{
  for (guint i = 0; i < visual->n; i++)
    picture (writer);
}

static void
video (TernPromptWriter *writer, const TernPromptVisual *visual)
{
  for (guint i = 0; i < visual->n; i++) {
    char seconds[32];

    g_ascii_formatd (seconds, sizeof seconds, "%.1f", (double) visual->runs[i].time / 1e9);
    tern_prompt_writef (writer, "<%s seconds>", seconds);
    picture (writer);
  }
}

static const char *const tokens[] = { START, END, "<|video_pad|>", NULL };

const TernPromptFamily tern_prompt_family_qwen3vl = {
  .projector = "qwen3vl_merger",
  .tokens = tokens,
  .timed = TRUE,
  .still = still,
  .video = video,
  .video_place = "<|video_pad|>",
  .video_text = START "<|video_pad|>" END,
  /* A template without videos: ChatML, as the family's own writes it without thinking. */
  .video_template = "{%- for message in messages -%}"
      "{{- '<|im_start|>' ~ message.role ~ '\n' -}}"
      "{%- for part in message.content -%}"
      "{{- part.text if part.type == 'text' else '" START "<|video_pad|>" END "' -}}"
      "{%- endfor -%}"
      "{{- '<|im_end|>\n' -}}"
      "{%- endfor -%}"
      "{{- '<|im_start|>assistant\n' if add_generation_prompt -}}",
};
