/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chat prompts from the file's own template. */
#pragma once

#include <glib.h>
#include "engine/weights/gguf.h"

G_BEGIN_DECLS

typedef struct _TernChat TernChat;

/* @source: the Jinja text (tokenizer.chat_template) or NULL = ChatML. UNSUPPORTED names what it cannot render. */
TernChat *tern_chat_new (const char *source, gsize len, GError **error);
/* A file without a template is warned of: ChatML where the vocabulary has its tokens, else the bare texts; and so is BitNet's
 * with the one that its converter puts there: what the model was trained on. */
TernChat *tern_chat_new_from_gguf (const TernGguf *file, GError **error);
void tern_chat_free (TernChat *chat);
/* The Jinja text that it renders: the file's, or what stands in its place. UTF-8. */
const char *tern_chat_source (const TernChat *chat);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernChat, tern_chat_free)

/* Renders @json: an object with `messages` (role, content = string or parts {type: text|image, text}),
 * `add_generation_prompt`, `bos_token`, `eos_token`, `tools`, ... as the template sees them. Where it leaves out the
 * two tokens, those of the file that the chat was made from are taken. */
char *tern_chat_render_json (const TernChat *chat, const char *json, gssize len, GError **error);

/* Puts the file that the template is of before the message of @error, which rendering set: that leaves it out, since a
 * server's clients see such messages too. What a template cannot make of messages is then its own doing, UNSUPPORTED, and no
 * wrong parameter. */
void tern_chat_name_file (const TernChat *chat, GError **error);

/* Whether the content of a message may be a list of parts, images among them; otherwise it is one text. */
gboolean tern_chat_takes_parts (const TernChat *chat);

/* The common case: an optional system message, one user turn of @n_images images followed by @text, and the generation
 * prompt. Every image stands in the result as the text "<image>". @bos is the text of the bos token or "",
 * the eos token is the file's. @think: what the template sees as `enable_thinking`; those without it take no notice. */
char *tern_chat_render_user (const TernChat *chat, const char *bos, const char *system, guint n_images,
    const char *text, gboolean think, GError **error);

G_END_DECLS
