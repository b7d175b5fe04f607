"""Names whose addresses change, fail or hang, for the sidecar that is started with them."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support import chaos_resolver
from tests.support.waiting import eventually


class Names:
    """What the sidecar's resolver answers from now on; `environment` is what it must start in."""

    def __init__(self, directory: Path, **answers: list[str]) -> None:
        self._path = directory / "names"
        self._asked_path = Path(f"{self._path}{chaos_resolver.ASKED}")
        self._asked_path.touch()
        self._answers: dict[str, list[str]] = {}
        self.change(**answers)
        shutil.copy(chaos_resolver.__file__, directory / "sitecustomize.py")
        self.environment: Mapping[str, str] = {
            chaos_resolver.ANSWERS: str(self._path),
            "PYTHONPATH": os.pathsep.join([str(directory), os.environ.get("PYTHONPATH", "")]),
        }

    def change(self, **answers: list[str]) -> None:
        """Of `name.test`: addresses, or how it goes wrong."""
        self._answers |= answers
        lines = [f"{name}.test {' '.join(each)}\n" for name, each in self._answers.items()]
        written = self._path.with_suffix(".new")
        written.write_text("".join(lines))
        written.replace(self._path)

    def are_asked_for(self, *names: str) -> bool:
        """Whether all of them are, from now on and before long: each is, every 5 s."""
        before = {name: self.times_asked(name) for name in names}
        return eventually(
            lambda: all(self.times_asked(name) > times for name, times in before.items()),
            within_s=50,
        )

    def was_asked_for(self, name: str) -> bool:
        """Whether it was, or is before long."""
        return eventually(lambda: self.times_asked(name) > 0)

    def times_asked(self, name: str) -> int:
        return self._asked_path.read_text().count(f"{name}.test\n")
