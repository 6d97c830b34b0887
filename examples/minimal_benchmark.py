"""A whole benchmark: detectors x protocols, a table with intervals, and one HTML page.

    python examples/minimal_benchmark.py [DETECTOR ...]

Repeating it computes nothing twice; killed, it goes on where it was.
"""

import subprocess
import sys

import avbench

# Two protocols that share one training of each detector: who keeps on the other database what it has on its own?
PROTOCOLS = ["within_lavdf", "cross_lavdf_to_fakeav"]
# A detector, and a control that knows nothing but how long the sound is silent at its start.
DETECTORS = ["aasist_l", "leading_silence"]


def main() -> None:
    # Without data=..., the demo databases stand in for LAV-DF and FakeAVCeleb, and every table says so.
    outcomes = avbench.matrix(sys.argv[1:] or DETECTORS, PROTOCOLS, tasks=["binary"], seeds=[0])

    for outcome in outcomes:
        if outcome.run is None:  # a run that fails stops no other
            print(f"{outcome.spec.detector} under {outcome.spec.protocol.name}: {outcome.reason}")
            continue
        auc = outcome.run.metrics.query("metric == 'auc' and granularity == 'video'").iloc[0]
        low, high = 100 * auc["low"], 100 * auc["high"]
        print(f"{outcome.run.title:<70} AUC {100 * auc['value']:5.1f} [{low:.1f}, {high:.1f}]")

    # What these data can mean at all: leaks, shortcuts, imbalance.
    for verdict in avbench.audit(PROTOCOLS[1]).verdicts:
        print(f"{verdict.level:<15} {verdict.name}")

    subprocess.run([sys.executable, "-m", "avbench", "report", "--html"], check=True)


if __name__ == "__main__":
    main()
