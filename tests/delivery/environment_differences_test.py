"""`diff --environments`: what would go out from one environment to another, and the commits between."""

from __future__ import annotations

import json

from support.delivering import deploy, package, prepare, refused, release, work_any
from support.repositories import Repo

LATER = package([deploy("staging")], [deploy("production", inputs={"go": {"ref": "./custom/go"}})])


def test_what_would_go_out(store: Repo) -> None:
    prepare(store, "staging", "production")
    release(store, LATER)
    release(store, package([deploy("staging")]), "tool")
    release(store, package([deploy("production")]), "cdn")
    store.ocuroot("update", "--stdin", input="set shop/-/web/@1/custom/go 1\nset shop/-/web/+1/custom/go 1\n")
    work_any(store)
    for subject in ("round totals", "tidy up"):
        store.git("commit", "-q", "--allow-empty", "-m", subject)
    web = release(store, LATER, "web", "--tag=v2")
    work_any(store)
    commits = [store.git("rev-parse", one) for one in ("HEAD", "HEAD~1", "HEAD~2")]
    first = commits[2][:10]
    assert store.ocuroot("diff", "--environments", "staging", "production").splitlines() == [
        "D\tshop/-/cdn\t@1\t\t\t",
        f"A\tshop/-/tool\t\t@1\t{first}\tno deployment there",
        "M\tshop/-/web\t@1\t@2\tv2\t",
    ]
    assert store.ocuroot("diff", "--environments", "--commits", "staging", "production", "//web").splitlines() == [
        "M\tshop/-/web\t@1\t@2\tv2\t",
        f"    + {commits[0][:10]} tidy up (Test)",
        f"    + {commits[1][:10]} round totals (Test)",
    ]
    store.ocuroot("hold", web, "-m", "no")
    (line,) = store.ocuroot(
        "diff", "--environments", "staging", "production", "//web", "--commits", "--json"
    ).splitlines()
    said = json.loads(line)
    assert [(one["change"], one["commit"], one["subject"]) for one in said.pop("commits")] == [
        ("+", commits[0], "tidy up"),
        ("+", commits[1], "round totals"),
    ]
    assert said == {
        "package": "shop/-/web",
        "from_environment": "staging",
        "environment": "production",
        "status": "M",
        "release": web,
        "tags": ["v2"],
        "commit": commits[0],
        "from": "shop/-/web/@1",
        "from_commit": commits[2],
        "held": "held by test@example.com: no",
        "may_go": True,
    }
    back = store.ocuroot("diff", "--environments", "production", "staging", "//web", "--commits").splitlines()
    assert back[1] == f"    - {commits[0][:10]} tidy up (Test)"
    assert store.run("diff", "--environments", "staging", "production", "--exit-code").returncode == 1
    assert store.run("diff", "--environments", "staging", "staging", "--exit-code").returncode == 0
    for status, words, arguments in (
        (129, "takes two", ["--environments", "staging"]),
        (129, "by --environments", ["staging", "production"]),
        (1, "no such environment: 'x'", ["--environments", "x", "production"]),
        (1, "no such environment: 'x'", ["--environments", "staging", "x"]),
        (1, "no package matches", ["--environments", "staging", "production", "//none"]),
    ):
        refused(store, status, words, "diff", *arguments)
    # The commit of a release is not in this repository.
    store.git("config", "ocuroot.repoAlias", "shop")
    (one,) = (json.loads(store.ocuroot("get", f"{web}")),)
    store.ocuroot("update", "--stdin", input=f"set {web} {json.dumps({**one, 'commit': '0' * 40})}\n")
    done = store.run("diff", "--environments", "staging", "production", "//web", "--commits")
    assert done.stderr == "shop/-/web: the commits between are not known in this repository\n"
