"""Small pieces of HTML; every text from a scenario passes ``text`` and so cannot become markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def text(value: object) -> str:
    """Any value as text, escaped."""
    return escape(str(value), quote=True)


def slug(name: str) -> str:
    """A heading as an anchor."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def section(title: str, body: str, *, long: bool = False) -> str:
    """A section with its heading; a long one may break over pages in print."""
    kind = ' class="long"' if long else ""
    return f'<section id="{slug(title)}"{kind}><h2>{text(title)}</h2>\n{body}</section>\n'


def note(words: str) -> str:
    """A paragraph of explanation."""
    return f'<p class="note">{text(words)}</p>\n'


def figure(name: str, label: str, caption: str = "") -> str:
    """The place of the picture ``name``; ``label`` says what it shows to those who cannot see it."""
    below = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    plot = f'<div class="plot" id="plot-{text(name)}" data-figure="{text(name)}" role="img" aria-label="{text(label)}"></div>'
    return f"<figure>{plot}{below}</figure>\n"


def tabs(plot: str, choices: Sequence[tuple[str, str]]) -> str:
    """Buttons that switch the picture in the place ``plot``: (picture, label)."""
    buttons = "".join(
        f'<button type="button" data-figure="{text(name)}" aria-pressed="{"true" if k == 0 else "false"}">{text(label)}</button>'
        for k, (name, label) in enumerate(choices)
    )
    return f'<div class="tabs" data-plot="plot-{text(plot)}">{buttons}</div>\n'


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    firm: Sequence[int] = (),
    own: int | None = None,
) -> str:
    """A plain table; cells are texts, columns in ``numeric`` stand right, ``firm`` do not wrap, column ``own`` is emphasised."""

    def kind(column: int) -> str:
        """Class attribute of a cell in ``column``."""
        names = [name for name, is_so in (("n", column in numeric), ("when", column in firm), ("own", column == own)) if is_so]
        return f' class="{" ".join(names)}"' if names else ""

    cells = "".join(f'<th scope="col"{kind(k)}>{text(name)}</th>' for k, name in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{kind(k)}>{text(value)}</td>" for k, value in enumerate(row)) + "</tr>\n" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>\n{body}</tbody></table></div>\n'


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values."""
    return "<dl>" + "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs) + "</dl>\n"


def bullets(lines: Iterable[str]) -> str:
    """Sentences as a list."""
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>\n"
