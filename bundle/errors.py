"""The error of a package that was not built."""


class BuildError(Exception):
    """What went wrong, where, and what to do about it."""

    def __init__(self, what: str, where: str, hint: str) -> None:
        super().__init__(what, where, hint)

    def __str__(self) -> str:
        what, where, hint = self.args
        return f"{where}: {what}. {hint}"
