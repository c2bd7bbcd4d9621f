"""Notebooks of the site: each docs/notebooks/NAME.py is converted, executed and saved as NAME.ipynb with its outputs.

    python scripts/build_notebooks.py [NAME ...]

The script in jupytext's percent format is the source; `tests/test_notebooks.py` compares both. All three take about four minutes on two idle cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SHORT = "DTAO_GYM_SHORT"
"""Environment variable that asks a notebook for its short version."""
COMPILING = "dtao_gym: compiling the engine"
"""Beginning of the line that the first use on a machine prints."""
LONGEST_CELL = 3600
"""Seconds after which a cell is given up."""


def names() -> list[str]:
    """Names of the notebooks."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def unexecuted(name: str) -> nbformat.NotebookNode:
    """Notebook of a script, without outputs and with the same bytes at each conversion."""
    notebook = jupytext.read(FOLDER / f"{name}.py", fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def executed(name: str, short: bool = False) -> nbformat.NotebookNode:
    """Notebook with its outputs, executed in an empty folder; raises nbclient's error of a cell that fails."""
    notebook = unexecuted(name)
    environment = {
        key: value for key, value in os.environ.items() if key not in (SHORT, "MPLBACKEND")
    }
    if short:
        environment[SHORT] = "1"
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=LONGEST_CELL,
            record_timing=False,
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
    return cleaned(notebook, name)


def cleaned(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Remove from an executed notebook what tells of the machine: metadata of the kernel, and that it compiled the engine."""
    notebook.metadata = unexecuted(name).metadata
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [
                output
                for output in cell.outputs
                if not (output.get("name") == "stderr" and output.text.startswith(COMPILING))
            ]
    nbformat.validate(notebook)
    return notebook


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the notebooks of docs/notebooks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(names())}")
    chosen = parser.parse_args().names or names()
    if unknown := [name for name in chosen if name not in names()]:
        parser.error(f"NAME: got {unknown[0]}, allowed are {', '.join(names())}")
    for name in chosen:
        started = time.perf_counter()
        path = FOLDER / f"{name}.ipynb"
        path.write_text(nbformat.writes(executed(name)) + "\n")
        print(
            f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size / 1000:.0f} kB "
            f"in {time.perf_counter() - started:.0f} s"
        )


if __name__ == "__main__":
    main()
