"""From pieces of a genome measured at full width to 100,000 people x 22 chromosomes, and memory by number of sites.

Measured with 100,000 founders and people: the mosaic of a chromosome of 2.9 Morgans, its transmission at 2,000 sites
(what start-up and mosaic cost, whatever the number of sites), and for every number of sites that is projected a piece
of the genome at the density and with the spectrum that number has. Assumed: a genome has 8 million common sites
(minor allele above 1 %), and those are the first that a data set has; all others are rare, of which the number of
carriers has density 1/x from 1 carrier to 1 %. So 5 million sites are all common, and of 60 million 13 % are.

    CPU = pedigree + mosaic x 35.4/2.9 + transmission at 2,000 sites x 35.4/2.9 + 44 start-ups
          + sites x transmission of the piece / sites of the piece        (transmissions without start-up)

Bytes go the same way, by Morgan or by site. Memory of a job: the peaks of both transmissions together, and for every
site of chromosome 1 what a site takes wherever it is (slope between two files of many sites and few people). Jobs:
one a chromosome, the longest first on the first core that is free.
"""

import os
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from genome_peers import Row
from genome_work import Case, Measured, Workload, measure_step, measure_together, size

CHROMOSOME, FEW = 2.9, 2_000
COMMON_SITES = 8e6
PIECES = {5_000_000: 4_000, 60_000_000: 20_000}  # sites of the genome: sites of the piece that is measured
CORES = (1, 2, 4, 8, 12, 22)
DISK = 200  # MB/s, of a modest shared disk
# Morgans (sex-averaged, rounded from published maps) and megabases (GRCh38) of chromosomes 1 to 22
MORGANS = (2.86, 2.69, 2.23, 2.14, 2.04, 1.92, 1.87, 1.68, 1.66, 1.81, 1.58)
MORGANS += (1.74, 1.25, 1.20, 1.41, 1.34, 1.28, 1.17, 1.07, 1.08, 0.62, 0.74)
MEGABASES = (249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51)
FOUNDERS, PSEUDO = ([f"{name}.{suffix}" for suffix in ("pgen", "pvar")] for name in ("founders", "pseudo"))


class Piece(NamedTuple):
    """A transmission, and the mosaic it took: time, memory, bytes of files, CPU seconds when several run."""

    case: Case
    mosaic: Measured
    transmission: Measured
    bytes: dict[str, int]
    together: float = 0.0


class Genome(NamedTuple):
    """CPU seconds and bytes by part, CPU seconds of each chromosome's jobs, MiB of the largest job."""

    cpu: dict[str, float]
    bytes: dict[str, float]
    jobs: list[float]
    peak: float


def memory_rows(template: Case, full: Workload, repeats: int, slope: dict[str, float]) -> Iterator[Row]:
    """Peak memory of W2's transmission, and of one of 200 people, at all and at a quarter of the sites.

    Bytes a site, where it is alone that counts, go into `slope`.
    """
    for name, work in (("W2", full), ("200 people", Workload(200, 200, 4 * full.sites, 1.0, 0.14))):
        peaks = []
        for sites in (work.sites, work.sites // 4):
            piece = measure_piece(template, work._replace(sites=sites), repeats)
            peaks.append(piece.transmission.peak)
            yield Row(f"transmission {name}, {sites} sites", piece.transmission, piece.case.alleles)
        slope[name] = max(0.0, (peaks[0] - peaks[1]) * 2**20 / (0.75 * work.sites))
        yield Row(f"... {name}", None, remark=f"{slope[name]:.0f} bytes of peak memory for every further site")


def measure_piece(template: Case, work: Workload, repeats: int, at_once: int = 0) -> Piece:
    """Founders, mosaic and transmission of a workload in a directory that is then removed."""
    with tempfile.TemporaryDirectory(prefix="genome-benchmark-") as directory:
        case = template._replace(directory=directory, work=work)
        measure_step("founders", case)
        mosaic, transmission = (measure_step(name, case, repeats) for name in ("mosaic", "transmission"))
        files = {"founders": FOUNDERS, "pseudo": PSEUDO, "mosaics": ["mosaic.npz"], "pedigree": ["pedigree.npz"]}
        found = {name: size(directory, *names) for name, names in files.items()}
        cases = [case._replace(out=f"pseudo{i}") for i in range(at_once)]
        together = measure_together("transmission", cases) if at_once > 1 else 0.0
    return Piece(case, mosaic, transmission, found, together)


def projection_rows(template: Case, people: int, repeats: int, site_bytes: float) -> Iterator[Row]:
    """The pieces that are measured, then the whole genome for each number of sites."""
    start = measure_step("start-up", template, repeats)
    at_once = min(os.cpu_count() or 1, 8)
    whole = measure_piece(template, Workload(people, people, FEW, CHROMOSOME, 0.07), repeats)
    told = whole.mosaic.told
    yield Row(f"mosaic, {CHROMOSOME} Morgans", whole.mosaic, remark=f"{told['segments'] / 1e6:.1f} M segments")
    yield Row(f"transmission, {FEW} sites of it", whole.transmission, whole.case.alleles)
    for sites, of_piece in PIECES.items():
        work = Workload(people, people, of_piece, sum(MORGANS) * of_piece / sites, min(1.0, COMMON_SITES / sites))
        piece = measure_piece(template, work, repeats, at_once)
        name = f"transmission, {of_piece} of {sites // 10**6} M sites"
        yield Row(name, piece.transmission, piece.case.alleles, f"{100 * work.common:.0f} % common")
        if piece.together:
            ratio = piece.together / piece.transmission.cpu
            yield Row(f"... {at_once} at once", None, remark=f"CPU seconds of each x {ratio:.2f} of one alone")
        yield from genome_rows(sites, people, project(sites, whole, piece, start, site_bytes))


def project(sites: int, whole: Piece, piece: Piece, start: Measured, site_bytes: float) -> Genome:
    """The sums of the module's docstring."""
    by_morgan = [m / CHROMOSOME for m in MORGANS]
    by_site = [sites * mb / sum(MEGABASES) / piece.case.work.sites for mb in MEGABASES]
    mosaic = whole.mosaic.told["mosaic"]
    fixed, streamed = whole.transmission.told["cpu"], piece.transmission.told["cpu"]
    jobs = [m * (mosaic + fixed) + s * streamed + 2 * start.cpu for m, s in zip(by_morgan, by_site, strict=True)]
    cpu = {"pedigree": whole.mosaic.told["pedigree"], "mosaics": sum(by_morgan) * mosaic}
    cpu["transmission"] = sum(jobs) - cpu["mosaics"]
    written = {"pedigree": whole.bytes["pedigree"], "mosaics": sum(by_morgan) * whole.bytes["mosaics"]}
    written |= {name: sum(by_site) * piece.bytes[name] for name in ("founders", "pseudo")}
    peak = whole.transmission.peak + piece.transmission.peak - start.peak
    peak += site_bytes * by_site[0] * piece.case.work.sites / 2**20
    return Genome(cpu, written, jobs, max(peak, whole.mosaic.peak))


def genome_rows(sites: int, people: int, genome: Genome) -> Iterator[Row]:
    """What the whole genome takes, in words."""
    name = f"genome, {sites // 10**6} M sites"
    total, alleles = sum(genome.cpu.values()), 2 * people * sites
    parts = ", ".join(f"{part} {seconds / 3600:.2f}" for part, seconds in genome.cpu.items())
    yield Row(name, Measured(cpu=total), alleles, f"{total / 3600:.2f} CPU hours ({parts})")
    parts = ", ".join(f"{part} {amount / 1e9:.1f}" for part, amount in genome.bytes.items())
    yield Row("... disk", None, remark=f"{sum(genome.bytes.values()) / 1e9:.0f} GB ({parts})")
    moved = genome.bytes["founders"] + genome.bytes["pseudo"]
    hours = {cores: (makespan(genome.jobs, cores) + genome.cpu["pedigree"]) / 3600 for cores in CORES}
    shown = ", ".join(f"{cores}: {h:.2f}" for cores, h in hours.items())
    yield Row(
        "... hours on N cores", None, remark=f"{shown} (22 jobs; the longest alone {max(genome.jobs) / 3600:.2f})"
    )
    rate = {cores: moved / 1e6 / 3600 / h for cores, h in hours.items()}
    yield Row("... MB/s read and written", None, remark=", ".join(f"{cores}: {mb:.0f}" for cores, mb in rate.items()))
    shown = ", ".join(f"{cores}: {cores * genome.peak / 1024:.1f}" for cores in CORES)
    yield Row("... peak memory, GiB", Measured(peak=genome.peak), remark=shown)
    yield Row("... limit", None, remark=limit(genome, hours, rate))


def makespan(jobs: list[float], cores: int) -> float:
    """Seconds until all jobs are done, the longest first on the core that is free first."""
    busy = [0.0] * cores
    for seconds in sorted(jobs, reverse=True):
        busy[busy.index(min(busy))] += seconds
    return max(busy)


def limit(genome: Genome, hours: dict[int, float], rate: dict[int, float]) -> str:
    """The disk where it comes first; else cores, as far as more of them help, then the longest chromosome."""
    useful = sum(genome.jobs) / max(genome.jobs)
    slow = [cores for cores, mb in rate.items() if mb > DISK]
    disk = f"a disk of {DISK} MB/s from {slow[0]} cores on; on a faster one " if slow else ""
    return f"{disk}cores up to {useful:.0f}, then chromosome 1"
