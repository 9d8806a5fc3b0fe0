"""Other programs on the data of genome.py: what they are asked to do, and the two that are steps in Python.

naive: numpy and pgenlib alone read the founders' alleles, np.take them along the engine's mosaic, and write all
sites. It shares no code with the engine's transmission, so the two outputs are also compared, allele by allele.
msprime: FixedPedigree on the engine's own pedigree, the founders recorded by being its initial state; then the same
gather to int8 genotypes in memory, which are not written.
haptools simgenotype: ten generations of at least ten times as many haplotypes as are wanted; founders in two
populations, for it refuses one, mixed half and half in the first generation; a map with a point every 0.01 cM.
"""

import importlib.metadata
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from genome_work import Case, Measured, measure, measure_step

ENVIRONMENT = Path(__file__).resolve().parent.parent / ".venv-peers"
SECONDS = 300  # a run of a peer is stopped after so many
LONGEST = 1.0  # Morgans on which haptools and msprime are tried; why not on longer ones:
SEEN = {
    "haptools": "10,000 people on 2.9 Morgans did not end within 300 s",
    "msprime": "10,000 people on 2.9 Morgans took 72 CPU s, ten times the people take some 40 times as long",
}
BYTES_PER_ALLELE = {"haptools": 4.5, "msprime": 1.5}  # of memory, seen on W1 and W2
# Mean ns of CPU per allele and MiB on a data set like W1, other computer: quoted, for these are not packaged
QUOTED = (("RESHAPE, BCF to BCF", 15.3, 11), ("ped-sim", 102, None))
PACKAGES = ("numpy", "pgenlib", "msprime", "tskit", "jax", "pandas")


class Row(NamedTuple):
    """A line of the table: what, its measures, the alleles that ns are counted by, and a remark."""

    name: str
    measured: Measured | None
    alleles: int = 0
    remark: str = ""


def versions() -> str:
    """Of every program and package that takes part."""
    found = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    programs = {name: shutil.which(name) for name in ("plink2", "bcftools")} | {"haptools": haptools()}
    for name, path in programs.items():
        text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout if path else "not installed"
        found.append(f"{name} {text.splitlines()[0].removeprefix(name).strip()}")
    return ", ".join(found)


def haptools() -> str | None:
    """Path of the program, from its own environment or the PATH."""
    own = ENVIRONMENT / "bin" / "haptools"
    return str(own) if own.exists() else shutil.which("haptools")


def peer_rows(name: str, case: Case, repeats: int) -> Iterator[Row]:
    """Every peer on a workload; what is not there or not tried has a row that says so."""
    for what, peer in PEERS.items():
        yield peer(what, case, repeats)
    if name == "W1":
        for what, ns, mib in QUOTED:
            memory = "" if mib is None else f", {mib} MiB"
            yield Row(what, None, remark=f"quoted, not measured here: {ns} ns/allele{memory} on data like W1")


def plink2(what: str, case: Case, repeats: int) -> Row:
    if not shutil.which("plink2"):
        return Row(what, None, remark="not installed: put plink2 on the PATH (Debian: apt install plink2)")
    return Row(what, measure([*plink2_on(case), "--make-pgen", "--out", f"{case.directory}/copy"], repeats), read(case))


def bcftools(what: str, case: Case, repeats: int) -> Row:
    if not (shutil.which("bcftools") and shutil.which("plink2")):
        return Row(what, None, remark="not installed: apt install bcftools plink2 (both are needed)")
    founders, copy = Path(f"{case.directory}/founders.bcf"), Path(f"{case.directory}/copy.bcf")
    made = measure([*plink2_on(case), "--export", "bcf", "--out", f"{case.directory}/founders"], 1)
    result = made if made.failure else measure(["bcftools", "view", "-Ob", "-o", str(copy), str(founders)], repeats)
    for path in (founders, copy):
        path.unlink(missing_ok=True)
    return Row(what, result, read(case))


def plink2_on(case: Case) -> list[str]:
    return ["plink2", "--pfile", f"{case.directory}/founders", "--threads", "1"]


def read(case: Case) -> int:
    """Alleles of the founders."""
    return 2 * case.work.founders * case.work.sites


def naive(what: str, case: Case, repeats: int) -> Row:
    result = measure_step("naive", case, repeats)
    same = measure_step("compare", case).told
    verdict = "the same alleles as the engine's" if same["same"] else "ALLELES DIFFER FROM THE ENGINE'S"
    return Row(what, result, case.alleles, f"{verdict}, {same['carried']} sites carried")


def msprime(what: str, case: Case, repeats: int) -> Row:
    refused = not_tried("msprime", case)
    if refused:
        return Row(what, None, remark=refused)
    repeats = repeats if case.alleles < 1e9 else 1
    return Row(what, measure_step("msprime", case, repeats), case.alleles, runs(repeats, "nothing written"))


def haptools_row(what: str, case: Case, repeats: int) -> Row:
    program = haptools()
    if program is None:
        return Row(what, None, remark="not installed: make .venv-peers/installed (make benchmark does it)")
    refused = not_tried("haptools", case)
    if refused:
        return Row(what, None, remark=refused)
    repeats = repeats if case.alleles < 1e9 else 1
    result = measure(haptools_command(program, case), repeats, SECONDS)
    return Row(what, result, case.alleles, runs(repeats))


def haptools_command(program: str, case: Case) -> list[str]:
    """The command, its small input files written."""
    folder, work = Path(case.directory) / "haptools", case.work
    (folder / "map").mkdir(parents=True, exist_ok=True)
    points = round(10_000 * work.morgans)
    rows = (f"1\t.\t{i * 100 * work.morgans / points:.6f}\t{1 + i * case.end // points}\n" for i in range(points + 1))
    (folder / "map" / "chr1.map").write_text("".join(rows))
    (folder / "info.tsv").write_text("".join(f"p{i}\t{'AB'[i % 2]}\n" for i in range(work.founders)))
    model = f"{work.people}\tAdmixed\tA\tB\n1\t0\t0.5\t0.5\n{case.generations}\t1\t0\t0\n"
    (folder / "model.dat").write_text(model)
    settings = {"model": folder / "model.dat", "mapdir": folder / "map", "sample_info": folder / "info.tsv"}
    settings |= {"ref_vcf": f"{case.directory}/founders.pgen", "out": folder / "out.pgen", "chroms": "1", "seed": 1}
    settings |= {"chunk-size": 10_000}  # of sites; all at once need twice the memory
    return [program, "simgenotype", *(str(part) for key, value in settings.items() for part in (f"--{key}", value))]


def runs(repeats: int, *remarks: str) -> str:
    return "; ".join(["one run"] * (repeats == 1) + list(remarks))


def not_tried(name: str, case: Case) -> str:
    """Why a peer is not run on a workload, or nothing."""
    if case.work.morgans > LONGEST:
        return f"not run: {SEEN[name]}"
    needed, there = case.alleles * BYTES_PER_ALLELE[name] / 2**30, available()
    return "" if needed < there else f"not run: needs about {needed:.0f} GiB, {there:.0f} GiB are available"


def available() -> float:
    """GiB of memory that a new process may take."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) / 2**20 for line in file if line.startswith("MemAvailable"))


PEERS: dict[str, Callable[[str, Case, int], Row]] = {
    "plink2 --make-pgen": plink2,
    "bcftools view -Ob": bcftools,
    "numpy + pgenlib, naive": naive,
    "haptools simgenotype": haptools_row,
    "msprime + numpy gather": msprime,
}


def founders_by_run(site, haplotype, founder, haplotypes: int, sites: int, block: int):
    """Runs of sites without a change inside, none across a block's end: (first, stop, founder of each haplotype).

    site, haplotype, founder: (changes,), int64: from this site on the haplotype copies this founder haplotype;
    of several changes of a haplotype at one site the last counts.
    """
    import numpy as np

    order = np.argsort(site, kind="stable")
    site, haplotype, founder = site[order], haplotype[order], founder[order]
    first = np.union1d(site[site < sites], np.arange(0, sites, block))
    bounds = np.searchsorted(site, np.append(first, sites)).tolist()
    current = np.zeros(haplotypes, dtype=np.int64)
    for i, (low, high) in enumerate(zip(first.tolist(), [*first[1:].tolist(), sites], strict=True)):
        changed = slice(bounds[i], bounds[i + 1])
        current[haplotype[changed]] = founder[changed]
        yield low, high, current


def open_founders(case: Case):
    """PgenReader of the founders, and their sites' positions."""
    import numpy as np
    import pgenlib

    position = np.loadtxt(f"{case.directory}/founders.pvar", skiprows=1, usecols=1, dtype=np.int64, delimiter="\t")
    return pgenlib.PgenReader(f"{case.directory}/founders.pgen".encode()), position


def run_naive(case: Case) -> None:
    """All sites by numpy and pgenlib, along the engine's mosaic."""
    import numpy as np
    import pgenlib

    work = case.work
    with np.load(f"{case.directory}/mosaic.npz") as file:
        offset, start, founder = (file[name] for name in ("offset", "start", "founder"))
    reader, position = open_founders(case)
    site = np.searchsorted(np.rint((position - 1) / case.end * 2**32), start)
    haplotype = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    block = max(1, 2**22 // (2 * work.founders))
    source = np.empty((block, 2 * work.founders), dtype=np.int32)
    made = np.empty((block, 2 * work.people), dtype=np.int32)
    writer = pgenlib.PgenWriter(
        f"{case.directory}/naive.pgen".encode(),
        work.people,
        variant_ct=work.sites,
        nonref_flags=False,
        hardcall_phase_present=True,
    )
    with writer, reader:
        for low, high, current in founders_by_run(site, haplotype, founder, 2 * work.people, work.sites, block):
            top = low - low % block
            stop = min(top + block, work.sites)
            if low == top:
                reader.read_alleles_list(np.arange(top, stop, dtype=np.uint32), source[: stop - top])
            rows = slice(low - top, high - top)
            np.take(source[rows], current, axis=1, out=made[rows], mode="wrap")  # wrap: no buffered copy
            if high == stop:
                writer.append_alleles_batch(made[: stop - top], all_phased=True)
    shutil.copy(f"{case.directory}/founders.pvar", f"{case.directory}/naive.pvar")
    shutil.copy(f"{case.directory}/pseudo.psam", f"{case.directory}/naive.psam")


def compare(case: Case) -> dict:
    """Whether the engine wrote the naive peer's alleles, at exactly the sites whose ALT somebody carries there."""
    import numpy as np
    import pgenlib

    ids = [np.loadtxt(f"{case.directory}/{n}.pvar", skiprows=1, usecols=2, dtype=str) for n in ("naive", "pseudo")]
    kept = np.isin(ids[0], ids[1])
    files = [pgenlib.PgenReader(f"{case.directory}/{n}.pgen".encode()) for n in ("naive", "pseudo")]
    same, done = kept.sum() == len(ids[1]) == files[1].get_variant_ct(), 0
    block = max(1, 2**23 // (2 * case.work.people))
    buffers = np.empty((2, block, 2 * case.work.people), dtype=np.int32)
    for start in range(0, case.work.sites, block):
        stop = min(start + block, case.work.sites)
        all_sites, carried = buffers[0, : stop - start], buffers[1, : kept[start:stop].sum()]
        files[0].read_alleles_range(start, stop, all_sites)
        if len(carried):
            files[1].read_alleles_range(done, done + len(carried), carried)
        done += len(carried)
        same &= np.array_equal(all_sites.any(axis=1), kept[start:stop])
        same &= np.array_equal(all_sites[kept[start:stop]], carried)
    return {"same": bool(same), "carried": int(kept.sum())}


def run_msprime(case: Case) -> None:
    """Ancestry of the engine's pedigree by msprime, founders' alleles gathered into int8 (sites, haplotypes)."""
    import msprime
    import numpy as np

    work = case.work
    tables, samples = pedigree_tables(case)
    rate = work.morgans / case.end
    trees = msprime.sim_ancestry(
        initial_state=tables, model=msprime.FixedPedigree(), recombination_rate=rate, random_seed=1
    )
    edges = trees.dump_tables().link_ancestors(samples, np.arange(2 * work.founders))
    reader, position = open_founders(case)
    site, stop = np.searchsorted(position, edges.left), np.searchsorted(position, edges.right)
    seen = np.flatnonzero(stop > site)
    changes = site[seen], edges.child[seen] - samples[0], edges.parent[seen]
    block = max(1, 2**22 // (2 * work.founders))
    made = np.empty((work.sites, 2 * work.people), dtype=np.int8)
    for low, high, current in founders_by_run(*changes, 2 * work.people, work.sites, block):
        if low % block == 0:
            source = np.empty((min(block, work.sites - low), 2 * work.founders), dtype=np.int32)
            reader.read_alleles_range(low, low + len(source), source)
            source = source.astype(np.int8)
        rows = slice(low % block, low % block + high - low)
        np.take(source[rows], current, axis=1, out=made[low:high], mode="wrap")


def pedigree_tables(case: Case):
    """The pedigree as tskit tables, founders first, and the nodes of its last generation."""
    import numpy as np
    import tskit

    with np.load(f"{case.directory}/pedigree.npz") as file:
        parents = [np.stack([file[f"father_{g}"], file[f"mother_{g}"]], axis=1) for g in range(case.generations)]
    sizes = np.array([case.work.founders, *map(len, parents)])
    first = np.append(0, np.cumsum(sizes))
    parents = [np.full((sizes[0], 2), -1), *(pair + first[g] for g, pair in enumerate(parents))]
    ago = np.repeat(np.arange(case.generations, -1.0, -1), 2 * sizes)
    tables, people = tskit.TableCollection(case.end + 1), first[-1]
    tables.time_units = "generations"
    tables.populations.metadata_schema = tskit.MetadataSchema.permissive_json()
    tables.populations.add_row(metadata={})
    tables.individuals.set_columns(
        flags=np.zeros(people, dtype=np.uint32),
        parents=np.concatenate(parents).ravel().astype(np.int32),
        parents_offset=2 * np.arange(people + 1, dtype=np.uint64),
    )
    tables.nodes.set_columns(
        flags=np.where(ago == 0, tskit.NODE_IS_SAMPLE, 0).astype(np.uint32),
        time=ago,
        population=np.zeros(2 * people, dtype=np.int32),
        individual=np.repeat(np.arange(people, dtype=np.int32), 2),
    )
    return tables, np.flatnonzero(ago == 0)


STEPS = {"naive": run_naive, "compare": compare, "msprime": run_msprime}
