"""Inline markup of texts, and marks of glossary terms."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

TARGET = re.compile(r"(https?://|mailto:|#)[^\s]+|(?![a-zA-Z][a-zA-Z0-9+.-]*:|/)[^\s:]+")
"""Allowed target of a link."""
_MARKUP = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\[(?P<label>[^]\[]+)\]\((?P<target>[^()\s]*)\)"
)


class Piece(NamedTuple):
    """A piece of a text: its kind, what is shown, and the target of a link."""

    kind: str
    text: str
    target: str = ""


def pieces(text: str) -> Iterator[Piece]:
    """Yield the pieces of a text: plain, code, strong and links.

    Raises
    ------
    ValueError
        The target of a link is not allowed.
    """
    end = 0
    for match in _MARKUP.finditer(text):
        if match.start() > end:
            yield Piece("plain", text[end : match.start()])
        end = match.end()
        if match["code"] is not None:
            yield Piece("code", match["code"])
        elif match["strong"] is not None:
            yield Piece("strong", match["strong"])
        elif TARGET.fullmatch(match["target"]):
            yield Piece("link", match["label"], match["target"])
        else:
            raise ValueError(
                f"target: got {match['target']!r}, allowed are https://, http://, mailto:, "
                "an anchor and a relative path"
            )
    if end < len(text):
        yield Piece("plain", text[end:])


class Term(NamedTuple):
    """A term of the glossary.

    A text uses it in any of its forms, in the singular or with an s, beginning with a small or a capital letter.
    """

    name: str
    definition: str
    forms: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Fragment of its address."""
        return "term-" + "-".join(re.findall(r"[a-z0-9]+", self.name.lower()))


def _either_case(form: str) -> str:
    first = form[0]
    pair = re.escape(first) if not first.isalpha() else f"[{first.lower()}{first.upper()}]"
    return pair + re.escape(form[1:])


@dataclass
class Marks:
    """Marks of terms: the first use of each in a section.

    Attributes
    ----------
    glossary : mapping of str to Term
        Terms by name.
    used : dict of str to Term
        Terms that were marked, in the order of their first use.
    """

    glossary: Mapping[str, Term]
    used: dict[str, Term] = field(default_factory=dict)
    _in_section: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._by_form = {
            form[0].lower() + form[1:]: term
            for term in self.glossary.values()
            for form in (term.name, *term.forms)
        }
        forms = sorted(self._by_form, key=lambda form: (-len(form), form))
        choice = "|".join(_either_case(form) for form in forms)
        self._pattern = re.compile(rf"(?<![\w-])({choice})(s?)(?![\w-])") if forms else None

    def begin_section(self) -> None:
        """Forget which terms have been marked."""
        self._in_section.clear()

    def __call__(self, text: str) -> str:
        """Return plain text as HTML with its terms marked."""
        if self._pattern is None:
            return escape(text)
        parts, end = [], 0
        for match in self._pattern.finditer(text):
            form = match[1][0].lower() + match[1][1:]
            term = self._by_form[form]
            if term.name in self._in_section:
                continue
            self._in_section.add(term.name)
            self.used.setdefault(term.name, term)
            parts.append(escape(text[end : match.start()]))
            parts.append(
                f'<a class="term" href="#{term.anchor}" aria-describedby="{term.anchor}-text">'
                f"{escape(match[0])}</a>"
            )
            end = match.end()
        return "".join(parts) + escape(text[end:])


def to_html(text: str, marks: Marks | None = None) -> str:
    """Return a text as HTML; without `marks` no terms are marked."""
    parts = []
    for kind, shown, target in pieces(text):
        match kind:
            case "code":
                parts.append(f"<code>{escape(shown)}</code>")
            case "strong":
                parts.append(f"<strong>{escape(shown)}</strong>")
            case "link":
                parts.append(f'<a href="{escape(target)}">{escape(shown)}</a>')
            case _:
                parts.append(marks(shown) if marks else escape(shown))
    return "".join(parts)


def to_markdown(text: str) -> str:
    """Return a text as Markdown, in which nothing but the inline markup means anything."""
    parts = []
    for kind, shown, target in pieces(text):
        match kind:
            case "code":
                parts.append(f"`{shown}`")
            case "strong":
                parts.append(f"**{plain_markdown(shown)}**")
            case "link":
                parts.append(f"[{plain_markdown(shown)}]({target})")
            case _:
                parts.append(plain_markdown(shown))
    return "".join(parts)


def plain_markdown(text: str) -> str:
    """Return literal text as Markdown."""
    text = re.sub(r"([\\`*])", r"\\\1", text)
    text = text.replace("](", "]\\(")
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;")
