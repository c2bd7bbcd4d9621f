"""Hostile vectors: whatever files hold, checking them raises nothing and the report can be written down."""

import copy
import json
import os
import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtao_gym.conformance import ADAPTERS, check_path, check_vector, main
from scripts.damage import damaged_file
from tests.protocol import golden

NESTED = json.loads("[" * 300 + "]" * 300)
GOOD = {
    category: [vector.content for vector in golden.load(category).values()][:3]
    for category in ADAPTERS
}
HUGE = 10**299


def report_of(path):
    """The report, which can be written as JSON and on a terminal."""
    report = check_path(path)
    text = report.to_json()
    assert json.loads(text)["exit_code"] == report.exit_code
    for category in report.categories:
        for line in (category.category, *map(str, category.failures)):
            line.encode()
            assert "\n" not in line
            assert len(line) < 10_000
    for line in report.unreadable:
        line.encode()
        assert line.isprintable()
    return report


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=10),
    st.sampled_from(["\ud800", "\x1b[2J", "launch", "buy", HUGE, -HUGE, 10**18, NESTED]),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


def places_in(value, path=()):
    """Paths to all parts of a vector."""
    yield path
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(part, (*path, key))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_value_in_any_place_of_a_vector(tmp_path_factory, data):
    category = data.draw(st.sampled_from(sorted(GOOD)))
    vectors = copy.deepcopy(GOOD[category])
    for _ in range(data.draw(st.integers(1, 3))):
        place = vectors
        *way, last = data.draw(st.sampled_from(list(places_in(vectors))[1:]))
        for key in way:
            place = place[key]
        place[last] = copy.deepcopy(data.draw(values))  # a later draw may change it
    path = tmp_path_factory.mktemp("vectors") / f"{category}.json"
    path.write_text(json.dumps(vectors))
    (category_report,) = report_of(path).categories or [None]
    if category_report is not None:
        assert category_report.passed + category_report.failed == len(vectors)


@pytest.mark.parametrize("category", sorted(GOOD))
def test_damaged_files(tmp_path, category):
    content = json.dumps(GOOD[category]).encode()
    for number in range(60):
        draw = random.Random(f"{category}/{number}")
        folder = tmp_path / str(number)
        folder.mkdir()
        damaged_file(folder / f"{category}.json", content, draw)
        report_of([folder, folder / f"{category}.json"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("name", "\ud800\x1b[2J" + "x" * 10_000),
        ("era", "\ud800"),
        ("era", "9" * 5000 + "+"),
        ("note", NESTED),
        ("expected", {"fee_rao": NESTED}),
        ("expected", {"fee_rao": HUGE}),
        ("expected", {"\ud800": 1}),
        ("tolerance", {"abs": HUGE, "rel": HUGE}),
        ("tolerance", {"\ud800": 1}),
        ("inputs", NESTED),
        ("inputs", {"amount_rao": HUGE, "side": NESTED}),
    ],
)
def test_a_vector_that_cannot_be_run_fails_and_the_next_one_runs(tmp_path, place, value):
    good = GOOD["swap_balancer"][0]
    path = tmp_path / "swap_balancer.json"
    path.write_text(json.dumps([good | {place: value}, good]))
    (report,) = report_of(path).categories
    assert report.passed + report.failed == 2
    assert report.passed >= 1


def test_huge_whole_numbers_within_the_tolerance_pass():
    vector = copy.deepcopy(GOOD["swap_balancer"][0])
    vector["tolerance"] = {"abs": HUGE, "rel": HUGE}
    failures, worst = check_vector("swap_balancer", vector)
    assert failures == []
    assert worst < 1e-280


def test_a_distance_beyond_the_range_of_numbers_is_a_failure_and_no_warning():
    """The tolerance of a tiny expected share is a subnormal number, by which the difference is divided."""
    vector = next(v for v in GOOD["taoflow"] if "shares" in v["expected"])
    shares = [*vector["expected"]["shares"][:-1], 1e-320]
    wrong = vector | {"expected": {"shares": shares}, "tolerance": {"rel": 0.01}}
    failures, _ = check_vector("taoflow", wrong)
    assert failures


def test_a_step_is_not_repeated_without_end():
    for category, name in (("block_emission", "repeat"), ("moving_price", "updates")):
        vector = next(v for v in golden.load(category).values() if name in v.inputs).content
        vector = copy.deepcopy(vector)
        vector["inputs"] |= {name: 10**18}
        (failure,), _ = check_vector(category, vector)
        assert f"inputs.{name}: got {10**18}, allowed is 0 to 1000000" in failure.reason


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b"[" + b"9" * 5000 + b"]", b"\xff\xfe", b"", b"\x00", b'"\\ud800"', b"[NaN]"],
)
def test_contents_that_are_no_vectors(tmp_path, content):
    path = tmp_path / "price.json"
    path.write_bytes(content)
    assert report_of(path).exit_code in (1, 2)


def test_what_is_no_file(tmp_path):
    (tmp_path / "price.json").mkdir()
    os.mkfifo(tmp_path / "misc.json")  # would be waited for
    (tmp_path / "taoflow.json").symlink_to("taoflow.json")
    (tmp_path / "dividends.json").symlink_to("nowhere")
    paths = [tmp_path, "a\0b", "x" * 5000, tmp_path / "\udcff.json", "/dev/zero"]
    report = report_of(paths)
    assert report.categories == []
    assert len(report.unreadable) == 4 + len(paths) - 1


def test_files_that_come_and_go(tmp_path):
    content = json.dumps(GOOD["price"])
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            for name in ("price.json", "misc.json"):
                (tmp_path / name).write_text(content)
                (tmp_path / name).unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(300):
            report_of(tmp_path)
    finally:
        stop.set()
        thread.join()


def test_names_for_terminals_are_shown_as_text(tmp_path, capsys):
    path = tmp_path / "price.json"
    path.write_text(json.dumps([GOOD["price"][0] | {"name": "\ud800\x1b[2J", "expected": {}}]))
    assert main([str(path)]) == 1
    assert "price/\\ud800\\x1b[2J" in capsys.readouterr().out
