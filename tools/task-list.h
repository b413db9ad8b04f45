/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tasks of a model file, as text and as JSON. */
#pragma once

#include "engine/base/json.h"
#include "tern/tasks.h"

G_BEGIN_DECLS

/* On stdout: a line with name and prompt each, and one with the form of the answer where there is one. */
void tern_tasks_print (const TernTasks *tasks);
/* An array of objects: name, prompt, and labels (an array) or schema (the text). */
void tern_tasks_to_json (const TernTasks *tasks, TernJson *json);

G_END_DECLS
