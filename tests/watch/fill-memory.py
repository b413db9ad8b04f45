# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills the memory of a `tern watch` with made-up results, to see how it is with many: eight cameras, a thing said in many
ways, one in twenty with a word that is rare.

usage: fill-memory.py MEMORY N        (MEMORY was made by `tern watch`)
"""
import random
import sqlite3
import sys

WHO = ["a man", "a woman", "a little girl", "two dogs", "a dog", "a boy", "three people", "a cyclist", "a red car",
       "a delivery van"]
DOES = ["is standing in front of", "walks past", "runs along", "sits on", "jumps over", "rides by", "waits beside", "looks at"]
WHERE = ["a wall", "a white house", "the garden gate", "a parked truck", "a tree", "the street", "a bench", "the front door"]
START, STEP, WINDOW = 1764000000_000000, 500_000, 4_000_000     # us
INSERT = ("INSERT INTO result (run, camera, number, start, end, kind, text, confidence, abstained, fresh, tags) "
          "VALUES (1, ?, ?, ?, ?, 'caption', ?, .9, 0, 1, ?)")

random.seed(1)


def row(i):
    camera = f"cam{i % 8}"
    text = " ".join(random.choice(words) for words in (WHO, DOES, WHERE))
    if random.random() < .05:
        text += f" with parcel{random.randrange(5000)}"
    start = START + i * STEP
    return camera, i, start, start + WINDOW, text, f"c{camera.encode().hex()}0"


connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA synchronous=OFF")
for first in range(0, int(sys.argv[2]), 20000):
    connection.executemany(INSERT, [row(i) for i in range(first, min(first + 20000, int(sys.argv[2])))])
    connection.commit()
