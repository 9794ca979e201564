"""Prints the files that an image with a Python of this machine needs: the interpreter, its library, and what those link to."""

import pathlib
import re
import subprocess
import sys
import sysconfig

# The names by which they are opened, and not what they link to: an archive that follows links has both.
interpreter = pathlib.Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
library = pathlib.Path(sysconfig.get_path("stdlib"))
skipped = {"site-packages", "dist-packages", "test", "__pycache__", "idlelib", "ensurepip", "tkinter", "lib2to3"}
files = [interpreter]
for path in sorted(library.rglob("*")):
    inner = path.relative_to(library).parts
    if path.is_file() and not skipped.intersection(inner) and not inner[0].startswith("config-"):
        files.append(path)
extra = [pathlib.Path(argument) for argument in sys.argv[1:]]
linked = set()
for path in [interpreter, *extra, *(f for f in files if f.suffix == ".so")]:
    shown = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    linked.update(re.findall(r"(/\S+) \(0x", shown))
print(interpreter)
for path in [*files[1:], *sorted(linked)]:
    print(path)
