# SPDX-License-Identifier: LGPL-2.1-or-later
"""Closed answers as the product scores them, and how good and how sure they are on what was held out."""

import numpy as np
import torch

import rows
import words


@torch.inference_mode()
def logprobs(model, tokenizer, visual, plan, prompts, labels, batch=16):
    """visual [N, kept, width], prompts[i]: questions about i. Of each question in turn, log p of each label: [Q, labels]."""
    said = [words.encode(tokenizer, label) for label in labels]
    out = []
    for first in range(0, len(visual), batch):
        groups = [[rows.asked(tokenizer, q, s) for q in asked for s in said] for asked in prompts[first : first + batch]]
        part = visual[first : first + len(groups)]
        keep = [i for i, g in enumerate(groups) if g]
        if not keep:
            continue
        batch_rows = rows.Rows(plan, [groups[i] for i in keep])
        log = model(part[keep].flatten(0, 1), batch_rows).log_softmax(-1).gather(1, batch_rows.targets[:, None])[:, 0]
        total = torch.zeros(int(batch_rows.owner[-1]) + 1).index_add_(0, batch_rows.owner, log)
        out.append(total.view(-1, len(labels)))
    return torch.cat(out)


def calibration(scores, truth, bins=10):
    """Expected calibration error of the likeliest label."""
    sure, best = scores.max(1)
    right = (best == truth).float()
    bin_ = (sure * bins).long().clamp_max(bins - 1)
    error = 0.0
    for b in range(bins):
        here = bin_ == b
        if here.any():
            error += here.float().mean() * (right[here].mean() - sure[here].mean()).abs()
    return float(error)


def temperature(logprob, truth):
    """What log p must be divided by so that the scores are as likely as they say (least cross-entropy)."""
    tried = torch.logspace(-0.5, 0.7, 61)
    losses = [torch.nn.functional.cross_entropy(logprob / t, truth) for t in tried]
    return float(tried[int(torch.stack(losses).argmin())])


def report(title, logprob, truth, labels, groups=None):
    """Prints accuracy, calibration and confusion (or the accuracy of each group); returns (accuracy, error, temperature)."""
    truth = torch.as_tensor(np.asarray(truth)).long()
    best = logprob.argmax(1)
    accuracy = float((best == truth).float().mean())
    error, fit = calibration(logprob.softmax(1), truth), temperature(logprob, truth)
    fitted = calibration((logprob / fit).softmax(1), truth)
    print(f"{title}: {len(truth)} questions, accuracy {accuracy:.4f}, calibration error {error:.4f}, "
          f"{fitted:.4f} at temperature {fit:.2f}", flush=True)
    if groups is None:
        table = torch.zeros(len(labels), len(labels), dtype=torch.long)
        table.index_put_((truth, best), torch.tensor(1), accumulate=True)
        width = max(map(len, labels))
        for i, label in enumerate(labels):
            print(f"  {label:>{width}} " + " ".join(f"{v:4d}" for v in table[i].tolist()))
    else:
        each = {g: float((best == truth)[[h == g for h in groups]].float().mean()) for g in dict.fromkeys(groups)}
        print("  " + ", ".join(f"{g} {v:.2f}" for g, v in each.items()))
        print(f"  mean over nouns {sum(each.values()) / len(each):.4f}")
    return accuracy, error, fit
