/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vocabulary that encodes any text and has as many tokens as the model: the 256 bytes as byte-level BPE writes them,
 * random merges of them, and the special tokens with the family's own ids, so that prompts are made as for the real
 * model. */
#include <string.h>

#include "engine/base/random.h"
#include "tools/bench-shape-priv.h"

#define MOST_BYTES 12           /* of a merged token's text */
#define LFM2_SPECIAL 501
#define LFM2_IMAGE 396
#define LLAMA3_BASE 128000
#define QWEN3VL_BASE 151643
#define QWEN35_BASE 248044
#define SPECIAL_MAX 14          /* special tokens that have a name */
#define CONTROL 3               /* token types of GGUF */
#define NORMAL 1

static const char lfm2_template[] =
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
static const char bitnet_template[] =
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize + ': ' + message['content'] + "
    "'<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}";

/* Of both. */
static const char qwen_template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}{% elif part['type'] == 'video' %}"
    "{{ '<|vision_start|><|video_pad|><|vision_end|>' }}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

#define QWEN_SPECIAL \
  { "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", \
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>" }

/* Special tokens stand from @base on; where that is 0, in front of the others, see add_lfm2_special(). */
static const struct {
  const char *pre, *chat_template;
  guint base, bos, eos, pad;    /* the last three from the base */
  gboolean add_bos;
  const char *reserved, *special[SPECIAL_MAX];  /* by their place behind the base; reserved: what those without a name begin with */
} families[TERN_N_VOCABULARIES] = {
  [TERN_VOCABULARY_LFM2] = { "lfm2", lfm2_template, 0, 1, 7, 0, TRUE },
  [TERN_VOCABULARY_LLAMA3] = { "llama-bpe", bitnet_template, LLAMA3_BASE, 0, 9, 1, TRUE, "reserved_special_token",
    { [0] = "<|begin_of_text|>", [1] = "<|end_of_text|>", [9] = "<|eot_id|>" } },
  [TERN_VOCABULARY_QWEN3VL] = { "qwen2", qwen_template, QWEN3VL_BASE, 0, 2, 0, FALSE, "reserved", QWEN_SPECIAL },
  [TERN_VOCABULARY_QWEN35] = { "qwen35", qwen_template, QWEN35_BASE, 0, 2, 0, FALSE, "reserved", QWEN_SPECIAL },
};

typedef struct {
  GPtrArray *tokens;            /* owned strings, ended by NULL in the end */
  GArray *types;                /* gint32 */
  GPtrArray *merges;
  GHashTable *known;            /* tokens; borrowed */
  TernRandom random;
} Vocabulary;

/* Takes @text; FALSE when it is there already. */
static gboolean
add (Vocabulary *v, char *text, gint32 type)
{
  if (g_hash_table_contains (v->known, text)) {
    g_free (text);
    return FALSE;
  }
  g_hash_table_add (v->known, text);
  g_ptr_array_add (v->tokens, text);
  g_array_append_val (v->types, type);
  return TRUE;
}

/* The letter that byte-level BPE writes for @byte: itself where it is printable in Latin-1, else one beyond it. */
static char *
byte_letter (guint byte)
{
  static const guint plain[][2] = { { 33, 126 }, { 161, 172 }, { 174, 255 } };
  char text[8] = "";
  guint others = 256;

  for (guint b = 0; b <= byte; b++) {
    gboolean is_plain = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS (plain); i++)
      is_plain |= b >= plain[i][0] && b <= plain[i][1];
    if (b == byte) {
      g_unichar_to_utf8 (is_plain ? b : others, text);
      break;
    }
    others += !is_plain;
  }
  return g_strdup (text);
}

static void
add_lfm2_special (Vocabulary *v)
{
  static const struct {
    guint id;
    const char *text;
  } named[] = {
    { 0, "<|pad|>" }, { 1, "<|startoftext|>" }, { 2, "<|endoftext|>" }, { 3, "<|fim_pre|>" }, { 4, "<|fim_mid|>" },
    { 5, "<|fim_suf|>" }, { 6, "<|im_start|>" }, { 7, "<|im_end|>" }, { 8, "<|tool_list_start|>" },
    { 9, "<|tool_list_end|>" }, { 10, "<|tool_call_start|>" }, { 11, "<|tool_call_end|>" },
    { 12, "<|tool_response_start|>" }, { 13, "<|tool_response_end|>" }, { LFM2_IMAGE, "<image>" },
    { 497, "<|img_thumbnail|>" }, { 498, "<|image_start|>" }, { 499, "<|image_end|>" }, { 500, "<|image_split|>" },
  };
  guint next = 0;

  for (guint id = 0; id < LFM2_SPECIAL; id++)
    if (next < G_N_ELEMENTS (named) && named[next].id == id)
      add (v, g_strdup (named[next++].text), CONTROL);
    else if (id > LFM2_IMAGE)
      add (v, g_strdup_printf ("<|img_row_%u_col_%u|>", (id - LFM2_IMAGE - 1) / 10 + 1, (id - LFM2_IMAGE - 1) % 10 + 1),
          CONTROL);
    else
      add (v, g_strdup_printf ("<|reserved_%u|>", id), CONTROL);
}

/* The special tokens of a family that has them at the end, up to @n tokens. */
static void
add_special (Vocabulary *v, TernVocabulary family, guint n)
{
  for (guint i = 0; v->tokens->len < n; i++) {
    const char *named = i < SPECIAL_MAX ? families[family].special[i] : NULL;

    add (v, named ? g_strdup (named) : g_strdup_printf ("<|%s_%u|>", families[family].reserved, i), CONTROL);
  }
}

/* Bytes, then merges of what is there, mostly letters with a leading space as in texts, up to @n tokens. */
static void
add_merges (Vocabulary *v, guint n)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new ();     /* borrowed */

  for (guint b = 0; b < 256; b++)
    add (v, byte_letter (b), NORMAL);
  for (guint b = 0; b < 256; b++) {
    char *letter = v->tokens->pdata[v->tokens->len - 256 + b];

    for (guint times = b == ' ' || g_ascii_islower (b) ? 3 : 1; times > 0; times--)
      g_ptr_array_add (parts, letter);
  }
  while (v->tokens->len < n) {
    const char *left = parts->pdata[tern_random_below (&v->random, parts->len)];
    const char *right = parts->pdata[tern_random_below (&v->random, parts->len)];

    if (strlen (left) + strlen (right) > MOST_BYTES || !add (v, g_strconcat (left, right, NULL), NORMAL))
      continue;
    g_ptr_array_add (parts, v->tokens->pdata[v->tokens->len - 1]);
    g_ptr_array_add (v->merges, g_strdup_printf ("%s %s", left, right));
  }
}

static void
write_keys (const Vocabulary *v, TernGgufWriter *writer, TernVocabulary family)
{
  guint base = families[family].base;

  tern_gguf_writer_string (writer, "tokenizer.ggml.model", "gpt2");
  tern_gguf_writer_string (writer, "tokenizer.ggml.pre", families[family].pre);
  tern_gguf_writer_string_array (writer, "tokenizer.ggml.tokens", (const char *const *) v->tokens->pdata,
      v->tokens->len);
  tern_gguf_writer_i32_array (writer, "tokenizer.ggml.token_type", (const gint32 *) v->types->data, v->types->len);
  tern_gguf_writer_string_array (writer, "tokenizer.ggml.merges", (const char *const *) v->merges->pdata,
      v->merges->len);
  tern_gguf_writer_u32 (writer, "tokenizer.ggml.bos_token_id", base + families[family].bos);
  tern_gguf_writer_u32 (writer, "tokenizer.ggml.eos_token_id", base + families[family].eos);
  tern_gguf_writer_u32 (writer, "tokenizer.ggml.padding_token_id", base + families[family].pad);
  tern_gguf_writer_bool (writer, "tokenizer.ggml.add_bos_token", families[family].add_bos);
  tern_gguf_writer_bool (writer, "tokenizer.ggml.add_eos_token", FALSE);
  tern_gguf_writer_string (writer, "tokenizer.chat_template", families[family].chat_template);
}

void
tern_vocabulary_write (TernGgufWriter *writer, TernVocabulary family, guint n_tokens)
{
  Vocabulary v = { g_ptr_array_new_with_free_func (g_free), g_array_new (FALSE, FALSE, sizeof (gint32)),
    g_ptr_array_new_with_free_func (g_free), g_hash_table_new (g_str_hash, g_str_equal), { 0 } };

  if (family == TERN_VOCABULARY_LFM2)
    add_lfm2_special (&v);
  add_merges (&v, family == TERN_VOCABULARY_LFM2 ? n_tokens : families[family].base);
  add_special (&v, family, n_tokens);           /* none behind LFM2's, which has as many tokens by then */
  write_keys (&v, writer, family);
  g_hash_table_unref (v.known);
  g_ptr_array_unref (v.merges);
  g_array_unref (v.types);
  g_ptr_array_unref (v.tokens);
}
