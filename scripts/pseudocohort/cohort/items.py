"""The model of the dictionary: an item, and all of them."""

import re
from dataclasses import dataclass
from functools import cached_property

TYPES = ("continuous", "count", "binary", "ordinal", "nominal", "date")
NUMERIC = ("continuous", "count", "date")  # a date is a number inside: whole days since 1970-01-01
ROLES = ("", "age", "ignore")
REASONS = ("not asked", "not measured", "below limit", "refused", "unknown")
COLUMNS = (
    "item",
    "type",
    "group",
    "role",
    "label",
    "label_ja",
    "unit",
    "minimum",
    "maximum",
    "detection_limit",
    "decimals",
    "categories",
    "missing_codes",
    "asked_if",
    "rule",
    "trait",
    "level",
    "consent",
    "note",
)
LEVELS = ("open", "standard", "strong")  # how closely an item is to be kept, from the least
RESERVED = ("person", "sex", "age", "stratum")  # columns of the pseudo cohort's table that are no items
SEX_CODES = {"male": 1, "female": 2}
FILE_NAME = re.compile(r"\w[\w.+-]*")  # a trait's name is also a file's


@dataclass(frozen=True)
class Item:
    """One item. name: column of the phenotype table. type: one of TYPES. role: one of ROLES.

    minimum, maximum, detection_limit: in the item's unit (of a date, days since 1970-01-01), None when there is
    none.  decimals: digits that are written, None for as many as there are (a date: 0).  categories: codes in order
    (binary: no, yes) with their labels.  missing_codes: ((cell, reason), ...), cells that stand for missing, the
    reason one of REASONS; `below limit` stands for the detection limit.  asked_if: ((item or "sex", codes), ...),
    all of which must hold, else the item is structurally missing.  rules: (("<=" or ">=", (item,)) or
    ("=", (item, item, ...)), ...) between numeric items, "=" a sum, in which ordinal and binary items may stand whose
    codes are numbers.  trait: does it get effect weights and an
    association study (default: every type but nominal and date).  level: one of LEVELS, the last where the
    dictionary gives none (level_given tells).  consent: ((column of the phenotype table, codes), ...), all of which a
    person must have said for the item's value to be used.
    """

    name: str
    type: str
    group: str = "other"
    role: str = ""
    label: str = ""
    label_ja: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    detection_limit: float | None = None
    decimals: int | None = None
    categories: tuple[str, ...] = ()
    category_labels: tuple[str, ...] = ()
    asked_if: tuple[tuple[str, tuple[str, ...]], ...] = ()
    trait: bool | None = None
    note: str = ""
    missing_codes: tuple[tuple[str, str], ...] = ()
    rules: tuple[tuple[str, tuple[str, ...]], ...] = ()
    level: str = ""
    consent: tuple[tuple[str, tuple[str, ...]], ...] = ()
    level_given: bool | None = None

    def __post_init__(self):
        if self.trait is None:
            object.__setattr__(self, "trait", self.type not in ("nominal", "date") and self.role == "")
        if not self.category_labels:
            object.__setattr__(self, "category_labels", self.categories)
        if self.type == "date" and self.decimals is None:
            object.__setattr__(self, "decimals", 0)
        if self.level_given is None:
            object.__setattr__(self, "level_given", self.level != "")
        object.__setattr__(self, "level", self.level or LEVELS[-1])

    def is_above(self, level: str) -> bool:
        """Is the item to be kept more closely than a release of this level keeps it?"""
        return LEVELS.index(self.level) > LEVELS.index(level)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Distinct reasons for which a value can be missing, in the order of the dictionary.

        An item with reasons has a column of reasons (`reason_column`). `below limit` is none of them: that is a value.
        """
        return tuple(dict.fromkeys(reason for _, reason in self.missing_codes if reason != "below limit"))


@dataclass(frozen=True)
class Dictionary:
    """All rows of a dictionary in file order; `items` are those that the pseudo cohort will have."""

    rows: tuple[Item, ...]

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Rows without a role."""
        return tuple(row for row in self.rows if row.role == "")

    @cached_property
    def age(self) -> Item | None:
        """The row with the role age, a condition and no item."""
        return next((row for row in self.rows if row.role == "age"), None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.items)

    @cached_property
    def reasoned(self) -> tuple[Item, ...]:
        """Items with a column of reasons, in the dictionary's order."""
        return tuple(item for item in self.items if item.reasons)

    @cached_property
    def reason_columns(self) -> tuple[str, ...]:
        """The columns of reasons that a frame of items ends with."""
        return tuple(reason_column(item.name) for item in self.reasoned)

    @cached_property
    def traits(self) -> tuple[str, ...]:
        """Names of the items that get effect weights."""
        return tuple(item.name for item in self.items if item.trait)

    @cached_property
    def _by_name(self) -> dict[str, Item]:
        return {item.name: item for item in (*self.items, *([self.age] if self.age else []))}

    def __getitem__(self, name: str) -> Item:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


def reason_column(name: str) -> str:
    """The column that tells why the item `name` is missing: one of REASONS, NaN where there is a value."""
    return f"{name}_missing"
