/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Models: weights, vocabulary and chat template, and the threads that compute. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernModel:
 *
 * A language model, a vision encoder, or both: immutable and counted. Weights are in memory once a process for all that
 * name the same file, and one engine thread with its pool does the work of all its sessions and encoders. Every
 * function of a model may be called from any thread.
 *
 * Since: 0.1
 */
typedef struct _TernModel TernModel;

/**
 * TernModelParts:
 * @TERN_MODEL_TEXT: the language model
 * @TERN_MODEL_VISION: the vision encoder and projector
 * @TERN_MODEL_FULL: both
 *
 * What of a model is loaded.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_MODEL_TEXT = 1,
  TERN_MODEL_VISION = 2,
  TERN_MODEL_FULL = 3,
} TernModelParts;

/**
 * TernModelParams:
 * @model_path: (nullable): GGUF of the language model, or a folder with one; %NULL looks at the environment variable
 *   TERN_MODEL_PATH and then for the bundled model: of the build folder or the installation that this library is in,
 *   wherever that was moved to, then in the data folder that it was built for
 * @mmproj_path: (nullable): GGUF of the vision encoder; %NULL takes the one *mmproj*.gguf beside the model as it is
 *   named, else beside the file that this name links to, and fails with the list of places or candidates if there is
 *   not exactly one
 * @parts: what must be usable. Parts that are only named here are loaded; the encoder id is known in every case when an
 *   mmproj file is found
 * @threads: of the model's pool, the engine thread counted, 1..TERN_THREADS_MAX; 0 = the cores that this process may
 *   use: of its affinity, and no more than the quota of its control group
 * @context: tokens a session holds at most; 0 = what its window needs. At most the model's own, tern_model_context();
 *   more counts as that
 * @float_activations: compute without activation quantisation, the vision encoder on floats too: slower, for comparison.
 *   Otherwise its matrices are brought to int8, or to bf16 where int8 would change what comes out (cosine below .999)
 * @yielding: the model's threads run at a lower priority (nice, 5 above the process's), so that threads of this process
 *   that must be on time, as a pipeline's streaming threads, go first when all cores are busy
 * @activations: (nullable): how the inputs of the language model's matrices are rounded, instead of as the file says: "int8",
 *   "w1a8", "a4.8", "v2", "v2-a8", the last two also with a block, "v2:128" (docs/numbers.md, "BitNet's other forms"). For
 *   studies: a model that was not trained that way says something else. %NULL: as the file says
 * @reserved: 0
 *
 * What to open, and how. tern_model_params_init() or TERN_MODEL_PARAMS_INIT fills in the defaults.
 *
 * Since: 0.1
 */
typedef struct {
  const char *model_path;
  const char *mmproj_path;
  TernModelParts parts;
  guint threads;
  guint context;
  gboolean float_activations;
  gboolean yielding;
  const char *activations;
  gpointer reserved[7];
} TernModelParams;

/**
 * tern_model_params_init:
 * @params: (out caller-allocates): what to fill in
 *
 * Fills in the defaults: both parts of the bundled model, on all cores. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_model_params_init (TernModelParams *params);

/**
 * TERN_MODEL_PARAMS_INIT: (skip)
 *
 * The same for a variable of C.
 *
 * Since: 0.1
 */
#ifndef __cplusplus
#define TERN_MODEL_PARAMS_INIT { .parts = TERN_MODEL_FULL }
#endif

/**
 * tern_model_open:
 * @params: what to open; read during the call
 * @error: return location of an error, or %NULL
 *
 * Opens a model, or returns a further reference on the same one when this process holds one with equal paths and
 * options. The caller waits for the file to be read, which may take seconds.
 *
 * Errors: %TERN_ERROR_NOT_FOUND, %TERN_ERROR_READ, %TERN_ERROR_FORMAT, %TERN_ERROR_UNSUPPORTED (with both parts also
 *   when the vocabulary lacks the control tokens of the encoder's family), %TERN_ERROR_MISMATCH (the widths of text
 *   file and mmproj differ), %TERN_ERROR_INVALID, %TERN_ERROR_NO_SPACE.
 *
 * Returns: (transfer full) (nullable): the model; tern_model_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernModel *tern_model_open (const TernModelParams *params, GError **error);

/**
 * tern_model_ref:
 * @model: a model
 *
 * A further reference. Any thread.
 *
 * Returns: (transfer full): @model
 *
 * Since: 0.1
 */
TERN_API TernModel *tern_model_ref (TernModel *model);

/**
 * tern_model_unref:
 * @model: (transfer full) (nullable): a model, or %NULL
 *
 * Gives a reference back; sessions and encoders hold their own. Any thread; the last one waits for the engine thread to
 * end.
 *
 * Since: 0.1
 */
TERN_API void tern_model_unref (TernModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernModel, tern_model_unref)

/**
 * tern_model_name:
 * @model: a model
 *
 * Its name: general.name of the text file.
 *
 * Returns: (transfer none): the name, valid as long as @model; "" when the text part is not loaded
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_name (const TernModel *model);

/**
 * tern_model_path:
 * @model: a model
 *
 * The file that it was opened from: of the language model, or, without one, of the vision encoder.
 *
 * Returns: (transfer none): the path, valid as long as @model
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_path (const TernModel *model);

/**
 * tern_model_mmproj_path:
 * @model: a model
 *
 * The file of its vision encoder.
 *
 * Returns: (transfer none) (nullable): the path, valid as long as @model; %NULL: there is none
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_mmproj_path (const TernModel *model);

/**
 * tern_model_instruction_set:
 * @model: a model
 *
 * The instruction set that its products use, as TERN_CPU spells it: "avx512vnni".
 *
 * Returns: (transfer none): the name, valid for ever
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_instruction_set (const TernModel *model);

/**
 * tern_model_encoder_id:
 * @model: a model
 *
 * What identifies the vision encoder: 32 hex digits over header, tensor directory, sizes and sampled pages of the
 * mmproj file, and the preprocessing. Tokens go only to a generator with the same id.
 *
 * Returns: (transfer none) (nullable): the id, valid as long as @model; %NULL without an mmproj file
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_encoder_id (const TernModel *model);

/**
 * tern_model_embedding_dim:
 * @model: a model
 *
 * How wide a visual token's row is.
 *
 * Returns: floats of a visual token and of what stands behind it (tern_model_deepstack())
 *
 * Since: 0.1
 */
TERN_API guint tern_model_embedding_dim (const TernModel *model);

/**
 * tern_model_deepstack:
 * @model: a model
 *
 * How many features of the encoder's early layers a visual token's row has behind the token itself, each as wide as it
 * (DeepStack, Qwen3-VL). The language model's width is tern_model_embedding_dim() / (1 + this).
 *
 * Returns: features; 0 for most models
 *
 * Since: 0.1
 */
TERN_API guint tern_model_deepstack (const TernModel *model);

/**
 * tern_model_frame_tokens:
 * @model: a model
 *
 * How many visual tokens a video frame becomes, or two where tern_model_picture_frames() says so.
 *
 * Returns: visual tokens of one frame, at most; 0 when the vision part is not loaded
 *
 * Since: 0.1
 */
TERN_API guint tern_model_frame_tokens (const TernModel *model);

/**
 * tern_model_picture_frames:
 * @model: a model
 *
 * How many frames of a video that follow each other are one picture, with one set of visual tokens
 * (tern_encoder_run_pair()). Sessions that are given frames see to it themselves.
 *
 * Returns: 2 for Qwen3-VL and Qwen3.5, and for files that are told what moves, 1 for others; 0 when the vision part is not loaded
 *
 * Since: 0.1
 */
TERN_API guint tern_model_picture_frames (const TernModel *model);

/**
 * tern_model_looks_back:
 * @model: a model
 *
 * Whether the visual tokens of a video's picture say what changed since the frame that came directly before it, which
 * tern_encoder_run_frames() is given then. Sessions that are given frames see to it themselves: the frame before is the last one
 * that was looked at in the same stretch (tern_frame_step()), whether it was of the same window, had anything new, was dropped,
 * or not.
 *
 * Returns: %TRUE where it does; %FALSE when the vision part is not loaded
 *
 * Since: 0.1
 */
TERN_API gboolean tern_model_looks_back (const TernModel *model);

/**
 * tern_model_default_prompt:
 * @model: a model
 *
 * What a session asks when it is given no prompt: the text file's key `tern.default_prompt`, else a plain request.
 *
 * Returns: (transfer none): the prompt, valid as long as @model
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_default_prompt (const TernModel *model);

/**
 * TernPromptUse:
 * @TERN_PROMPT_READ: what it is asked decides what it says
 * @TERN_PROMPT_IGNORED: it describes what it is shown, whatever it is asked
 *
 * What a model makes of instructions: the text file's key `tern.prompt`, `read` or `ignored`; without it they are read. A
 * small captioner was not made for long ones: who asks it spares it them.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_PROMPT_READ,
  TERN_PROMPT_IGNORED,
} TernPromptUse;

/**
 * tern_model_prompt_use:
 * @model: a model
 *
 * What it makes of instructions.
 *
 * Returns: what its text file says
 *
 * Since: 0.1
 */
TERN_API TernPromptUse tern_model_prompt_use (const TernModel *model);

/**
 * tern_model_chat_template:
 * @model: a model
 *
 * The Jinja text of the chat template that its prompts are made with: `tokenizer.chat_template`, or, where a file has none, or
 * BitNet's converter's stopgap, what stands in its place (a warning says so).
 *
 * Returns: (transfer none): the text, valid as long as @model; "" when the text part is not loaded
 *
 * Since: 0.1
 */
TERN_API const char *tern_model_chat_template (const TernModel *model);

/**
 * tern_model_context:
 * @model: a model
 *
 * How much the language model was made to read at once.
 *
 * Returns: tokens; 0 when the text part is not loaded
 *
 * Since: 0.1
 */
TERN_API guint tern_model_context (const TernModel *model);

/**
 * TernTask:
 * @name: a-z, 0-9, - and _
 * @prompt: what is asked, UTF-8
 * @labels: (nullable) (array zero-terminated=1): the closed set of answers; %NULL: none
 * @json_schema: (nullable): the JSON Schema of answers; %NULL: none
 * @reserved: 0
 *
 * A question that a model file carries: keys `tern.task.NAME.prompt`, `.labels` and `.schema`. Owned by the model.
 *
 * Since: 0.1
 */
typedef struct {
  const char *name;
  const char *prompt;
  const char *const *labels;
  const char *json_schema;
  gpointer reserved[4];
} TernTask;

/**
 * tern_model_tasks:
 * @model: a model
 * @n: (out): how many
 *
 * The questions that its text file carries.
 *
 * Returns: (transfer none) (array length=n): the tasks, by name, valid as long as @model; none when the text part is not
 *   loaded
 *
 * Since: 0.1
 */
TERN_API const TernTask *tern_model_tasks (const TernModel *model, guint *n);

/**
 * tern_model_task:
 * @model: a model
 * @name: of a task
 *
 * One of tern_model_tasks().
 *
 * Returns: (transfer none) (nullable): the task, valid as long as @model; %NULL: there is none of this name
 *
 * Since: 0.1
 */
TERN_API const TernTask *tern_model_task (const TernModel *model, const char *name);

G_END_DECLS
