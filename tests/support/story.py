"""A store with a story to show: three packages on their way through three environments, for the tests of the view.

Written as `git ocuroot update --stdin` reads it, so that it needs nothing but a store. Times count back from `now`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from hashlib import sha1

SHOP = "github.com/example/shop"
FRONTEND, BACKEND, SEARCH = (
    f"{SHOP}/-/{path}" for path in ("frontend/release.ocu.star", "backend/release.ocu.star", "search/release.ocu.star")
)
ENVIRONMENTS = {
    "staging": {"type": "staging", "region": "eu-west-1"},
    "production-eu": {"type": "prod", "region": "eu-west-1"},
    "production-us": {"type": "prod", "region": "us-east-1"},
}


class Story:
    """Collects commands; `lines` are what `update --stdin` takes."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.lines: list[str] = []

    def time(self, minutes_ago: float) -> str:
        moment = self.now - timedelta(minutes=minutes_ago)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    def set(self, ref: str, value: object) -> None:
        self.lines.append(f"set {ref} {json.dumps(value, ensure_ascii=False)}")

    def link(self, ref: str, target: str) -> None:
        self.lines.append(f"link {ref} {target}")

    def release(self, package: str, number: int, minutes_ago: float, *, tag: str = "") -> str:
        release = f"{package}/@{number}"
        commit = sha1(release.encode()).hexdigest()
        phases = [
            {"name": "build", "work": [self._call("build", "make image"), self._call("test", "make test")]},
            {
                "name": "staging",
                "work": [
                    {
                        "deploy": {
                            "environment": "staging",
                            "up": {"name": "up", "run": "./deploy staging"},
                            "down": {"name": "down"},
                        }
                    }
                ],
            },
            {"name": "approval", "work": [self._call("smoke", "./smoke --all")]},
            {
                "name": "production",
                "work": [
                    {
                        "deploy": {
                            "environments": {"attributes": {"type": "prod"}},
                            "up": {"name": "up"},
                            "down": {"name": "down"},
                        }
                    }
                ],
            },
        ]
        self.set(release, {"commit": commit, "package": {"phases": phases}})
        self.set(f"{release}/commit/{commit}", {"time": self.time(minutes_ago)})
        if tag:
            self.link(f"{package}/@{tag}", release)
        return release

    @staticmethod
    def _call(name: str, run: str) -> dict[str, object]:
        return {"call": {"name": name, "fn": {"name": name, "run": run}}}

    def run(
        self,
        work: str,
        number: int,
        status: str,
        minutes_ago: float,
        took: float = 2,
        *,
        kind: str = "call",
        waits: str = "",
        output: object = None,
    ) -> str:
        run = f"{work}/{number}"
        release = work.rpartition("/@")[0] + "/@" + work.rpartition("/@")[2].partition("/")[0]
        body: dict[str, object] = {"type": kind, "release": release, "entrypoint": f"{run}/functions/1"}
        if output is not None:
            body["output"] = output
        self.set(run, body)
        if status == "complete":
            self.set(work, body)
        steps = [{"time": self.time(minutes_ago + took + 0.2), "status": "pending"}]
        if status != "pending":
            steps.append({"time": self.time(minutes_ago + took), "status": "running"})
        if status not in ("pending", "running"):
            steps.append({"time": self.time(minutes_ago), "status": status})
        current: dict[str, object] = {
            "id": "1",
            "fn": {"name": kind},
            "status": status,
            "inputs": {
                "image": {
                    "ref": f"{release}/call/build#output/image",
                    "value": f"registry.example.com/shop:{release.rpartition('@')[2]}",
                }
            },
        }
        if waits:
            current["dependencies"] = [f"{release}/{waits}/*/status/complete"]
        self.set(f"{run}/functions/1", {"current": current, "history": steps})
        self.set(f"{run}/status/{status}", {"time": steps[-1]["time"]})
        if status != "pending":
            self.log(run, status, minutes_ago + took)
        return run

    def log(self, run: str, status: str, minutes_ago: float) -> None:
        said = [
            (1, "\u001b[1m==> make image\u001b[0m"),
            (1, "pulling base image registry.example.com/base:12"),
            (1, "\u001b[32m✓\u001b[0m 214 tests passed in 41 s"),
            (2, "\u001b[33mwarning:\u001b[0m the cache is cold"),
        ]
        if status == "failed":
            said += [(2, "\u001b[31;1merror:\u001b[0m connection to db-1.internal refused"), (2, "exit status 1")]
        self.set(
            f"{run}/logs",
            [
                {"timestamp": self.time(minutes_ago - at / 20), "message": text, "stream": stream, "attributes": {}}
                for at, (stream, text) in enumerate(said)
            ],
        )

    def complete(self, release: str, minutes_ago: float, *environments: str) -> None:
        """All work of a release up to these deployments, done."""
        package, number = release.rpartition("/@")[0], release.rpartition("@")[2]
        for at, name in enumerate(("build", "test")):
            run = self.run(
                f"{release}/call/{name}",
                1,
                "complete",
                minutes_ago,
                3 + at,
                output={"image": f"registry.example.com/shop:{number}", "digest": "sha256:9f86d081884c7d65"},
            )
            self.link(f"{package}/@/call/{name}", run)
        for at, name in enumerate(environments):
            if at == 1:
                self.run(f"{release}/call/smoke", 1, "complete", minutes_ago - 6, 1.5)
            run = self.run(
                f"{release}/deploy/{name}",
                1,
                "complete",
                minutes_ago - 4 - 5 * at,
                2,
                kind="up",
                output={"url": f"https://{name}.shop.example.com", "replicas": 3 + at},
            )
            self.link(f"{package}/@/deploy/{name}", run)
            self.set(f"{package}/+/deploy/{name}", {"release": release})


def story(now: datetime | None = None) -> Iterator[str]:
    """The lines of the story for `git ocuroot update --stdin`."""
    tell = Story(now or datetime.now(timezone.utc))
    for name, attributes in ENVIRONMENTS.items():
        for marker in "@+":
            tell.set(f"{marker}/environment/{name}", {"name": name, "attributes": attributes})
    all_ = tuple(ENVIRONMENTS)
    for number in range(1, 12):
        release = tell.release(
            FRONTEND, number, 20000 / number, tag="v1.0" if number == 1 else "v1.9" if number == 9 else ""
        )
        tell.complete(release, 20000 / number, *all_[: 3 if number < 10 else 2])
    tell.set(
        f"{FRONTEND}/@10/custom/approval",
        {"by": "grace", "note": "looks good, no open incidents", "ticket": "https://tickets.example.com/OPS-412"},
    )
    newest = tell.release(FRONTEND, 12, 14)
    for name in ("build", "test"):
        tell.run(f"{newest}/call/{name}", 1, "complete", 9, 4, output={"image": "registry.example.com/shop:12"})
    staging = tell.run(
        f"{newest}/deploy/staging", 1, "complete", 5, 2, kind="up", output={"url": "https://staging.shop.example.com"}
    )
    tell.link(f"{FRONTEND}/@/deploy/staging", staging)
    tell.set(f"{FRONTEND}/+/deploy/staging", {"release": newest})
    tell.run(f"{newest}/call/smoke", 1, "running", 0.5, 0.7)
    for name in all_[1:]:
        tell.run(f"{newest}/deploy/{name}", 1, "pending", 14, 0, kind="up", waits="call/smoke")
    tell.link(f"{FRONTEND}/@", newest)

    for number in (1, 2, 3):
        tell.complete(tell.release(BACKEND, number, 9000 / number), 9000 / number, *all_[: 3 if number < 3 else 1])
    tell.run(f"{BACKEND}/@3/call/smoke", 1, "failed_retried", 2950, 1)
    tell.run(f"{BACKEND}/@3/call/smoke", 2, "failed", 44, 3)
    tell.set(f"{BACKEND}/+/deploy/production-eu", {"release": f"{BACKEND}/@3", "input": {"replicas": {"value": 5}}})
    tell.link(f"{BACKEND}/@", f"{BACKEND}/@3")

    tell.complete(tell.release(SEARCH, 1, 700, tag="v0.1"), 700, "staging")
    tell.run(f"{SEARCH}/@1/deploy/production-eu", 1, "paused", 610, 4, kind="up")
    tell.link(f"{SEARCH}/@", f"{SEARCH}/@1")

    tell.set("@/custom/freeze", {"until": "2027-01-04", "reason": "holidays"})
    tell.set("+/custom/freeze", {"until": "2027-01-08", "reason": "holidays"})
    tell.set("+/custom/banner", "Scheduled maintenance on Sunday")
    yield from tell.lines
