"""Lines of evidence: what an attack found, with its controls, in the one form of measures."""

import numpy as np
from scipy.stats import norm

from pseudocohort.disclosure.roc import CONFIDENCE, Judged
from pseudocohort.measures.line import FEWEST_IN_HALF, measure

REACH = 0.05  # of the interval of an AUC on either side, as wanted
FAILED = "control failed"
FEW = "too few non-members"


def both_passed(controls: dict) -> bool | None:
    """Did the planted and the null control of an attack pass? None: neither failed, but there are too few people."""
    passed = [controls[kind]["passed"] for kind in ("planted", "null")]
    return False if False in passed else None if None in passed else True


def membership_lines(kind: str, attack: str, judged: Judged, passed: bool | None, members: int) -> list[dict]:
    """AUC and true positives at 1 % and 0.1 % false positives of one attack.

    kind: `item`, `genome` or `relative`: keys of the catalogue begin with it.  passed: of `both_passed`.  Of fewer
    non-members than measures.line.FEWEST_IN_HALF nothing is judged; the lines tell how many it would take.
    """
    reason, people = {True: None, False: FAILED, None: FEW}[passed], judged.rates[0].nonmembers
    lines = [measure(f"{kind}_membership", judged.auc, subject=attack, z=judged.z, interval=judged.interval,
                     people=people, reason=reason, nonmembers=people, needed=needed_for_auc(members))]  # fmt: skip
    for rate, name in zip(judged.rates, ("1", "01"), strict=True):
        known = np.isfinite(rate.value)
        lines.append(
            measure(f"{kind}_true_positives_{name}", rate.value, subject=attack,
                    interval=rate.interval if known else None, reason=(reason if known else FEW),
                    people=people, nonmembers=rate.nonmembers, needed=rate.needed)
        )  # fmt: skip
    return lines


def needed_for_auc(members: int, reach: float = REACH) -> int:
    """Fewest non-members for an interval of the AUC of no more than `reach` on either side where it is 1/2.

    There its variance is (1 / m + 1 / n + 1 / (m n)) / 12 (Mann and Whitney 1947), m the members or, if there are more
    of these, the non-members, as founders are not scarce.
    """
    most = 12 * (reach / norm.ppf((1 + CONFIDENCE) / 2)) ** 2
    n = np.arange(1, int(3 / most) + 2)
    m = np.maximum(members, n)
    return max(FEWEST_IN_HALF, int(n[np.argmax(1 / m + 1 / n + 1 / (m * n) <= most)]))


def curve(member: np.ndarray, nonmember: np.ndarray, points: int = 60) -> np.ndarray:
    """ROC curve for a figure: (2, points) false and true positive rates.

    On a logarithmic grid from 5 / non-members on, so that no point stands for fewer than five real people.
    """
    low = min(5 / len(nonmember), 0.5)
    rates = np.geomspace(low, 1, points)
    threshold = np.quantile(nonmember, 1 - rates, method="higher")
    return np.array([rates, [(member > t).mean() for t in threshold]])
