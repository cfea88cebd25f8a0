"""The fenced blocks of a page, and the record of those that were run.

As a module: `Page` hands out blocks in their order and writes down what went well. As a program it prints a shell script of a
page's `sh` blocks, which writes the same record while it runs: `book.py tour PAGE [HEADING]`. `book.py ran PAGE COMMAND` is for who
runs a command with more words than are printed; `book.py printed PAGE LOG` holds the page's `text` blocks against what was said.

The record is the file that SNIPPETS names: page, line and number of commands of each block that was run. `cargo xtask test` holds
it against the pages, so nothing has to be complete here.
"""

import contextlib
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from strict import PRELUDE, commands, watched

REPO = Path(__file__).resolve().parents[2]


@dataclass
class Block:
    page: str
    line: int
    language: str
    heading: str
    text: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    def count(self):
        """How many commands a block of shell has; every other block is one thing."""
        return len(commands(self.text)) if self.language == "sh" else 1


def blocks(page):
    """All fenced blocks of a page, named from the repository's root."""
    found, heading, begun = [], "", None
    for number, line in enumerate((REPO / page).read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"( *)```(.*)$", line)
        if begun is None and fence:
            begun = (number, fence[2].strip(), len(fence[1]), [])
        elif begun is not None and fence and not fence[2]:
            first, language, _, lines = begun
            found.append(Block(page, first, language, heading, "".join(f"{one}\n" for one in lines)))
            begun = None
        elif begun is not None:
            begun[3].append(line[begun[2]:])
        elif line.startswith("## "):
            heading = line[3:]
    return found


def record(page, line, count):
    if os.environ.get("SNIPPETS"):
        with open(os.environ["SNIPPETS"], "a", encoding="utf-8") as file:
            file.write(f"{page} {line} {count}\n")


class Page:
    """The blocks of a page, each handed out once, in the order of their language."""

    def __init__(self, page):
        self.page = page
        self.left = blocks(page)

    @contextlib.contextmanager
    def block(self, language):
        """The next block of that language; it counts as run when nothing goes wrong with it."""
        block = next((one for one in self.left if one.language == language), None)
        assert block, f"{self.page} has no further block of {language}"
        self.left.remove(block)
        try:
            yield block.text
        except BaseException:
            print(f"--- {block.place}, which went wrong:\n{block.text}", file=sys.stderr)
            raise
        record(block.page, block.line, block.count())


def pattern(line):
    """What a line of printed output allows: ids and times are others, as a terminal or a file has them, and `…` stands for anything."""
    ids = r"[0-9a-f]{8}-(?:…|[0-9a-f]{4}-[0-9a-f-]{22,27})"
    times = r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z| \d\d:\d\d:\d\d)"
    parts = re.split(rf"({ids}|{times}|…|\s+)", line.strip())
    found = []
    for part in parts:
        if re.fullmatch(ids, part):
            found.append(r"[0-9a-f-]{13,}…?")
        elif re.fullmatch(times, part):
            found.append(times)
        elif part == "…":
            found.append(".*")
        else:
            found.append(r"\s+" if part.isspace() else re.escape(part))
    return re.compile(r"\s*" + "".join(found) + r"\s*")


def same(printed, real):
    """Every line that a page prints is a line of what was really said, in that order."""
    rest = iter(real.splitlines())
    for line in filter(str.strip, printed.splitlines()):
        wanted = pattern(line)
        assert any(wanted.fullmatch(one) for one in rest), f"`{line}` stands on the page, and was not said:\n{real}"


def tour(page, heading=None):
    """A script of the page's `sh` blocks."""
    taken = [one for one in blocks(page) if one.language == "sh" and heading in (None, one.heading)]
    assert taken, f"{page} has no block of shell"
    script = [PRELUDE, '__ran() { [[ -z ${SNIPPETS:-} ]] || echo "$*" >>"$SNIPPETS"; }']
    for block in taken:
        place = f"{shlex.quote(block.page)} {block.line} {block.count()}"
        script.append(f"echo {shlex.quote('--- ' + block.place)}\n{watched(block.text)}echo\n__ran {place}")
    return "\n".join(script)


def ran(page, command):
    """Writes down that the block of shell which begins with that command was run, by somebody else."""
    block = next(one for one in blocks(page) if one.language == "sh" and one.text.startswith(command))
    record(block.page, block.line, block.count())


def printed(page, log):
    """Holds what a page prints as output, a `text` after the other, against what its shell said."""
    real = Path(log).read_text(encoding="utf-8")
    shown = [one for one in blocks(page) if one.language == "text"]
    assert shown, f"{page} prints no output"
    same("".join(one.text for one in shown), real)
    for block in shown:
        record(block.page, block.line, block.count())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tour", *which]:
            print(tour(*which))
        case ["ran", page, command]:
            ran(page, command)
        case ["printed", page, log]:
            printed(page, log)
        case _:
            sys.exit(__doc__)
