"""A store at a server that lets pushes lose races, for changes that wait to be made by others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

from support.program import PROGRAM
from support.remote_stores import World
from support.repositories import Repo

OUTBOX = "refs/ocuroot/outbox/"

# The server loses a race for whoever pushes to the branch, as often as the file `lose` says, and ends the process in
# the file `kill` as soon as something waits in an outbox.
UPDATE = """\
#!/bin/sh
unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
top=$(cd "$(dirname "$0")/.." && pwd)
case $1 in refs/heads/*)
    left=$(cat "$top/lose" 2>/dev/null || echo 0)
    if [ "$left" -gt 0 ]; then
        echo $((left - 1)) > "$top/lose"
        made=$(git -C "$top" commit-tree -p "$1" -m another "$1^{tree}")
        git -C "$top" update-ref "$1" "$made"
    fi ;;
esac
"""
POST_RECEIVE = """\
#!/bin/sh
echo push >> pushes
while read old new name; do
    case $name,$new in
    refs/ocuroot/outbox/*,00000*) ;;
    refs/ocuroot/outbox/*,*)
        echo "$name" >> waited
        if [ -f kill ]; then
            while [ ! -s kill ]; do sleep 0.01; done
            kill -9 $(cat kill); rm kill
        fi ;;
    esac
done
"""


class Contended:
    """A store at a server that lets pushes lose races, and clones that write to it."""

    def __init__(self, world: World, bare: Repo) -> None:
        self.world = world
        self.bare = bare
        self.hook("update", UPDATE)
        self.hook("post-receive", POST_RECEIVE)

    def hook(self, name: str, text: str) -> None:
        """Let the server run a script of sh, which may be indented as the test is, and begins anywhere."""
        text = textwrap.dedent(text)
        path = self.bare.path / "hooks" / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def clone(self, name: str, *config: str) -> Repo:
        made = self.world.clone(name)
        for item in ("ocuroot.combine=true", "ocuroot.repoAlias=shop", *config):
            made.git("config", *item.split("=", 1))
        return made

    def lose(self, times: int = 1) -> None:
        (self.bare.path / "lose").write_text(str(times))

    def waiting(self) -> list[str]:
        return self.bare.git("for-each-ref", "--format=%(refname)", OUTBOX).split()

    def waited(self) -> int:
        """How many changes have waited so far."""
        path = self.bare.path / "waited"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def pushes(self) -> int:
        path = self.bare.path / "pushes"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def leave(self, clone: Repo, *arguments: str, times: int = 1, **options: str) -> str:
        """Run a command that loses a race, and is killed once its change waits; gives the reference of that."""
        before = set(self.waiting())
        self.lose(times)
        (self.bare.path / "kill").touch()
        command = [sys.executable, str(PROGRAM), *arguments]
        environ = {**os.environ, **options}
        writer = subprocess.Popen(
            command, cwd=clone.path, env=environ, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        (self.bare.path / "kill").write_text(str(writer.pid))
        _, err = writer.communicate(timeout=60)
        assert writer.returncode == -signal.SIGKILL, err
        self.lose(0)
        (made,) = set(self.waiting()) - before
        return made

    def subjects(self) -> list[str]:
        """What was written by us since the store was made, the newest first."""
        return [line for line in self.bare.git("log", "--format=%s", "state").splitlines() if line != "another"][:-1]

    def text(self, name: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.bare.git("cat-file", "blob", name))
        return found

    def put(self, content: object, name: str = "") -> str:
        """Let something wait that no writer of ours has made, for an hour already unless `name` says otherwise."""
        name = name or f"{hours_ago(1)}-0123456789abcdef"
        data = content if isinstance(content, str) else json.dumps(content)
        blob = self.bare.git("hash-object", "-w", "--stdin", input=data)
        self.bare.git("update-ref", f"{OUTBOX}state/{name}", blob)
        return f"{OUTBOX}state/{name}"


def hours_ago(hours: float) -> str:
    """How the name begins of a change that has waited for so long. After a day the next writer takes it out."""
    return f"{int((time.time() - hours * 3600) * 1000):012x}"


def value(repo: Repo, ref: str) -> object:
    return json.loads(repo.ocuroot("get", "--default", "null", ref))
