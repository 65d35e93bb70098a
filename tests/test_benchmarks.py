"""The benchmarks: what can be checked without measuring for long."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import growth, lines_to_zero, throughput, timing
from cnnlab import lines

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = json.loads((ROOT / bench.COMMITTED).read_bytes())


def test_functions_take_turns():
    calls = []
    tasks = {name: lambda name=name: calls.append(name) for name in ("first", "second")}
    times = timing.interleaved(2, **tasks)["second"]
    assert calls == ["first", "second"] * 3
    assert len(times["rounds"]) == 2 and min(times["rounds"]) <= times["median"]


def test_operations_of_part_1_are_counted_right():
    network = timing.recipe_of_task(1)["given_network"]((28, 28, 1), 10)
    convolution, *dense = [each for each in network.layers if hasattr(each, "kernel")]
    positions = convolution.output.shape[1] * convolution.output.shape[2]
    assert 2 * positions * convolution.kernel.shape.num_elements() == throughput.CONVOLUTION
    assert 2 * sum(each.kernel.shape.num_elements() for each in dense) == throughput.DENSE


def test_turned_lines_are_predicted_as_they_were():
    class Measuring:
        """Sure of the angle, which it measures, and of nothing else."""

        def predict(self, served, verbose):
            images = np.concatenate([batch.numpy() for batch in served])
            self.batches.append(images)
            measured = np.rint(lines.measured(images).angle / 15).astype(int) % 12
            return np.pad(np.eye(12)[measured], ((0, 0), (4, 2)))

    network, drawn = Measuring(), lines.generate(per_class=2)
    network.batches = []
    predicted = lines_to_zero.predict_by_turns(network, drawn.images)
    assert np.array_equal(predicted[:, 2], drawn.labels[:, 2])
    assert len({batch.tobytes() for batch in network.batches}) == 4


def test_growth_is_an_exponent(monkeypatch):
    seconds = {1: 0.5, 4: 2.0, 16: 32.0}
    monkeypatch.setattr(growth, "in_a_process", lambda job, work, factor: (seconds[factor], 100))
    assert {row["exponent"] for row in growth.measure()} == {2.0}


def test_a_variant_that_cannot_run_is_told(monkeypatch):
    monkeypatch.setattr(throughput, "VARIANTS", {"layers of feathers": {"type": "feather32"}})
    monkeypatch.setattr(throughput, "speed", int)  # fails, too, and in no time
    (row,) = throughput.measure()
    assert row["variant"] == "layers of feathers" and "TypeError: int()" in row["error"]


@pytest.mark.parametrize(
    ("options", "written"), [([], bench.MEASURED), (["--commit"], bench.COMMITTED)]
)
def test_only_commit_replaces_the_committed_measurements(options, written, monkeypatch, capsys):
    """Afterwards there is all that the committed measurements have, whatever was measured."""
    slower = COMMITTED["benchmarks"]["imports"]["found"] | {"cnnlab": 3.0, "tensorflow": 6.0}
    measured = COMMITTED["benchmarks"] | {"imports": {"peak GFLOP/s": None, "found": slower}}
    monkeypatch.setattr(bench, "measure", measured.get)
    saved = []
    monkeypatch.setattr(bench.saving, "save_json", lambda *what: saved.append(what))
    bench.main(options)
    ((results, path),) = saved
    assert path == ROOT / written
    assert results.keys() == COMMITTED.keys()
    assert [row["work"] for row in results["rows"]] == [row["work"] for row in COMMITTED["rows"]]
    (shown,) = (line for line in capsys.readouterr().out.splitlines() if "import cnnlab" in line)
    assert shown.split()[2:7] == ["3", "s", "6", "s", "2.0x"]
