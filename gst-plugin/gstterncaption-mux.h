/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text on its way to a muxer of the MP4 family. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* Watches the text that leaves through @pad on its way to @out. A muxer of the MP4
 * family (qtmux, mp4mux, ...) keeps a cue until the next one is there, and takes no
 * video meanwhile, whatever gaps say: before a window is over it would stop the
 * video that the window is made of. It gets its cues at the end; their times are
 * right wherever they lie in the file. Others get them at once. */
void gst_tern_caption_watch_text (GstPad * pad, GstPad * out);

G_END_DECLS
