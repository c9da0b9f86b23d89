"""Every process, object and rank draws for itself, and the same again in the next run."""

from __future__ import annotations

import copy
import importlib
import itertools
import pickle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import SCENE, drawn, in_fork, in_process, one

from densesirst_gen.augment import processes
from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import generator, name_key

FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def library_file(targets: TargetLibrary, tmp_path: Path) -> Path:
    targets.save(tmp_path / "targets.npz")
    return tmp_path / "targets.npz"


def as_ever(aug: BagCopyPaste, key: tuple[int, ...]) -> bytes:
    """What the documented key of a call gives."""
    rng = generator(aug.seed, key)
    rng.random()
    return render(
        SCENE, aug.library, make_plan(SCENE, aug.library, aug.config, rng)
    ).image.tobytes()


class TestObjects:
    # row 134
    def test_two_of_one_seed_differ(self, targets: TargetLibrary) -> None:
        augs = [BagCopyPaste(targets), BagCopyPaste(targets), BagCopyPaste(targets, seed=0)]
        assert len({image for aug in augs for image in drawn(aug, 5)}) == 15

    def test_the_first_is_as_it_would_be_alone(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, seed=77)
        other = BagCopyPaste(targets, seed=77)
        assert drawn(aug, 2) == [as_ever(aug, (1, 0, 0, n)) for n in (1, 2)]
        assert drawn(other) != drawn(BagCopyPaste(targets, seed=78))

    def test_one_after_the_other_agree(self, targets: TargetLibrary) -> None:
        first = drawn(BagCopyPaste(targets, seed=79), 3)
        assert drawn(BagCopyPaste(targets, seed=79), 3) == first

    # row 83
    def test_a_loaded_one_is_another_and_a_copy_goes_on(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets, seed=2)
        drawn(aug)
        aug.set_epoch(5)
        content = pickle.dumps(aug)
        loaded, copied = [pickle.loads(content), pickle.loads(content)], copy.deepcopy(aug)
        assert [other.epoch for other in (*loaded, copied)] == [5] * 3
        expected = one(aug)
        assert one(copied) == expected
        assert len({expected, *map(one, loaded)}) == 3
        for other in loaded:
            assert other(SCENE, index=3).image.tobytes() == aug(SCENE, index=3).image.tobytes()

    def test_calls_do_not_change_the_pickle(self, targets: TargetLibrary) -> None:
        """Hugging Face's datasets take it as the fingerprint of what a map has made."""
        aug = BagCopyPaste(targets)
        before = pickle.dumps(aug)
        drawn(aug, 3)
        assert pickle.dumps(aug) == before
        aug.set_epoch(1)
        assert pickle.dumps(aug) != before

    def test_a_restart_goes_on_with_another_epoch(self, library_file: Path) -> None:
        first = drawn(BagCopyPaste(library_file, seed=80), 4)
        again = BagCopyPaste(library_file, seed=80)
        again.set_epoch(1)
        assert not set(first) & set(drawn(again, 4))


class TestIndices:
    # row 134
    def test_data_set_and_repeat_are_part_of_the_index(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets)
        keys = [(name, i, r) for name in ("a", "b") for i in range(2) for r in range(2)]
        images = {aug(SCENE, index=key).image.tobytes() for key in [*keys, 0, "a", ("a",)]}
        assert len(images) == len(keys) + 3
        by_list = aug(SCENE, index=["a", np.int64(1), 0]).image
        assert (by_list == aug(SCENE, index=("a", 1, 0)).image).all()

    @pytest.mark.parametrize("index", [(), ("a", -1), ("a", 0.5), (None,), True])
    def test_no_index(self, index: Any, targets: TargetLibrary) -> None:
        with pytest.raises(ValueError, match="index must be a whole number >= 0"):
            BagCopyPaste(targets)(SCENE, index=index)

    @pytest.mark.parametrize(("index", "key"), [(5, 5), ("a", name_key("a"))])
    def test_draws_are_as_ever(self, index: Any, key: int, targets: TargetLibrary) -> None:
        others = [BagCopyPaste(targets) for _ in range(2)]
        for aug in others:
            assert aug(SCENE, index=index).image.tobytes() == as_ever(aug, (0, 0, key))


@FORKS
class TestForks:
    # row 133
    def test_each_child_and_its_child(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets)
        children = [image for _ in range(3) for image in in_fork(aug, 4)]
        deeper: list[bytes] = []
        nested = in_fork(aug, 1, before=lambda: deeper.extend(in_fork(aug, 1)))
        images = [*children, *deeper, *nested, *drawn(aug, 4)]
        assert len(set(images)) == len(images)

    def test_tasks_of_a_pool(self, targets: TargetLibrary) -> None:
        aug = BagCopyPaste(targets)
        with get_context("fork").Pool(2) as pool:
            images = [pool.apply(one, (aug,)) for _ in range(8)]
        assert len({*images, one(aug)}) == 9

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    # row 133
    def test_a_pool_of_multiprocess(self, method: str, targets: TargetLibrary) -> None:
        multiprocess = pytest.importorskip("multiprocess")
        aug = BagCopyPaste(targets)
        with multiprocess.get_context(method).Pool(2) as pool:
            images = pool.map(one, [aug] * 6, chunksize=1)
        assert len({*images, one(aug)}) == 7

    # row 133
    def test_jobs_of_joblib(self, targets: TargetLibrary) -> None:
        joblib = pytest.importorskip("joblib")
        aug = BagCopyPaste(targets)
        images = joblib.Parallel(n_jobs=2)(joblib.delayed(one)(aug) for _ in range(8))
        assert len({*images, one(aug)}) == 9


class TestRanks:
    # row 133
    def test_programs_of_a_launcher(self, library_file: Path) -> None:
        first, second = (in_process(library_file, RANK=rank) for rank in "01")
        assert len({*first, *second}) == 8
        assert in_process(library_file) == first

    @pytest.mark.parametrize("name", processes.RANKS)
    def test_each_variable_tells_ranks_apart(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = []
        for value in ("0", "1", "2", "10"):
            monkeypatch.setenv(name, value)
            keys.append(processes.process_key())
        assert len(set(keys)) == 4
        assert keys[0] == 0

    def test_the_rank_in_a_group(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch = pytest.importorskip("torch")
        importlib.import_module("torch.distributed")
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        keys = []
        for rank in range(3):
            monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
            keys.append(processes.process_key())
        assert len(set(keys)) == 3
        assert keys[0] == 0


@FORKS
class TestSeedingHooks:
    """As Lightning, mmengine and Transformers seed the workers of a rank; torch is seeded alike."""

    @pytest.fixture(scope="class")
    @staticmethod
    def loaders() -> Any:
        pytest.importorskip("torch")
        return importlib.import_module("torch_loading")

    def of_rank(self, loaders: Any, aug: BagCopyPaste, hook: Any, **options: Any) -> list[bytes]:
        dataset = loaders.Pasted(SCENE, aug, 4, with_index=False)
        options |= {"num_workers": 2, "worker_init_fn": hook}
        return list(itertools.chain(*loaders.two_epochs(dataset, **options)))

    @pytest.mark.parametrize("name", ["lightning", "mmengine", "transformers"])
    # row 133
    def test_ranks_differ_and_runs_agree(
        self, name: str, targets: TargetLibrary, loaders: Any
    ) -> None:
        def run(rank: int) -> list[bytes]:
            hook = loaders.HOOKS[name](rank)
            # mmengine seeds alike in each epoch, so its workers are kept
            aug = BagCopyPaste(targets, seed=81)
            return self.of_rank(loaders, aug, hook, persistent_workers=True)

        first, second = run(0), run(1)
        assert len({*first, *second}) == 16
        assert run(1) == second

    def test_ranks_without_a_hook(
        self, targets: TargetLibrary, loaders: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = []
        for rank in "01":
            monkeypatch.setenv("RANK", rank)
            images += self.of_rank(loaders, BagCopyPaste(targets, seed=82), None)
        assert len(set(images)) == 16

    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_without_a_hook_draws_are_as_ever(
        self, start: str, targets: TargetLibrary, loaders: Any
    ) -> None:
        aug = BagCopyPaste(targets, seed=83)
        before = drawn(aug)
        assert before == [as_ever(aug, (1, 0, 0, 1))]
        dataset = loaders.Seeds(loaders.Pasted(SCENE, aug, 2, with_index=False))
        loaded = loaders.items(dataset, num_workers=1, multiprocessing_context=start)
        for n, (seed, image) in enumerate(loaded, 2):
            assert image.numpy().tobytes() == as_ever(aug, (1, 0, seed, n))

    @pytest.mark.parametrize("start", ["fork", "spawn"])
    # row 134
    def test_two_objects_in_one_worker(
        self, start: str, targets: TargetLibrary, loaders: Any
    ) -> None:
        augs = [BagCopyPaste(targets), BagCopyPaste(targets)]
        parts = [loaders.Pasted(SCENE, aug, 3, with_index=False) for aug in augs]
        images = loaders.joined(parts, num_workers=1, multiprocessing_context=start)
        assert len(set(images)) == 6
