"""Starts a program: sets its limits, compiles it, says how that went, and runs it.

The last thing said before the program runs goes to a descriptor that is closed then, so that a
program cannot say it.
"""

import json
import linecache
import os
import random
import resource
import sys
import traceback
import types

FOLDER = os.path.dirname(os.path.abspath(__file__))
NAME = "program.py"


def main(settings):
    for name, value in settings["rlimits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    with open(os.path.join(FOLDER, NAME), encoding="utf-8") as file:
        source = file.read()
    with os.fdopen(settings["status"], "w") as status:
        try:
            code = compile(source, NAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            status.write("".join(traceback.format_exception_only(error)))
            return 1
        status.write("compiled")
    linecache.cache[NAME] = (len(source), None, source.splitlines(True), NAME)
    random.seed(settings["seed"])
    sys.path.insert(0, FOLDER)
    sys.argv = [NAME]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    module.__file__ = NAME
    try:
        exec(code, module.__dict__)
    except Exception as error:
        error.__traceback__ = error.__traceback__.tb_next
        traceback.print_exception(error)
        return 1
    return 0


sys.exit(main(json.loads(sys.argv[1])))
