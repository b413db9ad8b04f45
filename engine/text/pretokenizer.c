/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/text/pretokenizer.h"

#include <string.h>

#include "engine/base/unicode.h"

/* \p{L} or \p{N} or neither, as most expressions divide what is not white space */
#define LETTER TERN_CHAR_LETTER
#define NUMBER TERN_CHAR_NUMBER
#define BLANK TERN_CHAR_BLANK
#define REST (TERN_CHAR_ANY & ~(LETTER | NUMBER | BLANK))

/* ---- Parts of expressions ---------------------------------------------------------------------------------------- */

/* The end of the run of @kinds that starts at @pos, @most code points at most. */
static gsize
run_of (const guint8 *text, gsize pos, gsize end, guint kinds, gsize most)
{
  gsize next;

  for (; most > 0 && tern_char_kind (text, pos, end, &next) & kinds; most--)
    pos = next;
  return pos;
}

/* 's 't 'm 'd 're 've 'll at @pos; their end, or @pos when there is none. */
static gsize
contraction (const guint8 *text, gsize pos, gsize end, gboolean any_case)
{
  static const char suffixes[][3] = { "s", "t", "m", "d", "re", "ve", "ll" };

  if (pos >= end || text[pos] != '\'')
    return pos;
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    const char *found = (const char *) text + pos + 1;
    gsize n = strlen (suffixes[i]);

    if (end - pos - 1 < n)
      continue;
    if (any_case ? g_ascii_strncasecmp (found, suffixes[i], n) == 0 : memcmp (found, suffixes[i], n) == 0)
      return pos + 1 + n;
  }
  return pos;
}

/* \s*[\r\n]+ (when @newlines), \s+(?!\S), \s+ in this order: a run of white space ends after its last newline; without
 * one, its last code point is left to what follows. */
static gsize
spaces (const guint8 *text, gsize pos, gsize end, gboolean newlines)
{
  gsize last = pos, line = pos, at = pos, next;
  TernCharKind kind;

  while ((kind = tern_char_kind (text, at, end, &next)) & BLANK) {
    last = at;
    at = next;
    if (kind == TERN_CHAR_NEWLINE)
      line = at;
  }
  if (newlines && line > pos)
    return line;
  return kind == TERN_CHAR_END || last == pos ? at : last;
}

/* ---- Matchers ---------------------------------------------------------------------------------------------------- */

/* [kinds]{1,most} */
static gsize
match_run (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  return run_of (text, pos, end, stage->kinds, stage->most ? stage->most : G_MAXSIZE);
}

/* [0-9][0-9][0-9] */
static gsize
match_three_digits (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  return end - pos >= 3 && g_ascii_isdigit (text[pos]) && g_ascii_isdigit (text[pos + 1])
      && g_ascii_isdigit (text[pos + 2]) ? pos + 3 : pos;
}

/* [\p{P}$+<=>^~|]+ , with a backquote too when the flag says so */
enum { BACKQUOTE = 1 };

static gsize
match_punctuation (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  const char *more = stage->flags & BACKQUOTE ? "$+<=>^~|`" : "$+<=>^~|";
  gsize next;

  while (tern_char_kind (text, pos, end, &next) == TERN_CHAR_PUNCTUATION
      || (pos < end && text[pos] && strchr (more, text[pos])))
    pos = next;
  return pos;
}

/* \s?[kinds]+ */
static gsize
match_after_space (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  gsize next, after, stop;

  tern_char_kind (text, pos, end, &next);
  if (tern_char_kind (text, pos, end, &after) & BLANK) {
    stop = run_of (text, next, end, stage->kinds, G_MAXSIZE);
    return stop > next ? stop : pos;
  }
  return run_of (text, pos, end, stage->kinds, G_MAXSIZE);
}

/* Runs of code points in ranges: the East Asian letters that DeepSeek's lists take out */
enum { CJK_CODER, CJK_V3 };

static gsize
match_cjk (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  static const gunichar ranges[2][3][2] = {
    [CJK_CODER] = { { 0x4e00, 0x9fa5 }, { 0x0800, 0x4e00 }, { 0xac00, 0xd7ff } },
    [CJK_V3] = { { 0x4e00, 0x9fa5 }, { 0x3040, 0x309f }, { 0x30a0, 0x30ff } },
  };

  while (pos < end) {
    gsize n = text[pos] < 0x80 ? 0 : tern_utf8_length (text + pos, end - pos);
    gunichar c = n ? g_utf8_get_char ((const char *) text + pos) : 0;
    gboolean in = FALSE;

    for (guint i = 0; i < 3; i++)
      in |= c >= ranges[stage->flags][i][0] && c <= ranges[stage->flags][i][1];
    if (!in)
      break;
    pos += n;
  }
  return pos;
}

/* [^\n]+|\n+ */
static gsize
match_lines (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  gboolean newline = text[pos] == '\n';

  while (pos < end && (text[pos] == '\n') == newline)
    pos++;
  return pos;
}

/* GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static gsize
match_gpt2 (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  static const guint classes[] = { LETTER, NUMBER, REST };
  gsize next, after, stop = contraction (text, pos, end, FALSE);
  guint kind;

  if (stop > pos)
    return stop;
  kind = tern_char_kind (text, pos, end, &next);
  if (text[pos] == ' ') {
    guint second = tern_char_kind (text, next, end, &after);

    if (second && !(second & BLANK)) {
      kind = second;
      next = after;
    }
  }
  for (guint i = 0; i < G_N_ELEMENTS (classes); i++)
    if (kind & classes[i])
      return run_of (text, next, end, classes[i], G_MAXSIZE);
  return spaces (text, pos, end, FALSE);
}

enum {
  NO_CONTRACTIONS = 1,
  NO_LINE_TAIL = 2,             /* newlines do not cling to what stands before them */
};

/* Llama 3 and the many after it. kinds: what words are made of, most: of the numbers.
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * HF matches contractions with Unicode's case folding, where a long s is an s; llama.cpp and this do not. */
static gsize
match_words (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  guint word = stage->kinds, rest = REST & ~word, kind, second;
  gsize next, after, stop = stage->flags & NO_CONTRACTIONS ? pos : contraction (text, pos, end, TRUE);

  if (stop > pos)
    return stop;
  kind = tern_char_kind (text, pos, end, &next);
  second = tern_char_kind (text, next, end, &after);
  if (kind & NUMBER)
    return run_of (text, pos, end, NUMBER, stage->most ? stage->most : G_MAXSIZE);
  if (kind & word || (kind != TERN_CHAR_NEWLINE && second & word))
    return run_of (text, next, end, word, G_MAXSIZE);
  if (kind & rest || (text[pos] == ' ' && second & rest)) {
    stop = run_of (text, next, end, rest, G_MAXSIZE);
    return stage->flags & NO_LINE_TAIL ? stop : run_of (text, stop, end, TERN_CHAR_NEWLINE, G_MAXSIZE);
  }
  return spaces (text, pos, end, TRUE);
}

/* U*W+ where U is upper case, W lower case, and what has no case is both. Greedy: what follows the longest U* may be no
 * W, then the last code point in it that is both is the W+. */
static gsize
lower_word (const guint8 *text, gsize pos, gsize end)
{
  const guint both = TERN_CHAR_CASELESS | TERN_CHAR_MARK;
  gsize upper = run_of (text, pos, end, TERN_CHAR_UPPER | both, G_MAXSIZE), next, last = pos;
  gsize stop = run_of (text, upper, end, TERN_CHAR_LOWER | both, G_MAXSIZE);

  if (stop > upper)
    return stop;
  for (gsize at = pos; at < upper; at = next)
    if (tern_char_kind (text, at, upper, &next) & both)
      last = next;
  return last;
}

enum { CONTRACTIONS = 1 };

/* Tekken and GPT-4o, the latter with contractions at the end of words, U and W as above:
 *   [^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W*|\p{N}{1,most}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static gsize
match_cased (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  gsize next, after, stop = pos, starts[2], n = 0;
  guint kind = tern_char_kind (text, pos, end, &next), second = tern_char_kind (text, next, end, &after);

  if (!(kind & (LETTER | NUMBER | TERN_CHAR_NEWLINE)))
    starts[n++] = next;
  starts[n++] = pos;
  for (gsize i = 0; i < n && stop == pos; i++)
    if ((stop = lower_word (text, starts[i], end)) == starts[i])
      stop = pos;
  /* Where that fails a word is of upper case alone. */
  for (gsize i = 0; i < n && stop == pos; i++)
    if ((stop = run_of (text, starts[i], end, TERN_CHAR_UPPER, G_MAXSIZE)) == starts[i])
      stop = pos;
  if (stop > pos)
    return stage->flags & CONTRACTIONS ? contraction (text, stop, end, TRUE) : stop;
  if (kind & NUMBER)
    return run_of (text, pos, end, NUMBER, stage->most);
  if (!(kind & REST) && !(text[pos] == ' ' && second & REST))
    return spaces (text, pos, end, TRUE);
  stop = run_of (text, next, end, REST, G_MAXSIZE);
  while (stop < end && text[stop] && strchr ("\r\n/", text[stop]))
    stop++;
  return stop;
}

/* DeepSeek V3's last expression, with P for ASCII punctuation:
 *   [P][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static gsize
match_deepseek (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  const guint word = LETTER | TERN_CHAR_MARK, marks = TERN_CHAR_PUNCTUATION | TERN_CHAR_SYMBOL;
  guint kind, second;
  gsize next, after, stop;

  if (g_ascii_ispunct (text[pos]) && end - pos > 1 && g_ascii_isalpha (text[pos + 1])) {
    for (stop = pos + 1; stop < end && g_ascii_isalpha (text[stop]); stop++)
      ;
    return stop;
  }
  kind = tern_char_kind (text, pos, end, &next);
  second = tern_char_kind (text, next, end, &after);
  if (kind & word || (!(kind & (TERN_CHAR_NEWLINE | marks)) && second & word))
    return run_of (text, next, end, word, G_MAXSIZE);
  if (kind & marks || (text[pos] == ' ' && second & marks)) {
    stop = run_of (text, next, end, marks, G_MAXSIZE);
    return run_of (text, stop, end, TERN_CHAR_NEWLINE, G_MAXSIZE);
  }
  return kind & BLANK ? spaces (text, pos, end, TRUE) : pos;
}

/* ---- Rule sets --------------------------------------------------------------------------------------------------- */

#define WORDS(digits, ...) { match_words, LETTER, digits, __VA_ARGS__ }
#define GPT2 { match_gpt2 }
#define NUMBERS(most) { match_run, NUMBER, most }

static const TernPretokenizer rules_llama = { { WORDS (3, 0) }, .ignore_merges = TRUE, .add_bos = TRUE };
static const TernPretokenizer rules_dbrx = { { WORDS (3, 0) } };
static const TernPretokenizer rules_minicpm = { { NUMBERS (3), WORDS (0, 0) }, .ignore_merges = TRUE };
static const TernPretokenizer rules_qwen2 = { { WORDS (1, 0) } };
static const TernPretokenizer rules_qwen = { { WORDS (1, 0) }, .nfc = TRUE };
static const TernPretokenizer rules_qwen35 = { { { match_words, LETTER | TERN_CHAR_MARK, 1 } }, .nfc = TRUE };
static const TernPretokenizer rules_seed = { { WORDS (1, NO_LINE_TAIL) } };
static const TernPretokenizer rules_ufakzeka = { { WORDS (1, NO_CONTRACTIONS) } };
static const TernPretokenizer rules_laguna = { { { match_lines }, WORDS (1, 0) } };
static const TernPretokenizer rules_gpt2 = { { GPT2 } };
static const TernPretokenizer rules_starcoder = { { NUMBERS (1), GPT2 } };
static const TernPretokenizer rules_falcon = { { { match_punctuation, .flags = BACKQUOTE }, GPT2,
    { match_three_digits } } };
static const TernPretokenizer rules_default = { { { match_punctuation }, GPT2, NUMBERS (0), { match_three_digits } } };
static const TernPretokenizer rules_coder = { { { match_run, TERN_CHAR_NEWLINE, 1 }, { match_after_space, LETTER },
    { match_after_space, TERN_CHAR_PUNCTUATION }, { match_cjk, .flags = CJK_CODER }, NUMBERS (1) } };
static const TernPretokenizer rules_deepseek = { { NUMBERS (3), { match_cjk, .flags = CJK_V3 }, { match_deepseek } } };

static const TernPretokenizer rules_tekken = { { { match_cased, .most = 1 } }, .ignore_merges = TRUE, .add_bos = TRUE };
static const TernPretokenizer rules_gpt4o = { { { match_cased, .most = 3, .flags = CONTRACTIONS } } };

static const struct {
  const char *name;
  const TernPretokenizer *rules;
} known[] = {
  { "lfm2", &rules_llama }, { "llama-bpe", &rules_llama }, { "llama3", &rules_llama }, { "llama-v3", &rules_llama },
  { "falcon3", &rules_llama }, { "falcon-h1", &rules_llama }, { "pixtral", &rules_llama },
  { "midm-2.0", &rules_llama }, { "jina-v5-nano", &rules_llama },
  { "dbrx", &rules_dbrx }, { "smaug-bpe", &rules_dbrx }, { "chatglm-bpe", &rules_dbrx }, { "glm4", &rules_dbrx },
  { "minicpm5", &rules_minicpm },
  { "qwen2", &rules_qwen }, { "deepseek-r1-qwen", &rules_qwen2 }, { "megrez", &rules_qwen2 },
  { "stablelm2", &rules_qwen2 }, { "hunyuan", &rules_qwen2 }, { "solar-open", &rules_qwen2 },
  { "kormo", &rules_qwen2 }, { "f2llmv2", &rules_qwen2 }, { "grok-2", &rules_qwen2 }, { "bailingmoe", &rules_qwen2 },
  { "bailingmoe2", &rules_qwen2 }, { "llada-moe", &rules_qwen2 },
  { "qwen35", &rules_qwen35 }, { "seed-coder", &rules_seed }, { "ufakzeka", &rules_ufakzeka },
  { "laguna", &rules_laguna },
  { "gpt-2", &rules_gpt2 }, { "phi-2", &rules_gpt2 }, { "mpt", &rules_gpt2 }, { "olmo", &rules_gpt2 },
  { "jais", &rules_gpt2 }, { "exaone4", &rules_gpt2 }, { "mellum", &rules_gpt2 }, { "gigachat", &rules_gpt2 },
  { "a.x-4.0", &rules_gpt2 }, { "trillion", &rules_gpt2 }, { "granite-docling", &rules_gpt2 },
  { "modern-bert", &rules_gpt2 }, { "jina-es", &rules_gpt2 }, { "jina-de", &rules_gpt2 },
  { "jina-v2-es", &rules_gpt2 }, { "jina-v2-de", &rules_gpt2 },
  { "smollm", &rules_starcoder }, { "starcoder", &rules_starcoder }, { "refact", &rules_starcoder },
  { "command-r", &rules_starcoder }, { "codeshell", &rules_starcoder }, { "exaone", &rules_starcoder },
  { "minerva-7b", &rules_starcoder }, { "mellum2", &rules_starcoder },
  { "falcon", &rules_falcon }, { "default", &rules_default },
  { "deepseek-v3", &rules_deepseek }, { "hunyuan-dense", &rules_deepseek }, { "joyai-llm", &rules_deepseek },
  { "hy_v4", &rules_deepseek }, { "deepseek-coder", &rules_coder },
  { "tekken", &rules_tekken }, { "gpt-4o", &rules_gpt4o }, { "llama4", &rules_gpt4o }, { "kanana2", &rules_gpt4o },
  { "talkie", &rules_gpt4o }, { "minimax-m2", &rules_gpt4o },
};

const TernPretokenizer *
tern_pretokenizer_find (const char *name, gsize len)
{
  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    if (strlen (known[i].name) == len && memcmp (known[i].name, name, len) == 0)
      return known[i].rules;
  return NULL;
}

char *
tern_pretokenizer_names (void)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (known); i++)
    g_string_append_printf (names, "%s%s", i ? ", " : "", known[i].name);
  return g_string_free (names, FALSE);
}

/* ---- The walk ---------------------------------------------------------------------------------------------------- */

/* The match at @pos, or what stands before the next one. */
static gsize
stage_piece (const TernStage *stage, const guint8 *text, gsize pos, gsize end)
{
  gsize stop = stage->match (stage, text, pos, end), next;

  if (stop > pos)
    return stop;
  do {
    tern_char_kind (text, pos, end, &next);
    pos = next;
  } while (pos < end && stage->match (stage, text, pos, end) == pos);
  return pos;
}

gboolean
tern_pieces_next (TernPieces *pieces, const TernPretokenizer *rules, gsize *start, gsize *len)
{
  gsize pos = pieces->pos, end = pieces->len;

  if (pos >= end)
    return FALSE;
  for (guint i = 0; i < TERN_STAGES && rules->stages[i].match; i++) {
    if (pieces->ends[i] <= pos)
      pieces->ends[i] = stage_piece (&rules->stages[i], pieces->text, pos, end);
    end = pieces->ends[i];
  }
  *start = pos;
  *len = end - pos;
  pieces->pos = end;
  return TRUE;
}
