"""The benchmarks: what can be checked without measuring."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import growth, lines_to_zero, recipes, throughput, timing
from cnnlab import lines
from cnnlab.lines import other_programs

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"


def test_functions_take_turns():
    calls = []
    found = timing.interleaved(
        2, first=lambda: calls.append("first"), second=lambda: calls.append("second")
    )
    assert calls == ["first", "second"] * 3
    assert set(found) == {"first", "second"}
    assert len(found["first"]["rounds"]) == 2
    assert min(found["first"]["rounds"]) <= found["first"]["median"]


def test_matrix_peak_is_a_speed():
    assert 1 < timing.matrix_peak(rounds=1) < 100_000


@pytest.mark.parametrize("name", bench.BENCHMARKS)
def test_each_can_measure_and_be_shown(name):
    module = importlib.import_module(f"benchmarks.{name}")
    assert callable(module.measure)
    assert hasattr(module, "rows") or hasattr(module, "table")


def test_each_module_is_run():
    others = {"__main__", "timing", "recipes", "processes"}  # the last one is run by hand
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert modules - others == set(bench.BENCHMARKS)


def test_operations_of_part_1_are_counted_right():
    network = recipes.of_task(1)["part1_network"]((28, 28, 1), 10)
    convolution, *dense = [each for each in network.layers if hasattr(each, "kernel")]
    places = convolution.output.shape[1] * convolution.output.shape[2]
    assert 2 * places * convolution.kernel.shape.num_elements() == throughput.CONVOLUTION
    assert 2 * sum(each.kernel.shape.num_elements() for each in dense) == throughput.DENSE


def test_turned_lines_are_answered_as_they_were():
    class Measuring:
        """Sure of the angle, which it measures, and of nothing else."""

        def predict(self, served, verbose):
            images = np.concatenate([batch.numpy() for batch in served])
            self.batches.append(images)
            measured = np.rint(other_programs.measured_angle(images) / 15).astype(int) % 12
            return np.pad(np.eye(12)[measured], ((0, 0), (4, 2)))

    network, drawn = Measuring(), lines.generate(per_class=2)
    network.batches = []
    answered = lines_to_zero.answer_by_turns(network, drawn.images)
    assert np.array_equal(answered[:, 2], drawn.labels[:, 2])
    assert len({batch.tobytes() for batch in network.batches}) == 4


def test_growth_is_an_exponent(monkeypatch):
    seconds = {1: 0.5, 4: 2.0, 16: 32.0}
    monkeypatch.setattr(
        growth, "_in_a_process", lambda work, factor: {"seconds": seconds[factor], "MiB": 100}
    )
    assert {row["exponent"] for row in growth.measure()} == {2.0}


def test_a_variant_that_cannot_run_is_told(monkeypatch):
    monkeypatch.setattr(throughput, "VARIANTS", {"layers of feathers": {"type": "feather32"}})
    (row,) = throughput.measure()
    assert "feather32" in row["error"]
    assert "not possible" in throughput.table([row])


def test_table_has_ratios():
    rows = [{"work": "digging", "ours": 0.002, "other": 5.0, "who": "a mole"}]
    assert bench.table(rows).splitlines()[1].split() == [
        *("digging", "2", "ms", "5", "s", "2500.0x", "a", "mole")
    ]


def test_a_failure_is_named(monkeypatch):
    with pytest.raises(RuntimeError, match="the benchmark unheard_of failed"):
        bench.measure(("unheard_of",), say=lambda name: None)


def test_committed_results_are_complete():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert set(found["benchmarks"]) == set(bench.BENCHMARKS)
    compared = bench.rows(found["benchmarks"])
    assert [row["work"] for row in found["rows"]] == [row["work"] for row in compared]
    for row in found["rows"]:
        assert row["ratio"] == pytest.approx(row["other"] / row["ours"], rel=1e-6)
    assert found["accuracies"] == bench.accuracies(ROOT)
    assert bench.further_tables(found["benchmarks"])


def test_what_another_computer_measured_is_not_kept():
    computer = json.loads(RESULTS.read_text(encoding="utf-8"))["machine"]
    assert set(bench.before(ROOT, computer)) == set(bench.BENCHMARKS)
    with pytest.raises(ValueError, match="from another computer"):
        bench.before(ROOT, computer | {"cores": 1000})
