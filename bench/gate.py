#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the gate saves, and what it misses, on a camera that stands still.

  clip OUT.mp4          ten minutes of it at ten frames a second, in H.264 of few bits: noise, flicker, an exposure step every
                        45 seconds, and in one frame of a hundred something comes or goes: 60 events of 1 to 3 % of the picture.
                        What happens when goes to OUT.mp4.events. Needs numpy and ffmpeg
  models FOLDER         a tower of SigLIP-B's size (tower.gguf) and language models for it: small.gguf of the bundled one's order,
                        360m.gguf as SmolVLM2-500M has. Random weights. Needs numpy
  events CLIP.mp4       events missed, false alarms an hour, and how late events were seen: the gate of ternencoder over the fake
                        engine of tests/elements, looking twice a second, --gate, --threshold; max-silence=0. Needs python3-gi
  cpu CLIP.mp4 --model F --mmproj F
                        CPU seconds of `tern caption` with the gate off and as --gate says, one thread each. Off is taken from
                        --sample seconds of the clip and scaled to its length, loading apart. --common are options of both, --more
                        of that with the gate; of the latter seconds by the clock, too, of the tower, of reading and of saying, and
                        what was read and said
  same CLIP.mp4...      frames and windows of `tern caption` that the gate changed, off against auto, and the CPU seconds of both
                        in turn, --repeat times, the least counting

--build DIR (build). Run by hand, with the system's Python for `events`.
"""
import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile

FPS, RATE = 10, 2
EVENT_SECONDS = 2.1                     # within which an event counts as seen


# ---- The clip --------------------------------------------------------------------------------------------------------

def background(np, rng, width, height, picture):
    """A photograph, or noise of six octaves."""
    if picture:
        command = ["ffmpeg", "-v", "error", "-i", picture, "-vf", f"scale={width}:{height}", "-pix_fmt", "gray", "-f",
                   "rawvideo", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(raw[:width * height], np.uint8).reshape(height, width).astype(np.float32)
    total = np.zeros((height, width))
    for octave in range(1, 7):
        grid = rng.normal(0, 1, (2 ** octave + 1, 2 ** octave + 1))
        y, x = np.linspace(0, 2 ** octave - 1e-3, height), np.linspace(0, 2 ** octave - 1e-3, width)
        y0, x0 = y.astype(int), x.astype(int)
        fy, fx = (y - y0)[:, None], (x - x0)[None]
        rows = grid[y0] * (1 - fy) + grid[y0 + 1] * fy
        total += (rows[:, x0] * (1 - fx) + rows[:, x0 + 1] * fx) * 35 / octave
    return np.clip(total + 115, 20, 230).astype(np.float32)


def draw_events(rng, scene, o):
    """Times of events, a second apart at least, and objects: (first frame, frame after the last, y, x, pixels)."""
    height, width = scene.shape
    slots = sorted(rng.choice(range(5, o.seconds - 5), size=o.events, replace=False))
    frames = [int(s) * FPS + int(rng.integers(FPS)) for s in slots]
    for i in range(1, len(frames)):     # what is there for less than a look cannot be seen
        frames[i] = max(frames[i], frames[i - 1] + FPS)
    objects = []
    for i in range(0, len(frames), 2):
        area, aspect = width * height * rng.uniform(.01, .03), math.exp(rng.normal(0, .5))
        w = int(math.sqrt(area * aspect)) + 1
        h = int(area / w) + 1
        x, y = int(rng.integers(width - w)), int(rng.integers(height - h))
        below = scene[y:y + h, x:x + w]
        step = o.contrast if rng.random() < .5 else -o.contrast
        if not 20 < below.mean() + step < 235:
            step = -step
        end = frames[i + 1] if i + 1 < len(frames) else o.seconds * FPS
        objects.append((frames[i], end, y, x, below.mean() + step + .3 * (below - below.mean())))
    return frames, objects


def make_clip(o):
    import numpy as np

    rng = np.random.default_rng(o.seed)
    scene = background(np, rng, o.width, o.height, o.picture)
    frames, objects = draw_events(rng, scene, o)
    noise = [rng.normal(0, o.noise, scene.shape).astype(np.float32) for _ in range(8)]
    rate = f"{o.bitrate}k"
    encoder = subprocess.Popen(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s",
                                f"{o.width}x{o.height}", "-r", str(FPS), "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libx264",
                                "-preset", "veryfast", "-b:v", rate, "-maxrate", rate, "-bufsize", f"{2 * o.bitrate}k",
                                "-threads", "1", o.files[0]], stdin=subprocess.PIPE)
    gain = 1.0
    for i in range(o.seconds * FPS):
        frame = scene.copy()
        for first, end, y, x, pixels in objects:
            if first <= i < end:
                frame[y:y + pixels.shape[0], x:x + pixels.shape[1]] = pixels
        if i and i % (45 * FPS) == 0:
            gain = float(rng.choice([.85, .92, 1, 1.08, 1.15]))
        frame *= gain * (1 + o.flicker / 100 * math.sin(2 * math.pi * 1.37 * i / FPS))
        frame += np.roll(noise[rng.integers(8)], (int(rng.integers(o.height)), int(rng.integers(o.width))), (0, 1))
        encoder.stdin.write(np.clip(frame + .5, 0, 255).astype(np.uint8).tobytes())
    encoder.stdin.close()
    if encoder.wait():
        sys.exit("ffmpeg failed")
    with open(o.files[0] + ".events", "w") as file:
        json.dump([f / FPS for f in frames], file)
    print(f"{o.files[0]}: {os.path.getsize(o.files[0]) * 8 / o.seconds / 1000:.0f} kbit/s, {len(frames)} events")


# ---- The models ------------------------------------------------------------------------------------------------------

def make_models(o):
    import random_model

    folder = o.files[0]
    os.makedirs(folder, exist_ok=True)
    subprocess.run([f"{o.build}/tools/tern", "bench", "--shape", "siglip-b-512", "--repeat", "0", "--save",
                    f"{folder}/tower.gguf"], check=True, stdout=subprocess.DEVNULL)
    pre, special, *ids = random_model.SPECIAL["llama"]
    random_model.SPECIAL["llama"] = (pre, special + ("<fake_token_around_image>", "<global-img>", "<image>"), *ids)
    for name, layers, ffn, vocab in (("small", 1, 1536, 2048), ("360m", 32, 2560, 49280)):
        random_model.write(f"{folder}/{name}.gguf", random_model.SHAPES["smollm2-135m"] | {
            "name": "smollm2-135m", "width": 960, "heads": 15, "kv_heads": 5, "layers": layers, "ffn": ffn, "vocab": vocab,
            "type": "Q8_0", "embedding_type": "Q8_0", "untied": False}, 1)


# ---- Events ----------------------------------------------------------------------------------------------------------

def looks(o, clip):
    """(time, number of the picture) of every frame that is looked at."""
    import plugin

    gst = plugin.load(o.build, fake=True)
    pipeline = gst.parse_launch(
        f'filesrc location="{clip}" ! decodebin ! ternencoder name=e frame-rate={RATE}/1 gate={o.gate} '
        f"gate-threshold={o.threshold} max-silence=0 ! appsink name=s sync=false")
    sink, found = pipeline.get_by_name("s"), []
    pipeline.set_state(gst.State.PLAYING)
    while True:
        sample = sink.emit("pull-sample")
        if sample is None:
            break
        buffer = sample.get_buffer()
        found.append((buffer.pts / gst.SECOND, buffer.get_custom_meta("TernTokenMeta").get_structure().get_uint64("picture")[1]))
    error = pipeline.get_bus().pop_filtered(gst.MessageType.ERROR)
    pipeline.set_state(gst.State.NULL)
    if error:
        sys.exit(error.parse_error()[0].message)
    return found


def count_events(o):
    for clip in o.files:
        with open(clip + ".events") as file:
            events = json.load(file)
        seen = looks(o, clip)
        # Of auto: from where it leaves frames out; before, all are encoded.
        first = next((i for i in range(1, len(seen)) if seen[i][1] == seen[i - 1][1]), len(seen))
        alarms = [seen[i][0] for i in range(first, len(seen)) if seen[i][1] != seen[i - 1][1]]
        judged = [e for e in events if first < len(seen) and e >= seen[first][0]]
        late, used = [], set()
        for event in judged:
            hits = [a for a in alarms if event - .01 <= a <= event + EVENT_SECONDS]
            used.update(hits)
            late.append(min(hits) - event if hits else None)
        missed = [e for e, l in zip(judged, late) if l is None]
        false = [a for a in alarms if a not in used]
        hours = (seen[-1][0] - seen[min(first, len(seen) - 1)][0]) / 3600
        print(json.dumps({"clip": clip, "looks": len(seen), "encoded": len({p for _, p in seen}), "events": len(judged),
                          "missed": missed, "latest": round(max((l for l in late if l is not None), default=0), 2),
                          "false_alarms": false, "false_alarms_an_hour": round(len(false) / hours, 1) if hours else None}))


# ---- CPU -------------------------------------------------------------------------------------------------------------

def caption(o, clip, *more):
    """CPU seconds of the program, and its lines."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [f"{o.build}/tools/tern", "caption", "--threads", "1", "--frame-rate", f"{RATE}/1", *more, clip]
    if o.model:
        command[2:2] = ["--model", o.model, "--mmproj", o.mmproj]
    out = subprocess.run(command, check=True, capture_output=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            [json.loads(line) for line in out.decode(errors="replace").splitlines()])


def cut(clip, seconds, folder):
    out = f"{folder}/{seconds}.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", clip, "-t", str(seconds), "-c", "copy", out], check=True)
    return out


def measure_cpu(o):
    clip, common = o.files[0], o.common.split()
    on, lines = caption(o, clip, "--gate", o.gate, "--metrics", *common, *o.more.split())
    seconds = lines[-1]["end"]
    with tempfile.TemporaryDirectory() as folder:
        short, _ = caption(o, cut(clip, 4, folder), "--gate", "off", *common)
        long, _ = caption(o, cut(clip, 4 + o.sample, folder), "--gate", "off", *common)
    off = short + (long - short) * (seconds - 4) / o.sample
    print(json.dumps({"clip": clip, "seconds": seconds, "windows": len(lines),
                      "unchanged": sum(l["finish_reason"] == "unchanged" for l in lines), "gate": o.gate,
                      "cpu": round(on, 1), "cpu_off": round(off, 1), "off_sample": o.sample, "ratio": round(off / on, 2),
                      **stages(lines)}))


def stages(lines):
    """Of all windows. With memory=stream frames are read apart, and not in these."""
    told = [line for line in lines if line["finish_reason"] not in ("unchanged", "budget")]
    return {name: round(sum(line["metrics"][f"{key}_duration{mean}"] for line in rows) / 1000, 1)
            for name, key, mean, rows in (("encoding", "prepare_embeddings", "_mean", lines), ("reading", "prefill", "", told),
                                          ("saying", "decode", "", told))} | {
        name: sum(line[key] for line in told) for name, key in (("prompt_tokens", "prompt_tokens"), ("said", "generated_tokens"))}


def compare(o):
    for clip in o.files:
        times, lines = {"off": [], "auto": []}, {}
        for _ in range(o.repeat):
            for gate in times:
                cpu, lines[gate] = caption(o, clip, "--gate", gate)
                times[gate].append(cpu)
        differ = sum(a["result"] != b["result"] for a, b in zip(lines["off"], lines["auto"]))
        unchanged = sum(l["finish_reason"] == "unchanged" for l in lines["auto"])
        print(json.dumps({"clip": clip, "windows": len(lines["off"]), "differ": differ, "unchanged": unchanged,
                          "cpu_off": round(min(times["off"]), 3), "cpu_auto": round(min(times["auto"]), 3),
                          "ratio": round(min(times["auto"]) / min(times["off"]), 3)}))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"clip": make_clip, "models": make_models, "events": count_events, "cpu": measure_cpu, "same": compare}
    a.add_argument("what", choices=commands)
    a.add_argument("files", nargs="+")
    a.add_argument("--build", default="build")
    a.add_argument("--gate", default="on", choices=("auto", "on"))
    a.add_argument("--threshold", default="6")
    for name, default in (("seconds", 600), ("events", 60), ("seed", 1), ("width", 960), ("height", 540), ("bitrate", 150),
                          ("sample", 16), ("repeat", 3)):
        a.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("noise", 4.), ("flicker", 3.), ("contrast", 30.)):
        a.add_argument(f"--{name}", type=float, default=default)
    for name in ("picture", "model", "mmproj"):
        a.add_argument(f"--{name}")
    for name in ("common", "more"):
        a.add_argument(f"--{name}", default="")
    o = a.parse_args()
    commands[o.what](o)


if __name__ == "__main__":
    main()
