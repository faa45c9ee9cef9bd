"""What is wrong with a package, and where."""

from __future__ import annotations


class Problem:
    """Something that is wrong with a package: where (file, line, column; 0 where it is not known), and what."""

    __slots__ = ("column", "file", "line", "message")

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.message = message

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.message}"
