/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LFM2-VL, as Lfm2VlProcessor (Hugging Face transformers) writes it: a picture between two markers, the tiles of one with
 * a tag each. The family knows no videos: frames are pictures. */
#include "tern/prompt-family.h"

static void
still (TernPromptWriter *writer, const TernPromptVisual *visual)
{
  tern_prompt_write (writer, "<|image_start|>");
  for (guint i = 0; i < visual->n; i++) {
    const TernPromptRun *run = &visual->runs[i];
    g_autofree char *tag = g_strdup_printf ("<|img_row_%u_col_%u|>", run->row, run->column);

    if (run->thumbnail)
      tern_prompt_write_token (writer, "<|img_thumbnail|>");
    else if (run->row)
      tern_prompt_write_token (writer, tag);
    tern_prompt_write_run (writer);
  }
  tern_prompt_write (writer, "<|image_end|>");
}

static void
frame (TernPromptWriter *writer, const TernPromptRun *run)
{
  still (writer, &(TernPromptVisual) { .runs = run, .n = 1 });
}

static const char *const tokens[] = { "<|image_start|>", "<|image_end|>", NULL };

const TernPromptFamily tern_prompt_family_lfm2 = {
  .projector = "lfm2",
  .tokens = tokens,
  .still = still,
  .frame = frame,
};
