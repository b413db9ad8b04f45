# SPDX-License-Identifier: LGPL-2.1-or-later
"""The chat that the captioner is trained on: what stands before and after the picture."""

import motion

# The product's default is the first. Lower and sentence case, stills and videos, and none at all: a model
# this small obeys no instruction, it has to meet the wordings that people will use.
INSTRUCTIONS = [
    "Describe what happens.",
    "describe what happens.",
    "Describe the video.",
    "describe the video",
    "Describe this video.",
    "Describe the image.",
    "describe the image",
    "Describe this image.",
    "Describe the scene.",
    "Describe what you see.",
    "Describe the picture in one sentence.",
    "Caption this image.",
    "Caption the video.",
    "Write a caption.",
    "Write a short caption for this video.",
    "What is happening?",
    "what is happening?",
    "What happens in the video?",
    "What do you see?",
    "What is in this picture?",
    "",
]

# Questions that the model file carries under names: NAME -> (prompt, labels; no labels: a caption).
TASKS = {
    "aerial": ("Describe the aerial photograph.", None),
    "camera-motion": ("How does the camera move?", motion.LABELS),
    "change": ("Does anything change?", ("yes", "no")),
}

BEGIN, USER = "<|startoftext|>", "<|im_start|>user\n"
FRAME_BEGIN, FRAME_END = "<|image_start|>", "<|image_end|>"
TURN_END, ASSISTANT = "<|im_end|>", "<|im_end|>\n<|im_start|>assistant\n"

# The LFM2-VL conversation format; no newline around a picture.
CHAT_TEMPLATE = """\
{{- bos_token -}}
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<image>' -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
