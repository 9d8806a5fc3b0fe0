"""The truth about the pseudo genomes: founder segments and local ancestry in base pairs, and a tree sequence.

Secret, as the mosaic is: readable by the owner only. Everybody has the haplotypes that they have copies of: a male has
0 (from the father) on X inside the PAR alone, males have 0 and nobody has 1 (from the mother) on Y, everybody has 1
and nobody 0 on MT. The tree sequence is tskit's (Kelleher et al. 2016, PLoS Comput Biol 12:e1004842).
"""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tskit

from pseudocohort.cohort.builds import chromosome_length, get_build
from pseudocohort.files import atomic
from pseudocohort.genome.mosaic import Mosaic
from pseudocohort.genome.pedigree import Pedigree
from pseudocohort.genome.recombination import coordinate, site_fractions

log = logging.getLogger("pseudocohort")
CHUNK = 2**18  # segments of the mosaic looked at together
MALE = 1
PLACE = [("start_bp", pa.int32()), ("end_bp", pa.int32()), ("start_cm", pa.float64()), ("end_cm", pa.float64())]
WHOSE = [("person", pa.string()), ("haplotype", pa.int8())]
SEGMENTS = pa.schema([*WHOSE, ("founder", pa.int32()), ("founder_haplotype", pa.int8()), *PLACE])
ANCESTRY = pa.schema([*WHOSE, ("stratum", pa.string()), *PLACE])
PARQUET = {"compression": "zstd", "use_dictionary": ["person", "stratum"]}
ID_SCHEMA = {"codec": "json", "type": "object", "properties": {"id": {"type": "string"}}}


class Segments(NamedTuple):
    """Stretches of pseudo haplotypes, ordered by haplotype and start; all (n,).

    haplotype: int64, 2 person + (0 from the father, 1 from the mother). origin: int32, founder haplotype (2 founder +
    haplotype) or stratum. start, end: int64 base pairs, 1-based as in a .pvar; the end is the first that is not in it.
    """

    haplotype: np.ndarray
    origin: np.ndarray
    start: np.ndarray
    end: np.ndarray


def write_truth(
    pedigree: Pedigree,
    mosaic: Mosaic,
    genetic_map,
    chrom: str,
    build: str,
    person: np.ndarray,
    segments_path: str | Path,
    ancestry_path: str | Path,
    trees_path: str | Path,
) -> None:
    """Write founder segments and ancestry as .parquet, and both as a tree sequence (see `tree_sequence`).

    genetic_map: the `GeneticMap` that the mosaic's fractions refer to; chrom, build: which chromosome it is of.
    person: ids (people,) of the pseudo people.
    Columns of the segments: person; haplotype (0 from the father, 1 from the mother); founder, the founder's number
    in the pedigree's generation 0, not an id; founder_haplotype 0 or 1; start_bp and end_bp, from the first (1-based,
    as POS in a .pvar) to before the last; start_cm and end_cm, where these lie on the map. Of the ancestry: stratum in
    place of the founder, neighbours of one stratum joined. They reach from the map's first to its last point.
    Memory: the mosaic and, for the tree sequence, about 150 bytes a segment.
    """
    strata, stratum_of = np.asarray(pedigree.strata, dtype=object), np.repeat(pedigree.stratum[0], 2)
    edges, ids = [], pa.array(person, pa.string())
    with ExitStack() as stack:
        parts = [stack.enter_context(atomic(p, mode=0o600)) for p in (segments_path, ancestry_path, trees_path)]
        segments_file = stack.enter_context(pq.ParquetWriter(parts[0], SEGMENTS, **PARQUET))
        ancestry_file = stack.enter_context(pq.ParquetWriter(parts[1], ANCESTRY, **PARQUET))
        for some in founder_segments(mosaic, genetic_map, chrom, build, pedigree.sex[-1]):
            founder = {"founder": some.origin >> 1, "founder_haplotype": (some.origin & 1).astype(np.int8)}
            segments_file.write_table(_table(some, founder, SEGMENTS, ids, genetic_map))
            merged = joined(some._replace(origin=stratum_of[some.origin]))
            ancestry_file.write_table(_table(merged, {"stratum": strata[merged.origin]}, ANCESTRY, ids, genetic_map))
            edges.append(Segments(some.haplotype.astype(np.int32), *(a.astype(np.int32) for a in some[1:])))
        whole = Segments(*map(np.concatenate, zip(*edges, strict=True)))
        log.info("%d founder segments of %d haplotypes", len(whole.start), len(np.unique(whole.haplotype)))
        tree_sequence(pedigree, whole, person, chromosome_length(build, chrom) + 1).dump(parts[2])


def founder_segments(
    mosaic: Mosaic, genetic_map, chrom: str, build: str, sex: np.ndarray, chunk: int = CHUNK
) -> Iterator[Segments]:
    """Founder segments of the mosaic in base pairs, about `chunk` at a time, whole haplotypes together.

    sex: codes (people,) of the pseudo people. The founder haplotype of a segment is that of `mosaic.founder_at` at
    every base pair in it; segments without a base pair are left out, and their neighbours joined if of one origin.
    """
    cuts = np.arange(0, mosaic.offset[-1] + 1, chunk)
    rows = np.unique(np.append(np.searchsorted(mosaic.offset, cuts), len(mosaic.offset) - 1))
    stop = int(genetic_map.pos[-1]) + 1
    for low, high in pairwise(rows):
        offset = mosaic.offset[low : high + 1]
        start = first_positions(genetic_map, mosaic.start[offset[0] : offset[-1]])
        end = np.append(start[1:], stop)
        end[offset[1:] - offset[0] - 1] = stop
        haplotype = np.repeat(np.arange(low, high), np.diff(offset))
        found = Segments(haplotype, mosaic.founder[offset[0] : offset[-1]], start, end)
        yield joined(_there(found, chrom, build, sex))


def first_positions(genetic_map, x: np.ndarray) -> np.ndarray:
    """The first base pair of the map whose `recombination.site_fractions` is x or more: int64 (n,).

    x: uint32 (n,). The map's inverse tells it but for rounding and where the map stands still; there it is searched.
    """
    pos, fraction = coordinate(genetic_map)
    place = np.ceil(np.interp((x.astype(np.float64) - 0.5) / 2**32, fraction, pos)).astype(np.int64)
    right = (site_fractions(genetic_map, place) >= x) & (
        (site_fractions(genetic_map, place - 1) < x) | (place == pos[0])
    )
    unsure = np.flatnonzero(~right)
    low, high = np.full(len(unsure), pos[0]), np.full(len(unsure), pos[-1])
    while (low < high).any():
        middle = (low + high) // 2
        enough = site_fractions(genetic_map, middle) >= x[unsure]
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    place[unsure] = low
    return place


def joined(segments: Segments) -> Segments:
    """Neighbours of one origin as one segment."""
    haplotype, origin, start, end = segments
    new = np.ones(len(start), dtype=bool)
    new[1:] = (haplotype[1:] != haplotype[:-1]) | (origin[1:] != origin[:-1]) | (start[1:] != end[:-1])
    opening = np.flatnonzero(new)
    return Segments(
        haplotype[opening], origin[opening], start[opening], end[np.append(opening[1:], len(new))[: len(opening)] - 1]
    )


def _there(segments: Segments, chrom: str, build: str, sex: np.ndarray) -> Segments:
    """Segments with base pairs, of haplotypes that the person has a copy of."""
    which, male = segments.haplotype & 1, sex[segments.haplotype >> 1] == MALE
    kept = (segments.end > segments.start) & (segments.origin >= 0)
    if chrom in ("Y", "MT"):
        kept &= which == (chrom == "MT")
    if chrom != "X":
        return Segments(*(a[kept] for a in segments))
    single = kept & male & (which == 0)
    parts = [Segments(*(a[kept & ~single] for a in segments))]
    fathers = Segments(*(a[single] for a in segments))
    for first, last in get_build(build).par:
        start, end = np.maximum(fathers.start, first), np.minimum(fathers.end, last + 1)
        inside = end > start
        parts.append(Segments(fathers.haplotype[inside], fathers.origin[inside], start[inside], end[inside]))
    together = Segments(*map(np.concatenate, zip(*parts, strict=True)))
    order = np.lexsort((together.start, together.haplotype))
    return Segments(*(a[order] for a in together))


def _table(segments: Segments, origin: dict, schema: pa.Schema, person: pa.Array, genetic_map) -> pa.Table:
    """Rows of one of the .parquet files."""
    pos, fraction = coordinate(genetic_map)
    cm = genetic_map.cm[0] + fraction * genetic_map.length_cm
    columns = {
        "person": person.take(pa.array(segments.haplotype >> 1)),
        "haplotype": (segments.haplotype & 1).astype(np.int8),
        **origin,
        "start_bp": segments.start.astype(np.int32),
        "end_bp": segments.end.astype(np.int32),
        "start_cm": np.interp(segments.start, pos, cm),
        "end_cm": np.interp(segments.end, pos, cm),
    }
    return pa.table(columns, schema=schema)


def tree_sequence(pedigree: Pedigree, segments: Segments, person: np.ndarray, length: int) -> tskit.TableCollection:
    """Founder segments as the tables of a tree sequence.

    Nodes 0 ... 2 founders - 1 are the founder haplotypes, in their order, at the time (generations ago) of the
    founders; then come the pseudo haplotypes that have a segment, as samples at time 0. Individuals are the founders,
    who have no id, and the pseudo people, whose metadata is {"id": ...}; populations are the strata. An edge is a
    founder segment; positions are base pairs as in a .pvar, in a sequence of that length. What is not there (outside
    the map, a male's second X) is missing.
    """
    founders, people = len(pedigree.sex[0]), pedigree.people
    tables = tskit.TableCollection(length)
    tables.time_units = "generations"
    tables.populations.metadata_schema = tskit.MetadataSchema({"codec": "json"})
    for name in pedigree.strata:
        tables.populations.add_row(metadata={"name": name})
    tables.individuals.metadata_schema = tskit.MetadataSchema(ID_SCHEMA)
    metadata = [b"{}"] * founders + [json.dumps({"id": str(name)}).encode() for name in person]
    tables.individuals.set_columns(
        flags=np.zeros(founders + people, dtype=np.uint32),
        metadata=np.frombuffer(b"".join(metadata), dtype=np.int8),
        metadata_offset=np.append(0, np.cumsum([len(row) for row in metadata])).astype(np.uint64),
    )
    haplotypes = np.unique(segments.haplotype)
    individual = np.concatenate([np.arange(2 * founders) >> 1, founders + (haplotypes >> 1)])
    pseudo = np.arange(len(individual)) >= 2 * founders
    tables.nodes.set_columns(
        flags=np.where(pseudo, tskit.NODE_IS_SAMPLE, 0).astype(np.uint32),
        time=np.where(pseudo, 0.0, pedigree.generations),
        population=np.concatenate([pedigree.stratum[0], pedigree.stratum[-1]])[individual].astype(np.int32),
        individual=individual.astype(np.int32),
    )
    # tskit wants edges by parent (all of one age), child and place, and indices as its own build_index makes them.
    order = _stable_order(segments.origin)
    left, right = segments.start[order], segments.end[order]
    tables.edges.set_columns(
        left=left.astype(np.float64),
        right=right.astype(np.float64),
        parent=segments.origin[order],
        child=(2 * founders + np.searchsorted(haplotypes, segments.haplotype[order])).astype(np.int32),
    )
    removal = len(order) - 1 - _stable_order(right[::-1])
    tables.indexes = tskit.TableCollectionIndexes(_stable_order(left).astype(np.int32), removal.astype(np.int32))
    return tables


def _stable_order(key: np.ndarray) -> np.ndarray:
    """np.argsort(key, kind="stable") of whole numbers below 2^31, several times faster."""
    return np.sort(key.astype(np.int64) << 32 | np.arange(len(key))) & (2**32 - 1)
