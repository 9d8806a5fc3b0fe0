"""Phenotypes of the built-in demo cohort, from its genotypes: liabilities with known genetic values, then items."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cyvcf2
import numpy as np
import pandas as pd

from pseudocohort import counter
from pseudocohort.cohort.dates import iso
from pseudocohort.cohort.demo_design import (
    DEMO_ITEMS,
    FACTORS,
    METABOLOME_MEASURED,
    QUESTIONNAIRE_RETURNED,
    DemoItem,
    demo_dictionary,
)
from pseudocohort.cohort.demo_people import make_ages, parent_rows, setting
from pseudocohort.cohort.dictionary import reason_column, structurally_missing, write_dictionary
from pseudocohort.errors import InputError
from pseudocohort.files import atomic

log = logging.getLogger("pseudocohort")

WITHDRAWN = 5

_CAUSAL_CANDIDATES = 3000
_FACTOR_SITES, _OWN_SITES = 250, 150
_MINIMUM_ALLELE_COUNT = 3
_MINIMUM_CAUSAL = 20
_STATED = 0.7  # share of missing values, and of values below a limit, for which a code stands instead of nothing
# Variance of allele effects is proportional to (2pq)^S; S about -0.4 over traits (Zeng et al. 2018,
# doi:10.1038/s41588-018-0101-4).
_SELECTION = -0.4


class CausalSites(NamedTuple):
    """Candidate causal sites: table (chrom pos id ref alt), dosage int8 (sites, people) of ALT, men on X 0 or 2."""

    table: pd.DataFrame
    dosage: np.ndarray


def make_demo_items(
    people: pd.DataFrame, vcf_paths: Sequence[str | Path], settings: dict, seed: int, out_dir: str | Path
) -> None:
    """Write the demo's phenotypes, dictionary, withdrawals and the truth behind them.

    people: sample sheet of `make_demo_people`.  vcf_paths: files of `make_demo_chromosome`, people in the same
    order.  settings: those of the chromosomes.
    Into out_dir: phenotypes.tsv (person, age, items; rows in an order of their own), dictionary.tsv, withdrawn.txt
    (five ids, two of them from families) and
    truth/effects.tsv          item chrom pos ref alt effect_allele effect (SD of the liability per ALT allele;
                               men on X have 0 or 2)
    truth/genetic_values.parquet   person and one column an item: sum of effect x dosage, mean 0
    truth/heritability.tsv     item h2 locus (share of the liability that one large locus explains) and the loadings
                               of its remaining genetic part on the shared factors
    h2 = variance of the genetic value exactly, the liability having variance 1 at given age, sex and stratum.
    """
    out = Path(out_dir)
    causal = read_causal(people, vcf_paths, settings, seed)
    heritable = [design for design in DEMO_ITEMS if design.h2 is not None]
    effects = make_effects(heritable, causal, seed)
    genetic = genetic_values(effects, causal.dosage)
    log.info("%d items, %d causal sites", len(DEMO_ITEMS), int(effects.any(axis=1).sum()))
    frame = make_values(people, heritable, genetic, seed)
    _write_table(out / "phenotypes.tsv", as_text(frame, seed))
    write_dictionary(out / "dictionary.tsv", demo_dictionary())
    with atomic(out / "withdrawn.txt") as part:
        part.write_text("\n".join(withdrawn(people, seed)) + "\n", encoding="utf-8")
    _write_table(out / "truth/effects.tsv", _effects_table(heritable, causal, effects))
    _write_table(out / "truth/heritability.tsv", _heritability_table(heritable))
    with atomic(out / "truth/genetic_values.parquet") as part:
        values = pd.DataFrame(genetic, columns=[design.name for design in heritable])
        values.insert(0, "person", people["person"].to_numpy())
        values.to_parquet(part, index=False)


def read_causal(people: pd.DataFrame, vcf_paths: Sequence[str | Path], settings: dict, seed: int) -> CausalSites:
    """Draw up to about 3,000 biallelic sites from the VCFs and read their dosages.

    Whether a site is drawn depends on seed, chromosome and position alone. Sites with fewer than 3 minor
    alleles are left out. Raises InputError where a VCF's people are not those of the sheet, or sites are too few.
    """
    share = min(1.0, _CAUSAL_CANDIDATES / (setting(settings, "sites") * len(vcf_paths)))
    rows, dosages = [], []
    for path in vcf_paths:
        reader = cyvcf2.VCF(str(path))
        if reader.samples != people["person"].tolist():
            raise InputError(
                f"{Path(path).name} holds other people than the sample sheet",
                where=path,
                remedy="make the demo cohort again from its first rule",
            )
        for record in reader:
            chrom = record.CHROM.removeprefix("chr")
            stream = counter.key(seed, "demo causal", chrom)
            if len(record.ALT) > 1 or counter.bits(stream, np.array([record.POS]), 0)[0][0] >= share * 2**32:
                continue
            alleles = record.genotype.array()[:, :2]
            dosage = np.where(alleles[:, 1] < 0, 2 * alleles[:, 0], alleles.sum(axis=1)).astype(np.int8)
            if min(dosage.sum(), 2 * len(people) - dosage.sum()) >= _MINIMUM_ALLELE_COUNT:
                rows.append((chrom, record.POS, record.ID, record.REF, record.ALT[0]))
                dosages.append(dosage)
        reader.close()
    if len(rows) < _MINIMUM_CAUSAL:
        raise InputError(
            f"only {len(rows)} sites can bear effects",
            where="demo: sites",
            expected=f"{_MINIMUM_CAUSAL} or more biallelic sites",
            remedy="raise demo: sites",
        )
    return CausalSites(pd.DataFrame(rows, columns=["chrom", "pos", "id", "ref", "alt"]), np.array(dosages))


def make_effects(designs: Sequence[DemoItem], causal: CausalSites, seed: int) -> np.ndarray:
    """Effects of ALT alleles on liabilities, float64 (sites, items).

    The variance of the genetic value is the item's h2, and that of a large locus its `locus`, exactly up to the ten
    digits that effects are rounded to.
    """
    dosage = causal.dosage.astype(np.float64)
    frequency = dosage.mean(axis=1) / 2
    on_x = (causal.table["chrom"] == "X").to_numpy()
    autosomal = np.flatnonzero(~on_x) if (~on_x).any() else np.arange(len(on_x))
    heterozygosity = 2 * frequency * (1 - frequency)

    def part(pool: np.ndarray, sites: int, *purpose: str) -> np.ndarray:
        rng = counter.generator(seed, "demo effects", *purpose)
        chosen = np.sort(rng.choice(pool, size=min(sites, len(pool)), replace=False))
        effect = np.zeros(len(frequency))
        effect[chosen] = rng.standard_normal(len(chosen)) * heterozygosity[chosen] ** (_SELECTION / 2)
        return effect / (effect @ dosage).std()

    factors = np.array([part(autosomal, _FACTOR_SITES, "factor", name) for name in FACTORS])
    large = _large_loci(designs, autosomal, heterozygosity, seed)
    effects = np.zeros((len(frequency), len(designs)))
    for j, design in enumerate(designs):
        if not design.h2:
            continue
        loading = np.array([design.genetic.get(name, 0.0) for name in FACTORS])
        pool = np.arange(len(on_x)) if design.x else autosomal
        own = part(pool, _OWN_SITES, "own", design.name)
        effect = loading @ factors + np.sqrt(1 - (loading**2).sum()) * own
        at_locus = np.zeros_like(effect)
        if design.locus:
            site = large[design.name]
            effect[site], at_locus[site] = 0.0, np.sqrt(design.locus) / dosage[site].std()
        # Linkage disequilibrium lets the two parts covary; the polygenic part gives way.
        (vv, vw), (_, ww) = np.cov(effect @ dosage, at_locus @ dosage, ddof=0)
        scale = (np.sqrt(vw**2 + vv * (design.h2 - ww)) - vw) / vv
        effects[:, j] = _rounded(scale * effect + at_locus)
    return effects


def _large_loci(designs: Sequence[DemoItem], pool: np.ndarray, heterozygosity: np.ndarray, seed: int) -> dict[str, int]:
    """An own common site (minor allele frequency over 0.2, where there are any) for each item with a large locus."""
    names = [design.name for design in designs if design.locus]
    count = max(len(names), int((heterozygosity[pool] > 0.32).sum()))
    common = np.sort(pool[np.argsort(-heterozygosity[pool], kind="stable")[:count]])
    rng = counter.generator(seed, "demo large loci")
    return dict(zip(names, rng.choice(common, size=len(names), replace=False).tolist(), strict=True))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Ten significant digits: what is written is what was used."""
    return np.array([float(f"{v:.10g}") for v in values])


def genetic_values(effects: np.ndarray, dosage: np.ndarray) -> np.ndarray:
    """Effects (sites, items) times dosages (sites, people), mean 0: float64 (people, items), nine decimals."""
    value = dosage.T.astype(np.float64) @ effects
    return np.round(value - value.mean(axis=0), 9) + 0.0


def make_values(people: pd.DataFrame, designs: Sequence[DemoItem], genetic: np.ndarray, seed: int) -> pd.DataFrame:
    """Phenotype table with person, age, all items (floats or category codes, NaN or None missing) and reasons."""
    age = make_ages(people, seed)
    male = (people["sex"] == "male").to_numpy()
    inland = (people["stratum"] == "inland").to_numpy()
    frame = {"person": people["person"].to_numpy(), "age": age.astype(np.float64)}
    liability = genetic + environment(designs, len(people), seed)
    by_name = {design.name: liability[:, j] for j, design in enumerate(designs)}
    for design in DEMO_ITEMS:
        if design.h2 is None:
            made = _visit if design.item.type == "date" else _occupation
            frame[design.name] = made(design, age, male, inland, seed)
            continue
        z = by_name[design.name] + design.age * (age - 50) / 10 + design.male * (male - 0.5) + design.inland * inland
        asked = _asked(design, frame, male)
        if design.item.categories:
            frame[design.name] = _categories(design, z, asked)
        else:
            frame[design.name] = np.where(asked, _numbers(design, z), np.nan)
    _tie(frame, people, seed)
    for design in DEMO_ITEMS:
        _round(design, frame)
    table = pd.DataFrame(frame)
    _lose(table, seed)
    return pd.concat([table, _reasons(table, np.where(male, 1, 2), seed)], axis=1)


def environment(designs: Sequence[DemoItem], people: int, seed: int) -> np.ndarray:
    """Non-genetic liabilities, float64 (people, items): variance 1 - h2 exactly, correlated through the factors."""
    shared = counter.generator(seed, "demo environment").standard_normal((people, len(FACTORS)))
    result = np.empty((people, len(designs)))
    for j, design in enumerate(designs):
        loading = np.array([design.environment.get(name, 0.0) for name in FACTORS])
        own = counter.generator(seed, "demo environment", design.name).standard_normal(people)
        value = (shared * loading).sum(axis=1) + np.sqrt(1 - (loading**2).sum()) * own
        result[:, j] = (value - value.mean()) / value.std() * np.sqrt(1 - design.h2)
    return result


def _asked(design: DemoItem, frame: dict, male: np.ndarray) -> np.ndarray:
    asked = np.ones(len(male), dtype=bool)
    for gate, codes in design.item.asked_if:
        asked &= np.isin(np.where(male, "male", "female") if gate == "sex" else frame[gate].astype(str), codes)
    return asked


def _numbers(design: DemoItem, z: np.ndarray) -> np.ndarray:
    if design.log:
        return design.centre * np.exp(design.spread * z + design.tail * np.maximum(z, 0) ** 2)
    return design.centre + design.spread * z


def _categories(design: DemoItem, z: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Cut z at quantiles among the people asked; every category gets somebody, however few the people."""
    rank = np.full(len(z), -1)
    rank[asked] = np.argsort(np.argsort(z[asked], kind="stable"), kind="stable")
    count = int(asked.sum())
    cuts = np.minimum(np.rint(np.cumsum(design.shares) * count), count - np.arange(len(design.shares), 0, -1))
    codes = np.array(design.item.categories, dtype=object)[np.searchsorted(cuts, rank, side="right")]
    codes[~asked] = None
    return codes


def _occupation(design: DemoItem, age: np.ndarray, male: np.ndarray, inland: np.ndarray, seed: int) -> np.ndarray:
    """Random utility: office, service, manual, farming, none; the old stop working, farming is inland."""
    old = np.maximum(age - 62, 0) / 5
    utility = np.column_stack(
        [
            0.9 - old,
            0.7 - 0.4 * male - old,
            0.1 + 0.8 * male - old,
            -1.6 + 1.0 * inland + 0.02 * (age - 50),
            -0.4 - 0.6 * male + 0.3 * old,
        ]
    )
    draw = counter.generator(seed, "demo occupation").gumbel(size=utility.shape)
    return np.array(design.item.categories, dtype=object)[np.argmax(utility + draw, axis=1)]


def _visit(design: DemoItem, age: np.ndarray, male: np.ndarray, inland: np.ndarray, seed: int) -> np.ndarray:
    """Days since 1970-01-01: the coast was visited in the first year, inland in the second, the busy at its end."""
    draw = counter.generator(seed, "demo visit").beta(2 - (age < 60), 1.5, size=len(age))
    return np.round(design.item.minimum + 365 * inland + 364 * draw)


def _tie(frame: dict, people: pd.DataFrame, seed: int) -> None:
    """What holds between items: pulse pressure, round answers, mothers have been pregnant."""
    frame["diastolic_blood_pressure"] = np.minimum(
        frame["diastolic_blood_pressure"], frame["systolic_blood_pressure"] - 12
    )
    rng = counter.generator(seed, "demo round answers")
    cigarettes = frame["cigarettes_per_day"]
    step = np.where(cigarettes < 8, 1.0, rng.choice([1.0, 5.0, 10.0], size=len(people), p=[0.15, 0.45, 0.4]))
    frame["cigarettes_per_day"] = np.maximum(np.rint(cigarettes / step) * step, 1)
    hours = frame["sleep_hours"]
    step = rng.choice([0.5, 1.0], size=len(people), p=[0.5, 0.5])
    frame["sleep_hours"] = np.rint(hours / step) * step
    _, mother = parent_rows(people)
    children = np.bincount(mother[mother >= 0], minlength=len(people))
    frame["pregnancies"] = np.maximum(np.rint(frame["pregnancies"]), children)


def _round(design: DemoItem, frame: dict) -> None:
    """Clip a numeric item to its limits (a detection limit is the lower one) and round it."""
    item = design.item
    if item.decimals is None:
        return
    low = item.minimum if item.detection_limit is None else item.detection_limit
    frame[item.name] = np.round(np.clip(frame[item.name], low, item.maximum), item.decimals)


def _lose(table: pd.DataFrame, seed: int) -> None:
    """Take values away: whole blocks (metabolome not measured, questionnaire not returned), then item by item."""
    n = len(table)
    rng = counter.generator(seed, "demo missing")
    blocks = {
        "metabolome": rng.random(n) >= METABOLOME_MEASURED,
        "questionnaire": rng.random(n) >= QUESTIONNAIRE_RETURNED,
    }
    for design in DEMO_ITEMS:
        lost = counter.generator(seed, "demo missing", design.name).random(n) < design.missing
        lost |= blocks.get(design.item.group, False)
        for gate, _ in design.item.asked_if:
            if gate != "sex":
                lost |= table[gate].isna().to_numpy()
        table.loc[lost, design.name] = None if design.item.categories else np.nan


def _reasons(table: pd.DataFrame, sex: np.ndarray, seed: int) -> pd.DataFrame:
    """The columns of reasons: not asked, or the one that the item has, or unknown; None where there is a value."""
    dictionary, columns = demo_dictionary(), {}
    not_asked = structurally_missing(dictionary, table, sex)
    for item in dictionary.reasoned:
        told = counter.generator(seed, "demo reasons", item.name).random(len(table)) < _STATED
        reason = np.where(told, item.reasons[0], "unknown")
        reason = np.where(not_asked[:, dictionary.names.index(item.name)], "not asked", reason)
        columns[reason_column(item.name)] = pd.Series(reason, dtype="str").where(table[item.name].isna())
    return pd.DataFrame(columns)


def as_text(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table as it is written: fixed decimals, empty or a code where missing, rows in an order of their own."""
    columns = {"person": table["person"].astype(str), "age": [f"{value:.0f}" for value in table["age"]]}
    for design in DEMO_ITEMS:
        columns[design.name] = _cells(design, table, seed)
    return pd.DataFrame(columns).iloc[counter.order(counter.key(seed, "demo rows"), len(table))]


def _cells(design: DemoItem, table: pd.DataFrame, seed: int) -> list[str]:
    item, values = design.item, table[design.name]
    tell = iso if item.type == "date" else str if item.decimals is None else f"{{:.{item.decimals}f}}".format
    cells = ["" if pd.isna(v) else tell(v) for v in values]
    draw = counter.generator(seed, "demo codes", item.name).random(len(table))
    for code, reason in item.missing_codes:
        if reason == "below limit":
            stands = (values == item.detection_limit).to_numpy() & (draw < _STATED)
        else:
            stands = (table[reason_column(item.name)] == reason).to_numpy()
        cells = [code if here else cell for cell, here in zip(cells, stands, strict=True)]
    return cells


def withdrawn(people: pd.DataFrame, seed: int) -> list[str]:
    """Five ids that withdraw: one named as a parent, one child, three of single people."""
    rng = counter.generator(seed, "demo withdrawn")
    parents = people.loc[people["person"].isin([*people["father"], *people["mother"]]), "person"].to_numpy()
    children = people.loc[people["father"] != "", "person"]
    children = children[~children.isin(parents)].to_numpy()
    single = people.loc[people["family"] == "", "person"].to_numpy()
    chosen = [rng.choice(parents), rng.choice(children), *rng.choice(single, WITHDRAWN - 2, replace=False)]
    return sorted(map(str, chosen))


def _effects_table(designs: Sequence[DemoItem], causal: CausalSites, effects: np.ndarray) -> pd.DataFrame:
    item, site = np.nonzero(effects.T)
    table = causal.table.iloc[site][["chrom", "pos", "ref", "alt"]].reset_index(drop=True)
    table.insert(0, "item", np.array([design.name for design in designs])[item])
    return table.assign(effect_allele=table["alt"], effect=effects[site, item])


def _heritability_table(designs: Sequence[DemoItem]) -> pd.DataFrame:
    table = pd.DataFrame(
        {"item": [d.name for d in designs], "h2": [d.h2 for d in designs], "locus": [d.locus for d in designs]}
    )
    for name in FACTORS:
        table[name] = [design.genetic.get(name, 0.0) for design in designs]
    return table


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic(path) as part:
        table.to_csv(part, sep="\t", index=False)
