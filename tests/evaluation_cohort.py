"""A made-up real cohort and an honest pseudo cohort, for the tests of evaluation and report."""

import numpy as np
import pandas as pd
from scipy.special import log_ndtr

from pseudocohort.cohort.dictionary import Dictionary, Item
from pseudocohort.evaluation.association_results import read_leads
from pseudocohort.genetics.clumping import LEADS
from pseudocohort.genetics.results import read_association, traits_in
from pseudocohort.genome.pedigree import Founders, make_pedigree
from pseudocohort.genotypes import GenotypeWriter

STRATA = ("east", "west")
DICTIONARY = Dictionary(
    (
        Item("age", "continuous", role="age"),
        Item("glucose", "continuous", "blood chemistry", label="Glucose", unit="mg/dL", minimum=0.0, decimals=1),
        Item("crp", "continuous", "blood chemistry", label="C-reactive protein", unit="mg/L", detection_limit=0.3),
        Item("bmi", "continuous", "physiology", label="Body mass index", unit="kg/m²"),
        Item("height", "continuous", "physiology", label="Height", unit="cm"),
        Item("visits", "count", "questionnaire", label="Doctor's visits", unit="a year", minimum=0.0),
        Item("diabetes", "binary", "disease", label="Diabetes", categories=("0", "1"), category_labels=("no", "yes")),
        Item("smoking", "ordinal", "questionnaire", label="Smoking", categories=("never", "former", "current")),
        Item("cigarettes", "count", "questionnaire", label="Cigarettes", unit="a day",
             asked_if=(("smoking", ("current",)),)),
        Item("diet", "nominal", "questionnaire", label="Diet", categories=("rice", "bread", "noodles", "other")),
        Item("menopause", "binary", "questionnaire", label="Menopause", categories=("0", "1"),
             category_labels=("no", "yes"), asked_if=(("sex", ("female",)),)),
    )
)  # fmt: skip
TRAITS = ("glucose", "bmi", "height", "diabetes")
ASSOCIATED = {"real": 1600, "holdout": 400, "synthetic": 2000, "matched": 400, "permuted": 2000}  # people


def make_people(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """People in families of one to three; four fifths train, a tenth each A and B, by family."""
    family = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
    kind = rng.permutation(np.arange(family.max() + 1)) % 10
    part = np.array(["A", "B", *["train"] * 8])[kind[family]]
    stratum = np.array(STRATA)[(rng.random(family.max() + 1) < 0.4).astype(int)[family]]
    return pd.DataFrame({"person": [f"R{i}" for i in range(n)], "sex": rng.integers(1, 3, n).astype(np.int8),
                         "family": [f"F{f}" for f in family], "stratum": stratum, "part": part})  # fmt: skip


def make_items(sex: np.ndarray, scores: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Items that follow from sex and the scores of TRAITS (n, 4) by one fixed law."""
    n = len(sex)
    factor, age = rng.normal(size=n), rng.uniform(20, 80, n).round()
    noise = rng.normal(size=(n, 8))
    glucose = np.exp(4.5 + 0.1 * (0.5 * scores[:, 0] + 0.6 * factor + 0.7 * noise[:, 0])).round(1)
    bmi = 23 + 3 * (0.5 * scores[:, 1] + 0.6 * factor + 0.6 * noise[:, 1])
    risk = 0.5 * scores[:, 3] + 0.5 * factor + 0.02 * (age - 50) + noise[:, 2]
    smoking = np.digitize(noise[:, 3] + 0.3 * factor, [0.0, 0.8])
    table = pd.DataFrame({
        "age": age, "glucose": glucose, "crp": np.maximum(np.exp(0.6 * noise[:, 4] + 0.8 * factor - 0.5), 0.3),
        "bmi": bmi, "height": 165 - 12.0 * (sex == 2) + 6 * (0.6 * scores[:, 2] + 0.8 * noise[:, 5]),
        "visits": rng.poisson(np.exp(1 + 0.6 * factor)).astype(float),
        "diabetes": np.where(risk > 1.2, "1", "0"), "smoking": np.array(["never", "former", "current"])[smoking],
        "cigarettes": np.where(smoking == 2, rng.poisson(12, n), np.nan).astype(float),
        "diet": np.array(["rice", "bread", "noodles", "other"])[np.digitize(noise[:, 6], [0.2, 1.0, 1.9])],
        "menopause": np.where(sex == 2, np.where(age + 5 * noise[:, 7] > 50, "1", "0"), None)})  # fmt: skip
    for name, share in (("glucose", 0.05), ("crp", 0.1), ("smoking", 0.03)):
        lost = rng.random(n) < share
        table[name] = table[name].mask(lost, None if table[name].dtype == object else np.nan)
    table.loc[table["smoking"].isna(), "cigarettes"] = np.nan
    return table


def make_scores(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Standard normal scores of TRAITS."""
    return pd.DataFrame(rng.normal(size=(n, len(TRAITS))), columns=list(TRAITS)).assign(person=np.arange(n).astype(str))


def shuffled(items: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Every column permuted on its own: the independent baseline."""
    return pd.DataFrame({c: items[c].to_numpy()[rng.permutation(len(items))] for c in items})


def pseudo_frame(sex: np.ndarray, items: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The form of results/synthetic/phenotypes.parquet."""
    n = len(sex)
    front = pd.DataFrame({"person": [f"PC{i:06d}" for i in range(n)], "sex": np.where(sex == 1, "male", "female"),
                          "stratum": np.array(STRATA)[(rng.random(n) < 0.4).astype(int)]})  # fmt: skip
    return pd.concat([front, items], axis=1)


def founder_haplotypes(people: pd.DataFrame, cm: np.ndarray, rng: np.random.Generator, pool: int = 60) -> np.ndarray:
    """(sites, 2 people) alleles with LD: mosaics of a pool of ancestral haplotypes, pieces of about 0.5 cM."""
    frequency = np.clip(rng.beta(0.3, 0.6, len(cm)), 0.002, 0.998)
    ancestors = rng.random((len(cm), pool)) < frequency[:, None]
    haplotypes = 2 * len(people)
    west = np.repeat(people["stratum"].to_numpy() == "west", 2)
    switch = rng.random((len(cm), haplotypes)) < 1 - np.exp(-np.diff(cm, prepend=cm[0] - 100)[:, None] / 0.5)
    drawn = np.where(west, rng.integers(pool // 3, pool, switch.shape), rng.integers(0, 2 * pool // 3, switch.shape))
    last = np.maximum.accumulate(np.where(switch, np.arange(len(cm))[:, None], 0), axis=0)
    alleles = np.take_along_axis(ancestors, np.take_along_axis(drawn, last, 0), 1).astype(np.int8)
    once = np.arange(3, len(cm), 10)  # a tenth of the sites are singletons
    alleles[once] = 0
    alleles[once, rng.integers(haplotypes, size=len(once))] = 1
    return alleles


def reproduce(haplotypes: np.ndarray, pedigree, cm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Transmit letter by letter through the pedigree with Haldane crossovers between sites (autosome)."""
    chance = 0.5 * (1 - np.exp(-2 * np.diff(cm) / 100))[:, None]
    for father, mother in zip(pedigree.father, pedigree.mother, strict=True):
        children = []
        for parent in (father, mother):
            crossed = rng.random((len(chance), len(parent))) < chance
            phase = np.cumsum(np.vstack([rng.integers(2, size=(1, len(parent))), crossed]), axis=0) % 2
            children.append(np.take_along_axis(haplotypes, 2 * parent + phase, 1))
        haplotypes = np.stack(children, axis=2).reshape(len(cm), -1)
    return haplotypes


def write_chromosome(prefix, haplotypes: np.ndarray, chrom: str, cm: np.ndarray, sex: np.ndarray) -> None:
    """Write a .pgen triple, 10 kb between sites."""
    n = haplotypes.shape[1] // 2
    sites = pd.DataFrame({"chrom": chrom, "pos": 10_000 * (np.arange(len(cm)) + 1), "ref": "A", "alt": "G"})
    sites["id"] = [f"{chrom}:{p}" for p in sites["pos"]]
    with GenotypeWriter(prefix, np.array([f"P{i}" for i in range(n)]), sex, len(cm)) as writer:
        writer.append(haplotypes, sites)


def write_genomes(folder, people: pd.DataFrame, n_pseudo: int, sites: int, generations: int, rng: np.random.Generator,
                  chromosomes=("21", "22")):  # fmt: skip
    """Real and pseudo triples and maps under `folder`: ({real}, {pseudo}, {maps}, pedigree)."""
    founders = np.flatnonzero(people["part"] == "train")
    sex = people["sex"].to_numpy()
    codes = (people["stratum"] == "west").to_numpy().astype(int)
    strangers = Founders.strangers(sex[founders], codes[founders], STRATA)
    pedigree = make_pedigree(strangers, n_pseudo, generations, "balanced", 1)
    paths: tuple[dict, dict, dict] = ({}, {}, {})
    for chrom in chromosomes:
        cm = np.linspace(0.01, 20, sites)
        real = founder_haplotypes(people, cm, rng)
        if chrom == "X":
            real[:, 1::2] = np.where(sex == 1, real[:, 0::2], real[:, 1::2])
        pairs = real.reshape(sites, -1, 2)[:, founders].reshape(sites, -1)
        pseudo = reproduce(pairs, pedigree, cm, rng)
        if chrom == "X":
            pseudo[:, 1::2] = np.where(pedigree.sex[-1] == 1, pseudo[:, 0::2], pseudo[:, 1::2])
        names = (folder / f"real{chrom}", folder / f"pseudo{chrom}", folder / f"chr{chrom}.tsv")
        write_chromosome(names[0], real, chrom, cm, sex)
        write_chromosome(names[1], pseudo, chrom, cm, pedigree.sex[-1])
        position = 10_000 * (np.arange(sites) + 1)
        pd.DataFrame({"pos": position, "cM": cm - cm[0]}).to_csv(names[2], sep="\t", index=False)
        for path, name in zip(paths, names, strict=True):
            path[chrom] = name
    return *paths, pedigree


def association_table(chi_scale: float, effects: dict[int, float], n: int, rng: np.random.Generator,
                      sites: int = 3000) -> pd.DataFrame:  # fmt: skip
    """Results of one trait on three chromosomes: noise, and effects in standard deviations at some rows."""
    se = np.full(sites, 1 / np.sqrt(n))
    beta = rng.normal(size=sites) * se * np.sqrt(chi_scale)
    for row, effect in effects.items():
        beta[row] += effect
    log10p = -(log_ndtr(-np.abs(beta / se)) + np.log(2)) / np.log(10)
    chrom = np.repeat(["21", "22", "X"], sites // 3)
    pos = np.tile(np.arange(1, sites // 3 + 1) * 10_000, 3)
    return pd.DataFrame({"chrom": chrom, "pos": pos, "id": [f"{c}:{p}" for c, p in zip(chrom, pos, strict=True)],
                         "ref": "A", "alt": "G", "effect_allele": "G", "beta": beta, "se": se,
                         "log10p": log10p, "n": n, "af": 0.3})  # fmt: skip


def write_gwas_ssf(table: pd.DataFrame, folder, trait: str) -> None:
    """A table of results in the columns and codes of GWAS-SSF, by pandas."""
    names = {"pos": "base_pair_location", "effect_allele": "effect_allele", "ref": "other_allele", "beta": "beta",
             "se": "standard_error", "af": "effect_allele_frequency", "log10p": "neg_log_10_p_value", "n": "n",
             "id": "variant_id"}  # fmt: skip
    codes = table["chrom"].replace({"X": "23"}).rename("chromosome")
    written = pd.concat([codes, table[list(names)].rename(columns=names)], axis=1)
    quick = {"method": "gzip", "compresslevel": 1}
    written.to_csv(folder / f"{trait}.tsv.gz", sep="\t", index=False, na_rep="#NA", compression=quick)


def write_associations(folder, rng: np.random.Generator, traits=TRAITS) -> dict:
    """Directories of results of five cohorts with the same planted effects, none in `permuted`; see `leads_of`."""
    directories = {}
    planted = {t: {int(r): float(s) for r, s in zip(rng.integers(0, 3000, 4), rng.normal(0, 0.35, 4), strict=True)}
               for t in traits}  # fmt: skip
    for cohort, n in ASSOCIATED.items():
        directories[cohort] = folder / cohort
        directories[cohort].mkdir(parents=True)
        for trait in traits:
            null = cohort == "permuted"
            table = association_table(1.0 if null else 1.1, {} if null else planted[trait], n, rng)
            write_gwas_ssf(table, directories[cohort], trait)
    return directories


def leads_of(directories: dict) -> dict[str, pd.DataFrame]:
    """Leads as rule hits finds them, of results whose sites are all independent: every site of p < 1e-4."""
    leads = {}
    for cohort, folder in directories.items():
        tables = [pd.DataFrame({c: np.zeros(0) for c in LEADS})]
        for trait in traits_in(folder):
            table = read_association(folder, trait).assign(trait=trait)
            table = table.rename(columns={"ref": "other_allele"})
            tables.append(table[table["log10p"] >= 4].sort_values("log10p", ascending=False)[LEADS])
        filled = [table for table in tables if len(table)] or tables
        path = folder.parent / f"{cohort}.leads.tsv"
        pd.concat(filled).to_csv(path, sep="\t", index=False)
        leads[cohort] = read_leads(path)
    return leads
