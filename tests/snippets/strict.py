"""A documented block of shell, run so that a part of it that fails is noticed wherever it stands.

`set -e` overlooks the left side of `&&`, and everything in a `$(…)` that stands among the words of a command. So the words stay as they
are printed, and around them: each failure that the shell itself would call one (its trap ERR, in substitutions and pipes too) goes into
a file, which is looked at after each command; and `a && b` becomes two commands, of which the second still waits for the first. What
is documented to fail stands left of `||`, or in a condition, and is left alone there. Shell that cannot be watched is refused.
"""

import re
import subprocess

PRELUDE = r"""set -Eeuo pipefail
shopt -s inherit_errexit
__faults=$(mktemp)
__noticed() { [[ ! -s $__faults ]] || exit 1; }
__over() {
    local ended=$?
    if [[ -s $__faults ]]; then
        cat "$__faults" >&2
        ((ended)) || ended=1
    fi
    rm -f "$__faults"
    exit "$ended"
}
trap __over EXIT
trap 'printf "a part failed with %s: %s\n" "$?" "$BASH_COMMAND" >>"$__faults"' ERR
"""

#: Who begins a list with these wants to know whether it fails.
CONDITIONS = ("if", "elif", "while", "until", "!")
#: What may stand before the first command of a list.
OPENERS = ("then", "do", "else", "{", "(")


class Unwatched(Exception):
    """Shell in which a failure could go by."""


def commands(text):
    """The commands of a script: lines are taken together until the shell itself finds them whole."""
    whole, part = [], ""
    for line in text.splitlines(keepends=True):
        if not part and (not line.strip() or line.lstrip().startswith("#")):
            continue
        part += line
        finds = subprocess.run(["bash", "-n"], input=part, text=True, capture_output=True)
        if finds.returncode == 0 and not finds.stderr and not line.rstrip("\n").endswith("\\"):
            whole.append(part)
            part = ""
    assert not part, f"a command has no end: {part}"
    return whole


def watched(text):
    """The commands of a block, looked after; PRELUDE stands before them."""
    return "".join(f"{Lists(one).all().rstrip()}\n__noticed\n" for one in commands(text))


def script(text):
    """A block as a whole script."""
    return PRELUDE + watched(text)


class Lists:
    """Takes `a && b` apart wherever it stands in a command, and copies everything else."""

    def __init__(self, text):
        self.text, self.at = text, 0

    def all(self):
        made = self.commands("")
        if self.at < len(self.text):
            raise Unwatched(f"there is a `)` too many: {self.text}")
        return made

    def commands(self, closing):
        """Lists up to the closing bracket, or to the end."""
        made, parts = "", [""]
        while self.at < len(self.text):
            if closing and self.ahead(closing):
                break
            if not closing and self.ahead(")"):
                break
            if self.ahead("&&") or self.ahead("||"):
                parts += [self.take(2), ""]
            elif self.ahead("&") and not re.search(r"[<>]$", parts[-1]) and not self.ahead("&>"):
                if "&&" in parts:
                    raise Unwatched(f"what stands left of `&&` in the background is waited for by nobody: {self.text}")
                made, parts = made + self.join(parts) + self.take(1), [""]
            elif self.ahead(";") or self.ahead("\n"):
                if self.ahead("\n") and len(parts) > 1 and not parts[-1].strip():
                    parts[-1] += self.take(1)
                    continue
                made, parts = made + self.join(parts) + self.take(1), [""]
            else:
                parts[-1] += self.word(parts[-1])
        return made + self.join(parts)

    def join(self, parts):
        """A list as it is, or its commands one after the other, each only where the one before it went well."""
        first = next((word for word in parts[0].split() if word not in OPENERS), "")
        if "&&" not in parts or "||" in parts or first in CONDITIONS:
            return "".join(parts)
        one, *more = (part for part in parts if part != "&&")
        return one + "".join(f"\n[[ $? == 0 ]] && {part.strip()}" for part in more)

    def word(self, before):
        """The next piece that is copied as a whole."""
        fresh = not before or before[-1].isspace()
        if self.ahead("`"):
            raise Unwatched(f"write `$(…)`, inside of which failures are seen: {self.text}")
        if re.match(r"<<(?!<)|[<>]\(", self.text[self.at:]):
            raise Unwatched(f"nothing is seen of a here-document, or of `<(…)`: {self.text}")
        if self.ahead("\\"):
            return self.take(2)
        if self.ahead("<<<"):
            return self.take(3)
        if self.ahead("'"):
            return self.through("'")
        if self.ahead('"'):
            return self.quoted()
        if fresh and self.ahead("#"):
            return self.take(self.text.find("\n", self.at) - self.at if "\n" in self.text[self.at:] else len(self.text))
        if fresh and self.ahead("[["):
            return self.through("]]")
        if self.ahead("$((") or (fresh and self.ahead("((")):
            return self.through("))")
        if self.ahead("${"):
            return self.through("}")
        if self.ahead("$("):
            return self.bracket(2)
        if self.ahead("("):
            return self.bracket(1)
        return self.take(1)

    def bracket(self, opening):
        """A substitution or a subshell: its lists are taken apart as well. A comment at its end may not hide the bracket."""
        begun = self.take(opening)
        inside = self.commands(")")
        if not self.ahead(")"):
            raise Unwatched(f"a bracket has no end: {self.text}")
        return begun + inside + self.take(1)

    def quoted(self):
        made = self.take(1)
        while not self.ahead('"'):
            if self.at >= len(self.text):
                raise Unwatched(f"a quote has no end: {self.text}")
            if self.ahead("`"):
                raise Unwatched(f"write `$(…)`, inside of which failures are seen: {self.text}")
            if self.ahead("$(") and not self.ahead("$(("):
                made += self.bracket(2)
            else:
                made += self.take(2 if self.ahead("\\") else 1)
        return made + self.take(1)

    def through(self, end):
        at = self.text.find(end, self.at + 1)
        if at < 0:
            raise Unwatched(f"`{end}` is missing: {self.text}")
        piece = self.text[self.at:at + len(end)]
        if "$(" in piece[1:] and end not in ("'", "))") or "$(" in piece[3:] and end == "))":
            raise Unwatched(f"a substitution inside of `{piece[:2]}` is not looked into; give it a line of its own: {self.text}")
        return self.take(len(piece))

    def ahead(self, text):
        return self.text.startswith(text, self.at)

    def take(self, count):
        piece = self.text[self.at:self.at + count]
        self.at += count
        return piece
