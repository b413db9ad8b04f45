# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the tasks' code; selftest.py runs them."""

import os
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

import clips
import closed
import lexicon
import merging
import model as lm
import motion
import movement
import place
import questions
import replay
import rows
import tasks
import vit
import words


def shapes_are_told_by_tensors():
    for shape in lm.SHAPES.values():
        with torch.device("meta"):
            state = lm.Captioner(320, shape=shape).state_dict()
        assert lm.Shape.of(state) == shape, shape


def questions_follow_people():
    man, woman, person, dog, water = (
        next(n for n in lexicon.NOUNS if n.asked == a) for a in ("a man", "a woman", "a person", "a dog", "water"))
    said = [lexicon.words(c) for c in ("Two men in hats", "A guy with a beagle .", "A dog at the sea", "The ocean", "a man")]
    assert [lexicon.judge(n, said) for n in (man, woman, person, dog, water)] == [1, 0, 1, 1, 1]
    said = [lexicon.words(c) for c in ("A skier jumps", "A person in the snow", "An animal", "A man", "snow")]
    # One person alone says "man"; a skier may be a woman; an animal may be a dog; snow is no water.
    assert [lexicon.judge(n, said) for n in (man, woman, dog, water)] == [None, None, None, 0]

    groups = [["a man sits"] * 5, ["a woman sits"] * 5, ["a dog runs"] * 5, ["a man and a woman"] * 5, ["a red ball"] * 5] * 4
    drawn = questions.Questions(groups).draw(np.random.default_rng(1), hard=1.0)
    for noun in np.unique(drawn[:, 1]):
        truth = drawn[drawn[:, 1] == noun, 2]
        assert truth.sum() * 2 == len(truth)
    k = next(i for i, n in enumerate(lexicon.NOUNS) if n.asked == "a man")
    no = drawn[(drawn[:, 1] == k) & (drawn[:, 2] == 0), 0]
    assert {int(i) % 5 for i in no[:4]} and sum(int(i) % 5 == 1 for i in no) == 4, "all women come before dogs"


def _moved(pictures):
    """How far what is seen went from the first picture to the last, right and down, in pixels: the best of all shifts."""
    a, b = (p.mean(0).astype(np.float32) for p in (pictures[0], pictures[-1]))
    f = np.fft.fft2(a - a.mean()).conj() * np.fft.fft2(b - b.mean())
    y, x = np.unravel_index(np.fft.ifft2(f / np.abs(f)).real.argmax(), a.shape)
    return tuple(v - motion.SIZE if v > motion.SIZE // 2 else v for v in (x, y))


def clips_move_as_they_are_called():
    """What pixels do and what the label says are the same, and what is measured between frames says it too, backwards as well."""
    rng = np.random.default_rng(4)
    photograph = np.kron(rng.integers(0, 255, (3, 56, 56)), np.ones((4, 4))).astype(np.uint8)
    still = np.zeros((motion.RENDERED, 4), np.float32) + (112, 112, 120, 0)
    with tempfile.TemporaryDirectory() as work:
        for label, axis, sign in (("pan right", 0, -1), ("pan left", 0, 1), ("tilt up", 1, 1), ("tilt down", 1, -1)):
            views, _ = motion.views(motion.LABELS.index(label), np.random.default_rng(7))
            ideal = still.copy()
            ideal[:, :2] += np.linspace(0, 1, motion.RENDERED)[:, None] * 0.4 * (views[-1, :2] - views[0, :2])
            ideal[:, 1 - axis] = 112
            pictures = clips.seen_through(photograph, ideal)
            seen = _moved(pictures)
            assert seen[axis] * sign > 3, (label, seen)
            row = clips.looked_at(_Blind(), work, pictures[None, :: motion.STEP])
            np.save(os.path.join(work, "row.npy"), row)
            cached = clips.Cached(os.path.join(work, "row.npy"))
            for back, way in ((False, sign), (True, -sign)):
                _, moved = cached.look(0, back)
                for pair in range(tasks.PAIRS):
                    shift = moved[:, :, pair * movement.FEATURES + axis]
                    assert np.median(shift) * way > 0, (label, back, pair, np.median(shift))
            assert not cached.look(0, False, False)[1][0, :, : movement.FEATURES].any()
    views, scene = motion.views(motion.CUT, np.random.default_rng(3))
    assert scene[0] == 0 and scene[-1] == 1
    a, b = motion.Clip(3, np.arange(50), 1), motion.Clip(3, np.arange(50), 1)
    assert a.label == 3 and np.array_equal(a.views, b.views) and a.objects == b.objects
    cuts = [motion.Clip(8 * i + motion.CUT, np.arange(50), 1) for i in range(64)]
    for cut in cuts:
        seen = cut.scene[:: motion.STEP]
        assert cut.needs_lead(False) == (seen[1:].min() == 1 and seen[0] == 0)
        assert cut.needs_lead(True) == (seen[-1] == 1 and seen[:-1].max() == 0)
    assert any(cut.needs_lead(False) for cut in cuts) and any(cut.needs_lead(True) for cut in cuts)


class _Blind(torch.nn.Module):
    def forward(self, pictures):
        return torch.zeros(len(pictures), 196, vit.WIDTH)


def places_arrive():
    """Column and row stand behind the blocks as the position embedding put them there, whatever the picture shows."""
    torch.manual_seed(6)
    tower = vit.Tower(False, "tanh").eval()
    torch.nn.init.normal_(tower.position, std=0.02)
    images = torch.rand(4, 3, 224, 224) * 2 - 1
    channels, deviation = place.free_channels(tower, images)
    marked = place.mark(tower, images)
    assert (channels.t() @ channels - torch.eye(2)).abs().max() < 1e-4 and channels.sum(0).abs().max() < 1e-3
    marked.norm = torch.nn.Identity()
    with torch.no_grad():
        for scale in (1.0, -0.3):
            found = marked(images * scale) @ channels
            assert (found - place.STRENGTH * deviation * place.grid()).abs().max() < 1e-3, scale


def own_questions_equal_the_prompt(tokenizer):
    """Answers behind one prefix, each with its own question, get the logits that the whole prompt gives."""
    torch.manual_seed(5)
    model = lm.Captioner(len(tokenizer.get_vocab()), plain=True).eval()
    kept = merging.kept_counts(4, 0.7)
    visual = torch.randn(1, sum(kept), 256)
    answer = words.encode(tokenizer, "a dog") + [words.EOS]
    asked = ("what is it?", "", "what is this?")
    with torch.no_grad():
        shared = rows.Rows(rows.Layout(tokenizer, None, kept), [[rows.asked(tokenizer, q, answer) for q in asked]])
        together = model(visual[0], shared).split(len(answer))
        for question, logits in zip(asked, together):
            alone = rows.Rows(rows.Layout(tokenizer, question, kept), [[answer]])
            assert (model(visual[0], alone) - logits).abs().max() < 1e-4, question


def drawn_tokens_are_as_many():
    """Tokens from anywhere: as many in all as DyCoke keeps, each frame's its own, in order."""
    rng = np.random.default_rng(3)
    for ratio in (0.2, 0.7, 1.0):
        kept = merging.any_counts(8, ratio, rng)
        assert sum(kept) == sum(merging.kept_counts(8, ratio)) and min(kept) >= 1, kept
        places = merging.any_choice(3, kept, rng)
        assert bool((places[:, 1:] > places[:, :-1]).all()) and not torch.equal(places[0], places[1])
        assert torch.equal(torch.bincount(places[2] // lm.TOKENS, minlength=8), torch.tensor(kept))
        tokens = torch.arange(8 * 49.0).view(1, 8, 49, 1)
        assert torch.equal(merging.merge(tokens, kept, places[:1]).flatten().long(), places[0])


def zipped_tokens_are_the_product_s():
    """Against the words of compress/visionzip.c, token by token; and gradients reach every token of a mean."""
    torch.manual_seed(8)
    tokens = torch.randn(2, 4, 49, 16, requires_grad=True)
    kept = merging.equal_counts(4, 0.9)
    assert kept == (16, 15, 15, 15)
    out, at = merging.zipped(tokens, kept), 0
    for f, k in enumerate(kept):
        x = tokens[1, f].detach().double()
        attended = torch.stack([(x @ q / 4).softmax(0) for q in x]).sum(0)
        best = sorted(range(49), key=lambda i: (-float(attended[i]), i))[: k - 2]
        others = [i for i in range(49) if i not in best]
        targets, like = others[0], others[len(others) // 2]
        groups = {targets: [], like: []}
        for i in others:
            near = max((targets, like), key=lambda t: (i == t, float(F.cosine_similarity(x[i], x[t], dim=0))))
            groups[near].append(i)
        expected = {i: x[i] for i in best} | {t: x[g].mean(0) for t, g in groups.items()}
        found = out[1, at : at + k].detach().double()
        assert torch.allclose(found, torch.stack([expected[i] for i in sorted(expected)]), atol=1e-5), f
        at += k
    out.sum().backward()
    assert bool((tokens.grad.abs().sum(-1) > 0).all())


def losses_and_scores(tokenizer):
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [4.0, 0.0]])
    truth = torch.tensor([0, 1, 0, 1])
    sure = torch.tensor([2.0, 2.0, 2.0, 4.0]).sigmoid()
    scores = logits.softmax(1)
    assert torch.allclose(scores.max(1).values, sure)
    assert abs(closed.calibration(scores, truth) - float(0.75 * (1 - sure[0]) + 0.25 * sure[3])) < 1e-6
    told = torch.tensor([[0.0, 0.0]] * 50 + [[3.0, 0.0]] * 50)
    right = torch.tensor([0, 1] * 25 + [0] * 40 + [1] * 10)
    t = closed.temperature(told, right)
    assert abs(float(torch.tensor(3.0 / t).sigmoid()) - 0.8) < 0.02, t

    said = words.encode(tokenizer, "a dog") + [words.EOS]
    n = len(said)
    ids = torch.stack((torch.tensor(said), torch.zeros(n, dtype=torch.long)), 1)
    soft = (ids, torch.tensor([[0.75, 0.25]] * n))
    group = [tasks.Answer(tokenizer, "x", said, soft), tasks.Answer(tokenizer, "y", said)]
    batch = rows.Rows(rows.Layout(tokenizer, None, (49,)), [[a.rows for a in group]])
    logits = torch.full((2 * n, len(tokenizer.get_vocab())), -30.0)
    for i, token in enumerate(said + said):
        logits[i, token], logits[i, 0] = float(np.log(0.75)), float(np.log(0.25))
    loss, parts = tasks.loss_of(logits, batch, [group])
    assert abs(parts["replay"]) < 1e-4 and abs(parts["answer"] + n * np.log(0.75)) < 1e-4, parts
    assert abs(float(loss) - sum(parts.values())) < 1e-5


def replay_leans_to_people():
    """Token 20 is a quarter of what is said and an eighth of what people say, 22 the other way round; 30 is said by neither."""
    own, people = [[20, 20, 21, 21], [21, 21, 22, 21]] * 100, [[20, 21, 21, 21], [21, 21, 22, 22]] * 500
    lean = replay.leaning(own, people, 40, replay.SAID_LEAN)
    share = replay.SAID_LEAN.share
    assert abs(float(lean[20]) + share * np.log(2)) < 1e-3 and abs(float(lean[22]) - share * np.log(2)) < 1e-2, lean
    assert float(lean[30]) == 0 and float(lean[words.EOS]) == np.float32(-replay.SAID_LEAN.longer)
    model = lm.Captioner(40)
    x = torch.randn(3, model.shape.width)
    plain = model.head(x)
    model.lean = lean
    assert torch.allclose(model.head(x), plain + lean) and not any("lean" in k for k in model.state_dict())


def statements_tell_pictures_apart():
    """Of two pictures, which differ in one thing or in all, each statement is true of one, and as often of the first as of the
    other."""
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "watcher"))
    import shapes
    import statements

    rng, firsts = np.random.default_rng(4), []
    for _ in range(200):
        stack = rng.random() < 0.5
        a = (shapes.towers if stack else shapes.scattered)(rng)
        b = shapes.changed(a, rng)
        same = [[o for o in x if o in y] for x, y in zip(a, b)]
        apart = sum(map(len, a)) + sum(map(len, b)) - 2 * sum(map(len, same))
        assert apart <= 4 and shapes.are_towers(b) == stack, (a, b)     # two things that changed places, at most
        told, contrary = statements.between(rng, a, b, stack, 4)
        assert [(t, not v) for t, v in told] == contrary
        assert [v for _, v in told] == [True, False, True, False][: len(told)]
        firsts += [v for _, v in told]
    assert len(firsts) > 400, len(firsts)
    three = [[dict(type="square", color=c, size=20, x_loc=40, y_loc=80 - 21 * i) for i, c in enumerate(t)]
             for t in (["black", "blue"], ["yellow"], ["blue", "blue", "yellow", "blue"])]
    assert statements._run([o["color"] for o in three[2]], "blue") == 2
    assert statements._above("yellow", "blue")(["black", "blue", "yellow"])
    assert shapes._contents(three[2]) == "three blue squares, one yellow square"


def what_moves_gets_room():
    """Wider layers say at first what the narrow ones did."""
    narrow, x = movement.Motion(32, 2, 8), torch.rand(5, 2 * movement.FEATURES)
    wide = narrow.widened(24)
    assert wide.up.out_features == 24 and torch.allclose(wide(x), narrow(x), atol=1e-6)


def scenes_show_what_they_are_called():
    """What pictures are said to show agrees with the event, for something that enters, leaves, passes, stops or starts."""
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "watcher"))
    import events
    import scene

    class Stuff:
        """A square of one colour before a grey wall."""

        def background(self, rng):
            return np.full((432, 768, 3), 128, np.uint8)

        def thing(self, rng):
            return np.full((96, 96, 4), 255, np.uint8)

    for event in events.EVENTS[:7]:
        for seed in range(12):
            rng = np.random.default_rng((seed, 5))
            first, _, truth, lead = events.clip(Stuff(), rng, (128, 96), 4, 4.0, event, seed % 2 == 0)
            cells, states = truth["shown"]
            assert cells.shape == (4, 12, events.CELLS) and states.shape == (4, events.STATES) and len(first) == 4
            begins, there, ends = bool(states[0, 4]), bool(states[:, :2].any()), bool(states[-1, 1])
            if event == "nothing":
                assert not (there or states.any() or cells.any())
                continue
            assert there and states[:, 2:4].any(), (event, states)
            assert truth["movers"] > 1 or truth["event"] not in ("enters", "passes") or not begins, (event, states)
            assert truth["event"] not in ("moves", "stops", "starts") or begins and ends, (event, states)
    arm = events.arm(np.random.default_rng(1), "left")
    assert arm.shape[1] > arm.shape[0] and arm[arm.shape[0] // 2, -8:, 3].max() > 128, \
        "the hand of an arm from the left is at its right"
    assert scene.Mover(arm, None, 10.0).width() == 10.0 * arm.shape[1] / arm.shape[0]


def run(tokenizer):
    shapes_are_told_by_tensors()
    what_moves_gets_room()
    scenes_show_what_they_are_called()
    statements_tell_pictures_apart()
    questions_follow_people()
    clips_move_as_they_are_called()
    places_arrive()
    own_questions_equal_the_prompt(tokenizer)
    drawn_tokens_are_as_many()
    zipped_tokens_are_the_product_s()
    losses_and_scores(tokenizer)
    replay_leans_to_people()
