"""Expected numbers of the oracles and the checks that compare measured numbers with them.

O1 to O30 are the numbered results of the theory of crowding out. Oracles are of three kinds: A (algebra), a formula
of `dtao_gym.economy`, evaluated; S, simulated by rules of the protocol or by the engine; L, learned.

A number of kind A must agree to 1e-6 relative or, where it is known to fewer digits than that, to half a unit of its
last digit (exact numbers are written with six decimals). Research shares of the other kinds are compared in log-odds,
within 0.1 (S) or 0.2 (L), where the expected share lies between 0.05 and 0.95. Beyond these edges the measured share
must lie beyond the same edge, less the same tolerance. Other numbers of these kinds must agree to 1 % (S) or 2 % (L).
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from dtao_gym.economy.builder_theory import log_odds

Kind = Literal["A", "S", "L"]
Measure = Literal["absolute", "relative", "log-odds", "one-sided"]
Progress = Callable[[str], None]
"""Called with a description of the computation that starts."""

WIDTH = 100
"""Columns of the tables on the terminal."""
EDGES = (0.05, 0.95)
"""Research shares beyond which log-odds are too uncertain to be compared."""
SHARE_TOLERANCE = {"S": 0.1, "L": 0.2}
"""Tolerance of research shares by kind, log-odds."""
NUMBER_TOLERANCE = {"S": 0.01, "L": 0.02}
"""Tolerance of other numbers by kind, relative."""
UNITS = {"absolute": "", "relative": " rel.", "log-odds": " l.o.", "one-sided": " 1-s."}

CAPITALISATION = 473.836
"""Days of signal at which uninformed stakers capitalise a token, in oracles that do not solve for it."""
MEDIAN_DILUTION_PER_DAY = 0.001553559
"""Growth of the alpha supply of the median subnet in June 2026, relative, per day."""

# Format: id | quantity | case: number; case: number; ... An indented line continues the line before it.
# O27b is summed over the infinite horizon; truncated after 20,000 days it would round to .314849.
EXPECTED = """
O1   | planner, spillover | 0: .500000; .5: .692308
O1b  | planner, spillover .5, delay | 3 d: .73565; 30 d: .72920; 90 d: .71465; 180 d: .69231;
       360 d: .64617; 720 d: .55118
O2   | level, uninformed, hype | 0: .500000; .5: .307692
O2b  | level, informed | patient: .997230; discount .98 a day: .824614;
       pipeline unseen: .995517
O2c  | level, 10 % informed | hype 0: .581202
O2d  | informed share for the planner's r, hype | 0: .24115; .5: .44273; 1: .55969; 2: .68987;
       4: .80511
O2e  | informed share for r of the fee, hype | .5: .236024; 1: .381909; 2: .552726; 4: .711943
O2f  | the same, capitalised at r = .5, hype | .5: .241228; 1: .388693; 2: .559797; 4: .717782
O2g  | level, 30 % informed, hype .5 | r: .547558; capitalisation: 502.691
O2g  | level, 50 % informed, hype .5 | r: .709025; capitalisation: 553.808
O3   | level, uninformed, hype 0, moving average | 1: .500000; .1: .500000; .005: .500000
O4   | fee, hazard a day | 0: .500000; 1/3650: .403123; 1/720: .165675; 1/360: .062319;
       1/180: .013582; 1/90: .001629
O4b  | fee, builder's discount a year | 5 %: .697737; 20 %: .500000; 40 %: .266117; 60 %: .113517
O5   | fee, one investment, payoff cut at | 90 d: 9.449e-5; 180 d: .003921; 360 d: .059403;
       720 d: .246044; 1440 d: .426262
O6   | fee, learner's discount a day | .99: .0028796; .995: .0243068; .999: .3674820
O7   | longest fixed delay, days | spillover 0: 652.442; spillover .5: 1315.669;
       discount .999: 194.129; discount .995 (never): 0.000000; hazard 1/360 (never): 0.000000
O8   | growth from own income | r 0: .0271600; r .5, A_K 1: .0132060; r 1, A_K 1: .0105366;
       r 1, A_K 10.2: .0271346; hurdle of A_K: 10.227
O9   | slope of being last, players | 2: .282095; 4: .257344; 8: .177950; 64: .036621;
       128: .020270
O10  | signal jamming | variance: .1000125; gain: .0909194; effort: .0189381; waste: .0089663
O10b | the same, effort | noise .1: .0196969; noise 10: .0166073; discount .9: .0097806;
       pay 0: 0.000000
O11  | Tullock: players, prize, exponent | 2, 100, 1: 25.000000; 8, 100, 1: 10.937500;
       8, 100, .5: 5.468750; 4, 100, 1.2: 22.500000
O11b | Tullock, prizes 100 and 50 | first: 22.2222; second: 11.1111
O12  | best purchase | TAO in: 264.91106; alpha out: 4188.6117; profit: 70.17787;
       price after: .080000
O12b | best purchase at fee .003 | TAO in: 263.80368
O12b | sale to .03 without fee | alpha in: 5819.88897; TAO out: 225.40333
O12c | 300 TAO over three pools | mu: 1.2002637; first: 154.57369; second: 145.42631;
       third: 0.000000
O13  | sale of 2,000 alpha | one shot: 90.90909; 10 parts, no resilience: 90.90909;
       10 parts, resilient: 99.00990; limit: 100.000000
O13b | the same, discount .99 a part, resilient | part 1: 589.632; part 2: 486.426; part 3: 383.736;
       part 4: 281.561; part 5: 179.899; part 6: 78.746; part 7: 0.000000; present value: 96.35809
O14  | Merton: return, risk aversion | .25, 1: .234568; .25, 2: .117284; .60, 2: .333333
O14b | Kelly: chance, gain, loss | .55, .20, .18: .805717; .52, .10, .10: .400080;
       growth at .52, .10, .10: .00100019
O15  | slow moving price of a constant 1 | 7 d: .016112; 30 d: .187437; 60 d: .453064; 90 d: .658363;
       180 d: .931105; 365 d: .998138; days to a half: 66.00; days to 90 %: 159.91
O15b | moving average of a step, without age | 1 d: .021368; 7 d: .140324; 30 d: .476910;
       90 d: .856870
O15b | conviction after 90 d | perpetual lock: .500000; decaying lock: .346574
O16  | pool: sell 500 alpha, buy 20 TAO, daily | price: .0409540; alpha: 20964.68
O17  | research project, value from nothing | discount .8: 5.138397; .9: 14.924732; .95: 41.613021;
       .99: 328.312058
O17  | research project, starts (1) at K = 0..3 | discount .8: 1110; .9: 1110; .95: 1110; .99: 1110;
       .7: 0
O17  | research project, discount above which it starts | at K = 0: .790162
O17b | one project, no loss, discount above which it starts | 10 % a day: .787304735
O18  | fee, treadmill a day | .05 %: .336009; .1 %: .224700; .2 %: .105765
O19  | price shares | first: .500000; second: .300000; third: .200000
O19  | flow shares, cutoff 0 | first: .714286; second: 0.000000; third: .285714
O19  | flow shares, no cutoff | first: .666667; second: 0.000000; third: .333333
O20  | milestone grant, uninformed | grant: 794.7516; r: .692308
O21  | vote with favourites | favourite: .237500; other: .087500; HHI: .158750
O22  | unequal subnets | first budget: .285714; second: .714286; r of the first: .500000;
       of the second: .800000; of both: .714286; value: 2.645751; of an equal split: 2.581139
O23  | welfare at a wrong r, ratio 1.5 | .1: .789352; .152: .835199; .307692: .923077;
       .4: .955904; .566: .991405; .95: .935017
O24  | influence, uninformed, part of the budget | hype .5: .071429; half-life 90 d: .381396;
       hype 0: .111111; productivity .1: .235294
O24  | influence, uninformed, r | hype .5: .307692; hype 0: .500000
O24b | influence, 30 % informed, part of | product: .421387; research: .534112; influence: .044501
O24b | influence, all informed, part of | influence: 0.000000
O24b | weights 1.5, 1, .5 at curvature .7, part of | product: .778502; research: .201506;
       influence: .019992
O25  | votes, informed share | 0: .307692; .3: .414112; .5: .489231; 1: .692308
O25  | votes, 30 % informed, with influence | r: .417426; part of influence: .038286
O26  | geometric dilution, uninformed, hype 0 | .0005: .336009; .001553559: .146472; .003: .054435
O26  | geometric dilution, uninformed, hype .5 | .0005: .183613; .001553559: .070865; .003: .024948
O26  | geometric dilution, informed | .0005: .995285; .001553559: .989771; .003: .979648
O26  | geometric dilution, 30 % informed, hype .5 | .0005: .406023; .001553559: .210249;
       .003: .098186
O27  | linear dilution, uninformed, hype 0 | .0005: .364167; .001553559: .227387; .003: .144580
O27  | linear dilution, uninformed, hype .5 | .0005: .202902; .001553559: .115673; .003: .069870
O27  | linear dilution, informed | .0005: .995698; .001553559: .992870; .003: .989321
O27  | linear dilution .001553559, hype 0, invested | after 360 d: .285361; after 720 d: .322751
O27b | linear dilution, constant policy from nothing | hype 0: .314850
O28  | shares that lose up to .1 % at .5 | low: .4553; high: .5447
O28  | shares that lose up to 2 % at .5 | low: .3050; high: .6950
O28  | shares that lose up to .1 % at .1 | low: .0748; high: .1284
O28  | shares that lose up to 2 % at .1 | low: .0147; high: .2487
O29  | fee, constant policy from nothing, window | 720 d: .07906; 1440 d: .25088; 2160 d: .35784;
       4000 d: .46167; 4908 d: .47893; 6000 d: .48951
O29  | the same, random end, cap | 4000 d: .4617; 8000 d: .4970
O30  | crowding out, uninformed, geometric, delay | 30 d: 1.337643; 90 d: 1.514313;
       180 d: 1.762546; 360 d: 2.207064
O30  | crowding out, uninformed, linear, delay | 30 d: .966967; 90 d: 1.078133; 180 d: 1.223126;
       360 d: 1.459278
O30  | crowding out, 30 % informed, hype .5, delay | 30 d: -.080834; 90 d: -.145927; 180 d: -.237054;
       360 d: -.399318
O30  | the same with geometric dilution, delay | 30 d: 1.222784; 90 d: 1.266615; 180 d: 1.323422;
       360 d: 1.412266
"""


@dataclass(frozen=True)
class Expected:
    """A number of the table above."""

    setting: str
    """Quantity and case, as `quantity: case`."""
    number: float
    half_unit: float
    """Half a unit of its last digit."""

    @property
    def case(self) -> str:
        """The part of `setting` after the quantity."""
        return self.setting.rpartition(": ")[2]


def _expected(quantity: str, case: str) -> Expected:
    name, digits = (part.strip() for part in case.rsplit(":", 1))
    mantissa, _, exponent = digits.partition("e")
    decimals = len(mantissa.partition(".")[2])
    half_unit = 0.5 * 10.0 ** (int(exponent or 0) - decimals)
    return Expected(f"{quantity}: {name}", float(digits), half_unit)


def _read_table(text: str) -> dict[str, tuple[Expected, ...]]:
    table: dict[str, tuple[Expected, ...]] = {}
    for line in text.strip().replace("\n   ", " ").splitlines():
        id, quantity, cases = (part.strip() for part in line.split("|"))
        numbers = tuple(_expected(quantity, case) for case in cases.split(";"))
        table[id] = table.get(id, ()) + numbers
    return table


NUMBERS = _read_table(EXPECTED)
"""Expected numbers by id of the oracle, in the order of the table."""


@dataclass(frozen=True)
class OracleCheck:
    """Comparison of a measured number with the expected number of an oracle.

    Attributes
    ----------
    id : str
        Oracle, a key of `NUMBERS` (learned ones: also ``calibration``).
    setting : str
        Quantity and case.
    kind : {"A", "S", "L"}
        Algebra, simulated, or learned.
    expected, got : float
        The expected and the measured number.
    tolerance : float
        Largest difference that passes, in the unit of `measure`.
    measure : {"absolute", "relative", "log-odds", "one-sided"}
        Unit of `tolerance`. ``one-sided``: the share must lie beyond the edge of `EDGES` on the side of `expected`.
    """

    id: str
    setting: str
    kind: Kind
    expected: float
    got: float
    tolerance: float
    measure: Measure = "absolute"

    @property
    def ok(self) -> bool:
        """Whether the two numbers agree; False if the measured number is NaN."""
        if self.measure == "absolute":
            return abs(self.got - self.expected) <= self.tolerance
        if self.measure == "relative":
            return abs(self.got - self.expected) <= self.tolerance * abs(self.expected)
        if math.isnan(self.got):
            return False
        measured = log_odds(self.got)
        if self.measure == "log-odds":
            return abs(measured - log_odds(self.expected)) <= self.tolerance
        low, high = map(log_odds, EDGES)
        if self.expected < 0.5:
            return measured <= low + self.tolerance
        return measured >= high - self.tolerance


def algebra_checks(id: str, measured: Sequence[float]) -> list[OracleCheck]:
    """Checks of kind A.

    Parameters
    ----------
    id : str
        Oracle.
    measured : sequence of float
        All numbers of the oracle, in the order of the table.

    Raises
    ------
    ValueError
        `measured` has more or fewer numbers than the table.
    """
    checks = []
    for e, value in zip(NUMBERS[id], measured, strict=True):
        tolerance = max(1e-6 * abs(e.number), e.half_unit)
        checks.append(OracleCheck(id, e.setting, "A", e.number, float(value), tolerance))
    return checks


class Formulas(dict[str, Callable[[], Sequence[float]]]):
    """Registry of functions that return all numbers of an oracle, by id; ``@formulas("O1")`` adds one."""

    def __call__(self, id: str) -> Callable[[Callable], Callable]:
        """Return a decorator that adds a function under an id."""
        return lambda function: self.setdefault(id, function)

    def checks(self, progress: Progress) -> Iterator[OracleCheck]:
        """Checks of kind A of all functions; `progress` is called with each id."""
        for id, function in self.items():
            progress(id)
            yield from algebra_checks(id, function())


def run_checks(id: str, measured: Sequence[float], tolerance: float) -> list[OracleCheck]:
    """Checks of kind S of a single rule of the protocol or of production, run without the engine.

    Parameters
    ----------
    id : str
        Oracle.
    measured : sequence of float
        The first numbers of the oracle, in the order of the table.
    tolerance : float
        Relative; at least half a unit of the last digit of the expected number.
    """
    checks = []
    for e, value in zip(NUMBERS[id], measured, strict=False):
        within = max(tolerance, e.half_unit / abs(e.number))
        checks.append(number_check(id, f"{e.setting}, run", "S", e.number, value, within))
    return checks


def share_check(
    id: str, setting: str, kind: Literal["S", "L"], expected: float, got: float
) -> OracleCheck:
    """Check of a simulated or learned research share, in log-odds or one-sided; see the top of this file."""
    beyond = not EDGES[0] <= expected <= EDGES[1]
    measure = "one-sided" if beyond else "log-odds"
    return OracleCheck(id, setting, kind, expected, float(got), SHARE_TOLERANCE[kind], measure)


def number_check(
    id: str,
    setting: str,
    kind: Literal["S", "L"],
    expected: float,
    got: float,
    tolerance: float | None = None,
) -> OracleCheck:
    """Check of any other simulated or learned number; `tolerance` is relative, None: that of the kind."""
    tolerance = NUMBER_TOLERANCE[kind] if tolerance is None else tolerance
    return OracleCheck(id, setting, kind, expected, float(got), tolerance, "relative")


def to_json(checks: Sequence[OracleCheck]) -> str:
    """Checks as a JSON list of objects; numbers that are not finite become null."""
    records = [asdict(check) | {"ok": check.ok} for check in checks]
    for record in records:
        for name in ("expected", "got"):
            record[name] = record[name] if math.isfinite(record[name]) else None
    return json.dumps(records, indent=1, allow_nan=False) + "\n"
