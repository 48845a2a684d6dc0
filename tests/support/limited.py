"""Code that must come to its end within little time of the processor, however long it waits for that on a busy machine."""

import os
import subprocess
import sys

SECONDS = 30  # of the processor; what grows with the square of a MiB takes hours
CALLS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
{imported}
for part in sys.argv[1:]:
    print(repr(part), flush=True)
    {function}(part * ((1 << 20) // len(part)))
"""


def repeated(imported: str, function: str, *parts: str) -> subprocess.CompletedProcess[str]:
    """Call a function with a MiB of each part, in a process that is killed once it has used up its time.

    The last line of its stdout says which part it was at.
    """
    code = CALLS.format(seconds=SECONDS, imported=imported, function=function)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code, *parts], env=environment, capture_output=True, text=True)
