"""Executes a notebook with the variables of this process, and prints the entries that it drew and its figures.

usage: notebook.py NOTEBOOK
"""

import json
import sys

import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
notebook.cells.append(nbformat.v4.new_code_cell("print(entries.to_json(orient='records', double_precision=15))"))
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
figures = sum("image/png" in output.get("data", {}) for output in outputs)
lines = [line for cell in notebook.cells[:-1] if cell.cell_type == "code" for line in cell.source.splitlines()]
json.dump({"entries": json.loads(outputs[-1]["text"]), "figures": figures, "lines": len(lines)}, sys.stdout)
