"""Which library files a rule's script uses, so that Snakemake sees when one of them changes."""

import ast
from functools import cache
from pathlib import Path

from pseudocohort.files import digest

LIBRARY = Path(__file__).parent


def code_digest(script: Path, data: list[Path] | tuple = ()) -> str:
    """Digest of every file of this library that `script` imports, directly or through other modules, and of `data`."""
    seen: set[Path] = set()
    todo = [script]
    while todo:
        new = _imports(todo.pop()) - seen
        seen |= new
        todo += new
    return digest(sorted([*seen, *data]))


@cache
def _imports(file: Path) -> frozenset[Path]:
    """Library files, and data files beside them, that one Python file names in its import statements."""
    if file.suffix != ".py":
        return frozenset()
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pseudocohort"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("pseudocohort")]
        else:
            continue
        for name in names:
            base = LIBRARY.joinpath(*name.split(".")[1:])
            found |= {p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()}
    # Page templates and catalogues belong to the module that reads them.
    return frozenset(found | {p for kind in ("j2", "yaml") for p in file.parent.glob(f"{file.stem}.*.{kind}")})
