# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py events`: what happens when, of a model that is asked window after window.

usage: run.py events --files FOLDER --tsv TSV [--task event | --labels A,B,... --prompt T] [--tolerance SECONDS]
                     [--quiet LABEL]... ... [-- OPTIONS]

TSV has `file<TAB>start<TAB>end<TAB>label`, seconds from the clip's beginning. A clip in which nothing happens has one line
with a quiet label: `file<TAB>0<TAB>0<TAB>nothing`. Quiet labels are those of --quiet (nothing, nothing new, none).

- What the model says: an answer a window (`-- --window 4`). Windows that follow each other with the same label, none of them
  quiet or abstained from, are one event, from the first one's start to the last one's end; but where a label goes on from
  windows that touch a true event into windows that touch none, that is another event.
- A true event is found when one that was said has its label and overlaps it, widened by the tolerance on both sides
  (default 2 s: half a default window). Each serves once, in the order of time. Recall: found among true events; precision:
  those that found one among those that were said.
- False alarm: one that was said and touches no true event, whatever its label, widened as above. An hour of quiet time is
  what the clips have outside of widened true events; the share of it that is in alarm tells one that never ends. One that was
  said of an event that is there, with another label, is no false alarm but a confusion: it lacks in recall and in precision.
Intervals are over clips.
"""
import dataclasses

import asking
import files
import intervals
import tables
from report import Report

QUIET = ("nothing", "nothing new", "none")


def arguments(parser):
    parser.add_argument("--task", help="task of the model file (event, unless --labels are given)")
    parser.add_argument("--labels", help="labels to choose from, instead of a task's")
    parser.add_argument("--prompt", help="the question beside --labels")
    parser.add_argument("--tolerance", type=float, default=2., help="seconds (2)")
    parser.add_argument("--quiet", action="append", help=f"label that is no event; several are allowed ({', '.join(QUIET)})")


@dataclasses.dataclass
class Event:
    start: float
    end: float
    label: str


@dataclasses.dataclass
class Clip:
    """What happened in a clip, the windows of which something was said, and how they go together."""
    seconds: float
    true: list
    windows: list
    tolerance: float

    def __post_init__(self):
        self.true, windows = (sorted(e, key=lambda e: (e.start, e.end)) for e in (self.true, self.windows))
        self.said, self.alarms, self.found, taken = [], [], [], set()
        for window in windows:
            kind = self.said if self.touches(window) else self.alarms
            if kind and kind[-1].label == window.label and window.start <= kind[-1].end + 1e-6:
                kind[-1].end = max(kind[-1].end, window.end)
            else:
                kind.append(dataclasses.replace(window))
        for event in self.true:
            for i, one in enumerate(self.said):
                if i not in taken and one.label == event.label and self.touch(event, one):
                    taken.add(i)
                    self.found.append(event)
                    break
        self.right = len(taken)
        self.said += self.alarms

    def touches(self, one):
        return any(self.touch(event, one) for event in self.true)

    def touch(self, event, one):
        return one.start < event.end + self.tolerance and one.end > event.start - self.tolerance

    def quiet(self):
        """Seconds outside of widened true events."""
        busy, at = 0., 0.
        for event in self.true:
            start, end = max(at, event.start - self.tolerance), min(self.seconds, event.end + self.tolerance)
            busy += max(0., end - start)
            at = max(at, end)
        return max(0., self.seconds - busy)


def share(part, whole):
    return part / whole if whole else None


def recall(clips):
    return share(sum(len(c.found) for c in clips), sum(len(c.true) for c in clips))


def precision(clips):
    return share(sum(c.right for c in clips), sum(len(c.said) for c in clips))


def alarms(clips):
    return share(3600 * sum(len(c.alarms) for c in clips), sum(c.quiet() for c in clips))


def in_alarm(clips):
    return share(sum(a.end - a.start for c in clips for a in c.alarms), sum(c.quiet() for c in clips))


def windows(results, quiet):
    """Those of a clip's windows of which something was said."""
    return [Event(r["start"], r["end"], r["result"]) for r in results if not r.get("abstained") and r["result"] not in quiet]


def read(path, quiet):
    """{file: [Event]}"""
    out = {}
    for name, start, end, label in tables.rows(path, ("file", "start", "end", "label")):
        where = f"{path}, {tables.shown(name)}"
        start, end = tables.seconds(start, where, "start"), tables.seconds(end, where, "end")
        if end < start:
            raise tables.Wrong(f"{where}: expected an end that is not before its start {start:g}, found {end:g}")
        out.setdefault(name, [])
        if label not in quiet:
            out[name].append(Event(start, end, label))
    return out


def measured(clips, function):
    value = function(clips)
    if value is None:
        return None
    ends = intervals.bootstrap(len(clips), lambda at: function([clips[i] for i in at]) or 0.) or (value, value)
    return [value, *ends]


def by_label(clips):
    rows = []
    for label in sorted({e.label for c in clips for e in [*c.true, *c.said]}):
        true = sum(e.label == label for c in clips for e in c.true)
        said = sum(e.label == label for c in clips for e in c.said)
        found = sum(e.label == label for c in clips for e in c.found)
        alarms = sum(e.label == label for c in clips for e in c.alarms)
        rows.append([label, true, said, found, share(found, true), share(found, said), alarms])
    return rows


def main(options):
    quiet = set(options.quiet or QUIET)
    truth = read(options.tsv, quiet)
    if options.tolerance < 0:
        raise tables.Wrong(f"--tolerance: expected seconds, 0 or more, found {options.tolerance:g}")
    if not options.labels:
        options.task = options.task or "event"
    names = sorted(truth)[: options.limit]
    tern = options.program()
    with files.opened(options.files) as where:
        results = tern.ask(where(names), *asking.form(options.task, options.labels, options.prompt))
    clips = [Clip(max((r["end"] for r in found), default=0.), truth[name], windows(found, quiet), options.tolerance)
             for name, found in zip(names, results)]
    report = Report("events", {"clips": f"{len(clips)}", "hours": f"{sum(c.seconds for c in clips) / 3600:.3f}",
                               "quiet hours": f"{sum(c.quiet() for c in clips) / 3600:.3f}",
                               "tolerance": f"{options.tolerance:g} s", "asked": options.task or options.labels,
                               **options.about()}, tern.origin())
    report.table("Events, with 95 % intervals over clips", ["true", "said", "recall", "precision", "false alarms an hour of quiet",
                                                                  "quiet time in alarm"],
                 [[sum(len(c.true) for c in clips), sum(len(c.said) for c in clips), measured(clips, recall),
                   measured(clips, precision), measured(clips, alarms), measured(clips, in_alarm)]])
    report.table("By label", ["label", "true", "said", "found", "recall", "precision", "false alarms"], by_label(clips))
    return report, tern
