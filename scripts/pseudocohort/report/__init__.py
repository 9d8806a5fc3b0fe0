"""The self-contained report page."""

EMPTY = "nothing to draw"  # title in the metadata of a figure without data: the page leaves it out
