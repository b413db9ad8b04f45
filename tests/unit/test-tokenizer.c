/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rules of the tokenizer on vocabularies written here, and files that must be refused. */
#include <glib/gstdio.h>
#include <string.h>

#include "tern/error.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer.h"

/* ---- A small writer of GGUF keys --------------------------------------------------------------------------------- */

typedef struct {
  GString *bytes;
  guint64 keys;
} Writer;

static void
put (Writer *w, const void *data, gsize len)
{
  g_string_append_len (w->bytes, data, len);
}

static void
put_u32 (Writer *w, guint32 value)
{
  value = GUINT32_TO_LE (value);
  put (w, &value, sizeof value);
}

static void
put_u64 (Writer *w, guint64 value)
{
  value = GUINT64_TO_LE (value);
  put (w, &value, sizeof value);
}

static void
put_text (Writer *w, const char *text)
{
  put_u64 (w, strlen (text));
  put (w, text, strlen (text));
}

static void
key (Writer *w, const char *name, TernGgufType type)
{
  put_text (w, name);
  put_u32 (w, type);
  w->keys++;
}

static void
key_text (Writer *w, const char *name, const char *value)
{
  key (w, name, TERN_GGUF_STRING);
  put_text (w, value);
}

static void
key_u32 (Writer *w, const char *name, guint32 value)
{
  key (w, name, TERN_GGUF_U32);
  put_u32 (w, value);
}

/* @texts: separated by '|'. */
static void
key_texts (Writer *w, const char *name, const char *texts)
{
  g_auto (GStrv) list = g_strsplit (texts, "|", -1);

  key (w, name, TERN_GGUF_ARRAY);
  put_u32 (w, TERN_GGUF_STRING);
  put_u64 (w, g_strv_length (list));
  for (guint i = 0; list[i]; i++)
    put_text (w, list[i]);
}

/* @digits: one type a character. */
static void
key_types (Writer *w, const char *digits)
{
  key (w, "tokenizer.ggml.token_type", TERN_GGUF_ARRAY);
  put_u32 (w, TERN_GGUF_I32);
  put_u64 (w, strlen (digits));
  for (; *digits; digits++)
    put_u32 (w, *digits - '0');
}

static TernTokenizer *
finish (Writer *w, GError **error)
{
  g_autofree char *path = NULL;
  g_autoptr (GString) file = g_string_new ("GGUF");
  Writer head = { file, 0 };
  g_autoptr (TernGguf) gguf = NULL;
  TernTokenizer *tokenizer;
  int fd = g_file_open_tmp ("tern-XXXXXX.gguf", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  put_u32 (&head, 3);
  put_u64 (&head, 0);
  put_u64 (&head, w->keys);
  put (&head, w->bytes->str, w->bytes->len);
  while (file->len % 32)
    g_string_append_c (file, 0);
  g_assert_true (g_file_set_contents (path, file->str, file->len, NULL));
  gguf = tern_gguf_open (path, error);
  g_assert_nonnull (gguf);
  tokenizer = tern_tokenizer_new (gguf, error);
  g_unlink (path);
  g_string_free (w->bytes, TRUE);
  return tokenizer;
}

static Writer
begin (const char *model, const char *pre)
{
  Writer w = { g_string_new (NULL), 0 };

  if (model)
    key_text (&w, "tokenizer.ggml.model", model);
  if (pre)
    key_text (&w, "tokenizer.ggml.pre", pre);
  return w;
}

static char *
ids_of (const TernTokenizer *t, const char *text, gboolean special)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  GString *out = g_string_new (NULL);

  tern_tokenizer_encode (t, text, strlen (text), special, ids);
  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (out, "%s%d", i ? " " : "", g_array_index (ids, gint32, i));
  return g_string_free (out, FALSE);
}

#define assert_ids(t, text, special, expected) \
  G_STMT_START { \
    g_autofree char *got = ids_of (t, text, special); \
    g_assert_cmpstr (got, ==, expected); \
  } G_STMT_END

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static char *
pieces_of (const char *pre, const char *text)
{
  const TernPretokenizer *rules = tern_pretokenizer_find (pre, strlen (pre));
  TernPieces pieces = { .text = (const guint8 *) text, .len = strlen (text) };
  GString *out = g_string_new (NULL);
  gsize start, len;

  g_assert_nonnull (rules);
  while (tern_pieces_next (&pieces, rules, &start, &len)) {
    if (out->len)
      g_string_append_c (out, '|');
    g_string_append_len (out, text + start, len);
  }
  return g_string_free (out, FALSE);
}

static void
test_pieces (void)
{
  static const struct {
    const char *pre, *text, *pieces;
  } cases[] = {
    { "lfm2", "Hello  world", "Hello| | world" },
    { "lfm2", "it's IT'S we'll 'tis", "it|'s| IT|'S| we|'ll| '|tis" },
    { "lfm2", "12345 678", "123|45| |678" },
    { "lfm2", "a\n\n  b", "a|\n\n| | b" },
    { "lfm2", "x  \n y", "x|  \n| y" },
    { "lfm2", "?!\n\nz", "?!\n\n|z" },
    { "lfm2", "tail   ", "tail|   " },
    { "lfm2", "\tx\302\240y", "\tx|\302\240y" },
    { "qwen2", "a12 3", "a|1|2| |3" },
    { "gpt-2", "it's 123  4", "it|'s| 123| | 4" },
    { "gpt-2", "IT'S\n\na", "IT|'|S|\n|\n|a" },
    { "smollm", "a 12b  3", "a| |1|2|b|  |3" },
    { "smollm", "\331\243x", "\331\243|x" },
    { "lfm2", "\377\376a\303", "\377\376|a|\303" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *got = pieces_of (cases[i].pre, cases[i].text);

    g_assert_cmpstr (got, ==, cases[i].pieces);
  }
}

static TernTokenizer *
small_bpe (const char *pre)
{
  Writer w = begin ("gpt2", pre);
  g_autoptr (GError) error = NULL;
  TernTokenizer *t;

  key_texts (&w, "tokenizer.ggml.tokens", "a|b|c|d|ab|abc|cd|</s>|<unk>|<sp>|<spec>|abab|dog|\304\240");
  key_types (&w, "11111111233411");
  key_texts (&w, "tokenizer.ggml.merges", "a b|c d|ab c|\304\240 a");
  key_u32 (&w, "tokenizer.ggml.bos_token_id", 9);
  t = finish (&w, &error);
  g_assert_no_error (error);
  return t;
}

static void
test_merges (void)
{
  g_autoptr (TernTokenizer) t = small_bpe ("gpt-2");

  assert_ids (t, "abc", FALSE, "5");
  assert_ids (t, "abcd", FALSE, "4 6");         /* c d ranks before ab c */
  assert_ids (t, "abcab", FALSE, "5 4");
  assert_ids (t, " a", FALSE, "13 0");          /* the merge's result is no token: back to bytes */
  assert_ids (t, "aZb", FALSE, "0 1");          /* Z is in nobody's alphabet: dropped */
}

static void
test_ignore_merges (void)
{
  g_autoptr (TernTokenizer) gpt2 = small_bpe ("gpt-2"), lfm2 = small_bpe ("lfm2");

  g_assert_false (tern_tokenizer_add_bos (gpt2));
  g_assert_true (tern_tokenizer_add_bos (lfm2));
  assert_ids (gpt2, "dog", FALSE, "3");
  assert_ids (lfm2, "dog", FALSE, "12");
}

/* Without tokenizer.ggml.pre: two families have one pre-tokenizer, the others get what llama.cpp gives them. */
static void
test_missing_rules (void)
{
  static const struct {
    const char *architecture, *ids;
  } cases[] = { { "lfm2moe", "2" }, { "bitnet-b1.58", "2" }, { "llama", "0 1" } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernTokenizer) t = NULL;
    Writer w = begin ("gpt2", NULL);

    key_text (&w, "general.architecture", cases[i].architecture);
    key_texts (&w, "tokenizer.ggml.tokens", "+|a|+a");
    key_texts (&w, "tokenizer.ggml.merges", "+ a");
    t = finish (&w, &error);
    g_assert_no_error (error);
    assert_ids (t, "+a", FALSE, cases[i].ids);
  }
}

static void
test_special (void)
{
  g_autoptr (TernTokenizer) t = small_bpe ("gpt-2");

  g_assert_true (tern_tokenizer_is_eog (t, 7));
  g_assert_true (tern_tokenizer_is_control (t, 7));
  assert_ids (t, "a</s>b", TRUE, "0 7 1");
  assert_ids (t, "a</s>b", FALSE, "0 1");       /* its bytes are no tokens here */
  assert_ids (t, "a<unk>", TRUE, "0 8");
  assert_ids (t, "c<sp>d<spec>", TRUE, "2 9 3 10");
  assert_ids (t, "ababab", TRUE, "11 4");       /* user-defined, before any merge */
  assert_ids (t, "ababab", FALSE, "11 4");
  assert_ids (t, "", TRUE, "");
  g_assert_cmpint (tern_tokenizer_find (t, "<sp>"), ==, 9);
  g_assert_cmpint (tern_tokenizer_find (t, "nothing"), ==, -1);
  g_assert_cmpint (tern_tokenizer_find (t, "\304\240a"), ==, -1);       /* named by a merge only */
  g_assert_cmpuint (tern_tokenizer_piece (t, 9, FALSE).len, ==, 0);
  g_assert_cmpuint (tern_tokenizer_piece (t, 9, TRUE).len, ==, 4);
  g_assert_cmpuint (tern_tokenizer_piece (t, 99, TRUE).len, ==, 0);
  g_assert_cmpmem (tern_tokenizer_piece (t, 13, FALSE).data, 1, " ", 1);
}

/* A line without a break is one piece; in quadratic time, joining it would take longer than a test may. */
static void
test_long_piece (void)
{
  g_autoptr (TernTokenizer) t = small_bpe ("gpt-2");
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  const gsize n = 1 << 20;
  g_autofree char *text = g_malloc (n);

  for (gsize i = 0; i < n; i++)
    text[i] = "abcd"[i % 4];
  tern_tokenizer_encode (t, text, n, TRUE, ids);
  g_assert_cmpuint (ids->len, ==, n / 2);
}

/* 256 byte tokens: their pieces are the bytes, and a stream shows whole characters only. */
static void
test_stream (void)
{
  static const struct {
    const char *bytes, *shown, *ended;
  } cases[] = {
    { "caf\303\251", "caf\303\251", "" },
    { "\360\237\220\225!", "\360\237\220\225!", "" },
    { "a\360\237\220", "a", "\357\277\275" },
    { "\360\237x", "\357\277\275\357\277\275x", "" },
    { "\377\303", "\357\277\275", "\357\277\275" },
    { "\355\240\200", "\357\277\275\357\277\275\357\277\275", "" },     /* a surrogate */
    { "\300\257", "\357\277\275\357\277\275", "" },                     /* overlong */
  };
  g_autoptr (GString) texts = g_string_new (NULL), types = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (TernTokenizer) t = NULL;
  Writer w = begin ("llama", NULL);

  for (guint i = 0; i < 256; i++) {
    g_string_append_printf (texts, "%s<0x%02X>", i ? "|" : "", i);
    g_string_append_c (types, '6');
  }
  key_texts (&w, "tokenizer.ggml.tokens", texts->str);
  key_types (&w, types->str);
  key (&w, "tokenizer.ggml.scores", TERN_GGUF_ARRAY);
  put_u32 (&w, TERN_GGUF_F32);
  put_u64 (&w, 256);
  for (guint i = 0; i < 256; i++)
    put_u32 (&w, 0);
  t = finish (&w, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    TernTextStream stream = { 0 };
    g_autoptr (GString) out = g_string_new (NULL);

    for (const char *p = cases[i].bytes; *p; p++) {
      tern_text_stream_push (&stream, t, (guint8) *p, out);
      g_assert_true (g_utf8_validate (out->str, out->len, NULL));
    }
    g_assert_cmpstr (out->str, ==, cases[i].shown);
    g_string_truncate (out, 0);
    tern_text_stream_end (&stream, out);
    g_assert_cmpstr (out->str, ==, cases[i].ended);
  }
}

static void
refused (Writer *w, int code, const char *what)
{
  g_autoptr (GError) error = NULL;
  TernTokenizer *t = finish (w, &error);

  g_assert_null (t);
  g_assert_error (error, TERN_ERROR, code);
  if (!strstr (error->message, what))
    g_error ("\"%s\" does not name %s", error->message, what);
}

static void
test_refused (void)
{
  Writer w = begin (NULL, NULL);

  refused (&w, TERN_ERROR_FORMAT, "tokenizer.ggml.model");
  w = begin ("bert", NULL);
  refused (&w, TERN_ERROR_UNSUPPORTED, "bert");
  w = begin ("gpt2", "lfm2");
  refused (&w, TERN_ERROR_FORMAT, "tokenizer.ggml.tokens");
  w = begin ("gpt2", "warp");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  refused (&w, TERN_ERROR_UNSUPPORTED, "warp");
  w = begin ("gpt2", "gpt-2");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  refused (&w, TERN_ERROR_FORMAT, "tokenizer.ggml.merges");
  w = begin ("gpt2", "gpt-2");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  key_texts (&w, "tokenizer.ggml.merges", "ab");
  refused (&w, TERN_ERROR_FORMAT, "merges[0]");
  w = begin ("gpt2", "gpt-2");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  key_texts (&w, "tokenizer.ggml.merges", "a b|ab ");
  refused (&w, TERN_ERROR_FORMAT, "merges[1]");
  w = begin ("gpt2", "gpt-2");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  key_types (&w, "1");
  key_texts (&w, "tokenizer.ggml.merges", "a b");
  refused (&w, TERN_ERROR_FORMAT, "token_type");
  w = begin ("gpt2", "gpt-2");
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  key_texts (&w, "tokenizer.ggml.merges", "a b");
  key_u32 (&w, "tokenizer.ggml.bos_token_id", 2);
  refused (&w, TERN_ERROR_FORMAT, "bos_token_id");
  w = begin ("llama", NULL);
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  refused (&w, TERN_ERROR_FORMAT, "scores");
  w = begin ("llama", NULL);
  key_texts (&w, "tokenizer.ggml.tokens", "a|b");
  key (&w, "tokenizer.ggml.scores", TERN_GGUF_ARRAY);
  put_u32 (&w, TERN_GGUF_F32);
  put_u64 (&w, 2);
  put_u32 (&w, 0);
  put_u32 (&w, 0x7fc00000);     /* NaN */
  refused (&w, TERN_ERROR_FORMAT, "scores[1]");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tokenizer/pieces", test_pieces);
  g_test_add_func ("/tokenizer/merges", test_merges);
  g_test_add_func ("/tokenizer/ignore-merges", test_ignore_merges);
  g_test_add_func ("/tokenizer/missing-rules", test_missing_rules);
  g_test_add_func ("/tokenizer/special", test_special);
  g_test_add_func ("/tokenizer/long-piece", test_long_piece);
  g_test_add_func ("/tokenizer/stream", test_stream);
  g_test_add_func ("/tokenizer/refused", test_refused);
  return g_test_run ();
}
