"""What a run says at its end: warnings of its own logs, and results of this run alone."""

import os

from pseudocohort.report.ending import tell_results, tell_warnings, warnings_since

NOW = 1_000_000.0


def write(path, text, age=0.0):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))


def test_warnings_of_this_run_are_told_once_with_their_log(tmp_path, capsys):
    line = "     0.1s WARNING few people\n"
    write(tmp_path / "logs/model.log", "     0.0s INFO WARNING is a word\n" + 2 * line)
    write(tmp_path / "logs/chr22/import.log", line + "     0.2s ERROR no\n")
    write(tmp_path / "logs/old.log", line, age=60)
    assert warnings_since(tmp_path / "logs", NOW) == [("chr22/import.log", "few people"), ("model.log", "few people")]
    tell_warnings(tmp_path / "logs", NOW)
    assert capsys.readouterr().err.count("few people") == 2
    write(tmp_path / "logs/many.log", "".join(f"     0.1s WARNING number {i}\n" for i in range(20)))
    tell_warnings(tmp_path / "logs", NOW)
    told = capsys.readouterr().err
    assert told.count("number") == 9  # ten with that of chr22, which comes first
    assert "and 12 more in" in told
    tell_warnings(tmp_path / "logs", NOW + 60)
    tell_warnings(tmp_path / "nothing", NOW)
    assert capsys.readouterr().err == ""


def test_results_are_named_only_if_the_report_is_of_this_run(tmp_path, capsys):
    report = tmp_path / "report.html"
    tell_results(report, ["22"], NOW)
    write(report, "", age=60)
    tell_results(report, ["22"], NOW)
    assert capsys.readouterr().out == ""
    write(report, "")
    tell_results(report, ["21", "22"], NOW)
    assert "chr{21,22}.pgen" in capsys.readouterr().out
