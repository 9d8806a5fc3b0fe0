"""One kind of error for everything that a user can put right."""


class InputError(Exception):
    """Bad input or configuration, told so that the user can act on it.

    what: one sentence, what is wrong.  where: file, line, column or config key.
    expected: what was expected there.  remedy: what to do.
    Texts name files, keys, counts and positions, never a real person's values.
    """

    def __init__(self, what: str, *, where: str, expected: str = "", remedy: str):
        self.what, self.where, self.expected, self.remedy = what, str(where), expected, remedy
        parts = [what, f"  where:    {where}"]
        parts += [f"  expected: {expected}"] if expected else []
        parts += [f"  remedy:   {remedy}"]
        super().__init__("\n".join(parts))
