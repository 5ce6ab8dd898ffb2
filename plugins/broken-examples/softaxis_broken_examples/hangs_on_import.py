"""Never comes back from its import, and has started a process that does not end either."""

import subprocess
import sys
import time

subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
while True:
    time.sleep(1)
