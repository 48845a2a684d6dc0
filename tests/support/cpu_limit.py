"""Run code under a CPU time limit, which does not depend on how busy the machine is."""

import os
import subprocess
import sys

SECONDS = 30  # of CPU time; quadratic code takes hours for a MiB
CALLS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
{imported}
for part in sys.argv[1:]:
    print(repr(part), flush=True)
    {function}(part * ((1 << 20) // len(part)))
"""


def call_with_repeated_input(imported: str, function: str, *parts: str) -> subprocess.CompletedProcess[str]:
    """Call a function with a MiB of each repeated part, in a process that is killed when it exceeds the limit.

    The last line of its stdout is the part that it was processing.
    """
    code = CALLS.format(seconds=SECONDS, imported=imported, function=function)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code, *parts], env=environment, capture_output=True, text=True)
