"""The SDK 0.3.0 as packages see it: the part that is Starlark.

It shares its globals with the package, which may give its own names to things of its own: so nothing here relies on a
global of the SDK but those in underscores. What is called in double underscores comes from Python (see `evaluation`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VERSIONS: Final = ("0.3.0",)
"""The versions of the SDK that `ocuroot("…")` can name."""

PRELUDE: Final = """
__stack__ = call_stack
__struct__ = struct
__triggers__ = []

def print(*values, sep = " "):
    __print__(sep.join([str(value) for value in values]), __stack__())

json = struct(encode = __encode__, decode = __json_decode__, indent = __json_indent__)

def ocuroot(version):
    pass

def phase(name, work = [], tasks = []):
    return __phase__(name, tasks if len(tasks) else work, __stack__())

def task(fn: typing.Callable, name, annotation = "", inputs = {}):
    __json__(inputs)
    return __task__(str(fn), name, inputs, __stack__())

call = task

def deploy(environment = None, up = None, down = None, inputs = {}):
    if type(environment) != "struct" or not hasattr(environment, "name"):
        fail("deploy: the environment must be what environment(…) gives, not a " + type(environment))
    for name, fn in (("up", up), ("down", down)):
        if fn != None and type(fn) != "function":
            fail("deploy: '%s' must be a function, not a %s" % (name, type(fn)))
    __json__(inputs)
    return __deploy__(environment.name, str(up) if up else None, str(down) if down else None, inputs, __stack__())

def input(ref = None, default = None, doc = None):
    if ref == None and default == None:
        fail("input must have either ref or default")
    if type(ref) == "dict":
        ref = ref.get("ref")
    return {"ref": __ref__(ref) if ref != None else None, "default": default}

def ref(ref):
    return {"ref": __ref__(ref)}

def next(fn: typing.Callable, annotation = "", inputs = {}):
    __json__(inputs)
    return __next__(str(fn), inputs, __stack__())

def done(annotation = "", outputs = {}, tags = [], watch = []):
    return {"done": {"outputs": outputs, "tags": tags, "watch": watch}}

def outputs(**values):
    return {"outputs": values}

def unwrap(d, key):
    if key not in d:
        fail("expected key {} in {}".format(key, d))
    return d[key]

def debug_break():
    pass

def environment(name, attributes = {}):
    as_dict = {"name": name, "attributes": attributes}
    return __struct__(
        name = name,
        attributes = attributes,
        json = lambda: __encode__(as_dict),
        dict = lambda: as_dict,
    )

__environment__ = environment

def environment_from_dict(envDict):
    return __environment__(envDict["name"], envDict["attributes"])

def environment_from_json(envJSON):
    env = __json_decode__(envJSON)
    return __environment__(env["name"], env["attributes"])

def environments():
    return [__environment__(one["name"], one["attributes"]) for one in __environments__()]

def register_environment(env):
    if type(env) != "struct" or not hasattr(env, "name"):
        fail("register_environment: this must be what environment(…) gives, not a " + type(env))
    __register__(env.name, env.attributes, __stack__())

def secret(value):
    if type(value) != "string":
        fail("secret value must be a string")
    __secret__(value)
    return value

def shell(command, shell = "sh", dir = ".", env = {}, mute = False, continue_on_error = False):
    return __struct__(**__shell__(command, shell, dir, env, mute, continue_on_error, __stack__()))

os, arch, env, pwd = __os__, __arch__, __env__, __pwd__
read, write, read_dir, is_dir = __read__, __write__, __read_dir__, __is_dir__

host = struct(
    os = __os__,
    arch = __arch__,
    env = __env__,
    pwd = __pwd__,
    shell = shell,
    read_file = __read__,
    write_file = __write__,
    read_dir = __read_dir__,
    is_dir = __is_dir__,
)

def __request__(method, url, headers, body):
    return __struct__(**__http__(method, url, headers, body))

http = struct(
    get = lambda url, headers = {}: __request__("GET", url, headers, ""),
    head = lambda url, headers = {}: __request__("HEAD", url, headers, ""),
    delete = lambda url, headers = {}: __request__("DELETE", url, headers, ""),
    post = lambda url, headers = {}, body = "": __request__("POST", url, headers, body),
    put = lambda url, headers = {}, body = "": __request__("PUT", url, headers, body),
    patch = lambda url, headers = {}, body = "": __request__("PATCH", url, headers, body),
)

def __store_git__(remote_url, branch = None, create_branch = True, path_prefix = None, support_files = None):
    return {"git": {
        "remote_url": remote_url,
        "branch": branch,
        "create_branch": create_branch,
        "path_prefix": path_prefix,
        "support_files": support_files,
    }}

def __store_set__(state, intent = None):
    pass

store = struct(set = __store_set__, git = __store_git__, fs = lambda path: {"fs": {"path": path}})

def repo_alias(alias):
    pass

def remotes(remotes):
    pass

def trigger(fn: typing.Callable):
    __triggers__.append(fn)
"""

ABSENT: Final = """
None
"""
