"""Whether a host can do its part of a campaign: packages, disk, store, data and GPUs, looked at on the host itself."""

from __future__ import annotations

import platform
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from tbar_ray.errors import TbarError, first_line
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

PACKAGE = "tbar-ray"
TOLD = ("python", PACKAGE, "ray", "torch", "mlflow", "optuna")
"""The packages whose versions are shown; all that the package requires are looked at."""
LEAST_FREE = 0.5
"""Gigabytes that a store and temporary files need at least, as `Store.check` asks for."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what, on which host, whether it is well, and in one line what was found."""

    what: str
    where: str
    ok: bool
    told: str


@dataclass(frozen=True)
class HostHealth:
    """What was found on a host, the versions of its packages by name, and the names of the GPUs that torch sees."""

    checks: tuple[Check, ...]
    versions: Mapping[str, str]
    gpus: tuple[str, ...] = ()


def examine_host(where: str, store: Store, written: str, spec: CampaignSpec | None) -> HostHealth:
    """Look at the host that this process runs on.

    Args:
        where: the host's name in what is found.
        store: the campaign's store.
        written: a file that another process has just written into the store.
        spec: the campaign whose data are looked for; None for no campaign.
    """
    versions = installed_versions()
    gpus: list[str] = []
    looks: dict[str, Callable[[], str]] = {
        "packages": lambda: _packages(versions),
        "disk": _disk,
        "store": lambda: _store(store, written),
        "GPU": lambda: _gpu(gpus),
    }
    checks = [examined(what, where, look) for what, look in looks.items()]
    if spec is not None:
        checks.extend(_data(where, spec))
    return HostHealth(tuple(checks), versions, tuple(gpus))


def examined(what: str, where: str, look: Callable[[], str]) -> Check:
    """The check of a function that returns what it found, and raises what is wrong."""
    try:
        return Check(what, where, True, look())
    except TbarError as error:
        return Check(what, where, False, str(error))
    except Exception as error:  # a broken installation raises anything
        return Check(what, where, False, f"{type(error).__name__}: {first_line(error, 200)}")


def installed_versions() -> dict[str, str]:
    """Versions of Python, this package and what it requires; those that are missing are left out."""
    found = {"python": platform.python_version()}
    for name in _required():
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _required() -> list[str]:
    """This package and those that it requires, but for its extras."""
    lines = (line for line in requires(PACKAGE) or () if "extra ==" not in line)
    return [PACKAGE, *(re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines)]


def _packages(versions: Mapping[str, str]) -> str:
    if missing := [name for name in _required() if name not in versions]:
        raise TbarError(f"not installed: {', '.join(missing)}; install {PACKAGE} with what it requires")
    import torch  # noqa: F401 - what is installed may yet not load

    return ", ".join(f"{name} {versions[name]}" for name in TOLD)


def _disk() -> str:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free / 1e9
    if free < LEAST_FREE:
        raise TbarError(f"{folder}: {free:.1f} GB are free, {LEAST_FREE:g} GB are needed; free some, or set TMPDIR")
    return f"{free:,.1f} GB are free in {folder}"


def _store(store: Store, written: str) -> str:
    """Read what another process wrote; write a file, read it back and remove it."""
    store.check()
    if not store.exists(written):
        raise TbarError(
            f"store {store.url}: a file that was just written into it is not here; give a store that every node reaches"
        )
    store.read_json(written)
    own, content = f"doctor-{uuid.uuid4().hex}.json", {"written": uuid.uuid4().hex}
    try:
        store.write_json(own, content)
        if store.read_json(own) != content:
            raise TbarError(f"store {store.url}: what was written is not what is read back")
    finally:
        store.remove(own)
    return f"{store.url}: written, read back and removed"


def _gpu(gpus: list[str]) -> str:
    """Add the GPUs that torch sees to `gpus`, once each has computed something."""
    import torch

    for number in range(torch.cuda.device_count()):
        torch.ones(1, device=f"cuda:{number}").sum().item()
        gpus.append(torch.cuda.get_device_name(number))
    return f"torch computes on {', '.join(gpus)}" if gpus else "torch sees none"


def _data(where: str, spec: CampaignSpec) -> Iterator[Check]:
    """One check for each data set that is not there; one if all are."""
    planner = Planner(spec, without_data=True)

    def look() -> str:
        check_campaign(planner)
        return "is sound"

    found = examined("spec", where, look)
    if not found.ok:
        yield found
    elif planner.missing:
        for line in planner.missing:
            yield Check("data", where, False, line)
    else:
        yield Check("data", where, True, f"of {spec.name} are there")
