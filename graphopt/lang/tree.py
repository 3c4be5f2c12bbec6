"""The syntax tree of the rule language. Every node knows its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphopt.lang.source import Source, Span

# --- expressions: what is computed while compiling, and what a rewrite emits ---


@dataclass(frozen=True)
class Literal:
    value: int | float | str | bool | None
    span: Span


@dataclass(frozen=True)
class Name:
    """A name bound by a pattern, a `let`, or the language itself (`target`, `opset`)."""

    name: str
    span: Span


@dataclass(frozen=True)
class Capital:
    """An operator or a generic, as a value: `target.supports(Gelu)`, `x.dtype == T`."""

    name: str
    span: Span


@dataclass(frozen=True)
class ListOf:
    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True)
class Operation:
    """A unary or binary operator by its sign; `if` has three operands: value, condition, alternative."""

    sign: str
    operands: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True)
class Member:
    of: Expression
    name: str
    span: Span


@dataclass(frozen=True)
class Index:
    of: Expression
    index: Expression
    span: Span


@dataclass(frozen=True)
class Slice:
    of: Expression
    start: Expression | None
    stop: Expression | None
    span: Span


@dataclass(frozen=True)
class Call:
    """A function: `sqrt(x)`; `k.reshape(s)` is `reshape(k, s)`, written as a method of its first argument."""

    function: str
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...]
    span: Span
    is_method: bool = False


@dataclass(frozen=True)
class NodeCall:
    """A graph node to emit: positional tensors, keyword attributes, a spread of captured ones."""

    operator: str
    arguments: tuple[Expression, ...]
    attributes: tuple[tuple[str, Expression, Span], ...]
    rest: str | None
    span: Span


@dataclass(frozen=True)
class Each:
    """Inputs of a node: `value` once for each tensor of the list `name`, which in it stands for that one tensor. Rules
    write it as `qdq(xs)`."""

    value: Expression
    name: str
    span: Span


Expression = Literal | Name | Capital | ListOf | Operation | Member | Index | Slice | Call | NodeCall | Each

# --- patterns ---


@dataclass(frozen=True)
class DimPattern:
    """One dim of a type: `kind` is "name", "size", "any" or "rest"; a rest may have a name."""

    kind: str
    name: str | None
    size: int | None
    span: Span


@dataclass(frozen=True)
class TypePattern:
    """`T[n, c, ...]`; `dtype` is a generic, the name of a dtype, or None for any."""

    dtype: str | None
    dims: tuple[DimPattern, ...]
    span: Span


@dataclass(frozen=True)
class Variable:
    name: str
    is_const: bool
    is_optional: bool
    type: TypePattern | None
    span: Span


@dataclass(frozen=True)
class Variadic:
    """`*xs`: the remaining inputs."""

    name: str
    span: Span


@dataclass(frozen=True)
class Number:
    """A one-element constant of this value: exactly, or as near as its dtype can say (`~`)."""

    value: float | int
    is_approximate: bool
    span: Span


@dataclass(frozen=True)
class Absent:
    span: Span


@dataclass(frozen=True)
class Anything:
    span: Span


@dataclass(frozen=True)
class AttributePattern:
    """`name=…`: binds a variable (`p`, or `p?` where it may be absent), equals a literal, or takes anything."""

    name: str
    variable: str | None
    is_optional: bool
    literal: Literal | ListOf | None
    span: Span


@dataclass(frozen=True)
class NodePattern:
    """One operator; `is_product` matches every nesting and order of an associative, commutative one."""

    operator: str
    inputs: tuple[InputPattern, ...]
    attributes: tuple[AttributePattern, ...]
    rest: str | None
    is_product: bool
    span: Span


@dataclass(frozen=True)
class Alternatives:
    options: tuple[NodePattern, ...]
    span: Span


InputPattern = Variable | Variadic | Number | Absent | Anything | NodePattern | Alternatives


@dataclass(frozen=True)
class Match:
    """`y, z = pattern`; a target is None for `_`."""

    targets: tuple[str | None, ...]
    pattern: NodePattern | Alternatives
    is_shared: bool
    span: Span


@dataclass(frozen=True)
class Let:
    name: str
    value: Expression
    span: Span


@dataclass(frozen=True)
class Rewrite:
    targets: tuple[str | None, ...]
    value: Expression
    span: Span


@dataclass(frozen=True)
class Generic:
    name: str
    options: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class OpsetRange:
    """Versions of the default domain, both ends included; None is open."""

    low: int | None
    high: int | None
    span: Span


@dataclass(frozen=True)
class Line:
    """A statement of one line as it is written, spaces aside: `kind` is opset, phase, use, doc, equal, order or
    priority."""

    kind: str
    text: str
    span: Span


@dataclass(frozen=True)
class Section:
    """One `match:`, `where:`, `when:`, `let:` or `rewrite:` with what stands below it."""

    kind: str
    items: tuple[Match | Expression | Let | Rewrite, ...]
    span: Span


@dataclass(frozen=True)
class Rule:
    """One rule. `parts` are its lines and sections in the order of the file; the other fields say the same, sorted."""

    name: str
    name_span: Span
    phase: str
    doc: str
    generics: tuple[Generic, ...]
    equal: str
    error: float | None
    order: str
    priority: int
    opset: OpsetRange | None
    matches: tuple[Match, ...]
    where: tuple[Expression, ...]
    when: tuple[Expression, ...]
    lets: tuple[Let, ...]
    rewrites: tuple[Rewrite, ...]
    span: Span
    parts: tuple[Line | Section, ...] = ()

    @property
    def place(self) -> str:
        """rule@file:line"""
        return f"{self.name}@{self.name_span.line_place}"


# --- axis facts and pruning ---


@dataclass(frozen=True)
class AxisIndex:
    """Which axis: `kind` is "number" (`y[-1]`), "name" (`y[i]`, `y[axis]`), "item" (`y[perm[i]]`: item `item` of the
    list attribute `name`) or "slice" (`x[2:]`)."""

    kind: str
    number: int | None = None
    name: str | None = None
    item: str | None = None
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Axis:
    """One axis, or several, of a tensor that the declaration names."""

    tensor: str
    index: AxisIndex
    span: Span


@dataclass(frozen=True)
class Modifier:
    """`when condition`, `unless condition`, or `scaling attribute`: cutting the axis scales that attribute."""

    kind: str
    value: Expression | str
    span: Span


@dataclass(frozen=True)
class Fact:
    """How axes belong together: `kind` is "tie" (one and the same, item by item), or the name of a function: the
    first axis is `cat` (one after the other) or `fold` (multiplied, the first varies slowest) of the others."""

    kind: str
    axes: tuple[Axis, ...]
    modifiers: tuple[Modifier, ...]
    span: Span


@dataclass(frozen=True)
class Operand:
    """A tensor of an `axes` declaration, by its place among the inputs or outputs."""

    name: str
    is_optional: bool
    is_variadic: bool
    span: Span


@dataclass(frozen=True)
class Axes:
    """What is known of one operator's axes, in the opsets of the range."""

    operator: str
    operator_span: Span
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    facts: tuple[Fact, ...]
    opset: OpsetRange | None
    span: Span


@dataclass(frozen=True)
class AxisSource:
    """Where pruning begins: an axis of an operator, by the names of its `axes` declaration."""

    operator: str
    axis: Axis
    span: Span


@dataclass(frozen=True)
class PrunePart:
    """One clause of a pruning: `kind` is doc, from, score, keep or repair."""

    kind: str
    items: tuple[Line | AxisSource | Expression, ...]
    span: Span


@dataclass(frozen=True)
class Prune:
    """What may be cut, by what score, how much is kept, and how what is lost is made up for."""

    name: str
    name_span: Span
    doc: str
    sources: tuple[AxisSource, ...]
    score: Expression | None
    keep: tuple[Expression, ...]
    repair: tuple[Name, ...]
    span: Span
    parts: tuple[PrunePart, ...] = ()


@dataclass(frozen=True)
class Use:
    """`use "other.rules"`: that file is loaded with this one."""

    path: str
    span: Span


Statement = Line | Use | Rule | Axes | Prune


@dataclass(frozen=True)
class RuleFile:
    """One file: its statements in order, and the same by kind. `is_shipped`: it comes with graphopt, so that rules
    of others go before its rules where nothing else tells."""

    source: Source
    uses: tuple[Use, ...] = ()
    rules: tuple[Rule, ...] = field(default=())
    axes: tuple[Axes, ...] = ()
    prunes: tuple[Prune, ...] = ()
    statements: tuple[Statement, ...] = ()
    is_shipped: bool = False
