"""Where the peers live: a virtual environment for each, made on first use and made anew when its list changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from checkout import ROOT

from peers.catalogue import OWN

HERE = Path(__file__).parent
CACHE = HERE.with_name(".peers")
INSTALL_SECONDS = 1_200
# Nothing that is measured may report to anyone or fetch anything.
SILENT = {
    "DAFT_ANALYTICS_ENABLED": "0",
    "DAFT_PROGRESS_BAR": "0",
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "OTEL_SDK_DISABLED": "true",
    "SCARF_NO_ANALYTICS": "1",
    "TELEMETRY_ENABLED": "0",
}
# Where libraries look for whom to trust: OpenSSL and all on top of it, requests, curl and its followers.
TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class NotInstalled(Exception):
    """An environment could not be made; the reason is one line."""


def prepare(environment: str) -> Path:
    """Return the interpreter of an environment; NotInstalled where it cannot be made."""
    if environment == OWN:
        return Path(sys.executable)
    wanted = tomllib.loads((HERE / "requirements.toml").read_text())[environment]
    folder = CACHE / environment
    stamp, made_of = folder / "made-of", "\n".join([sys.version, *wanted])
    if not stamp.exists() or stamp.read_text() != made_of:
        make(folder, wanted)
        stamp.write_text(made_of)
    return folder / "bin" / "python"


def make(folder: Path, wanted: list[str]) -> None:
    print(f"installing {folder.name}", file=sys.stderr, flush=True)
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    for command in ([sys.executable, "-m", "venv", str(folder)], install):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"the installation took more than {INSTALL_SECONDS} s") from None
        if done.returncode:
            raise NotInstalled(f"does not install: {reason(done.stderr)}")


def job_environment(home: Path, trusted: Path | None, environment: str) -> dict[str, str]:
    """Return the variables of a job: no keys, no proxies, no settings of whoever runs the benchmark.

    Where there is a file of certificates, a job trusts those and no others. Our own jobs import the checkout.
    """
    inherited = {
        name: value for name, value in os.environ.items() if name in ("PATH", "LANG") or name.startswith("OPENBLAS")
    }
    trust = dict.fromkeys(TRUST, str(trusted)) if trusted else {}
    own = {"PYTHONPATH": str(ROOT)} if environment == OWN else {}
    return {**inherited, **SILENT, **trust, **own, "HOME": str(home)}


def reason(told: str) -> str:
    """Return the line that says what went wrong, without paths, addresses and hosts."""
    lines = [line.strip() for line in told.splitlines() if line.strip() and not line.startswith("WARNING")]
    named = [line for line in lines if re.match(r"(ERROR|[\w.]*(Error|Exception)\b)", line)]
    line = (named or lines or ["it ended without a word"])[-1]
    line = re.sub(r"\w+://\S+", "(address)", line)
    line = re.sub(r"(?<![\w.])/(?:[^\s/:'\"]+/)+", "", line)
    line = re.sub(r"\b(?:[\w-]+\.)+(?:com|net|org|io|ai|dev)\b", "(host)", line)
    return line if len(line) <= 160 else line[:157] + "..."
