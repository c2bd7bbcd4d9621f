"""Price files: both layouts, counts of every treatment, one clear error for every fault."""

import gzip

import numpy as np
import pytest

from dtao_gym.replay.prices import TREATMENTS, closing_rows, read_prices, treatment_summary
from dtao_gym.world.config import ConfigError
from tests.replay.paths import prices, write_long, write_wide


def test_both_layouts_hold_the_same_prices(tmp_path):
    price = prices(10)
    wide = read_prices(write_wide(tmp_path / "wide.csv", price))
    long = read_prices(write_long(tmp_path / "long.csv", price))
    np.testing.assert_array_equal(wide.price, long.price)
    np.testing.assert_array_equal(wide.price[:, :4], price)
    # a moment 00:00 is the close of the day before, a date closes 24 hours later
    assert (long.times - wide.times == np.timedelta64(24, "h")).all()
    assert not any(wide.counts.values())


def test_a_gzipped_file_is_the_same(tmp_path):
    plain = write_wide(tmp_path / "a.csv", prices(5))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(
        read_prices(plain).price, read_prices(tmp_path / "a.csv.gz").price
    )


def test_closes_are_the_samples_at_midnight(tmp_path):
    price = prices(49, 1)
    loaded = read_prices(write_wide(tmp_path / "a.csv", price, hours=1))
    days, rows = closing_rows(loaded.times)
    assert rows.tolist() == [0, 24, 48]
    assert days.astype(str).tolist() == ["2025-02-15", "2025-02-16", "2025-02-17"]


def test_a_file_may_end_an_hour_before_its_last_close(tmp_path):
    loaded = read_prices(write_wide(tmp_path / "a.csv", prices(48, 1), hours=1))
    days, rows = closing_rows(loaded.times)
    assert rows.tolist() == [0, 24, 47]
    assert str(days[-1]) == "2025-02-17"


HEAD = "utc,1,2\n2025-02-16 00:00,0.3,0.2\n2025-02-17 00:00,0.3,0.2\n2025-02-18 00:00,0.3,0.2\n"
TREATED = {
    "zeros": HEAD + "2025-02-19 00:00,0,0.2\n",
    "empty": HEAD + "2025-02-19 00:00,,0.2\n",
    "not_started": HEAD + "2025-02-19 00:00,12.5,0.2\n",
    "duplicates": HEAD + "2025-02-18 00:00,0.3,\n".replace("0.3,", "0.3,0.2"),
    "other_offsets": HEAD + "2025-02-19 02:00+02:00,0.3,0.2\n",
    "rounded": HEAD + "2025-02-18 23:59:48,0.3,0.2\n",
    "unsorted": HEAD + "2025-02-15 00:00,0.3,0.2\n",
    "filled": HEAD + "2025-02-20 00:00,0.3,0.2\n",
    "interruptions": HEAD
    + "".join(f"2025-02-{day} 00:00,,0.2\n" for day in (19, 20, 21))
    + "2025-02-22 00:00,0.3,0.2\n",
}


@pytest.mark.parametrize("treatment", TREATMENTS)
def test_every_treatment_is_counted(tmp_path, treatment):
    (tmp_path / "a.csv").write_text(TREATED[treatment])
    loaded = read_prices(tmp_path / "a.csv")
    assert loaded.counts[treatment] >= 1
    assert treatment.replace("_", " ") in treatment_summary(loaded.counts)
    steps = np.diff(loaded.times) / np.timedelta64(1, "h")
    assert (steps == 24).all()
    kept = loaded.price[np.isfinite(loaded.price)]
    assert ((kept > 0.0) & (kept <= 0.9)).all()


def test_short_gaps_are_filled_with_the_last_price(tmp_path):
    price = prices(12, 2)
    price[3:6, 0] = np.nan  # three hours
    price[3:7, 1] = np.nan  # four
    loaded = read_prices(write_wide(tmp_path / "a.csv", price, hours=1)).price
    assert (loaded[3:6, 0] == price[2, 0]).all()
    assert (loaded[3:6, 1] == price[2, 1]).all()
    assert np.isnan(loaded[6, 1])


WRONG = {
    "": "time column is missing",
    "day,1\n": "time column is missing",
    "utc\n2025-02-16\n": "allowed are netuids 1 to 128",
    "date,netuid\n2025-02-16,1\n": "price column is missing",
    "utc,1,1\n": "got column '1' twice",
    "utc,129\n2025-02-16,0.1\n": "netuid: got '129', allowed are 1 to 128",
    "utc,0\n2025-02-16,0.1\n": "netuid: got '0'",
    "utc,alpha\n2025-02-16,0.1\n": "netuid: got 'alpha'",
    "date,netuid,price\n2025-02-16,200,0.1\n": "line 2: netuid: got '200'",
    HEAD + "2025-02-19 00:00,0.3\n": "line 5: got 2 cells, allowed are 3",
    HEAD + "2025-02-18 00:00,0.4,0.2\n": "allowed is one price for each time",
    HEAD + "yesterday,0.4,0.2\n": "time: got 'yesterday'",
    HEAD + "9999-12-31 00:00,0.4,0.2\n": "time: got '9999-12-31",
    HEAD + "2025-02-19 00:17,0.4,0.2\n": "allowed are full hours",
    HEAD + "2025-02-19 00:00,-0.4,0.2\n": "netuid 1: got '-0.4'",
    HEAD + "2025-02-19 00:00,inf,0.2\n": "netuid 1: got 'inf'",
    HEAD + "2025-02-19 00:00,5e-324,0.2\n": "netuid 1: got '5e-324'",
    HEAD + "2025-02-19 00:00,1e-12,0.2\n": "netuid 1: got '1e-12'",
    HEAD + "2025-02-19 00:00,much,0.2\n": "netuid 1: got 'much'",
    HEAD + "2025-02-28 00:00,0.3,0.2\n": "got no sample from",
    "utc,1\n2025-02-16 00:00,0.1\n": "got 1 times",
    "utc,1\n" + "".join(f"2025-02-{d} 00:00,3\n" for d in (16, 17, 18)): "0 usable prices",
    "utc,1\n" + "".join(f"2025-02-16 {h:02}:00,0.1\n" for h in (0, 5, 10)): "divisors of 24 h",
    "utc,1\n" + "".join(f"2025-02-{d} 05:00,0.1\n" for d in (16, 17, 18)): "include midnight",
    "date,netuid,price\n2025-02-16 05:00,1,0.1\n": "date: got '2025-02-16 05:00'",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: WRONG[text][:40])
def test_a_fault_is_one_clear_error(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_prices(tmp_path / "a.csv")
    assert WRONG[text] in str(error.value)
    assert str(error.value).startswith("prices: ")
    assert "a.csv" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x1f\x8b broken"], ids=["bytes", "gzip"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_binary_file_is_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match="prices: "):
        read_prices(tmp_path / name)


def test_a_folder_and_a_missing_file_are_clear_errors(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_prices(path)
