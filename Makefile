# The targets work on a fresh machine with Python 3.10 or newer, git and make; each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PREFIX ?= $(HOME)/.local
EXTRAS := view,browser,test,lint

.PHONY: demo test test-oldest lint docs bench install clean

# The marker is newer than the requirements once the environment holds them.
$(VENV)/.ready: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'git-ocuroot needs Python 3.10 or newer (set PYTHON=…)'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'setting up $(VENV)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat -e '.[$(EXTRAS)]'
	@touch $@

demo: $(VENV)/.ready
	@PATH="$(CURDIR)/bin:$$PATH" sh fixtures/demo.sh

# Compiled modules are kept: the tests start thousands of processes, and some machines say not to.
unexport PYTHONDONTWRITEBYTECODE

# Each worker begins with a part of the tests that lie together, and so makes few stores that another makes too.
test: $(VENV)/.ready
	$(BIN)/python -m pytest -n 3 --dist worksteal

# The tests, or those named by TESTS=, with the oldest libraries that setup.cfg allows, in an environment of their own,
# and on the oldest Python that it allows where there is one: PYTHON_OLDEST=, on the PATH, or as pyenv keeps it.
OLDEST := $(VENV)-oldest
PYTHON_OLDEST ?= $(shell v=$$(sed -n 's/^python_requires = >=//p' setup.cfg); \
	for python in python$$v $$HOME/.pyenv/versions/$$v.*/bin/python; \
	do $$python -c 'import sys; print(sys.executable)' 2>/dev/null && break; done || echo $(PYTHON))
test-oldest: $(OLDEST)/.ready
	@$(OLDEST)/bin/python -c 'import platform, pygit2; print("Python", platform.python_version(), "with libgit2", pygit2.LIBGIT2_VERSION)'
	$(OLDEST)/bin/python -m pytest -n 2 --dist worksteal $(TESTS)

$(OLDEST)/.ready: setup.cfg pyproject.toml
	@echo 'setting up $(OLDEST)'
	@$(PYTHON_OLDEST) -m venv --clear $(OLDEST)
	@sed -n 's/^    \(pygit2\|starlark-pyo3\|python-dateutil\)>=/\1==/p' setup.cfg > $(OLDEST)/constraints.txt
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat \
		-c $(OLDEST)/constraints.txt -e '.[view,browser,test]'
	@touch $@

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The manual page and the completions are made from the tables of the commands.
docs: $(VENV)/.ready
	$(BIN)/python man/generate.py

bench: $(VENV)/.ready
	$(BIN)/python fixtures/bench.py $(BENCH)

# Installs into an environment of its own and links the program where PATH finds it.
install:
	$(PYTHON) -m venv $(PREFIX)/share/git-ocuroot
	$(PREFIX)/share/git-ocuroot/bin/python -m pip install --quiet --disable-pip-version-check '.[view]'
	mkdir -p $(PREFIX)/bin $(PREFIX)/share/man/man1
	ln -sf ../share/git-ocuroot/bin/git-ocuroot $(PREFIX)/bin/git-ocuroot
	cp man/git-ocuroot.1 $(PREFIX)/share/man/man1/

clean:
	rm -rf $(VENV) $(OLDEST) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
