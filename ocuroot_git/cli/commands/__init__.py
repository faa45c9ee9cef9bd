"""One module per command, each with a `COMMAND`, found by its name; `import` is in `import_.py`."""
