"""Every text of the report that is to be translated, found in its code and its templates."""

import ast
from pathlib import Path

import jinja2
import jinja2.nodes

REPORT = Path(__file__).parents[1] / "scripts" / "pseudocohort" / "report"


def texts() -> dict[str, str]:
    """Text -> file, of every t("...") and h("...")."""
    found = {}
    for path in sorted(REPORT.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) == "t" and isinstance(node.args[0], ast.Constant):
                found[node.args[0].value] = path.name
    for path in sorted(REPORT.glob("*.j2")):
        tree = jinja2.Environment().parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(jinja2.nodes.Call):
            named = isinstance(call.node, jinja2.nodes.Name) and call.node.name in ("t", "h")
            if named and isinstance(call.args[0], jinja2.nodes.Const):
                found[call.args[0].value] = path.name
    return found


def _name(function: ast.expr) -> str:
    """The last part of a called name."""
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
