"""Runs the cells of a notebook in their order with the variables of this process, as Jupyter does but without a kernel, and
prints the entries that it drew, the number of its figures and the number of its lines.

usage: notebook.py NOTEBOOK
"""

import ast
import json
import sys

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot


def run(source, names):
    """Runs a cell. The value of a last expression is shown, as Jupyter shows it."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if last:
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        print("" if shown is None else shown, file=sys.stderr)


figures = []


def show():
    """Takes the figures that are open and closes them, as Jupyter does."""
    figures.extend(pyplot.get_fignums())
    pyplot.close("all")


pyplot.show = show
with open(sys.argv[1]) as file:
    notebook = json.load(file)
names, lines = {"__name__": "__main__"}, 0
for cell in notebook["cells"]:
    if cell["cell_type"] == "code":
        source = "".join(cell["source"])
        lines += len(source.splitlines())
        run(source, names)
entries = json.loads(names["entries"].to_json(orient="records", double_precision=15))
json.dump({"entries": entries, "figures": len(figures), "lines": lines}, sys.stdout)
