"""Rules and passes to begin with: each works as it is, has its tests, and is small enough to be read whole."""

from __future__ import annotations

import re
from string import Template

from graphopt.errors import UsageError

RULE_NAME = re.compile(r"[a-z][a-z0-9_]*")
PASS_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def rule_files(name: str) -> dict[str, str]:
    """A rule file, its text cases and the tests of both, by their file names.

    Raises:
        UsageError: a rule cannot have this name.
    """
    if not RULE_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a rule", help="small letters, digits and _: my_rule")
    return {
        f"{name}.rules": _filled(_RULE, name=name),
        f"{name}.txt": _filled(_CASES, name=name),
        f"test_{name}.py": _filled(_RULE_TEST, name=name),
    }


def pass_files(name: str) -> dict[str, str]:
    """A pass and its test, by their file names.

    Raises:
        UsageError: a pass cannot have this name.
    """
    if not PASS_NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a pass", help="small letters and digits, joined by -: my-pass")
    module = name.replace("-", "_")
    type_name = "".join(part.capitalize() for part in name.split("-"))
    known = {"name": name, "module": module, "type_name": type_name}
    return {f"{module}.py": _filled(_PASS, **known), f"test_{module}.py": _filled(_PASS_TEST, **known)}


def _filled(template: str, **known: str) -> str:
    return Template(template).substitute(known)


_RULE = """rule $name<T: float16|float32>:
    "A constant times another constant and x is their product times x."
    # equal: how equal both sides are: exact (every bit), real (up to rounding), approx(0.001), quant
    equal real
    match:
        y = Mul(x: T[...], const a: T[...])
        z = Mul(y, const b: T[...])
    when:
        # where it pays; what must hold for the rule to be true stands under `where:`
        size(a * b) <= max(size(a), size(b))
    rewrite:
        z = Mul(x, a * b)
"""

_CASES = """# What the rule does, in ONNX's own text syntax; `graphopt.testing.cases` tells what may stand here.

fires: two scales
opsets: 13, 17
dtypes: float, float16
(float[n,4] x) => (float[n,4] z)
<float[4] a, float[1] b>
{
    y = Mul (x, a)
    z = Mul (y, b)
}
becomes
{
    z = Mul (x, product)
}

stays: the second one is no constant
(float[n,4] x, float[4] b) => (float[n,4] z)
<float[4] a>
{
    y = Mul (x, a)
    z = Mul (y, b)
}

stays: the product would be larger than both
(float[n,4,4] x) => (float[n,4,4] z)
<float[4,1] a, float[1,4] b>
{
    y = Mul (x, a)
    z = Mul (y, b)
}
"""

_RULE_TEST = '''"""The rule $name does what its cases say, and is true."""

from pathlib import Path

import pytest

from graphopt.testing import Variant, assert_case, read_cases, variants_of, verify_rule

RULES = Path(__file__).with_name("$name.rules")
CASES = read_cases(Path(__file__).with_name("$name.txt"))


@pytest.mark.parametrize("variant", [v for case in CASES for v in variants_of(case)], ids=str)
def test_case(variant: Variant) -> None:
    assert_case(variant, RULES)


def test_it_is_true() -> None:
    verify_rule(RULES)
'''

_PASS = '''"""The pass `$name`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt import Context, Model, Pass, PassResult, RecipeError, register


@register
@dataclass(frozen=True)
class $type_name(Pass):
    """Take out nodes that give their first input on as it is.

    Contract: exact.

    Options:
        operators: the operators of such nodes.
    """

    name: ClassVar[str] = "$name"
    operators: tuple[str, ...] = ("Identity",)

    def check(self, context: Context) -> None:
        """Look at the options before any pass runs."""
        if not self.operators:
            raise RecipeError("the pass $name takes out nothing", help='operators = ["Identity"]')

    def apply(self, model: Model, context: Context) -> PassResult:
        """Change the model in place; say whether it changed, and how equal it is ("exact", if nothing is said)."""
        removed = 0
        for graph in model.all_graphs():
            for node in list(graph.nodes):
                given, made = node.input(0), node.output()
                if node.op_type not in self.operators or given is None or made is None or made.is_output:
                    continue  # an output of the graph keeps its name
                graph.redirect(made, given)
                graph.remove_node(node)
                removed += 1
        return PassResult(removed > 0, details={"removed": removed})
'''

_PASS_TEST = '''"""What the pass $name does to graphs."""

from $module import $type_name

from graphopt.testing import assert_pass


def test_what_it_takes_out() -> None:
    before = "(float[4] x) => (float[4] z) { y = Identity (x)  z = Relu (y) }"
    assert_pass($type_name(), before, "(float[4] x) => (float[4] z) { z = Relu (x) }")


def test_what_it_leaves() -> None:
    output = "(float[4] x) => (float[4] z) { z = Identity (x) }"
    assert_pass($type_name(), output, output)


def test_its_options() -> None:
    graph = "(float[4] x) => (float[4] z) { y = Identity (x)  z = Relu (y) }"
    assert_pass($type_name(operators=("Dropout",)), graph, graph)
'''
