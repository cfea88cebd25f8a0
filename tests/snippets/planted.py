"""The runners of snippets, held against blocks with a failure planted into them: each has to be noticed, and what is documented to fail,
or does not fail, has to go by. Run by the scenario `docs` before any page is.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TENDON", "/nowhere")

import book
import strict
from world import Project

#: Blocks in which something fails.
FAILING = [
    "false",
    "false\ntrue",
    "false && true\ntrue",
    "true && false\ntrue",
    "true && false && true\ntrue",
    "false &&\n  true\ntrue",
    "false && true; true",
    "true; false && true; true",
    "false | cat\ntrue",
    "false | cat && true\ntrue",
    "false && true | cat\ntrue",
    "echo $(false)",
    'echo "a $(false) b"\ntrue',
    "echo $(false; echo x)",
    "echo $(false && echo x)",
    'echo "$(false && echo x)"',
    "echo $(false | cat)",
    "echo $(echo $(false))",
    'echo "x $(echo "$(false && true)")"',
    "export A=$(false)",
    "local_name=$(false)",
    "echo a $(true) $(false) && true",
    "(false && true)\ntrue",
    "(false; true)",
    "{ false && true; }\ntrue",
    "for one in 1 2; do false && true; done\ntrue",
    "if true; then false && true; fi\ntrue",
    "if true; then false; true; fi",
    "echo 'one && two' && false\ntrue",
    "true # a && b\nfalse && true # c\ntrue",
    "[[ a == b && c == c ]]\ntrue",
    "false || false\ntrue",
    "nobody-has-this-program && true\ntrue",
    "cat < /nowhere/at/all && true\ntrue",
    "echo $UNSET_NAME",
    "f() { false && true; }\nf\ntrue",
    "true && export A=$(false)\ntrue",
]

#: Blocks in which nothing fails that is not documented to.
GOOD = [
    "true",
    "true && true",
    "true && echo a | grep -q a && true",
    "false || true",
    "false && true || true",
    "true || false",
    "if false && true; then exit 3; fi",
    "if ! false; then true; fi",
    "while false; do true; done",
    "[[ a == a && b == b ]]",
    "echo $(false || true)",
    'echo "a && b" \'c && d\' e\\&\\&f',
    "echo $((1 + 1)) && echo ${HOME:-none}",
    "cd / && pwd\n[[ $PWD == / ]]",
    "A=1 && B=2\n[[ $A$B == 12 ]]",
    "echo a >/dev/null 2>&1 && true",
    "echo a &>/dev/null\ntrue",
    "true &\nwait",
    "cat <<<text",
    "# false\ntrue # && false",
    "printf '%s\\n' \\\n  one \\\n  two && true",
    "list=(a b) && [[ ${#list[@]} == 2 ]]",
]

#: Blocks that cannot be watched.
REFUSED = ["echo `false`", 'echo "`false`"', "cat <<EOF\n$(false)\nEOF", "diff <(false) <(false)", "false && true &", "[[ $(false) == a ]]",
           "echo ${A:-$(false)}"]


def by_script(text, folder):
    ran = subprocess.run(["bash", "-c", strict.script(text)], cwd=folder, capture_output=True, text=True)
    return ran.returncode, ran.stderr


def by_tour(text, folder):
    """As the scenarios do that type a page from its beginning to its end."""
    page = Path(folder, "page.md")
    page.write_text(f"# Page\n\n```sh\n{text}\n```\n\n```sh\ntrue\n```\n")
    record = Path(folder, "record")
    record.unlink(missing_ok=True)
    ran = subprocess.run(["bash"], input=book.tour(str(page)), cwd=folder, capture_output=True, text=True, env={**os.environ, "SNIPPETS": str(record)})
    lines = record.read_text().splitlines() if record.exists() else []
    assert (len(lines) == 2) == (ran.returncode == 0), f"the record says {lines}, and it ended with {ran.returncode}: {text}"
    return ran.returncode, ran.stderr


def by_project(text, folder):
    """As the stories do that type one block after the other."""
    try:
        Project.shell(SimpleNamespace(addressed=str, folder=folder, env=dict(os.environ)), text)
    except AssertionError as noticed:
        return 1, str(noticed)
    return 0, ""


def main():
    runs = 0
    with tempfile.TemporaryDirectory() as folder:
        for run in (by_script, by_tour, by_project):
            for text in FAILING:
                ended, said = run(text, folder)
                assert ended != 0, f"{run.__name__} did not notice that a part fails of:\n{text}"
                assert "a part failed with" in said or "unbound variable" in said, f"{run.__name__} does not name the part of:\n{text}\n{said}"
            for text in GOOD:
                ended, said = run(text, folder)
                assert ended == 0, f"{run.__name__} found a failure in:\n{text}\n{said}"
            runs += len(FAILING) + len(GOOD)
    for text in REFUSED:
        try:
            strict.script(text)
        except strict.Unwatched:
            continue
        raise AssertionError(f"what cannot be watched was taken:\n{text}")
    print(f"{len(FAILING)} planted failures noticed by each of three runners, {len(GOOD)} good blocks taken, {len(REFUSED)} refused")


if __name__ == "__main__":
    main()
