# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py actions`: an action model on recorded episodes: how far its chunks are from what the robot was made to do.

usage: run.py actions [--files FOLDER] --action-model GGUF [--episodes N,N,...] [--every SECONDS] ... [-- OPTIONS OF tern act]

FOLDER is a LeRobot one (episodes.py). Without --action-model only the baselines are shown. A decision every SECONDS (a
chunk's length); the action of row r is what is done at r / fps, and a chunk's step k, decided at row r, is held against row
r + k. Baselines: the last action (row r - 1) again; a line through the last two; the state of row r again.
- mean absolute error over all numbers of a step, in their units (radians), by step and over the first 0.5 s;
- jerk: mean absolute third difference of what would be played, chunk after chunk without blending (the element's
  action-overlap blends), times fps^3; and at the seams alone, where a chunk follows another;
- the head's share of a decision, by `tern act --metrics`.
This is open loop: states and pictures are the episode's, whatever was decided before. An error that grows because the robot
went elsewhere is not seen; a policy that copies its state looks better than it drives. Intervals are over episodes.
"""
import os
import tempfile

import episodes
import intervals
import tables
from report import Report

SPAN = .5                       # seconds over which errors are averaged


def arguments(parser):
    parser.add_argument("--action-model", help="GGUF of the action model; without it only the baselines are shown")
    parser.add_argument("--episodes", help="numbers of episodes, with commas (all; --limit takes the last N)")
    parser.add_argument("--every", type=float, help="seconds from a decision to the next (a chunk's length; .5 without a model)")


def chosen(options):
    there = episodes.numbers(options.files)
    if not options.episodes:
        return there[-options.limit:] if options.limit else there
    try:
        return [int(n) for n in options.episodes.split(",")]
    except ValueError:
        raise tables.Wrong(f"--episodes: expected numbers with commas, found \"{tables.shown(options.episodes)}\"") from None


def decided(tern, options, episode, folder):
    """([(row, chunk)], [(head ms, whole ms)]) of one episode."""
    import numpy as np

    states = os.path.join(folder, "states.npy")
    np.save(states, episode.states)
    rate = f"{round(episode.rate * 1000)}/1000"
    lines = tern.run(folder, ["act", "--metrics", "--action-model", os.path.abspath(options.action_model), *tern.arguments(),
                              "--instruction", episode.instruction, "--states", states, "--state-rate", rate,
                              *(["--every", str(options.every)] if options.every else []), *options.extra,
                              os.path.abspath(episode.video)])
    chunks, times = [], []
    for line in lines:
        if line["kind"] == "error":
            continue
        if abs(line["action_rate"] - episode.rate) > 1e-6 or len(line["actions"]) % line["action_steps"]:
            raise tables.Wrong(f"{options.action_model}: expected {episode.rate:g} steps a second as the episodes have, "
                               f"found {line['action_rate']:g}")
        chunk = np.array(line["actions"]).reshape(line["action_steps"], -1)
        if chunk.shape[1] != episode.actions.shape[1]:
            raise tables.Wrong(f"{options.action_model}: expected {episode.actions.shape[1]} numbers a step as the episodes "
                               f"have, found {chunk.shape[1]}")
        chunks.append((round(line["timestamp_seconds"] * episode.rate), chunk))
        times.append((line["metrics"]["decode_duration"], line["metrics"]["total_duration"]))
    return chunks, times


def baselines(actions, states, row, steps):
    """{name: chunk} from what is known at `row`."""
    import numpy as np

    ahead = np.arange(1, steps + 1)[:, None]
    last, before = actions[row - 1], actions[row - 2]
    out = {"the last action again": np.repeat(last[None], steps, 0), "a line through the last two": last + (last - before) * ahead}
    if states.shape[1] == actions.shape[1]:
        out["the state again"] = np.repeat(states[row][None], steps, 0)
    return out


def errors(actions, row, chunk):
    """Mean absolute error of each step of a chunk that the episode still has."""
    import numpy as np

    true = actions[row:row + len(chunk)]
    return np.abs(true - chunk[:len(true)]).mean(1)


def played(chunks, total):
    """([steps, dims], rows where a chunk begins) of chunks that are played one after the other."""
    import numpy as np

    parts, seams = [], []
    for (row, chunk), following in zip(chunks, [r for r, _ in chunks[1:]] + [total]):
        part = chunk[:max(0, following - row)]
        if len(part) < following - row and following != total:
            part = np.concatenate([part, np.repeat(chunk[-1:], following - row - len(part), 0)])    # holds until the next
        seams.append(sum(map(len, parts)))
        parts.append(part)
    return np.concatenate(parts), seams[1:]


def jerk(path, rate, seams=None):
    """Mean absolute third difference times rate^3; with `seams` of those differences that cross one."""
    import numpy as np

    third = np.abs(np.diff(path, 3, axis=0)).mean(1) * rate ** 3
    if seams is not None:
        at = sorted({i for s in seams for i in range(s - 3, s) if 0 <= i < len(third)})
        third = third[at]
    return float(third.mean()) if len(third) else None


def main(options):
    import numpy as np

    numbers = chosen(options)
    tern = options.program() if options.action_model else None
    found, times, rollouts, rate = {}, [], [], None
    with tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        for episode in episodes.read(options.files, numbers):
            rate = episode.rate
            if tern:
                chunks, spent = decided(tern, options, episode, folder)
                times += spent
            else:
                every = max(1, round((options.every or SPAN) * rate))
                chunks = [(r, np.zeros((round(SPAN * rate), 0))) for r in range(0, len(episode.actions), every)]
            mine = {}
            for row, chunk in chunks:
                if not 2 <= row < len(episode.actions):
                    continue    # no two actions before it, or behind the recording
                each = baselines(episode.actions, episode.states, row, len(chunk))
                for name, guess in {**({"this model": chunk} if tern else {}), **each}.items():
                    mine.setdefault(name, []).append(errors(episode.actions, row, guess))
            for name, list_ in mine.items():
                found.setdefault(name, []).append(list_)
            if tern and chunks:
                rollouts.append((episode, *played(chunks, len(episode.actions))))
    if not found:
        raise tables.Wrong(f"{options.files}: expected episodes of more than two rows behind the first decision, found none")
    report = Report("actions", {"episodes": f"{len(numbers)}", "decisions": f"{sum(map(len, next(iter(found.values()))))}",
                                "rows a second": f"{rate:g}", **options.about()},
                    {**tern.origin(), **action_origin(options)} if tern else {})
    report.table("Mean absolute error, with 95 % intervals over episodes", *error_table(found, rate))
    if rollouts:
        report.table("Played open loop", ["", "error", "jerk", "jerk where chunks meet"], rollout_table(rollouts))
        head, whole = (np.array(t) for t in zip(*times))
        report.table("A decision's time, median (of this machine: no part of the score)", ["head, ms", "whole, ms", "head's share"],
                     [[float(np.median(head)), float(np.median(whole)), float(np.median(head) / max(1e-9, np.median(whole)))]])
    return report, tern


def action_origin(options):
    from program import digest

    return {os.path.basename(options.action_model): digest(options.action_model)}


def error_table(found, rate):
    """(columns, rows): over the first half second, against the last action, and by step."""
    steps = max(len(e) for lists in found.values() for e in lists[0])
    span = min(steps, round(SPAN * rate))
    shown = sorted({k for k in (1, *(round(s * rate) for s in (.1, .2, .3, .4, .5, 1)), steps) if k <= steps})
    last = [sum(e[:span].sum() for e in lists) / sum(len(e[:span]) for e in lists) for lists in found["the last action again"]]
    rows = []
    for name in sorted(found, key=lambda n: n != "this model"):
        each = [sum(e[:span].sum() for e in lists) / sum(len(e[:span]) for e in lists) for lists in found[name]]
        by = [[float(e[k - 1]) for lists in found[name] for e in lists if len(e) >= k] for k in shown]
        rows.append([name, intervals.mean([float(v) for v in each]), float(sum(each) / sum(last)),
                     *(sum(b) / len(b) if b else None for b in by)])
    return ["chunk", f"over {span / rate:.2g} s", "of the last action's", *(f"step {k} ({k / rate:.2f} s)" for k in shown)], rows


def rollout_table(rollouts):
    import numpy as np

    def over(values):
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if known else None

    first = [episode.actions[:len(path)] for episode, path, _ in rollouts]
    return [["this model", over([float(np.abs(t - p[:len(t)]).mean()) for t, (_, p, _) in zip(first, rollouts)]),
             over([jerk(p, e.rate) for e, p, _ in rollouts]), over([jerk(p, e.rate, s) for e, p, s in rollouts])],
            ["what was recorded", 0., over([jerk(t, e.rate) for t, (e, _, _) in zip(first, rollouts)]),
             over([jerk(t, e.rate, s) for t, (e, _, s) in zip(first, rollouts)])]]
