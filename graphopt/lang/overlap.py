"""Whether two left sides can match the same nodes, and whether one matches wherever the other does.

Both answers look at structure: operators, attributes, element types, ranks and sizes. `may_overlap` errs on the side of
yes (that a name stands twice is not looked at), `covers` on the side of no.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.literals import literal_value, same_attribute
from graphopt.lang.names import names_in, walk
from graphopt.lang.operators import COMMUTATIVE, split_operator
from graphopt.lang.versions import newest_within

MOST_PERMUTED = 5
"""Operands of more inputs than this are compared in the order in which they stand."""


@dataclass(frozen=True)
class Node:
    """A pattern of a node, of a rule; `is_shared` where other readers may keep it alive."""

    rule: t.Rule
    pattern: t.NodePattern
    is_shared: bool

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators that it takes: several where it is a generic."""
        name = self.pattern.operator
        return next((g.options for g in self.rule.generics if g.name == name), (name,))


def roots(rule: t.Rule) -> list[t.Match]:
    """Statements whose results no other statement reads."""
    read = {name for match in rule.matches for name in names_in(match.pattern)}
    return [m for m in rule.matches if not any(n in read for n in m.targets if n)]


def options_of(pattern: t.NodePattern | t.Alternatives) -> tuple[t.NodePattern, ...]:
    return pattern.options if isinstance(pattern, t.Alternatives) else (pattern,)


class LeftSide:
    """What a rule matches, prepared to be held against many others.

    Attributes:
        rule: the rule.
        options: the alternatives of its last root.
        operators: of those, with generics expanded.
    """

    def __init__(self, rule: t.Rule) -> None:
        found = roots(rule)
        last = found[-1]
        self.rule = rule
        self.options = tuple(Node(rule, p, last.is_shared) for p in options_of(last.pattern))
        self.operators = frozenset(o for node in self.options for o in node.operators)
        self.results = len(last.targets)
        self.has_one_root = len(found) == 1
        self.repeats_a_name = _repeats_a_name(rule)


def may_overlap(first: LeftSide, second: LeftSide) -> bool:
    """Whether some nodes could be matched by both rules from the same root."""
    return any(_nodes_meet(a, b) for a in first.options for b in second.options)


def covers(general: LeftSide, special: LeftSide) -> bool:
    """Whether the first rule matches wherever the second does, from the same root."""
    if not (general.has_one_root and special.has_one_root) or general.repeats_a_name:
        return False
    if general.results != special.results or not special.operators <= general.operators:
        return False
    return all(any(_node_covers(a, b) for a in general.options) for b in special.options)


def _repeats_a_name(rule: t.Rule) -> bool:
    parts = [p for m in rule.matches for p in walk(m.pattern)]
    names = [p.name for p in parts if isinstance(p, (t.Variable, t.DimPattern)) and p.name is not None]
    return len(set(names)) < len(names)


# --- what stands at an input ---


def _made_by(rule: t.Rule, pattern: t.InputPattern) -> list[Node]:
    """The nodes that an input pattern asks for, one for each alternative; none where it takes any value."""
    if isinstance(pattern, (t.NodePattern, t.Alternatives)):
        return [Node(rule, p, False) for p in options_of(pattern)]
    if isinstance(pattern, t.Variable):
        for match in rule.matches:
            if pattern.name in match.targets:
                return [Node(rule, p, match.is_shared) for p in options_of(match.pattern)]
    return []


def _may_be_absent(pattern: t.InputPattern) -> bool:
    return isinstance(pattern, (t.Absent, t.Anything, t.Variadic)) or (
        isinstance(pattern, t.Variable) and pattern.is_optional
    )


def _may_be_present(pattern: t.InputPattern) -> bool:
    return not isinstance(pattern, t.Absent)


_ALL_DTYPES = frozenset(DType)


def _dtypes(rule: t.Rule, pattern: t.InputPattern) -> frozenset[DType]:
    if not isinstance(pattern, t.Variable) or pattern.type is None or pattern.type.dtype is None:
        return _ALL_DTYPES
    name = pattern.type.dtype
    options = next((g.options for g in rule.generics if g.name == name), (name,))
    return frozenset(DType[o] for o in options if o in DType.__members__)


# --- can both match? ---


def _inputs_meet(first: t.Rule, a: t.InputPattern, second: t.Rule, b: t.InputPattern) -> bool:
    if _may_be_absent(a) and _may_be_absent(b):
        return True
    if not (_may_be_present(a) and _may_be_present(b)):
        return False
    if isinstance(a, t.Number) and isinstance(b, t.Number):
        return a.value == b.value or ((a.is_approximate or b.is_approximate) and abs(a.value - b.value) < 1e-2)
    made_a, made_b = _made_by(first, a), _made_by(second, b)
    if made_a and made_b:
        return any(_nodes_meet(x, y) for x in made_a for y in made_b)
    if (made_a and _is_constant(b)) or (made_b and _is_constant(a)):
        return False  # what a node makes is no constant
    left, right = _dtypes(first, a), _dtypes(second, b)
    return (left is right or not left.isdisjoint(right)) and _dims_meet(a, b)


def _is_constant(pattern: t.InputPattern) -> bool:
    return isinstance(pattern, t.Number) or (isinstance(pattern, t.Variable) and pattern.is_const)


def _dims_meet(a: t.InputPattern, b: t.InputPattern) -> bool:
    if not (isinstance(a, t.Variable) and isinstance(b, t.Variable) and a.type and b.type):
        return True
    left, right = a.type.dims, b.type.dims
    if any(d.kind == "rest" for d in (*left, *right)):
        return True
    if len(left) != len(right):
        return False
    pairs = zip(left, right, strict=True)
    return all(x.size is None or y.size is None or x.size == y.size for x, y in pairs)


def _nodes_meet(a: Node, b: Node) -> bool:
    if not _share_an_operator(a, b):
        return False
    if a.pattern.is_product or b.pattern.is_product:
        left, right = list(_operands(a)), list(_operands(b))
        if len(left) != len(right):
            return False
        is_free = True
    elif _attributes_meet(a, b):
        pairs = list(_pairs(a.pattern.inputs, b.pattern.inputs))
        left, right = [x for x, _ in pairs], [y for _, y in pairs]
        is_free = split_operator(a.pattern.operator) in COMMUTATIVE
    else:
        return False
    if not is_free:
        return all(_inputs_meet(a.rule, x, b.rule, y) for x, y in zip(left, right, strict=True))
    fits: list[list[bool]] = []
    for x in sorted(left, key=_takes_more_than_a_node):  # a node tells most rules apart, and the others need no look
        fits.append([_inputs_meet(a.rule, x, b.rule, y) for y in right])
        if not any(fits[-1]):
            return False
    return _can_pair_up(fits)


def _takes_more_than_a_node(pattern: t.InputPattern) -> bool:
    return not isinstance(pattern, (t.NodePattern, t.Alternatives))


def _share_an_operator(a: Node, b: Node) -> bool:
    if not (a.rule.generics or b.rule.generics):
        return a.pattern.operator == b.pattern.operator
    return not set(a.operators).isdisjoint(b.operators)


def _can_pair_up(fits: list[list[bool]]) -> bool:
    """Whether each row can have a column of its own that fits it (Kuhn's augmenting paths)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def _operands(node: Node) -> Iterator[t.InputPattern]:
    """The operands of a product, or of a nest of the same operator that is written out."""
    if node.pattern.is_product:
        yield from node.pattern.inputs
        return
    for inner in node.pattern.inputs:
        made = _made_by(node.rule, inner)
        if len(made) == 1 and not made[0].is_shared and made[0].pattern.operator == node.pattern.operator:
            yield from _operands(made[0])
        else:
            yield inner


def _orders(pattern: t.NodePattern, count: int) -> Iterator[tuple[int, ...]]:
    given = tuple(range(count))
    is_free = split_operator(pattern.operator) in COMMUTATIVE and count <= MOST_PERMUTED
    return permutations(given) if is_free else iter([given])


def _pairs(
    left: tuple[t.InputPattern, ...], right: tuple[t.InputPattern, ...]
) -> Iterator[tuple[t.InputPattern, t.InputPattern]]:
    """Inputs by position; those that one side does not mention are absent, unless a variadic one takes them."""
    for position in range(max(len(left), len(right))):
        yield _at(left, position), _at(right, position)


def _at(inputs: tuple[t.InputPattern, ...], position: int) -> t.InputPattern:
    if inputs and isinstance(inputs[-1], t.Variadic) and position >= len(inputs) - 1:
        return t.Anything(inputs[-1].span)
    if position < len(inputs):
        return inputs[position]
    return t.Absent(inputs[-1].span) if inputs else t.Absent(_NOWHERE)


_NOWHERE: Any = None

# --- attributes ---

_ANYTHING = "anything"
_PRESENT = "present"
_FIXED = "fixed"
_ABSENT = "absent"


def _attribute(node: Node, name: str) -> tuple[str, Any]:
    """What a pattern asks of an attribute: a fixed value, that it is there, that it is not, or nothing."""
    default = _default(node, name)
    for attribute in node.pattern.attributes:
        if attribute.name == name:
            if attribute.literal is not None:
                return _FIXED, literal_value(attribute.literal)
            needs = attribute.variable is not None and not attribute.is_optional and default is None
            return (_PRESENT, None) if needs else (_ANYTHING, None)
    if node.pattern.rest is not None:
        return _ANYTHING, None
    return (_FIXED, default) if default is not None else (_ABSENT, None)


def _default(node: Node, name: str) -> Any:
    version = newest_within(node.operators[0], node.rule.opset)
    declared = version.attributes.get(name) if version is not None else None
    return declared.default if declared is not None else None


def _names(*nodes: Node) -> list[str]:
    found = {a.name for n in nodes for a in n.pattern.attributes}
    for node in nodes:
        version = newest_within(node.operators[0], node.rule.opset)
        found.update(version.attributes if version is not None else ())
    return sorted(found)


def _attributes_meet(a: Node, b: Node) -> bool:
    for name in _names(a, b):
        (kind, value), (other_kind, other) = _attribute(a, name), _attribute(b, name)
        if kind == other_kind == _FIXED and not _same(value, other):
            return False
        if _ABSENT in (kind, other_kind) and {kind, other_kind} & {_PRESENT, _FIXED}:
            return False
    return True


def _same(value: Any, other: Any) -> bool:
    return isinstance(value, str) == isinstance(other, str) and same_attribute(value, other)


# --- does one match wherever the other does? ---


def _node_covers(a: Node, b: Node) -> bool:
    if a.pattern.is_product or b.pattern.is_product or not set(b.operators) <= set(a.operators):
        return False
    if not all(_attribute_covers(_attribute(a, n), _attribute(b, n)) for n in _names(a, b)):
        return False
    pairs = list(_pairs(a.pattern.inputs, b.pattern.inputs))
    return any(
        all(_input_covers(a.rule, pairs[i][0], b.rule, pairs[j][1]) for i, j in enumerate(order))
        for order in _orders(a.pattern, len(pairs))
    )


def _attribute_covers(asked: tuple[str, Any], given: tuple[str, Any]) -> bool:
    kind, value = asked
    if kind == _ANYTHING:
        return True
    if kind == _FIXED:
        return given[0] == _FIXED and _same(value, given[1])
    return given[0] == kind or (kind == _PRESENT and given[0] == _FIXED)


def _input_covers(general: t.Rule, a: t.InputPattern, special: t.Rule, b: t.InputPattern) -> bool:
    if isinstance(a, t.Anything):
        return True
    if isinstance(a, t.Absent) or isinstance(b, (t.Absent, t.Anything)):
        return _may_be_absent(a) and isinstance(b, t.Absent)
    made = _made_by(general, a)
    if made:
        given = _made_by(special, b)
        return bool(given) and all(
            any((x.is_shared or not y.is_shared) and _node_covers(x, y) for x in made) for y in given
        )
    if isinstance(a, t.Number):
        return isinstance(b, t.Number) and a.value == b.value and (a.is_approximate or not b.is_approximate)
    if not isinstance(a, t.Variable) or (_may_be_absent(b) and not a.is_optional):
        return False
    if a.is_const and not _is_constant(b):
        return False
    return _type_covers(general, a, special, b)


def _type_covers(general: t.Rule, a: t.Variable, special: t.Rule, b: t.InputPattern) -> bool:
    if a.type is None:
        return True
    if not _dtypes(special, b) <= _dtypes(general, a):
        return False
    takes_any_shape = len(a.type.dims) == 1 and a.type.dims[0].kind == "rest"
    if takes_any_shape:
        return True
    given = b.type.dims if isinstance(b, t.Variable) and b.type is not None else ()
    is_free = all(d.kind in ("any", "name") for d in a.type.dims)
    return is_free and len(given) == len(a.type.dims) and all(d.kind != "rest" for d in given)
