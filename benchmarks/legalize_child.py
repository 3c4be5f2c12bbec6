"""A process of `legalize.py`: `FOLDER STAGE CAPABILITIES`, on stdin names of tests, on stdout a JSON line for each."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import onnx
from legalize_build import Builder
from legalize_cases import Case, freeze, read_case
from legalize_check import differences

from graphopt.backends.boundary import with_inner_types
from graphopt.errors import GraphoptError
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_proto
from graphopt.pipeline.legalization import legalized
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.library import load_rules

TARGET = "tensorrt-rtx"

MEMORY_MB = 6144


class Stage:
    """Builds cases as they are, or after they were compiled for the target."""

    def __init__(self, legalize: bool, capabilities: list[str]) -> None:
        self.legalize = legalize
        self.capabilities = capabilities
        self.builder = Builder()
        self.rules = load_rules() if legalize else ()

    def run(self, case: Case) -> dict[str, Any]:
        model = onnx.ModelProto.FromString(case.model)
        names = [value.name for value in model.graph.input]
        answer: dict[str, Any] = {"name": case.name}
        if self.legalize:
            try:
                model = self._legal(model, case, answer)
            except GraphoptError as error:
                return {**answer, "built": dict.fromkeys(self.capabilities, f"compile: {error}")}
            answer["wrong"] = differences(model, case, names)
        values = dict(zip(names, case.samples[0][0], strict=True)) if case.samples else {}
        inner = with_inner_types(model) if self.legalize else None
        answer["built"] = self.builder.build(inner or model, values, self.capabilities)
        return answer

    def _legal(self, model: onnx.ModelProto, case: Case, answer: dict[str, Any]) -> onnx.ModelProto:
        answer["frozen"] = freeze(model, case)
        subject = from_proto(model, overridable="keep")
        context = Context(self.rules, source_bytes=subject.weight_bytes())
        manager = Manager(subject, context, None, "none")
        manager.run(legalized(Recipe.load("default"), [TARGET], allow_narrowing=True))
        told = [r.details.get("narrowed") for r in manager.records]
        answer["narrowed"] = sorted({name for names in told if names for name in names})
        answer["rules"] = sorted({rule.split("@")[0] for r in manager.records for rule in r.firings})
        answer["left"] = sum(1 for n in subject.all_nodes() if n.inputs)
        return to_proto(subject)


def main() -> None:
    folder, stage, capabilities = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
    limit = MEMORY_MB << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    runner = Stage(stage == "legal", capabilities)
    for line in sys.stdin:
        started = time.monotonic()
        case = read_case(folder, line.strip())
        try:
            answer = runner.run(case)
        except Exception:
            answer = {"name": case.name, "bug": traceback.format_exc(limit=-6)}
        answer["seconds"] = round(time.monotonic() - started, 3)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # the library's destructors have nothing to say


if __name__ == "__main__":
    main()
