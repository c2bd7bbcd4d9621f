"""A page with every kind of block and chart, on hostile texts."""

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.report.blocks import (
    Answer,
    Bullets,
    Chart,
    Citation,
    Code,
    Column,
    Details,
    Heading,
    Paragraph,
    Table,
)
from dtao_agents.report.charts import (
    IntervalPlot,
    IntervalRow,
    Line,
    LinePlot,
    Panels,
    ShareStrip,
    Waterfall,
)
from dtao_agents.report.glossary import INSTITUTION_NAMES, plain_name

HOSTILE = """<script>alert("1")</script> & 'quoted' "double" </style> | `"""
TITLE = "Do subnet markets crowd out long-term research?"
FACTS = {"command": "dtao probe quick", "population": HOSTILE, "digest": "0123456789abcdef" * 4}
BIBTEX = "@misc{dtao_gym,\n  title = {Subnet markets & research},\n  year = {2026}\n}"
NAMES = ("price", "tao_flow", "root_vote", "price_burn", "uniform")


def intervals(shift: float = 0.0) -> list[IntervalRow]:
    rows = [
        IntervalRow(
            plain_name(name),
            Estimate(1.1 - 0.35 * k + shift, 0.8 - 0.35 * k + shift, 1.5 - 0.35 * k + shift),
            series=name,
            group=group,
            note="64 seeds",
            marker=marker,
        )
        for group, marker in (("without pruning", "circle"), ("with pruning", "triangle"))
        for k, name in enumerate(NAMES)
    ]
    return [*rows, IntervalRow(f"not yet run {HOSTILE}", None, "net_flow", "with pruning")]


INTERVALS = IntervalPlot(
    intervals(),
    "crowding out, log-odds",
    band=0.2,
    span=(-1.0, 1.2),
    names={name: INSTITUTION_NAMES[name].name for name in NAMES},
    marker_names={"circle": "without pruning", "triangle": "with pruning"},
)
PANELS = Panels(
    {
        payment: IntervalPlot(intervals(shift)[:5], "log-odds", band=0.2)
        for payment, shift in (("paid in alpha", 0.0), ("paid in TAO", -0.6), ("by fees", 0.3))
    }
)
LINES = LinePlot(
    [
        Line(
            plain_name(name),
            [
                (days, Estimate(k + days / 400, k + days / 400 - 0.3, k + days / 400 + 0.4))
                for days in (0, 30, 90, 180, 360, 720)
            ],
            series=name,
        )
        for k, name in enumerate(("price", "root_vote"))
    ]
    + [
        Line("closed form", [(d, 0.2 + d / 500) for d in range(0, 721, 10)], "price", dashed=True),
        Line("engine", [(180, Estimate(0.6, 0.4, 0.9))], "price_burn", joined=False),
    ],
    "mean days from research to use",
    "crowding out, log-odds",
    band=0.2,
)
WATERFALL = Waterfall(
    [
        IntervalRow("hype", Estimate(0.8, 0.6, 1.0)),
        IntervalRow("dilution", Estimate(-0.3, -0.5, -0.1)),
        IntervalRow("finance", Estimate(0.2, 0.1, 0.3)),
        IntervalRow("pruning", Estimate(0.05, -0.1, 0.2)),
    ],
    "log-odds",
    IntervalRow("together", Estimate(0.75, 0.5, 1.0)),
)
SHARES = ShareStrip(
    {
        "by token price": {"short-term work": 0.62, "research": 0.3, "influence": 0.08},
        "by vote of root validators": {"short-term work": 0.4, "research": 0.5, "influence": 0.1},
    }
)


def chart(title, figure):
    return Chart(title, figure, f"{title}, in words: the market crowds out most.", "Points: means.")


BLOCKS = [
    Answer(
        [
            "Subnet markets crowd out research: builders put 24 % of their work into it, against 50 % where users pay them their own value.",
            "The earlier root vote crowded out less.",
        ],
        note="Measured in a model; 64 seeds.",
    ),
    Paragraph(
        f"Each subnet has its own alpha token; the subnet sells it in a pool. {HOSTILE} Read **this** in "
        "`tao_flow` and [the claims](#claims) or [the paper](https://example.org/a?b=1&c=2)."
    ),
    Heading("Crowding out"),
    Paragraph("The emission of a subnet is **TAO**; log-odds compare shares."),
    chart("Prices crowd out more than votes", INTERVALS),
    chart("Pay in TAO halves the effect", PANELS),
    Heading("Dose response", 3),
    chart("The effect grows with the delay", LINES),
    Heading("Causes"),
    chart("Hype is the largest cause", WATERFALL),
    chart("A third of the work is research", SHARES),
    Heading("The claims", anchor="claims"),
    Bullets([f"First {HOSTILE}", "second"]),
    Bullets(["one", "two"], numbered=True),
    Table(
        ["institution", Column("crowding out", "+.2f"), "seeds", "verdict", "long text"],
        [
            ["price", Estimate(1.1, 0.8, 1.5), 64, "supported", "a long text " * 12],
            ["root_vote", Estimate(0.4, 0.1, 0.75), 2048, "undecided", HOSTILE],
            ["uniform", None, 0, "=1+1", "-"],
        ],
        "Crowding out by institution",
        name="crowding-out",
    ),
    Table(["a", "b"], [[1, 2.5]], "Folded values", folded=True),
    Details("Plan of the run", [Code(f"seeds: 64\n{HOSTILE}\n{'x' * 300}"), Paragraph("Text.")]),
    Heading("Crowding out"),
    Heading("Cite"),
    Citation(BIBTEX),
]
