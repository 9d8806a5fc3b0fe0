"""What surrounds the rules: code digests, logs and errors of jobs, provenance, cohorts of an analysis."""

import errno
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pseudocohort.closure import LIBRARY, _imports, code_digest
from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.errors import InputError
from pseudocohort.files import digest, write_tsv_gz
from pseudocohort.genetics.cohorts import rows_of, traits_of
from pseudocohort.job import logged
from pseudocohort.provenance import shareable, versions

SCRIPTS = LIBRARY.parent


def reachable(script: str) -> set[str]:
    """Library files a script reaches, by an independent walk."""
    seen, todo = set(), [SCRIPTS / f"{script}.py"]
    while todo:
        new = set(_imports(todo.pop())) - seen
        seen |= new
        todo += new
    return {str(path.relative_to(LIBRARY)) for path in seen}


def test_a_rule_sees_the_modules_it_uses_and_no_others():
    mosaic = reachable("mosaic")
    assert {"genome/mosaic.py", "genome/meiosis.py", "counter.py", "cohort/maps.py"} <= mosaic
    assert not [
        path
        for path in mosaic
        if path.startswith(("phenotype", "evaluation", "genetics", "scores", "weights", "report"))
    ]
    assert "report/page.html.j2" in reachable("report_page")


def test_code_digest_follows_the_content(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("from pseudocohort import counter\n")
    two.write_text("from pseudocohort import counter\nfrom pseudocohort.files import atomic\n")
    assert code_digest(one) != code_digest(two)
    (tmp_path / "a.py").write_text("x = 1")
    before = digest([tmp_path / "a.py"])
    (tmp_path / "a.py").write_text("x = 2")
    assert digest([tmp_path / "a.py"]) != before


def test_packages_import_leftwards_only():
    order = ["cohort", "genome", "genetics", "scores", "weights", "phenotype", "evaluation", "report"]
    for place, package in enumerate(order):
        for file in (LIBRARY / package).glob("*.py"):
            right = [p for p in _imports(file) if p.parent.name in order[place + 1 :]]
            assert right == [], file


def test_an_input_error_is_told_once_and_logged(tmp_path, capsys):
    def job():
        with logged(str(tmp_path / "job.log")) as log:
            log.info("started")
            raise InputError("wrong", where="file, line 3", expected="a number", remedy="correct it")

    with pytest.raises(SystemExit, match="1"):
        job()
    said = capsys.readouterr().err
    assert "pseudocohort: wrong\n  where:    file, line 3\n  expected: a number\n  remedy:   correct it" in said
    assert "Traceback" not in said
    text = (tmp_path / "job.log").read_text()
    assert "INFO started" in text
    assert "Traceback" in text
    assert text.rstrip().endswith("remedy:   correct it")
    assert logging.getLogger("pseudocohort").handlers == []


def test_any_other_error_is_logged_without_the_data_that_it_quotes(tmp_path, capsys, monkeypatch):
    def job():
        with logged(str(tmp_path / "job.log")):
            pd.Series([f"DEMO{7:04d}"]).astype(float)

    for debug in ("0", "1"):
        monkeypatch.setenv("PSEUDOCOHORT_DEBUG", debug)
        with pytest.raises(SystemExit, match="1"):
            job()
        for told in (capsys.readouterr().err, (tmp_path / "job.log").read_text()):
            assert "ValueError" in told
            assert "test_plumbing.py" in told
            assert ("DEMO0007" in told) == (debug == "1")


def test_a_full_disk_is_told_without_its_paths(tmp_path, capsys):
    path = f"DEMO{7:04d}.tsv"
    with pytest.raises(SystemExit, match="1"), logged(str(tmp_path / "job.log")):
        raise OSError(errno.ENOSPC, "whatever", path)
    for told in (capsys.readouterr().err, (tmp_path / "job.log").read_text()):
        assert "OSError: No space left on device" in told
        assert "DEMO0007" not in told


def test_the_configuration_that_may_leave_has_no_seed_and_no_path():
    config = {
        "seed": 77,
        "input": {
            "genotypes": "/home/someone/chr{chrom}.vcf.gz",
            "sample_columns": {"sex": "gender"},
            "withdrawn": None,
        },
        "planted": {
            "table": "/data/x.csv",
            "effects": {"height": {"h2": 0.3, "score": "/data/y.txt"}, "wbc": {"h2": 0.1}},
        },
        "scoring_files": {"height": ["/data/z.txt.gz"]},
    }
    text = str(shareable(config))
    assert "77" not in text
    assert "/" not in text
    assert "chr{chrom}.vcf.gz" in text
    assert shareable(config)["planted"]["effects"]["height"] == {"h2": 0.3, "score": "y.txt"}
    assert config["seed"] == 77
    assert {"pseudocohort", "python", "jax", "snakemake"} <= set(versions())


def test_tables_have_the_same_bytes_at_every_time_of_day(tmp_path):
    table = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None], "c": [110.0, 1234567.0]})
    for name in ("one.tsv.gz", "two.tsv.gz"):
        write_tsv_gz(tmp_path / name, table)
    assert (tmp_path / "one.tsv.gz").read_bytes() == (tmp_path / "two.tsv.gz").read_bytes()
    assert Path(tmp_path / "one.tsv.gz").stat().st_mode & 0o777 == 0o644
    back = pd.read_csv(tmp_path / "one.tsv.gz", sep="\t", dtype={"c": str})
    assert back["c"].tolist() == ["110", "1234567"]
    assert back["a"].isna().tolist() == [False, True]


@pytest.fixture
def cohort():
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"sex": rng.choice([1, 2], 200), "stratum": "all", "part": ["train", "A", "train", "B"] * 50})
    items = pd.DataFrame(
        {"years": rng.uniform(20, 80, 200), "bmi": rng.normal(25, 3, 200), "wbc": rng.normal(6, 1, 200)}
    )
    rows = [Item("years", "continuous", role="age"), Item("bmi", "continuous"), Item("wbc", "continuous")]
    return people, items, Dictionary(tuple(rows))


def test_cohorts_of_an_analysis_share_nobody(cohort):
    people, items, dictionary = cohort
    real, holdout = rows_of("real", people), rows_of("holdout", people)
    assert sorted([*real, *holdout]) == list(range(200))
    assert set(people["part"].iloc[real]) == {"train"}
    assert rows_of("synthetic", people) is None
    traits = traits_of(items, people, real, dictionary)
    assert traits.values.shape == (100, 2)
    expected = np.argsort(items["bmi"].to_numpy()[real])
    np.testing.assert_array_equal(np.argsort(traits.values[:, 0]), expected)


def test_pseudo_people_bring_sex_age_and_stratum_in_their_own_table(cohort):
    people, items, dictionary = cohort
    pseudo = items.rename(columns={"years": "age"}).assign(sex=["male", "female"] * 100, stratum="all")
    traits = traits_of(pseudo, people, None, dictionary)
    assert traits.values.shape == (200, 2)
    assert traits.covariates.shape[1] >= 3  # age, its square, sex
