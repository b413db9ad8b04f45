/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON Schemas: which texts are sentences of them, which schemas are refused and with which words, and the bounds on hostile
 * ones. tests/golden/schema.py holds random sentences against another implementation. */
#include "sentences.h"
#include "tern/error.h"

#define MOST_TEXTS 12

typedef struct {
  const char *schema;
  const char *good[MOST_TEXTS], *bad[MOST_TEXTS];
} Case;

static const Case objects[] = {
  { "{\"type\": \"object\", \"properties\": {\"b\": {\"type\": \"null\"}, \"a\": {\"type\": \"boolean\"}}, \"required\": [\"b\"]}",
    { "{\"b\": null}", "{\"b\": null, \"a\": true}" },
    { "{}", "{\"a\": true, \"b\": null}", "{\"b\":null}", "{\"b\": null,\"a\": true}", "{\"b\": null, \"c\": 1}", "{\"b\": null, }",
      "{\"b\": null", "{\"b\": null} " } },
  { "{\"type\": \"object\", \"properties\": {\"a\": {\"const\": 1}, \"b\": {\"const\": 2}, \"c\": {\"const\": 3}}}",
    { "{}", "{\"a\": 1}", "{\"b\": 2}", "{\"c\": 3}", "{\"a\": 1, \"c\": 3}", "{\"b\": 2, \"c\": 3}", "{\"a\": 1, \"b\": 2, \"c\": 3}" },
    { "{, \"b\": 2}", "{\"c\": 3, \"b\": 2}", "{\"a\": 1 \"b\": 2}", "{\"a\": 1, \"a\": 1}" } },
  { "{\"type\": \"object\", \"properties\": {\"a\": {\"const\": 1}, \"b\": {\"const\": 2}, \"c\": {\"const\": 3}}, "
    "\"required\": [\"b\", \"d\"], \"additionalProperties\": {\"type\": \"null\"}}",
    { "{\"b\": 2, \"d\": null}", "{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": null}" }, { "{\"b\": 2}", "{\"b\": 2, \"d\": 1}", "{\"d\": null, \"b\": 2}" } },
  { "{\"type\": \"object\", \"additionalProperties\": false}", { "{}" }, { "{\"a\": 1}", "[]", "" } },
  { "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"boolean\"}}",
    { "{}", "{\"x\": true}", "{\"x\": true, \"\303\251\\n\": false}" }, { "{\"\": true}", "{\"x\": 1}" } },
  { "{\"type\": \"object\", \"patternProperties\": {\"^k[0-9]$\": {\"type\": \"null\"}}, \"additionalProperties\": false}",
    { "{}", "{\"k1\": null, \"k2\": null}" }, { "{\"k\": null}", "{\"k1\": 1}" } },
  { "{\"type\": \"object\", \"properties\": {\"q\\\"\\\\\\u00e9\": {\"type\": \"null\"}}, \"required\": [\"q\\\"\\\\\\u00e9\"]}",
    { "{\"q\\\"\\\\\303\251\": null}" }, { "{\"q\\\"\\\\\\u00e9\": null}" } },
  { "{\"type\": \"object\", \"properties\": {\"a\": false, \"b\": true}}", { "{}", "{\"b\": [{}, 1.5, \"x\"]}" }, { "{\"a\": 1}" } },
  { "{\"type\": \"object\", \"properties\": {\"name\": {\"const\": \"zoom\"}, \"arguments\": {\"type\": \"object\", "
    "\"properties\": {\"factor\": {\"type\": \"integer\"}}, \"required\": [\"factor\"], \"additionalProperties\": false}}, \"required\": [\"name\", \"arguments\"]}",
    { "{\"name\": \"zoom\", \"arguments\": {\"factor\": 2}}" }, { "{\"name\": \"zoom\", \"arguments\": {}}", "{\"name\": \"pan\", \"arguments\": {\"factor\": 2}}" } },
};

static const Case arrays[] = {
  { "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1, \"maxItems\": 3}", { "[1]", "[1, 2]", "[1, 2, 3]" },
    { "[]", "[1, 2, 3, 4]", "[1,2]", "[1, ]", "[\"1\"]" } },
  { "{\"type\": \"array\", \"items\": {\"type\": \"null\"}, \"maxItems\": 1000000000}", { "[]", "[null, null]" }, { "[null" } },
  { "{\"type\": \"array\", \"prefixItems\": [{\"const\": 1}, {\"const\": 2}], \"items\": {\"const\": 3}, \"minItems\": 1}",
    { "[1]", "[1, 2]", "[1, 2, 3, 3]" }, { "[]", "[2]", "[1, 3]" } },
  { "{\"type\": \"array\", \"prefixItems\": [{\"const\": 1}, {\"const\": 2}], \"items\": false, \"minItems\": 2}", { "[1, 2]" }, { "[1]", "[1, 2, 3]" } },
  { "{\"type\": \"array\", \"prefixItems\": [{\"const\": 1}, false, {\"const\": 2}]}", { "[]", "[1]" }, { "[1, 2]" } },
  { "{\"type\": \"array\", \"items\": false}", { "[]" }, { "[1]" } },
  { "{\"type\": \"array\", \"items\": {\"enum\": [1, 1.0, 2]}, \"uniqueItems\": true}", { "[]", "[1, 2]" }, { "[1, 1.0]", "[1, 1]" } },
  { "{\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"b\", \"c\"]}, \"uniqueItems\": true, \"minItems\": 1, \"maxItems\": 2}",
    { "[\"a\"]", "[\"c\"]", "[\"a\", \"c\"]", "[\"b\", \"c\"]" }, { "[]", "[\"a\", \"a\"]", "[\"a\", \"b\", \"c\"]" } },
};

static const Case texts[] = {
  { "{\"type\": \"string\"}", { "\"\"", "\"a \303\251 \360\237\230\200\"", "\"\\\"\\\\\\n\\t\\r\"" },
    { "\"a", "\"\n\"", "\"\\x\"", "\"\\u0041\"", "\"\\/\"", "a", "\"\377\"", "\"\355\240\200\"" } },
  { "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", { "\"ab\"", "\"\360\237\230\200\\n\303\251\"" }, { "\"a\"", "\"abcd\"", "\"\303\251\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^a[bc]+$\"}", { "\"ab\"", "\"acbc\"" }, { "\"a\"", "\"xab\"", "\"abx\"" } },
  { "{\"type\": \"string\", \"pattern\": \"b{2}\"}", { "\"bb\"", "\"xbbb\\ny\"" }, { "\"bab\"", "\"\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^a|b$\"}", { "\"ax\"", "\"xb\"" }, { "\"xax\"", "\"bx\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^(?:(a)|b??c*?)$\"}", { "\"a\"", "\"bcc\"", "\"\"" }, { "\"ab\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^[^\\\"\\\\\\\\]\\\\d\\\\.\\\\\\\"$\"}", { "\"x1.\\\"\"", "\"\\n1.\\\"\"" }, { "\"\\\"1.\\\"\"", "\"x11\\\"\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^[\\\\w.-]{2,4}[\\\\]a-]\\\\u0041\\\\x42\\\\u{1f600}$\"}", { "\"_9]AB\360\237\230\200\"", "\"a.-ZaAB\360\237\230\200\"" }, { "\"a]AB\360\237\230\200\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^$\"}", { "\"\"" }, { "\"a\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^a{x}$\"}", { "\"a{x}\"" }, { "\"a\"" } },
  { "{\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"minLength\": 2, \"maxLength\": 3}", { "\"ab\"", "\"abc\"" }, { "\"a\"", "\"abcd\"" } },
  { "{\"type\": \"string\", \"format\": \"date\"}", { "\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\"" },
    { "\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"0000-01-01\"", "\"2024-13-01\"" } },
  { "{\"type\": \"string\", \"format\": \"date-time\"}", { "\"2024-05-06T07:08:09Z\"", "\"2024-05-06T23:59:59.125+02:00\"" },
    { "\"2024-05-06 07:08:09Z\"", "\"2024-05-06T24:00:00Z\"", "\"2024-05-06T07:08:09\"" } },
  { "{\"type\": \"string\", \"format\": \"ipv4\"}", { "\"0.0.0.0\"", "\"255.249.100.9\"" }, { "\"256.1.1.1\"", "\"01.1.1.1\"", "\"1.1.1\"" } },
  { "{\"type\": \"string\", \"format\": \"uuid\"}", { "\"0123abcd-0000-1111-2222-333344445555\"" }, { "\"0123abcd00001111222233334444555\"" } },
  { "{\"type\": \"string\", \"format\": \"email\"}", { "\"a.b+c@example.org\"" }, { "\"a@b\"", "\"@example.org\"", "\"a b@example.org\"" } },
  { "{\"type\": \"string\", \"format\": \"uri\"}", { "\"https://a.example.org/b/c?d=e#f\"", "\"http://localhost:8080\"" }, { "\"ftp://a\"", "\"https://\"" } },
  { "{\"type\": \"string\", \"format\": \"duration\"}", { "\"P1DT2H\"", "\"PT5M\"", "\"P3W\"" }, { "\"P\"", "\"PT\"", "\"1D\"" } },
  { "{\"type\": \"string\", \"format\": \"password\", \"maxLength\": 1}", { "\"x\"" }, { "\"xx\"" } },
};

static const Case numbers[] = {
  { "{\"type\": \"integer\"}", { "0", "-1", "999999999999999999", "10" }, { "-0", "01", "1.0", "1e3", "+1", "1000000000000000000" } },
  { "{\"type\": \"integer\", \"minimum\": -17, \"maximum\": 1042}", { "-17", "0", "1042", "999", "-9", "1039" }, { "-18", "1043", "-20", "2000", "-0" } },
  { "{\"type\": \"integer\", \"exclusiveMinimum\": 9, \"exclusiveMaximum\": 20.5}", { "10", "19", "20" }, { "9", "21", "1" } },
  { "{\"type\": \"integer\", \"maximum\": -99}", { "-99", "-100", "-12345" }, { "-98", "99", "0" } },
  { "{\"type\": \"integer\", \"minimum\": 9223372036854775807}", { "9223372036854775807" }, { "9223372036854775808", "922337203685477580" } },
  { "{\"type\": \"integer\", \"minimum\": -9223372036854775808, \"maximum\": -1000000000000000001}", { "-9223372036854775807", "-1000000000000000001" },
    { "-9223372036854775809", "-1000000000000000000" } },
  { "{\"type\": \"integer\", \"multipleOf\": 15}", { "0", "15", "-30", "123456789000" }, { "5", "10", "-0", "16" } },
  { "{\"type\": \"integer\", \"multipleOf\": 0.5, \"maximum\": 3}", { "3", "-7" }, { "2.5", "4" } },
  { "{\"type\": \"integer\", \"multipleOf\": 1500, \"minimum\": 0}", { "0", "1500", "3000", "150000000000" }, { "00", "500", "1000" } },
  { "{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", { "0", "1", "0.5", "0.000001", "0.999999", "0.0" }, { "1.5", "-0.1", "2", ".5", "1.000001", "0.", "-0", "1e-1", "0.0000001" } },
  { "{\"type\": \"number\", \"exclusiveMinimum\": 0, \"exclusiveMaximum\": 1}", { "0.5", "0.999999", "0.000001" }, { "0", "1", "0.0", "1.0", "0.000000" } },
  { "{\"type\": \"number\", \"minimum\": -2.5, \"maximum\": 10.25}", { "-2.5", "-2.49", "0", "10.25", "10.2", "9.999", "-0.1" }, { "-2.51", "10.26", "10.3", "-3", "11", "-0" } },
  { "{\"type\": \"number\", \"exclusiveMinimum\": 2.5, \"maximum\": 2.75}", { "2.51", "2.75", "2.500001", "2.7" }, { "2.5", "2.50", "2.76", "2.8", "3", "2" } },
  { "{\"type\": \"number\", \"maximum\": 1e308}", { "999999999999998.5", "-1" }, { "1000000000000000", "1e5" } },
  { "{\"type\": \"number\", \"minimum\": 1e-9, \"maximum\": 2e-9}", { "0.000000001", "0.000000002" }, { "0", "0.000000003" } },
  { "{\"type\": \"number\", \"multipleOf\": 0.25, \"minimum\": -1, \"maximum\": 1.3}", { "-1", "-0.75", "0", "0.5", "1.25" }, { "-0.5.", "0.3", "1.5", "-1.25", "-0" } },
  { "{\"type\": \"number\", \"multipleOf\": 5}", { "5", "-10", "0" }, { "5.0", "3" } },
};

static const Case mixtures[] = {
  { "{\"enum\": [\"a\\\"\", 1.50, null, {\"k\": [1, true]}, \"a\\\"\"]}", { "\"a\\\"\"", "1.50", "null", "{\"k\": [1, true]}" }, { "1.5", "\"a\"", "{}" } },
  { "{\"enum\": [1, \"one\", 2.0, 3.5], \"type\": \"integer\"}", { "1", "2.0" }, { "\"one\"", "3.5" } },
  { "{\"const\": \"\\u20ac\\u0001\"}", { "\"\342\202\254\\u0001\"" }, { "\"\\u20ac\\u0001\"" } },
  { "{\"type\": [\"boolean\", \"null\"]}", { "true", "false", "null" }, { "0", "\"true\"" } },
  { "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"null\"}], \"title\": \"T\", \"default\": null}", { "1", "null" }, { "\"\"" } },
  { "{\"oneOf\": [{\"type\": \"string\", \"maxLength\": 1}, {\"type\": \"string\", \"minLength\": 3}]}", { "\"a\"", "\"abc\"" }, { "\"ab\"" } },
  /* the member that tells them apart is never left out */
  { "{\"oneOf\": [{\"type\": \"object\", \"properties\": {\"t\": {\"const\": 1}, \"x\": {\"type\": \"null\"}}}, {\"type\": "
    "\"object\", \"properties\": {\"t\": {\"const\": 2}}}]}", { "{\"t\": 1}", "{\"t\": 1, \"x\": null}", "{\"t\": 2}" }, { "{}", "{\"x\": null}" } },
  { "{\"allOf\": [{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}, {\"properties\": {\"a\": "
    "{\"minimum\": 5}, \"b\": {\"type\": \"null\"}}, \"required\": [\"a\"]}]}", { "{\"a\": 5}", "{\"a\": 7, \"b\": null}" }, { "{\"a\": 4}", "{\"b\": null}" } },
  { "{\"type\": \"object\", \"properties\": {\"v\": {\"type\": \"integer\"}}, \"required\": [\"v\"], \"anyOf\": "
    "[{\"properties\": {\"v\": {\"maximum\": 1}}}, {\"properties\": {\"v\": {\"minimum\": 9}}}]}", { "{\"v\": 1}", "{\"v\": 9}" }, { "{\"v\": 5}" } },
  { "{\"$ref\": \"#/$defs/n~1o%20d~0e\", \"$defs\": {\"n/o d~e\": {\"type\": \"object\", \"properties\": {\"next\": {\"$ref\": \"#/$defs/n~1o%20d~0e\"}}}}}",
    { "{}", "{\"next\": {\"next\": {}}}" }, { "{\"next\": null}" } },
  { "{\"definitions\": {\"a\": {\"const\": 4}}, \"$ref\": \"#/definitions/a\", \"description\": \"d\"}", { "4" }, { "5" } },
  { "{\"anyOf\": [{\"$ref\": \"#/anyOf/1/items\"}, {\"type\": \"array\", \"items\": {\"const\": 7}}]}", { "7", "[7, 7]" }, { "[[]]" } },
  { "true", { "{\"a\": [1, -2.5, \"x\", null, true]}", "[]" }, { "[1,2]", "nul" } },
  { "{\"properties\": {\"a\": {\"const\": 1}}}", { "{\"a\": 1}" }, { "5" } },
  { "{\"anyOf\": [false, {\"const\": 1}]}", { "1" }, { "2" } },
};

static Speaker speaker;

static TernConstraint *
constrain (const char *schema)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = tern_grammar_from_json_schema (schema, &error);
  TernConstraint *constraint;

  g_assert_no_error (error);
  constraint = tern_constraint_new (grammar, speaker.trie, &error);
  g_assert_no_error (error);
  return constraint;
}

static void
run_cases (const Case *cases, guint n)
{
  for (guint i = 0; i < n; i++) {
    g_autoptr (TernConstraint) constraint = constrain (cases[i].schema);

    g_test_message ("%s", cases[i].schema);
    for (guint k = 0; k < MOST_TEXTS && cases[i].good[k]; k++)
      if (!speaker_reads (&speaker, constraint, cases[i].good[k])) {
        g_test_message ("refused: %s", cases[i].good[k]);
        g_test_fail ();
      }
    for (guint k = 0; k < MOST_TEXTS && cases[i].bad[k]; k++)
      if (speaker_reads (&speaker, constraint, cases[i].bad[k])) {
        g_test_message ("taken: %s", cases[i].bad[k]);
        g_test_fail ();
      }
  }
}

static void
test_objects (void)
{
  run_cases (objects, G_N_ELEMENTS (objects));
}

static void
test_arrays (void)
{
  run_cases (arrays, G_N_ELEMENTS (arrays));
}

static void
test_texts (void)
{
  run_cases (texts, G_N_ELEMENTS (texts));
}

static void
test_numbers (void)
{
  run_cases (numbers, G_N_ELEMENTS (numbers));
}

static void
test_mixtures (void)
{
  run_cases (mixtures, G_N_ELEMENTS (mixtures));
}

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void
check_refused (const char *schema, TernErrorCode code, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = tern_grammar_from_json_schema (schema, &error);
  g_autofree char *shown = g_utf8_make_valid (schema, MIN ((gssize) strlen (schema), 200));

  g_test_message ("%s", shown);
  g_assert_null (grammar);
  g_assert_nonnull (error);
  g_test_message ("%s", error->message);
  g_assert_error (error, TERN_ERROR, code);
  g_assert_nonnull (strstr (error->message, words));
  g_assert_cmpuint (strlen (error->message), <, 1000);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_null (strchr (error->message, '\n'));
}

static void
test_unsupported (void)
{
  static const char *const cases[][2] = {
    { "{\"not\": {}}", "#/not: " },
    { "{\"properties\": {\"a\": {\"if\": {}, \"then\": {}}}}", "#/properties/a/if: " },
    { "{\"items\": {\"contains\": {}}}", "#/items/contains: " },
    { "{\"type\": \"object\", \"dependentRequired\": {}}", "#/dependentRequired: " },
    { "{\"type\": \"object\", \"unevaluatedProperties\": false}", "#/unevaluatedProperties: " },
    { "{\"items\": [{}]}", "#/items: " },
    { "{\"type\": \"array\", \"items\": {\"type\": \"string\"}, \"uniqueItems\": true}", "#/uniqueItems: " },
    { "{\"oneOf\": [{\"type\": \"number\"}, {\"type\": \"integer\"}]}", "#/oneOf: " },
    { "{\"oneOf\": [{\"properties\": {\"a\": {}}}, {\"properties\": {\"b\": {}}}]}", "found 0 and 1" },
    { "{\"$ref\": \"https://example.org/x\"}", "#/$ref: " },
    { "{\"$ref\": \"#anchor\"}", "#/$ref: " },
    { "{\"$dynamicRef\": \"#x\"}", "#/$dynamicRef: " },
    { "{\"pattern\": \"a(?=b)\"}", "look-around" },
    { "{\"pattern\": \"(a)\\\\1\"}", "reference to a group" },
    { "{\"pattern\": \"\\\\bx\"}", "border of words" },
    { "{\"pattern\": \"\\\\p{L}\"}", "class of Unicode" },
    { "{\"pattern\": \"(?i)x\"}", "group of ECMAScript" },
    { "{\"pattern\": \"a^b\"}", "anchors at the ends" },
    { "{\"pattern\": \"(^a)+\"}", "anchors at the ends" },
    { "{\"pattern\": \"^(a|bb)+$\", \"maxLength\": 5}", "#/pattern: " },
    { "{\"pattern\": \"a\", \"format\": \"date\"}", "#/format: " },
    { "{\"format\": \"regex\"}", "#/format: " },
    { "{\"enum\": [\"a\"], \"pattern\": \"a\"}", "#/pattern: " },
    { "{\"allOf\": [{\"pattern\": \"a\"}, {\"pattern\": \"b\"}]}", "#/allOf/1/pattern: " },
    { "{\"type\": \"number\", \"multipleOf\": 0.01}", "#/multipleOf: " },
    { "{\"type\": \"integer\", \"multipleOf\": 1024}", "#/multipleOf: " },
    { "{\"type\": \"integer\", \"minimum\": 9223372036854775808}", "#/minimum: " },
    { "{\"type\": \"number\", \"minimum\": 1e300}", "#/minimum: " },
    { "{\"type\": \"object\", \"properties\": {\"a\": {}}, \"patternProperties\": {\"b\": {}}}", "#/patternProperties: " },
    { "{\"type\": \"object\", \"properties\": {\"a\": {}}, \"propertyNames\": {\"maxLength\": 3}}", "#/propertyNames: " },
    { "{\"type\": \"object\", \"minProperties\": 2}", "#/minProperties: " },
    { "{\"type\": \"object\", \"properties\": {\"a\": {}, \"b\": {}, \"c\": {}}, \"minProperties\": 2}", "#/minProperties: " },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check_refused (cases[i][0], TERN_ERROR_UNSUPPORTED, cases[i][1]);
}

static void
test_invalid (void)
{
  static const char *const cases[][2] = {
    { "", "found the end" }, { "{", "found the end" }, { "{\"a\": 1,}", "line 1, column 9" }, { "{} x", "the end of the text" }, { "// c\n{}", "column 1" },
    { "{\"a\": 01}", "" }, { "{\"a\": +1}", "" }, { "{'a': 1}", "a name in quotes" }, { "{\"a\": \"\n\"}", "the end of a string" },
    { "{\"a\": 1, \"a\": 2}", "'a' twice" }, { "{\"a\": \"\\ud800\"}", "surrogate" }, { "{\"a\": \"\\u0000\"}", "NUL" },
    { "{\"a\": \"\377\"}", "UTF-8" }, { "{\"a\": NaN}", "" },
    /* these would allow everything */
    { "{\"name\": \"scene\", \"strict\": true, \"schema\": {\"type\": \"object\"}}",
      "#: expected a schema, found what some services wrap" },
    { "{\"propertis\": {\"a\": {}}, \"requird\": [\"a\"]}", "found none beside \"propertis\"" },
    { "{\"schema\": 5}", "beside \"schema\"" },
    { "{\"x-a\": 1, \"Type\": \"string\"}", "found none beside \"Type\"" },
    { "5", "#: expected a schema" }, { "\"x\"", "#: expected a schema" }, { "[]", "#: expected a schema" },
    { "{\"type\": \"float\"}", "#/type: " }, { "{\"type\": [\"string\", 5]}", "#/type: " }, { "{\"type\": []}", "#/type: " },
    { "{\"minLength\": -1}", "#/minLength: " }, { "{\"maxItems\": \"3\"}", "#/maxItems: " }, { "{\"maxItems\": 2.5}", "#/maxItems: " },
    { "{\"minimum\": true}", "#/minimum: " }, { "{\"exclusiveMinimum\": true}", "#/exclusiveMinimum: " },
    { "{\"properties\": []}", "#/properties: " }, { "{\"properties\": {\"a/b~c\": 5}}", "#/properties/a~1b~0c: " }, { "{\"required\": \"a\"}", "#/required: " },
    { "{\"enum\": 5}", "#/enum: " }, { "{\"anyOf\": []}", "#/anyOf: " }, { "{\"allOf\": {}}", "#/allOf: " }, { "{\"items\": 5}", "#/items: " },
    { "{\"pattern\": 5}", "#/pattern: " }, { "{\"pattern\": \"(a\"}", "character 3 of the pattern" }, { "{\"pattern\": \"*\"}", "#/pattern: " },
    { "{\"pattern\": \"[b-a]\"}", "#/pattern: " }, { "{\"pattern\": \"a)\"}", "#/pattern: " }, { "{\"pattern\": \"a{3,2}\"}", "#/pattern: " },
    { "{\"pattern\": \"[a\"}", "#/pattern: " }, { "{\"pattern\": \"\\\\\"}", "#/pattern: " },
    { "{\"$ref\": 5}", "#/$ref: " }, { "{\"$ref\": \"#/$defs/none\"}", "which is not there" }, { "{\"$ref\": \"#\"}", "lead back to themselves" },
    { "{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"allOf\": [{\"$ref\": \"#/$defs/b\"}]}, \"b\": {\"$ref\": \"#/$defs/a\"}}}", "lead back" },
    { "{\"multipleOf\": 0}", "#/multipleOf: " }, { "{\"multipleOf\": -2}", "#/multipleOf: " },
    /* nothing satisfies these */
    { "false", "#: false" }, { "{\"enum\": []}", "#/enum: " }, { "{\"type\": \"integer\", \"minimum\": 5, \"maximum\": 4}", "#/maximum: " },
    { "{\"type\": \"number\", \"exclusiveMinimum\": 4, \"maximum\": 4}", "#/maximum: " }, { "{\"type\": \"integer\", \"minimum\": 1.2, \"maximum\": 1.8}", "#/maximum: " },
    { "{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", "found 3 and 2" }, { "{\"type\": \"array\", \"minItems\": 3, \"maxItems\": 2}", "#/maxItems: " },
    { "{\"type\": \"array\", \"items\": false, \"minItems\": 1}", "#/items: " },
    { "{\"properties\": {}, \"required\": [\"a\"], \"additionalProperties\": false}", "#/additionalProperties: " },
    { "{\"properties\": {\"a\": {\"type\": \"string\", \"enum\": [1]}}, \"required\": [\"a\"]}", "#/properties/a/enum: " },
    { "{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}", "a type" }, { "{\"const\": 5, \"type\": \"string\"}", "#/const: " },
    { "{\"type\": \"array\", \"items\": {\"enum\": [1, 2]}, \"uniqueItems\": true, \"minItems\": 3}", "#/uniqueItems: " },
    { "{\"type\": \"integer\", \"multipleOf\": 10, \"minimum\": 1, \"maximum\": 9}", "#/multipleOf: " },
    { "{\"pattern\": \"[^\\\\s\\\\S]\"}", "#/pattern: " }, { "{\"pattern\": \"^abc$\", \"maxLength\": 2}", "#/pattern: " },
    { "{\"$defs\": {\"n\": {\"properties\": {\"n\": {\"$ref\": \"#/$defs/n\"}}, \"required\": [\"n\"]}}, \"$ref\": \"#/$defs/n\"}", "no sentence" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    check_refused (cases[i][0], TERN_ERROR_INVALID, cases[i][1]);
}

/* What says nothing about values, or says so in a keyword's words, is taken. */
static void
test_open (void)
{
  static const char *const cases[] = { "{}", "true", "{\"title\": \"A scene\"}",
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"}",
    "{\"x-internal\": 1}", "{\"description\": \"any\", \"name\": \"scene\"}", "{\"schema\": {}, \"type\": \"string\"}",
    "{\"properties\": {\"schema\": {\"propertis\": 1}}}", "{\"$defs\": {\"a\": {}}, \"name\": 1}" };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernGrammar) grammar = tern_grammar_from_json_schema (cases[i], &error);

    g_test_message ("%s", cases[i]);
    g_assert_no_error (error);
    g_assert_nonnull (grammar);
  }
}

/* ---- Hostile ones ------------------------------------------------------------------------------------------------ */

static char *
nested (const char *open, const char *middle, const char *close, guint n)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append (text, open);
  g_string_append (text, middle);
  for (guint i = 0; i < n; i++)
    g_string_append (text, close);
  return g_string_free (text, FALSE);
}

static void
test_bounds (void)
{
  g_autofree char *deep = nested ("{\"items\": ", "{}", "}", 10000), *brackets = nested ("[", "", "", 500000), *large = g_strnfill (1100000, ' ');
  g_autofree char *groups = nested ("(", "a", ")", 200), *pattern = g_strdup_printf ("{\"pattern\": \"%s\"}", groups);
  g_autofree char *digits = g_strnfill (500000, '7'), *number = g_strdup_printf ("{\"type\": \"integer\", \"minimum\": %s}", digits);
  g_autofree char *many = g_strnfill (400000, 'x'), *name = g_strdup_printf ("{\"%s\": 1, \"not\": 1, \"$ref\": \"#/%s\"}", many, many);
  g_autoptr (GString) chain = g_string_new ("{\"$ref\": \"#/$defs/d0\", \"$defs\": {");

  check_refused (deep, TERN_ERROR_INVALID, "levels");
  check_refused (brackets, TERN_ERROR_INVALID, "levels");
  check_refused (large, TERN_ERROR_INVALID, "bytes");
  check_refused (pattern, TERN_ERROR_UNSUPPORTED, "groups in each other");
  check_refused (number, TERN_ERROR_UNSUPPORTED, "#/minimum: ");
  check_refused (name, TERN_ERROR_INVALID, "expected a schema");
  for (guint i = 0; i < 20000; i++)
    g_string_append_printf (chain, "\"d%u\": {\"items\": {\"$ref\": \"#/$defs/d%u\"}}, ", i, i + 1);
  g_string_append (chain, "\"d20000\": {}}}");
  check_refused (chain->str, TERN_ERROR_UNSUPPORTED, "in each other");
}

/* Two references each, 40 levels: a trillion ways down, and 41 schemas. */
static void
test_fan_out (void)
{
  g_autoptr (GString) text = g_string_new ("{\"$ref\": \"#/$defs/d0\", \"$defs\": {");
  g_autoptr (TernConstraint) constraint = NULL;

  for (guint i = 0; i < 40; i++)
    g_string_append_printf (text, "\"d%u\": {\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#/$defs/d%u\"}, \"b\": {\"$ref\": \"#/$defs/d%u\"}}}, ",
        i, i + 1, i + 1);
  g_string_append (text, "\"d40\": {\"type\": \"null\"}}}");
  constraint = constrain (text->str);
  g_assert_true (speaker_reads (&speaker, constraint, "{\"b\": {\"a\": {}}}"));
}

/* A vocabulary of labels, and an object with as many members. */
static void
test_many (void)
{
  g_autoptr (GString) list = g_string_new ("{\"enum\": ["), members = g_string_new ("{\"type\": \"object\", \"properties\": {");
  g_autoptr (TernConstraint) labels = NULL, object = NULL;

  for (guint i = 0; i < 5000; i++) {
    g_string_append_printf (list, "%s\"label %u\"", i ? ", " : "", i);
    g_string_append_printf (members, "%s\"m%u\": {\"type\": \"integer\", \"minimum\": %u}", i ? ", " : "", i, i);
  }
  g_string_append (list, "], \"type\": \"string\"}");
  g_string_append (members, "}}");
  labels = constrain (list->str);
  g_assert_true (speaker_reads (&speaker, labels, "\"label 4999\""));
  g_assert_false (speaker_reads (&speaker, labels, "\"label 5000\""));
  object = constrain (members->str);
  g_assert_true (speaker_reads (&speaker, object, "{\"m3\": 4, \"m4999\": 4999}"));
}

/* The same through anyOf and allOf, where combinations are new sets: refused, or answered, in bounded time. */
static void
test_combinations (void)
{
  g_autoptr (GString) text = g_string_new ("{\"allOf\": [");
  g_autoptr (GError) error = NULL;
  g_autoptr (TernGrammar) grammar = NULL;

  for (guint i = 0; i < 30; i++)
    g_string_append_printf (text, "%s{\"anyOf\": [{\"minLength\": %u}, {\"maxLength\": %u}, {\"minLength\": 1}]}", i ? ", " : "", i + 1, 100 + i);
  g_string_append (text, "]}");
  grammar = tern_grammar_from_json_schema (text->str, &error);
  g_assert_null (grammar);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "combinations"));
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  speaker_init (&speaker);
  g_test_add_func ("/schema/objects", test_objects);
  g_test_add_func ("/schema/arrays", test_arrays);
  g_test_add_func ("/schema/texts", test_texts);
  g_test_add_func ("/schema/numbers", test_numbers);
  g_test_add_func ("/schema/mixtures", test_mixtures);
  g_test_add_func ("/schema/unsupported", test_unsupported);
  g_test_add_func ("/schema/invalid", test_invalid);
  g_test_add_func ("/schema/open", test_open);
  g_test_add_func ("/schema/bounds", test_bounds);
  g_test_add_func ("/schema/fan-out", test_fan_out);
  g_test_add_func ("/schema/many", test_many);
  g_test_add_func ("/schema/combinations", test_combinations);
  status = g_test_run ();
  speaker_clear (&speaker);
  return status;
}
