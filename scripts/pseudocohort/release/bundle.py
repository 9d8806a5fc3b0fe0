"""Building the release folder: only behind an open gate, whole or not at all, and looked over once more at the end."""

import json
from pathlib import Path

from pseudocohort.errors import InputError
from pseudocohort.files import atomic_directory
from pseudocohort.measures.line import content_digest
from pseudocohort.release import scan
from pseudocohort.release.bill import bill_of_materials
from pseudocohort.release.documents import papers
from pseudocohort.release.files import place, sha256, verify, write_sums


def require_open(gate_path: str | Path, page: str | Path) -> dict:
    """The gate's answer; InputError where the evidence is incomplete, or gate.json is not what the gate wrote."""
    gate = json.loads(Path(gate_path).read_text(encoding="utf-8"))
    if gate.get("digest") != content_digest(gate):
        raise InputError(
            f"{gate_path} was changed after the gate wrote it",
            where=str(gate_path),
            expected="the answer of the gate, unchanged",
            remedy=f"delete it and run again: rm {gate_path}",
        )
    if not gate["complete"]:
        short = [c["check"] for c in gate["checks"] if not c["passed"]]
        raise InputError(
            f"the evidence is incomplete, nothing was released: {', '.join(short)}",
            where=str(gate_path),
            expected="all checks of the gate passed",
            remedy=f"open {page}: it says what is missing or falls short, and what to do",
        )
    return gate


def build(
    folder: str | Path,
    gate_path: str | Path,
    files: dict[str, Path],
    facts: dict,
    words: scan.Words,
    machine: scan.Machine,
) -> int:
    """Make the release folder anew; returns the number of its files.

    files: path in the release -> source, exactly those that the gate looked at (gate.json is added).  facts: what the
    papers tell, see `facts`.  InputError where a file is no longer what the gate saw, or a paper holds an id.
    """
    gate = json.loads(Path(gate_path).read_text(encoding="utf-8"))
    if set(files) != set(gate["files"]):
        _changed(str(gate_path), "the list of files")
    with atomic_directory(folder) as part:
        sums = {}
        for name, source in files.items():
            if source.is_symlink():
                _changed(str(source), name)
            sums[name] = place(source, part / name)
            if sums[name] != gate["files"][name]:
                _changed(str(source), name)
        sums["evidence/gate.json"] = place(Path(gate_path), part / "evidence/gate.json")
        (part / "sbom.json").write_text(bill_of_materials(facts["made"]), encoding="utf-8")
        sums["sbom.json"] = sha256(part / "sbom.json")
        listed = [{"name": n, "size": (part / n).stat().st_size, "sum": total} for n, total in sorted(sums.items())]
        told = facts | {"files": listed, "size": sum(f["size"] for f in listed), "gate": sums["evidence/gate.json"]}
        for name, text in papers(told).items():
            (part / name).write_text(text, encoding="utf-8")
        for path in (*part.glob("*.md"), *part.glob("*.html"), part / "sbom.json"):
            if found := scan.traces(path, words, machine):
                raise InputError(
                    f"{path.name} would hold {found[0]}",
                    where="configuration keys under release, or the installed packages",
                    expected="texts without ids of people and without traces of this machine",
                    remedy="correct the texts under release",
                )
        write_sums(part, sums)
        return verify(part, whole=False)


def _changed(where: str, name: str) -> None:
    raise InputError(
        f"{name} has changed since the gate looked at it",
        where=where,
        expected="the files that the gate saw",
        remedy="run the gate again: rm results/gate.json",
    )
