"""The pages of the documentation, and the blocks of code on them."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md")])
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of a page.

    Args:
        page: the page's name.
        line: where it begins there.
        language: what stands behind the three backticks; `{name}` for a directive of Sphinx.
        excuse: why it does not run, as the page says it; None when it does.
        code: what it holds.
    """

    page: str
    line: int
    language: str
    excuse: str | None
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str:
        """The name of the file that it is, as its first line says: `# secrets.env`; or empty."""
        found = re.match(r"# ([\w.-]+\.\w+)\b", self.code)
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """Return the blocks of *page* in their order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        excuse = rest.removeprefix("no-run").lstrip(":").strip() if rest.startswith("no-run") else None
        found.append(Block(page.name, line, language, excuse, match["code"]))
    return found


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of_language(*languages: str) -> list[Block]:
    """Return all blocks of these languages, of every page."""
    return [block for block in BLOCKS if block.language in languages]
