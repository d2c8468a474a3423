"""Tables, as text for a terminal and as HTML for a notebook."""

from collections.abc import Iterable, Sequence
from html import escape

Row = Sequence[str]


def as_text(rows: Sequence[Row]) -> str:
    """Aligned columns, two spaces apart.

    >>> print(as_text([("layer", "ms"), ("stem", "1.25")]))
    layer  ms
    stem   1.25
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def as_html(rows: Iterable[Row], header: Row | None = None) -> str:
    """A table element; what the cells hold is shown as it is.

    >>> as_html([("a<b", "1")], header=("name", "ms"))
    '<table><tr><th>name</th><th>ms</th></tr><tr><td>a&lt;b</td><td>1</td></tr></table>'
    """
    lines = [] if header is None else [_line("th", header)]
    lines += [_line("td", row) for row in rows]
    return f"<table>{''.join(lines)}</table>"


def _line(tag: str, row: Row) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
