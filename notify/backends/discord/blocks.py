"""What the description of an embed is made of: sections, tables, an exception, each cut where that does least harm."""

from collections.abc import Callable, Sequence

from notify.backends.discord import text
from notify.event import Event, ExceptionInfo
from notify.table import Table

Block = Callable[[int], tuple[str, bool]]
"""Something to show: given a limit, returns what of it fits and whether that is all."""

_EXCEPTION_LINE = 500  # of an exception's message, above its traceback
_GAP = "\n\n"


def prose(texts: Sequence[str]) -> list[Block]:
    """Return the sections of *texts* as blocks, each under a heading when there are several."""
    blocks: list[Block] = []
    for one in texts:
        separated = any(line.strip() == text.SECTION_BREAK for line in one.split("\n"))
        blocks += [_section(part, headed=separated) for part in text.sections(one)]
    return blocks


def field_line(name: str, value: str) -> Block:
    """Return a field that is too long for the embed's own ones."""
    return lambda limit: text.head_that_fits(f"{name}: {value}", limit, text.escape)


def table_block(name: str, table: Table) -> Block:
    """Return *table* below its name. It is cut between rows, and says how many there are more."""

    def render(count: int) -> str:
        return f"{text.bold(name)}\n{text.fence(text.visible(table.first(count).draw()))}"

    def block(limit: int) -> tuple[str, bool]:
        count = text.most_that_fit(table.rows_within(limit), lambda count: text.length(render(count)) <= limit)
        return (render(count), count == len(table)) if count else ("", False)

    return block


def ends(event: Event) -> list[Block]:
    """Return what stands at the end of a description and matters by its own end: the exception and the log's tail."""
    blocks: list[Block] = []
    if event.exception is not None:
        blocks.append(_exception(event.exception, event.message))
    lines = text.visible("\n".join(event.tail))
    if not text.is_blank(lines):

        def tail(limit: int) -> tuple[str, bool]:
            whole = text.fence(lines)
            return (whole, True) if text.length(whole) <= limit else ("", False)

        blocks.append(tail)
    return blocks


def fill(blocks: Sequence[Block], last: Sequence[Block], limit: int) -> tuple[str, bool]:
    """Return *blocks* and then *last* within *limit*, and whether everything is there.

    When it is not, *last* gets up to half of the room.
    """
    shown, whole = stack(blocks, limit)
    end, end_whole = stack(last, limit - text.length(shown) - len(_GAP))
    if not (whole and end_whole) and last:
        shown, whole = stack(blocks, max(limit // 2, limit - text.length(stack(last, limit)[0]) - len(_GAP)))
        end, end_whole = stack(last, limit - text.length(shown) - len(_GAP))
    return _GAP.join(part for part in (shown, end) if part), whole and end_whole


def stack(blocks: Sequence[Block], limit: int) -> tuple[str, bool]:
    """Return the first *blocks* within *limit*, and whether that is all. Nothing follows a block that was cut."""
    shown: list[str] = []
    whole = True
    for block in blocks:
        piece, whole = block(limit)
        if piece:
            shown.append(piece)
            limit -= text.length(piece) + len(_GAP)
        if not whole:
            break
    return _GAP.join(shown), whole


def _section(section: str, *, headed: bool) -> Block:
    first, _, rest = section.partition("\n")
    headed = headed and len(first) <= text.WIDE and not text.is_blank(first)
    if not text.is_table(section):
        return lambda limit: text.head_that_fits(section, limit, _with_headings if headed else text.escape)
    if headed and rest and "  " not in first.strip():
        return lambda limit: _drawn(rest, limit, f"{text.bold(first)}\n")
    return lambda limit: _drawn(section, limit, "")


def _drawn(table: str, limit: int, head: str) -> tuple[str, bool]:
    """Return a table that somebody has drawn, below *head*: as many of its lines as fit."""
    lines = table.split("\n")
    room = limit - text.length(head)
    count = text.most_that_fit(len(lines), lambda count: text.length(text.fence("\n".join(lines[:count]))) <= room)
    if count:
        return head + text.fence("\n".join(lines[:count])), count == len(lines)
    shown, whole = text.head_that_fits(table, room, text.fence)
    return head + shown if shown else "", whole


def _with_headings(section: str) -> str:
    """Return *section* with its first line in bold, and each line that has indented ones below it: what they are of."""
    lines = section.split("\n")
    return "\n".join(
        text.bold(line)
        if line.strip() and (number == 0 or (not _is_indented(line) and _is_indented("".join(lines[number + 1 :][:1]))))
        else text.escape(line)
        for number, line in enumerate(lines)
    )


def _is_indented(line: str) -> bool:
    return line.startswith(("  ", "\t")) and bool(line.strip())


def _exception(raised: ExceptionInfo, said: str) -> Block:
    summary = f"{raised.type}: {raised.message}".strip()
    # A crash has it in its title, without the module of its class.
    is_said = summary in said or summary.removeprefix(f"{raised.type.rpartition('.')[0]}.") in said
    summary = "" if is_said else text.visible(summary)
    trace = text.visible(raised.traceback)

    def block(limit: int) -> tuple[str, bool]:
        line, line_whole = text.head_that_fits(summary, min(limit, _EXCEPTION_LINE), text.escape)
        # What the line leaves out is at the end of the traceback, where Python prints it.
        if text.is_blank(trace):
            return line, line_whole
        shown, trace_whole = text.tail_that_fits(trace, limit - text.length(line) - 1, text.fence)
        return "\n".join(part for part in (line, shown) if part), trace_whole

    return block
