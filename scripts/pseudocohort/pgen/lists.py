"""Lists of people who differ from a site's common genotype, as .pgen records hold them ("difflists").

varint number of entries; of every group of 64 the first person (as many bytes as the number of people needs), then of
every group but the last the bytes its differences take, less 63; genotypes, two bits each; differences to the person
before, varints, none for the first of a group. All lists of a batch are read and written together.

take(..., mode="wrap") is numpy's fastest gather; indices are in range, or the file is damaged and that is found out.
"""

from typing import NamedTuple

import numpy as np

GROUP = 64
MARGIN = 16  # bytes that may be read behind the last list


class Lists(NamedTuple):
    """Lists of people. bounds: int64 (lists + 1,), of a list's entries; person: uint32 (entries,), ascending in a list;
    genotype: uint8 (entries,), the count of ALT or 3, missing."""

    bounds: np.ndarray
    person: np.ndarray
    genotype: np.ndarray


class Layout(NamedTuple):
    """Sizes of lists to write. size: int64 (lists,), bytes; head: those of the number of entries; lead: entries that
    are the first of their group; step: uint32 (entries,), to the person before, 0 where lead; width: uint8
    (entries,), bytes of that; spent: int64 (entries + 1,), their sum before an entry."""

    size: np.ndarray
    head: np.ndarray
    lead: np.ndarray
    step: np.ndarray
    width: np.ndarray
    spent: np.ndarray


def offsets(size: np.ndarray) -> np.ndarray:
    """0 and the running sums: int64 (n + 1,)."""
    total = np.zeros(len(size) + 1, dtype=np.int64)
    np.cumsum(size, out=total[1:])
    return total


def id_bytes(people: int) -> int:
    """Bytes of a person's number."""
    return (people.bit_length() + 7) // 8


def varint_bytes(value: np.ndarray) -> np.ndarray:
    """Bytes of varints of values below 2^28: uint8."""
    size = np.ones(len(value), dtype=np.uint8)
    for bits in range(7, max(1, int(value.max(initial=0)).bit_length()), 7):
        size += value >= 2**bits
    return size


def read(data: np.ndarray, start: np.ndarray, stop: np.ndarray, people: int, phase: np.ndarray | None = None):
    """Lists that begin at `start`, of records that end at `stop`: (Lists, where the lists end).

    data: uint8, with MARGIN bytes behind the last stop. phase: bool (lists,), phase of the entries alone ends the
    record (faster, for list records), or None. Raises ValueError where there is no such list.
    """
    top, number = _varint_at(data, start)
    groups, width = number + (GROUP - 1) >> 6, id_bytes(people)
    codes = top + groups * (width + 1) - (number > 0)
    steps = codes + (number + 3 >> 2)
    if (number > people).any() or (steps > stop).any():
        raise ValueError("a list is longer than its record")
    bounds = offsets(number)
    genotype = _genotypes(data, codes, number, bounds)
    if phase is not None:
        hets = offsets(genotype == 1)[bounds]
        hets = hets[1:] - hets[:-1]
        stop = stop - ((hets >> 3) + 1) * (phase & (hets > 0))
    if len(genotype) == 0:
        return Lists(bounds, np.zeros(0, dtype=np.uint32), genotype), steps
    first, place, length, members = _groups(data, top, groups, width, number, steps)
    person, end = _people(data, first, place, length, stop.repeat(groups), members, people)
    if person.max() >= people:
        raise ValueError("a list names a person that is not there")
    return Lists(bounds, person, genotype), np.where(number > 0, end[np.maximum(np.cumsum(groups) - 1, 0)], steps)


def _varint_at(data: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the varints at `place` end, and their values."""
    value = data[place].astype(np.int64)
    place, more, shift = place + 1, (value > 127).nonzero()[0], 7
    value &= 127
    while len(more) and shift < 35:
        byte = data[place[more]]
        value[more] |= (byte & 127).astype(np.int64) << shift
        place[more] += 1
        more, shift = more[byte > 127], shift + 7
    return place, value


def _genotypes(data, codes, number, bounds) -> np.ndarray:
    """Genotypes of all entries."""
    place, shift = _places(codes, number, bounds)
    genotype = data.take(place, mode="wrap")
    genotype >>= shift
    genotype &= 3
    return genotype


def _places(codes, number, bounds) -> tuple[np.ndarray, np.ndarray]:
    """Where the genotypes of all entries stand: byte (int64) and bit in it (uint8)."""
    place = np.arange(bounds[-1])
    place += (4 * codes - bounds[:-1]).repeat(number)
    shift = place.astype(np.uint8)
    shift &= 3
    shift <<= 1
    place >>= 2
    return place, shift


def _groups(data, top, groups, width, number, steps) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of every group: first person (uint32), where its differences begin, their bytes (-1: a list's last, not told),
    and its number of people."""
    if groups.max() == 1:
        listed = groups.nonzero()[0]
        if len(listed) < len(groups):
            top, steps, number = top[listed], steps[listed], number[listed]
        return _numbers(data, top, width), steps, np.full(len(top), -1), number
    opening = offsets(groups)
    order = np.arange(opening[-1]) - opening[:-1].repeat(groups)
    at = top.repeat(groups)
    first = _numbers(data, at + width * order, width)
    final = opening[1:][groups > 0] - 1
    members = np.full(len(order), GROUP)
    members[final] = (number - GROUP * (groups - 1))[groups > 0]
    length = data[at + width * groups.repeat(groups) + order] + np.int64(GROUP - 1)
    length[final] = 0
    before = offsets(length)[:-1]
    place = steps.repeat(groups) + before - before[opening[:-1][groups > 0]].repeat(groups[groups > 0])
    length[final] = -1
    return first, place, length, members


def _numbers(data: np.ndarray, place: np.ndarray, width: int) -> np.ndarray:
    """Little-endian numbers of `width` bytes: uint32."""
    value = data[place].astype(np.uint32)
    for byte in range(1, width):
        value |= data[place + byte].astype(np.uint32) << np.uint32(8 * byte)
    return value


def _people(data, first, place, length, stop, members, people) -> tuple[np.ndarray, np.ndarray]:
    """People of all groups, and where each group's bytes end: running sums of the differences. A group is read with
    the byte before it, which stands for the 0 of its first person."""
    longest = 1 + (people > 2**7) + (people > 2**14) + (people > 2**21)
    size = np.where(length >= 0, length, np.minimum(np.maximum(stop - place, 0), longest * (members - 1))) + 1
    if (place - 1 + size > stop).any():
        raise ValueError("a list is longer than its record")
    opening, lead = offsets(size), offsets(members)
    before = place - 1 - opening[:-1]
    at = np.arange(opening[-1])
    at += before.repeat(size)
    stream = data.take(at, mode="wrap")
    stream[opening[:-1]] = 0
    last = (stream < 128).nonzero()[0]
    if len(last) != lead[-1] or (last[lead[:-1]] != opening[:-1]).any():  # what follows a list was read as well
        found = last.searchsorted(opening)
        if (found[1:] - found[:-1] < members).any():
            raise ValueError("a list ends too early")
        at = np.arange(lead[-1])
        at += (found[:-1] - lead[:-1]).repeat(members)
        last = last.take(at, mode="wrap")
    total = np.cumsum(_varints(stream, last, lead[:-1]), dtype=np.uint32)  # modulo 2^32
    total += (first - total[lead[:-1]]).repeat(members)
    return total, before + last[lead[1:] - 1] + 1


def _varints(stream: np.ndarray, last: np.ndarray, lead: np.ndarray) -> np.ndarray:
    """Values of varints whose last bytes are given, uint32; those at `lead` have one byte, whatever stands before."""
    value = stream.take(last, mode="wrap").astype(np.uint32)
    longer = np.empty(len(last), dtype=bool)
    longer[0] = False
    np.greater(last[1:], last[:-1] + 1, out=longer[1:])
    longer[lead] = False
    longer, back = longer.nonzero()[0], 1
    while len(longer):
        end = last[longer]
        value[longer] = value[longer] << np.uint32(7) | stream[end - back] & 127
        back += 1
        longer = longer[end - last[longer - 1] > back]
    return value


def lay_out(lists: Lists, people: int) -> Layout:
    """Sizes of the lists when written."""
    bounds = lists.bounds
    number = bounds[1:] - bounds[:-1]
    groups = number + (GROUP - 1) >> 6
    lead = bounds[:-1][number > 0]
    if len(lead) < groups.sum():
        opening = offsets(groups)
        lead = bounds[:-1].repeat(groups) + GROUP * (np.arange(opening[-1]) - opening[:-1].repeat(groups))
    step = np.empty_like(lists.person)
    np.subtract(lists.person[1:], lists.person[:-1], out=step[1:])
    step[lead] = 0
    width = varint_bytes(step)
    width[lead] = 0
    spent, head = offsets(width), varint_bytes(number)
    size = spent[bounds]
    size = size[1:] - size[:-1] + (head + groups * (id_bytes(people) + 1) - (number > 0) + (number + 3 >> 2))
    return Layout(size, head, lead, step, width, spent)


def write(data: np.ndarray, place: np.ndarray, lists: Lists, layout: Layout, people: int) -> None:
    """Write lists into data (uint8, zeros), each at its place."""
    bounds, width = lists.bounds, id_bytes(people)
    number = bounds[1:] - bounds[:-1]
    groups = number + (GROUP - 1) >> 6
    _put_varints(data, place, number, layout.head)
    if bounds[-1] == 0:
        return
    top = place + layout.head
    _put_groups(data, top, groups, width, lists.person[layout.lead], layout.spent[np.append(layout.lead, bounds[-1])])
    codes = top + groups * (width + 1) - (number > 0)
    place, shift = _places(codes, number, bounds)
    np.add.at(data, place, lists.genotype << shift)
    at = layout.spent[:-1] + (codes + (number + 3 >> 2) - layout.spent[bounds[:-1]]).repeat(number)
    _put_steps(data, at, layout)


def _put_varints(data: np.ndarray, place: np.ndarray, value: np.ndarray, size: np.ndarray) -> None:
    """Write values as varints of `size` bytes."""
    data[place] = value & 127 | (size > 1) << 7
    for byte in range(1, int(size.max(initial=0))):
        which = (size > byte).nonzero()[0]
        data[place[which] + byte] = value[which] >> (7 * byte) & 127 | (size[which] > byte + 1) << 7


def _put_steps(data: np.ndarray, at: np.ndarray, layout: Layout) -> None:
    """Write the differences; that of a group's first, 0, is added to a byte that it does not change."""
    low = layout.step.astype(np.uint8)
    low &= 127
    low |= (layout.width > 1).view(np.uint8) << np.uint8(7)
    np.add.at(data, at, low)
    for byte in range(1, int(layout.width.max())):
        which = (layout.width > byte).nonzero()[0]
        more = (layout.width[which] > byte + 1).view(np.uint8) << np.uint8(7)
        data[at[which] + byte] = (layout.step[which] >> np.uint32(7 * byte)).astype(np.uint8) & np.uint8(127) | more


def _put_groups(data, top, groups, width, person, spent) -> None:
    """Write the first person of every group and, but for a list's last, the bytes of its differences less 63."""
    opening = offsets(groups)
    order = np.arange(opening[-1]) - opening[:-1].repeat(groups)
    at = top.repeat(groups) + width * order
    for byte in range(width):
        data[at + byte] = person >> np.uint32(8 * byte)  # the lowest 8 bits stay
    if len(order) > np.count_nonzero(groups):
        closed = (order + 1 < groups.repeat(groups)).nonzero()[0]
        sizes = (top + width * groups).repeat(groups) + order
        data[sizes[closed]] = (spent[1:] - spent[:-1])[closed] - (GROUP - 1)
