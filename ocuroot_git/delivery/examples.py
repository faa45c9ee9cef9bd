"""Packages to start from: what `package new` writes, in code and in JSON (design 14)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

STARLARK: Final = """\
# How this package is released. `git ocuroot package show FILE` shows what it comes to.
ocuroot("0.3.0")


# A function does one piece of work. Its parameters are the inputs that the work has below; what it returns says that
# it is done, and with which outputs, or that it goes on with another: `return next(fn, inputs = {...})`.
def build():
    version = host.shell("git describe --always", mute = True).stdout.strip()
    print("building " + version)
    return done(outputs = {"version": version})


def up(environment, version, replicas):
    print("deploying {} to {}, {} times".format(version, environment["name"], replicas))
    return done(outputs = {"url": "https://{}.example.com".format(environment["name"])})


def down(environment, version, replicas):
    print("taking {} down".format(environment["name"]))
    return done()


# Work that is done once in each release. The phases follow each other; what is in one phase runs side by side.
phase("build", tasks = [task(build, name = "build")])

# A deployment to each environment of type "prod". Environments are made by
#   git ocuroot set -f json +/environment/production '{"name": "production", "attributes": {"type": "prod"}}'
#   git ocuroot apply +/environment/production
phase(
    "production",
    tasks = [
        deploy(
            environment = e,
            up = up,
            down = down,
            inputs = {
                # The output of the build of this release.
                "version": ref("./task/build#output/version"),
                # A document that anybody may set, and what counts where there is none. Without a default the work waits
                # for it: that is how an approval is made.
                "replicas": input(ref = "@/custom/replicas", default = 2),
            },
        )
        for e in environments()
        if e.attributes.get("type") == "prod"
    ],
)
"""

JSON: Final = """\
{
  "phases": [
    {
      "name": "build",
      "work": [
        {
          "call": {
            "name": "build",
            "fn": {"name": "build", "run": "echo version=$(git describe --always) >> $OCUROOT_OUTPUT"}
          }
        }
      ]
    },
    {
      "name": "production",
      "work": [
        {
          "deploy": {
            "environments": {"attributes": {"type": "prod"}},
            "up": {"name": "up", "run": "echo deploying $OCUROOT_INPUT_VERSION to $OCUROOT_ENVIRONMENT"},
            "down": {"name": "down", "run": "echo taking $OCUROOT_ENVIRONMENT down"},
            "inputs": {
              "version": {"ref": "./call/build#output/version"},
              "replicas": {"ref": "@/custom/replicas", "default": 2}
            }
          }
        }
      ]
    }
  ]
}
"""
