"""What computing on a CPU is prepared with."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from supervised.accelerate import use_cpu
if sys.argv[1] == "prepared":
    use_cpu(1)
for _ in range(10):  # glibc may set a few blocks aside first
    torch.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(1 << 24)  # 64 MiB: more than glibc ever keeps by itself
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries manage memory their own way")
def test_memory_is_kept() -> None:
    faults = {
        kind: int(subprocess.run([sys.executable, "-c", FAULTS, kind], capture_output=True, check=True).stdout)
        for kind in ("plain", "prepared")
    }
    assert faults["prepared"] < 100 < 10_000 < faults["plain"], faults
