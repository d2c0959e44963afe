"""Runs the steps of a client, and tells of each that has succeeded."""

import sys


class Steps:
    """Steps that put a file's content, or read it back. The first that fails ends the program."""

    def __init__(self, content):
        self.content = content
        self.keys = []

    def put(self, name, action):
        """Runs action(key), which is to put the content there."""
        key = f"a b+ü%41/{name}"
        self._run(f"put {name}", lambda: action(key))
        self.keys.append(key)
        print(f"put {name}", flush=True)

    def get_each(self, name, action):
        """Runs action(key), which is to return the content, for each key that was put."""
        for key in self.keys:
            self._compare(f"get {name} of {key}", lambda: action(key))
        print(f"get each by {name}", flush=True)

    def get(self, name, action):
        """Runs action(), which is to return the content."""
        self._compare(f"get {name}", action)
        print(f"get {name}", flush=True)

    def _compare(self, step, action):
        got = self._run(step, action)
        if got != self.content:
            sys.exit(f"{step}: what it read, {len(got)} bytes, differs from the file, {len(self.content)} bytes")

    def _run(self, step, action):
        try:
            return action()
        except BaseException:
            print(f"{step}: failed", file=sys.stderr)
            raise
