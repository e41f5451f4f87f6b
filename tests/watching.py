"""Processes that are watched: which names they look up, which files they leave at home.

Behind Python code strace sees the interpreter alone, so that notes its packages itself.
"""

import os
import re
import shutil
import subprocess
from itertools import count
from pathlib import Path

STRACE = shutil.which("strace")
# Not passed on: what our tests set, and what tells ONNX Runtime that it runs in CI.
SWITCHES = ("GRADIO_ANALYTICS", "HF_HUB", "ORT_", "RAY_USAGE", "XDG_")
SWITCHES += ("APPVEYOR", "BITBUCKET_", "BUILDKITE", "CI", "CODEBUILD_", "GITHUB_")
SWITCHES += ("GITLAB_", "JENKINS_", "TEAMCITY_", "TF_BUILD", "TRAVIS")
QUERY = re.compile(r'iov_base="((?:\\x\w\w)+)"')  # a name stands behind 12 bytes
OF_PACKAGE = re.compile(r"site-packages/(\w+)")
NOTE = """import os, re, sys, traceback
def note(event, args):
    if event == "socket.getaddrinfo" and re.search("[g-z]", str(args[0])):
        frames = " ".join(frame.filename for frame in traceback.extract_stack())
        packages = dict.fromkeys(re.findall(r"site-packages/(\\w+)", frames))
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{args[0]} by {list(packages) or frames}\\n")
sys.addaudithook(note)
"""
started = count()


class Watched(subprocess.Popen):
    """A process with a home folder of its own."""

    folder = Path()  # for its home, and what is noted
    flags = "-DDDfxk"  # none: without strace

    def __init__(self, command, *, env=None, **options) -> None:
        kept = (env or os.environ).items()
        env = {name: value for name, value in kept if not name.startswith(SWITCHES)}
        (self.folder / "home").mkdir(exist_ok=True)
        (self.folder / "sitecustomize.py").write_text(NOTE, "utf-8")
        env |= {"HOME": str(self.folder / "home"), "PYTHONPATH": str(self.folder)}
        env |= {"WATCHED": str(self.folder / "names.txt")}
        if self.flags:
            log = self.folder / f"{next(started)}.strace"
            trace = [self.flags, "--seccomp-bpf", "-s200", "-etrace=connect,sendmmsg"]
            command = [STRACE, *trace, "-o", log, *command]
        super().__init__(command, env=env, **options)


def reported(folder: Path) -> list[str]:
    """What watched processes looked up, and the files below their home folder."""
    noted, home = folder / "names.txt", folder / "home"
    found = noted.read_text("utf-8").splitlines() if noted.exists() else []
    for log in folder.glob("*.strace"):
        if "htons(53)" not in (text := log.read_text("utf-8", "replace")):
            continue
        calls = [c for c in re.split(r"\n(?=\d+ )", text) if "getaddrinfo" in c]
        by = {package for call in calls for package in OF_PACKAGE.findall(call)}
        for query in QUERY.findall(text) or [""]:
            name = bytes.fromhex(query.replace("\\x", ""))[12:].decode("latin")
            name = re.sub(r"\W+", ".", name).strip(".")
            found.append(f"{name or 'a name'} by {sorted(by) or 'no package of ours'}")
    files = [file for file in home.rglob("*") if file.is_file()]
    return sorted({*found, *(f"~/{file.relative_to(home)}" for file in files)})
