"""A detector whose class is nowhere: declared, listed, and failing as soon as it is used."""

from avbench.hookspecs import hookimpl
from avbench.types import DetectorSpec


@hookimpl
def avbench_detectors():
    yield DetectorSpec(name="absent", load="nowhere:Nothing", tasks=("binary",))
