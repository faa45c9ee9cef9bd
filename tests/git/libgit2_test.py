"""How libgit2 is loaded: without the certificates of the machine, and without a trace of that."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from support.program import TOP

CODE = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
from ocuroot_git.git import libgit2
libgit2.load_core()
if len(sys.argv) == 2:
    print(subprocess.run(["sh", "-c", "echo ${SSL_CERT_FILE-unset}"], stdout=subprocess.PIPE, text=True).stdout.strip())
    import pygit2
    print(pygit2.settings.ssl_cert_file)
"""


def test_the_environment_is_as_it_was(tmp_path: Path) -> None:
    """For what is started later, and for who imports all of pygit2."""
    paths = ssl.get_default_verify_paths()
    usual = paths.cafile or paths.openssl_cafile
    if not os.path.isfile(usual):
        pytest.skip("there are no certificates here")
    named = str(shutil.copy(usual, tmp_path / "certificates"))
    command = ["env", f"SSL_CERT_FILE={named}", sys.executable, "-c", CODE, str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [named, named]
    done = subprocess.run(["env", "-u", "SSL_CERT_FILE", *command[2:]], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("unset\n")


def test_no_certificates_are_read(tmp_path: Path) -> None:
    trace, certificates = tmp_path / "trace", tmp_path / "certificates"
    certificates.touch()
    command = [sys.executable, "-c", CODE, str(TOP), "only that"]
    try:
        traced = [
            "strace",
            "-e",
            "trace=open,openat",
            "-o",
            str(trace),
            "env",
            f"SSL_CERT_FILE={certificates}",
            *command,
        ]
        done = subprocess.run(traced, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("strace is not here")
    if not trace.exists() or "libgit2" not in trace.read_text():
        pytest.skip(f"strace may not trace: {done.stderr!r}")
    assert str(certificates) not in trace.read_text()
