"""From lark's parse tree to patterns."""

from __future__ import annotations

from lark import Token, Tree

from graphopt.graph.dtypes import DType
from graphopt.lang import tree as t
from graphopt.lang.syntax import Branch, Item, Reader, branches, integer_of, number_of, text_of, tokens, words

OPERATOR_WORDS = ("CAPITAL", "DOMAIN_OPERATOR", "PRODUCT")


def build_match(tree: Branch, reader: Reader) -> t.Match:
    """`shared y, _ = pattern`"""
    targets, pattern = branches(tree)
    is_shared = bool(words(tree, "SHARED"))
    return t.Match(build_targets(targets), _pattern(pattern, reader), is_shared, reader.span(tree))


def build_targets(tree: Branch) -> tuple[str | None, ...]:
    """Names on the left of `=`; None for `_`."""
    return tuple(None if w == "_" else str(w) for w in words(tree, "NAME", "UNDERSCORE"))


def _pattern(tree: Branch, reader: Reader) -> t.NodePattern | t.Alternatives:
    options: list[t.NodePattern] = []
    for child in branches(tree):
        built = _pattern(child, reader) if child.data == "pattern" else _node(child, reader)
        options.extend(built.options if isinstance(built, t.Alternatives) else (built,))
    return options[0] if len(options) == 1 else t.Alternatives(tuple(options), reader.span(tree))


def _node(tree: Branch, reader: Reader) -> t.NodePattern:
    (operator,) = words(tree, *OPERATOR_WORDS)
    inputs: list[t.InputPattern] = []
    attributes: list[t.AttributePattern] = []
    rest: str | None = None
    for child in tree.children:
        if not isinstance(child, Tree):
            if child.type == "NONE":
                inputs.append(t.Absent(reader.span(child)))
            elif child.type == "UNDERSCORE":
                inputs.append(t.Anything(reader.span(child)))
        elif child.data == "attribute":
            attributes.append(_attribute(child, reader))
            if any(a.name == attributes[-1].name for a in attributes[:-1]):
                reader.refuse(f"{attributes[-1].name} is asked for twice", child)
        elif child.data == "spread":
            if rest is not None:
                reader.refuse("the other attributes are captured once", child)
            rest = str(words(child, "NAME")[0])
        else:
            if attributes or rest is not None:
                reader.refuse("an input stands behind an attribute", child, "tensors come first, then attributes")
            inputs.append(_input(child, reader))
    is_product = operator.type == "PRODUCT"
    name = str(operator).removesuffix("*")
    return t.NodePattern(name, tuple(inputs), tuple(attributes), rest, is_product, reader.span(tree))


def _input(tree: Branch, reader: Reader) -> t.InputPattern:
    kind, span = str(tree.data), reader.span(tree)
    if kind == "pattern":
        return _pattern(tree, reader)
    if kind == "variable":
        return _variable(tree, reader)
    if kind == "variadic":
        return t.Variadic(str(words(tree, "NAME")[0]), span)
    is_approximate = bool(words(tree, "TILDE"))
    return t.Number(number_of(words(tree, "MINUS", "NUMBER"), reader), is_approximate, span)


def _variable(tree: Branch, reader: Reader) -> t.Variable:
    kinds = {w.type for w in tokens(tree)}
    annotated = [_type(c, reader) for c in branches(tree)]
    return t.Variable(
        str(words(tree, "NAME")[0]),
        "CONST" in kinds,
        "QUESTION" in kinds,
        annotated[0] if annotated else None,
        reader.span(tree),
    )


def _type(tree: Branch, reader: Reader) -> t.TypePattern:
    dtype = str(tokens(tree)[0])
    dims = tuple(_dim(c, reader) for c in branches(tree))
    return t.TypePattern(None if dtype == "_" else dtype, dims, reader.span(tree))


def _dim(tree: Branch, reader: Reader) -> t.DimPattern:
    first, *more = tokens(tree)
    span = reader.span(tree)
    if first.type == "NAME":
        return t.DimPattern("name", str(first), None, span)
    if first.type == "INT":
        return t.DimPattern("size", None, integer_of(first, reader), span)
    if first.type == "UNDERSCORE":
        return t.DimPattern("any", None, None, span)
    return t.DimPattern("rest", str(more[0]) if more else None, None, span)


def _attribute(tree: Branch, reader: Reader) -> t.AttributePattern:
    name, _, *value = tree.children
    span = reader.span(tree)
    first = value[0]
    if isinstance(first, Tree) or first.type == "STRING":
        return t.AttributePattern(str(name), None, False, _literal(first, reader), span)
    if first.type == "UNDERSCORE":
        return t.AttributePattern(str(name), None, False, None, span)
    if str(first) in DType.__members__:
        literal = t.Literal(DType[str(first)], reader.span(first))
        return t.AttributePattern(str(name), None, False, literal, span)
    return t.AttributePattern(str(name), str(first), len(value) > 1, None, span)


def _literal(item: Item, reader: Reader) -> t.Literal | t.ListOf:
    span = reader.span(item)
    if isinstance(item, Token):
        return t.Literal(text_of(item, reader), span)
    if item.data == "signed":
        return t.Literal(number_of(tokens(item), reader), span)
    parts = [c for c in item.children if isinstance(c, Tree) or c.type == "STRING"]
    return t.ListOf(tuple(_literal(p, reader) for p in parts), span)
