"""All benchmarks from one place: their index, or the tables of some, each kept in a file that says where it was made.

    ./run python bench                                     # the index
    ./run python bench reaction_limit -- --only ranks      # one, with arguments of its own
    ./run python bench pinned_kernel kac_kernel            # several

What NAME prints goes to the terminal and to bench/tables/NAME.txt, below the machine, versions and commit. One thread
of OpenMP and BLAS, since tables count cores themselves.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TABLES = HERE / "tables"
NOT_ALONE = ("__main__", "in_turn", "pinned_opponents")
"""What other benchmarks import."""


def index() -> dict[str, str]:
    """Every benchmark, and the first line of what it says of itself."""
    names = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_ALONE)
    return {
        name: (ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or "").split("\n")[0] for name in names
    }


def run(name: str, arguments: list[str]) -> int:
    """Run one, and keep what it prints if it ends well; its exit code."""
    info = subprocess.run([sys.executable, "-m", "kinlim", "info"], capture_output=True, text=True, check=True).stdout
    lines = [f"$ python bench {name} {' '.join(arguments)}".rstrip(), info]
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    program = subprocess.Popen(
        [sys.executable, "-u", str(HERE / f"{name}.py"), *arguments],
        stdout=subprocess.PIPE, text=True, env=os.environ | one,
    )  # fmt: skip
    assert program.stdout is not None
    for line in program.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    if program.wait() == 0:
        TABLES.mkdir(exist_ok=True)
        (TABLES / f"{name}.txt").write_text(lines[0] + "\n" + "".join(lines[1:]), encoding="utf-8")
        print(f"kept: {TABLES / name}.txt")
    return program.returncode


def main() -> int:
    """Print the index, or run what is asked for; 2 for a name that is none, otherwise the last exit code but 0."""
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    names, arguments = words[:at], words[at + 1 :]
    there = index()
    if unknown := [name for name in names if name not in there]:
        print(f"there is no benchmark '{unknown[0]}'; there are {', '.join(there)}", file=sys.stderr)
        return 2
    if not names:
        width = max(map(len, there))
        print("\n".join(f"{name:{width}}  {what}" for name, what in there.items()))
    return next((code for code in [run(name, arguments) for name in names] if code), 0)


if __name__ == "__main__":
    sys.exit(main())
