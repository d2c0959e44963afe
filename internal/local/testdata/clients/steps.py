"""Runs the steps of a client, and prints a line for each step that succeeds."""

import sys


class Steps:
    """Steps that put the content of a file or read it back. The first failure ends the program."""

    def __init__(self, content):
        self.content = content
        self.keys = []

    def put(self, name, action):
        """Runs action(key), which must put the content at the key."""
        key = f"a b+ü%41/{name}"
        self._run(f"put {name}", lambda: action(key))
        self.keys.append(key)
        print(f"put {name}", flush=True)

    def get_each(self, name, action):
        """Runs action(key), which must return the content, for each key that a put step stored."""
        for key in self.keys:
            self._compare(f"get {name} of {key}", lambda: action(key))
        print(f"get each by {name}", flush=True)

    def get(self, name, action):
        """Runs action(), which must return the content."""
        self._compare(f"get {name}", action)
        print(f"get {name}", flush=True)

    def _compare(self, step, action):
        got = self._run(step, action)
        if got != self.content:
            sys.exit(f"{step}: it read {len(got)} bytes, which differ from the {len(self.content)} bytes of the file")

    def _run(self, step, action):
        try:
            return action()
        except BaseException:
            print(f"{step}: failed", file=sys.stderr)
            raise
