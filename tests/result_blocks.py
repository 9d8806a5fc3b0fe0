"""Blocks of association results, and what tables of them should say, for the tests of result files."""

import numpy as np
import pandas as pd

from pseudocohort.genetics.association import Block
from pseudocohort.genetics.results import write_association
from pseudocohort.genetics.tails import minus_log10_p

NAMES = ("height", "asthma", "血圧", "a.b")


def make_blocks(sizes=(700, 900, 3, 500), seed=1, traits=4):
    """Blocks of a chromosome 2 and then X: positions repeat and jump, alleles of all lengths, some without estimate."""
    rng, place, blocks = np.random.default_rng(seed), 0, []
    m = sum(sizes)
    chrom = np.where(np.arange(m) < 0.6 * m, "2", "X")
    pos = np.sort(np.concatenate([rng.integers(1, 10**5, m // 2), rng.integers(1, 2 * 10**8, m - m // 2)]))
    for c in ("2", "X"):
        pos[chrom == c] = np.sort(rng.permutation(pos)[: (chrom == c).sum()])
    n, df = np.array([900, 1200, 1200, 50])[:traits], np.array([890.0, np.inf, 1190, 40])[:traits]
    for size in sizes:
        rows = slice(place, place + size)
        alt = ["".join(rng.choice(list("ACGT"), rng.choice([1, 1, 1, 2, 30]))) for _ in range(size)]
        names = [f"rs{i}" for i in range(place, place + size)]
        ref = rng.choice(list("ACGT"), size)
        sites = pd.DataFrame({"chrom": chrom[rows], "pos": pos[rows], "id": names, "ref": ref, "alt": alt})
        sites = pd.concat([sites[:1], sites[1:]]).set_axis(
            range(10, 10 + size)
        )  # texts in pieces, an index of any start
        af = np.repeat(rng.uniform(0.01, 0.99, size)[:, None], traits, axis=1)
        af[:, 0] += 1e-3
        se = rng.uniform(0.01, 0.2, (size, traits))
        beta = rng.normal(size=(size, traits)) * se
        gone = rng.random(size) < 0.1
        beta[gone, 0], se[gone, 0], af[gone, 0] = np.nan, np.nan, np.nan
        blocks.append(Block(sites, beta, se, af, n, df))
        place += size
    return blocks


def write_real(folder):
    """Write the blocks as the text tables folder/real, whose path is returned."""
    path = folder / "real"
    assert write_association(path, iter(make_blocks()), NAMES, {"genome_assembly": "GRCh38"}) == 2103
    return path


def whole(blocks, k):
    """What a table of trait k should say, row by row."""
    sites = pd.concat([block.sites for block in blocks], ignore_index=True)
    beta, se, af = (np.concatenate([getattr(block, c)[:, k] for block in blocks]) for c in ("beta", "se", "af"))
    log10p = minus_log10_p(beta / se, blocks[0].df[k])
    table = sites.assign(effect_allele=sites["alt"], beta=beta, se=se, log10p=log10p, n=blocks[0].n[k], af=af)
    return table[np.isfinite(beta) & np.isfinite(se) & (se > 0)].reset_index(drop=True)


def same(mine, expected, rtol):
    texts = ["chrom", "pos", "id", "ref", "alt", "effect_allele", "n"]
    assert mine.columns.tolist() == [*texts[:-1], "beta", "se", "log10p", "n", "af"]
    for column in texts:
        assert mine[column].tolist() == expected[column].tolist(), column
    for column in ("beta", "se", "log10p", "af"):
        np.testing.assert_allclose(mine[column], expected[column], rtol=rtol, err_msg=column)
