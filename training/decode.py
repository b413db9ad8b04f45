# SPDX-License-Identifier: LGPL-2.1-or-later
"""Word by word with caches: greedy, beam and sampling, for a batch of photographs at once."""

import torch
import torch.nn.functional as F

import model as lm
import words


class State:
    """Keys and values of the attention layers, the last two inputs of the short convolutions."""

    def __init__(self, layers, length):
        self.layers, self.length = layers, length

    def pick(self, index):
        return State([tuple(t.index_select(0, index) for t in layer) for layer in self.layers], self.length)


def _attend(q, k, v, causal):
    b, n = q.shape[:2]
    group = q.shape[2] // k.shape[2]
    if n == 1:
        # One word: the query heads that share keys are so many queries, and nothing needs to be repeated.
        q = q.view(b, k.shape[2], group, lm.HEAD)
        return F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2))
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2)


def _run(model, x, state):
    """x [B, n, width] after what `state` holds (nothing: None). Returns the last rows' logits and the new state."""
    b, n, width = x.shape
    first = state.length if state else 0
    cos, sin = lm.angles(torch.arange(first, first + n).repeat(b))
    out = []
    x = x.reshape(b * n, width)
    for i, layer in enumerate(model.layers):
        h = lm.rms(x, layer.norm1)
        if layer.attends:
            q, k, v = (t.view(b, n, -1, lm.HEAD) for t in layer.mix.look(h, cos, sin))
            if state:
                k, v = torch.cat((state.layers[i][0], k), 1), torch.cat((state.layers[i][1], v), 1)
            y = layer.mix.out(_attend(q, k, v, state is None).reshape(b * n, -1))
            out.append((k, v))
        else:
            gate, c, u = layer.mix.inward(h).chunk(3, -1)
            z = (gate * u).view(b, n, -1)
            z = torch.cat((state.layers[i][0] if state else z.new_zeros(b, 2, z.shape[-1]), z), 1)
            taps = layer.mix.taps
            mixed = taps[0] * z[:, :-2] + taps[1] * z[:, 1:-1] + taps[2] * z[:, 2:]
            y = layer.mix.out(c * mixed.reshape(b * n, -1))
            out.append((z[:, -2:],))
        x = x + y
        x = x + layer.ffn(x)
    return model.head(x.view(b, n, width)[:, -1]), State(out, first + n)


def prefill(model, visual, plan):
    """visual [B, kept tokens, width] -> logits of the first word, state. The model's matrices should be frozen."""
    ids = torch.tensor(list(plan.ids) + [plan.newline])
    x = F.embedding(ids, model.embedding).repeat(visual.shape[0], 1, 1)
    x[:, torch.from_numpy(plan.visual)] = visual
    return _run(model, x, None)


def step(model, ids, state):
    return _run(model, F.embedding(ids[:, None], model.embedding), state)


@torch.inference_mode()
def greedy(model, visual, plan, longest=32):
    logits, state = prefill(model, visual, plan)
    out = [[] for _ in range(visual.shape[0])]
    alive = torch.ones(len(out), dtype=torch.bool)
    for _ in range(longest):
        ids = logits.argmax(-1)
        alive &= ids != words.EOS
        if not alive.any():
            break
        for i in alive.nonzero().flatten().tolist():
            out[i].append(int(ids[i]))
        logits, state = step(model, ids, state)
    return out


@torch.inference_mode()
def sample(model, visual, plan, copies, longest, generator):
    """`copies` samples a photograph, temperature 1, nothing cut off. Lists of tokens, with EOS where it came."""
    logits, state = prefill(model, visual, plan)
    index = torch.arange(visual.shape[0]).repeat_interleave(copies)
    logits, state = logits[index], state.pick(index)
    out = [[] for _ in index]
    row = torch.arange(len(out))  # whose logits these are; finished ones leave from time to time
    for _ in range(longest):
        # One uniform number a row, looked up in the running sum: torch's own sampler draws one per word.
        reach = logits.softmax(-1).cumsum(-1)
        ids = torch.searchsorted(reach, torch.rand(len(row), 1, generator=generator) * reach[:, -1:])[:, 0]
        ids.clamp_(max=logits.shape[-1] - 1)
        for i, token in zip(row.tolist(), ids.tolist()):
            if not out[i] or out[i][-1] != words.EOS:
                out[i].append(token)
        alive = torch.tensor([out[i][-1] != words.EOS for i in row.tolist()])
        if not alive.any():
            break
        if alive.sum() < 0.8 * len(row):
            keep = alive.nonzero().flatten()
            row, ids, state = row[keep], ids[keep], state.pick(keep)
        logits, state = step(model, ids, state)
    return out


@torch.inference_mode()
def beam(model, visual, plan, width=3, longest=32, power=0.7):
    """Sum of log p over length^power, for photographs one after the other."""
    out = []
    for one in visual:
        logits, state = prefill(model, one[None], plan)
        live, done = [(0.0, [])], []
        for length in range(1, longest + 1):
            scores = torch.tensor([s for s, _ in live])[:, None] + logits.log_softmax(-1)
            best, where = scores.flatten().topk(2 * width)
            live_next, rows, ids = [], [], []
            for score, at in zip(best.tolist(), where.tolist()):
                row, token = divmod(at, logits.shape[-1])
                if token == words.EOS:
                    done.append((score / length**power, live[row][1]))
                elif len(live_next) < width:
                    live_next.append((score, live[row][1] + [token]))
                    rows.append(row)
                    ids.append(token)
            live = live_next
            # A longer one can only win while its score so far, over the longest length, beats the finished ones.
            if len(done) >= width and max(d[0] for d in done) >= live[0][0] / longest**power:
                break
            logits, state = step(model, torch.tensor(ids), state.pick(torch.tensor(rows)))
        done += [(s / longest**power, t) for s, t in live]
        out.append(max(done)[1])
    return out
