"""Random damage to files: to bytes, to text, and to the values of JSON documents."""

import json
import random
from pathlib import Path

NUMBERS = [
    "NaN", "Infinity", "-Infinity", "nan", "inf", ".nan", "-.inf", "1e999", "1e30", "-1", "0", "-0.0", "1e-320",
    "9" * 25, "9" * 400, "9" * 5000, "0x10", "1_000", "2**31", str(2**31), str(2**63), str(2**64), "1.5", "'1'",
]  # fmt: skip
VALUES = [
    "null", "true", "false", "~", '""', "[]", "{}", "[[]]", '{"a": 1}', "-", "*x", "&x 1", "!!python/object:os.x 1",
    "!!int x", "!!binary abc", "!!set {a}", "!!timestamp 2001-99-99", "2001-01-01", "2001-02-30", "12:30:45", "<<: 1",
    "yes", "os:path", "a:b", "../../x", "\\ud800", '"\\ud800"', "é", "\u202e", "\x1b[2J", "\x00", "\ufeff", "x" * 10_000,
]  # fmt: skip
NESTS = [
    "[" * 300,
    "[" * 30_000,
    '{"a":' * 300,
    "- " * 2000,
    "{? " * 100,
    "[" * 50 + "1" + "]" * 50,
]
SIGNS = [
    ",",
    "\n",
    "\r",
    '"',
    "'",
    ":",
    "{",
    "}",
    "[",
    "]",
    "#",
    "\t",
    " ",
    ";",
    "|",
    ">",
    "%",
    "@",
    "`",
    "\\",
]


def words_of(text: str) -> list[tuple[int, int]]:
    """Starts and ends of runs of letters, digits and signs of numbers."""
    spans, start = [], None
    for k, letter in enumerate(text + " "):
        inside = letter.isalnum() or letter in "._+-"
        if inside and start is None:
            start = k
        elif not inside and start is not None:
            spans.append((start, k))
            start = None
    return spans


def damage_text(content: bytes, draw: random.Random) -> bytes:
    """Replace a word, or repeat, remove or swap lines, or insert something."""
    text = content.decode("utf-8", "replace")
    lines = text.splitlines(keepends=True) or [""]
    how = draw.randrange(7)
    if how <= 2:
        near = draw.randrange(max(len(text), 1))  # words of long files are not all looked for
        low = max(near - 200, 0)
        spans = words_of(text[low : near + 200]) or [(0, 0)]
        a, b = draw.choice(spans)
        new = draw.choice(draw.choice([NUMBERS, VALUES, NESTS if how == 0 else NUMBERS]))
        text = text[: low + a] + new + text[low + b :]
    elif how == 3:
        k = draw.randrange(len(lines))
        lines[k : k + 1] = [] if draw.random() < 0.5 else [lines[k]] * 2
        text = "".join(lines)
    elif how == 4:
        a, b = draw.randrange(len(lines)), draw.randrange(len(lines))
        lines[a], lines[b] = lines[b], lines[a]
        text = "".join(lines)
    else:
        k = draw.randrange(len(text) + 1)
        new = draw.choice(draw.choice([SIGNS, SIGNS, VALUES, NESTS]))
        text = text[:k] + new + text[k + draw.randrange(3) :]
    return text.encode("utf-8", "surrogatepass")


def damage_bytes(content: bytes, draw: random.Random) -> bytes:
    """Flip bits, cut, remove or repeat a part, or put other bytes in."""
    data = bytearray(content)
    how, size = draw.randrange(7), max(len(data), 1)
    a = draw.randrange(size)
    if draw.random() < 0.4:
        a = min(a, draw.randrange(400))  # headers are at the start
    b = min(a + 1 + draw.randrange(64), size)
    if how <= 1:
        for _ in range(1 + draw.randrange(4)):
            if data:
                data[min(a + draw.randrange(8), len(data) - 1)] ^= 1 << draw.randrange(8)
    elif how == 2:
        del data[a:]
    elif how == 3:
        del data[a:b]
    elif how == 4:
        data[a:b] = data[a:b] * 2
    elif how == 5:
        data[a:b] = draw.randbytes(b - a)
    else:
        data += draw.randbytes(1 + draw.randrange(64))
    return bytes(data)


def damage_json(content: bytes, draw: random.Random) -> bytes:
    """Replace, remove or repeat a value anywhere in a JSON document; text where it is none."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return damage_text(content, draw)
    place, key = None, None
    node = tree
    while isinstance(node, dict | list) and node and draw.random() < 0.9:
        place, key = node, draw.choice(list(node) if isinstance(node, dict) else range(len(node)))
        node = node[key]
    new = draw.choice([None, True, -1, 0, 1.5, 1e300, float("nan"), float("inf"), 10**30, 10**400, "", "x", "\ud800",
                       [], {}, [[[]]], {"": None}, node, [node], [node, node], str(node)[:99]])  # fmt: skip
    if place is None:
        tree = new
    elif isinstance(place, dict) and draw.random() < 0.3:
        value = place.pop(key)
        if draw.random() < 0.5:
            place[draw.choice(["", "flux", "\ud800", key + " "])] = value
    elif isinstance(place, list) and draw.random() < 0.3:
        place[key : key + 1] = [] if draw.random() < 0.5 else [node] * draw.choice([2, 50])
    else:
        place[key] = new
    return json.dumps(tree).encode()


def damaged_file(path: Path, content: bytes, draw: random.Random) -> None:
    """Write a damaged version; now and then nothing, a folder, or a link that leads nowhere."""
    how = draw.random()
    if how < 0.01:
        return
    if how < 0.02:
        path.mkdir()
    elif how < 0.03:
        path.symlink_to(path.name if draw.random() < 0.5 else "nowhere")
    elif how < 0.04:
        path.write_bytes(draw.choice([b"", b"\xff\xfe", b"\x00" * 100, b"\n", draw.randbytes(300)]))
    else:
        is_text = path.suffix in (".yaml", ".csv", ".json")
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            if path.suffix == ".json" and draw.random() < 0.6:
                content = damage_json(content, draw)
            elif is_text and draw.random() < 0.8:
                content = damage_text(content, draw)
            else:
                content = damage_bytes(content, draw)
        path.write_bytes(content)
