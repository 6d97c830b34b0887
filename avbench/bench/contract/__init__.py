"""The contract that every plugin must keep, one file for each kind of plugin; `avbench check` shows the results."""

from avbench.bench.contract.datasets import check_dataset
from avbench.bench.contract.detectors import check_detector, check_ensemble, random_batch
from avbench.bench.contract.learning import Lesson, check_learning
from avbench.bench.contract.metrics import check_metric
from avbench.bench.contract.perturbations import check_perturbation
from avbench.bench.contract.protocols import check_protocol
from avbench.bench.contract.results import Result

__all__ = [
    "Lesson",
    "Result",
    "check_dataset",
    "check_detector",
    "check_ensemble",
    "check_learning",
    "check_metric",
    "check_perturbation",
    "check_protocol",
    "random_batch",
]
