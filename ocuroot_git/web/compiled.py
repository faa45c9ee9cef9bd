"""Compiled templates, kept beside them as Python keeps compiled modules: to compile them all takes a third of a second.

By the rules of Python: nothing is kept where that cannot be written, or where it was told not to; and what was compiled
of another text, or by another version, is written over.
"""

from __future__ import annotations

import marshal
import os
import sys
import tempfile
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Final

from jinja2 import BytecodeCache

if TYPE_CHECKING:
    from jinja2 import Environment
    from jinja2.bccache import Bucket

_KEPT: Final = Path(__file__).parent / "templates" / "__pycache__"
_DIGEST: Final = 32
"""Bytes at the beginning of a file that say what it was made of."""


class CompiledTemplates(BytecodeCache):
    """The templates of the page as they were compiled, a file for each."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        return f"{name}.{sys.implementation.cache_tag}"

    def get_source_checksum(self, source: str) -> str:
        return "\0".join((_version(), sys.version, source))

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            data = (_KEPT / bucket.key).read_bytes()
            code = marshal.loads(memoryview(data)[_DIGEST:]) if data[:_DIGEST] == _digest(bucket) else None
        except (OSError, EOFError, ValueError, TypeError):
            return
        bucket.code = code if isinstance(code, CodeType) else None

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        try:
            _KEPT.mkdir(exist_ok=True)
            descriptor, aside = tempfile.mkstemp(prefix=f"{bucket.key}.", dir=_KEPT)
            try:
                with open(descriptor, "wb") as file:
                    file.write(_digest(bucket) + marshal.dumps(bucket.code))
                os.replace(aside, _KEPT / bucket.key)
            except BaseException:
                os.unlink(aside)
                raise
        except OSError:
            pass  # the next process compiles it again


def use(environment: Environment) -> None:
    """Let an environment keep what it compiles."""
    environment.bytecode_cache = CompiledTemplates()
    environment.optimized = False  # what filters make of constants would be kept as well, and filters change


@cache
def _version() -> str:
    return version("jinja2")


def _digest(bucket: Bucket) -> bytes:
    return sha256(bucket.checksum.encode()).digest()
