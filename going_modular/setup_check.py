"""Is everything installed that the lesson needs? Works before anything is."""

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement


def outdated(requirements: Path) -> list[str]:
    """Compare what is installed with what a requirements file asks for.

    Versions are compared as versions: 2.10 is newer than 2.9.

    Args:
        requirements: A file with one requirement a line; comments are allowed.

    Returns:
        A line for each package that is missing or unsuitable; empty when all is well.
    """
    complaints = []
    for line in requirements.read_text(encoding="utf-8").splitlines():
        wanted = line.partition("#")[0].strip()
        if not wanted:
            continue
        requirement = Requirement(wanted)
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            complaints.append(f"{requirement.name} is missing (wanted: {wanted})")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            complaints.append(f"{requirement.name} is {found} (wanted: {wanted})")
    return complaints
