"""Vela's own estimates of Ethos-U latency: the rows of src/devices/latency/measurements/ethos.ts.

python bench/peers/vela_estimates.py DIR: DIR holds int8 .tflite files. Prints the lines of that file; milliseconds to three digits.
Models of which Vela leaves an operator to the processor are left out: it does not count the processor's time.
Needs `pip install ethos-u-vela==5.2.0` (its `vela` in PATH).
"""
import csv
import glob
import os
import re
import subprocess
import sys
import tempfile

# Unit, multiply-adds a cycle, clock, system and memory mode of Vela's Arm/vela.ini; the profiles of src/devices/families/arm.ts are the same pairs.
CONFIGS = [
    ("u55", 32, "200e6", "Ethos_U55_Deep_Embedded", "Sram_Only"),
    ("u55", 64, "500e6", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("u55", 128, "500e6", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("u55", 256, "500e6", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("u65", 256, "1e9", "Ethos_U65_High_End", "Dedicated_Sram"),
    ("u65", 512, "1e9", "Ethos_U65_High_End", "Dedicated_Sram"),
    ("u85", 256, "500e6", "Ethos_U85_SYS_Flash_High", "Shared_Sram"),
    ("u85", 2048, "1e9", "Ethos_U85_SYS_DRAM_High", "Dedicated_Sram"),
]


def estimate(file, accelerator, system, memory):
    """Milliseconds, or None where an operator stays on the processor."""
    with tempfile.TemporaryDirectory() as out:
        options = ["--accelerator-config", accelerator, "--config", "Arm/vela.ini", "--system-config", system]
        run = ["vela", file, *options, "--memory-mode", memory, "--output-dir", out, "--verbose-performance"]
        said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
        if int(re.search(r"CPU operators = (\d+)", said)[1]) > 0:
            return None
        with open(glob.glob(f"{out}/*_summary_*.csv")[0]) as table:
            return 1000 * float(next(csv.DictReader(table))["inference_time"])


for unit, macs, clock, system, memory in CONFIGS:
    rows = []
    for file in sorted(glob.glob(os.path.join(sys.argv[1], "*.tflite"))):
        ms = estimate(file, f"ethos-{unit}-{macs}", system, memory)
        if ms is not None:
            name = os.path.basename(file)[:-7]
            rows.append(f"{name if name.isidentifier() else repr(name)}: {ms:.3g}")
    print(f"  of('{unit}', {macs}, {clock}, {{ {', '.join(rows)} }}),", flush=True)
